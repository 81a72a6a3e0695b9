//! Podman's document of a container (podman-container-inspect(1), `libpod/define` of podman 5).

use super::facts::{Facts, dependencies, shown_path, shown_paths};
use super::time::{NEVER, time};
use super::{health, mounts, network, secrets};
use crate::container::Status;
use crate::error::Result;
use crate::runtime::cgroup;
use crate::spec::{HealthCheck, RootSpec};
use crate::storage::containers::ExecRecord;
use crate::text::{Differs, Document};
use crate::view::Dialect;
use crate::view::inspect::differences::HEALTH_CHECK;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

mod host;

/// Where templates see something else than JSON shows.
const DIFFERENCES: [(&str, Differs); 58] = [
    ("Created", Differs::Time),
    ("State.StartedAt", Differs::Time),
    ("State.FinishedAt", Differs::Time),
    ("State.CheckpointedAt", Differs::Time),
    ("State.RestoredAt", Differs::Time),
    ("State.ConmonPid", Differs::Omitted),
    ("State.Health", Differs::Unset),
    ("State.Checkpointed", Differs::Omitted),
    ("State.CgroupPath", Differs::Omitted),
    ("State.CheckpointLog", Differs::Omitted),
    ("State.CheckpointPath", Differs::Omitted),
    ("State.RestoreLog", Differs::Omitted),
    ("State.Restored", Differs::Omitted),
    ("State.StoppedByUser", Differs::Omitted),
    ("OCIConfigPath", Differs::Omitted),
    ("SizeRw", Differs::Unset),
    ("SizeRootFs", Differs::Omitted),
    ("Mounts.*.Name", Differs::Omitted),
    ("Mounts.*.SubPath", Differs::Omitted),
    ("NetworkSettings.SecondaryIPAddresses", Differs::Omitted),
    ("NetworkSettings.SecondaryIPv6Addresses", Differs::Omitted),
    ("NetworkSettings.Networks.*.AdditionalMACAddresses", Differs::Omitted),
    ("NetworkSettings.Networks.*.Aliases", Differs::Omitted),
    ("NetworkSettings.Networks", Differs::Omitted),
    ("Config.Healthcheck", Differs::Unset),
    ("Config.StartupHealthCheck", Differs::Unset),
    ("Config.HealthcheckOnFailureAction", Differs::Omitted),
    ("Config.HealthLogDestination", Differs::Omitted),
    ("Config.HealthcheckMaxLogCount", Differs::Omitted),
    ("Config.HealthcheckMaxLogSize", Differs::Omitted),
    ("Config.CreateCommand", Differs::Omitted),
    ("Config.Timezone", Differs::Omitted),
    ("Config.SystemdMode", Differs::Omitted),
    ("Config.Umask", Differs::Omitted),
    ("Config.Secrets", Differs::Omitted),
    ("Config.ChrootDirs", Differs::Omitted),
    ("Config.sdNotifyMode", Differs::Omitted),
    ("Config.sdNotifySocket", Differs::Omitted),
    ("Config.ExposedPorts", Differs::Omitted),
    ("HostConfig.CgroupManager", Differs::Omitted),
    ("HostConfig.IDMappings", Differs::Unset),
    ("HostConfig.Init", Differs::Omitted),
    ("HostConfig.IntelRdtClosID", Differs::Omitted),
    ("Execs", Differs::Omitted),
    ("LogPath", Differs::Omitted),
    ("State.Health.Log", Differs::Nil),
    ("Config.Cmd", Differs::Nil),
    ("Config.Volumes", Differs::Nil),
    ("Config.Entrypoint", Differs::Nil),
    ("HostConfig.LogConfig.Config", Differs::Nil),
    ("HostConfig.VolumesFrom", Differs::Nil),
    ("HostConfig.Links", Differs::Nil),
    ("HostConfig.BlkioWeightDevice", Differs::Nil),
    ("HostConfig.BlkioDeviceReadBps", Differs::Nil),
    ("HostConfig.BlkioDeviceWriteBps", Differs::Nil),
    ("HostConfig.BlkioDeviceReadIOps", Differs::Nil),
    ("HostConfig.BlkioDeviceWriteIOps", Differs::Nil),
    ("HostConfig.CgroupConf", Differs::Nil),
];

/// A container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    created: String,
    path: String,
    args: Vec<String>,
    state: State,
    image: String,
    image_digest: String,
    image_name: String,
    rootfs: String,
    pod: String,
    resolv_conf_path: &'static str,
    hostname_path: &'static str,
    hosts_path: &'static str,
    static_dir: String,
    #[serde(rename = "OCIConfigPath")]
    oci_config_path: &'static str,
    #[serde(rename = "OCIRuntime")]
    oci_runtime: &'static str,
    conmon_pid_file: String,
    pid_file: String,
    /// Docker's, which scripts for podman look for too.
    log_path: String,
    name: String,
    restart_count: u32,
    driver: &'static str,
    mount_label: &'static str,
    process_label: &'static str,
    app_armor_profile: &'static str,
    effective_caps: Vec<String>,
    bounding_caps: Vec<String>,
    #[serde(rename = "ExecIDs")]
    exec_ids: Vec<String>,
    /// Ours: the processes of `exec` themselves.
    execs: Vec<Exec>,
    graph_driver: GraphDriver,
    size_rw: Option<u64>,
    size_root_fs: u64,
    mounts: Vec<mounts::Mount>,
    dependencies: Vec<String>,
    network_settings: network::Settings,
    namespace: &'static str,
    is_infra: bool,
    is_service: bool,
    kube_exit_code_propagation: &'static str,
    #[serde(rename = "lockNumber")]
    lock_number: u32,
    config: Config,
    host_config: host::Host,
    use_image_hosts: bool,
    use_image_hostname: bool,
}

