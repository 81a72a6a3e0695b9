//! Splits template text into tokens.

use crate::text::template::fault::Fault;
use serde_json::{Number, Value};

/// A stretch of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// Copied to the output.
    Text(String),
    /// Between `{{` and `}}`; the number is the byte of the opening.
    Action(usize, Vec<Token>),
}

/// One token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// Byte in the template.
    pub(super) at: usize,
    /// No white space stands before it: `.A.B` is one operand, `.A .B` are two.
    pub(super) glued: bool,
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// `.`
    Dot,
    /// `.Name`
    Field(String),
    /// `$` (empty) or `$name`
    Variable(String),
    /// A key word or function name.
    Word(String),
    /// String, character or number.
    Literal(Value),
    Pipe,
    Open,
    Close,
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

/// Splits a template into text and actions.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, Fault> {
    let mut all = Vec::new();
    let mut at = 0;
    let mut trim = false;
    loop {
        let rest = &source[at..];
        let open = rest.find("{{");
        let mut text = &rest[..open.unwrap_or(rest.len())];
        if trim {
            text = text.trim_start();
        }
        let Some(open) = open.map(|o| at + o) else {
            push_text(&mut all, text);
            return Ok(all);
        };
        let mut inside = open + 2;
        // `{{- ` trims what stands before; `{{-3}}` is a number.
        let after = source[inside..].strip_prefix('-');
        if let Some(after) = after.filter(|a| a.starts_with(char::is_whitespace)) {
            text = text.trim_end();
            inside = source.len() - after.len();
        }
        push_text(&mut all, text);
        let body = source[inside..].trim_start();
        if body.starts_with("/*") {
            let start = source.len() - body.len();
            let end = body.find("*/").ok_or_else(|| Fault::new(start, "comment without an end"))?;
            (at, trim) = close(source, start + end + 2)
                .ok_or_else(|| Fault::new(start, "a comment must fill its action: {{/* ... */}}"))?;
            continue;
        }
        let mut scanner = Scanner { source, at: inside, tokens: Vec::new() };
        (at, trim) = scanner.action(open)?;
        all.push(Piece::Action(open, scanner.tokens));
    }
}

fn push_text(all: &mut Vec<Piece>, text: &str) {
    if text.is_empty() {
        return;
    }
    let text =
        if text.contains('\\') { text.replace("\\t", "\t").replace("\\n", "\n") } else { text.to_owned() };
    all.push(Piece::Text(text));
}

/// Past `}}` or ` -}}` at this byte (white space allowed before), and whether the text after is trimmed.
fn close(source: &str, at: usize) -> Option<(usize, bool)> {
    let rest = source[at..].trim_start();
    if let Some(after) = rest.strip_prefix("}}") {
        return Some((source.len() - after.len(), false));
    }
    let after = rest.strip_prefix("-}}")?;
    source[..source.len() - rest.len()]
        .ends_with(char::is_whitespace)
        .then(|| (source.len() - after.len(), true))
}

struct Scanner<'a> {
    source: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Reads tokens up to the end of the action; returns what [`close`] gives.
    fn action(&mut self, open: usize) -> Result<(usize, bool), Fault> {
        loop {
            if let Some(end) = close(self.source, self.at) {
                return Ok(end);
            }
            let spaced = self.rest().trim_start();
            let glued = spaced.len() == self.rest().len();
            self.at = self.source.len() - spaced.len();
            let Some(first) = spaced.chars().next() else {
                return Err(Fault::new(open, "action without an end: `}}` is missing")
                    .hint("Write what is to be filled in between two pairs of braces: {{.ID}}"));
            };
            let at = self.at;
            let kind = self.token(first)?;
            self.tokens.push(Token { at, glued, kind });
        }
    }

    fn token(&mut self, first: char) -> Result<Kind, Fault> {
        let rest = self.rest();
        let second = rest.chars().nth(1).unwrap_or(' ');
        Ok(match first {
            '|' => self.take(1, Kind::Pipe),
            '(' => self.take(1, Kind::Open),
            ')' => self.take(1, Kind::Close),
            ',' => self.take(1, Kind::Comma),
            '=' => self.take(1, Kind::Assign),
            ':' if second == '=' => self.take(2, Kind::Declare),
            '.' if second.is_ascii_digit() => self.number()?,
            '.' => {
                self.at += 1;
                match self.word() {
                    "" => Kind::Dot,
                    name => Kind::Field(name.to_owned()),
                }
            }
            '$' => {
                self.at += 1;
                Kind::Variable(self.word().to_owned())
            }
            '"' => Kind::Literal(Value::String(self.quoted('"')?)),
            '\'' => {
                let (at, text) = (self.at, self.quoted('\'')?);
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Kind::Literal(Value::from(c as u32)),
                    _ => {
                        return Err(Fault::new(at, "a character constant holds one character")
                            .hint("Write strings with double quotes: {{join .Names \",\"}}"));
                    }
                }
            }
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| Fault::new(self.at, "string without an end"))?;
                self.take(end + 2, Kind::Literal(Value::String(rest[1..=end].to_owned())))
            }
            c if c.is_ascii_digit()
                || (matches!(c, '-' | '+') && (second.is_ascii_digit() || second == '.')) =>
            {
                self.number()?
            }
            c if c.is_alphabetic() || c == '_' => Kind::Word(self.word().to_owned()),
            c => return Err(Fault::new(self.at, format!("unexpected {c:?}"))),
        })
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.at += bytes;
        kind
    }

    /// Letters, digits and underscores from here on; may be empty.
    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let (at, rest) = (self.at, self.rest());
        let mut end = 0;
        let mut before = ' ';
        for (i, c) in rest.char_indices() {
            let sign = matches!(c, '-' | '+') && (i == 0 || matches!(before, 'e' | 'E'));
            if !(sign || c.is_ascii_alphanumeric() || matches!(c, '.' | '_')) {
                break;
            }
            (end, before) = (i + c.len_utf8(), c);
        }
        self.at += end;
        let digits = rest[..end].replace('_', "");
        let plain = digits.strip_prefix('+').unwrap_or(&digits);
        let value = if let Some(hex) = plain.strip_prefix("0x") {
            i64::from_str_radix(hex, 16).ok().map(Value::from)
        } else if let Ok(whole) = plain.parse::<i64>() {
            Some(Value::from(whole))
        } else {
            plain.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
        };
        value.map(Kind::Literal).ok_or_else(|| Fault::new(at, format!("{digits:?} is not a number")))
    }

    /// A Go string or character constant that starts here.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let at = self.at;
        let unended = || Fault::new(at, "string without an end");
        let mut text = String::new();
        let mut chars = self.source[at + 1..].char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.at = at + 1 + i + 1;
                    return Ok(text);
                }
                '\\' => {
                    let (_, escape) = chars.next().ok_or_else(unended)?;
                    let digits = match escape {
                        'n' => {
                            text.push('\n');
                            continue;
                        }
                        't' => {
                            text.push('\t');
                            continue;
                        }
                        'r' => {
                            text.push('\r');
                            continue;
                        }
                        '\\' | '"' | '\'' => {
                            text.push(escape);
                            continue;
                        }
                        'x' => 2,
                        'u' => 4,
                        'U' => 8,
                        other => {
                            return Err(Fault::new(
                                at + 1 + i,
                                format!("unknown escape \\{other} in a string"),
                            ));
                        }
                    };
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                    text.push(
                        code.ok_or_else(|| Fault::new(at + 1 + i, format!("bad escape \\{escape}{hex}")))?,
                    );
                }
                c => text.push(c),
            }
        }
        Err(unended())
    }
}
