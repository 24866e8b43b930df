//! How a pack changes what it imports (`[use]`): it leaves things out and adds gates; it cannot take gates off an act.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::merge::{identity, plain};
use super::origin::Misplaced;

/// Most things left out, and most acts with added gates.
const MAX_CHANGES: usize = 64;

/// `[use]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Use {
    /// What of the fragments is left out: `transition.`, `fact.`, `notice.`, `state.`, `gate.` or `deadline.` and a name.
    #[serde(default)]
    drop: Vec<Spanned<String>>,
    /// Gates that an act has besides its own, by the act's name.
    #[serde(default)]
    require: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
}

/// Where each kind of thing that can be left out is listed.
const KINDS: [(&str, &[&str]); 6] = [
    ("transition", &["lifecycle", "transitions"]),
    ("fact", &["lifecycle", "facts"]),
    ("notice", &["lifecycle", "notices"]),
    ("state", &["lifecycle", "states"]),
    ("gate", &["gates"]),
    ("deadline", &["deadlines"]),
];

/// Applies `uses` to the merged document; what stands at `own` or after it is the pack's own.
pub(super) fn apply(table: &mut DeTable<'_>, uses: &Use, own: usize) -> Result<(), Misplaced> {
    if uses.drop.len() > MAX_CHANGES || uses.require.len() > MAX_CHANGES {
        return Err(plain(own, "use", format!("changes more than {MAX_CHANGES} things")));
    }
    for what in &uses.drop {
        leave_out(table, what, own)?;
    }
    for (act, gates) in &uses.require {
        require(table, act, gates)?;
    }
    Ok(())
}

fn leave_out(table: &mut DeTable<'_>, what: &Spanned<String>, own: usize) -> Result<(), Misplaced> {
    let refused = |problem: &str| plain(what.span().start, "use.drop", format!("`{}` {problem}", what.get_ref()));
    let (kind, name) = what.get_ref().split_once('.').unwrap_or_default();
    let (_, path) = KINDS.iter().find(|(known, _)| *known == kind).ok_or_else(|| {
        refused("must be transition, fact, notice, state, gate or deadline with a name, as in transition.transfer")
    })?;
    let list = list(table, path).ok_or_else(|| refused("is not there"))?;
    let index = list.iter().position(|entry| identity(entry.get_ref()) == Some(name));
    let index = index.ok_or_else(|| refused("is not there"))?;
    if list.get(index).is_some_and(|entry| entry.span().start >= own) {
        return Err(refused("is the pack's own; do not write it"));
    }
    let mut at = 0..;
    keep(list, |_| at.next() != Some(index));
    forget(table, kind, name);
    Ok(())
}

/// Takes what was left out off the lists that name it. Who else refers to it is told by the checks that follow.
fn forget(table: &mut DeTable<'_>, kind: &str, name: &str) {
    let mut from = |path: &[&str]| {
        if let Some(list) = list(table, path) {
            keep(list, |entry| !is_or_holds(entry, name));
        }
    };
    match kind {
        "state" => {
            from(&["lifecycle", "holds_seat"]);
            from(&["retention", "ended"]);
            for entry in list(table, &["lifecycle", "transitions"]).into_iter().flat_map(|list| list.iter_mut()) {
                if let DeValue::Table(act) = entry.get_mut()
                    && let Some(from) = list_of(act, "from")
                {
                    keep(from, |state| !is_or_holds(state, name));
                }
            }
        }
        "fact" => {
            from(&["lifecycle", "frees_seat"]);
            from(&["lifecycle", "contradictions"]);
        }
        "transition" => from(&["suspension", "still"]),
        _ => {}
    }
}

/// Leaves out the entries that `kept` refuses.
fn keep<'a>(list: &mut DeArray<'a>, mut kept: impl FnMut(&DeValue<'a>) -> bool) {
    let entries = std::mem::replace(list, DeArray::new());
    *list = entries.into_iter().filter(|entry| kept(entry.get_ref())).collect();
}

/// Whether an entry is `name`, or a pair with it.
fn is_or_holds(entry: &DeValue<'_>, name: &str) -> bool {
    match entry {
        DeValue::Array(pair) => pair.iter().any(|of| of.get_ref().as_str() == Some(name)),
        of => of.as_str() == Some(name),
    }
}

fn require(table: &mut DeTable<'_>, act: &Spanned<String>, gates: &[Spanned<String>]) -> Result<(), Misplaced> {
    let refused = |at: usize, problem: String| plain(at, "use.require", problem);
    for path in [&["lifecycle", "transitions"], &["lifecycle", "facts"]] {
        let acts = list(table, path).into_iter().flat_map(|list| list.iter_mut());
        let found = acts.into_iter().find(|entry| identity(entry.get_ref()) == Some(act.get_ref().as_str()));
        let Some(DeValue::Table(entry)) = found.map(Spanned::get_mut) else { continue };
        if !entry.contains_key("gates") {
            let key = Spanned::new(act.span(), DeString::from("gates"));
            entry.insert(key, Spanned::new(act.span(), DeValue::Array(DeArray::default())));
        }
        let list = list_of(entry, "gates").ok_or_else(|| refused(act.span().start, "has no list of gates".into()))?;
        for gate in gates {
            if list.iter().any(|there| there.get_ref().as_str() == Some(gate.get_ref())) {
                let problem = format!("`{}` already has the gate `{}`", act.get_ref(), gate.get_ref());
                return Err(refused(gate.span().start, problem));
            }
            list.push(Spanned::new(gate.span(), DeValue::String(DeString::from(gate.get_ref().clone()))));
        }
        return Ok(());
    }
    Err(refused(act.span().start, format!("no transition or fact `{}`", act.get_ref())))
}

/// The array at a path of the document.
fn list<'t, 'a>(table: &'t mut DeTable<'a>, path: &[&str]) -> Option<&'t mut DeArray<'a>> {
    let (last, steps) = path.split_last()?;
    let mut table = table;
    for step in steps {
        let DeValue::Table(inner) = table.get_mut(*step)?.get_mut() else { return None };
        table = inner;
    }
    list_of(table, last)
}

fn list_of<'t, 'a>(table: &'t mut DeTable<'a>, key: &str) -> Option<&'t mut DeArray<'a>> {
    match table.get_mut(key)?.get_mut() {
        DeValue::Array(array) => Some(array),
        _ => None,
    }
}
