//! Networks, published ports and names, through the command line. The forwarder's own tests are in
//! tests/netns.

use super::docker::docker;
use super::ps::field;
use crate::common::{Output, TestEnv, eventually, skip};
use coracle::netns;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

/// A small web server that logs its clients, in the background.
pub(super) const HTTPD: [&str; 5] = ["httpd", "-f", "-vv", "-p", "80"];

/// `run OPTIONS... --rootfs BUSYBOX COMMAND...`.
pub(super) fn run(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    let rootfs = env.busybox_rootfs();
    env.coracle(["run"]).args(options).arg("--rootfs").arg(rootfs).args(command).run()
}

#[track_caller]
pub(super) fn run_ok(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    let output = run(env, options, command);
    assert_eq!(output.code, 0, "{output}");
    output
}

/// The host port of the first published port that `ps` shows for a container.
pub(super) fn host_port(env: &TestEnv, name: &str) -> u16 {
    let filter = format!("name={name}");
    let shown = env.coracle(["ps", "--filter", &filter, "--format", "{{.Ports}}"]).ok();
    let (before, _) = shown.text().split_once("->").unwrap_or_else(|| panic!("no port: {shown}"));
    before.rsplit(':').next().unwrap().parse().unwrap()
}

/// Asks a web server for `/` and gives the whole answer; waits until it serves.
pub(super) fn ask(host: impl Into<std::net::IpAddr>, port: u16) -> String {
    let host = host.into();
    let mut answer = String::new();
    eventually("the web server answers", || {
        answer.clear();
        let Ok(mut stream) = TcpStream::connect((host, port)) else { return false };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let asked = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && !answer.is_empty()
    });
    answer
}

/// What a container has written so far.
pub(super) fn logs(env: &TestEnv, name: &str) -> String {
    let output = env.coracle(["logs", name]).ok();
    output.stdout + &output.stderr
}

#[test]
fn network_none_has_loopback_only() {
    let env = TestEnv::new();
    let seen = run_ok(&env, &["--rm", "--network=none"], &["sh", "-c", "ls /sys/class/net; ip -o addr"]);
    assert!(seen.stdout.starts_with("lo\n"), "{seen}");
    assert!(seen.stdout.contains("127.0.0.1/8"), "{seen}");
    assert!(!seen.stdout.contains("tap0"), "{seen}");
}

#[test]
fn network_host_is_the_hosts_own() {
    let env = TestEnv::new();
    let seen = run_ok(&env, &["--rm", "--network=host"], &["readlink", "/proc/self/ns/net"]);
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(seen.text(), ours.to_str().unwrap());
}

#[test]
fn ports_mean_nothing_without_a_network_of_ones_own() {
    let env = TestEnv::new();
    for network in ["none", "host"] {
        let seen = run_ok(&env, &["--rm", "--network", network, "-p", "80:80"], &["true"]);
        seen.says(&format!("Port mappings have been discarded because \"{network}\" network namespace mode does not support them"));
    }
}

#[test]
fn the_default_network_has_an_address_a_route_and_names() {
    let env = TestEnv::new();
    let script = "ip -o -4 addr show tap0; ip route; cat /etc/hosts; cat /etc/resolv.conf";
    let options = ["--rm", "--name", "nice", "--hostname", "box", "--add-host", "db:10.1.2.3"];
    let seen = run_ok(&env, &options, &["sh", "-c", script]);
    for part in [
        "inet 10.0.2.100/24",
        "default via 10.0.2.2 dev tap0",
        "10.1.2.3\tdb\n",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost",
        "10.0.2.100\tbox nice\n",
        "host.containers.internal host.docker.internal\n",
        "nameserver 10.0.2.3\n",
    ] {
        assert!(seen.stdout.contains(part), "{part:?} is missing: {seen}");
    }
}

#[test]
fn slirp_options_reach_the_interface() {
    let env = TestEnv::new();
    let network = "slirp4netns:cidr=192.168.77.0/24,mtu=1400";
    let seen = run_ok(&env, &["--rm", "--network", network], &["ip", "addr", "show", "tap0"]);
    assert!(seen.stdout.contains("inet 192.168.77.100/24"), "{seen}");
    assert!(seen.stdout.contains("mtu 1400"), "{seen}");
}

