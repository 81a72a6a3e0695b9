//! `--network pasta`, with the pasta that is installed.

use super::network::{HTTPD, ask, greeter, host_port, logs, run, run_ok};
use super::ps::field;
use crate::common::{TestEnv, eventually, skip};
use coracle::netns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};

/// Whether there is one to test.
fn installed() -> bool {
    let found = netns::pasta::find().is_ok();
    if !found {
        skip("pasta is not installed");
    }
    found
}

/// The pasta that a monitor has started.
fn of_monitor(env: &TestEnv, name: &str) -> Option<Pid> {
    let monitor = field(env, name, "{{.State.ConmonPid}}");
    let children = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).ok()?;
    let is_pasta = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.starts_with(b"pasta\0"))
    };
    let pids = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
    pids.filter(is_pasta).map(Pid::from_raw).next()
}

#[test]
fn it_has_an_address_a_route_names_and_a_way_to_the_host() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    let script = "ip -4 route; cat /etc/resolv.conf /etc/hosts";
    let seen = run_ok(&env, &["--rm", "--network", "pasta"], &["sh", "-c", script]);
    assert!(seen.stdout.contains("default via "), "{seen}");
    assert!(seen.stdout.contains("nameserver 169.254.1.1\n"), "{seen}");
    let Some(address) = netns::host_address() else {
        return skip("the rest: this machine has no address but loopback");
    };
    assert!(seen.stdout.contains("\thost.containers.internal host.docker.internal\n"), "{seen}");
    let port = greeter(address).to_string();
    // Old versions lose what a server sends to a client that has said already that it sends nothing.
    let script = format!("sleep 2 | nc -w 10 host.docker.internal {port}");
    let host = run_ok(&env, &["--rm", "--network", "pasta"], &["sh", "-c", &script]);
    assert_eq!(host.stdout, "hello from the host\n");
}

#[test]
fn the_hosts_loopback_is_closed() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    let port = greeter(Ipv4Addr::LOCALHOST);
    let script = format!(
        "gateway=$(ip -4 route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p'); nc -w 5 $gateway {port}; nc -w 5 host.containers.internal {port}"
    );
    let closed = run(&env, &["--rm", "--network", "pasta"], &["sh", "-c", &script]);
    assert!(closed.code != 0 && closed.stdout.is_empty(), "{closed}");
}

#[test]
fn a_published_port_shows_its_clients() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "--network", "pasta", "-p", "80"], &HTTPD);
    let port = host_port(&env, "web");
    assert!(ask(Ipv4Addr::LOCALHOST, port).starts_with("HTTP/1"));
    let mut clients = vec!["169.254.1.2".to_owned()];
    if let Some(address) = netns::host_address() {
        ask(address, port);
        clients.push(address.to_string());
    }
    if TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok() {
        ask(Ipv6Addr::LOCALHOST, port);
    }
    eventually("the server has logged its clients", || {
        let log = logs(&env, "web");
        clients.iter().all(|client| log.contains(&format!("{client}]:")))
    });
    assert_eq!(field(&env, "web", "{{.HostConfig.NetworkMode}}"), "pasta");
}

#[test]
fn it_is_started_again_and_goes_with_its_monitor() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "--network", "pasta", "-p", "80"], &HTTPD);
    let first = of_monitor(&env, "web").unwrap();
    kill(first, Signal::SIGKILL).unwrap();
    eventually("another one has come", || of_monitor(&env, "web").is_some_and(|pid| pid != first));
    assert!(ask(Ipv4Addr::LOCALHOST, host_port(&env, "web")).starts_with("HTTP/1"));
    let second = of_monitor(&env, "web").unwrap();
    let monitor: i32 = field(&env, "web", "{{.State.ConmonPid}}").parse().unwrap();
    assert!(monitor > 1);
    kill(Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    eventually("it has gone with its monitor", || kill(second, None).is_err());
    env.coracle(["rm", "-f", "web"]).ok();
}

#[test]
fn its_options_reach_it_and_unknown_ones_are_told() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    let options = "pasta:-a,10.55.0.9,--netmask=24,-g,10.55.0.1,--mtu,1400,-I,net0";
    let mac = ["--mac-address", "02:00:00:00:00:07"];
    let all = [&["--rm", "--network", options][..], &mac].concat();
    let seen = run_ok(&env, &all, &["sh", "-c", "ip addr show net0; cat /etc/hosts"]);
    for part in ["inet 10.55.0.9/24", "mtu 1400", "02:00:00:00:00:07", "\n10.55.0.9\t"] {
        assert!(seen.stdout.contains(part), "{part}: {seen}");
    }
    let refused = run(&env, &["--rm", "--network", "pasta:--colour=red"], &["true"]);
    assert_eq!(refused.code, 125, "{refused}");
    refused
        .says("pasta: unrecognized option '--colour=red'")
        .says("Hint: See what the installed version takes: ");
    let ours = run(&env, &["--rm", "--network", "pasta:--netns,/proc/self/ns/net"], &["true"]);
    assert_eq!(ours.code, 125, "{ours}");
    ours.says("--netns cannot be given");
}

#[test]
fn the_configuration_chooses_the_usual_network() {
    if !installed() {
        return;
    }
    let env = TestEnv::new();
    let config = env.path().join("config");
    std::fs::create_dir_all(config.join("coracle")).unwrap();
    let usual = |network: &str| {
        std::fs::write(config.join("coracle/coracle.toml"), format!("network = \"{network}\"\n")).unwrap();
        let run = env.coracle(["run", "--rm", "--rootfs"]).arg(env.busybox_rootfs());
        run.args(["ls", "/sys/class/net"]).env("XDG_CONFIG_HOME", &config).run()
    };
    assert_eq!(usual("none").lines(), ["lo"]);
    assert_eq!(usual("pasta:-I,net0").lines(), ["lo", "net0"]);
    assert_eq!(usual("slirp4netns").lines(), ["lo", "tap0"]);
    let refused = usual("container:web");
    assert_eq!(refused.code, 125, "{refused}");
    refused.says("coracle.toml").says("is for single containers");
}
