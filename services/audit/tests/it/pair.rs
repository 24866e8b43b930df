//! Two nodes in memory: their logs, what they mirrored of each other, and what they believe.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Detail, Incoming, Kind, Local, Prepared, Refusal};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::{ActDef, Role, StageId};
use convenio_agreement::plan::Sources;
use convenio_agreement::view::{RejectedAct, World};
use convenio_log::{Checkpoint, MemoryTree, NoteSigner, SignedCheckpoint, cosignature, leaf_hash};
use convenio_model::{Entropy, Ref, SeededEntropy, uuid_v7};
use convenio_seal::manifest::NodeKeys;
use convenio_seal::root::{Grounds, RatifiedBy, RootSet};
use convenio_seal::signoff::SaidBy;
use convenio_seal::{
    Envelope, SigningKey, authorise_epoch, commit, epoch_open_from, log_origin, ratify_from, seal_entry,
    sign_ratification,
};
use convenio_wire::exchange::v1::statement::Body;
use convenio_wire::exchange::v1::{
    ActKind, Activate, EntryParts, EpochAuthorisation, Outcome, OutcomeDetail, Part, PeerCheckpoint, Position, Record,
    Reject, RejectDetail, SaltedPart, Statement,
};
use convenio_wire::r#type::v1::LicenceState;
use prost::Message;

use crate::records::{Job, licence, sources};

pub const SV: usize = 0;
pub const CA: usize = 1;
const NODES: [(&str, &str, &str); 2] = [("sv", "node.sv.example", "SV"), ("ca", "node.ca.example", "CA")];

pub struct Node {
    pub keys: NodeKeys,
    pub root: SigningKey,
    pub world: World,
    pub log: Vec<Vec<u8>>,
    pub parts: BTreeMap<u64, EntryParts>,
    /// Checkpoints of this node's log that the partner's mirror cosigned, by size.
    pub cosigned: BTreeMap<u64, SignedCheckpoint>,
    /// Lines of `evidence/refusals`.
    pub refusals: Vec<String>,
    subjects: HashMap<u64, (Ref, Ref, bool)>,
    judged: u64,
}

pub struct Pair {
    pub pack: Pack,
    pub nodes: [Node; 2],
    /// What the office of El Salvador signs off before its root ratifies.
    pub sign_offs: Vec<SaidBy>,
    entropy: SeededEntropy,
    now_ms: u64,
}

/// A log key under the log's name, a mirror key under its own.
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

/// When the story begins, Unix milliseconds.
pub const START_MS: u64 = 1_714_000_000_000;
/// An office of El Salvador.
pub const OFFICE: &str = "mre";

/// Its key.
pub fn office_key() -> SigningKey {
    SigningKey::generate(&SeededEntropy::labelled(1, OFFICE))
}

pub fn role(node: usize) -> Role {
    if node == SV { Role::Origin } else { Role::Destination }
}

pub fn node_name(node: usize) -> &'static str {
    NODES[node].1
}

pub fn party(node: usize) -> &'static str {
    NODES[node].0
}

pub fn origin(node: usize) -> String {
    log_origin(NODES[node].1, "sv-ca", NODES[1 - node].1, 1)
}

pub fn pack() -> Pack {
    let agreements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements");
    Pack::load(&agreements, "sv-ca").unwrap()
}

impl Pair {
    pub fn new() -> Self {
        Self::seeded(pack(), 11)
    }

    /// Two nodes whose keys, salts and record ids follow from `seed`.
    pub fn seeded(pack: Pack, seed: u64) -> Self {
        Self::signed_off(pack, seed, Vec::new())
    }

    /// As [`Pair::seeded`], ratified by El Salvador with these sign-offs of the office that [`office_key`] is of.
    pub fn signed_off(pack: Pack, seed: u64, sign_offs: Vec<SaidBy>) -> Self {
        let entropy = SeededEntropy::new(seed);
        let node = |_| Node {
            keys: NodeKeys::generate(&entropy),
            root: SigningKey::generate(&entropy),
            world: World::default(),
            log: Vec::new(),
            parts: BTreeMap::new(),
            cosigned: BTreeMap::new(),
            refusals: Vec::new(),
            subjects: HashMap::new(),
            judged: 0,
        };
        let nodes = [0, 1].map(node);
        let mut pair = Self { pack, nodes, sign_offs, entropy, now_ms: START_MS };
        for node in [SV, CA] {
            let manifest = pair.nodes[node].keys.manifest(party(node), node_name(node), 1);
            let authorisation = EpochAuthorisation {
                log_origin: origin(node),
                epoch: 1,
                reason: "first".into(),
                key_manifest: manifest.encode_to_vec(),
                ..Default::default()
            };
            let envelope = authorise_epoch(&authorisation, &[&pair.nodes[node].root]).unwrap();
            let (_, open) = epoch_open_from(&envelope).unwrap();
            pair.append(node, Body::EpochOpen(open), Vec::new());
            for of in [SV, CA] {
                let ratify = ratify_from(&pair.ratification(of)).unwrap();
                pair.append(node, Body::Ratify(ratify), Vec::new());
            }
            let digest = pair.pack.digest().to_vec();
            pair.append(node, Body::Activate(Activate { digest }), Vec::new());
        }
        pair.sync();
        pair
    }

