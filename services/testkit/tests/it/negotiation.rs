//! Acts of a negotiation over mTLS: what a node takes from its partner's node and its own ministry, and what it refuses.

use std::fs;
use std::io::Write;

use convenio_agreement::Pack;
use convenio_model::ManualClock;
use convenio_negotiation::draft::{self, digest_of};
use convenio_negotiation::{Act, Deed, DraftLines, FileLine, SignedAct, sha256};
use convenio_rpc::client::NegotiationServiceClient;
use convenio_seal::dsse::Envelope;
use convenio_seal::key::SigningKey;
use convenio_seal::root::{RatifiedBy, sign_ratification};
use convenio_testkit::Nodes;
use convenio_testkit::calls::{Caller, reason};
use convenio_testkit::pair::START_MS;
use convenio_testkit::site::Site;
use convenio_testkit::treaty::{SECOND, office_key, second, sv_ca};
use convenio_wire::NEGOTIATION_TYPE;
use convenio_wire::agreement::v1 as wire;
use tonic::transport::Channel;
use tonic::{Code, Status};

const OFFICE: &str = "foreign-affairs";

/// Both trust files name an office of each state.
fn with_offices(site: &Site) {
    let mut trust = fs::OpenOptions::new().append(true).open(site.trust()).unwrap();
    for party in ["sv", "ca"] {
        writeln!(trust, "office {party} {OFFICE} {}", office_key(party, OFFICE).public().spki_base64()).unwrap();
    }
}

async fn start(seed: u64) -> Nodes {
    Nodes::start_under(seed, ManualClock::new(START_MS), sv_ca(), with_offices).await
}

/// A caller of El Salvador's node: `role` of El Salvador, or Canada's.
struct Desk(NegotiationServiceClient<Channel>);

impl Desk {
    fn partner_node(nodes: &Nodes) -> Self {
        Self::with(nodes, "ca", &nodes.site.node_certificate("ca", None))
    }

    fn of(nodes: &Nodes, party: &str, role: &str) -> Self {
        Self::with(nodes, party, &nodes.site.certificate(party, &format!("spiffe://{party}.example/{role}/office")))
    }

    fn with(nodes: &Nodes, party: &str, issued: &convenio_node::pki::Issued) -> Self {
        let caller = Caller::new("sv", nodes.origin.node.addr(), &nodes.site.client(party, issued));
        Self(NegotiationServiceClient::new(caller.channel).max_encoding_message_size(8 * 1024 * 1024))
    }

    async fn submit(&mut self, envelope: &Envelope, files: &[Vec<u8>]) -> Result<wire::SubmitActResponse, Status> {
        let (envelope, negotiation) = (envelope.to_json().into_bytes(), String::new());
        let request = wire::SubmitActRequest { envelope, files: files.to_vec(), negotiation };
        self.0.submit_act(request).await.map(tonic::Response::into_inner)
    }

    async fn act(&mut self, signed: &SignedAct, files: &[Vec<u8>]) -> wire::SubmitActResponse {
        self.submit(&signed.envelope, files).await.unwrap()
    }

    async fn refused(&mut self, envelope: &Envelope, files: &[Vec<u8>]) -> String {
        reason(&self.submit(envelope, files).await.unwrap_err())
    }

    async fn get(&mut self, id: &str) -> Result<wire::Negotiation, Status> {
        let request = wire::GetNegotiationRequest { negotiation: id.to_owned() };
        self.0.get_negotiation(request).await.map(tonic::Response::into_inner)
    }

    async fn list(&mut self) -> Result<Vec<wire::Negotiation>, Status> {
        let request = wire::ListNegotiationsRequest { page_size: 0, page_token: String::new() };
        self.0.list_negotiations(request).await.map(|answer| answer.into_inner().negotiations)
    }
}

fn files(pack: &Pack) -> Vec<Vec<u8>> {
    pack.files().iter().map(|(_, bytes)| bytes.to_vec()).collect()
}

fn act(from: &str, before: Option<&SignedAct>, deed: Deed) -> Act {
    Act {
        agreement: SECOND.into(),
        from: from.into(),
        office: OFFICE.into(),
        to: vec![if from == "sv" { "ca" } else { "sv" }.into()],
        step: before.map_or(1, |signed| signed.act.step + 1),
        previous: before.map(|signed| signed.hash),
        time_ms: START_MS,
        note: String::new(),
        deed,
    }
}

fn signed(act: &Act) -> SignedAct {
    SignedAct::sign(act, &office_key(&act.from, OFFICE)).unwrap()
}

fn proposal() -> Act {
    act("ca", None, Deed::Propose(draft::lines(&second())))
}

