//! Ages, fees, quotas, stays, gates as data and deadlines: what is loosened and what is tightened.

use super::{Effect, List};
use crate::config::{Config, DeadlineConfig, Fees, GateConfig, Quota};

/// Pairs of entries of one name: kept, removed (`None` after) and added (`None` before).
fn pairs<'a, T>(old: &'a [T], new: &'a [T], name: fn(&T) -> &str) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let find = |list: &'a [T], wanted: &str| list.iter().find(|entry| name(entry) == wanted);
    let kept = old.iter().map(|entry| (Some(entry), find(new, name(entry))));
    let added = new.iter().filter(|entry| find(old, name(entry)).is_none()).map(|entry| (None, Some(entry)));
    kept.chain(added).collect()
}

fn texts<T>(list: &[T], text: impl Fn(&T) -> &str) -> Vec<String> {
    list.iter().map(|entry| text(entry).to_owned()).collect()
}

pub(super) fn compare(old: &Config, new: &Config, list: &mut List) {
    let number = |value: u32| i64::from(value);
    let ages = (number(old.minimum_age), number(new.minimum_age));
    list.number("limit/age", "minimum_age", "years", ages, Effect::Tightened);
    let kinds = (texts(&old.recruiters, |r| r.as_str()), texts(&new.recruiters, |r| r.as_str()));
    list.set("limit/recruiters", "recruiters", (&kinds.0, &kinds.1), Effect::Loosened);
    let modules = (old.mandatory_modules.as_slice(), new.mandatory_modules.as_slice());
    list.set("limit/modules", "mandatory_modules", modules, Effect::Tightened);
    let frameworks = (texts(&old.frameworks, |f| f.as_str()), texts(&new.frameworks, |f| f.as_str()));
    list.set("basis/frameworks", "frameworks", (&frameworks.0, &frameworks.1), Effect::Tightened);
    let waived = (texts(&old.waive, |w| &w.rule), texts(&new.waive, |w| &w.rule));
    list.set("basis/waived", "waive", (&waived.0, &waived.1), Effect::Loosened);
    list.plain("basis/instrument", "instrument", &old.instrument, &new.instrument);
    let hours = (number(old.cosign_deadline_hours), number(new.cosign_deadline_hours));
    list.number("deadline/cosign", "cosign_deadline_hours", "hours", hours, Effect::Loosened);
    sectors(old, new, list);
    stay_and_validity(old, new, list);
    fees(old.fees.as_ref(), new.fees.as_ref(), list);
    quotas(&old.quotas, &new.quotas, list);
    gates(&old.gates, &new.gates, list);
    deadlines(&old.deadlines, &new.deadlines, list);
    for (before, after) in pairs(&old.code_lists, &new.code_lists, |l| &l.name) {
        match (before, after) {
            (Some(a), Some(b)) => list.set("codes/values", &a.name, (&a.values, &b.values), Effect::Loosened),
            (Some(a), None) => list.add(Effect::Loosened, "codes/list", &a.name, "its fields take any value again"),
            (None, Some(b)) => list.add(Effect::Tightened, "codes/list", &b.name, "its fields take its values alone"),
            (None, None) => {}
        }
    }
}

fn sectors(old: &Config, new: &Config, list: &mut List) {
    let codes =
        |config: &Config| -> Vec<String> { config.sectors.iter().flat_map(|sector| sector.isic.clone()).collect() };
    list.set("limit/sectors", "sectors", (&codes(old), &codes(new)), Effect::Loosened);
    let age = |config: &Config, isic: &String| {
        let sector = config.sectors.iter().find(|sector| sector.isic.contains(isic));
        sector.map(|sector| i64::from(sector.minimum_age.unwrap_or(config.minimum_age)))
    };
    for isic in codes(old) {
        if let (Some(a), Some(b)) = (age(old, &isic), age(new, &isic)) {
            list.number("limit/age", &format!("sectors {isic}"), "years", (a, b), Effect::Tightened);
        }
    }
}

fn stay_and_validity(old: &Config, new: &Config, list: &mut List) {
    if let (Some(a), Some(b)) = (&old.stay, &new.stay) {
        let days = (i64::from(a.max_days), i64::from(b.max_days));
        list.number("limit/stay", "stay.max_days", "days", days, Effect::Loosened);
        list.plain("limit/stay", "stay.per", a.per.as_str(), b.per.as_str());
        list.plain("limit/stay", "stay.renewal", a.renewal.as_str(), b.renewal.as_str());
    }
    if let (Some(a), Some(b)) = (&old.validity, &new.validity) {
        let day = |day: Option<&crate::config::Day>| day.map_or("no end".to_owned(), |day| format!("{day:?}"));
        list.plain("validity/from", "validity.from", day(Some(&a.from)), day(Some(&b.from)));
        list.plain("validity/until", "validity.until", day(a.until.as_ref()), day(b.until.as_ref()));
        list.plain("validity/renewal", "validity.renewal", a.renewal.as_str(), b.renewal.as_str());
        list.plain("validity/notice", "validity.notice_months", a.notice_months, b.notice_months);
        list.plain("validity/run-off", "validity.run_off_months", a.run_off_months, b.run_off_months);
    }
    if let (Some(a), Some(b)) = (&old.suspension, &new.suspension) {
        list.set("suspension/still", "suspension.still", (&a.still, &b.still), Effect::Loosened);
    }
}

