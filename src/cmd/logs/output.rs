//! Where lines go, and which.

use crate::storage::containers::log::{Line, Stream};
use std::io::{self, Write};

/// Bytes that are gathered before they are written.
pub(super) const BLOCK: usize = 256 * 1024;

/// Where lines go, and which.
pub(super) struct Output<'a> {
    pub(super) out: io::StdoutLock<'a>,
    pub(super) err: io::StderrLock<'a>,
    /// What is to be written, all of one stream: on one terminal the two keep their order.
    pub(super) block: Vec<u8>,
    pub(super) stream: Stream,
    pub(super) since: Option<Vec<u8>>,
    pub(super) until: Option<Vec<u8>>,
    pub(super) timestamps: bool,
}

impl Output<'_> {
    pub(super) fn wants(&self, time: &[u8]) -> bool {
        self.since.as_deref().is_none_or(|since| time >= since)
            && self.until.as_deref().is_none_or(|until| time <= until)
    }

    pub(super) fn write(
        &mut self,
        line: Line<'_>,
        prefix: &[u8],
        at_start: &mut [bool; 2],
    ) -> io::Result<()> {
        let at_start = &mut at_start[usize::from(line.stream == Stream::Stderr)];
        let begins = std::mem::replace(at_start, line.full);
        if !self.wants(line.time) {
            return Ok(());
        }
        if line.stream != self.stream || self.block.len() >= BLOCK {
            self.flush()?;
            self.stream = line.stream;
        }
        if begins {
            self.block.extend_from_slice(prefix);
            if self.timestamps {
                self.block.extend_from_slice(line.time);
                self.block.push(b' ');
            }
        }
        self.block.extend_from_slice(line.text);
        if line.full {
            self.block.push(b'\n');
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self.stream {
            Stream::Stdout => {
                self.out.write_all(&self.block)?;
                self.out.flush()?;
            }
            Stream::Stderr => self.err.write_all(&self.block)?,
        }
        self.block.clear();
        Ok(())
    }
}
