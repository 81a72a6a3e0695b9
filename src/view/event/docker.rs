//! Events in docker's format: its words, attributes and structure (docker-system-events(1)).

use crate::storage::events::{Action, Event, Type};
use crate::text::printable;
use chrono::Local;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Whether it is a thing of which docker tells. What podman does before and after a run it does not.
pub(super) fn knows(event: &Event) -> bool {
    event.kind != Type::Pod
        && !matches!(
            event.status,
            Action::Cleanup | Action::Init | Action::PullError | Action::Refresh | Action::Sync
        )
}

/// What happened, in docker's word.
fn action(event: &Event) -> String {
    let word = match (event.kind, event.status) {
        (_, Action::Died) => "die",
        (_, Action::Exec) => "exec_start",
        (_, Action::ExecDied) => "exec_die",
        (_, Action::Load) => "load",
        (Type::Image, Action::Remove) => "delete",
        (Type::Container | Type::Network | Type::Volume, Action::Remove) => "destroy",
        (_, Action::HealthStatus) => return format!("health_status: {}", event.health),
        (_, other) => other.as_str(),
    };
    word.to_owned()
}

/// Whom it happened to: an image's id with its algorithm, a volume's name.
fn id(event: &Event) -> String {
    match event.kind {
        Type::Image if !event.id.is_empty() => format!("sha256:{}", event.id),
        Type::Volume => event.name.clone(),
        _ => event.id.clone(),
    }
}

fn attributes(event: &Event) -> BTreeMap<&str, String> {
    let mut all: BTreeMap<&str, String> =
        event.attributes.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    // Podman's word; docker tells the container's id.
    all.remove("containerName");
    if event.kind == Type::Volume {
        all.insert("driver", "local".to_owned());
    } else {
        all.insert("name", event.name.clone());
    }
    match event.kind {
        Type::Container => drop(all.insert("image", event.image.clone())),
        Type::Network => drop(all.insert("type", "bridge".to_owned())),
        _ => {}
    }
    if let Some(code) = event.code {
        all.insert("exitCode", code.to_string());
    }
    all
}

/// The line without a format.
pub(super) fn line(event: &Event) -> String {
    let about: Vec<String> = attributes(event).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let time = event.time.with_timezone(&Local).format("%Y-%m-%dT%H:%M:%S%.9f%:z").to_string();
    // As in Go.
    let time = time.strip_suffix("+00:00").map_or(time.clone(), |utc| format!("{utc}Z"));
    let line =
        format!("{time} {} {} {} ({})", event.kind.as_str(), action(event), id(event), about.join(", "));
    printable(&line).into_owned()
}

/// What `--format json` prints: a message of docker's interface.
pub(super) fn object(event: &Event) -> Value {
    let mut all = json!({
        "Type": event.kind.as_str(),
        "Action": action(event),
        "Actor": {"ID": id(event), "Attributes": attributes(event)},
        "scope": "local",
        "time": event.time.timestamp(),
        "timeNano": event.time.timestamp_nanos_opt().unwrap_or_default(),
    });
    if let (Value::Object(all), Type::Container | Type::Image) = (&mut all, event.kind) {
        all.insert("status".to_owned(), action(event).into());
        all.insert("id".to_owned(), id(event).into());
        if event.kind == Type::Container {
            all.insert("from".to_owned(), event.image.clone().into());
        }
    }
    all
}

/// What a template may name.
pub(super) fn fields(event: &Event) -> Value {
    json!({
        "Type": event.kind.as_str(),
        "Action": action(event),
        "Actor": {"ID": id(event), "Attributes": attributes(event)},
        "Scope": "local",
        "Time": event.time.timestamp(),
        "TimeNano": event.time.timestamp_nanos_opt().unwrap_or_default(),
        "Status": action(event),
        "ID": id(event),
        "From": event.image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn events_are_told_in_dockers_words() {
        let mut died = Event::new(Type::Container, Action::Died).id("ab").name("web").image("alpine");
        died.time = DateTime::from_timestamp(1_700_000_000, 5).unwrap();
        let died = died.code(3).attribute("tier", "x\n");
        let text = line(&died);
        assert!(text.contains(".000000005"), "{text}");
        assert!(
            text.ends_with(" container die ab (exitCode=3, image=alpine, name=web, tier=x\\n)"),
            "{text}"
        );
        let json = object(&died);
        assert_eq!((&json["status"], &json["from"]), (&"die".into(), &"alpine".into()));
        assert_eq!(
            (&json["time"], &json["timeNano"]),
            (&1_700_000_000.into(), &1_700_000_000_000_000_005_i64.into())
        );
        assert_eq!(json["Actor"]["Attributes"]["exitCode"], "3");
        let volume = Event::volume(Action::Remove, "data");
        assert!(line(&volume).ends_with(" volume destroy data (driver=local)"), "{}", line(&volume));
        assert!(object(&volume).get("status").is_none());
        let image = Event::image_named(Action::Remove, "sha256:12", "x:1");
        assert!(line(&image).ends_with(" image delete sha256:12 (name=x:1)"), "{}", line(&image));
        let sick = Event::new(Type::Container, Action::HealthStatus).id("ab").name("web").health("unhealthy");
        assert_eq!(fields(&sick)["Action"], "health_status: unhealthy");
        assert!(knows(&died) && !knows(&Event::new(Type::Container, Action::Cleanup)));
    }
}
