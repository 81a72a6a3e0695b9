//! Just enough of OpenPGP keyrings (RFC 9580) to hand them to gpgv and to tell whose they are.

use base64::Engine as _;

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
/// Packet type of a user's name.
const USER_ID: u8 = 13;

/// A keyring in binary form, whatever form it is in; several armored blocks become one. `None` if one is malformed.
fn binary(keyring: &[u8]) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(keyring) else { return Some(keyring.to_owned()) };
    if !text.contains(BEGIN) {
        return Some(keyring.to_owned());
    }
    let mut all = Vec::new();
    for block in text.split(BEGIN).skip(1) {
        let (block, _) = block.split_once(END)?;
        // Headers end with a blank line; the last line may be a checksum, which says nothing about forgery.
        let lines = block.lines().map(str::trim).skip(1);
        let body = lines.skip_while(|line| line.contains(": ")).filter(|line| !line.starts_with('='));
        all.extend(base64::engine::general_purpose::STANDARD.decode(body.collect::<String>()).ok()?);
    }
    Some(all)
}

/// The addresses in the names of a keyring's users, or their names where they have none.
pub fn owners(keyring: &[u8]) -> Vec<String> {
    let Some(keyring) = binary(keyring) else { return Vec::new() };
    let mut found = Vec::new();
    let mut rest = keyring.as_slice();
    while let Some((kind, body, after)) = packet(rest) {
        if kind == USER_ID {
            let name = String::from_utf8_lossy(body).into_owned();
            let address = name.rsplit_once('<').and_then(|(_, rest)| rest.split('>').next());
            let owner = address.map_or_else(|| name.trim().to_owned(), str::to_owned);
            if !found.contains(&owner) {
                found.push(owner);
            }
        }
        rest = after;
    }
    found
}

/// The first packet: its type, its body, and what follows.
fn packet(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let number = |count: usize| {
        let (length, rest) = rest.split_at_checked(count)?;
        Some((length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest))
    };
    let (kind, length, rest) = match (first >> 6, first & 3) {
        (0b11, _) => {
            let (second, after) = rest.split_first()?;
            let (length, rest) = match second {
                0..192 => (usize::from(*second), after),
                192..224 => {
                    let (third, after) = after.split_first()?;
                    (((usize::from(*second) - 192) << 8) + usize::from(*third) + 192, after)
                }
                255 => {
                    let (length, rest) = after.split_at_checked(4)?;
                    (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
                }
                // Keys and names do not come in parts.
                _ => return None,
            };
            (first & 0x3f, length, rest)
        }
        (0b10, size @ 0..3) => {
            let (length, rest) = number(1 << size)?;
            (first >> 2 & 0xf, length, rest)
        }
        _ => return None,
    };
    let (body, after) = rest.split_at_checked(length)?;
    Some((kind, body, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Vec<u8> {
        [&[0xcd, text.len() as u8], text.as_bytes()].concat()
    }

    #[test]
    fn names_are_found_in_both_forms() {
        let old = [&[0x98, 3, 1, 2, 3][..], &[0xb4, 9], b"A <a@b.c>"].concat();
        let ring = [old, name("Bob <bob@example.com>"), name("nobody"), name("A <a@b.c>")].concat();
        let expected = ["a@b.c", "bob@example.com", "nobody"];
        assert_eq!(owners(&ring), expected);
        let armored = format!(
            "text\n{BEGIN}\nVersion: x\n\n{}\n=abcd\n{END}\n",
            base64::engine::general_purpose::STANDARD.encode(&ring)
        );
        assert_eq!(owners(armored.as_bytes()), expected);
        assert_eq!(binary(armored.as_bytes()).unwrap(), ring);
    }

    #[test]
    fn nonsense_has_no_owners() {
        for bad in [
            &[][..],
            &[0xcd],
            &[0xcd, 200],
            &[0xcd, 255, 255, 255, 255, 255, 1],
            &[0xcd, 230, 1],
            b"text",
            &[0x9b, 1],
        ] {
            assert!(owners(bad).is_empty(), "{bad:?}");
        }
        assert_eq!(binary(format!("{BEGIN}\n\n%\n{END}").as_bytes()), None);
        assert_eq!(binary(BEGIN.as_bytes()), None);
    }
}
