//! One state while the season is played: its systems' calls, its node's process, and how far the exchange is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use convenio_faultproxy::FaultProxy;
use convenio_rpc::client::{NodeServiceClient, PlacementServiceClient};
use convenio_script::id;
use convenio_wire::node::v1::{Exchange, ListExchangesRequest};
use convenio_wire::registry::v1 as registry;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::{CallError, Caller};
use super::processes::NodeProcess;
use super::scenario::State;
use super::season::Job;
use super::setup::StateDir;

const LOOK: Duration = Duration::from_millis(20);
/// Longest time in which nothing moves although something should.
const STALLED: Duration = Duration::from_secs(60);
/// Most placements in one page of a list.
const PAGE: i32 = 1000;

/// One state.
pub struct Side {
    pub state: State,
    /// The integration system's calls.
    pub caller: Caller,
    process: Mutex<NodeProcess>,
    /// The link on which the partner's node, and nobody else, reaches this node.
    pub link: Arc<FaultProxy>,
    seed: u64,
}

impl Side {
    /// The state of `dir`, its node not started yet.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub fn new(dir: &StateDir, link: Arc<FaultProxy>, seed: u64) -> anyhow::Result<Self> {
        let state = dir.state.clone();
        let caller = Caller::new(&state.node, &state.trust_domain, dir.tls("integration")?);
        Ok(Self { caller, process: Mutex::new(NodeProcess::new(dir)), link, state, seed })
    }

    /// Starts the node and waits until it serves.
    ///
    /// # Errors
    /// It does not.
    pub async fn start(&self) -> anyhow::Result<()> {
        let address = self.process.lock().await.start().await?;
        self.link.retarget(address);
        self.caller.dial(&address.to_string())?;
        let request = HealthCheckRequest { service: String::new() };
        let answer = self.caller.call("Health.Check", &request, |channel, request| async move {
            HealthClient::new(channel).check(request).await
        });
        let status = answer.await?.status();
        ensure!(status == ServingStatus::Serving, "{} answers {status:?}", self.state.node);
        Ok(())
    }

    /// Kills the node with SIGKILL and starts it again, on another port.
    ///
    /// # Errors
    /// It does not come back.
    pub async fn kill_and_restart(&self) -> anyhow::Result<()> {
        self.process.lock().await.kill()?;
        self.start().await
    }

    /// Ends the node in order.
    ///
    /// # Errors
    /// It does not end, or not well.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.process.lock().await.stop().await
    }

    /// Where the node listens.
    ///
    /// # Errors
    /// It does not run.
    pub async fn address(&self) -> anyhow::Result<SocketAddr> {
        self.process.lock().await.address().with_context(|| format!("{} does not run", self.state.node))
    }

    /// Peak of the node's resident memory, MiB.
    pub async fn peak_mib(&self) -> u64 {
        let mut process = self.process.lock().await;
        process.look_at_memory();
        process.peak_mib()
    }

    /// The exchange with the other state.
    ///
    /// # Errors
    /// The node does not answer, or alarms.
    pub async fn exchange(&self) -> anyhow::Result<Exchange> {
        let request = ListExchangesRequest {};
        let answer = self.caller.call("NodeService.ListExchanges", &request, |channel, request| async move {
            NodeServiceClient::new(channel).list_exchanges(request).await
        });
        let exchange = answer.await?.exchanges.pop().context("the node lists no exchange")?;
        ensure!(exchange.alarm.is_empty(), "{} alarms: {}", self.state.node, exchange.alarm);
        Ok(exchange)
    }

    /// Makes or proposes a transition.
    ///
    /// # Errors
    /// The refusal.
    pub async fn transition(
        &self,
        job: &Job,
        transition: &str,
        event: registry::Event,
    ) -> Result<registry::Placement, CallError> {
        let request = registry::TransitionPlacementRequest {
            name: job.placement.clone(),
            transition: transition.to_owned(),
            event: Some(event),
            request_id: self.request_id(job, transition),
            etag: String::new(),
        };
        let what = format!("{transition} of {}", job.placement);
        let call = self.caller.call(&what, &request, |channel, request| async move {
            PlacementServiceClient::new(channel).transition_placement(request).await
        });
        call.await
    }

    /// States a fact.
    ///
    /// # Errors
    /// The refusal.
    pub async fn fact(&self, job: &Job, fact: &str, event: registry::Event) -> Result<(), CallError> {
        let request = registry::RecordPlacementFactRequest {
            name: job.placement.clone(),
            fact: fact.to_owned(),
            event: Some(event),
            contract: None,
            request_id: self.request_id(job, fact),
        };
        let what = format!("{fact} of {}", job.placement);
        let call = self.caller.call(&what, &request, |channel, request| async move {
            PlacementServiceClient::new(channel).record_placement_fact(request).await
        });
        call.await.map(drop)
    }

    /// Reads a placement.
    ///
    /// # Errors
    /// The refusal.
    pub async fn placement(&self, job: &Job) -> Result<registry::Placement, CallError> {
        let request = registry::GetPlacementRequest { name: job.placement.clone() };
        let call = self.caller.call(&job.placement, &request, |channel, request| async move {
            PlacementServiceClient::new(channel).get_placement(request).await
        });
        call.await
    }

    /// Names of the placements in `state`.
    ///
    /// # Errors
    /// The refusal.
    pub async fn placements_in(&self, agreement: &str, state: &str) -> Result<Vec<String>, CallError> {
        let mut names = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = registry::ListPlacementsRequest {
                page_size: PAGE,
                page_token,
                agreement: agreement.to_owned(),
                state: state.to_owned(),
            };
            let call = self.caller.call("ListPlacements", &request, |channel, request| async move {
                PlacementServiceClient::new(channel).list_placements(request).await
            });
            let page = call.await?;
            names.extend(page.placements.into_iter().map(|placement| placement.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(names);
            }
        }
    }

    /// The request id of what this state does with a job: the same for a repeated call.
    pub fn request_id(&self, job: &Job, what: &str) -> String {
        id(self.seed, &format!("{}/{}/{what}", self.state.id, job.placement))
    }
}

/// Waits until each side has decided everything that the other recorded.
///
/// # Errors
/// Nothing moved for a minute, or a node alarms.
pub async fn settled(one: &Side, other: &Side) -> anyhow::Result<()> {
    let mut last = (0, 0);
    let mut moved = Instant::now();
    loop {
        let (a, b) = tokio::try_join!(one.exchange(), other.exchange())?;
        let waits = a.undecided_records + b.undecided_records;
        if waits == 0 && a.own_size > 0 && b.own_size > 0 {
            return Ok(());
        }
        let now = (a.mirror_size + a.judged_size, b.mirror_size + b.judged_size);
        if now != last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() > STALLED {
            bail!("{waits} records are undecided and nothing moves (connected: {}, {})", a.connected, b.connected);
        }
        sleep(LOOK).await;
    }
}
