//! Synthetic workers. Nobody of these names and numbers is meant; the numbers have forms that no document has.

use convenio_script::{Day, Draw};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

use super::season::{Job, Season};

/// The worker of a job, as the origin's ministry would register it.
pub fn worker(season: &Season, job: &Job) -> registry::Worker {
    let from = &season.scenario.workers;
    let draw = Draw::new(season.seed, &job.label);
    let woman = draw.chance(from.women_of_hundred);
    let given = if woman { &from.women } else { &from.men };
    let name = |list| draw.pick::<String>(list).cloned().unwrap_or_default();
    let given_names = format!("{} {}", name(given), name(given));
    let family_names = format!("{} {}", name(&from.families), name(&from.families));
    let (subdivision, locality) = draw.pick(&from.municipalities).cloned().unwrap_or_default();
    let number = draw.below(100_000_000);
    registry::Worker {
        given_names,
        family_names,
        birth_date: Some(birth(&draw, from.birth_years).wire()),
        sex: if woman { value::Sex::Female } else { value::Sex::Male }.into(),
        nationality: from.nationality.clone(),
        residence: Some(value::Place {
            country_code: from.nationality.clone(),
            subdivision_code: subdivision,
            locality,
        }),
        languages: languages(&draw, season),
        national_id: format!("{}{number:08}-{}", from.national_id_prefix, number % 10),
        document: Some(registry::TravelDocument {
            country_code: from.passport_country.clone(),
            number: format!("{}{:06}", from.passport_prefix, draw.below(1_000_000)),
            expiry: Some(from.passport_expiry.wire()),
            kind: 0,
        }),
        occupation: Some(value::Code { list: from.occupation_list.clone(), value: occupation(season, job) }),
        experience_years: i32::try_from(draw.between(from.experience_years[0], from.experience_years[1]))
            .unwrap_or_default(),
        consents: vec![registry::Consent {
            agreement: season.scenario.agreement.clone(),
            given_time_ms: season.after_start(job, season.scenario.timeline.registered).time_ms,
            withdrawn_time_ms: 0,
        }],
        interviewer_notes: from.interviewer_notes.clone(),
        external_ids: vec![registry::ExternalId { system: from.external_system.clone(), value: job.label.clone() }],
        ..registry::Worker::default()
    }
}

fn birth(draw: &Draw, [first, last]: [i64; 2]) -> Day {
    Day::civil(draw.between(first, last), 1, 1).plus(draw.between(0, 364))
}

fn languages(draw: &Draw, season: &Season) -> Vec<String> {
    let from = &season.scenario.workers;
    let others = from.other_languages.iter().filter(|(_, of_hundred)| draw.chance(*of_hundred));
    std::iter::once(from.language.clone()).chain(others.map(|(code, _)| code.clone())).collect()
}

fn occupation(season: &Season, job: &Job) -> String {
    let noc = season.order(job).map_or("", |order| order.noc.as_str());
    season.scenario.orders.occupation(noc).to_owned()
}

/// SHA-256 of the text of a worker's contract; the text itself is the parties' and does not cross.
pub fn contract_text(job: &Job) -> Vec<u8> {
    let text = format!("Contrato de trabajo (sintético, sin valor): {}", job.placement);
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().to_vec()
}

/// Number of a worker's permit.
pub fn permit_number(season: &Season, job: &Job) -> String {
    format!("FICT-{:08}", Draw::new(season.seed, &format!("{}/permit", job.label)).below(100_000_000))
}
