//! Agencies: each state owns its licences, which cross at once; the partner's are shown beside them.

use convenio_agreement::lifecycle::{Role, Subject};
use convenio_agreement::plan::Sources;
use convenio_agreement::view::{AgencyView, LicenceView};
use convenio_exchange::journal::Actor;
use convenio_exchange::{Core, Exchange, issue_notice};
use convenio_store::Kind;
use convenio_wire::registry::v1::{Agency, Event, Licence, ReinstateAgencyRequest, SuspendAgencyRequest};
use convenio_wire::r#type::v1::LicenceState;

use crate::Registry;
use crate::caller::Caller;
use crate::error::RegistryError;
use crate::request::Ticket;
use crate::resource::{Change, Resource, SharedView, from_row, id_of};
use crate::row::decode;
use crate::rules::{Problems, event_time, licence_problems, not_in_force};
use crate::save::save;

impl Registry {
    /// Suspends this state's licences of an agency; binds both states at once.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn suspend_agency(
        &self,
        caller: &Caller,
        mut request: SuspendAgencyRequest,
    ) -> Result<Agency, RegistryError> {
        self.rules().request("convenio.registry.v1.SuspendAgencyRequest", &request)?;
        let id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "SuspendAgency", &id, &request)?;
        let actor = caller.acting("Agency", "SuspendAgency");
        let event = Event {
            time_ms: request.event_time_ms,
            historical: request.historical,
            reason_code: request.reason_code,
            ..Event::default()
        };
        let (from, to) = (LicenceState::Active, LicenceState::Suspended);
        self.move_licences(actor, ticket, &request.name, request.etag, event, from, to).await
    }

    /// Ends a suspension.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn reinstate_agency(
        &self,
        caller: &Caller,
        mut request: ReinstateAgencyRequest,
    ) -> Result<Agency, RegistryError> {
        self.rules().request("convenio.registry.v1.ReinstateAgencyRequest", &request)?;
        let id = std::mem::take(&mut request.request_id);
        let ticket = Ticket::new(caller, "ReinstateAgency", &id, &request)?;
        let actor = caller.acting("Agency", "ReinstateAgency");
        let (from, to) = (LicenceState::Suspended, LicenceState::Active);
        self.move_licences(actor, ticket, &request.name, request.etag, Event::default(), from, to).await
    }

    #[allow(clippy::too_many_arguments)] // the change, flat: by whom, of what, from which state to which
    async fn move_licences(
        &self,
        actor: Actor,
        ticket: Ticket,
        name: &str,
        etag: String,
        event: Event,
        from: LicenceState,
        to: LicenceState,
    ) -> Result<Agency, RegistryError> {
        let id = id_of(Agency::COLLECTION, name, "name")?;
        event_time(event.time_ms, self.core().clock().now_ms(), "event_time_ms")?;
        let core = self.core().clone();
        let job = self.core().write_as(actor, move |work| {
            Box::pin(async move {
                if let Some(answer) = ticket.answered(work).await? {
                    return Ok(answer);
                }
                let row = work.resource((Kind::Agency, id)).await?.ok_or(RegistryError::NotFound)?;
                if !etag.is_empty() && etag != row.revision.to_string() {
                    return Err(RegistryError::EtagMismatch);
                }
                let mut agency: Agency = from_row(&row)?;
                for licence in agency.licences.iter_mut().filter(|licence| licence.state() == from) {
                    licence.set_state(to);
                }
                let answer = save(work, &core, id, Some(&row), agency, event).await?;
                ticket.keep(work, &answer, core.clock().now_ms());
                Ok(answer)
            })
        });
        job.await
    }
}

/// What is wrong with an agency by itself.
pub(crate) fn problems(agency: &Agency, found: &mut Problems) {
    for (index, id) in agency.agreements.iter().enumerate() {
        found.require(!agency.agreements[..index].contains(id), format!("agency.agreements[{index}]"), "twice");
    }
    let own = |licence: &&Licence| !licence.partner;
    for (index, licence) in agency.licences.iter().enumerate().filter(|(_, licence)| own(licence)) {
        let path = format!("agency.licences[{index}]");
        licence_problems(licence, &path, found);
        found.require(licence.state() != LicenceState::Unspecified, format!("{path}.state"), "required");
        let mut earlier = agency.licences[..index].iter().filter(own);
        let twice = earlier.any(|other| other.jurisdiction == licence.jurisdiction);
        found.require(!twice, format!("{path}.jurisdiction"), "twice");
    }
}

