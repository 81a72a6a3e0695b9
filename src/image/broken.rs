//! Broken files for the property tests of parsers.

use proptest::prelude::*;

/// A change of a file.
#[derive(Debug, Clone)]
pub enum Edit {
    /// Cuts bytes out.
    Cut(prop::sample::Index, usize),
    /// Puts something in.
    Insert(prop::sample::Index, Vec<u8>),
    /// Puts something of itself in at another place.
    Repeat(prop::sample::Index, prop::sample::Index, usize),
    /// Changes one byte.
    Flip(prop::sample::Index, u8),
}

impl Edit {
    /// Changes the bytes of a file.
    pub fn apply(&self, file: &mut Vec<u8>) {
        let place = |index: &prop::sample::Index, file: &[u8]| index.index(file.len() + 1);
        match self {
            Edit::Cut(at, length) => {
                let at = place(at, file);
                file.drain(at..(at + length).min(file.len()));
            }
            Edit::Insert(at, bytes) => {
                let at = place(at, file);
                file.splice(at..at, bytes.iter().copied());
            }
            Edit::Repeat(from, to, length) => {
                let (from, to) = (place(from, file), place(to, file));
                let bytes = file[from..(from + length).min(file.len())].to_vec();
                file.splice(to..to, bytes);
            }
            Edit::Flip(at, mask) => {
                let at = place(at, file);
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= mask;
                }
            }
        }
    }
}

/// Some changes; `parts` are words that mean something to the parser.
pub fn edits(parts: &'static [&'static str]) -> impl Strategy<Value = Vec<Edit>> {
    let at = || any::<prop::sample::Index>();
    let part = prop::sample::select(parts).prop_map(|part| part.as_bytes().to_vec());
    let inserted = prop_oneof![part, prop::collection::vec(any::<u8>(), 0..8)];
    let edit = prop_oneof![
        (at(), 0_usize..40).prop_map(|(at, length)| Edit::Cut(at, length)),
        (at(), inserted).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), at(), 0_usize..200).prop_map(|(from, to, length)| Edit::Repeat(from, to, length)),
        (at(), any::<u8>()).prop_map(|(at, mask)| Edit::Flip(at, mask)),
    ];
    prop::collection::vec(edit, 0..8)
}

/// One of these files, with some changes.
pub fn files(
    seeds: &'static [&'static str],
    parts: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(seeds), edits(parts)).prop_map(|(seed, edits)| {
        let mut file = seed.as_bytes().to_vec();
        edits.iter().for_each(|edit| edit.apply(&mut file));
        file
    })
}

/// Words of JSON that parsers stumble over.
pub const JSON: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "-1",
    "1e400",
    "18446744073709551616",
    "9223372036854775807",
    "0.5",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "true",
    "[[[[[[[[",
    "{\"a\":",
    "\"digest\":",
    "\"size\":",
    "\"mediaType\":",
    "\"sha256:\"",
    "\"annotations\":{\"a\":null}",
    "\u{feff}",
];
