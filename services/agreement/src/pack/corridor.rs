//! A regional agreement, seen as one of its corridors: from one party to another.

use std::sync::Arc;

use super::Pack;
use crate::config::{Party, PartyRole};

/// Two parties of a regional agreement, with their roles.
pub(super) struct Corridor {
    pub(super) id: String,
    pub(super) parties: [Party; 2],
}

impl Pack {
    /// Identifier of the pack itself, which ratifications and trust files name: that of a corridor's agreement too.
    #[must_use]
    pub fn agreement(&self) -> &str {
        &self.inner.config.id
    }

    /// The pack as workers go from `origin` to `destination` under it: the pack itself where it is so between its two
    /// parties, and a corridor with the id `<id>-<origin>-<destination>` of a regional one. The digest and the files
    /// stay the same. None if the agreement has no such corridor.
    #[must_use]
    pub fn between(&self, origin: &str, destination: &str) -> Option<Self> {
        let config = &self.inner.config;
        let (from, to) = (config.party(origin)?, config.party(destination)?);
        if !config.is_regional() {
            let fits = from.role == PartyRole::Origin && to.role == PartyRole::Destination;
            return fits.then(|| self.clone());
        }
        if origin == destination {
            return None;
        }
        let as_party = |party: &Party, role| Party { role, ..party.clone() };
        let corridor = Corridor {
            id: format!("{}-{origin}-{destination}", config.id),
            parties: [as_party(from, PartyRole::Origin), as_party(to, PartyRole::Destination)],
        };
        Some(Self { inner: Arc::clone(&self.inner), corridor: Some(Arc::new(corridor)) })
    }

    /// The corridor of this id; the pack itself where it is not regional and has this id.
    #[must_use]
    pub fn corridor(&self, id: &str) -> Option<Self> {
        self.corridors().into_iter().find(|corridor| corridor.id() == id)
    }

    /// Every corridor: one for each ordered pair of a regional agreement's parties, else the pack itself.
    #[must_use]
    pub fn corridors(&self) -> Vec<Self> {
        let parties = &self.inner.config.parties;
        if !self.inner.config.is_regional() {
            return vec![self.clone()];
        }
        let pairs = parties.iter().flat_map(|from| parties.iter().map(move |to| (from, to)));
        pairs.filter_map(|(from, to)| self.between(&from.id, &to.id)).collect()
    }
}
