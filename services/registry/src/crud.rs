//! Create, read, list, change and look up a record of any kind.

use std::collections::{BTreeMap, BTreeSet};

use convenio_exchange::journal::Actor;
use convenio_exchange::{Core, Foreseen};
use convenio_model::{Ref, uuid_v7};
use convenio_store::{Deed, Reads, ResourceKey, ResourceRow, ViewKind, ViewRow, Work};
use convenio_wire::registry::v1::{Event, ExternalId};
use prost_types::FieldMask;

use crate::Registry;
use crate::error::{RegistryError, Violation};
use crate::mask;
use crate::page::Page;
use crate::request::Ticket;
use crate::resource::{Resource, SharedView, from_row, id_of};
use crate::rules::{Problems, Rules, agreement_data};
use crate::save::{external_key, save};

/// Etag of a record that only the partner writes.
const FOREIGN: &str = "0";

/// A change that was asked for.
pub(crate) struct Update<R> {
    /// The record, with its name.
    pub record: R,
    /// Fields to change.
    pub mask: Option<FieldMask>,
    /// Create it if there is none.
    pub allow_missing: bool,
}

impl Registry {
    pub(crate) async fn create<R: Resource>(
        &self,
        actor: Actor,
        ticket: Ticket,
        id: &str,
        record: R,
    ) -> Result<R, RegistryError> {
        check_values(self.core(), &record)?; // the request's rules were its record's too
        let field = format!("{}_id", R::ROOT);
        let id = self.chosen_id(id, &field)?;
        let core = self.core().clone();
        let foreseen = foreseen(&ticket, Some(id), &record);
        let job = self.core().write_foreseen(actor, foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = ticket.answered::<R>(work).await? {
                    shown(work, &[&answer]);
                    return Ok(answer);
                }
                if work.resource((R::KIND, id)).await?.is_some() {
                    return Err(RegistryError::AlreadyExists(vec![Violation::new(field, "belongs to a record")]));
                }
                let answer = save(work, &core, id, None, record, Event::default()).await?;
                shown(work, &[&answer]);
                ticket.keep(work, &answer, core.clock().now_ms());
                Ok(answer)
            })
        });
        job.await
    }

    pub(crate) async fn update<R: Resource>(
        &self,
        actor: Actor,
        ticket: Ticket,
        update: Update<R>,
    ) -> Result<R, RegistryError> {
        let target = target(&update)?;
        let whole = mask::is_whole(update.mask.as_ref());
        if whole {
            check(self.rules(), self.core(), &update.record)?;
        }
        let fresh = self.chosen_id("", "")?;
        let (core, rules) = (self.core().clone(), self.rules().clone());
        let stored = if let Target::Id(id) = &target { Some(*id) } else { None };
        let foreseen = foreseen(&ticket, stored, &update.record);
        let job = self.core().write_foreseen(actor, foreseen, move |work| {
            Box::pin(async move {
                if let Some(answer) = ticket.answered::<R>(work).await? {
                    shown(work, &[&answer]);
                    return Ok(answer);
                }
                let id = match &target {
                    Target::Id(id) => Some(*id),
                    Target::External(key) => work.external(&external_key::<R>(key)).await?,
                };
                let row = match id {
                    Some(id) => work.resource((R::KIND, id)).await?,
                    None => None,
                };
                let after = match &row {
                    Some(row) => merged(&update, row)?,
                    None if update.allow_missing => update.record,
                    None => return Err(RegistryError::NotFound),
                };
                if !(whole && row.is_none()) {
                    check(&rules, &core, &after)?;
                }
                let answer = save(work, &core, id.unwrap_or(fresh), row.as_ref(), after, Event::default()).await?;
                shown(work, &[&answer]);
                ticket.keep(work, &answer, core.clock().now_ms());
                Ok(answer)
            })
        });
        job.await
    }

    pub(crate) async fn read<R: Resource>(&self, id: Ref) -> Result<R, RegistryError> {
        let row = self.core().store().resource((R::KIND, id)).await?;
        let views = match R::VIEW {
            Some(kind) => self.core().store().views_of(kind, id).await?,
            None => Vec::new(),
        };
        self.assemble(id, row.as_ref(), &views)?.ok_or(RegistryError::NotFound)
    }

    pub(crate) async fn lookup<R: Resource>(&self, key: Option<&ExternalId>) -> Result<R, RegistryError> {
        let key = key.ok_or_else(|| RegistryError::field("external_id", "required"))?;
        let id = self.core().store().external(&external_key::<R>(key)).await?;
        self.read(id.ok_or(RegistryError::NotFound)?).await
    }

    /// One page and the token of the next, ascending by id.
    pub(crate) async fn list<R: Resource>(&self, size: i32, token: &str) -> Result<(Vec<R>, String), RegistryError> {
        let page = Page::parse(R::LIST, size, token)?;
        let rows = self.core().store().resources(R::KIND, page.after, page.limit()).await?;
        let mut rows: BTreeMap<Ref, ResourceRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let mut views = match R::VIEW {
            Some(kind) => self.views_page(kind, &page).await?,
            None => BTreeMap::new(),
        };
        // Each source is complete up to its own limit, so that the first ids of both together are too.
        let ids: BTreeSet<Ref> = rows.keys().chain(views.keys()).copied().collect();
        let mut ids: Vec<Ref> = ids.into_iter().take(page.size + 1).collect();
        let next = page.cut(&mut ids, |id| *id);
        let mut records = Vec::with_capacity(ids.len());
        for id in ids {
            let views = views.remove(&id).unwrap_or_default();
            records.extend(self.assemble(id, rows.remove(&id).as_ref(), &views)?);
        }
        Ok((records, next))
    }

    /// Journals that personal data is about to be shown; durable when this returns.
    pub(crate) async fn disclose<R: Resource>(&self, actor: Actor, records: &[&R]) -> Result<(), RegistryError> {
        if !R::PERSONAL {
            return Ok(());
        }
        let keys: Vec<ResourceKey> = records.iter().filter_map(|record| key_of(*record)).collect();
        self.reading(actor, keys).await
    }

    /// Journals a read of these rows; durable when this returns.
    pub(crate) async fn reading(&self, actor: Actor, rows: Vec<ResourceKey>) -> Result<(), RegistryError> {
        let job = self.core().write_as(actor, move |work| {
            Box::pin(async move {
                work.note(Deed::Read, rows);
                Ok(())
            })
        });
        job.await
    }

    /// A chosen id, or a new one.
    pub(crate) fn chosen_id(&self, id: &str, field: &str) -> Result<Ref, RegistryError> {
        match id {
            "" => Ok(uuid_v7(self.core().clock().now_ms(), &**self.core().entropy()).into()),
            id => id.parse().map_err(|_| RegistryError::field(field, "a lower-case UUID")),
        }
    }

    /// Views from a page's start on, enough for all its subjects under every agreement.
    async fn views_page(&self, kind: ViewKind, page: &Page) -> Result<BTreeMap<Ref, Vec<ViewRow>>, RegistryError> {
        let agreements = u32::try_from(self.core().exchanges().len()).unwrap_or(u32::MAX);
        let limit = page.limit().saturating_mul(agreements.max(1));
        let mut views: BTreeMap<Ref, Vec<ViewRow>> = BTreeMap::new();
        for row in self.core().store().views(kind, "", "", page.after, limit).await? {
            views.entry(row.key.2).or_default().push(row);
        }
        Ok(views)
    }

    /// A record from its row, if this state has one, and from what both logs say.
    fn assemble<R: Resource>(
        &self,
        id: Ref,
        row: Option<&ResourceRow>,
        views: &[ViewRow],
    ) -> Result<Option<R>, RegistryError> {
        let shared = |view: &ViewRow| Some((&**self.core().exchange(&view.key.0)?, view.body.clone()));
        let views: Vec<SharedView<'_>> = views.iter().filter_map(shared).collect();
        let Some(row) = row else {
            let record = R::from_views(&views)?;
            return Ok(record.map(|mut record| {
                record.set_meta(format!("{}/{id}", R::COLLECTION), FOREIGN.to_owned(), None, None);
                record
            }));
        };
        let mut record: R = from_row(row)?;
        record.dress(&views)?;
        Ok(Some(record))
    }
}

