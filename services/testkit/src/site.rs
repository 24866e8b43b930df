//! The folders of two states' nodes as their officers would make them: certificates, keys, trust, configuration.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convenio_agreement::Pack;
use convenio_model::{Clock, SystemClock};
use convenio_node::pki::{Authority, CertRequest, Issued, RevokedLeaf, Usage, serial_of};
use convenio_node::tls::{LoadedTls, TlsMaterial};
use convenio_seal::trust::{TrustFile, TrustedAgreement};

use crate::treaty::{self, Party, Treaty};

const HOUR: Duration = Duration::from_secs(3600);

/// `DIR/sv`, `DIR/ca` and `DIR/trust`.
pub struct Site {
    /// The folder.
    pub dir: PathBuf,
    /// What the states agreed.
    pub treaty: Treaty,
    origin_ca: Authority,
    destination_ca: Authority,
}

impl Site {
    /// Makes everything but the configurations in `dir`, which must exist.
    #[must_use]
    pub fn make(dir: &Path, seed: u64) -> Self {
        Self::make_under(dir, seed, treaty::sv_ca())
    }

    /// As [`Site::make`], under another pack with the id sv-ca.
    #[must_use]
    pub fn make_under(dir: &Path, seed: u64, pack: Arc<Pack>) -> Self {
        pack.files().write_to(dir).unwrap();
        let treaty = Treaty::new(seed, vec![pack]);
        let (now, later) = (now() - HOUR, now() + 24 * HOUR);
        let authority = |party: &Party| Authority::create(&domain(&party.party), now, later).unwrap();
        let (origin_ca, destination_ca) = (authority(&treaty.origin), authority(&treaty.destination));
        let site = Self { dir: dir.to_owned(), treaty, origin_ca, destination_ca };
        site.write_trust();
        site.write_state(&site.treaty.origin, &site.treaty.destination);
        site.write_state(&site.treaty.destination, &site.treaty.origin);
        site
    }

    /// A state's folder.
    #[must_use]
    pub fn path(&self, party: &str) -> PathBuf {
        self.dir.join(party)
    }

    /// A state's configuration.
    #[must_use]
    pub fn config(&self, party: &str) -> PathBuf {
        self.path(party).join("node.toml")
    }

