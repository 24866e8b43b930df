//! The README's demo, judged by the JSON object on its last line.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{cannot_start, shown};
use crate::step::{Outcome, Step};
use crate::workspace::Workspace;

const SMALL_WORKERS: u64 = 100;
const FULL_WORKERS: u64 = 5000;
/// Of each corridor.
const CORRIDOR_WORKERS: u64 = 12;
/// Rows of `deploy/demo/job-orders.csv`.
const JOB_ORDERS: u64 = 1096;
/// Peak resident memory of the larger node, in MiB.
const MEMORY_LIMIT: u64 = 256;
/// At full size on two idle cores. A busy machine takes longer, so the figure is reported only.
const SECONDS_TARGET: f64 = 90.0;
/// A demo that prints nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(300);

/// The least demo that plants every violation; the oracles read what it exports.
pub const SMALL: Step =
    Step { name: "demo, small", run: |workspace| play(workspace, SMALL_WORKERS, &workspace.small_demo()) };

/// The demo at full size.
pub const FULL: Step = Step {
    name: "demo, full size",
    run: |workspace| play(workspace, FULL_WORKERS, &workspace.path("target/xtask/demo-full")),
};

/// Every other agreement's season with a few workers.
pub const CORRIDORS: Step = Step { name: "demo, every corridor", run: corridors };

fn corridors(workspace: &Workspace) -> Result<Outcome> {
    for id in seasons(workspace)? {
        let dir = workspace.path(&format!("target/xtask/demo-{id}"));
        if dir.exists() {
            fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        }
        let mut command = workspace.cargo("run --locked --release --bin convenio -- demo --output json");
        command.args(["--agreement", &id, "--workers", &CORRIDOR_WORKERS.to_string(), "--dir"]).arg(&dir);
        let summary: Value =
            serde_json::from_str(&last_line(&mut command)?).context("the demo's last line is not JSON")?;
        ensure!(summary["audit"] == "ok", "{id}: the audit is {}, not \"ok\"", summary["audit"]);
        let records = summary["records"].as_u64().unwrap_or_default();
        ensure!(records > CORRIDOR_WORKERS, "{id}: {records} records for {CORRIDOR_WORKERS} workers");
    }
    Ok(Outcome::Passed)
}

/// Agreements with a season to play and without a scenario of their own.
fn seasons(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.path("proto/agreements");
    let mut ids = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let id = entry.file_name().to_string_lossy().into_owned();
        let scenario = workspace.path(&format!("deploy/demo/{id}/scenario.toml"));
        if entry.path().join("examples/season.toml").is_file() && !scenario.exists() {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn play(workspace: &Workspace, workers: u64, dir: &Path) -> Result<Outcome> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    let mut command = workspace.cargo("run --locked --release --bin convenio -- demo --output json");
    command.args(["--workers", &workers.to_string(), "--dir"]).arg(dir);
    let summary: Value = serde_json::from_str(&last_line(&mut command)?).context("the demo's last line is not JSON")?;
    judge(&summary, workers)?;
    let seconds = summary["seconds"].as_f64().context("no number `seconds`")?;
    if workers == FULL_WORKERS {
        let met = if seconds < SECONDS_TARGET { "met" } else { "NOT met, on this machine now" };
        println!("{seconds:.1} s; target {SECONDS_TARGET} s on two idle cores: {met}");
    }
    Ok(Outcome::Passed)
}

/// Runs the demo, shows what it prints, and returns the last line of it.
fn last_line(command: &mut Command) -> Result<String> {
    println!("$ {}", shown(command));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let last = follow(&mut child)?;
    let status = child.wait()?;
    ensure!(status.success(), "the demo ended with {status}");
    last.context("the demo printed nothing")
}

fn follow(child: &mut Child) -> Result<Option<String>> {
    let stdout = child.stdout.take().context("no pipe to the demo")?;
    let (lines, incoming) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let mut last = None;
    loop {
        match incoming.recv_timeout(SILENCE) {
            Ok(line) => {
                println!("{line}");
                last = Some(line);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(last),
            Err(RecvTimeoutError::Timeout) => {
                child.kill()?;
                child.wait()?;
                bail!("the demo printed nothing for {} s", SILENCE.as_secs());
            }
        }
    }
}

/// Whether the summary says what the README promises.
fn judge(summary: &Value, workers: u64) -> Result<()> {
    ensure!(summary["audit"] == "ok", "the demo's audit is {}, not \"ok\"", summary["audit"]);
    let number =
        |name: &str| summary[name].as_u64().with_context(|| format!("the demo's summary has no whole number `{name}`"));
    for (name, expected) in [("job_orders", JOB_ORDERS), ("workers", workers)] {
        let found = number(name)?;
        ensure!(found == expected, "`{name}` is {found}, not {expected}");
    }
    for name in ["seats", "placed", "records_sv_to_ca", "records_ca_to_sv", "receipts"] {
        ensure!(number(name)? > 0, "`{name}` is 0");
    }
    for name in ["accepted", "rejected", "findings"] {
        ensure!(number(name)? > 0, "`{name}` is 0 although violations are planted");
    }
    let memory = summary["rss_mib"].as_f64().context("no number `rss_mib`")?;
    ensure!(memory < MEMORY_LIMIT as f64, "a node's memory peaked at {memory} MiB; the limit is {MEMORY_LIMIT}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn summary() -> Value {
        json!({
            "job_orders": 1096, "seats": 20000, "workers": 100, "placed": 100,
            "records_sv_to_ca": 700, "records_ca_to_sv": 1500, "receipts": 2200, "accepted": 2190,
            "rejected": 10, "findings": 4, "audit": "ok", "seconds": 3.25, "rss_mib": 61.5
        })
    }

    #[test]
    fn a_good_summary_passes_and_each_promise_broken_is_named() {
        judge(&summary(), 100).unwrap();
        for (name, value) in [
            ("audit", json!("failed")),
            ("job_orders", json!(1095)),
            ("workers", json!(99)),
            ("placed", json!(0)),
            ("findings", json!("4")),
            ("rss_mib", json!(256.0)),
        ] {
            let mut broken = summary();
            broken[name] = value;
            let error = judge(&broken, 100).unwrap_err().to_string();
            let said = if name == "rss_mib" { "memory" } else { name };
            assert!(error.contains(said), "{name}: {error}");
        }
    }

    #[test]
    fn the_last_line_counts_and_a_failure_is_one() {
        let line = last_line(Command::new("printf").arg("one\ntwo\n")).unwrap();
        assert_eq!(line, "two");
        let error = last_line(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("exit status: 1"));
    }
}
