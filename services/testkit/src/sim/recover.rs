//! Disks that are lost, backups that are restored, and what the partner gives back.

use std::collections::BTreeSet;
use std::fs;

use convenio_exchange::recovery::client::{Recovering, Refilled};
use convenio_model::Ref;
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::origin::log_origin;
use convenio_seal::recovery::{recovery_envelope, sign_recovery};
use convenio_wire::exchange::v1::{EpochAuthorisation, RefillRequest};
use futures::StreamExt;
use prost::Message;
use tokio_stream::wrappers::ReceiverStream;

use super::run::copy;
use super::watch::{Violation, need};
use super::world::World;

/// Recoveries of one state in a run at most.
const LOSSES: u32 = 2;

impl World {
    /// A state's folder is copied, while its process does not run.
    ///
    /// # Errors
    /// Why it does not start again.
    pub(super) async fn backup(&mut self, state: usize) -> Result<Vec<usize>, Violation> {
        self.ended(state).await;
        let saved = self.surviving(state);
        let own = &mut self.states[state];
        let to = own.dir.with_extension("backup");
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).map_err(|e| e.to_string())?;
        copy(&own.dir, &to);
        own.saved = Some(saved);
        self.begun(state).await?;
        Ok(vec![state])
    }

    /// What stands in a state's own logs now: it must survive where a copy of it does.
    fn surviving(&self, state: usize) -> BTreeSet<Ref> {
        let ends = self.accord.links_of(state).map(|(link, origin)| &self.watch.links[link][usize::from(!origin)]);
        ends.flat_map(|end| end.lasting(end.own.len() as u64)).collect()
    }

    /// A state's disk is lost; its last backup is restored if there is one and it shall be. Its partners give back what
    /// they mirrored, and it opens the epochs that they grant. `broken` says what goes wrong on the way.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn lose(&mut self, state: usize, backup: bool, broken: u8) -> Result<Vec<usize>, Violation> {
        if self.states[state].losses >= LOSSES {
            return Ok(Vec::new());
        }
        self.states[state].losses += 1;
        let links: Vec<_> = self.accord.links_of(state).collect();
        let mut lasting = self.states[state].saved.clone().filter(|_| backup).unwrap_or_default();
        for (link, origin) in &links {
            let [a, b] = &self.watch.links[*link];
            let (own, other) = if *origin { (a, b) } else { (b, a) };
            lasting.extend(own.lasting(other.mirrored));
        }
        self.ended(state).await;
        let own = &mut self.states[state];
        let saved = own.dir.with_extension("backup");
        fs::remove_dir_all(&own.dir).and_then(|()| fs::create_dir(&own.dir)).map_err(|e| e.to_string())?;
        if backup && own.saved.is_some() {
            copy(&saved, &own.dir);
        }
        self.last[state] = None;
        for (link, origin) in &links {
            self.cursors[*link] = 0;
            self.recover(state, *link, *origin, broken).await.map_err(|what| format!("recovery: {what}"))?;
        }
        for (link, origin) in &links {
            self.watch.lost(*link, *origin);
        }
        self.begun(state).await?;
        self.look(&[]).await?;
        let now = self.surviving(state);
        need(lasting.is_subset(&now), || {
            format!("lost what survived in a backup or at a partner: {:?}", lasting.difference(&now))
        })?;
        Ok((0..self.states.len()).collect())
    }

    async fn recover(&mut self, state: usize, link: usize, origin: bool, broken: u8) -> Result<(), Violation> {
        let agreement = self.accord.links[link].0.id().to_owned();
        let partner = self.accord.partner(link, origin);
        let node = self.accord.parties[state].node.clone();
        let mut recovering = self.recovering(state, &agreement).await?;
        if broken == 1 {
            // A challenge that nobody signed is replaced by the next.
            self.states[partner].core().recovery_challenge(&node, &agreement).await.map_err(|e| e.to_string())?;
        }
        let given = self.states[partner].core().recovery_challenge(&node, &agreement).await;
        let said = recovering.request(&given.map_err(|e| e.to_string())?, "disk-lost");
        let signed =
            recovery_envelope(&said).and_then(|file| sign_recovery(&file, &self.accord.parties[state].signers()));
        let signed = signed.map_err(|e| e.to_string())?;
        let request = RefillRequest { payload: signed.payload.clone(), signatures: signed.signatures.clone() };
        if broken == 2 || broken == 3 {
            // The answer is lost, from the beginning or in its midst; the same request comes again.
            let answer = self.states[partner].core().refill(&node, request.clone()).await.map_err(|e| e.to_string())?;
            if broken == 3 {
                let cut = recovering.refill(ReceiverStream::new(answer).take(2)).await;
                need(cut.is_err(), || "took half an answer for a whole one".to_owned())?;
            }
        }
        let answer = self.states[partner].core().refill(&node, request).await.map_err(|e| e.to_string())?;
        let refilled = recovering.refill(ReceiverStream::new(answer)).await.map_err(|e| e.to_string())?;
        if broken == 4 {
            drop(recovering);
            self.states[state].end().await;
            recovering = self.recovering(state, &agreement).await?;
        }
        let file = self.authorisation(state, link, origin, &refilled)?;
        recovering.open_epoch(&file).await.map_err(|e| e.to_string())?;
        self.states[state].openings.push(file);
        drop(recovering);
        self.states[state].end().await;
        Ok(())
    }

    async fn recovering(&mut self, state: usize, agreement: &str) -> Result<Recovering, Violation> {
        // What its partner has changed over to must be placed before it is refilled.
        self.states[state].amended |= self.states.iter().any(|state| state.amended);
        let parts = self.states[state].opened(&self.accord).await?;
        Recovering::open(parts, agreement).await.map_err(|e| e.to_string())
    }

    fn authorisation(&self, state: usize, link: usize, origin: bool, of: &Refilled) -> Result<Vec<u8>, Violation> {
        let (own, other) = (&self.accord.parties[state], &self.accord.parties[self.accord.partner(link, origin)]);
        let (version, keys) = self.states[state].latest_keys(own);
        let said = EpochAuthorisation {
            log_origin: log_origin(&own.node, self.accord.links[link].0.id(), &other.node, of.epoch),
            epoch: of.epoch,
            prev_size: of.prev_size,
            prev_root: of.prev_root.clone(),
            reason: "disk-lost".to_owned(),
            key_manifest: keys.manifest(&own.party, &own.node, version).encode_to_vec(),
        };
        Ok(authorise_epoch(&said, &own.signers()).map_err(|e| e.to_string())?.to_json().into_bytes())
    }
}
