//! What the two states register before anything crosses: agencies, employers, orders, workers, placements.

use anyhow::Context;
use convenio_rpc::client::{
    AgencyServiceClient, EmployerServiceClient, JobOrderServiceClient, PlacementServiceClient, WorkerServiceClient,
};
use convenio_script::id;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

use super::client::CallError;
use super::people;
use super::play::Play;
use super::season::{Job, Order};
use super::side::Side;

impl Play {
    /// Agencies in both states, then employers and orders, while the origin registers its workers.
    ///
    /// # Errors
    /// A refusal.
    pub async fn register(&self, workers: &[Job]) -> anyhow::Result<()> {
        let season = &self.season;
        let agencies: Vec<usize> = (0..season.agencies.len()).collect();
        for side in [&self.origin, &self.destination] {
            let phase = self.progress.phase(&format!("{}: fictitious agencies", side.state.name), agencies.len());
            self.each(phase, &agencies, |agency| self.create_agency(side, *agency)).await?;
        }
        let orders = async {
            let employers: Vec<(&String, &String)> = season.employers.iter().collect();
            let phase = self.progress.phase(&format!("{}: employers", self.destination.state.name), employers.len());
            self.each(phase, &employers, |(legal_name, name)| self.create_employer(legal_name, name)).await?;
            let phase =
                self.progress.phase(&format!("{}: job orders", self.destination.state.name), season.orders.len());
            self.each(phase, &season.orders, |order| self.create_order(order)).await
        };
        let people = async {
            let phase = self.progress.phase(&format!("{}: synthetic workers", self.origin.state.name), workers.len());
            self.each(phase, workers, |job| self.create_worker(job)).await
        };
        tokio::try_join!(orders, people)?;
        self.settle().await
    }

    async fn create_agency(&self, side: &Side, index: usize) -> anyhow::Result<()> {
        let season = &self.season;
        let agency = season.scenario.agencies.get(index).context("an agency of the scenario")?;
        let (jurisdiction, number) = if side.state.id == self.origin.state.id {
            (season.scenario.workers.nationality.clone(), agency.origin_licence.clone())
        } else {
            (agency.district.clone(), agency.destination_licence.clone())
        };
        let name = season.agencies.get(index).context("an agency of the season")?;
        let request = registry::CreateAgencyRequest {
            agency: Some(registry::Agency {
                legal_name: agency.legal_name.clone(),
                agreements: vec![season.scenario.agreement.clone()],
                licences: vec![registry::Licence {
                    jurisdiction,
                    number,
                    issuer: format!("{} (illustrative)", side.state.organisation),
                    state: value::LicenceState::Active.into(),
                    ..registry::Licence::default()
                }],
                ..registry::Agency::default()
            }),
            agency_id: name.trim_start_matches("agencies/").to_owned(),
            request_id: id(season.seed, &format!("{}/{name}", side.state.id)),
        };
        let call = side.caller.call(name, &request, |channel, request| async move {
            AgencyServiceClient::new(channel).create_agency(request).await
        });
        Ok(call.await.map(drop)?)
    }

    async fn create_employer(&self, legal_name: &str, name: &str) -> Result<(), CallError> {
        let orders = &self.season.scenario.orders;
        let first = self.season.orders.iter().find(|order| order.employer == legal_name);
        let request = registry::CreateEmployerRequest {
            employer: Some(registry::Employer {
                legal_name: legal_name.to_owned(),
                place: first.map(Order::place),
                industry: Some(value::Code {
                    list: orders.industry.list.clone(),
                    value: orders.industry.value.clone(),
                }),
                eligible: true,
                ..registry::Employer::default()
            }),
            employer_id: name.trim_start_matches("employers/").to_owned(),
            request_id: id(self.season.seed, &format!("create/{name}")),
        };
        let call = self.destination.caller.call(name, &request, |channel, request| async move {
            EmployerServiceClient::new(channel).create_employer(request).await
        });
        call.await.map(drop)
    }

    async fn create_order(&self, order: &Order) -> anyhow::Result<()> {
        let season = &self.season;
        let (orders, timeline) = (&season.scenario.orders, &season.scenario.timeline);
        let open = if order.seats > 0 { value::JobOrderState::Open } else { value::JobOrderState::Closed };
        let occupation = orders.occupation(&order.noc).to_owned();
        let request = registry::CreateJobOrderRequest {
            job_order: Some(registry::JobOrder {
                agreement: season.scenario.agreement.clone(),
                employer: season.employers.get(&order.employer).cloned().unwrap_or_default(),
                title: order.title.clone(),
                occupation: Some(value::Code {
                    list: season.scenario.workers.occupation_list.clone(),
                    value: occupation,
                }),
                place: Some(order.place()),
                seats: i32::try_from(order.seats)?,
                terms: Some(order.terms.clone()),
                languages: orders.languages.clone(),
                state: open.into(),
                external_ids: vec![registry::ExternalId {
                    system: orders.external_system.clone(),
                    value: order.key.clone(),
                }],
                agreement_data: vec![season.extension(order)?],
                event_time_ms: order.first_day.plus(timeline.approved).at_minute(720),
                historical: true,
                ..registry::JobOrder::default()
            }),
            job_order_id: order.name.trim_start_matches("jobOrders/").to_owned(),
            request_id: id(season.seed, &format!("create/{}", order.name)),
        };
        let what = format!("{} (row {})", order.name, order.key);
        let call = self.destination.caller.call(&what, &request, |channel, request| async move {
            JobOrderServiceClient::new(channel).create_job_order(request).await
        });
        Ok(call.await.map(drop)?)
    }

    async fn create_worker(&self, job: &Job) -> Result<(), CallError> {
        let request = registry::CreateWorkerRequest {
            worker: Some(people::worker(&self.season, job)),
            worker_id: self.worker_id(job),
            request_id: id(self.season.seed, &format!("create/{}", job.label)),
        };
        let call = self.origin.caller.call(&job.label, &request, |channel, request| async move {
            WorkerServiceClient::new(channel).create_worker(request).await
        });
        call.await.map(drop)
    }

    fn worker_id(&self, job: &Job) -> String {
        id(self.season.seed, &format!("{}/id", job.label))
    }

    /// Registers a worker for the agreement and preselects.
    ///
    /// # Errors
    /// A refusal.
    pub async fn preselect(&self, job: &Job) -> anyhow::Result<()> {
        let season = &self.season;
        let agency = job.agency.and_then(|index| season.agencies.get(index)).cloned();
        let request = registry::CreatePlacementRequest {
            placement: Some(registry::Placement {
                agreement: season.scenario.agreement.clone(),
                worker: format!("workers/{}", self.worker_id(job)),
                job_order: season.order(job).map(|order| order.name.clone()).unwrap_or_default(),
                recruiter_kind: job.recruiter.into(),
                agency: agency.unwrap_or_default(),
                ..registry::Placement::default()
            }),
            placement_id: job.placement.trim_start_matches("placements/").to_owned(),
            request_id: self.origin.request_id(job, "create"),
        };
        let call = self.origin.caller.call(&job.placement, &request, |channel, request| async move {
            PlacementServiceClient::new(channel).create_placement(request).await
        });
        call.await?;
        let event = season.after_start(job, season.scenario.timeline.preselected);
        self.origin.transition(job, "preselect", event).await?;
        Ok(())
    }
}
