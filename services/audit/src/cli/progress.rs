//! The progress bar on stderr, if that is a terminal.

use std::io::IsTerminal;
use std::sync::Arc;

use convenio_audit::{OnProgress, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// What an audit tells its progress to; none if nobody would see it.
pub(super) fn bar() -> Option<OnProgress> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg:>8} {wide_bar} {human_pos}/{human_len} {eta}") {
        bar.set_style(style);
    }
    let told = move |progress: Progress| {
        bar.set_message(progress.step);
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        if progress.done >= progress.total {
            bar.finish_and_clear();
        }
    };
    Some(Arc::new(told))
}
