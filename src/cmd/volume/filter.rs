//! Conditions on volumes: `--filter KEY=VALUE`.

use crate::error::{Error, Kind, Result};
use crate::plan::mount::switch;
use crate::runtime::volumes::Users;
use crate::storage::volumes::Volume;
use crate::ui::time;
use chrono::{DateTime, Utc};

const KEYS: &str = "name, label, opt, driver, scope, dangling, anonymous, until or since";

/// Conditions that must all hold; those with one key are alternatives, but for labels and options.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, What)>);

#[derive(Debug)]
enum What {
    Name(regex::Regex),
    Label(String, Option<String>),
    NotLabel(String, Option<String>),
    Option(String, Option<String>),
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
            let wrong = |why: String| {
                Error::new(Kind::Usage, format!("filter {text:?}: {why}"))
                    .hint(format!("Write key=value with one of the keys {KEYS}."))
            };
            let (key, value) = text.split_once('=').ok_or_else(|| wrong("it has no value".to_owned()))?;
            let truth = || switch(value).map_err(|e| wrong(e.message().to_owned()));
            let pair = || match value.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (value.to_owned(), None),
            };
            let what = match key {
                "name" => What::Name(
                    regex::Regex::new(value).map_err(|_| wrong(format!("{value:?} is not a pattern")))?,
                ),
                "label" => What::Label(pair().0, pair().1),
                "label!" => What::NotLabel(pair().0, pair().1),
                "opt" => What::Option(pair().0, pair().1),
                "driver" => What::Driver(value.to_owned()),
                "scope" => What::Scope(value.to_owned()),
                "dangling" => What::Dangling(truth()?),
                "anonymous" => What::Anonymous(truth()?),
                "until" => What::Until(time::parse_time(value, Utc::now())?),
                "since" | "after" => What::Since(time::parse_time(value, Utc::now())?),
                _ => return Err(wrong(format!("{key:?} is not a key"))),
            };
            Ok((key.to_owned(), what))
        };
        texts.iter().map(one).collect::<Result<_>>().map(Filters)
    }

    /// Whether a volume meets them.
    pub fn hold(&self, volume: &Volume, users: &Users) -> bool {
        self.0.iter().all(|(key, what)| {
            let all = matches!(what, What::Label(..) | What::NotLabel(..) | What::Option(..));
            match all {
                true => what.holds(volume, users),
                false => self.0.iter().any(|(other, what)| other == key && what.holds(volume, users)),
            }
        })
    }
}

impl What {
    fn holds(&self, volume: &Volume, users: &Users) -> bool {
        let is = |found: Option<&String>, wanted: &Option<String>| {
            found.is_some_and(|found| wanted.as_ref().is_none_or(|wanted| wanted == found))
        };
        match self {
            What::Name(pattern) => pattern.is_match(volume.name.as_str()),
            What::Label(key, value) => is(volume.labels.get(key), value),
            What::NotLabel(key, value) => !is(volume.labels.get(key), value),
            What::Option(key, value) => is(volume.options.get(key), value),
            What::Driver(wanted) => volume.driver == *wanted,
            What::Scope(wanted) => wanted == "local",
            What::Dangling(wanted) => users.of(&volume.name).is_empty() == *wanted,
            What::Anonymous(wanted) => volume.anonymous == *wanted,
            What::Until(moment) => volume.created < *moment,
            What::Since(moment) => volume.created > *moment,
        }
    }
}
