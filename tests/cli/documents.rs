//! The documents of podman and docker, key by key: what they show always, what they leave out, and what a template
//! sees of it.

use super::docker::docker;
use super::ps::{IDLE, field, start};
use crate::common::{Call, TestEnv, busybox, coracle_binary, shared_registry};
use serde_json::{Value, json};

/// This call under podman's name.
fn podman(env: &TestEnv, args: &[&str]) -> Call {
    let link = env.path().join("podman");
    if !link.exists() {
        std::os::unix::fs::symlink(coracle_binary(), &link).unwrap();
    }
    let (root, run) = (env.root(), env.runroot());
    env.program(&link).arg("--root").arg(root).arg("--runroot").arg(run).args(args)
}

/// The names of a document's fields, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Words, sorted.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    words.sort_unstable();
    words
}

/// Checks that templates see fields that JSON leaves out, with these texts.
#[track_caller]
fn unset(call: impl Fn(&str) -> Call, shown: &Value, fields: &[(&str, &str)]) {
    let template: Vec<String> = fields.iter().map(|(path, _)| format!("{{{{.{path}}}}}")).collect();
    let seen = call(&template.join("|")).ok();
    let seen: Vec<&str> = seen.text().split('|').collect();
    for ((path, zero), seen) in fields.iter().zip(seen) {
        assert_eq!(seen, *zero, "{path}");
        let pointer = format!("/{}", path.replace('.', "/"));
        assert!(shown.pointer(&pointer).is_none(), "{path} is shown: {shown}");
    }
}

/// A busybox image of this test's own store, as `docker.io/library/busybox:latest`.
fn busybox_image(env: &TestEnv, repository: &str) {
    busybox().push(shared_registry(), repository, "1");
    let name = shared_registry().reference(repository, "1");
    env.coracle(["pull", "-q", &name]).ok();
    env.coracle(["tag", &name, "docker.io/library/busybox:latest"]).ok();
    env.coracle(["untag", &name, &name]).ok();
}

/// A container of an image, without anything that need not be.
fn plain(env: &TestEnv) {
    env.coracle(["create", "--name", "web", "--network", "none", "busybox", "sleep", "9"]).ok();
}

