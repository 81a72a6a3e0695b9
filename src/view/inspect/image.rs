//! An image as `inspect` shows it: docker's structure with podman's additions.

use crate::error::Result;
use crate::image::{Image, RunConfig};
use crate::storage::Store;
use crate::storage::images::Listed;
use crate::text::{Differs, Document};
use crate::view::Dialect;
use crate::view::inspect::differences::{self, HEALTH_CHECK};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where templates see something else than podman's JSON shows.
const PODMAN: [(&str, Differs); 20] = [
    ("Created", Differs::Time),
    ("Variant", Differs::Omitted),
    ("VirtualSize", Differs::Omitted),
    ("Config.User", Differs::Omitted),
    ("Config.ExposedPorts", Differs::Omitted),
    ("Config.Env", Differs::Omitted),
    ("Config.Entrypoint", Differs::Omitted),
    ("Config.Cmd", Differs::Omitted),
    ("Config.Volumes", Differs::Omitted),
    ("Config.WorkingDir", Differs::Omitted),
    ("Config.Labels", Differs::Omitted),
    ("Config.StopSignal", Differs::Omitted),
    ("Config.ArgsEscaped", Differs::Omitted),
    ("Config.Healthcheck", Differs::Unset),
    ("Config.OnBuild", Differs::Omitted),
    ("Config.Shell", Differs::Omitted),
    ("History.*.created", Differs::Time),
    ("History.*.*", Differs::Omitted),
    ("Healthcheck", Differs::Unset),
    ("Labels", Differs::Nil),
];

/// Where templates see something else than docker's JSON shows.
const DOCKER: [(&str, Differs); 4] = [
    ("Variant", Differs::Omitted),
    ("OsVersion", Differs::Omitted),
    ("Config.Env", Differs::Nil),
    ("Config.Labels", Differs::Nil),
];

/// Podman's document (podman-image-inspect(1)).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Podman<'a> {
    id: &'a str,
    digest: &'a str,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: &'a str,
    created: Option<&'a str>,
    config: OciConfig<'a>,
    version: &'static str,
    author: &'a str,
    architecture: &'a str,
    variant: &'a str,
    os: &'a str,
    size: u64,
    virtual_size: u64,
    graph_driver: Value,
    #[serde(rename = "RootFS")]
    root: Value,
    labels: &'a BTreeMap<String, String>,
    annotations: Value,
    manifest_type: &'a str,
    user: &'a str,
    history: Vec<Value>,
    names_history: Vec<String>,
    healthcheck: Option<Value>,
}

/// The configuration as the OCI image specification has it, with docker's additions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct OciConfig<'a> {
    user: &'a str,
    exposed_ports: Value,
    env: &'a [String],
    entrypoint: &'a [String],
    cmd: &'a [String],
    volumes: Value,
    working_dir: &'a str,
    labels: &'a BTreeMap<String, String>,
    stop_signal: &'a str,
    args_escaped: bool,
    healthcheck: Option<Value>,
    on_build: &'a [String],
    shell: &'a [String],
}

/// Docker's document (`docker image inspect`, Engine API 1.47).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Docker<'a> {
    id: &'a str,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: &'a str,
    created: Option<&'a str>,
    docker_version: &'static str,
    author: &'a str,
    config: DockerConfig<'a>,
    architecture: &'a str,
    variant: &'a str,
    os: &'a str,
    os_version: &'static str,
    size: u64,
    graph_driver: Value,
    #[serde(rename = "RootFS")]
    root: Value,
    metadata: Metadata,
}

/// What docker knows of an image beside its content.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    last_tag_time: &'static str,
}

/// The configuration as docker shows it: as that of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerConfig<'a> {
    hostname: &'static str,
    #[serde(rename = "Domainname")]
    domain_name: &'static str,
    user: &'a str,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    exposed_ports: Value,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: &'a [String],
    cmd: &'a [String],
    healthcheck: Option<Value>,
    args_escaped: bool,
    image: &'static str,
    volumes: Value,
    working_dir: &'a str,
    entrypoint: &'a [String],
    network_disabled: bool,
    mac_address: &'static str,
    on_build: &'a [String],
    labels: &'a BTreeMap<String, String>,
    stop_signal: &'a str,
    stop_timeout: Option<u32>,
    shell: &'a [String],
}

pub(super) fn show(store: &Store, image: &Image, dialect: Dialect) -> Result<Document> {
    let listed = store.images().listed(&image.id)?;
    Ok(match dialect {
        Dialect::Podman => podman(store, image, listed.as_ref()),
        Dialect::Docker => docker(store, image, listed.as_ref()),
    })
}

