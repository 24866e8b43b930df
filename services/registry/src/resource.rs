//! What the records of a registry have in common.

use std::future::{Future, ready};

use convenio_agreement::plan::Record;
use convenio_exchange::{Core, Exchange};
use convenio_model::{Ref, ResourceName};
use convenio_store::{Kind, ResourceRow, ViewKind, Work};
use convenio_wire::registry::v1::{Agency, AgreementData, Crew, Employer, Event, ExternalId, JobOrder, Worker};
use prost::Message;
use prost_types::Timestamp;

use crate::error::RegistryError;
use crate::page::List;
use crate::row::{decode, timestamp};
use crate::rules::Problems;

/// A view of one agreement, encoded.
pub(crate) type SharedView<'a> = (&'a Exchange, Vec<u8>);

/// A record with a name, an etag, keys of other systems and what agreements add.
pub(crate) trait Resource: Record + Message + Default + Clone + PartialEq + 'static {
    /// Kind of its rows.
    const KIND: Kind;
    /// Its list.
    const LIST: List;
    /// Collection of its names.
    const COLLECTION: &'static str;
    /// True for personal data: a purpose is required.
    const PERSONAL: bool = false;
    /// What both logs say about it, if it is shared.
    const VIEW: Option<ViewKind> = None;

    fn name(&self) -> &str;
    fn etag(&self) -> &str;
    fn external_ids(&self) -> &[ExternalId];
    fn agreement_data(&self) -> &[AgreementData];
    fn set_meta(&mut self, name: String, etag: String, created: Option<Timestamp>, updated: Option<Timestamp>);

    /// Clears what only this node writes.
    fn clear_output(&mut self) {}

    /// What is wrong with it by itself, beyond the rules of its descriptor.
    fn problems(&self, _found: &mut Problems) {}

    /// Checks and completes a change against the rest of the registry, before it is stored.
    fn before_save(_change: &mut Change<'_, Self>) -> impl Future<Output = Result<(), RegistryError>> + Send {
        ready(Ok(()))
    }

    /// What follows in the exchange, in the same transaction.
    fn after_save(_change: &mut Change<'_, Self>) -> impl Future<Output = Result<(), RegistryError>> + Send {
        ready(Ok(()))
    }

    /// Adds what is known from both logs.
    fn dress(&mut self, _views: &[SharedView<'_>]) -> Result<(), RegistryError> {
        Ok(())
    }

    /// A record of the partner alone, as both logs tell it.
    fn from_views(_views: &[SharedView<'_>]) -> Result<Option<Self>, RegistryError> {
        Ok(None)
    }
}

/// A record that is being saved.
pub(crate) struct Change<'a, R> {
    /// The transaction.
    pub work: &'a mut Work,
    /// The exchange.
    pub core: &'a Core,
    /// The record.
    pub id: Ref,
    /// Now, Unix ms.
    pub now_ms: u64,
    /// As it was stored; none for a new one.
    pub before: Option<R>,
    /// As it is to be stored.
    pub after: R,
    /// When and why, where a notice tells it.
    pub event: Event,
}

/// Reads the id of a name.
pub(crate) fn id_of(collection: &'static str, name: &str, field: &str) -> Result<Ref, RegistryError> {
    let name = ResourceName::parse(collection, name);
    name.map(|name| name.id).map_err(|_| RegistryError::field(field, "not a name of this collection"))
}

/// The record that a row holds, with name, etag and times.
pub(crate) fn from_row<R: Resource>(row: &ResourceRow) -> Result<R, RegistryError> {
    let mut record: R = decode(&row.body, "resource")?;
    let (created, updated) = (timestamp(row.created_ms), timestamp(row.updated_ms));
    record.set_meta(format!("{}/{}", R::COLLECTION, row.id), row.revision.to_string(), Some(created), Some(updated));
    Ok(record)
}

