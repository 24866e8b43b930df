//! Two whole nodes in one process: loopback mTLS through a proxy that can break, one clock, calls as their states' systems
//! make them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_faultproxy::FaultProxy;
use convenio_model::{Clock, ManualClock, Ref, SeededEntropy};
use convenio_node::{BundleKind, Config, Node};
use convenio_seal::vault::Vault;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use tempfile::TempDir;
use tonic::Status;

use crate::acts::reference;
use crate::calls::Caller;
use crate::invariants;
use crate::ledger::Books;
use crate::pair::START_MS;
use crate::records;
use crate::site::Site;
use crate::treaty::{self, SV_CA};

const PATIENCE: Duration = Duration::from_secs(60);

/// One state's node.
pub struct Running {
    /// Party.
    pub party: String,
    /// The node.
    pub node: Node,
    /// On the way to it.
    pub proxy: FaultProxy,
    /// The state's integration system.
    pub calls: Caller,
}

/// El Salvador's node and Canada's.
pub struct Nodes {
    /// Folders.
    pub site: Site,
    /// Clock of both.
    pub clock: ManualClock,
    /// El Salvador.
    pub origin: Running,
    /// Canada.
    pub destination: Running,
    _dir: TempDir,
}

impl Nodes {
    /// Starts both; each dials the other through the other's proxy.
    pub async fn start(seed: u64) -> Self {
        let clock = ManualClock::new(START_MS);
        Self::start_under(seed, clock, treaty::sv_ca(), |_| ()).await
    }

    /// As [`Nodes::start`], at another time and under another pack with the id sv-ca; `configure` may change the
    /// configurations before anything is read.
    pub async fn start_under(seed: u64, clock: ManualClock, pack: Arc<Pack>, configure: impl FnOnce(&Site)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::make_under(dir.path(), seed, pack);
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        let to_origin = FaultProxy::start(nowhere).await.unwrap();
        let to_destination = FaultProxy::start(nowhere).await.unwrap();
        site.configure("sv", to_destination.addr(), "trace");
        site.configure("ca", to_origin.addr(), "trace");
        configure(&site);
        let origin = start(&site, "sv", to_origin, &clock, seed).await;
        let destination = start(&site, "ca", to_destination, &clock, seed).await;
        let nodes = Self { site, clock, origin, destination, _dir: dir };
        nodes.settle().await;
        nodes
    }