#[test]
fn name_options_replace_the_hosts() {
    let env = TestEnv::new();
    let options = ["--rm", "--dns", "203.0.113.53", "--dns-search", "a.example", "--dns-option", "ndots:3"];
    let seen = run_ok(&env, &options, &["cat", "/etc/resolv.conf"]);
    assert_eq!(seen.stdout, "search a.example\nnameserver 203.0.113.53\noptions ndots:3\n");

    std::fs::write(env.busybox_rootfs().join("etc/resolv.conf"), "# the image's own\n").unwrap();
    let seen = run_ok(&env, &["--rm", "--dns", "none"], &["cat", "/etc/resolv.conf"]);
    assert_eq!(seen.stdout, "# the image's own\n");
}

/// A server on the host that greets everyone once; gives its port.
pub(super) fn greeter(address: Ipv4Addr) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"hello from the host\n");
        }
    });
    port
}

#[test]
fn the_host_is_reached_by_its_names() {
    let Some(address) = netns::host_address() else {
        return skip("this machine has no address but loopback");
    };
    let env = TestEnv::new();
    let port = greeter(address).to_string();
    for name in ["host.containers.internal", "host.docker.internal"] {
        let seen = run_ok(&env, &["--rm"], &["nc", "-w", "10", name, &port]);
        assert_eq!(seen.stdout, "hello from the host\n", "{name}");
    }
}

#[test]
fn the_hosts_loopback_is_closed_until_asked_for() {
    let env = TestEnv::new();
    let port = greeter(Ipv4Addr::LOCALHOST).to_string();
    let closed = run(&env, &["--rm"], &["nc", "-w", "5", "10.0.2.2", &port]);
    assert!(closed.code != 0 && closed.stdout.is_empty(), "{closed}");
    let network = "--network=slirp4netns:allow_host_loopback=true";
    let open = run_ok(&env, &["--rm", network], &["nc", "-w", "10", "host.containers.internal", &port]);
    assert_eq!(open.stdout, "hello from the host\n");
}

#[test]
fn a_published_port_shows_its_clients() {
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "-p", "80"], &HTTPD);
    let port = host_port(&env, "web");
    assert!(ask(Ipv4Addr::LOCALHOST, port).starts_with("HTTP/1"));
    let mut clients = vec!["10.0.2.2".to_owned()];
    match netns::host_address() {
        Some(address) => {
            ask(address, port);
            clients.push(address.to_string());
        }
        None => eprintln!("skipped the outer half: this machine has no address but loopback"),
    }
    if TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok() {
        ask(Ipv6Addr::LOCALHOST, port);
    }
    eventually("the server has logged its clients", || {
        let log = logs(&env, "web");
        clients.iter().all(|client| log.contains(&format!("{client}]:")))
    });
}

#[test]
fn an_address_keeps_a_port_from_others() {
    let Some(address) = netns::host_address() else {
        return skip("this machine has no address but loopback");
    };
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "-p", "127.0.0.1::80"], &HTTPD);
    let port = host_port(&env, "web");
    ask(Ipv4Addr::LOCALHOST, port);
    let refused = TcpStream::connect((address, port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn exposed_ports_are_published_on_request() {
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "-P", "--expose", "80"], &HTTPD);
    ask(Ipv4Addr::LOCALHOST, host_port(&env, "web"));
    run_ok(&env, &["-d", "--name", "quiet", "--expose", "80"], &["sleep", "60"]);
    let shown = env.coracle(["ps", "--filter", "name=quiet", "--format", "{{.Ports}}"]).ok();
    assert!(!shown.stdout.contains("->"), "{shown}");
}

