//! Erasures and holds.

use std::sync::Arc;

use convenio_exchange::Exchange;
use convenio_exchange::erase::hold::{self, Hold as Kept, HoldError};
use convenio_exchange::erase::order::{self, EraseError, Ordered, OwnRecord, Progress, Which};
use convenio_exchange::erase::retention;
use convenio_model::Ref;
use convenio_store::{Deed, Kind, ResourceKey, ViewKind};
use convenio_wire::registry::v1::{
    CreateHoldRequest, ErasePlacementPartsRequest, ErasePlacementPartsResponse, EraseRecordRequest,
    EraseRecordResponse, Erasure, ErasureState, GetErasureRequest, GetHoldRequest, Hold, ListErasuresRequest,
    ListErasuresResponse, ListHoldsRequest, ListHoldsResponse, ReleaseHoldRequest,
};
use prost_types::Timestamp;

use crate::Registry;
use crate::caller::Caller;
use crate::error::{RegistryError, Violation};
use crate::page::{List, Page};
use crate::placement::COLLECTION as PLACEMENTS;
use crate::request::Ticket;
use crate::resource::id_of;
use crate::row::timestamp;

impl Registry {
    /// Erases parts of one record here and orders the partner to.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn erase_record(
        &self,
        caller: &Caller,
        mut request: EraseRecordRequest,
    ) -> Result<EraseRecordResponse, RegistryError> {
        caller.with_purpose()?;
        self.rules().request("convenio.registry.v1.EraseRecordRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "EraseRecord", &request_id, &request)?;
        let exchange = self.exchange_of(&request.agreement)?;
        let id = record_of(&request.record_id).ok_or_else(|| RegistryError::field("record_id", "a record id"))?;
        let record = order::own_record(self.core(), &exchange, id).await.map_err(refused)?;
        let part = request.part.and_then(|part| u32::try_from(part).ok());
        let wanted = part.map_or(Wanted::All, Wanted::Part);
        let erasures =
            self.order(caller, "EraseRecord", ticket, exchange, vec![record], wanted, request.ground).await?;
        Ok(EraseRecordResponse { erasures })
    }

    /// Erases every part of one retention class that this state issued about a placement, here and at the partner.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn erase_placement_parts(
        &self,
        caller: &Caller,
        mut request: ErasePlacementPartsRequest,
    ) -> Result<ErasePlacementPartsResponse, RegistryError> {
        caller.with_purpose()?;
        self.rules().request("convenio.registry.v1.ErasePlacementPartsRequest", &request)?;
        let request_id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "ErasePlacementParts", &request_id, &request)?;
        let placement = id_of(PLACEMENTS, &request.placement, "placement")?;
        let exchange = self.exchange_with(placement).await?;
        if exchange.pack().retention().class(&request.retention_class).is_none() {
            return Err(RegistryError::field("retention_class", "not a class of this agreement"));
        }
        let mut records = Vec::new();
        for id in retention::own_records(self.core(), &exchange, placement).await? {
            match order::own_record(self.core(), &exchange, id).await {
                Ok(record) => records.push(record),
                Err(EraseError::NotFound) => {} // it never crossed
                Err(error) => return Err(refused(error)),
            }
        }
        let wanted = Wanted::Class(request.retention_class);
        let method = "ErasePlacementParts";
        let erasures = self.order(caller, method, ticket, exchange, records, wanted, request.ground).await?;
        Ok(ErasePlacementPartsResponse { erasures })
    }

    #[allow(clippy::too_many_arguments)] // one order, with who gave it
    async fn order(
        &self,
        caller: &Caller,
        method: &'static str,
        ticket: Ticket,
        exchange: Arc<Exchange>,
        records: Vec<OwnRecord>,
        wanted: Wanted,
        ground: String,
    ) -> Result<Vec<Erasure>, RegistryError> {
        let (core, job_exchange) = (self.core().clone(), exchange.clone());
        let job = self.core().write_as(caller.acting("Retention", method), move |work| {
            Box::pin(async move {
                // What was ordered once is not ordered again: the ticket only tells one request from another.
                let before: Option<Erasure> = ticket.answered(work).await?;
                let ordered = order::order(work, &core, &job_exchange, &records, wanted.which(), &ground).await;
                let ordered = ordered.map_err(refused)?;
                work.note(Deed::Erased, ordered.iter().filter_map(row_of));
                if before.is_none() {
                    ticket.keep(work, &Erasure::default(), core.clock().now_ms());
                }
                Ok::<_, RegistryError>(ordered)
            })
        });
        let ordered = job.await?;
        order::carried_out(self.core()).await;
        self.shown_erasures(&exchange, &ordered).await
    }

    /// Reads one erasure that this state ordered.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn get_erasure(&self, _caller: &Caller, request: GetErasureRequest) -> Result<Erasure, RegistryError> {
        let said = parse_erasure(&request.name);
        let (agreement, id, part) =
            said.ok_or_else(|| RegistryError::field("name", "not a name of this collection"))?;
        let exchange = self.exchange_of(&agreement)?;
        let ordered = order::ordered(self.core(), &exchange, id, part).await?.ok_or(RegistryError::NotFound)?;
        self.shown_erasures(&exchange, &[ordered]).await?.pop().ok_or(RegistryError::NotFound)
    }

    /// One page of the erasures that this state ordered.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_erasures(
        &self,
        _caller: &Caller,
        request: ListErasuresRequest,
    ) -> Result<ListErasuresResponse, RegistryError> {
        let exchange = self.exchange_of(&request.agreement)?;
        let page = Page::parse(List::Erasures, request.page_size, &request.page_token)?;
        // A page ends with a record's last part, so that its token is the record's id.
        let after = page.after.map(|id| (id, u32::MAX));
        let mut ordered = order::list(self.core(), &exchange, after, page.limit()).await?;
        let next_page_token = cut_by_record(&page, &mut ordered);
        let erasures = self.shown_erasures(&exchange, &ordered).await?;
        Ok(ListErasuresResponse { erasures, next_page_token })
    }

    /// Places a hold.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn create_hold(&self, caller: &Caller, request: CreateHoldRequest) -> Result<Hold, RegistryError> {
        caller.with_purpose()?;
        self.rules().request("convenio.registry.v1.CreateHoldRequest", &request)?;
        let placement = id_of(PLACEMENTS, &request.parent, "parent")?;
        let id = self.chosen_id(&request.hold_id, "hold_id")?;
        let exchange = self.exchange_with(placement).await?;
        let asked = request.hold.unwrap_or_default();
        let hold = Kept {
            id: id.0.to_vec(),
            class: asked.retention_class,
            ground: asked.ground,
            expires_ms: asked.expire_time.as_ref().map(ms_of).unwrap_or_default(),
            ..Kept::default()
        };
        let actor = caller.acting("Retention", "CreateHold");
        let hold = hold::place(self.core(), actor, &exchange, placement, hold).await.map_err(not_held)?;
        Ok(self.shown_hold(placement, &hold))
    }

    /// Reads one hold.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn get_hold(&self, _caller: &Caller, request: GetHoldRequest) -> Result<Hold, RegistryError> {
        let (placement, id) = parse_hold(&request.name)?;
        let exchange = self.exchange_with(placement).await?;
        let holds = hold::of(self.core().store().as_ref(), exchange.pack().id(), placement).await?;
        let hold = holds.iter().find(|hold| hold.id == id.0).ok_or(RegistryError::NotFound)?;
        Ok(self.shown_hold(placement, hold))
    }

    /// One page of holds.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_holds(
        &self,
        _caller: &Caller,
        request: ListHoldsRequest,
    ) -> Result<ListHoldsResponse, RegistryError> {
        let exchange = self.exchange_of(&request.agreement)?;
        let page = Page::parse(List::Holds, request.page_size, &request.page_token)?;
        let mut found = hold::list(self.core(), &exchange, page.after, page.limit()).await?;
        let next_page_token = page.cut(&mut found, |(placement, _)| *placement);
        let holds = found.iter().flat_map(|(id, holds)| holds.iter().map(|hold| self.shown_hold(*id, hold)));
        Ok(ListHoldsResponse { holds: holds.collect(), next_page_token })
    }

    /// Ends a hold; what it alone kept from being erased is erased now.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn release_hold(&self, caller: &Caller, request: ReleaseHoldRequest) -> Result<Hold, RegistryError> {
        caller.with_purpose()?;
        let (placement, id) = parse_hold(&request.name)?;
        let exchange = self.exchange_with(placement).await?;
        let actor = caller.acting("Retention", "ReleaseHold");
        let hold = hold::release(self.core(), actor, &exchange, placement, id).await.map_err(not_held)?;
        Ok(self.shown_hold(placement, &hold))
    }

    fn exchange_of(&self, agreement: &str) -> Result<Arc<Exchange>, RegistryError> {
        let none = || RegistryError::NotInForce(vec![Violation::new("agreement", "not in force here")]);
        self.core().exchange(agreement).cloned().ok_or_else(none)
    }

    /// The exchange that a placement is under.
    async fn exchange_with(&self, placement: Ref) -> Result<Arc<Exchange>, RegistryError> {
        let views = self.core().store().views_of(ViewKind::Placement, placement).await?;
        views.iter().find_map(|view| self.core().exchange(&view.key.0)).cloned().ok_or(RegistryError::NotFound)
    }

    async fn shown_erasures(&self, exchange: &Exchange, all: &[Ordered]) -> Result<Vec<Erasure>, RegistryError> {
        let mut shown = Vec::with_capacity(all.len());
        for ordered in all {
            let progress = order::progress(self.core(), exchange, ordered).await?;
            let record_id = hex::encode(&ordered.record_id);
            shown.push(Erasure {
                name: format!("erasures/{}.{record_id}.{}", ordered.agreement, ordered.part),
                agreement: ordered.agreement.clone(),
                record_id,
                part: i32::try_from(ordered.part).unwrap_or(i32::MAX),
                subject: ordered.subject.clone(),
                retention_class: ordered.class.clone(),
                ground: ordered.ground.clone(),
                state: state_of(progress).into(),
                reason: ordered.reason.clone(),
                order_time: Some(timestamp(ordered.ordered_ms)),
                answer_time: (ordered.answered_ms > 0).then(|| timestamp(ordered.answered_ms)),
            });
        }
        Ok(shown)
    }

    fn shown_hold(&self, placement: Ref, hold: &Kept) -> Hold {
        let id = Ref::from_slice(&hold.id).unwrap_or_default();
        Hold {
            name: format!("{PLACEMENTS}/{placement}/holds/{id}"),
            retention_class: hold.class.clone(),
            ground: hold.ground.clone(),
            expire_time: Some(timestamp(hold.expires_ms)),
            create_time: Some(timestamp(hold.created_ms)),
            release_time: (hold.released_ms > 0).then(|| timestamp(hold.released_ms)),
            standing: hold.stands(self.core().clock().now_ms()),
        }
    }
}

