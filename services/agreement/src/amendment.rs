//! Amendments (enmiendas): a version that replaces another while placements go on. What is in flight is judged by the version
//! under which it was issued and goes on under the next, so nothing that a record or a view can name may vanish.

use std::collections::HashSet;

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

use crate::pack::Pack;

/// Why a version cannot replace another. Names, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAmendment {
    /// It does not name the other's digest in `amends`.
    #[error("it does not amend that version")]
    OtherVersion,
    /// It is another agreement.
    #[error("it is another agreement")]
    OtherAgreement,
    /// The parties, their roles or countries differ.
    #[error("its parties are others")]
    Parties,
    /// A state is gone, or another party governs it.
    #[error("state {0} is not kept with its governor")]
    State(String),
    /// The stages do not begin with the other's, in their order.
    #[error("stage {0} is not kept in its place")]
    Stage(String),
    /// A retention class is gone.
    #[error("retention class {0} is not kept")]
    Class(String),
    /// A message is gone.
    #[error("message {0} is not kept")]
    Message(String),
    /// A field is gone, or has another name or type.
    #[error("field {0} is not kept as it is on the wire")]
    Field(String),
}

impl Pack {
    /// Digest of the version that this one replaces; none for the first.
    #[must_use]
    pub fn amends(&self) -> Option<[u8; 32]> {
        self.config().amended()
    }

    /// Whether this version may replace `before`: the same agreement of the same parties, with every state and its governor,
    /// the stages in their places (new ones come last), every retention class, and every message with its fields.
    ///
    /// # Errors
    /// The first [`NoAmendment`].
    pub fn may_replace(&self, before: &Self) -> Result<(), NoAmendment> {
        if self.amends() != Some(before.digest()) {
            return Err(NoAmendment::OtherVersion);
        }
        if self.id() != before.id() {
            return Err(NoAmendment::OtherAgreement);
        }
        let party = |pack: &Self| {
            let known = pack.parties().iter().map(|party| (party.id.clone(), party.country.clone(), party.role));
            let mut known: Vec<_> = known.collect();
            known.sort_by(|a, b| a.0.cmp(&b.0));
            known
        };
        if party(self) != party(before) {
            return Err(NoAmendment::Parties);
        }
        keeps_lifecycle(self, before)?;
        let gone = before.retention().classes.keys().find(|class| self.retention().class(class).is_none());
        if let Some(class) = gone {
            return Err(NoAmendment::Class(class.clone()));
        }
        let mut seen = HashSet::new();
        before.messages().try_for_each(|plan| keeps_message(self, &plan.descriptor, &mut seen))
    }
}

fn keeps_lifecycle(now: &Pack, before: &Pack) -> Result<(), NoAmendment> {
    let (now, before) = (now.lifecycle(), before.lifecycle());
    for state in &before.states {
        let kept = now.states.iter().find(|kept| kept.name == state.name);
        let same = kept.is_some_and(|kept| {
            kept.governor == state.governor && now.stage_name(kept.stage) == before.stage_name(state.stage)
        });
        if !same {
            return Err(NoAmendment::State(state.name.clone()));
        }
    }
    let first = before.state_name(before.first_crossing);
    if now.state_name(now.first_crossing) != first {
        return Err(NoAmendment::State(first.to_owned()));
    }
    // Views keep the place of a stage, not its name.
    let moved = before.stages.iter().zip(now.stages.iter().map(Some).chain(std::iter::repeat(None)));
    match moved.into_iter().find(|(stage, kept)| *kept != Some(*stage)) {
        Some((stage, _)) => Err(NoAmendment::Stage(stage.clone())),
        None => Ok(()),
    }
}

/// A message and what it holds, as it is on the wire and in JSON: more may be added, nothing taken away.
fn keeps_message(now: &Pack, message: &MessageDescriptor, seen: &mut HashSet<String>) -> Result<(), NoAmendment> {
    if !seen.insert(message.full_name().to_owned()) {
        return Ok(());
    }
    let gone = || NoAmendment::Message(message.full_name().to_owned());
    let kept = now.pool().get_message_by_name(message.full_name()).ok_or_else(gone)?;
    for field in message.fields() {
        let changed = || NoAmendment::Field(field.full_name().to_owned());
        let kept = kept.get_field(field.number()).filter(|kept| same(kept, &field)).ok_or_else(changed)?;
        if let (Kind::Enum(before), Kind::Enum(now)) = (field.kind(), kept.kind())
            && before.values().any(|value| now.get_value(value.number()).is_none_or(|kept| kept.name() != value.name()))
        {
            return Err(changed());
        }
        if let Kind::Message(held) = field.kind() {
            keeps_message(now, &held, seen)?;
        }
    }
    Ok(())
}

fn same(now: &FieldDescriptor, before: &FieldDescriptor) -> bool {
    let list = |field: &FieldDescriptor| field.cardinality() == Cardinality::Repeated;
    let held = |field: &FieldDescriptor| match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(of) => of.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    };
    now.json_name() == before.json_name() && list(now) == list(before) && held(now) == held(before)
}
