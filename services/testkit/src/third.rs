//! Third witnesses: an agreement that requires them, nodes that submit to them, and what the audit says of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_audit::{Report, load_trust};
use convenio_exchange::Lane;
use convenio_exchange::witness::cosigned;
use convenio_log::witness::{AddCheckpoint, Answer};
use convenio_log::{NoteSigner, SignatureType, VerifierKey, cosignature};
use convenio_seal::key::SigningKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::nodes::{Nodes, Running};
use crate::site::Site;
use crate::treaty::{self, SV_CA};

/// A third witness, as an agreement and a configuration name it.
#[derive(Debug, Clone)]
pub struct Third {
    /// Short name.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Where the nodes find it.
    pub url: String,
    /// For https: file of the authority to believe.
    pub ca: Option<String>,
}

/// sv-ca, which requires cosignatures of `quorum` of these witnesses.
#[must_use]
pub fn required(quorum: usize, witnesses: &[Third]) -> Arc<Pack> {
    let mut table = format!("[witness]\nindependent = \"required\"\nquorum = {quorum}\n");
    for Third { name, key, .. } in witnesses {
        // The agreement tells the public; where a node reaches it is for its configuration.
        table +=
            &format!("\n[[witness.keys]]\nname = \"{name}\"\nvkey = \"{key}\"\nurl = \"https://{name}.example\"\n");
    }
    treaty::under_witnesses(&table)
}

/// Has both nodes submit to these witnesses.
pub fn submit_to(site: &Site, witnesses: &[Third]) {
    for party in ["sv", "ca"] {
        let mut tables = String::new();
        for Third { name, key, url, ca } in witnesses {
            let ca = ca.as_ref().map(|ca| format!("ca = \"{ca}\"\n")).unwrap_or_default();
            tables += &format!(
                "[[witnesses]]\nname = \"{name}\"\nvkey = \"{key}\"\nurl = \"{url}\"\n{ca}interval_seconds = 1\n\n"
            );
        }
        site.edit(party, "[log]\n", &format!("{tables}[log]\n"));
    }
}

/// Every log that the two nodes submit, of every epoch, with its key.
#[must_use]
pub fn submitted(nodes: &Nodes) -> Vec<VerifierKey> {
    let treaty = &nodes.site.treaty;
    let both = [(&nodes.origin, &treaty.origin.keys.log), (&nodes.destination, &treaty.destination.keys.log)];
    let of = |(running, key): (&Running, &SigningKey)| {
        let core = running.node.core();
        let key = |origin: &str| VerifierKey::of(&Log(origin, key), SignatureType::Ed25519).unwrap();
        let lanes = core.exchange(SV_CA).unwrap().own_lanes();
        let of = |lane: &Arc<Lane>| [lane.origin.clone(), format!("{}/journal/{}", core.node_name(), lane.epoch)];
        lanes.iter().flat_map(of).map(|origin| key(&origin)).collect::<Vec<_>>()
    };
    both.into_iter().flat_map(of).collect()
}

/// Signs as the log of that origin.
pub struct Log<'k>(pub &'k str, pub &'k SigningKey);

impl NoteSigner for Log<'_> {
    fn name(&self) -> &str {
        self.0
    }

    fn public_key(&self) -> [u8; 32] {
        self.1.public().raw()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.1.sign(message)
    }
}

/// Whether a witness has cosigned the latest head of both logs between the states.
pub async fn covers(nodes: &Nodes, witness: &VerifierKey) -> bool {
    for running in [&nodes.origin, &nodes.destination] {
        let core = running.node.core();
        let log = core.exchange(SV_CA).unwrap().own();
        let size = core.heads().borrow()[&log.log].size;
        let notes = cosigned(core.store().as_ref(), &log.origin).await.unwrap();
        let by = notes.iter().filter(|note| cosignature::verify(note, witness).is_ok());
        if !by.into_iter().any(|note| note.checkpoint().size() == size) {
            return false;
        }
    }
    true
}

/// Lets time pass until these witnesses have cosigned the latest heads, and the nodes have nothing more to say.
///
/// # Panics
/// If that does not happen in a minute.
pub async fn covered(nodes: &Nodes, witnesses: &[&Third]) {
    // What the quiet timers have to say is said first.
    for _ in 0..3 {
        nodes.clock.advance(Duration::from_secs(90));
        tokio::time::sleep(Duration::from_millis(50)).await;
        nodes.settle().await;
    }
    for _ in 0..2000 {
        let mut all = true;
        for witness in witnesses {
            all &= covers(nodes, &witness.key).await;
        }
        if all {
            return;
        }
        nodes.clock.advance(Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not cosigned by {witnesses:?}");
}

/// Exports both bundles and reports on them.
pub async fn report(nodes: &Nodes) -> Report {
    let [sv, ca] = nodes.export().await;
    let trust = load_trust(&nodes.site.trust()).unwrap();
    let report = convenio_audit::report(&sv, Some(&ca), &trust).unwrap();
    for bundle in [sv, ca] {
        std::fs::remove_dir_all(bundle).unwrap();
    }
    report
}

/// Submits to a witness without TLS, as a node would.
///
/// # Panics
/// If the witness gives no answer of its protocol.
pub async fn post(address: SocketAddr, request: &AddCheckpoint) -> (u16, Answer) {
    let body = request.to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let answered = crate::web::parse(&bytes);
    let kind = answered.head.lines().find_map(|line| line.strip_prefix("content-type: ").map(str::to_owned));
    (answered.status, Answer::parse(answered.status, kind.as_deref(), &answered.body).unwrap())
}
