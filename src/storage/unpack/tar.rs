//! Reading tar archives: v7, ustar, GNU and PAX headers.
//!
//! Theory of operation. A pull parser over buffered bytes that only ever goes forward: [`Archive::next`]
//! skips what is left of the last entry and gives the next one with every extension applied; the data
//! is then taken with [`Archive::data`]. Where readers in the wild disagree we do as Go's archive/tar,
//! which every container tool builds on: a PAX size wins over the header's (attack case 6), header-only
//! types have no data whatever their size says, GNU long names win over PAX paths, global PAX headers
//! are ignored. Formats: POSIX pax(1), tar(5), and the GNU tar manual, "Sparse Formats".

use crate::error::{Error, Kind, Result};
use std::io::BufRead;

mod malformed;
mod pax;
mod sparse;

use malformed::bad;

/// Bytes in a block.
const BLOCK: usize = 512;
/// Largest extended header, in bytes; Go's limit.
const EXTENDED_MAX: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum Type {
    File,
    HardLink,
    Symlink,
    CharDevice,
    BlockDevice,
    Directory,
    Fifo,
}

/// One entry, all extensions applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage) struct Entry {
    pub(in crate::storage) kind: Type,
    /// As written, not yet looked at.
    pub(in crate::storage) path: Vec<u8>,
    /// Target of a symbolic or hard link.
    pub(in crate::storage) link: Vec<u8>,
    /// Permission bits, at most 0o7777.
    pub(in crate::storage) mode: u32,
    pub(in crate::storage) uid: u32,
    pub(in crate::storage) gid: u32,
    /// Seconds since the epoch.
    pub(in crate::storage) mtime: i64,
    /// Nanoseconds, below 10^9.
    pub(in crate::storage) mtime_nanos: u32,
    /// Extended attributes by full name.
    pub(in crate::storage) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the data goes, when the file has holes: (offset, length), ascending; else all of it at 0.
    pub(in crate::storage) sparse: Option<Vec<(u64, u64)>>,
    /// Size of the file, holes included.
    pub(in crate::storage) size: u64,
}

/// An archive being read.
pub(in crate::storage) struct Archive<R> {
    input: R,
    /// Data of the current entry that was not taken yet.
    left: u64,
    /// Padding after it.
    padding: u64,
}

/// Turns a failed read into an error; the input puts its own `Error` inside.
fn read_error(e: std::io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(error) => error,
        Err(e) => Error::new(Kind::Image, "the archive cannot be read").caused_by(e),
    }
}

impl<R: BufRead> Archive<R> {
    pub(in crate::storage) fn new(input: R) -> Self {
        Archive { input, left: 0, padding: 0 }
    }

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

    /// Reads one block; false at the end of the input, which must be at a block's boundary.
    fn fill_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let available = self.input.fill_buf().map_err(read_error)?;
            if available.is_empty() {
                return if filled == 0 { Ok(false) } else { Err(bad("it ends inside a header")) };
            }
            let count = available.len().min(BLOCK - filled);
            block[filled..filled + count].copy_from_slice(&available[..count]);
            self.input.consume(count);
            filled += count;
        }
        Ok(true)
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

    fn set_data(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// A piece of the current entry's data; `None` when all of it was consumed.
    pub(in crate::storage) fn data(&mut self) -> Result<Option<&[u8]>> {
        if self.left == 0 {
            return Ok(None);
        }
        let available = self.input.fill_buf().map_err(read_error)?;
        if available.is_empty() {
            return Err(bad("it ends inside a file"));
        }
        let count = available.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(Some(&available[..count]))
    }

    /// Takes that many bytes of the piece that [`Archive::data`] gave.
    pub(in crate::storage) fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.left -= count as u64;
    }

    fn skip_rest(&mut self) -> Result<()> {
        while let Some(piece) = self.data()? {
            let count = piece.len();
            self.consume(count);
        }
        self.left = std::mem::take(&mut self.padding);
        while let Some(piece) = self.data()? {
            let count = piece.len();
            self.consume(count);
        }
        Ok(())
    }

    /// Reads what follows the archive up to the end of the input, so that all of it is hashed.
    pub(in crate::storage) fn into_end(mut self) -> Result<R> {
        loop {
            let count = self.input.fill_buf().map_err(read_error)?.len();
            if count == 0 {
                return Ok(self.input);
            }
            self.input.consume(count);
        }
    }
}

/// A header block.
struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn field(&self, at: usize, length: usize) -> &[u8] {
        &self.0[at..at + length]
    }

    fn text(&self, at: usize, length: usize) -> &[u8] {
        let field = self.field(at, length);
        &field[..field.iter().position(|b| *b == 0).unwrap_or(length)]
    }

    fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// Compares the checksum, which old programs computed with signed bytes.
    fn verify(&self) -> Result<()> {
        let stored = self.signed(148, 8)?;
        let byte = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
        let unsigned: i64 = self.0.iter().enumerate().map(|p| i64::from(byte(p))).sum();
        let signed: i64 = self.0.iter().enumerate().map(|p| i64::from(byte(p).cast_signed())).sum();
        if stored == unsigned || stored == signed { Ok(()) } else { Err(bad("a header's checksum is wrong")) }
    }

    fn path(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = if self.field(257, 8) != b"ustar\x0000" {
            &[][..]
        } else if self.field(508, 4) == b"tar\0" {
            self.text(345, 131)
        } else {
            self.text(345, 155)
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    fn link(&self) -> Vec<u8> {
        self.text(157, 100).to_vec()
    }

    fn size(&self) -> Result<u64> {
        self.number(124, 12)
    }

    fn number(&self, at: usize, length: usize) -> Result<u64> {
        u64::try_from(self.signed(at, length)?).map_err(|_| bad("a negative number in a header"))
    }

    /// An octal number, or a binary one when the top bit is set (tar(5), "Numeric Extensions").
    fn signed(&self, at: usize, length: usize) -> Result<i64> {
        let field = self.field(at, length);
        if field[0] & 0x80 != 0 {
            let start = if field[0] & 0x40 != 0 { -1i128 } else { i128::from(field[0] & 0x3f) };
            let rest = &field[1..];
            let value = rest.iter().try_fold(start, |value, b| {
                value.checked_mul(256).map(|v| v + i128::from(*b)).filter(|v| v.abs() < 1 << 100)
            });
            return value
                .and_then(|v| i64::try_from(v).ok())
                .ok_or_else(|| bad("a number in a header is too large"));
        }
        let trimmed = field.trim_ascii();
        let digits: Vec<u8> = trimmed.iter().copied().take_while(|b| *b != 0 && *b != b' ').collect();
        if digits.is_empty() {
            return Ok(0);
        }
        let text = std::str::from_utf8(&digits).map_err(|_| bad("a number in a header is not one"))?;
        i64::from_str_radix(text, 8).map_err(|_| bad("a number in a header is not one"))
    }
}

#[cfg(test)]
mod tests;
