//! The keys that detach a terminal from a container.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `--detach-keys`: the bytes a terminal sends for the sequence; empty means that no keys detach.
///
/// Written as in podman: single characters or `ctrl-<value>`, joined by commas, where `<value>` is
/// `a-z`, `@`, `[`, `\`, `]`, `^` or `_`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DetachKeys(pub Vec<u8>);

impl Default for DetachKeys {
    /// `ctrl-p,ctrl-q`.
    fn default() -> Self {
        DetachKeys(vec![0x10, 0x11])
    }
}

fn key(word: &str) -> Option<u8> {
    let code = match word.strip_prefix("ctrl-") {
        Some(value) => match value.as_bytes() {
            [letter @ (b'a'..=b'z' | b'A'..=b'Z')] => letter.to_ascii_lowercase() - b'a' + 1,
            [b'@'] => 0,
            [sign @ b'['..=b'_'] => sign - b'@',
            _ => return None,
        },
        None => match word.as_bytes() {
            [byte] if byte.is_ascii_graphic() || *byte == b' ' => *byte,
            _ => return None,
        },
    };
    Some(code)
}

impl FromStr for DetachKeys {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if s.is_empty() {
            return Ok(DetachKeys(Vec::new()));
        }
        let keys = s.split(',').map(key).collect::<Option<Vec<u8>>>();
        keys.map(DetachKeys).ok_or_else(|| {
            Error::new(Kind::Usage, format!("{s:?} is not a key sequence")).hint(
                "Join single characters and ctrl-<key> with commas, for example --detach-keys ctrl-p,ctrl-q.",
            )
        })
    }
}

impl fmt::Display for DetachKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            match byte {
                1..=26 => write!(f, "ctrl-{}", char::from(b'a' + byte - 1))?,
                0 | 27..=31 => write!(f, "ctrl-{}", char::from(b'@' + byte))?,
                other => write!(f, "{}", char::from(*other))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_read_and_shown() {
        for (text, bytes) in [
            ("ctrl-p,ctrl-q", &[0x10, 0x11][..]),
            ("a", b"a"),
            ("a,b", b"ab"),
            ("ctrl-@", &[0]),
            ("ctrl-[", &[27]),
            ("ctrl-_", &[31]),
            ("", &[]),
        ] {
            let keys: DetachKeys = text.parse().unwrap();
            assert_eq!(keys.0, bytes, "{text}");
            assert_eq!(keys.to_string(), text);
        }
        assert_eq!(DetachKeys::default().to_string(), "ctrl-p,ctrl-q");
        for bad in ["ctrl-", "ctrl-1", "ctrl-pq", "ab", "a,,b", "é", ","] {
            assert!(bad.parse::<DetachKeys>().is_err(), "{bad:?}");
        }
    }
}
