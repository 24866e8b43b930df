//! What an administrator does to the database behind a node's service, and what the journal tells of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use convenio_audit::journal::{JournalReport, accesses, check_journal};
use convenio_audit::{Options, TrustFile, load_trust};
use convenio_exchange::publish::folder;
use convenio_log::{SignedCheckpoint, leaf_hash};
use convenio_node::{BundleKind, Config, export};
use convenio_testkit::Nodes;
use convenio_wire::exchange::v1::JournalEntry;
use convenio_wire::registry::v1 as registry;
use prost::Message;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// A node's files after it has stopped, to be changed by hand.
struct Left {
    config: PathBuf,
    database: PathBuf,
    dir: tempfile::TempDir,
    trust: TrustFile,
    /// The partner's bundle, if it is compared with.
    partner: Option<PathBuf>,
}

impl Left {
    fn of(nodes: &Nodes, party: &str) -> Self {
        let config = nodes.site.config(party);
        let database = Config::load(&config).unwrap().database;
        let trust = load_trust(&nodes.site.trust()).unwrap();
        Self { config, database, dir: tempfile::tempdir().unwrap(), trust, partner: None }
    }

    /// The audit of the journal after these statements, which are undone again; none if nothing can be exported any more.
    async fn after(&self, sql: &str) -> Option<JournalReport> {
        let whole = self.dir.path().join("whole.db");
        std::fs::copy(&self.database, &whole).unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&self.database).foreign_keys(false);
        let mut conn = options.connect().await.unwrap();
        let triggers: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let drops: String = triggers.iter().map(|name| format!("DROP TRIGGER {name};")).collect();
        let statements = AssertSqlSafe(format!("{drops}{sql}"));
        sqlx::raw_sql(statements).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let bundle = self.dir.path().join("bundle");
        let exported = export(&Config::load(&self.config).unwrap(), BundleKind::Full, &bundle).await;
        let report = exported.ok().map(|_| self.check(&bundle));
        if bundle.exists() {
            std::fs::remove_dir_all(&bundle).unwrap();
        }
        std::fs::copy(&whole, &self.database).unwrap();
        report
    }

    fn check(&self, bundle: &Path) -> JournalReport {
        check_journal(bundle, self.partner.as_deref(), &self.trust, &Options::default()).unwrap()
    }

    /// What is found after these statements: reasons with kind and index.
    async fn found(&self, sql: &str) -> Vec<(&'static str, String, Option<u64>)> {
        let report = self.after(sql).await.expect("exported");
        assert!(!report.holds, "{sql}");
        let rows = report.findings.into_iter().map(|f| (f.reason, f.kind, f.index));
        rows.chain(report.problems.into_iter().map(|p| (p.reason, String::new(), p.index))).collect()
    }
}

