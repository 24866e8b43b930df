//! How long data is kept, who may see that the logs are as they were, who signs off.

use super::{Effect, List};
use crate::config::{Independent, RetentionClass};
use crate::pack::Pack;

pub(super) fn compare(from: &Pack, to: &Pack, list: &mut List) {
    let (old, new) = (from.retention(), to.retention());
    for (name, class) in &old.classes {
        match new.class(name) {
            Some(now) => same_class(name, class, now, list),
            None => list.add(Effect::Removed, "retention/class", name, "the class is no more"),
        }
    }
    for name in new.classes.keys().filter(|name| old.class(name).is_none()) {
        list.add(Effect::Added, "retention/class", name, "a new class");
    }
    let classes = |pack: &Pack| -> Vec<(String, String)> {
        pack.messages().map(|plan| (plan.descriptor.name().to_owned(), plan.class.clone())).collect()
    };
    let now = classes(to);
    for (message, class) in classes(from) {
        if let Some((_, other)) = now.iter().find(|(name, _)| *name == message) {
            list.plain("retention/message", &message, class, other);
        }
    }
    let days = (i64::from(old.erase_answer_days), i64::from(new.erase_answer_days));
    list.number("deadline/erase", "retention.erase_answer_days", "days", days, Effect::Loosened);
    let months = (i64::from(old.longest_hold_months), i64::from(new.longest_hold_months));
    list.number("retention/hold", "retention.longest_hold_months", "months", months, Effect::Loosened);
    list.set("retention/grounds", "retention.grounds", (&old.grounds, &new.grounds), Effect::Changed);
    let holds = (old.hold_grounds.as_slice(), new.hold_grounds.as_slice());
    list.set("retention/hold-grounds", "retention.hold_grounds", holds, Effect::Loosened);
    list.set("retention/ended", "retention.ended", (&old.ended, &new.ended), Effect::Changed);
    data(from, to, list);
    witnesses(from, to, list);
    sign_offs(from, to, list);
}

fn same_class(name: &str, old: &RetentionClass, new: &RetentionClass, list: &mut List) {
    // Kept for ever is more than any number of months.
    let months = |class: &RetentionClass| if class.for_ever() { i64::MAX } else { i64::from(class.months) };
    match (old.for_ever(), new.for_ever()) {
        (true, false) => {
            list.add(Effect::Tightened, "retention/months", name, format!("{} months, no longer for ever", new.months))
        }
        (false, true) => list.add(Effect::Loosened, "retention/months", name, "kept for ever"),
        (true, true) => {}
        (false, false) => list.number("retention/months", name, "months", (months(old), months(new)), Effect::Loosened),
    }
    let least = (i64::from(old.minimum_months), i64::from(new.minimum_months));
    list.number("retention/minimum", name, "months before which an ERASE is refused", least, Effect::Loosened);
}

fn data(from: &Pack, to: &Pack, list: &mut List) {
    let (Some(a), Some(b)) = (&from.config().data, &to.config().data) else { return };
    let hours = (i64::from(a.breach_notice_hours), i64::from(b.breach_notice_hours));
    list.number("deadline/breach", "data.breach_notice_hours", "hours", hours, Effect::Loosened);
    let days = (i64::from(a.subject_rights_days), i64::from(b.subject_rights_days));
    list.number("deadline/rights", "data.subject_rights_days", "days", days, Effect::Loosened);
    list.plain("data/basis", "data.transfer_basis", &a.transfer_basis, &b.transfer_basis);
    if a.controllers != b.controllers {
        list.add(Effect::Changed, "data/controllers", "data.controllers", "other offices answer for the data");
    }
}

fn witnesses(from: &Pack, to: &Pack, list: &mut List) {
    let (a, b) = (&from.config().witness, &to.config().witness);
    match (a.independent, b.independent) {
        (Independent::Required, Independent::None) => {
            list.add(Effect::Loosened, "witness/independent", "witness", "no third witness is required any more");
        }
        (Independent::None, Independent::Required) => {
            list.add(Effect::Tightened, "witness/independent", "witness", "third witnesses are required");
        }
        _ => {}
    }
    if let (Some(x), Some(y)) = (a.quorum, b.quorum) {
        list.number("witness/quorum", "witness.quorum", "witnesses", (i64::from(x), i64::from(y)), Effect::Tightened);
    }
    if a.keys != b.keys {
        list.add(Effect::Changed, "witness/keys", "witness.keys", "other witnesses");
    }
}

fn sign_offs(from: &Pack, to: &Pack, list: &mut List) {
    let (old, new) = (&from.config().sign_off, &to.config().sign_off);
    for (party, before) in old {
        let subject = format!("sign_off.{party}");
        let Some(now) = new.get(party) else {
            list.add(Effect::Loosened, "sign-off/removed", subject, "no office signs off any more");
            continue;
        };
        let least = (i64::from(before.k), i64::from(now.k));
        list.number("sign-off/k", &subject, "offices", least, Effect::Tightened);
        list.set("sign-off/must", &subject, (&before.must, &now.must), Effect::Tightened);
        list.set("sign-off/offices", &subject, (&before.offices, &now.offices), Effect::Changed);
    }
    for party in new.keys().filter(|party| !old.contains_key(*party)) {
        list.add(Effect::Tightened, "sign-off/added", format!("sign_off.{party}"), "offices sign off before the root");
    }
}
