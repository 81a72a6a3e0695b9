//! One pattern: of an ignore file, of `--exclude`, of a source.
//!
//! Theory of operation. The syntax is that of Go's `filepath.Match`: `*`, `?`, classes `[a-z]` and `[^a]`, and `\`
//! before a character that means itself. `?`, `*` and classes never match a slash. Ignore files have `**` besides,
//! which BuildKit's pattern matcher turns into regular expressions; what they mean is kept here: `**/` is any number
//! of directories, `**` at the end is everything, `**foo` at the beginning is any path that ends so.
//!
//! A pattern becomes a list of tokens, and matching follows all ways through the list at once, so that it takes time
//! in proportion to both lengths whatever the pattern (no backtracking). The literal parts at both ends are compared
//! first, which settles nearly every path.

use super::unit::{self, SLASH};
use std::ops::RangeInclusive;

/// Longest pattern, in bytes: twice the longest path.
const LENGTH_MAX: usize = 8192;

/// Why a pattern is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// A class that does not end, is empty or runs backwards; an escape of nothing.
    Syntax,
    /// It has too many bytes.
    Long,
}

impl Malformed {
    /// What is wrong, as the end of a sentence.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Malformed::Syntax => "syntax error in pattern",
            Malformed::Long => "the pattern is too long",
        }
    }
}

/// What `**` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stars {
    /// Any number of directories: ignore files, `--exclude`, `--parents`.
    Many,
    /// The same as one star: `filepath.Match`.
    One,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This one.
    Unit(u32),
    /// `?`.
    Any,
    /// `[...]`.
    Class(Class),
    /// `*`.
    Star,
    /// `**/`, followed by [`Token::Inside`]: either both are passed over at once.
    Dirs,
    /// What `**/` has begun to take; it ends after a slash.
    Inside,
    /// `**` at the end, or at the beginning of a text that ends a path.
    Rest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    negated: bool,
    ranges: Vec<RangeInclusive<u32>>,
}

impl Class {
    fn has(&self, unit: u32) -> bool {
        unit != SLASH && self.ranges.iter().any(|range| range.contains(&unit::shown(unit))) != self.negated
    }
}

/// A pattern, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    tokens: Vec<Token>,
    /// What every match begins with.
    prefix: Vec<u8>,
    /// What every match ends with.
    suffix: Vec<u8>,
    /// Whether `prefix` is all there is.
    literal: bool,
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &[u8], stars: Stars) -> Result<Pattern, Malformed> {
        if text.len() > LENGTH_MAX {
            return Err(Malformed::Long);
        }
        let mut reader = Reader { rest: text, stars, tokens: Vec::new() };
        while !reader.rest.is_empty() {
            reader.token()?;
        }
        let tokens = reader.tokens;
        let units = |tokens: &mut dyn Iterator<Item = &Token>| -> Vec<u32> {
            let literal = tokens.map_while(|t| if let Token::Unit(unit) = t { Some(*unit) } else { None });
            literal.collect()
        };
        let first = units(&mut tokens.iter());
        let mut last = units(&mut tokens.iter().rev());
        last.reverse();
        let literal = first.len() == tokens.len();
        Ok(Pattern { literal, prefix: unit::bytes(&first), suffix: unit::bytes(&last), tokens })
    }

    /// Whether it has no wildcards: then it matches one text only, which is this.
    pub(super) fn literal(&self) -> Option<&[u8]> {
        self.literal.then_some(&self.prefix)
    }

    /// Whether it matches a whole path.
    pub(super) fn matches(&self, path: &[u8]) -> bool {
        if self.literal {
            return path == self.prefix;
        }
        if !path.starts_with(&self.prefix) || !path.ends_with(&self.suffix) {
            return false;
        }
        let mut states = States::new(&self.tokens);
        let mut rest = path;
        while let Some(unit) = unit::take(&mut rest) {
            if !states.step(unit) {
                return false;
            }
        }
        states.accepting()
    }

    /// Whether it may match a path below this directory, which is not the root.
    pub(super) fn may_match_below(&self, dir: &[u8]) -> bool {
        let length = dir.len().min(self.prefix.len());
        if dir[..length] != self.prefix[..length] {
            return false;
        }
        if length < self.prefix.len() {
            return self.prefix[length] == b'/';
        }
        if self.literal {
            return false;
        }
        let mut states = States::new(&self.tokens);
        let mut rest = dir;
        while let Some(unit) = unit::take(&mut rest) {
            if !states.step(unit) {
                return false;
            }
        }
        states.step(SLASH)
    }
}