    /// Opens a node's log anew by another party's root. Only while nothing but its beginning stands in it.
    pub fn usurp(&mut self, node: usize, party: &str, root: &SigningKey) {
        let authorisation = EpochAuthorisation {
            log_origin: origin(node),
            epoch: 1,
            reason: "first".into(),
            key_manifest: self.nodes[node].keys.manifest(party, node_name(node), 1).encode_to_vec(),
            ..Default::default()
        };
        let (_, open) = epoch_open_from(&authorise_epoch(&authorisation, &[root]).unwrap()).unwrap();
        let statement = convenio_seal::open_entry(&self.nodes[node].log[0]).unwrap().statement;
        let statement = Statement { body: Some(Body::EpochOpen(open)), ..statement };
        self.nodes[node].log[0] = seal_entry(&statement, &self.nodes[node].keys.record).unwrap();
        self.nodes[node].cosigned.clear();
        self.deliver(node);
    }

    pub fn ratification(&self, of: usize) -> Envelope {
        let root = &self.nodes[of].root;
        let mut said = RatifiedBy::new(
            "sv-ca",
            self.pack.digest(),
            node_name(of),
            RootSet::new(party(of), 1, vec![root.public()]).unwrap(),
        );
        if of == SV && !self.sign_offs.is_empty() {
            let offices = vec![(OFFICE.to_owned(), office_key().public())];
            said.grounds =
                Grounds { offices, sign_offs: self.sign_offs.clone(), time_ms: START_MS, ..Grounds::default() };
        }
        sign_ratification(&said, &[root]).unwrap()
    }

    /// The trust file of both states.
    pub fn trust(&self) -> String {
        let digest = hex::encode(self.pack.digest());
        let root = |node: usize| format!("root {} 1 {}\n", party(node), self.nodes[node].root.public().spki_base64());
        format!("agreement sv-ca {digest}\n{}{}", root(SV), root(CA))
    }

    /// Lets days go by.
    pub fn pass(&mut self, days: u64) {
        self.now_ms += days * 86_400_000;
    }

    /// The pair's clock, Unix ms.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// What a node has judged of its partner's log.
    pub fn judged(&self, node: usize) -> u64 {
        self.nodes[node].judged
    }

    /// Signs a statement into a node's log.
    pub fn append(&mut self, node: usize, body: Body, parts: Vec<SaltedPart>) -> Ref {
        self.now_ms += 1_000;
        let id = uuid_v7(self.now_ms, &self.entropy);
        self.append_as(node, body, parts, id.into());
        id.into()
    }

    fn append_as(&mut self, node: usize, body: Body, parts: Vec<SaltedPart>, id: Ref) {
        let digest = if matches!(body, Body::EpochOpen(_)) { Vec::new() } else { self.pack.digest().to_vec() };
        let statement = Statement {
            version: 1,
            issuer: node_name(node).into(),
            recipient: node_name(1 - node).into(),
            log_origin: origin(node),
            agreement_digest: digest,
            record_id: id.0.to_vec(),
            peer: Some(Position { epoch: 1, size: self.nodes[node].judged }),
            time_ms: self.now_ms,
            captures: Vec::new(),
            body: Some(body),
        };
        let entry = seal_entry(&statement, &self.nodes[node].keys.record).unwrap();
        let index = self.nodes[node].log.len() as u64;
        self.nodes[node].log.push(entry);
        if !parts.is_empty() {
            self.nodes[node].parts.insert(index, EntryParts { index, parts });
        }
    }

    fn salted(&self, part: &Part) -> (Vec<u8>, SaltedPart) {
        let mut salt = [0; 32];
        self.entropy.fill(&mut salt);
        let part = part.encode_to_vec();
        (commit(&salt, &part).to_vec(), SaltedPart { salt: salt.to_vec(), part })
    }

    /// An act by the rules.
    pub fn act(&mut self, node: usize, job: &Job, act: &str) -> Result<(), Refusal> {
        self.issue(node, job, act, true)
    }

    /// An act by whoever has the keys, whatever the gates say.
    pub fn force(&mut self, node: usize, job: &Job, act: &str) {
        self.issue(node, job, act, false).unwrap();
    }

