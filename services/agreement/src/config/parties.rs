//! The parties (`[[parties]]`): two of different roles, or three to eight of a region.

use serde::Deserialize;

use super::check::{code, count, text};
use super::{Config, Instrument, Origin};
use crate::lifecycle::Role;
use crate::pack::PackError;

/// Most parties of a regional agreement.
const MAX_PARTIES: usize = 8;

/// A party of the agreement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Short identifier, for example `sv`.
    pub id: String,
    /// ISO 3166-1 alpha-2 country.
    pub country: String,
    /// Whether workers leave it, come to it, or both.
    pub role: PartyRole,
    /// Whether it has a node; false for one that does not take part yet.
    #[serde(default = "yes")]
    pub connected: bool,
    /// Time zone of the tz database by which its civil days are reckoned; demanded in format 2.
    #[serde(default)]
    pub time_zone: String,
    /// ISO 4217 currency; demanded in format 2.
    #[serde(default)]
    pub currency: String,
    /// Offices that act for it; at least one in format 2.
    #[serde(default)]
    pub authorities: Vec<Authority>,
}

/// An office of a party (autoridad).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Key, unique within the party, for example `mitrab`.
    pub key: String,
    /// Name for people.
    pub name: String,
}

/// What a state is in the agreement as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartyRole {
    /// Workers leave it.
    Origin,
    /// Workers come to it.
    Destination,
    /// Either, by the corridor: a regional agreement.
    Both,
}

impl PartyRole {
    /// The role in a corridor of two; None where the corridor decides.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Origin => Some(Role::Origin),
            Self::Destination => Some(Role::Destination),
            Self::Both => None,
        }
    }
}

impl From<Role> for PartyRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Origin => Self::Origin,
            Role::Destination => Self::Destination,
        }
    }
}

impl PartialEq<Role> for PartyRole {
    fn eq(&self, role: &Role) -> bool {
        self.role() == Some(*role)
    }
}

impl Party {
    /// The office of this key.
    #[must_use]
    pub fn authority(&self, key: &str) -> Option<&Authority> {
        self.authorities.iter().find(|office| office.key == key)
    }
}

impl Config {
    /// Whether it is of a region: every party is origin and destination, and pairs exchange among themselves.
    #[must_use]
    pub fn is_regional(&self) -> bool {
        self.parties.iter().all(|party| party.role == PartyRole::Both)
    }

    /// The party of this id.
    #[must_use]
    pub fn party(&self, id: &str) -> Option<&Party> {
        self.parties.iter().find(|party| party.id == id)
    }

    pub(super) fn known_party(&self, at: Origin<'_>, key: &str, id: &str) -> Result<&Party, PackError> {
        self.party(id).ok_or_else(|| at.error(key, format!("no party `{id}`")))
    }

    /// Refuses an office that the party does not list among its authorities.
    pub(super) fn known_office(&self, at: Origin<'_>, key: &str, party: &Party, office: &str) -> Result<(), PackError> {
        match party.authority(office) {
            Some(_) => Ok(()),
            None => at.note(at.error(key, format!("{} has no authority `{office}`", party.id))),
        }
    }
}

pub(super) fn check(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    check_roles(at, config)?;
    for (index, party) in config.parties.iter().enumerate() {
        let key = |field: &str| format!("parties[{index}].{field}");
        let id = &party.id;
        if config.parties.iter().take(index).any(|earlier| earlier.id == *id) {
            at.note(at.error(&key("id"), format!("`{id}` is named twice")))?;
        }
        if !(2..=8).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_lowercase()) {
            at.note(at.error(&key("id"), "must have 2 to 8 lower-case letters"))?;
        }
        let country = &party.country;
        if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            at.note(at.error(&key("country"), "must have two upper-case letters"))?;
        }
        if config.format >= 2 {
            party.check(at, &format!("parties[{index}]"))?;
        } else if !party.is_plain() {
            let problem = "`connected`, `time_zone`, `currency` and `authorities` need format = 2";
            at.note(at.error(&key("id"), problem))?;
        }
    }
    let unconnected = config.parties.iter().filter(|party| !party.connected).count();
    if unconnected > 1 {
        at.note(at.error("parties", "at most one may be without a node"))?;
    }
    if unconnected == 1 && config.instrument_kind() != Some(Instrument::Unilateral) {
        let problem = "a party without a node needs instrument = \"unilateral\"";
        at.note(at.error("instrument", problem))?;
    }
    Ok(())
}

/// Two of different roles, or in format 2 three to eight that are both.
fn check_roles(at: Origin<'_>, config: &Config) -> Result<(), PackError> {
    let parties = &config.parties;
    if config.format >= 2 && !parties.is_empty() && config.is_regional() {
        return count(at, "parties", parties.len(), 3, MAX_PARTIES);
    }
    let [a, b] = parties.as_slice() else {
        let problem = if config.format >= 2 { "must be two, or three to eight of role `both`" } else { "must be two" };
        return Err(at.error("parties", problem));
    };
    if a.role == b.role {
        at.note(at.error("parties[1].role", "both parties have the same role"))?;
    }
    if let Some(index) = parties.iter().position(|party| party.role == PartyRole::Both) {
        at.note(at.error(&format!("parties[{index}].role"), "`both` is for three parties or more"))?;
    }
    Ok(())
}

impl Party {
    /// Whether it says no more than format 1 knows.
    fn is_plain(&self) -> bool {
        self.connected && self.time_zone.is_empty() && self.currency.is_empty() && self.authorities.is_empty()
    }

    fn check(&self, at: Origin<'_>, key: &str) -> Result<(), PackError> {
        let zone = |b: u8| b.is_ascii_alphanumeric() || b"_+-/".contains(&b);
        let plain = self.time_zone.bytes().all(zone) && self.time_zone.contains('/');
        if self.time_zone.len() > 64 || !plain || self.time_zone.split('/').any(str::is_empty) {
            at.note(at.error(&format!("{key}.time_zone"), "must be a zone as in America/Managua"))?;
        }
        super::check::currency(at, &format!("{key}.currency"), &self.currency)?;
        count(at, &format!("{key}.authorities"), self.authorities.len(), 1, 32)?;
        for (index, office) in self.authorities.iter().enumerate() {
            let key = |field: &str| format!("{key}.authorities[{index}].{field}");
            code(at, &key("key"), &office.key, b"-_", 1)?;
            text(at, &key("name"), &office.name, 1, 200)?;
            if self.authorities.iter().take(index).any(|earlier| earlier.key == office.key) {
                at.note(at.error(&key("key"), format!("`{}` is named twice", office.key)))?;
            }
        }
        Ok(())
    }
}

fn yes() -> bool {
    true
}
