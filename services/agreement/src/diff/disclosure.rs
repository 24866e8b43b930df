//! Which fields newly cross, earlier or less reduced, and which terms are compared.

use std::collections::BTreeMap;

use super::{Effect, List};
use crate::matrix::{Matrix, Row};
use crate::pack::Pack;
use crate::plan::Compare;

pub(super) fn compare(from: &Pack, to: &Pack, list: &mut List) {
    let (old, new) = (by_source(from), by_source(to));
    for (source, rows) in &new {
        match old.get(source) {
            None => {
                for row in rows {
                    let says = format!(
                        "newly crosses from {} on, {} in {}, kept {}",
                        row.stage,
                        row.direction(),
                        row.message,
                        row.kept()
                    );
                    list.add(Effect::Loosened, "disclosure/new", source, says);
                }
            }
            Some(before) => widened(source, before, rows, to, list),
        }
    }
    for source in old.keys().filter(|source| !new.contains_key(*source)) {
        list.add(Effect::Tightened, "disclosure/gone", source, "no longer crosses");
    }
    compared(from, to, list);
}

fn by_source(pack: &Pack) -> BTreeMap<String, Vec<Row>> {
    let mut sources: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in Matrix::of(pack).rows {
        sources.entry(row.source.clone()).or_default().push(row);
    }
    sources
}

/// Whether a field that crossed before crosses earlier, whole or the other way now.
fn widened(source: &str, old: &[Row], new: &[Row], to: &Pack, list: &mut List) {
    // Stages are told apart by name, and ordered as the new version orders them.
    let place = |row: &Row| to.lifecycle().stages.iter().position(|stage| *stage == row.stage).unwrap_or(usize::MAX);
    let (first_old, first_new) = (old.iter().min_by_key(|row| place(row)), new.iter().min_by_key(|row| place(row)));
    if let (Some(a), Some(b)) = (first_old, first_new)
        && a.stage != b.stage
    {
        let (effect, word) =
            if place(b) < place(a) { (Effect::Loosened, "earlier") } else { (Effect::Tightened, "later") };
        list.add(
            effect,
            "disclosure/stage",
            source,
            format!("crosses {word}: from {} on, no longer from {}", b.stage, a.stage),
        );
    }
    let whole = |rows: &[Row]| rows.iter().any(|row| row.reduction == "whole");
    match (whole(old), whole(new)) {
        (false, true) => list.add(Effect::Loosened, "disclosure/reduction", source, "crosses whole, no longer reduced"),
        (true, false) => list.add(Effect::Tightened, "disclosure/reduction", source, "crosses reduced only"),
        _ => {}
    }
    for row in new.iter().filter(|row| !old.iter().any(|before| before.message == row.message)) {
        let says = format!("is also carried by {}, {}", row.message, row.direction());
        list.add(Effect::Loosened, "disclosure/message", source, says);
    }
    for row in new {
        let newly = |before: &&Row| before.message == row.message && before.by != row.by;
        if let Some(before) = old.iter().find(newly) {
            let says = format!("in {}: {}, before {}", row.message, row.direction(), before.direction());
            list.add(Effect::Changed, "disclosure/direction", source, says);
        }
    }
}

/// Terms that are compared for the worker.
fn compared(from: &Pack, to: &Pack, list: &mut List) {
    let terms = |pack: &Pack| -> BTreeMap<(String, String), Compare> {
        let fields = pack.messages().flat_map(|plan| plan.fields.iter().map(move |field| (plan, field)));
        let named = fields.map(|(plan, field)| {
            ((plan.descriptor.name().to_owned(), field.source.as_str().to_owned()), field.compare)
        });
        named.collect()
    };
    let (old, new) = (terms(from), terms(to));
    for ((message, source), before) in &old {
        let Some(now) = new.get(&(message.clone(), source.clone())) else { continue };
        let (effect, says) = match (before, now) {
            (a, b) if a == b => continue,
            (Compare::Never, _) => (Effect::Tightened, "is compared now"),
            (_, Compare::Never) => (Effect::Loosened, "is no longer compared: it may become worse unseen"),
            _ => (Effect::Changed, "is compared otherwise"),
        };
        list.add(effect, "terms/compare", source, format!("in {message}, {says}"));
    }
}
