//! Synthetic workers. Nobody of these names is meant.

use crate::calendar::Day;
use crate::draw::Draw;

const WOMEN: [&str; 16] = [
    "Ana", "Blanca", "Carmen", "Dora", "Elena", "Fátima", "Gloria", "Irma", "Juana", "Leticia", "Marta", "Nora",
    "Olga", "Rosa", "Silvia", "Yesenia",
];
const MEN: [&str; 16] = [
    "Abel", "Bernardo", "Carlos", "Daniel", "Ernesto", "Fidel", "Gerardo", "Hugo", "Isaac", "José", "Luis", "Mario",
    "Noé", "Óscar", "Pablo", "Ramón",
];
const FAMILIES: [&str; 24] = [
    "Aguilar",
    "Ba",
    "Cabrera",
    "Caal",
    "Castillo",
    "Choc",
    "Cruz",
    "Díaz",
    "Escobar",
    "Flores",
    "García",
    "Guzmán",
    "Hernández",
    "Ixcoy",
    "Juárez",
    "López",
    "Mejía",
    "Núñez",
    "Ortiz",
    "Pérez",
    "Ramos",
    "Sánchez",
    "Tux",
    "Zelaya",
];
/// Years of birth: everybody is of age in every agreement, and younger than sixty.
const BORN: [i64; 2] = [1975, 2003];

/// One synthetic worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub given: String,
    pub family: String,
    /// Name of the value of `convenio.type.v1.Sex`.
    pub sex: &'static str,
    pub birth: Day,
}

impl Person {
    /// The `n`th worker of `seed`.
    pub fn drawn(seed: u64, n: u32) -> Self {
        let draw = Draw::new(seed, &format!("person/{n}"));
        let woman = draw.chance(40);
        let name = |list: &[&str]| draw.pick(list).copied().unwrap_or_default().to_owned();
        let given = if woman { &WOMEN } else { &MEN };
        Self {
            given: format!("{} {}", name(given), name(given)),
            family: format!("{} {}", name(&FAMILIES), name(&FAMILIES)),
            sex: if woman { "SEX_FEMALE" } else { "SEX_MALE" },
            birth: Day::civil(draw.between(BORN[0], BORN[1]), 1, 1).plus(draw.between(0, 364)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_repeats_and_is_one_of_many() {
        assert_eq!(Person::drawn(7, 3), Person::drawn(7, 3));
        let names =
            |seed| (0..50).map(move |n| Person::drawn(seed, n).family).collect::<std::collections::BTreeSet<_>>();
        assert!(names(7).len() > 40);
        assert_ne!(names(7), names(8));
    }
}
