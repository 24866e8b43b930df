//! Keys, signatures and secrecy: DSSE, key manifests, root signatures, commitments, entries and the vault of data keys.
//!
//! Everything that arrives is read strictly: one spelling for each value, a limit on each size, errors without values.

pub mod canonical;
pub mod commitment;
pub mod dsse;
pub mod epoch;
pub mod journal;
pub mod key;
pub mod manifest;
pub mod name;
pub mod order;
pub mod origin;
pub mod recovery;
pub mod root;
pub mod rotation;
pub mod signoff;
pub mod statement;
pub mod trust;
pub mod vault;

mod encoding;
mod file;

pub use commitment::commit;
pub use dsse::{DsseError, Envelope};
pub use epoch::{authorise_epoch, epoch_envelope, epoch_open_from, verify_epoch_open};
pub use journal::{JOURNAL_CLASS, JournalError, JournalOrigin, journal_entry, row_digest};
pub use key::{KeyError, PublicKey, SigningKey};
pub use manifest::{ManifestError, ManifestKeys, NodeKeys};
pub use origin::{BadOrigin, LogOrigin, log_origin};
pub use root::{Grounds, RatifiedBy, RootError, RootSet};
pub use root::{ratify_envelope, ratify_from, self_described_roots, sign_ratification, verify_ratify};
pub use signoff::{SignOffRefused, Uncounted, check_counts};
pub use statement::{EntryError, OpenEntry, open_entry, seal_entry, verify_entry};
pub use trust::{PinnedCheckpoint, TrustError, TrustFile, TrustedAgreement, TrustedNode, TrustedOffice};
pub use vault::{DataKeyId, Vault, VaultError, WrappingKey};