    /// The trust file.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.dir.join("trust")
    }

    /// Writes a state's configuration. Its node dials the partner at `partner`.
    pub fn configure(&self, party: &str, partner: SocketAddr, level: &str) {
        let other = if party == self.treaty.origin.party { &self.treaty.destination } else { &self.treaty.origin };
        let other = &other.party;
        let text = format!(
            r#"node = "node.{party}.example"
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
agreements_dir = "../agreements"
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
address = "{partner}"

[[posts]]
organisation = "mre"
post = "toronto"
districts = ["CA-ON"]
agreements = ["sv-ca"]

[log]
level = "{level}"
file = "node.log"
"#
        );
        fs::write(self.config(party), text).unwrap();
    }

    /// A certificate by the authority of `party`'s state: `uri` names the caller, valid for the next hour.
    #[must_use]
    pub fn certificate(&self, party: &str, uri: &str) -> Issued {
        self.authority(party).issue(&request(uri, now() - HOUR, now() + HOUR, Usage::Client)).unwrap()
    }

    /// As [`Site::certificate`], expired a minute ago.
    #[must_use]
    pub fn expired(&self, party: &str, uri: &str) -> Issued {
        let end = now() - Duration::from_secs(60);
        self.authority(party).issue(&request(uri, end - HOUR / 2, end, Usage::Client)).unwrap()
    }

    /// The revocation list of the authority of `party`'s state, PEM: it names these certificates and runs out after `lasts`.
    #[must_use]
    pub fn crl(&self, party: &str, revoked: &[&str], lasts: Duration) -> String {
        let leaf = |text: &&str| RevokedLeaf { serial: serial_of(text).unwrap(), since: now() };
        let revoked: Vec<_> = revoked.iter().map(leaf).collect();
        self.authority(party).revoke(&revoked, 1, now() - HOUR, now() + lasts).unwrap()
    }

    /// A new certificate of `party`'s node, by its own authority or by another one of the same domain.
    #[must_use]
    pub fn node_certificate(&self, party: &str, by: Option<&Authority>) -> Issued {
        let uri = format!("spiffe://{}/node/{party}", domain(party));
        let mut request = request(&uri, now() - HOUR, now() + 24 * HOUR - Duration::from_secs(1), Usage::Both);
        request.dns = vec![format!("node.{party}.example")];
        request.ip = vec![Ipv4Addr::LOCALHOST.into()];
        by.unwrap_or_else(|| self.authority(party)).issue(&request).unwrap()
    }

    /// Puts the certificate and key of `party`'s node in place.
    pub fn install(&self, party: &str, issued: &Issued) {
        let tls = self.path(party).join("tls");
        fs::write(tls.join("node.pem"), &issued.certificate).unwrap();
        fs::write(tls.join("node.sk.pem"), &issued.key).unwrap();
    }

    /// Changes the text of a state's configuration.
    ///
    /// # Panics
    /// If `from` does not stand in it.
    pub fn edit(&self, party: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.config(party)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.config(party), text.replace(from, to)).unwrap();
    }

    /// TLS of a caller of `party`'s state that presents `issued` and believes both authorities.
    #[must_use]
    pub fn client(&self, party: &str, issued: &Issued) -> LoadedTls {
        let other = if party == self.treaty.origin.party { &self.treaty.destination } else { &self.treaty.origin };
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("client.pem"), &issued.certificate).unwrap();
        fs::write(at("client.sk.pem"), &issued.key).unwrap();
        let material = TlsMaterial {
            certificate: at("client.pem"),
            key: at("client.sk.pem"),
            own_ca: self.path(party).join("tls/ca.pem"),
            own_trust_domain: domain(party),
            partner_cas: vec![(domain(&other.party), self.path(&other.party).join("tls/ca.pem"))],
            crls: Vec::new(),
        };
        material.load().unwrap()
    }

    fn authority(&self, party: &str) -> &Authority {
        if party == self.treaty.origin.party { &self.origin_ca } else { &self.destination_ca }
    }

    fn write_trust(&self) {
        let packs = self.treaty.packs.iter();
        let trust = TrustFile {
            agreements: packs.map(|p| TrustedAgreement { id: p.id().into(), digest: p.digest() }).collect(),
            roots: vec![self.treaty.origin.roots.clone(), self.treaty.destination.roots.clone()],
            nodes: vec![self.treaty.origin.trusted(), self.treaty.destination.trusted()],
            ..TrustFile::default()
        };
        fs::write(self.trust(), trust.to_string()).unwrap();
    }

    fn write_state(&self, own: &Party, other: &Party) {
        let dir = self.path(&own.party);
        for folder in ["tls", "keys", "trust/epochs", "trust/ratifications"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        own.keys.store(&dir.join("keys")).unwrap();
        for (folder, files) in
            [("trust/ratifications", self.treaty.ratifications()), ("trust/epochs", self.treaty.epochs(own, other))]
        {
            for (at, file) in files.iter().enumerate() {
                fs::write(dir.join(folder).join(format!("{at}.dsse.json")), file).unwrap();
            }
        }
        fs::write(dir.join("tls/ca.pem"), self.authority(&own.party).certificate()).unwrap();
        self.install(&own.party, &self.node_certificate(&own.party, None));
    }
}

/// A certificate request.
#[must_use]
pub fn request(uri: &str, not_before: SystemTime, not_after: SystemTime, usage: Usage) -> CertRequest {
    CertRequest { uri: uri.to_owned(), dns: Vec::new(), ip: Vec::new(), not_before, not_after, usage }
}

/// Trust domain of a party's state.
#[must_use]
pub fn domain(party: &str) -> String {
    format!("{party}.example")
}

/// The machine's time: TLS knows no other.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms())
}
