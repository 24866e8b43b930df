//! `convenio agreement show`: an agreement for people, with what is uncertain about it.

use std::fmt::Write;

use clap::Args;
use convenio_agreement::config::{BasisStatus, Config, LegalStatus, Party};
use convenio_agreement::pack::Pack;

use super::FolderArgs;
use crate::output::say;

/// Arguments of `convenio agreement show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    folder: FolderArgs,
    /// The agreement, e.g. sv-ca
    id: String,
    /// Print the configuration after all imports instead, as canonical TOML
    #[arg(long)]
    effective: bool,
}

/// Prints an agreement.
///
/// # Errors
/// What the loader refuses.
pub(super) fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let pack = Pack::load(&args.folder.agreements, &args.id)?;
    if args.effective {
        return say(pack.effective().trim_end());
    }
    let mut text = String::new();
    shown(&mut text, &pack)?;
    say(text.trim_end())
}

fn shown(out: &mut String, pack: &Pack) -> std::fmt::Result {
    let config = pack.config();
    writeln!(out, "{}\n", config.title)?;
    if config.hypothetical {
        writeln!(out, "HYPOTHETICAL: no such agreement exists.\n")?;
    }
    line(out, "agreement", &config.id)?;
    line(out, "digest", &hex::encode(pack.digest()))?;
    line(out, "effective", &hex::encode(pack.effective_sha256()))?;
    if !config.amends.is_empty() {
        line(out, "amends", &config.amends)?;
    }
    line(out, "instrument", &config.instrument)?;
    let frameworks: Vec<_> = config.frameworks.iter().map(|framework| framework.as_str()).collect();
    line(out, "frameworks", &listed(&frameworks))?;
    line(out, "languages", &listed(&config.languages))?;
    line(out, "contracts in", &listed(&config.contract_languages))?;
    line(out, "minimum age", &config.minimum_age.to_string())?;
    let recruiters: Vec<_> = config.recruiters.iter().map(|recruiter| recruiter.as_str()).collect();
    line(out, "recruiters", &listed(&recruiters))?;
    parties(out, config)?;
    legal(out, config)?;
    limits(out, config)?;
    fees(out, config)?;
    rules(out, config)?;
    protection(out, config)?;
    basis(out, config)
}

fn parties(out: &mut String, config: &Config) -> std::fmt::Result {
    writeln!(out, "\nParties")?;
    for party in &config.parties {
        let role = party.role.role().map_or("origin and destination", |role| role.as_str());
        let apart = if party.connected { "" } else { ", without a node" };
        writeln!(out, "  {}  {}, {role}{apart}", party.id, party.country)?;
        offices(out, party)?;
        if let Some(sign_off) = config.sign_off.get(&party.id) {
            let (k, among) = (sign_off.k, listed(&sign_off.offices));
            writeln!(out, "      {k} of {among} sign off; in any case {}", listed(&sign_off.must))?;
        }
    }
    Ok(())
}

fn offices(out: &mut String, party: &Party) -> std::fmt::Result {
    party.authorities.iter().try_for_each(|office| writeln!(out, "      {}: {}", office.key, office.name))
}

fn legal(out: &mut String, config: &Config) -> std::fmt::Result {
    writeln!(out, "\nLegal basis")?;
    for text in &config.legal {
        let mark = if text.status == LegalStatus::Uncertain { "? " } else { "  " };
        let date = text.date.map(|date| format!(", {date}")).unwrap_or_default();
        let party = text.party.as_ref().map(|party| format!(", {party}")).unwrap_or_default();
        writeln!(out, "{mark}{}  {}{date}{party} ({})", text.key, text.title, text.status.as_str())?;
        for (what, said) in [("source", &text.source), ("doubt", &text.doubt)] {
            if !said.is_empty() {
                writeln!(out, "      {what}: {said}")?;
            }
        }
    }
    Ok(())
}

fn limits(out: &mut String, config: &Config) -> std::fmt::Result {
    writeln!(out, "\nLimits")?;
    if let Some(validity) = &config.validity {
        let until = validity.until.map_or_else(|| "until terminated".to_owned(), |until| format!("until {until}"));
        writeln!(out, "  in force from {} {until}; renewal {}", validity.from, validity.renewal.as_str())?;
        let (notice, run_off) = (validity.notice_months, validity.run_off_months);
        writeln!(out, "  notice {notice} months, run-off {run_off} months")?;
    }
    if let Some(stay) = &config.stay {
        let (days, per, renewal) = (stay.max_days, stay.per.as_str(), stay.renewal.as_str());
        writeln!(out, "  stay at most {days} days per {per}; renewal {renewal}")?;
    }
    for sector in &config.sectors {
        let age = sector.minimum_age.map(|age| format!(", from {age} years")).unwrap_or_default();
        writeln!(out, "  sectors ISIC {}{age}", listed(&sector.isic))?;
    }
    for quota in &config.quotas {
        let (areas, occupations) = (any(&quota.areas), any(&quota.occupations));
        writeln!(out, "  quota {}: {} from {} to {}", quota.name, quota.limit, quota.from, quota.until)?;
        writeln!(out, "      areas {areas}, occupations {occupations}{}", by(&quota.clause))?;
    }
    Ok(())
}

