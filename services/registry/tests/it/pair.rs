//! Two nodes, El Salvador's and Canada's, with a SQLite file each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_exchange::session::{Message, accept, dial};
use convenio_exchange::{Core, CoreParts, Partner};
use convenio_model::{SeededEntropy, SystemClock};
use convenio_registry::{Caller, Registry};
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::origin::log_origin;
use convenio_seal::root::{RatifiedBy, RootSet, sign_ratification};
use convenio_seal::vault::Vault;
use convenio_store_sqlite::SqliteStore;
use convenio_wire::exchange::v1::EpochAuthorisation;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

pub const AGREEMENT: &str = "sv-ca";

pub struct Pair {
    pub sv: Registry,
    pub ca: Registry,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Side {
    party: &'static str,
    node: &'static str,
    root: SigningKey,
    keys: Arc<NodeKeys>,
}

impl Side {
    fn new(party: &'static str, node: &'static str) -> Self {
        let entropy = SeededEntropy::labelled(1, party);
        Self { party, node, root: SigningKey::generate(&entropy), keys: Arc::new(NodeKeys::generate(&entropy)) }
    }

    fn roots(&self) -> RootSet {
        RootSet::new(self.party, 1, vec![self.root.public()]).unwrap()
    }

    fn ratification(&self, pack: &Pack) -> Vec<u8> {
        let said = RatifiedBy::new(pack.id(), pack.digest(), self.node, self.roots());
        sign_ratification(&said, &[&self.root]).unwrap().to_json().into_bytes()
    }

    fn epoch(&self, pack: &Pack, recipient: &str) -> Vec<u8> {
        let manifest = self.keys.manifest(self.party, self.node, 1);
        let said = EpochAuthorisation {
            log_origin: log_origin(self.node, pack.id(), recipient, 1),
            epoch: 1,
            key_manifest: manifest.encode_to_vec(),
            reason: "first".to_owned(),
            ..EpochAuthorisation::default()
        };
        authorise_epoch(&said, &[&self.root]).unwrap().to_json().into_bytes()
    }

    async fn open(&self, dir: &Path, pack: &Arc<Pack>, other: &Side) -> Arc<Core> {
        let dir = dir.join(self.party);
        std::fs::create_dir_all(&dir).unwrap();
        let entropy = Arc::new(SeededEntropy::labelled(2, self.party));
        let parts = CoreParts {
            node: self.node.to_owned(),
            party: self.party.to_owned(),
            clock: Arc::new(SystemClock),
            store: SqliteStore::open(&dir.join("node.db"), self.node).await.unwrap(),
            vault: Arc::new(Vault::open_beside(&dir.join("data.keys"), &*entropy).unwrap()),
            entropy,
            keys: self.keys.clone(),
            other_keys: Vec::new(),
            key_changes: Vec::new(),
            agreements: vec![(pack.clone(), Partner { party: other.party.to_owned(), node: other.node.to_owned() })],
            amendments: Vec::new(),
            orders: Vec::new(),
            roots: vec![self.roots(), other.roots()],
            ratifications: vec![self.ratification(pack), other.ratification(pack)],
            epochs: vec![self.epoch(pack, other.node)],
        };
        Core::open(parts).await.unwrap()
    }
}

/// Two nodes that exchange.
pub async fn pair() -> Pair {
    let dir = tempfile::tempdir().unwrap();
    let agreements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements");
    let pack = Arc::new(Pack::load(&agreements, AGREEMENT).unwrap());
    let (sv, ca) = (Side::new("sv", "node.sv.example"), Side::new("ca", "node.ca.example"));
    let (one, other) = (sv.open(dir.path(), &pack, &ca).await, ca.open(dir.path(), &pack, &sv).await);
    let stop = CancellationToken::new();
    one.start(&stop);
    other.start(&stop);
    link(&one, sv.node, &other, ca.node, &stop);
    let (sv, ca) = (Registry::new(one).unwrap(), Registry::new(other).unwrap());
    Pair { sv, ca, stop, _dir: dir }
}

/// A session that is opened again when it ends, as a node's dialler does.
fn link(
    one: &Arc<Core>,
    one_node: &'static str,
    other: &Arc<Core>,
    other_node: &'static str,
    stop: &CancellationToken,
) {
    let (one, other, stop) = (one.clone(), other.clone(), stop.clone());
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            let (to_other, at_other) = mpsc::channel::<Message>(4);
            let (to_one, at_one) = mpsc::channel::<Message>(4);
            let ok = Ok::<Message, std::convert::Infallible>;
            let dialled = dial(one.clone(), other_node.to_owned(), ReceiverStream::new(at_one).map(ok), to_other);
            let accepted = accept(other.clone(), one_node.to_owned(), ReceiverStream::new(at_other).map(ok), to_one);
            tokio::select! {
                _ = dialled => {}
                _ = accepted => {}
                () = stop.cancelled() => {}
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// Tries until `probe` gives something; a probe that never does fails the test.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

pub fn caller(state: &str) -> Caller {
    Caller {
        trust_domain: format!("{state}.example"),
        role: "integration".into(),
        organisation: "ministry".into(),
        post: None,
        purpose: Some("placement".into()),
    }
}
