//! What may not be committed, and what the audit may not depend on.

use std::fs;

use anyhow::{Result, ensure};

use crate::process::stdout_of;
use crate::step::{Outcome, Step};
use crate::workspace::Workspace;

/// Lines of a file under `services/`, tests excepted.
const MAX_LINES: usize = 600;
/// Past this a file is named, without failing.
const LONG: usize = 400;
/// An auditor trusts little code: no database, no network.
const NOT_IN_AUDIT: [&str; 4] = ["sqlx", "hyper", "axum", "tower"];
/// What the README must name, since CI runs it.
const COMMANDS: [&str; 2] = ["cargo run --release --bin convenio -- demo", "cargo xtask test"];
/// A build asks the registry that its machine is set up with; a host named here would bypass it.
/// In halves, so that this file does not name them.
const REGISTRIES: [(&str, &str); 8] = [
    ("index.crates", ".io"),
    ("static.crates", ".io"),
    ("//crates", ".io"),
    ("pypi", ".org"),
    ("pythonhosted", ".org"),
    ("registry.npmjs", ".org"),
    ("deb.debian", ".org"),
    ("proxy.golang", ".org"),
];

/// Tracked files, and the audit's dependencies.
pub const STEP: Step = Step {
    name: "hygiene",
    run: |workspace| {
        let files = tracked(workspace)?;
        let mut faults = Vec::new();
        for file in &files {
            faults.extend(name_fault(file));
            // A link or a file deleted but not yet committed has no text of its own.
            if let Ok(text) = fs::read_to_string(workspace.path(file)) {
                faults.extend(text_faults(file, &text));
            }
        }
        faults.extend(readme_faults(workspace));
        faults.extend(audit_faults(&audit_dependencies(workspace)?));
        ensure!(faults.is_empty(), "\n  {}", faults.join("\n  "));
        println!("{} tracked files", files.len());
        Ok(Outcome::Passed)
    },
};

fn tracked(workspace: &Workspace) -> Result<Vec<String>> {
    let list = stdout_of(workspace.command("git").args(["ls-files", "-z"]))?;
    Ok(list.split_terminator('\0').map(str::to_owned).collect())
}

fn name_fault(file: &str) -> Option<String> {
    (file.ends_with(".key") || file.ends_with("key.pem")).then(|| format!("{file}: a key must not be committed"))
}

fn text_faults(file: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if file.starts_with("services/") && !is_test(file) && !is_lock(file) {
        if lines > MAX_LINES {
            faults.push(format!("{file}: {lines} lines, more than {MAX_LINES}"));
        } else if lines > LONG {
            println!("long: {file}, {lines} lines");
        }
    }
    if !is_lock(file) {
        for (number, line) in (1..).zip(text.lines()) {
            let named = |(front, back): &(&str, &str)| line.contains(&format!("{front}{back}"));
            if REGISTRIES.iter().any(named) {
                faults.push(format!("{file}:{number}: names a package registry's host"));
            }
        }
    }
    faults
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part == "tests") || file.ends_with("tests.rs")
}

fn is_lock(file: &str) -> bool {
    matches!(file.rsplit('/').next(), Some("Cargo.lock" | "package-lock.json" | "go.sum"))
}

fn readme_faults(workspace: &Workspace) -> Vec<String> {
    let Ok(readme) = fs::read_to_string(workspace.path("README.md")) else {
        return vec!["README.md: missing or not text".to_owned()];
    };
    let missing = COMMANDS.iter().filter(|command| !readme.contains(**command));
    missing.map(|command| format!("README.md: does not give the command `{command}`")).collect()
}

fn audit_dependencies(workspace: &Workspace) -> Result<String> {
    stdout_of(&mut workspace.cargo("tree --locked -p convenio-audit -e normal --prefix none"))
}

/// `tree`: a line `<package> v<version>…` for each dependency.
fn audit_faults(tree: &str) -> Vec<String> {
    let packages = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<_> = packages.filter(|name| NOT_IN_AUDIT.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    found.iter().map(|name| format!("convenio-audit depends on {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_refused_by_name() {
        assert!(name_fault("certs/node.key").is_some());
        assert!(name_fault("services/node/tests/fixtures/tls-key.pem").is_some());
        assert!(name_fault("services/seal/src/keys.rs").is_none());
    }

    #[test]
    fn long_files_are_refused_tests_excepted() {
        let text = "x\n".repeat(MAX_LINES + 1);
        assert_eq!(text_faults("services/a/src/b.rs", &text).len(), 1);
        for file in ["services/a/tests/it.rs", "services/a/src/b/tests.rs", "deploy/x.csv"] {
            assert!(text_faults(file, &text).is_empty(), "{file}");
        }
    }

    #[test]
    fn registry_hosts_are_refused_lock_files_excepted() {
        let text = format!("url = \"https://{}\"", ["pypi", "org"].join("."));
        assert_eq!(text_faults("deploy/setup.sh", &text).len(), 1);
        assert!(text_faults("Cargo.lock", &text).is_empty());
    }

    #[test]
    fn the_audit_may_have_no_database_or_network() {
        let tree = "convenio-audit v0.1.0 (/x)\nsqlx v0.9.0\nhypercube v1.0.0\nsqlx v0.9.0 (*)\n";
        assert_eq!(audit_faults(tree), ["convenio-audit depends on sqlx"]);
    }
}