fn fees(old: Option<&Fees>, new: Option<&Fees>, list: &mut List) {
    let (Some(a), Some(b)) = (old, new) else { return };
    list.set("fees/worker", "fees.worker_may_pay", (&a.worker_may_pay, &b.worker_may_pay), Effect::Loosened);
    list.set("fees/never", "fees.never", (&a.never, &b.never), Effect::Tightened);
    match (&a.housing_weekly_max, &b.housing_weekly_max) {
        (Some(x), Some(y)) if x.currency == y.currency => {
            let amounts = (x.minor_units, y.minor_units);
            list.number("fees/housing", "fees.housing_weekly_max", "minor units", amounts, Effect::Loosened);
        }
        (Some(x), Some(y)) => list.plain("fees/housing", "fees.housing_weekly_max", &x.currency, &y.currency),
        (None, Some(_)) => {
            list.add(Effect::Loosened, "fees/housing", "fees.housing_weekly_max", "housing may be deducted now");
        }
        (Some(_), None) => {
            list.add(
                Effect::Tightened,
                "fees/housing",
                "fees.housing_weekly_max",
                "housing may not be deducted any more",
            );
        }
        (None, None) => {}
    }
    for (before, after) in pairs(&a.deposits, &b.deposits, |deposit| &deposit.kind) {
        match (before, after) {
            (Some(x), Some(y)) if x != y => {
                list.add(Effect::Changed, "fees/deposit", &x.kind, "the deposit is another one")
            }
            (Some(x), None) => list.add(Effect::Removed, "fees/deposit", &x.kind, "the deposit is no more"),
            (None, Some(y)) => {
                let says = format!("a new deposit, paid by the {}", y.payer.as_str());
                list.add(Effect::Added, "fees/deposit", &y.kind, says);
            }
            _ => {}
        }
    }
}

fn quotas(old: &[Quota], new: &[Quota], list: &mut List) {
    for (before, after) in pairs(old, new, |quota| &quota.name) {
        match (before, after) {
            (Some(a), Some(b)) => {
                let limits = (i64::from(a.limit), i64::from(b.limit));
                list.number("quota/limit", &a.name, "placements", limits, Effect::Loosened);
                if (a.from, a.until, &a.areas, &a.occupations) != (b.from, b.until, &b.areas, &b.occupations) {
                    list.add(Effect::Changed, "quota/scope", &a.name, "it covers other days, areas or occupations");
                }
            }
            (Some(a), None) => list.add(Effect::Loosened, "quota/removed", &a.name, "the quota is no more"),
            (None, Some(b)) => {
                list.add(Effect::Tightened, "quota/added", &b.name, format!("a new quota of {} placements", b.limit));
            }
            (None, None) => {}
        }
    }
}

fn gates(old: &[GateConfig], new: &[GateConfig], list: &mut List) {
    for (before, after) in pairs(old, new, |gate| &gate.name) {
        let (Some(a), Some(b)) = (before, after) else { continue };
        if (&a.fact, &a.absent) != (&b.fact, &b.absent) {
            list.add(Effect::Changed, "gate/fact", &a.name, "it asks for another fact");
        }
        optional(list, "gate/within", &a.name, "days", (a.within_days, b.within_days));
        optional(list, "gate/at-most", &a.name, "facts", (a.at_most, b.at_most));
        match (&a.only_if, &b.only_if) {
            (x, y) if x == y => {}
            (None, Some(_)) => list.add(Effect::Loosened, "gate/only-if", &a.name, "it holds in some cases only"),
            (Some(_), None) => list.add(Effect::Tightened, "gate/only-if", &a.name, "it holds in every case"),
            _ => list.add(Effect::Changed, "gate/only-if", &a.name, "it holds in other cases"),
        }
    }
}

/// A limit that may be absent: then there is none.
fn optional(list: &mut List, rule: &'static str, name: &str, unit: &str, pair: (Option<u32>, Option<u32>)) {
    match pair {
        (Some(a), Some(b)) => list.number(rule, name, unit, (i64::from(a), i64::from(b)), Effect::Loosened),
        (None, Some(b)) => list.add(Effect::Tightened, rule, name, format!("now within {b} {unit}")),
        (Some(a), None) => list.add(Effect::Loosened, rule, name, format!("no longer within {a} {unit}")),
        (None, None) => {}
    }
}

fn deadlines(old: &[DeadlineConfig], new: &[DeadlineConfig], list: &mut List) {
    for (before, after) in pairs(old, new, |deadline| &deadline.name) {
        match (before, after) {
            (Some(a), Some(b)) => {
                let days = (i64::from(a.days), i64::from(b.days));
                list.number("deadline/days", &a.name, "days", days, Effect::Loosened);
                list.plain(
                    "deadline/acts",
                    &a.name,
                    format!("{} {}", a.after, a.fact),
                    format!("{} {}", b.after, b.fact),
                );
            }
            (Some(a), None) => list.add(Effect::Loosened, "deadline/removed", &a.name, "the deadline is no more"),
            (None, Some(b)) => {
                let says = format!("a new deadline: {} within {} days after {}", b.fact, b.days, b.after);
                list.add(Effect::Tightened, "deadline/added", &b.name, says);
            }
            (None, None) => {}
        }
    }
}
