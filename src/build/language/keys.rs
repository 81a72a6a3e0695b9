//! Names and values: ENV, LABEL and ARG.

use super::fault::Fault;
use super::statement::Statement;
use super::tree::{Argument, Lines, Word};
use super::words::{first_and_rest, quoted};

/// Whether names and values are written in the old form, `ENV name value`.
pub(super) fn is_old_form(rest: &str, escape: char) -> bool {
    quoted(rest, escape).first().is_some_and(|first| !first.contains('='))
}

/// ENV and LABEL: `name=value ...`, or `name value`.
pub(super) fn pairs(statement: &Statement<'_>) -> Result<Vec<(Word, Word)>, Fault> {
    statement.flags(&[])?;
    let words = quoted(statement.rest, statement.escape);
    if words.is_empty() {
        return Err(statement.needs("at least one argument"));
    }
    if is_old_form(statement.rest, statement.escape) {
        return match first_and_rest(statement.rest) {
            (name, Some(value)) => Ok(vec![(Word(name.to_owned()), Word(value.to_owned()))]),
            _ => Err(Fault::new(format!("{} must have two arguments", statement.name)).at(statement.rest)),
        };
    }
    let pair = |word: String| match word.split_once('=') {
        Some(("", _)) => Err(Fault::new(format!("{} names can not be blank", statement.name)).at(word)),
        Some((name, value)) => Ok((Word(name.to_owned()), Word(value.to_owned()))),
        None => {
            let why = format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value");
            Err(Fault::new(why).at(word))
        }
    };
    words.into_iter().map(pair).collect()
}

/// ARG: `name ...`, each with `=default` or without.
pub(super) fn arguments(statement: &Statement<'_>, at: Lines) -> Result<Vec<Argument>, Fault> {
    statement.flags(&[])?;
    let words = quoted(statement.rest, statement.escape);
    if words.is_empty() {
        return Err(statement.needs("at least one argument"));
    }
    let argument = |word: String| {
        let (name, default) = match word.split_once('=') {
            Some((name, default)) => (name, Some(Word(default.to_owned()))),
            None => (word.as_str(), None),
        };
        if name.is_empty() {
            return Err(Fault::new(format!("{} names can not be blank", statement.name)).at(word));
        }
        Ok(Argument { name: name.to_owned(), default, at })
    };
    words.into_iter().map(argument).collect()
}
