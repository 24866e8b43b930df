//! Steps run in order, timed, the first failure ending the run.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::workspace::Workspace;

/// One thing that CI does.
pub struct Step {
    /// As the header prints it.
    pub name: &'static str,
    /// Does it; an error fails the run.
    pub run: fn(&Workspace) -> Result<Outcome>,
}

/// How a step that did not fail ended.
pub enum Outcome {
    /// Everything it stands for was done and holds.
    Passed,
    /// Not done, for this reason: printed, and counted apart.
    NotRun(String),
}

/// Runs `steps` until one fails. The last line printed counts them.
pub fn run_all(workspace: &Workspace, steps: &[Step]) -> ExitCode {
    let whole = stopwatch();
    let (mut passed, mut not_run) = (0, Vec::new());
    for (number, step) in (1..).zip(steps) {
        println!("\n==> [{number}/{}] {}", steps.len(), step.name);
        let watch = stopwatch();
        match (step.run)(workspace) {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("<== {}: ok in {}", step.name, seconds(watch()));
            }
            Ok(Outcome::NotRun(reason)) => {
                println!("<== {}: NOT RUN: {reason}", step.name);
                not_run.push(step.name);
            }
            Err(error) => {
                println!("<== {}: FAILED after {}\n\nerror: {error:#}\n", step.name, seconds(watch()));
                let rest: Vec<_> = steps[number..].iter().map(|step| step.name).collect();
                if !rest.is_empty() {
                    println!("not reached: {}", rest.join(", "));
                }
                println!("{}", closing_line(passed, 1, not_run.len()));
                return ExitCode::FAILURE;
            }
        }
    }
    println!("\nall in {}", seconds(whole()));
    if !not_run.is_empty() {
        println!("NOT RUN (reasons above): {}", not_run.join(", "));
    }
    println!("{}", closing_line(passed, 0, not_run.len()));
    ExitCode::SUCCESS
}

fn closing_line(passed: usize, failed: usize, not_run: usize) -> String {
    let skipped = if not_run > 0 { format!(", {not_run} skipped") } else { String::new() };
    format!("{passed} passed, {failed} failed{skipped}")
}

/// Time passed since the call; the only clock of the xtask.
#[allow(clippy::disallowed_methods, reason = "it times programs, and is none of the service")]
fn stopwatch() -> impl Fn() -> Duration {
    let start = Instant::now();
    move || start.elapsed()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::closing_line;

    #[test]
    fn the_closing_line_names_skipped_steps_only_where_there_are_some() {
        assert_eq!(closing_line(9, 0, 0), "9 passed, 0 failed");
        assert_eq!(closing_line(3, 1, 2), "3 passed, 1 failed, 2 skipped");
    }
}
