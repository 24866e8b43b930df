//! The demonstration of an agreement that has no scenario of its own.

use std::fs;

use convenio_testkit::treaty::second;
use tempfile::tempdir;

use super::state::{agreements, run};

#[test]
fn an_agreement_plays_its_own_season_to_a_clean_audit() {
    let dir = tempdir().unwrap();
    let pack = second();
    pack.files().write_to(&dir.path().join("proto")).unwrap();
    let packs = dir.path().join("proto/agreements");
    let season = fs::read_to_string(agreements().join("sv-ca/examples/season.toml")).unwrap();
    let season = season.replace("\"sv-ca\"", &format!("{:?}", pack.id())).replace("sv_ca", "sv_ca_two");
    let examples = packs.join(pack.id()).join("examples");
    fs::create_dir(&examples).unwrap();
    fs::write(examples.join("season.toml"), &season).unwrap();
    let line = |folder: &str| {
        let (packs, folder) = (packs.display(), dir.path().join(folder));
        format!(
            "demo --agreements {packs} --agreement {} --workers 6 --output json --dir {}",
            pack.id(),
            folder.display()
        )
    };
    let (code, out, error) = run(&line("played"));
    assert_eq!(code, 0, "{out}{error}");
    let told: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!((&told["audit"], &told["findings"], &told["workers"]), (&"ok".into(), &0.into(), &6.into()), "{out}");
    assert!(told["records"].as_u64().unwrap() > 6 * 15, "{out}");
    assert!(out.contains("\naudit: ok\n") && out.contains("was cut") && out.contains("SIGKILL"), "{out}");

    // A call that is refused although the example does not say so ends the demonstration, with its line.
    fs::write(examples.join("season.toml"), season.replacen("\"offer\"", "\"decline\"", 1)).unwrap();
    let (code, out, error) = run(&line("refused"));
    assert_eq!(code, 2, "{out}{error}");
    let at = season.lines().position(|line| line.contains("\"offer\"")).unwrap() - 2;
    assert!(error.contains(&format!("season.toml:{at}: TransitionPlacement by ca")), "{error}");
}
