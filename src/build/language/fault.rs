//! What is wrong with an instruction, and the error that says where.

use super::excerpt::{Caret, draw};
use super::tree::{Lines, Source};
use crate::error::{Error, Kind};

/// What is wrong, without the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    what: String,
    docker: Option<String>,
    hint: Option<String>,
    word: Option<String>,
}

impl Fault {
    /// With this message, which may quote what the file says.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Fault { what: cut(what.into()), docker: None, hint: None, word: None }
    }

    /// Docker words it so.
    pub(super) fn dockers(mut self, what: impl Into<String>) -> Self {
        self.docker = Some(cut(what.into()));
        self
    }

    /// With a hint, if there is one.
    pub(super) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// It is about this word, which the caret marks.
    pub(super) fn at(mut self, word: impl Into<String>) -> Self {
        self.word = Some(word.into());
        self
    }

    /// Only the message.
    pub(super) fn into_words(self) -> String {
        self.what
    }

    /// The error, which shows the lines.
    pub(super) fn error(self, source: &Source, at: Lines) -> Error {
        let place = self.word.as_deref().and_then(|word| find(source, at, word));
        let line = place.map_or(at.0, |caret| caret.line);
        let docker = self.docker.as_deref().unwrap_or(&self.what);
        let error = Error::new(Kind::Usage, format!("{}:{line}: {}", source.name, self.what))
            .as_docker(format!("dockerfile parse error on line {line}: {docker}"))
            .excerpt(draw(source, at, place));
        self.hint.into_iter().fold(error, Error::hint)
    }

    /// The error about a file as a whole.
    pub(super) fn of_file(self, name: &str) -> Error {
        let error = Error::new(Kind::Usage, format!("{name}: {}", self.what));
        self.hint.into_iter().fold(error, Error::hint)
    }

    /// The error about a trigger, which is in no file.
    pub(super) fn in_trigger(self, trigger: &str) -> Error {
        let begin: String = trigger.chars().take(80).collect();
        Error::new(Kind::Image, format!("trigger {begin:?} of the base image: {}", self.what))
    }
}

impl Source {
    /// The error of something that is wrong in these lines, which it names and shows.
    pub fn error(&self, at: Lines, what: impl Into<String>) -> Error {
        Fault::new(what).error(self, at)
    }
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Fault::new(what)
    }
}

/// Longest message, in bytes.
const MESSAGE_MAX: usize = 1024;

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX));
        message.push_str("...");
    }
    message
}

/// Where the word stands first, as a word of its own if possible.
fn find(source: &Source, at: Lines, word: &str) -> Option<Caret> {
    if word.is_empty() {
        return None;
    }
    let in_lines = |alone: bool| {
        (at.0..=at.1).find_map(|line| {
            let text = source.lines.get(line.checked_sub(1)?)?;
            let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
            let (start, _) = text.match_indices(word).find(|(start, _)| {
                !alone
                    || ends(text[..*start].chars().next_back())
                        && ends(text[start + word.len()..].chars().next())
            })?;
            let column = text[..start].chars().count() + 1;
            Some(Caret { line, column, width: word.chars().count() })
        })
    };
    in_lines(true).or_else(|| in_lines(false))
}

/// The name that was meant: with at most two letters wrong, as BuildKit suggests it.
pub(in crate::build) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const MOST: usize = 2;
    // Long words are no misspelling of short ones, and comparing them takes long.
    if typed.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(typed.len()) <= 4 * MOST)
        .map(|name| (strsim::osa_distance(typed, name), name))
        .filter(|(distance, name)| (1..=MOST).contains(distance) && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source {
            name: "Containerfile".into(),
            lines: ["FROM busybox", "RUN --mont=x \\", "  id --mont"].map(String::from).to_vec(),
        }
    }

    #[test]
    fn the_error_names_the_line_of_the_word() {
        let error = Fault::new("unknown flag: --mont").at("id").error(&source(), (2, 3));
        assert_eq!(error.message(), "Containerfile:3: unknown flag: --mont");
        assert_eq!(error.in_dockers_words(), "dockerfile parse error on line 3: unknown flag: --mont");
        assert!(error.excerpts()[0].contains("   3 | >>>   id --mont\n     |       ^^\n"), "{error:?}");
        assert!(Fault::new("\u{e9}".repeat(9999)).into_words().len() < 1030);
        let nowhere = Fault::new("x").at("zzz").error(&source(), (2, 3));
        assert_eq!(nowhere.message(), "Containerfile:2: x");
    }

    #[test]
    fn suggestions_are_near() {
        let known = ["RUN", "ARG", "EXPOSE"];
        assert_eq!(nearest("RNU", known), Some("RUN"));
        assert_eq!(nearest("EXPOES", known), Some("EXPOSE"));
        assert_eq!(nearest("RUN", ["RUN"]), None);
        assert_eq!(nearest("WHATEVER", known), None);
    }
}
