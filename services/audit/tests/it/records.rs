//! Registry records that the acts are built from.

use convenio_agreement::Pack;
use convenio_agreement::plan::{Root, Sources};
use convenio_model::Ref;
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;
use prost::Message;

/// What a season's acts are about.
#[derive(Clone, Copy)]
pub struct Job {
    pub placement: Ref,
    pub order: Ref,
    pub agency: Option<Ref>,
    pub seats: i32,
    pub wage_cents: i64,
}

#[derive(Clone, PartialEq, Message)]
struct JobOrderData {
    #[prost(string, tag = "1")]
    labour_test_number: String,
    #[prost(message, optional, tag = "2")]
    noc: Option<value::Code>,
}

fn date(year: i32, month: i32, day: i32) -> Option<value::Date> {
    Some(value::Date { year, month, day })
}

fn cad(minor_units: i64) -> Option<value::Money> {
    Some(value::Money { minor_units, currency_code: "CAD".into() })
}

fn terms(wage_cents: i64) -> registry::EmploymentTerms {
    registry::EmploymentTerms {
        wage_basis: value::WageBasis::Hour as i32,
        wage_rate: cad(wage_cents),
        weekly_hours_tenths: 400,
        guaranteed_weekly_hours_tenths: 350,
        start_date: date(2024, 5, 1),
        end_date: date(2024, 10, 31),
        housing: Some(registry::Housing { provided: true, weekly_cost: cad(0), persons_per_room: 4 }),
        employer_pays_travel: true,
        employer_name: "Finca Ficticia Ltd".into(),
        place: place(),
        ..registry::EmploymentTerms::default()
    }
}

fn place() -> Option<value::Place> {
    Some(value::Place { country_code: "CA".into(), subdivision_code: "CA-ON".into(), locality: "Leamington".into() })
}

/// Everything that any act of the season may read.
pub fn sources(pack: &Pack, job: &Job) -> Sources {
    let worker = registry::Worker {
        given_names: "Ana".into(),
        family_names: "Peña".into(),
        birth_date: date(1990, 2, 3),
        sex: value::Sex::Female as i32,
        nationality: "SV".into(),
        languages: vec!["spa".into()],
        document: Some(registry::TravelDocument {
            country_code: "SV".into(),
            number: "A1234567".into(),
            expiry: date(2030, 1, 1),
            kind: 0,
        }),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        experience_years: 7,
        ..Default::default()
    };
    let kind = match job.agency {
        Some(_) => value::RecruiterKind::LicensedAgency,
        None => value::RecruiterKind::PublicEmploymentService,
    };
    let placement = registry::Placement {
        worker_ref: job.placement.to_string(),
        job_order: format!("jobOrders/{}", job.order),
        recruiter_kind: kind as i32,
        agency: job.agency.map(|agency| format!("agencies/{agency}")).unwrap_or_default(),
        ..Default::default()
    };
    let contract = registry::Contract {
        name: format!("contracts/{}", job.placement),
        terms: Some(terms(job.wage_cents)),
        text_sha256: vec![7; 32],
        ..Default::default()
    };
    let event = registry::Event {
        time_ms: 1_714_000_000_000,
        place: place(),
        reason_code: "COMPLETED".into(),
        document_number: "U123456789".into(),
        document_expiry: date(2024, 12, 31),
        acceptance_method: "in-person".into(),
        language: "spa".into(),
        all_modules: true,
        ..Default::default()
    };
    Sources::new().with(&worker).with(&placement).with(&contract).with(&event).with(&order(pack, job)).with(&employer())
}

/// What a licence notice reads.
pub fn licence(jurisdiction: &str, state: value::LicenceState) -> Sources {
    let agency = registry::Agency { legal_name: "Agencia Ficticia S.A.".into(), ..Default::default() };
    let licence = registry::Licence {
        jurisdiction: jurisdiction.into(),
        number: "L-1".into(),
        state: state as i32,
        ..Default::default()
    };
    let event = registry::Event { reason_code: "INSPECTION".into(), ..Default::default() };
    Sources::new().with(&agency).with(&licence).with(&event)
}

fn employer() -> registry::Employer {
    registry::Employer { legal_name: "Finca Ficticia Ltd".into(), ..Default::default() }
}

fn order(pack: &Pack, job: &Job) -> registry::JobOrder {
    let data = JobOrderData {
        labour_test_number: "LMIA-123".into(),
        noc: Some(value::Code { list: "NOC-2016".into(), value: "8431".into() }),
    };
    let name = pack.extension(Root::JobOrder).unwrap().full_name().to_owned();
    let value = prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: data.encode_to_vec() };
    registry::JobOrder {
        title: "Harvest".into(),
        occupation: Some(value::Code { list: "ISCO-08".into(), value: "9211".into() }),
        place: place(),
        seats: job.seats,
        terms: Some(terms(1720)),
        languages: vec!["spa".into()],
        state: value::JobOrderState::Open as i32,
        agreement_data: vec![registry::AgreementData { agreement: "sv-ca".into(), value: Some(value) }],
        ..Default::default()
    }
}
