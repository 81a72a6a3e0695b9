//! Networks that change while containers are on them: `network connect`, `disconnect`, `reload` and `update`.

use super::docker::docker;
use super::networks::{address, greet, inside, is_greeted, keeper, network, run_ok};
use super::ps::field;
use crate::common::{TestEnv, eventually, skip, traces_of};
use coracle::netns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const SLEEP: [&str; 2] = ["sleep", "1000"];

fn hosts(env: &TestEnv, name: &str) -> String {
    inside(env, name, "cat /etc/hosts").stdout
}

#[test]
fn a_running_container_joins_a_network_and_leaves_it() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["--subnet", "198.51.100.0/24", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "front"], &SLEEP);
    greet(&env, "db", &["--network", "back"]);
    run_ok(&env, &["-d", "--name", "peer", "--network", "back"], &SLEEP);
    assert!(inside(&env, "web", "nslookup db").code != 0);
    let place = ["--alias", "www", "--ip", "198.51.100.80", "--mac-address", "02:00:00:00:00:80"];
    env.coracle(["network", "connect"]).args(place).args(["back", "web"]).ok();
    // Names of both networks are found, whichever of the name servers is asked.
    is_greeted(&env, "web", "db", "db");
    assert_eq!(address(&env, "web", "back"), "198.51.100.80");
    for name in ["web", "www"] {
        let seen = inside(&env, "peer", &format!("nslookup {name}"));
        assert!(seen.stdout.contains("198.51.100.80"), "{seen}");
    }
    assert_eq!(inside(&env, "web", "cat /sys/class/net/eth1/address").stdout, "02:00:00:00:00:80\n");
    assert!(hosts(&env, "web").contains("198.51.100.80\t"), "{}", hosts(&env, "web"));
    let shown = &env.coracle(["network", "inspect", "back"]).ok().json()[0]["containers"];
    let id = field(&env, "web", "{{.Id}}");
    assert_eq!(shown[&id]["interfaces"]["eth1"]["subnets"][0]["ipnet"], "198.51.100.80/24");
    let listed = |filter: &str| env.coracle(["ps", "--format={{.Names}}", "--filter", filter]).ok().lines();
    assert_eq!(listed("network=back").len(), 3);
    let network_id = env.coracle(["network", "inspect", "-f", "{{.ID}}", "back"]).ok().text().to_owned();
    assert_eq!(listed(&format!("network={network_id}")).len(), 3);
    env.coracle(["network", "connect", "back", "web"])
        .fails(125)
        .says("container web is already connected to network \"back\": network is already connected");
    env.coracle(["network", "rm", "back"]).fails(2);

    env.coracle(["network", "disconnect", "back", "web"]).ok();
    assert!(inside(&env, "web", "nslookup db").code != 0);
    assert!(inside(&env, "peer", "nslookup www").code != 0);
    assert!(!hosts(&env, "web").contains("198.51.100.80"), "{}", hosts(&env, "web"));
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth0\nlo\n");
    assert_eq!(listed("network=back").len(), 2);
    env.coracle(["network", "disconnect", "back", "web"])
        .fails(125)
        .says("container web is not connected to network back");
    let told = env
        .coracle(["events", "--since=1h", "--stream=false", "--filter=type=network", "--format=json"])
        .ok()
        .lines();
    let told: Vec<serde_json::Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = &told[told.len() - 2..];
    assert_eq!((&last[0]["Status"], &last[1]["Status"]), (&"connect".into(), &"disconnect".into()));
    assert_eq!((&last[0]["network"], &last[0]["Name"]), (&"back".into(), &"web".into()));
    assert_eq!(last[1]["ID"].as_str(), Some(id.as_str()));
}

