//! Conditions on pods: `--filter KEY=VALUE`.

use super::listing::ListedPod;
use crate::engine::filter::{Condition, Label, all_hold};
use crate::error::Result;
use crate::text::time::moment;
use chrono::{DateTime, Utc};

const STATUS: &str = "Write status= with created, running, paused, stopped, exited, degraded or dead.";
const CONTAINER_STATUS: &str = "Write ctr-status= with created, running, paused, stopped, exited or unknown.";
const HINT: &str = "Write key=value with one of the keys ctr-ids, ctr-names, ctr-number, ctr-status, id, name, label, \
    network, status or until.";

/// Conditions on pods. Those with one key are alternatives, except for labels, which all must hold; those with different
/// keys must all hold.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, What)>);

#[derive(Debug)]
enum What {
    ContainerId(String),
    ContainerName(regex::Regex),
    Containers(Option<usize>),
    ContainerStatus(&'static str),
    Id(String),
    Name(regex::Regex),
    Label(Label),
    NotLabel(Label),
    Network(String),
    Status(String),
    Until(DateTime<Utc>),
}

impl Filters {
    /// Reads conditions written as `key=value`.
    ///
    /// # Errors
    /// An unknown key or value.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        let one = |text: &String| {
            let condition = Condition::parse(text, HINT)?;
            let value = condition.value;
            let what = match condition.key {
                "ctr-ids" => What::ContainerId(value.to_owned()),
                "ctr-names" => What::ContainerName(condition.pattern()?),
                "ctr-number" => What::Containers(value.parse().ok()),
                "ctr-status" => What::ContainerStatus(match value {
                    "created" => "created",
                    "running" => "running",
                    "paused" => "paused",
                    "stopped" | "exited" => "exited",
                    "unknown" => "unknown",
                    _ => {
                        let condition = condition.hinting(CONTAINER_STATUS);
                        return Err(condition.wrong(format_args!("{value} is not a valid status")));
                    }
                }),
                "id" => What::Id(value.to_owned()),
                "name" => What::Name(condition.pattern()?),
                "label" => What::Label(condition.label()),
                "label!" => What::NotLabel(condition.label()),
                "network" => What::Network(value.to_owned()),
                "status" => match value {
                    "stopped" | "running" | "paused" | "exited" | "dead" | "created" | "degraded" => {
                        What::Status(value.to_owned())
                    }
                    _ => {
                        let condition = condition.hinting(STATUS);
                        return Err(condition.wrong(format_args!("{value} is not a valid pod status")));
                    }
                },
                "until" => What::Until(moment(value)?),
                _ => return Err(condition.unknown_key()),
            };
            Ok((condition.key.to_owned(), what))
        };
        texts.iter().map(one).collect::<Result<_>>().map(Filters)
    }

    /// Whether they hold for a pod.
    pub fn hold(&self, pod: &ListedPod) -> bool {
        let conditions = self.0.iter().map(|(key, what)| (key.as_str(), what));
        all_hold(conditions, |key| key.starts_with("label"), |what| what.holds(pod))
    }
}

impl What {
    fn holds(&self, pod: &ListedPod) -> bool {
        let ListedPod { spec, containers, state } = pod;
        match self {
            What::ContainerId(start) => {
                containers.iter().any(|one| one.id.as_str().starts_with(start.as_str()))
            }
            What::ContainerName(pattern) => containers.iter().any(|one| pattern.is_match(&one.name)),
            What::Containers(number) => Some(containers.len()) == *number,
            What::ContainerStatus(wanted) => containers.iter().any(|one| one.status.as_str() == *wanted),
            What::Id(start) => spec.id.as_str().starts_with(start.as_str()),
            What::Name(pattern) => pattern.is_match(spec.name.as_str()),
            What::Label(label) => label.is_in(&spec.labels),
            What::NotLabel(label) => !label.is_in(&spec.labels),
            What::Network(name) => spec.networks().contains(&name.as_str()),
            What::Status(wanted) => state.as_str().eq_ignore_ascii_case(wanted),
            What::Until(moment) => spec.created < *moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_what_there_is() {
        for (text, part) in [
            ("status", "must be in the format"),
            ("foo=x", "foo is an invalid filter"),
            ("status=x", "x is not a valid pod status"),
            ("ctr-status=x", "x is not a valid status"),
            ("name=[", "is not a pattern"),
        ] {
            let error = Filters::parse(&[text.to_owned()]).unwrap_err();
            assert!(error.message().contains(part), "{error}");
        }
    }
}
