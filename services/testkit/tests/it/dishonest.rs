//! A partner that signs what an honest node would not.

use convenio_exchange::Core;
use convenio_exchange::session::SessionEnd;
use convenio_model::SeededEntropy;
use convenio_seal::key::SigningKey;
use convenio_seal::statement::seal_entry;
use convenio_testkit::acts::reference;
use convenio_testkit::dishonest::Draft;
use convenio_testkit::records::{DOCUMENT, FAMILY_NAME};
use convenio_testkit::treaty::SV_CA;
use convenio_testkit::{Books, Case, Dishonest, Pair};
use convenio_wire::STATEMENT_TYPE;
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{
    ActKind, Activate, Batch, Entry, Outcome, OutcomeDetail, Part, Position, Reject, SaltedPart,
};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

/// p1 OFFERED, p2 NOMINATED, p0 unknown, an open and a closed order; then the origin is taken over.
async fn taken_over(seed: u64) -> (Pair, Dishonest) {
    let pair = Pair::new(seed).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    pair.destination.order(SV_CA, "closed", 9, false).await.unwrap();
    pair.bring_one("p1", "order", "OFFERED").await;
    pair.bring_one("p2", "order", "NOMINATED").await;
    pair.check().await;
    let dishonest = Dishonest::take_over(&pair, true, SV_CA).await;
    (pair, dishonest)
}

fn nominate(by: &Dishonest, label: &str) -> Draft {
    by.draft(&Case::new(label, "order"), "nominate", ActKind::Transition, 1, "PRESELECTED", "NOMINATED")
}

