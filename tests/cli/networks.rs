//! Networks that containers share, on the real kernel: names, addresses, ways out, and what heals.

use super::network::{ask, host_port, logs};
use super::ps::field;
use crate::common::{Output, TestEnv, eventually, skip, traces_of};
use coracle::netns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

pub(super) const SLEEP: [&str; 2] = ["sleep", "1000"];

fn run(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    env.coracle(["run"]).args(options).arg("--rootfs").arg(env.busybox_rootfs()).args(command).run()
}

#[track_caller]
pub(super) fn run_ok(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    let output = run(env, options, command);
    assert_eq!(output.code, 0, "{output}");
    output
}

/// Runs a shell script in a running container.
pub(super) fn inside(env: &TestEnv, name: &str, script: &str) -> Output {
    env.coracle(["exec", name, "sh", "-c", script]).run()
}

pub(super) fn network(env: &TestEnv, options: &[&str]) {
    env.coracle(["network", "create"]).args(options).ok();
}

/// A container's address on a network, as `inspect` shows it.
pub(super) fn address(env: &TestEnv, name: &str, network: &str) -> String {
    field(env, name, &format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}"))
}

/// A server of each name's own greeting, on port 7.
pub(super) fn greet(env: &TestEnv, name: &str, options: &[&str]) {
    let script = format!("while :; do echo hello from {name} | nc -l -p 7; done");
    run_ok(env, &[&["-d", "--name", name], options].concat(), &["sh", "-c", &script]);
}

#[track_caller]
pub(super) fn is_greeted(env: &TestEnv, name: &str, host: &str, wanted: &str) {
    let script = format!("nc -w 5 {host} 7 </dev/null");
    eventually(&format!("{name} is greeted by {host}"), || {
        inside(env, name, &script).stdout == format!("hello from {wanted}\n")
    });
}

/// The slirp4netns that a keeper has started.
fn slirp(keeper: Pid) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).ok()?;
    let mut pids = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
    pids.find(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"slirp4netns\0"))
    })
    .map(Pid::from_raw)
}

#[test]
fn names_of_each_of_its_networks_are_found() {
    let env = TestEnv::new();
    network(&env, &["front"]);
    network(&env, &["back"]);
    greet(&env, "web", &["--network", "front"]);
    greet(&env, "db", &["--network", "back:alias=store"]);
    for order in [["front", "back"], ["back", "front"]] {
        let options = ["-d", "--name", "client", "--network", order[0], "--network", order[1]];
        run_ok(&env, &options, &SLEEP);
        is_greeted(&env, "client", "web", "web");
        is_greeted(&env, "client", "db", "db");
        is_greeted(&env, "client", "store", "db");
        // What is nobody's name anywhere does not exist; and neither is it found from one network on another.
        assert!(inside(&env, "client", "nc -w 5 nobody 7").stderr.contains("bad address"));
        assert!(inside(&env, "web", "nc -w 5 db 7").stderr.contains("bad address"));
        env.coracle(["rm", "-f", "-t", "0", "client"]).ok();
    }
    env.coracle(["rm", "-fa", "-t", "0"]).ok();
    env.coracle(["network", "rm", "front", "back"]).ok();
}

