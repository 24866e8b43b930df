//! An agreement that one state ratifies and runs alone, and a partner that joins it in the middle: what waited in the log is
//! delivered, judged and answered.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use convenio_agreement::Pack;
use convenio_audit::{load_trust, verify};
use convenio_exchange::Core;
use convenio_model::ManualClock;
use convenio_script::{Day, Player, Script, Stage};
use convenio_testkit::States;
use convenio_testkit::treaty::agreements_dir;
use convenio_wire::exchange::v1::statement::Body;

const ID: &str = "ht-do";
const TODAY: (i64, i64, i64) = (2026, 11, 23);
/// How much later the partner joins.
const LATER: Duration = Duration::from_secs(90 * 24 * 3600);

/// One worker whose work has ended, and one who is still there, both found by the Dominican Republic.
const ALONE: &str = r#"
title = "Alone"

[[once]]
by = "do"
call = "CreateEmployer"
save = "employer"
body = { employer = { legal_name = "Ingenio Ficticio", place = { country_code = "DO" }, industry = { list = "ISIC-4", value = "0114" }, eligible = true } }

[[each]]
by = "do"
call = "CreateWorker"
save = "worker"
[each.body.worker]
given_names = "${given}"
family_names = "${family}"
sex = "${sex}"
birth_date = "${birth}"
nationality = "HT"
languages = ["hat"]
occupation = { list = "ISCO-08", value = "9211" }

[[each]]
by = "do"
call = "CreatePlacement"
save = "ended"
body = { placement = { agreement = "ht-do", worker = "${worker}", recruiter_kind = "RECRUITER_KIND_SELF_FOUND", entry_route = "ENTRY_ROUTE_INFORMAL_LATE" } }

[[each]]
by = "do"
call = "TransitionPlacement"
body = { name = "${ended}", transition = "find", event = { time_ms = "${ms:+10}", historical = true } }

[[each]]
by = "do"
call = "TransitionPlacement"
body = { name = "${ended}", transition = "end", event = { time_ms = "${ms:+90}", historical = true, reason_code = "COMPLETED" } }
"#;

/// What goes on when the partner joins.
const GOES_ON: &str = r#"
title = "Goes on"

[[each]]
by = "do"
call = "CreateWorker"
save = "worker"
[each.body.worker]
given_names = "${given}"
family_names = "${family}"
sex = "${sex}"
birth_date = "${birth}"
nationality = "HT"
languages = ["hat"]
occupation = { list = "ISCO-08", value = "9211" }

[[each]]
by = "do"
call = "CreatePlacement"
save = "present"
body = { placement = { agreement = "ht-do", worker = "${worker}", recruiter_kind = "RECRUITER_KIND_SELF_FOUND", entry_route = "ENTRY_ROUTE_INFORMAL_LATE" } }

[[each]]
by = "do"
call = "TransitionPlacement"
body = { name = "${present}", transition = "find", event = { time_ms = "${ms:+10}", historical = true } }
"#;

async fn play(states: &States, stage: &Stage, text: &str, seed: u64) {
    let script = Script::parse(Path::new("joining"), text).unwrap();
    let mut player = Player::new(&script, ID, stage, states, seed, Day::civil(TODAY.0, TODAY.1, TODAY.2)).unwrap();
    player.once().await.unwrap_or_else(|error| panic!("{error}"));
    player.workers(1, 1, &|| ()).await.unwrap_or_else(|error| panic!("{error}"));
}

/// Files of the Dominican node as they are while Haiti takes no part; returns what puts them back.
fn alone(states: &States, pack: &Pack) -> impl FnOnce() + use<> {
    let (config, trust) = (states.config("do"), states.trust());
    let theirs = states.path("do").join("trust/ratifications").join(format!("{ID}.ht.dsse.json"));
    let kept = [&config, &trust, &theirs].map(|path| (path.clone(), fs::read_to_string(path).unwrap()));
    let witness = pack.config().witness.keys.first().unwrap();
    let witness = format!(
        "[[witnesses]]\nname = \"{}\"\nvkey = \"{}\"\nurl = \"http://127.0.0.1:9/\"\n\n[log]",
        witness.name, witness.vkey
    );
    let text = kept[0].1.replace("[log]", &witness);
    let with_witness = text.clone();
    let without: Vec<_> =
        text.lines().filter(|line| !line.starts_with("ca = \"../") && !line.starts_with("address =")).collect();
    fs::write(&config, without.join("\n")).unwrap();
    let ours: Vec<_> = kept[1].1.lines().filter(|line| !line.split_whitespace().any(|word| word == "ht")).collect();
    fs::write(&trust, ours.join("\n") + "\n").unwrap();
    fs::remove_file(&theirs).unwrap();
    let ht = states.config("ht");
    let text = fs::read_to_string(&ht).unwrap().replace("[log]", &witness);
    fs::write(&ht, text).unwrap();
    move || {
        let [_, trust, theirs] = kept;
        fs::write(config, with_witness).unwrap();
        for (path, text) in [trust, theirs] {
            fs::write(path, text).unwrap();
        }
    }
}

async fn bodies(states: &States, party: &str) -> Vec<Body> {
    let books = states.books(party);
    let core: &Core = &books.core;
    let ledger = books.ledger(core.exchange(ID).unwrap()).await;
    ledger.own.into_iter().filter_map(|entry| entry.statement.body).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partner_joins_a_log_that_was_begun_alone() {
    let pack = Arc::new(Pack::load(&agreements_dir(), ID).unwrap());
    let stage = Stage::new(std::slice::from_ref(&*pack)).unwrap();
    let clock = ManualClock::new(Day::civil(TODAY.0, TODAY.1, TODAY.2).at_minute(720).cast_unsigned());
    let mut states = States::prepare(5, clock.clone(), vec![pack.clone()]).await;
    let joins = alone(&states, &pack);
    states.start_one("do").await;
    play(&states, &stage, ALONE, 1).await;
    let begun = bodies(&states, "do").await;
    assert!(matches!(begun[..3], [Body::EpochOpen(_), Body::Ratify(_), Body::Activate(_)]), "ratified alone");
    // The log of a state alone is verified with that state's roots.
    let bundle = states.export_under("do", ID).await;
    let verified = verify(&bundle, &load_trust(&states.trust()).unwrap()).unwrap();
    assert!(verified.holds, "{:?}", verified.problems);
    fs::remove_dir_all(bundle).unwrap();

    clock.advance(LATER);
    play(&states, &stage, GOES_ON, 2).await;
    states.stop_one("do").await;
    joins();
    states.start_one("do").await;
    states.start_one("ht").await;
    states.check().await;

    let own = bodies(&states, "do").await;
    assert!(own[3..].iter().any(|body| matches!(body, Body::Ratify(_))), "the partner's ratification, once it joined");
    let books = states.books("ht");
    let ledger = books.ledger(books.core.exchange(ID).unwrap()).await;
    assert_eq!(ledger.peer.iter().filter(|entry| entry.is_record()).count(), 3, "what waited in the log crosses");
    let report = states.report(ID).await;
    let problems: Vec<_> = report.bundles.iter().flat_map(|bundle| &bundle.problems).collect();
    // Nothing is wrong but that the third witness, which does not run here, has not cosigned.
    assert!(problems.iter().all(|problem| problem.reason == "WITNESS_QUORUM"), "{problems:?}");
    states.stop().await;
}
