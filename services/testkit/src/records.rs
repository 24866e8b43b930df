//! Registry records as the two states hold them. What never crosses holds a sentinel.

use convenio_agreement::Pack;
use convenio_agreement::plan::Root;
use convenio_model::Ref;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use prost::Message;
use prost_reflect::{DynamicMessage, Value};

/// In fields that never cross.
pub const NEVER: &str = "CANARYNEVERCROSSES";
/// An employer's tax identifier; never crosses.
pub const TAX_ID: &str = "CANARYTAXIDENTIFIER";
/// A document's number; crosses from CONTRACTED on.
pub const DOCUMENT: &str = "CANARYDOCUMENT7";
/// A family name; crosses from OFFERED on.
pub const FAMILY_NAME: &str = "CanaryFamilyName";
/// The employer's town: crosses at once.
pub const TOWN: &str = "Leamington";

/// A date.
#[must_use]
pub fn date(year: i32, month: i32, day: i32) -> Option<value::Date> {
    Some(value::Date { year, month, day })
}

/// Canadian dollars, in cents.
#[must_use]
pub fn cad(minor_units: i64) -> Option<value::Money> {
    Some(value::Money { minor_units, currency_code: "CAD".into() })
}

/// Terms of a season.
#[must_use]
pub fn terms() -> registry::EmploymentTerms {
    registry::EmploymentTerms {
        wage_basis: value::WageBasis::Hour as i32,
        wage_rate: cad(1720),
        weekly_hours_tenths: 480,
        guaranteed_weekly_hours_tenths: 350,
        start_date: date(2024, 5, 1),
        end_date: date(2024, 10, 31),
        housing: Some(registry::Housing { provided: true, weekly_cost: cad(3000), persons_per_room: 4 }),
        employer_pays_travel: true,
        employer_name: "Finca Ficticia Ltd".into(),
        place: Some(value::Place {
            country_code: "CA".into(),
            subdivision_code: "CA-ON".into(),
            locality: TOWN.into(),
        }),
        ..registry::EmploymentTerms::default()
    }
}

/// A worker with a sentinel in every field that never crosses.
#[must_use]
pub fn worker(id: Ref) -> registry::Worker {
    registry::Worker {
        name: format!("workers/{id}"),
        given_names: "María José".into(),
        family_names: FAMILY_NAME.into(),
        birth_date: date(1990, 2, 3),
        sex: value::Sex::Female as i32,
        nationality: "SV".into(),
        residence: Some(value::Place {
            country_code: "SV".into(),
            subdivision_code: "SV-SS".into(),
            locality: NEVER.into(),
        }),
        languages: vec!["spa".into(), "eng".into()],
        national_id: NEVER.into(),
        document: Some(registry::TravelDocument {
            country_code: "SV".into(),
            number: DOCUMENT.into(),
            expiry: date(2030, 1, 1),
            kind: 0,
        }),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        experience_years: 7,
        interviewer_notes: NEVER.into(),
        ..Default::default()
    }
}

/// An employer.
#[must_use]
pub fn employer() -> registry::Employer {
    registry::Employer { legal_name: "Finca Ficticia Ltd".into(), tax_id: TAX_ID.into(), ..Default::default() }
}

/// A job order.
#[must_use]
pub fn job_order(pack: &Pack, id: Ref, seats: i32, open: bool) -> registry::JobOrder {
    let state = if open { value::JobOrderState::Open } else { value::JobOrderState::Closed };
    registry::JobOrder {
        name: format!("jobOrders/{id}"),
        agreement: pack.id().to_owned(),
        title: "Harvest".into(),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        place: Some(value::Place {
            country_code: "CA".into(),
            subdivision_code: "CA-ON".into(),
            locality: TOWN.into(),
        }),
        seats,
        terms: Some(terms()),
        languages: vec!["spa".into()],
        state: state.into(),
        agreement_data: vec![registry::AgreementData {
            agreement: pack.id().to_owned(),
            value: Some(order_data(pack, "LMIA-123")),
        }],
        ..Default::default()
    }
}

/// The agreement's own data of a job order.
fn order_data(pack: &Pack, labour_test: &str) -> prost_types::Any {
    let descriptor = pack.extension(Root::JobOrder).unwrap();
    let mut data = DynamicMessage::new(descriptor.clone());
    data.set_field_by_name("labour_test_number", Value::String(labour_test.into()));
    let noc = descriptor.get_field_by_name("noc").unwrap();
    let mut code = DynamicMessage::new(noc.kind().as_message().unwrap().clone());
    code.set_field_by_name("list", Value::String("NOC-2016".into()));
    code.set_field_by_name("value", Value::String("8431".into()));
    data.set_field(&noc, Value::Message(code));
    prost_types::Any {
        type_url: format!("type.googleapis.com/{}", descriptor.full_name()),
        value: data.encode_to_vec(),
    }
}

/// What happened: enough for any act.
#[must_use]
pub fn event(time_ms: u64) -> registry::Event {
    registry::Event {
        time_ms: i64::try_from(time_ms).unwrap(),
        place: Some(value::Place {
            country_code: "CA".into(),
            subdivision_code: "CA-ON".into(),
            locality: String::new(),
        }),
        reason_code: "COMPLETED".into(),
        document_number: "WP-2024-98765".into(),
        document_expiry: date(2024, 12, 31),
        acceptance_method: "wet-ink".into(),
        language: "spa".into(),
        text_sha256: vec![7; 32],
        all_modules: true,
        ..Default::default()
    }
}