#[test]
fn containers_of_one_network_find_each_other_by_name_alias_and_id() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    network(&env, &["front"]);
    greet(&env, "db", &["--network", "back", "--network-alias", "sql", "--hostname", "store"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    run_ok(&env, &["-d", "--name", "other", "--network", "front"], &SLEEP);
    let id = field(&env, "db", "{{.Id}}");
    let ip = address(&env, "db", "back");
    for host in ["db", "sql", "store", &id[..12], "db.dns.podman", "DB", &ip] {
        is_greeted(&env, "web", host, "db");
    }
    // An address has a name.
    let reverse = inside(&env, "web", &format!("nslookup {ip}"));
    assert!(reverse.stdout.contains("name = db"), "{reverse}");
    // Nobody else's names, and nobody else's addresses.
    let stranger = inside(&env, "other", "nslookup db || nslookup db.dns.podman");
    assert!(stranger.code != 0, "{stranger}");
    assert_eq!(inside(&env, "other", &format!("nc -w 2 {ip} 7 </dev/null")).stdout, "");
    // It keeps its name when it comes again.
    env.coracle(["restart", "-t", "0", "db"]).ok();
    is_greeted(&env, "web", "db", "db");
}

#[test]
fn a_container_on_two_networks_is_found_on_both_and_shown_with_both() {
    let env = TestEnv::new();
    network(&env, &["--subnet", "198.51.100.0/24", "front"]);
    network(&env, &["back"]);
    let place = "front:ip=198.51.100.77,mac=02:00:00:00:00:77,alias=entry,interface_name=outer";
    greet(&env, "web", &["--network", place, "--network", "back"]);
    for network in ["front", "back"] {
        let name = format!("in-{network}");
        run_ok(&env, &["-d", "--name", &name, "--network", network], &SLEEP);
        is_greeted(&env, &name, "web", "web");
    }
    is_greeted(&env, "in-front", "entry", "web");
    assert_eq!(address(&env, "web", "front"), "198.51.100.77");
    let seen = inside(&env, "web", "cat /sys/class/net/outer/address; ls /sys/class/net; ip route");
    assert!(seen.stdout.starts_with("02:00:00:00:00:77\neth1\nlo\nouter\n"), "{seen}");
    assert!(seen.stdout.contains("default via 198.51.100.1 dev outer"), "{seen}");
    assert_eq!(field(&env, "web", "{{.NetworkSettings.IPAddress}}"), "198.51.100.77");
    let shown = &env.coracle(["network", "inspect", "front"]).ok().json()[0];
    let id = field(&env, "web", "{{.Id}}");
    let interface = &shown["containers"][&id]["interfaces"]["outer"];
    assert_eq!(interface["subnets"][0]["ipnet"], "198.51.100.77/24");
    assert_eq!(
        env.coracle(["ps", "-q", "--no-trunc", "--filter=name=web", "--format={{.Networks}}"]).ok().text(),
        "front,back"
    );
}

#[test]
fn an_address_in_use_is_refused_and_leaves_nothing() {
    let env = TestEnv::new();
    network(&env, &["--subnet", "198.51.100.0/24", "back"]);
    run_ok(&env, &["-d", "--name", "one", "--network", "back", "--ip", "198.51.100.9"], &SLEEP);
    let refused = run(&env, &["--name", "two", "--network", "back", "--ip", "198.51.100.9"], &["true"]);
    assert_eq!(refused.code, 125, "{refused}");
    let refused = refused.says("IP address 198.51.100.9 is already allocated");
    assert!(refused.stderr.contains("Hint: See who has it: coracle network inspect back"), "{refused}");
    env.coracle(["rm", "-f", "-t", "0", "one"]).ok();
    run_ok(&env, &["--rm", "--network", "back", "--ip", "198.51.100.9"], &["true"]);
}

#[test]
fn the_outside_and_the_host_are_reached_unless_the_network_is_internal() {
    let Some(host) = netns::host_address() else {
        return skip("this machine has no address but loopback");
    };
    let env = TestEnv::new();
    network(&env, &["open"]);
    network(&env, &["--internal", "closed"]);
    let listener = TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"hello from the host\n");
        }
    });
    for name in ["host.containers.internal", "host.docker.internal", &host.to_string()] {
        let seen = run_ok(&env, &["--rm", "--network", "open"], &["nc", "-w", "10", name, &port.to_string()]);
        assert_eq!(seen.stdout, "hello from the host\n", "{name}");
    }
    let script = format!("nc -w 3 {host} {port}; ip route");
    let seen = run_ok(&env, &["--rm", "--network", "closed"], &["sh", "-c", &script]);
    assert!(!seen.stdout.contains("hello") && !seen.stdout.contains("default"), "{seen}");
    greet(&env, "db", &["--network", "closed"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "closed"], &SLEEP);
    is_greeted(&env, "web", "db", "db");
}

#[test]
fn ipv6_works_inside() {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return skip("this kernel has no IPv6");
    }
    let env = TestEnv::new();
    network(&env, &["--ipv6", "back"]);
    greet(&env, "db", &["--network", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    let six = field(&env, "db", "{{.NetworkSettings.Networks.back.GlobalIPv6Address}}");
    assert!(six.starts_with("fd"), "{six}");
    is_greeted(&env, "web", &six, "db");
    let names = inside(&env, "web", "nslookup -type=aaaa db");
    assert!(names.stdout.contains(&six), "{names}");
}

#[test]
fn published_ports_show_their_clients() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    let httpd = ["httpd", "-f", "-vv", "-p", "80"];
    run_ok(&env, &["-d", "--name", "web", "--network", "back", "-p", "80"], &httpd);
    let port = host_port(&env, "web");
    assert!(ask(Ipv4Addr::LOCALHOST, port).starts_with("HTTP/1"));
    let Some(host) = netns::host_address() else {
        return skip("the outer half: this machine has no address but loopback");
    };
    ask(host, port);
    eventually("the server has logged its client", || logs(&env, "web").contains(&format!("{host}]:")));
}

/// Clients of the other family appear as the gateway.
#[test]
fn ports_of_a_network_without_ipv4_are_published() {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return skip("this kernel has no IPv6");
    }
    let env = TestEnv::new();
    network(&env, &["--subnet", "fd00:6::/64", "six"]);
    let httpd = ["httpd", "-f", "-vv", "-p", "80"];
    run_ok(&env, &["-d", "--name", "web", "--network", "six", "-p", "80"], &httpd);
    let port = host_port(&env, "web");
    assert!(ask(Ipv4Addr::LOCALHOST, port).starts_with("HTTP/1"));
    if TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok() {
        assert!(ask(Ipv6Addr::LOCALHOST, port).starts_with("HTTP/1"));
    }
    let gateway = field(&env, "web", "{{.NetworkSettings.Networks.six.IPv6Gateway}}");
    eventually("the server has logged its client", || logs(&env, "web").contains(&format!("[{gateway}]:")));
}

