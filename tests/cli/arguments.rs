//! Arguments as docker's and podman's parser takes them, for every command: hyphens, empty values, repetitions.

use super::docker::docker;
use super::ps::{IDLE, field, start};
use crate::common::{TestEnv, busybox, eventually, shared_registry};
use std::ffi::OsString;

/// Every command, with the words that name it.
fn commands(command: &clap::Command, path: &[&str], all: &mut Vec<(Vec<String>, clap::Command)>) {
    for below in command.get_subcommands() {
        let path = [path, &[below.get_name()]].concat();
        if below.has_subcommands() {
            commands(below, &path, all);
        } else {
            all.push((path.iter().map(ToString::to_string).collect(), below.clone()));
        }
    }
}

/// Whatever stands behind an option with a value is that value.
#[test]
fn a_value_may_begin_with_a_hyphen_in_every_command() {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let mut all = Vec::new();
    commands(&coracle::cli::whole(), &[], &mut all);
    let (mut options, mut wrong) = (0, Vec::new());
    for (path, command) in all {
        for arg in command.get_arguments() {
            // Each flag can be switched off.
            assert!(!matches!(arg.get_action(), clap::ArgAction::SetTrue), "{path:?} {arg}");
            if arg.is_positional() || !arg.get_action().takes_values() || arg.is_require_equals_set() {
                continue;
            }
            // Flags take theirs after an equals sign only.
            assert!(arg.get_value_parser().type_id() != std::any::TypeId::of::<bool>(), "{path:?} {arg}");
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            for option in [long, short].into_iter().flatten() {
                for value in ["-x", "--rm", "--", "-1"] {
                    options += 1;
                    let parser = command.clone().no_binary_name(true);
                    let refused = match parser.try_get_matches_from([option.as_str(), value]) {
                        Ok(_) => continue,
                        Err(refused) => refused,
                    };
                    let missing = matches!(
                        refused.get(ContextKind::InvalidValue),
                        Some(ContextValue::String(value)) if value.is_empty()
                    );
                    // Its own parser may refuse it, and others may be missing.
                    let taken = match refused.kind() {
                        ErrorKind::ValueValidation | ErrorKind::MissingRequiredArgument => true,
                        ErrorKind::InvalidValue => !missing,
                        _ => false,
                    };
                    if !taken {
                        wrong.push(format!("{} {option} {value}: {}", path.join(" "), refused.kind()));
                    }
                }
            }
        }
    }
    assert!(options > 2000, "{options}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The command line reads it all alike, at once or with the whole tree.
#[test]
fn values_are_read_in_every_form() {
    let read = |words: &[&str]| {
        let words: Vec<OsString> = [&["coracle"], words].concat().into_iter().map(OsString::from).collect();
        coracle::cli::read(&words).map(|cli| format!("{cli:?}")).map_err(|refused| refused.error.to_string())
    };
    for flags in
        [&["start", "--sig-proxy", "-a", "web"][..], &["start", "--sig-proxy=1", "--attach=true", "web"]]
    {
        assert_eq!(read(flags).unwrap(), read(&["start", "-a", "--sig-proxy=true", "web"]).unwrap());
    }
    assert_eq!(
        read(&["pull", "--tls-verify=0", "x"]).unwrap(),
        read(&["pull", "--tls-verify=false", "x"]).unwrap()
    );
    let wanted = read(&["run", "--name=web", "-i", "-t", "--workdir=-x", "--env=A=b", "alpine"]).unwrap();
    for words in [
        &["run", "--name", "web", "-itw-x", "-eA=b", "alpine"][..],
        &["run", "--name", "web", "-itw", "-x", "-e", "A=b", "alpine"],
        &["run", "--name", "other", "--name=web", "-itw=-x", "-e=A=b", "alpine"],
        &["run", "--name=/web", "-it", "-w", "/", "-w", "-x", "-e", "A=b", "--hostname", "", "alpine"],
        &[
            "run",
            "--name",
            "",
            "--name",
            "web",
            "-it=true",
            "--workdir",
            "-x",
            "--env",
            "A=b",
            "--memory=",
            "alpine",
        ],
    ] {
        assert_eq!(read(words).unwrap(), wanted, "{words:?}");
    }
}

#[test]
fn hyphens_reach_what_they_are_meant_for() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let run = env
        .coracle(["run", "--name", "job", "--network=none", "-l", "-x=1", "-e", "-Dx=1", "-e", "a b=c"])
        .args(["--health-cmd", "-f x", "--rootfs"])
        .arg(&rootfs)
        .arg("env")
        .ok();
    let lines = run.lines();
    for line in ["-Dx=1", "a b=c"] {
        assert!(lines.contains(&line.to_owned()), "{line} in {lines:?}");
    }
    assert_eq!(field(&env, "job", "{{index .Config.Labels \"-x\"}}"), "1");
    assert_eq!(env.coracle(["logs", "--since", "-1h", "job"]).ok().stdout, "");
    assert_eq!(env.coracle(["ps", "-aq", "-n", "-1"]).ok().lines().len(), 1);
    env.coracle(["ps", "--filter", "--rm"]).fails(125).says("--rm");
}

/// Scripts write options where a variable of theirs is not set.
#[test]
fn an_empty_value_asks_for_what_is_usual() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let empty = [
        "--name",
        "--hostname",
        "--workdir",
        "--user",
        "--memory",
        "--shm-size",
        "--stop-signal",
        "--umask",
        "--tz",
        "--restart",
        "--log-driver",
        "--pull",
        "--ipc",
        "--health-cmd",
        "--health-interval",
        "--network",
        "--expose",
        "--cidfile",
        "--pidfile",
        "--sdnotify",
        "--cgroups",
        "--userns",
        "--dns",
        "--group-add",
        "--cap-add",
        "--env-file",
        "--platform",
        "--log-opt",
        "--add-host",
        "--publish",
        "--arch",
        "--authfile",
    ];
    let options = empty.iter().flat_map(|option| [*option, ""]);
    let shown = env
        .coracle(["run", "--rm"])
        .args(options)
        .args(["--network", "none", "--rootfs"])
        .arg(&rootfs)
        .args(["sh", "-c", "id -u; pwd"])
        .ok();
    assert_eq!(shown.lines(), ["0", "/"]);
    for number in ["--stop-timeout=", "--cpu-shares=", "--health-retries="] {
        env.coracle(["create", number, "--rootfs"])
            .arg(&rootfs)
            .arg("true")
            .fails(125)
            .says("a whole number");
    }
    assert_eq!(env.coracle(["ps", "-a", "--format", ""]).ok().lines().len(), 1);
    let ps = env.program(crate::common::coracle_binary()).arg("ps");
    ps.env("CORACLE_ROOT", "").env("CORACLE_RUNROOT", "").ok();
}