#[test]
fn a_renamed_container_is_found_by_its_new_name() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["back"]);
    run_ok(&env, &["-d", "--name", "db", "--network", "front", "--network", "back:alias=store"], &SLEEP);
    run_ok(&env, &["-d", "--name", "peer", "--network", "back"], &SLEEP);
    run_ok(&env, &["-d", "--name", "other", "--network", "front"], &SLEEP);
    let finds = |who: &str, name: &str| inside(&env, who, &format!("nslookup {name}")).code == 0;
    env.coracle(["rename", "db", "base"]).ok();
    for who in ["peer", "other"] {
        eventually("the new name is found", || finds(who, "base"));
        assert!(!finds(who, "db"), "{who}");
    }
    assert!(finds("peer", "store"));
    let names = field(&env, "base", "{{json .NetworkSettings.Networks}}");
    assert!(!names.contains("\"db\""), "{names}");
    // Who takes the old name has it.
    run_ok(&env, &["-d", "--name", "db", "--network", "back"], &SLEEP);
    assert!(finds("peer", "db"));
    // Another keeper hears of the names that there are.
    env.coracle(["rm", "-f", "-t", "0", "other", "db"]).ok();
    env.coracle(["network", "disconnect", "front", "base"]).ok();
    eventually("one network is left", || keeper(&env).is_some());
    kill(keeper(&env).unwrap(), Signal::SIGKILL).unwrap();
    eventually("the new name is found", || finds("peer", "base"));
    assert!(!finds("peer", "db"));
}

#[test]
fn what_was_changed_holds_for_the_next_start_and_one_that_does_not_run_is_changed_too() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["back"]);
    env.coracle(["create", "--name", "web", "--network", "front", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(SLEEP)
        .ok();
    env.coracle(["network", "connect", "--alias", "www", "back", "web"]).ok();
    // As podman: no complaint before it ever ran.
    env.coracle(["network", "connect", "back", "web"]).ok();
    env.coracle(["network", "rm", "back"]).fails(2);
    env.coracle(["start", "web"]).ok();
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth0\neth1\nlo\n");
    env.coracle(["network", "disconnect", "front", "web"]).ok();
    // The other one keeps its name, and now leads out.
    let seen = inside(&env, "web", "ls /sys/class/net; ip route");
    assert!(seen.stdout.starts_with("eth1\nlo\n") && seen.stdout.contains("default via"), "{seen}");
    env.coracle(["restart", "-t", "0", "web"]).ok();
    let seen = inside(&env, "web", "ls /sys/class/net; ip route");
    assert!(seen.stdout.starts_with("eth1\nlo\n") && seen.stdout.contains("dev eth1"), "{seen}");
    env.coracle(["stop", "-t", "0", "web"]).ok();
    env.coracle(["network", "disconnect", "back", "web"]).ok();
    env.coracle(["network", "rm", "back", "front"]).ok();
    assert_eq!(field(&env, "web", "{{len .NetworkSettings.Networks}}"), "0");
    // On no network at all.
    env.coracle(["start", "web"]).ok();
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "lo\n");
}

#[test]
fn what_cannot_be_connected_is_refused_and_nothing_has_changed() {
    let env = TestEnv::new();
    network(&env, &["--subnet", "198.51.100.0/24", "back"]);
    network(&env, &["front"]);
    run_ok(&env, &["-d", "--name", "own"], &SLEEP);
    env.coracle(["network", "connect", "back", "own"])
        .fails(125)
        .says("\"slirp4netns\" is not supported: invalid network mode");
    env.coracle(["network", "disconnect", "back", "own"]).fails(125).says("invalid network mode");
    run_ok(&env, &["-d", "--name", "one", "--network", "back", "--ip", "198.51.100.9"], &SLEEP);
    run_ok(&env, &["-d", "--name", "web", "--network", "front"], &SLEEP);
    env.coracle(["network", "connect", "nope", "web"])
        .fails(125)
        .says("unable to find network with name or ID nope: network not found");
    env.coracle(["network", "connect", "back", "nope"]).fails(125).says("no such container");
    env.coracle(["network", "connect", "--ip", "203.0.113.1", "back", "web"])
        .fails(125)
        .says("not in any subnet");
    env.coracle(["network", "connect", "--mac-address", "zz", "back", "web"]).fails(125);
    // What only the running network knows is taken back.
    env.coracle(["network", "connect", "--ip", "198.51.100.9", "back", "web"])
        .fails(125)
        .says("IP address 198.51.100.9 is already allocated");
    assert_eq!(field(&env, "web", "{{len .NetworkSettings.Networks}}"), "1");
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth0\nlo\n");
    env.coracle(["network", "connect", "back", "web"]).ok();
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth0\neth1\nlo\n");
}

