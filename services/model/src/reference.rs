//! References: what names a record without saying anything about it.

use std::fmt;
use std::str::FromStr;

/// Sixteen bytes that name a subject: the `{uuid}` of a resource name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ref(pub [u8; 16]);

/// Identifier of an exchanged record, UUIDv7.
pub type RecordId = Ref;

/// A text is no reference or no resource name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a resource name of the expected collection")]
pub struct BadReference;

impl Ref {
    /// From bytes that came from elsewhere; they must be sixteen.
    ///
    /// # Errors
    /// [`BadReference`] for another length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, BadReference> {
        bytes.try_into().map(Self).map_err(|_| BadReference)
    }
}

impl From<uuid::Uuid> for Ref {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.into_bytes())
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ref {
    type Err = BadReference;

    /// Accepts only the lower-case hyphenated form, so that a reference has one spelling.
    fn from_str(text: &str) -> Result<Self, BadReference> {
        let id = uuid::Uuid::try_parse(text).map_err(|_| BadReference)?;
        let reference = Self(id.into_bytes());
        (reference.to_string() == text).then_some(reference).ok_or(BadReference)
    }
}

/// A resource name `{collection}/{uuid}` (AIP-122).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName {
    /// Collection, for example `placements`.
    pub collection: &'static str,
    /// Identifier in it.
    pub id: Ref,
}

impl ResourceName {
    /// Parses `text` as a name in `collection`.
    ///
    /// # Errors
    /// [`BadReference`] if it is none.
    pub fn parse(collection: &'static str, text: &str) -> Result<Self, BadReference> {
        let id = text.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')).ok_or(BadReference)?.parse()?;
        Ok(Self { collection, id })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let name = "placements/0190163d-8694-739b-aea5-966c26f8ad91";
        let parsed = ResourceName::parse("placements", name);
        assert_eq!(parsed.map(|n| n.to_string()), Ok(name.to_owned()));
        for bad in [
            "workers/0190163d-8694-739b-aea5-966c26f8ad91",
            "placements/0190163D-8694-739b-aea5-966c26f8ad91",
            "placements/0190163d8694739baea5966c26f8ad91",
            "placements/",
            "placements",
        ] {
            assert_eq!(ResourceName::parse("placements", bad), Err(BadReference), "{bad}");
        }
    }
}
