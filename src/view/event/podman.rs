//! Events in podman's format (podman-events(1)).

use crate::storage::events::{Event, Type};
use crate::text::printable;
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// Digits of an id that is shortened.
const SHORT: usize = 12;

/// A time as Go prints one.
fn go_time(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&Local);
    let fraction = local.format("%.9f").to_string();
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let zone =
        if local.offset().local_minus_utc() == 0 { "UTC".to_owned() } else { local.format("%z").to_string() };
    format!("{}{fraction} {} {zone}", local.format("%Y-%m-%d %H:%M:%S"), local.format("%z"))
}

/// The container, by id and name, that was connected to a network or disconnected from it: in podman's events it is
/// the subject.
fn of_container(event: &Event) -> Option<(&str, &str)> {
    let about = |key: &str| event.attributes.get(key).map(String::as_str);
    (event.kind == Type::Network).then(|| Some((about("container")?, about("containerName")?))).flatten()
}

/// The line without a format; `whole` ids are not shortened.
pub(super) fn line(event: &Event, whole: bool) -> String {
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
        Type::Pod => {
            let labels = event.attributes.iter().map(|(key, value)| format!(", {key}={value}"));
            format!("{id} (image=, name={}{})", event.name, labels.collect::<String>())
        }
        Type::Network if of_container(event).is_some() => {
            let id = of_container(event).map(|(id, _)| id).unwrap_or_default();
            let id = if whole { id } else { id.get(..SHORT).unwrap_or(id) };
            format!("{id} (container={id}, name={})", event.name)
        }
        Type::Image | Type::Secret | Type::Network => format!("{id} {} {}", event.name, event.error),
        Type::Volume | Type::System => event.name.clone(),
    };
    printable(format!("{start} {rest}").trim_end()).into_owned()
}

/// What `--format json` prints.
pub(super) fn object(event: &Event) -> Value {
    let mut map = Map::new();
    let mut set = |key: &str, text: &str| {
        if !text.is_empty() {
            map.insert(key.to_owned(), text.into());
        }
    };
    let subject = of_container(event);
    let (id, name) = subject.unwrap_or((&event.id, &event.name));
    set("ID", id);
    set("Image", &event.image);
    set("Name", name);
    set("network", subject.map_or("", |_| event.name.as_str()));
    set("Status", event.status.as_str());
    set("Time", &event.time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    set("Type", event.kind.as_str());
    set("health_status", &event.health);
    set("Error", &event.error);
    if let Some(code) = event.code {
        map.insert("ContainerExitCode".to_owned(), code.into());
    }
    let attributes = Some(&event.attributes).filter(|a| !a.is_empty() && subject.is_none());
    map.insert("Attributes".to_owned(), json!(attributes));
    Value::Object(map)
}

/// What a template may name.
pub(super) fn fields(event: &Event) -> Value {
    let subject = of_container(event);
    let (id, name) = subject.unwrap_or((&event.id, &event.name));
    json!({
        "ID": id,
        "Image": event.image,
        "Name": name,
        "Status": event.status.as_str(),
        "Time": go_time(event.time),
        "TimeNano": event.time.timestamp_nanos_opt().unwrap_or_default(),
        "Type": event.kind.as_str(),
        "HealthStatus": event.health,
        "Error": event.error,
        "ContainerExitCode": event.code.unwrap_or_default(),
        "Attributes": event.attributes,
        "Details": {"ID": id, "Attributes": event.attributes},
        "Network": subject.map_or("", |_| event.name.as_str()),
        "PodID": if event.kind == Type::Pod { event.id.as_str() } else { "" },
        "Action": event.status.as_str(),
        "Actor": {"ID": id, "Attributes": event.attributes},
        "From": event.image,
        "Scope": "local",
    })
}
