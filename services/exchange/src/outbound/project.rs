//! Projection: the agreement's messages, built from registry records, with only the fields that the stage discloses.

use convenio_agreement::act::Content;
use convenio_agreement::lifecycle::StageId;
use convenio_agreement::pack::Pack;
use convenio_agreement::plan::{ProjectError, Sources};

/// Builds the messages of an act, in order.
///
/// # Errors
/// The field paths, in registry terms, that the agreement's rules refuse.
pub fn project<'m>(
    pack: &Pack,
    messages: impl IntoIterator<Item = &'m str>,
    sources: &Sources,
    stage: StageId,
) -> Result<Vec<Content>, ProjectError> {
    messages
        .into_iter()
        .map(|name| {
            let message = pack.project(name, sources, stage)?;
            let doc = pack.read(name, &message).unwrap_or_default();
            Ok(Content { message_name: name.to_owned(), message, doc })
        })
        .collect()
}
