//! The file of an example, read strictly: what it cannot mean is refused with file and line before anything is called.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::calendar::Day;
use crate::value;

const MAX_FILE: u64 = 1024 * 1024;
/// Most steps of one part of a file.
const MAX_STEPS: usize = 400;
/// Most files of one agreement.
const MAX_FILES: usize = 64;
const SUFFIX: &str = ".toml";

/// An example, checked.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file, for messages.
    pub path: PathBuf,
    /// What it shows.
    pub title: String,
    /// Day that dates are counted from; `None` for [`Script::DAYS_AGO`] days before the day on which it is played.
    pub first_day: Option<Day>,
    /// Codes of the audit's findings that belong to the example; any other is a failure.
    pub findings: BTreeSet<String>,
    /// Before any worker, in order.
    pub once: Vec<Step>,
    /// For every worker, in order.
    pub each: Vec<Step>,
    /// For every worker, in order, after a party that had no node has joined; its variables go on.
    pub joined: Vec<Step>,
    /// After all workers, in order.
    pub finally: Vec<Step>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Step {
    /// Line of the file.
    pub line: usize,
    /// Party whose node is called.
    pub by: String,
    /// RPC of the registry, for example `CreateWorker`.
    pub call: String,
    /// Agreement that it is played under, where it is not the file's own.
    pub agreement: Option<String>,
    /// Variable that keeps the answer's `name`.
    pub save: Option<String>,
    /// The request as proto JSON, with variables.
    pub body: serde_json::Value,
    /// What must show before the call is made.
    pub when: Option<When>,
    /// The call must be refused at home.
    pub refused: Option<Expected>,
    /// The call is taken and crosses; the partner must reject it.
    pub rejected: Option<Expected>,
}

/// What the caller's own `GetPlacement` must show.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Name of the placement, with variables.
    pub placement: String,
    /// Accepted state.
    pub state: Option<String>,
    /// Disclosure stage.
    pub stage: Option<String>,
    /// Facts that stand, as `fact` or `party:fact`.
    #[serde(default)]
    pub facts: Vec<String>,
    /// Own acts that the partner has not decided.
    pub pending: Option<usize>,
}

/// How a call is refused; what is absent may be anything.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Stable reason.
    pub reason: String,
    /// Gate.
    pub gate: Option<String>,
    /// Key of the legal reference.
    pub clause: Option<String>,
    /// Fact that is missing, or stands and must not.
    pub fact: Option<String>,
    /// Field paths that must be among those told.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// A script that cannot be read, or that cannot mean anything.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file or folder cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A line cannot be used.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScriptFile {
    title: String,
    first_day: Option<Day>,
    #[serde(default)]
    findings: BTreeSet<String>,
    #[serde(default)]
    once: Vec<Spanned<StepFile>>,
    #[serde(default)]
    each: Vec<Spanned<StepFile>>,
    #[serde(default)]
    joined: Vec<Spanned<StepFile>>,
    #[serde(default)]
    finally: Vec<Spanned<StepFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepFile {
    by: String,
    call: String,
    agreement: Option<String>,
    save: Option<String>,
    #[serde(default)]
    body: toml::Table,
    when: Option<When>,
    refused: Option<Expected>,
    rejected: Option<Expected>,
}

/// The examples of an agreement, by name: the `.toml` files below `agreements/<id>/examples`. None if there is no folder.
///
/// # Errors
/// [`ScriptError::Unreadable`], or more files than an agreement may have.
pub fn list(agreements: &Path, id: &str) -> Result<Vec<PathBuf>, ScriptError> {
    let dir = agreements.join(id).join("examples");
    let failed = |source| ScriptError::Unreadable { path: dir.clone(), source };
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(SUFFIX)) {
            files.push(path);
        }
    }
    if files.len() > MAX_FILES {
        return Err(failed(std::io::Error::other(format!("more than {MAX_FILES} examples"))));
    }
    files.sort_unstable();
    Ok(files)
}

impl Script {
    /// How long before the day of the play its first day lies, where the file names none: long enough that a whole season
    /// is past when it is recorded.
    pub const DAYS_AGO: i64 = 300;

