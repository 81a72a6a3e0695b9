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
    set("ID", &event.id);
    set("Image", &event.image);
    set("Name", &event.name);
    set("Status", event.status.as_str());
    set("Time", &event.time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    set("Type", event.kind.as_str());
    set("health_status", &event.health);
    set("Error", &event.error);
    if let Some(code) = event.code {
        map.insert("ContainerExitCode".to_owned(), code.into());
    }
    let attributes = Some(&event.attributes).filter(|a| !a.is_empty());
    map.insert("Attributes".to_owned(), json!(attributes));
    Value::Object(map)
}

/// What a template may name.
pub(super) fn fields(event: &Event) -> Value {
    json!({
        "ID": event.id,
        "Image": event.image,
        "Name": event.name,
        "Status": event.status.as_str(),
        "Time": go_time(event.time),
        "TimeNano": event.time.timestamp_nanos_opt().unwrap_or_default(),
        "Type": event.kind.as_str(),
        "HealthStatus": event.health,
        "Error": event.error,
        "ContainerExitCode": event.code.unwrap_or_default(),
        "Attributes": event.attributes,
        "Details": {"ID": event.id, "Attributes": event.attributes},
        "Network": "",
        "PodID": if event.kind == Type::Pod { event.id.as_str() } else { "" },
        "Action": event.status.as_str(),
        "Actor": {"ID": event.id, "Attributes": event.attributes},
        "From": event.image,
        "Scope": "local",
    })
}
