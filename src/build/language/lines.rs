//! From the bytes of a Containerfile to its instructions, each in one line.
//!
//! Lines are continued by the escape character at their end. Within an instruction comments and empty lines are left
//! out. Blanks after an escape character that continues a line are allowed, as in BuildKit, and so is the end of the
//! file.

use super::fault::Fault;
use super::tree::{Heredoc, Source};
use std::borrow::Cow;

/// Longest file, in bytes.
const FILE_MAX: usize = 10 * 1024 * 1024;
/// Most lines.
const LINES_MAX: usize = 500_000;
/// Longest line, also of continued ones together, in bytes.
const LINE_MAX: usize = 1024 * 1024;

/// An instruction in one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line, its continuations joined.
    pub(super) text: String,
    /// Its first line, counted from 1.
    pub(super) start: usize,
}

/// Reads lines one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    lines: Vec<&'a [u8]>,
    /// How many of them are read.
    pub(super) read: usize,
    /// Empty lines in continued ones, counted from 1.
    pub(super) empty: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// A reader of this text, which may begin with a byte order mark.
    ///
    /// # Errors
    /// It is too long. Nothing of it was read then.
    pub(super) fn new(text: &'a [u8]) -> Result<Self, Fault> {
        if text.len() > FILE_MAX {
            return Err(Fault::new(format!("it is larger than {} MB", FILE_MAX / 1024 / 1024)));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').take(LINES_MAX + 1).collect();
        if lines.len() > LINES_MAX {
            return Err(Fault::new(format!("it has more than {LINES_MAX} lines")));
        }
        Ok(Reader { lines, read: 0, empty: Vec::new() })
    }

    /// The text for messages.
    pub(super) fn source(&self, name: &str) -> Source {
        let line = |line: &&[u8]| String::from_utf8_lossy(without_end(line)).into_owned();
        Source { name: name.to_owned(), lines: self.lines.iter().map(line).collect() }
    }

    /// The next line without its end and without blanks before it, which stays unread.
    pub(super) fn peek(&self) -> Option<Cow<'a, str>> {
        let line = self.lines.get(self.read)?;
        Some(String::from_utf8_lossy(without_end(line).trim_ascii_start()))
    }

    /// The next instruction, if there is one.
    ///
    /// # Errors
    /// A line is no text, or too long; it is the last one that was read.
    pub(super) fn next(&mut self, escape: char) -> Result<Option<Line>, Fault> {
        let (first, start) = loop {
            let Some(line) = self.lines.get(self.read) else { return Ok(None) };
            self.read += 1;
            let line = without_end(line);
            if !is_comment(line) && !is_blank(line) {
                break (text_of(line)?.trim_start(), self.read);
            }
        };
        let (part, mut continues) = continued(first, escape);
        let mut text = part.to_owned();
        while continues {
            let Some(line) = self.lines.get(self.read) else { break };
            self.read += 1;
            let line = without_end(line);
            if is_comment(line) {
                continue;
            }
            if is_blank(line) {
                self.empty.push(self.read);
                continue;
            }
            let part;
            (part, continues) = continued(text_of(line)?, escape);
            if text.len() + part.len() > LINE_MAX {
                return Err(too_long());
            }
            text.push_str(part);
        }
        Ok(Some(Line { text, start }))
    }

    /// The content of a heredoc, up to its delimiter.
    ///
    /// # Errors
    /// There is no such line, or a line is no text.
    pub(super) fn heredoc(&mut self, heredoc: &mut Heredoc, tabs: bool) -> Result<(), Fault> {
        while let Some(line) = self.lines.get(self.read) {
            self.read += 1;
            let line = text_of(line)?;
            let line = if tabs { line.trim_start_matches('\t') } else { line };
            if line.trim_end_matches(['\r', '\n']) == heredoc.name {
                return Ok(());
            }
            heredoc.content.push_str(line);
        }
        Err(Fault::new(format!("unterminated heredoc: {:?} is not found", heredoc.name)).at(&heredoc.marker))
    }
}

/// The line as text.
fn text_of(line: &[u8]) -> Result<&str, Fault> {
    if line.len() > LINE_MAX {
        return Err(too_long());
    }
    match std::str::from_utf8(line) {
        Ok(text) if text.contains('\0') => Err(Fault::new("the line has a NUL character")),
        Ok(text) => Ok(text),
        Err(_) => Err(Fault::new("the line is not UTF-8")),
    }
}

fn too_long() -> Fault {
    Fault::new(format!("the line is longer than {} MB", LINE_MAX / 1024 / 1024))
}

fn without_end(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    &line[..end]
}

fn is_comment(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"#")
}

fn is_blank(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|line| line.trim().is_empty())
}

/// The line without the escape character that continues it, and whether there was one. An escaped escape character
/// does not continue a line.
fn continued(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(part) if !part.ends_with(escape) => (part, true),
        _ => (line, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], escape: char) -> Vec<(String, usize, usize)> {
        let mut reader = Reader::new(text).unwrap();
        let mut all = Vec::new();
        while let Some(line) = reader.next(escape).unwrap() {
            all.push((line.text, line.start, reader.read));
        }
        all
    }

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        for (text, wanted) in [
            ("\u{feff}FROM a\r\nRUN b\r\n", vec![("FROM a", 1, 1), ("RUN b", 2, 2)]),
            (
                "# c\n\n  RUN a \\\n  # no\n\n   b\\  \t\n&& c\nUSER x",
                vec![("RUN a    b&& c", 3, 7), ("USER x", 8, 8)],
            ),
            ("RUN a \\", vec![("RUN a ", 1, 1)]),
            ("RUN a\\\\\nRUN b", vec![("RUN a\\\\", 1, 1), ("RUN b", 2, 2)]),
            ("RUN a\\\r\nb\r\n", vec![("RUN ab", 1, 2)]),
            ("\\\nRUN a", vec![("RUN a", 1, 2)]),
            ("", vec![]),
        ] {
            let wanted: Vec<_> = wanted.into_iter().map(|(t, a, b)| (t.to_owned(), a, b)).collect();
            assert_eq!(read(text.as_bytes(), '\\'), wanted, "{text:?}");
        }
        assert_eq!(read(b"RUN a `\nb\\\nRUN c", '`').len(), 2);
    }

    #[test]
    fn what_is_no_text_is_refused_except_in_comments() {
        let next = |text: &[u8]| Reader::new(text).unwrap().next('\\').map(|line| line.map(|l| l.text));
        assert_eq!(next(b"# \xff\0\nRUN a"), Ok(Some("RUN a".to_owned())));
        assert!(next(b"RUN \xff").is_err() && next(b"RUN \0").is_err());
        let long = [b"RUN ".as_slice(), &vec![b'x'; LINE_MAX]].concat();
        assert!(next(&long).is_err());
        let endless = [b"RUN x\\\n".as_slice(), &b"yyyyyyyyyyyyyyy\\\n".repeat(100_000)].concat();
        assert!(next(&endless).is_err());
        assert!(Reader::new(&vec![b'\n'; FILE_MAX + 1]).is_err());
        assert!(Reader::new(&vec![b'\n'; LINES_MAX + 1]).is_err());
    }
}