fn podman(store: &Store, image: &Image, listed: Option<&Listed>) -> Document {
    let (config, run) = (&image.config, &image.config.config);
    let size = listed.map_or(0, |listed| listed.size);
    let manifest = manifest(store, image);
    let shown = Podman {
        id: image.id.hex(),
        digest: listed.map_or(image.manifest.as_str(), |listed| listed.manifest_of(image.reference.as_ref())),
        repo_tags: listed.map(Listed::tags).unwrap_or_default(),
        repo_digests: listed.map(Listed::repo_digests).unwrap_or_default(),
        parent: "",
        comment: config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        created: config.created.as_deref(),
        config: OciConfig {
            user: &run.user,
            exposed_ports: json!(run.exposed_ports),
            env: &run.env,
            entrypoint: &run.entrypoint,
            cmd: &run.cmd,
            volumes: json!(run.volumes),
            working_dir: &run.working_dir,
            labels: &run.labels,
            stop_signal: &run.stop_signal,
            args_escaped: false,
            healthcheck: run.healthcheck.clone(),
            on_build: &run.on_build,
            shell: &run.shell,
        },
        version: "",
        author: config.author.as_deref().unwrap_or_default(),
        architecture: &config.architecture,
        variant: config.variant.as_deref().unwrap_or_default(),
        os: &config.os,
        size,
        virtual_size: size,
        graph_driver: graph_driver(store, image),
        root: json!({ "Type": "layers", "Layers": config.rootfs.diff_ids }),
        labels: &run.labels,
        annotations: manifest.get("annotations").cloned().unwrap_or_else(|| json!({})),
        manifest_type: manifest_type(&manifest),
        user: &run.user,
        history: history(image),
        names_history: listed.map(|listed| listed.history.clone()).unwrap_or_default(),
        healthcheck: healthcheck(run),
    };
    let all = serde_json::to_value(&shown).unwrap_or_default();
    // The field's name in podman's program.
    let healthcheck = all["Healthcheck"].clone();
    let document = Document::new(all, &PODMAN).differing("Healthcheck", &HEALTH_CHECK);
    document.with("HealthCheck", healthcheck)
}

fn docker(store: &Store, image: &Image, listed: Option<&Listed>) -> Document {
    let (config, run) = (&image.config, &image.config.config);
    let shown = Docker {
        id: image.id.as_str(),
        repo_tags: docker_names(listed.map(Listed::tags)),
        repo_digests: docker_names(listed.map(Listed::remote_digests)),
        parent: "",
        comment: config.history.last().and_then(|step| step.comment.as_deref()).unwrap_or_default(),
        created: config.created.as_deref(),
        docker_version: "",
        author: config.author.as_deref().unwrap_or_default(),
        config: DockerConfig {
            hostname: "",
            domain_name: "",
            user: &run.user,
            attach_stdin: false,
            attach_stdout: false,
            attach_stderr: false,
            exposed_ports: json!(run.exposed_ports),
            tty: false,
            open_stdin: false,
            stdin_once: false,
            env: &run.env,
            cmd: &run.cmd,
            healthcheck: healthcheck(run),
            args_escaped: false,
            image: "",
            volumes: json!(run.volumes),
            working_dir: &run.working_dir,
            entrypoint: &run.entrypoint,
            network_disabled: false,
            mac_address: "",
            on_build: &run.on_build,
            labels: &run.labels,
            stop_signal: &run.stop_signal,
            stop_timeout: None,
            shell: &run.shell,
        },
        architecture: &config.architecture,
        variant: config.variant.as_deref().unwrap_or_default(),
        os: &config.os,
        os_version: "",
        size: listed.map_or(0, |listed| listed.size),
        graph_driver: graph_driver(store, image),
        root: json!({ "Type": "layers", "Layers": config.rootfs.diff_ids }),
        metadata: Metadata { last_tag_time: "0001-01-01T00:00:00Z" },
    };
    differences::docker_config(Document::new(serde_json::to_value(&shown).unwrap_or_default(), &DOCKER))
}

/// Names without what docker leaves out of them; unlike in listings the tag stays.
fn docker_names(names: Option<Vec<String>>) -> Vec<String> {
    let short = |name: String| {
        let short = name.strip_prefix("docker.io/library/").or_else(|| name.strip_prefix("docker.io/"));
        short.map_or_else(|| name.clone(), str::to_owned)
    };
    names.unwrap_or_default().into_iter().map(short).collect()
}

/// The health check with all its fields.
fn healthcheck(run: &RunConfig) -> Option<Value> {
    let mut all = json!({
        "Test": null, "StartPeriod": 0, "StartInterval": 0, "Interval": 0, "Timeout": 0, "Retries": 0,
    });
    let (Value::Object(all), Value::Object(said)) = (&mut all, run.healthcheck.as_ref()?) else {
        return None;
    };
    all.extend(said.clone());
    Some(Value::Object(std::mem::take(all)))
}

/// The steps, each with all its fields.
fn history(image: &Image) -> Vec<Value> {
    let step = |step| {
        let mut all = json!({
            "created": null, "created_by": "", "author": "", "comment": "", "empty_layer": false,
        });
        if let (Value::Object(all), Ok(Value::Object(said))) = (&mut all, serde_json::to_value(step)) {
            all.extend(said);
        }
        all
    };
    image.config.history.iter().map(step).collect()
}

fn graph_driver(store: &Store, image: &Image) -> Value {
    let path = |layer| Some(store.layers().path(layer).ok()?.to_string_lossy().into_owned());
    let mut layers = image.layers.iter().rev();
    let mut data = Map::new();
    if let Some(top) = layers.next().and_then(path) {
        data.insert("UpperDir".into(), top.into());
    }
    let lower: Vec<String> = layers.filter_map(path).collect();
    if !lower.is_empty() {
        data.insert("LowerDir".into(), lower.join(":").into());
    }
    json!({ "Name": "overlay", "Data": data })
}

/// The manifest, if it can be read.
fn manifest(store: &Store, image: &Image) -> Value {
    let bytes = store.blobs().read(&image.manifest).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The manifest's media type: as it says itself, or else OCI's.
fn manifest_type(manifest: &Value) -> &str {
    let said = manifest.get("mediaType").and_then(Value::as_str);
    said.unwrap_or(if manifest.is_null() { "" } else { "application/vnd.oci.image.manifest.v1+json" })
}
