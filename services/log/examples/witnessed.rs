//! Drives a witness that others wrote over HTTP, and holds each of its answers against our own
//! [`decide`]: it must cosign what is honest, and refuse what is forged, with the same status.
//!
//! ```text
//! witnessed keys                      the logs that the witness is to know: `<origin> <vkey>` lines
//! witnessed HOST:PORT VKEY first      from nothing to 300 entries
//! witnessed HOST:PORT VKEY again      after it was restarted: it has forgotten nothing
//! ```

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use convenio_log::witness::{ADD_CHECKPOINT, AddCheckpoint, Answer, Decision, Head, apply, decide, monitoring_path};
use convenio_log::{
    Checkpoint, Ed25519Signer, Hash, MemoryTree, SignatureType, SignedCheckpoint, VerifierKey, cosignature, empty_root,
    leaf_hash,
};

type Failure = Box<dyn std::error::Error>;

const ORIGIN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
const OTHER: &str = "node.ca.example/agreements/sv-ca/to/node.sv.example/1";

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["keys"] => {
            for name in [ORIGIN, OTHER] {
                println!("{name} {}", VerifierKey::of(&signer(name, 1)?, SignatureType::Ed25519)?);
            }
            Ok(())
        }
        [address, vkey, "first"] => Session::new(address, vkey)?.first(),
        [address, vkey, "again"] => Session::new(address, vkey)?.again(),
        _ => Err("usage: witnessed keys | HOST:PORT VKEY first|again".into()),
    }
}

/// What we hold of the witness: its key, and for one log what it must have cosigned last.
struct Session {
    address: String,
    witness: VerifierKey,
    log: Ed25519Signer,
    key: VerifierKey,
    tree: MemoryTree,
    previous: Option<Head>,
    checks: usize,
}

impl Session {
    fn new(address: &str, vkey: &str) -> Result<Self, Failure> {
        let log = signer(ORIGIN, 1)?;
        let key = VerifierKey::of(&log, SignatureType::Ed25519)?;
        let tree = leaves(0..300);
        Ok(Self { address: address.into(), witness: vkey.parse()?, log, key, tree, previous: None, checks: 0 })
    }

    fn first(mut self) -> Result<(), Failure> {
        let (status, ..) = self.get(&monitoring_path(ORIGIN))?;
        self.expect(status == 404, "a log never cosigned is not there")?;
        for (old, new) in [(0, 0), (0, 1), (1, 5), (5, 256), (256, 257), (257, 257), (257, 300)] {
            self.honest(old, new)?;
        }
        self.forged()?;
        self.other_log()?;
        self.published()?;
        println!("ok witness {}: {} answers as ours", self.witness.name(), self.checks);
        Ok(())
    }

    fn again(mut self) -> Result<(), Failure> {
        self.previous = Some(Head { size: 300, root: self.tree.root() });
        self.published()?;
        self.forged()?;
        self.honest(300, 300)?;
        println!("ok witness {}: {} answers as ours after a restart", self.witness.name(), self.checks);
        Ok(())
    }

    /// An honest submission is cosigned, and its cosignature is good.
    fn honest(&mut self, old: u64, new: u64) -> Result<(), Failure> {
        let mut checkpoint = self.checkpoint(new, None)?;
        let request = AddCheckpoint::prove(&self.tree, old, checkpoint.clone())?;
        let answer = self.submit(&request)?;
        let Answer::Cosigned(lines) = answer else { return Err(format!("{old} to {new}: {answer:?}").into()) };
        let added = apply(&mut checkpoint, &lines, std::slice::from_ref(&self.witness))?;
        let time = cosignature::verify(&checkpoint, &self.witness)?;
        self.expect(added == 1 && time > 1_700_000_000, "one line with a time")
    }

