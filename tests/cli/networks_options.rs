//! What networks are made with, as containers on them see it; ways in and out of internal ones; completion of their names.

use super::networks::{address, greet, inside, is_greeted, keeper, network, run_ok};
use super::networks_live::greeting;
use super::ps::field;
use crate::common::{TestEnv, coracle_binary, eventually, skip};
use coracle::netns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

const SLEEP: [&str; 2] = ["sleep", "1000"];

/// The routes of a container.
fn routes(env: &TestEnv, name: &str) -> String {
    inside(env, name, "ip route").stdout
}

/// The name servers of a container, in their order.
fn servers(env: &TestEnv, name: &str) -> Vec<String> {
    inside(env, name, "sed -n 's/nameserver //p' /etc/resolv.conf").lines()
}

fn gateway(env: &TestEnv, network: &str) -> String {
    let format = "{{range .Subnets}}{{.Gateway}}{{end}}";
    env.coracle(["network", "inspect", "-f", format, network]).ok().text().to_owned()
}

#[test]
fn networks_are_apart_and_only_without_icc_its_containers_are_too() {
    let env = TestEnv::new();
    for (name, option) in [
        ("apart", "isolate=true"),
        ("strict", "isolate=strict"),
        ("alone", "com.docker.network.bridge.enable_icc=false"),
    ] {
        network(&env, &["--internal", "-o", option, name]);
        let (db, web) = (format!("db-{name}"), format!("web-{name}"));
        greet(&env, &db, &["--network", name]);
        run_ok(&env, &["-d", "--name", &web, "--network", name], &SLEEP);
        if name == "alone" {
            let reached = inside(&env, &web, &format!("nslookup {db} >&2; nc -w 3 {db} 7 </dev/null"));
            assert_eq!(reached.stdout, "", "{reached}");
            let db = address(&env, &db, name);
            assert!(reached.stderr.contains("Address") && reached.stderr.contains(&db), "{reached}");
        } else {
            is_greeted(&env, &web, &db, &db);
        }
    }
    let other = address(&env, "db-strict", "strict");
    assert_eq!(inside(&env, "web-apart", &format!("nc -w 2 {other} 7 </dev/null")).stdout, "");
}

#[test]
fn a_network_without_default_route_leaves_it_to_another() {
    let env = TestEnv::new();
    network(&env, &["--opt", "no_default_route=true", "side"]);
    network(&env, &["--opt", "no_default_route=0", "open"]);
    run_ok(&env, &["-d", "--name", "one", "--network", "side"], &SLEEP);
    run_ok(&env, &["-d", "--name", "two", "--network", "side", "--network", "open"], &SLEEP);
    assert!(!routes(&env, "one").contains("default"), "{}", routes(&env, "one"));
    let wanted = format!("default via {} dev eth1", gateway(&env, "open"));
    let has = routes(&env, "two");
    assert!(has.contains(&wanted) && has.matches("default").count() == 1, "{has}");
    env.coracle(["network", "disconnect", "open", "two"]).ok();
    assert!(!routes(&env, "two").contains("default"), "{}", routes(&env, "two"));
}

#[test]
fn routes_of_a_network_are_its_containers() {
    let env = TestEnv::new();
    let made = ["--internal", "--subnet", "198.51.100.0/24", "--route", "203.0.113.0/25,198.51.100.9,50"];
    network(&env, &[&made[..], &["--route", "203.0.113.128/25,198.51.100.9", "back"]].concat());
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    let has = routes(&env, "web");
    assert!(has.contains("203.0.113.0/25 via 198.51.100.9 dev eth0  metric 50"), "{has}");
    assert!(has.contains("203.0.113.128/25 via 198.51.100.9 dev eth0"), "{has}");
    let shown = &env.coracle(["network", "inspect", "back"]).ok().json()[0]["routes"];
    assert_eq!(
        *shown,
        serde_json::json!([
            { "destination": "203.0.113.0/25", "gateway": "198.51.100.9", "metric": 50 },
            { "destination": "203.0.113.128/25", "gateway": "198.51.100.9" },
        ])
    );
}

#[test]
fn ports_of_a_container_on_an_internal_network_are_published() {
    let env = TestEnv::new();
    network(&env, &["--internal", "closed"]);
    greet(&env, "web", &["--network", "closed", "-p", "7"]);
    let port = env.coracle(["port", "web", "7"]).ok().text().to_owned();
    let port: u16 = port.rsplit(':').next().unwrap().parse().unwrap();
    let greets = |host: Ipv4Addr| greeting(host, port).as_deref() == Some("hello from web\n");
    eventually("the port is reached by loopback", || greets(Ipv4Addr::LOCALHOST));
    let Some(host) = netns::host_address() else {
        return skip("the outer half: this machine has no address but loopback");
    };
    eventually("the port is reached by the host's address", || greets(host));
    assert!(!routes(&env, "web").contains("default"));
}

