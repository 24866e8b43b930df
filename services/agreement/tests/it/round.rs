use convenio_agreement::Pack;
use convenio_agreement::lifecycle::StageId;
use convenio_agreement::plan::{
    AcceptError, Doc, ExtensionError, ProjectError, Root, Sources, Term, Violation, Worse, compare_terms,
};
use convenio_wire::r#type::v1 as value;
use prost::Message;
use prost_reflect::{DynamicMessage, Value};

use crate::fixture::*;

fn stage(pack: &Pack, name: &str) -> StageId {
    pack.lifecycle().stage(name).unwrap()
}

fn violation(path: &str, rule: &str) -> Violation {
    Violation { path: path.into(), rule: rule.into() }
}

/// Projects and accepts at one stage.
fn cross(pack: &Pack, message: &str, sources: &Sources, at: &str) -> Doc {
    let (message, at) = (name(message), stage(pack, at));
    let bytes = pack.project(&message, sources, at).unwrap();
    assert_eq!(bytes, pack.project(&message, sources, at).unwrap());
    pack.semantic(&message, &pack.accept(&message, &bytes, at).unwrap())
}

#[test]
fn a_job_order_crosses_with_what_only_the_agreement_knows() {
    let pack = sv_ca();
    let doc = cross(&pack, "JobOrderNotice", &order_sources(&pack), "POOL");
    assert_eq!(doc.text("job_order.title"), Some("Harvest"));
    assert_eq!(doc.int("job_order.seats"), Some(12));
    assert_eq!(doc.code("job_order.agreement_data.noc"), Some(("NOC-2016", "8431")));
    assert_eq!(doc.text("job_order.agreement_data.labour_test_number"), Some("LMIA-123"));
    assert_eq!(doc.money("job_order.terms.wage_rate"), Some((1720, "CAD")));
    assert_eq!(doc.date("job_order.terms.start_date"), Some((2024, 5, 1)));
    assert_eq!(doc.place("job_order.place"), Some(("CA", "CA-ON", "Leamington")));
    assert_eq!(doc.bool("job_order.terms.housing.provided"), Some(true));
    assert_eq!(doc.enum_number("job_order.state"), Some(1));
    assert_eq!(doc.list("job_order.languages"), Some([Term::Text("spa".into())].as_slice()));
    assert_eq!(doc.term("employer.tax_id"), None);
}