#[test]
fn docker_connects_to_its_bridge_in_its_own_words() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    docker(&env, &["network", "connect", "bridge", "web"]).ok();
    let shown = docker(&env, &["inspect", "-f", "{{json .NetworkSettings.Networks}}", "web"]).ok().json();
    assert!(shown["bridge"]["IPAddress"].as_str().unwrap().starts_with("10.88."), "{shown}");
    docker(&env, &["network", "connect", "bridge", "web"])
        .fails(1)
        .says("endpoint with name web already exists in network bridge");
    docker(&env, &["network", "disconnect", "bridge", "web"]).ok();
    let told = docker(&env, &["events", "--since=1h", "--until=0s", "--filter=type=network"]).ok();
    assert!(told.stdout.contains("network disconnect") && told.stdout.contains("container="), "{told}");
}

#[test]
fn lines_of_the_containers_own_stay_in_its_files() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["--subnet", "198.51.100.0/24", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "front"], &SLEEP);
    inside(&env, "web", "echo '192.0.2.1 own' >>/etc/hosts");
    env.coracle(["network", "connect", "back", "web"]).ok();
    let seen = hosts(&env, "web");
    assert!(seen.contains("192.0.2.1 own\n") && seen.contains("198.51.100.2\t"), "{seen}");
    let servers = inside(&env, "web", "grep -c nameserver /etc/resolv.conf");
    assert_eq!(servers.stdout, "2\n");
    // A file that was replaced is the container's.
    inside(&env, "web", "echo mine >/etc/hosts; echo mine >/etc/resolv.conf");
    env.coracle(["network", "disconnect", "back", "web"]).ok();
    assert_eq!(hosts(&env, "web"), "mine\n");
    assert_eq!(inside(&env, "web", "cat /etc/resolv.conf").stdout, "mine\n");
    // A place that leads out of the container leads nowhere.
    let outside = env.path().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    run_ok(&env, &["-d", "--name", "bare", "--network", "front", "--no-hosts", "--dns", "none"], &SLEEP);
    inside(&env, "bare", &format!("ln -sf {} /etc/hosts", outside.display()));
    env.coracle(["network", "connect", "back", "bare"]).ok();
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
}

