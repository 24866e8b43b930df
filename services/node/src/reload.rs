//! Certificates, keys, authorities, revocation lists and the table of principals are read again while the node runs: on
//! SIGHUP, and when one of the files has changed. Material that cannot be used changes nothing and is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use convenio_exchange::Core;
use convenio_model::Clock;
use convenio_rpc::{Principals, PrincipalsError, Rpc};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError};
use crate::node::principals;
use crate::tls::{self, LiveTls};

/// How often the files are looked at, by the node's clock.
const LOOK: Duration = Duration::from_secs(30);
/// A revocation list that runs out sooner than this is an alarm.
const CRL_WARNING: Duration = Duration::from_secs(24 * 3600);

/// Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The configuration, or a file that it names, cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The table of principals does not hold.
    #[error(transparent)]
    Principals(#[from] PrincipalsError),
    /// The TLS configuration cannot be made.
    #[error(transparent)]
    Tls(#[from] tls::ConfigError),
    /// The node was started without a file.
    #[error("the configuration cannot be read again: {0}")]
    Unreadable(String),
}

/// What can be replaced in a running node.
pub(crate) struct Reload {
    path: PathBuf,
    live: Arc<LiveTls>,
    replace: Box<dyn Fn(Principals) + Send + Sync>,
    core: Arc<Core>,
}

impl Reload {
    pub(crate) fn new(path: PathBuf, live: Arc<LiveTls>, rpc: &Rpc, core: Arc<Core>) -> Self {
        Self { path, live, replace: rpc.replacer(), core }
    }

    /// Takes new keys and revocations that the own roots have signed.
    async fn change_keys(&self, config: &Config) {
        config.other_keys.iter().for_each(|keys| self.core.hold_keys(keys.clone()));
        for file in &config.key_changes {
            match self.core.change_keys(file).await {
                Ok(true) => info!("a change of keys stands in the logs"),
                Ok(false) => {}
                Err(problem) => warn!(reason = %problem, "a change of keys was not taken"),
            }
        }
    }

    /// Takes the orders about the agreements that the own roots have signed.
    async fn order(&self, config: &Config) {
        for file in &config.orders {
            match self.core.order(file).await {
                Ok(true) => info!("an order about an agreement stands in the log"),
                Ok(false) => {}
                Err(problem) => warn!(reason = %problem, "an order about an agreement was not taken"),
            }
        }
    }

    /// Takes the next versions of the agreements that were placed.
    async fn amend(&self, config: &Config) {
        match self.core.amend(&config.amendments, &config.ratifications).await {
            Ok(0) => {}
            Ok(logs) => info!(logs, "the next version of an agreement is in force"),
            Err(problem) => warn!(reason = %problem, "an amendment was not taken"),
        }
    }

    /// Reads everything again, and replaces what was read if all of it can be used.
    pub(crate) async fn reload(&self) -> Result<Vec<PathBuf>, ReloadError> {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || Config::load(&path)).await;
        let config = loaded.map_err(|error| ReloadError::Unreadable(error.to_string()))??;
        let table: Principals = principals(&config)?;
        // The table first: the connections are judged by both once the material is replaced.
        let watched = config.watched.clone();
        self.live.check(&config.tls)?;
        (self.replace)(table);
        self.change_keys(&config).await;
        self.amend(&config).await;
        self.order(&config).await;
        self.live.replace(config.tls)?;
        Ok(watched)
    }
}

/// Reloads on each message of `asked`, and on its own when a file has changed, until the node stops.
pub(crate) async fn keep_current(
    reload: Arc<Reload>,
    mut watched: Vec<PathBuf>,
    clock: Arc<dyn Clock>,
    mut asked: mpsc::Receiver<()>,
) {
    let mut seen = fingerprints(&watched).await;
    let mut told = CrlState::InForce;
    loop {
        told = tell_crl(&reload.live, clock.now_ms() / 1000, told);
        let by_signal = tokio::select! {
            asked = asked.recv() => match asked {
                Some(()) => true,
                None => return,
            },
            () = clock.sleep(LOOK) => false,
        };
        let now = fingerprints(&watched).await;
        if !by_signal && now == seen {
            continue;
        }
        seen = now;
        match reload.reload().await {
            Ok(files) => {
                info!("certificates, authorities, revocation lists and principals were read again");
                if files != watched {
                    watched = files;
                    seen = fingerprints(&watched).await;
                }
            }
            Err(problem) => warn!(reason = %problem, "nothing was read again: what is in force stays"),
        }
    }
}

/// Time of change, length and inode of each file; a file that is put in another's place differs in one of them.
async fn fingerprints(files: &[PathBuf]) -> Vec<Option<(u128, u64, u64)>> {
    let files = files.to_vec();
    let read = tokio::task::spawn_blocking(move || files.iter().map(|file| fingerprint(file)).collect());
    read.await.unwrap_or_default()
}

fn fingerprint(file: &Path) -> Option<(u128, u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(file).ok()?;
    let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((changed.as_nanos(), found.len(), found.ino()))
}

/// What was told of the revocation lists last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum CrlState {
    InForce,
    EndsSoon,
    Ended,
}

/// Tells once that a list is about to run out, and once that it has: from then on nobody of its domain is let in.
fn tell_crl(live: &LiveTls, now: u64, told: CrlState) -> CrlState {
    let ends = live.loaded().crl_ends();
    let Some((trust_domain, end)) = ends.into_iter().min_by_key(|(_, end)| *end) else { return CrlState::InForce };
    let state = match end.saturating_sub(now) {
        0 => CrlState::Ended,
        left if left < CRL_WARNING.as_secs() => CrlState::EndsSoon,
        _ => CrlState::InForce,
    };
    match state {
        CrlState::Ended if told != state => {
            error!(
                alarm = "CRL_EXPIRED",
                trust_domain, "a revocation list has run out: nobody of its domain is let in"
            );
        }
        CrlState::EndsSoon if told != state => {
            let hours = (end - now) / 3600;
            warn!(alarm = "CRL_EXPIRES_SOON", trust_domain, hours, "a revocation list is about to run out");
        }
        _ => {}
    }
    state
}