#[test]
fn only_what_the_stage_discloses_is_in_the_bytes() {
    let pack = sv_ca();
    let sources = Sources::new().with(&worker()).with(&placement());
    let message = name("Candidate");
    let bytes = pack.project(&message, &sources, stage(&pack, "NOMINATED")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    for hidden in [CANARY, "María", "A1234567", "workers/"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert!(text.contains(REF), "positive control");
    let doc = cross(&pack, "Candidate", &sources, "NOMINATED");
    assert_eq!(doc.int("worker.birth_date"), Some(1990));

    // One field of the message opens later: it is left out until then, whatever the record holds.
    let late = "from: \"worker.experience_years\"\n      stage: \"NOMINATED\"";
    let copy = Copy::new().proto(late, &late.replace("NOMINATED", "OFFERED"));
    let later = copy.load().unwrap();
    let decode =
        |bytes: &[u8]| DynamicMessage::decode(later.message(&message).unwrap().descriptor.clone(), bytes).unwrap();
    let early = later.project(&message, &sources, stage(&later, "NOMINATED")).unwrap();
    assert!(!decode(&early).has_field_by_name("experience_years"));
    assert!(decode(&early).has_field_by_name("sex"));
    let full = later.project(&message, &sources, stage(&later, "OFFERED")).unwrap();
    assert!(decode(&full).has_field_by_name("experience_years"));
    later.accept(&message, &early, stage(&later, "NOMINATED")).unwrap();
    assert_eq!(
        later.accept(&message, &full, stage(&later, "NOMINATED")),
        Err(AcceptError::Undisclosed(vec!["experience_years".into()]))
    );
}

#[test]
fn a_field_that_is_missing_for_its_stage_says_so() {
    let pack = sv_ca();
    let sources = Sources::new().with(&worker());
    let error = pack.project(&name("CandidateName"), &sources, stage(&pack, "NOMINATED"));
    assert_eq!(
        error,
        Err(ProjectError::Invalid(vec![
            violation("worker.family_names", "stage_not_reached"),
            violation("worker.given_names", "stage_not_reached"),
        ]))
    );
}

#[test]
fn values_are_reduced_before_they_cross() {
    let pack = sv_ca();
    let mut event = convenio_wire::registry::v1::Event {
        document_number: "WP-2024-98765".into(),
        document_expiry: date(2024, 12, 31),
        ..Default::default()
    };
    let permit = |event: &_| cross(&pack, "Permit", &Sources::new().with(event), "PERMITTED");
    assert_eq!(permit(&event).text("event.document_number"), Some("8765"));
    event.document_number = "7".into();
    assert_eq!(permit(&event).text("event.document_number"), Some("7"));
}

#[test]
fn a_projection_names_registry_fields_and_no_values() {
    let pack = sv_ca();
    let mut order = job_order(&pack);
    order.terms.as_mut().unwrap().wage_rate.as_mut().unwrap().currency_code = "c4nary".into();
    order.languages.push("c4nary".into());
    order.state = 77;
    order.agreement_data.pop();
    let sources = Sources::new().with(&order).with(&employer());
    let error = pack.project(&name("JobOrderNotice"), &sources, StageId::FIRST).unwrap_err();
    assert!(!error.to_string().contains("c4nary"));
    let ProjectError::Invalid(mut violations) = error else { panic!("{error}") };
    violations.sort();
    assert_eq!(
        violations,
        [
            violation("job_order.agreement_data.labour_test_number", "string.pattern"),
            violation("job_order.agreement_data.noc", "required"),
            violation("job_order.languages[1]", "string.pattern"),
            violation("job_order.state", "enum.defined_only"),
            violation("job_order.state", "enum.in"),
            violation("job_order.terms.wage_rate.currency_code", "string.pattern"),
        ]
    );
}

#[test]
fn a_projection_needs_its_records() {
    let pack = sv_ca();
    let project = |message: &str, sources| pack.project(&name(message), sources, StageId::FIRST);
    let order = Sources::new().with(&job_order(&pack));
    let missing = Err(ProjectError::MissingSource(Root::Employer));
    assert_eq!(project("JobOrderNotice", &order), missing);
    for absent in ["Nonsense", "JobOrderData"] {
        assert_eq!(project(absent, &order), Err(ProjectError::UnknownMessage(name(absent))));
    }
    let mut order = job_order(&pack);
    order.agreement_data[1].value.as_mut().unwrap().type_url = "type.googleapis.com/x.Y".into();
    let sources = Sources::new().with(&order).with(&employer());
    let error = project("JobOrderNotice", &sources).unwrap_err();
    assert!(matches!(error, ProjectError::Extension(ExtensionError::WrongType { .. })));
}

/// A valid notice, as bytes.
fn notice(pack: &Pack) -> Vec<u8> {
    pack.project(&name("JobOrderNotice"), &order_sources(pack), StageId::FIRST).unwrap()
}

#[test]
fn the_recipient_takes_only_canonical_known_bytes() {
    let pack = sv_ca();
    let accept = |bytes: &[u8]| pack.accept(&name("JobOrderNotice"), bytes, StageId::FIRST);
    let good = notice(&pack);
    accept(&good).unwrap();
    let with = |more: &[u8]| [&good, more].concat();
    // Field 7 (seats) once more; field 5000; an unknown field inside `place` (field 3).
    assert_eq!(accept(&with(&[0x38, 12])), Err(AcceptError::NonCanonical));
    let unknown = |path: &str| Err(AcceptError::UnknownFields(vec![path.to_owned()]));
    assert_eq!(accept(&with(&[0xc0, 0xb8, 0x02, 1])), unknown("#5000"));
    assert_eq!(accept(&with(&[0x1a, 2, 0x78, 1])), unknown("place.#15"));
    // A varint with a superfluous byte, at the end: employer_pays_travel (field 17) again.
    assert_eq!(accept(&with(&[0x88, 0x01, 0x81, 0x00])), Err(AcceptError::NonCanonical));
    assert_eq!(accept(&good[..good.len() - 1]), Err(AcceptError::Malformed));
    assert_eq!(accept(&vec![0; 300 * 1024]), Err(AcceptError::Malformed));
    let many = accept(&[0xc0, 0xb8, 0x02, 1].repeat(10_000)).unwrap_err();
    assert_eq!(many.paths().len(), 32);
    let other = pack.accept(&name("JobOrderData"), &good, StageId::FIRST);
    assert_eq!(other, Err(AcceptError::UnknownMessage));
    assert_eq!(AcceptError::NonCanonical.code(), "NON_CANONICAL");
}

#[test]
fn a_default_that_is_written_out_is_not_canonical() {
    let pack = sv_ca();
    let bytes = [0x0a, 0x00];
    let result = pack.accept(&name("Withdrawal"), &bytes, StageId::FIRST);
    assert_eq!(result, Err(AcceptError::NonCanonical));
}

#[test]
fn no_flipped_bit_is_taken_for_the_same_message() {
    let pack = sv_ca();
    let message = name("JobOrderNotice");
    let good = notice(&pack);
    let said = pack.semantic(&message, &pack.accept(&message, &good, StageId::FIRST).unwrap());
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = pack.accept(&message, &bytes, StageId::FIRST) {
            assert_ne!(pack.semantic(&message, &other), said, "bit {bit}");
        }
    }
}

#[test]
fn the_recipient_applies_the_rules() {
    let pack = sv_ca();
    let message = name("JobOrderNotice");
    let mut bad = pack.accept(&message, &notice(&pack), StageId::FIRST).unwrap();
    bad.set_field_by_name("seats", Value::I32(-1));
    bad.set_field_by_name("wage_basis", Value::EnumNumber(9));
    bad.clear_field_by_name("wage_rate");
    assert_eq!(
        pack.accept(&message, &bad.encode_to_vec(), StageId::FIRST),
        Err(AcceptError::Schema(vec![
            violation("seats", "int32.gte_lte"),
            violation("wage_basis", "enum.defined_only"),
            violation("wage_basis", "enum.in"),
            violation("wage_rate", "required"),
        ]))
    );
}

#[test]
fn extension_data_is_checked_by_its_descriptor() {
    let pack = sv_ca();
    let good = order_data(&pack, "LMIA-123");
    pack.check_extension(Root::JobOrder, &good).unwrap();
    assert_eq!(pack.check_extension(Root::Worker, &good), Err(ExtensionError::NotExtended(Root::Worker)));
    let mut other = good.clone();
    other.type_url = "type.googleapis.com/agreements.gt_ca.v1.JobOrderData".into();
    let error = pack.check_extension(Root::JobOrder, &other);
    assert!(matches!(error, Err(ExtensionError::WrongType { .. })));
    let mut unknown = good.clone();
    unknown.value.extend([0x78, 1]);
    assert_eq!(
        pack.check_extension(Root::JobOrder, &unknown),
        Err(ExtensionError::UnknownFields(vec!["job_order.agreement_data.#15".into()]))
    );
    let mut twice = good.clone();
    twice.value.extend(b"\x0a\x04ABCD");
    assert_eq!(pack.check_extension(Root::JobOrder, &twice), Err(ExtensionError::Malformed(Root::JobOrder)));
    assert_eq!(
        pack.check_extension(Root::JobOrder, &order_data(&pack, "no spaces")),
        Err(ExtensionError::Invalid(vec![violation("job_order.agreement_data.labour_test_number", "string.pattern")]))
    );
}

/// What is worse in a contract with `change`d terms than in the order, and in the observed contract.
fn worse(change: impl Fn(&mut convenio_wire::registry::v1::EmploymentTerms)) -> Vec<Worse> {
    let pack = sv_ca();
    let order = cross(&pack, "JobOrderNotice", &order_sources(&pack), "POOL");
    let mut contract = contract();
    change(contract.terms.as_mut().unwrap());
    let sources = Sources::new().with(&contract);
    let authored = cross(&pack, "ContractTerms", &sources, "OFFERED");
    let observed = cross(&pack, "ObservedContract", &sources, "EMPLOYED");
    let found = compare_terms(&pack, &order, &authored);
    assert_eq!(compare_terms(&pack, &order, &observed), found);
    found
}

fn one(path: &str, agreed: &str, other: &str) -> Vec<Worse> {
    vec![Worse { path: path.into(), agreed: agreed.into(), other: other.into() }]
}

#[test]
fn terms_that_are_worse_are_found() {
    assert_eq!(worse(|_| {}), []);
    assert_eq!(worse(|t| t.wage_rate = cad(1600)), one("terms.wage_rate", "17.20 CAD", "16.00 CAD"));
    assert_eq!(worse(|t| t.wage_rate = cad(1800)), []);
    let usd = |t: &mut convenio_wire::registry::v1::EmploymentTerms| {
        t.wage_rate = Some(value::Money { minor_units: 9900, currency_code: "USD".into() });
    };
    assert_eq!(worse(usd), one("terms.wage_rate", "17.20 CAD", "99.00 USD"));
    assert_eq!(worse(|t| t.weekly_hours_tenths = 605), one("terms.weekly_hours_tenths", "48.0", "60.5"));
    assert_eq!(worse(|t| t.weekly_hours_tenths = 400), []);
    assert_eq!(
        worse(|t| t.guaranteed_weekly_hours_tenths = 0),
        one("terms.guaranteed_weekly_hours_tenths", "35.0", "0.0")
    );
    assert_eq!(worse(|t| t.end_date = date(2024, 9, 30)), one("terms.end_date", "2024-10-31", "2024-09-30"));
    assert_eq!(worse(|t| t.end_date = date(2025, 1, 1)), []);
    assert_eq!(worse(|t| t.end_date = None), one("terms.end_date", "2024-10-31", "–"));
    assert_eq!(worse(|t| t.employer_pays_travel = false), one("terms.employer_pays_travel", "true", "false"));
    assert_eq!(
        worse(|t| t.housing.as_mut().unwrap().weekly_cost = cad(3001)),
        one("terms.housing.weekly_cost", "30.00 CAD", "30.01 CAD")
    );
    assert_eq!(worse(|t| t.housing.as_mut().unwrap().weekly_cost = None), []);
    assert_eq!(worse(|t| t.start_date = date(2024, 6, 1)), []);
}

#[test]
fn a_wage_is_compared_only_on_the_same_basis() {
    let day = |t: &mut convenio_wire::registry::v1::EmploymentTerms| {
        t.wage_basis = value::WageBasis::Day as i32;
        t.wage_rate = cad(1);
    };
    assert_eq!(worse(day), one("terms.wage_basis", "WAGE_BASIS_HOUR", "WAGE_BASIS_DAY"));
}

#[test]
fn a_cost_that_was_not_agreed_is_worse() {
    let pack = sv_ca();
    let mut order = job_order(&pack);
    order.terms.as_mut().unwrap().housing.as_mut().unwrap().weekly_cost = None;
    let sources = Sources::new().with(&order).with(&employer());
    let agreed = cross(&pack, "JobOrderNotice", &sources, "POOL");
    let other = cross(&pack, "ContractTerms", &Sources::new().with(&contract()), "OFFERED");
    let found = compare_terms(&pack, &agreed, &other);
    assert_eq!(found, one("terms.housing.weekly_cost", "–", "30.00 CAD"));
}
