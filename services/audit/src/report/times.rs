//! When the partner's mirror had which part of a log, by the cosignatures on the kept heads.

use convenio_log::SignedCheckpoint;
use convenio_seal::LogOrigin;

use crate::bundle::{Bundle, MAX_FILE, log_folder};
use crate::problem::Problems;

/// Signed heads that a bundle holds.
pub(super) fn heads(bundle: &Bundle) -> u64 {
    let kept = |name: &str| bundle.below(&format!("{}checkpoints/", log_folder(name))).count() as u64;
    bundle.manifest().logs.iter().map(|log| kept(&log.name) + 1).sum()
}

/// The mirror's cosignatures of one log: sizes ascending, each with the earliest time at which the mirror had that much.
#[derive(Debug, Clone, Default)]
pub(super) struct Cosigned {
    /// Size and Unix ms.
    heads: Vec<(u64, u64)>,
}

impl Cosigned {
    /// Reads the heads of a log from the bundles that hold it. They were verified before.
    pub(super) fn read<'b>(bundles: impl Iterator<Item = &'b Bundle>, log: &LogOrigin) -> Self {
        let name = log.to_string();
        let mut heads = Vec::new();
        for bundle in bundles {
            let folder = log_folder(&name);
            let kept = format!("{folder}checkpoints/");
            let latest = format!("{folder}checkpoint");
            let paths = bundle.below(&kept).map(str::to_owned).chain(bundle.lists(&latest).then_some(latest));
            for path in paths {
                let bytes = bundle.read(&path, MAX_FILE, &mut Problems::default());
                let signed = bytes.and_then(|bytes| SignedCheckpoint::parse(&bytes).ok());
                heads.extend(signed.and_then(|signed| Some((signed.checkpoint().size(), time(&signed, log)?))));
            }
        }
        heads.sort_unstable();
        // What had more of the log at some time had less of it then as well.
        let mut earliest = u64::MAX;
        for (_, time) in heads.iter_mut().rev() {
            earliest = earliest.min(*time);
            *time = earliest;
        }
        Self { heads }
    }

    /// When the mirror had the entry at the latest, Unix ms.
    pub(super) fn not_after(&self, index: u64) -> Option<u64> {
        let first = self.heads.partition_point(|(size, _)| *size <= index);
        self.heads.get(first).map(|(_, time)| *time)
    }

    /// The last time that any head tells, Unix ms.
    pub(super) fn last(&self) -> Option<u64> {
        self.heads.last().map(|(_, time)| *time)
    }
}

/// The earliest time of a cosignature by the recipient's mirror, Unix ms.
fn time(signed: &SignedCheckpoint, log: &LogOrigin) -> Option<u64> {
    let mirrors = signed.note().signatures().iter();
    let mirrors =
        mirrors.filter(|line| crate::keys::cosigner(line.name(), &log.recipient).is_some_and(|(mirror, _)| mirror));
    let seconds = |signature: &[u8]| signature.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
    mirrors.filter_map(|line| seconds(line.signature())).min().map(|seconds| seconds.saturating_mul(1_000))
}
