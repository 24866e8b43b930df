//! Two states exchange seasons of placements, by the rules, as fast as keys can sign: bundles of any size for benches.

use std::path::Path;

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Incoming, Kind, Local};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::{Role, StageId};
use convenio_agreement::view::World;
use convenio_log::{NoteSigner, SignedCheckpoint, cosignature};
use convenio_model::{Entropy, Ref, SeededEntropy, uuid_v7};
use convenio_seal::manifest::NodeKeys;
use convenio_seal::root::{RatifiedBy, RootSet};
use convenio_seal::{
    Envelope, SigningKey, authorise_epoch, commit, epoch_open_from, log_origin, ratify_from, seal_entry,
    sign_ratification,
};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{
    ActKind, Activate, EntryParts, EpochAuthorisation, Outcome, Part, PeerCheckpoint, Position, Record, SaltedPart,
    Statement,
};
use prost::Message;

use crate::files::LogWriter;
use crate::records::{Job, sources};

pub const SV: usize = 0;
pub const CA: usize = 1;
pub const NODES: [(&str, &str); 2] = [("sv", "node.sv.example"), ("ca", "node.ca.example")];

/// Placements of one order, which go through their season together.
const COHORT: u64 = 64;
const SEASON: [(usize, &str); 16] = [
    (SV, "nominate"),
    (CA, "offer"),
    (SV, "identified"),
    (CA, "contract_offered"),
    (SV, "contract"),
    (SV, "documented"),
    (SV, "oriented"),
    (CA, "permitted"),
    (SV, "ready"),
    (SV, "departed"),
    (CA, "admitted"),
    (CA, "employ"),
    (SV, "employment_confirmed"),
    (CA, "end"),
    (SV, "returned"),
    (SV, "close"),
];

pub struct Named<'k>(pub String, pub &'k SigningKey);

impl NoteSigner for Named<'_> {
    fn name(&self) -> &str {
        &self.0
    }

    fn public_key(&self) -> [u8; 32] {
        self.1.public().raw()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.1.sign(message)
    }
}

pub struct Node {
    pub keys: NodeKeys,
    pub root: SigningKey,
    pub log: LogWriter,
    judged: u64,
    /// The last head that the partner's mirror cosigned.
    pub head: Option<SignedCheckpoint>,
}

pub struct Exchange {
    pub pack: Pack,
    pub nodes: [Node; 2],
    entropy: SeededEntropy,
    now_ms: u64,
}

/// One act of a season: who, and its parts with the names of the first placement and order in them.
struct Template {
    by: usize,
    parts: Vec<Part>,
}

pub fn origin(node: usize) -> String {
    log_origin(NODES[node].1, "sv-ca", NODES[1 - node].1, 1)
}

fn role(node: usize) -> Role {
    if node == SV { Role::Origin } else { Role::Destination }
}

const FIRST: Ref = Ref([0xa5; 16]);
const FIRST_ORDER: Ref = Ref([0x5a; 16]);

impl Exchange {
    /// Opens both logs, their files below `dir`.
    pub fn new(dir: &Path) -> Self {
        let entropy = SeededEntropy::new(7);
        let agreements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements");
        let pack = Pack::load(&agreements, "sv-ca").expect("the repository's own pack");
        let node = |node: usize| Node {
            keys: NodeKeys::generate(&entropy),
            root: SigningKey::generate(&entropy),
            log: LogWriter::new(dir, &origin(node)),
            judged: 0,
            head: None,
        };
        let mut exchange = Self { pack, nodes: [node(SV), node(CA)], entropy, now_ms: 1_714_000_000_000 };
        for node in [SV, CA] {
            exchange.open(node);
        }
        exchange.sync();
        exchange
    }

    fn open(&mut self, node: usize) {
        let manifest = self.nodes[node].keys.manifest(NODES[node].0, NODES[node].1, 1);
        let authorisation = EpochAuthorisation {
            log_origin: origin(node),
            epoch: 1,
            reason: "first".into(),
            key_manifest: manifest.encode_to_vec(),
            ..Default::default()
        };
        let envelope = authorise_epoch(&authorisation, &[&self.nodes[node].root]).expect("an own root");
        let (_, open) = epoch_open_from(&envelope).expect("just signed");
        self.append(node, vec![(Body::EpochOpen(open), Vec::new())]);
        for of in [SV, CA] {
            let ratify = ratify_from(&self.ratification(of)).expect("just signed");
            self.append(node, vec![(Body::Ratify(ratify), Vec::new())]);
        }
        let digest = self.pack.digest().to_vec();
        self.append(node, vec![(Body::Activate(Activate { digest }), Vec::new())]);
    }