    /// Reads a file.
    ///
    /// # Errors
    /// The first [`ScriptError`].
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let failed = |source| ScriptError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let read = fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
        if read.map_err(failed)? as u64 > MAX_FILE {
            return Err(failed(std::io::Error::other(format!("larger than {MAX_FILE} bytes"))));
        }
        Self::parse(path, &text)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first [`ScriptError`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let line_of = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        let refused = |line, problem: String| ScriptError::Line { path: path.to_owned(), line, problem };
        let file: ScriptFile = toml::from_str(text).map_err(|error| {
            refused(error.span().map_or(1, |span| line_of(span.start)), error.message().trim().to_owned())
        })?;
        let step = |step: Spanned<StepFile>| {
            let line = line_of(step.span().start);
            Step::checked(line, step.into_inner()).map_err(|problem| refused(line, problem))
        };
        let part = |steps: Vec<Spanned<StepFile>>| {
            if steps.len() > MAX_STEPS {
                return Err(refused(1, format!("more than {MAX_STEPS} steps")));
            }
            steps.into_iter().map(step).collect::<Result<Vec<_>, _>>()
        };
        let (once, each) = (part(file.once)?, part(file.each)?);
        let (joined, finally) = (part(file.joined)?, part(file.finally)?);
        let mut known = BTreeSet::new();
        for part in [&once, &each, &joined, &finally] {
            for step in part {
                step.variables(&mut known).map_err(|problem| refused(step.line, problem))?;
            }
        }
        // A worker's own variables end with the worker.
        let mut general: BTreeSet<String> = once.iter().filter_map(|step| step.save.clone()).collect();
        for step in &finally {
            step.variables(&mut general).map_err(|problem| refused(step.line, problem))?;
        }
        let path = path.to_owned();
        Ok(Self {
            path,
            title: file.title,
            first_day: file.first_day,
            findings: file.findings,
            once,
            each,
            joined,
            finally,
        })
    }

    /// All steps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.once.iter().chain(&self.each).chain(&self.joined).chain(&self.finally)
    }

    /// Agreements besides its own that steps are played under.
    #[must_use]
    pub fn siblings(&self) -> BTreeSet<String> {
        self.steps().filter_map(|step| step.agreement.clone()).collect()
    }
}

impl Step {
    fn checked(line: usize, file: StepFile) -> Result<Self, String> {
        let name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        if let Some(save) = &file.save
            && (!name(save) || value::is_built_in(save))
        {
            return Err(format!("save: {save:?} is no name for a variable"));
        }
        if file.refused.is_some() && (file.rejected.is_some() || file.save.is_some()) {
            return Err("what is refused at home neither crosses nor answers with a name".to_owned());
        }
        let body = serde_json::to_value(&file.body).map_err(|error| format!("body: {error}"))?;
        Ok(Self {
            line,
            by: file.by,
            call: file.call,
            agreement: file.agreement,
            save: file.save,
            body,
            when: file.when,
            refused: file.refused,
            rejected: file.rejected,
        })
    }

    /// Every variable must be known here; what the step saves is known afterwards.
    fn variables(&self, known: &mut BTreeSet<String>) -> Result<(), String> {
        value::check(&self.body, known)?;
        if let Some(when) = &self.when {
            value::check(&serde_json::Value::from(when.placement.as_str()), known)?;
        }
        known.extend(self.save.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Script, String> {
        Script::parse(Path::new("x.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_script_is_read() {
        let script = parsed(
            "title = \"t\"\nfirst_day = \"2026-01-05\"\n[[once]]\nby = \"ca\"\ncall = \"CreateEmployer\"\nsave = \"employer\"\n\
             body = { employer = { legal_name = \"x\", n = 3 } }\n\n[[each]]\nby = \"sv\"\ncall = \"CreateWorker\"\n\
             [each.body.worker]\ngiven_names = \"${given} of ${employer}\"\nbirth_date = \"${birth}\"\nat = \"${date:-3}\"\n",
        );
        let script = script.expect("a good file");
        assert_eq!((script.once.len(), script.each.len()), (1, 1));
        assert_eq!((script.once[0].line, script.each[0].line), (3, 9));
        assert_eq!(script.once[0].body["employer"]["n"], 3);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        let step = "title = \"t\"\n[[each]]\nby = \"sv\"\ncall = \"A\"\n";
        let cases = [
            ("title = 3\n".to_owned(), "x.toml:1: "),
            ("[[once]]\nby = \"a\"\ncall = \"b\"\n".to_owned(), "missing field `title`"),
            (format!("{step}unknown = 1\n"), "x.toml:5: unknown field `unknown`"),
            (
                format!("{step}body = {{ a = \"${{nobody}}\" }}\n"),
                "x.toml:2: ${nobody}: no step before this one saves it",
            ),
            (format!("{step}body = {{ a = \"x ${{date:+1}}\" }}\n"), "${date:+1}: must stand alone"),
            (format!("{step}body = {{ a = \"${{date:soon}}\" }}\n"), "${date:soon}: not a number of days"),
            (format!("{step}body = {{ a = \"${{given\" }}\n"), "a `${` without its `}`"),
            (format!("{step}save = \"given\"\n"), "\"given\" is no name"),
            (format!("{step}save = \"x\"\nrefused = {{ reason = \"GATE\" }}\n"), "neither crosses"),
            (
                format!("{step}save = \"x\"\n[[finally]]\nby = \"sv\"\ncall = \"A\"\nbody = {{ a = \"${{x}}\" }}\n"),
                "x.toml:6: ${x}",
            ),
        ];
        for (text, wanted) in cases {
            let said = parsed(&text).expect_err(wanted);
            assert!(said.contains(wanted), "{said} lacks {wanted}");
        }
    }
}
