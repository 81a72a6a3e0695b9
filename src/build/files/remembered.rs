//! Digests of files that were read before.
//!
//! Theory of operation. A file whose device, inode, size and times are what they were is not read again. A change in
//! the very moment after it was read could leave the times as they are, because clocks of file systems are coarse. So
//! a file that was changed less than [`COARSE`] before it was read is read again next time, as git does with its index.
//! Whoever can set the clock and a file's times can deceive this, and so can deceive their own build only.
//!
//! The file is a list of records with a checksum. It only saves time: one that is damaged in any way is empty.

use super::node::{Identity, Moment};
use std::collections::HashMap;

/// What the file begins with. The number changes when the form does.
const MAGIC: &[u8] = b"coracle files 1\n";
/// Coarsest clock of a file system that files may be on, in seconds: FAT's.
const COARSE: i64 = 2;
/// Bytes of a record before its path.
const RECORD: usize = 8 * 9 + 1 + 32 + 32 + 2;

/// What is known of a file's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contents {
    /// SHA-256 of the contents.
    pub(super) data: [u8; 32],
    /// The digest of its extended attributes, if it has any that count.
    pub(super) attributes: Option<[u8; 32]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    identity: Identity,
    /// When it was read.
    read: Moment,
    contents: Contents,
    /// Whether this build needed it.
    used: bool,
}

/// Digests of the files of one tree, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    records: HashMap<Box<[u8]>, Record>,
    /// Whether a file was read.
    learned: bool,
}

impl Remembered {
    /// Reads what [`Remembered::to_bytes`] wrote; damaged bytes are as none.
    pub fn read(bytes: &[u8]) -> Remembered {
        parse(bytes).unwrap_or_default()
    }

    /// Whether [`Remembered::to_bytes`] is anything else than what was read.
    pub fn is_changed(&self) -> bool {
        self.learned || self.records.values().any(|record| !record.used)
    }

    /// What is to be kept: what was asked for or learned since it was read.
    pub fn to_bytes(&self) -> Vec<u8> {
        let used = self.records.iter().filter(|(_, record)| record.used);
        let mut all = Vec::with_capacity(MAGIC.len() + self.records.len() * (RECORD + 40) + 4);
        all.extend_from_slice(MAGIC);
        for (path, record) in used {
            // No path is longer (PATH_MAX).
            let Ok(length) = u16::try_from(path.len()) else { continue };
            let Identity { dev, ino, size, modified, changed } = record.identity;
            let times = [modified.0, modified.1, changed.0, changed.1, record.read.0, record.read.1];
            for number in [dev, ino, size].into_iter().chain(times.map(i64::cast_unsigned)) {
                all.extend_from_slice(&number.to_le_bytes());
            }
            all.push(u8::from(record.contents.attributes.is_some()));
            all.extend_from_slice(&record.contents.attributes.unwrap_or_default());
            all.extend_from_slice(&record.contents.data);
            all.extend_from_slice(&length.to_le_bytes());
            all.extend_from_slice(path);
        }
        let sum = checksum(&all);
        all.extend_from_slice(&sum);
        all
    }

    /// The contents of a file, if they are known to be what they were.
    pub(super) fn look_up(&mut self, path: &[u8], identity: &Identity) -> Option<Contents> {
        let record = self.records.get_mut(path)?;
        let settled = |moment: Moment| (moment.0 + COARSE, moment.1) < record.read;
        let known = record.identity == *identity && settled(identity.modified) && settled(identity.changed);
        record.used |= known;
        known.then_some(record.contents)
    }

    /// Remembers the contents of a file that was read at this time.
    pub(super) fn remember(&mut self, path: &[u8], identity: Identity, read: Moment, contents: Contents) {
        self.records.insert(path.into(), Record { identity, read, contents, used: true });
        self.learned = true;
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum().to_le_bytes()
}

fn parse(bytes: &[u8]) -> Option<Remembered> {
    let (all, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(all) != *sum {
        return None;
    }
    let mut rest = all.strip_prefix(MAGIC)?;
    let mut records = HashMap::with_capacity(rest.len() / (RECORD + 40));
    while !rest.is_empty() {
        let mut numbers = [0u64; 9];
        for number in &mut numbers {
            *number = u64::from_le_bytes(*take(&mut rest)?);
        }
        let [dev, ino, size, times @ ..] = numbers;
        let [m, mn, c, cn, r, rn] = times.map(u64::cast_signed);
        let [has] = *take(&mut rest)?;
        let attributes = *take(&mut rest)?;
        let attributes = (has != 0).then_some(attributes);
        let data = *take(&mut rest)?;
        let length = usize::from(u16::from_le_bytes(*take(&mut rest)?));
        let (path, after) = rest.split_at_checked(length)?;
        rest = after;
        let identity = Identity { dev, ino, size, modified: (m, mn), changed: (c, cn) };
        let contents = Contents { data, attributes };
        records.insert(path.into(), Record { identity, read: (r, rn), contents, used: false });
    }
    Some(Remembered { records, learned: false })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn identity(time: i64) -> Identity {
        Identity { dev: 1, ino: 2, size: 3, modified: (time, 5), changed: (time, 6) }
    }

    const CONTENTS: Contents = Contents { data: [7; 32], attributes: None };

    #[test]
    fn what_was_used_is_kept() {
        let mut first = Remembered::default();
        let with = Contents { attributes: Some([9; 32]), ..CONTENTS };
        first.remember(b"a", identity(10), (100, 0), CONTENTS);
        first.remember(b"b/c", identity(11), (100, 0), with);
        let mut second = Remembered::read(&first.to_bytes());
        assert_eq!(second.look_up(b"b/c", &identity(11)), Some(with));
        assert_eq!(second.look_up(b"b", &identity(11)), None);
        // The other one was not needed.
        assert!(first.is_changed() && second.is_changed());
        let mut third = Remembered::read(&second.to_bytes());
        assert_eq!((third.records.len(), third.look_up(b"a", &identity(10))), (1, None));
        assert_eq!(third.look_up(b"b/c", &identity(11)), Some(with));
        assert!(!third.is_changed());
    }

    #[test]
    fn another_file_or_a_recent_change_is_read_again() {
        let mut known = Remembered::default();
        known.remember(b"a", identity(10), (13, 0), CONTENTS);
        assert_eq!(known.look_up(b"a", &identity(10)), Some(CONTENTS));
        for other in [Identity { ino: 9, ..identity(10) }, Identity { changed: (10, 7), ..identity(10) }] {
            assert_eq!(known.look_up(b"a", &other), None);
        }
        known.remember(b"a", identity(10), (12, 4), CONTENTS);
        assert_eq!(known.look_up(b"a", &identity(10)), None);
        known.remember(b"a", identity(1000), (13, 0), CONTENTS);
        assert_eq!(known.look_up(b"a", &identity(1000)), None);
    }

    #[test]
    fn damage_is_as_nothing() {
        let mut whole = Remembered::default();
        whole.remember(b"a", identity(10), (100, 0), CONTENTS);
        let bytes = whole.to_bytes();
        for cut in 0..bytes.len() {
            assert_eq!(Remembered::read(&bytes[..cut]), Remembered::default());
        }
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert_eq!(Remembered::read(&flipped), Remembered::default());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            Remembered::read(&bytes);
            let all = [MAGIC, &bytes].concat();
            Remembered::read(&[&all[..], &checksum(&all)].concat());
        }
    }
}
