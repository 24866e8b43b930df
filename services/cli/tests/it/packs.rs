//! What an author of a pack runs: lint, new, matrix and diff, with their exit codes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn agreements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements")
}

fn convenio(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convenio"));
    command.arg("agreement").args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A copy of sv-ca with what it imports, changed in one place.
fn copy(dir: &Path, old: &str, new: &str) -> String {
    let pack = convenio_agreement::Pack::load(&agreements(), "sv-ca").unwrap();
    pack.files().write_to(dir).unwrap();
    let path = dir.join("agreements/sv-ca/agreement.toml");
    let toml = std::fs::read_to_string(&path).unwrap();
    assert!(toml.contains(old), "{old}");
    std::fs::write(&path, toml.replacen(old, new, 1)).unwrap();
    dir.join("agreements/sv-ca").display().to_string()
}

#[test]
fn lint_tells_findings_and_exits_by_them() {
    let folder = agreements().display().to_string();
    let clean = convenio(&["lint", "--agreements", &folder, "--id", "sv-ca"]);
    assert_eq!(clean.status.code(), Some(0), "{clean:?}");
    assert!(text(&clean).contains("ok  sv-ca  0 errors"), "{clean:?}");

    let dir = tempfile::tempdir().unwrap();
    let broken = copy(dir.path(), "minimum_age = 18", "minimum_age = 3");
    let refused = convenio(&["lint", "--dir", &broken, "--format", "json"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said: serde_json::Value = serde_json::from_str(&text(&refused)).unwrap();
    let found = said["findings"].as_array().unwrap().iter().find(|f| f["key"] == "minimum_age").unwrap();
    assert_eq!((&found["severity"], &found["instead"]), (&"error".into(), &"minimum_age = 18".into()), "{said}");
    assert!(found["line"].as_u64().unwrap() > 1 && found["file"].as_str().unwrap().ends_with("agreement.toml"));
}

#[test]
fn diff_explains_and_refuses_what_would_break() {
    let folder = agreements().display().to_string();
    let diff = |to: &str| convenio(&["diff", "--agreements", &folder, "--from", "sv-ca", "--to", to]);
    let dir = tempfile::tempdir().unwrap();
    let loosened = diff(&copy(dir.path(), "minimum_age = 18", "minimum_age = 17"));
    assert_eq!(loosened.status.code(), Some(0), "{loosened:?}");
    assert!(text(&loosened).contains("loosened  minimum_age: from 18 to 17 years"), "{loosened:?}");

    let dir = tempfile::tempdir().unwrap();
    let refused = diff(&copy(dir.path(), "country = \"SV\"", "country = \"GT\""));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused).contains("refused   parties"), "{refused:?}");
}

#[test]
fn the_matrix_has_a_line_for_each_field_in_each_form() {
    let folder = agreements().display().to_string();
    let matrix = |form: &str| text(&convenio(&["matrix", "--agreements", &folder, "--id", "sv-ca", "--format", form]));
    let lines = matrix("csv").lines().count() - 1;
    let said: serde_json::Value = serde_json::from_str(&matrix("json")).unwrap();
    assert_eq!(said["fields"].as_array().unwrap().len(), lines);
    assert_eq!(matrix("html").matches("<tr>").count() - 1, lines);
    assert_eq!(matrix("text").lines().filter(|line| line.starts_with("  ")).count(), lines);
}

#[test]
fn a_new_pack_lints_clean() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("agreements").display().to_string();
    let new = |profile: &str, id: &str| {
        convenio(&["new", "--id", id, "--profile", profile, "--origin", "PH", "--destination", "KR", "--out", &out])
    };
    for (profile, id) in [("north-south", "ph-kr"), ("south-south", "ph-kr-2")] {
        let made = new(profile, id);
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        let clean = convenio(&["lint", "--agreements", &out, "--id", id]);
        assert_eq!(clean.status.code(), Some(0), "{clean:?}");
        assert!(text(&clean).contains("basis/legal"), "{clean:?}");
    }
}

#[test]
fn show_tells_what_an_agreement_says_and_what_is_uncertain() {
    let folder = agreements().display().to_string();
    let shown = |args: &[&str]| {
        let output = convenio(&[&["show", "--agreements", &folder], args].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output)
    };
    let region = shown(&["ca4"]);
    for words in [
        "HYPOTHETICAL: no such agreement exists.",
        "GT, origin and destination",
        "? right-to-work",
        "doubt: No text that was read grants one",
        "stay at most 90 days per permit",
        "? workers_consulted  missing: hypothetical",
    ] {
        assert!(region.contains(words), "{words}: {region}");
    }
    let pack = convenio_agreement::Pack::load(&agreements(), "ca4").unwrap();
    assert!(region.contains(&hex::encode(pack.digest())) && region.contains(&hex::encode(pack.effective_sha256())));
    assert_eq!(shown(&["ca4", "--effective"]).trim_end(), pack.effective().trim_end());
    let bilateral = shown(&["ni-cr"]);
    assert!(bilateral.contains("USD 20.00 by the employer") && !bilateral.contains("HYPOTHETICAL"), "{bilateral}");
}