#[test]
fn users_hosts_and_sizes_are_read_as_docker_reads_them() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let run = |options: &[&str], script: &str| {
        let call = env.coracle(["run", "--rm"]).args(options).arg("--rootfs").arg(&rootfs);
        call.args(["sh", "-c", script]).ok().lines()
    };
    assert_eq!(run(&["--network=none", "-u", "12:"], "id -u"), ["12"]);
    let hosts = run(
        &["--network=none", "--add-host", "a=10.1.1.1", "--add-host", "b;c:10.1.1.2", "--add-host=d:fd00::5"],
        "cat /etc/hosts",
    );
    for line in ["10.1.1.1\ta", "10.1.1.2\tb", "10.1.1.2\tc", "fd00::5\td"] {
        assert!(hosts.iter().any(|host| host == line), "{line} in {hosts:?}");
    }
    // In per cent of the memory, as the kernel counts.
    let size = run(
        &["--network=none", "--tmpfs", "/t:size=1%"],
        "stat -f -c '%S %b' /t; grep MemTotal /proc/meminfo",
    );
    let number = |text: &str| -> u64 { text.parse().unwrap() };
    let (block, blocks) = size[0].split_once(' ').unwrap();
    let memory = number(size[1].split_whitespace().nth(1).unwrap()) * 1024;
    assert!((memory / 101..=memory / 99).contains(&(number(block) * number(blocks))), "{size:?}");
    // Limits of logs are decimal, and shown as they were asked for.
    let name = "log";
    start(&env, name, &["--log-driver", "local", "--log-opt", "max-size=3.099m"], "true");
    assert_eq!(
        field(&env, name, "{{.HostConfig.LogConfig.Size}} {{.HostConfig.LogConfig.Type}}"),
        "3.099MB json-file"
    );
}

