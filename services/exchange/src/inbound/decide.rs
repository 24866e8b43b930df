//! Deciding: one OUTCOME for the RECORDs of a judged range. The log holds coarse reasons; gates and field paths travel in
//! the OUTCOME's own erasable part.

use convenio_agreement::act::{Detail, Refusal};
use convenio_agreement::plan::AcceptError;
use convenio_model::RecordId;
use convenio_store::{LogRow, RejectionRow, StoreError, Work};
use convenio_wire::exchange::v1::{Outcome, OutcomeDetail, Part, Reject, RejectDetail, statement::Body};
use prost::Message;

use crate::core::{Core, Exchange};
use crate::lane::Lane;
use crate::outbound::seal::{PartDraft, fresh_record_id, seal_parts, stage_statement};

/// Name of the message in an OUTCOME's part.
pub(crate) const DETAIL: &str = "convenio.exchange.v1.OutcomeDetail";
/// Retention class of that part.
pub(crate) const CLASS: &str = "record";
/// Bytes of field paths in one OUTCOME's details; past it the coarse reasons stand alone.
const MAX_PATHS: usize = 128 * 1024;

/// Why a record is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Coarse stable reason.
    pub reason: &'static str,
    /// What is told besides, in the erasable detail.
    pub detail: Detail,
}

impl Refused {
    /// A reason without details.
    #[must_use]
    pub fn plain(reason: &'static str) -> Self {
        Self { reason, detail: Detail::default() }
    }

    /// A message that the agreement does not accept.
    #[must_use]
    pub fn of_message(error: &AcceptError) -> Self {
        Self { reason: error.code(), detail: Detail { field_paths: error.paths(), ..Detail::default() } }
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self { reason: refusal.reason(), detail: refusal.detail() }
    }
}

/// Decision about one RECORD.
pub(crate) struct Verdict {
    pub index: u64,
    pub record_id: RecordId,
    pub refused: Option<Refused>,
}

/// Stages the OUTCOME of a range, if it holds any RECORD.
pub(crate) async fn outcome(
    work: &mut Work,
    core: &Core,
    exchange: &Exchange,
    lane: &Lane,
    begin: u64,
    end: u64,
    verdicts: &[Verdict],
) -> Result<(), StoreError> {
    if verdicts.is_empty() {
        return Ok(());
    }
    let refused: Vec<_> = verdicts.iter().filter_map(|v| Some((v, v.refused.as_ref()?))).collect();
    let log = work.log(lane.log)?.clone();
    let record_id = fresh_record_id(&core.sealer);
    let mut commitments = Vec::new();
    let mut parts = Vec::new();
    if !refused.is_empty() {
        let part = PartDraft { part: detail(exchange, &refused), subject: record_id };
        let sealed = seal_parts(work, &core.sealer, record_id, vec![part]).await.map_err(too_large)?;
        commitments = sealed.commitments;
        parts = sealed.stored;
    }
    let rejects = refused.iter().map(|(v, why)| Reject { index: v.index, reason: why.reason.to_owned() }).collect();
    let body = Body::Outcome(Outcome { epoch: log.epoch, begin, end, rejects, commitments });
    stage_statement(work, &core.sealer, exchange, record_id, body, None, parts).map_err(too_large)?;
    for (verdict, why) in &refused {
        work.push_rejection(RejectionRow {
            log: log.id,
            index: verdict.index,
            record_id: verdict.record_id,
            reason: why.reason.to_owned(),
        });
    }
    let decided = log.decided + verdicts.len() as u64;
    work.put_log(LogRow { decided, settled_records: decided, rejected: log.rejected + refused.len() as u64, ..log });
    Ok(())
}

fn detail(exchange: &Exchange, refused: &[(&Verdict, &Refused)]) -> Part {
    let mut room = MAX_PATHS;
    let rejects = refused.iter().map(|(verdict, why)| {
        let Detail { gate, clause, fact, field_paths } = why.detail.clone();
        let bytes: usize = field_paths.iter().map(String::len).sum();
        let fits = bytes <= room;
        room -= if fits { bytes } else { 0 };
        let field_paths = if fits { field_paths } else { Vec::new() };
        RejectDetail { index: verdict.index, gate, field_paths, clause, fact }
    });
    Part {
        agreement_digest: exchange.pack().digest().to_vec(),
        message_name: DETAIL.to_owned(),
        retention_class: CLASS.to_owned(),
        message: OutcomeDetail { rejects: rejects.collect() }.encode_to_vec(),
        ..Part::default()
    }
}

/// What cannot be staged fails the transaction.
pub(crate) fn too_large(error: crate::error::IssueError) -> StoreError {
    match error {
        crate::error::IssueError::Store(error) => error,
        other => StoreError::Failed(other.to_string()),
    }
}
