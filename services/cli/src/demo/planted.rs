//! The violations: each by a fictitious party, each with what must come of it.

use anyhow::{Context, bail, ensure};
use convenio_rpc::client::AgencyServiceClient;
use convenio_script::{Draw, id};
use convenio_wire::registry::v1 as registry;
use convenio_wire::r#type::v1 as value;

use super::play::Play;
use super::scenario::Violation;
use super::season::Job;
use super::side::Side;

/// What came of one violation, for the table at the end.
#[derive(Clone, Debug)]
pub struct Happened {
    pub violation: Violation,
    pub text: String,
}

/// Placement state before the nomination was accepted.
const BEFORE: &str = "PRESELECTED";
/// Field of a contract in which a planted one is worse.
const WAGE: &str = "contract.terms.wage_rate";

/// More were nominated than there are seats: the destination allocates them, the rest are told. Answers with those who
/// got a seat.
///
/// # Errors
/// A seat too many was given, or one too few.
pub async fn over_subscription(play: &Play, told: &mut Vec<Happened>) -> anyhow::Result<Vec<Job>> {
    let Some(planted) = play.season.planted(Violation::OverSubscription) else { return Ok(Vec::new()) };
    // Who gets a seat is the destination's choice.
    let mut jobs = play.season.victims(Violation::OverSubscription).to_vec();
    Draw::new(play.season.seed, "allocation").shuffle(&mut jobs);
    let seats = planted.seats.map_or(jobs.len(), |seats| seats as usize);
    let (seated, rest) = jobs.split_at(seats.min(jobs.len()));
    for job in seated {
        play.offer_one(job).await?;
    }
    for job in rest {
        let Err(refused) = play.offer_one(job).await else {
            bail!("{}: a seat that is not there was given", job.placement)
        };
        ensure!(refused.gate() == "seat_free", "a seat too many was refused for another reason: {refused}");
        expire(play, job, &planted.reason_code).await?;
    }
    let (all, name) = (jobs.len(), &play.destination.state.name);
    let text = format!("{all} nominated for {seats} seats; {name} gave {seats} and told the other {}", rest.len());
    told.push(Happened { violation: Violation::OverSubscription, text });
    Ok(seated.to_vec())
}

/// A contract below its order's wage is presented to the destination's registry.
///
/// # Errors
/// It was taken, or refused for another reason.
pub async fn low_wage(play: &Play, told: &mut Vec<Happened>) -> anyhow::Result<()> {
    let Some(planted) = play.season.planted(Violation::LowWage) else { return Ok(()) };
    for job in play.season.victims(Violation::LowWage) {
        let (terms, agreed, offered) = worse_terms(play, job, Violation::LowWage)?;
        let Err(refused) = play.author_one(job, terms, "low").await else {
            bail!("{}: a contract below its order's wage was taken", job.placement)
        };
        let paths = refused.field_paths();
        ensure!(paths.iter().any(|path| path.starts_with(WAGE)), "refused, but not for its wage: {refused}");
        expire(play, job, &planted.reason_code).await?;
        let text =
            format!("contract at {offered} an hour, the order says {agreed}: refused, field {}", paths.join(", "));
        told.push(Happened { violation: Violation::LowWage, text });
    }
    Ok(())
}

/// The origin suspends an agency: its further nominations fail there.
///
/// # Errors
/// One succeeded.
pub async fn suspended_at_home(play: &Play, told: &mut Vec<Happened>) -> anyhow::Result<()> {
    let jobs = play.season.victims(Violation::SuspendedAtHome);
    if jobs.is_empty() {
        return Ok(());
    }
    suspend(play, &play.origin, Violation::SuspendedAtHome).await?;
    for job in jobs {
        let Err(refused) = play.nominate_one(job).await else {
            bail!("{}: a suspended agency nominated", job.placement)
        };
        ensure!(refused.gate() == "agency_two_licences", "refused for another reason: {refused}");
    }
    let text =
        format!("{} suspended it; {} nominations failed there, none crossed", play.origin.state.name, jobs.len());
    told.push(Happened { violation: Violation::SuspendedAtHome, text });
    Ok(())
}

