//! Keys that rotate while the exchange goes on, keys that are revoked, and two pasts under one key.

use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::{EQUIVOCATION, NotEvidence, RotateError};
use convenio_log::{Checkpoint, Frontier, leaf_hash};
use convenio_model::SeededEntropy;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::rotation::{sign_keys, sign_revocation};
use convenio_testkit::ledger::Ledger;
use convenio_testkit::third::Log;
use convenio_testkit::treaty::{Party, SV_CA};
use convenio_testkit::{Case, Dishonest, Nodes, Pair, Side};
use convenio_wire::exchange::v1::{KeyRevocation, statement::Body};

async fn pair(seed: u64) -> Pair {
    let pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", 90, true).await.unwrap();
    pair.settle().await;
    pair
}

async fn ledger(side: &Side) -> Ledger {
    side.books().ledger(side.exchange(SV_CA)).await
}

/// The next keys of a party: those named are new, the others stay.
fn next_keys(before: &NodeKeys, seed: u64, new: &[&str]) -> Arc<NodeKeys> {
    let made = NodeKeys::generate(&SeededEntropy::labelled(seed, "rotation"));
    let copy = |key: &SigningKey| SigningKey::from_pem(&key.to_pem()).unwrap();
    let pick = |name: &str, old: &SigningKey, key: SigningKey| if new.contains(&name) { key } else { copy(old) };
    Arc::new(NodeKeys {
        record: pick("record", &before.record, made.record),
        log: pick("log", &before.log, made.log),
        mirror: pick("mirror", &before.mirror, made.mirror),
        witness: pick("witness", &before.witness, made.witness),
    })
}

fn manifest_file(party: &Party, keys: &NodeKeys, version: u64) -> Vec<u8> {
    let manifest = keys.manifest(&party.party, &party.node, version);
    sign_keys(&manifest, &party.roots_that_sign()).unwrap().to_json().into_bytes()
}

async fn nominate(pair: &Pair, labels: std::ops::Range<u32>) {
    for label in labels {
        pair.origin.act(&Case::new(&format!("p{label}"), "order"), "nominate").await.unwrap();
    }
}

/// Each kind of key in turn, on both sides, with records before, behind and around KEY_ROTATE in the same batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_key_rotates_under_traffic() {
    let pair = pair(70).await;
    let (mut origin, mut destination) = (pair.treaty.origin.keys.clone(), pair.treaty.destination.keys.clone());
    for (nth, kind) in ["record", "log", "mirror", "witness"].into_iter().enumerate() {
        let version = nth as u64 + 2;
        let label = nth as u32 * 10;
        origin = next_keys(&origin, version, &[kind]);
        destination = next_keys(&destination, version + 100, &[kind]);
        pair.origin.delivers(false);
        nominate(&pair, label..label + 2).await;
        for (side, party, keys) in
            [(&pair.origin, &pair.treaty.origin, &origin), (&pair.destination, &pair.treaty.destination, &destination)]
        {
            let file = manifest_file(party, keys, version);
            let held = side.core.change_keys(&file).await;
            assert!(matches!(held, Err(RotateError::NotHeld(at)) if at == version), "{held:?}");
            side.core.hold_keys(keys.clone());
            assert!(side.core.change_keys(&file).await.unwrap());
            assert!(!side.core.change_keys(&file).await.unwrap(), "the same file again changes nothing");
        }
        nominate(&pair, label + 2..label + 4).await;
        pair.origin.delivers(true);
        pair.check().await;
        for (here, there) in [(&pair.origin, &pair.destination), (&pair.destination, &pair.origin)] {
            assert_eq!(here.exchange(SV_CA).partner_keys().unwrap().version, version, "{kind}");
            // Both have cosigned the entries that name them: the new cosigners are in use.
            assert_eq!(there.core.cosigner_keys(None).version, version, "{kind}");
        }
        nominate(&pair, label + 4..label + 5).await;
        pair.check().await;
    }
    let own = ledger(&pair.origin).await.own;
    assert_eq!(own.iter().filter(|e| matches!(e.statement.body, Some(Body::KeyRotate(_)))).count(), 4);
    let accepted = ledger(&pair.origin).await.own_row;
    assert_eq!((accepted.records, accepted.decided, accepted.rejected), (20, 20, 0));
}

