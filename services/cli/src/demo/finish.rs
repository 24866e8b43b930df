//! The end: both exchanges are exported and audited, and what happened is told.

use std::path::{Path, PathBuf};

use anyhow::Context;
use convenio_wire::node::v1::Exchange;
use serde::Serialize;

use super::judge::{self, Judgement};
use super::planted::Happened;
use super::play::Play;
use super::setup::{Layout, StateDir, convenio};

/// Log entries that are shown of one finding.
const SHOWN_PLACES: usize = 2;

/// What the demonstration came to.
pub struct Outcome {
    pub json: Summary,
    judgement: Judgement,
    told: Vec<Happened>,
}

/// The JSON object of `--output json`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Job orders and seats of the file only.
    job_orders: usize,
    seats: u64,
    /// Workers of the command line, and how many of them reached EMPLOYED.
    workers: usize,
    placed: usize,
    records_sv_to_ca: u64,
    records_ca_to_sv: u64,
    /// Records that are delivered.
    receipts: u64,
    accepted: u64,
    rejected: u64,
    findings: usize,
    /// `ok`, or what does not hold.
    audit: String,
    seconds: f64,
    /// Peak of the larger node.
    rss_mib: u64,
}

impl Outcome {
    /// Whether integrity holds on both sides and the findings are exactly those planted.
    pub fn ok(&self) -> bool {
        self.judgement.problems.is_empty()
    }
}

/// Ends both nodes, exports both bundles, audits them.
///
/// # Errors
/// A node does not end, or a bundle cannot be made or read.
pub async fn finish(play: &Play, layout: &Layout, placed: usize, told: Vec<Happened>) -> anyhow::Result<Outcome> {
    let season = &play.season;
    let (from_origin, from_destination) = tokio::try_join!(play.origin.exchange(), play.destination.exchange())?;
    tokio::try_join!(play.origin.stop(), play.destination.stop())?;
    let rss_mib = play.origin.peak_mib().await.max(play.destination.peak_mib().await);
    play.progress.line("Exporting both bundles and auditing them …");
    let judgement = audit(play, layout).await?;
    let both = |count: fn(&Exchange) -> u64| count(&from_origin) + count(&from_destination);
    let rejected = both(|e| e.own_rejected);
    let json = Summary {
        job_orders: season.csv_orders,
        seats: season.csv_seats,
        workers: season.workers.len(),
        placed,
        records_sv_to_ca: from_origin.own_records,
        records_ca_to_sv: from_destination.own_records,
        receipts: both(|e| e.delivered_records),
        accepted: both(|e| e.own_records) - both(|e| e.undecided_records) - rejected,
        rejected,
        findings: judgement.findings.len(),
        audit: if judgement.problems.is_empty() { "ok".to_owned() } else { judgement.problems.join("; ") },
        seconds: (play.progress.seconds() * 10.0).round() / 10.0,
        rss_mib,
    };
    Ok(Outcome { json, judgement, told })
}

/// Exports both bundles at once, then judges them.
async fn audit(play: &Play, layout: &Layout) -> anyhow::Result<Judgement> {
    let [one, other] = export(layout).await?;
    let (trust, season) = (layout.trust(), play.season.clone());
    tokio::task::spawn_blocking(move || judge::judge(&one, &other, &trust, &season)).await.context("the audit")?
}

/// Exports both bundles at once, the origin's first.
///
/// # Errors
/// One cannot be made.
pub async fn export(layout: &Layout) -> anyhow::Result<[PathBuf; 2]> {
    let exports = [&layout.origin, &layout.destination].map(|state| {
        let (config, out) = (state.config(), bundle(state));
        tokio::task::spawn_blocking(move || {
            convenio(|command| command.args(["bundle", "export", "--config"]).arg(config).arg("--out").arg(out))
        })
    });
    for export in exports {
        export.await.context("a process was not waited for")??;
    }
    Ok([bundle(&layout.origin), bundle(&layout.destination)])
}

