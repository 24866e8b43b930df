//! A lost disk: backups of a side, and its recovery from the other one by their treaty's roots.

use std::fs;
use std::sync::Arc;

use convenio_exchange::CoreParts;
use convenio_exchange::recovery::client::{Opened, Recovering, Refilled};
use convenio_exchange::recovery::serve::ServeError;
use convenio_seal::dsse::Envelope;
use convenio_seal::epoch::authorise_epoch;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::origin::log_origin;
use convenio_seal::recovery::{recovery_envelope, sign_recovery};
use convenio_store::StoreError;
use convenio_store_sqlite::SqliteStore;
use convenio_wire::exchange::v1::{EpochAuthorisation, Recovery, RecoveryRequest, RefillRequest, RefillResponse};
use prost::Message;
use tempfile::TempDir;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::link::Link;
use crate::pair::Pair;
use crate::side::Side;
use crate::treaty::{Party, SV_CA};

/// Files of a side, as they were.
pub struct Backup(TempDir);

impl Backup {
    /// No files.
    #[must_use]
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The same with those files of another backup whose names begin so, as what survived on another disk.
    #[must_use]
    pub fn with(self, other: &Self, prefix: &str) -> Self {
        for entry in fs::read_dir(other.0.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                fs::copy(entry.path(), self.0.path().join(entry.file_name())).unwrap();
            }
        }
        self
    }

    /// The same without those files.
    #[must_use]
    pub fn without(self, prefix: &str) -> Self {
        for entry in fs::read_dir(self.0.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        self
    }
}

/// What came of a recovery.
pub struct Recovered {
    /// What was refilled.
    pub refilled: Refilled,
    /// The epoch that was opened.
    pub opened: Opened,
    /// The side whose disk was lost, still running: a process thought dead.
    pub zombie: Side,
}

impl Party {
    /// Two of the root keys.
    #[must_use]
    pub fn roots_that_sign(&self) -> [&SigningKey; 2] {
        [&self.root_keys[0], &self.root_keys[2]]
    }

    /// A recovery request as the roots sign it.
    #[must_use]
    pub fn sign_request(&self, request: &RecoveryRequest) -> RefillRequest {
        let signed = sign_recovery(&recovery_envelope(request).unwrap(), &self.roots_that_sign()).unwrap();
        RefillRequest { payload: signed.payload, signatures: signed.signatures }
    }

    /// The authorisation of a later epoch.
    #[must_use]
    pub fn open_epoch(&self, to: &Party, epoch: u64, prev_size: u64, prev_root: Vec<u8>) -> Vec<u8> {
        self.open_epoch_by(to, epoch, prev_size, prev_root, (&self.keys, 1))
    }

    /// The same with keys of another manifest.
    #[must_use]
    pub fn open_epoch_by(
        &self,
        to: &Party,
        epoch: u64,
        prev_size: u64,
        prev_root: Vec<u8>,
        (keys, version): (&NodeKeys, u64),
    ) -> Vec<u8> {
        let authorisation = EpochAuthorisation {
            log_origin: log_origin(&self.node, SV_CA, &to.node, epoch),
            epoch,
            prev_size,
            prev_root,
            reason: "lost disk".to_owned(),
            key_manifest: keys.manifest(&self.party, &self.node, version).encode_to_vec(),
        };
        let signed: Envelope = authorise_epoch(&authorisation, &self.roots_that_sign()).unwrap();
        signed.to_json().into_bytes()
    }
}

impl Pair {
    /// Own party and the other's.
    fn parties(&self, origin: bool) -> (&Party, &Party) {
        let (o, d) = (&self.treaty.origin, &self.treaty.destination);
        if origin { (o, d) } else { (d, o) }
    }

    fn sides(&self, origin: bool) -> (&Side, &Side) {
        if origin { (&self.origin, &self.destination) } else { (&self.destination, &self.origin) }
    }

    /// Copies the files of a side that is not writing.
    #[must_use]
    pub fn backup(&self, origin: bool) -> Backup {
        let dir = tempfile::tempdir().unwrap();
        let from = self.sides(origin).0.dir.path();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if !entry.file_name().to_string_lossy().ends_with("-shm") {
                fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
            }
        }
        Backup(dir)
    }

    /// What a side opens with from a backup, or from nothing.
    pub async fn restored(&self, origin: bool, backup: Option<Backup>) -> (CoreParts, Arc<SqliteStore>, TempDir) {
        let dir = backup.map_or_else(|| tempfile::tempdir().unwrap(), |backup| backup.0);
        let (own, other) = self.parties(origin);
        let (parts, _, store) = Side::parts(&self.treaty, own, other, &self.clock, 77, dir.path()).await;
        (parts, store, dir)
    }

    /// The challenge that the other side gives.
    pub async fn challenge(&self, origin: bool) -> Recovery {
        let (own, _) = self.parties(origin);
        self.sides(origin).1.core.recovery_challenge(&own.node, SV_CA).await.unwrap()
    }

    /// Loses the disk of a side and recovers it from the other one; the line is up again then.
    pub async fn recover(&mut self, origin: bool, backup: Option<Backup>) -> Recovered {
        self.recover_after(origin, backup, async |_, _, _| {}).await
    }

    /// The same; `meanwhile` comes between the request and the refill that holds.
    pub async fn recover_after(
        &mut self,
        origin: bool,
        backup: Option<Backup>,
        meanwhile: impl AsyncFnOnce(&Self, &Recovering, &RecoveryRequest),
    ) -> Recovered {
        self.link.cut();
        let (parts, store, dir) = self.restored(origin, backup).await;
        let recovering = Recovering::open(parts.clone(), SV_CA).await.unwrap();
        let request = recovering.request(&self.challenge(origin).await, "lost disk");
        meanwhile(self, &recovering, &request).await;
        let refilled = self.refilled(origin, &recovering, &request).await.unwrap();
        let (own, other) = self.parties(origin);
        let file = own.open_epoch(other, refilled.epoch, refilled.prev_size, refilled.prev_root.clone());
        let opened = recovering.open_epoch(&file).await.unwrap();
        drop(recovering);
        let side = Side::start(parts.clone(), parts.vault.clone(), store, own, dir).await;
        let zombie = std::mem::replace(if origin { &mut self.origin } else { &mut self.destination }, side);
        self.link = Link::new(&self.origin.core, &self.destination.core);
        self.link.heal();
        Recovered { refilled, opened, zombie }
    }

    /// Has a request honoured by the other side and takes the refill.
    ///
    /// # Errors
    /// The other side's refusal.
    ///
    /// # Panics
    /// If the refill itself is refused.
    pub async fn refilled(
        &self,
        origin: bool,
        recovering: &Recovering,
        request: &RecoveryRequest,
    ) -> Result<Refilled, ServeError> {
        let answer = self.answer(origin, request).await?;
        Ok(recovering.refill(tokio_stream::iter(answer)).await.unwrap())
    }

    /// What the other side answers to a request.
    ///
    /// # Errors
    /// The other side's refusal.
    pub async fn answer(
        &self,
        origin: bool,
        request: &RecoveryRequest,
    ) -> Result<Vec<Result<RefillResponse, StoreError>>, ServeError> {
        let (own, _) = self.parties(origin);
        let partner: &Arc<convenio_exchange::Core> = &self.sides(origin).1.core;
        let answer = partner.refill(&own.node, own.sign_request(request)).await?;
        Ok(ReceiverStream::new(answer).collect().await)
    }
}