    /// What a dishonest or restored log might send to a witness that holds 300 entries.
    fn forged(&mut self) -> Result<(), Failure> {
        let head = self.checkpoint(300, None)?;
        let proof = AddCheckpoint::prove(&self.tree, 257, head.clone())?.proof().to_vec();
        let fork = leaves((0..299).chain([7_000]));
        let longer = leaves((0..298).chain(8_000..8_020));
        let beyond = Checkpoint::new(ORIGIN, longer.size(), longer.root())?.sign(&self.log)?;
        let grown = leaves(0..320);
        let honest = Checkpoint::new(ORIGIN, grown.size(), grown.root())?.sign(&self.log)?;
        let sound = AddCheckpoint::prove(&grown, 300, honest.clone())?.proof().to_vec();
        let mut swapped = sound.clone();
        swapped.swap(0, 1);
        let stranger = signer(ORIGIN, 9)?;
        let strange = Checkpoint::new(ORIGIN, grown.size(), grown.root())?.sign(&stranger)?;
        let mut half = honest.clone();
        half.add(forged_line(&honest, &strange)?)?;
        let cases = [
            ("rollback", 5, Vec::new(), self.checkpoint(5, None)?),
            ("old above the size", 300, Vec::new(), self.checkpoint(5, None)?),
            ("an old size that it left behind", 257, proof, head.clone()),
            ("a split view of the same size", 300, Vec::new(), self.checkpoint(300, Some(fork.root()))?),
            ("a split view from another old size", 257, Vec::new(), self.checkpoint(300, Some(fork.root()))?),
            ("a split view that grew", 300, AddCheckpoint::prove(&longer, 300, beyond.clone())?.proof().into(), beyond),
            ("a hash too few", 300, sound[1..].to_vec(), honest.clone()),
            ("a hash too many", 300, [&sound[..], &[empty_root()]].concat(), honest.clone()),
            ("two hashes swapped", 300, swapped, honest.clone()),
            ("no proof", 300, Vec::new(), honest.clone()),
            ("a proof between equal sizes", 300, sound.clone(), head),
            ("another log key", 300, sound.clone(), strange),
            ("a forged signature beside the good one", 300, sound, half),
        ];
        for (what, old, proof, checkpoint) in cases {
            let answer = self.submit(&AddCheckpoint::new(old, proof, checkpoint)?)?;
            self.expect(!matches!(answer, Answer::Cosigned(_)), what)?;
        }
        for garbage in ["", "old 1\n", "old 01\n\n", "old 0\n\nx\n"] {
            let (status, kind, body) = self.post(garbage)?;
            let answer = Answer::parse(status, kind.as_deref(), &body)?;
            self.expect(answer == Answer::Malformed, "what is no request")?;
        }
        Ok(())
    }

    /// A log that the witness knows and never saw, and one that it does not know.
    fn other_log(&mut self) -> Result<(), Failure> {
        let other = signer(OTHER, 1)?;
        let key = VerifierKey::of(&other, SignatureType::Ed25519)?;
        let checkpoint = Checkpoint::new(OTHER, 300, self.tree.root())?.sign(&other)?;
        let padded = AddCheckpoint::new(0, vec![empty_root()], checkpoint.clone())?;
        let from_five = AddCheckpoint::prove(&self.tree, 5, checkpoint)?;
        for request in [padded, from_five] {
            let decision = decide(None, &request, std::slice::from_ref(&key));
            let status = self.post(&request.to_string())?.0;
            self.expect(status == decision.status(), "a log that it never saw")?;
        }
        let unknown = signer("unknown.example/log", 1)?;
        let checkpoint = Checkpoint::new("unknown.example/log", 300, self.tree.root())?.sign(&unknown)?;
        let (status, ..) = self.post(&AddCheckpoint::new(0, Vec::new(), checkpoint)?.to_string())?;
        self.expect(status == Decision::UnknownOrigin.status(), "a log that it does not know")
    }

    /// It serves the last checkpoint that it cosigned.
    fn published(&mut self) -> Result<(), Failure> {
        let (status, body) = self.get(&monitoring_path(ORIGIN))?;
        let served = convenio_log::checkpoint::open(&body, &self.key)?;
        cosignature::verify(&served, &self.witness)?;
        let head = served.checkpoint();
        let same = head.size() == 300 && head.root() == self.tree.root();
        self.expect(status == 200 && same, "the checkpoint that it cosigned last")
    }

