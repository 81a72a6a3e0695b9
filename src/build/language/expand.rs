//! Quotes and variables of words (Dockerfile reference, Environment replacement).
//!
//! As BuildKit has it: all parts of a word are expanded, also a default that is not needed. The escape character takes
//! the meaning of any character outside quotes, and of `"`, `$` and itself within `"`. What a value holds is not
//! expanded again.

use super::pattern::Pattern;
use super::tree::{Heredoc, Word};
use std::iter::Peekable;
use std::str::Chars;

/// Deepest nesting of `${ }`.
const DEPTH_MAX: usize = 32;
/// Longest result, in bytes.
const RESULT_MAX: usize = 1024 * 1024;
/// Longest content of a heredoc, in bytes.
const CONTENT_MAX: usize = 16 * RESULT_MAX;

/// What a variable is; `None` for one that is not set.
pub type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Word {
    /// The word without quotes and with variables replaced. `variable` is asked for each variable, also for those
    /// whose value is not needed, so it can note which are used.
    ///
    /// # Errors
    /// What is wrong with it: quotes or braces that are not closed, a substitution that there is none of, a variable
    /// that `${name:?}` needs, or a result of more than 1 MiB.
    pub fn expand(&self, escape: char, variable: Variable<'_>) -> Result<String, String> {
        run(&self.0, Modes { escape, ..Modes::default() }, variable).map(|found| found.text)
    }

    /// As [`Word::expand`], split at blanks that are neither quoted nor escaped, also those of variables: the ports of
    /// EXPOSE, which may be several in one variable.
    ///
    /// # Errors
    /// As [`Word::expand`].
    pub fn expand_list(&self, escape: char, variable: Variable<'_>) -> Result<Vec<String>, String> {
        run(&self.0, Modes { escape, ..Modes::default() }, variable).map(|found| found.words)
    }
}

impl Heredoc {
    /// The content, with variables replaced if its delimiter is not quoted. Quotes are text in it.
    ///
    /// # Errors
    /// As [`Word::expand`].
    pub fn expanded(&self, variable: Variable<'_>) -> Result<String, String> {
        if !self.expand {
            return Ok(self.content.clone());
        }
        let modes = Modes { quotes: false, longest: CONTENT_MAX, ..Modes::default() };
        run(&self.content, modes, variable).map(|found| found.text)
    }
}

