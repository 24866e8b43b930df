//! Auditors who are connected: what they get, what it leaves in the journal, how much they may ask, and who is none.

use std::fs;
use std::time::Duration;

use convenio_audit::journal::accesses;
use convenio_audit::{Options, compare, load_trust};
use convenio_log::{Hash, SignedCheckpoint, leaf_hash, proof};
use convenio_node::sealed;
use convenio_seal::commitment::commit;
use convenio_testkit::calls::{Caller, reason};
use convenio_testkit::{Consulate, Nodes, Site};
use convenio_wire::audit::v1::{
    BundleKind, GetBundleRequest, GetProofRequest, ListEntriesRequest, ListEntriesResponse, ListLogsRequest,
};
use convenio_wire::exchange::v1::{JournalAction, JournalEntry, JournalPart};
use prost::Message;
use tonic::{Code, Request, Streaming};

const OWN: &str = "node.sv.example/agreements/sv-ca/to/node.ca.example/1";
const PEER: &str = "node.ca.example/agreements/sv-ca/to/node.sv.example/1";
const JOURNAL: &str = "node.sv.example/journal/1";
const DAY: Duration = Duration::from_secs(24 * 3600);
const COURT: &str = "spiffe://sv.example/auditor/court";

/// A caller of El Salvador's node, and its certificate.
fn caller(nodes: &Nodes, party: &str, uri: &str) -> (Caller, String) {
    let issued = nodes.site.certificate(party, uri);
    (Caller::new("sv", nodes.origin.node.addr(), &nodes.site.client(party, &issued)), issued.certificate)
}

fn entries(origin: &str, first: u64) -> ListEntriesRequest {
    ListEntriesRequest { log_origin: origin.to_owned(), first, end: 0, with_parts: false, follow: false }
}

async fn all(mut pages: Streaming<ListEntriesResponse>) -> Vec<ListEntriesResponse> {
    let mut out = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        out.push(page);
    }
    out
}

async fn nodes_with_a_nominee(seed: u64) -> (Nodes, String) {
    let nodes = Nodes::start(seed).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "offer").await;
    (nodes, placement)
}

