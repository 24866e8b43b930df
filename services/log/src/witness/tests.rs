use super::*;
use crate::note::NoteError;
use crate::parties::{ORIGIN, TIME, log, log_key, mirror_key, signer, witness, witness_key};
use crate::{Checkpoint, MemoryTree, NoteSignature, SignatureType, cosignature, naive};

/// The example body of tlog-witness §add-checkpoint.
const EXAMPLE: &str = "\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

/// The example answer of tlog-witness §add-checkpoint.
const EXAMPLE_ANSWER: &str = "\
— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
";

fn tree(size: u32) -> MemoryTree {
    naive::leaves(size).into_iter().collect()
}

fn head(tree: &MemoryTree) -> Head {
    Head { size: tree.size(), root: tree.root() }
}

fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    Checkpoint::new(ORIGIN, size, root).unwrap().sign(&log()).unwrap()
}

fn of(tree: &MemoryTree) -> SignedCheckpoint {
    signed(tree.size(), tree.root())
}

/// The honest submission of `tree` to a witness that holds its first `old` leaves.
fn honest(tree: &MemoryTree, old: u64) -> AddCheckpoint {
    AddCheckpoint::prove(tree, old, of(tree)).unwrap()
}

#[test]
fn the_specifications_request_round_trips() {
    let request = AddCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(request.to_string(), EXAMPLE);
    assert_eq!((request.old(), request.proof().len()), (20_852_014, 4));
    assert_eq!(request.origin(), "example.com/behind-the-sofa");
    assert_eq!(request.checkpoint().checkpoint().size(), 20_852_163);
}

#[test]
fn the_specifications_answer_round_trips() {
    let Answer::Cosigned(signatures) = Answer::parse(200, None, EXAMPLE_ANSWER.as_bytes()).unwrap() else { panic!() };
    assert_eq!(signatures.len(), 3);
    assert_eq!(lines(&signatures), EXAMPLE_ANSWER);
}

#[test]
fn requests_are_strict() {
    let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
    let checkpoint = EXAMPLE.split_once("\n\n").unwrap().1;
    let longest = format!("old 1\n{}\n{checkpoint}", hash.repeat(MAX_PROOF_LINES));
    assert_eq!(AddCheckpoint::parse(longest.as_bytes()).unwrap().to_string(), longest);
    for (bad, error) in [
        (String::new(), RequestError::Syntax),
        (format!("old 1\n{checkpoint}"), RequestError::Hash(1)),
        (format!("old 1\r\n\n{checkpoint}"), RequestError::OldSize),
        (format!("old 01\n\n{checkpoint}"), RequestError::OldSize),
        (format!("old  1\n\n{checkpoint}"), RequestError::OldSize),
        (format!("old -1\n\n{checkpoint}"), RequestError::OldSize),
        (format!("old 9223372036854775808\n\n{checkpoint}"), RequestError::OldSize),
        (format!("Old 1\n\n{checkpoint}"), RequestError::OldSize),
        (format!("{hash}\n{checkpoint}"), RequestError::OldSize),
        (format!("old 1\n {hash}\n{checkpoint}"), RequestError::Hash(1)),
        (format!("old 1\n{hash}AAAA\n\n{checkpoint}"), RequestError::Hash(2)),
        (format!("old 1\n{}\n{checkpoint}", hash.repeat(MAX_PROOF_LINES + 1)), RequestError::Hash(64)),
        ("x".repeat(MAX_REQUEST_LEN + 1), RequestError::TooLong),
    ] {
        assert_eq!(AddCheckpoint::parse(bad.as_bytes()), Err(error.clone()), "{bad:?}");
        assert_eq!(error.status(), 400);
    }
    for bad in [format!("old 1\n\n\n{checkpoint}"), format!("old 1\n\n{checkpoint}x"), "old 1\n\n".into()] {
        let refused = AddCheckpoint::parse(bad.as_bytes());
        assert!(matches!(refused, Err(RequestError::Checkpoint(_))), "{bad:?}");
    }
    assert_eq!(AddCheckpoint::parse(b"old 1\n\n\xff"), Err(RequestError::Syntax));
    let long = AddCheckpoint::new(1, vec![empty_root(); MAX_PROOF_LINES + 1], of(&tree(3)));
    assert_eq!(long, Err(RequestError::Hash(64)));
}

#[test]
fn an_empty_tree_with_another_root_is_unprocessable() {
    let wrong = EXAMPLE.replace("20852163", "0");
    assert_eq!(AddCheckpoint::parse(wrong.as_bytes()).unwrap_err().status(), 422);
}

