//! The season, phase by phase. A phase ends when each node has decided what the other recorded in it.

use std::future::Future;
use std::sync::Arc;

use anyhow::ensure;
use convenio_rpc::client::{ContractServiceClient, PlacementServiceClient};
use convenio_script::id;
use convenio_wire::registry::v1 as registry;
use futures::{StreamExt, TryStreamExt, stream};

use super::client::CallError;
use super::people;
use super::progress::{Phase, Progress};
use super::season::{Job, Season};
use super::side::{Side, settled};

/// Calls in progress at each node.
pub const IN_FLIGHT: usize = 64;

/// The two states and what they play.
#[derive(Clone)]
pub struct Play {
    pub season: Arc<Season>,
    pub origin: Arc<Side>,
    pub destination: Arc<Side>,
    pub progress: Progress,
}

impl Play {
    /// Waits until both sides have decided everything.
    ///
    /// # Errors
    /// Nothing moves.
    pub async fn settle(&self) -> anyhow::Result<()> {
        settled(&self.origin, &self.destination).await
    }

    /// The state that is the party `id`.
    pub fn side(&self, id: &str) -> &Arc<Side> {
        if self.destination.state.id == id { &self.destination } else { &self.origin }
    }

    /// Does `act` for every item of a phase, several at a time.
    ///
    /// # Errors
    /// The first failure.
    pub async fn each<'a, T, F, Fut, E>(&'a self, phase: Phase, items: &'a [T], act: F) -> anyhow::Result<()>
    where
        F: Fn(&'a T) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Into<anyhow::Error>,
    {
        stream::iter(items)
            .map(|item| {
                let (phase, acting) = (&phase, act(item));
                async move { acting.await.map(|()| phase.step()).map_err(Into::into) }
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        phase.finish();
        Ok(())
    }

    /// Registers, preselects and, where there is a seat, nominates.
    ///
    /// # Errors
    /// A refusal.
    pub async fn nominate(&self, seated: &[Job], others: &[Job]) -> anyhow::Result<()> {
        let name = &self.origin.state.name;
        let phase = self.progress.phase(&format!("{name}: preselected without a seat"), others.len());
        self.each(phase, others, |job| self.preselect(job)).await?;
        let phase = self.progress.phase(&format!("{name}: nominated"), seated.len());
        self.each(phase, seated, |job| async move {
            self.preselect(job).await?;
            self.nominate_one(job).await.map(drop).map_err(anyhow::Error::from)
        })
        .await?;
        self.settle().await
    }

    /// Nominates one preselected worker.
    ///
    /// # Errors
    /// The refusal.
    pub async fn nominate_one(&self, job: &Job) -> Result<registry::Placement, CallError> {
        let event = self.season.after_start(job, self.season.scenario.timeline.nominated);
        self.origin.transition(job, "nominate", event).await
    }

    /// Offers seats.
    ///
    /// # Errors
    /// A refusal.
    pub async fn offer(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let phase = self.progress.phase(&format!("{}: offered a seat", self.destination.state.name), jobs.len());
        self.each(phase, jobs, |job| async move { self.offer_one(job).await.map(drop) }).await?;
        self.settle().await
    }

    /// Offers one seat.
    ///
    /// # Errors
    /// The refusal.
    pub async fn offer_one(&self, job: &Job) -> Result<registry::Placement, CallError> {
        let event = self.season.after_start(job, self.season.scenario.timeline.offered);
        self.destination.transition(job, "offer", event).await
    }

    /// The origin discloses names while the destination authors contracts; in the middle, a node is killed.
    ///
    /// # Errors
    /// A refusal, or the node does not come back.
    pub async fn author(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let timeline = &self.season.scenario.timeline;
        let phase = self.progress.phase(&format!("{}: names disclosed", self.origin.state.name), jobs.len());
        let names = self.each(phase, jobs, |job| {
            self.origin.fact(job, "identified", self.season.after_start(job, timeline.identified))
        });
        let phase = self.progress.phase(&format!("{}: contracts authored", self.destination.state.name), jobs.len());
        let watched = phase.clone();
        let contracts = self.each(phase, jobs, |job| async move {
            let order = self.season.order(job)?;
            self.author_one(job, order.terms.clone(), "contract").await.map_err(anyhow::Error::from)
        });
        let killed = self.side(&self.season.scenario.interruptions.kill);
        let kill = async {
            while watched.done() < (jobs.len() as u64) / 2 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            killed.kill_and_restart().await?;
            self.progress
                .line(&format!("           {}'s node was killed (SIGKILL) and started again", killed.state.name));
            anyhow::Ok(())
        };
        tokio::try_join!(names, contracts, kill)?;
        self.settle().await
    }

    /// Authors one contract with these terms.
    ///
    /// # Errors
    /// The refusal.
    pub async fn author_one(&self, job: &Job, terms: registry::EmploymentTerms, label: &str) -> Result<(), CallError> {
        let event = self.season.after_start(job, self.season.scenario.timeline.authored);
        let request = registry::CreateContractRequest {
            contract: Some(registry::Contract {
                placement: job.placement.clone(),
                origin: registry::ContractOrigin::Authored.into(),
                terms: Some(terms),
                text_sha256: people::contract_text(job),
                language: self.season.scenario.workers.language.clone(),
                event_time_ms: event.time_ms,
                historical: event.historical,
                ..registry::Contract::default()
            }),
            contract_id: id(self.season.seed, &format!("{}/{label}", job.label)),
            request_id: self.destination.request_id(job, label),
        };
        let what = format!("contract for {}", job.placement);
        let call = self.destination.caller.call(&what, &request, |channel, request| async move {
            ContractServiceClient::new(channel).create_contract(request).await
        });
        call.await.map(drop)
    }

    /// The origin countersigns with the worker's acceptance.
    ///
    /// # Errors
    /// A refusal.
    pub async fn countersign(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let workers = &self.season.scenario.workers;
        let phase = self.progress.phase(&format!("{}: contracts accepted", self.origin.state.name), jobs.len());
        self.each(phase, jobs, |job| async move {
            let event = registry::Event {
                acceptance_method: workers.acceptance_method.clone(),
                language: workers.language.clone(),
                text_sha256: people::contract_text(job),
                ..self.season.after_start(job, self.season.scenario.timeline.countersigned)
            };
            self.origin.transition(job, "contract", event).await.map(drop)
        })
        .await?;
        self.settle().await
    }

    /// Documents and orientation by the origin, permits by the destination.
    ///
    /// # Errors
    /// A refusal.
    pub async fn prepare(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let season = &self.season;
        let timeline = &season.scenario.timeline;
        let phase = self.progress.phase(&format!("{}: documents and orientation", self.origin.state.name), jobs.len());
        let oriented = self.each(phase, jobs, |job| async move {
            self.origin.fact(job, "documented", season.after_start(job, timeline.documented)).await?;
            let event = registry::Event {
                modules: season.pack.config().mandatory_modules.clone(),
                language: season.scenario.workers.language.clone(),
                ..season.after_start(job, timeline.oriented)
            };
            self.origin.fact(job, "oriented", event).await
        });
        let phase = self.progress.phase(&format!("{}: permits", self.destination.state.name), jobs.len());
        let permitted = self.each(phase, jobs, |job| async move {
            let order = season.order(job)?;
            let event = registry::Event {
                document_number: people::permit_number(season, job),
                document_expiry: Some(order.last_day.plus(timeline.permit_margin).wire()),
                ..season.after_start(job, timeline.permitted)
            };
            self.destination.fact(job, "permitted", event).await.map_err(anyhow::Error::from)
        });
        tokio::try_join!(oriented, permitted)?;
        self.settle().await
    }

    /// Ready, departed, admitted, first day of work.
    ///
    /// # Errors
    /// A refusal.
    pub async fn travel(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let season = &self.season;
        let timeline = &season.scenario.timeline;
        let (origin, destination) = (&self.origin, &self.destination);
        let phase = self.progress.phase(&format!("{}: ready to travel", origin.state.name), jobs.len());
        self.each(phase, jobs, |job| async move {
            origin.transition(job, "ready", season.after_start(job, timeline.ready)).await.map(drop)
        })
        .await?;
        self.settle().await?;
        let phase = self.progress.phase(&format!("{}: departed", origin.state.name), jobs.len());
        self.each(phase, jobs, |job| origin.fact(job, "departed", season.after_start(job, timeline.departed))).await?;
        self.settle().await?;
        let phase = self.progress.phase(&format!("{}: admitted and employed", destination.state.name), jobs.len());
        self.each(phase, jobs, |job| async move {
            let place = season.order(job)?.place();
            destination.fact(job, "admitted", season.after_start(job, timeline.admitted)).await?;
            let event = registry::Event { place: Some(place), ..season.after_start(job, timeline.employed) };
            destination.transition(job, "employ", event).await.map(drop).map_err(anyhow::Error::from)
        })
        .await?;
        self.settle().await
    }

    /// End of the employment, exit, return, the return programme, closure.
    ///
    /// # Errors
    /// A refusal.
    pub async fn come_home(&self, jobs: &[Job]) -> anyhow::Result<()> {
        let season = &self.season;
        let timeline = &season.scenario.timeline;
        let (origin, destination) = (&self.origin, &self.destination);
        let phase = self.progress.phase(&format!("{}: employment ended, left", destination.state.name), jobs.len());
        self.each(phase, jobs, |job| async move {
            let event =
                registry::Event { reason_code: "COMPLETED".to_owned(), ..season.after_end(job, timeline.ended) };
            destination.transition(job, "end", event).await?;
            destination.fact(job, "exited", season.after_end(job, timeline.exited)).await
        })
        .await?;
        self.settle().await?;
        let phase = self.progress.phase(&format!("{}: returned and closed", origin.state.name), jobs.len());
        self.each(phase, jobs, |job| async move {
            origin.fact(job, "returned", season.after_end(job, timeline.returned)).await?;
            self.show_return_offer(job).await?;
            origin.transition(job, "close", season.after_end(job, timeline.closed)).await.map(drop)
        })
        .await?;
        self.settle().await
    }

    /// Names of `jobs` that both states hold in `state`.
    ///
    /// # Errors
    /// The two states do not agree on who is.
    pub async fn agreed_in(&self, jobs: &[Job], state: &str) -> anyhow::Result<usize> {
        let agreement = &self.season.scenario.agreement;
        let lists = tokio::try_join!(
            self.origin.placements_in(agreement, state),
            self.destination.placements_in(agreement, state)
        );
        let (mut one, mut other) = lists?;
        one.sort_unstable();
        other.sort_unstable();
        ensure!(one == other, "the two states do not agree on who is {state}: {} and {}", one.len(), other.len());
        Ok(jobs.iter().filter(|job| one.binary_search(&job.placement).is_ok()).count())
    }

    async fn show_return_offer(&self, job: &Job) -> Result<(), CallError> {
        let request = registry::UpdatePlacementRequest {
            placement: Some(registry::Placement {
                name: job.placement.clone(),
                return_offer_shown: true,
                ..registry::Placement::default()
            }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["return_offer_shown".to_owned()] }),
            request_id: self.origin.request_id(job, "return_offer"),
        };
        let call = self.origin.caller.call(&job.placement, &request, |channel, request| async move {
            PlacementServiceClient::new(channel).update_placement(request).await
        });
        call.await.map(drop)
    }
}