/// Signs statement bytes as they are.
fn signed(statement: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    let signatures = vec![convenio_seal::dsse::sign(STATEMENT_TYPE, &statement, key)];
    Entry { statement, signatures }.encode_to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_forgery_gets_its_reason_and_leaves_no_trace() {
    let (pair, mut by) = taken_over(41).await;
    let offered = Case::new("p1", "order");
    let before =
        (pair.destination.placement(&offered).await, pair.destination.placement(&Case::new("p2", "order")).await);
    let order_before = pair.destination.order_of(&offered).await;
    let mut forged: Vec<(&str, u64, &str)> = Vec::new();
    for (name, reason, index) in envelopes(&mut by).await.into_iter().chain(contents(&mut by)).chain(acts(&mut by)) {
        forged.push((name, index, reason));
    }
    let honest = nominate(&by, "honest");
    let honest = by.append(honest);
    by.deliver().await;

    let wrong: Vec<_> = {
        let mut wrong = Vec::new();
        for (name, index, reason) in &forged {
            let verdict = by.verdict(*index).await;
            if verdict != Err((*reason).to_owned()) {
                wrong.push((*name, *reason, verdict));
            }
        }
        wrong
    };
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(by.verdict(honest).await, Ok(()), "a refused record stops the stream");

    let after =
        (pair.destination.placement(&offered).await, pair.destination.placement(&Case::new("p2", "order")).await);
    assert_eq!(after, before);
    assert_eq!(pair.destination.order_of(&offered).await, order_before);
    for label in ["p0", "p9"] {
        assert_eq!(pair.destination.placement(&Case::new(label, "order")).await.state, "", "{label}");
    }
    // What was not disclosed is nowhere; what was is.
    let ledger = by.ledger().await;
    let stored: Vec<&[u8]> = ledger.peer.iter().flat_map(|e| e.parts.iter().flatten()).map(|p| &p.part[..]).collect();
    let holds = |text: &str| stored.iter().any(|part| part.windows(text.len()).any(|w| w == text.as_bytes()));
    assert!(!holds(FAMILY_NAME), "a name that was not disclosed is stored");
    assert!(!holds(DOCUMENT), "a document number that was not disclosed is stored");
    assert!(holds(&offered.worker_ref().to_string()), "positive control");
    // The gate is told in the erasable part.
    let gate = forged.iter().find(|(name, ..)| *name == "a closed order").unwrap().1;
    let detail = ledger.own.iter().filter(|e| e.outcome().is_some()).filter_map(|e| e.decoded()?.pop());
    let details = detail.flat_map(|p| OutcomeDetail::decode(p.message.as_slice()).unwrap().rejects);
    let told: Vec<_> = details.filter(|d| d.index == gate).map(|d| (d.gate, d.field_paths)).collect();
    assert_eq!(told, [("order_open".to_owned(), vec!["placement.job_order".to_owned()])]);
}

type Forged = Vec<(&'static str, &'static str, u64)>;

/// Entry and statement are not what they must be.
async fn envelopes(by: &mut Dishonest) -> Forged {
    let mut forged = Forged::new();
    // A record that was accepted, byte for byte, with its parts.
    let ledger = by.ledger().await;
    let accepted = ledger.peer.iter().find(|e| e.is_record()).unwrap();
    let parts: Vec<SaltedPart> = accepted.parts.iter().flatten().cloned().collect();
    forged.push(("replayed", "DUPLICATE", by.append_raw(accepted.bytes.clone(), parts)));

    let used = accepted.record_id();
    let mut draft = nominate(by, "p0").with_part(0, |p| p.record_id = used.0.to_vec());
    draft = draft.with_part(1, |p| p.record_id = used.0.to_vec());
    draft.statement.record_id = used.0.to_vec();
    forged.push(("another record of the same id", "DUPLICATE", by.append(draft)));

    let mut with = |name, reason, change: &dyn Fn(&mut convenio_wire::exchange::v1::Statement)| {
        let mut draft = nominate(by, "p0");
        change(&mut draft.statement);
        forged.push((name, reason, by.append(draft)));
    };
    with("another recipient", "WRONG_RECIPIENT", &|s| s.recipient = "node.gt.example".into());
    with("another log", "WRONG_ORIGIN", &|s| s.log_origin = s.log_origin.replace("/1", "/2"));
    with("another issuer", "WRONG_ORIGIN", &|s| s.issuer = "node.gt.example".into());
    with("another agreement version", "NOT_IN_FORCE", &|s| s.agreement_digest = vec![9; 32]);
    with("another version of the format", "SCHEMA", &|s| s.version = 2);
    with("no record id", "SCHEMA", &|s| s.record_id = vec![1; 3]);
    with("what was not yet there", "PEER_POSITION", &|s| s.peer = Some(Position { epoch: 1, size: 1 << 40 }));
    with("no peer position", "PEER_POSITION", &|s| s.peer = None);

    let draft = nominate(by, "p0");
    let statement = draft.statement.encode_to_vec();
    // `version` once more; a field 1000 that the statement does not have.
    for (name, more) in [("a repeated field", vec![0x08, 0x01]), ("an unknown field", vec![0xc0, 0x3e, 0x01])] {
        let entry = signed([statement.clone(), more].concat(), &by.keys.record);
        forged.push((name, "NON_CANONICAL", by.append_raw(entry, draft.parts.clone())));
    }
    forged.push(("no entry at all", "NON_CANONICAL", by.append_raw(vec![1, 2, 3], Vec::new())));

    let sealed = |key: &SigningKey| seal_entry(&draft.statement, key).unwrap();
    let stranger = SigningKey::from_seed(&[5; 32]);
    forged.push(("a stranger's signature", "UNKNOWN_KEY", by.append_raw(sealed(&stranger), draft.parts.clone())));
    let log_key = sealed(&by.keys.log);
    forged.push(("the log's key", "UNKNOWN_KEY", by.append_raw(log_key, draft.parts.clone())));
    let resigned = |change: &dyn Fn(&mut Entry)| {
        let mut entry = Entry::decode(sealed(&by.keys.record).as_slice()).unwrap();
        change(&mut entry);
        entry.encode_to_vec()
    };
    let broken = resigned(&|e| e.signatures[0].sig[7] ^= 1);
    let doubled = resigned(&|e| e.signatures.push(e.signatures[0].clone()));
    let unsigned = resigned(&|e| e.signatures.clear());
    for (name, entry) in [("a broken signature", broken), ("two signatures", doubled), ("none", unsigned)] {
        forged.push((name, "BAD_SIGNATURE", by.append_raw(entry, draft.parts.clone())));
    }
    forged
}

/// The parts are not what the statement commits to, or what the agreement lets cross.
fn contents(by: &mut Dishonest) -> Forged {
    let mut forged = Forged::new();
    let mut draft = nominate(by, "p0");
    draft.parts.pop();
    forged.push(("a part is missing", "PART_MISSING", by.append(draft)));
    let mut draft = nominate(by, "p0");
    draft.parts[0] = SaltedPart::default();
    forged.push(("a part is empty", "PART_MISSING", by.append(draft)));
    let mut draft = nominate(by, "p0");
    draft.parts[0].salt[0] ^= 1;
    forged.push(("another salt", "COMMITMENT_MISMATCH", by.append(draft)));
    let mut draft = nominate(by, "p0");
    draft.parts.swap(0, 1);
    forged.push(("parts in another order", "COMMITMENT_MISMATCH", by.append(draft)));

    let mut with = |name, reason, change: &dyn Fn(&mut Part)| {
        let draft = nominate(by, "p0").with_part(1, change);
        forged.push((name, reason, by.append(draft)));
    };
    with("an unknown field in a message", "NON_CANONICAL", &|p| p.message.extend([0xc0, 0xb8, 0x02, 1]));
    with("a message in another encoding", "NON_CANONICAL", &|p| p.message.extend([0x28, 0x07]));
    with("a message that breaks a rule", "SCHEMA", &|p| p.message.clear());
    with("an unknown message", "SCHEMA", &|p| p.message_name.push('x'));
    with("another record's part", "SCHEMA", &|p| p.record_id[0] ^= 1);
    with("a part under another version", "SCHEMA", &|p| p.agreement_digest[0] ^= 1);
    with("another retention class", "SCHEMA", &|p| p.retention_class = "public".into());
    with("parts of two subjects", "SCHEMA", &|p| p.subject_ref = format!("placements/{}", reference("p9")));

    let draft = nominate(by, "p0");
    let parts = draft.parts.iter().map(|p| Part::decode(p.part.as_slice()).unwrap());
    let mut parts: Vec<_> = parts.collect();
    parts.truncate(1);
    forged.push(("an act without one of its messages", "SCHEMA", {
        let draft = by.record(parts);
        by.append(draft)
    }));
    forged.push(("no parts at all", "SCHEMA", {
        let draft = by.record(Vec::new());
        by.append(draft)
    }));
    forged
}

/// The acts are not their issuer's, or not now.
fn acts(by: &mut Dishonest) -> Forged {
    let mut forged = Forged::new();
    let (offered, nominated, fresh) = (Case::new("p1", "order"), Case::new("p2", "order"), Case::new("p0", "order"));
    let closed = Case::new("p9", "closed");
    let draft = |by: &Dishonest, case: &Case, act: &str, kind, number, stage: &str| {
        by.draft(case, act, kind, number, "", stage)
    };
    use ActKind::{Fact, Proposal, Transition};
    let b = &*by;
    let drafts = [
        ("a name before the offer", "UNDISCLOSED", draft(b, &nominated, "identified", Fact, 0, "OFFERED")),
        ("a document before the contract", "UNDISCLOSED", draft(b, &nominated, "documented", Fact, 0, "CONTRACTED")),
        ("a proposal past its stage", "UNDISCLOSED", draft(b, &nominated, "ready", Proposal, 2, "CONTRACTED")),
        ("a proposal called a transition", "NOT_GOVERNOR", draft(b, &offered, "contract", Transition, 3, "OFFERED")),
        ("an act of the other state", "NOT_GOVERNOR", draft(b, &nominated, "decline", Transition, 2, "NOMINATED")),
        ("a fact of the other state", "NOT_GOVERNOR", draft(b, &offered, "contract_offered", Fact, 0, "OFFERED")),
        ("a number too high", "SEQUENCE", draft(b, &fresh, "nominate", Transition, 5, "NOMINATED")),
        ("a number that is taken", "SEQUENCE", draft(b, &offered, "contract", Proposal, 2, "OFFERED")),
        ("a state left before", "NOT_GOVERNOR", draft(b, &offered, "nominate", Transition, 3, "NOMINATED")),
        ("a closed order", "GATE", draft(b, &closed, "nominate", Transition, 1, "NOMINATED")),
        ("a contract that nobody authored", "GATE", draft(b, &offered, "contract", Proposal, 3, "OFFERED")),
    ];
    for (name, reason, draft) in drafts {
        forged.push((name, reason, by.append(draft)));
    }
    forged
}

/// Content that may not cross rides on a record that would be refused anyway: it is not stored either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undisclosed_parts_are_not_stored_whatever_they_ride_on() {
    let (pair, mut by) = taken_over(42).await;
    let nominated = Case::new("p2", "order");
    let secret = |by: &Dishonest| {
        let draft = by.draft(&nominated, "documented", ActKind::Fact, 0, "", "CONTRACTED");
        Part::decode(draft.parts[0].part.as_slice()).unwrap()
    };
    let lead = |by: &Dishonest, act: &str, kind, stage: &str| {
        let draft = by.draft(&nominated, act, kind, 2, "NOMINATED", stage);
        Part::decode(draft.parts[0].part.as_slice()).unwrap()
    };
    let like = |lead: &Part, secret: Part| Part {
        act_kind: lead.act_kind,
        placement_sequence: lead.placement_sequence,
        ..secret
    };
    let mut forged = Vec::new();
    // Behind an act whose own stage is late and which is not possible now.
    for (act, kind) in [("close", ActKind::Transition), ("close", ActKind::Proposal), ("departed", ActKind::Fact)] {
        let stage = if act == "close" { "CLOSED" } else { "DEPARTED" };
        let lead = lead(&by, act, kind, stage);
        let hidden = like(&lead, secret(&by));
        let draft = by.record(vec![lead, hidden]);
        forged.push(by.append(draft));
    }
    // Behind a leading part that is missing, does not fit, is of no known subject or message.
    let change: [fn(&mut Draft); 2] = [|d| d.parts[0] = SaltedPart::default(), |d| d.parts[0].salt[0] ^= 1];
    for change in change {
        let mut draft = by.record(vec![lead(&by, "departed", ActKind::Fact, "DEPARTED"), secret(&by)]);
        change(&mut draft);
        forged.push(by.append(draft));
    }
    let change: [fn(&mut Part); 3] =
        [|p| p.subject_ref = "placements/x".into(), |p| p.message_name.push('x'), |p| p.subject_ref.clear()];
    for change in change {
        let mut first = lead(&by, "departed", ActKind::Fact, "DEPARTED");
        change(&mut first);
        let draft = by.record(vec![first, secret(&by)]);
        forged.push(by.append(draft));
    }
    // Under a name that the agreement does not know, and inside a message that may cross.
    let mut renamed = secret(&by);
    renamed.message_name.push('x');
    let draft = by.record(vec![renamed]);
    forged.push(by.append(draft));
    let mut within = lead(&by, "departed", ActKind::Fact, "DEPARTED");
    within.message.extend(secret(&by).message.repeat(1));
    let draft = by.record(vec![within]);
    forged.push(by.append(draft));
    by.deliver().await;
    for index in forged {
        by.verdict(index).await.unwrap_err();
    }
    let ledger = by.ledger().await;
    for entry in &ledger.peer {
        for part in entry.parts.iter().flatten() {
            let found = part.part.windows(DOCUMENT.len()).any(|w| w == DOCUMENT.as_bytes());
            assert!(!found, "entry {} is stored with what may not cross", entry.index);
        }
    }
    drop(pair);
}