#[test]
fn an_internal_network_answers_for_its_own_names_alone() {
    let env = TestEnv::new();
    network(&env, &["--internal", "back"]);
    // Whatever is said there is not the keeper's own answer.
    network(&env, &["--dns", "127.0.0.77", "front"]);
    greet(&env, "db", &["--network", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back", "--network", "front"], &SLEEP);
    let (back, front) = (gateway(&env, "back"), gateway(&env, "front"));
    // The one that answers for everything is asked first, wherever it stands on the command line.
    assert_eq!(servers(&env, "web"), [front.clone(), back.clone()]);
    let asks = |name: &str, server: &str| {
        let said = inside(&env, name, &format!("nslookup some.example {server} 2>&1"));
        assert_ne!(said.code, 0, "{said}");
        said.stdout
    };
    assert!(asks("web", &back).contains("REFUSED"), "{}", asks("web", &back));
    assert!(!asks("web", &front).contains("REFUSED"), "{}", asks("web", &front));
    assert!(asks("db", &back).contains("NXDOMAIN"), "{}", asks("db", &back));
    is_greeted(&env, "web", "db", "db");
    // Networks that come and go leave it so.
    env.coracle(["network", "disconnect", "front", "web"]).ok();
    assert_eq!(servers(&env, "web"), [back.as_str()]);
    eventually("nobody else is left to ask", || asks("web", &back).contains("NXDOMAIN"));
    env.coracle(["network", "connect", "front", "web"]).ok();
    assert_eq!(servers(&env, "web"), [front, back]);
}

#[test]
fn a_network_that_answers_for_no_names_is_asked_for_those_of_the_outside() {
    let env = TestEnv::new();
    network(&env, &["--internal", "back"]);
    run_ok(&env, &["-d", "--name", "db", "--network", "back"], &SLEEP);
    run_ok(&env, &["-d", "--name", "web", "--network", "back", "--network", "podman"], &SLEEP);
    assert_eq!(servers(&env, "web"), [gateway(&env, "podman"), gateway(&env, "back")]);
    for server in servers(&env, "web") {
        let found = inside(&env, "web", &format!("nslookup db.dns.podman {server}"));
        assert_eq!(found.code, 0, "{server}: {found}");
    }
}

#[test]
fn a_keeper_out_of_reach_is_named_with_what_to_type() {
    let env = TestEnv::new();
    network(&env, &["--internal", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    let first = keeper(&env).unwrap();
    let id = env.coracle(["network", "inspect", "-f", "{{.ID}}", "back"]).ok().text().to_owned();
    let entrance = env.runroot().join("networks").join(&id[..32]).join("keeper");
    std::fs::set_permissions(&entrance, PermissionsExt::from_mode(0o000)).unwrap();
    let refused = env.coracle(["network", "update", "--dns-add", "192.0.2.53", "back"]).fails(125);
    let refused = refused.says("reach the keeper of network back: ");
    assert!(refused.stderr.contains("coracle network reload --all"), "{refused}");
    std::fs::set_permissions(&entrance, PermissionsExt::from_mode(0o700)).unwrap();
    env.coracle(["network", "update", "--dns-add", "192.0.2.53", "back"]).ok();

    // Who could start another one is stopped.
    let monitor = Pid::from_raw(field(&env, "web", "{{.State.ConmonPid}}").parse().unwrap());
    kill(monitor, Signal::SIGSTOP).unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    let late = || {
        let run = env.coracle(["run", "--rm", "--network", "back", "--rootfs"]).arg(env.busybox_rootfs());
        run.args(["nslookup", "web"])
    };
    let refused = late().fails(125).says("reach the keeper of network back: it does not answer");
    assert!(refused.stderr.contains("coracle restart --filter network=back"), "{refused}");
    kill(monitor, Signal::SIGCONT).unwrap();
    eventually("another keeper is there", || keeper(&env).is_some_and(|pid| pid != first));
    late().ok();
    assert_eq!(env.coracle(["ps", "-aq"]).ok().lines().len(), 1);
}

#[test]
fn names_of_networks_are_completed() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    network(&env, &["front"]);
    env.coracle(["create", "--name", "web", "--network", "back", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    let asked = |words: &[&str]| {
        let call = env.program(coracle_binary()).args(["--", "coracle", "--root"]);
        let call = call.arg(env.root()).arg("--runroot").arg(env.runroot()).args(words);
        let index = (4 + words.len()).to_string();
        let call = call.env("CORACLE_COMPLETE", "zsh").env("_CLAP_COMPLETE_INDEX", index);
        call.env("_CLAP_IFS", "\n").ok().lines()
    };
    for verb in ["connect", "disconnect", "inspect", "rm", "update", "exists"] {
        // The built-in one cannot be removed.
        let wanted = &["podman", "back", "front"][usize::from(verb == "rm")..];
        assert_eq!(asked(&["network", verb, ""]), wanted, "{verb}");
        assert_eq!(asked(&["network", verb, "fr"]), ["front"], "{verb}");
    }
    for verb in ["connect", "disconnect"] {
        assert_eq!(asked(&["network", verb, "back", ""]), ["web"], "{verb}");
    }
    assert_eq!(asked(&["network", "reload", ""]), ["web"]);
    for verb in ["run", "create"] {
        assert_eq!(asked(&[verb, "--network", "ba"]), ["back"], "{verb}");
        let all = asked(&[verb, "--network", ""]);
        assert!(all.ends_with(&["podman", "back", "front"].map(str::to_owned)), "{all:?}");
    }
}

#[test]
fn inspect_finds_networks_by_their_type_and_where_nothing_else_has_the_name() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    let of_network = "{{.Name}} {{.NetworkInterface}}";
    for words in [&["inspect", "-t", "network"][..], &["inspect", "--type=network"], &["inspect"]] {
        assert_eq!(
            env.coracle(words).args(["-f", of_network, "back"]).ok().text(),
            "back podman1",
            "{words:?}"
        );
    }
    env.coracle(["create", "--name", "back", "--network", "none", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    assert_eq!(env.coracle(["inspect", "-f", "{{.State.Status}}", "back"]).ok().text(), "created");
    assert_eq!(
        env.coracle(["inspect", "-t", "network", "-f", of_network, "back"]).ok().text(),
        "back podman1"
    );
    env.coracle(["inspect", "-t", "network", "nosuch"]).fails(125).says("network not found");
    env.coracle(["rm", "back"]).ok();
    env.coracle(["inspect", "-t", "container", "back"]).fails(125).says("no such container");
}
