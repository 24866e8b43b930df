//! Programs that play any number of cases from a seed: `cargo xtask mutations`, and the golden bundles.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::process::run;
use crate::workspace::Workspace;

/// Random changes of valid bundles, each to be found where it was made; `--count N --seed S --valid M`.
pub fn mutations(workspace: &Workspace, arguments: &[String]) -> ExitCode {
    ended(numbers(arguments, &[("--seed", 1), ("--valid", 100), ("--count", 1_000)]).and_then(|numbers| {
        let words: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let mut play = workspace.cargo("test --locked --release -p convenio-audit --test it");
        play.args(["mutations::mutations_in_any_number", "--", "--exact", "--ignored", "--nocapture"]);
        run(play.env("MUTATIONS", words.join(" ")))
    }))
}

/// Writes the golden bundles of the present format anew, when a release changes it.
pub fn golden(workspace: &Workspace) -> ExitCode {
    let mut write = workspace.cargo("test --locked -p convenio-audit --test it");
    write.args(["golden::write", "--", "--exact", "--ignored", "--nocapture"]);
    ended(run(&mut write))
}

/// The numbers behind their names, in the order of `known`; each defaults to what stands there.
fn numbers(arguments: &[String], known: &[(&str, u64)]) -> Result<Vec<u64>> {
    let mut numbers: Vec<u64> = known.iter().map(|(_, default)| *default).collect();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let at = known.iter().position(|(name, _)| name == word);
        match (at, words.next().and_then(|number| number.parse().ok())) {
            (Some(at), Some(number)) => numbers[at] = number,
            _ => bail!(
                "`{word}` is not one of {:?} with a number",
                known.iter().map(|(name, _)| name).collect::<Vec<_>>()
            ),
        }
    }
    Ok(numbers)
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn numbers_stand_behind_their_names() {
        let known = [("--seed", 1), ("--count", 7)];
        let read = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            numbers(&words, &known).ok()
        };
        assert_eq!(read(""), Some(vec![1, 7]));
        assert_eq!(read("--count 9 --seed 3"), Some(vec![3, 9]));
        for bad in ["--count", "--count x", "--other 3", "5"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
