//! Certificates, authorities and revocation lists that change while two nodes run.

use std::fs;
use std::time::Duration;

use convenio_node::pki::Authority;
use convenio_node::tls::LoadedTls;
use convenio_testkit::web::ask;
use convenio_testkit::{Nodes, Site, site};
use tokio::time::{sleep, timeout};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Names the lists of both authorities in El Salvador's configuration.
fn with_lists(site: &Site, own: &str, partner: &str) {
    let tls = site.path("sv").join("tls");
    fs::write(tls.join("crl.pem"), own).unwrap();
    fs::write(tls.join("partner-crl.pem"), partner).unwrap();
    let text = fs::read_to_string(site.config("sv")).unwrap();
    if !text.contains("crl") {
        site.edit("sv", "ca = \"tls/ca.pem\"\n", "ca = \"tls/ca.pem\"\ncrl = \"tls/crl.pem\"\n");
        site.edit("sv", "ca = \"../ca/tls/ca.pem\"\n", "ca = \"../ca/tls/ca.pem\"\ncrl = \"tls/partner-crl.pem\"\n");
    }
}

/// Waits until El Salvador's node is connected to the partner, or is not.
async fn connected(nodes: &Nodes, wanted: bool) {
    let core = nodes.origin.node.core();
    let met = async {
        while core.connected("node.ca.example") != wanted {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), met).await.unwrap_or_else(|_| panic!("connected is not {wanted}"));
}

fn auditor(nodes: &Nodes) -> (LoadedTls, String) {
    let issued = nodes.site.certificate("sv", "spiffe://sv.example/auditor/court");
    (nodes.site.client("sv", &issued), issued.certificate)
}

async fn lists(nodes: &Nodes, tls: &LoadedTls) -> u16 {
    ask("sv", nodes.origin.node.addr(), tls, "GET", "/logs/", "").await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_partner_is_cut_inside_its_session_and_comes_back_with_a_new_certificate() {
    let nodes = Nodes::start(421).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "nominate").await;
    connected(&nodes, true).await;

    let old = fs::read_to_string(nodes.site.path("ca").join("tls/node.pem")).unwrap();
    with_lists(&nodes.site, &nodes.site.crl("sv", &[], DAY), &nodes.site.crl("ca", &[], DAY));
    nodes.origin.node.reload().await.unwrap();
    sleep(Duration::from_millis(200)).await;
    connected(&nodes, true).await;
    // Both sessions are open: the one that El Salvador dialled, and the one that it accepted.
    with_lists(&nodes.site, &nodes.site.crl("sv", &[], DAY), &nodes.site.crl("ca", &[&old], DAY));
    nodes.origin.node.reload().await.unwrap();
    connected(&nodes, false).await;
    // It stays out, whoever dials.
    sleep(Duration::from_millis(500)).await;
    connected(&nodes, false).await;
    nodes.site.install("ca", &nodes.site.node_certificate("ca", None));
    nodes.destination.node.reload().await.unwrap();
    connected(&nodes, true).await;
    nodes.bring_from(&placement, "offer", "contract").await;
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_caller_is_refused_and_an_unusable_list_changes_nothing() {
    let nodes = Nodes::start(422).await;
    let ((caller, certificate), (other, _)) = (auditor(&nodes), auditor(&nodes));
    assert_eq!(lists(&nodes, &caller).await, 200);
    let partner = nodes.site.crl("ca", &[], DAY);
    with_lists(&nodes.site, &nodes.site.crl("sv", &[&certificate], DAY), &partner);
    nodes.origin.node.reload().await.unwrap();
    assert_eq!((lists(&nodes, &caller).await, lists(&nodes, &other).await), (0, 200));

    let refused = async |list: &str, why: &str| {
        with_lists(&nodes.site, list, &partner);
        let error = nodes.origin.node.reload().await.unwrap_err().to_string();
        assert!(error.contains("tls/crl.pem") && error.contains(why), "{error}");
        // What is in force stays: the revoked one is not let in by a broken list.
        assert_eq!((lists(&nodes, &caller).await, lists(&nodes, &other).await), (0, 200), "{why}");
    };
    let whole = nodes.site.crl("sv", &[], DAY);
    refused(&partner, "is signed by none of the domain's authorities").await;
    refused(&whole[..whole.len() / 2], "truncated").await;
    refused("", "holds no PEM revocation list").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = Site::make(elsewhere.path(), 422).crl("sv", &[], DAY);
    refused(&stranger, "is signed by none of the domain's authorities").await;
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_runs_out_lets_nobody_in_and_cuts_who_is_in() {
    let nodes = Nodes::start(423).await;
    let (caller, _) = auditor(&nodes);
    with_lists(&nodes.site, &nodes.site.crl("sv", &[], DAY), &nodes.site.crl("ca", &[], Duration::from_secs(12)));
    nodes.origin.node.reload().await.unwrap();
    connected(&nodes, false).await;
    let error = nodes.origin.node.reload().await.unwrap_err().to_string();
    assert!(error.contains("partner-crl.pem") && error.contains("has run out"), "{error}");
    // The other domain has a list of its own.
    assert_eq!(lists(&nodes, &caller).await, 200);
    with_lists(&nodes.site, &nodes.site.crl("sv", &[], DAY), &nodes.site.crl("ca", &[], DAY));
    nodes.origin.node.reload().await.unwrap();
    connected(&nodes, true).await;
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_replaced_while_the_exchange_goes_on() {
    let nodes = Nodes::start(424).await;
    let order = nodes.order("order", 5).await;
    nodes.settle().await;
    let placement = nodes.placement("p1", &order).await;
    nodes.bring(&placement, "preselect").await;
    let now = site::now();
    let next = Authority::create("ca.example", now - DAY, now + DAY).unwrap();
    let (file, old) = (nodes.site.path("ca").join("tls/ca.pem"), nodes.site.node_certificate("ca", None));
    let before = fs::read_to_string(&file).unwrap();
    // Both are believed, the partner changes over, and only then the old one goes. El Salvador names the same file.
    fs::write(&file, format!("{before}{}", next.certificate())).unwrap();
    nodes.origin.node.reload().await.unwrap();
    nodes.site.install("ca", &nodes.site.node_certificate("ca", Some(&next)));
    nodes.destination.node.reload().await.unwrap();
    nodes.bring_from(&placement, "nominate", "nominate").await;
    fs::write(&file, next.certificate()).unwrap();
    nodes.origin.node.reload().await.unwrap();
    nodes.destination.node.reload().await.unwrap();
    connected(&nodes, true).await;
    // A certificate of the old authority opens nothing any more.
    nodes.site.install("ca", &old);
    let error = nodes.destination.node.reload().await.unwrap_err().to_string();
    assert!(error.contains("node.pem") && error.contains("authority"), "{error}");
    nodes.check().await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changes_is_read_again_by_itself() {
    let nodes = Nodes::start(425).await;
    let (caller, certificate) = auditor(&nodes);
    assert_eq!(lists(&nodes, &caller).await, 200);
    with_lists(&nodes.site, &nodes.site.crl("sv", &[&certificate], DAY), &nodes.site.crl("ca", &[], DAY));
    let cut = async {
        while lists(&nodes, &caller).await != 0 {
            // The files are looked at every half minute of the node's own clock.
            nodes.clock.advance(Duration::from_secs(31));
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), cut).await.unwrap();
    nodes.check().await;
    nodes.stop().await;
}
