//! Text files of this machine: configuration and kernel files, in which there may be any bytes.

use std::fs;
use std::io;
use std::path::Path;

/// The text of a file. What is not UTF-8 becomes U+FFFD, so that a byte in a remark or in somebody else's name costs
/// at most the line that it is in.
///
/// # Errors
/// Those of open(2) and read(2).
pub fn text_of(path: impl AsRef<Path>) -> io::Result<String> {
    fs::read(path).map(text)
}

/// Bytes as text, likewise.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_no_text_costs_its_own_place() {
        assert_eq!(text(b"# caf\xe9\nme:1:2\n".to_vec()), "# caf\u{fffd}\nme:1:2\n");
        assert_eq!(text(b"plain\n".to_vec()), "plain\n");
        assert!(text_of("/nonexistent").is_err());
    }
}
