//! Two states' node directories, as their officers would make them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use convenio_agreement::pack::Pack;
use convenio_model::{Clock, SeededEntropy, SystemClock};
use convenio_node::pki::{Authority, CertRequest, Usage};
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::origin::log_origin;
use convenio_seal::root::{RatifiedBy, RootSet, sign_ratification};
use convenio_seal::trust::{TrustFile, TrustedAgreement};
use convenio_wire::exchange::v1::EpochAuthorisation;
use prost::Message;
use tempfile::TempDir;

pub const AGREEMENT: &str = "sv-ca";

/// `DIR/{sv,ca}` with everything that their configurations name, and `DIR/trust`.
pub struct States {
    dir: TempDir,
}

impl States {
    pub fn new() -> Self {
        let states = Self { dir: tempfile::tempdir().unwrap() };
        let pack = Pack::load(&agreements(), AGREEMENT).unwrap();
        let roots = ["sv", "ca"].map(root);
        let trust = TrustFile {
            agreements: vec![TrustedAgreement { id: AGREEMENT.into(), digest: pack.digest() }],
            roots: roots.iter().map(|(set, _)| set.clone()).collect(),
            ..TrustFile::default()
        };
        fs::write(states.dir.path().join("trust"), trust.to_string()).unwrap();
        for (at, other) in [(0, 1), (1, 0)] {
            states.state(&roots[at], roots[other].0.party());
            for (set, key) in &roots {
                states.ratify(roots[at].0.party(), set, key, pack.digest());
            }
        }
        states
    }

    /// A state's node directory.
    pub fn path(&self, party: &str) -> PathBuf {
        self.dir.path().join(party)
    }

    pub fn config(&self, party: &str) -> PathBuf {
        self.path(party).join("node.toml")
    }

    /// Changes the text of a state's configuration.
    pub fn edit(&self, party: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.config(party)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.config(party), text.replace(from, to)).unwrap();
    }

    /// Puts `party`'s copy of a ratification by the roots `set` in place.
    pub fn ratify(&self, party: &str, set: &RootSet, key: &SigningKey, digest: [u8; 32]) {
        let said = RatifiedBy::new(AGREEMENT, digest, &node(set.party()), set.clone());
        let envelope = sign_ratification(&said, &[key]).unwrap();
        let folder = self.path(party).join("trust/ratifications");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{}.dsse.json", set.party())), envelope.to_json()).unwrap();
    }

    fn state(&self, (set, key): &(RootSet, SigningKey), other: &str) {
        let (party, dir) = (set.party(), self.path(set.party()));
        for folder in ["tls", "keys", "trust/epochs"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms());
        certificates(&dir.join("tls"), party, now - Duration::from_secs(60), now + Duration::from_secs(3600));
        let keys = NodeKeys::generate(&SeededEntropy::labelled(1, party));
        keys.store(&dir.join("keys")).unwrap();
        let authorisation = EpochAuthorisation {
            log_origin: log_origin(&node(party), AGREEMENT, &node(other), 1),
            epoch: 1,
            prev_size: 0,
            prev_root: Vec::new(),
            reason: "initial".into(),
            key_manifest: keys.manifest(party, &node(party), 1).encode_to_vec(),
        };
        let envelope = authorise_epoch(&authorisation, &[key]).unwrap();
        fs::write(dir.join("trust/epochs/1.dsse.json"), envelope.to_json()).unwrap();
        fs::write(self.config(party), node_toml(party, other)).unwrap();
    }
}

pub fn node(party: &str) -> String {
    format!("node.{party}.example")
}

/// A party's only root key, the same each time.
pub fn root(party: &str) -> (RootSet, SigningKey) {
    let key = SigningKey::generate(&SeededEntropy::labelled(2, party));
    (RootSet::new(party, 1, vec![key.public()]).unwrap(), key)
}

/// Writes `ca.pem`, `node.pem` and `node.sk.pem`.
pub fn certificates(dir: &Path, party: &str, from: SystemTime, to: SystemTime) {
    let authority = Authority::create(&format!("{party}.example"), from, to).unwrap();
    let request = CertRequest {
        uri: format!("spiffe://{party}.example/node/{party}"),
        dns: vec![node(party)],
        ip: vec![Ipv4Addr::LOCALHOST.into()],
        not_before: from,
        not_after: to,
        usage: Usage::Both,
    };
    let issued = authority.issue(&request).unwrap();
    fs::write(dir.join("ca.pem"), authority.certificate()).unwrap();
    fs::write(dir.join("node.pem"), issued.certificate).unwrap();
    fs::write(dir.join("node.sk.pem"), issued.key).unwrap();
}

pub fn agreements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("proto/agreements")
}

fn node_toml(party: &str, other: &str) -> String {
    format!(
        r#"# The node of {party}.
node = "node.{party}.example"
party = "{party}"
trust_domain = "{party}.example"
listen = "127.0.0.1:0"
address_file = "address"
database = "node.db"
data_keys = "data.keys"
keys = "keys"
trust = "../trust"
ratifications = "trust/ratifications"
epochs = "trust/epochs"
agreements_dir = "{agreements}"
agreements = ["sv-ca"]

[tls]
certificate = "tls/node.pem"
key = "tls/node.sk.pem"
ca = "tls/ca.pem"

[[partners]]
party = "{other}"
node = "node.{other}.example"
trust_domain = "{other}.example"
ca = "../{other}/tls/ca.pem"

[[posts]]
organisation = "mre"
post = "toronto"
districts = ["CA-ON"]
agreements = ["sv-ca"]

[log]
level = "info"
file = "node.log"
"#,
        agreements = agreements().display()
    )
}
