//! Version information: our own, and the versions of podman and docker that this program answers for.

use crate::image::Platform;
use crate::text::{Differs, Document};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Our own version.
pub const OWN: &str = env!("CARGO_PKG_VERSION");
/// The version of podman whose documented options are taken.
const PODMAN: &str = "5.4.2";
/// The version of docker whose documented options are taken.
const DOCKER: &str = "27.5.1";
/// The version of docker's interface that templates and output are modelled on.
const API: &str = "1.47";
/// The oldest version of docker's interface that its clients may speak.
const OLDEST_API: &str = "1.24";
/// When the source was last changed, seconds since 1970, if the build says so (SOURCE_DATE_EPOCH).
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// Whom this program stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Itself.
    Own,
    /// Podman.
    Podman,
    /// Docker.
    Docker,
}

impl Role {
    /// The version that it has in this role.
    pub fn version(self) -> &'static str {
        match self {
            Role::Own => OWN,
            Role::Podman => PODMAN,
            Role::Docker => DOCKER,
        }
    }

    /// What `--version` says: the program's name, and what follows it.
    pub fn banner(self) -> (&'static str, String) {
        match self {
            Role::Own => ("coracle", format!("version {OWN}")),
            Role::Podman => ("podman", format!("version {PODMAN}")),
            Role::Docker => ("Docker", format!("version {DOCKER}, build {}", commit(self))),
        }
    }
}

/// What made this program, where podman and docker name a commit.
fn commit(role: Role) -> String {
    if role == Role::Own { String::new() } else { format!("coracle-{OWN}") }
}

fn built() -> Option<DateTime<Utc>> {
    BUILT.and_then(|text| text.parse().ok()).and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

/// As C's `asctime` writes it.
fn ansi(time: DateTime<Utc>) -> String {
    time.format("%a %b %e %T %Y").to_string()
}

/// Podman's facts about a program (podman-version(1)).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Facts {
    #[serde(rename = "APIVersion")]
    api_version: &'static str,
    version: &'static str,
    go_version: &'static str,
    git_commit: String,
    built_time: String,
    built: i64,
    os_arch: String,
    os: String,
}

/// What there is to say about this program in podman's format.
pub fn facts(role: Role) -> Facts {
    let platform = Platform::host();
    // Podman says 1970 where it does not know.
    let time = built().or(Some(DateTime::UNIX_EPOCH).filter(|_| role == Role::Podman));
    Facts {
        api_version: role.version(),
        version: role.version(),
        go_version: "",
        git_commit: commit(role),
        built_time: time.map(ansi).unwrap_or_default(),
        built: built().map_or(0, |time| time.timestamp()),
        os_arch: format!("{}/{}", platform.os, platform.architecture),
        os: platform.os,
    }
}

/// Podman's document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Podman {
    client: Facts,
    server: Option<Facts>,
}

/// Docker's document (`docker version`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Docker {
    client: Client,
    server: Server,
}

/// Docker's client.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Client {
    platform: Option<PlatformName>,
    version: &'static str,
    api_version: &'static str,
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: &'static str,
    git_commit: String,
    go_version: &'static str,
    os: String,
    arch: String,
    build_time: String,
    context: &'static str,
}

/// Docker's engine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Server {
    platform: PlatformName,
    components: Vec<Component>,
    version: &'static str,
    api_version: &'static str,
    #[serde(rename = "MinAPIVersion")]
    oldest_api_version: &'static str,
    git_commit: String,
    go_version: &'static str,
    os: String,
    arch: String,
    kernel_version: String,
    experimental: bool,
    build_time: String,
}

/// The name of a product.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PlatformName {
    name: &'static str,
}

/// A part of docker's engine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: &'static str,
    version: &'static str,
    details: BTreeMap<&'static str, String>,
}

/// The document of `version`; `kernel` is the kernel's release.
pub fn document(role: Role, kernel: &str) -> Document {
    match role {
        Role::Own | Role::Podman => podman(role),
        Role::Docker => docker(kernel),
    }
}

/// The client and the server are one program. JSON shows it once; a template may name either, and podman's takes the
/// client's fields without `.Client`, too.
fn podman(role: Role) -> Document {
    let shown = Podman { client: facts(role), server: None };
    let all = serde_json::to_value(&shown).unwrap_or_default();
    let client = all["Client"].clone();
    let mut document = Document::new(all, &[("Server", Differs::Omitted)]).with("Server", client.clone());
    if let Value::Object(fields) = client {
        for (name, value) in fields {
            document = document.with(&name, value);
        }
    }
    document
}

