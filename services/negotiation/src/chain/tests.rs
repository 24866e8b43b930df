use convenio_model::SeededEntropy;
use convenio_seal::dsse::Envelope;
use convenio_seal::key::SigningKey;
use convenio_seal::trust::TrustedOffice;

use super::*;
use crate::act::{Act, FileLine};
use crate::draft::digest_of;
use crate::sha256;

fn key(party: &str) -> SigningKey {
    SigningKey::generate(&SeededEntropy::labelled(7, party))
}

fn known() -> Vec<TrustedOffice> {
    let line = |party: &str| TrustedOffice { party: party.into(), office: "minrex".into(), key: key(party).public() };
    vec![line("sv"), line("ca")]
}

fn draft(text: &str) -> DraftLines {
    let path = "agreements/sv-ca/agreement.toml".to_owned();
    let files = vec![FileLine { path, sha256: sha256(text.as_bytes()), size: text.len() as u32 }];
    DraftLines { digest: digest_of(&files), files }
}

fn act(from: &str, before: Option<&SignedAct>, deed: Deed) -> Act {
    let to = if from == "sv" { "ca" } else { "sv" };
    Act {
        agreement: "sv-ca".into(),
        from: from.into(),
        office: "minrex".into(),
        to: vec![to.into()],
        step: before.map_or(1, |signed| signed.act.step + 1),
        previous: before.map(|signed| signed.hash),
        time_ms: 1_800_000_000_000,
        note: String::new(),
        deed,
    }
}

fn signed(act: &Act) -> SignedAct {
    let made = SignedAct::sign(act, &key(&act.from)).unwrap();
    let read = Envelope::parse(made.envelope.to_json().as_bytes()).unwrap();
    assert_eq!(SignedAct::verify(read, &known()).unwrap(), made);
    made
}

fn next(from: &str, before: &SignedAct, deed: Deed) -> SignedAct {
    signed(&act(from, Some(before), deed))
}

/// A proposal of sv, countered by ca.
fn two() -> (Negotiation, SignedAct, SignedAct) {
    let propose = signed(&act("sv", None, Deed::Propose(draft("one"))));
    let counter = next("ca", &propose, Deed::Counter(draft("two")));
    (Negotiation::of(vec![counter.clone(), propose.clone()]).unwrap(), propose, counter)
}

#[test]
fn a_draft_is_agreed_once_every_party_has_put_its_initials_to_it() {
    let (mut negotiation, propose, counter) = two();
    assert_eq!(negotiation.id(), propose.hash);
    let ours = next("sv", &counter, Deed::Initial(draft("two").digest));
    let theirs = next("ca", &ours, Deed::Initial(draft("two").digest));
    negotiation.add(ours).unwrap();
    assert_eq!((negotiation.state(), negotiation.agreed()), (State::Open, Vec::new()));
    assert!(negotiation.add(theirs.clone()).unwrap());
    assert_eq!((negotiation.state(), negotiation.agreed()), (State::Initialled, vec![draft("two").digest]));
    // Sent again it changes nothing; behind it nothing follows.
    assert!(!negotiation.add(theirs.clone()).unwrap());
    assert_eq!(negotiation.acts().len(), 4);
    let late = next("sv", &theirs, Deed::Comment);
    assert_eq!(negotiation.add(late).unwrap_err().reason(), "NEGOTIATION_CLOSED");
}

#[test]
fn initials_are_of_the_standing_draft_and_once() {
    let (negotiation, propose, counter) = two();
    let refused = |signed: &SignedAct| negotiation.fits(signed).unwrap_err().reason();
    assert_eq!(refused(&next("sv", &counter, Deed::Initial(draft("one").digest))), "OTHER_DRAFT");
    assert_eq!(refused(&next("sv", &counter, Deed::Counter(draft("two")))), "OTHER_DRAFT");
    assert_eq!(refused(&next("sv", &counter, Deed::Withdraw(draft("two").digest))), "NOT_YOUR_ACT");
    assert_eq!(refused(&next("ca", &counter, Deed::Reject(draft("two").digest))), "NOT_YOUR_ACT");

    let initial = next("ca", &propose, Deed::Initial(draft("one").digest));
    let mut negotiation = negotiation;
    negotiation.add(initial.clone()).unwrap();
    let again = next("ca", &initial, Deed::Initial(draft("one").digest));
    assert_eq!(negotiation.fits(&again).unwrap_err().reason(), "ALREADY_INITIALLED");
    // A counter-proposal takes initials away: they were of another text.
    let counter = next("sv", &initial, Deed::Counter(draft("three")));
    negotiation.add(counter.clone()).unwrap();
    assert!(negotiation.standing(&counter.hash).unwrap().initialled.is_empty());
}

#[test]
fn a_negotiation_ends_by_rejection_or_withdrawal() {
    for (from, deed, state) in [
        ("sv", Deed::Reject(draft("two").digest), State::Rejected),
        ("ca", Deed::Withdraw(draft("two").digest), State::Withdrawn),
    ] {
        let (mut negotiation, _, counter) = two();
        let end = next(from, &counter, deed);
        negotiation.add(end.clone()).unwrap();
        assert_eq!(negotiation.state(), state);
        let late = next("sv", &end, Deed::Counter(draft("three")));
        assert_eq!(negotiation.add(late).unwrap_err().reason(), "NEGOTIATION_CLOSED");
    }
}