/// Keys of podman 5, those of 4.3.1 included.
#[test]
fn a_container_has_podmans_fields() {
    let env = TestEnv::with_images();
    plain(&env);
    let inspect = |template: &str| podman(&env, &["inspect", "-f", template, "web"]);
    let shown = podman(&env, &["inspect", "web"]).ok().json()[0].take();
    let own = ["LogPath"];
    let all = "Id Created Path Args State Image ImageDigest ImageName Rootfs Pod ResolvConfPath HostnamePath \
               HostsPath StaticDir OCIRuntime ConmonPidFile PidFile Name RestartCount Driver MountLabel \
               ProcessLabel AppArmorProfile EffectiveCaps BoundingCaps ExecIDs GraphDriver Mounts Dependencies \
               NetworkSettings Namespace IsInfra IsService KubeExitCodePropagation lockNumber Config HostConfig \
               UseImageHosts UseImageHostname";
    let found: Vec<&str> = keys(&shown).into_iter().filter(|key| !own.contains(key)).collect();
    assert_eq!(found, words(all));
    assert_eq!(
        keys(&shown["State"]),
        words(
            "OciVersion Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt \
             CheckpointedAt RestoredAt"
        )
    );
    assert_eq!(
        keys(&shown["Config"]),
        words(
            "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image \
             Volumes WorkingDir Entrypoint OnBuild Labels Annotations StopSignal HealthcheckOnFailureAction \
             CreateCommand Umask Timeout StopTimeout Passwd sdNotifyMode"
        )
    );
    assert_eq!(
        keys(&shown["HostConfig"]),
        words(
            "Binds CgroupManager CgroupMode ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy \
             AutoRemove AutoRemoveImage Annotations VolumeDriver VolumesFrom CapAdd CapDrop Dns DnsOptions DnsSearch \
             ExtraHosts HostsFile GroupAdd IpcMode Cgroup Cgroups Links OomScoreAdj PidMode Privileged \
             PublishAllPorts ReadonlyRootfs SecurityOpt Tmpfs UTSMode UsernsMode ShmSize Runtime ConsoleSize \
             Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps \
             BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod \
             CpuRealtimeRuntime CpusetCpus CpusetMems Devices DiskQuota KernelMemory MemoryReservation MemorySwap \
             MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps \
             IOMaximumBandwidth CgroupConf Sysctls"
        )
    );
    let addresses = "EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen \
                     MacAddress";
    let more =
        "Bridge SandboxID HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen Ports SandboxKey Networks";
    assert_eq!(keys(&shown["NetworkSettings"]), words(&format!("{addresses} {more}")));
    let network = format!("{addresses} NetworkID DriverOpts IPAMConfig Links");
    assert_eq!(keys(&shown["NetworkSettings"]["Networks"]["none"]), words(&network));
    let zeros = [
        ("SizeRw", "<nil>"),
        ("SizeRootFs", "0"),
        ("OCIConfigPath", ""),
        ("State.ConmonPid", "0"),
        ("State.Health.Status", ""),
        ("State.Healthcheck.Status", ""),
        ("State.Checkpointed", "false"),
        ("State.CheckpointLog", ""),
        ("State.CgroupPath", ""),
        ("State.Restored", "false"),
        ("State.StoppedByUser", "false"),
        ("Config.Healthcheck", "<nil>"),
        ("Config.StartupHealthCheck", "<nil>"),
        ("Config.HealthLogDestination", ""),
        ("Config.HealthcheckMaxLogCount", "0"),
        ("Config.Timezone", ""),
        ("Config.SystemdMode", "false"),
        ("Config.Secrets", "[]"),
        ("Config.ChrootDirs", "[]"),
        ("Config.sdNotifySocket", ""),
        ("Config.ExposedPorts", "map[]"),
        ("HostConfig.IDMappings", "<nil>"),
        ("HostConfig.Init", "false"),
        ("HostConfig.IntelRdtClosID", ""),
        ("NetworkSettings.SecondaryIPAddresses", "[]"),
        ("NetworkSettings.Networks.none.Aliases", "[]"),
    ];
    unset(inspect, &shown, &zeros);
    let values = "{{.HostConfig.RestartPolicy.Name}}|{{.HostConfig.IpcMode}}|{{.HostConfig.PidMode}}|\
                  {{.HostConfig.VolumesFrom}}|{{.HostConfig.Runtime}}|{{json .Config.Entrypoint}}|{{.State.Status}}";
    assert_eq!(inspect(values).ok().text(), "|shareable|private|[]|oci|null|created");
    // Go's own texts of times, and JSON's.
    let times = inspect("{{.Created}}|{{json .Created}}|{{.State.StartedAt}}").ok();
    let times: Vec<&str> = times.text().split('|').collect();
    assert!(times[0].ends_with(" +0000 UTC") && times[1].ends_with("Z\""), "{times:?}");
    assert_eq!(times[2], "0001-01-01 00:00:00 +0000 UTC");
}

