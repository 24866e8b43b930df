//! The South–South profile in the engine: the destination speaks first, crew lists of both states, ledgers.

use convenio_agreement::Pack;
use convenio_agreement::act::{Content, Incoming, Kind, Local};
use convenio_agreement::engine::Engine;
use convenio_agreement::lifecycle::{Role, StageId};
use convenio_agreement::plan::{Line, ProjectError, Sources, Term};
use convenio_agreement::view::{AgencyView, World};
use convenio_model::Ref;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

use crate::fixture;

const PLACEMENT: Ref = Ref([3; 16]);
const COMMON: &str = "agreements.common.south_south.v1";
const NONE: Local = Local { consent: false, of_age: false, return_offer_shown: false, all_modules: false };

fn ni_cr() -> Pack {
    Pack::load(&fixture::repository(), "ni-cr").unwrap()
}

fn content(pack: &Pack, short: &str, sources: &Sources, stage: StageId) -> Result<Content, ProjectError> {
    let message_name = format!("{COMMON}.{short}");
    let message = pack.project(&message_name, sources, stage)?;
    let doc = pack.read(&message_name, &message).unwrap();
    Ok(Content { message_name, message, doc })
}

/// A placement as the destination registers it: somebody found at work, recorded late.
fn found() -> registry::Placement {
    registry::Placement {
        worker_ref: fixture::REF.into(),
        recruiter_kind: value::RecruiterKind::SelfFound.into(),
        entry_route: value::EntryRoute::InformalLate.into(),
        accompanying_minors: 2,
        ..registry::Placement::default()
    }
}

#[test]
fn the_destination_speaks_first_and_no_gate_of_the_origin_refuses() {
    let pack = ni_cr();
    let (origin, destination) = (Engine::new(&pack, Role::Origin), Engine::new(&pack, Role::Destination));
    let (mut here, mut there) = (World::default(), World::default());
    let prepared = destination.prepare(&there, PLACEMENT, "found").unwrap();
    assert_eq!((prepared.kind, prepared.number, prepared.to.as_str()), (Kind::Proposal, 1, "FOUND"));
    assert_eq!(prepared.stage, StageId::FIRST, "it discloses what the pool does");
    let sources = Sources::new().with(&found()).with(&registry::Event::default());
    let content = [content(&pack, "Found", &sources, prepared.stage).unwrap()];
    destination.permit(&there, &prepared, 1, &content, &NONE).unwrap();
    destination.apply_own(&mut there, &prepared, Ref([4; 16]), 1, &content);
    let incoming = Incoming {
        record_id: Ref([4; 16]),
        issuer: Role::Destination,
        act: "found",
        kind: Kind::Proposal,
        subject: PLACEMENT,
        number: 1,
        event_time_ms: 1,
        known_state: &prepared.known_state,
        content: &content,
    };
    origin.judge(&here, &incoming).unwrap();
    origin.apply_peer(&mut here, &incoming);
    destination.resolve(&mut there, PLACEMENT, Ref([4; 16]), None);
    for world in [&here, &there] {
        let view = world.placement(PLACEMENT).unwrap();
        assert_eq!((view.state.as_str(), view.number, view.worker_ref.as_str()), ("FOUND", 1, fixture::REF));
    }
    // From there on the destination decides alone; the origin cannot list the same placement any more.
    assert_eq!(destination.prepare(&there, PLACEMENT, "regularise").unwrap().kind, Kind::Transition);
    assert_eq!(origin.prepare(&here, PLACEMENT, "list").unwrap_err().reason(), "GATE");
}

#[test]
fn where_the_agreement_gives_it_no_first_act_the_destination_has_none() {
    let pack = fixture::sv_ca();
    let destination = Engine::new(&pack, Role::Destination);
    let first = pack.lifecycle().first_crossing;
    let acts = pack.lifecycle().transitions.iter().filter(|act| act.by == Role::Destination);
    for act in acts {
        assert!(!act.from.contains(&first), "{}", act.name);
        assert!(destination.prepare(&World::default(), PLACEMENT, &act.name).is_err(), "{}", act.name);
    }
}

fn crew(pack: &Pack, size: i32) -> Content {
    let crew = registry::Crew {
        agreement: "ni-cr".into(),
        leader_kind: value::CrewLeaderKind::Contractor.into(),
        size,
        season: "2026".into(),
        note: fixture::CANARY.into(),
        ..registry::Crew::default()
    };
    content(pack, "CrewNotice", &Sources::new().with(&crew), StageId::FIRST).unwrap()
}

