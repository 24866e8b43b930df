//! Receipts: verifiable alone, and worth nothing once a bit of them differs.

use std::convert::Infallible;

use convenio_audit::receipt::{Proved, Receipt, check, prove};
use convenio_audit::{Audit, Options, TrustFile};
use convenio_log::{SignedCheckpoint, Tile, TileReader, TlogProof};
use convenio_model::Ref;
use convenio_seal::SigningKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::export::{draft, folder};
use crate::integrity::{story, told, trust};
use crate::page::record_id;
use crate::pair::{CA, Pair, SV, origin};

/// The nomination: two parts.
const INDEX: usize = 5;

fn receipt(pair: &Pair, node: usize, index: usize, parts: bool) -> Receipt {
    let dir = TempDir::new().unwrap();
    draft(pair, CA).write(pair, dir.path());
    let audit = Audit::open(dir.path(), None, &trust(pair), &Options::default()).unwrap();
    let id: Ref = Ref::from_slice(&hex::decode(record_id(pair, node, index)).unwrap()).unwrap();
    prove(&audit, &id.0, parts).unwrap().unwrap()
}

#[test]
fn a_receipt_is_verifiable_with_the_trust_file_alone() {
    let pair = story();
    for (node, index) in [(SV, INDEX), (SV, 0), (CA, 4), (CA, 3)] {
        let made = receipt(&pair, node, index, false);
        assert_eq!(made.parts, None);
        let read = Receipt::parse(made.to_json().as_bytes()).unwrap();
        assert_eq!(read, made);
        let found = check(&read, &trust(&pair)).unwrap();
        assert_eq!((found.place.origin, found.place.index), (origin(node), index as u64));
        assert!(found.mirror.ends_with("/mirror/1") && found.size > index as u64 && !found.pinned);
    }
}

#[test]
fn parts_go_along_only_if_asked_for() {
    let pair = story();
    let found = check(&receipt(&pair, SV, INDEX, true), &trust(&pair)).unwrap();
    assert_eq!((found.parts, found.commitments), (2, 2));
    let text = receipt(&pair, SV, INDEX, false).to_json();
    assert!(!text.contains("salt"));
}