/// As [`Which`], owned.
enum Wanted {
    Part(u32),
    All,
    Class(String),
}

impl Wanted {
    fn which(&self) -> Which<'_> {
        match self {
            Self::Part(part) => Which::Part(*part),
            Self::All => Which::All,
            Self::Class(class) => Which::Class(class),
        }
    }
}

fn state_of(progress: Progress) -> ErasureState {
    match progress {
        Progress::Ordered => ErasureState::Ordered,
        Progress::Delivered => ErasureState::Delivered,
        Progress::Erased => ErasureState::Erased,
        Progress::Refused => ErasureState::Refused,
        Progress::Overdue => ErasureState::Overdue,
    }
}

/// Cuts to the page, and back to the end of a record unless one record fills it.
fn cut_by_record(page: &Page, ordered: &mut Vec<Ordered>) -> String {
    let more = ordered.len() > page.size;
    if let (true, Some(cut)) = (more, ordered.get(page.size).map(|next| next.record_id.clone())) {
        let first = ordered.iter().position(|one| one.record_id == cut).unwrap_or_default();
        ordered.truncate(if first == 0 { page.size } else { first });
    }
    let last = ordered.last().and_then(|last| Ref::from_slice(&last.record_id).ok()).unwrap_or_default();
    if more { page.token(last) } else { String::new() }
}

