//! PAX extended headers: `length key=value` records (POSIX pax(1), "pax Extended Header").

use super::malformed::bad;
use crate::error::Result;

/// The records of one extended header, in order.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    pub(super) fn parse(mut text: &[u8]) -> Result<Self> {
        let mut records = Vec::new();
        while !text.is_empty() {
            let (record, rest) =
                split(text).ok_or_else(|| bad("an extended header's record has a wrong length"))?;
            let equals = record.iter().position(|b| *b == b'=').unwrap_or(0);
            let (key, value) = (&record[..equals], &record[(equals + 1).min(record.len())..]);
            // A NUL would end a name early for one reader and not for another.
            let named = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
            if key.is_empty() || key.contains(&0) || (named && value.contains(&0)) {
                return Err(bad("an extended header's record is not one"));
            }
            records.push((key.to_vec(), value.to_vec()));
            text = rest;
        }
        Ok(Records(records))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last value of a key; an empty one counts as not there.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let value = self.0.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_slice())?;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn number(&self, key: &[u8]) -> Result<Option<u64>> {
        self.get(key).map(decimal).transpose()
    }

    /// Seconds and nanoseconds; digits beyond those are cut off.
    pub(super) fn time(&self, key: &[u8]) -> Result<Option<(i64, u32)>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let text = std::str::from_utf8(value).map_err(|_| bad("a time is not a number"))?;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let seconds: i64 = whole.parse().map_err(|_| bad("a time is not a number"))?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("a time is not a number"));
        }
        let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = nanos.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
        if !whole.starts_with('-') || nanos == 0 {
            return Ok(Some((seconds, nanos)));
        }
        Ok(Some((seconds.saturating_sub(1), 1_000_000_000 - nanos)))
    }

    /// Extended attributes as star, GNU tar and Go write them; the last of a name wins.
    pub(super) fn xattrs(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (key, value) in &self.0 {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                all.retain(|(n, _)| n != name);
                all.push((name.to_vec(), value.clone()));
            }
        }
        all
    }

    /// Offsets and lengths of format 0.0, which repeats its keys.
    pub(super) fn sparse_pairs(&self) -> Result<Vec<u64>> {
        let pairs = self.0.iter().filter(|(k, _)| k == b"GNU.sparse.offset" || k == b"GNU.sparse.numbytes");
        pairs.map(|(_, v)| decimal(v)).collect()
    }
}

/// A decimal number without sign or space.
pub(super) fn decimal(text: &[u8]) -> Result<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits).and_then(|t| t.parse::<u64>().ok());
    number.filter(|n| i64::try_from(*n).is_ok()).ok_or_else(|| bad("a number is not one"))
}

/// The first record without length and line end, and what follows it.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|b| *b == b' ')?;
    let length = usize::try_from(decimal(&text[..space]).ok()?).ok()?;
    let record = text.get(space + 1..length)?;
    Some((record.strip_suffix(b"\n")?, &text[length..]))
}
