//! How an event is printed.

use super::docker;
use crate::error::Result;
use crate::storage::events::{Event, Type};
use crate::text::printable;
use crate::text::template::Template;
use crate::ui;
use crate::ui::rows::{self, is_json};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// Digits of an id that is shortened.
const SHORT: usize = 12;

/// What a line is to look like.
pub(super) enum Form {
    /// podman's own line; whether ids are whole.
    Line(bool),
    Json,
    Template(Template),
    /// The same in docker's words.
    DockerLine,
    DockerJson,
    DockerTemplate(Template),
}

impl Form {
    pub(super) fn new(format: Option<&str>, whole: bool) -> Result<Form> {
        let parse = |text: &str| Template::parse(text);
        Ok(match format {
            None if ui::docker() => Form::DockerLine,
            Some(text) if ui::docker() => match is_json(format) || text.trim() == "{{json .}}" {
                true => Form::DockerJson,
                false => Form::DockerTemplate(parse(text)?),
            },
            None => Form::Line(whole),
            Some(_) if is_json(format) => Form::Json,
            Some(text) => Form::Template(parse(text)?),
        })
    }

    /// The event's line, with its end.
    pub(super) fn line(&self, event: &Event) -> Result<String> {
        let line = match self {
            Form::Line(whole) => human(event, *whole),
            Form::Json => rows::harmless_json(&object(event).to_string()),
            Form::Template(template) => template.render(&fields(event))?,
            Form::DockerLine => docker::line(event),
            Form::DockerJson => rows::harmless_json(&docker::object(event).to_string()),
            Form::DockerTemplate(template) => template.render(&docker::fields(event))?,
        };
        Ok(line + "\n")
    }
}

/// A time as Go prints one.
fn go_time(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&Local);
    let fraction = local.format("%.9f").to_string();
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let zone =
        if local.offset().local_minus_utc() == 0 { "UTC".to_owned() } else { local.format("%z").to_string() };
    format!("{}{fraction} {} {zone}", local.format("%Y-%m-%d %H:%M:%S"), local.format("%z"))
}

fn human(event: &Event, whole: bool) -> String {
    let id = if whole { &event.id } else { event.id.get(..SHORT).unwrap_or(&event.id) };
    let start = format!("{} {} {}", go_time(event.time), event.kind.as_str(), event.status.as_str());
    let rest = match event.kind {
        Type::Container => {
            let mut about = format!("image={}, name={}", event.image, event.name);
            if !event.health.is_empty() {
                about.push_str(&format!(", health_status={}", event.health));
            }
            for (key, value) in &event.attributes {
                about.push_str(&format!(", {key}={value}"));
            }
            format!("{id} ({about})")
        }
        Type::Image | Type::Secret => format!("{id} {}", event.name),
        Type::Volume | Type::System => event.name.clone(),
    };
    printable(format!("{start} {rest}").trim_end()).into_owned()
}

/// What `--format json` prints.
fn object(event: &Event) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, text: &str| {
        if !text.is_empty() {
            map.insert(key.to_owned(), text.into());
        }
    };
    set("ID", &event.id);
    set("Image", &event.image);
    set("Name", &event.name);
    set("Status", event.status.as_str());
    set("Time", &event.time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    set("Type", event.kind.as_str());
    set("health_status", &event.health);
    if let Some(code) = event.code {
        map.insert("ContainerExitCode".to_owned(), code.into());
    }
    let attributes = Some(&event.attributes).filter(|a| !a.is_empty());
    map.insert("Attributes".to_owned(), json!(attributes));
    Value::Object(map)
}

/// What a template may name.
fn fields(event: &Event) -> Value {
    json!({
        "ID": event.id,
        "Image": event.image,
        "Name": event.name,
        "Status": event.status.as_str(),
        "Time": go_time(event.time),
        "TimeNano": event.time.timestamp_nanos_opt().unwrap_or_default(),
        "Type": event.kind.as_str(),
        "HealthStatus": event.health,
        "ContainerExitCode": event.code.unwrap_or_default(),
        "Attributes": event.attributes,
        "Details": {"ID": event.id, "Attributes": event.attributes},
        "Network": "",
        "PodID": "",
        "Action": event.status.as_str(),
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "From": event.image,
        "Scope": "local",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::events::Action;

    fn line(format: Option<&str>, event: &Event) -> String {
        Form::new(format, true).unwrap().line(event).unwrap()
    }

    #[test]
    fn events_look_as_podmans() {
        let mut event = Event::new(Type::Container, Action::HealthStatus).id("a".repeat(64)).name("web");
        event.time = DateTime::from_timestamp(1_700_000_000, 120_000_000).unwrap();
        let event = event.image("alpine").health("healthy").attribute("k", "v\n");
        let text = line(None, &event);
        assert!(
            text.contains(&format!(
                "container health_status {} (image=alpine, name=web, health_status=healthy, k=v\\n)\n",
                event.id
            )),
            "{text}"
        );
        assert!(text.contains(":20.12 "), "{text}");
        assert!(Form::new(None, false).unwrap().line(&event).unwrap().contains(" aaaaaaaaaaaa ("));
        let volume = line(None, &Event::volume(Action::Remove, "data"));
        assert!(volume.ends_with(" volume remove data\n"), "{volume}");
        let image = line(None, &Event::image_named(Action::Tag, "sha256:12", "x:1"));
        assert!(image.ends_with(" image tag 12 x:1\n"), "{image}");
    }

    #[test]
    fn case_39_a_label_steers_no_terminal() {
        let event =
            Event::new(Type::Container, Action::Died).id("ab").attribute("k", "\x1b[2J\u{9b}2J\u{7f}");
        for format in [None, Some("json")] {
            let text = line(format, &event);
            assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        }
        let back: Value = serde_json::from_str(&line(Some("json"), &event)).unwrap();
        assert_eq!(back["Attributes"]["k"], "\x1b[2J\u{9b}2J\u{7f}");
    }

    #[test]
    fn formats_are_json_and_templates() {
        let event =
            Event::new(Type::Container, Action::Died).id("ab").name("web").code(3).attribute("k", "v");
        let back: Value = serde_json::from_str(&line(Some("json"), &event)).unwrap();
        assert_eq!(back["ContainerExitCode"], 3);
        assert_eq!(back["Attributes"]["k"], "v");
        assert_eq!(back["Image"], Value::Null);
        let template =
            "{{.Type}} {{.Status}} {{.Action}} {{.Actor.ID}} {{.Attributes.k}} {{index .Attributes \"x\"}}";
        assert_eq!(line(Some(template), &event), "container died died ab v \n");
        assert!(Form::new(Some("{{.ID"), true).is_err());
        assert!(Form::new(Some("{{.Nosuch}}"), true).unwrap().line(&event).is_err());
    }
}
