//! `convenio-audit journal`.

use std::path::PathBuf;

use convenio_audit::journal::{Accesses, JournalReport, accesses, check_journal};
use convenio_audit::{Unusable, load_trust};

use super::{FINDINGS, With, held};

/// Arguments of `convenio-audit journal`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the bundle.
    bundle: PathBuf,
    /// Folder of the partner's bundle, whose witness saw the journal's heads.
    #[arg(conflicts_with = "reads")]
    partner: Option<PathBuf>,
    /// Tell who read or changed this instead, for example workers/<uuid>; without a subject, every access.
    #[arg(long, value_name = "SUBJECT", num_args = 0..=1)]
    reads: Option<Option<String>>,
    #[command(flatten)]
    with: With,
}

/// Compares the registry's rows with the journal, or tells who read whom; the exit code.
pub fn run(args: Args) -> Result<u8, Unusable> {
    let (trust, options) = (load_trust(&args.with.trust)?, args.with.work.options());
    if let Some(subject) = &args.reads {
        let found = accesses(&args.bundle, &trust, subject.as_deref(), &options)?;
        args.with.output.show(&found, Accesses::text);
        return Ok(held(found.holds));
    }
    let found = check_journal(&args.bundle, args.partner.as_deref(), &trust, &options)?;
    args.with.output.show(&found, JournalReport::text);
    Ok(if found.problem_count == 0 && found.finding_count > 0 { FINDINGS } else { held(found.holds) })
}