#[test]
fn a_port_of_our_choice_is_the_same_after_a_restart() {
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "-p", "127.0.0.1::80", "-p", "81"], &["sleep", "600"]);
    let ports = || env.coracle(["port", "web"]).ok().lines();
    let chosen = ports();
    for _ in 0..8 {
        env.coracle(["restart", "-t", "0", "web"]).ok();
        assert_eq!(ports(), chosen);
    }
    env.coracle(["stop", "-t", "0", "web"]).ok();
    // Unless somebody else has it by then.
    let taken = chosen[0].trim_start_matches("80/tcp -> ");
    let holder = TcpListener::bind(taken).unwrap();
    env.coracle(["start", "web"]).ok();
    assert_ne!(ports()[0], chosen[0]);
    assert_eq!(ports().len(), 2);
    drop(holder);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
}

#[test]
fn a_taken_port_is_refused_before_anything_changes() {
    let env = TestEnv::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let refused = run(&env, &["--name", "web", "-p", &format!("127.0.0.1:{port}:80")], &["true"]);
    assert_eq!(refused.code, 125, "{refused}");
    let refused = refused.says(&format!("{port}: bind: address already in use"));
    assert!(refused.stderr.contains("Hint: See who has it: ss -tlnp"), "{refused}");
    assert!(refused.stdout.is_empty(), "{refused}");
}

#[test]
fn a_port_below_1024_names_the_sysctl() {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if nix::unistd::geteuid().is_root() || start.trim().parse::<u16>().unwrap() <= 7 {
        return skip("low ports are free for this user");
    }
    let env = TestEnv::new();
    let refused = run(&env, &["--rm", "-p", "7:80"], &["true"]);
    assert_eq!(refused.code, 125, "{refused}");
    refused.says("sudo sysctl net.ipv4.ip_unprivileged_port_start=7");
}

#[test]
fn a_port_is_free_when_the_command_returns() {
    let env = TestEnv::new();
    // Below the ports that the kernel gives to connections, which could take a free one in between.
    let first = 20_000 + std::process::id() % 10_000;
    run_ok(&env, &["-d", "--name", "web", "-p", &format!("{first}-{}:80", first + 99)], &HTTPD);
    let port = host_port(&env, "web");
    ask(Ipv4Addr::LOCALHOST, port);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    let publish = format!("{port}:80");
    for _ in 0..4 {
        run_ok(&env, &["--rm", "--name", "web", "-p", &publish], &["true"]);
    }
}

#[test]
fn a_killed_monitor_takes_network_and_ports_along() {
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "web", "-p", "80"], &HTTPD);
    let port = host_port(&env, "web");
    ask(Ipv4Addr::LOCALHOST, port);
    let id = env.containers().remove(0);
    let record = std::fs::read(env.root().join("containers").join(id).join("run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let monitor = record["monitor"]["pid"].as_i64().unwrap();
    let monitor = nix::unistd::Pid::from_raw(i32::try_from(monitor).unwrap());
    nix::sys::signal::kill(monitor, nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the port is free", || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok());
}

#[test]
fn bytes_pass_a_published_port_whole() {
    let env = TestEnv::new();
    run_ok(&env, &["-d", "--name", "echo", "-p", "80"], &["nc", "-ll", "-p", "80", "-e", "cat"]);
    let port = host_port(&env, "echo");
    let sent: Vec<u8> = (0..1u32 << 20).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut stream = None;
    eventually("the service listens", || {
        let Ok(mut candidate) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
        candidate.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut byte = [0u8];
        let greeted = candidate.write_all(&sent[..1]).and_then(|()| candidate.read_exact(&mut byte));
        stream = greeted.is_ok().then_some(candidate);
        stream.is_some()
    });
    let stream = stream.unwrap();
    let mut out = stream.try_clone().unwrap();
    let mut got = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            out.write_all(&sent[1..]).unwrap();
            out.shutdown(Shutdown::Write).unwrap();
        });
        (&stream).read_to_end(&mut got).unwrap();
    });
    assert!(got == sent[1..], "{} of {} bytes", got.len(), sent.len() - 1);
}

#[test]
fn without_a_network_there_is_no_host_to_name() {
    let env = TestEnv::new();
    let refused = run(&env, &["--network=none", "--add-host", "gw:host-gateway"], &["true"]);
    assert_eq!(refused.code, 125, "{refused}");
    refused.says("the host cannot be reached");
}