    fn issue(&mut self, node: usize, job: &Job, act: &str, gates: bool) -> Result<(), Refusal> {
        let pack = self.pack.clone();
        let engine = Engine::new(&pack, role(node));
        let prepared = engine.prepare(&self.nodes[node].world, job.placement, act)?;
        let def = pack.lifecycle().act(act).unwrap();
        let content = content(&pack, def, &sources(&pack, job), prepared.stage);
        if gates {
            let local = Local { consent: true, of_age: true, return_offer_shown: true, all_modules: true };
            engine.permit(&self.nodes[node].world, &prepared, self.now_ms, &content, &local)?;
        }
        let kind = match prepared.kind {
            Kind::Transition => ActKind::Transition,
            Kind::Proposal => ActKind::Proposal,
            _ => ActKind::Fact,
        };
        let subject = format!("placements/{}", job.placement);
        let id = self.record(node, &content, kind, &subject, &prepared);
        let index = self.nodes[node].log.len() as u64 - 1;
        self.nodes[node].subjects.insert(index, (id, job.placement, true));
        engine.apply_own(&mut self.nodes[node].world, &prepared, id, self.now_ms, &content);
        Ok(())
    }

    fn record(&mut self, node: usize, content: &[Content], kind: ActKind, subject: &str, prepared: &Prepared) -> Ref {
        self.now_ms += 1_000;
        let id: Ref = uuid_v7(self.now_ms, &self.entropy).into();
        let parts = content.iter().map(|content| Part {
            record_id: id.0.to_vec(),
            agreement_digest: self.pack.digest().to_vec(),
            message_name: content.message_name.clone(),
            retention_class: self.pack.class_of(&content.message_name).into(),
            subject_ref: subject.into(),
            event_time_ms: self.now_ms,
            placement_sequence: prepared.number,
            act_kind: kind.into(),
            known_state: prepared.known_state.clone(),
            message: content.message.clone(),
            ..Default::default()
        });
        let (commitments, parts) = parts.map(|part| self.salted(&part)).unzip();
        self.append_as(node, Body::Record(Record { commitments }), parts, id);
        id
    }

    fn notice(&mut self, node: usize, notice: &str, collection: &str, subject: Ref, sources: &Sources) {
        let pack = self.pack.clone();
        let def = pack.lifecycle().act(notice).unwrap();
        let content = content(&pack, def, sources, StageId::FIRST);
        let prepared = Prepared {
            act: notice.into(),
            placement: subject,
            kind: Kind::Notice,
            to: String::new(),
            number: 0,
            stage: StageId::FIRST,
            known_state: String::new(),
        };
        let id = self.record(node, &content, ActKind::Notice, &format!("{collection}/{subject}"), &prepared);
        let index = self.nodes[node].log.len() as u64 - 1;
        self.nodes[node].subjects.insert(index, (id, subject, false));
        let engine = Engine::new(&pack, role(node));
        engine.take_notice(&mut self.nodes[node].world, notice, role(node), subject, id, &content);
    }

    /// The destination tells of an order.
    pub fn order(&mut self, job: &Job) {
        let sources = sources(&self.pack, job);
        self.notice(CA, "job_order", "jobOrders", job.order, &sources);
    }

    /// A state tells of an agency's licence.
    pub fn licence(&mut self, node: usize, agency: Ref, state: LicenceState) {
        self.notice(node, "agency_licence", "agencies", agency, &licence(NODES[node].2, state));
    }

    /// The partner's mirror cosigns all of a node's log.
    pub fn deliver(&mut self, node: usize) {
        let size = self.nodes[node].log.len() as u64;
        let mut signed = self.head(node, size);
        let mirror = Named(format!("{}/mirror/1", node_name(1 - node)), &self.nodes[1 - node].keys.mirror);
        cosignature::append(&mut signed, &mirror, self.now_ms / 1_000).unwrap();
        self.nodes[node].cosigned.insert(size, signed);
    }

    /// The head of a log at some size, signed by its log key.
    pub fn head(&self, node: usize, size: u64) -> SignedCheckpoint {
        let entries = &self.nodes[node].log[..size as usize];
        let tree: MemoryTree = entries.iter().map(|entry| leaf_hash(entry)).collect();
        let signer = Named(origin(node), &self.nodes[node].keys.log);
        Checkpoint::new(origin(node), size, tree.root()).unwrap().sign(&signer).unwrap()
    }

    /// Entangles the partner's last cosigned checkpoint.
    pub fn entangle(&mut self, node: usize) {
        let note = self.nodes[1 - node].cosigned.values().last().unwrap().to_string().into_bytes();
        self.append(node, Body::PeerCheckpoint(PeerCheckpoint { note }), Vec::new());
    }

    /// Delivers and judges until nothing new is left.
    pub fn sync(&mut self) {
        while [SV, CA].iter().any(|node| self.nodes[*node].judged < self.nodes[1 - node].log.len() as u64) {
            for node in [SV, CA] {
                self.deliver(1 - node);
                self.judge(node);
            }
        }
    }

