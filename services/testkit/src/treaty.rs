//! What two states prepare before their nodes start: roots, ratified packs, keys, authorised epochs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use convenio_agreement::Pack;
use convenio_model::{SeededEntropy, SignOffPolicy};
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::origin::log_origin;
use convenio_seal::root::{Grounds, RatifiedBy, RootSet, sign_ratification};
use convenio_seal::signoff::{OfficeSaid, sign_off, sign_off_from};
use convenio_seal::trust::TrustedNode;
use convenio_wire::exchange::v1::EpochAuthorisation;
use prost::Message;

use crate::pair::START_MS;

/// The agreement of the repository.
pub const SV_CA: &str = "sv-ca";
/// A copy of it under another name, for what two agreements share.
pub const SECOND: &str = "sv-ca-two";

static PACK: LazyLock<Arc<Pack>> = LazyLock::new(|| Arc::new(Pack::load(&agreements_dir(), SV_CA).unwrap()));
static COPY: LazyLock<Arc<Pack>> = LazyLock::new(|| Arc::new(variant(&PACK, SECOND, &[])));

/// Folder of the packs of this repository.
#[must_use]
pub fn agreements_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements")
}

/// The pack sv-ca.
#[must_use]
pub fn sv_ca() -> Arc<Pack> {
    PACK.clone()
}

/// [`SECOND`]: as sv-ca, with another id and package.
#[must_use]
pub fn second() -> Arc<Pack> {
    COPY.clone()
}

/// sv-ca under another id, with these words of `agreement.toml` replaced.
pub(crate) fn variant(pack: &Pack, id: &str, words: &[(&str, &str)]) -> Pack {
    let dir = tempfile::tempdir().unwrap();
    pack.files().write_to(dir.path()).unwrap();
    let (old, new) = (dir.path().join("agreements/sv-ca"), dir.path().join("agreements").join(id));
    let snake = id.replace('-', "_");
    fs::create_dir(&new).unwrap();
    for (from, to) in
        [("agreement.toml".to_owned(), "agreement.toml".to_owned()), ("sv_ca.proto".into(), format!("{snake}.proto"))]
    {
        let text = fs::read_to_string(old.join(from)).unwrap();
        let text = text.replace("sv-ca", id).replace("sv_ca", &snake);
        let text = words.iter().fold(text, |text, (old, new)| text.replace(old, new));
        fs::write(new.join(to), text).unwrap();
    }
    Pack::load(&dir.path().join("agreements"), id).unwrap()
}