/// What saving a record reads.
fn foreseen<R: Resource>(ticket: &Ticket, id: Option<Ref>, record: &R) -> Foreseen {
    let first = Reads {
        resources: id.map(|id| (R::KIND, id)).into_iter().collect(),
        externals: record.external_ids().iter().map(external_key::<R>).collect(),
        ..ticket.reads()
    };
    Foreseen { first, then: None }
}

/// A job shows these records to its caller: the journal tells it of personal data.
fn shown<R: Resource>(work: &mut Work, records: &[&R]) {
    if R::PERSONAL {
        work.note(Deed::Read, records.iter().filter_map(|record| key_of(*record)));
    }
}

fn key_of<R: Resource>(record: &R) -> Option<ResourceKey> {
    id_of(R::COLLECTION, record.name(), "name").ok().map(|id| (R::KIND, id))
}

/// Which record a change is about.
enum Target {
    Id(Ref),
    External(ExternalId),
}

fn target<R: Resource>(update: &Update<R>) -> Result<Target, RegistryError> {
    if !update.record.name().is_empty() {
        let field = format!("{}.name", R::ROOT);
        return id_of(R::COLLECTION, update.record.name(), &field).map(Target::Id);
    }
    match update.record.external_ids().first() {
        Some(key) if update.allow_missing => Ok(Target::External(key.clone())),
        _ => Err(RegistryError::field(format!("{}.name", R::ROOT), "required")),
    }
}

fn merged<R: Resource>(update: &Update<R>, row: &ResourceRow) -> Result<R, RegistryError> {
    let etag = update.record.etag();
    if !etag.is_empty() && etag != row.revision.to_string() {
        return Err(RegistryError::EtagMismatch);
    }
    mask::merge(update.mask.as_ref(), &from_row(row)?, &update.record)
}

/// Everything that can be wrong with a record by itself.
fn check<R: Resource>(rules: &Rules, core: &Core, record: &R) -> Result<(), RegistryError> {
    rules.record(record)?;
    check_values(core, record)
}

/// What the rules of its descriptor cannot say.
fn check_values<R: Resource>(core: &Core, record: &R) -> Result<(), RegistryError> {
    let mut found = Problems::default();
    record.problems(&mut found);
    found.into_result()?;
    agreement_data(core, R::ROOT, record.agreement_data())
}
