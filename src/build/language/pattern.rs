//! Patterns of `${name#pattern}` and the like: `*` is any text, `?` any character (Dockerfile reference, Environment
//! replacement).

use regex::Regex;

/// Longest pattern, in characters.
const PATTERN_MAX: usize = 4096;

/// A pattern.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, Copy)]
enum Piece {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern. A backslash takes the meaning of `*`, `?`, `/`, `}` and itself.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            pieces.push(match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                '\\' => match chars.next() {
                    Some(next @ ('*' | '?' | '\\' | '/' | '}')) => Piece::Char(next),
                    Some(next) => return Err(format!("invalid escape '\\{next}'")),
                    None => return Err("nothing follows the last backslash".to_owned()),
                },
                c => Piece::Char(c),
            });
            if pieces.len() > PATTERN_MAX {
                return Err(format!("a pattern is longer than {PATTERN_MAX} characters"));
            }
        }
        Ok(Pattern(pieces))
    }

    fn regex<'a>(
        pieces: impl Iterator<Item = &'a Piece>,
        begin: &str,
        longest: bool,
    ) -> Result<Regex, String> {
        let mut text = format!("(?s){begin}");
        let mut buffer = [0; 4];
        for piece in pieces {
            match piece {
                Piece::Any if longest => text.push_str(".*"),
                Piece::Any => text.push_str(".*?"),
                Piece::One => text.push('.'),
                Piece::Char(c) => text.push_str(&regex::escape(c.encode_utf8(&mut buffer))),
            }
        }
        Regex::new(&text).map_err(|_| "a pattern is too large".to_owned())
    }

    /// The value without the shortest or longest beginning that matches.
    pub(super) fn without_prefix<'a>(&self, value: &'a str, longest: bool) -> Result<&'a str, String> {
        let regex = Self::regex(self.0.iter(), "^", longest)?;
        Ok(regex.find(value).map_or(value, |found| &value[found.end()..]))
    }

    /// The value without the shortest or longest end that matches.
    pub(super) fn without_suffix<'a>(&self, value: &'a str, longest: bool) -> Result<&'a str, String> {
        let regex = Self::regex(self.0.iter().rev(), "^", longest)?;
        // Backwards, as regular expressions find what is leftmost.
        let backwards: String = value.chars().rev().collect();
        Ok(regex.find(&backwards).map_or(value, |found| &value[..value.len() - found.end()]))
    }

    /// The value with the first match or all of them replaced, as far as `longest` bytes suffice.
    pub(super) fn replaced(
        &self,
        value: &str,
        with: &str,
        all: bool,
        longest: usize,
    ) -> Result<Option<String>, String> {
        let regex = Self::regex(self.0.iter(), "", true)?;
        let mut result = String::new();
        let mut kept = 0;
        for found in regex.find_iter(value).take(if all { usize::MAX } else { 1 }) {
            result.push_str(&value[kept..found.start()]);
            result.push_str(with);
            kept = found.end();
            if result.len() > longest {
                return Ok(None);
            }
        }
        result.push_str(&value[kept..]);
        Ok(Some(result).filter(|result| result.len() <= longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_cut_off() {
        let prefix =
            |p: &str, v: &str, l| Pattern::parse(p).unwrap().without_prefix(v, l).unwrap().to_owned();
        let suffix =
            |p: &str, v: &str, l| Pattern::parse(p).unwrap().without_suffix(v, l).unwrap().to_owned();
        assert_eq!(prefix("*/", "a/b/c", false), "b/c");
        assert_eq!(prefix("*/", "a/b/c", true), "c");
        assert_eq!(suffix("/*", "a/b/c", false), "a/b");
        assert_eq!(suffix("/*", "a/b/c", true), "a");
        assert_eq!(suffix(".t?z", "x.tgz", false), "x");
        assert_eq!(suffix("\u{e9}", "caf\u{e9}", false), "caf");
        assert_eq!(prefix("\\*(.", "*(.x", false), "x");
        assert_eq!(prefix("*", "a\nb", true), "");
        assert_eq!(prefix("b", "ab", true), "ab");
    }

    #[test]
    fn matches_are_replaced() {
        let replaced = |p: &str, v: &str, w: &str, all| {
            Pattern::parse(p).unwrap().replaced(v, w, all, 100).unwrap().unwrap()
        };
        assert_eq!(replaced("a", "banana", "$0", false), "b$0nana");
        assert_eq!(replaced("a", "banana", "o", true), "bonono");
        assert_eq!(replaced("a*a", "banana", "", true), "b");
        assert_eq!(replaced("", "ab", "x", false), "xab");
        assert_eq!(Pattern::parse("a").unwrap().replaced(&"a".repeat(60), "bb", true, 100), Ok(None));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["\\", "\\x", "\\\\\\"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::parse(&"x".repeat(PATTERN_MAX + 1)).is_err());
        assert!(Pattern::parse(&"?".repeat(PATTERN_MAX)).unwrap().without_prefix("x", true).is_ok());
    }
}