#[test]
fn honest_submissions_are_cosigned_at_every_size() {
    for new in 0..=70 {
        let new = tree(new);
        for old in 0..=new.size() {
            let before = head(&tree(old as u32));
            let request = AddCheckpoint::parse(honest(&new, old).to_string().as_bytes()).unwrap();
            assert_eq!(decide(Some(before), &request, &[log_key()]), Decision::Cosign(head(&new)));
        }
        assert_eq!(decide(None, &honest(&new, 0), &[log_key()]), Decision::Cosign(head(&new)));
    }
}

#[test]
fn origins_and_signatures_are_judged_first() {
    let (old, new) = (tree(3), tree(7));
    let request = honest(&new, 3);
    let before = Some(head(&old));
    assert_eq!(decide(before, &request, &[]), Decision::UnknownOrigin);
    // A key under another name is no key of this origin, whatever it is.
    let other = VerifierKey::new("other", SignatureType::Ed25519, *log_key().public_key()).unwrap();
    assert_eq!(decide(before, &request, &[other]), Decision::UnknownOrigin);
    let renewed = VerifierKey::of(&signer(ORIGIN, 9), SignatureType::Ed25519).unwrap();
    assert_eq!(decide(before, &request, std::slice::from_ref(&renewed)), Decision::BadSignature);
    // Either of two trusted keys will do; a known one that fails will not.
    let both = [renewed.clone(), log_key()];
    assert_eq!(decide(before, &request, &both), Decision::Cosign(head(&new)));
    let mut forged = request.checkpoint().clone();
    forged.add(NoteSignature::new(&renewed, vec![0; 64])).unwrap();
    let forged = AddCheckpoint::new(3, request.proof().to_vec(), forged).unwrap();
    assert_eq!(decide(before, &forged, &both), Decision::BadSignature);
    assert_eq!(decide(before, &forged, &[log_key()]), Decision::Cosign(head(&new)));
}

#[test]
fn sizes_are_judged_before_proofs() {
    let new = tree(7);
    let before = Some(head(&tree(3)));
    let above = AddCheckpoint::new(8, Vec::new(), of(&new)).unwrap();
    assert_eq!(decide(before, &above, &[log_key()]), Decision::OldAboveSize);
    assert_eq!(decide(before, &honest(&new, 0), &[log_key()]), Decision::Conflict { size: 3 });
    assert_eq!(decide(None, &honest(&new, 3), &[log_key()]), Decision::Conflict { size: 0 });
    // Rollback: an older checkpoint of the same log.
    assert_eq!(decide(before, &honest(&tree(2), 2), &[log_key()]), Decision::Conflict { size: 3 });
    let conflict = decide(before, &honest(&tree(2), 2), &[log_key()]);
    assert_eq!(conflict.refusal(), Some((SIZE_TYPE, "3\n".to_owned())));
}

#[test]
fn every_changed_proof_is_unprocessable() {
    let new = tree(70);
    let before = Some(head(&tree(37)));
    let request = honest(&new, 37);
    for at in 0..request.proof().len() {
        let mut flipped = request.proof().to_vec();
        flipped[at] = crate::node_hash(&flipped[at], &flipped[at]);
        let mut short = request.proof().to_vec();
        short.remove(at);
        let mut long = request.proof().to_vec();
        long.insert(at, empty_root());
        for proof in [flipped, short, long] {
            let request = AddCheckpoint::new(37, proof, request.checkpoint().clone()).unwrap();
            assert_eq!(decide(before, &request, &[log_key()]), Decision::BadProof);
        }
    }
    let from_nothing = AddCheckpoint::new(0, vec![empty_root()], of(&new)).unwrap();
    assert_eq!(decide(None, &from_nothing, &[log_key()]), Decision::BadProof);
}

#[test]
fn a_split_view_is_refused_at_the_same_size_and_beyond() {
    let before = tree(5);
    let forked: MemoryTree = naive::leaves(12).into_iter().skip(5).collect();
    let same = AddCheckpoint::new(5, Vec::new(), signed(5, forked.leaves()[0])).unwrap();
    assert_eq!(decide(Some(head(&before)), &same, &[log_key()]), Decision::OtherRoot);
    // With another old size the answer is 409, and the contradiction stands all the same.
    let hidden = AddCheckpoint::new(0, Vec::new(), same.checkpoint().clone()).unwrap();
    assert_eq!(decide(Some(head(&before)), &hidden, &[log_key()]), Decision::Conflict { size: 5 });
    assert!(head(&before).contradicts(hidden.checkpoint().checkpoint()));
    assert!(!head(&before).contradicts(of(&before).checkpoint()));
    let beyond = AddCheckpoint::prove(&forked, 5, of(&forked)).unwrap();
    assert_eq!(decide(Some(head(&before)), &beyond, &[log_key()]), Decision::BadProof);
}