#[test]
fn names_may_have_a_slash_in_front() {
    let env = TestEnv::new();
    let id = start(&env, "/web", &[], IDLE);
    assert_eq!(field(&env, "/web", "{{.Id}}"), id);
    for filter in ["name=^/web$", "name=^web$", "name=/web"] {
        assert_eq!(
            env.coracle(["ps", "-q", "--no-trunc", "-f", filter]).ok().lines(),
            [id.as_str()],
            "{filter}"
        );
    }
    for verb in
        [&["exec", "/web", "true"][..], &["logs", "/web"], &["top", "/web"], &["container", "exists", "/web"]]
    {
        env.coracle(verb).ok();
    }
    env.coracle(["rename", "/web", "/box"]).ok();
    assert_eq!(env.coracle(["ps", "--format", "{{.Names}}"]).ok().lines(), ["box"]);
    let events = ["events", "--stream=false", "-f", "container=/box", "--format", "{{.Status}}"];
    assert!(env.coracle(events).ok().lines().contains(&"rename".to_owned()));
    assert_eq!(docker(&env, &["inspect", "-f", "{{.Name}}", "/box"]).ok().text(), "/box");
    env.coracle(["stop", "-t", "0", "/box"]).ok();
    assert_eq!(env.coracle(["rm", "/box"]).ok().text(), "/box");
    for wrong in ["/", "//web", "/a/b"] {
        env.coracle(["create", "--name", wrong, "alpine"]).fails(125).says("not a valid name");
    }
}

#[test]
fn global_options_of_others_are_taken_where_they_are_true() {
    let env = TestEnv::new();
    let socket = format!("unix://{}/podman/podman.sock", env.path().join("run").display());
    for options in [
        &["--remote=false"][..],
        &["--cgroup-manager", "systemd", "--events-backend=file", "--runtime", "/usr/bin/crun"],
        &["--tmpdir", "/tmp/x", "--storage-driver", "overlay", "--conmon", "/x", "--db-backend", "sqlite"],
        &["--context", "default", "--config", "/nowhere", "-D"],
        &["-c", "default", "-l", "fatal", "-H", &socket],
        &["--debug"],
    ] {
        env.coracle(options).args(["ps", "-q"]).ok();
    }
    env.coracle(["--storage-driver", "vfs", "ps"]).ok().says("has no effect");
    env.coracle(["--log-level", "error", "ps", "--cgroup-manager=cgroupfs", "--runtime=runc"]).ok();
    for (options, why) in [
        (["--remote", "ps"], "no service"),
        (["--cgroup-manager=x", "ps"], "no cgroup manager"),
        (["--runtime=kata", "ps"], "is not supported"),
        (["--storage-driver=btrfs", "ps"], "is not supported"),
        (["--context=x", "ps"], "does not exist"),
        (["--host=tcp://10.0.0.1:2375", "ps"], "no service"),
    ] {
        env.coracle(options).fails(125).says(why);
    }
    // What this program prints goes elsewhere; what a container prints does not.
    let rootfs = env.busybox_rootfs();
    let out = env.path().join("out");
    let silent = env
        .coracle(["--out"])
        .arg(&out)
        .args(["create", "--runtime", "runc", "--rootfs"])
        .arg(&rootfs)
        .arg("true");
    assert_eq!(silent.ok().stdout, "");
    let id = std::fs::read_to_string(&out).unwrap();
    assert_eq!(env.coracle(["ps", "-aq", "--no-trunc"]).ok().stdout, id);
    assert_eq!(env.coracle(["--noout", "ps"]).ok().stdout, "");
    let shown = env
        .coracle(["--noout", "run", "--rm", "--network=none", "--rootfs"])
        .arg(&rootfs)
        .args(["echo", "hi"]);
    assert_eq!(shown.ok().stdout, "hi\n");
}

#[test]
fn contexts_networks_and_pods_are_answered_for() {
    let env = TestEnv::new();
    let host = format!("unix://{}/docker.sock", env.path().join("run").display());
    assert_eq!(docker(&env, &["context", "show"]).ok().text(), "default");
    assert_eq!(docker(&env, &["context", "use", "default"]).ok().text(), "default");
    docker(&env, &["context", "use", "other"]).fails(1).says("does not exist");
    let inspected = docker(&env, &["context", "inspect", "-f", "{{.Endpoints.docker.Host}}"]).ok();
    assert_eq!(inspected.text(), host);
    assert_eq!(docker(&env, &["context", "inspect"]).ok().json()[0]["Name"], "default");
    let listed = docker(&env, &["context", "ls"]).ok().lines();
    assert!(listed[1].starts_with("default *") && listed[1].contains(&host), "{listed:?}");
    assert_eq!(docker(&env, &["context", "ls", "--format", "{{.Name}}"]).ok().text(), "default");
    for verb in ["migrate", "renumber"] {
        assert_eq!(env.coracle(["system", verb]).ok().stdout, "");
    }
    env.coracle(["network", "exists", "podman"]).ok();
    env.coracle(["network", "exists", "nosuch"]).fails(1);
    assert_eq!(env.coracle(["network", "ls", "-q"]).ok().lines(), ["podman"]);
    assert_eq!(env.coracle(["network", "ls", "-q", "--filter", "name=^x$"]).ok().stdout, "");
    assert_eq!(env.coracle(["network", "ls", "--format", "json"]).ok().json()[0]["name"], "podman");
    let names = docker(&env, &["network", "ls", "--format", "{{.Name}}"]).ok();
    assert_eq!(names.lines(), ["bridge", "host", "none"]);
    env.coracle(["pod", "exists", "web"]).fails(1);
    assert!(env.coracle(["pod", "ps"]).ok().stdout.starts_with("POD ID"));
    assert_eq!(env.coracle(["pod", "ls", "-q"]).ok().stdout, "");
    assert_eq!(env.coracle(["pod", "ls", "--format", "json"]).ok().json(), serde_json::json!([]));
    env.coracle(["pod", "clone", "web"]).fails(125).says("is not supported: make another one");
    docker(&env, &["pod", "ps"]).fails(1).says("unknown command: docker pod");
}

