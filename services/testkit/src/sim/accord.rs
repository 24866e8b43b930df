//! Who agreed what in a run: two states under one agreement, or three of which one is in two.

use std::sync::{Arc, LazyLock};

use convenio_agreement::Pack;
use convenio_seal::root::RootSet;

use crate::treaty::{self, Party};
use crate::versions;

/// The agreement of the third state with the destination.
pub const THIRD: &str = "hn-ca";

static PACK: LazyLock<Arc<Pack>> =
    LazyLock::new(|| Arc::new(treaty::variant(&treaty::sv_ca(), THIRD, &[("\"sv\"", "\"hn\""), ("\"SV\"", "\"HN\"")])));

/// What tells the second version of an agreement from the first; no rule that a run looks at.
const AMENDED: (&str, &str) = ("workers (illustrative)\"", "workers (illustrative), amended\"");

static AMENDMENTS: LazyLock<[Arc<Pack>; 2]> =
    LazyLock::new(|| [treaty::sv_ca(), PACK.clone()].map(|pack| versions::amending(&pack, &[AMENDED])));

/// What the parties signed of one version: party and DSSE envelope.
pub type Ratified = Vec<(String, Vec<u8>)>;

/// States and the agreements between them.
pub struct Accord {
    /// States.
    pub parties: Vec<Party>,
    /// Agreements: pack, origin, destination.
    pub links: Vec<(Arc<Pack>, usize, usize)>,
}

impl Accord {
    /// Two states, or three.
    #[must_use]
    pub fn new(states: usize) -> Self {
        let parties = ["sv", "ca", "hn"].iter().take(states).map(|party| Party::new(party, 1)).collect();
        let mut links = vec![(treaty::sv_ca(), 0, 1)];
        if states > 2 {
            links.push((PACK.clone(), 2, 1));
        }
        Self { parties, links }
    }

    /// Links of a state: place, and whether it is the origin.
    pub fn links_of(&self, state: usize) -> impl Iterator<Item = (usize, bool)> + '_ {
        let of = move |(at, link): (usize, &(Arc<Pack>, usize, usize))| match link {
            (_, origin, _) if *origin == state => Some((at, true)),
            (_, _, destination) if *destination == state => Some((at, false)),
            _ => None,
        };
        self.links.iter().enumerate().filter_map(of)
    }

    /// The other state of a link.
    #[must_use]
    pub fn partner(&self, link: usize, origin: bool) -> usize {
        let (_, from, to) = &self.links[link];
        if origin { *to } else { *from }
    }

    /// Everybody's roots.
    #[must_use]
    pub fn roots(&self) -> Vec<RootSet> {
        self.parties.iter().map(|party| party.roots.clone()).collect()
    }

    /// Second versions of the agreements of a state.
    pub fn amendments(&self, state: usize) -> impl Iterator<Item = Arc<Pack>> + '_ {
        self.links_of(state).map(|(link, _)| AMENDMENTS[link].clone())
    }

    /// Ratification files of the agreements of a state, in both versions.
    #[must_use]
    pub fn ratified(&self, link: usize) -> Vec<(Arc<Pack>, Ratified)> {
        let (pack, from, to) = &self.links[link];
        let by = |pack: &Pack, party: &usize| {
            let party = &self.parties[*party];
            (party.party.clone(), treaty::ratification(party, pack))
        };
        let both = |pack: &Arc<Pack>| (pack.clone(), vec![by(pack, from), by(pack, to)]);
        vec![both(pack), both(&AMENDMENTS[link])]
    }

    /// Ratification files of the agreements of a state.
    #[must_use]
    pub fn ratifications(&self, state: usize) -> Vec<Vec<u8>> {
        let of = |(link, _): (usize, bool)| self.ratified(link).into_iter().flat_map(|(_, files)| files);
        self.links_of(state).flat_map(of).map(|(_, file)| file).collect()
    }

    /// Authorisations of the first epochs of a state's logs.
    #[must_use]
    pub fn epochs(&self, state: usize) -> Vec<Vec<u8>> {
        let first = |(link, origin): (usize, bool)| {
            let to = &self.parties[self.partner(link, origin)];
            treaty::first_epoch(&self.parties[state], to, &self.links[link].0)
        };
        self.links_of(state).map(first).collect()
    }
}
