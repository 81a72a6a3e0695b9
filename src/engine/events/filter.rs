//! Conditions on events: `--filter KEY=VALUE`.

use crate::container::ContainerName;
use crate::engine::filter::{Condition, Label, all_hold};
use crate::error::Result;
use crate::storage::events::{Action, Event, Type};

const HINT: &str =
    "Write key=value with one of the keys container, event, image, label, pod, type or volume.";

/// Words of podman's for what never happens here; asking for them is no mistake.
const NEVER: [&str; 8] =
    ["auto-update", "build", "checkpoint", "connect", "disconnect", "renumber", "restore", "rotate"];

/// Conditions: those with one key are alternatives, except for labels, which all must hold; those with
/// different keys must all hold.
#[derive(Debug, Default)]
pub struct Filters(Vec<(String, What)>);

#[derive(Debug)]
enum What {
    Container(String),
    Image(String),
    Volume(String),
    Status(Option<Action>),
    Kind(Option<Type>),
    Label(Label),
    Pod(String),
}

impl Filters {
    /// Reads conditions written as `key=value`.
    ///
    /// # Errors
    /// An unknown key or value.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        texts.iter().map(|text| one(text)).collect::<Result<_>>().map(Filters)
    }

    /// Whether they hold for an event.
    pub fn wants(&self, event: &Event) -> bool {
        let conditions = self.0.iter().map(|(key, what)| (key.as_str(), what));
        all_hold(conditions, |key| key == "label", |what| what.holds(event))
    }
}

impl What {
    fn holds(&self, event: &Event) -> bool {
        let named = |kind: Type, text: &str| {
            let begins = !text.is_empty() && event.id.starts_with(text);
            event.kind == kind && (event.name == text || begins)
        };
        match self {
            What::Container(text) => named(Type::Container, text),
            What::Volume(text) => named(Type::Volume, text),
            What::Image(text) => {
                let id = text.strip_prefix("sha256:").unwrap_or(text);
                named(Type::Image, id) || event.kind == Type::Image && is_short_for(text, &event.name)
            }
            What::Status(action) => Some(event.status) == *action,
            What::Kind(kind) => Some(event.kind) == *kind,
            What::Label(label) => label.is_in(&event.attributes),
            What::Pod(text) => named(Type::Pod, text),
        }
    }
}

/// Whether a name is what is left of a full one without registry, directories or tag.
fn is_short_for(short: &str, full: &str) -> bool {
    let starts = full.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
    let tag = full.rfind(':').filter(|at| !full[*at..].contains('/'));
    !short.is_empty() && (starts || tag.is_some_and(|at| is_short_for(short, &full[..at])))
}

fn one(text: &str) -> Result<(String, What)> {
    let condition = Condition::parse(text, HINT)?;
    let Condition { key, value, .. } = condition;
    let owned = value.to_owned();
    let what = match key.to_lowercase().as_str() {
        "container" => What::Container(ContainerName::bare(value).to_owned()),
        "image" => What::Image(owned),
        "volume" => What::Volume(owned),
        "label" => What::Label(condition.label()),
        "pod" => What::Pod(owned),
        "event" | "status" => What::Status(action(value).ok_or_else(|| {
            let words: Vec<&str> = Action::ALL.iter().map(|a| a.as_str()).collect();
            let hint = format!("Events are {}.", words.join(", "));
            condition.hinting(&hint).wrong(format_args!("{value:?} is not an event"))
        })?),
        "type" => What::Kind(kind(value).ok_or_else(|| {
            let words: Vec<&str> = Type::ALL.iter().map(|t| t.as_str()).collect();
            let hint = format!("Types are {}.", words.join(", "));
            condition.hinting(&hint).wrong(format_args!("{value:?} is not a type"))
        })?),
        _ => return Err(condition.unknown_key()),
    };
    // Two spellings of one key are one key.
    let key = if matches!(what, What::Status(_)) { "event".to_owned() } else { key.to_lowercase() };
    Ok((key, what))
}

/// An event by podman's word or docker's; `None` inside when it never happens here.
fn action(word: &str) -> Option<Option<Action>> {
    let same = match word {
        "die" | "exited" => "died",
        "exec_die" => "exec_died",
        "exec_create" | "exec_start" => "exec",
        "destroy" | "delete" => "remove",
        "load" | "loadFromArchive" => "loadfromarchive",
        other => other,
    };
    match Action::ALL.iter().find(|a| a.as_str() == same) {
        Some(action) => Some(Some(*action)),
        None => NEVER.contains(&same).then_some(None),
    }
}

fn kind(word: &str) -> Option<Option<Type>> {
    match Type::ALL.iter().find(|t| t.as_str() == word) {
        Some(kind) => Some(Some(*kind)),
        None => matches!(word, "network" | "machine").then_some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Filters {
        Filters::parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn start() -> Event {
        Event::new(Type::Container, Action::Start).id("ab12").name("web").attribute("a", "b")
    }

    #[test]
    fn one_key_is_alternatives_and_several_must_all_hold() {
        for yes in [
            &["container=web"][..],
            &["container=/web"],
            &["container=ab"],
            &["event=start", "event=stop"],
            &["status=start", "event=stop", "type=container"],
            &["label=a", "label=a=b"],
            &[],
        ] {
            assert!(filters(yes).wants(&start()), "{yes:?}");
        }
        for no in [
            &["container=we"][..],
            &["container="],
            &["event=stop"],
            &["event=start", "type=image"],
            &["label=a", "label=c"],
            &["label=a=c"],
            &["pod=web"],
            &["volume=web"],
            &["event=checkpoint"],
        ] {
            assert!(!filters(no).wants(&start()), "{no:?}");
        }
    }

    #[test]
    fn words_of_docker_mean_the_same() {
        let died = Event::new(Type::Container, Action::Died);
        for word in ["die", "died", "exited"] {
            assert!(filters(&[&format!("event={word}")]).wants(&died), "{word}");
        }
    }

    #[test]
    fn images_are_named_in_short() {
        let pull = Event::image_named(Action::Pull, "sha256:12ab", "docker.io/library/alpine:latest");
        for yes in ["alpine", "library/alpine:latest", "docker.io/library/alpine", "12", "sha256:12ab"] {
            assert!(filters(&[&format!("image={yes}")]).wants(&pull), "{yes}");
        }
        for no in ["pine", "latest", "alpine:3", "docker.io", "", "2ab"] {
            assert!(!filters(&[&format!("image={no}")]).wants(&pull), "{no}");
        }
    }

    #[test]
    fn mistakes_name_what_there_is() {
        for (text, part) in [
            ("event", "must be in the format"),
            ("foo=x", "foo is an invalid filter"),
            ("event=x", "not an event"),
            ("type=x", "not a type"),
        ] {
            let error = Filters::parse(&[text.to_owned()]).unwrap_err();
            assert!(error.message().contains(part), "{error}");
            assert!(!error.hints().is_empty());
        }
    }
}