/// A licence is of this state's jurisdiction, and what was told to a partner is not taken back by silence.
pub(crate) fn before_save(change: &mut Change<'_, Agency>) -> Result<(), RegistryError> {
    let mut found = Problems::default();
    for (index, licence) in change.after.licences.iter().enumerate() {
        let own = is_own(change.core, &licence.jurisdiction);
        found.require(own, format!("agency.licences[{index}].jurisdiction"), "not of this state");
    }
    for (index, id) in change.after.agreements.iter().enumerate() {
        if change.core.exchange(id).is_none() {
            return Err(not_in_force(format!("agency.agreements[{index}]")));
        }
    }
    if let Some(before) = &change.before {
        let kept = |old: &Licence| change.after.licences.iter().any(|new| new.jurisdiction == old.jurisdiction);
        found.require(before.licences.iter().all(kept), "agency.licences", "a licence is revoked, not removed");
        let kept = before.agreements.iter().all(|id| change.after.agreements.contains(id));
        found.require(kept, "agency.agreements", "an agreement is not removed");
    }
    found.into_result()
}

/// Tells each agreement's partner the licences that are new to it.
pub(crate) async fn after_save(change: &mut Change<'_, Agency>) -> Result<(), RegistryError> {
    let now_ms = change.now_ms;
    let time_ms = event_time(change.event.time_ms, now_ms, "event_time_ms")?;
    let event = Event { time_ms: i64::try_from(time_ms).unwrap_or(i64::MAX), ..change.event.clone() };
    for agreement in change.after.agreements.clone() {
        let exchange = change.core.exchange(&agreement).ok_or_else(|| not_in_force("agency.agreements"))?;
        let Some(notice) = notice_name(exchange, Subject::Agencies) else { continue };
        let all = change.after.licences.iter();
        let news: Vec<Licence> = all.filter(|licence| is_news(change, &agreement, licence)).cloned().collect();
        for licence in &news {
            let sources = Sources::new().with(&change.after).with(licence).with(&event);
            let historical = event.historical;
            issue_notice(change.work, change.core, exchange, notice, change.id, &sources, time_ms, historical)
                .await
                .map_err(|e| RegistryError::issue(e, &agreement, notice, |_| format!("agencies/{}", change.id)))?;
        }
    }
    Ok(())
}

/// The notice about such subjects that this state may issue.
pub(crate) fn notice_name(exchange: &Exchange, subject: Subject) -> Option<&str> {
    let notices = &exchange.pack().lifecycle().notices;
    let own = notices.iter().find(|notice| notice.subject == subject && notice.by.contains(&exchange.me));
    own.map(|notice| notice.name.as_str())
}

/// Adds the partner's licences.
pub(crate) fn dress(agency: &mut Agency, views: &[SharedView<'_>]) -> Result<(), RegistryError> {
    for (exchange, body) in views {
        let view: AgencyView = decode(body, "view")?;
        for licence in view.licences.iter().filter(|licence| !is_mine(exchange, licence)) {
            let licence = partner_licence(licence);
            if !agency.licences.contains(&licence) {
                agency.licences.push(licence);
            }
        }
    }
    Ok(())
}

/// An agency that only the partner registered.
pub(crate) fn from_views(views: &[SharedView<'_>]) -> Result<Option<Agency>, RegistryError> {
    let mut agency = Agency::default();
    for (exchange, body) in views {
        let view: AgencyView = decode(body, "view")?;
        agency.legal_name = view.legal_name;
        agency.agreements.push(exchange.pack().id().to_owned());
    }
    dress(&mut agency, views)?;
    Ok((!agency.licences.is_empty()).then_some(agency))
}

fn is_news(change: &Change<'_, Agency>, agreement: &str, licence: &Licence) -> bool {
    let Some(before) = &change.before else { return true };
    before.legal_name != change.after.legal_name
        || !before.agreements.iter().any(|id| id == agreement)
        || !before.licences.contains(licence)
}

fn is_own(core: &Core, jurisdiction: &str) -> bool {
    let country = |exchange: &Exchange| exchange.pack().party(exchange.me).country.clone();
    let code = jurisdiction.split('-').next().unwrap_or_default();
    core.exchanges().iter().any(|exchange| country(exchange) == code)
}

fn is_mine(exchange: &Exchange, licence: &LicenceView) -> bool {
    licence.by_origin == (exchange.me == Role::Origin)
}

fn partner_licence(view: &LicenceView) -> Licence {
    Licence {
        jurisdiction: view.jurisdiction.clone(),
        number: view.number.clone(),
        state: view.state,
        partner: true,
        ..Licence::default()
    }
}
