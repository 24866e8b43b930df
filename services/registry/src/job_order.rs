//! Job orders: written by the destination, told to the partner; at the origin, the copy that crossed.

use convenio_agreement::lifecycle::{Role, Subject};
use convenio_agreement::plan::{Doc, Root, Sources, Term};
use convenio_agreement::view::OrderView;
use convenio_exchange::{Exchange, issue_notice};
use convenio_store::{Kind, ViewKind};
use convenio_wire::registry::v1::{AgreementData, Employer, Event, JobOrder};
use convenio_wire::r#type::v1::JobOrderState;
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Any;

use crate::agency::notice_name;
use crate::error::{RegistryError, Violation};
use crate::resource::{Change, Resource, SharedView, from_row, id_of};
use crate::row::decode;
use crate::rules::{Problems, event_time, not_in_force};
use crate::terms;

/// Owner, employer, seats and state fit together.
pub(crate) async fn before_save(change: &mut Change<'_, JobOrder>) -> Result<(), RegistryError> {
    event_time(change.after.event_time_ms, change.now_ms, "job_order.event_time_ms")?;
    let exchange = destination(change)?;
    let key = (exchange.pack().id().to_owned(), ViewKind::Order, change.id);
    let order = &mut change.after;
    if order.seats == 0 {
        order.set_state(JobOrderState::Closed);
    } else if order.state() == JobOrderState::Unspecified {
        order.set_state(JobOrderState::Open);
    }
    let mut found = Problems::default();
    if let Some(before) = &change.before {
        found.require(before.agreement == order.agreement, "job_order.agreement", "cannot change");
    }
    let held = match change.work.view(&key).await? {
        Some(row) => decode::<OrderView>(&row.body, "view")?.held,
        None => 0,
    };
    found.require(i64::from(order.seats) >= i64::from(held), "job_order.seats", "fewer than are held");
    let open = order.state() == JobOrderState::Open;
    match employer(change).await? {
        Some(employer) => found.require(!open || employer.eligible, "job_order.employer", "not eligible"),
        None => found.add("job_order.employer", "no such employer"),
    }
    found.into_result()
}

/// Tells the partner.
pub(crate) async fn after_save(change: &mut Change<'_, JobOrder>) -> Result<(), RegistryError> {
    if !is_news(change) {
        return Ok(());
    }
    let time_ms = event_time(change.after.event_time_ms, change.now_ms, "job_order.event_time_ms")?;
    let employer = employer(change).await?.unwrap_or_default();
    let exchange = destination(change)?;
    let Some(notice) = notice_name(exchange, Subject::JobOrders) else { return Ok(()) };
    let historical = change.after.historical;
    let event = Event { time_ms: i64::try_from(time_ms).unwrap_or(i64::MAX), historical, ..Event::default() };
    let sources = Sources::new().with(&change.after).with(&employer).with(&event);
    let (id, agreement) = (change.id, exchange.pack().id());
    issue_notice(change.work, change.core, exchange, notice, id, &sources, time_ms, historical)
        .await
        .map_err(|e| RegistryError::issue(e, agreement, notice, |_| format!("jobOrders/{id}")))?;
    Ok(())
}

/// Adds the seats held and the employer's name as it crossed.
pub(crate) fn dress(order: &mut JobOrder, views: &[SharedView<'_>]) -> Result<(), RegistryError> {
    for (exchange, body) in views {
        let view: OrderView = decode(body, "view")?;
        order.seats_held = i32::try_from(view.held).unwrap_or(i32::MAX);
        let doc = exchange.reader(&view.message_name).read(&view.message_name, &view.message).unwrap_or_default();
        order.employer_name = doc.text("employer.legal_name").unwrap_or_default().to_owned();
    }
    Ok(())
}

/// The order as it crossed.
pub(crate) fn from_views(views: &[SharedView<'_>]) -> Result<Option<JobOrder>, RegistryError> {
    let Some((exchange, body)) = views.first() else { return Ok(None) };
    Ok(from_view(exchange, &decode(body, "view")?))
}

/// The order as it crossed; its name is not part of the view. None where no notice has come yet.
pub(crate) fn from_view(exchange: &Exchange, view: &OrderView) -> Option<JobOrder> {
    let doc = exchange.reader(&view.message_name).read_kept(&view.message_name, &view.message)?;
    let text = |path: &str| doc.text(path).unwrap_or_default().to_owned();
    Some(JobOrder {
        agreement: exchange.pack().id().to_owned(),
        employer_name: text("employer.legal_name"),
        title: text("job_order.title"),
        occupation: terms::code(&doc, "job_order.occupation"),
        place: terms::place(&doc, "job_order.place"),
        seats: i32::try_from(view.seats).unwrap_or(i32::MAX),
        seats_held: i32::try_from(view.held).unwrap_or(i32::MAX),
        terms: Some(terms::employment_terms(&doc, "job_order.terms")),
        languages: languages(&doc),
        state: doc.enum_number("job_order.state").unwrap_or_default(),
        agreement_data: extension(exchange, view).into_iter().collect(),
        ..JobOrder::default()
    })
}

fn languages(doc: &Doc) -> Vec<String> {
    let items = doc.list("job_order.languages").unwrap_or_default().iter();
    items.filter_map(|term| if let Term::Text(text) = term { Some(text.clone()) } else { None }).collect()
}

/// What the notice carried of the agreement's own extension, put back into one.
fn extension(exchange: &Exchange, view: &OrderView) -> Option<AgreementData> {
    let plan = exchange.pack().message(&view.message_name)?;
    let descriptor = exchange.pack().extension(Root::JobOrder)?;
    let notice = DynamicMessage::decode(plan.descriptor.clone(), view.message.as_slice()).ok()?;
    let mut extension = DynamicMessage::new(descriptor.clone());
    for field in plan.fields.iter().filter(|field| notice.has_field(&field.field)) {
        let name = field.source.as_str().strip_prefix("job_order.agreement_data.");
        if let Some(own) = name.and_then(|name| descriptor.get_field_by_name(name)) {
            extension.set_field(&own, notice.get_field(&field.field).into_owned());
        }
    }
    let type_url = format!("type.googleapis.com/{}", descriptor.full_name());
    let value = Some(Any { type_url, value: extension.encode_to_vec() });
    Some(AgreementData { agreement: exchange.pack().id().to_owned(), value })
}

/// Whether more changed than keys of other systems, which never cross.
fn is_news(change: &Change<'_, JobOrder>) -> bool {
    let shared = |order: &JobOrder| {
        let mut order = order.clone();
        order.external_ids.clear();
        order.set_meta(String::new(), String::new(), None, None);
        order
    };
    change.before.as_ref().is_none_or(|before| shared(before) != shared(&change.after))
}

/// The exchange of the order's agreement; this state must be the destination in it.
fn destination<'a>(change: &Change<'a, JobOrder>) -> Result<&'a Exchange, RegistryError> {
    let core = change.core;
    let exchange = core.exchange(&change.after.agreement).ok_or_else(|| not_in_force("job_order.agreement"))?;
    if exchange.me == Role::Destination {
        return Ok(exchange);
    }
    Err(RegistryError::PermissionDenied("job orders are the destination's"))
}

async fn employer(change: &mut Change<'_, JobOrder>) -> Result<Option<Employer>, RegistryError> {
    if change.after.employer.is_empty() {
        return Err(RegistryError::Invalid(vec![Violation::new("job_order.employer", "required")]));
    }
    let id = id_of("employers", &change.after.employer, "job_order.employer")?;
    let row = change.work.resource((Kind::Employer, id)).await?;
    row.as_ref().map(from_row).transpose()
}
