//! Conditions on records of the build cache: `--filter KEY=VALUE`, `KEY!=VALUE` and `KEY~=PATTERN`.

use super::record::Record;
use crate::error::{Error, Kind, Result, phrases};
use crate::text::boolean;
use crate::text::time::moment;
use chrono::{DateTime, Utc};
use regex::Regex;

const HINT: &str = "Write key=value, key!=value or key~=pattern with one of the keys until, id, type, description, \
    parents, inuse, mutable, immutable, shared or private.";

/// Conditions that all must hold (docker-buildx-prune(1)).
#[derive(Debug, Clone, Default)]
pub struct Filters(Vec<Filter>);

#[derive(Debug, Clone)]
enum Filter {
    /// Not used since.
    Until(DateTime<Utc>),
    /// A text of it.
    Text { of: fn(&Record) -> Vec<&str>, matches: Matches },
    /// Something that is so or not.
    Is { what: fn(&Record) -> bool, wanted: bool },
}

#[derive(Debug, Clone)]
enum Matches {
    Equal(String),
    Unequal(String),
    Pattern(Regex),
}

impl Filters {
    /// Reads conditions.
    ///
    /// # Errors
    /// `Usage` when a key is unknown or a value is not one of its kind.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        texts.iter().map(|text| one(text)).collect::<Result<_>>().map(Filters)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all conditions hold.
    pub fn accepts(&self, record: &Record) -> bool {
        self.0.iter().all(|filter| filter.holds(record))
    }
}

impl Filter {
    fn holds(&self, record: &Record) -> bool {
        match self {
            Filter::Until(then) => record.last_used < *then,
            Filter::Is { what, wanted } => what(record) == *wanted,
            Filter::Text { of, matches } => {
                let all = of(record);
                match matches {
                    Matches::Equal(text) => all.contains(&text.as_str()),
                    Matches::Unequal(text) => !all.contains(&text.as_str()),
                    Matches::Pattern(pattern) => all.iter().any(|text| pattern.is_match(text)),
                }
            }
        }
    }
}

fn one(text: &str) -> Result<Filter> {
    let wrong = |why: String| {
        Error::new(Kind::Usage, format!("invalid filter {text:?}: {why}")).hint(HINT.to_owned())
    };
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let (key, sign) = match key.strip_suffix(['!', '~']) {
        Some(bare) => (bare, &key[bare.len()..]),
        None => (key, ""),
    };
    let is = |what: fn(&Record) -> bool| {
        let said = value.map_or(Some(true), boolean);
        let said =
            said.ok_or_else(|| wrong(format!("{:?} is neither true nor false", value.unwrap_or(""))))?;
        Ok(Filter::Is { what, wanted: said != (sign == "!") })
    };
    let of: fn(&Record) -> Vec<&str> = match key {
        "until" | "unused-for" => {
            let value = value.ok_or_else(|| phrases::filter_without_value(text).hint(HINT))?;
            return moment(value)
                .map(Filter::Until)
                .map_err(|e| wrong("it is not a time".into()).caused_by(e));
        }
        "inuse" => return is(|record| record.in_use),
        "mutable" => return is(|record| record.mutable),
        "immutable" => return is(|record| !record.mutable),
        "shared" => return is(|record| record.shared),
        "private" => return is(|record| !record.shared),
        "id" => |record| vec![&record.id],
        "type" => |record| vec![record.kind.as_str()],
        "description" => |record| vec![&record.description],
        "parents" | "parent" => |record| record.parents.iter().map(String::as_str).collect(),
        _ => return Err(phrases::unknown_filter(text, key).hint(HINT)),
    };
    let value = value.ok_or_else(|| phrases::filter_without_value(text).hint(HINT))?;
    let pattern = || Regex::new(value).map_err(|_| wrong(format!("{value:?} is not a pattern")));
    let matches = match (sign, key) {
        ("!", _) => Matches::Unequal(value.to_owned()),
        ("~", _) => Matches::Pattern(pattern()?),
        // As in docker, the beginning of an id is enough.
        (_, "id") => Matches::Pattern(pattern()?),
        _ => Matches::Equal(value.to_owned()),
    };
    Ok(Filter::Text { of, matches })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::build::StepKind;
    use chrono::TimeDelta;

    fn record() -> Record {
        Record {
            id: "abc123".into(),
            kind: StepKind::CacheMount,
            description: "cached mount /root/.cache".into(),
            parents: vec!["p1".into(), "p2".into()],
            created: Utc::now() - TimeDelta::hours(5),
            last_used: Utc::now() - TimeDelta::hours(2),
            size: 10,
            in_use: false,
            shared: false,
            mutable: true,
        }
    }

    #[test]
    fn conditions_are_read_and_hold_or_not() {
        for (text, holds) in [
            ("until=1h", true),
            ("until=3h", false),
            ("unused-for=1h", true),
            ("id=abc", true),
            ("id!=abc123", false),
            ("type=exec.cachemount", true),
            ("type=regular", false),
            ("type!=regular", true),
            ("description~=root.*cache$", true),
            ("parents=p2", true),
            ("parents=p3", false),
            ("inuse", false),
            ("inuse=false", true),
            ("mutable", true),
            ("immutable", false),
            ("private", true),
            ("shared!=true", true),
        ] {
            let filters = Filters::parse(&[text.to_owned()]).unwrap();
            assert_eq!(filters.accepts(&record()), holds, "{text}");
        }
        for wrong in ["until", "until=x", "wat=1", "id", "description~=(", "inuse=maybe"] {
            assert!(Filters::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(Filters::default().is_empty() && Filters::default().accepts(&record()));
    }
}
