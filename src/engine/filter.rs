//! A condition of `--filter`, in the form common to all verbs: `KEY=VALUE` and, for some keys, `KEY!=VALUE`.

use crate::error::{Error, Kind, Result, phrases};
use crate::text::boolean;
use std::collections::BTreeMap;

/// A condition in two halves; `KEY!=VALUE` leaves the `!` with the key.
#[derive(Debug, Clone, Copy)]
pub struct Condition<'a> {
    text: &'a str,
    hint: &'a str,
    /// What is asked about.
    pub key: &'a str,
    /// What it must be.
    pub value: &'a str,
}

impl<'a> Condition<'a> {
    /// Takes a condition apart; `hint` shows the valid form.
    ///
    /// # Errors
    /// `Usage` when there is no value.
    pub fn parse(text: &'a str, hint: &'a str) -> Result<Self> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let condition = Condition { text, hint, key, value };
        if text.contains('=') { Ok(condition) } else { Err(phrases::filter_without_value(text).hint(hint)) }
    }

    /// The same with another hint.
    pub fn hinting<'h>(&self, hint: &'h str) -> Condition<'h>
    where
        'a: 'h,
    {
        Condition { hint, ..*self }
    }

    /// The mistake in it.
    pub fn wrong(&self, why: impl std::fmt::Display) -> Error {
        Error::new(Kind::Usage, format!("invalid filter {:?}: {why}", self.text)).hint(self.hint)
    }

    /// The mistake that nothing has such a key.
    pub fn unknown_key(&self) -> Error {
        phrases::unknown_filter(self.text, self.key).hint(self.hint)
    }

    /// The value as a regular expression.
    ///
    /// # Errors
    /// `Usage` when it is malformed.
    pub fn pattern(&self) -> Result<regex::Regex> {
        let wrong = |_| self.wrong(format_args!("{:?} is not a pattern", self.value));
        regex::Regex::new(self.value).map_err(wrong)
    }

    /// The value as a boolean.
    ///
    /// # Errors
    /// `Usage` when it is malformed.
    pub fn boolean(&self) -> Result<bool> {
        let wrong = || self.wrong(format_args!("{:?} is neither true nor false", self.value));
        boolean(self.value).ok_or_else(wrong)
    }

    /// The value as a label or option.
    pub fn label(&self) -> Label {
        match self.value.split_once('=') {
            Some((key, value)) => Label { key: key.to_owned(), value: Some(value.to_owned()) },
            None => Label { key: self.value.to_owned(), value: None },
        }
    }
}

/// Whether conditions hold, each with its key: those with one key are alternatives, except for keys of which `every`
/// one must hold; those with different keys must all hold.
pub fn all_hold<'a, T: 'a>(
    conditions: impl Iterator<Item = (&'a str, &'a T)> + Clone,
    every: impl Fn(&str) -> bool,
    mut holds: impl FnMut(&T) -> bool,
) -> bool {
    conditions.clone().all(|(key, condition)| match every(key) {
        true => holds(condition),
        false => conditions.clone().any(|(other, condition)| other == key && holds(condition)),
    })
}

/// A label that something must have, with this value or with any.
#[derive(Debug, Clone)]
pub struct Label {
    key: String,
    value: Option<String>,
}

impl Label {
    /// Whether it is among these.
    pub fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.key).is_some_and(|found| self.value.as_ref().is_none_or(|value| value == found))
    }
}
