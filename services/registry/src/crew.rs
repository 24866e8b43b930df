//! Crew lists (nóminas): written by either state that the agreement lets tell of them, told to the partner.

use convenio_agreement::lifecycle::Subject;
use convenio_agreement::plan::Sources;
use convenio_agreement::view::CrewView;
use convenio_exchange::{Exchange, issue_notice};
use convenio_wire::registry::v1::{Crew, Event};

use crate::agency::notice_name;
use crate::error::RegistryError;
use crate::resource::{Change, Resource, SharedView, id_of};
use crate::row::decode;
use crate::rules::{Problems, event_time, not_in_force};

/// The agreement has a notice for it that this state may issue; agreement and names hold.
pub(crate) fn before_save(change: &mut Change<'_, Crew>) -> Result<(), RegistryError> {
    event_time(change.after.event_time_ms, change.now_ms, "crew.event_time_ms")?;
    notice(change)?;
    let mut found = Problems::default();
    if let Some(before) = &change.before {
        found.require(before.agreement == change.after.agreement, "crew.agreement", "cannot change");
    }
    if !change.after.job_order.is_empty() {
        id_of("jobOrders", &change.after.job_order, "crew.job_order")?;
    }
    found.into_result()
}

/// Tells the partner.
pub(crate) async fn after_save(change: &mut Change<'_, Crew>) -> Result<(), RegistryError> {
    if !is_news(change) {
        return Ok(());
    }
    let time_ms = event_time(change.after.event_time_ms, change.now_ms, "crew.event_time_ms")?;
    let (exchange, notice) = notice(change)?;
    let historical = change.after.historical;
    let event = Event { time_ms: i64::try_from(time_ms).unwrap_or(i64::MAX), historical, ..Event::default() };
    let sources = Sources::new().with(&change.after).with(&event);
    let (id, agreement) = (change.id, exchange.pack().id());
    issue_notice(change.work, change.core, exchange, notice, id, &sources, time_ms, historical)
        .await
        .map_err(|e| RegistryError::issue(e, agreement, notice, |_| format!("crews/{id}")))?;
    Ok(())
}

/// The list as it crossed: where both states told of it, the origin's.
pub(crate) fn from_views(views: &[SharedView<'_>]) -> Result<Option<Crew>, RegistryError> {
    let Some((exchange, body)) = views.first() else { return Ok(None) };
    let view: CrewView = decode(body, "view")?;
    let doc = view
        .said
        .iter()
        .find_map(|said| exchange.reader(&said.message_name).read_kept(&said.message_name, &said.message));
    let Some(doc) = doc else { return Ok(None) };
    let text = |path: &str| doc.text(path).unwrap_or_default().to_owned();
    let int = |path: &str| doc.int(path).and_then(|n| i32::try_from(n).ok()).unwrap_or_default();
    Ok(Some(Crew {
        agreement: exchange.pack().id().to_owned(),
        job_order: text("crew.job_order"),
        leader: text("crew.leader"),
        leader_kind: doc.enum_number("crew.leader_kind").unwrap_or_default(),
        size: int("crew.size"),
        placed: int("crew.placed"),
        season: text("crew.season"),
        ..Crew::default()
    }))
}

/// Whether more changed than what never crosses.
fn is_news(change: &Change<'_, Crew>) -> bool {
    let shared = |crew: &Crew| {
        let mut crew = Crew { note: String::new(), external_ids: Vec::new(), ..crew.clone() };
        crew.set_meta(String::new(), String::new(), None, None);
        crew
    };
    change.before.as_ref().is_none_or(|before| shared(before) != shared(&change.after))
}

/// The exchange of the list's agreement, and its notice, which this state must be allowed to issue.
fn notice<'a>(change: &Change<'a, Crew>) -> Result<(&'a Exchange, &'a str), RegistryError> {
    let core = change.core;
    let exchange = core.exchange(&change.after.agreement).ok_or_else(|| not_in_force("crew.agreement"))?;
    let name = notice_name(exchange, Subject::Crews);
    let name = name.ok_or(RegistryError::PermissionDenied("the agreement gives this state no crew lists"))?;
    Ok((&**exchange, name))
}
