//! What a ratification of the second form adds: who signed off, what is missing, from when.

use convenio_wire::agreement::v1::{OfficeKey, Ratification, SignedOff};

use super::{RootError, RootSet};
use crate::key::PublicKey;
use crate::name::{is_item, is_office};
use crate::signoff::{MAX_SIGN_OFF, SaidBy};

/// Most offices, sign-offs or acknowledged items of one ratification.
const MAX_LIST: usize = 16;
/// The form that carries grounds.
const SECOND: u32 = 2;

/// What a party had before it ratified. Empty in a ratification of the first form, whose bytes are as they always were.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grounds {
    /// Digest of the version that this one replaces.
    pub amends: Option<[u8; 32]>,
    /// What the pack means once its imports are merged.
    pub effective: Option<[u8; 32]>,
    /// Offices with the key of each, ascending by name; no key stands twice, and none is a root.
    pub offices: Vec<(String, PublicKey)>,
    /// Sign-offs, ascending by office, one of each.
    pub sign_offs: Vec<SaidBy>,
    /// Items of the policy basis that are missing, ascending.
    pub acknowledged: Vec<String>,
    /// SHA-256 of the payload of the negotiation's last act.
    pub negotiation_head: Option<[u8; 32]>,
    /// Not in force for the party before, Unix milliseconds; 0 for none.
    pub not_before_ms: u64,
    /// When the roots signed, Unix milliseconds.
    pub time_ms: u64,
}

impl Grounds {
    /// Key of an office.
    #[must_use]
    pub fn key_of(&self, office: &str) -> Option<&PublicKey> {
        self.offices.iter().find(|(name, _)| name == office).map(|(_, key)| key)
    }

    pub(super) fn enter(&self, first: Ratification) -> Ratification {
        if *self == Self::default() {
            return first;
        }
        let hash = |hash: &Option<[u8; 32]>| hash.map(|hash| hash.to_vec()).unwrap_or_default();
        let office =
            |(office, key): &(String, PublicKey)| OfficeKey { office: office.clone(), spki: key.spki_der().to_vec() };
        let sign_off = |said: &SaidBy| SignedOff { payload: said.payload.clone(), sig: said.sig.clone() };
        Ratification {
            version: SECOND,
            amends: hash(&self.amends),
            effective_sha256: hash(&self.effective),
            offices: self.offices.iter().map(office).collect(),
            sign_offs: self.sign_offs.iter().map(sign_off).collect(),
            acknowledged: self.acknowledged.clone(),
            negotiation_head: hash(&self.negotiation_head),
            not_before_ms: self.not_before_ms,
            time_ms: self.time_ms,
            ..first
        }
    }

    pub(super) fn read(said: &Ratification, roots: &RootSet) -> Result<Self, RootError> {
        let lists = [said.offices.len(), said.sign_offs.len(), said.acknowledged.len()];
        if lists.into_iter().any(|count| count > MAX_LIST) {
            return Err(RootError::TooLarge);
        }
        let grounds = Self {
            amends: hash(&said.amends, "amends")?,
            effective: hash(&said.effective_sha256, "effective_sha256")?,
            offices: offices(&said.offices, roots)?,
            sign_offs: sign_offs(&said.sign_offs)?,
            acknowledged: items(&said.acknowledged).ok_or(RootError::Field("acknowledged"))?,
            negotiation_head: hash(&said.negotiation_head, "negotiation_head")?,
            not_before_ms: time(said.not_before_ms, "not_before_ms")?,
            time_ms: time(said.time_ms, "time_ms")?,
        };
        // One form for one content.
        let version = if grounds == Self::default() { 0 } else { SECOND };
        if said.version != version {
            return Err(RootError::Field("version"));
        }
        Ok(grounds)
    }
}

/// Items of a policy basis: strictly ascending.
pub(crate) fn items(items: &[String]) -> Option<Vec<String>> {
    let good = items.len() <= MAX_LIST && items.iter().all(|item| is_item(item));
    (good && items.is_sorted_by(|a, b| a < b)).then(|| items.to_vec())
}

fn hash(bytes: &[u8], name: &'static str) -> Result<Option<[u8; 32]>, RootError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    bytes.try_into().map(Some).map_err(|_| RootError::Field(name))
}

fn time(time_ms: u64, name: &'static str) -> Result<u64, RootError> {
    if time_ms > i64::MAX as u64 { Err(RootError::Field(name)) } else { Ok(time_ms) }
}

fn offices(said: &[OfficeKey], roots: &RootSet) -> Result<Vec<(String, PublicKey)>, RootError> {
    let mut offices: Vec<(String, PublicKey)> = Vec::new();
    for OfficeKey { office, spki } in said {
        let key = PublicKey::from_spki_der(spki).map_err(|_| RootError::Field("offices.spki"))?;
        let ascends = offices.last().is_none_or(|(last, _)| last < office);
        if !is_office(office) || !ascends {
            return Err(RootError::Field("offices.office"));
        }
        // Whoever holds one key is one voice.
        if offices.iter().any(|(_, other)| *other == key) || roots.keys().contains(&key) {
            return Err(RootError::Field("offices.spki"));
        }
        offices.push((office.clone(), key));
    }
    Ok(offices)
}

fn sign_offs(said: &[SignedOff]) -> Result<Vec<SaidBy>, RootError> {
    let mut sign_offs: Vec<SaidBy> = Vec::new();
    for SignedOff { payload, sig } in said {
        if payload.len() > MAX_SIGN_OFF {
            return Err(RootError::TooLarge);
        }
        let read = SaidBy::read(payload.clone(), sig.clone()).map_err(|_| RootError::Field("sign_offs"))?;
        if sign_offs.last().is_some_and(|last| last.said.office >= read.said.office) {
            return Err(RootError::Field("sign_offs"));
        }
        sign_offs.push(read);
    }
    Ok(sign_offs)
}