    /// Waits until everything is delivered, judged and answered.
    ///
    /// # Panics
    /// If that does not happen in a minute.
    pub async fn settle(&self) {
        let settled = async {
            loop {
                let (a, b) = (self.origin.heads(), self.destination.heads());
                let held =
                    |sent: (u64, u64), held: (u64, u64)| sent.0 == held.0 && sent.0 == sent.1 && held.0 == held.1;
                // Past EPOCH_OPEN, both RATIFY and ACTIVATE.
                if a.0.0 >= 4 && b.0.0 >= 4 && held(a.0, b.1) && held(b.0, a.1) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("both sides settle in a minute");
    }

    /// Settles, then checks everything that must hold of two honest states.
    pub async fn check(&self) {
        self.settle().await;
        invariants::check(&self.books("sv"), &self.books("ca")).await;
    }

    /// A node's books, opened beside it.
    #[must_use]
    pub fn books(&self, party: &str) -> Books {
        let side = if party == "sv" { &self.origin } else { &self.destination };
        let keys = self.site.path(party).join("data.keys");
        Books { core: side.node.core().clone(), vault: Arc::new(Vault::open_read_only(&keys).unwrap()) }
    }

    /// Stops both in order.
    pub async fn stop(self) {
        self.stop_then(|| ()).await;
    }

    /// Stops both in order; `then` still finds their folders.
    pub async fn stop_then(self, then: impl FnOnce()) {
        let _dir = self.stop_keeping().await;
        then();
    }

    /// Stops both in order; their folders stay until what is returned is dropped.
    pub async fn stop_keeping(self) -> TempDir {
        let (origin, destination) = (self.origin, self.destination);
        drop((origin.calls, destination.calls));
        origin.node.stop().await;
        destination.node.stop().await;
        self._dir
    }

    /// Stops both in order; their folders and the ways to them, the origin's first, stay until what is returned is dropped.
    pub async fn stop_with_site(self) -> (Site, [FaultProxy; 2], TempDir) {
        let (origin, destination) = (self.origin, self.destination);
        drop((origin.calls, destination.calls));
        origin.node.stop().await;
        destination.node.stop().await;
        (self.site, [origin.proxy, destination.proxy], self._dir)
    }

    /// Exports both bundles; `DIR/sv/bundle`, `DIR/ca/bundle`.
    pub async fn export(&self) -> [std::path::PathBuf; 2] {
        let mut out = Vec::new();
        for party in ["sv", "ca"] {
            let config = Config::load(&self.site.config(party)).unwrap();
            let bundle = self.site.path(party).join("bundle");
            convenio_node::export(&config, BundleKind::Full, &bundle).await.unwrap();
            out.push(bundle);
        }
        out.try_into().unwrap()
    }

    /// An open order of a fictitious employer, in both states once settled.
    pub async fn order(&self, label: &str, seats: i32) -> String {
        order(&self.destination.calls, label, seats).await.unwrap()
    }

    /// A registered worker with a placement in state REGISTERED.
    pub async fn placement(&self, label: &str, order: &str) -> String {
        placement(&self.origin.calls, label, order).await.unwrap()
    }

    /// Does one act of the season and waits until both sides have settled.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn act(&self, placement: &str, act: &str) {
        act_once(&self.origin.calls, &self.destination.calls, placement, act, self.clock.now_ms())
            .await
            .unwrap_or_else(|status| panic!("{act}: {status:?}"));
        self.settle().await;
    }

    /// Does the acts of the season from `first` up to and with `last`.
    pub async fn bring_from(&self, placement: &str, first: &str, last: &str) {
        let at = |act: &str| SEASON.iter().position(|(_, name)| *name == act).unwrap();
        for (_, act) in &SEASON[at(first)..=at(last)] {
            self.act(placement, act).await;
        }
    }

    /// Does the acts of the season up to and with `last`.
    pub async fn bring(&self, placement: &str, last: &str) {
        self.bring_from(placement, SEASON[0].1, last).await;
    }
}

impl Running {
    /// (size, cosigned) of the own log, (size, judged) of the mirror.
    fn heads(&self) -> ((u64, u64), (u64, u64)) {
        let core = self.node.core();
        let heads = core.heads().borrow().clone();
        let exchange = core.exchange(SV_CA).unwrap();
        let of = |log| heads.get(&log).map(|head| (head.size, head.settled)).unwrap_or_default();
        (of(exchange.own().log), of(exchange.peer().log))
    }
}

async fn start(site: &Site, party: &str, proxy: FaultProxy, clock: &ManualClock, seed: u64) -> Running {
    let config = Config::load(&site.config(party)).unwrap();
    let entropy = Arc::new(SeededEntropy::labelled(seed, &format!("{party}/node")));
    let node = Node::start(config, Arc::new(clock.clone()), entropy).await.unwrap();
    proxy.retarget(node.addr());
    let calls = integration(site, party, node.addr());
    Running { party: party.to_owned(), node, proxy, calls }
}

/// The integration system of a state.
#[must_use]
pub fn integration(site: &Site, party: &str, address: SocketAddr) -> Caller {
    let issued = site.certificate(party, &format!("spiffe://{party}.example/integration/ministry"));
    Caller::new(party, address, &site.client(party, &issued))
}

/// The acts of a season in order, each with whether the origin does it.
pub const SEASON: [(bool, &str); 15] = [
    (true, "preselect"),
    (true, "nominate"),
    (false, "offer"),
    (true, "identified"),
    (false, "author"),
    (true, "contract"),
    (true, "documented"),
    (false, "permitted"),
    (true, "oriented"),
    (true, "ready"),
    (true, "departed"),
    (false, "admitted"),
    (false, "employ"),
    (false, "end"),
    (true, "close"),
];

const TRANSITIONS: [&str; 8] = ["preselect", "nominate", "offer", "contract", "ready", "employ", "end", "close"];

/// Does one act of the season under the request id that belongs to it.
///
/// # Errors
/// The node's.
pub async fn act_once(
    origin: &Caller,
    destination: &Caller,
    placement: &str,
    act: &str,
    time_ms: u64,
) -> Result<(), Status> {
    let by_origin = SEASON.iter().any(|(by_origin, name)| *name == act && *by_origin);
    let caller = if by_origin { origin } else { destination };
    let request_id = reference(&format!("{placement} {act}")).to_string();
    let event = event(time_ms);
    match act {
        "author" => {
            let contract = registry::Contract {
                placement: placement.to_owned(),
                // Employer and place are those of the order, wherever it is.
                terms: Some(registry::EmploymentTerms {
                    employer_name: String::new(),
                    place: None,
                    ..records::terms()
                }),
                text_sha256: vec![7; 32],
                language: "spa".into(),
                ..Default::default()
            };
            let contract_id = reference(&format!("contract of {placement}")).to_string();
            let request = registry::CreateContractRequest { contract: Some(contract), contract_id, request_id };
            caller.create_contract(request).await.map(drop)
        }
        _ if TRANSITIONS.contains(&act) => caller.transition(placement, act, event, &request_id).await.map(drop),
        _ => caller.fact(placement, act, event, &request_id).await.map(drop),
    }
}

fn event(time_ms: u64) -> registry::Event {
    let modules = crate::treaty::sv_ca().config().mandatory_modules.clone();
    registry::Event { modules, all_modules: false, ..records::event(time_ms) }
}

/// Registers an employer and its open order.
///
/// # Errors
/// The node's.
pub async fn order(calls: &Caller, label: &str, seats: i32) -> Result<String, Status> {
    let id = |what: &str| reference(&format!("{what} {label}")).to_string();
    let employer = registry::CreateEmployerRequest {
        employer: Some(registry::Employer { eligible: true, ..records::employer() }),
        employer_id: id("employer"),
        request_id: id("request employer"),
    };
    let employer = calls.create_employer(employer).await?.name;
    let pack = crate::treaty::sv_ca();
    let order =
        registry::JobOrder { name: String::new(), employer, ..records::job_order(&pack, Ref::default(), seats, true) };
    let request = registry::CreateJobOrderRequest {
        job_order: Some(order),
        job_order_id: id("order"),
        request_id: id("request order"),
    };
    Ok(calls.create_job_order(request).await?.name)
}

/// Registers a worker with consent and a placement.
///
/// # Errors
/// The node's.
pub async fn placement(calls: &Caller, label: &str, order: &str) -> Result<String, Status> {
    let id = |what: &str| reference(&format!("{what} {label}")).to_string();
    let consent =
        registry::Consent { agreement: SV_CA.into(), given_time_ms: START_MS.cast_signed(), withdrawn_time_ms: 0 };
    let worker = registry::Worker { name: String::new(), consents: vec![consent], ..records::worker(Ref::default()) };
    let worker = registry::CreateWorkerRequest {
        worker: Some(worker),
        worker_id: id("worker"),
        request_id: id("request worker"),
    };
    let worker = calls.create_worker(worker).await?.name;
    let placement = registry::Placement {
        agreement: SV_CA.into(),
        worker,
        job_order: order.to_owned(),
        recruiter_kind: value::RecruiterKind::PublicEmploymentService.into(),
        return_offer_shown: true,
        ..Default::default()
    };
    let request = registry::CreatePlacementRequest {
        placement: Some(placement),
        placement_id: id("placement"),
        request_id: id("request placement"),
    };
    Ok(calls.create_placement(request).await?.name)
}