    /// Judges what was delivered and answers.
    pub fn judge(&mut self, node: usize) {
        let (begin, end) = (self.nodes[node].judged, self.nodes[1 - node].cosigned.keys().last().copied().unwrap_or(0));
        let (mut rejects, mut any) = (Vec::new(), false);
        for index in begin..end {
            let entry = self.nodes[1 - node].log[index as usize].clone();
            let statement = convenio_seal::open_entry(&entry).unwrap().statement;
            let parts = self.nodes[1 - node].parts.get(&index).cloned().unwrap_or_default().parts;
            let parts: Vec<Part> = parts.iter().map(|part| Part::decode(part.part.as_slice()).unwrap()).collect();
            match statement.body.unwrap() {
                Body::Record(_) => {
                    any = true;
                    if let Err(refusal) = self.take(node, &parts) {
                        rejects.push((index, refusal));
                    }
                }
                Body::Outcome(outcome) => self.resolve(node, &outcome, parts.first()),
                _ => {}
            }
        }
        self.nodes[node].judged = end;
        if any {
            self.outcome(node, begin, end, &rejects);
        }
    }

    fn take(&mut self, node: usize, parts: &[Part]) -> Result<(), Refusal> {
        let pack = self.pack.clone();
        let engine = Engine::new(&pack, role(node));
        let lead = &parts[0];
        let act = pack.lifecycle().act_of_lead(&lead.message_name).unwrap();
        let content: Vec<Content> = parts
            .iter()
            .map(|part| Content {
                message_name: part.message_name.clone(),
                message: part.message.clone(),
                doc: pack.read(&part.message_name, &part.message).unwrap(),
            })
            .collect();
        let incoming = Incoming {
            record_id: Ref::from_slice(&lead.record_id).unwrap(),
            issuer: role(1 - node),
            act: act.name(),
            kind: match lead.act_kind() {
                ActKind::Transition => Kind::Transition,
                ActKind::Proposal => Kind::Proposal,
                ActKind::Fact => Kind::Fact,
                _ => Kind::Notice,
            },
            subject: lead.subject_ref.split_once('/').unwrap().1.parse().unwrap(),
            number: lead.placement_sequence,
            event_time_ms: lead.event_time_ms,
            known_state: &lead.known_state,
            content: &content,
        };
        engine.judge(&self.nodes[node].world, &incoming)?;
        engine.apply_peer(&mut self.nodes[node].world, &incoming);
        Ok(())
    }

    fn resolve(&mut self, node: usize, outcome: &Outcome, detail: Option<&Part>) {
        let pack = self.pack.clone();
        let engine = Engine::new(&pack, role(node));
        let detail = detail.map(|part| OutcomeDetail::decode(part.message.as_slice()).unwrap()).unwrap_or_default();
        for index in outcome.begin..outcome.end {
            let Some((record, placement, true)) = self.nodes[node].subjects.get(&index).copied() else { continue };
            let reject = outcome.rejects.iter().find(|reject| reject.index == index);
            let rejected = reject.map(|reject| {
                let found = detail.rejects.iter().find(|detail| detail.index == index).cloned().unwrap_or_default();
                RejectedAct::new(record, &reject.reason, found.into())
            });
            engine.resolve(&mut self.nodes[node].world, placement, record, rejected);
        }
    }

    /// Appends an OUTCOME as it stands.
    pub fn outcome(&mut self, node: usize, begin: u64, end: u64, rejects: &[(u64, Refusal)]) {
        let mut outcome = Outcome { epoch: 1, begin, end, ..Default::default() };
        let mut detail = OutcomeDetail::default();
        for (index, refusal) in rejects {
            outcome.rejects.push(Reject { index: *index, reason: refusal.reason().into() });
            let Detail { gate, clause, fact, field_paths } = refusal.detail();
            detail.rejects.push(RejectDetail { index: *index, gate, field_paths, clause, fact });
        }
        let mut parts = Vec::new();
        if !rejects.is_empty() {
            let message_name = "convenio.exchange.v1.OutcomeDetail".into();
            let (commitment, part) =
                self.salted(&Part { message_name, message: detail.encode_to_vec(), ..Default::default() });
            outcome.commitments.push(commitment);
            parts.push(part);
        }
        self.append(node, Body::Outcome(outcome), parts);
    }
}

fn content(pack: &Pack, def: ActDef<'_>, sources: &Sources, stage: StageId) -> Vec<Content> {
    let one = |name: &str| {
        let message = pack.project(name, sources, stage).unwrap();
        let doc = pack.read(name, &message).unwrap();
        Content { message_name: name.to_owned(), message, doc }
    };
    def.messages().iter().map(|name| one(name)).collect()
}