/// What the journal of El Salvador's node tells of calls of `method`.
async fn journal_of(nodes: &Nodes, auditor: &Caller, method: &str) -> Vec<JournalPart> {
    let request = ListEntriesRequest { with_parts: true, ..entries(JOURNAL, 0) };
    let mut told = Vec::new();
    for page in all(auditor.list_entries(request).await.unwrap()).await {
        for entry in &page.parts {
            let [part] = entry.parts.as_slice() else { panic!("{entry:?}") };
            let at = usize::try_from(entry.index - page.first).unwrap();
            let said = JournalEntry::decode(page.entries[at].as_slice()).unwrap();
            assert_eq!(
                commit(part.salt.as_slice().try_into().unwrap(), &part.part).to_vec(),
                said.commitment,
                "{}",
                entry.index
            );
            told.push(JournalPart::decode(part.part.as_slice()).unwrap());
        }
    }
    assert!(nodes.origin.node.core().store().logs().await.unwrap().iter().any(|log| log.origin == JOURNAL));
    told.retain(|part| part.method == method);
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_reads_proves_and_follows_and_each_call_stands_in_the_journal() {
    let (nodes, placement) = nodes_with_a_nominee(461).await;
    let (auditor, _) = caller(&nodes, "sv", COURT);
    let logs = auditor.list_logs(ListLogsRequest {}).await.unwrap().logs;
    let named: Vec<_> = logs.iter().map(|log| (log.origin.as_str(), log.own)).collect();
    assert_eq!(named, [(PEER, false), (OWN, true), (JOURNAL, true)]);
    for log in logs.iter().filter(|log| log.origin != JOURNAL) {
        // From the middle on; each entry is proved under the checkpoint, and the checkpoint to go on from there.
        let first = log.size / 2;
        let pages = all(auditor.list_entries(entries(&log.origin, first)).await.unwrap()).await;
        let got: Vec<_> = pages.iter().flat_map(|page| &page.entries).collect();
        assert_eq!((pages[0].first, got.len() as u64), (first, log.size - first));
        assert!(pages.iter().all(|page| page.parts.is_empty()), "parts that nobody asked for");
        let request = GetProofRequest { log_origin: log.origin.clone(), index: first, old_size: first };
        let proved = auditor.get_proof(request).await.unwrap();
        let head = SignedCheckpoint::parse(proved.checkpoint.as_bytes()).unwrap();
        let (size, root) = (head.checkpoint().size(), head.checkpoint().root());
        let hashes = |bytes: &[Vec<u8>]| -> Vec<Hash> {
            bytes.iter().map(|hash| Hash::try_from(hash.as_slice()).unwrap()).collect()
        };
        let leaf = leaf_hash(got[0]);
        assert_eq!(proved.leaf, leaf.as_bytes());
        proof::verify_inclusion(&hashes(&proved.inclusion), &leaf, first, size, &root).unwrap();
        let before =
            all(auditor.list_entries(ListEntriesRequest { end: first, ..entries(&log.origin, 0) }).await.unwrap());
        let before: convenio_log::MemoryTree =
            before.await.iter().flat_map(|page| &page.entries).map(|entry| leaf_hash(entry)).collect();
        proof::verify_consistency(&hashes(&proved.consistency), first, &before.root(), size, &root).unwrap();
        for (index, old_size) in [(size, 0), (0, size + 1)] {
            let past = GetProofRequest { log_origin: log.origin.clone(), index, old_size };
            assert_eq!(auditor.get_proof(past).await.unwrap_err().code(), Code::InvalidArgument);
        }
    }
    // What is asked for with its parts tells whom it concerned.
    let with_parts = ListEntriesRequest { with_parts: true, ..entries(OWN, 0) };
    let pages = all(auditor.list_entries(with_parts).await.unwrap()).await;
    let mut parts = pages.iter().flat_map(|page| &page.parts).flat_map(|entry| &entry.parts);
    assert!(parts.any(|part| part.salt.len() == 32 && !part.part.is_empty()), "no part came");

    // A stream that follows gives what comes, and nothing twice.
    let size = logs.iter().find(|log| log.origin == OWN).unwrap().size;
    let mut follows =
        auditor.list_entries(ListEntriesRequest { follow: true, ..entries(OWN, size - 1) }).await.unwrap();
    assert_eq!(follows.message().await.unwrap().unwrap().first, size - 1);
    nodes.act(&placement, "identified").await;
    let came = follows.message().await.unwrap().unwrap();
    assert_eq!(came.first, size);
    drop(follows);
    let refused = auditor.list_entries(ListEntriesRequest { follow: true, ..entries(JOURNAL, 0) }).await.map(drop);
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);

    let read_on = (OWN, size, size + came.entries.len() as u64);
    let calls = journal_of(&nodes, &auditor, "AuditService.ListEntries").await;
    // Which log, and from where to where; of the stream that followed, where it began, and each page that it showed.
    let ranges: Vec<_> = calls.iter().map(|part| (part.log.as_str(), part.begin, part.end)).collect();
    for log in logs.iter().filter(|log| log.origin != JOURNAL) {
        let (origin, half) = (log.origin.as_str(), log.size / 2);
        assert_eq!(ranges.iter().filter(|range| **range == (origin, half, log.size)).count(), 1, "{ranges:?}");
        assert_eq!(ranges.iter().filter(|range| **range == (origin, 0, half)).count(), 1, "{ranges:?}");
    }
    // The call, and its one page, which names whom it concerned.
    assert_eq!(ranges.iter().filter(|range| **range == (OWN, 0, size)).count(), 2, "{ranges:?}");
    let followed: Vec<_> = ranges.iter().skip_while(|range| **range != (OWN, size - 1, 0)).copied().collect();
    assert_eq!(followed[..3], [(OWN, size - 1, 0), (OWN, size - 1, size), read_on]);
    let ([bundle, _], trust) = (nodes.export().await, load_trust(&nodes.site.trust()).unwrap());
    let told = accesses(&bundle, &trust, None, &Options::default()).unwrap();
    let (origin, begin, end) = read_on;
    assert!(told.accesses.iter().any(|access| (access.log.as_str(), access.begin, access.end) == read_on));
    assert!(told.text().contains(&format!(" of {origin}, from {begin} to before {end}\n")), "{}", told.text());
    assert!(told.text().contains(&format!(" of {origin}, from {} on\n", size - 1)), "{}", told.text());
    let about_p1 = calls.iter().filter(|part| part.rows.iter().any(|row| placement.ends_with(&uuid(&row.id))));
    assert!(calls.len() >= 6 && about_p1.count() == 1, "{calls:?}");
    for (method, count) in [("AuditService.ListLogs", 1), ("AuditService.GetProof", 6)] {
        let told = journal_of(&nodes, &auditor, method).await;
        assert_eq!(told.len(), count, "{method}");
        for part in told {
            let who = (part.caller.as_str(), part.office.as_str(), part.purpose.as_str());
            assert_eq!(who, (COURT, "court", "placement"));
            assert_eq!(part.action, i32::from(JournalAction::Read));
            // A proof tells of the one entry that it proves; the list of logs of none.
            let of = if method.ends_with("GetProof") { (false, part.begin + 1) } else { (true, 0) };
            assert_eq!((part.log.is_empty(), part.end), of, "{part:?}");
        }
    }
    nodes.check().await;
    nodes.stop().await;
}

