//! `run` with namespaces of others: another container's, or given by path.

use crate::common::{Call, Output, TestEnv, eventually};

/// A container in the background.
#[track_caller]
fn start(env: &TestEnv, name: &str, options: &[&str]) {
    env.coracle(["run", "-d", "--name", name]).args(options).args(["busybox", "sleep", "1000"]).ok();
}

fn sh(env: &TestEnv, options: &[&str], script: &str) -> Call {
    env.coracle(["run", "--rm"]).args(options).args(["busybox", "sh", "-c", script])
}

#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    sh(env, options, script).ok().text().to_owned()
}

/// A refusal that makes nothing.
#[track_caller]
fn refused(env: &TestEnv, options: &[&str], names: &str) -> Output {
    let before = env.containers();
    let output = sh(env, options, "true").fails(125);
    assert!(output.stderr.lines().next().is_some_and(|line| line.contains(names)), "{names}: {output}");
    assert!(output.stderr.contains("Hint:"), "{output}");
    assert_eq!(env.containers(), before, "{output}");
    output
}

fn namespace(env: &TestEnv, name: &str, kind: &str) -> String {
    env.coracle(["exec", name, "readlink", &format!("/proc/self/ns/{kind}")]).ok().text().to_owned()
}

#[test]
fn a_network_is_shared_with_what_belongs_to_it() {
    let env = TestEnv::with_images();
    start(&env, "web", &["--network=none", "--hostname", "first", "--add-host", "db:10.1.1.1"]);
    let own = ["--network", "container:web"];
    assert_eq!(out(&env, &own, "readlink /proc/self/ns/net"), namespace(&env, "web", "net"));
    assert_eq!(out(&env, &own, "readlink /proc/self/ns/user"), namespace(&env, "web", "user"));
    assert_ne!(out(&env, &own, "readlink /proc/self/ns/pid"), namespace(&env, "web", "pid"));
    // A name that is added later is seen by both, as they share the file.
    assert!(out(&env, &own, "cat /etc/hosts; echo 10.1.1.2 later >>/etc/hosts").contains("10.1.1.1\tdb"));
    assert!(env.coracle(["exec", "web", "cat", "/etc/hosts"]).ok().stdout.contains("later"));
    assert_eq!(out(&env, &own, "ls /sys/class/net"), "lo");
    assert_eq!(
        out(
            &env,
            &["--network", "container:web", "-v", "/etc/passwd:/etc/hosts"],
            "wc -l </etc/hosts >/dev/null; grep -c later /etc/hosts || true"
        ),
        "0"
    );
    let call = env.coracle(["run", "--rm", "--network=container:web", "-p", "8080:80", "busybox", "true"]);
    call.ok().says("Port mappings have been discarded");
    refused(&env, &["--network=container:web", "--dns", "1.1.1.1"], "--dns");
    refused(&env, &["--network=container:web", "--add-host", "a:1.1.1.1"], "--add-host");
    refused(&env, &["--network=container:web", "--sysctl", "net.ipv4.ip_forward=1"], "ip_forward");
    refused(&env, &["--network=container:nosuch"], "nosuch");
    refused(&env, &["--network=container:"], "container");
}