/// Keys of Docker Engine 26, as its own client was answered.
#[test]
fn a_container_has_dockers_fields() {
    let env = TestEnv::with_images();
    plain(&env);
    let inspect = |template: &str| docker(&env, &["inspect", "-f", template, "web"]);
    let shown = docker(&env, &["inspect", "web"]).ok().json()[0].take();
    assert_eq!(
        keys(&shown),
        words(
            "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver \
             Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config \
             NetworkSettings"
        )
    );
    assert_eq!(
        keys(&shown["State"]),
        words("Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt")
    );
    assert_eq!(
        keys(&shown["Config"]),
        words(
            "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image \
             Volumes WorkingDir Entrypoint OnBuild Labels"
        )
    );
    assert_eq!(
        keys(&shown["HostConfig"]),
        words(
            "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver \
             VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode \
             Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode \
             UsernsMode ShmSize Runtime Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight \
             BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps \
             CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices \
             DeviceCgroupRules DeviceRequests MemoryReservation MemorySwap MemorySwappiness OomKillDisable \
             PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths \
             Sysctls"
        )
    );
    let addresses = "EndpointID Gateway IPAddress IPPrefixLen IPv6Gateway GlobalIPv6Address GlobalIPv6PrefixLen \
                     MacAddress";
    let more = "Bridge SandboxID HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen Ports SandboxKey Networks \
                SecondaryIPAddresses SecondaryIPv6Addresses";
    assert_eq!(keys(&shown["NetworkSettings"]), words(&format!("{addresses} {more}")));
    let network = format!("{addresses} NetworkID DriverOpts IPAMConfig Links Aliases DNSNames");
    assert_eq!(keys(&shown["NetworkSettings"]["Networks"]["none"]), words(&network));
    let zeros = [
        ("SizeRw", "<nil>"),
        ("State.Health", "<nil>"),
        ("Config.Healthcheck", "<nil>"),
        ("Config.ExposedPorts", "map[]"),
        ("Config.StopSignal", ""),
        ("Config.StopTimeout", "<nil>"),
        ("Config.Shell", "[]"),
        ("HostConfig.Init", "<nil>"),
        ("HostConfig.Tmpfs", "map[]"),
        ("HostConfig.StorageOpt", "map[]"),
    ];
    unset(inspect, &shown, &zeros);
    let values = "{{.HostConfig.RestartPolicy.Name}}|{{.HostConfig.PidMode}}|{{.HostConfig.CapAdd}}|\
                  {{.Config.Image}}|{{.State.StartedAt}}";
    assert_eq!(inspect(values).ok().text(), "no||[]|busybox|0001-01-01T00:00:00Z");
}

#[test]
fn images_have_the_fields_of_both() {
    let env = TestEnv::new();
    busybox_image(&env, "documents/image");
    let shown = podman(&env, &["image", "inspect", "busybox"]).ok().json()[0].take();
    assert_eq!(
        keys(&shown),
        words(
            "Id Digest RepoTags RepoDigests Parent Comment Created Config Version Author Architecture Os Size \
             VirtualSize GraphDriver RootFS Labels Annotations ManifestType User History NamesHistory"
        )
    );
    let inspect = |template: &str| podman(&env, &["image", "inspect", "-f", template, "busybox"]);
    let zeros = [
        ("Healthcheck", "<nil>"),
        ("HealthCheck", "<nil>"),
        ("Config.User", ""),
        ("Config.ExposedPorts", "map[]"),
        ("Config.Entrypoint", "[]"),
        ("Config.Volumes", "map[]"),
        ("Config.WorkingDir", ""),
        ("Config.StopSignal", ""),
        ("Config.Healthcheck", "<nil>"),
        ("Config.Shell", "[]"),
    ];
    unset(inspect, &shown, &zeros);
    let listed = podman(&env, &["images", "--format", "{{json .}}"]).ok().json()[0].take();
    for absent in ["Dangling", "ReadOnly"] {
        assert!(listed.get(absent).is_none(), "{listed}");
    }
    let shown = docker(&env, &["image", "inspect", "busybox"]).ok().json()[0].take();
    assert_eq!(
        keys(&shown),
        words(
            "Id RepoTags RepoDigests Parent Comment Created DockerVersion Author Config Architecture Os Size \
             GraphDriver RootFS Metadata"
        )
    );
    assert_eq!(
        keys(&shown["Config"]),
        words(
            "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image \
             Volumes WorkingDir Entrypoint OnBuild Labels"
        )
    );
    // Names that it has, the latest first, then those that it had.
    for name in ["one", "two"] {
        env.coracle(["tag", "busybox", name]).ok();
    }
    env.coracle(["untag", "busybox", "two"]).ok();
    let history = env.coracle(["images", "-f", "reference=one", "--format", "{{.History}}"]).ok();
    let names: Vec<&str> = history.text().split(", ").collect();
    assert_eq!(
        names[..3],
        ["localhost/one:latest", "docker.io/library/busybox:latest", "localhost/two:latest"]
    );
}