/// Hashes, framing and checkpoints: the log stops there, and nothing of the batch is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_batch_stops_the_log() {
    let (pair, mut by) = taken_over(43).await;
    let begin = by.mirrored().await;
    let draft = nominate(&by, "p0");
    by.append(draft);
    let good = by.batch(begin);
    let stranger = SigningKey::from_seed(&[5; 32]);
    let mut other = nominate(&by, "p0");
    other.statement.time_ms += 1;
    let other = seal_entry(&other.statement, &by.keys.record).unwrap();
    let fork = {
        let mut log = by.log.clone();
        log[3] = other.clone();
        std::mem::swap(&mut by.log, &mut log);
        let checkpoint = by.checkpoint();
        by.log = log;
        checkpoint
    };
    let changed = |change: &dyn Fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        batch
    };
    let foreign = String::from_utf8(good.checkpoint.clone()).unwrap().replace("/1\n", "/2\n").into_bytes();
    let bad = [
        ("BAD_FRAMING", changed(&|b| b.begin += 1)),
        ("BAD_FRAMING", changed(&|b| b.begin = 0)),
        // Without entries it asks to have the held head cosigned anew, and shows another.
        ("BAD_CHECKPOINT", changed(&|b| b.entries.clear())),
        ("BAD_CHECKPOINT", changed(&|b| b.entries[0] = other.clone().into())),
        ("BAD_CHECKPOINT", changed(&|b| b.entries.push(other.clone().into()))),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint = by.checkpoint_by(&stranger))),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint = by.checkpoint_by(&by.keys.record))),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint = fork.clone())),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint = foreign.clone())),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint.clear())),
        ("BAD_CHECKPOINT", changed(&|b| b.checkpoint.extend(b"\xe2\x80\x94 x AAAA\n\n"))),
        ("BATCH_LIMITS", changed(&|b| b.entries = vec![other.clone().into(); 1025])),
        ("BATCH_LIMITS", changed(&|b| b.entries[0] = vec![0; 65_536].into())),
        ("UNKNOWN_ORIGIN", changed(&|b| b.origin = by.exchange.peer().origin.clone())),
    ];
    for (at, (reason, batch)) in bad.into_iter().enumerate() {
        match by.send(batch).await {
            Err(SessionEnd::Refused { reason: said, .. }) => assert_eq!(said, reason, "case {at}"),
            other => panic!("case {at} ({reason}): {other:?}"),
        }
        assert_eq!(by.mirrored().await, begin, "case {at}");
    }
    by.send(good).await.unwrap();
    assert_eq!(by.mirrored().await, begin + 1);
    drop(pair);
}

