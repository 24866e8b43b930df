//! `convenio node retention`: what the node would erase by itself, by reference and count only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use convenio_model::{Clock, SystemClock};
use convenio_node::Config;

use crate::output::say;

/// Arguments of `convenio node retention`.
#[derive(Args, Debug)]
pub(super) struct RetentionArgs {
    /// The node's configuration, node.toml
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Look and change nothing; a running node erases by itself what is due, each hour
    #[arg(long, required = true)]
    dry_run: bool,
}

/// Runs `convenio node retention`.
pub(super) async fn run(args: RetentionArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let mut counts = BTreeMap::<(String, String), (u64, u64)>::new();
    for due in convenio_node::due(&config, SystemClock.now_ms()).await? {
        let held = if due.held { "  held" } else { "" };
        say(format_args!("due  {}  {}  placements/{}{held}", due.agreement, due.class, due.placement))?;
        let (all, kept) = counts.entry((due.agreement, due.class)).or_default();
        *all += 1;
        *kept += u64::from(due.held);
    }
    for ((agreement, class), (all, kept)) in counts {
        say(format_args!("{agreement}  {class}: {all} placements, {kept} of them held"))?;
    }
    Ok(())
}
