//! Log lines: JSON, one event a line, to standard error or a file. No personal data is ever logged.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogConfig;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be appended to.
    #[error("{path}: cannot be written: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The directives are malformed.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// This process logs already.
    #[error("logging is set up already")]
    Twice,
}

/// Sets up logging for the whole process: only a binary calls this, once. `directives`, such as the variable `RUST_LOG`
/// holds them (`warn,convenio=debug`), take the place of the configured level.
///
/// # Errors
/// [`LogError`].
pub fn init(config: &LogConfig, directives: Option<&str>) -> Result<(), LogError> {
    // Libraries tell only what is wrong.
    let filter: Targets = match directives {
        Some(text) => text.parse()?,
        None => Targets::new().with_default(tracing::Level::WARN).with_target("convenio", config.level),
    };
    match &config.file {
        None => start(filter, std::io::stderr),
        Some(path) => {
            let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
            start(filter, Mutex::new(file.map_err(|source| LogError::File { path: path.clone(), source })?))
        }
    }
}

fn start<W>(filter: Targets, writer: W) -> Result<(), LogError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(writer);
    tracing_subscriber::registry().with(lines).with(filter).try_init().map_err(|_| LogError::Twice)
}
