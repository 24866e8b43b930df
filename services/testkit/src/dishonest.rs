//! A partner that signs what an honest node would not: with its real keys, on top of its real log.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::Exchange;
use convenio_exchange::session::{self, Message, OUTBOUND, SessionEnd};
use convenio_log::{Checkpoint, Frontier, SignedCheckpoint, leaf_hash};
use convenio_model::{SeededEntropy, uuid_v7};
use convenio_seal::commitment::commit;
use convenio_seal::key::SigningKey;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::statement::seal_entry;
use convenio_wire::exchange::v1::{
    ActKind, Batch, EntryParts, Hello, Part, Position, Record, SaltedPart, Statement, statement::Body,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use crate::acts::Case;
use crate::ledger::{Books, Ledger};
use crate::pair::{Pair, START_MS};
use crate::side::Side;
use crate::third::Log;

/// Longest wait for what the victim answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// One side of a pair, taken over by whoever holds its keys.
pub struct Dishonest {
    /// Its exchange, as its honest node last saw it.
    pub exchange: Arc<Exchange>,
    /// Its keys.
    pub keys: Arc<NodeKeys>,
    /// Its log.
    pub log: Vec<Vec<u8>>,
    parts: BTreeMap<u64, Vec<SaltedPart>>,
    peer: u64,
    victim: Books,
    entropy: SeededEntropy,
}

/// A record to be signed, as an honest node would make it; change it before it is appended.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Statement; its commitments are filled in.
    pub statement: Statement,
    /// Parts.
    pub parts: Vec<SaltedPart>,
}

impl Dishonest {
    /// Takes over the origin (or the destination) of a settled pair, whose line is cut for good.
    pub async fn take_over(pair: &Pair, origin: bool, agreement: &str) -> Self {
        pair.settle().await;
        pair.link.cut();
        let (own, victim): (&Side, &Side) =
            if origin { (&pair.origin, &pair.destination) } else { (&pair.destination, &pair.origin) };
        let exchange = own.exchange(agreement).clone();
        let ledger = own.books().ledger(&exchange).await;
        Self {
            keys: own.keys.clone(),
            log: ledger.own.iter().map(|e| e.bytes.clone()).collect(),
            parts: BTreeMap::new(),
            peer: ledger.peer_row.settled,
            victim: victim.books(),
            entropy: SeededEntropy::labelled(13, "dishonest"),
            exchange,
        }
    }

    /// Turns to another victim, with a log that begins anew: the first `entries` of this one.
    #[must_use]
    pub fn against(mut self, victim: Books, entries: usize) -> Self {
        self.log.truncate(entries);
        Self { victim, ..self }
    }

    /// The record of `act` on `case`, built as an honest node would at disclosure stage `stage`.
    #[must_use]
    pub fn draft(&self, case: &Case, act: &str, kind: ActKind, number: u64, known: &str, stage: &str) -> Draft {
        let pack = self.exchange.pack();
        let stage = pack.lifecycle().stage(stage).unwrap();
        let sources = case.sources(START_MS);
        let part = |name: &std::sync::Arc<str>| Part {
            agreement_digest: pack.digest().to_vec(),
            message_name: name.to_string(),
            retention_class: pack.class_of(name).to_owned(),
            subject_ref: format!("placements/{}", case.id),
            event_time_ms: START_MS,
            placement_sequence: number,
            act_kind: kind.into(),
            known_state: known.to_owned(),
            message: pack.project(name, &sources, stage).unwrap(),
            ..Part::default()
        };
        let messages = pack.lifecycle().act(act).unwrap().messages().to_vec();
        self.record(messages.iter().map(part).collect())
    }

    /// A record of these parts.
    #[must_use]
    pub fn record(&self, parts: Vec<Part>) -> Draft {
        let record_id = uuid_v7(START_MS, &self.entropy).into_bytes().to_vec();
        let salted = parts.into_iter().map(|mut part| {
            part.record_id.clone_from(&record_id);
            self.salted(part.encode_to_vec())
        });
        let parts: Vec<_> = salted.collect();
        let statement = self.statement(record_id, Body::Record(Record { commitments: commitments(&parts) }));
        Draft { statement, parts }
    }

    /// A part with a fresh salt.
    #[must_use]
    pub fn salted(&self, part: Vec<u8>) -> SaltedPart {
        let mut salt = vec![0; 32];
        convenio_model::Entropy::fill(&self.entropy, &mut salt);
        SaltedPart { salt, part }
    }

    /// A statement of this log.
    #[must_use]
    pub fn statement(&self, record_id: Vec<u8>, body: Body) -> Statement {
        Statement {
            version: 1,
            issuer: self.exchange.own_node.clone(),
            recipient: self.exchange.partner_node.clone(),
            log_origin: self.exchange.own().origin.clone(),
            agreement_digest: self.exchange.pack().digest().to_vec(),
            record_id,
            peer: Some(Position { epoch: 1, size: self.peer }),
            time_ms: START_MS,
            captures: Vec::new(),
            body: Some(body),
        }
    }

    /// Signs a draft and appends it; returns its index.
    pub fn append(&mut self, draft: Draft) -> u64 {
        let entry = seal_entry(&draft.statement, &self.keys.record).unwrap();
        self.append_raw(entry, draft.parts)
    }

    /// Appends these bytes as an entry.
    pub fn append_raw(&mut self, entry: Vec<u8>, parts: Vec<SaltedPart>) -> u64 {
        let index = self.log.len() as u64;
        self.log.push(entry);
        self.parts.insert(index, parts);
        index
    }

