//! A consulate's device: it takes its post's caseload home and sends what it saw, over a link that is cut once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use convenio_faultproxy::FaultProxy;
use convenio_rpc::client::ConsularServiceClient;
use convenio_script::{id, passes};
use convenio_wire::consular::v1 as consular;
use convenio_wire::consular::v1::capture::Kind;
use convenio_wire::consular::v1::sync_request::Message as Up;
use convenio_wire::consular::v1::sync_response::Message as Down;
use convenio_wire::registry::v1 as registry;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::client::{Caller, with_purpose};
use super::planted::{Happened, worse_terms};
use super::play::Play;
use super::progress::Phase;
use super::scenario::{Post, Violation};
use super::season::Job;

/// Captures that are on their way at most.
const WINDOW: usize = 64;
/// How often a sync is begun again.
const ATTEMPTS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

/// A consular post with what its device holds.
pub struct Consulate {
    post: Post,
    caller: Caller,
    link: Arc<FaultProxy>,
    cursor: u64,
    caseload: HashMap<String, consular::CaseloadItem>,
    /// Captured and not acknowledged.
    captures: BTreeMap<String, consular::Capture>,
    /// Cut the link when so many captures are left.
    cut_at: Option<usize>,
}

impl Consulate {
    /// The device of `post`, dialling over its own link.
    ///
    /// # Errors
    /// Its certificate cannot be used.
    pub fn new(post: &Post, caller: Caller, link: Arc<FaultProxy>) -> anyhow::Result<Self> {
        caller.dial(&link.addr().to_string())?;
        Ok(Self {
            post: post.clone(),
            caller,
            link,
            cursor: 0,
            caseload: HashMap::new(),
            captures: BTreeMap::new(),
            cut_at: None,
        })
    }

    /// Takes the caseload, then confirms everyone in it; the victim of a substitution shows another contract.
    ///
    /// # Errors
    /// The node does not take it, or the caseload lacks somebody.
    pub async fn work(&mut self, play: &Play, jobs: &[Job], told: &mut Vec<Happened>) -> anyhow::Result<()> {
        let own: Vec<&Job> = jobs.iter().filter(|job| self.serves(play, job)).collect();
        self.sync(None, play).await?;
        for job in &own {
            let held = self.caseload.contains_key(&job.placement);
            ensure!(held, "the caseload of {} lacks {}", self.post.post, job.placement);
            let capture = self.capture(play, job, told)?;
            self.captures.insert(capture.capture_id.clone(), capture);
        }
        if play.season.scenario.interruptions.cut_post == self.post.post && !own.is_empty() {
            self.cut_at = Some(own.len() / 2);
        }
        let title = format!("{}: consulate {}, confirmed", play.origin.state.name, self.post.post);
        let phase = play.progress.phase(&title, own.len());
        self.sync(Some(&phase), play).await?;
        phase.finish();
        ensure!(self.captures.is_empty(), "{}: {} captures were not taken", self.post.post, self.captures.len());
        Ok(())
    }

    fn serves(&self, play: &Play, job: &Job) -> bool {
        play.season.order(job).is_ok_and(|order| self.post.districts.contains(&order.subdivision))
    }

    fn capture(&self, play: &Play, job: &Job, told: &mut Vec<Happened>) -> anyhow::Result<consular::Capture> {
        let season = &play.season;
        let event = season.after_start(job, season.scenario.timeline.confirmed);
        let victim = season.victims(Violation::Substitution).iter().any(|v| v.placement == job.placement);
        let kind = if victim {
            let (terms, agreed, observed) = worse_terms(play, job, Violation::Substitution)?;
            let text =
                format!("agreed {agreed} an hour, the contract in use says {observed}; seen by {}", self.post.post);
            told.push(Happened { violation: Violation::Substitution, text });
            let contract = registry::Contract {
                placement: job.placement.clone(),
                origin: registry::ContractOrigin::Observed.into(),
                terms: Some(terms),
                ..registry::Contract::default()
            };
            Kind::ObservedContract(consular::ObservedContract { contract: Some(contract) })
        } else {
            Kind::Confirmation(consular::Confirmation {})
        };
        Ok(consular::Capture {
            capture_id: id(season.seed, &format!("{}/capture", job.label)),
            placement: job.placement.clone(),
            event: Some(event),
            kind: Some(kind),
        })
    }

    /// Syncs, again after every cut, until all captures are acknowledged and the caseload is whole.
    async fn sync(&mut self, phase: Option<&Phase>, play: &Play) -> anyhow::Result<()> {
        for _ in 0..ATTEMPTS {
            match self.once(phase).await {
                Ok(()) => return Ok(()),
                Err(status) if !passes(&status) => return Err(status).context(self.post.post.clone()),
                Err(_) => {}
            }
            if self.link.is_cut() {
                let left = self.captures.len();
                play.progress.line(&format!("           the link of {} was cut, {left} captures left", self.post.post));
                self.link.heal();
            }
            sleep(BETWEEN).await;
        }
        bail!("{}: the sync does not end", self.post.post)
    }

    async fn once(&mut self, phase: Option<&Phase>) -> Result<(), Status> {
        let captures: Vec<_> = self.captures.values().cloned().collect();
        let (sender, receiver) = mpsc::channel(WINDOW);
        let start = Up::Start(consular::SyncStart { cursor: self.cursor });
        tokio::spawn(async move {
            let finish = Up::Finish(consular::SyncFinish {});
            let messages = std::iter::once(start).chain(captures.into_iter().map(Up::Capture)).chain([finish]);
            for message in messages {
                // Nobody receives any more once the stream is cut.
                if sender.send(consular::SyncRequest { message: Some(message) }).await.is_err() {
                    return;
                }
            }
        });
        let mut client = ConsularServiceClient::new(self.caller.channel()?);
        let mut answers = client.sync(with_purpose(ReceiverStream::new(receiver))).await?.into_inner();
        let mut ended = false;
        while let Some(answer) = answers.message().await? {
            match answer.message {
                Some(Down::Item(item)) => self.keep(item),
                Some(Down::Result(result)) => self.acknowledged(&result, phase)?,
                Some(Down::End(end)) => {
                    self.cursor = end.cursor;
                    ended = true;
                }
                None => {}
            }
        }
        if ended { Ok(()) } else { Err(Status::unavailable("the stream ended early")) }
    }

    fn keep(&mut self, item: consular::CaseloadItem) {
        self.cursor = self.cursor.max(item.cursor);
        if let Some(placement) = &item.placement {
            self.caseload.insert(placement.name.clone(), item);
        }
    }

    fn acknowledged(&mut self, result: &consular::CaptureResult, phase: Option<&Phase>) -> Result<(), Status> {
        if !result.error_reason.is_empty() {
            let fields = result.field_paths.join(", ");
            let text = format!("capture {}: {} {fields}", result.capture_id, result.error_reason);
            return Err(Status::failed_precondition(text));
        }
        if self.captures.remove(&result.capture_id).is_some()
            && let Some(phase) = phase
        {
            phase.step();
        }
        if self.cut_at.is_some_and(|left| self.captures.len() <= left) {
            self.cut_at = None;
            self.link.cut();
        }
        Ok(())
    }
}