#[test]
fn processes_are_shared_and_end_with_their_owner() {
    let env = TestEnv::with_images();
    start(&env, "web", &["--network=none"]);
    let own = ["--network=none", "--pid", "container:web"];
    assert_eq!(out(&env, &own, "cat /proc/1/cmdline | tr '\\0' ' '"), "sleep 1000");
    // What it leaves behind ends with it, though the other container's first process lives on.
    out(&env, &own, "sleep 777 & true");
    let inside = || env.coracle(["exec", "web", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).ok();
    assert!(!inside().stdout.contains("777"), "{}", inside());
    refused(&env, &["--network=none", "--pid=container:web", "--init"], "--init");

    start(&env, "guest", &["--network=none", "--pid", "container:web"]);
    let listed = env.coracle(["exec", "guest", "cat", "/proc/1/cmdline"]).ok();
    assert_eq!(listed.stdout, "sleep\u{0}1000\u{0}");
    let parents = env.coracle(["inspect", "guest", "--format", "{{.Dependencies}}"]).ok();
    let id = env.coracle(["inspect", "web", "--format", "{{.Id}}"]).ok().text().to_owned();
    assert!(parents.stdout.contains(&id), "{parents}");
    let mode = env.coracle(["inspect", "guest", "--format", "{{.HostConfig.PidMode}}"]).ok();
    assert_eq!(mode.text(), format!("container:{id}"));
    env.coracle(["kill", "web"]).ok();
    eventually("the guest has ended", || {
        env.coracle(["inspect", "guest", "--format", "{{.State.Status}}"]).ok().text() == "exited"
    });
}

#[test]
fn memory_and_names_are_shared() {
    let env = TestEnv::with_images();
    start(&env, "web", &["--network=none", "--hostname", "first"]);
    env.coracle(["exec", "web", "sh", "-c", "echo shared >/dev/shm/note"]).ok();
    let all = ["--network=none", "--ipc=container:web", "--uts=container:web", "--cgroupns=container:web"];
    assert_eq!(out(&env, &all, "cat /dev/shm/note; hostname; echo $HOSTNAME"), "shared\nfirst\nfirst");
    for kind in ["ipc", "uts", "cgroup", "user"] {
        let link = format!("readlink /proc/self/ns/{kind}");
        assert_eq!(out(&env, &all, &link), namespace(&env, "web", kind), "{kind}");
    }
    let users = ["--network=none", "--userns=container:web"];
    assert_eq!(out(&env, &users, "readlink /proc/self/ns/user"), namespace(&env, "web", "user"));
    assert_eq!(out(&env, &["--network=none", "--userns=host"], "id -u"), "0");
    refused(&env, &["--uts=container:web", "--hostname", "x"], "--hostname");
    refused(&env, &["--ipc=container:web", "--shm-size", "1m"], "--shm-size");
    for mode in ["auto", "keep-id:uid=x", "wat"] {
        refused(&env, &["--userns", mode], mode);
    }
}

/// A container that itself uses the host's gives the host's.
#[test]
fn what_is_the_hosts_stays_the_hosts() {
    let env = TestEnv::with_images();
    start(&env, "web", &["--network=host", "--ipc=host"]);
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    let own = ["--network=container:web", "--ipc=container:web"];
    assert_eq!(out(&env, &own, "readlink /proc/self/ns/net"), ours.to_str().unwrap());
    start(&env, "guest", &own);
    assert_eq!(namespace(&env, "guest", "net"), ours.to_str().unwrap());
}

#[test]
fn one_container_at_a_time_and_only_while_it_runs() {
    let env = TestEnv::with_images();
    start(&env, "one", &["--network=none"]);
    start(&env, "two", &["--network=none"]);
    refused(&env, &["--network=container:one", "--pid=container:two"], "different users");
    // The second may share the first's, and both are then one.
    start(&env, "three", &["--network=container:one"]);
    out(&env, &["--network=container:one", "--ipc=container:three"], "true");
    let output = env.coracle(["rm", "one"]).fails(125);
    assert!(output.stderr.contains("one"), "{output}");
    env.coracle(["kill", "two"]).ok();
    eventually("it has ended", || {
        env.coracle(["inspect", "two", "--format", "{{.State.Status}}"]).ok().text() == "exited"
    });
    refused(&env, &["--network=container:two"], "not running").says("coracle start two");
}

#[test]
fn namespaces_are_shared_by_path() {
    let env = TestEnv::with_images();
    start(&env, "web", &["--network=none"]);
    let pid = env.coracle(["inspect", "web", "--format", "{{.State.Pid}}"]).ok().text().to_owned();
    let path = |kind: &str| format!("ns:/proc/{pid}/ns/{kind}");
    let net = path("net");
    assert_eq!(out(&env, &["--network", &net], "readlink /proc/self/ns/net"), namespace(&env, "web", "net"));
    let mode = env.coracle(["run", "-d", "--name", "guest", "--network", &net, "busybox", "sleep", "1000"]);
    mode.ok();
    let shown = env.coracle(["inspect", "guest", "--format", "{{.HostConfig.NetworkMode}}"]).ok();
    assert_eq!(shown.text(), net);
    refused(&env, &["--network", &path("pid")], "net namespace");
    refused(&env, &["--network", "ns:/etc/passwd"], "net namespace");
    refused(&env, &["--network", "ns:relative"], "path");
    let output = sh(&env, &["--network", "ns:/nosuch"], "true").fails(125);
    assert!(output.stderr.contains("ns:/nosuch"), "{output}");
}

#[test]
fn there_is_no_network_that_all_containers_share() {
    let env = TestEnv::new();
    env.coracle(["unshare", "--rootless-netns", "true"])
        .fails(125)
        .says("a network namespace of its own")
        .says("Hint: ");
    env.coracle(["unshare", "--rootless-netns=false", "true"]).ok();
}

#[test]
fn without_shared_memory_there_is_none_to_join() {
    let env = TestEnv::with_images();
    let none = ["--network=none", "--ipc=none"];
    let script = "ls -d /dev/shm; grep -c /dev/mqueue /proc/self/mounts; readlink /proc/self/ns/ipc";
    let seen = sh(&env, &none, script).ok();
    let lines = seen.lines();
    assert!(seen.stderr.contains("/dev/shm: No such file"), "{seen}");
    assert_eq!(lines[0], "1", "{seen}");
    let own = std::fs::read_link("/proc/self/ns/ipc").unwrap();
    assert_ne!(lines[1], own.to_string_lossy(), "{seen}");
    start(&env, "bare", &none);
    let mode = env.coracle(["inspect", "bare", "--format", "{{.HostConfig.IpcMode}}"]).ok();
    assert_eq!(mode.text(), "none");
    // The payload may put a symbolic link of its own there.
    env.coracle(["exec", "bare", "ln", "-s", "/etc", "/dev/shm"]).ok();
    refused(&env, &["--network=none", "--ipc=container:bare"], "non-shareable IPC");
    refused(&env, &["--network=none", "--ipc=none", "--shm-size=1m"], "--shm-size");
    refused(&env, &["--network=none", "--pid=none"], "none");
}

/// As podman has it: what is not said is shareable; as docker has it, not.
#[test]
fn an_ipc_namespace_is_joined_where_it_is_offered() {
    let env = TestEnv::with_images();
    let mode = |name: &str| {
        env.coracle(["inspect", name, "--format", "{{.HostConfig.IpcMode}}"]).ok().text().to_owned()
    };
    for (name, option, shown) in [
        ("plain", "", "shareable"),
        ("open", "--ipc=shareable", "shareable"),
        ("own", "--ipc=private", "private"),
    ] {
        let options =
            [&["--network=none"][..], if option.is_empty() { &[] } else { std::slice::from_ref(&option) }];
        start(&env, name, &options.concat());
        assert_eq!(mode(name), shown);
        let join = format!("--ipc=container:{name}");
        match shown {
            "private" => drop(refused(&env, &["--network=none", &join], "non-shareable IPC")),
            _ => assert_eq!(
                out(&env, &["--network=none", &join], "readlink /proc/self/ns/ipc"),
                namespace(&env, name, "ipc")
            ),
        }
    }
    // It is refused when the container is made.
    let create = ["create", "--network=none", "--ipc=container:own", "busybox", "true"];
    env.coracle(create).fails(125).says("non-shareable IPC");
    let docker = |words: &[&str]| env.called("docker", words);
    let root = env.busybox_rootfs();
    let root = ["--network=none", "--rootfs", root.to_str().unwrap()];
    docker(&[&["run", "-d", "--name", "theirs"], &root[..], &["sleep", "1000"]].concat()).ok();
    assert_eq!(mode("theirs"), "private");
    docker(&[&["run", "--rm", "--ipc=container:theirs"], &root[..], &["true"]].concat()).fails(125);
}