/// On whole nodes, from files, as an operator rotates: every kind of operational key and the connection's, on both sides, with
/// records in between; then both bundles verify and compare.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_key_rotates_on_whole_nodes_and_the_audit_holds() {
    let nodes = Nodes::start(78).await;
    let order = nodes.order("order", 30).await;
    let site = &nodes.site;
    let (mut origin, mut destination) = (site.treaty.origin.keys.clone(), site.treaty.destination.keys.clone());
    for (nth, kind) in ["record", "log", "mirror", "witness", "tls"].into_iter().enumerate() {
        let version = nth as u64 + 2;
        let under_way = nodes.placement(&format!("a{nth}"), &order).await;
        nodes.bring(&under_way, "nominate").await;
        origin = next_keys(&origin, version, &[kind]);
        destination = next_keys(&destination, version + 100, &[kind]);
        for (running, party, keys) in [
            (&nodes.origin, &site.treaty.origin, &origin),
            (&nodes.destination, &site.treaty.destination, &destination),
        ] {
            if kind == "tls" {
                site.install(&party.party, &site.node_certificate(&party.party, None));
            } else {
                let folder = site.path(&party.party).join(format!("keys/v{version}"));
                std::fs::create_dir(&folder).unwrap();
                keys.store(&folder).unwrap();
                let file = format!("trust/epochs/keys-{version}.dsse.json");
                std::fs::write(site.path(&party.party).join(file), manifest_file(party, keys, version)).unwrap();
            }
            running.node.reload().await.unwrap();
        }
        nodes.bring_from(&under_way, "offer", "contract").await;
        nodes.check().await;
        let expected = if kind == "tls" { version - 1 } else { version };
        for running in [&nodes.origin, &nodes.destination] {
            let core = running.node.core();
            assert_eq!(core.exchange(SV_CA).unwrap().partner_keys().unwrap().version, expected, "{kind}");
            assert_eq!(core.cosigner_keys(None).version, expected, "{kind}");
        }
    }
    // Connections that begin now are made with the new certificates.
    for running in [&nodes.origin, &nodes.destination] {
        running.proxy.cut();
        running.proxy.heal();
    }
    let last = nodes.placement("last", &order).await;
    nodes.bring(&last, "offer").await;
    nodes.check().await;
    let [ours, theirs] = nodes.export().await;
    let trust = convenio_audit::load_trust(&nodes.site.trust()).unwrap();
    convenio_testkit::kills::compare(&ours, &theirs, &trust).unwrap();
    nodes.stop().await;
}

/// A mirror key cosigns only once the partner has cosigned the entry that names it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_mirror_key_waits_until_the_partner_knows_it() {
    let pair = pair(71).await;
    pair.destination.delivers(false);
    let keys = next_keys(&pair.treaty.destination.keys, 2, &["mirror"]);
    pair.destination.core.hold_keys(keys.clone());
    let file = manifest_file(&pair.treaty.destination, &keys, 2);
    assert!(pair.destination.core.change_keys(&file).await.unwrap());
    nominate(&pair, 0..1).await;
    let size = ledger(&pair.origin).await.own_row.size;
    let log = pair.origin.exchange(SV_CA).own().log;
    let mut heads = pair.origin.core.heads();
    let cosigned = heads.wait_for(|heads| heads[&log].settled >= size);
    tokio::time::timeout(Duration::from_secs(20), cosigned).await.unwrap().unwrap();
    assert_eq!(pair.destination.core.cosigner_keys(None).version, 1);
    pair.destination.delivers(true);
    pair.check().await;
    assert_eq!(pair.destination.core.cosigner_keys(None).version, 2);
}