#[test]
fn info_has_the_fields_of_both() {
    let env = TestEnv::new();
    let shown = podman(&env, &["info", "-f", "json"]).ok().json();
    assert_eq!(
        keys(&shown["host"]),
        words(
            "arch buildahVersion cgroupManager cgroupVersion cgroupControllers conmon cpus cpuUtilization \
             databaseBackend distribution eventLogger hostname idMappings kernel logDriver memFree memTotal \
             networkBackend networkBackendInfo ociRuntime os remoteSocket rootlessNetworkCmd serviceIsRemote security \
             slirp4netns pasta swapFree swapTotal uptime variant linkmode"
        )
    );
    assert_eq!(
        keys(&shown["store"]),
        words(
            "configFile containerStore graphDriverName graphOptions graphRoot graphRootAllocated graphRootUsed \
             graphStatus imageCopyTmpDir imageStore runRoot volumePath transientStore additionalImageStores"
        )
    );
    assert_eq!(
        keys(&shown["version"]),
        words("APIVersion Version GoVersion GitCommit BuiltTime Built OsArch Os")
    );
    let booted = std::path::Path::new("/run/systemd/system").exists();
    let manager = if booted && shown["host"]["cgroupVersion"] == "v2" { "systemd" } else { "cgroupfs" };
    let inspect = |template: &str| podman(&env, &["info", "-f", template]);
    unset(
        inspect,
        &shown,
        &[("host.freeLocks", "<nil>"), ("host.distribution.variant", ""), ("host.runtimeInfo", "map[]")],
    );
    let values =
        inspect("{{.Host.CgroupManager}}|{{.Host.BuildahVersion}}|{{.Version.Version}}|{{.Host.Uptime}}")
            .ok();
    let own = env!("CARGO_PKG_VERSION");
    assert!(values.text().starts_with(&format!("{manager}|{own}|5.4.2|")), "{values}");
    assert!(values.text().ends_with(" days)"), "{values}");

    let line = docker(&env, &["info", "-f", "{{json .}}"]).ok();
    let shown: Value = serde_json::from_str(line.text()).unwrap();
    assert_eq!(
        keys(&shown),
        words(
            "ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus \
             Plugins MemoryLimit SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit \
             IPv4Forwarding BridgeNfIptables BridgeNfIp6tables Debug NFd OomKillDisable NGoroutines SystemTime \
             LoggingDriver CgroupDriver CgroupVersion NEventsListener KernelVersion OperatingSystem OSVersion OSType \
             Architecture IndexServerAddress RegistryConfig NCPU MemTotal GenericResources DockerRootDir HttpProxy \
             HttpsProxy NoProxy Name Labels ExperimentalBuild ServerVersion Runtimes DefaultRuntime Swarm \
             LiveRestoreEnabled Isolation InitBinary ContainerdCommit RuncCommit InitCommit SecurityOptions \
             CDISpecDirs Warnings ClientInfo"
        )
    );
    let template = "{{.CgroupDriver}}|{{.DefaultRuntime}}|{{.Swarm.LocalNodeState}}|{{.Labels}}|{{.Warnings}}|\
                    {{.ClientInfo.Version}}|{{.RegistryConfig.IndexConfigs}}|{{len .Runtimes}}|{{len .ID}}";
    let values = docker(&env, &["info", "-f", template]).ok();
    assert!(
        values.text().starts_with(&format!("{manager}|runc|inactive|[]|[]|27.5.1|map[docker.io:")),
        "{values}"
    );
    assert!(values.text().ends_with("|2|36"), "{values}");
    let text = docker(&env, &["info"]).ok().stdout;
    for part in [
        "Client:\n Version:    27.5.1\n",
        "\nServer:\n Containers: 0\n  Running: 0\n",
        "\n Storage Driver: overlay\n",
        &format!("\n Cgroup Driver: {manager}\n"),
        "\n Plugins:\n  Volume: local\n",
        "\n Swarm: inactive\n Runtimes: io.containerd.runc.v2 runc\n Default Runtime: runc\n",
        "\n Security Options:\n  seccomp\n   Profile: builtin\n",
        "\n Experimental: false\n Insecure Registries:\n Live Restore Enabled: true\n",
    ] {
        assert!(text.contains(part), "{part:?}: {text}");
    }
    // As docker, only where there are any.
    assert!(!text.contains("Registry Mirrors:"), "{text}");
    let conf = env.path().join("registries.conf");
    std::fs::write(
        &conf,
        "[[registry]]\nlocation='docker.io'\n[[registry.mirror]]\nlocation='mirror.example'\n",
    )
    .unwrap();
    let text = docker(&env, &["info"]).env("CONTAINERS_REGISTRIES_CONF", &conf).ok().stdout;
    assert!(text.contains("\n Registry Mirrors:\n  https://mirror.example/\n"), "{text}");
}

