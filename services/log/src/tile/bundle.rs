//! Entry bundles, tlog-tiles §Log entries: big-endian u16 length, then the entry.

use crate::{Hash, leaf_hash};

/// Bytes of the longest entry that a bundle can carry.
pub const MAX_ENTRY_LEN: usize = u16::MAX as usize;

/// Why entries could not be bundled, or a bundle not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// An entry is longer than 65,535 bytes.
    #[error("entry of {0} bytes is above 65535")]
    EntryTooLong(usize),
    /// The bundle ends inside an entry or before the last of them.
    #[error("entry bundle ends early, after {0} entries")]
    Truncated(u16),
    /// Bytes follow the last entry.
    #[error("bytes follow the last entry of the bundle")]
    Trailing,
}

/// Appends one entry to a bundle.
///
/// # Errors
/// [`BundleError::EntryTooLong`]; the bundle is then as before.
pub fn append_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len()).map_err(|_| BundleError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The bundle of these entries.
///
/// # Errors
/// [`BundleError::EntryTooLong`].
pub fn encode_bundle<'a, I>(entries: I) -> Result<Vec<u8>, BundleError>
where
    I: IntoIterator<Item = &'a [u8]>,
{
    let mut bundle = Vec::new();
    for entry in entries {
        append_entry(&mut bundle, entry)?;
    }
    Ok(bundle)
}

/// Splits a bundle into its entries; it must hold exactly `width` of them and nothing else.
///
/// # Errors
/// [`BundleError::Truncated`] or [`BundleError::Trailing`].
pub fn parse_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let mut rest = bundle;
    let mut entries = Vec::with_capacity(usize::from(width.min(super::TILE_WIDTH)));
    for count in 0..width {
        let (length, after) = rest.split_first_chunk().ok_or(BundleError::Truncated(count))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(BundleError::Truncated(count))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(BundleError::Trailing) }
}

/// The leaf hashes of a bundle of exactly `width` entries: what its level 0 tile must hold.
///
/// # Errors
/// As [`parse_bundle`].
pub fn bundle_leaves(bundle: &[u8], width: u16) -> Result<Vec<Hash>, BundleError> {
    Ok(parse_bundle(bundle, width)?.into_iter().map(leaf_hash).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_as_specified() {
        let bundle = encode_bundle([&b"abc"[..], b"", b"z"]).unwrap();
        assert_eq!(bundle, b"\x00\x03abc\x00\x00\x00\x01z");
        assert_eq!(parse_bundle(&bundle, 3).unwrap(), [&b"abc"[..], b"", b"z"]);
        assert_eq!(bundle_leaves(&bundle, 3).unwrap()[0], leaf_hash(b"abc"));
    }

    #[test]
    fn parsing_is_exact() {
        let bundle = encode_bundle([&b"abc"[..], b"z"]).unwrap();
        assert_eq!(parse_bundle(&bundle, 1), Err(BundleError::Trailing));
        assert_eq!(parse_bundle(&bundle, 3), Err(BundleError::Truncated(2)));
        for cut in 0..bundle.len() {
            assert!(parse_bundle(&bundle[..cut], 2).is_err(), "{cut}");
        }
    }

    #[test]
    fn longest_entry() {
        let longest = vec![1; MAX_ENTRY_LEN];
        let bundle = encode_bundle([longest.as_slice()]).unwrap();
        assert_eq!(parse_bundle(&bundle, 1).unwrap(), [longest.as_slice()]);
        let mut untouched = vec![9];
        let refused = append_entry(&mut untouched, &vec![1; MAX_ENTRY_LEN + 1]);
        assert_eq!(refused, Err(BundleError::EntryTooLong(65_536)));
        assert_eq!(untouched, [9]);
    }
}
