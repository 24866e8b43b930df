//! `convenio agreement list`.

use anyhow::bail;
use convenio_agreement::pack::{self, Pack};

use super::FolderArgs;
use crate::output::say;

/// Prints id, digest and title of every pack of a folder.
///
/// # Errors
/// The folder, or the first pack that cannot be loaded.
pub(super) fn run(args: &FolderArgs) -> anyhow::Result<()> {
    let ids = pack::list(&args.agreements)?;
    if ids.is_empty() {
        bail!("{}: holds no pack", args.agreements.display());
    }
    for id in ids {
        let pack = Pack::load(&args.agreements, &id)?;
        say(format_args!("{id}  {}  {}", hex::encode(pack.digest()), pack.config().title))?;
    }
    Ok(())
}