#[test]
fn two_acts_of_one_step_are_both_kept_and_told_in_whatever_order_they_come() {
    let (_, propose, counter) = two();
    let other = next("ca", &propose, Deed::Counter(draft("other")));
    let behind = next("sv", &other, Deed::Initial(draft("other").digest));
    let acts = [&propose, &counter, &other, &behind];
    for order in [[0, 1, 2, 3], [0, 2, 3, 1]] {
        let mut negotiation = Negotiation::default();
        for at in order {
            assert!(negotiation.add(acts[at].clone()).unwrap());
        }
        assert_eq!(negotiation.forks(), [2]);
        let heads: Vec<_> = negotiation.heads().into_iter().map(|head| head.head).collect();
        assert_eq!(heads, [behind.hash, counter.hash]);
        assert_eq!(negotiation.state(), State::Open);
    }
}

#[test]
fn the_chain_has_no_gap_no_other_party_and_no_second_beginning() {
    let (negotiation, propose, counter) = two();
    let refused = |act: &Act| {
        let made = SignedAct::sign(act, &key("sv")).unwrap();
        negotiation.fits(&made).unwrap_err().reason()
    };
    let good = act("sv", Some(&counter), Deed::Comment);
    assert_eq!(refused(&Act { step: 4, ..good.clone() }), "STEP");
    assert_eq!(refused(&Act { previous: Some([9; 32]), ..good.clone() }), "PREVIOUS_UNKNOWN");
    assert_eq!(refused(&Act { agreement: "sv-es".into(), ..good.clone() }), "OTHER_NEGOTIATION");
    assert_eq!(refused(&Act { to: vec!["es".into()], ..good }), "OTHER_NEGOTIATION");
    assert_eq!(refused(&act("sv", None, Deed::Propose(draft("three")))), "OTHER_NEGOTIATION");
    // The very act before it, replayed as another step, is not what was signed.
    let mut envelope = propose.envelope.clone();
    envelope.payload = Act { step: 3, ..counter.act.clone() }.to_payload();
    assert_eq!(SignedAct::verify(envelope, &known()).unwrap_err().reason(), "UNKNOWN_OFFICE");
}

#[test]
fn an_office_is_believed_by_its_own_key_alone() {
    let act = act("sv", None, Deed::Propose(draft("one")));
    let by_other = SignedAct::sign(&act, &key("ca")).unwrap();
    assert_eq!(SignedAct::verify(by_other.envelope, &known()).unwrap_err().reason(), "UNKNOWN_OFFICE");
    let other_office = SignedAct::sign(&Act { office: "mtps".into(), ..act }, &key("sv")).unwrap();
    assert_eq!(SignedAct::verify(other_office.envelope, &known()).unwrap_err().reason(), "UNKNOWN_OFFICE");
}

#[test]
fn there_are_at_most_64_steps() {
    let (mut negotiation, _, counter) = two();
    let mut last = counter;
    for step in 3..=MAX_STEPS {
        last = next(if step % 2 == 0 { "ca" } else { "sv" }, &last, Deed::Comment);
        negotiation.add(last.clone()).unwrap();
    }
    assert_eq!(last.act.step, 64);
    let beyond = act("sv", Some(&last), Deed::Comment);
    let made = SignedAct::sign(&beyond, &key("sv"));
    assert_eq!(made.unwrap_err().reason(), "TOO_MANY_STEPS");
    // Nor does a fork make room without end.
    for at in negotiation.acts().len()..MAX_ACTS {
        let fork = Act { note: at.to_string(), ..act("sv", Some(&last), Deed::Comment) };
        let fork = Act { step: 64, previous: last.act.previous, ..fork };
        negotiation.add(signed(&fork)).unwrap();
    }
    let fork = Act { step: 64, previous: last.act.previous, ..beyond };
    assert_eq!(negotiation.add(signed(&fork)).unwrap_err().reason(), "TOO_MANY_STEPS");
}

#[test]
fn a_draft_of_hostile_lines_is_refused() {
    let refused = |change: &dyn Fn(&mut DraftLines)| {
        let mut lines = draft("one");
        change(&mut lines);
        SignedAct::sign(&act("sv", None, Deed::Propose(lines)), &key("sv")).unwrap_err().reason()
    };
    assert_eq!(refused(&|lines| lines.digest[0] ^= 1), "MALFORMED_ACT");
    assert_eq!(refused(&|lines| lines.files.clear()), "MALFORMED_ACT");
    assert_eq!(refused(&|lines| lines.files.push(lines.files[0].clone())), "MALFORMED_ACT");
    assert_eq!(refused(&|lines| lines.files[0].size = u32::MAX), "MALFORMED_ACT");
    let many = |count: usize, size: u32| {
        move |lines: &mut DraftLines| {
            let line = |at: usize| FileLine { path: format!("a/{at:03}.proto"), sha256: [1; 32], size };
            lines.files = (0..count).map(line).collect();
            lines.digest = digest_of(&lines.files);
        }
    };
    assert_eq!(refused(&many(255, 1024 * 1024)), "TOO_LARGE");
    assert_eq!(refused(&many(257, 1)), "MALFORMED_ACT");
}

#[test]
fn every_changed_byte_of_an_act_is_refused() {
    let (_, propose, _) = two();
    for at in 0..propose.envelope.payload.len() {
        let mut envelope = propose.envelope.clone();
        envelope.payload[at] ^= 1;
        assert!(SignedAct::verify(envelope, &known()).is_err(), "{at}");
    }
}