#[test]
fn docker_has_options_of_its_own() {
    let env = TestEnv::new();
    start(&env, "job", &["--expose", "53/udp"], "printf 'a\\nb\\nc\\n'");
    env.coracle(["wait", "job"]).ok();
    assert_eq!(docker(&env, &["logs", "-n", "1", "job"]).ok().stdout, "c\n");
    assert_eq!(docker(&env, &["logs", "--until", "1h", "job"]).ok().stdout, "", "an hour ago");
    // A missing source is made, as docker makes it; with --mount and podman's it is a mistake.
    let rootfs = env.busybox_rootfs();
    let (rootfs, made) = (rootfs.to_str().unwrap(), env.path().join("made/here"));
    let volume = format!("{}:/data", made.display());
    let bind = format!("type=bind,source={},target=/data", made.display());
    let run = ["--network", "none", "--rootfs", rootfs, "ls", "-d", "/data"];
    docker(&env, &["run", "--rm", "--mount", &bind]).args(run).fails(125).says("made/here");
    env.coracle(["run", "--rm", "-v", &volume]).args(run).fails(125).says("made/here");
    assert!(!made.exists());
    docker(&env, &["run", "--rm", "-v", &volume]).args(run).ok();
    assert!(made.is_dir());
    // An id file may exist for podman.
    let file = env.file("cid", "old");
    let create = ["create", "--cidfile", file.to_str().unwrap(), "--rootfs", rootfs, "true"];
    docker(&env, &create).fails(1).says("exists already");
    let id = env.coracle(create).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), id.text());
    // Called as docker it stays.
    let other = env.path().join("other");
    let create = ["create", "--cidfile", other.to_str().unwrap(), "--rootfs", rootfs, "true"];
    let id = docker(&env, &create).ok();
    docker(&env, &["rm", id.text()]).ok();
    assert!(other.exists());
}

#[test]
fn containers_are_found_by_their_ports() {
    let env = TestEnv::new();
    busybox().push(shared_registry(), "args/ports", "1");
    let name = shared_registry().reference("args/ports", "1");
    env.coracle(["create", "-q", "--name", "web", "-p", "127.0.0.1:18080:80", "--expose", "53/udp", &name])
        .ok();
    env.coracle(["create", "-q", "--name", "plain", &name]).ok();
    let names = |filters: &[&str]| {
        let filters = filters.iter().flat_map(|filter| ["--filter", *filter]);
        env.coracle(["ps", "-a", "--format", "{{.Names}}"]).args(filters).ok().lines()
    };
    for found in [
        &["publish=18080"][..],
        &["publish=18000-18100/tcp"],
        &["expose=80"],
        &["expose=53/udp"],
        &["publish=1", "expose=80"],
    ] {
        assert_eq!(names(found), ["web"], "{found:?}");
    }
    for none in ["publish=80", "publish=18080/udp", "expose=53", "expose=18080"] {
        assert_eq!(names(&[none]), [""; 0], "{none}");
    }
    env.coracle(["ps", "--filter", "publish=x"]).fails(125).says("not a port");
}

