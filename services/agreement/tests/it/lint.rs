//! Lint tells all findings, each with its place and what to write instead.

use convenio_agreement::lint::{Severity, lint};

use crate::fixture::{Copy, repository};

#[test]
fn every_pack_of_the_repository_lints_without_error() {
    for id in convenio_agreement::pack::list(&repository()).unwrap() {
        let report = lint(&repository(), &id);
        let errors: Vec<_> = report.findings.iter().filter(|f| f.severity == Severity::Error).collect();
        assert!(errors.is_empty() && report.is_clean(), "{id}: {errors:#?}");
    }
}

#[test]
fn all_findings_are_told_with_place_and_remedy() {
    let copy = Copy::new()
        .toml("minimum_age = 18", "minimum_age = 3")
        .toml("to = \"EXPIRED\"", "to = \"LOST\"")
        .toml("messages = [\"Recall\"]", "messages = [\"Recal\"]")
        .toml("governor = \"origin\"\nstage = \"CLOSED\"", "governor = \"origin\"\nstage = \"CLOSD\"")
        .proto("      max_len: 200\n", "")
        .proto("from: \"worker.birth_date\"", "from: \"worker.national_id\"")
        .proto("stage: \"EMPLOYED\"", "stage: \"EMPLOYD\"");
    let report = lint(&copy.root().join("agreements"), "sv-ca");
    assert!(!report.is_clean());
    let words = ["minimum_age", "`LOST`", "`Recal`", "`CLOSD`", "not bounded", "never crosses", "`EMPLOYD`"];
    for word in words {
        let found = report.findings.iter().find(|f| f.to_string().contains(word));
        let found = found.unwrap_or_else(|| panic!("{word}: {:#?}", report.findings));
        assert!(found.line > 1 && !found.instead.is_empty() && !found.rule.is_empty(), "{found}");
        assert!(std::path::Path::new(&found.file).exists(), "{found}");
    }
    assert!(copy.load().is_err());
}