fn fees(out: &mut String, config: &Config) -> std::fmt::Result {
    let Some(fees) = &config.fees else { return Ok(()) };
    writeln!(out, "\nFees")?;
    writeln!(out, "  a worker may pay: {}; never: {}", listed(&fees.worker_may_pay), listed(&fees.never))?;
    match &fees.housing_weekly_max {
        Some(most) => writeln!(out, "  housing at most {} a week", money(most.minor_units, &most.currency))?,
        None => writeln!(out, "  nothing is deducted for housing")?,
    }
    for deposit in &fees.deposits {
        let (amount, payer) = (money(deposit.minor_units, &deposit.currency), deposit.payer.as_str());
        let (kind, clause) = (&deposit.kind, by(&deposit.clause));
        writeln!(out, "  deposit {kind}: {amount} by the {payer}, back on {}{clause}", deposit.refunded_on)?;
    }
    Ok(())
}

fn rules(out: &mut String, config: &Config) -> std::fmt::Result {
    if !config.gates.is_empty() || !config.deadlines.is_empty() {
        writeln!(out, "\nGates and deadlines of its own")?;
    }
    for gate in &config.gates {
        let asks = match (&gate.fact, &gate.absent) {
            (Some(fact), _) => format!("asks for {fact}"),
            (None, absent) => format!("asks that there is no {}", absent.as_deref().unwrap_or_default()),
        };
        let within = gate.within_days.map(|days| format!(" within {days} days")).unwrap_or_default();
        let most = gate.at_most.map(|most| format!(", at most {most}")).unwrap_or_default();
        let some = if gate.only_if.is_some() { ", in some cases" } else { "" };
        writeln!(out, "  gate {}: {asks}{within}{most}{some}{}", gate.name, by(&gate.clause))?;
    }
    for deadline in &config.deadlines {
        let (name, after, fact) = (&deadline.name, &deadline.after, &deadline.fact);
        writeln!(out, "  deadline {name}: {fact} within {} days of {after}{}", deadline.days, by(&deadline.clause))?;
    }
    Ok(())
}

fn protection(out: &mut String, config: &Config) -> std::fmt::Result {
    if let Some(data) = &config.data {
        writeln!(out, "\nPersonal data")?;
        writeln!(out, "  cross by {}; never used to enforce migration law", data.transfer_basis)?;
        for controller in &data.controllers {
            writeln!(out, "  {} answers for {}", controller.office, controller.party)?;
        }
        let (hours, days) = (data.breach_notice_hours, data.subject_rights_days);
        writeln!(out, "  a breach is told within {hours} hours, a person is answered within {days} days")?;
    }
    let Some(committee) = &config.joint_committee else { return Ok(()) };
    let (members, meets) = (committee.members_per_party, committee.meets_per_year);
    writeln!(out, "\nJoint committee")?;
    writeln!(out, "  {members} members a party, {meets} meetings a year; decides {}", listed(&committee.decides))
}

fn basis(out: &mut String, config: &Config) -> std::fmt::Result {
    let Some(basis) = &config.policy_basis else { return Ok(()) };
    writeln!(out, "\nPolicy basis")?;
    for (name, point) in basis.points() {
        let mark = if point.status == BasisStatus::Done { "  " } else { "? " };
        let date = point.date.map(|date| format!(" {date}")).unwrap_or_default();
        let reason = if point.reason.is_empty() { String::new() } else { format!(": {}", point.reason) };
        writeln!(out, "{mark}{name}  {}{date}{reason}", point.status.as_str())?;
    }
    Ok(())
}

fn line(out: &mut String, name: &str, value: &str) -> std::fmt::Result {
    writeln!(out, "{name:<14}{value}")
}

fn listed<T: AsRef<str>>(list: &[T]) -> String {
    if list.is_empty() {
        return "none".to_owned();
    }
    list.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

fn any(list: &[String]) -> String {
    if list.is_empty() { "any".to_owned() } else { listed(list) }
}

fn by(clause: &str) -> String {
    if clause.is_empty() { String::new() } else { format!(" ({clause})") }
}

/// Minor units are hundredths in every currency of the agreements; the code says which money it is.
fn money(minor_units: i64, currency: &str) -> String {
    format!("{currency} {}.{:02}", minor_units / 100, minor_units % 100)
}
