//! Any number of states with a whole node each, and the agreements between them: loopback mTLS, one clock.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_audit::{Report, load_trust};
use convenio_faultproxy::FaultProxy;
use convenio_model::{ManualClock, SeededEntropy};
use convenio_node::pki::{Authority, Usage};
use convenio_node::tls::{LoadedTls, TlsMaterial};
use convenio_node::{BundleKind, Config, Node};
use convenio_seal::trust::{TrustFile, TrustedAgreement};
use convenio_seal::vault::Vault;
use tempfile::TempDir;
use tonic::Status;
use tonic::transport::Channel;

use crate::calls::Caller;
use crate::invariants;
use crate::ledger::Books;
use crate::site::{domain, now, request};
use crate::treaty::{Party, first_epoch, ratification};

const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(3);

/// States and what they agreed. Every agreement, or corridor of one, is between two of them.
pub struct States {
    /// Folder of everything: `DIR/<party>` and `DIR/trust`.
    pub dir: TempDir,
    /// Clock of all.
    pub clock: ManualClock,
    /// The agreements; a regional one stands here as its corridors.
    pub packs: Vec<Arc<Pack>>,
    /// The states, in the order of their names.
    pub states: Vec<State>,
    seed: u64,
}

/// One state.
pub struct State {
    /// Roots and keys.
    pub party: Party,
    authority: Authority,
    /// On the way to its node.
    pub proxy: FaultProxy,
    running: Option<Running>,
}

/// A node that runs.
struct Running {
    node: Node,
    calls: Caller,
}