/// sv-ca, with another `[witness]` table.
pub(crate) fn under_witnesses(table: &str) -> Arc<Pack> {
    const NONE: &str = "[witness]\nindependent = \"none\"\n";
    let dir = tempfile::tempdir().unwrap();
    PACK.files().write_to(dir.path()).unwrap();
    let path = dir.path().join("agreements/sv-ca/agreement.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(NONE), "the pack of the repository requires no witness");
    fs::write(&path, text.replace(NONE, table)).unwrap();
    Arc::new(Pack::load(&dir.path().join("agreements"), SV_CA).unwrap())
}

/// One state's part of a treaty.
pub struct Party {
    /// Party, for example `sv`.
    pub party: String,
    /// Its node.
    pub node: String,
    /// Its root keys; a node never holds them.
    pub root_keys: Vec<SigningKey>,
    /// Their public halves: two of three act together.
    pub roots: RootSet,
    /// Operational keys of its node.
    pub keys: Arc<NodeKeys>,
}

impl Party {
    pub(crate) fn new(party: &str, seed: u64) -> Self {
        let entropy = SeededEntropy::labelled(seed, party);
        let root_keys: Vec<_> = (0..3).map(|_| SigningKey::generate(&entropy)).collect();
        let roots = RootSet::new(party, 2, root_keys.iter().map(SigningKey::public).collect()).unwrap();
        let keys = Arc::new(NodeKeys::generate(&entropy));
        Self { party: party.into(), node: format!("node.{party}.example"), root_keys, roots, keys }
    }

    /// The line of a trust file that says whose its node is.
    pub(crate) fn trusted(&self) -> TrustedNode {
        TrustedNode { party: self.party.clone(), node: self.node.clone() }
    }

    pub(crate) fn signers(&self) -> [&SigningKey; 2] {
        [&self.root_keys[0], &self.root_keys[2]]
    }
}

/// Two states and the agreements that both ratified.
pub struct Treaty {
    /// El Salvador, origin.
    pub origin: Party,
    /// Canada, destination.
    pub destination: Party,
    /// Agreements.
    pub packs: Vec<Arc<Pack>>,
    /// Later versions of them that both ratified and placed.
    pub amendments: Vec<Arc<Pack>>,
    /// Orders of the origin and of the destination, as their nodes find them.
    pub orders: [Vec<Vec<u8>>; 2],
}

impl Treaty {
    /// Roots and keys from `seed`.
    #[must_use]
    pub fn new(seed: u64, packs: Vec<Arc<Pack>>) -> Self {
        Self {
            origin: Party::new("sv", seed),
            destination: Party::new("ca", seed),
            packs,
            amendments: Vec::new(),
            orders: Default::default(),
        }
    }

    /// Ratification files of both parties.
    #[must_use]
    pub fn ratifications(&self) -> Vec<Vec<u8>> {
        let both = |pack: &Arc<Pack>| [ratification(&self.origin, pack), ratification(&self.destination, pack)];
        self.packs.iter().chain(&self.amendments).flat_map(both).collect()
    }

    /// Authorisations of the first epochs of the logs from `from` to `to`.
    #[must_use]
    pub fn epochs(&self, from: &Party, to: &Party) -> Vec<Vec<u8>> {
        self.packs.iter().map(|pack| first_epoch(from, to, pack)).collect()
    }
}

/// A party's ratification of a pack, with the sign-off of every office that the pack lists.
pub(crate) fn ratification(party: &Party, pack: &Pack) -> Vec<u8> {
    let plain = RatifiedBy::new(pack.agreement(), pack.digest(), &party.node, party.roots.clone());
    let said = match pack.ratification_rule(&party.party).sign_off {
        Some(policy) => RatifiedBy { grounds: grounds(party, pack, &policy), ..plain },
        None => plain,
    };
    sign_ratification(&said, &party.signers()).unwrap().to_json().into_bytes()
}

/// Key of an office of a party: the same in every treaty.
#[must_use]
pub fn office_key(party: &str, office: &str) -> SigningKey {
    SigningKey::generate(&SeededEntropy::labelled(1, &format!("{party}/{office}")))
}

fn grounds(party: &Party, pack: &Pack, policy: &SignOffPolicy) -> Grounds {
    let said = |office: &String| OfficeSaid {
        agreement: pack.agreement().to_owned(),
        digest: pack.digest(),
        party: party.party.clone(),
        office: office.clone(),
        officer_role: String::new(),
        time_ms: START_MS,
        objection: None,
        acknowledged: policy.missing.clone(),
    };
    let mut offices = policy.offices.clone();
    offices.sort();
    let signed = |office| sign_off(&said(office), &office_key(&party.party, office)).unwrap();
    Grounds {
        amends: pack.config().amended(),
        sign_offs: offices.iter().map(|office| sign_off_from(&signed(office)).unwrap()).collect(),
        offices: offices.iter().map(|at| (at.clone(), office_key(&party.party, at).public())).collect(),
        acknowledged: policy.missing.clone(),
        time_ms: START_MS,
        ..Grounds::default()
    }
}

/// The authorisation of the first epoch of the log from `from` to `to`.
pub(crate) fn first_epoch(from: &Party, to: &Party, pack: &Pack) -> Vec<u8> {
    let authorisation = EpochAuthorisation {
        log_origin: log_origin(&from.node, pack.id(), &to.node, 1),
        epoch: 1,
        prev_size: 0,
        prev_root: Vec::new(),
        reason: "first".to_owned(),
        key_manifest: from.keys.manifest(&from.party, &from.node, 1).encode_to_vec(),
    };
    authorise_epoch(&authorisation, &from.signers()).unwrap().to_json().into_bytes()
}
