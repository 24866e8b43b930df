//! A node as a process: it serves, logs, and ends in order.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use convenio_node::tls::{TlsMaterial, connect_stream};
use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::state::{States, convenio, done, refused, told};

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(states: &States, party: &str) -> (Running, String) {
    let address = states.path(party).join("address");
    let _ = fs::remove_file(&address);
    let mut command = convenio(states.node(party).split(' '));
    let running = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    for _ in 0..2_000 {
        if let Ok(addr) = fs::read_to_string(&address) {
            return (running, addr.trim().to_owned());
        }
        sleep(Duration::from_millis(5));
    }
    panic!("the node does not start");
}

fn end(running: &mut Running, signal: Signal) -> i32 {
    let pid = Pid::from_raw(i32::try_from(running.0.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    running.0.wait().unwrap().code().unwrap()
}

#[test]
fn it_serves_ends_on_either_signal_and_serves_again() {
    let states = States::new();
    for signal in [Signal::TERM, Signal::INT] {
        let (mut running, addr) = start(&states, "sv");
        TcpStream::connect(&addr).unwrap();
        assert_eq!(end(&mut running, signal), 0);
        // The write-ahead log is back in the file.
        assert!(!states.path("sv/node.db-wal").exists());
    }
    let log = fs::read_to_string(states.path("sv/node.log")).unwrap();
    for line in log.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["timestamp"].is_string() && event["level"].is_string(), "{line}");
    }
    assert_eq!(log.matches("\"message\":\"serving\"").count(), 2, "{log}");
    assert_eq!(log.matches("\"message\":\"stopped\"").count(), 2, "{log}");
}

#[test]
fn a_log_filter_that_cannot_be_is_named() {
    let states = States::new();
    let (code, _, error) =
        told(convenio(states.node("sv").split(' ')).env("RUST_LOG", "convenio=loud").output().unwrap());
    assert_eq!(code, 2);
    assert!(error.contains("RUST_LOG"), "{error}");
    assert!(!states.path("sv/node.db").exists());
}

#[test]
fn an_auditor_gets_bundles_that_hold_and_agree_while_both_nodes_run() {
    let states = States::new();
    let (_ca, addr) = start(&states, "ca");
    states.edit("sv", "[log]", &format!("address = \"{addr}\"\n\n[log]"));
    let (_sv, _) = start(&states, "sv");
    let trust = convenio_audit::load_trust(&states.path("trust")).unwrap();
    for _ in 0..400 {
        let bundles = ["sv", "ca"].map(|party| export(&states, party));
        let comparison = convenio_audit::compare(&bundles[0], &bundles[1], &trust).unwrap();
        assert!(comparison.a.holds && comparison.b.holds, "{:?} {:?}", comparison.a.problems, comparison.b.problems);
        // A log that was exported from one side before it had reached the other.
        if comparison.logs.len() == 2 && comparison.logs.iter().all(|log| log.common >= 4) {
            assert!(comparison.holds, "{:?}", comparison.problems);
            refused(&export_line(&states, "sv"));
            return;
        }
        bundles.iter().for_each(|bundle| fs::remove_dir_all(bundle).unwrap());
        sleep(Duration::from_millis(25));
    }
    panic!("the nodes do not exchange");
}

