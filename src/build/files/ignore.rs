//! Ignore files: which files of a context are left out (containerignore(5), Docker's ".dockerignore files").
//!
//! Theory of operation. A line is a pattern; the last one that matches a path, or a directory above it, decides. A
//! directory that is left out is not read, unless an exception (`!`) may match something in it.

use super::path::clean;
use super::pattern::{Pattern, Stars};
use super::rules::{Inside, Rule, Rules};
use crate::error::{Error, Kind, Result};

/// What some editors begin a file with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The patterns of an ignore file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    name: String,
    pub(super) rules: Rules,
}

impl Ignore {
    /// Reads an ignore file, which is called `name` in messages.
    ///
    /// # Errors
    /// A malformed pattern, with its line.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Ignore> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let mut rules = Rules::default();
        for (number, line) in (1..).zip(bytes.split(|b| *b == b'\n')) {
            let refuse = |why: &str| {
                let line = String::from_utf8_lossy(line);
                Error::new(Kind::Usage, format!("{name}:{number}: {:?}: {why}", line.trim()))
            };
            rules.0.extend(rule(line).map_err(refuse)?);
        }
        Ok(Ignore { name: name.to_owned(), rules })
    }

    /// Patterns that were given one by one (`--exclude`).
    ///
    /// # Errors
    /// A malformed pattern.
    pub(super) fn of_patterns(option: &str, patterns: &[String]) -> Result<Ignore> {
        let mut rules = Rules::default();
        for text in patterns {
            let refuse = |why| Error::new(Kind::Usage, format!("{option} {text:?}: {why}"));
            rules.0.extend(rule(text.as_bytes()).map_err(refuse)?);
        }
        Ok(Ignore { name: option.to_owned(), rules })
    }

    /// What the file is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the file or directory at this path is left out. Paths are relative to the context, without a slash at
    /// their beginning; the context itself, an empty path, never is.
    pub fn is_out(&self, path: &[u8]) -> bool {
        self.rules.matches(path)
    }

    /// Whether something in this directory may not be left out. If not, there is no need to read it.
    pub fn may_contain(&self, dir: &[u8]) -> bool {
        let inside = self.rules.inside(dir);
        !self.rules.match_all(&inside) || self.may_contain_inside(&inside)
    }

    /// As [`Ignore::may_contain`], for a directory that is left out.
    pub(super) fn may_contain_inside(&self, inside: &Inside) -> bool {
        self.rules.may_except(inside)
    }
}

/// The rule of one line, if it has one; why it is refused otherwise.
fn rule(line: &[u8]) -> Result<Option<Rule>, &'static str> {
    let text = trim(line);
    if line.starts_with(b"#") || text.is_empty() {
        return Ok(None);
    }
    let (except, text) = match text.strip_prefix(b"!") {
        Some(rest) => (true, trim(rest)),
        None => (false, text),
    };
    if except && matches!(text, b"" | b"/") {
        return Err("illegal exclusion pattern");
    }
    let plain = clean(text);
    let plain = if plain.len() > 1 { plain.strip_prefix(b"/").unwrap_or(&plain) } else { &plain };
    let pattern = Pattern::parse(plain, Stars::Many).map_err(|e| e.reason())?;
    Ok(Some(Rule { except, pattern }))
}

/// Without white space at both ends.
fn trim(text: &[u8]) -> &[u8] {
    std::str::from_utf8(text).map_or_else(|_| text.trim_ascii(), |text| text.trim().as_bytes())
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