/// Decisions that are repeated, of another epoch, about what is not there or of no range change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_that_covers_what_it_cannot_changes_nothing() {
    let pair = Pair::new(44).await;
    pair.destination.order(SV_CA, "order", 9, true).await.unwrap();
    let case = pair.bring_one("p1", "order", "NOMINATED").await;
    pair.check().await;
    let mut by = Dishonest::take_over(&pair, false, SV_CA).await;
    let (view, before) = (pair.origin.placement(&case).await, by.ledger().await);
    let size = before.own_row.size;
    let nomination = before.own.iter().find(|e| e.is_record()).unwrap().index;
    let ranges = [(1, 0, size), (1, nomination, nomination + 1), (2, 0, size), (1, size, size + 9), (1, size, 0)];
    for (at, (epoch, begin, end)) in ranges.into_iter().chain([(1, 0, size)]).enumerate() {
        let rejects = vec![Reject { index: nomination, reason: "GATE".into() }];
        let outcome = Outcome { epoch, begin, end, rejects, commitments: Vec::new() };
        let id = reference(&format!("outcome {at}")).0.to_vec();
        let statement = by.statement(id, Body::Outcome(outcome));
        by.append(Draft { statement, parts: Vec::new() });
    }
    by.deliver().await;
    let after = by.ledger().await;
    assert_eq!(pair.origin.placement(&case).await, view);
    let decided = |row: &convenio_store::LogRow| (row.decided, row.rejected, row.entangled);
    assert_eq!(decided(&after.own_row), decided(&before.own_row));
}

/// An ACTIVATE that its log's key did not sign puts nothing in force, not even once the node has started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repro_a_forged_activate_was_believed_after_a_restart() {
    let (pair, by) = taken_over(48).await;
    let (parts, _store, _dir) = pair.restored(false, None).await;
    let stop = CancellationToken::new();
    let victim = async || {
        let core = Core::open(parts.clone()).await.unwrap();
        core.start(&stop);
        Books { core, vault: parts.vault.clone() }
    };
    let mut by = by.against(victim().await, 3);
    let body = Body::Activate(Activate { digest: by.exchange.pack().digest().to_vec() });
    let activate = by.statement(vec![5; 16], body);
    let stranger = SigningKey::generate(&SeededEntropy::labelled(48, "stranger"));
    by.append_raw(seal_entry(&activate, &stranger).unwrap(), Vec::new());
    for label in ["first", "second"] {
        let record = nominate(&by, label);
        let index = by.append(record);
        by.deliver().await;
        assert_eq!(by.verdict(index).await, Err("NOT_IN_FORCE".to_owned()), "{label}");
        by = by.against(victim().await, usize::MAX);
    }
    stop.cancel();
}
