//! Attempts that a gate refused here: nothing is issued, but the auditor is told how often.

use std::sync::Arc;

use convenio_agreement::lifecycle::Gate;
use convenio_exchange::journal::Actor;
use convenio_model::Ref;
use convenio_store::{Kind, ResourceRow, Store, StoreError, Work};
use prost::Message;
use tokio::sync::Mutex;

use crate::Registry;
use crate::error::{RefusedAct, RegistryError};
use crate::request::sha256;
use crate::row::decode;

/// Most rows; beyond, only those that exist count on.
const MAX_ROWS: u64 = 10_000;
/// Rows counted at a time.
const BATCH: u32 = 1000;
/// Gates whose refusals are findings.
const NOTED: [Gate; 5] =
    [Gate::TermsNotWorse, Gate::AgencyTwoLicences, Gate::SeatFree, Gate::QuotaFree, Gate::FeesLawful];

/// Refused attempts of one act at one gate, for one subject: the body of a row of [`Kind::Refusal`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct NotedRefusal {
    /// Agreement.
    #[prost(string, tag = "1")]
    pub agreement: String,
    /// Transition or fact.
    #[prost(string, tag = "2")]
    pub act: String,
    /// Gate that refused.
    #[prost(string, tag = "3")]
    pub gate: String,
    /// `agencies/<uuid>`, `jobOrders/<uuid>` or `placements/<uuid>`.
    #[prost(string, tag = "4")]
    pub subject: String,
    /// Fields concerned, in every attempt so far.
    #[prost(string, repeated, tag = "5")]
    pub field_paths: Vec<String>,
    /// Attempts.
    #[prost(uint64, tag = "6")]
    pub count: u64,
    /// The first, Unix ms.
    #[prost(uint64, tag = "7")]
    pub first_ms: u64,
    /// The last, Unix ms.
    #[prost(uint64, tag = "8")]
    pub last_ms: u64,
}

/// How many rows there are; none until they were counted.
pub(crate) type Rows = Arc<Mutex<Option<u64>>>;

impl Registry {
    /// Passes a result on, after counting a refusal that is a finding.
    pub(crate) async fn counting_refusals<T>(
        &self,
        actor: Actor,
        result: Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        if let Err(RegistryError::Refused(refused)) = &result
            && let Some(gate) = refused.refusal.built_in().filter(|gate| NOTED.contains(gate))
            && let Err(error) = self.refused(actor, refused, gate).await
        {
            // The answer is the refusal; that it was not counted is for the operator.
            tracing::warn!(gate = gate.as_str(), %error, "a refused attempt was not counted");
        }
        result
    }

    async fn refused(&self, actor: Actor, refused: &RefusedAct, gate: Gate) -> Result<(), RegistryError> {
        let mut rows = self.refusals().lock().await;
        let known = match *rows {
            Some(count) => count,
            None => count(&**self.core().store()).await?,
        };
        let noted = NotedRefusal {
            agreement: refused.agreement.clone(),
            act: refused.act.clone(),
            gate: gate.as_str().to_owned(),
            subject: refused.subject.clone(),
            field_paths: refused.refusal.detail().field_paths,
            count: 0,
            first_ms: 0,
            last_ms: 0,
        };
        let now_ms = self.core().clock().now_ms();
        let full = known >= MAX_ROWS;
        let job = self.core().write_as(actor, move |work| Box::pin(note(work, noted, now_ms, full)));
        let added = job.await?;
        *rows = Some(known + u64::from(added));
        Ok(())
    }
}

/// Counts one more; true if that took a new row.
async fn note(work: &mut Work, mut noted: NotedRefusal, now_ms: u64, full: bool) -> Result<bool, RegistryError> {
    let id = id_of(&noted);
    let known = work.resource((Kind::Refusal, id)).await?;
    if known.is_none() && full {
        return Ok(false);
    }
    let added = known.is_none();
    let before: NotedRefusal = match &known {
        Some(row) => decode(&row.body, "refusal")?,
        None => NotedRefusal { first_ms: now_ms, ..NotedRefusal::default() },
    };
    noted.field_paths.extend(before.field_paths);
    noted.field_paths.sort_unstable();
    noted.field_paths.dedup();
    noted.count = before.count.saturating_add(1);
    noted.first_ms = before.first_ms;
    noted.last_ms = now_ms;
    work.put_resource(ResourceRow {
        kind: Kind::Refusal,
        id,
        parent: None,
        revision: noted.count,
        created_ms: noted.first_ms,
        updated_ms: now_ms,
        body: noted.encode_to_vec(),
    });
    Ok(added)
}

/// The same for the same agreement, act, gate and subject.
fn id_of(noted: &NotedRefusal) -> Ref {
    let key = [&noted.agreement, &noted.act, &noted.gate, &noted.subject].map(String::as_str).join("|");
    let mut id = [0; 16];
    id.copy_from_slice(&sha256(&[key.as_bytes()])[..16]);
    Ref(id)
}

async fn count(store: &dyn Store) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0, None);
    loop {
        let rows = store.resources(Kind::Refusal, after, BATCH).await?;
        count += rows.len() as u64;
        match rows.last() {
            Some(last) if rows.len() >= BATCH as usize => after = Some(last.id),
            _ => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_known_by_what_and_whose_not_by_its_fields() {
        let noted =
            NotedRefusal { agreement: "a".into(), act: "b".into(), gate: "c".into(), ..NotedRefusal::default() };
        let fields = NotedRefusal { field_paths: vec!["x".into()], count: 7, ..noted.clone() };
        assert_eq!(id_of(&noted), id_of(&fields));
        assert_ne!(id_of(&noted), id_of(&NotedRefusal { subject: "d".into(), ..noted.clone() }));
    }
}