#[test]
fn whoever_is_killed_the_network_goes_on() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    greet(&env, "db", &["--network", "back"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    is_greeted(&env, "web", "db", "db");
    let before = address(&env, "db", "back");
    let first = keeper(&env).unwrap();
    let uplink = slirp(first).unwrap();
    kill(uplink, Signal::SIGKILL).unwrap();
    eventually("another slirp4netns is there", || slirp(first).is_some_and(|pid| pid != uplink));
    is_greeted(&env, "web", "db", "db");
    kill(first, Signal::SIGKILL).unwrap();
    eventually("another keeper is there", || keeper(&env).is_some_and(|pid| pid != first));
    is_greeted(&env, "web", "db", "db");
    if let Some(host) = netns::host_address() {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = stream.write_all(b"hello from the host\n");
            }
        });
        eventually("the outside is reached again", || {
            inside(&env, "web", &format!("nc -w 5 {host} {port} </dev/null")).stdout
                == "hello from the host\n"
        });
    }
    assert_eq!(address(&env, "db", "back"), before);
    run_ok(&env, &["-d", "--name", "late", "--network", "back"], &SLEEP);
    assert_ne!(address(&env, "late", "back"), before);
    is_greeted(&env, "late", "db", "db");
}

/// The keeper of the test's only network: who is in the shared user namespace and is no container's monitor.
pub(super) fn keeper(env: &TestEnv) -> Option<Pid> {
    let ids = env.containers();
    let monitors: Vec<String> = ids.iter().map(|id| field(env, id, "{{.State.ConmonPid}}")).collect();
    let entries = std::fs::read_dir(env.runroot().join("userns")).ok()?.flatten();
    let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let lives = |pid: i32| std::path::Path::new(&format!("/proc/{pid}")).exists();
    names
        .find(|name| !monitors.contains(name) && name.parse().is_ok_and(lives))
        .and_then(|name| name.parse().ok())
        .map(Pid::from_raw)
}

#[test]
fn nothing_is_left_after_the_last_container() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    for _ in 0..3 {
        run_ok(&env, &["--rm", "--network", "back"], &["true"]);
    }
    run_ok(&env, &["-d", "--name", "web", "--network", "back"], &SLEEP);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    eventually("no process of the network is left", || traces_of(env.path()).is_empty());
}

#[test]
fn a_container_that_changes_its_hardware_address_is_cut_off() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    greet(&env, "db", &["--network", "back"]);
    run_ok(&env, &["-d", "--name", "thief", "--network", "back", "--cap-add", "NET_ADMIN,NET_RAW"], &SLEEP);
    is_greeted(&env, "thief", "db", "db");
    let spoof = "ip link set eth0 down && ip link set eth0 address 02:00:00:00:00:66 && ip link set eth0 up";
    let changed = inside(&env, "thief", spoof);
    assert_eq!(changed.code, 0, "{changed}");
    let db = address(&env, "db", "back");
    assert_eq!(inside(&env, "thief", &format!("nc -w 3 {db} 7 </dev/null")).stdout, "");
}

#[test]
fn ten_at_once_have_addresses_of_their_own() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    let rootfs = env.busybox_rootfs();
    let start = |number: u32| {
        let name = format!("c{number}");
        env.coracle(["run", "-d", "--network", "back", "--name", &name, "--rootfs"])
            .arg(&rootfs)
            .args(SLEEP)
            .start()
    };
    let running: Vec<_> = (0..10).map(start).collect();
    for one in running {
        let output = one.wait();
        assert_eq!(output.code, 0, "{output}");
    }
    let mut all: Vec<String> = (0..10).map(|number| address(&env, &format!("c{number}"), "back")).collect();
    all.sort();
    all.dedup();
    assert!(all.len() == 10 && all.iter().all(|ip| !ip.is_empty()), "{all:?}");
    for number in 0..10 {
        let seen = inside(&env, "c0", &format!("nslookup c{number}"));
        assert_eq!(seen.code, 0, "{seen}");
    }
}

#[test]
fn the_built_in_network_connects_by_address_only() {
    let env = TestEnv::new();
    greet(&env, "db", &["--network", "bridge"]);
    run_ok(&env, &["-d", "--name", "web", "--network", "podman"], &SLEEP);
    let ip = address(&env, "db", "podman");
    assert!(ip.starts_with("10.88."), "{ip}");
    is_greeted(&env, "web", &ip, "db");
    assert!(inside(&env, "web", "nslookup db").code != 0);
}
