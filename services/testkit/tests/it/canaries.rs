//! Sentinels in fields that never cross are nowhere in the partner's files, in a log line or in an error.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use convenio_node::config::LogConfig;
use convenio_testkit::Nodes;
use convenio_testkit::nodes::{act_once, placement};
use convenio_testkit::records::{self, DOCUMENT, FAMILY_NAME, NEVER, TAX_ID, TOWN};
use convenio_wire::registry::v1 as registry;

/// The log of every node of this test program, at the lowest level, as a node writes it.
static LOG: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("convenio-testkit-{}.log", std::process::id()));
    let config = LogConfig { level: tracing::Level::TRACE, file: Some(path.clone()) };
    convenio_node::logging::init(&config, None).unwrap();
    path
});

/// Files of a folder, with what they hold.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found
}

/// Everything that a state has of the other: its files as they are, its parts decrypted, its bundle.
async fn holdings(nodes: &Nodes, party: &str) -> Vec<(String, Vec<u8>)> {
    let dir = nodes.site.path(party);
    let raw = files(&dir).into_iter().filter(|(path, _)| !path.starts_with(dir.join("tls")));
    let mut all: Vec<_> = raw.map(|(path, bytes)| (path.display().to_string(), bytes)).collect();
    let books = nodes.books(party);
    let ledger = books.ledger(books.core.exchange("sv-ca").unwrap()).await;
    for entry in ledger.own.iter().chain(&ledger.peer) {
        for part in entry.parts.iter().flatten() {
            all.push((format!("a part of {}", entry.statement.log_origin), part.part.clone()));
        }
    }
    all
}

fn holding(all: &[(String, Vec<u8>)], text: &str) -> Vec<String> {
    let found = all.iter().filter(|(_, bytes)| bytes.windows(text.len()).any(|w| w == text.as_bytes()));
    found.map(|(name, _)| name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_crosses_is_nowhere_at_the_partner() {
    let log = LOG.clone();
    let nodes = Nodes::start(61).await;
    let order = nodes.order("order", 2).await;
    nodes.settle().await;
    let name = nodes.placement("p1", &order).await;
    nodes.bring(&name, "contract").await;

    let canada = holdings(&nodes, "ca").await;
    for never in [NEVER, DOCUMENT] {
        assert_eq!(holding(&canada, never), Vec::<String>::new(), "{never} crossed");
    }
    assert!(!holding(&canada, FAMILY_NAME).is_empty(), "positive control: a name crosses on the offer");
    let in_files: Vec<_> =
        holding(&canada, FAMILY_NAME).into_iter().filter(|name| !name.starts_with("a part")).collect();
    assert_eq!(in_files, Vec::<String>::new(), "a name lies unsealed in a file");
    let salvador = holdings(&nodes, "sv").await;
    assert_eq!(holding(&salvador, TAX_ID), Vec::<String>::new(), "the employer's tax identifier crossed");
    assert!(!holding(&salvador, TOWN).is_empty(), "positive control: the order's town crosses");

    nodes.bring_from(&name, "documented", "close").await;
    let bundles = nodes.export().await;
    let canada = holdings(&nodes, "ca").await;
    assert!(canada.iter().any(|(name, _)| name.starts_with(&bundles[1].display().to_string())));
    assert_eq!(holding(&canada, NEVER), Vec::<String>::new());
    assert!(!holding(&canada, DOCUMENT).is_empty(), "positive control: the document crosses for the permit");
    let salvador = holdings(&nodes, "sv").await;
    assert_eq!(holding(&salvador, TAX_ID), Vec::<String>::new());

    let errors = provoked(&nodes, &name, &order).await;
    assert!(errors.len() > 4, "{errors:?}");
    let log = fs::read(&log).unwrap();
    let said = [("the log".to_owned(), log), ("errors".to_owned(), errors.join("\n").into_bytes())];
    for secret in [NEVER, DOCUMENT, FAMILY_NAME, TAX_ID, "María"] {
        assert_eq!(holding(&said, secret), Vec::<String>::new(), "{secret} is told");
    }
    assert!(!holding(&said[..1], "node.sv.example").is_empty(), "positive control: the nodes log");
    nodes.check().await;
    nodes.stop().await;
    let _ = fs::remove_file(LOG.as_path());
}

/// Refusals about records that hold secrets, as they are told.
async fn provoked(nodes: &Nodes, name: &str, order: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |outcome: Result<(), tonic::Status>| {
        let status = outcome.expect_err("is refused");
        told.push(format!("{} {:?} {:?}", status.message(), status.details(), status.metadata()));
        told.push(String::from_utf8_lossy(status.details()).into_owned());
    };
    let (sv, ca) = (&nodes.origin.calls, &nodes.destination.calls);
    tell(act_once(sv, ca, name, "recall", 1).await);
    tell(act_once(sv, ca, name, "nominate", 9).await);
    let register = |worker: registry::Worker| {
        sv.create_worker(registry::CreateWorkerRequest { worker: Some(worker), ..Default::default() })
    };
    let good = registry::Worker { name: String::new(), ..records::worker(Default::default()) };
    tell(register(registry::Worker { birth_date: None, ..good.clone() }).await.map(drop));
    let long = registry::Worker { national_id: NEVER.repeat(9), ..good.clone() };
    tell(register(long).await.map(drop));
    let mut bad = good;
    bad.document.as_mut().unwrap().number = format!("{DOCUMENT} ?");
    bad.languages = vec![FAMILY_NAME.into()];
    tell(register(bad).await.map(drop));
    let again = placement(sv, "p1", &order.replace('0', "1")).await.map(drop);
    tell(again);
    let employer = registry::Employer { tax_id: TAX_ID.repeat(9), ..records::employer() };
    let request = registry::CreateEmployerRequest { employer: Some(employer), ..Default::default() };
    tell(ca.create_employer(request).await.map(drop));
    told
}
