//! The text of docker's `info`.

use crate::text::{Document, Forms, units};
use serde_json::Value;

/// The text of `info` as docker prints it, of its document.
pub fn text(document: &Document) -> String {
    let all = document.seen();
    let client = &all["ClientInfo"];
    let mut text = Text(String::new());
    text.line(0, "Client:");
    for (name, field) in [("Version:", "Version"), ("Context:", "Context"), ("Debug Mode:", "Debug")] {
        text.line(1, &format!("{name:<11} {}", word(&client[field])));
    }
    text.line(0, "");
    text.line(0, "Server:");
    for (indent, name, field) in [
        (1, "Containers", "Containers"),
        (2, "Running", "ContainersRunning"),
        (2, "Paused", "ContainersPaused"),
        (2, "Stopped", "ContainersStopped"),
        (1, "Images", "Images"),
        (1, "Server Version", "ServerVersion"),
        (1, "Storage Driver", "Driver"),
    ] {
        text.field(indent, name, &all[field]);
    }
    for pair in list(&all["DriverStatus"]) {
        text.field(2, &word(&pair[0]), &pair[1]);
    }
    text.field(1, "Logging Driver", &all["LoggingDriver"]);
    text.field(1, "Cgroup Driver", &all["CgroupDriver"]);
    text.field(1, "Cgroup Version", &all["CgroupVersion"]);
    text.line(1, "Plugins:");
    for kind in ["Volume", "Network", "Log"] {
        let names: Vec<String> = list(&all["Plugins"][kind]).map(word).collect();
        text.line(2, &format!("{kind}: {}", names.join(" ")));
    }
    text.below("CDI spec directories:", &all["CDISpecDirs"]);
    text.field(1, "Swarm", &all["Swarm"]["LocalNodeState"]);
    let runtimes = all["Runtimes"].as_object().into_iter().flat_map(|all| all.keys().map(String::as_str));
    text.line(1, &format!("Runtimes: {}", runtimes.collect::<Vec<_>>().join(" ")));
    text.field(1, "Default Runtime", &all["DefaultRuntime"]);
    text.field(1, "Init Binary", &all["InitBinary"]);
    text.field(1, "containerd version", &all["ContainerdCommit"]["ID"]);
    text.field(1, "runc version", &all["RuncCommit"]["ID"]);
    text.field(1, "init version", &all["InitCommit"]["ID"]);
    text.line(1, "Security Options:");
    for option in list(&all["SecurityOptions"]) {
        for part in word(option).split(',') {
            match part.split_once('=') {
                Some(("name", name)) => text.line(2, name),
                Some(("profile", profile)) => text.line(3, &format!("Profile: {profile}")),
                _ => {}
            }
        }
    }
    let memory = Value::from(units::binary_size(all["MemTotal"].as_u64().unwrap_or_default()));
    for (name, value) in [
        ("Kernel Version", &all["KernelVersion"]),
        ("Operating System", &all["OperatingSystem"]),
        ("OSType", &all["OSType"]),
        ("Architecture", &all["Architecture"]),
        ("CPUs", &all["NCPU"]),
        ("Total Memory", &memory),
        ("Name", &all["Name"]),
        ("ID", &all["ID"]),
        ("Docker Root Dir", &all["DockerRootDir"]),
        ("Debug Mode", &all["Debug"]),
        ("Experimental", &all["ExperimentalBuild"]),
    ] {
        text.field(1, name, value);
    }
    text.line(1, "Insecure Registries:");
    list(&all["RegistryConfig"]["InsecureRegistryCIDRs"]).for_each(|network| text.line(2, &word(network)));
    text.below("Registry Mirrors:", &all["RegistryConfig"]["Mirrors"]);
    text.field(1, "Live Restore Enabled", &all["LiveRestoreEnabled"]);
    text.line(0, "");
    text.0
}

/// Lines of text.
struct Text(String);

impl Text {
    fn line(&mut self, indent: usize, line: &str) {
        self.0.push_str(format!("{:indent$}{line}", "").trim_end());
        self.0.push('\n');
    }

    fn field(&mut self, indent: usize, name: &str, value: &Value) {
        self.line(indent, &format!("{name}: {}", word(value)));
    }

    /// A list below its heading; nothing where it is empty.
    fn below(&mut self, heading: &str, all: &Value) {
        for (index, one) in list(all).enumerate() {
            if index == 0 {
                self.line(1, heading);
            }
            self.line(2, &word(one));
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
