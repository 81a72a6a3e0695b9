//! Where an archive goes: its bytes, the content of files, and what went wrong with either.

use super::header::BLOCK;
use crate::error::{Error, Kind, Result};
use crate::storage::record;
use nix::errno::Errno;
use std::io::{BufWriter, Read, Write};

/// Bytes read and written at once.
pub(super) const BUFFER: usize = 256 << 10;

/// The output of a packer.
pub(super) struct Output<W: Write> {
    out: BufWriter<W>,
    /// As in [`Options`](super::Options).
    to_file: bool,
    buffer: Vec<u8>,
    /// Bytes of file content so far.
    pub(super) bytes: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W, to_file: bool) -> Self {
        let out = BufWriter::with_capacity(BUFFER, out);
        Output { out, to_file, buffer: vec![0; BUFFER], bytes: 0 }
    }

    /// Ends it, flushed.
    pub(super) fn end(mut self) -> Result<W> {
        let to_file = self.to_file;
        self.out.flush().map_err(|e| write_error(e, to_file))?;
        self.out.into_inner().map_err(|e| write_error(e.into_error(), to_file))
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|e| write_error(e, self.to_file))
    }

    /// Reads a file that may be smaller than the buffer, whole; returns how many bytes the buffer holds.
    pub(super) fn fill(&mut self, from: &mut impl Read, path: &[u8]) -> Result<usize> {
        let mut length = 0;
        while length < self.buffer.len() {
            match from.read(&mut self.buffer[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(path, &e)),
            }
        }
        Ok(length)
    }

    /// The content of a file, of which this many bytes are in the buffer and the others follow.
    pub(super) fn filled(&mut self, length: usize, rest: &[u8]) -> Result<()> {
        self.out.write_all(&self.buffer[..length]).map_err(|e| write_error(e, self.to_file))?;
        self.put(rest)?;
        let size = (length + rest.len()) as u64;
        self.bytes += size;
        self.zeros(padding(size))
    }

    /// Copies exactly `size` bytes and the padding; returns how many of them were zeros for want of data.
    pub(super) fn content(&mut self, from: &mut impl Read, size: u64, path: &[u8]) -> Result<u64> {
        let short = self.take(from, size, path)?;
        self.zeros(padding(size))?;
        Ok(short)
    }

    /// As [`Output::content`], without the padding.
    pub(super) fn take(&mut self, from: &mut impl Read, size: u64, path: &[u8]) -> Result<u64> {
        let mut left = size;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER);
            let count = match from.read(&mut self.buffer[..room]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                // What is not read from a file says itself what is wrong.
                Err(e) => return Err(e.downcast::<Error>().unwrap_or_else(|e| read_error(path, &e))),
            };
            self.out.write_all(&self.buffer[..count]).map_err(|e| write_error(e, self.to_file))?;
            left -= count as u64;
        }
        self.bytes += size - left;
        self.zeros(left)?;
        Ok(left)
    }

    pub(super) fn zeros(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let piece = usize::try_from(count).unwrap_or(usize::MAX).min(BUFFER);
            self.buffer[..piece].fill(0);
            self.out.write_all(&self.buffer[..piece]).map_err(|e| write_error(e, self.to_file))?;
            count -= piece as u64;
        }
        Ok(())
    }
}

/// What is missing from `size` bytes to whole blocks.
pub(super) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// A path for messages; a very long one is shortened in the middle.
pub(super) fn shown(path: &[u8]) -> String {
    const LONGEST: usize = 400;
    const END: usize = 150;
    let whole = String::from_utf8_lossy;
    if path.len() <= LONGEST {
        return format!("/{}", whole(path).escape_debug());
    }
    let (first, last) = (whole(&path[..END]), whole(&path[path.len() - END..]));
    format!("/{} ... {}", first.escape_debug(), last.escape_debug())
}

pub(super) fn failed(path: &[u8], errno: Errno) -> Error {
    let error = Error::new(Kind::Storage, format!("pack {}", shown(path))).caused_by(record::cause(errno));
    match record::hint(Some(errno)) {
        Some(hint) if matches!(errno, Errno::EMFILE | Errno::EAGAIN) => error.hint(hint),
        _ => error,
    }
}

/// A failure to read a file that is packed.
pub(super) fn read_error(path: &[u8], e: &std::io::Error) -> Error {
    failed(path, e.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

/// `to_file` as in [`Options`].
fn write_error(e: std::io::Error, to_file: bool) -> Error {
    // What the store's own files say comes with its advice.
    let e = match e.downcast::<Error>() {
        Ok(own) => return own,
        Err(e) => e,
    };
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        return Error::new(Kind::OutputClosed, "write the archive").caused_by(e);
    }
    let errno = e.raw_os_error().map(Errno::from_raw);
    let error = Error::new(Kind::Storage, "write the archive").caused_by(e);
    match errno {
        Some(Errno::ENOSPC | Errno::EDQUOT) if to_file => {
            error.hint("There is no room for it. Write to another place: -o FILE")
        }
        Some(Errno::EFBIG) => error.hint(record::SIZE_LIMIT),
        _ => error,
    }
}