#[test]
fn versions_are_those_of_the_name() {
    let env = TestEnv::new();
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(podman(&env, &["--version"]).ok().text(), "podman version 5.4.2");
    assert_eq!(env.program(env.path().join("podman")).arg("-v").ok().text(), "podman version 5.4.2");
    assert_eq!(env.coracle(["--version"]).ok().text(), format!("coracle version {own}"));
    let version = docker(&env, &["-v"]).ok();
    assert_eq!(version.text(), format!("Docker version 27.5.1, build coracle-{own}"));
    let template = "{{.Client.Version}} {{.Server.Version}} {{.Version}} {{.Client.APIVersion}}";
    assert_eq!(podman(&env, &["version", "-f", template]).ok().text(), "5.4.2 5.4.2 5.4.2 5.4.2");
    assert_eq!(podman(&env, &["version", "-f", "json"]).ok().json()["Client"]["Version"], "5.4.2");
    let text = podman(&env, &["version"]).ok().stdout;
    assert!(
        text.starts_with("Client:        Podman Engine\nVersion:       5.4.2\nAPI Version:   5.4.2\n"),
        "{text}"
    );
    let line = docker(&env, &["version", "-f", "{{json .}}"]).ok();
    let shown: Value = serde_json::from_str(line.text()).unwrap();
    assert_eq!(shown["Client"]["ApiVersion"], "1.47");
    assert_eq!(
        (&shown["Server"]["ApiVersion"], &shown["Server"]["MinAPIVersion"]),
        (&json!("1.47"), &json!("1.24"))
    );
    assert_eq!(shown["Server"]["Components"][0]["Details"]["ApiVersion"], "1.47");
    let text = docker(&env, &["version"]).ok().stdout;
    assert!(text.starts_with("Client:\n Version:           27.5.1\n API version:       1.47\n"), "{text}");
    assert!(text.contains("\nServer:\n Engine:\n  Version:          27.5.1\n"), "{text}");
    assert!(text.contains("\n  API version:      1.47 (minimum version 1.24)\n"), "{text}");
}

#[test]
fn labels_are_pairs_and_still_an_object() {
    let env = TestEnv::new();
    start(&env, "web", &["-l", "c=d", "-l", "a=b"], "exit 0");
    start(&env, "bare", &[], "exit 0");
    let template = "{{.Labels}}|{{json .Labels}}|{{.Label \"c\"}}";
    for program in [podman, docker] {
        let ps = |args: &[&str]| program(&env, &["ps", "-a", "--format", template]).args(args).ok();
        assert_eq!(ps(&["-f", "name=web"]).text(), "a=b,c=d|\"a=b,c=d\"|d");
        assert_eq!(ps(&["-f", "name=bare"]).text(), "|\"\"|");
    }
    let index = "{{index .Labels \"a\"}} {{.Labels.c}}";
    assert_eq!(podman(&env, &["ps", "-a", "-f", "name=web", "--format", index]).ok().text(), "b d");
    let lists = podman(&env, &["ps", "-a", "--format", "{{json .}}"]).ok().json();
    assert_eq!((&lists[0]["Labels"], &lists[1]["Labels"]), (&json!({"a": "b", "c": "d"}), &Value::Null));
    assert_eq!((&lists[0]["Ports"], &lists[0]["Restarts"]), (&Value::Null, &json!(0)));
    env.coracle(["volume", "create", "--label", "c=d", "--label", "a=b", "data"]).ok();
    for program in [podman, docker] {
        let ls = program(&env, &["volume", "ls", "--format", "{{.Labels}}|{{json .Labels}}"]).ok();
        assert_eq!(ls.text(), "a=b,c=d|\"a=b,c=d\"");
    }
    assert_eq!(podman(&env, &["volume", "ls", "--format", "json"]).ok().json()[0]["Labels"]["a"], "b");
    let line = docker(&env, &["volume", "ls", "--format", "json"]).ok();
    let volume: Value = serde_json::from_str(line.text()).unwrap();
    assert_eq!(
        keys(&volume),
        words("Availability Driver Group Labels Links Mountpoint Name Scope Size Status")
    );
    let shown = docker(&env, &["volume", "inspect", "data"]).ok().json()[0].take();
    assert_eq!(keys(&shown), words("CreatedAt Driver Labels Mountpoint Name Options Scope"));
    assert_eq!(shown["Options"], Value::Null);
    // Secrets are the list that podman's template shows row by row.
    env.coracle(["secret", "create", "key", "-"]).stdin("value").ok();
    let line = podman(&env, &["secret", "ls", "--format", "{{json .}}"]).ok();
    assert_eq!(serde_json::from_str::<Value>(line.text()).unwrap()["Name"], "key");
    assert!(podman(&env, &["system", "df", "--format", "{{json .}}"]).ok().json().is_array());
}