/// As an office signs what its own software would refuse to make.
fn raw(act: &Act, key: &SigningKey) -> Envelope {
    Envelope::signed(NEGOTIATION_TYPE, act.to_payload(), &[key])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partners_node_and_the_own_ministry_hand_acts_over_and_nobody_else_does() {
    let nodes = start(801).await;
    let mut partner = Desk::partner_node(&nodes);
    let propose = signed(&proposal());
    let taken = partner.act(&propose, &files(&second())).await;
    assert_eq!((taken.known, taken.fork, &taken.negotiation), (false, false, &hex::encode(propose.hash)));
    // The same act again, as after a link that broke: once is enough, files or not.
    assert!(partner.act(&propose, &[]).await.known);

    let mut ministry = Desk::of(&nodes, "sv", "ministry");
    let initial = signed(&act("sv", Some(&propose), Deed::Initial(second().digest())));
    ministry.act(&initial, &[]).await;
    let shown = partner.get(&taken.negotiation).await.unwrap();
    assert_eq!((shown.acts.len(), shown.steps, shown.state.as_str()), (2, 2, "OPEN"));
    let last = signed(&act("ca", Some(&initial), Deed::Initial(second().digest())));
    partner.act(&last, &[]).await;
    assert_eq!(Desk::of(&nodes, "sv", "operator").list().await.unwrap()[0].state, "INITIALLED");

    let wanted = second().files().iter().map(|(_, bytes)| sha256(bytes).to_vec()).collect();
    let request = wire::GetDraftFilesRequest { negotiation: taken.negotiation.clone(), sha256: wanted };
    assert_eq!(partner.0.get_draft_files(request).await.unwrap().into_inner().files, files(&second()));

    for (party, role) in [("sv", "operator"), ("sv", "integration"), ("sv", "auditor"), ("ca", "ministry")] {
        let status = Desk::of(&nodes, party, role).submit(&last.envelope, &[]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"), "{role}");
    }
    // What else this state negotiates is none of a partner's business.
    assert_eq!(reason(&partner.list().await.unwrap_err()), "PERMISSION_DENIED");
    assert_eq!(reason(&partner.get(&"ab".repeat(32)).await.unwrap_err()), "NOT_FOUND");
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_acts_and_drafts_leave_nothing_behind() {
    let nodes = start(802).await;
    let mut partner = Desk::partner_node(&nodes);
    let (key, all) = (office_key("ca", OFFICE), files(&second()));
    let good = signed(&proposal());

    assert_eq!(partner.refused(&good.envelope, &[]).await, "FILES_MISSING");
    assert_eq!(partner.refused(&good.envelope, &[all.clone(), vec![b"more".to_vec()]].concat()).await, "FOREIGN_FILE");
    let broken = |text: &[u8]| {
        let mut lines = draft::lines(&second());
        let at = lines.files.iter().position(|line| line.path.ends_with("agreement.toml")).unwrap();
        lines.files[at].sha256 = sha256(text);
        lines.files[at].size = text.len() as u32;
        lines.digest = digest_of(&lines.files);
        let mut files = files(&second());
        files[at] = text.to_vec();
        (signed(&act("ca", None, Deed::Propose(lines))), files)
    };
    for text in
        [b"format = 2\n".as_slice(), b"\xff\xfe", b"format = 2\nid = \"sv-ca-two\"\nimport = [\"/etc/passwd\"]\n"]
    {
        let (bad, files) = broken(text);
        assert_eq!(partner.refused(&bad.envelope, &files).await, "DRAFT_REFUSED");
    }
    let path = "agreements/../../etc/passwd".to_owned();
    let files = vec![FileLine { path, sha256: sha256(b"x"), size: 1 }];
    let climbing = Deed::Propose(DraftLines { digest: digest_of(&files), files });
    let climbing = signed(&act("ca", None, climbing));
    assert_eq!(partner.refused(&climbing.envelope, &[b"x".to_vec()]).await, "MALFORMED_ACT");

    // 255 files of 1 MiB; step 65; another agreement than the pack's; parties that this node is none of.
    let line = |at: usize| FileLine { path: format!("a/{at:03}.proto"), sha256: [1; 32], size: 1024 * 1024 };
    let files: Vec<_> = (0..255).map(line).collect();
    let huge = act("ca", None, Deed::Propose(DraftLines { digest: digest_of(&files), files }));
    assert_eq!(partner.refused(&raw(&huge, &key), &[]).await, "TOO_LARGE");
    let late = Act { step: 65, previous: Some(good.hash), ..act("ca", None, Deed::Comment) };
    assert_eq!(partner.refused(&raw(&late, &key), &[]).await, "TOO_MANY_STEPS");
    let other = signed(&Act { agreement: "sv-ca-three".into(), ..proposal() });
    assert_eq!(partner.refused(&other.envelope, &all).await, "OTHER_AGREEMENT");
    let elsewhere = signed(&Act { to: vec!["gt".into()], ..proposal() });
    assert_eq!(partner.refused(&elsewhere.envelope, &all).await, "OTHER_NEGOTIATION");

    // A forged office: no key that the trust file names, or one of the other state.
    assert_eq!(partner.refused(&raw(&proposal(), &office_key("ca", "other")), &all).await, "UNKNOWN_OFFICE");
    assert_eq!(partner.refused(&raw(&proposal(), &office_key("sv", OFFICE)), &all).await, "UNKNOWN_OFFICE");
    let mut bent = good.envelope.clone();
    bent.signatures[0].sig[3] ^= 1;
    assert_eq!(partner.refused(&bent, &all).await, "UNKNOWN_OFFICE");
    let orphan = signed(&Act { previous: Some([7; 32]), step: 2, ..act("ca", None, Deed::Comment) });
    assert_eq!(partner.refused(&orphan.envelope, &[]).await, "PREVIOUS_UNKNOWN");

    let store = nodes.origin.node.core().store().clone();
    assert!(store.states("negotiation/", "", 1).await.unwrap().is_empty());
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_is_kept_and_told_and_a_replayed_step_does_not_fit() {
    let nodes = start(803).await;
    let (mut partner, mut ministry) = (Desk::partner_node(&nodes), Desk::of(&nodes, "sv", "ministry"));
    let propose = signed(&proposal());
    let id = partner.act(&propose, &files(&second())).await.negotiation;
    let comment = |note: &str| signed(&Act { note: note.into(), ..act("ca", Some(&propose), Deed::Comment) });
    assert!(!partner.act(&comment("one"), &[]).await.fork);
    assert!(partner.act(&comment("two"), &[]).await.fork);
    let shown = ministry.get(&id).await.unwrap();
    assert_eq!((shown.acts.len(), shown.steps, shown.fork), (3, 2, true));

    // The same words as a later step were never signed so; as the step after the wrong one they do not fit.
    let replayed = signed(&Act { step: 3, ..act("ca", Some(&propose), Deed::Comment) });
    assert_eq!(partner.refused(&replayed.envelope, &[]).await, "STEP");
    let again = signed(&Act { step: 2, previous: Some(propose.hash), ..proposal_again() });
    assert_eq!(partner.refused(&again.envelope, &[]).await, "OTHER_DRAFT");

    // Ratified is only what every party has put its initials to.
    let treaty = &nodes.site.treaty.destination;
    let said = RatifiedBy::new(SECOND, second().digest(), &treaty.node, treaty.roots.clone());
    let keys: Vec<_> = treaty.root_keys.iter().collect();
    let ratification = sign_ratification(&said, &keys).unwrap().to_json().into_bytes();
    let request = wire::SubmitActRequest { envelope: ratification, files: Vec::new(), negotiation: id.clone() };
    assert_eq!(reason(&partner.0.submit_act(request.clone()).await.unwrap_err()), "RATIFICATION");
    let ours = signed(&act("sv", Some(&comment("two")), Deed::Initial(second().digest())));
    ministry.act(&ours, &[]).await;
    partner.act(&signed(&act("ca", Some(&ours), Deed::Initial(second().digest()))), &[]).await;
    assert!(!partner.0.submit_act(request.clone()).await.unwrap().into_inner().known);
    assert!(partner.0.submit_act(request).await.unwrap().into_inner().known);
    assert_eq!(ministry.get(&id).await.unwrap().ratifications.len(), 1);
    nodes.check().await;
    nodes.stop().await;
}

/// A counter-proposal that changes nothing.
fn proposal_again() -> Act {
    Act { deed: Deed::Counter(draft::lines(&second())), ..proposal() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_has_at_most_eight_open_negotiations() {
    let nodes = start(804).await;
    let mut partner = Desk::partner_node(&nodes);
    let all = files(&second());
    let propose = |at: u64| signed(&Act { time_ms: START_MS + at, ..proposal() });
    for at in 0..8 {
        partner.act(&propose(at), &all).await;
    }
    assert_eq!(partner.refused(&propose(8).envelope, &all).await, "QUOTA");
    let withdraw = signed(&act("ca", Some(&propose(0)), Deed::Withdraw(second().digest())));
    partner.act(&withdraw, &[]).await;
    partner.act(&propose(8), &all).await;
    let listed = Desk::of(&nodes, "sv", "ministry").list().await.unwrap();
    let states = |state: &str| listed.iter().filter(|one| one.state == state).count();
    assert_eq!((states("OPEN"), states("WITHDRAWN")), (8, 1));
    nodes.check().await;
    nodes.stop().await;
}