#[test]
fn crew_lists_of_both_states_stand_side_by_side_whichever_is_judged_first() {
    let pack = ni_cr();
    let engine = Engine::new(&pack, Role::Origin);
    let told = [(Role::Origin, Ref([5; 16]), crew(&pack, 40)), (Role::Destination, Ref([6; 16]), crew(&pack, 38))];
    let fold = |order: &[usize]| {
        let mut world = World::default();
        for &at in order {
            let (owner, record, content) = &told[at];
            engine.take_notice(&mut world, "crew", *owner, PLACEMENT, *record, std::slice::from_ref(content));
        }
        world
    };
    let (one, other) = (fold(&[0, 1]), fold(&[1, 0, 0]));
    assert_eq!(one.crew(PLACEMENT), other.crew(PLACEMENT));
    let said = &one.crew(PLACEMENT).unwrap().said;
    assert_eq!(said.iter().map(|said| said.by_origin).collect::<Vec<_>>(), [true, false]);
    for said in said {
        let text = String::from_utf8_lossy(&said.message);
        assert!(!text.contains(fixture::CANARY), "a note crossed");
    }
    // Erased, the notice of one state is gone and the other's stays.
    let mut world = one.clone();
    engine.forget_crew(&mut world, PLACEMENT, Ref([5; 16]));
    let kept: Vec<bool> = world.crew(PLACEMENT).unwrap().said.iter().map(|said| said.message.is_empty()).collect();
    assert_eq!(kept, [true, false]);
    assert!(world.agency(PLACEMENT).is_none_or(|view| *view == AgencyView::default()));
}

#[test]
fn a_ledger_has_a_line_for_each_day_and_at_most_thirty_one() {
    let (pack, mx) = (ni_cr(), Pack::load(&fixture::repository(), "gt-mx").unwrap());
    let colones = |minor_units| Some(value::Money { minor_units, currency_code: "CRC".into() });
    let line = |day| value::LedgerEntry {
        day: fixture::date(2026, 1, day),
        quantity_thousandths: 6_500,
        unit: Some(value::Code { list: "PIECE-1".into(), value: "CAJUELA".into() }),
        amount: colones(845_000),
        deductions: (day == 2).then(|| colones(0)).flatten(),
    };
    let build = |ledger: Vec<value::LedgerEntry>| {
        let sources = Sources::new().with(&registry::Event { ledger, ..registry::Event::default() });
        let stage = pack.lifecycle().stage("EMPLOYED").unwrap();
        content(&pack, "LedgerLines", &sources, stage)
    };
    let doc = build(vec![line(1), line(2)]).unwrap().doc;
    let Some([Term::Line(first), Term::Line(second)]) = doc.list("event.ledger") else { panic!("{doc:?}") };
    let unit = Some(("PIECE-1".to_owned(), "CAJUELA".to_owned()));
    let amount = (845_000, "CRC".to_owned());
    let expected = Line { day: (2026, 1, 1), quantity_thousandths: 6_500, unit, amount, deductions: None };
    assert_eq!(**first, expected);
    assert_eq!(second.deductions, Some((0, "CRC".to_owned())));
    assert!(build((1..=31).map(line).collect()).is_ok());
    let many = (1..=31).chain([1]).map(line).collect();
    let Err(ProjectError::Invalid(violations)) = build(many) else { panic!("a month has no more days") };
    assert_eq!(violations[0].path, "event.ledger");
    assert!(matches!(build(Vec::new()), Err(ProjectError::Invalid(_))), "a period without a line is none");
    // The agreement's list of units is closed, for the issuer as for the recipient.
    let foreign = vec![value::LedgerEntry {
        unit: Some(value::Code { list: "PIECE-1".into(), value: "SACK".into() }),
        ..line(1)
    }];
    let Err(ProjectError::Invalid(violations)) = build(foreign) else { panic!("a unit that the agreement has not") };
    assert_eq!((violations[0].path.as_str(), violations[0].rule.as_str()), ("event.ledger", "code_list"));
    let unlisted = registry::Event { ledger: vec![line(1)], ..registry::Event::default() };
    let open = content(&mx, "LedgerLines", &Sources::new().with(&unlisted), mx.lifecycle().stage("EMPLOYED").unwrap());
    assert!(open.is_err(), "gt-mx has another list");
    let crossed = build(vec![line(1)]).unwrap();
    let stage = mx.lifecycle().stage("EMPLOYED").unwrap();
    assert_eq!(mx.accept(&crossed.message_name, &crossed.message, stage).unwrap_err().code(), "SCHEMA");
    assert!(pack.accept(&crossed.message_name, &crossed.message, stage).is_ok());
    let undated = vec![value::LedgerEntry { day: None, ..line(1) }];
    assert!(matches!(build(undated), Err(ProjectError::Invalid(_))));
}