#[test]
fn options_of_podman_and_docker_have_their_effect() {
    let env = TestEnv::new();
    let rootfs = env.busybox_rootfs();
    let run = |options: &[&str], command: &[&str]| {
        env.coracle(["run", "--rm"]).args(options).arg("--rootfs").arg(&rootfs).args(command)
    };
    let shown = |options: &[&str], command: &[&str]| run(options, command).ok().text().to_owned();
    let domain = ["--network=none", "--domainname", "corp.example"];
    assert_eq!(shown(&domain, &["cat", "/proc/sys/kernel/domainname"]), "corp.example");
    run(&["--uts=host", "--domainname", "x"], &["true"]).fails(125).says("--domainname");
    let mac = ["--mac-address", "02-42-AC-11-00-02"];
    assert_eq!(shown(&mac, &["cat", "/sys/class/net/tap0/address"]), "02:42:ac:11:00:02");
    run(&["--network=host", "--mac-address", "02:42:ac:11:00:02"], &["true"])
        .fails(125)
        .says("--mac-address can only be set when the network mode is bridge: invalid argument");
    run(&["--mac-address", "01:00:5e:00:00:01"], &["true"]).fails(125).says("hardware address");
    assert_eq!(shown(&["--network=none", "--userns=private"], &["id", "-u"]), "0");
    let mount = format!("{}:/data:ro", env.path().display());
    let twice = ["--network=none", "-v", &mount, "-v", &mount];
    assert_eq!(shown(&twice, &["ls", "-d", "/data"]), "/data");
    let other = format!("{}:/data", env.path().display());
    run(&["-v", &mount, "-v", &other], &["true"]).fails(125).says("/data");
    let words = format!("type=bind,src={},dst=/data,noexec,rslave,ro", env.path().display());
    let options = shown(&["--network=none", "--mount", &words], &["grep", " /data ", "/proc/mounts"]);
    assert!(options.contains("ro,") && options.contains("noexec"), "{options}");
    // The last of several single values counts.
    let last = ["--network", "none", "--hostname", "a", "--hostname=b", "--pid=host", "--pid="];
    assert_eq!(shown(&last, &["sh", "-c", "hostname; echo $$; ls /sys/class/net"]), "b\n1\nlo");
}

#[test]
fn ids_are_kept_in_a_map_of_a_size() {
    let env = TestEnv::with_images();
    let script = "id -u; awk '{ sum += $3 } END { print sum }' /proc/self/uid_map";
    let run = |mode: &str| {
        env.coracle(["run", "--rm", "--network=none", "--userns", mode, "busybox", "sh", "-c", script])
            .ok()
            .lines()
    };
    assert_eq!(run("keep-id:uid=7,gid=7,size=100"), ["7", "100"]);
    env.coracle(["run", "--userns", "keep-id:size=0", "busybox"]).fails(125).says("size=0");
}

/// The image goes with a container in the background too, unless it has another name.
#[test]
fn an_image_goes_with_its_container() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "args/rmi");
    env.coracle(["tag", &name, "kept:1"]).ok();
    let run = |image: &str| env.coracle(["run", "-d", "--rmi", "--network=none", image, "true"]).ok();
    let gone = |image: &str| env.coracle(["image", "exists", image]).run().code == 1;
    run(&name);
    eventually("the name is gone", || gone(&name));
    env.coracle(["image", "exists", "kept:1"]).ok();
    run("kept:1");
    eventually("the image is gone", || gone("kept:1"));
    assert!(env.containers().is_empty());
}

#[test]
fn who_loses_a_race_for_a_name_leaves_the_winners_id_file() {
    let env = TestEnv::with_images();
    let create = || {
        let options = ["create", "--name=c", "--cidfile=cid", "--network=none", "busybox", "true"];
        env.coracle(options).start()
    };
    for _ in 0..8 {
        let (one, other) = (create(), create());
        let (one, other) = (one.wait(), other.wait());
        let won = if one.code == 0 { &one } else { &other };
        assert_eq!((won.code, one.code.max(other.code)), (0, 125), "{one}{other}");
        let written = std::fs::read_to_string(env.path().join("cid")).unwrap();
        assert_eq!(written, won.text());
        env.coracle(["rm", "c"]).ok();
        assert!(!env.path().join("cid").exists());
    }
    // What the file of somebody else says stays until there is a container.
    env.file("cid", "mine");
    env.coracle(["create", "--cidfile=cid", "--network=none", "--user=x:y:z", "busybox"]).fails(125);
    env.coracle(["create", "--name=taken", "--network=none", "busybox"]).ok();
    env.coracle(["create", "--name=taken", "--cidfile=cid", "--network=none", "busybox"]).fails(125);
    assert_eq!(std::fs::read_to_string(env.path().join("cid")).unwrap(), "mine");
    // Nobody reads here.
    nix::unistd::mkfifo(&env.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    env.coracle(["create", "--cidfile=pipe", "--network=none", "busybox"]).fails(125).says("pipe");
    let left: Vec<_> = std::fs::read_dir(env.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".cid")), "{left:?}");
    env.coracle(["rm", "taken"]).ok();
}