/// Where its files are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    name: &'static str,
    data: Map<String, Value>,
}

/// How it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    oci_version: &'static str,
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: i32,
    conmon_pid: i32,
    exit_code: u8,
    error: String,
    started_at: String,
    finished_at: String,
    health: Option<health::State>,
    checkpointed: bool,
    cgroup_path: String,
    checkpointed_at: &'static str,
    restored_at: &'static str,
    checkpoint_log: &'static str,
    checkpoint_path: &'static str,
    restore_log: &'static str,
    restored: bool,
    stopped_by_user: bool,
}

/// How it was configured.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    hostname: String,
    #[serde(rename = "Domainname")]
    domain_name: String,
    user: String,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Vec<String>,
    cmd: Vec<String>,
    image: String,
    volumes: Map<String, Value>,
    working_dir: String,
    entrypoint: Vec<String>,
    on_build: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    stop_signal: String,
    startup_health_check: Option<health::Startup>,
    healthcheck: Option<health::Config>,
    healthcheck_on_failure_action: &'static str,
    health_log_destination: String,
    healthcheck_max_log_count: u32,
    healthcheck_max_log_size: u32,
    create_command: Vec<String>,
    timezone: &'static str,
    systemd_mode: bool,
    umask: String,
    secrets: Vec<secrets::Secret>,
    timeout: u32,
    stop_timeout: u32,
    passwd: bool,
    chroot_dirs: Vec<String>,
    #[serde(rename = "sdNotifyMode")]
    sd_notify_mode: &'static str,
    #[serde(rename = "sdNotifySocket")]
    sd_notify_socket: &'static str,
    exposed_ports: Map<String, Value>,
}

/// A process of `exec`, in the shape of docker's exec objects.
#[derive(Debug, Serialize)]
struct Exec {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Running")]
    running: bool,
    #[serde(rename = "ExitCode")]
    code: Option<u8>,
    #[serde(rename = "Pid")]
    pid: i32,
    #[serde(rename = "ProcessConfig")]
    process: ExecProcess,
}

/// What `exec` was asked to run.
#[derive(Debug, Serialize)]
struct ExecProcess {
    entrypoint: String,
    arguments: Vec<String>,
}

pub(super) fn document(facts: &Facts<'_>) -> Result<Document> {
    let all = serde_json::to_value(container(facts)?).unwrap_or_default();
    // An empty answer rather than none for scripts that read the status without asking whether there is one.
    let health = match &all["State"]["Health"] {
        Value::Null => json!({ "Status": "", "FailingStreak": 0, "Log": [] }),
        found => found.clone(),
    };
    let document = Document::new(all, &DIFFERENCES)
        .differing("NetworkSettings", &network::DIFFERENCES)
        .differing("Config.Healthcheck", &HEALTH_CHECK)
        .differing("Config.StartupHealthCheck", &HEALTH_CHECK)
        .with("State.Health", health.clone());
    // The name it had once.
    Ok(document.with("State.Healthcheck", health))
}