/// A manifest by other roots, of another node or of an old version changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_own_roots_did_not_sign_are_not_taken() {
    let pair = pair(72).await;
    let (own, other) = (&pair.treaty.origin, &pair.treaty.destination);
    let keys = next_keys(&own.keys, 2, &["record", "log"]);
    pair.origin.core.hold_keys(keys.clone());
    let manifest = keys.manifest(&own.party, &own.node, 2);
    let foreign = sign_keys(&manifest, &other.roots_that_sign()).unwrap().to_json().into_bytes();
    assert!(matches!(pair.origin.core.change_keys(&foreign).await, Err(RotateError::Root(_))));
    let elsewhere = keys.manifest(&own.party, "node.other.example", 2);
    let elsewhere = sign_keys(&elsewhere, &own.roots_that_sign()).unwrap().to_json().into_bytes();
    assert!(matches!(pair.origin.core.change_keys(&elsewhere).await, Err(RotateError::OtherNode)));
    assert!(!pair.origin.core.change_keys(&manifest_file(own, &keys, 1)).await.unwrap());
    assert_eq!(pair.origin.core.own_keys().version, 1);
    pair.check().await;
}

/// A stolen record key: what it signed past the last good entry is rejected, the revocation stands in both logs once, and the
/// new key goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_record_key_is_believed_no_further() {
    let pair = pair(73).await;
    nominate(&pair, 0..1).await;
    pair.settle().await;
    let party = &pair.treaty.origin;
    pair.origin.delivers(false);
    let before = ledger(&pair.origin).await;
    let good = before.own_row.size;
    // Whoever stole the key uses it; nothing of it is delivered yet.
    nominate(&pair, 1..3).await;
    let keys = next_keys(&party.keys, 2, &["record"]);
    pair.origin.core.hold_keys(keys.clone());
    assert!(pair.origin.core.change_keys(&manifest_file(party, &keys, 2)).await.unwrap());
    let mut frontier = Frontier::new();
    before.own.iter().for_each(|entry| frontier.append(leaf_hash(&entry.bytes)));
    let said = KeyRevocation {
        party: party.party.clone(),
        node: party.node.clone(),
        key_id: party.keys.record.public().key_id().to_vec(),
        r#use: "record".to_owned(),
        log_origin: pair.origin.exchange(SV_CA).own().origin.clone(),
        last_good_size: good,
        last_good_root: frontier.root().as_bytes().to_vec(),
        reason: "stolen".to_owned(),
    };
    let file = sign_revocation(&said, &party.roots_that_sign()).unwrap().to_json().into_bytes();
    assert!(pair.origin.core.change_keys(&file).await.unwrap());
    assert!(!pair.origin.core.change_keys(&file).await.unwrap());
    nominate(&pair, 3..4).await;
    pair.origin.delivers(true);
    pair.settle().await;
    let (own, judge) = (ledger(&pair.origin).await, ledger(&pair.destination).await);
    let verdicts = own.own.iter().filter(|e| e.is_record()).map(|e| Ledger::decisions(&judge.own, e.index));
    let revoked = || vec![Some("REVOKED_KEY".to_owned())];
    assert_eq!(verdicts.collect::<Vec<_>>(), [vec![None], revoked(), revoked(), vec![None]]);
    for book in [&own.own, &judge.own] {
        assert_eq!(book.iter().filter(|e| matches!(e.statement.body, Some(Body::Revoke(_)))).count(), 1);
    }
    pair.check().await;
}

/// A head of this log and size with a root of nothing that was ever delivered.
fn other_head(by: &Dishonest, size: u64, key: &SigningKey) -> String {
    let mut frontier = Frontier::new();
    (0..size).for_each(|nth| frontier.append(leaf_hash(&nth.to_be_bytes())));
    let origin = &by.exchange.own().origin;
    let head = Checkpoint::new(origin.as_str(), size, frontier.root()).unwrap();
    head.sign(&Log(origin, key)).unwrap().to_string()
}