fn bundle(state: &StateDir) -> PathBuf {
    state.dir.join("bundle")
}

/// Starts both nodes again, and says how to reach them.
///
/// # Errors
/// A node does not start.
pub async fn restart(play: &Play, layout: &Layout, packs: &Path) -> anyhow::Result<()> {
    tokio::try_join!(play.origin.start(), play.destination.start())?;
    play.progress.line("Both nodes are up:");
    for (side, state) in [(&play.origin, &layout.origin), (&play.destination, &layout.destination)] {
        let (address, tls) = (side.address().await?, state.dir.join("tls"));
        let tls = tls.display();
        play.progress.line(&format!("  {} at {address}", side.state.node));
        play.progress.line(&format!(
            "    buf curl --protocol grpc --schema {} --cacert {tls}/ca.pem --cert {tls}/integration.pem --key {tls}/integration.sk.pem \
             -d '{{}}' https://localhost:{}/convenio.node.v1.NodeService/ListExchanges",
            packs.parent().unwrap_or(packs).display(),
            address.port(),
        ));
    }
    play.progress.line("Ctrl-C ends them.");
    Ok(())
}

impl Outcome {
    /// The table at the end.
    pub fn table(&self, play: &Play, layout: &Layout) -> String {
        let json = &self.json;
        let (origin, destination) = (&play.origin.state.name, &play.destination.state.name);
        let mut lines = vec![
            String::new(),
            "What happened".to_owned(),
            row("job orders", &format!("{} real ones, {} seats", json.job_orders, json.seats)),
            row("workers", &format!("{} synthetic, {} placed, returned and closed", json.workers, json.placed)),
            row(&format!("{origin} → {destination}"), &format!("{} records", json.records_sv_to_ca)),
            row(&format!("{destination} → {origin}"), &format!("{} records", json.records_ca_to_sv)),
            row("receipts", &format!("{}: the partner's mirror holds them", json.receipts)),
            row("decided", &format!("{} accepted, {} rejected", json.accepted, json.rejected)),
            row("time, memory", &format!("{} s, the larger node's peak {} MiB", json.seconds, json.rss_mib)),
            String::new(),
            "Planted, by fictitious parties".to_owned(),
        ];
        lines.extend(self.told.iter().map(|h| row(h.violation.name(), &h.text)));
        lines.extend([String::new(), format!("Found by the audit: {}", self.judgement.findings.len())]);
        for finding in &self.judgement.findings {
            lines.push(row(finding.code, &format!("{} {}", finding.criterion, finding.condition)));
            let shown = finding.places.iter().take(SHOWN_PLACES).map(|p| format!("{}#{}", p.origin, p.index));
            lines.push(row("", &shown.collect::<Vec<_>>().join(", ")));
        }
        lines.extend([String::new(), format!("Audit: {}", json.audit), String::new(), "What to try next".to_owned()]);
        lines.extend(self.next(layout).into_iter().map(|command| format!("  {command}")));
        lines.join("\n")
    }

    fn next(&self, layout: &Layout) -> [String; 5] {
        let (one, other) = (bundle(&layout.origin), bundle(&layout.destination));
        let (one, other, trust) = (one.display(), other.display(), layout.trust());
        let (trust, audit) = (trust.display(), "cargo run --release --bin convenio-audit --");
        [
            format!("{audit} verify {one} --trust {trust}"),
            format!("{audit} compare {one} {other} --trust {trust}"),
            format!("{audit} report {one} {other} --trust {trust}"),
            "cargo run --release --bin convenio -- demo --without low-wage --seed 7".to_owned(),
            "cargo run --release --bin convenio -- demo --workers 5000 --stay".to_owned(),
        ]
    }
}

/// A line of a table.
pub fn row(name: &str, text: &str) -> String {
    format!("  {name:<24} {text}")
}
