//! The bytes of an archive: blocks, and the data of one entry at a time.

use super::malformed::bad;
use crate::error::{Error, Kind, Result};
use std::io::BufRead;

/// Bytes in a block.
pub(in crate::storage) const BLOCK: usize = 512;

/// An archive being read.
pub(in crate::storage) struct Archive<R> {
    input: R,
    /// Data of the current entry that was not taken yet.
    pub(super) left: u64,
    /// Padding after it.
    padding: u64,
}

impl<R: BufRead> Archive<R> {
    pub(in crate::storage) fn new(input: R) -> Self {
        Archive { input, left: 0, padding: 0 }
    }

    /// Reads one block; false at the end of the input, which must be at a block's boundary.
    pub(super) fn fill_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
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

    pub(super) fn set_data(&mut self, size: u64) {
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

    pub(super) fn skip_rest(&mut self) -> Result<()> {
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

/// Turns a failed read into an error; the input puts its own `Error` inside.
fn read_error(e: std::io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(error) => error,
        Err(e) => Error::new(Kind::Image, "the archive cannot be read").caused_by(e),
    }
}