/// The destination suspends an agency while the link is cut and the origin goes on nominating.
///
/// # Errors
/// A nomination was not rejected, or its placement does not stand where it was.
pub async fn suspended_by_partner(play: &Play, told: &mut Vec<Happened>) -> anyhow::Result<()> {
    let jobs = play.season.victims(Violation::SuspendedByPartner);
    if jobs.is_empty() {
        return Ok(());
    }
    let links = [&play.origin.link, &play.destination.link];
    links.iter().for_each(|link| link.cut());
    suspend(play, &play.destination, Violation::SuspendedByPartner).await?;
    for job in jobs {
        let placement = play.nominate_one(job).await.context("the origin does not know of the suspension yet")?;
        ensure!(!placement.pending_acts.is_empty(), "{}: a nomination was decided over a cut link", job.placement);
    }
    links.iter().for_each(|link| link.heal());
    play.settle().await?;
    for job in jobs {
        let placement = play.origin.placement(job).await?;
        let why = placement.last_rejection.unwrap_or_default();
        ensure!(placement.state == BEFORE, "{}: is {} after its rejection", job.placement, placement.state);
        ensure!(why.act == "nominate" && why.gate == "agency_two_licences", "{}: rejected by {why:?}", job.placement);
    }
    let text = format!(
        "{} suspended it over a cut link; {} nominations came back rejected, the placements are {BEFORE} again",
        play.destination.state.name,
        jobs.len()
    );
    told.push(Happened { violation: Violation::SuspendedByPartner, text });
    Ok(())
}

/// Terms with a lower wage than the order's, and both wages in words.
///
/// # Errors
/// The scenario does not say how much lower.
pub fn worse_terms(
    play: &Play,
    job: &Job,
    violation: Violation,
) -> anyhow::Result<(registry::EmploymentTerms, String, String)> {
    let planted = play.season.planted(violation).context("a violation that is not planted")?;
    let [least, most] = planted.below_cents.context("checked with the scenario")?;
    let below = Draw::new(play.season.seed, &format!("{}/below", job.label)).between(least, most);
    let mut terms = play.season.order(job)?.terms.clone();
    let agreed = terms.wage_rate.clone().unwrap_or_default();
    let offered = value::Money { minor_units: agreed.minor_units - below, ..agreed.clone() };
    terms.wage_rate = Some(offered.clone());
    Ok((terms, money(&agreed), money(&offered)))
}

fn money(amount: &value::Money) -> String {
    format!("{} {}.{:02}", amount.currency_code, amount.minor_units / 100, amount.minor_units % 100)
}

async fn expire(play: &Play, job: &Job, reason_code: &str) -> anyhow::Result<()> {
    let event = registry::Event {
        reason_code: reason_code.to_owned(),
        ..play.season.after_start(job, play.season.scenario.timeline.authored)
    };
    play.destination.transition(job, "expire", event).await?;
    Ok(())
}

/// Suspends the agency of a violation in one state.
async fn suspend(play: &Play, side: &Side, violation: Violation) -> anyhow::Result<()> {
    let season = &play.season;
    let planted = season.planted(violation).context("a violation that is not planted")?;
    let agency = season.suspended(violation).and_then(|index| season.agencies.get(index));
    let name = agency.context("a violation without an agency")?;
    let first = season.victims(violation).first().context("a violation has victims")?;
    let request = registry::SuspendAgencyRequest {
        name: name.clone(),
        reason_code: planted.reason_code.clone(),
        event_time_ms: season.after_start(first, season.scenario.timeline.nominated - 1).time_ms,
        historical: true,
        request_id: id(season.seed, &format!("suspend/{name}")),
        etag: String::new(),
    };
    let call = side.caller.call(name, &request, |channel, request| async move {
        AgencyServiceClient::new(channel).suspend_agency(request).await
    });
    call.await?;
    Ok(())
}
