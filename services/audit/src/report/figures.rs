//! Published figures, counted again (A20).

use std::collections::BTreeMap;
use std::path::Path;

use convenio_agreement::lifecycle::Role;
use serde::Deserialize;

use super::ledger::{Counted, Ledger};
use super::{Asked, Gravity};
use crate::history::{History, ReplayedRecord, SubjectView};
use crate::replay::ActOutcome;

/// First member of the file.
const FORMAT: &str = "convenio-figures/v1";
/// Largest file, bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Most figures.
const MAX_FIGURES: usize = 10_000;

/// A published figure.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it counts: `records`, `accepted`, `rejected`, `placements`, `job_orders`, `agencies`, `state.<STATE>`
    /// (placements in it at the end, by the accepted records) or `act.<name>` (accepted acts of that name).
    pub name: String,
    /// The published number.
    pub value: u64,
    /// What it was rounded to before it was published, for example 5; 1 if it was not.
    #[serde(default = "one")]
    pub rounded_to: u64,
}

fn one() -> u64 {
    1
}

/// The file of published figures: `{"format": "convenio-figures/v1", "figures": [{"name": …, "value": …}, …]}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    format: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// What is wrong with a file of figures.
#[derive(Debug, thiserror::Error)]
pub enum FiguresError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Longer than 1 MiB.
    #[error("longer than 1 MiB")]
    TooLarge,
    /// Not its JSON form.
    #[error("not `{{\"format\": \"{FORMAT}\", \"figures\": [{{\"name\", \"value\"}}]}}`")]
    Form,
    /// A name that the audit does not count.
    #[error("figures[{0}].name: nothing that the audit counts")]
    Name(usize),
    /// Rounded to nothing.
    #[error("figures[{0}].rounded_to: must be 1 to 1000")]
    Rounding(usize),
}

impl Figures {
    /// Reads a file.
    ///
    /// # Errors
    /// [`FiguresError`].
    pub fn load(path: &Path) -> Result<Self, FiguresError> {
        if std::fs::metadata(path)?.len() > MAX_FILE {
            return Err(FiguresError::TooLarge);
        }
        Self::parse(&std::fs::read(path)?)
    }

    /// Reads its JSON.
    ///
    /// # Errors
    /// [`FiguresError`].
    pub fn parse(json: &[u8]) -> Result<Self, FiguresError> {
        if json.len() as u64 > MAX_FILE {
            return Err(FiguresError::TooLarge);
        }
        let file: Self = serde_json::from_slice(json).map_err(|_| FiguresError::Form)?;
        if file.format != FORMAT || file.figures.len() > MAX_FIGURES {
            return Err(FiguresError::Form);
        }
        for (at, figure) in file.figures.iter().enumerate() {
            if !is_counted(&figure.name) {
                return Err(FiguresError::Name(at));
            }
            if !(1..=1_000).contains(&figure.rounded_to) {
                return Err(FiguresError::Rounding(at));
            }
        }
        Ok(file)
    }
}

fn is_counted(name: &str) -> bool {
    let word = |word: &str| {
        (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    let plain = ["records", "accepted", "rejected", "placements", "job_orders", "agencies", "crews"].contains(&name);
    plain || name.split_once('.').is_some_and(|(kind, rest)| ["state", "act"].contains(&kind) && word(rest))
}

/// What the replay counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) by_name: Counted,
    /// Logs read.
    pub(super) logs: u64,
    /// Entries under a mirror's cosignature.
    pub(super) bounded: u64,
    /// Heads that the trust file pins.
    pub(super) pinned: u64,
    /// Entries that only their issuer has.
    pub(super) undelivered: u64,
    /// Published figures that do not reproduce, as `name: published ≠ counted`.
    pub(super) wrong: Vec<String>,
}

impl Counts {
    /// Counts one more under a name.
    pub(super) fn add(&mut self, name: &str) {
        *self.by_name.entry(name.to_owned()).or_default() += 1;
    }

    pub(super) fn record(&mut self, record: &ReplayedRecord) {
        self.add("records");
        match record.act.outcome {
            ActOutcome::Accepted => {
                self.add("accepted");
                self.add(&format!("act.{}", record.act.act));
            }
            ActOutcome::Rejected { .. } => self.add("rejected"),
            ActOutcome::Undecided => {}
        }
    }

    pub(super) fn subject(&mut self, history: &History) {
        match history.side(Role::Origin).or(history.side(Role::Destination)) {
            Some(SubjectView::Placement(view)) => {
                self.add("placements");
                self.add(&format!("state.{}", view.state));
            }
            Some(SubjectView::Order(_)) => self.add("job_orders"),
            Some(SubjectView::Agency(_)) => self.add("agencies"),
            Some(SubjectView::Crew(_)) => self.add("crews"),
            None => {}
        }
    }
}

/// Compares the published figures with the counted ones.
pub(super) fn tally(ledger: &mut Ledger, asked: &Asked) {
    let Some(figures) = &asked.figures else { return };
    let counted: BTreeMap<String, u64> = ledger.counts.by_name.clone();
    for figure in &figures.figures {
        let counted = counted.get(&figure.name).copied().unwrap_or_default();
        ledger.of("A20").examined += 1;
        let rounded = (counted + figure.rounded_to / 2) / figure.rounded_to * figure.rounded_to;
        if figure.value != rounded && ledger.gone > 0 {
            // What is gone may have been counted when the figure was published.
            ledger.of("A20").gone += 1;
        } else if figure.value != rounded {
            ledger.counts.wrong.push(format!("{}: {} ≠ {rounded}", figure.name, figure.value));
            ledger.of("A20").fail(Gravity::Serious, []);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_figures_that_are_counted_are_read() {
        let read = |figure: &str| {
            Figures::parse(format!("{{\"format\":\"convenio-figures/v1\",\"figures\":[{figure}]}}").as_bytes())
        };
        let good = read(r#"{"name":"state.EMPLOYED","value":40,"rounded_to":5}"#).unwrap();
        assert_eq!((good.figures[0].value, good.figures[0].rounded_to), (40, 5));
        assert!(matches!(read(r#"{"name":"wages","value":1}"#), Err(FiguresError::Name(0))));
        assert!(matches!(read(r#"{"name":"records","value":1,"rounded_to":0}"#), Err(FiguresError::Rounding(0))));
        for bad in
            [r#"{"name":"records"}"#, r#"{"name":"records","value":-1}"#, r#"{"name":"records","value":1,"x":1}"#]
        {
            assert!(matches!(read(bad), Err(FiguresError::Form)), "{bad}");
        }
    }
}
