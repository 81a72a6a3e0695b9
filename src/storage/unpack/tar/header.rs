//! Header blocks.

use super::blocks::BLOCK;
use super::malformed::bad;
use crate::error::Result;

/// A header block.
pub(super) struct Header<'a>(pub(super) &'a [u8; BLOCK]);

impl Header<'_> {
    pub(super) fn field(&self, at: usize, length: usize) -> &[u8] {
        &self.0[at..at + length]
    }

    pub(super) fn text(&self, at: usize, length: usize) -> &[u8] {
        let field = self.field(at, length);
        &field[..field.iter().position(|b| *b == 0).unwrap_or(length)]
    }

    pub(super) fn typeflag(&self) -> u8 {
        self.0[156]
    }

    /// Compares the checksum, which old programs computed with signed bytes.
    pub(super) fn verify(&self) -> Result<()> {
        let stored = self.signed(148, 8)?;
        let byte = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
        let unsigned: i64 = self.0.iter().enumerate().map(|p| i64::from(byte(p))).sum();
        let signed: i64 = self.0.iter().enumerate().map(|p| i64::from(byte(p).cast_signed())).sum();
        if stored == unsigned || stored == signed { Ok(()) } else { Err(bad("a header's checksum is wrong")) }
    }

    pub(super) fn path(&self) -> Vec<u8> {
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

    pub(super) fn link(&self) -> Vec<u8> {
        self.text(157, 100).to_vec()
    }

    pub(super) fn size(&self) -> Result<u64> {
        self.number(124, 12)
    }

    pub(super) fn number(&self, at: usize, length: usize) -> Result<u64> {
        u64::try_from(self.signed(at, length)?).map_err(|_| bad("a negative number in a header"))
    }

    /// An octal number, or a binary one when the top bit is set (tar(5), "Numeric Extensions").
    pub(super) fn signed(&self, at: usize, length: usize) -> Result<i64> {
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
