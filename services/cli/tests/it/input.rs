//! Unusable input ends in one message that names the file, line or argument, and exit code 2.

use std::fs;
use std::net::TcpListener;

use super::state::{States, agreements, done, refused, run};

#[test]
fn arguments_that_cannot_be() {
    let temp = tempfile::tempdir().unwrap();
    let d = temp.path().display();
    let packs = agreements().display().to_string();
    done(&format!("root init --party us --dir {d}/us"));
    let cases = [
        (format!("root init --party SV --dir {d}/x"), "--party"),
        (format!("root init --party sv --dir {d}/x --keys 17"), "--keys"),
        (format!("root init --party sv --dir {d}/x --keys 2 --threshold 3"), "--threshold"),
        (format!("node keys --dir {d}/y --party sv --node Node"), "--node"),
        (format!("agreement check --agreements {packs} --id none"), "agreements/none/agreement.toml"),
        (format!("agreement check --agreements {d}/absent --id sv-ca"), "absent"),
        (
            format!("agreement sign --root {d}/us --agreements {packs} --id sv-ca --node n --out {d}/o"),
            "us is no party",
        ),
        (format!("agreement sign --root {d}/absent --agreements {packs} --id sv-ca --node n --out {d}/o"), "absent"),
        (
            format!(
                "root open-epoch --root {d}/us --manifest {d}/us/root.json --agreement a-b --recipient n --out {d}/o"
            ),
            "us/root.json",
        ),
        (format!("trust --agreement sv-ca={} --root {d}/absent --out {d}/o", "ab".repeat(32)), "absent"),
        (
            format!("trust --agreement sv-ca={} --root {d}/us --root {d}/us --out {d}/o", "ab".repeat(32)),
            "repeats what an earlier line says",
        ),
        (format!("node --config {d}/absent.toml"), "absent.toml"),
        (format!("bundle export --config {d}/absent.toml --out {d}/o"), "absent.toml"),
    ];
    for (line, words) in cases {
        let error = refused(&line);
        assert!(error.contains(words), "{line}: {error}");
    }
    for made in ["x", "y", "o"] {
        assert!(!temp.path().join(made).exists(), "{made}");
    }
}

#[test]
fn wrong_usage() {
    for line in ["", "nothing", "node", "node --check", "trust --agreement sv-ca=00 --root r --out o"] {
        let (code, out, error) = run(line);
        assert_eq!((code, out.as_str()), (2, ""), "{line}");
        assert!(error.contains("Usage: convenio") || error.contains("--help"), "{line}: {error}");
    }
}

#[test]
fn a_bad_line_of_the_configuration() {
    let states = States::new();
    states.edit("sv", "listen = \"127.0.0.1:0\"", "listen = \"here\"");
    for line in [states.node("sv"), format!("{} --check", states.node("sv"))] {
        let error = refused(&line);
        assert!(error.contains("sv/node.toml:4: listen: "), "{error}");
    }
}

#[test]
fn a_port_in_use() {
    let states = States::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    states.edit("sv", "127.0.0.1:0", &addr);
    let error = refused(&states.node("sv"));
    assert!(error.contains(&addr), "{error}");
    assert!(!states.path("sv/node.db").exists());
}

#[test]
fn a_truncated_certificate() {
    let states = States::new();
    let path = states.path("sv/tls/node.pem");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 40]).unwrap();
    let error = refused(&states.node("sv"));
    assert!(error.contains("tls.certificate") && error.contains("tls/node.pem"), "{error}");
}

#[test]
fn a_foreign_database() {
    let states = States::new();
    fs::write(states.path("sv/node.db"), "some other program's file").unwrap();
    for line in [states.node("sv"), format!("{} --check", states.node("sv"))] {
        let error = refused(&line);
        assert!(error.contains("sv/node.db is not a SQLite database"), "{error}");
    }
    assert_eq!(fs::read_to_string(states.path("sv/node.db")).unwrap(), "some other program's file");
}