/// What a server says that greets whoever connects.
pub(super) fn greeting(host: Ipv4Addr, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((host, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn published_ports_follow_the_networks() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["back"]);
    greet(&env, "web", &["--network", "front", "-p", "7"]);
    let port = env.coracle(["port", "web", "7"]).ok().text().to_owned();
    let port: u16 = port.rsplit(':').next().unwrap().parse().unwrap();
    let greets = || greeting(Ipv4Addr::LOCALHOST, port).as_deref() == Some("hello from web\n");
    eventually("the port is served", greets);
    env.coracle(["network", "connect", "back", "web"]).ok();
    env.coracle(["network", "disconnect", "front", "web"]).ok();
    eventually("the port is served by way of the other network", greets);
    env.coracle(["network", "disconnect", "back", "web"]).ok();
    assert!(!greets(), "nothing is behind the port");
    env.coracle(["network", "connect", "front", "web"]).ok();
    eventually("the port is served again", greets);
    // Killed, the forwarder is back after a reload.
    let monitor = field(&env, "web", "{{.State.ConmonPid}}");
    let children = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap();
    let payload = field(&env, "web", "{{.State.Pid}}");
    for child in children.split_whitespace().filter(|pid| *pid != payload) {
        kill(Pid::from_raw(child.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
    eventually("the port is closed", || !greets());
    let id = field(&env, "web", "{{.Id}}");
    assert_eq!(env.coracle(["network", "reload", "web"]).ok().text(), id);
    eventually("the port is served after the reload", greets);
}

#[test]
fn stats_tell_what_goes_over_each_network() {
    let env = TestEnv::new();
    network(&env, &["--internal", "front"]);
    network(&env, &["--internal", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "front", "--network", "back"], &SLEEP);
    greet(&env, "db", &["--network", "back"]);
    is_greeted(&env, "web", "db", "db");
    let shown = env.coracle(["stats", "--no-stream", "--format", "{{json .Network}}", "web"]).ok().json();
    assert!(shown["eth0"]["RxBytes"].is_u64() && shown["eth1"]["TxBytes"].as_u64() > Some(0), "{shown}");
    assert!(shown.get("lo").is_none(), "{shown}");
}

#[test]
fn reload_refuses_what_has_nothing_to_reload() {
    let env = TestEnv::new();
    env.coracle(["network", "reload"]).fails(125).says("you must provide at least one name or id");
    run_ok(&env, &["-d", "--name", "none", "--network", "none"], &SLEEP);
    run_ok(&env, &["-d", "--name", "own"], &SLEEP);
    env.coracle(["network", "reload", "none"]).fails(125).says("cannot reload network");
    env.coracle(["create", "--name", "idle", "--network", "bridge", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    env.coracle(["network", "reload", "idle"]).fails(125).says("container state improper");
    let id = field(&env, "own", "{{.Id}}");
    assert_eq!(env.coracle(["network", "reload", "--all"]).ok().text(), id);
}

#[test]
fn whoever_is_killed_networks_can_be_changed() {
    let env = TestEnv::new();
    network(&env, &["--internal", "front"]);
    network(&env, &["--internal", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "front"], &SLEEP);
    let first = keeper(&env).unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    env.coracle(["network", "connect", "back", "web"]).ok();
    env.coracle(["network", "disconnect", "front", "web"]).ok();
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth1\nlo\n");
    let monitor = field(&env, "web", "{{.State.ConmonPid}}").parse().unwrap();
    kill(Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    eventually("the container has ended", || field(&env, "web", "{{.State.Running}}") == "false");
    env.coracle(["network", "connect", "front", "web"]).ok();
    env.coracle(["start", "web"]).ok();
    assert_eq!(inside(&env, "web", "ls /sys/class/net").stdout, "eth0\neth1\nlo\n");
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    eventually("no process of the networks is left", || traces_of(env.path()).is_empty());
}

#[test]
fn a_network_asks_other_servers_at_once() {
    let Some(host) = netns::host_address() else {
        return skip("this machine has no address but loopback");
    };
    let env = TestEnv::new();
    network(&env, &["back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    let servers =
        || env.coracle(["network", "inspect", "-f", "{{json .NetworkDNSServers}}", "back"]).ok().json();
    // Nobody can listen on port 53 here, so what is asked is told by what refuses.
    let closed = TcpListener::bind((host, 0)).map(|_| host.to_string()).unwrap();
    env.coracle(["network", "update", "--dns-add", &format!("{closed},192.0.2.53"), "back"]).ok();
    assert_eq!(servers(), serde_json::json!([closed, "192.0.2.53"]));
    env.coracle(["network", "update", "--dns-drop", &closed, "back"]).ok();
    env.coracle(["network", "update", "--dns-drop", "192.0.2.53", "back"]).ok();
    assert_eq!(servers(), serde_json::json!([]));
    env.coracle(["network", "update", "--dns-add", "192.0.2.53", "podman"]).fails(125);
    env.coracle(["network", "update", "--dns-add", "x", "back"]).fails(125);
    env.coracle(["network", "update", "nope"]).fails(125).says("network not found");
    assert_eq!(inside(&env, "web", "nslookup web >/dev/null && echo found").stdout, "found\n");
}

#[test]
fn containers_of_the_same_two_networks_find_each_other_wherever_they_ask() {
    let env = TestEnv::new();
    network(&env, &["--internal", "back"]);
    network(&env, &["front"]);
    run_ok(&env, &["-d", "--name", "db", "--network", "back", "--network-alias", "sql"], &SLEEP);
    run_ok(&env, &["-d", "--name", "proxy", "--network", "front", "--net-alias", "edge"], &SLEEP);
    run_ok(&env, &["-d", "--name", "web", "--network", "back", "--network", "front"], &SLEEP);
    let gateways = inside(&env, "web", "sed -n 's/nameserver //p' /etc/resolv.conf");
    assert_eq!(gateways.stdout.lines().count(), 2, "{gateways}");
    for server in gateways.stdout.lines() {
        for name in ["db", "sql", "proxy", "edge", "web"] {
            let seen = inside(&env, "web", &format!("nslookup {name} {server}"));
            assert_eq!(seen.code, 0, "{name} of {server}: {seen}");
        }
        assert!(inside(&env, "web", &format!("nslookup nobody {server}")).code != 0);
    }
    // Only who is on both.
    assert!(inside(&env, "proxy", "nslookup db").code != 0);
    assert!(inside(&env, "db", "nslookup proxy").code != 0);
}
