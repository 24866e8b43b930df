//! From root keys to a configuration that a node accepts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::state::{States, agreements, done, refused, run};

#[test]
fn the_whole_ceremony_ends_in_a_sound_configuration() {
    let states = States::new();
    for party in ["sv", "ca"] {
        let told = done(&format!("{} --check", states.node(party)));
        assert!(told.lines().all(|line| line.starts_with("ok  ") || line.starts_with("--  revocation ")), "{told}");
        assert!(told.contains(&format!("spiffe://{party}.example/node/{party}")), "{told}");
        assert!(told.contains("ratified       by"), "{told}");
        for made in ["node.db", "data.keys", "node.log", "address"] {
            assert!(!states.path(party).join(made).exists(), "--check makes {made}");
        }
    }
}

#[test]
fn a_pack_that_one_party_alone_ratified_does_not_pass() {
    let states = States::new();
    fs::remove_file(states.path("sv/trust/ratifications/ca.dsse.json")).unwrap();
    let error = refused(&format!("{} --check", states.node("sv")));
    assert!(error.contains("node.toml:10: ratifications:"), "{error}");
    assert!(error.contains("ca has not ratified sv-ca with digest"), "{error}");
}

#[test]
fn several_officers_sign_together() {
    let temp = tempfile::tempdir().unwrap();
    let d = temp.path().display();
    done(&format!("root init --party sv --dir {d}/root --keys 3 --threshold 2"));
    let sign = format!(
        "agreement sign --root {d}/root --agreements {} --id sv-ca --node node.sv.example --out {d}/out.dsse.json",
        agreements().display()
    );
    let signatures = || fs::read_to_string(temp.path().join("out.dsse.json")).unwrap().matches("keyid").count();
    done(&sign);
    assert_eq!(signatures(), 3);
    // An officer who has gone home takes a key along.
    fs::remove_file(temp.path().join("root/root-2.sk.pem")).unwrap();
    done(&sign);
    assert_eq!(signatures(), 2);
}

#[test]
fn keys_are_private_and_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    let d = temp.path().display();
    for (make, key) in [
        (format!("root init --party sv --dir {d}/root"), "root/root-1.sk.pem"),
        (format!("node keys --dir {d}/keys --party sv --node node.sv.example"), "keys/record.sk.pem"),
    ] {
        done(&make);
        let path = temp.path().join(key);
        let before = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        refused(&make);
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn packs_are_listed_checked_and_digested() {
    let packs = agreements().display().to_string();
    let digest = done(&format!("agreement digest --agreements {packs} --id sv-ca"));
    assert_eq!(digest.trim().len(), 64);
    assert!(done(&format!("agreement list --agreements {packs}")).contains(digest.trim()));
    assert!(done(&format!("agreement check --agreements {packs} --id sv-ca")).contains(digest.trim()));
}

#[test]
fn help_is_there_for_every_command() {
    for command in ["", "demo", "node", "node keys", "root", "root init", "agreement", "trust", "bundle", "pki"] {
        let (code, out, _) = run(&format!("{command} --help"));
        assert_eq!(code, 0, "{command}");
        assert!(out.contains("Usage: convenio"), "{command}: {out}");
    }
}
