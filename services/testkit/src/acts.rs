//! Acts in one line: a case holds the registry records of one placement, and a side states or does something about it.

use convenio_agreement::act::{Local, Refusal};
use convenio_agreement::plan::Sources;
use convenio_agreement::view::{OrderView, PlacementView};
use convenio_exchange::{ActRequest, IssueError, Issued, issue_act, issue_notice};
use convenio_model::{RecordId, Ref, SeededEntropy, uuid_v4};
use convenio_store::{StoreError, ViewKind};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use futures::FutureExt;
use prost::Message;

use crate::pair::Pair;
use crate::records;
use crate::side::Side;
use crate::treaty::SV_CA;

/// All that the origin's registry attests.
const ATTESTED: Local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };

/// A reference that `label` alone decides.
#[must_use]
pub fn reference(label: &str) -> Ref {
    uuid_v4(&SeededEntropy::labelled(7, label)).into()
}

/// One worker on one job order, with the records that messages are built from.
#[derive(Debug, Clone)]
pub struct Case {
    /// Agreement.
    pub agreement: String,
    /// Placement.
    pub id: Ref,
    /// Job order.
    pub order: Ref,
    /// Agency; none for the public employment service.
    pub agency: Option<Ref>,
    /// Worker.
    pub worker: registry::Worker,
    /// Terms that the destination authors, or that a consulate sees.
    pub terms: registry::EmploymentTerms,
}

impl Case {
    /// The placement called `label`, on the order called `order`.
    #[must_use]
    pub fn new(label: &str, order: &str) -> Self {
        Self {
            agreement: SV_CA.to_owned(),
            id: reference(label),
            order: reference(order),
            agency: None,
            worker: records::worker(reference(&format!("worker of {label}"))),
            terms: records::terms(),
        }
    }

    /// Through an agency.
    #[must_use]
    pub fn through(mut self, agency: &str) -> Self {
        self.agency = Some(reference(agency));
        self
    }

    /// Pairwise reference of the worker.
    #[must_use]
    pub fn worker_ref(&self) -> Ref {
        reference(&format!("{} of {}", self.agreement, self.id))
    }

    /// What messages are built from.
    #[must_use]
    pub fn sources(&self, event_time_ms: u64) -> Sources {
        let recruiter = match self.agency {
            Some(_) => value::RecruiterKind::LicensedAgency,
            None => value::RecruiterKind::PublicEmploymentService,
        };
        let placement = registry::Placement {
            name: format!("placements/{}", self.id),
            agreement: self.agreement.clone(),
            worker_ref: self.worker_ref().to_string(),
            job_order: format!("jobOrders/{}", self.order),
            recruiter_kind: recruiter.into(),
            agency: self.agency.map(|id| format!("agencies/{id}")).unwrap_or_default(),
            ..Default::default()
        };
        let contract = registry::Contract {
            name: format!("contracts/{}", reference(&format!("contract of {}", self.id))),
            placement: placement.name.clone(),
            terms: Some(self.terms.clone()),
            text_sha256: vec![7; 32],
            ..Default::default()
        };
        let event = records::event(event_time_ms);
        Sources::new().with(&self.worker).with(&placement).with(&contract).with(&event)
    }
}

