//! Update masks over the top-level fields of a record.

use convenio_agreement::plan::Record;
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor};
use prost_types::FieldMask;

use crate::error::{RegistryError, Violation};

/// `base` with the fields of `patch` that `mask` names; without a mask, or by `*`, `patch` as it is.
pub(crate) fn merge<R: Record + Default + Clone>(
    mask: Option<&FieldMask>,
    base: &R,
    patch: &R,
) -> Result<R, RegistryError> {
    let descriptor = R::ROOT.descriptor();
    let Some(fields) = fields(descriptor, mask)? else { return Ok(patch.clone()) };
    let broken = |_| RegistryError::Internal("the contract's descriptors");
    let dynamic = |record: &R| DynamicMessage::decode(descriptor.clone(), record.encode_to_vec().as_slice());
    let mut merged = dynamic(base).map_err(broken)?;
    let patch = dynamic(patch).map_err(broken)?;
    for field in fields {
        if patch.has_field(&field) {
            merged.set_field(&field, patch.get_field(&field).into_owned());
        } else {
            merged.clear_field(&field);
        }
    }
    R::decode(merged.encode_to_vec().as_slice()).map_err(broken)
}

/// Whether the mask stands for the whole record.
pub(crate) fn is_whole(mask: Option<&FieldMask>) -> bool {
    mask.is_none_or(|mask| mask.paths.is_empty() || mask.paths.iter().any(|path| path == "*"))
}

/// The fields that a mask names; `None` for the whole record.
fn fields(
    descriptor: &MessageDescriptor,
    mask: Option<&FieldMask>,
) -> Result<Option<Vec<FieldDescriptor>>, RegistryError> {
    let Some(mask) = mask.filter(|mask| !is_whole(Some(mask))) else { return Ok(None) };
    let (mut named, mut unknown) = (Vec::new(), Vec::new());
    for (index, path) in mask.paths.iter().enumerate() {
        match descriptor.get_field_by_name(path) {
            Some(field) => named.push(field),
            None => unknown.push(Violation::new(format!("update_mask.paths[{index}]"), "no field of the record")),
        }
    }
    if unknown.is_empty() { Ok(Some(named)) } else { Err(RegistryError::Invalid(unknown)) }
}

#[cfg(test)]
mod tests {
    use convenio_wire::registry::v1::{Employer, ExternalId};

    use super::*;

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask { paths: paths.iter().map(|p| (*p).to_owned()).collect() })
    }

    fn base() -> Employer {
        Employer {
            legal_name: "Old".into(),
            tax_id: "1".into(),
            eligible: true,
            external_ids: vec![ExternalId { system: "a".into(), value: "1".into() }],
            ..Employer::default()
        }
    }

    #[test]
    fn only_named_fields_change_and_unset_ones_are_cleared() {
        let patch = Employer { legal_name: "New".into(), tax_id: "2".into(), ..Employer::default() };
        let merged = merge(mask(&["legal_name", "eligible"]).as_ref(), &base(), &patch).unwrap();
        let expected = Employer { legal_name: "New".into(), eligible: false, ..base() };
        assert_eq!(merged, expected);
        let merged = merge(mask(&["external_ids"]).as_ref(), &base(), &patch).unwrap();
        assert_eq!(merged, Employer { external_ids: Vec::new(), ..base() });
    }

    #[test]
    fn no_mask_is_the_whole_record() {
        let patch = Employer { legal_name: "New".into(), ..Employer::default() };
        for mask in [None, mask(&[]), mask(&["*"])] {
            assert_eq!(merge(mask.as_ref(), &base(), &patch).unwrap(), patch);
        }
    }

    #[test]
    fn an_unknown_field_is_told_by_its_place() {
        let error = merge(mask(&["legal_name", "place.locality", "nope"]).as_ref(), &base(), &base()).unwrap_err();
        let fields: Vec<_> = error.violations().iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["update_mask.paths[1]", "update_mask.paths[2]"]);
    }
}