fn uuid(id: &[u8]) -> String {
    let digits = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_auditor_of_this_state_gets_nothing_and_who_is_one_not_without_end() {
    let nodes = Nodes::start(462).await;
    for (party, uri) in [
        ("sv", "spiffe://sv.example/integration/ministry"),
        ("sv", "spiffe://sv.example/operator/ministry"),
        ("sv", "spiffe://sv.example/consulate/mre/toronto"),
        ("sv", "spiffe://sv.example/node/sv"),
        ("ca", "spiffe://ca.example/auditor/court"),
        ("ca", "spiffe://ca.example/node/ca"),
    ] {
        let (caller, _) = caller(&nodes, party, uri);
        let bundle = GetBundleRequest { kind: BundleKind::Full.into(), recipient: sealed::new_key().1 };
        let denied = [
            caller.list_logs(ListLogsRequest {}).await.map(drop),
            caller.list_entries(entries(OWN, 0)).await.map(drop),
            caller.get_proof(GetProofRequest { log_origin: OWN.into(), ..Default::default() }).await.map(drop),
            caller.get_bundle(bundle).await.map(drop),
        ];
        for status in denied {
            assert_eq!(status.unwrap_err().code(), Code::PermissionDenied, "{uri}");
        }
    }
    let (court, _) = caller(&nodes, "sv", COURT);
    let mut client = convenio_rpc::client::AuditServiceClient::new(court.channel.clone());
    let bare = client.list_logs(Request::new(ListLogsRequest {})).await.unwrap_err();
    assert_eq!(reason(&bare), "PURPOSE_REQUIRED");
    let unknown = court.list_entries(entries("nobody.example/log", 0)).await.map(drop).unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    // The unknown log counted: 59 of the 60 are left, by a clock that stands still.
    for call in 0..59 {
        court.list_logs(ListLogsRequest {}).await.unwrap_or_else(|status| panic!("call {call}: {status:?}"));
    }
    let size = |origin: &str| {
        let core = nodes.origin.node.core().clone();
        let origin = origin.to_owned();
        async move { core.store().logs().await.unwrap().into_iter().find(|log| log.origin == origin).unwrap().size }
    };
    let before = size(JOURNAL).await;
    let limited = court.list_logs(ListLogsRequest {}).await.unwrap_err();
    assert_eq!((limited.code(), reason(&limited).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(size(JOURNAL).await, before, "what was refused read nothing");
    let (other, _) = caller(&nodes, "sv", "spiffe://sv.example/auditor/ombudsman");
    other.list_logs(ListLogsRequest {}).await.unwrap();
    nodes.clock.advance(Duration::from_secs(1));
    court.list_logs(ListLogsRequest {}).await.unwrap();
    assert_eq!(court.list_logs(ListLogsRequest {}).await.unwrap_err().code(), Code::ResourceExhausted);
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bundles_come_sealed_open_with_the_auditors_key_alone_and_hold() {
    let (nodes, _) = nodes_with_a_nominee(463).await;
    let dir = tempfile::tempdir().unwrap();
    let (identity, recipient) = sealed::new_key();
    let (stranger, _) = sealed::new_key();
    let trust = load_trust(&nodes.site.trust()).unwrap();
    let (auditor, _) = caller(&nodes, "sv", COURT);
    let [_, ca] = nodes.export().await;
    for (kind, personal) in [(BundleKind::Full, true), (BundleKind::Commitments, false)] {
        let request = GetBundleRequest { kind: kind.into(), recipient: recipient.clone() };
        let mut stream = auditor.get_bundle(request).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = stream.message().await.unwrap() {
            bytes.extend(piece.chunk);
        }
        let out = dir.path().join(format!("{kind:?}"));
        assert!(sealed::open(&*bytes, &stranger, &out).is_err() && !out.exists());
        assert!(sealed::open(&*bytes, &identity, &out).unwrap() > 10);
        let found = compare(&out, &ca, &trust).unwrap();
        assert!(found.a.holds && found.b.holds, "{:?}", found.a.problems);
        assert!(found.holds || !personal, "{:?}", found.problems);
        let parts = fs::read_dir(out.join("logs")).unwrap().any(|log| log.unwrap().path().join("parts").exists());
        assert_eq!((parts, out.join("rows").exists()), (personal, personal), "{kind:?}");
    }
    let wrong = GetBundleRequest { kind: BundleKind::Full.into(), recipient: "age1nobody".into() };
    let wrong = auditor.get_bundle(wrong).await.map(drop).unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    // Three of four; after the fourth the court has to wait a quarter of an hour.
    let again = || GetBundleRequest { kind: BundleKind::Commitments.into(), recipient: recipient.clone() };
    auditor.get_bundle(again()).await.unwrap();
    let limited = auditor.get_bundle(again()).await.map(drop).unwrap_err();
    assert_eq!(reason(&limited), "RATE_LIMITED");
    // Nothing of a bundle is left beside the database.
    let left = fs::read_dir(nodes.site.path("sv")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("bundle-")));
    let told = journal_of(&nodes, &auditor, "AuditService.GetBundle").await;
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|part| part.action == i32::from(JournalAction::Exported) && part.caller == COURT));
    nodes.check().await;
    nodes.stop().await;
}

/// Names the lists of both authorities in El Salvador's configuration; `revoked` are of its own.
fn revoke(site: &Site, revoked: &[&str]) {
    let tls = site.path("sv").join("tls");
    fs::write(tls.join("crl.pem"), site.crl("sv", revoked, DAY)).unwrap();
    site.edit("sv", "ca = \"tls/ca.pem\"\n", "ca = \"tls/ca.pem\"\ncrl = \"tls/crl.pem\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_auditor_and_a_revoked_consulate_are_cut_inside_their_open_streams() {
    let (nodes, placement) = nodes_with_a_nominee(464).await;
    let (court, certificate) = caller(&nodes, "sv", COURT);
    let (other, _) = caller(&nodes, "sv", "spiffe://sv.example/auditor/ombudsman");
    let post = nodes.site.certificate("sv", "spiffe://sv.example/consulate/mre/toronto");
    let mut toronto = Consulate::new(&nodes, "mre/toronto").await;
    toronto.calls = Caller::new("sv", toronto.line.addr(), &nodes.site.client("sv", &post));
    let mut sync = toronto.open(u64::MAX).await.unwrap();
    let core = nodes.origin.node.core();
    let end = core.heads().borrow()[&core.exchange("sv-ca").unwrap().own().log].size;
    let follow = || ListEntriesRequest { follow: true, ..entries(OWN, end) };
    let (mut cut, mut goes_on) =
        (court.list_entries(follow()).await.unwrap(), other.list_entries(follow()).await.unwrap());
    nodes.act(&placement, "identified").await;
    assert_eq!(cut.message().await.unwrap().unwrap().first, end);
    assert_eq!(goes_on.message().await.unwrap().unwrap().first, end);

    revoke(&nodes.site, &[&certificate, &post.certificate]);
    nodes.origin.node.reload().await.unwrap();
    let patience = Duration::from_secs(30);
    // Neither stream had anything more to say: they end because they were cut.
    let ended = tokio::time::timeout(patience, cut.message()).await.expect("the auditor's stream is cut");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    let ended = tokio::time::timeout(patience, sync.down.message()).await.expect("the consulate's stream is cut");
    assert!(!matches!(ended, Ok(Some(_))), "{ended:?}");
    assert!(court.list_logs(ListLogsRequest {}).await.is_err());
    assert!(toronto.open(0).await.is_err());
    // Who is not named reads on in the same stream.
    nodes.act(&placement, "author").await;
    nodes.act(&placement, "contract").await;
    let more = tokio::time::timeout(patience, goes_on.message()).await.unwrap().unwrap().unwrap();
    assert!(more.first > end, "{more:?}");
    drop((goes_on, cut, sync));
    nodes.check().await;
    nodes.stop().await;
}
