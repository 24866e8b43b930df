//! Page tokens: opaque, of one list, and checked when they come back.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use convenio_model::Ref;

use crate::error::RegistryError;

const VERSION: u8 = 1;
const DEFAULT_SIZE: usize = 100;
const MAX_SIZE: usize = 1000;

/// What a page token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum List {
    Agencies = 1,
    Employers = 2,
    JobOrders = 3,
    Workers = 4,
    Contracts = 5,
    Placements = 6,
    Events = 7,
    Erasures = 8,
    Holds = 9,
    Crews = 10,
}

/// The part of a list that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    list: List,
    /// Last id of the page before.
    pub after: Option<Ref>,
    /// Most records of this page.
    pub size: usize,
}

impl Page {
    /// Reads `page_size` (0 for 100, at most 1,000) and `page_token` of a request.
    pub fn parse(list: List, size: i32, token: &str) -> Result<Self, RegistryError> {
        let size = match usize::try_from(size) {
            Ok(0) => DEFAULT_SIZE,
            Ok(size) if size <= MAX_SIZE => size,
            _ => return Err(RegistryError::field("page_size", "0 to 1000")),
        };
        let invalid = || RegistryError::field("page_token", "not a token of this list");
        let after = match token {
            "" => None,
            _ => {
                let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| invalid())?;
                let id = bytes.strip_prefix(&[VERSION, list as u8]).ok_or_else(invalid)?;
                Some(Ref::from_slice(id).map_err(|_| invalid())?)
            }
        };
        Ok(Self { list, after, size })
    }

    /// One more than the page holds: whether there is a next page.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.size + 1).unwrap_or(u32::MAX)
    }

    /// Cuts `items` to the page; the token of the next one, empty at the end.
    pub fn cut<T>(&self, items: &mut Vec<T>, id: impl FnOnce(&T) -> Ref) -> String {
        let more = items.len() > self.size;
        items.truncate(self.size);
        items.last().filter(|_| more).map(|last| self.token(id(last))).unwrap_or_default()
    }

    /// The token of what follows `last`.
    pub fn token(&self, last: Ref) -> String {
        let mut bytes = vec![VERSION, self.list as u8];
        bytes.extend_from_slice(&last.0);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A position in a list that has no ids.
pub(crate) fn ordinal_ref(ordinal: u64) -> Ref {
    Ref(u128::from(ordinal).to_be_bytes())
}

/// The position again; past the end for what is none.
pub(crate) fn ref_ordinal(id: Ref) -> u64 {
    u64::try_from(u128::from_be_bytes(id.0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_on_in_its_own_list_only() {
        let page = Page::parse(List::Workers, 2, "").unwrap();
        let mut items = vec![ordinal_ref(1), ordinal_ref(2), ordinal_ref(3)];
        let token = page.cut(&mut items, |id| *id);
        assert_eq!(items, [ordinal_ref(1), ordinal_ref(2)]);
        assert_eq!(Page::parse(List::Workers, 2, &token).unwrap().after, Some(ordinal_ref(2)));
        assert!(Page::parse(List::Agencies, 2, &token).is_err());
        for bad in ["x", "!!", &token[1..], &format!("{token}AA")] {
            assert!(Page::parse(List::Workers, 2, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_page_has_no_token() {
        let page = Page::parse(List::Events, 2, "").unwrap();
        assert_eq!(page.cut(&mut vec![ordinal_ref(1), ordinal_ref(2)], |id| *id), "");
        assert_eq!(page.cut(&mut Vec::<Ref>::new(), |id| *id), "");
    }

    #[test]
    fn a_page_is_bounded() {
        assert_eq!(Page::parse(List::Events, 0, "").unwrap().size, 100);
        assert_eq!(Page::parse(List::Events, 1000, "").unwrap().limit(), 1001);
        assert!(Page::parse(List::Events, 1001, "").is_err());
        assert!(Page::parse(List::Events, -1, "").is_err());
    }

    #[test]
    fn an_ordinal_survives_its_token() {
        for ordinal in [0, 1, u64::MAX] {
            assert_eq!(ref_ordinal(ordinal_ref(ordinal)), ordinal);
        }
    }
}
