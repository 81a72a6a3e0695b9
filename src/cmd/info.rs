//! `coracle info`.

use crate::error::Result;
use crate::host::{self, Check, Env, Feature};
use crate::image::Platform;
use crate::plan::caps::DEFAULT as DEFAULT_CAPABILITIES;
use crate::registry::{Places, Registries};
use crate::storage::Store;
use crate::ui;
use crate::ui::rows::{align, is_json, json, line};
use crate::view::version;
use nix::sys::statvfs::statvfs;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows the machine, the store, what the machine lacks and how to cure it.
///
/// # Errors
/// When the format is wrong. What the machine lacks is shown and is no error.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let (checks, features) = (host::examine(&env.roots), host::features());
    let mut info = json!({
        "host": host_info(),
        "store": store_info(env),
        "registries": registries(env),
        "plugins": {
            "volume": ["local"],
            "network": ["slirp4netns"],
            "log": ["k8s-file", "json-file", "journald", "none", "passthrough", "passthrough-tty"],
            "authorization": null,
        },
        "version": version::facts(),
    });
    match args.format.as_deref() {
        None => {
            ui::out(&crate::text::yaml(&info))?;
            ui::out(&format!("\n{}\n{}", checks_table(&checks)?, features_table(&features)?))?;
        }
        format => {
            info["checks"] = json!(checks);
            info["features"] = json!(features);
            if ui::docker() {
                add_docker_facts(&mut info);
            }
            // Under podman's other name for it, which only templates have.
            if !is_json(format) {
                info["host"]["cgroupsVersion"] = info["host"]["cgroupVersion"].clone();
            }
            if is_json(format) && ui::docker() {
                ui::out(&line(&info)?)?;
            } else if is_json(format) {
                ui::out(&json(&info)?)?;
            } else {
                ui::out(&(crate::text::template::render(format.unwrap_or_default(), &info)? + "\n"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields that scripts for docker ask for, beside podman's.
fn add_docker_facts(info: &mut Value) {
    let (host, store) = (info["host"].clone(), info["store"].clone());
    let containers = &store["containerStore"];
    let facts = json!({
        "Architecture": host["arch"],
        "CgroupVersion": host["cgroupVersion"].as_str().unwrap_or_default().trim_start_matches('v'),
        "Containers": containers["number"],
        "ContainersPaused": containers["paused"],
        "ContainersRunning": containers["running"],
        "ContainersStopped": containers["stopped"],
        "DockerRootDir": store["graphRoot"],
        "Driver": store["graphDriverName"],
        "Images": store["imageStore"]["number"],
        "KernelVersion": host["kernel"],
        "LoggingDriver": "k8s-file",
        "MemTotal": host["memTotal"],
        "NCPU": host["cpus"],
        "Name": host["hostname"],
        "OSType": host["os"],
        "OperatingSystem": host["distribution"]["distribution"],
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "ServerVersion": env!("CARGO_PKG_VERSION"),
    });
    if let (Value::Object(all), Value::Object(more)) = (info, facts) {
        all.extend(more);
    }
}

fn host_info() -> Value {
    let platform = Platform::host();
    let mut info = json!({
        "arch": platform.architecture,
        "os": platform.os,
        "kernel": host::kernel_release(),
        "cgroupVersion": format!("v{}", host::cgroup_version()),
        "cgroupControllers": host::cgroup_controllers(),
        "slirp4netns": { "executable": crate::netns::slirp::find().ok() },
        "conmon": itself("monitor"),
        "ociRuntime": itself("runtime"),
        "eventLogger": "file",
        "logDriver": "k8s-file",
        "networkBackend": "slirp4netns",
        "remoteSocket": { "path": "", "exists": false },
        "serviceIsRemote": false,
        "linkmode": if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" },
    });
    if let (Value::Object(all), Value::Object(machine)) = (&mut info, json!(host::machine())) {
        all.extend(machine);
    }
    info["security"] = json!({
        "rootless": info["rootless"],
        "seccompEnabled": true,
        "seccompProfilePath": "",
        "apparmorEnabled": false,
        "selinuxEnabled": false,
        "capabilities": DEFAULT_CAPABILITIES.join(","),
    });
    info["idMappings"] = host::id_map();
    info
}

/// Where short names are looked for; files that cannot be read are the business of `pull`.
fn registries(env: &Env) -> Value {
    match Registries::load(&Places::from_env(&env.roots.config)) {
        Ok(registries) => json!({ "search": registries.search() }),
        Err(error) => json!({ "error": error.message() }),
    }
}

/// What other tools have programs for and this one does by itself.
fn itself(name: &str) -> Value {
    json!({
        "name": "coracle",
        "package": "",
        "path": std::env::current_exe().unwrap_or_default(),
        "version": format!("{name} of coracle {}", env!("CARGO_PKG_VERSION")),
    })
}

/// The store's places and counts. One that cannot be opened is told, not fatal: `info` is where a user
/// looks for the reason.
fn store_info(env: &Env) -> Value {
    let mut info = json!({
        "graphRoot": env.roots.data,
        "runRoot": env.roots.runtime,
        "volumePath": env.roots.data.join("volumes"),
        "configFile": env.roots.config.join("coracle/coracle.toml"),
        "additionalImageStores": env.roots.image_stores,
        "graphDriverName": "overlay",
        "graphOptions": { "overlay.driver": env.roots.overlay },
        "graphStatus": {},
        "imageCopyTmpDir": env.roots.data.join("tmp"),
    });
    if let Ok(disk) = statvfs(&env.roots.data) {
        let all = disk.blocks() * disk.fragment_size();
        info["graphRootAllocated"] = json!(all);
        info["graphRootUsed"] = json!(all - disk.blocks_free() * disk.fragment_size());
    }
    match super::store(env).and_then(|store| counts(&store)) {
        Ok((images, containers)) => {
            info["imageStore"] = images;
            info["containerStore"] = containers;
        }
        Err(error) => info["error"] = json!(error.message()),
    }
    info
}

fn counts(store: &Store) -> Result<(Value, Value)> {
    let containers = store.containers().list()?;
    let count = |word: &str| containers.iter().filter(|c| c.status.as_str() == word).count();
    let (running, paused) = (count("running"), count("paused"));
    Ok((
        json!({ "number": store.images().list()?.len() }),
        json!({
            "number": containers.len(),
            "running": running,
            "paused": paused,
            "stopped": containers.len() - running - paused,
        }),
    ))
}

fn checks_table(checks: &[Check]) -> Result<String> {
    let mut text = String::from("CHECK\tSTATE\tDETAIL\n");
    for check in checks {
        let state = json!(check.state);
        text.push_str(&format!("{}\t{}\t{}\n", check.name, state.as_str().unwrap_or_default(), check.detail));
    }
    let mut text = align(&text)?;
    for check in checks.iter().filter(|check| !check.cure.is_empty()) {
        text.push_str(&format!("\nTo cure {}:\n", check.name));
        for line in check.cure.iter().flat_map(|cure| cure.lines()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    Ok(text)
}

fn features_table(features: &[Feature]) -> Result<String> {
    let mut text = String::from("KERNEL FEATURE\tSINCE\tHERE\tUSED FOR\n");
    for feature in features {
        let here = if feature.available { "yes" } else { "no" };
        let otherwise = match (feature.available, feature.without) {
            (false, without) if !without.is_empty() => format!(" (here: {without})"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "{}\t{}\t{here}\t{}{otherwise}\n",
            feature.name, feature.since, feature.usage
        ));
    }
    align(&text)
}