    pub fn ratification(&self, of: usize) -> Envelope {
        let root = &self.nodes[of].root;
        let said = RatifiedBy::new(
            "sv-ca",
            self.pack.digest(),
            NODES[of].1,
            RootSet::new(NODES[of].0, 1, vec![root.public()]).expect("one root"),
        );
        sign_ratification(&said, &[root]).expect("an own root")
    }

    /// Signs a batch of entries, on two threads, and appends it.
    fn append(&mut self, node: usize, batch: Vec<(Body, Vec<SaltedPart>)>) {
        let mut statements = Vec::with_capacity(batch.len());
        let mut parts = Vec::with_capacity(batch.len());
        for (body, own) in batch {
            self.now_ms += 50;
            let digest = if matches!(body, Body::EpochOpen(_)) { Vec::new() } else { self.pack.digest().to_vec() };
            let id = own.first().and_then(|part| Part::decode(part.part.as_slice()).ok()).map(|part| part.record_id);
            let fresh = || Ref::from(uuid_v7(self.now_ms, &self.entropy)).0.to_vec();
            statements.push(Statement {
                version: 1,
                issuer: NODES[node].1.into(),
                recipient: NODES[1 - node].1.into(),
                log_origin: origin(node),
                agreement_digest: digest,
                record_id: id.filter(|id| !id.is_empty()).unwrap_or_else(fresh),
                peer: Some(Position { epoch: 1, size: self.nodes[node].judged }),
                time_ms: self.now_ms,
                captures: Vec::new(),
                body: Some(body),
            });
            parts.push(own);
        }
        let key = &self.nodes[node].keys.record;
        let sign = |statements: &[Statement]| -> Vec<Vec<u8>> {
            statements.iter().map(|statement| seal_entry(statement, key).expect("a short statement")).collect()
        };
        let (left, right) = statements.split_at(statements.len() / 2);
        let entries = std::thread::scope(|scope| {
            let other = scope.spawn(|| sign(left));
            let right = sign(right);
            let mut all = other.join().expect("signing does not panic");
            all.extend(right);
            all
        });
        for (entry, parts) in entries.iter().zip(parts) {
            let index = self.nodes[node].log.size();
            self.nodes[node].log.append(entry, EntryParts { index, parts });
        }
    }

    /// The partner cosigns all of a node's log.
    fn cosign(&mut self, node: usize) {
        let log = Named(origin(node), &self.nodes[node].keys.log);
        let mut signed = self.nodes[node].log.head().sign(&log).expect("a checkpoint of its own log");
        let mirror = Named(format!("{}/mirror/1", NODES[1 - node].1), &self.nodes[1 - node].keys.mirror);
        cosignature::append(&mut signed, &mirror, self.now_ms / 1_000).expect("one more signature");
        self.nodes[node].head = Some(signed);
    }

    /// Delivers, judges and answers what a node has issued since the last time.
    fn answer(&mut self, node: usize) {
        self.cosign(node);
        let partner = 1 - node;
        let (begin, end) = (self.nodes[partner].judged, self.nodes[node].log.size());
        self.nodes[partner].judged = end;
        let note = self.nodes[node].head.as_ref().expect("just cosigned").to_string().into_bytes();
        let outcome = Outcome { epoch: 1, begin, end, ..Outcome::default() };
        let answers =
            vec![(Body::Outcome(outcome), Vec::new()), (Body::PeerCheckpoint(PeerCheckpoint { note }), Vec::new())];
        self.append(partner, answers);
        self.nodes[node].judged = self.nodes[partner].log.size();
    }

    fn sync(&mut self) {
        for node in [SV, CA] {
            self.cosign(node);
            self.nodes[1 - node].judged = self.nodes[node].log.size();
        }
    }

    /// Whole cohorts until both logs together hold at least so many entries.
    pub fn fill(&mut self, entries: u64) {
        let (order, season) = self.templates();
        let mut cohort = 0;
        while self.nodes.iter().map(|node| node.log.size()).sum::<u64>() < entries {
            let own_order = named(0x0d, cohort);
            let notice = vec![self.record(&order, FIRST, own_order)];
            self.append(CA, notice);
            self.answer(CA);
            for act in &season {
                let first = cohort * COHORT;
                let placements = (first..first + COHORT).map(|number| named(0x01, number));
                let batch = placements.map(|placement| self.record(act, placement, own_order)).collect();
                self.append(act.by, batch);
                self.answer(act.by);
            }
            cohort += 1;
        }
        self.sync();
    }