#[test]
fn docker_prints_whole_ids_and_little_else() {
    let env = TestEnv::new();
    busybox_image(&env, "documents/ids");
    env.coracle(["run", "-d", "--name", "web", "--network", "none", "busybox", "sleep", "1000"]).ok();
    assert_eq!(docker(&env, &["exec", "-d", "web", "true"]).ok().stdout, "");
    assert_eq!(podman(&env, &["exec", "-d", "web", "true"]).ok().text().len(), 64);
    let id = docker(&env, &["commit", "web", "docker.io/library/saved:1"]).ok().text().to_owned();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(podman(&env, &["commit", "-q", "web", "other"]).ok().text().len(), 64);
    let removed = docker(&env, &["rmi", "saved:1"]).ok().lines();
    assert_eq!(removed, ["Untagged: saved:1".to_owned(), format!("Deleted: {id}")]);
    let removed = podman(&env, &["rmi", "other"]).ok().lines();
    assert!(removed[1].len() == "Deleted: ".len() + 64, "{removed:?}");
    let line = docker(&env, &["ps", "--format", "{{.Command}}|{{.Image}}|{{.CreatedAt}}"]).ok();
    let fields: Vec<&str> = line.text().split('|').collect();
    assert_eq!(fields[..2], ["\"sleep 1000\"", "busybox"]);
    assert!(fields[2].ends_with(" +0000 UTC"), "{fields:?}");
    // A row for each of docker's kinds, in text.
    let lines = docker(&env, &["system", "df", "--format", "json"]).ok().lines();
    let rows: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&Value> = rows.iter().map(|row| &row["Type"]).collect();
    assert_eq!(kinds, ["Images", "Containers", "Local Volumes", "Build Cache"]);
    assert_eq!(keys(&rows[0]), words("Active Reclaimable Size TotalCount Type"));
    assert_eq!((&rows[1]["TotalCount"], &rows[3]["Reclaimable"]), (&json!("1"), &json!("0B")));
    let details = docker(&env, &["system", "df", "-v"]).ok().stdout;
    assert!(details.contains("Build cache usage: 0B") && details.contains(" ago"), "{details}");
    assert!(!podman(&env, &["system", "df", "-v"]).ok().stdout.contains(" ago"));
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
}