fn docker(kernel: &str) -> Document {
    let client = client();
    let build_time = built().map(|time| time.to_rfc3339()).unwrap_or_default();
    let details = BTreeMap::from([
        ("ApiVersion", API.to_owned()),
        ("Arch", client.arch.clone()),
        ("BuildTime", client.build_time.clone()),
        ("Experimental", false.to_string()),
        ("GitCommit", client.git_commit.clone()),
        ("GoVersion", client.go_version.to_owned()),
        ("KernelVersion", kernel.to_owned()),
        ("MinAPIVersion", OLDEST_API.to_owned()),
        ("Os", client.os.clone()),
    ]);
    let server = Server {
        platform: PlatformName { name: "" },
        components: vec![
            Component { name: "Engine", version: DOCKER, details },
            Component { name: "coracle", version: OWN, details: BTreeMap::new() },
        ],
        version: DOCKER,
        api_version: API,
        oldest_api_version: OLDEST_API,
        git_commit: client.git_commit.clone(),
        go_version: client.go_version,
        os: client.os.clone(),
        arch: client.arch.clone(),
        kernel_version: kernel.to_owned(),
        experimental: false,
        build_time,
    };
    let omitted = [
        "Client.Platform",
        "Client.GoVersion",
        "Client.BuildTime",
        "Server.Experimental",
        "Server.BuildTime",
    ];
    let omitted = omitted.map(|path| (path, Differs::Omitted));
    Document::new(serde_json::to_value(&Docker { client, server }).unwrap_or_default(), &omitted)
}

/// Docker's client, which is this program.
pub fn client() -> Client {
    let platform = Platform::host();
    Client {
        platform: None,
        version: DOCKER,
        api_version: API,
        default_api_version: API,
        git_commit: commit(Role::Docker),
        go_version: "",
        os: platform.os,
        arch: platform.architecture,
        build_time: built().map(ansi).unwrap_or_default(),
        context: "default",
    }
}

/// The lines of `version` as its own program and podman print them: names and values.
pub fn lines(role: Role) -> Vec<(&'static str, String)> {
    let facts = facts(role);
    let product = if role == Role::Podman { "Podman Engine" } else { "Coracle" };
    let mut lines = vec![("Client:", product.to_owned()), ("Version:", facts.version.to_owned())];
    if role == Role::Podman {
        lines.extend([("API Version:", facts.api_version.to_owned()), ("Git Commit:", facts.git_commit)]);
    }
    if !facts.built_time.is_empty() {
        lines.push(("Built:", facts.built_time));
    }
    lines.push(("OS/Arch:", facts.os_arch));
    lines
}

/// The text of `version` as docker prints it.
pub fn docker_text() -> String {
    let client = client();
    let line = |indent: usize, name: &str, value: &str| {
        let text = format!("{:indent$}{name:<width$}{value}", "", width = 20 - indent);
        format!("{}\n", text.trim_end())
    };
    let place = format!("{}/{}", client.os, client.arch);
    let common = |indent: usize, api: &str| {
        let lines = [
            ("Version:", DOCKER),
            ("API version:", api),
            ("Go version:", client.go_version),
            ("Git commit:", &client.git_commit),
            ("Built:", &client.build_time),
            ("OS/Arch:", &place),
        ];
        lines.iter().map(|(name, value)| line(indent, name, value)).collect::<String>()
    };
    let mut text = format!("Client:\n{}{}", common(1, API), line(1, "Context:", client.context));
    text.push_str("\nServer:\n Engine:\n");
    text.push_str(&common(2, &format!("{API} (minimum version {OLDEST_API})")));
    text.push_str(&line(2, "Experimental:", "false"));
    text.push_str(&format!(" coracle:\n{}", line(2, "Version:", OWN)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Forms;

    #[test]
    fn every_role_has_a_version() {
        assert_eq!(Role::Own.banner(), ("coracle", format!("version {OWN}")));
        assert_eq!(Role::Podman.banner().1, "version 5.4.2");
        assert!(Role::Docker.banner().1.starts_with("version 27.5.1, build "));
        for role in [Role::Own, Role::Podman] {
            let document = document(role, "6.1");
            assert_eq!(document.seen()["Server"]["Version"], role.version());
            assert_eq!(document.seen()["Version"], role.version());
            let keys: Vec<&String> = document.json().as_object().unwrap().keys().collect();
            assert_eq!(keys, ["Client"]);
        }
        let docker = document(Role::Docker, "6.1");
        assert_eq!(docker.json()["Server"]["ApiVersion"], "1.47");
        assert_eq!(docker.seen()["Client"]["Platform"], Value::Null);
    }
}
