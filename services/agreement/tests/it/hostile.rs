//! Every hostile pack of `tests/hostile` is refused, for the reason that its file names. Each is the smallest pack that
//! loads, changed in one respect.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use convenio_agreement::{Pack, PackError};
use serde::Deserialize;

use crate::fixture::{agreements, sv_ca};

/// One case.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What it tries.
    says: String,
    /// Rule that refuses it.
    rule: String,
    /// What the problem says.
    words: String,
    edits: Vec<Edit>,
}

/// One change of a file, of the pack's own by its name, of any by its path.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    /// What is replaced, once; nothing for a new file.
    old: String,
    new: String,
    /// In every place.
    #[serde(default)]
    all: bool,
    /// What follows `new`, `times` over; `{n}` is its number.
    #[serde(default)]
    unit: String,
    #[serde(default)]
    times: usize,
    /// What follows that.
    #[serde(default)]
    end: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
}

fn base(dir: &Path) {
    for (path, bytes) in sv_ca().files().iter().filter(|(path, _)| !path.starts_with("agreements/")) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let own = dir.join("agreements/hostile");
    fs::create_dir_all(&own).unwrap();
    for name in ["agreement.toml", "hostile.proto"] {
        fs::copy(folder().join("base").join(name), own.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", own.join("device.proto")).unwrap();
}

fn apply(dir: &Path, edit: &Edit) {
    let own = if edit.file.contains('/') { "" } else { "agreements/hostile/" };
    let path = dir.join(format!("{own}{}", edit.file));
    let text = fs::read_to_string(&path).unwrap_or_default();
    assert!(text.contains(&edit.old), "{} does not hold {:?}", edit.file, edit.old);
    let units: String = (1..=edit.times).map(|n| edit.unit.replace("{n}", &n.to_string())).collect();
    let new = format!("{}{units}{}", edit.new, edit.end);
    let count = if edit.all { usize::MAX } else { 1 };
    fs::write(&path, text.replacen(&edit.old, &new, count)).unwrap();
}

fn load(dir: &Path) -> Result<Pack, PackError> {
    Pack::load(&dir.join("agreements"), "hostile")
}

fn cases() -> Vec<(String, Case)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<(String, Case)> = files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let case = toml::from_str(&fs::read_to_string(&path).unwrap());
            (name.clone(), case.unwrap_or_else(|error| panic!("{name}: {error}")))
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[test]
fn the_smallest_pack_loads() {
    let dir = tempfile::tempdir().unwrap();
    base(dir.path());
    assert_eq!(load(dir.path()).unwrap().messages().count(), 1);
    assert!(agreements().is_dir());
}

/// It prints how long each refusal took; nothing depends on that.
#[test]
#[allow(clippy::disallowed_methods)]
fn every_hostile_pack_is_refused_with_its_reason() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, case) in &cases {
        let dir = tempfile::tempdir().unwrap();
        base(dir.path());
        case.edits.iter().for_each(|edit| apply(dir.path(), edit));
        let start = Instant::now();
        let result = load(dir.path());
        let took = start.elapsed().as_millis();
        match result {
            Ok(_) => wrong.push(format!("{name} loads: {}", case.says)),
            Err(error) => {
                let shown = error.to_string();
                let short: String = shown.replace(&dir.path().display().to_string(), "").chars().take(150).collect();
                println!("{name:<24} {took:>4} ms  {:<18} {short}", error.rule);
                if error.rule != case.rule || !error.problem.contains(&case.words) || error.problem.contains('\n') {
                    wrong
                        .push(format!("{name}: expected {} `{}`, got {} `{short}`", case.rule, case.words, error.rule));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