#[test]
fn statuses_are_the_specifications() {
    let head = head(&tree(1));
    let decisions = [
        (Decision::Cosign(head), 200),
        (Decision::OldAboveSize, 400),
        (Decision::BadSignature, 403),
        (Decision::UnknownOrigin, 404),
        (Decision::Conflict { size: 1 }, 409),
        (Decision::BadProof, 422),
        (Decision::OtherRoot, 422),
    ];
    for (decision, status) in decisions {
        assert_eq!(decision.status(), status);
        assert_eq!(decision.refusal().is_some(), status == 409);
    }
}

#[test]
fn answers_are_strict() {
    let conflict = |body: &str| Answer::parse(409, Some(SIZE_TYPE), body.as_bytes());
    assert_eq!(conflict("20852014\n"), Ok(Answer::Conflict { size: 20_852_014 }));
    for bad in ["", "1", "01\n", "1\n\n", " 1\n", "9223372036854775808\n"] {
        assert_eq!(conflict(bad), Err(AnswerError::Size), "{bad:?}");
    }
    assert_eq!(Answer::parse(409, Some("text/plain"), b"1\n"), Err(AnswerError::Size));
    assert_eq!(Answer::parse(409, None, b"1\n"), Err(AnswerError::Size));
    for (status, answer) in [
        (400, Answer::Malformed),
        (403, Answer::BadSignature),
        (404, Answer::UnknownOrigin),
        (422, Answer::Inconsistent),
    ] {
        assert_eq!(Answer::parse(status, Some("text/plain"), b"why"), Ok(answer));
    }
    for status in [0, 201, 302, 401, 429, 500, 503] {
        assert_eq!(Answer::parse(status, None, b""), Err(AnswerError::Status(status)));
    }
    for bad in ["", "\n", "x\n", EXAMPLE_ANSWER.trim_end(), &format!("{EXAMPLE_ANSWER}\n"), &EXAMPLE_ANSWER[3..]] {
        assert!(Answer::parse(200, None, bad.as_bytes()).is_err(), "{bad:?}");
    }
    let many = EXAMPLE_ANSWER.repeat(6);
    assert_eq!(Answer::parse(200, None, many.as_bytes()), Err(AnswerError::TooLong));
    assert_eq!(Answer::parse(200, None, &vec![b'x'; MAX_ANSWER_LEN + 1]), Err(AnswerError::TooLong));
}

#[test]
fn only_the_lines_of_known_witnesses_are_applied() {
    let mut held = of(&tree(9));
    let line = cosignature::cosign(&held, &witness(), TIME).unwrap();
    let stranger = cosignature::cosign(&held, &signer("stranger", 8), TIME).unwrap();
    let answer = [stranger.clone(), line.clone()];
    assert_eq!(apply(&mut held, &answer, &[mirror_key()]), Err(NoteError::NoKnownSignature.into()));
    assert_eq!(apply(&mut held, &answer, &[mirror_key(), witness_key()]), Ok(1));
    assert_eq!(apply(&mut held, &answer, &[witness_key()]), Ok(0), "the same line again");
    assert_eq!(cosignature::verify(&held, &witness_key()), Ok(TIME));
    assert!(!held.note().signatures().contains(&stranger));
    assert_eq!(held.only_by([&log_key()]), of(&tree(9)));
    assert_eq!(held.only_by([&log_key(), &witness_key()]), held);
}

#[test]
fn a_false_cosignature_adds_nothing() {
    let held = of(&tree(9));
    let good = cosignature::cosign(&held, &witness(), TIME).unwrap();
    let elsewhere = cosignature::cosign(&of(&tree(8)), &witness(), TIME).unwrap();
    let timeless = cosignature::cosign(&held, &witness(), 0).unwrap();
    let plain = NoteSignature::new(&log_key(), vec![0; 64]);
    let refused = |lines: &[NoteSignature]| {
        let mut checkpoint = held.clone();
        let error = apply(&mut checkpoint, lines, &[witness_key(), log_key()]).unwrap_err();
        assert_eq!(checkpoint, held);
        error
    };
    let name = witness_key().name().to_owned();
    assert_eq!(refused(&[good.clone(), elsewhere]), NoteError::BadSignature(name).into());
    assert_eq!(refused(&[good, timeless]), AnswerError::NoTime);
    // A log's key is no witness's, even where a caller lists it.
    assert_eq!(refused(&[plain]), NoteError::NoKnownSignature.into());
    assert_eq!(refused(&[]), NoteError::NoKnownSignature.into());
}

#[test]
fn the_monitoring_path_is_the_origins_hash() {
    // printf %s example.com/behind-the-sofa | sha256sum
    let hex = "5fd2dc0beb4ce54da5050cf6d5c75248b023abad441c3cecde3976fbe9da4fe4";
    let path = monitoring_path("example.com/behind-the-sofa");
    assert_eq!(path, format!("{hex}/checkpoint"));
}