#[test]
fn bad_values_name_the_bad_part() {
    let env = TestEnv::new();
    for (options, part) in [
        (["-p", "80/dccp"], "\"dccp\" is not a protocol"),
        (["-p", "8080:x"], "the container port \"x\" is not a number"),
        (["--expose", "99999"], "99999 is not between 1 and 65535"),
        (["--network", "nowhere"], "unable to find network with name or ID nowhere: network not found"),
        (["--network", "slirp4netns:mtu=1"], "mtu \"1\" is not a number between 68 and 65521"),
        (["--add-host", "db"], "the address is missing"),
        (["--dns", "one.one"], "it is not an IP address"),
        (["--dns-search", "a b"], "it is not one plain word"),
    ] {
        let refused = run(&env, &options, &["true"]);
        assert_eq!(refused.code, 125, "{refused}");
        refused.says(part).says("Hint: ");
    }
    assert!(!env.root().join("containers").exists() || env.containers().is_empty());
}

#[test]
fn inspect_names_the_namespace_and_the_ports_that_reach_into_it() {
    let env = TestEnv::with_images();
    let run = |name: &str, network: &[&str]| {
        let call = env.coracle(["run", "-d", "--name", name]).args(network);
        call.args(["busybox", "sleep", "1000"]).ok();
    };
    run("web", &["-p", "127.0.0.1::80", "--network", "slirp4netns:mtu=1400"]);
    let port = host_port(&env, "web");
    run("beside", &["--network", "container:web"]);
    run("plain", &["--network", "host"]);
    let id = field(&env, "web", "{{.Id}}");
    let facts =
        "{{.HostConfig.NetworkMode}} {{json .NetworkSettings.Ports}} {{len .NetworkSettings.Networks}}";
    let ports = format!(r#"{{"80/tcp":[{{"HostIp":"127.0.0.1","HostPort":"{port}"}}]}} 1"#);
    assert_eq!(field(&env, "web", facts), format!("slirp4netns {ports}"));
    assert_eq!(field(&env, "beside", facts), format!("container:{id} {ports}"));
    assert_eq!(field(&env, "plain", facts), "host {} 1");
    // The addresses are those inside.
    let inside = env.coracle(["exec", "web", "ip", "-o", "addr", "show", "tap0"]).ok();
    let link = env.coracle(["exec", "web", "cat", "/sys/class/net/tap0/address"]).ok();
    for at in [".NetworkSettings", ".NetworkSettings.Networks.slirp4netns"] {
        let addresses = |name: &str| {
            let fields =
                ["IPAddress", "IPPrefixLen", "Gateway", "MacAddress"].map(|f| format!("{{{{{at}.{f}}}}}"));
            field(&env, name, &fields.join(" "))
        };
        assert_eq!(addresses("web"), format!("10.0.2.100 24 10.0.2.2 {}", link.text()));
        assert_eq!(addresses("beside"), addresses("web"));
    }
    assert!(inside.stdout.contains("inet 10.0.2.100/24"), "{inside}");
    let networks = docker(&env, &["ps", "-a", "--format", "{{.Names}} {{.Networks}}"]).ok().lines();
    assert_eq!(networks, ["plain host", "beside ", "web bridge"]);
    let bridge = "{{.HostConfig.NetworkMode}} {{.NetworkSettings.Networks.bridge.IPAddress}}";
    assert_eq!(docker(&env, &["inspect", "-f", bridge, "web"]).ok().text(), "bridge 10.0.2.100");
    let key = "{{.NetworkSettings.SandboxKey}}";
    let namespace = |name: &str| std::fs::read_link(field(&env, name, key)).unwrap();
    let inside = env.coracle(["exec", "web", "readlink", "/proc/self/ns/net"]).ok();
    assert_eq!(namespace("web").to_str().unwrap(), inside.text());
    assert_eq!(namespace("beside"), namespace("web"));
    assert_eq!(field(&env, "plain", &format!("[{key}]")), "[]");
    env.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    let stopped = ["create", "--name", "new", "busybox"];
    env.coracle(stopped).ok();
    assert_eq!(field(&env, "new", &format!("[{{{{.NetworkSettings.IPAddress}}}}{key}]")), "[]");
}
