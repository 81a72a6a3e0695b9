//! Conditions on networks: `--filter KEY=VALUE`.

use crate::engine::filter::{Condition, Label, all_hold};
use crate::error::Result;
use crate::spec::bridge::{BUILT_IN, UserNetwork};
use crate::storage::networks::Users;
use crate::text::time::moment;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

const HINT: &str =
    "Write key=value with one of the keys name, id, driver, label, scope, type, dangling or until.";

/// Conditions that must all hold; those with one key are alternatives, except for labels.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, What)>);

#[derive(Debug)]
enum What {
    Name(regex::Regex),
    Id(String),
    Driver(String),
    Scope(String),
    Type(String),
    Label(Label),
    NotLabel(Label),
    Dangling(bool),
    Until(DateTime<Utc>),
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
                "id" => What::Id(value.to_owned()),
                "driver" => What::Driver(value.to_owned()),
                "scope" => What::Scope(value.to_owned()),
                "type" if matches!(value, "builtin" | "custom") => What::Type(value.to_owned()),
                "type" => {
                    let condition = condition.hinting("Write type=builtin or type=custom.");
                    return Err(condition.wrong("a network's type is builtin or custom"));
                }
                "label" => What::Label(condition.label()),
                "label!" => What::NotLabel(condition.label()),
                "dangling" => What::Dangling(condition.boolean()?),
                "until" => What::Until(moment(value)?),
                _ => return Err(condition.unknown_key()),
            };
            Ok((key.to_owned(), what))
        };
        texts.iter().map(one).collect::<Result<_>>().map(Filters)
    }

    /// Whether they depend on who is on a network.
    pub fn ask_for_users(&self) -> bool {
        self.0.iter().any(|(_, what)| matches!(what, What::Dangling(_)))
    }

    /// Whether a network meets them.
    pub fn hold(&self, network: &UserNetwork, users: &Users) -> bool {
        let built_in = network.name == BUILT_IN;
        self.all_hold(&Subject {
            name: &network.name,
            id: &network.id,
            driver: "bridge",
            labels: &network.labels,
            made: (!built_in).then_some(network.created),
            free: !built_in && users.is_free(&network.name),
        })
    }

    /// Whether one of docker's own networks meets them: it is always there, and in use.
    pub fn hold_for(&self, name: &str, id: &str, driver: &str) -> bool {
        self.all_hold(&Subject { name, id, driver, labels: &BTreeMap::new(), made: None, free: false })
    }

    fn all_hold(&self, subject: &Subject<'_>) -> bool {
        let conditions = self.0.iter().map(|(key, what)| (key.as_str(), what));
        all_hold(conditions, |key| matches!(key, "label" | "label!"), |what| what.holds(subject))
    }
}

/// What conditions are about.
struct Subject<'a> {
    name: &'a str,
    id: &'a str,
    driver: &'a str,
    labels: &'a BTreeMap<String, String>,
    /// When somebody made it; it has always been there otherwise.
    made: Option<DateTime<Utc>>,
    /// Whether no container is on it, and it is not one that stays anyway.
    free: bool,
}

impl What {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            What::Name(pattern) => pattern.is_match(subject.name),
            What::Id(wanted) => subject.id.starts_with(wanted),
            What::Driver(wanted) => wanted == subject.driver,
            What::Scope(wanted) => wanted == "local",
            What::Type(wanted) => (wanted == "builtin") == subject.made.is_none(),
            What::Label(label) => label.is_in(subject.labels),
            What::NotLabel(label) => !label.is_in(subject.labels),
            What::Dangling(wanted) => subject.free == *wanted,
            What::Until(moment) => subject.made.is_some_and(|made| made < *moment),
        }
    }
}