impl States {
    /// The states of these agreements, all files written, no node started.
    pub async fn prepare(seed: u64, clock: ManualClock, packs: Vec<Arc<Pack>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let packs: Vec<_> = packs.iter().flat_map(|pack| pack.corridors()).map(Arc::new).collect();
        let mut parties: Vec<_> = packs.iter().flat_map(|pack| pack.parties()).map(|party| party.id.clone()).collect();
        parties.sort_unstable();
        parties.dedup();
        let mut states = Vec::new();
        for party in parties {
            let authority = Authority::create(&domain(&party), now() - HOUR, now() + 24 * HOUR).unwrap();
            // Where nothing listens, until the node behind it has a port.
            let proxy = FaultProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).await.unwrap();
            states.push(State { party: Party::new(&party, seed), authority, proxy, running: None });
        }
        let made = Self { dir, clock, packs, states, seed };
        for pack in &made.packs {
            pack.files().write_to(made.dir.path()).unwrap();
        }
        made.write_trust();
        made.states.iter().for_each(|state| made.write_state(state));
        made.states.iter().for_each(|state| made.write_config(state));
        made
    }

    /// As [`States::prepare`], every node started and settled.
    pub async fn start(seed: u64, clock: ManualClock, packs: Vec<Arc<Pack>>) -> Self {
        let mut states = Self::prepare(seed, clock, packs).await;
        for at in 0..states.states.len() {
            let party = states.states[at].party.party.clone();
            states.start_one(&party).await;
        }
        states.settle().await;
        states
    }

    /// Starts the node of a state.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_one(&mut self, party: &str) {
        let config = Config::load(&self.config(party)).unwrap();
        let entropy = Arc::new(SeededEntropy::labelled(self.seed, &format!("{party}/node")));
        let node = Node::start(config, Arc::new(self.clock.clone()), entropy).await.unwrap();
        let calls = Caller::new(
            party,
            node.addr(),
            &self.client(party, &format!("spiffe://{party}.example/integration/ministry")),
        );
        let state = self.states.iter_mut().find(|state| state.party.party == party).unwrap();
        state.proxy.retarget(node.addr());
        state.running = Some(Running { node, calls });
    }

    /// Stops the node of a state; its folder stays.
    ///
    /// # Panics
    /// If it does not run.
    pub async fn stop_one(&mut self, party: &str) {
        let state = self.states.iter_mut().find(|state| state.party.party == party).unwrap();
        let Running { node, calls } = state.running.take().unwrap();
        drop(calls);
        node.stop().await;
    }

    /// Folder of a state.
    #[must_use]
    pub fn path(&self, party: &str) -> PathBuf {
        self.dir.path().join(party)
    }

    /// Configuration of a state's node.
    #[must_use]
    pub fn config(&self, party: &str) -> PathBuf {
        self.path(party).join("node.toml")
    }

    /// The trust file of all.
    #[must_use]
    pub fn trust(&self) -> PathBuf {
        self.dir.path().join("trust")
    }

    /// A state.
    ///
    /// # Panics
    /// If there is none of this name.
    #[must_use]
    pub fn state(&self, party: &str) -> &State {
        self.states.iter().find(|state| state.party.party == party).unwrap()
    }

    /// The integration system of a state.
    #[must_use]
    pub fn calls(&self, party: &str) -> &Caller {
        &self.state(party).running().calls
    }

    /// Where the node of a state listens.
    #[must_use]
    pub fn address(&self, party: &str) -> SocketAddr {
        self.state(party).running().node.addr()
    }

    /// A state's books, opened beside its node.
    #[must_use]
    pub fn books(&self, party: &str) -> Books {
        let keys = self.path(party).join("data.keys");
        let core = self.state(party).running().node.core().clone();
        Books { core, vault: Arc::new(Vault::open_read_only(&keys).unwrap()) }
    }

    /// TLS of a caller of a state that `uri` names; it believes the authorities of all states.
    #[must_use]
    pub fn client(&self, party: &str, uri: &str) -> LoadedTls {
        let state = self.state(party);
        let others = self.states.iter().map(|other| other.party.party.as_str()).filter(|other| *other != party);
        let issued = state.authority.issue(&request(uri, now() - HOUR, now() + HOUR, Usage::Client)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("client.pem"), &issued.certificate).unwrap();
        fs::write(at("client.sk.pem"), &issued.key).unwrap();
        let material = TlsMaterial {
            certificate: at("client.pem"),
            key: at("client.sk.pem"),
            own_ca: self.path(party).join("tls/ca.pem"),
            own_trust_domain: domain(party),
            partner_cas: others.map(|other| (domain(other), self.path(other).join("tls/ca.pem"))).collect(),
            crls: Vec::new(),
        };
        material.load().unwrap()
    }

    /// Waits until everything under every agreement whose parties both run is delivered, judged and answered.
    ///
    /// # Panics
    /// If that does not happen in a minute.
    pub async fn settle(&self) {
        let settled = async {
            while !self.exchanges().into_iter().all(|(agreement, [a, b])| self.settled(&agreement, a, b)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("all settle in a minute");
    }

    /// Settles, then checks everything that must hold of two honest states under each agreement.
    pub async fn check(&self) {
        self.settle().await;
        for (agreement, [a, b]) in self.exchanges() {
            invariants::check_under(&self.books(&a.party.party), &self.books(&b.party.party), &agreement).await;
        }
    }

    /// Exports the bundles of an agreement's parties and reports on them.
    ///
    /// # Panics
    /// If there is nothing to report on.
    pub async fn report(&self, agreement: &str) -> Report {
        let (_, pair) = self.exchanges().into_iter().find(|(id, _)| id == agreement).unwrap();
        let mut bundles = Vec::new();
        for party in pair.map(|state| state.party.party.clone()) {
            let bundle = self.path(&party).join("bundle");
            let config = Config::load(&self.config(&party)).unwrap();
            convenio_node::export(&config, BundleKind::Full, &bundle).await.unwrap();
            bundles.push(bundle);
        }
        let trust = load_trust(&self.trust()).unwrap();
        let report = convenio_audit::report(&bundles[0], Some(&bundles[1]), &trust).unwrap();
        for bundle in bundles {
            fs::remove_dir_all(bundle).unwrap();
        }
        report
    }

    /// Exports a state's bundle of one agreement alone.
    ///
    /// # Panics
    /// If that fails.
    pub async fn export_under(&self, party: &str, agreement: &str) -> PathBuf {
        let bundle = self.path(party).join(format!("bundle-{agreement}"));
        let config = Config::load(&self.config(party)).unwrap();
        convenio_node::export_under(&config, BundleKind::Full, Some(agreement), &bundle).await.unwrap();
        bundle
    }

    /// Stops every node in order; the folders stay until what is returned is dropped.
    pub async fn stop(self) -> TempDir {
        for state in self.states {
            if let Some(Running { node, calls }) = state.running {
                drop(calls);
                node.stop().await;
            }
        }
        self.dir
    }

    /// Agreements whose parties both run, with these.
    #[must_use]
    pub fn exchanges(&self) -> Vec<(String, [&State; 2])> {
        let of = |pack: &Arc<Pack>| {
            let pair = partners(pack);
            let pair = pair.map(|party| self.state(&party));
            pair.iter().all(|state| state.running.is_some()).then(|| (pack.id().to_owned(), pair))
        };
        self.packs.iter().filter_map(of).collect()
    }

    fn settled(&self, agreement: &str, a: &State, b: &State) -> bool {
        let heads = |state: &State| {
            let core = state.running().node.core().clone();
            let heads = core.heads().borrow().clone();
            let exchange = core.exchange(agreement).unwrap();
            let of = |log| heads.get(&log).map(|head| (head.size, head.settled)).unwrap_or_default();
            (of(exchange.own().log), of(exchange.peer().log))
        };
        let (a, b) = (heads(a), heads(b));
        let held = |sent: (u64, u64), held: (u64, u64)| sent.0 == held.0 && sent.0 == sent.1 && held.0 == held.1;
        // Past EPOCH_OPEN, both RATIFY and ACTIVATE.
        a.0.0 >= 4 && b.0.0 >= 4 && held(a.0, b.1) && held(b.0, a.1)
    }

    /// Agreements of a party, each with the other one.
    fn partners_of<'s>(&'s self, party: &'s str) -> impl Iterator<Item = (&'s Arc<Pack>, &'s State)> {
        self.packs.iter().filter_map(move |pack| {
            let pair = partners(pack);
            let other = pair.iter().find(|other| *other != party)?;
            pair.iter().any(|own| own == party).then(|| (pack, self.state(other)))
        })
    }

    fn write_trust(&self) {
        let packs = self.packs.iter();
        let mut agreements: Vec<_> =
            packs.map(|p| TrustedAgreement { id: p.agreement().into(), digest: p.digest() }).collect();
        agreements.dedup();
        let trust = TrustFile {
            agreements,
            roots: self.states.iter().map(|state| state.party.roots.clone()).collect(),
            nodes: self.states.iter().map(|state| state.party.trusted()).collect(),
            checkpoints: Vec::new(),
            offices: Vec::new(),
        };
        fs::write(self.trust(), trust.to_string()).unwrap();
    }

    fn write_state(&self, state: &State) {
        let party = &state.party.party;
        let dir = self.path(party);
        for folder in ["tls", "keys", "trust/epochs", "trust/ratifications"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        state.party.keys.store(&dir.join("keys")).unwrap();
        for (pack, other) in self.partners_of(party) {
            let id = pack.id();
            for by in [state, other] {
                let file = format!("{}.{}.dsse.json", pack.agreement(), by.party.party);
                let file = dir.join("trust/ratifications").join(file);
                fs::write(file, ratification(&by.party, pack)).unwrap();
            }
            let epoch = first_epoch(&state.party, &other.party, pack);
            fs::write(dir.join("trust/epochs").join(format!("{id}.dsse.json")), epoch).unwrap();
        }
        fs::write(dir.join("tls/ca.pem"), state.authority.certificate()).unwrap();
        let uri = format!("spiffe://{}/node/{party}", domain(party));
        let mut asked = request(&uri, now() - HOUR, now() + 23 * HOUR, Usage::Both);
        asked.dns = vec![format!("node.{party}.example")];
        asked.ip = vec![Ipv4Addr::LOCALHOST.into()];
        let issued = state.authority.issue(&asked).unwrap();
        fs::write(dir.join("tls/node.pem"), &issued.certificate).unwrap();
        fs::write(dir.join("tls/node.sk.pem"), &issued.key).unwrap();
    }

    fn write_config(&self, state: &State) {
        let party = &state.party.party;
        let mut agreements: Vec<_> = self.partners_of(party).map(|(pack, _)| pack.agreement()).collect();
        agreements.dedup();
        let mut text = format!(
            "node = \"node.{party}.example\"\nparty = \"{party}\"\ntrust_domain = \"{party}.example\"\n\
             listen = \"127.0.0.1:0\"\naddress_file = \"address\"\ndatabase = \"node.db\"\ndata_keys = \"data.keys\"\n\
             keys = \"keys\"\ntrust = \"../trust\"\nratifications = \"trust/ratifications\"\nepochs = \"trust/epochs\"\n\
             agreements_dir = \"../agreements\"\nagreements = {agreements:?}\n\n[tls]\ncertificate = \"tls/node.pem\"\n\
             key = \"tls/node.sk.pem\"\nca = \"tls/ca.pem\"\n"
        );
        let mut named = Vec::new();
        for (_, other) in self.partners_of(party) {
            let partner = &other.party.party;
            if named.contains(&partner) {
                continue;
            }
            named.push(partner);
            text += &format!(
                "\n[[partners]]\nparty = \"{partner}\"\nnode = \"node.{partner}.example\"\n\
                 trust_domain = \"{partner}.example\"\nca = \"../{partner}/tls/ca.pem\"\naddress = \"{}\"\n",
                other.proxy.addr()
            );
        }
        text += "\n[log]\nlevel = \"info\"\nfile = \"node.log\"\n";
        fs::write(self.config(party), text).unwrap();
    }
}

impl convenio_script::Nodes for States {
    fn channel(&self, party: &str) -> Result<Channel, Status> {
        let state = self.states.iter().find(|state| state.party.party == party);
        let running = state.and_then(|state| state.running.as_ref());
        running.map(|running| running.calls.channel.clone()).ok_or_else(|| Status::not_found("there is no such node"))
    }
}

impl State {
    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }
}

/// The two parties of an agreement.
fn partners(pack: &Pack) -> [String; 2] {
    let parties: Vec<_> = pack.parties().iter().map(|party| party.id.clone()).collect();
    parties.try_into().expect("an agreement between two")
}
