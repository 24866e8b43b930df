//! What never crosses, whatever an agreement asks (lo que nunca cruza): one list, refused when a pack is loaded.

use super::SourcePath;

/// Registry fields that no message may be built from, and why.
const PATHS: &[(&str, &str)] = &[
    ("worker.name", "a state's own key of a person would link all agreements"),
    ("worker.national_id", "the full national identity number stays with its state"),
    ("worker.interviewer_notes", "an interviewer's notes are no fact"),
    ("worker.consents", "consents under other agreements are nobody's business here"),
    ("placement.worker", "a state's own key of a person would link all agreements"),
    ("placement.state", "both states derive it from the acts"),
    ("placement.sequence", "both states derive it from the acts"),
    ("placement.effective_state", "it is one state's own view"),
    ("placement.pending_acts", "it is one state's own view"),
    ("placement.facts", "both states derive it from the acts"),
    ("placement.stage", "both states derive it from the acts"),
    ("placement.last_rejection", "it is one state's own view"),
    ("placement.discrepancies", "both states derive them from the acts"),
    ("employer.tax_id", "the tax number stays with its state"),
    ("crew.note", "an office's note is no fact"),
    ("agency.licences", "a licence crosses by itself, as `licence`"),
    ("agency.agreements", "under which other agreements an agency works is nobody's business here"),
];

/// Last names of registry fields that are a state's own housekeeping, in every record.
const HOUSEKEEPING: &[&str] = &["external_ids", "etag", "create_time", "update_time", "agreement_data"];

/// Words in the name of an agreement's own field that say it holds what never crosses; two words stand together.
const WORDS: &[&str] = &[
    "absconded",
    "biometric",
    "biometrics",
    "blacklist",
    "cedula",
    "complaint_narrative",
    "creed",
    "criminal",
    "cui",
    "curp",
    "deportation",
    "diagnosis",
    "disease",
    "dna",
    "dui",
    "enforcement",
    "ethnic",
    "ethnicity",
    "etnia",
    "fingerprint",
    "fingerprints",
    "hiv",
    "huelga",
    "huella",
    "huellas",
    "iban",
    "bank_account",
    "household_income",
    "interviewer",
    "iris",
    "narrative",
    "national_id",
    "overdue",
    "political",
    "politics",
    "pregnancy",
    "pregnant",
    "raza",
    "religion",
    "remesa",
    "remesas",
    "remittance",
    "remittances",
    "sindicato",
    "strike",
    "strikes",
    "tribe",
    "unsuccessful",
    "union",
    "unions",
];

/// Why nothing may be built from this path; `None` if it may.
pub(super) fn refusal(source: &SourcePath) -> Option<&'static str> {
    let path = source.as_str();
    if source.in_extension() {
        return named(source.leaf().name());
    }
    let within = |whole: &str| path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if let Some((_, why)) = PATHS.iter().find(|(whole, _)| within(whole)) {
        return Some(why);
    }
    let housekeeping = path.split('.').skip(1).any(|step| HOUSEKEEPING.contains(&step));
    housekeeping.then_some("it is a state's own housekeeping")
}

/// Why no field may be named so.
pub(crate) fn named(name: &str) -> Option<&'static str> {
    let padded = format!("_{name}_");
    let found = WORDS.iter().any(|word| padded.contains(&format!("_{word}_")));
    found.then_some("its name is that of what no agreement may make cross")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::Kind;

    use super::*;
    use crate::plan::{Extensions, Root, is_value_type};

    /// Registry fields that an agreement may let cross. A new field of the registry is in neither list, and this
    /// test asks for a decision.
    const MAY: &[&str] = &[
        "agency.legal_name",
        "agency.name",
        "contract.event_time_ms",
        "contract.historical",
        "contract.language",
        "contract.name",
        "worker.provisional_identity",
        "placement.entry_route",
        "placement.crew",
        "placement.accompanying_minors",
        "placement.accompanying_adults",
        "crew.size",
        "crew.season",
        "crew.placed",
        "crew.name",
        "crew.leader_kind",
        "crew.leader",
        "crew.job_order",
        "crew.historical",
        "crew.event_time_ms",
        "crew.agreement",
        "contract.origin",
        "contract.placement",
        "contract.terms.*",
        "contract.text_sha256",
        "employer.eligible",
        "employer.industry",
        "employer.legal_name",
        "employer.name",
        "employer.place",
        "event.*",
        "job_order.agreement",
        "job_order.employer",
        "job_order.employer_name",
        "job_order.event_time_ms",
        "job_order.historical",
        "job_order.languages",
        "job_order.name",
        "job_order.occupation",
        "job_order.place",
        "job_order.seats",
        "job_order.seats_held",
        "job_order.state",
        "job_order.terms.*",
        "job_order.title",
        "licence.*",
        "placement.agency",
        "placement.agreement",
        "placement.job_order",
        "placement.name",
        "placement.recruiter_kind",
        "placement.return_offer_shown",
        "placement.worker_ref",
        "worker.birth_date",
        "worker.document.*",
        "worker.experience_years",
        "worker.family_names",
        "worker.given_names",
        "worker.languages",
        "worker.nationality",
        "worker.occupation",
        "worker.residence",
        "worker.sex",
    ];

    #[test]
    fn every_field_of_the_registry_is_decided() {
        let mut undecided = BTreeSet::new();
        for root in Root::ALL {
            for field in root.descriptor().fields() {
                let path = format!("{root}.{}", field.name());
                let opaque = matches!(field.kind(), Kind::Message(of) if !is_value_type(of.full_name()));
                let listed = MAY.contains(&path.as_str())
                    || MAY.contains(&format!("{path}.*").as_str())
                    || MAY.contains(&format!("{root}.*").as_str());
                let refused = PATHS.iter().any(|(whole, _)| *whole == path) || HOUSEKEEPING.contains(&field.name());
                if listed == refused && !(opaque && refused) {
                    undecided.insert(path);
                }
            }
        }
        assert!(undecided.is_empty(), "neither listed nor refused, or both: {undecided:?}");
    }

    #[test]
    fn what_never_crosses_is_refused_wherever_it_stands() {
        let path = |text: &str| SourcePath::resolve(text, &Extensions::new()).unwrap();
        for text in ["worker.national_id", "worker.name", "placement.worker", "employer.tax_id", "job_order.etag"] {
            assert!(refusal(&path(text)).is_some(), "{text}");
        }
        for text in ["worker.birth_date", "placement.name", "worker.document.number", "event.place"] {
            assert!(refusal(&path(text)).is_none(), "{text}");
        }
        assert!(named("worker_strike_days").is_some() && named("bank_account").is_some());
        assert!(named("reunion_place").is_none() && named("bank_guarantee").is_none());
    }
}
