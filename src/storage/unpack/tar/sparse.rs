//! Sparse files: GNU's old format and PAX formats 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats").

use super::blocks::{Archive, BLOCK};
use super::entry::Entry;
use super::header::Header;
use super::malformed::bad;
use super::pax::{self, Records};
use crate::error::Result;
use crate::storage::holes::PIECES_MAX;
use std::io::BufRead;

/// Most pieces in a map, of which the last may be empty; one of that size is 48 MiB of archive.
const LISTED_MAX: usize = PIECES_MAX + 1;

impl<R: BufRead> Archive<R> {
    /// Finds out whether the file has holes, and where.
    pub(super) fn find_holes(&mut self, header: &Header<'_>, pax: &Records, entry: &mut Entry) -> Result<()> {
        let version = (pax.get(b"GNU.sparse.major"), pax.get(b"GNU.sparse.minor"));
        let map = if header.typeflag() == b'S' {
            entry.size = header.number(483, 12)?;
            self.old_map(header)?
        } else {
            let numbers = match version {
                (Some(b"1"), Some(b"0")) => self.map_in_data()?,
                (Some(b"0"), Some(b"0" | b"1")) | (None, None) => match pax.get(b"GNU.sparse.map") {
                    Some(map) => map.split(|b| *b == b',').map(pax::decimal).collect::<Result<_>>()?,
                    None => pax.sparse_pairs()?,
                },
                _ => return Err(bad("a sparse file of an unknown version")),
            };
            let sized = pax.number(b"GNU.sparse.realsize")?.or(pax.number(b"GNU.sparse.size")?);
            let sparse = version.0.is_some() || !numbers.is_empty();
            let (true, Some(size)) = (sparse, sized) else {
                return if sparse { Err(bad("a sparse file without a size")) } else { Ok(()) };
            };
            if let Some(name) = pax.get(b"GNU.sparse.name") {
                entry.path = name.to_vec();
            }
            entry.size = size;
            if numbers.len() % 2 != 0 {
                return Err(bad("a sparse map with half a piece"));
            }
            numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        };
        entry.sparse = Some(self.check_map(map, entry.size)?);
        Ok(())
    }

    /// Pieces ascend without overlap, end within the file, and account for every byte that is stored.
    fn check_map(&self, map: Vec<(u64, u64)>, size: u64) -> Result<Vec<(u64, u64)>> {
        let mut end = 0u64;
        let mut stored = 0u64;
        for (offset, length) in &map {
            let next = offset.checked_add(*length).filter(|n| *n <= size);
            let (true, Some(next)) = (*offset >= end, next) else {
                return Err(bad("a sparse map whose pieces overlap or leave the file"));
            };
            (end, stored) = (next, stored + length);
        }
        if stored == self.left {
            Ok(map)
        } else {
            Err(bad("a sparse map that does not match the stored data"))
        }
    }

    /// The old GNU format: four pieces in the header, more in blocks before the data.
    fn old_map(&mut self, header: &Header<'_>) -> Result<Vec<(u64, u64)>> {
        let mut map = Vec::new();
        let mut more = take_pieces(header, 386, 4, &mut map)? && header.0[482] != 0;
        while more {
            let mut block = [0u8; BLOCK];
            if !self.fill_block(&mut block)? {
                return Err(bad("it ends inside a sparse map"));
            }
            more = take_pieces(&Header(&block), 0, 21, &mut map)? && block[504] != 0;
            if map.len() > LISTED_MAX {
                return Err(bad("a sparse map with too many pieces"));
            }
        }
        Ok(map)
    }

    /// Format 1.0: the map stands in front of the data, as decimal lines, padded to a block.
    fn map_in_data(&mut self) -> Result<Vec<u64>> {
        let mut taken = 0usize;
        let count = usize::try_from(self.line(&mut taken)?).unwrap_or(usize::MAX);
        if count > LISTED_MAX {
            return Err(bad("a sparse map with too many pieces"));
        }
        let mut numbers = Vec::with_capacity(count.min(1024) * 2);
        for _ in 0..count * 2 {
            numbers.push(self.line(&mut taken)?);
        }
        while !taken.is_multiple_of(BLOCK) {
            self.byte(&mut taken)?;
        }
        Ok(numbers)
    }

    fn line(&mut self, taken: &mut usize) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            match self.byte(taken)? {
                b'\n' => return pax::decimal(&digits),
                digit if digits.len() < 20 => digits.push(digit),
                _ => return Err(bad("a sparse map that is not one")),
            }
        }
    }

    fn byte(&mut self, taken: &mut usize) -> Result<u8> {
        let byte = self.data()?.and_then(|piece| piece.first().copied());
        let byte = byte.ok_or_else(|| bad("a sparse map longer than its data"))?;
        self.consume(1);
        *taken += 1;
        Ok(byte)
    }
}

/// Reads pieces of an old map from a block; false when an empty one ended it.
fn take_pieces(block: &Header<'_>, at: usize, count: usize, map: &mut Vec<(u64, u64)>) -> Result<bool> {
    for i in 0..count {
        let start = at + i * 24;
        if block.0[start] == 0 {
            return Ok(false);
        }
        map.push((block.number(start, 12)?, block.number(start + 12, 12)?));
    }
    Ok(true)
}