#[test]
fn a_bundle_is_encrypted_to_its_auditor_full_or_without_parts() {
    let states = States::new();
    let (_sv, _) = start(&states, "sv");
    let at = |name: &str| states.path(name).display().to_string();
    let recipient = done(&format!("bundle key --out {}", at("key")));
    refused(&format!("bundle key --out {}", at("key")));
    done(&format!("bundle key --out {}", at("other")));
    for kind in ["full", "commitments"] {
        let (sealed, out) = (at(&format!("{kind}.age")), at(kind));
        let line = format!(
            "bundle export --config {} --kind {kind} --recipient {} --out {sealed}",
            states.config("sv").display(),
            recipient.trim()
        );
        done(&line);
        refused(&line);
        assert!(!fs::read(&sealed).unwrap().windows(7).any(|bytes| bytes == b"sv-ca/t"), "a name in the clear");
        refused(&format!("bundle open --in {sealed} --identity {} --out {out}", at("other")));
        done(&format!("bundle open --in {sealed} --identity {} --out {out}", at("key")));
        let manifest = fs::read_to_string(states.path(kind).join("manifest")).unwrap();
        assert!(manifest.contains(&format!("\nkind {kind}")), "{manifest}");
        let trust = convenio_audit::load_trust(&states.path("trust")).unwrap();
        let found = convenio_audit::verify(&states.path(kind), &trust).unwrap();
        assert!(found.holds, "{:?}", found.problems);
    }
}

/// What El Salvador's node answers its auditor, over HTTP; empty if the connection is refused.
async fn asked(states: &States, addr: &str, role: &str) -> String {
    let tls = |party: &str, name: &str| states.path(party).join("tls").join(name);
    let material = TlsMaterial {
        certificate: tls("sv", &format!("{role}.pem")),
        key: tls("sv", &format!("{role}.sk.pem")),
        own_ca: tls("sv", "ca.pem"),
        own_trust_domain: "sv.example".to_owned(),
        partner_cas: vec![("ca.example".to_owned(), tls("ca", "ca.pem"))],
        crls: Vec::new(),
    };
    let mut config = material.load().unwrap().client_config("sv.example").unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from("node.sv.example").unwrap();
    let mut answer = Vec::new();
    if let Ok(mut stream) = connect_stream(addr, name, Arc::new(config)).await {
        let request = b"GET /logs/ HTTP/1.1\r\nHost: node.sv.example\r\nConnection: close\r\n\r\n";
        // A server that refuses the certificate ends the connection: whatever came until then is the answer.
        if stream.write_all(request).await.is_ok() {
            let _ = stream.read_to_end(&mut answer).await;
        }
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_hangup_reads_certificates_and_lists_again() {
    let states = States::new();
    let tls = states.path("sv/tls").display().to_string();
    done(&format!("pki crl --dir {tls}"));
    states.edit("sv", "ca = \"tls/ca.pem\"\n", "ca = \"tls/ca.pem\"\ncrl = \"tls/crl.pem\"\n");
    let (running, addr) = start(&states, "sv");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = |role: &str| runtime.block_on(asked(&states, &addr, role)).starts_with("HTTP/1.1 200");
    assert!(served("auditor") && served("operator"));
    let log = || fs::read_to_string(states.path("sv/node.log")).unwrap();
    let hang_up = || {
        let pid = Pid::from_raw(i32::try_from(running.0.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    };
    let until = |words: &str, count: usize| {
        for _ in 0..2_000 {
            if log().matches(words).count() >= count {
                return;
            }
            sleep(Duration::from_millis(5));
        }
        panic!("{words:?} is not told {count} times: {}", log());
    };
    hang_up();
    until("were read again", 1);
    done(&format!("pki revoke --dir {tls} {tls}/auditor.pem"));
    hang_up();
    until("were read again", 2);
    assert!(!served("auditor") && served("operator"));
    // What cannot be used changes nothing, and the node serves on.
    let certificate = fs::read(states.path("sv/tls/node.pem")).unwrap();
    fs::write(states.path("sv/tls/node.pem"), "nothing").unwrap();
    hang_up();
    until("nothing was read again", 1);
    TcpStream::connect(&addr).unwrap();
    fs::write(states.path("sv/tls/node.pem"), certificate).unwrap();
    hang_up();
    until("were read again", 3);
    TcpStream::connect(&addr).unwrap();
}

fn export_line(states: &States, party: &str) -> String {
    let bundle = states.path(party).join("bundle");
    format!("bundle export --config {} --out {}", states.config(party).display(), bundle.display())
}

fn export(states: &States, party: &str) -> PathBuf {
    done(&export_line(states, party));
    states.path(party).join("bundle")
}
