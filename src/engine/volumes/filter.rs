//! Conditions on volumes: `--filter KEY=VALUE`.

use crate::engine::filter::{Condition, Label, all_hold};
use crate::error::Result;
use crate::storage::volumes::{Users, Volume};
use crate::text::time::moment;
use chrono::{DateTime, Utc};

const HINT: &str = "Write key=value with one of the keys name, label, opt, driver, scope, dangling, anonymous, \
    until or since.";

/// Conditions that must all hold; those with one key are alternatives, except for labels and options.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, What)>);

#[derive(Debug)]
enum What {
    Name(regex::Regex),
    Label(Label),
    NotLabel(Label),
    Option(Label),
    Driver(String),
    Scope(String),
    Dangling(bool),
    Anonymous(bool),
    Until(DateTime<Utc>),
    Since(DateTime<Utc>),
}

impl Filters {
    /// Reads conditions.
    ///
    /// # Errors
    /// `Usage` when a key is unknown or a value is not one of its kind.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        let one = |text: &String| {
            let condition = Condition::parse(text, HINT)?;
            let (key, value) = (condition.key, condition.value);
            let what = match key {
                "name" => What::Name(condition.pattern()?),
                "label" => What::Label(condition.label()),
                "label!" => What::NotLabel(condition.label()),
                "opt" => What::Option(condition.label()),
                "driver" => What::Driver(value.to_owned()),
                "scope" => What::Scope(value.to_owned()),
                "dangling" => What::Dangling(condition.boolean()?),
                "anonymous" => What::Anonymous(condition.boolean()?),
                "until" => What::Until(moment(value)?),
                "since" | "after" => What::Since(moment(value)?),
                _ => return Err(condition.unknown_key()),
            };
            Ok((key.to_owned(), what))
        };
        texts.iter().map(one).collect::<Result<_>>().map(Filters)
    }

    /// Whether they depend on who uses a volume.
    pub fn ask_for_users(&self) -> bool {
        self.0.iter().any(|(_, what)| matches!(what, What::Dangling(_)))
    }

    /// Whether a volume meets them.
    pub fn hold(&self, volume: &Volume, users: &Users) -> bool {
        let conditions = self.0.iter().map(|(key, what)| (key.as_str(), what));
        let every = |key: &str| matches!(key, "label" | "label!" | "opt");
        all_hold(conditions, every, |what| what.holds(volume, users))
    }
}

impl What {
    fn holds(&self, volume: &Volume, users: &Users) -> bool {
        match self {
            What::Name(pattern) => pattern.is_match(volume.name.as_str()),
            What::Label(label) => label.is_in(&volume.dockers_labels()),
            What::NotLabel(label) => !label.is_in(&volume.dockers_labels()),
            What::Option(option) => option.is_in(&volume.options),
            What::Driver(wanted) => volume.driver == *wanted,
            What::Scope(wanted) => wanted == "local",
            What::Dangling(wanted) => users.is_free(&volume.name) == *wanted,
            What::Anonymous(wanted) => volume.anonymous == *wanted,
            What::Until(moment) => volume.created < *moment,
            What::Since(moment) => volume.created > *moment,
        }
    }
}
