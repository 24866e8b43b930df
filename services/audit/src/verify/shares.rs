//! What is written once in any order and taken up a small share at a time, in one file. The blocks of a share are a chain,
//! each with the place of the one before, so that in memory there is one place for each share.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::store::Heap;

/// Bytes that all writers gather together before they write.
const GATHERED: usize = 16 * 1024 * 1024;
/// Fewest and most bytes of a block, about.
const BLOCK: (usize, usize) = (1024, 16 * 1024);
/// Bytes at the beginning of a block: where the block before it lies, and how long it is.
const LINK: usize = 12;

/// Shares on disk.
pub(crate) struct Shares {
    heap: Heap,
    /// Bytes after which a writer writes a block.
    block: usize,
    /// The last block of each share; of length 0 where there is none.
    last: Vec<Mutex<(u64, u32)>>,
}

impl Shares {
    /// Shares that so many workers fill.
    pub(crate) fn create(path: &Path, shares: usize, workers: usize) -> io::Result<Self> {
        if path.exists() {
            std::fs::remove_file(path)?;
        }
        let shares = shares.max(1);
        let block = (GATHERED / shares / workers.max(1)).clamp(BLOCK.0, BLOCK.1);
        Ok(Self { heap: Heap::open(path)?, block, last: (0..shares).map(|_| Mutex::default()).collect() })
    }

    /// Their number.
    pub(crate) fn count(&self) -> usize {
        self.last.len()
    }

    pub(crate) fn writer(&self) -> Writer<'_> {
        Writer { shares: self, gathered: vec![Vec::new(); self.last.len()] }
    }

    /// Hands over everything of one share, block by block, in no order; what was put at once lies in one block.
    pub(crate) fn read(&self, share: usize, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let (mut at, mut length) = *self.last[share].lock().unwrap_or_else(PoisonError::into_inner);
        while length > 0 {
            let block = self.heap.read(at, length as usize)?;
            let (before, rest) = block.split_first_chunk::<8>().ok_or(io::ErrorKind::InvalidData)?;
            let (shorter, rest) = rest.split_first_chunk::<4>().ok_or(io::ErrorKind::InvalidData)?;
            (at, length) = (u64::from_le_bytes(*before), u32::from_le_bytes(*shorter));
            each(rest)?;
        }
        Ok(())
    }

    /// Writes a block, whose first bytes are left for its link.
    fn write(&self, share: usize, block: &mut [u8]) -> io::Result<()> {
        let mut last = self.last[share].lock().unwrap_or_else(PoisonError::into_inner);
        block[..8].copy_from_slice(&last.0.to_le_bytes());
        block[8..LINK].copy_from_slice(&last.1.to_le_bytes());
        let length = u32::try_from(block.len()).map_err(io::Error::other)?;
        *last = (self.heap.append(block)?, length);
        Ok(())
    }
}

/// Writes to the shares.
pub(crate) struct Writer<'s> {
    shares: &'s Shares,
    gathered: Vec<Vec<u8>>,
}

impl Writer<'_> {
    /// Adds to a share what `put` appends.
    pub(crate) fn push(&mut self, share: usize, put: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        let block = &mut self.gathered[share];
        if block.is_empty() {
            block.resize(LINK, 0);
        }
        put(block)?;
        if block.len() >= self.shares.block {
            self.shares.write(share, block)?;
            block.clear();
        }
        Ok(())
    }

    /// Writes what is left.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let mut left = self.gathered.iter_mut().enumerate().filter(|(_, block)| !block.is_empty());
        left.try_for_each(|(share, block)| self.shares.write(share, block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_back_once_from_its_share() {
        let dir = tempfile::TempDir::new().unwrap();
        let shares = Shares::create(&dir.path().join("shares"), 3, usize::MAX).unwrap();
        assert_eq!(shares.block, BLOCK.0);
        // One writer after the other, and one piece longer than any block: the blocks are chained.
        for worker in 0..4u8 {
            let mut writer = shares.writer();
            for number in 0..500u16 {
                let length = if number == 250 { 40_000u32 } else { 90 };
                let piece = |out: &mut Vec<u8>| {
                    out.push(worker);
                    out.extend_from_slice(&number.to_le_bytes());
                    out.extend_from_slice(&length.to_le_bytes());
                    out.extend(std::iter::repeat_n(7, length as usize));
                    Ok(())
                };
                writer.push(usize::from(number % 3), piece).unwrap();
            }
            writer.finish().unwrap();
        }
        let mut found = Vec::new();
        for share in 0..shares.count() {
            let mut blocks = 0;
            let read = shares.read(share, |mut block| {
                blocks += 1;
                while let [worker, a, b, l0, l1, l2, l3, rest @ ..] = block {
                    let number = u16::from_le_bytes([*a, *b]);
                    assert_eq!(usize::from(number % 3), share);
                    found.push((*worker, number));
                    block = &rest[u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize..];
                }
                Ok(())
            });
            read.unwrap();
            assert!(blocks > 40, "{blocks}");
        }
        found.sort_unstable();
        let all: Vec<(u8, u16)> = (0..4).flat_map(|worker| (0..500).map(move |number| (worker, number))).collect();
        assert_eq!(found, all);
    }
}
