//! Where templates see something else of these documents than JSON shows.

use crate::text::{Differs, Document};

/// In a health check.
pub(super) const HEALTH_CHECK: [(&str, Differs); 5] = [
    ("StartPeriod", Differs::Duration),
    ("Interval", Differs::Duration),
    ("Timeout", Differs::Duration),
    ("StartInterval", Differs::Duration),
    ("*", Differs::Omitted),
];

/// In docker's `Config`, which images and containers have.
const DOCKER_CONFIG: [(&str, Differs); 12] = [
    ("ExposedPorts", Differs::Omitted),
    ("Healthcheck", Differs::Unset),
    ("ArgsEscaped", Differs::Omitted),
    ("NetworkDisabled", Differs::Omitted),
    ("MacAddress", Differs::Omitted),
    ("StopSignal", Differs::Omitted),
    ("StopTimeout", Differs::Unset),
    ("Shell", Differs::Omitted),
    ("Cmd", Differs::Nil),
    ("Volumes", Differs::Nil),
    ("Entrypoint", Differs::Nil),
    ("OnBuild", Differs::Nil),
];

/// Docker's document of an image or a container, with what differs in its `Config`.
pub(super) fn docker_config(document: Document) -> Document {
    document.differing("Config", &DOCKER_CONFIG).differing("Config.Healthcheck", &HEALTH_CHECK)
}
