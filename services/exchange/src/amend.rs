//! Amendments while the exchange goes on: RATIFY of each party and ACTIVATE of the next version in the own log, in one
//! transaction; from the next entry on that version governs what this side issues. The partner's log changes over in its own
//! time: what crosses meanwhile is judged by the version under which it was issued.

use std::cell::OnceCell;
use std::sync::Arc;

use convenio_agreement::amendment::NoAmendment;
use convenio_agreement::pack::Pack;
use convenio_seal::dsse::Envelope;
use convenio_seal::root::{RootSet, ratify_from, verify_ratify};
use convenio_seal::signoff::check_counts;
use convenio_wire::exchange::v1::{Activate, statement::Body};
use futures::FutureExt;

use crate::bundle::Envelopes;
use crate::core::{Core, Exchange};
use crate::error::IssueError;
use crate::outbound::seal::{fresh_record_id, stage_statement};
use crate::version::Digest;

/// A version was not put in force; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// It cannot replace the version that is in force.
    #[error("agreement {agreement}: version {digest} does not amend the one in force: {why}")]
    Unfit {
        /// Agreement.
        agreement: String,
        /// Digest of the amendment, hexadecimal.
        digest: String,
        /// What it does not keep.
        why: NoAmendment,
    },
    /// More versions than one exchange holds.
    #[error("agreement {0}: too many versions")]
    TooMany(String),
    /// The entries do not fit, or the database failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// Whose ratification is wanted, and for which node.
pub(crate) struct By<'r> {
    pub node: &'r str,
    pub roots: &'r RootSet,
}

/// The ratifications of this very version by all of these that count now; the first party without one, and why.
pub(crate) fn ratified(
    files: &[Vec<u8>],
    pack: &Pack,
    all: &[By<'_>],
    now_ms: u64,
) -> Result<Envelopes, (String, String)> {
    let mut found = Vec::new();
    for By { node, roots } in all {
        let (party, uncounted) = (roots.party(), OnceCell::new());
        let rule = pack.ratification_rule(party);
        let holds = |file: &&Vec<u8>| {
            let said = Envelope::parse(file).ok().and_then(|envelope| ratify_from(&envelope).ok());
            let said = said.and_then(|ratify| verify_ratify(&ratify, roots).ok());
            let said = said.filter(|s| s.agreement == pack.agreement() && s.digest == pack.digest() && s.node == *node);
            let counts = said.map(|said| check_counts(&said, &rule, &[], Some(now_ms)));
            counts.is_some_and(|counts| counts.map_err(|why| uncounted.set(why)).is_ok())
        };
        let file = files.iter().find(holds).ok_or_else(|| {
            let none =
                || format!("no ratification of digest {} for node {node} by its roots", hex::encode(pack.digest()));
            let why = uncounted.get().map_or_else(none, |why| format!("{}: {why}", why.reason()));
            (party.to_owned(), why)
        })?;
        found.push((party.to_owned(), file.clone()));
    }
    Ok(found)
}

impl Core {
    /// Takes the next versions, as they were placed here: of each exchange the one that amends the version in force and that
    /// all parties ratified, then the one that amends that. One that is not ratified yet waits. Returns how many logs changed
    /// over.
    ///
    /// # Errors
    /// [`AmendError`]; what stands in the logs before it stays.
    pub async fn amend(self: &Arc<Self>, packs: &[Arc<Pack>], ratifications: &[Vec<u8>]) -> Result<usize, AmendError> {
        let mut changed = 0;
        for exchange in self.exchanges() {
            exchange.hold_amendments(packs, ratifications, self.sealer.clock.now_ms())?;
            while let Some(next) = exchange.next_version() {
                if !self.activate(exchange, next).await? {
                    break;
                }
                changed += 1;
            }
        }
        Ok(changed)
    }

    /// Stages the change of one log; false if it has changed already, or is frozen.
    async fn activate(self: &Arc<Self>, exchange: &Arc<Exchange>, digest: Digest) -> Result<bool, AmendError> {
        let (core, of) = (self.clone(), exchange.clone());
        let mut bodies = ratify_bodies(exchange.ratifications_of(&digest));
        bodies.push(Body::Activate(Activate { digest: digest.to_vec() }));
        let staged = self.write::<_, IssueError, _>(move |work| {
            async move {
                if of.next_version() != Some(digest) {
                    return Ok(false);
                }
                let own = work.log(of.own().log)?;
                if !own.alarm.is_empty() || own.closed {
                    tracing::warn!(agreement = of.pack().id(), "an amendment waits for the next epoch");
                    return Ok(false);
                }
                for body in bodies {
                    let id = fresh_record_id(&core.sealer);
                    stage_statement(work, &core.sealer, &of, id, body, None, Vec::new())?;
                }
                // The group behind these is under it; if it is not committed, the writer looks what the logs say.
                of.issue_under(&digest);
                Ok(true)
            }
            .boxed()
        });
        Ok(staged.await?)
    }
}

/// The entries of ratifications, as they are held.
pub(crate) fn ratify_bodies(ratifications: &[(String, Vec<u8>)]) -> Vec<Body> {
    let entry = |file: &[u8]| Envelope::parse(file).ok().and_then(|envelope| ratify_from(&envelope).ok());
    ratifications.iter().filter_map(|(_, file)| entry(file).map(Body::Ratify)).collect()
}

impl Exchange {
    /// Holds what follows the versions that are held and that all parties ratified.
    pub(crate) fn hold_amendments(
        &self,
        packs: &[Arc<Pack>],
        ratifications: &[Vec<u8>],
        now_ms: u64,
    ) -> Result<(), AmendError> {
        let both = [
            By { node: &self.own_node, roots: &self.own_roots },
            By { node: &self.partner_node, roots: &self.partner_roots },
        ];
        loop {
            let last = self.versions().next_back().map_or_else(Digest::default, Pack::digest);
            let next = packs.iter().find(|pack| pack.id() == self.pack().id() && pack.amends() == Some(last));
            let (Some(next), Some(before)) = (next, self.version(&last)) else { return Ok(()) };
            let agreement = || next.id().to_owned();
            next.may_replace(before).map_err(|why| {
                let digest = hex::encode(next.digest());
                AmendError::Unfit { agreement: agreement(), digest, why }
            })?;
            match ratified(ratifications, next, &both, now_ms) {
                Ok(found) => {
                    if !self.hold(next, found) {
                        return Err(AmendError::TooMany(agreement()));
                    }
                }
                Err((party, why)) => {
                    tracing::warn!(agreement = next.id(), party, why, "an amendment waits for a ratification");
                    return Ok(());
                }
            }
        }
    }

    /// The version that amends the one issued under.
    fn next_version(&self) -> Option<Digest> {
        let active = self.pack().digest();
        self.versions().find(|pack| pack.amends() == Some(active)).map(Pack::digest)
    }
}
