//! Where a worker may work (`[[sectors]]`, rama de actividad).

use serde::Deserialize;

use super::check::{count, distinct, within};
use super::{Config, Origin};
use crate::pack::PackError;

/// Branches of activity with a rule of their own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sector {
    /// ISIC Rev. 4 codes: a section's letter, or two to four digits; a shorter code covers all that begin with it.
    pub isic: Vec<String>,
    /// Lowest age in these branches, full years; never below the agreement's.
    pub minimum_age: Option<u32>,
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    count(at, "sectors", config.sectors.len(), 1, 64)?;
    for (index, sector) in config.sectors.iter().enumerate() {
        let list = format!("sectors[{index}].isic");
        count(at, &list, sector.isic.len(), 1, 64)?;
        distinct(at, &list, &sector.isic)?;
        for (entry, isic) in sector.isic.iter().enumerate() {
            let section = isic.len() == 1 && isic.bytes().all(|b| (b'A'..=b'U').contains(&b));
            let digits = (2..=4).contains(&isic.len()) && isic.bytes().all(|b| b.is_ascii_digit());
            if !section && !digits {
                let problem = "must be a code of ISIC Rev. 4: a letter or two to four digits";
                at.note(at.error(&format!("{list}[{entry}]"), problem))?;
            }
        }
        if let Some(age) = sector.minimum_age {
            let key = format!("sectors[{index}].minimum_age");
            within(at, &key, age, config.minimum_age, 100)?;
        }
    }
    Ok(())
}
