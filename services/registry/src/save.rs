//! Saving a record: keys, revision, hooks and what follows, in the transaction of one job.

use convenio_exchange::Core;
use convenio_model::Ref;
use convenio_store::{ExternalKey, ResourceRow, ViewKind, Work};
use convenio_wire::registry::v1::{Event, ExternalId};

use crate::error::{RegistryError, Violation};
use crate::resource::{Change, Resource, SharedView, from_row};

/// Saves `after` as record `id` in place of `row`, and answers with it as a reader would see it. What changes nothing
/// writes nothing.
pub(crate) async fn save<R: Resource>(
    work: &mut Work,
    core: &Core,
    id: Ref,
    row: Option<&ResourceRow>,
    mut after: R,
    event: Event,
) -> Result<R, RegistryError> {
    let before = row.map(from_row::<R>).transpose()?;
    after.clear_output();
    after.set_meta(format!("{}/{id}", R::COLLECTION), String::new(), None, None);
    let now_ms = core.clock().now_ms();
    let mut change = Change { work, core, id, now_ms, before, after, event };
    R::before_save(&mut change).await?;
    let body = change.after.encode_to_vec();
    let unchanged = row.is_some_and(|row| row.body == body);
    let stored = match row {
        Some(row) if unchanged => row.clone(),
        _ => {
            move_external_ids(&mut change).await?;
            let stored = ResourceRow {
                kind: R::KIND,
                id,
                parent: None,
                revision: row.map_or(0, |row| row.revision) + 1,
                body,
                created_ms: row.map_or(now_ms, |row| row.created_ms),
                updated_ms: now_ms,
            };
            change.work.put_resource(stored.clone());
            R::after_save(&mut change).await?;
            stored
        }
    };
    let mut answer: R = from_row(&stored)?;
    if let Some(kind) = R::VIEW {
        answer.dress(&views(work, core, kind, id).await?)?;
    }
    Ok(answer)
}

/// Views of one subject under every agreement, as the job sees them.
pub(crate) async fn views<'a>(
    work: &mut Work,
    core: &'a Core,
    kind: ViewKind,
    id: Ref,
) -> Result<Vec<SharedView<'a>>, RegistryError> {
    let key = |agreement: &str| (agreement.to_owned(), kind, id);
    let keys: Vec<_> = core.exchanges().iter().map(|ex| key(ex.pack().id())).collect();
    work.load_views(&keys).await?;
    let mut found = Vec::new();
    for (exchange, key) in core.exchanges().iter().zip(&keys) {
        if let Some(row) = work.view(key).await? {
            found.push((&**exchange, row.body));
        }
    }
    Ok(found)
}

/// The keys of other systems, as they are stored.
pub(crate) fn external_key<R: Resource>(id: &ExternalId) -> ExternalKey {
    (R::KIND, id.system.clone(), id.value.clone())
}

/// Points the record's external ids to it, and those it no longer has nowhere.
async fn move_external_ids<R: Resource>(change: &mut Change<'_, R>) -> Result<(), RegistryError> {
    let keys: Vec<_> = change.after.external_ids().iter().map(external_key::<R>).collect();
    let old = match &change.before {
        Some(_) => change.work.externals_of((R::KIND, change.id)).await?,
        None => Vec::new(),
    };
    change.work.load_externals(&keys).await?;
    let mut taken = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let path = format!("{}.external_ids[{index}]", R::ROOT);
        if keys[..index].contains(key) {
            return Err(RegistryError::field(path, "twice"));
        }
        if change.work.external(key).await?.is_some_and(|other| other != change.id) {
            taken.push(Violation::new(path, "belongs to another record"));
        }
    }
    if !taken.is_empty() {
        return Err(RegistryError::AlreadyExists(taken));
    }
    for key in old.iter().filter(|key| !keys.contains(key)) {
        change.work.delete_external(key.clone());
    }
    for key in keys.into_iter().filter(|key| !old.contains(key)) {
        change.work.put_external(key, change.id);
    }
    Ok(())
}