impl Side {
    /// Does or states `act`.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn act(&self, case: &Case, act: &str) -> Result<Issued, IssueError> {
        let (core, exchange) = (self.core.clone(), self.exchange(&case.agreement).clone());
        let (id, act, event_time_ms) = (case.id, act.to_owned(), core.clock().now_ms());
        let sources = case.sources(event_time_ms);
        let job = self.core.clone();
        job.write(move |work| {
            async move {
                let request = ActRequest {
                    placement: id,
                    act: &act,
                    sources: &sources,
                    local: ATTESTED,
                    event_time_ms,
                    historical: false,
                };
                issue_act(work, &core, &exchange, request).await
            }
            .boxed()
        })
        .await
    }

    /// As [`Side::act`], where the node must refuse.
    ///
    /// # Panics
    /// If it does not.
    pub async fn refused(&self, case: &Case, act: &str) -> Refusal {
        match self.act(case, act).await {
            Err(IssueError::Refused(refusal)) => refusal,
            other => panic!("{act} was not refused: {other:?}"),
        }
    }

    /// States a job order (destination).
    ///
    /// # Errors
    /// What the node answers.
    pub async fn order(&self, agreement: &str, order: &str, seats: i32, open: bool) -> Result<RecordId, IssueError> {
        let id = reference(order);
        let order = records::job_order(self.exchange(agreement).pack(), id, seats, open);
        let sources = Sources::new().with(&order).with(&records::employer());
        self.notice(agreement, "job_order", id, sources).await
    }

    /// States this state's licence of an agency.
    ///
    /// # Errors
    /// What the node answers.
    pub async fn licence(&self, agency: &str, state: value::LicenceState) -> Result<RecordId, IssueError> {
        let record = registry::Agency { legal_name: format!("{agency} S.A."), ..Default::default() };
        let licence = registry::Licence {
            jurisdiction: self.core.party().to_uppercase(),
            number: "L-1".into(),
            state: state.into(),
            ..Default::default()
        };
        let sources = Sources::new().with(&record).with(&licence).with(&records::event(0));
        self.notice(SV_CA, "agency_licence", reference(agency), sources).await
    }

    async fn notice(
        &self,
        agreement: &str,
        notice: &'static str,
        subject: Ref,
        sources: Sources,
    ) -> Result<RecordId, IssueError> {
        let (core, exchange) = (self.core.clone(), self.exchange(agreement).clone());
        let time = core.clock().now_ms();
        let job = self.core.clone();
        job.write(move |work| {
            async move { issue_notice(work, &core, &exchange, notice, subject, &sources, time, false).await }.boxed()
        })
        .await
    }

    /// An empty job: everything queued before is committed once it returns.
    pub async fn pass(&self) {
        self.core.write::<_, StoreError, _>(|_| async { Ok(()) }.boxed()).await.unwrap();
    }

    /// Keeps the writer busy: what is asked for meanwhile forms one group. Ends when the guard is dropped.
    pub async fn occupy(&self) -> tokio::sync::oneshot::Sender<()> {
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel::<()>();
        let core = self.core.clone();
        tokio::spawn(async move {
            core.write::<_, StoreError, _>(|_| {
                async move {
                    let _ = begun.send(());
                    let _ = released.await;
                    Ok(())
                }
                .boxed()
            })
            .await
        });
        begins.await.unwrap();
        release
    }

    /// The placement as this side knows it.
    pub async fn placement(&self, case: &Case) -> PlacementView {
        let key = (case.agreement.clone(), ViewKind::Placement, case.id);
        let row = self.core.store().view(&key).await.unwrap();
        row.map(|row| PlacementView::decode(row.body.as_slice()).unwrap()).unwrap_or_default()
    }

    /// The job order of a case as this side knows it.
    pub async fn order_of(&self, case: &Case) -> OrderView {
        let key = (case.agreement.clone(), ViewKind::Order, case.order);
        let row = self.core.store().view(&key).await.unwrap();
        row.map(|row| OrderView::decode(row.body.as_slice()).unwrap()).unwrap_or_default()
    }
}

impl Pair {
    /// Brings a case honestly to `state`: NOMINATED, OFFERED, CONTRACTED, READY_TO_TRAVEL, EMPLOYED, ENDED or CLOSED,
    /// both sides settled after each act.
    ///
    /// # Panics
    /// If a step is refused.
    pub async fn bring(&self, case: &Case, state: &str) {
        const WAY: [(bool, &str, &str); 14] = [
            (true, "nominate", "NOMINATED"),
            (false, "offer", "OFFERED"),
            (true, "identified", ""),
            (false, "contract_offered", ""),
            (true, "contract", "CONTRACTED"),
            (true, "documented", ""),
            (false, "permitted", ""),
            (true, "oriented", ""),
            (true, "ready", "READY_TO_TRAVEL"),
            (true, "departed", ""),
            (false, "admitted", ""),
            (false, "employ", "EMPLOYED"),
            (false, "end", "ENDED"),
            (true, "close", "CLOSED"),
        ];
        let end = WAY.iter().position(|(_, _, to)| *to == state).unwrap();
        let now = self.origin.placement(case).await.state;
        let begin = WAY.iter().position(|(_, _, to)| !to.is_empty() && *to == now).map_or(0, |at| at + 1);
        for (by_origin, act, _) in &WAY[begin..=end] {
            let side = if *by_origin { &self.origin } else { &self.destination };
            side.act(case, act).await.unwrap_or_else(|error| panic!("{act}: {error}"));
            self.settle().await;
        }
        for side in [&self.origin, &self.destination] {
            assert_eq!(side.placement(case).await.state, state);
        }
    }

    /// Two sides with an open order of nine seats and a nominated placement, settled.
    pub async fn nominated(seed: u64) -> (Self, Case) {
        let pair = Self::new(seed).await;
        pair.destination.order(SV_CA, "order", 9, true).await.expect("an order");
        pair.settle().await;
        let case = pair.bring_one("p1", "order", "NOMINATED").await;
        pair.settle().await;
        (pair, case)
    }

    /// As [`Pair::bring`], for a case that needs nothing else.
    pub async fn bring_one(&self, label: &str, order: &str, state: &str) -> Case {
        let case = Case::new(label, order);
        self.settle().await;
        self.bring(&case, state).await;
        case
    }
}