    /// The checkpoint of the whole log as its key signs it.
    #[must_use]
    pub fn checkpoint(&self) -> Vec<u8> {
        self.checkpoint_by(&self.keys.log)
    }

    /// The checkpoint of the whole log, signed by another key.
    #[must_use]
    pub fn checkpoint_by(&self, key: &SigningKey) -> Vec<u8> {
        let mut frontier = Frontier::new();
        self.log.iter().for_each(|entry| frontier.append(leaf_hash(entry)));
        let head = Checkpoint::new(self.exchange.own().origin.as_str(), frontier.size(), frontier.root()).unwrap();
        let signed: SignedCheckpoint = head.sign(&Log(&self.exchange.own().origin, key)).unwrap();
        signed.to_string().into_bytes()
    }

    /// A batch of everything from `begin` on.
    #[must_use]
    pub fn batch(&self, begin: u64) -> Batch {
        let parts = self.parts.range(begin..).filter(|(_, parts)| !parts.is_empty());
        Batch {
            origin: self.exchange.own().origin.clone(),
            begin,
            entries: self.log[usize::try_from(begin).unwrap()..].iter().map(|e| e.clone().into()).collect(),
            parts: parts.map(|(index, parts)| EntryParts { index: *index, parts: parts.clone() }).collect(),
            checkpoint: self.checkpoint(),
        }
    }

    /// How much of this log the victim holds.
    pub async fn mirrored(&self) -> u64 {
        self.ledger().await.peer_row.size
    }

    /// What the victim holds.
    pub async fn ledger(&self) -> Ledger {
        let exchange = self.victim.core.exchange(self.exchange.pack().id()).unwrap().clone();
        self.victim.ledger(&exchange).await
    }

    /// Sends a batch in a session of its own: the victim cosigned it, or refused for this reason.
    ///
    /// # Errors
    /// Why the session ended, or why it takes this epoch's log no more.
    pub async fn send(&self, batch: Batch) -> Result<(), SessionEnd> {
        let (to_victim, incoming) = mpsc::channel(OUTBOUND);
        let (answers, mut answered) = mpsc::channel(OUTBOUND);
        let hello = Hello {
            protocol: 1,
            session: vec![9; 16],
            node: self.exchange.own_node.clone(),
            digests: vec![self.exchange.pack().digest().to_vec()],
            ..self.hello().await
        };
        to_victim.send(Message::Hello(hello)).await.unwrap();
        to_victim.send(Message::Batch(batch)).await.unwrap();
        let stream = ReceiverStream::new(incoming).map(Ok::<_, Infallible>);
        let caller = self.exchange.own_node.clone();
        let session = session::accept(self.victim.core.clone(), caller, stream, answers);
        let cosigned = async {
            loop {
                match answered.recv().await {
                    Some(Message::Cosigned(_)) => return Ok(()),
                    Some(Message::Stop(stop)) if stop.reason == "EPOCH_REFUSED" => {
                        return Err(SessionEnd::Stopped(stop.reason));
                    }
                    Some(_) => {}
                    None => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            end = session => Err(end),
            answer = cosigned => answer,
            () = tokio::time::sleep(PATIENCE) => panic!("the victim does not answer"),
        }
    }

    /// Says truly how far the victim's own log was mirrored, so that it is content to deliver nothing.
    async fn hello(&self) -> Hello {
        let row = self.ledger().await.own_row;
        let mirrored = convenio_wire::exchange::v1::Mirrored {
            origin: self.exchange.peer().origin.clone(),
            size: row.size,
            cosigned_checkpoint: Vec::new(),
        };
        Hello { mirrored: vec![mirrored], ..Hello::default() }
    }

    /// Delivers what the victim does not hold yet and waits until it is judged.
    ///
    /// # Panics
    /// If the victim refuses the batch.
    pub async fn deliver(&self) {
        self.send(self.batch(self.mirrored().await)).await.unwrap();
        let judged = async {
            loop {
                let row = self.ledger().await.peer_row;
                if row.settled == self.log.len() as u64 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, judged).await.unwrap();
    }

    /// The victim's one decision about an entry: accepted, or the reason.
    ///
    /// # Panics
    /// If there is not exactly one.
    pub async fn verdict(&self, index: u64) -> Result<(), String> {
        let decisions = Ledger::decisions(&self.ledger().await.own, index);
        assert_eq!(decisions.len(), 1, "decisions about entry {index}");
        decisions[0].clone().map_or(Ok(()), Err)
    }
}

/// Commitments of these parts.
#[must_use]
pub fn commitments(parts: &[SaltedPart]) -> Vec<Vec<u8>> {
    let one = |p: &SaltedPart| commit(p.salt.as_slice().try_into().unwrap(), &p.part).to_vec();
    parts.iter().map(one).collect()
}

impl Draft {
    /// Commits again, after parts were changed.
    #[must_use]
    pub fn committed(mut self) -> Self {
        self.statement.body = Some(Body::Record(Record { commitments: commitments(&self.parts) }));
        self
    }

    /// Changes one part, with the commitment that fits it.
    #[must_use]
    pub fn with_part(mut self, at: usize, change: impl FnOnce(&mut Part)) -> Self {
        let mut part = Part::decode(self.parts[at].part.as_slice()).unwrap();
        change(&mut part);
        self.parts[at].part = part.encode_to_vec();
        self.committed()
    }
}
