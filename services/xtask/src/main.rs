//! One command for everything CI does: `cargo xtask test`.
//!
//! Each step is a subcommand too. A tool that is missing is installed under `target/tools`; one that
//! cannot be had fails its step and says what is missing.

mod contract;
mod demo;
mod dependencies;
mod fuzz;
mod golang;
mod hygiene;
mod kills;
mod oracles;
mod process;
mod recover;
mod rust;
mod seeded;
mod sim;
mod step;
mod tools;
mod workspace;

use std::process::ExitCode;

use step::{Step, run_all};
use workspace::Workspace;

/// Everything CI does: what is cheap and fails often comes first.
const TEST: &[Step] = &[
    rust::FMT,
    hygiene::STEP,
    contract::STEP,
    dependencies::STEP,
    rust::CLIPPY,
    rust::TEST,
    rust::RELEASE,
    kills::SHARE,
    demo::SMALL,
    demo::CORRIDORS,
    oracles::GO,
    oracles::PYTHON,
    oracles::DEMO,
    demo::FULL,
];
const LINT: &[Step] = &[rust::FMT, hygiene::STEP, contract::STEP, dependencies::STEP, rust::CLIPPY];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((word, arguments)) = words.split_first() {
        let with_arguments: Option<fn(&Workspace, &[String]) -> ExitCode> = match word.as_str() {
            "kills" => Some(kills::kills),
            "recover" => Some(recover::recover),
            "sim" => Some(sim::sim),
            "mutations" => Some(seeded::mutations),
            "fuzz" => Some(fuzz::fuzz),
            "golden" => Some(|workspace, _| seeded::golden(workspace)),
            _ => None,
        };
        if let Some(run) = with_arguments {
            return in_workspace(|workspace| run(workspace, arguments));
        }
    }
    let [word] = words.as_slice() else {
        return usage();
    };
    let steps: &[Step] = match word.as_str() {
        "test" => TEST,
        "lint" => LINT,
        "unit" => &[rust::TEST],
        "hygiene" => &[hygiene::STEP],
        "buf" => &[contract::STEP],
        "deny" => &[dependencies::STEP],
        "demo" => &[rust::RELEASE, demo::FULL],
        "corridors" => &[rust::RELEASE, demo::CORRIDORS],
        "oracles" => &[oracles::GO, oracles::PYTHON, rust::RELEASE, demo::SMALL, oracles::DEMO],
        "oracles-logs" => &[oracles::GO, oracles::PYTHON],
        "release-contract" => &[contract::RELEASE],
        _ => return usage(),
    };
    in_workspace(|workspace| run_all(workspace, steps))
}

fn in_workspace(run: impl FnOnce(&Workspace) -> ExitCode) -> ExitCode {
    match Workspace::find() {
        Ok(workspace) => run(&workspace),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!(
        "\
usage: cargo xtask COMMAND

  test              everything CI does, in order; stops at the first failure
  lint              rustfmt, hygiene, buf, cargo-deny, clippy
  unit              cargo test --workspace
  hygiene           what may not be committed, and what the audit may not depend on
  buf               lint, format and breaking changes of proto/
  deny              cargo-deny: banned crates, licences, sources
  demo              the README's demo at full size, judged by its last line
  corridors         the season of every other agreement with a few workers, each to a clean audit
  kills             SIGKILL of either node at random moments; takes --count N, --seed S, --keep DIR
  recover           a lost disk refilled by the partner, with figures; takes --records N, --seed S
  sim               simulated states; takes --seeds N, --seed FIRST, --states 2|3, --replay SEED, --threads N
  mutations         random changes of valid bundles, each to be found in its place; takes --count N, --seed S,
                    --valid M
  fuzz              cargo-fuzz on the parsers; takes --seconds N, --target T
  golden            writes the golden bundles of the present format anew, after a release (services/audit/tests/golden)
  oracles           logs of many sizes and those of a small demo, verified by programs of others
  oracles-logs      the same without the demo
  release-contract  writes proto/released.binpb, after a release (proto/README.md)"
    );
    ExitCode::from(2)
}
