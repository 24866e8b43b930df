//! Offices that sign off before a party's root does (`[sign_off.<party>]`, coordinación intergubernamental).

use serde::Deserialize;

use super::check::{codes, within};
use super::{Config, Origin};
use crate::pack::PackError;

/// `[sign_off.<party>]`. The keys of the offices are in the trust file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOff {
    /// Authorities of the party that may sign off.
    pub offices: Vec<String>,
    /// How many must.
    pub k: u32,
    /// Which must in any case.
    #[serde(default)]
    pub must: Vec<String>,
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    for (id, sign_off) in &config.sign_off {
        let key = format!("sign_off.{id}");
        let party = config.known_party(at, &key, id)?;
        codes(at, &format!("{key}.offices"), &sign_off.offices, 1, 16)?;
        for (index, office) in sign_off.offices.iter().enumerate() {
            config.known_office(at, &format!("{key}.offices[{index}]"), party, office)?;
        }
        codes(at, &format!("{key}.must"), &sign_off.must, 0, 16)?;
        for (index, office) in sign_off.must.iter().enumerate() {
            if !sign_off.offices.contains(office) {
                at.note(at.error(&format!("{key}.must[{index}]"), format!("`{office}` is not among `offices`")))?;
            }
        }
        let least = u32::try_from(sign_off.must.len().max(1)).unwrap_or(u32::MAX);
        let most = u32::try_from(sign_off.offices.len()).unwrap_or(u32::MAX);
        within(at, &format!("{key}.k"), sign_off.k, least, most)?;
    }
    Ok(())
}