/// Implements the accessors of [`Resource`], the same for every record.
macro_rules! accessors {
    () => {
        fn name(&self) -> &str {
            &self.name
        }
        fn etag(&self) -> &str {
            &self.etag
        }
        fn external_ids(&self) -> &[ExternalId] {
            &self.external_ids
        }
        fn agreement_data(&self) -> &[AgreementData] {
            &self.agreement_data
        }
        fn set_meta(&mut self, name: String, etag: String, created: Option<Timestamp>, updated: Option<Timestamp>) {
            (self.name, self.etag, self.create_time, self.update_time) = (name, etag, created, updated);
        }
    };
}

impl Resource for Employer {
    const KIND: Kind = Kind::Employer;
    const LIST: List = List::Employers;
    const COLLECTION: &'static str = "employers";
    accessors!();
}

impl Resource for Worker {
    const KIND: Kind = Kind::Worker;
    const LIST: List = List::Workers;
    const COLLECTION: &'static str = "workers";
    const PERSONAL: bool = true;
    accessors!();

    fn problems(&self, found: &mut Problems) {
        for (index, consent) in self.consents.iter().enumerate() {
            let ordered = consent.withdrawn_time_ms == 0 || consent.withdrawn_time_ms >= consent.given_time_ms;
            found.require(ordered, format!("worker.consents[{index}].withdrawn_time_ms"), "before it was given");
        }
    }
}

impl Resource for Agency {
    const KIND: Kind = Kind::Agency;
    const LIST: List = List::Agencies;
    const COLLECTION: &'static str = "agencies";
    const VIEW: Option<ViewKind> = Some(ViewKind::Agency);
    accessors!();

    fn clear_output(&mut self) {
        self.licences.retain(|licence| !licence.partner);
    }
    fn problems(&self, found: &mut Problems) {
        crate::agency::problems(self, found);
    }
    async fn before_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::agency::before_save(change)
    }
    async fn after_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::agency::after_save(change).await
    }
    fn dress(&mut self, views: &[SharedView<'_>]) -> Result<(), RegistryError> {
        crate::agency::dress(self, views)
    }
    fn from_views(views: &[SharedView<'_>]) -> Result<Option<Self>, RegistryError> {
        crate::agency::from_views(views)
    }
}

impl Resource for Crew {
    const KIND: Kind = Kind::Crew;
    const LIST: List = List::Crews;
    const COLLECTION: &'static str = "crews";
    const VIEW: Option<ViewKind> = Some(ViewKind::Crew);
    accessors!();

    fn problems(&self, found: &mut Problems) {
        found.require(self.placed <= self.size, "crew.placed", "more than are on the list");
    }
    async fn before_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::crew::before_save(change)
    }
    async fn after_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::crew::after_save(change).await
    }
    fn from_views(views: &[SharedView<'_>]) -> Result<Option<Self>, RegistryError> {
        crate::crew::from_views(views)
    }
}

impl Resource for JobOrder {
    const KIND: Kind = Kind::JobOrder;
    const LIST: List = List::JobOrders;
    const COLLECTION: &'static str = "jobOrders";
    const VIEW: Option<ViewKind> = Some(ViewKind::Order);
    accessors!();

    fn clear_output(&mut self) {
        self.employer_name.clear();
        self.seats_held = 0;
    }
    fn problems(&self, found: &mut Problems) {
        if let Some(terms) = &self.terms {
            crate::rules::terms_problems(terms, "job_order.terms", found);
        }
    }
    async fn before_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::job_order::before_save(change).await
    }
    async fn after_save(change: &mut Change<'_, Self>) -> Result<(), RegistryError> {
        crate::job_order::after_save(change).await
    }
    fn dress(&mut self, views: &[SharedView<'_>]) -> Result<(), RegistryError> {
        crate::job_order::dress(self, views)
    }
    fn from_views(views: &[SharedView<'_>]) -> Result<Option<Self>, RegistryError> {
        crate::job_order::from_views(views)
    }
}
