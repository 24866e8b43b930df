//! What the reader sees while it runs: bars on a terminal, plain lines otherwise.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use convenio_model::{Clock, SystemClock};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Where progress is shown.
#[derive(Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
    started_ms: u64,
}

/// Progress of one phase.
#[derive(Clone)]
pub struct Phase {
    shown: Progress,
    bar: Option<ProgressBar>,
    title: String,
    total: u64,
    done: Arc<AtomicU64>,
    started_ms: u64,
}

impl Progress {
    /// Bars if both outputs are a terminal.
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        Self { bars: terminal.then(MultiProgress::new), started_ms: SystemClock.now_ms() }
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        seconds(SystemClock.now_ms().saturating_sub(self.started_ms))
    }

    /// A line that stays, on standard output.
    pub fn line(&self, text: &str) {
        // A reader that is gone is no reason to stop.
        let written = || drop(writeln!(std::io::stdout(), "{text}"));
        match &self.bars {
            Some(bars) => bars.suspend(written),
            None => written(),
        }
    }

    /// Begins a phase of `total` steps.
    pub fn phase(&self, title: &str, total: usize) -> Phase {
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{msg:44} {bar:30} {pos:>6}/{len:6} {elapsed:>4}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            bars.add(ProgressBar::new(total as u64).with_style(style).with_message(title.to_owned()))
        });
        Phase {
            shown: self.clone(),
            bar,
            title: title.to_owned(),
            total: total as u64,
            done: Arc::default(),
            started_ms: SystemClock.now_ms(),
        }
    }
}

impl Phase {
    /// One more step is done.
    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Steps done so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends the phase: the bar gives way to a line.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.total > 0 {
            let took = seconds(SystemClock.now_ms().saturating_sub(self.started_ms));
            self.shown.line(&format!(
                "{:6.1} s  {:<44} {:>7} in {took:.1} s",
                self.shown.seconds(),
                self.title,
                self.done()
            ));
        }
    }
}

fn seconds(ms: u64) -> f64 {
    // Exact up to 2⁵³ ms.
    ms as f64 / 1_000.0
}
