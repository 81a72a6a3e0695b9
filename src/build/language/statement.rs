//! An instruction's line in its parts.

use super::fault::Fault;
use super::flags::{Flags, Takes};
use super::heredoc;
use super::words::{List, first_and_rest, flags, list};

/// A line in its parts.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    /// The whole line.
    pub(super) line: &'a str,
    /// The instruction as written.
    pub(super) keyword: &'a str,
    /// Its name.
    pub(super) name: String,
    /// What begins with `--`.
    pub(super) flags: Vec<String>,
    /// Everything else.
    pub(super) rest: &'a str,
    /// The escape character.
    pub(super) escape: char,
}

impl<'a> Statement<'a> {
    /// Takes a line apart.
    pub(super) fn new(line: &'a str, escape: char) -> Self {
        let line = line.trim();
        let (keyword, rest) = first_and_rest(line);
        let (flags, rest) = flags(rest.unwrap_or_default(), escape);
        Statement { line, keyword, name: keyword.to_ascii_uppercase(), flags, rest, escape }
    }

    /// The markers of heredocs that belong to it.
    pub(super) fn markers(&self) -> Result<Vec<heredoc::Marker>, Fault> {
        let inner;
        let executed = match self.name.as_str() {
            "ONBUILD" => {
                inner = Statement::new(self.rest, self.escape);
                &inner
            }
            _ => self,
        };
        let may = ["RUN", "COPY", "ADD"].contains(&executed.name.as_str());
        if !may || matches!(list(executed.rest), List::Strings(_)) {
            return Ok(Vec::new());
        }
        Ok(heredoc::markers(self.line)?)
    }

    /// Its flags, of which there may be these.
    pub(super) fn flags(&self, known: &[(&str, Takes)]) -> Result<Flags, Fault> {
        Flags::parse(&self.flags, known)
    }

    /// That it has too few or too many arguments.
    pub(super) fn needs(&self, what: &str) -> Fault {
        Fault::new(format!("{} requires {what}", self.name)).at(self.keyword)
    }

    /// Refuses what is no trigger.
    pub(super) fn may_be_trigger(&self) -> Result<(), Fault> {
        match self.name.as_str() {
            "ONBUILD" => Err(Fault::new("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
            name @ ("FROM" | "MAINTAINER") => {
                Err(Fault::new(format!("{name} isn't allowed as an ONBUILD trigger")).at(self.keyword))
            }
            _ => Ok(()),
        }
    }
}

/// A JSON list of strings; `None` for other text.
pub(super) fn strings(text: &str) -> Result<Option<Vec<String>>, Fault> {
    match list(text) {
        List::Strings(words) if words.iter().any(|word| word.contains('\0')) => {
            Err(Fault::new("a word of a list has a NUL character"))
        }
        List::Strings(words) => Ok(Some(words)),
        List::Others => {
            Err(Fault::new("when using JSON array syntax, arrays must be comprised of strings only"))
        }
        List::Text => Ok(None),
    }
}
