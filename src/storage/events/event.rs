//! One event, and its line.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What every line starts with.
pub(super) const OPENING: &[u8] = b"{\"time\":\"";

/// What sort of thing it happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network that containers share.
    Network,
    /// A pod.
    Pod,
    /// A secret.
    Secret,
    /// The store as a whole.
    System,
    /// A volume.
    Volume,
}

impl Type {
    /// Every sort.
    pub const ALL: [Type; 7] =
        [Type::Container, Type::Image, Type::Network, Type::Pod, Type::Secret, Type::System, Type::Volume];

    /// The word that `events` shows.
    pub fn as_str(self) -> &'static str {
        match self {
            Type::Container => "container",
            Type::Image => "image",
            Type::Network => "network",
            Type::Pod => "pod",
            Type::Secret => "secret",
            Type::System => "system",
            Type::Volume => "volume",
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What happened; the words are podman's (podman-events(1)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
            /// Something that a newer program knows.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name,)*];

            /// The word that `events` shows.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Action::$name => $text,)*
                    Action::Unknown => "unknown",
                }
            }
        }
    };
}

actions! {
    /// A client was attached to a container.
    Attach = "attach",
    /// What a container left was cleared up.
    Cleanup = "cleanup",
    /// A container was connected to a network.
    Connect = "connect",
    /// An image was made of a container.
    Commit = "commit",
    /// Something was made.
    Create = "create",
    /// A container's first process ended.
    Died = "died",
    /// A container was disconnected from a network.
    Disconnect = "disconnect",
    /// A process was started in a running container.
    Exec = "exec",
    /// Such a process ended.
    ExecDied = "exec_died",
    /// A container's root file system, or a volume, was written to an archive.
    Export = "export",
    /// A health check has run.
    HealthStatus = "health_status",
    /// An image was made of an archive of files; a volume was filled from one.
    Import = "import",
    /// A container was made ready to start.
    Init = "init",
    /// A signal was sent to a container.
    Kill = "kill",
    /// Images came from an archive.
    Load = "loadfromarchive",
    /// A root file system was mounted.
    Mount = "mount",
    /// A container was frozen.
    Pause = "pause",
    /// What nobody needs was removed.
    Prune = "prune",
    /// An image came from a registry.
    Pull = "pull",
    /// An image could not be had from a registry.
    PullError = "pull-error",
    /// An image went to a registry.
    Push = "push",
    /// The store's records were rebuilt.
    Refresh = "refresh",
    /// Something was removed.
    Remove = "remove",
    /// A container got another name.
    Rename = "rename",
    /// A container was started again.
    Restart = "restart",
    /// Images were written to an archive.
    Save = "save",
    /// A container was started.
    Start = "start",
    /// A container was stopped on request.
    Stop = "stop",
    /// A container's state was looked at again.
    Sync = "sync",
    /// An image got a name.
    Tag = "tag",
    /// A root file system was unmounted.
    Unmount = "unmount",
    /// A container was thawed.
    Unpause = "unpause",
    /// An image lost a name.
    Untag = "untag",
    /// A container's settings were changed.
    Update = "update",
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When; the line's first field.
    pub time: DateTime<Utc>,
    /// To what sort of thing.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What happened.
    pub status: Action,
    /// Its identifier: 64 digits of a container or image, the name of a volume.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The image that a container was made of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// The exit code of what ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// What a health check found.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub health: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Labels and other attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    /// Something that happens now.
    pub fn new(kind: Type, status: Action) -> Event {
        Event {
            time: Utc::now(),
            kind,
            status,
            id: String::new(),
            name: String::new(),
            image: String::new(),
            code: None,
            health: String::new(),
            error: String::new(),
            attributes: BTreeMap::new(),
        }
    }

    /// Something that happens to this image now. `name` is a reference, or the id again.
    pub fn image_named(action: Action, id: &str, name: &str) -> Event {
        Event::new(Type::Image, action).id(id.strip_prefix("sha256:").unwrap_or(id)).name(name)
    }

    /// Something that happens to this volume now.
    pub fn volume(action: Action, name: &str) -> Event {
        Event::new(Type::Volume, action).name(name)
    }

    /// Something that happens to this network now.
    pub fn network(action: Action, name: &str, id: &str) -> Event {
        Event::new(Type::Network, action).name(name).id(id)
    }

    /// A container's connection to this network changes now.
    pub fn connection(action: Action, network: &str, id: &str, container: (&str, &str)) -> Event {
        let (container_id, name) = container;
        let event = Event::network(action, network, id);
        event.attribute("container", container_id).attribute("containerName", name)
    }

    /// With an identifier.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Event {
        Event { id: id.into(), ..self }
    }

    /// With a name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Event {
        Event { name: name.into(), ..self }
    }

    /// With the image that a container was made of.
    #[must_use]
    pub fn image(self, image: impl Into<String>) -> Event {
        Event { image: image.into(), ..self }
    }

    /// With an exit code.
    #[must_use]
    pub fn code(self, code: i32) -> Event {
        Event { code: Some(code), ..self }
    }

    /// With what a health check found.
    #[must_use]
    pub fn health(self, health: impl Into<String>) -> Event {
        Event { health: health.into(), ..self }
    }

    /// With one thing more to say.
    #[must_use]
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Event {
        self.attributes.insert(key.into(), value.into());
        self
    }

    /// The event's line, at most `limit` bytes long where leaving out the attributes is enough for that.
    pub(super) fn line(&self, limit: usize) -> Vec<u8> {
        let line = |event: &Event| {
            // A map of strings and numbers has no way to fail.
            let mut line = serde_json::to_vec(event).unwrap_or_default();
            line.push(b'\n');
            line
        };
        let whole = line(self);
        if whole.len() <= limit {
            return whole;
        }
        line(&Event { attributes: BTreeMap::new(), ..self.clone() })
    }

    /// Reads a line; one that begins with the rest of another is read from where it itself begins.
    pub(super) fn from_line(line: &[u8]) -> Option<Event> {
        let start = line.windows(OPENING.len()).rposition(|w| w == OPENING)?;
        serde_json::from_slice(&line[start..]).ok()
    }
}