/// An instruction as it is shown while it is worked on: with its quotes, and those variables replaced that are set.
/// One that cannot be expanded is shown as written.
pub fn shown(original: &str, escape: char, variable: Variable<'_>) -> String {
    let modes = Modes { escape, keep: true, ..Modes::default() };
    run(original, modes, variable).map_or_else(|_| original.to_owned(), |found| found.text)
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
struct Modes {
    escape: char,
    /// Quotes have a meaning.
    quotes: bool,
    /// Quotes and variables that are not set stay.
    keep: bool,
    /// Longest result, in bytes.
    longest: usize,
}

impl Default for Modes {
    fn default() -> Self {
        Modes { escape: '\\', quotes: true, keep: false, longest: RESULT_MAX }
    }
}

fn run(source: &str, modes: Modes, variable: Variable<'_>) -> Result<Found, String> {
    let mut lexer = Lexer { chars: source.chars().peekable(), modes, variable, depth: 0 };
    lexer.text(None, false).map_err(|why| {
        let begin: String = source.chars().take(80).collect();
        format!("failed to process {begin:?}: {why}")
    })
}

/// A result, as one text and split into words.
#[derive(Debug)]
struct Found {
    longest: usize,
    text: String,
    words: Vec<String>,
    word: Option<String>,
}

impl Found {
    fn new(longest: usize) -> Self {
        Found { longest, text: String::new(), words: Vec::new(), word: None }
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        if self.text.len() + text.len() > self.longest {
            return Err(too_long(self.longest));
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Adds what is never split.
    fn whole(&mut self, text: &str) -> Result<(), String> {
        self.add(text)?;
        self.word.get_or_insert_default().push_str(text);
        Ok(())
    }

    /// Adds what is split at blanks.
    fn split(&mut self, text: &str) -> Result<(), String> {
        self.add(text)?;
        for c in text.chars() {
            if c.is_whitespace() {
                self.end_word();
            } else {
                self.word.get_or_insert_default().push(c);
            }
        }
        Ok(())
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take().filter(|word| !word.is_empty()));
    }
}

fn too_long(longest: usize) -> String {
    format!("the result is longer than {} MB", longest / 1024 / 1024)
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    modes: Modes,
    variable: Variable<'a>,
    depth: usize,
}

impl Lexer<'_> {
    /// Everything up to `stop`, which is taken too, or to the end. In a pattern escape characters stay.
    fn text(&mut self, stop: Option<char>, pattern: bool) -> Result<Found, String> {
        let mut found = Found::new(self.modes.longest);
        let mut buffer = [0; 4];
        while let Some(c) = self.chars.next() {
            match c {
                c if Some(c) == stop => {
                    found.end_word();
                    return Ok(found);
                }
                '\'' if self.modes.quotes => found.whole(&self.single()?)?,
                '"' if self.modes.quotes => found.whole(&self.double(pattern)?)?,
                '$' => found.split(&self.dollar()?)?,
                c if c == self.modes.escape => {
                    if pattern {
                        found.whole(c.encode_utf8(&mut buffer))?;
                    }
                    if let Some(next) = self.chars.next() {
                        found.whole(next.encode_utf8(&mut buffer))?;
                    }
                }
                c => found.split(c.encode_utf8(&mut buffer))?,
            }
        }
        if let Some(stop) = stop {
            return Err(format!("syntax error: missing '{stop}'"));
        }
        found.end_word();
        Ok(found)
    }

    /// What follows a single quote, up to the next.
    fn single(&mut self) -> Result<String, String> {
        let mut text = String::from(if self.modes.keep { "'" } else { "" });
        loop {
            match self.chars.next() {
                None => return Err(unclosed("single")),
                Some('\'') => break,
                Some(c) => text.push(c),
            }
        }
        text.push_str(if self.modes.keep { "'" } else { "" });
        Ok(text)
    }

    /// What follows a double quote, up to the next that is not escaped.
    fn double(&mut self, pattern: bool) -> Result<String, String> {
        let escape = self.modes.escape;
        let mut text = String::from(if self.modes.keep { "\"" } else { "" });
        loop {
            match self.chars.next() {
                None => return Err(unclosed("double")),
                Some('"') => break,
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == escape => {
                    if pattern {
                        text.push(escape);
                    }
                    let special = |next: &char| matches!(next, '"' | '$') || *next == escape;
                    text.push(self.chars.next_if(special).unwrap_or(escape));
                }
                Some(c) => text.push(c),
            }
            if text.len() > self.modes.longest {
                return Err(too_long(self.modes.longest));
            }
        }
        text.push_str(if self.modes.keep { "\"" } else { "" });
        Ok(text)
    }

    /// What follows a `$`.
    fn dollar(&mut self) -> Result<String, String> {
        if self.chars.next_if_eq(&'{').is_some() {
            if self.depth == DEPTH_MAX {
                return Err(format!("substitutions are nested more than {DEPTH_MAX} deep"));
            }
            self.depth += 1;
            let value = self.braces();
            self.depth -= 1;
            return value;
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".to_owned());
        }
        Ok(match (self.variable)(&name) {
            None if self.modes.keep => format!("${name}"),
            value => value.unwrap_or_default(),
        })
    }

    /// A name: letters, digits and `_`; only digits if it begins with one; or a sign, which is never set.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.chars.peek() {
            Some(c) if c.is_ascii_digit() => {
                while let Some(c) = self.chars.next_if(char::is_ascii_digit) {
                    name.push(c);
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => name.extend(self.chars.next()),
            _ => {
                while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        name
    }

    /// What follows a `${`.
    fn braces(&mut self) -> Result<String, String> {
        if let Some('{' | '}' | ':') = self.chars.peek() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let name = self.name();
        if name.is_empty() && self.chars.peek().is_some() {
            return Err("syntax error: bad substitution".to_owned());
        }
        let missing = || "syntax error: missing '}'".to_owned();
        let mut sign = String::from(self.chars.next().ok_or_else(missing)?);
        if sign == "}" {
            return Ok(match (self.variable)(&name) {
                None if self.modes.keep => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            });
        }
        if sign == "/" {
            return self.replacement(&name);
        }
        if sign == ":" {
            sign.push(self.chars.next().ok_or_else(missing)?);
        }
        let unsupported = format!("unsupported modifier ({sign}) in substitution");
        let cuts = ["#", "%"].contains(&sign.as_str());
        if !cuts && !["-", "+", "?", ":-", ":+", ":?"].contains(&sign.as_str()) {
            return Err(unsupported);
        }
        let word = self.text(Some('}'), cuts)?.text;
        let value = (self.variable)(&name);
        if self.modes.keep && value.is_none() {
            return Ok(format!("${{{name}{sign}{word}}}"));
        }
        // With a colon, what is empty is as good as not set.
        let given = value.as_deref().filter(|value| sign.len() == 1 || !value.is_empty());
        match sign.trim_start_matches(':') {
            "-" => Ok(given.map_or(word, str::to_owned)),
            "+" => Ok(if given.is_some() { word } else { String::new() }),
            "?" => given.map(str::to_owned).ok_or_else(|| {
                let state = if value.is_some() { "empty" } else { "unset" };
                match word.as_str() {
                    "" => format!("{name}: is not allowed to be {state}"),
                    message => format!("{name}: {message}"),
                }
            }),
            sign => cut(sign, &word, &value.unwrap_or_default()),
        }
    }

    /// What follows a `${name/`.
    fn replacement(&mut self, name: &str) -> Result<String, String> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.text(Some('/'), true)?.text;
        let with = self.text(Some('}'), true)?.text;
        let value = match (self.variable)(name) {
            None if self.modes.keep => {
                let slash = if all { "//" } else { "/" };
                return Ok(format!("${{{name}{slash}{pattern}/{with}}}"));
            }
            value => value.unwrap_or_default(),
        };
        let parsed = Pattern::parse(&pattern).map_err(|why| wrong_pattern(&pattern, &why))?;
        let longest = self.modes.longest;
        parsed.replaced(&value, &with, all, longest)?.ok_or_else(|| too_long(longest))
    }
}

/// `${name#pattern}` and `${name%pattern}`; the longest match if the sign is doubled.
fn cut(sign: &str, pattern: &str, value: &str) -> Result<String, String> {
    let (pattern, longest) = match pattern.strip_prefix(sign) {
        Some(rest) => (rest, true),
        None => (pattern, false),
    };
    let parsed = Pattern::parse(pattern).map_err(|why| wrong_pattern(pattern, &why))?;
    let kept = match sign {
        "#" => parsed.without_prefix(value, longest),
        _ => parsed.without_suffix(value, longest),
    };
    kept.map(str::to_owned)
}

fn wrong_pattern(pattern: &str, why: &str) -> String {
    format!("invalid pattern ({pattern}) in substitution: {why}")
}

fn unclosed(quote: &str) -> String {
    format!("unexpected end of statement while looking for matching {quote}-quote")
}