    /// Sends a request, holds the answer against our decision, and moves the head that it must hold.
    fn submit(&mut self, request: &AddCheckpoint) -> Result<Answer, Failure> {
        let (status, kind, body) = self.post(&request.to_string())?;
        let decision = decide(self.previous, request, std::slice::from_ref(&self.key));
        if status != decision.status() {
            let text = String::from_utf8_lossy(&body).into_owned();
            return Err(format!("the witness answers {status} ({text:?}), ours would be {decision:?}").into());
        }
        let answer = Answer::parse(status, kind.as_deref(), &body)?;
        match (decision, &answer) {
            (Decision::Cosign(head), Answer::Cosigned(_)) => self.previous = Some(head),
            (Decision::Conflict { size: ours }, Answer::Conflict { size }) if ours == *size => {}
            (Decision::Cosign(_) | Decision::Conflict { .. }, _) => return Err(format!("{answer:?}").into()),
            _ => {}
        }
        self.checks += 1;
        Ok(answer)
    }

    fn expect(&mut self, holds: bool, what: &str) -> Result<(), Failure> {
        self.checks += 1;
        if holds { Ok(()) } else { Err(format!("control failed: {what}").into()) }
    }

    /// The checkpoint of the first `size` leaves, with another root if one is given.
    fn checkpoint(&self, size: u64, root: Option<Hash>) -> Result<SignedCheckpoint, Failure> {
        let own = convenio_log::proof::root_from(&self.tree, size)?;
        Ok(Checkpoint::new(ORIGIN, size, root.unwrap_or(own))?.sign(&self.log)?)
    }

    fn post(&self, body: &str) -> Result<(u16, Option<String>, Vec<u8>), Failure> {
        let length = body.len();
        self.exchange(&format!("POST /{ADD_CHECKPOINT} HTTP/1.1\r\nContent-Length: {length}\r\n"), body)
    }

    fn get(&self, path: &str) -> Result<(u16, Vec<u8>), Failure> {
        let (status, _, body) = self.exchange(&format!("GET /{path} HTTP/1.1\r\n"), "")?;
        Ok((status, body))
    }

    /// One request on its own connection: status, content type, body.
    fn exchange(&self, head: &str, body: &str) -> Result<(u16, Option<String>, Vec<u8>), Failure> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "{head}Host: {}\r\nConnection: close\r\n\r\n{body}", self.address)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let split = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP answer")?;
        let text = std::str::from_utf8(&answer[..split])?;
        let status = text.split(' ').nth(1).ok_or("no status")?.parse()?;
        let kind = text.lines().filter_map(|line| line.split_once(": "));
        let mut kind =
            kind.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, kind)| kind.to_owned());
        Ok((status, kind.next_back(), answer[split + 4..].to_vec()))
    }
}

/// The log's own signature line, with the signature of another note.
fn forged_line(honest: &SignedCheckpoint, other: &SignedCheckpoint) -> Result<convenio_log::NoteSignature, Failure> {
    let (own, strange) = (honest.note().signatures().first(), other.note().signatures().first());
    let (own, strange) = own.zip(strange).ok_or("unsigned")?;
    let (own, strange) = (own.to_string(), strange.to_string());
    // Both lines are of one length; the key's id is in the first eight characters of the base64.
    let at = own.rfind(' ').ok_or("no signature")? + 9;
    Ok(convenio_log::NoteSignature::parse_line(&format!("{}{}", &own[..at], &strange[at..]))?)
}

fn signer(name: &str, seed: u8) -> Result<Ed25519Signer, Failure> {
    Ok(Ed25519Signer::new(name, Ed25519KeyPair::from_seed_unchecked(&[seed; 32])?)?)
}

fn leaves(numbers: impl IntoIterator<Item = u64>) -> MemoryTree {
    numbers.into_iter().map(|number| leaf_hash(&number.to_be_bytes())).collect()
}
