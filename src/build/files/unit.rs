//! The characters that patterns are about, in names that may be any bytes: a code point, or one byte that is no part of
//! a character.

/// A slash.
pub(super) const SLASH: u32 = b'/' as u32;
/// From here on bytes that are no characters are counted; code points end below.
const BYTES: u32 = 0x11_0000;

/// Takes the first one off a text.
pub(super) fn take(text: &mut &[u8]) -> Option<u32> {
    let first = *text.first()?;
    let length = match first {
        0..=0x7f => {
            *text = &text[1..];
            return Some(u32::from(first));
        }
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    let character = text.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()?.chars().next());
    *text = &text[character.map_or(1, char::len_utf8)..];
    Some(character.map_or(BYTES + u32::from(first), u32::from))
}

/// What it counts as in a class: bytes that are no characters are all U+FFFD there, as in Go.
pub(super) fn shown(unit: u32) -> u32 {
    if unit < BYTES { unit } else { u32::from(char::REPLACEMENT_CHARACTER) }
}

/// The bytes of these.
pub(super) fn bytes(units: &[u32]) -> Vec<u8> {
    let mut all = Vec::with_capacity(units.len());
    for unit in units {
        match (char::from_u32(*unit), u8::try_from(unit.wrapping_sub(BYTES))) {
            (Some(character), _) => all.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            (None, Ok(byte)) => all.push(byte),
            (None, Err(_)) => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_taken_apart_is_put_together(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = text.as_slice();
            let units: Vec<u32> = std::iter::from_fn(|| take(&mut rest)).collect();
            prop_assert_eq!(bytes(&units), text);
        }

        #[test]
        fn characters_are_taken_whole(text in ".{0,20}") {
            let mut rest = text.as_bytes();
            let units: Vec<u32> = std::iter::from_fn(|| take(&mut rest)).collect();
            prop_assert_eq!(units, text.chars().map(u32::from).collect::<Vec<_>>());
        }
    }
}