/// The placement that an erasure is about, for the journal.
fn row_of(ordered: &Ordered) -> Option<ResourceKey> {
    let id = ordered.subject.strip_prefix("placements/")?.parse().ok()?;
    Some((Kind::Placement, id))
}

fn record_of(digits: &str) -> Option<Ref> {
    Ref::from_slice(&hex::decode(digits).ok()?).ok()
}

/// Agreement, record and part of `erasures/{agreement}.{record}.{part}`.
fn parse_erasure(name: &str) -> Option<(String, Ref, u32)> {
    let mut rest = name.strip_prefix("erasures/")?.split('.');
    let (agreement, record, part) = (rest.next()?, rest.next()?, rest.next()?);
    let found = (agreement.to_owned(), record_of(record)?, part.parse().ok()?);
    rest.next().is_none().then_some(found)
}

/// Placement and hold of `placements/{uuid}/holds/{uuid}`.
fn parse_hold(name: &str) -> Result<(Ref, Ref), RegistryError> {
    let parse = || {
        let (placement, hold) = name.strip_prefix("placements/")?.split_once("/holds/")?;
        Some((placement.parse().ok()?, hold.parse().ok()?))
    };
    parse().ok_or_else(|| RegistryError::field("name", "not a name of this collection"))
}

fn ms_of(time: &Timestamp) -> u64 {
    let (seconds, nanos) =
        (u64::try_from(time.seconds).unwrap_or_default(), u64::try_from(time.nanos).unwrap_or_default());
    seconds.saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

fn refused(error: EraseError) -> RegistryError {
    match error {
        EraseError::NotFound => RegistryError::NotFound,
        EraseError::NotIssuer => RegistryError::PermissionDenied("only the partner, who issued it, may erase it"),
        EraseError::Ground => RegistryError::field("ground", "not a ground of this agreement"),
        EraseError::ForEver => RegistryError::Retained("KEPT_FOR_EVER"),
        EraseError::TooEarly => RegistryError::Retained("MINIMUM_RETENTION"),
        EraseError::Held => RegistryError::Retained("HELD"),
        EraseError::TooMany => RegistryError::TooLarge,
        EraseError::Issue(error) => RegistryError::issue(error, "", "", |_| String::new()),
    }
}

fn not_held(error: HoldError) -> RegistryError {
    match error {
        HoldError::NotFound => RegistryError::NotFound,
        HoldError::Ground => RegistryError::field("hold.ground", "not a ground of this agreement"),
        HoldError::Class => RegistryError::field("hold.retention_class", "not a class of this agreement"),
        HoldError::Expiry => RegistryError::field("hold.expire_time", "after now, within the agreement's longest hold"),
        HoldError::TooMany => RegistryError::Retained("TOO_MANY_HOLDS"),
        HoldError::Store(error) => RegistryError::Store(error),
    }
}
