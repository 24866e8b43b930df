//! What crossed, back in the registry's own words.

use convenio_agreement::plan::Doc;
use convenio_agreement::view::TermsView;
use convenio_exchange::Exchange;
use convenio_wire::registry::v1::{Contract, ContractOrigin, EmploymentTerms, Housing};
use convenio_wire::r#type::v1::{Code, Date, Money, Place};

/// Terms of employment below `path`; what did not cross keeps its default.
pub(crate) fn employment_terms(doc: &Doc, path: &str) -> EmploymentTerms {
    let at = |field: &str| format!("{path}.{field}");
    let int = |field: &str| doc.int(&at(field)).and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    let provided = doc.bool(&at("housing.provided"));
    let weekly_cost = money(doc, &at("housing.weekly_cost"));
    let housing = (provided.is_some() || weekly_cost.is_some()).then(|| Housing {
        provided: provided.unwrap_or_default(),
        weekly_cost,
        persons_per_room: int("housing.persons_per_room"),
    });
    EmploymentTerms {
        wage_basis: doc.enum_number(&at("wage_basis")).unwrap_or_default(),
        wage_rate: money(doc, &at("wage_rate")),
        weekly_hours_tenths: int("weekly_hours_tenths"),
        guaranteed_weekly_hours_tenths: int("guaranteed_weekly_hours_tenths"),
        start_date: date(doc, &at("start_date")),
        end_date: date(doc, &at("end_date")),
        housing,
        employer_pays_travel: doc.bool(&at("employer_pays_travel")).unwrap_or_default(),
        piece_unit: code(doc, &at("piece_unit")),
        weekly_deductions: money(doc, &at("weekly_deductions")),
        employer_name: doc.text(&at("employer_name")).unwrap_or_default().to_owned(),
        place: place(doc, &at("place")),
    }
}

/// A contract as its message tells it. Where the message has no name for it, its record names it.
pub(crate) fn contract(
    exchange: &Exchange,
    view: &TermsView,
    placement: &str,
    origin: ContractOrigin,
) -> Option<Contract> {
    let doc = exchange.reader(&view.message_name).read_kept(&view.message_name, &view.message)?;
    let record = convenio_model::Ref::from_slice(&view.record_id).ok()?;
    let named = Some(view.contract.clone()).filter(|name| !name.is_empty());
    Some(Contract {
        name: named.unwrap_or_else(|| format!("contracts/{record}")),
        placement: placement.to_owned(),
        origin: origin.into(),
        terms: Some(employment_terms(&doc, "contract.terms")),
        text_sha256: doc.bytes("contract.text_sha256").unwrap_or_default().to_vec(),
        language: doc.text("contract.language").unwrap_or_default().to_owned(),
        etag: "1".to_owned(),
        ..Contract::default()
    })
}

/// A code.
pub(crate) fn code(doc: &Doc, path: &str) -> Option<Code> {
    doc.code(path).map(|(list, value)| Code { list: list.to_owned(), value: value.to_owned() })
}

/// A place.
pub(crate) fn place(doc: &Doc, path: &str) -> Option<Place> {
    doc.place(path).map(|(country, subdivision, locality)| Place {
        country_code: country.to_owned(),
        subdivision_code: subdivision.to_owned(),
        locality: locality.to_owned(),
    })
}

fn money(doc: &Doc, path: &str) -> Option<Money> {
    let (minor_units, currency) = doc.money(path)?;
    Some(Money { minor_units, currency_code: currency.to_owned() })
}

fn date(doc: &Doc, path: &str) -> Option<Date> {
    let (year, month, day) = doc.date(path)?;
    Some(Date { year, month, day })
}
