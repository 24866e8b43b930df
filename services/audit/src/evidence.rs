//! What the exporter says it refused locally: the word of one side, which no log holds.

use serde::{Deserialize, Serialize};

use crate::bundle::REFUSALS;
use crate::problem::{Check, Problem, Problems};

/// Largest statement of refusals, bytes.
pub(crate) const MAX_REFUSALS: u64 = 64 * 1024 * 1024;

/// Attempts that one node refused before anything left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalRefusal {
    /// Agreement.
    pub agreement: String,
    /// Act that was attempted.
    pub act: String,
    /// Gate that refused; empty if none did.
    pub gate: String,
    /// Resource name.
    pub subject: String,
    /// Fields concerned.
    pub field_paths: Vec<String>,
    /// Attempts.
    pub count: u64,
    /// First attempt, Unix ms.
    pub first_ms: u64,
    /// Last attempt, Unix ms.
    pub last_ms: u64,
}

pub(crate) fn parse(bytes: &[u8], problems: &mut Problems) -> Vec<LocalRefusal> {
    let mut found = Vec::new();
    if bytes.is_empty() {
        return found;
    }
    let Some(lines) = bytes.strip_suffix(b"\n") else {
        problems.push(Problem::new(Check::Evidence, "does not end in a newline").at(REFUSALS));
        return found;
    };
    for (line, number) in lines.split(|byte| *byte == b'\n').zip(1u64..) {
        match serde_json::from_slice(line) {
            Ok(refusal) => found.push(refusal),
            Err(_) => {
                let text = format!("line {number} is no refusal");
                problems.push(Problem::new(Check::Evidence, text).at(REFUSALS));
            }
        }
    }
    found
}
