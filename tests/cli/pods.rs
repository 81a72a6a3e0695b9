//! Pods: making, listing, stopping, removing them, and what their containers share.

use super::ps::field;
use crate::common::{Output, TestEnv, eventually, free_port};
use serde_json::Value;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};

const SLEEP: [&str; 2] = ["sleep", "1000"];

pub(crate) fn run(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    env.coracle(["run"]).args(options).arg("--rootfs").arg(env.busybox_rootfs()).args(command).run()
}

#[track_caller]
pub(crate) fn run_ok(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    let output = run(env, options, command);
    assert_eq!(output.code, 0, "{output}");
    output
}

#[track_caller]
pub(crate) fn pod(env: &TestEnv, words: &[&str]) -> Output {
    env.coracle(["pod"]).args(words).ok()
}

pub(crate) fn state(env: &TestEnv, name: &str) -> String {
    pod(env, &["inspect", "--format", "{{.State}}", name]).text().to_owned()
}

pub(crate) fn infra(env: &TestEnv, name: &str) -> String {
    pod(env, &["inspect", "--format", "{{.InfraContainerID}}", name]).text().to_owned()
}

#[test]
fn containers_of_a_pod_share_what_it_shares() {
    let env = TestEnv::new();
    let port = free_port();
    let id = pod(
        &env,
        &["create", "--name", "shop", "-p", &format!("127.0.0.1:{port}:7"), "--add-host", "far:192.0.2.7"],
    );
    assert_eq!(state(&env, "shop"), "Created");
    let serve = "echo kept >/dev/shm/x; while :; do echo hello | nc -l -p 7; done";
    run_ok(&env, &["-d", "--pod", "shop", "--name", "web"], &["sh", "-c", serve]);
    assert_eq!(state(&env, "shop"), "Running", "the infra container was started first");
    let script =
        "hostname; cat /dev/shm/x; cat /etc/hosts; until nc 127.0.0.1 7 </dev/null; do sleep 0.1; done";
    let told = run_ok(&env, &["--rm", "--pod", "shop", "--name", "other"], &["sh", "-c", script]);
    let lines = told.lines();
    assert_eq!(lines[..2], ["shop", "kept"], "{told}");
    assert_eq!(lines.last().map(String::as_str), Some("hello"), "{told}");
    for line in ["192.0.2.7\tfar", "127.0.0.1\tweb", "127.0.0.1\tother"] {
        assert!(lines.iter().any(|found| found == line), "{line}: {told}");
    }
    eventually("the port of the pod leads to the container", || {
        let mut greeting = String::new();
        let came = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .and_then(|mut to| to.read_to_string(&mut greeting));
        came.is_ok()
            && greeting
                == "hello
"
    });
    // Process ids are not shared by default.
    let seen = env.coracle(["exec", "web", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).ok();
    assert!(seen.text().parse::<u32>().unwrap() < 8, "{seen}");
    let listed = env
        .coracle([
            "ps",
            "-a",
            "--pod",
            "--format",
            "{{.Names}} {{.Pod}} {{.PodName}} {{.IsInfra}} {{.Ports}}",
        ])
        .ok();
    let short = &id.text()[..12];
    let ports = format!("127.0.0.1:{port}->7/tcp");
    assert!(listed.lines().contains(&format!("web {short} shop false {ports}")), "{listed}");
    assert!(listed.lines().contains(&format!("{short}-infra {short} shop true {ports}")), "{listed}");
    assert_eq!(field(&env, "web", "{{.Pod}}"), id.text());
    assert_eq!(
        field(&env, "web", "{{.HostConfig.NetworkMode}}"),
        format!("container:{}", infra(&env, "shop"))
    );
    assert_eq!(env.coracle(["ps", "-q", "--filter", "pod=shop"]).ok().lines().len(), 2);
    assert_eq!(env.coracle(["ps", "-aq", "--filter", "pod=nosuch"]).ok().stdout, "");
    env.coracle(["pod", "rm", "shop"]).fails(125).says("cannot be removed without force");
    pod(&env, &["rm", "-f", "-t", "0", "shop"]);
    assert!(env.containers().is_empty());
}

#[test]
fn the_state_follows_the_containers() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    for name in ["a", "b"] {
        env.coracle(["create", "--pod", "p", "--name", name, "--init", "--rootfs"])
            .arg(env.busybox_rootfs())
            .args(SLEEP)
            .ok();
    }
    assert_eq!(state(&env, "p"), "Created");
    env.coracle(["start", "a"]).ok();
    assert_eq!(state(&env, "p"), "Degraded");
    pod(&env, &["start", "p"]);
    assert_eq!(state(&env, "p"), "Running");
    pod(&env, &["stop", "p"]);
    assert_eq!(state(&env, "p"), "Exited");
    pod(&env, &["restart", "p"]);
    assert_eq!(state(&env, "p"), "Running");
    pod(&env, &["kill", "p"]);
    assert_eq!(state(&env, "p"), "Exited");
    env.coracle(["create", "--pod", "p", "--name", "c", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(SLEEP)
        .ok();
    assert_eq!(state(&env, "p"), "Stopped");
    let events =
        env.coracle(["events", "--stream=false", "--filter", "type=pod", "--format", "{{.Status}}"]).ok();
    assert_eq!(events.lines(), ["create", "start", "stop", "stop", "start", "kill"]);
    let gone = pod(&env, &["prune", "-f"]);
    assert_eq!(gone.lines().len(), 1, "{gone}");
    assert!(env.containers().is_empty());
}

#[test]
fn pods_are_listed_and_filtered() {
    let env = TestEnv::new();
    let one = pod(&env, &["create", "--name", "one", "--label", "a=b"]);
    let two = pod(&env, &["create", "--name", "two", "--infra=false", "--share="]);
    run_ok(&env, &["-d", "--pod", "one", "--name", "x"], &SLEEP);
    let names = |options: &[&str]| {
        pod(&env, &[&["ps", "--noheading", "--format", "{{.Name}}"], options].concat()).lines()
    };
    assert_eq!(names(&[]), ["two", "one"]);
    assert_eq!(names(&["--sort", "name"]), ["one", "two"]);
    assert_eq!(names(&["--sort", "number"]), ["two", "one"]);
    assert_eq!(names(&["--latest"]), ["two"]);
    for (filter, found) in [
        ("name=on", &["one"][..]),
        ("label=a", &["one"]),
        ("label!=a", &["two"]),
        ("status=running", &["one"]),
        ("status=created", &["two"]),
        ("ctr-names=^x$", &["one"]),
        ("ctr-number=0", &["two"]),
        ("ctr-status=running", &["one"]),
        ("until=2000-01-01T00:00:00Z", &[]),
        ("network=podman", &[]),
    ] {
        assert_eq!(names(&["--filter", filter]), found, "{filter}");
    }
    assert_eq!(names(&["--filter", &format!("id={}", &one.text()[..8])]), ["one"]);
    assert_eq!(names(&["--filter", &format!("ctr-ids={}", infra(&env, "one"))]), ["one"]);
    env.coracle(["pod", "ps", "--filter", "foo=x"]).fails(125).says("foo is an invalid filter");
    let table = pod(&env, &["ps"]);
    let heads = ["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID", "# OF CONTAINERS"];
    assert!(heads.iter().all(|head| table.lines()[0].contains(head)), "{table}");
    let row = pod(&env, &["ps", "--ctr-names", "--ctr-status", "--filter", "name=one", "-n"]);
    assert!(row.text().contains(&format!("x,{}-infra", &one.text()[..12])), "{row}");
    assert!(row.text().ends_with("running,running"), "{row}");
    assert_eq!(pod(&env, &["ps", "-q"]).lines(), [two.text(), one.text()]);
    let json = pod(&env, &["ls", "--format", "json"]).json();
    assert_eq!(json[1]["Labels"]["a"], "b");
    assert_eq!(json[1]["Containers"].as_array().unwrap().len(), 2);
    assert_eq!(json[1]["Status"], "Running");
    assert_eq!(json[0]["InfraId"], "");
    let shown = pod(&env, &["inspect", "one", "two"]).json();
    assert_eq!(shown[0]["SharedNamespaces"], serde_json::json!(["ipc", "net", "uts"]));
    assert_eq!(
        (&shown[0]["NumContainers"], &shown[1]["CreateInfra"]),
        (&Value::from(2), &Value::from(false))
    );
    assert_eq!(env.coracle(["inspect", "--type", "pod", "--format", "{{.Name}}", "one"]).ok().text(), "one");
    assert_eq!(env.coracle(["inspect", "--format", "{{.State}}", "two"]).ok().text(), "Created");
    let top = pod(&env, &["top", "one", "args"]);
    assert!(top.lines().contains(&"sleep 1000".to_owned()) && top.lines().len() == 3, "{top}");
    env.coracle(["pod", "top", "two"]).fails(125).says("at least one running container");
    let stats = pod(&env, &["stats", "--no-stream", "--format", "{{.Pod}} {{.Name}}"]);
    assert!(stats.lines().contains(&format!("{} x", &one.text()[..12])), "{stats}");
    env.coracle(["pod", "exists", "one"]).ok();
    env.coracle(["pod", "exists", "three"]).fails(1);
    pod(&env, &["rm", "-fa", "-t", "0"]);
}

#[test]
fn logs_of_a_pod_tell_whose_each_line_is() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    for name in ["a", "b"] {
        run_ok(&env, &["--pod", "p", "--name", name], &["echo", &format!("from {name}")]);
    }
    assert_eq!(pod(&env, &["logs", "--names", "p"]).lines(), ["a from a", "b from b"]);
    assert_eq!(pod(&env, &["logs", "-c", "b", "p"]).lines(), ["from b"]);
    env.coracle(["pod", "logs", "-c", "nosuch", "p"]).fails(125).says("container nosuch is not in pod p");
    run_ok(&env, &["--name", "apart"], &["true"]);
    env.coracle(["pod", "logs", "-c", "apart", "p"]).fails(125).says("is not in pod p");
    pod(&env, &["rm", "p"]);
    env.coracle(["rm", "apart"]).ok();
}

#[test]
fn a_pod_of_nothing_shared_is_a_group() {
    let env = TestEnv::new();
    pod(&env, &["create", "--name=group", "--infra=false", "--share="]);
    assert_eq!(state(&env, "group"), "Created");
    let port = free_port().to_string();
    run_ok(
        &env,
        &["-d", "--pod=group", "--name=x", "-p", &format!("{port}:80"), "--hostname", "own"],
        &SLEEP,
    );
    assert_eq!(env.coracle(["exec", "x", "hostname"]).ok().text(), "own");
    assert_eq!(state(&env, "group"), "Running");
    assert_eq!(field(&env, "x", "{{.HostConfig.NetworkMode}}"), "slirp4netns");
    env.coracle(["rm", "-f", "-t", "0", "x"]).ok();
    assert_eq!(state(&env, "group"), "Created", "it stays without containers");
    pod(&env, &["rm", "group"]);
}

#[test]
fn a_new_pod_is_made_for_a_container() {
    let env = TestEnv::new();
    let port = free_port().to_string();
    run_ok(
        &env,
        &["-d", "--pod", "new:n", "--hostname", "hh", "-p", &format!("{port}:80"), "--name", "x"],
        &SLEEP,
    );
    assert_eq!(env.coracle(["exec", "x", "hostname"]).ok().text(), "hh");
    let bound = pod(&env, &["inspect", "--format", "{{(index .InfraConfig.PortBindings \"80/tcp\")}}", "n"]);
    assert!(bound.text().contains(&port), "{bound}");
    let refused = run(&env, &["-d", "--pod", "new:n"], &SLEEP);
    assert_eq!(refused.code, 125);
    refused.says("name \"n\" is in use: pod already exists");
    assert_eq!(env.containers().len(), 2, "nothing half-made");
    // What cannot be made leaves no pod.
    let refused = run(&env, &["-d", "--pod", "new:m", "--name", "x"], &SLEEP);
    assert_eq!(refused.code, 125);
    env.coracle(["pod", "exists", "m"]).fails(1);
    pod(&env, &["rm", "-f", "-t0", "n"]);
}

#[test]
fn names_are_those_of_containers_too() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    let create = |name: &str| {
        env.coracle(["create", "--name", name, "--rootfs"]).arg(env.busybox_rootfs()).arg("true")
    };
    create("p").fails(125).says("name \"p\" is in use: pod already exists");
    create("c").ok();
    env.coracle(["pod", "create", "c"]).fails(125).says("name \"c\" is in use: container already exists");
    env.coracle(["pod", "create", "p"]).fails(125).says("name \"p\" is in use: pod already exists");
    env.coracle(["rename", "c", "p"]).fails(125).says("pod already exists");
    let first = infra(&env, "p");
    pod(&env, &["create", "--replace", "--name", "p"]);
    assert_ne!(infra(&env, "p"), first);
    env.coracle(["pod", "create", "--replace"]).fails(125).says("without --name being set");
    env.coracle(["rm", "-f", &first]).ok();
    env.coracle(["rm", "-f", &infra(&env, "p")])
        .fails(125)
        .says("cannot be removed without removing the pod");
    assert_eq!(env.coracle(["container", "prune", "-f"]).ok().lines().len(), 1, "the infra container stays");
    env.coracle(["rm", "-a"]).ok();
    env.coracle(["pod", "exists", "p"]).fails(1);
    create("p").ok();
    env.coracle(["rm", "p"]).ok();
}

#[test]
fn the_id_is_written_to_a_file_and_read_from_it() {
    let env = TestEnv::new();
    let file = env.path().join("id");
    let made = env.coracle(["pod", "create", "--pod-id-file"]).arg(&file).ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), made.text());
    env.coracle(["pod", "create", "--pod-id-file"]).arg(&file).fails(125).says("pod id file exists");
    env.coracle(["pod", "start", "--pod-id-file"]).arg(&file).ok();
    env.coracle(["run", "-d", "--pod-id-file"])
        .arg(&file)
        .arg("--rootfs")
        .arg(env.busybox_rootfs())
        .args(SLEEP)
        .ok();
    env.coracle(["pod", "stop", "-t", "0", "--pod-id-file"]).arg(&file).ok();
    env.coracle(["pod", "rm", "--pod-id-file"]).arg(&file).ok();
    assert!(env.containers().is_empty());
}