fn container(facts: &Facts<'_>) -> Result<Container> {
    let (plan, summary) = (&facts.plan, &facts.summary);
    let root_caps = matches!(plan.process.user.user.split(':').next(), Some("" | "0" | "root") | None);
    let effective = if root_caps { &plan.security.capabilities } else { &plan.security.ambient_capabilities };
    Ok(Container {
        id: summary.id.to_string(),
        created: time(plan.created),
        path: plan.process.argv.first().cloned().unwrap_or_default(),
        args: plan.process.argv.get(1..).unwrap_or_default().to_vec(),
        state: state(facts),
        image: plan.image.as_ref().map_or_else(String::new, |image| image.id.hex().to_owned()),
        image_digest: plan.image.as_ref().map_or_else(String::new, |image| image.manifest.to_string()),
        image_name: plan.image.as_ref().map_or_else(String::new, |image| image.reference.clone()),
        rootfs: match &plan.root {
            RootSpec::Directory { path, .. } => shown_path(Some(path)),
            RootSpec::HostTree => "/".to_owned(),
            _ => String::new(),
        },
        pod: facts.plan.pod.as_ref().map(|pod| pod.id.to_string()).unwrap_or_default(),
        resolv_conf_path: "",
        hostname_path: "",
        hosts_path: "",
        static_dir: shown_path(Some(&facts.dir.path())),
        oci_config_path: "",
        oci_runtime: "coracle",
        conmon_pid_file: shown_path(plan.lifecycle.monitor_pidfile.as_deref()),
        pid_file: shown_path(plan.lifecycle.pidfile.as_deref()),
        log_path: facts.log_path(),
        name: summary.name.clone(),
        restart_count: facts.restarts(),
        driver: "overlay",
        mount_label: "",
        process_label: "",
        app_armor_profile: "",
        effective_caps: effective.clone(),
        bounding_caps: plan.security.capabilities.clone(),
        exec_ids: facts.execs.iter().map(|exec| exec.id.to_string()).collect(),
        execs: facts.execs.iter().map(exec).collect(),
        graph_driver: GraphDriver { name: "overlay", data: facts.graph_data() },
        size_rw: facts.size.map(|(written, _)| written),
        size_root_fs: facts.size.map_or(0, |(_, all)| all),
        mounts: mounts::list(facts.store, &plan.mounts),
        dependencies: dependencies(plan),
        network_settings: network::settings(facts, Dialect::Podman)?,
        namespace: "",
        is_infra: facts.plan.is_infra(),
        is_service: false,
        kube_exit_code_propagation: "invalid",
        lock_number: 0,
        config: config(facts),
        host_config: host::config(facts),
        use_image_hosts: !plan.files.hosts,
        use_image_hostname: !plan.files.hostname,
    })
}

fn exec(exec: &ExecRecord) -> Exec {
    let running = exec.is_running();
    Exec {
        id: exec.id.to_string(),
        running,
        code: exec.code,
        pid: exec.process.filter(|_| running).map_or(0, |process| process.pid),
        process: ExecProcess {
            entrypoint: exec.argv.first().cloned().unwrap_or_default(),
            arguments: exec.argv.get(1..).unwrap_or_default().to_vec(),
        },
    }
}

fn state(facts: &Facts<'_>) -> State {
    let status = facts.summary.status;
    let stopping = status == Status::Running && facts.stop_asked();
    State {
        oci_version: "1.0.2",
        status: if stopping { "stopping" } else { status.as_str() },
        running: status == Status::Running,
        paused: status == Status::Paused,
        restarting: status == Status::Restarting,
        oom_killed: facts.oom_killed(),
        dead: false,
        pid: facts.pid(),
        conmon_pid: facts.run.as_ref().filter(|_| status.is_active()).map_or(0, |run| run.monitor.pid),
        exit_code: facts.exit_code(),
        error: facts.error(),
        started_at: facts.started(),
        finished_at: facts.finished(),
        health: health::state(facts),
        checkpointed: false,
        cgroup_path: facts.live().and_then(|run| cgroup::of_process(run.init.pid)).unwrap_or_default(),
        checkpointed_at: NEVER,
        restored_at: NEVER,
        checkpoint_log: "",
        checkpoint_path: "",
        restore_log: "",
        restored: false,
        stopped_by_user: facts.stop_asked(),
    }
}

fn config(facts: &Facts<'_>) -> Config {
    let plan = &facts.plan;
    let check = plan.health.as_ref();
    Config {
        hostname: plan.hostname.clone(),
        domain_name: plan.domainname.clone().unwrap_or_default(),
        user: plan.process.user.user.clone(),
        attach_stdin: false,
        attach_stdout: false,
        attach_stderr: false,
        tty: plan.io.tty,
        open_stdin: plan.io.stdin,
        stdin_once: false,
        env: plan.process.env.clone(),
        cmd: plan.asked.command.clone(),
        image: plan.image.as_ref().map_or_else(String::new, |image| image.reference.clone()),
        volumes: Map::new(),
        working_dir: shown_path(Some(&plan.process.cwd)),
        entrypoint: plan.asked.entrypoint.clone(),
        on_build: None,
        labels: plan.labels.clone(),
        annotations: plan.annotations.clone(),
        stop_signal: facts.stop_signal().to_string(),
        startup_health_check: check.and_then(health::startup),
        healthcheck: check.map(health::config),
        healthcheck_on_failure_action: check.map_or("none", |check| check.on_failure.as_str()),
        health_log_destination: check.map_or_else(String::new, |check| check.destination.to_string()),
        healthcheck_max_log_count: check.map_or(0, |check: &HealthCheck| check.log_count),
        healthcheck_max_log_size: check.map_or(0, |check: &HealthCheck| check.log_size),
        create_command: plan.asked.create_command.clone(),
        timezone: "",
        systemd_mode: plan.limits.manages_cgroups,
        umask: format!("{:04o}", plan.process.umask),
        secrets: secrets::shown(facts.store, plan),
        timeout: plan.lifecycle.timeout.unwrap_or(0),
        stop_timeout: plan.lifecycle.stop_timeout,
        passwd: plan.process.user.passwd_entry,
        chroot_dirs: shown_paths(&plan.chroot_dirs),
        sd_notify_mode: plan.notify.as_str(),
        sd_notify_socket: "",
        exposed_ports: facts.exposed(),
    }
}
