//! `convenio agreement check`.

use super::PackArgs;
use crate::output::say;

/// Loads a pack with every check and says what it is.
///
/// # Errors
/// What the loader refuses: file, line and key.
pub(super) fn run(args: &PackArgs) -> anyhow::Result<()> {
    let pack = args.load()?;
    let parties: Vec<_> = pack.parties().iter().map(|party| party.id.as_str()).collect();
    say(format_args!("ok  {}  {}", pack.id(), pack.config().title))?;
    say(format_args!("ok  digest {}", hex::encode(pack.digest())))?;
    say(format_args!(
        "ok  parties {}, {} files, {} messages that may cross",
        parties.join(" and "),
        pack.files().iter().count(),
        pack.messages().count()
    ))
}
