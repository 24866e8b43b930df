//! Two agreements on one node. Nothing of one agreement is seen in the other's logs, views and bundles, by its partner, or
//! by who may call for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_audit::{load_trust, verify};
use convenio_exchange::publish::folder;
use convenio_model::ManualClock;
use convenio_script::{Day, Player, Script, Stage};
use convenio_store::ViewKind;
use convenio_testkit::treaty::agreements_dir;
use convenio_testkit::web::ask;
use convenio_testkit::{Consulate, States};

const SEED: u64 = 77;
const WORKERS: u32 = 2;
const TODAY: (i64, i64, i64) = (2026, 11, 23);
/// A state with two agreements.
struct Hub {
    /// The state.
    party: &'static str,
    /// The agreements, each with the partner and what all its workers are called.
    both: [(&'static str, &'static str, &'static str); 2],
    /// The area that a consular post of the state's serves, which works under the first alone.
    post: &'static str,
}

fn pack(id: &str) -> Arc<Pack> {
    Arc::new(Pack::load(&agreements_dir(), id).unwrap())
}

/// The season of an agreement, its workers called `family`.
fn season(pack: &Pack, family: &str) -> Script {
    let path = agreements_dir().join(pack.id()).join("examples/season.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("${family}"), "a positive control needs a family name");
    Script::parse(&path, &text.replace("${family}", family)).unwrap()
}

async fn play(states: &States, stage: &Stage, pack: &Pack, family: &str) {
    let script = season(pack, family);
    let mut player =
        Player::new(&script, pack.id(), stage, states, SEED, Day::civil(TODAY.0, TODAY.1, TODAY.2)).unwrap();
    player.once().await.unwrap_or_else(|error| panic!("{error}"));
    player.workers(WORKERS, 2, &|| ()).await.unwrap_or_else(|error| panic!("{error}"));
    player.finally().await.unwrap_or_else(|error| panic!("{error}"));
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found
}

fn holding(all: &[(String, Vec<u8>)], text: &str) -> Vec<String> {
    let found = all.iter().filter(|(_, bytes)| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    found.map(|(name, _)| name.clone()).collect()
}

fn holds(all: &[(String, Vec<u8>)], text: &str) -> bool {
    !holding(all, text).is_empty()
}

fn folder_of(dir: &Path) -> Vec<(String, Vec<u8>)> {
    files(dir).into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)).collect()
}

/// What a state's node keeps of an agreement: entries, parts opened, views.
async fn kept(states: &States, party: &str, agreement: &str) -> Vec<(String, Vec<u8>)> {
    let books = states.books(party);
    let ledger = books.ledger(books.core.exchange(agreement).unwrap()).await;
    let mut all = Vec::new();
    for entry in ledger.own.iter().chain(&ledger.peer) {
        all.push((format!("an entry of {}", entry.statement.log_origin), entry.bytes.clone()));
        let parts = entry.parts.iter().flatten().map(|part| part.part.clone());
        all.extend(parts.map(|part| (format!("a part of {}", entry.statement.log_origin), part)));
    }
    for kind in [ViewKind::Placement, ViewKind::Order, ViewKind::Agency] {
        let rows = books.core.store().views(kind, agreement, "", None, 1000).await.unwrap();
        all.extend(rows.into_iter().map(|row| (format!("a {kind:?} of {agreement}"), row.body)));
    }
    all
}

async fn started(hub: &Hub) -> (States, Stage) {
    let packs: Vec<_> = hub.both.iter().map(|(id, ..)| pack(id)).collect();
    let stage = Stage::new(&packs.iter().map(|pack| pack.as_ref().clone()).collect::<Vec<_>>()).unwrap();
    let today = Day::civil(TODAY.0, TODAY.1, TODAY.2);
    let clock = ManualClock::new(today.at_minute(720).cast_unsigned());
    let mut states = States::prepare(SEED, clock, packs).await;
    let (area, first) = (hub.post, hub.both[0].0);
    let post = format!(
        "[[posts]]\norganisation = \"mre\"\npost = \"abroad\"\ndistricts = [\"{area}\"]\nagreements = [\"{first}\"]\n\n[log]"
    );
    let config = states.config(hub.party);
    let text = fs::read_to_string(&config).unwrap().replace("[log]", &post);
    fs::write(config, text).unwrap();
    for party in [hub.party, hub.both[0].1, hub.both[1].1] {
        states.start_one(party).await;
    }
    states.settle().await;
    (states, stage)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_agreements_on_one_node_do_not_see_each_other() {
    let both = [("sv-ca", "ca", "Canariosalvadorena"), ("hn-sv", "hn", "Canariodehonduras")];
    apart(&Hub { party: "sv", both, post: "CA-ON" }).await;
}

async fn apart(hub: &Hub) {
    let (states, stage) = started(hub).await;
    let [first, second] = hub.both.map(|(id, ..)| pack(id));
    tokio::join!(play(&states, &stage, &first, hub.both[0].2), play(&states, &stage, &second, hub.both[1].2));
    states.check().await;
    for at in 0..2 {
        let ((agreement, partner, own), (other, other_partner, foreign)) = (hub.both[at], hub.both[1 - at]);
        let here = kept(&states, hub.party, agreement).await;
        assert!(holds(&here, own), "positive control: {own} is disclosed under {agreement}");
        assert_eq!(holding(&here, foreign), Vec::<String>::new(), "under {agreement}");

        let there = [kept(&states, partner, agreement).await, folder_of(&states.path(partner))].concat();
        assert!(holds(&there, own), "positive control: {own} crossed");
        for hidden in [foreign, &*format!("node.{other_partner}.example/"), &*format!("/agreements/{other}/")] {
            assert_eq!(holding(&there, hidden), Vec::<String>::new(), "{hidden} at {partner}");
        }

        let bundle = states.export_under(hub.party, agreement).await;
        let exported = folder_of(&bundle);
        assert!(holds(&exported, own), "positive control: the bundle has its parts");
        // The text of a pack may name its siblings.
        let said: Vec<_> = exported.into_iter().filter(|(path, _)| !path.contains("/packs/")).collect();
        for hidden in [foreign, &*format!("/agreements/{other}/")] {
            assert_eq!(holding(&said, hidden), Vec::<String>::new(), "{hidden} in the bundle of {agreement}");
        }
        let verified = verify(&bundle, &load_trust(&states.trust()).unwrap()).unwrap();
        assert!(verified.holds, "{:?}", verified.problems);
        fs::remove_dir_all(bundle).unwrap();
        partner_reads_its_own_logs_only(&states, hub.party, partner, agreement, other).await;
    }
    a_post_of_one_agreement_sees_no_other(&states, hub).await;
    for (agreement, ..) in hub.both {
        let report = states.report(agreement).await;
        assert!(report.integrity, "{agreement}: {:?}", report.comparison);
    }
    states.stop().await;
}

/// A partner's node may read, over HTTPS, the logs between it and the state, and no other.
async fn partner_reads_its_own_logs_only(states: &States, hub: &str, partner: &str, agreement: &str, other: &str) {
    let tls = states.client(partner, &format!("spiffe://{partner}.example/node/{partner}"));
    let books = states.books(hub);
    for (of, status) in [(agreement, 200), (other, 404)] {
        let origin = books.core.exchange(of).unwrap().own().origin.clone();
        let path = format!("/logs/{}/checkpoint", folder(&origin));
        let answer = ask(hub, states.address(hub), &tls, "GET", &path, "").await;
        assert_eq!(answer.status, status, "{partner} asks for a log of {of}");
    }
    let listed = ask(hub, states.address(hub), &tls, "GET", "/logs/", "").await.text();
    assert!(!listed.contains(&format!("/{other}/")), "{listed}");
    let calls = convenio_testkit::Caller::new(hub, states.address(hub), &tls);
    let asked = calls.list_exchanges(convenio_wire::node::v1::ListExchangesRequest {}).await;
    assert_eq!(asked.expect_err("is no partner's to ask").code(), tonic::Code::PermissionDenied);
}

/// A consulate that works under one agreement is shown nobody of the other.
async fn a_post_of_one_agreement_sees_no_other(states: &States, hub: &Hub) {
    let party = hub.party;
    let tls = states.client(party, &format!("spiffe://{party}.example/consulate/mre/abroad"));
    let mut consulate = Consulate::dialling(party, states.address(party), &tls).await;
    consulate.sync().await.unwrap_or_else(|(_, status)| panic!("{status:?}"));
    assert_eq!(consulate.caseload.len(), WORKERS as usize, "positive control: the workers of the first");
    let agreements = consulate.caseload.values().map(|item| item.placement.clone().unwrap_or_default().agreement);
    assert!(agreements.into_iter().all(|agreement| agreement == hub.both[0].0));
}