/// Takes the text of a pattern apart.
struct Reader<'a> {
    rest: &'a [u8],
    stars: Stars,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn token(&mut self) -> Result<(), Malformed> {
        let Some(unit) = unit::take(&mut self.rest) else { return Ok(()) };
        let token = match u8::try_from(unit) {
            Ok(b'*') if self.stars == Stars::Many && self.rest.first() == Some(&b'*') => return self.stars(),
            Ok(b'*') => Token::Star,
            Ok(b'?') => Token::Any,
            Ok(b'[') => Token::Class(self.class()?),
            Ok(b'\\') => Token::Unit(unit::take(&mut self.rest).ok_or(Malformed::Syntax)?),
            _ => Token::Unit(unit),
        };
        self.tokens.push(token);
        Ok(())
    }

    /// `**`, whose first star is read.
    fn stars(&mut self) -> Result<(), Malformed> {
        let special = |text: &[u8]| text.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b']' | b'\\'));
        self.rest = &self.rest[1..];
        let slash = self.rest.strip_prefix(b"/");
        self.rest = slash.unwrap_or(self.rest);
        let ends_path = self.tokens.is_empty() && slash.is_none() && !special(self.rest);
        if self.rest.is_empty() || ends_path {
            self.tokens.push(Token::Rest);
        } else {
            self.tokens.extend([Token::Dirs, Token::Inside]);
        }
        Ok(())
    }

    /// A class, whose bracket is read.
    fn class(&mut self) -> Result<Class, Malformed> {
        let negated = self.rest.first() == Some(&b'^');
        if negated {
            self.rest = &self.rest[1..];
        }
        let mut ranges = Vec::new();
        loop {
            if self.rest.first() == Some(&b']') && !ranges.is_empty() {
                self.rest = &self.rest[1..];
                return Ok(Class { negated, ranges });
            }
            let low = self.member()?;
            let high = match self.rest.split_first() {
                Some((b'-', rest)) => {
                    self.rest = rest;
                    self.member()?
                }
                _ => low,
            };
            if low > high {
                return Err(Malformed::Syntax);
            }
            ranges.push(low..=high);
        }
    }

    /// One end of a range in a class.
    fn member(&mut self) -> Result<u32, Malformed> {
        let unit = match self.rest.first() {
            None | Some(b'-' | b']') => None,
            Some(b'\\') => {
                self.rest = &self.rest[1..];
                unit::take(&mut self.rest)
            }
            Some(_) => unit::take(&mut self.rest),
        };
        unit.map(unit::shown).ok_or(Malformed::Syntax)
    }
}

/// The tokens that may come next, after what was read of a path.
struct States<'a> {
    tokens: &'a [Token],
    current: Vec<usize>,
    next: Vec<usize>,
    /// Which are in `next`.
    listed: Vec<bool>,
}

impl<'a> States<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        let mut states =
            States { tokens, current: Vec::new(), next: Vec::new(), listed: vec![false; tokens.len() + 1] };
        states.add(0);
        states.turn();
        states
    }

    /// Lists a token, and those that may come in its place because it can stand for nothing.
    fn add(&mut self, mut at: usize) {
        while !std::mem::replace(&mut self.listed[at], true) {
            self.next.push(at);
            at = match self.tokens.get(at) {
                Some(Token::Star | Token::Rest) => at + 1,
                Some(Token::Dirs) => {
                    self.list(at + 1);
                    at + 2
                }
                _ => return,
            };
        }
    }

    /// Lists a token alone.
    fn list(&mut self, at: usize) {
        if !std::mem::replace(&mut self.listed[at], true) {
            self.next.push(at);
        }
    }

    fn turn(&mut self) {
        std::mem::swap(&mut self.current, &mut self.next);
        self.next.clear();
        for at in &self.current {
            self.listed[*at] = false;
        }
    }

    /// Reads on; false when nothing can match any more.
    fn step(&mut self, unit: u32) -> bool {
        for index in 0..self.current.len() {
            let at = self.current[index];
            match self.tokens.get(at) {
                Some(Token::Unit(wanted)) if *wanted == unit => self.add(at + 1),
                Some(Token::Any) if unit != SLASH => self.add(at + 1),
                Some(Token::Class(class)) if class.has(unit) => self.add(at + 1),
                Some(Token::Star) if unit != SLASH => self.add(at),
                Some(Token::Rest) => self.add(at),
                Some(Token::Inside) => {
                    self.list(at);
                    if unit == SLASH {
                        self.add(at + 1);
                    }
                }
                _ => {}
            }
        }
        self.turn();
        !self.current.is_empty()
    }

    fn accepting(&self) -> bool {
        self.current.contains(&self.tokens.len())
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