/// Canada's journal.
const JOURNAL: &str = "node.ca.example/journal/1";
/// The number of a row's kind where it is made by hand.
const CONTRACT: &str = "kind = 5";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_behind_the_service_is_found() {
    let nodes = Nodes::start(71).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "author").await;
    let request = || registry::GetPlacementRequest { name: placement.clone() };
    let shown = nodes.origin.calls.get_placement(request()).await.unwrap();
    for _ in 0..300 {
        nodes.destination.calls.get_placement(request()).await.unwrap();
    }
    let [sv, ca] = nodes.export().await;
    let (left, options) = (Left::of(&nodes, "ca"), Options::default());
    for bundle in [&sv, &ca] {
        let report = left.check(bundle);
        assert!(report.holds && report.rows > 1 && report.indeterminate == 0, "{}", report.text());
    }
    let read = accesses(&sv, &left.trust, Some(&shown.worker), &options).unwrap();
    let last = read.accesses.last().unwrap();
    assert_eq!((last.method.as_str(), last.action), ("PlacementService.GetPlacement", "READ"));
    assert!(read.accesses.iter().any(|access| access.action == "WRITTEN"));
    let _files = nodes.stop_keeping().await;

    assert!(left.after("").await.unwrap().holds, "the untouched database");
    for (sql, reason) in [
        (format!("UPDATE resource SET body = CAST(body || x'1801' AS BLOB) WHERE {CONTRACT}"), "UPDATED_BEHIND"),
        (format!("UPDATE resource SET revision = 7 WHERE {CONTRACT}"), "UPDATED_BEHIND"),
        (format!("DELETE FROM resource WHERE {CONTRACT}"), "DELETED_BEHIND"),
    ] {
        let found = left.found(&sql).await;
        let [(first, kind, index)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((*first, kind.as_str()), (reason, "contracts"), "{sql}");
        assert!(index.is_some());
    }
    let made = "INSERT INTO resource SELECT kind, x'00112233445566778899aabbccddeeff', parent, revision, created_ms, \
                updated_ms, body FROM resource WHERE kind = 5";
    assert_eq!(left.found(made).await, [("INSERTED_BEHIND", "contracts".to_owned(), None)]);

    // An access that somebody wants to hide: the read at index 20.
    let journal = "log = (SELECT id FROM log WHERE agreement = '')";
    let found = left.found(&format!("DELETE FROM part WHERE {journal} AND idx = 20")).await;
    assert_eq!(found, [("JOURNAL_PART_MISSING", "journal".to_owned(), Some(20))]);
    let found = left.found(&format!("UPDATE part SET sealed = zeroblob(200) WHERE {journal} AND idx = 20")).await;
    assert_eq!(found, [("JOURNAL_PART_MISSING", "journal".to_owned(), Some(20))]);
    let swapped = format!(
        "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE {journal} AND idx = 21) WHERE {journal} AND idx = 20"
    );
    let found = left.found(&swapped).await;
    assert!(found.iter().any(|(reason, _, index)| *reason == "TILE" && *index == Some(20)), "{found:?}");
    let found = left.found(&format!("UPDATE tile SET hashes = zeroblob(8192) WHERE {journal} AND level = 0")).await;
    assert!(found.iter().any(|(reason, _, index)| *reason == "TILE" && *index == Some(0)), "{found:?}");
}

/// What the partner's witness saw cannot be unsaid, not even by whoever holds the log key and the whole database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_was_cut_or_written_anew_is_found() {
    let nodes = Nodes::start(72).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "author").await;
    let size = witnessed(&nodes).await;
    let [sv, ca] = nodes.export().await;
    let left = Left { partner: Some(sv), ..Left::of(&nodes, "ca") };
    let report = left.check(&ca);
    assert!(report.holds && report.journals[0].witnessed >= size, "{}", report.text());
    let core = nodes.destination.node.core();
    let log = core.store().logs().await.unwrap().into_iter().find(|log| log.origin == JOURNAL).unwrap();
    let entry = core.store().entries(log.id, size - 1, size).await.unwrap().remove(0);
    let _files = nodes.stop_keeping().await;
    assert!(left.after("").await.unwrap().holds);

    // Whoever rewrites forgets the heads that were kept here.
    let (id, at) = (log.id, size - 1);
    let forget = format!("DELETE FROM checkpoint WHERE log = {id}; DELETE FROM state;");
    let cut = format!(
        "{forget} DELETE FROM part WHERE log = {id} AND idx >= {at}; DELETE FROM entry WHERE log = {id} AND idx >= {at}; \
         UPDATE log SET size = {at} WHERE id = {id};"
    );
    let found = left.found(&cut).await;
    assert!(found.contains(&("JOURNAL_TRUNCATED", String::new(), Some(at))), "{found:?}");

    let said = JournalEntry::decode(entry.bytes.as_slice()).unwrap();
    let other = JournalEntry { time_ms: said.time_ms - 1, ..said }.encode_to_vec();
    let (bytes, leaf) = (hex::encode(&other), hex::encode(leaf_hash(&other).as_bytes()));
    let anew =
        format!("{forget} UPDATE entry SET bytes = x'{bytes}', leaf = x'{leaf}' WHERE log = {id} AND idx = {at};");
    let found = left.found(&anew).await;
    assert!(found.contains(&("JOURNAL_REWRITTEN", String::new(), Some(at))), "{found:?}");
}

/// Waits until El Salvador's witness has cosigned Canada's journal; the size.
async fn witnessed(nodes: &Nodes) -> u64 {
    let key = format!("witness/{}", folder(JOURNAL));
    let seen = async {
        loop {
            // Submissions are a minute apart at least.
            nodes.clock.advance(Duration::from_secs(61));
            if let Some(state) = nodes.origin.node.core().store().state(&key).await.unwrap() {
                return SignedCheckpoint::parse(&state.body).unwrap().checkpoint().size();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.unwrap()
}
