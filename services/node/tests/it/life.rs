//! A node's life: start, serve, find its partner, stop, start again.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use convenio_model::{SeededEntropy, SystemClock};
use convenio_node::{Config, Node, StartError};
use tokio::time::{sleep, timeout};

use super::fixture::{States, node};

async fn start(states: &States, party: &str) -> Result<Node, StartError> {
    let config = Config::load(&states.config(party)).unwrap();
    Node::start(config, Arc::new(SystemClock), Arc::new(SeededEntropy::labelled(3, party))).await
}

async fn refused(states: &States) -> String {
    start(states, "sv").await.err().expect("the node does not start").to_string()
}

async fn eventually(what: impl Fn() -> bool) {
    let seen = async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), seen).await.expect("it happens in time");
}

#[tokio::test]
async fn it_tells_its_address_and_starts_again_on_its_files() {
    let states = States::new();
    for _ in 0..2 {
        let node = start(&states, "sv").await.unwrap();
        let told = fs::read_to_string(states.path("sv").join("address")).unwrap();
        assert_eq!(told, format!("{}\n", node.addr()));
        assert_ne!(node.addr().port(), 0);
        assert_eq!(node.core().exchanges().len(), 1);
        node.stop().await;
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_made() {
    let states = States::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    states.edit("sv", "127.0.0.1:0", &addr);
    let message = refused(&states).await;
    assert!(message.contains(&addr) && message.contains("in use"), "{message}");
    for file in ["node.db", "data.keys", "address"] {
        assert!(!states.path("sv").join(file).exists(), "{file}");
    }
}

#[tokio::test]
async fn a_foreign_database_is_named_and_left_alone() {
    let states = States::new();
    let path = states.path("sv").join("node.db");
    fs::write(&path, b"some other program's file").unwrap();
    let message = refused(&states).await;
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert_eq!(fs::read(&path).unwrap(), b"some other program's file");
    assert!(!states.path("sv").join("data.keys").exists());
}

#[tokio::test]
async fn another_nodes_database_is_refused() {
    let states = States::new();
    start(&states, "ca").await.unwrap().stop().await;
    fs::copy(states.path("ca").join("node.db"), states.path("sv").join("node.db")).unwrap();
    let message = refused(&states).await;
    assert!(message.contains("belongs to node node.ca.example"), "{message}");
}

#[tokio::test]
async fn a_database_in_use_is_refused() {
    let states = States::new();
    let node = start(&states, "sv").await.unwrap();
    let message = refused(&states).await;
    assert!(message.contains("in use by another process"), "{message}");
    node.stop().await;
}

#[tokio::test]
async fn data_keys_without_their_wrapping_key_are_named() {
    let states = States::new();
    start(&states, "sv").await.unwrap().stop().await;
    fs::remove_file(states.path("sv").join("data.keys.kek")).unwrap();
    let message = refused(&states).await;
    assert!(message.contains("data.keys: the wrapping key is missing"), "{message}");
}

#[tokio::test]
async fn it_finds_its_partner_and_finds_it_again() {
    let states = States::new();
    let ca = start(&states, "ca").await.unwrap();
    let addr = ca.addr().to_string();
    states.edit("ca", "127.0.0.1:0", &addr);
    states.edit("sv", "[[posts]]", &format!("address = \"{addr}\"\n\n[[posts]]"));
    let sv = start(&states, "sv").await.unwrap();
    eventually(|| sv.core().connected(&node("ca")) && ca.core().connected(&node("sv"))).await;

    ca.stop().await;
    eventually(|| !sv.core().connected(&node("ca"))).await;
    let ca = start(&states, "ca").await.unwrap();
    eventually(|| sv.core().connected(&node("ca")) && ca.core().connected(&node("sv"))).await;
    sv.stop().await;
    ca.stop().await;
}
