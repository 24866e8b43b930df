//! The matrix of an agreement (matriz): which registry field crosses in which message, from which stage on, which way,
//! how reduced, and how long it is kept. Generated from the plans that project records, so that it cannot differ.

use crate::lifecycle::{Lifecycle, Role};
use crate::pack::Pack;
use crate::plan::Transform;

/// One field that may cross.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Registry path that it is built from.
    pub source: String,
    /// How it is reduced: `whole`, `year` or `last four`.
    pub reduction: &'static str,
    /// Message that carries it, by its short name.
    pub message: String,
    /// Field of the message.
    pub field: String,
    /// Stage from which it may cross.
    pub stage: String,
    /// Place of that stage among [`Matrix::stages`].
    pub stage_index: usize,
    /// Roles whose acts carry it.
    pub by: Vec<Role>,
    /// Acts that carry it.
    pub acts: Vec<String>,
    /// Retention class.
    pub class: String,
    /// Months after the placement's end, 0 for ever.
    pub months: u32,
}

/// All fields that may cross.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Disclosure stages, in order.
    pub stages: Vec<String>,
    /// Rows, by stage, message and number of the field.
    pub rows: Vec<Row>,
}

impl Row {
    /// Which way it crosses.
    #[must_use]
    pub fn direction(&self) -> &'static str {
        match (self.by.contains(&Role::Origin), self.by.contains(&Role::Destination)) {
            (true, true) => "both ways",
            (true, false) => "origin to destination",
            (false, true) => "destination to origin",
            (false, false) => "never carried",
        }
    }

    /// How long it is kept, for people.
    #[must_use]
    pub fn kept(&self) -> String {
        if self.months == 0 { "for ever".to_owned() } else { format!("{} months", self.months) }
    }
}

impl Matrix {
    /// Of a pack.
    #[must_use]
    pub fn of(pack: &Pack) -> Self {
        let lifecycle = pack.lifecycle();
        let mut rows = Vec::new();
        for plan in pack.messages() {
            let (acts, by) = carriers(lifecycle, plan.name());
            let months = pack.retention().class(&plan.class).map_or(0, |class| class.months);
            for field in &plan.fields {
                rows.push(Row {
                    source: field.source.as_str().to_owned(),
                    reduction: match field.transform {
                        Transform::Copy => "whole",
                        Transform::Year => "year",
                        Transform::LastFour => "last four",
                    },
                    message: plan.descriptor.name().to_owned(),
                    field: field.field.name().to_owned(),
                    stage: lifecycle.stage_name(field.stage).to_owned(),
                    stage_index: field.stage.index(),
                    by: by.clone(),
                    acts: acts.clone(),
                    class: plan.class.clone(),
                    months,
                });
            }
        }
        rows.sort_by(|a, b| (a.stage_index, &a.message).cmp(&(b.stage_index, &b.message)));
        Self { stages: lifecycle.stages.clone(), rows }
    }

    /// As comma-separated values: a line of names, then a line for each field, with a column for each stage that holds
    /// `x` where the field may cross.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let names = ["source", "reduction", "message", "field", "direction", "acts", "class", "kept"];
        let mut out =
            names.map(str::to_owned).into_iter().chain(self.stages.iter().cloned()).collect::<Vec<_>>().join(",");
        out.push('\n');
        for row in &self.rows {
            let mut cells = vec![
                row.source.clone(),
                row.reduction.to_owned(),
                row.message.clone(),
                row.field.clone(),
                row.direction().to_owned(),
                row.acts.join(" "),
                row.class.clone(),
                row.kept(),
            ];
            let crosses = |index: usize| if index >= row.stage_index { "x" } else { "" };
            cells.extend((0..self.stages.len()).map(|index| crosses(index).to_owned()));
            // No cell holds a comma, a quote or a line break: names and paths are plain, the rest is written here.
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }
}

/// The acts whose records carry a message, and who issues them.
fn carriers(lifecycle: &Lifecycle, message: &str) -> (Vec<String>, Vec<Role>) {
    let of = |messages: &[std::sync::Arc<str>]| messages.iter().any(|name| **name == *message);
    let transitions = lifecycle.transitions.iter().filter(|act| of(&act.messages)).map(|act| (&act.name, vec![act.by]));
    let facts = lifecycle.facts.iter().filter(|act| of(&act.messages)).map(|act| (&act.name, vec![act.by]));
    let notices =
        lifecycle.notices.iter().filter(|act| *act.message == *message).map(|act| (&act.name, act.by.clone()));
    let (mut names, mut roles) = (Vec::new(), Vec::new());
    for (name, by) in transitions.chain(facts).chain(notices) {
        names.push(name.clone());
        roles.extend(by);
    }
    roles.sort_unstable();
    roles.dedup();
    (names, roles)
}