async fn alarms(side: &Side) -> Vec<(bool, String)> {
    let logs = side.core.store().logs().await.unwrap();
    logs.into_iter().filter(|log| !log.alarm.is_empty()).map(|log| (log.own, log.alarm)).collect()
}

/// Two heads of one size under the log's key freeze that direction for good, with the evidence kept; the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pasts_under_one_key_freeze_one_direction() {
    let pair = pair(74).await;
    nominate(&pair, 0..1).await;
    pair.settle().await;
    let by = Dishonest::take_over(&pair, true, SV_CA).await;
    let size = by.mirrored().await;
    let mut batch = by.batch(size - 1);
    batch.checkpoint = other_head(&by, size, &by.keys.log).into_bytes();
    // The direction stops, the session does not: nobody cosigns, nothing ends.
    let frozen = async {
        while alarms(&pair.destination).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        ended = by.send(batch) => panic!("{ended:?}"),
        () = frozen => {}
    }
    assert_eq!(alarms(&pair.destination).await, [(false, EQUIVOCATION.to_owned())]);
    let kept = pair.destination.core.store().states("evidence/forks/", "", 9).await.unwrap();
    assert_eq!(kept.len(), 1);
    let fork = String::from_utf8(kept[0].body.clone()).unwrap();
    assert_eq!(fork.matches("\n---\n").count(), 1);
    // The evidence convinces whoever has the keys, from a file alone.
    let taken = pair.destination.core.take_evidence(fork.as_bytes()).await.unwrap();
    assert_eq!(taken, Ok(by.exchange.own().origin.clone()));
    // The own direction goes on.
    pair.destination.order(SV_CA, "another", 9, true).await.unwrap();
}

/// What is no proof freezes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_evidence_freezes_nothing() {
    let pair = pair(75).await;
    nominate(&pair, 0..1).await;
    pair.settle().await;
    let by = Dishonest::take_over(&pair, true, SV_CA).await;
    let size = by.mirrored().await;
    let stranger = SigningKey::from_seed(&[5; 32]);
    let true_head = String::from_utf8(by.checkpoint()).unwrap();
    let pairs = [
        (format!("{true_head}---\n{}", other_head(&by, size, &stranger)), NotEvidence::NotSigned),
        (format!("{true_head}---\n{}", other_head(&by, size, &by.keys.record)), NotEvidence::NotSigned),
        (format!("{true_head}---\n{true_head}"), NotEvidence::NoContradiction),
        (format!("{true_head}---\n{}", other_head(&by, size + 1, &by.keys.log)), NotEvidence::NoContradiction),
        (format!("{true_head}---\nnothing"), NotEvidence::Form),
        (true_head.clone(), NotEvidence::Form),
        (
            true_head.replace("/1\n", "/7\n") + "---\n" + &other_head(&by, size, &by.keys.log).replace("/1\n", "/7\n"),
            NotEvidence::UnknownLog,
        ),
    ];
    for (at, (file, why)) in pairs.into_iter().enumerate() {
        let taken = pair.destination.core.take_evidence(file.as_bytes()).await.unwrap();
        assert_eq!(taken, Err(why), "case {at}");
    }
    // Neither do heads in batches that a foreign key signed, or that reach past what is held.
    for checkpoint in [other_head(&by, size, &stranger), other_head(&by, size + 1, &by.keys.log)] {
        let mut batch = by.batch(size - 1);
        batch.checkpoint = checkpoint.into_bytes();
        by.send(batch).await.unwrap_err();
    }
    assert_eq!(alarms(&pair.destination).await, []);
    assert!(pair.destination.core.store().states("evidence/", "", 9).await.unwrap().is_empty());
}
