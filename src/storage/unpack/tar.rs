//! Reading tar archives: v7, ustar, GNU and PAX headers.
//!
//! Theory of operation. A pull parser over buffered bytes that only moves forward: [`Archive::next`] skips the
//! rest of the last entry and returns the next one with every extension applied; its data is then read with
//! [`Archive::data`]. Where existing readers disagree, this one follows Go's archive/tar, on which every
//! container tool is built: a PAX size overrides the header's (attack case 6), header-only types have no data
//! whatever their size field says, GNU long names override PAX paths, and global PAX headers are ignored.
//! Formats: POSIX pax(1), tar(5), and the GNU tar manual, "Sparse Formats".

use crate::error::Result;
use std::io::BufRead;

mod blocks;
mod entry;
mod header;
mod malformed;
mod pax;
mod sparse;

pub(in crate::storage) use blocks::{Archive, BLOCK};
pub(in crate::storage) use entry::{Entry, Type};

use header::Header;
use malformed::bad;

/// Largest extended header, in bytes; Go's limit.
const EXTENDED_MAX: u64 = 1 << 20;

/// Whether an archive can begin with this block: it is a header, or the end of an archive without files.
pub(super) fn begins_with(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|b| *b == 0) || Header(block).verify().is_ok()
}

impl<R: BufRead> Archive<R> {
    /// The next entry; `None` at the end.
    pub(in crate::storage) fn next(&mut self) -> Result<Option<Entry>> {
        let mut pax = pax::Records::default();
        let mut long_name = None;
        let mut long_link = None;
        loop {
            self.skip_rest()?;
            let Some(block) = self.header()? else {
                if long_name.is_some() || long_link.is_some() || !pax.is_empty() {
                    return Err(bad("it ends after an extended header"));
                }
                return Ok(None);
            };
            let header = Header(&block);
            match header.typeflag() {
                b'x' => pax = pax::Records::parse(&self.extended(header.size()?)?)?,
                b'g' => drop(self.extended(header.size()?)?),
                b'L' => long_name = Some(self.long_text(header.size()?)?),
                b'K' => long_link = Some(self.long_text(header.size()?)?),
                _ => return self.entry(&header, &pax, long_name, long_link).map(Some),
            }
        }
    }

    /// The next header block; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0u8; BLOCK];
        if !self.fill_block(&mut block)? {
            return Ok(None);
        }
        if block.iter().any(|b| *b != 0) {
            Header(&block).verify()?;
            return Ok(Some(block));
        }
        // The end is two zero blocks; whatever follows them is no part of the archive.
        if self.fill_block(&mut block)? && block.iter().any(|b| *b != 0) {
            return Err(bad("a block of zeros between its entries"));
        }
        Ok(None)
    }

    /// The whole data of an extended header.
    fn extended(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > EXTENDED_MAX {
            return Err(bad(format!("an extended header of {size} bytes")));
        }
        self.set_data(size);
        let mut all = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(piece) = self.data()? {
            all.extend_from_slice(piece);
            let count = piece.len();
            self.consume(count);
        }
        Ok(all)
    }

    fn long_text(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut text = self.extended(size)?;
        if let Some(end) = text.iter().position(|b| *b == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    fn entry(
        &mut self,
        header: &Header<'_>,
        pax: &pax::Records,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry> {
        let flag = header.typeflag();
        let path =
            long_name.or_else(|| pax.get(b"path").map(<[u8]>::to_vec)).unwrap_or_else(|| header.path());
        let link =
            long_link.or_else(|| pax.get(b"linkpath").map(<[u8]>::to_vec)).unwrap_or_else(|| header.link());
        let kind = match flag {
            0 if path.ends_with(b"/") => Type::Directory,
            0 | b'0' | b'7' | b'S' => Type::File,
            b'1' => Type::HardLink,
            b'2' => Type::Symlink,
            b'3' => Type::CharDevice,
            b'4' => Type::BlockDevice,
            b'5' => Type::Directory,
            b'6' => Type::Fifo,
            other => return Err(bad(format!("an entry of unknown type {:?}", char::from(other)))),
        };
        let header_only = matches!(flag, b'1'..=b'6');
        let stored = match pax.number(b"size")? {
            _ if header_only => 0,
            Some(size) => size,
            None => header.size()?,
        };
        self.set_data(stored);
        let (mtime, mtime_nanos) = match pax.time(b"mtime")? {
            Some(time) => time,
            None => (header.signed(136, 12)?, 0),
        };
        let owner = |key: &[u8], at: usize| -> Result<u32> {
            let number = match pax.number(key)? {
                Some(n) => n,
                None => header.number(at, 8)?,
            };
            // The all-ones id means "no change" to chown(2).
            u32::try_from(number)
                .ok()
                .filter(|n| *n != u32::MAX)
                .ok_or_else(|| bad(format!("an owner with the number {number}")))
        };
        let mut entry = Entry {
            kind,
            path,
            link,
            mode: u32::try_from(header.number(100, 8)? & 0o7777).unwrap_or(0),
            uid: owner(b"uid", 108)?,
            gid: owner(b"gid", 116)?,
            mtime,
            mtime_nanos,
            xattrs: pax.xattrs(),
            sparse: None,
            size: stored,
        };
        if kind == Type::File {
            self.find_holes(header, pax, &mut entry)?;
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests;