    fn record(&self, template: &Template, placement: Ref, order: Ref) -> (Body, Vec<SaltedPart>) {
        let id = Ref::from(uuid_v7(self.now_ms, &self.entropy)).0.to_vec();
        let texts = [(FIRST.to_string(), placement.to_string()), (FIRST_ORDER.to_string(), order.to_string())];
        let mut salted = Vec::with_capacity(template.parts.len());
        let mut commitments = Vec::with_capacity(template.parts.len());
        for part in &template.parts {
            let mut part = Part { record_id: id.clone(), event_time_ms: self.now_ms, ..part.clone() };
            for (from, to) in &texts {
                replace(&mut part.message, from.as_bytes(), to.as_bytes());
                part.subject_ref = part.subject_ref.replace(from, to);
            }
            let part = part.encode_to_vec();
            let mut salt = [0; 32];
            self.entropy.fill(&mut salt);
            commitments.push(commit(&salt, &part).to_vec());
            salted.push(SaltedPart { salt: salt.to_vec(), part });
        }
        (Body::Record(Record { commitments }), salted)
    }

    /// The notice of an order and the acts of a season, as the rules make them for one placement.
    fn templates(&self) -> (Template, Vec<Template>) {
        let pack = &self.pack;
        let job = Job { placement: FIRST, order: FIRST_ORDER, agency: None, seats: COHORT as i32, wage_cents: 1_720 };
        let sources = sources(pack, &job);
        let mut worlds = [World::default(), World::default()];
        let content = |messages: &[std::sync::Arc<str>], stage: StageId| -> Vec<Content> {
            let one = |name: &std::sync::Arc<str>| {
                let message = pack.project(name, &sources, stage).expect("complete sources");
                let doc = pack.read(name, &message).expect("just projected");
                Content { message_name: name.to_string(), message, doc }
            };
            messages.iter().map(one).collect()
        };
        let parts = |content: &[Content], subject: String, kind: ActKind, number: u64, known_state: &str| {
            let part = |content: &Content| Part {
                agreement_digest: pack.digest().to_vec(),
                message_name: content.message_name.clone(),
                retention_class: pack.class_of(&content.message_name).into(),
                subject_ref: subject.clone(),
                placement_sequence: number,
                act_kind: kind.into(),
                known_state: known_state.into(),
                message: content.message.clone(),
                ..Part::default()
            };
            content.iter().map(part).collect::<Vec<_>>()
        };
        let id = Ref([7; 16]);
        let order = content(pack.lifecycle().act("job_order").expect("of the pack").messages(), StageId::FIRST);
        for (node, world) in worlds.iter_mut().enumerate() {
            Engine::new(pack, role(node)).take_notice(world, "job_order", role(CA), FIRST_ORDER, id, &order);
        }
        let subject = format!("jobOrders/{FIRST_ORDER}");
        let notice = Template { by: CA, parts: parts(&order, subject, ActKind::Notice, 0, "") };
        let mut season = Vec::new();
        for (by, act) in SEASON {
            let engine = Engine::new(pack, role(by));
            let open = engine.prepare(&worlds[by], FIRST, act).expect("by the rules");
            let own = content(pack.lifecycle().act(act).expect("of the pack").messages(), open.stage);
            let local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };
            engine.permit(&worlds[by], &open, 1, &own, &local).expect("by the rules");
            let kind = match open.kind {
                Kind::Transition => ActKind::Transition,
                Kind::Proposal => ActKind::Proposal,
                Kind::Fact | Kind::Notice | Kind::Local => ActKind::Fact,
            };
            engine.apply_own(&mut worlds[by], &open, id, 1, &own);
            let incoming = Incoming {
                record_id: id,
                issuer: role(by),
                act,
                kind: open.kind,
                subject: FIRST,
                number: open.number,
                event_time_ms: 1,
                known_state: &open.known_state,
                content: &own,
            };
            Engine::new(pack, role(1 - by)).apply_peer(&mut worlds[1 - by], &incoming);
            engine.resolve(&mut worlds[by], FIRST, id, None);
            let subject = format!("placements/{FIRST}");
            season.push(Template { by, parts: parts(&own, subject, kind, open.number, &open.known_state) });
        }
        (notice, season)
    }
}

fn named(kind: u8, number: u64) -> Ref {
    let mut id = [kind; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Ref(id)
}

/// Replaces every `from` by `to`, which is as long.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut at = 0;
    while at + from.len() <= bytes.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
}