#[test]
fn any_other_byte_or_trust_is_refused() {
    let pair = story();
    let made = receipt(&pair, SV, INDEX, true);
    assert_eq!(check(&made, &TrustFile::default()).unwrap_err().code, "AGREEMENT");
    let roots: Vec<String> = pair.trust().lines().map(str::to_owned).collect();
    let strangers = format!("{}\n{}\n", roots[0], roots[1].replace("root sv", "root zz"));
    assert_eq!(check(&made, &TrustFile::parse(&strangers).unwrap()).unwrap_err().code, "ROOTS");
    let json: Value = serde_json::from_str(&made.to_json()).unwrap();
    let mut refused = 0;
    for pointer in [
        "/record/entry",
        "/record/proof",
        "/issuer/0/entry",
        "/issuer/0/proof",
        "/recipient/0/entry",
        "/recipient/0/proof",
        "/parts/0/salt",
        "/parts/1/part",
        "/record_id",
    ] {
        let text = json.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        // Each character in turn would take long; a prime step meets every line of a proof.
        for at in (0..text.len()).step_by(37) {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let Ok(changed) = String::from_utf8(changed) else { continue };
            let mut file = json.clone();
            *file.pointer_mut(pointer).unwrap() = changed.into();
            let stands =
                Receipt::parse(file.to_string().as_bytes()).is_ok_and(|read| check(&read, &trust(&pair)).is_ok());
            assert!(!stands, "{pointer} {at}");
            refused += 1;
        }
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn a_receipt_of_another_shape_is_none() {
    let json = receipt(&story(), SV, INDEX, false).to_json();
    for (from, to) in [
        ("convenio-receipt/v1", "convenio-receipt/v2"),
        ("\"format\"", "\"extra\": 1, \"format\""),
        ("c2sp.org/tlog-proof@v1\\n", "c2sp.org/tlog-proof@v1\\nextra AAAA\\n"),
    ] {
        assert!(Receipt::parse(json.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn a_pinned_head_decides() {
    let pair = story();
    let made = receipt(&pair, SV, INDEX, false);
    let head = made.record.proof.checkpoint().checkpoint().text();
    let lines: Vec<&str> = head.lines().collect();
    let pin = |root: &str| {
        TrustFile::parse(&format!("{}checkpoint {} {} {root}\n", pair.trust(), lines[0], lines[1])).unwrap()
    };
    assert!(check(&made, &pin(lines[2])).unwrap().pinned);
    let other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(check(&made, &pin(other)).unwrap_err().code, "PINNED");
}

/// A receipt made by hand: whoever holds keys needs no bundle that holds.
fn by_hand(pair: &Pair) -> Receipt {
    let made = draft(pair, CA);
    let proved = |node: usize, index: usize, head: &SignedCheckpoint| {
        let of = |tile: Tile| made.files.get(&format!("{}{tile}", folder(node))).cloned();
        let tile = |tile: Tile| Ok::<_, Infallible>(of(tile).or_else(|| of(tile.full())));
        let reader = TileReader::new(tile, head.checkpoint().size());
        let proof = TlogProof::new(&reader, index as u64, head.clone()).unwrap();
        Proved { entry: pair.nodes[node].log[index].clone(), proof }
    };
    let head = pair.nodes[SV].cosigned.values().last().unwrap();
    let other = pair.head(CA, pair.nodes[CA].log.len() as u64);
    Receipt {
        record_id: hex::decode(record_id(pair, SV, INDEX)).unwrap(),
        record: proved(SV, INDEX, head),
        issuer: vec![proved(SV, 0, head)],
        recipient: vec![proved(CA, 0, &other)],
        parts: None,
    }
}

#[test]
fn repro_one_state_alone_makes_no_receipt_of_the_others_record() {
    let honest = story();
    let found = check(&by_hand(&honest), &trust(&honest)).unwrap();
    assert_eq!((&*found.issuer_party, &*found.recipient_party), ("sv", "ca"));
    let mut pair = Pair::new();
    let root = SigningKey::from_pem(&pair.nodes[CA].root.to_pem()).unwrap();
    pair.usurp(SV, "ca", &root);
    let forged = by_hand(&told(pair));
    assert_eq!(check(&forged, &trust(&honest)).unwrap_err().code, "PARTIES");
    // With the root of a third state beside it, only what binds the node to its state helps.
    let mut pair = Pair::new();
    let stranger = SigningKey::from_seed(&[3; 32]);
    pair.usurp(SV, "gt", &stranger);
    let forged = by_hand(&told(pair));
    let text = format!("{}root gt 1 {}\n", honest.trust(), stranger.public().spki_base64());
    assert_eq!(check(&forged, &TrustFile::parse(&text).unwrap()).unwrap().issuer_party, "gt");
    for line in ["node sv node.sv.example", "node gt node.gt.example"] {
        let text = format!("{text}{line}\n");
        assert_eq!(check(&forged, &TrustFile::parse(&text).unwrap()).unwrap_err().code, "NODE", "{line}");
    }
}

#[test]
fn a_receipt_is_not_made_of_what_is_not_delivered_or_does_not_hold() {
    let mut pair = story();
    pair.act(SV, &crate::integrity::job(1, None), "documented").unwrap();
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, dir.path());
    let open = || Audit::open(dir.path(), None, &trust(&pair), &Options::default()).unwrap();
    let id = |index: usize| Ref::from_slice(&hex::decode(record_id(&pair, SV, index)).unwrap()).unwrap().0;
    assert!(open().holds());
    assert!(prove(&open(), &id(pair.nodes[SV].log.len() - 1), false).unwrap().is_none());
    assert!(prove(&open(), &id(INDEX), false).unwrap().is_some());
    std::fs::write(dir.path().join("policy"), "nothing").unwrap();
    assert!(prove(&open(), &id(INDEX), false).unwrap().is_none());
}

#[test]
fn receipts_outlive_a_rotation_of_the_issuers_keys() {
    let mut pair = story();
    let policy = draft(&pair, CA).files["policy"].clone();
    crate::rules::rotate(&mut pair, 2);
    pair.licence(SV, Ref([9; 16]), convenio_wire::r#type::v1::LicenceState::Active);
    let after = pair.nodes[SV].log.len() - 1;
    pair.sync();
    let dir = TempDir::new().unwrap();
    let mut exported = draft(&pair, CA);
    exported.files.insert("policy".into(), policy);
    exported.write(&pair, dir.path());
    let audit = Audit::open(dir.path(), None, &trust(&pair), &Options::default()).unwrap();
    assert!(audit.holds(), "{:#?}", audit.verifications().next().unwrap().problems);
    let made = |index: usize| {
        let id = Ref::from_slice(&hex::decode(record_id(&pair, SV, index)).unwrap()).unwrap();
        prove(&audit, &id.0, true).unwrap().unwrap().to_json()
    };
    for index in [INDEX, after] {
        let found = check(&Receipt::parse(made(index).as_bytes()).unwrap(), &trust(&pair)).unwrap();
        assert_eq!(found.place.index, index as u64);
    }
    // The new keys count by the rotation alone: without its entry the later record has no key.
    let mut alone: Value = serde_json::from_str(&made(after)).unwrap();
    let entries = alone["issuer"].as_array_mut().unwrap();
    assert!(entries.len() > 1);
    entries.pop();
    assert!(check(&Receipt::parse(alone.to_string().as_bytes()).unwrap(), &trust(&pair)).is_err());
}
