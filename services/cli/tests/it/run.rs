//! A node as a process: it serves, logs, and ends in order.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

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

fn export_line(states: &States, party: &str) -> String {
    let bundle = states.path(party).join("bundle");
    format!("bundle export --config {} --out {}", states.config(party).display(), bundle.display())
}

fn export(states: &States, party: &str) -> PathBuf {
    done(&export_line(states, party));
    states.path(party).join("bundle")
}
