//! Receipts.

use std::path::PathBuf;

use convenio_audit::receipt::Receipt;
use convenio_audit::{Audit, Unusable, load_trust, receipt};

use super::{BROKEN, HOLDS, Output, Work, held, put};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Folders of one or two bundles.
    #[arg(num_args = 1..=2, required_unless_present = "check", conflicts_with = "check")]
    bundles: Vec<PathBuf>,
    /// Record to be proved, 32 hexadecimal digits.
    #[arg(long, required_unless_present = "check", conflicts_with = "check")]
    record: Option<String>,
    /// Put the record's parts into the receipt: it then carries personal data.
    #[arg(long, conflicts_with = "check")]
    with_parts: bool,
    /// File to be written; stdout without it.
    #[arg(long, conflicts_with = "check")]
    out: Option<PathBuf>,
    /// A receipt to be checked, by the trust file alone.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Trust file: agreement digests, root keys, pinned checkpoints.
    #[arg(long)]
    trust: PathBuf,
    /// Form of what a check answers.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    work: Work,
}

pub(super) fn run(args: Args) -> Result<u8, Unusable> {
    let trust = load_trust(&args.trust)?;
    if let Some(file) = &args.check {
        let receipt = Receipt::load(file)?;
        return Ok(match receipt::check(&receipt, &trust) {
            Ok(found) => {
                args.output.show(&found, text);
                HOLDS
            }
            Err(refused) => {
                eprintln!("convenio-audit: {}: {refused}", file.display());
                BROKEN
            }
        });
    }
    let id = args.record.as_deref().and_then(|id| hex::decode(id.replace('-', "")).ok());
    let Some(id) = id.and_then(|id| <[u8; 16]>::try_from(id).ok()) else {
        let problem = "a record is named by 32 hexadecimal digits".to_owned();
        return Err(Unusable::Form { path: PathBuf::from("--record"), problem });
    };
    let second = args.bundles.get(1).map(PathBuf::as_path);
    let audit = Audit::open(&args.bundles[0], second, &trust, &args.work.options())?;
    let Some(receipt) = receipt::prove(&audit, &id, args.with_parts)? else {
        eprintln!("convenio-audit: the integrity does not hold, or no mirror cosigned a log with that record");
        return Ok(BROKEN);
    };
    match &args.out {
        None => put(receipt.to_json().trim_end()),
        Some(path) => {
            std::fs::write(path, receipt.to_json()).map_err(|source| Unusable::Io { path: path.clone(), source })?
        }
    }
    Ok(held(true))
}

fn text(found: &receipt::CheckedReceipt) -> String {
    let pinned = if found.pinned { ", pinned" } else { "" };
    format!(
        "record {} stands at {} #{}\n  issued by {} ({}) for {} ({}), stated {}\n  mirrored by {} at the latest at {} ({} entries{pinned})\n  \
         agreement {}; {} of {} parts in the receipt match\n  delivered is not decided: an OUTCOME in the recipient's log decides",
        found.record_id,
        found.place.origin,
        found.place.index,
        found.issuer,
        found.issuer_party,
        found.recipient,
        found.recipient_party,
        found.stated,
        found.mirror,
        found.mirrored,
        found.size,
        found.digest,
        found.parts,
        found.commitments
    )
}