#[test]
fn docker_lists_a_command_with_its_entry_point() {
    let env = TestEnv::with_images();
    let run =
        ["run", "-d", "--name", "web", "--network", "none", "--entrypoint", "/bin/sh", "--expose", "80"];
    env.coracle(run).args(["--health-cmd", "sleep 9", "busybox", "-c", "sleep 1000"]).ok();
    let shown = |program: fn(&TestEnv, &[&str]) -> Call, template: &str| {
        program(&env, &["ps", "--no-trunc", "--format", template]).ok().text().to_owned()
    };
    assert_eq!(shown(docker, "{{.Command}}"), "\"/bin/sh -c 'sleep 1000'\"");
    assert_eq!(shown(podman, "{{.Command}}"), "-c sleep 1000");
    assert!(shown(docker, "{{.Status}}").ends_with("(health: starting)"));
    assert!(shown(podman, "{{.Status}}").ends_with("(starting)"));
    assert_eq!(shown(docker, "{{.Ports}}"), "80/tcp");
    assert!(docker(&env, &["ps"]).ok().stdout.contains("\"/bin/sh -c 'sleep 1…\""));
    let check = "{{.Config.Healthcheck.Interval}} {{json .Config.Healthcheck.Interval}}";
    assert_eq!(field(&env, "web", check), "30s 30000000000");
    assert_eq!(field(&env, "web", "{{json .Config.ExposedPorts}}"), r#"{"80/tcp":{}}"#);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
}

#[test]
fn binds_are_written_as_the_dialect_does() {
    let env = TestEnv::with_images();
    let create =
        ["create", "--name", "web", "-v", "data:/data", "-v", "/tmp:/host:ro", "-v", "/own", "busybox"];
    env.coracle(create).ok();
    let shown = docker(&env, &["inspect", "-f", "{{json .HostConfig.Binds}}", "web"]).ok();
    assert_eq!(shown.text(), r#"["data:/data","/tmp:/host:ro"]"#);
    let binds = field(&env, "web", "{{range .HostConfig.Binds}}{{.}} {{end}}");
    assert!(binds.contains("data:/data:rw,rprivate,nosuid,nodev,rbind "), "{binds}");
    let kinds = "{{range .Mounts}}{{.Type}} {{.Name}}|{{end}}";
    let kinds = docker(&env, &["inspect", "-f", kinds, "web"]).ok();
    assert!(kinds.text().contains("volume data|") && kinds.text().contains("bind |"), "{kinds}");
}

#[test]
fn published_ports_are_exposed() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name", "web", "-p", "8080:80", "-p", "53:53/udp", "busybox"]).ok();
    assert_eq!(field(&env, "web", "{{json .Config.ExposedPorts}}"), r#"{"80/tcp":{},"53/udp":{}}"#);
    env.coracle(["create", "--name", "bare", "--expose", "90", "busybox"]).ok();
    let ports = "{{.NetworkSettings.Ports}} {{json .NetworkSettings.Ports}}";
    assert_eq!(field(&env, "bare", ports), r#"map[90/tcp:[]] {"90/tcp":null}"#);
    // What stands for every address.
    let bindings = "{{json (index .HostConfig.PortBindings \"80/tcp\")}}";
    let shown = |program: fn(&TestEnv, &[&str]) -> Call| {
        program(&env, &["inspect", "-f", bindings, "web"]).ok().text().to_owned()
    };
    assert_eq!(shown(podman), r#"[{"HostIp":"0.0.0.0","HostPort":"8080"}]"#);
    assert_eq!(shown(docker), r#"[{"HostIp":"","HostPort":"8080"}]"#);
    let ports = docker(&env, &["ps", "-a", "-f", "name=web", "--format", "{{.Ports}}"]).ok();
    assert!(ports.text().contains("0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"), "{ports}");
}

#[test]
fn a_container_that_is_being_stopped_says_so() {
    let env = TestEnv::new();
    start(&env, "web", &[], "trap '' TERM; while :; do sleep 0.05; done");
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.StoppedByUser}}"), "running false");
    let stop = env.coracle(["stop", "-t", "30", "web"]).start();
    crate::common::eventually("it is being stopped", || {
        field(&env, "web", "{{.State.Status}} {{.State.StoppedByUser}}") == "stopping true"
    });
    assert_eq!(docker(&env, &["inspect", "-f", "{{.State.Status}}", "web"]).ok().text(), "running");
    let listed = ["ps", "--format", "{{.State}} {{.Status}}"];
    assert_eq!(podman(&env, &listed).ok().text(), "stopping Stopping");
    assert!(docker(&env, &listed).ok().text().starts_with("running Up "));
    env.coracle(["kill", "-s", "KILL", "web"]).ok();
    stop.wait();
    assert_eq!(field(&env, "web", "{{.State.Status}} {{.State.StoppedByUser}}"), "exited true");
    start(&env, "job", &[], IDLE);
    env.coracle(["stop", "job"]).ok();
    assert_eq!(field(&env, "job", "{{json .State.StoppedByUser}}"), "true");
}
