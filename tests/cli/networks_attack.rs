//! What a container with capabilities over its network does to its neighbours.

use super::networks::{address, greet, inside, is_greeted, network, run_ok};
use crate::common::{TestEnv, eventually, skip};
use std::fs;

const SLEEP: [&str; 2] = ["sleep", "1000"];
const POWERFUL: [&str; 4] = ["--cap-add", "NET_ADMIN,NET_RAW", "--sysctl", "net.ipv4.conf.all.arp_accept=1"];

/// Whether this kernel lets a user filter what goes through a bridge.
fn filters() -> bool {
    let builtin =
        fs::read_to_string(format!("/lib/modules/{}/modules.builtin", release())).unwrap_or_default();
    let known = |text: &str| text.contains("nf_tables");
    known(&builtin) || known(&fs::read_to_string("/proc/modules").unwrap_or_default()) || {
        let config = std::process::Command::new("zcat").arg("/proc/config.gz").output();
        config.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("CONFIG_NF_TABLES_BRIDGE="))
    }
}

fn release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// A victim, who asks, a server, who answers, and a thief.
fn scene(options: &[&str]) -> Option<TestEnv> {
    if !filters() {
        skip("this kernel has no nftables for bridges");
        return None;
    }
    let env = TestEnv::new();
    network(&env, &[&["--subnet", "198.51.100.0/24"], options, &["back"]].concat());
    greet(&env, "db", &["--network", "back"]);
    // It believes what is announced, where the default is to believe only answers.
    run_ok(&env, &[&["-d", "--name", "web", "--network", "back"], &POWERFUL[..]].concat(), &SLEEP);
    run_ok(&env, &[&["-d", "--name", "thief", "--network", "back"], &POWERFUL[..]].concat(), &SLEEP);
    is_greeted(&env, "web", "db", "db");
    is_greeted(&env, "thief", "db", "db");
    Some(env)
}

/// The hardware address that a container has for an address.
fn believed(env: &TestEnv, name: &str, ip: &str) -> String {
    let shown = inside(env, name, &format!("ip neigh show {ip}")).stdout;
    shown.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or_default().to_owned()
}

fn mac(env: &TestEnv, name: &str) -> String {
    inside(env, name, "cat /sys/class/net/eth0/address").stdout.trim().to_owned()
}

#[test]
fn a_neighbours_address_cannot_be_announced() {
    let Some(env) = scene(&[]) else { return };
    let (db, own) = (address(&env, "db", "back"), mac(&env, "db"));
    for claimed in [db.as_str(), "198.51.100.1"] {
        // As if it were its own: requests, answers, and announcements to all.
        let script = format!(
            "ip addr add {claimed}/32 dev eth0; for i in 1 2 3; do \
             arping -c 2 -w 2 -U -I eth0 -s {claimed} {claimed}; arping -c 2 -w 2 -A -I eth0 -s {claimed} {claimed}; \
             done; ip addr del {claimed}/32 dev eth0"
        );
        inside(&env, "thief", &script);
        let theirs = mac(&env, "thief");
        assert_ne!(believed(&env, "web", claimed), theirs, "{claimed}");
    }
    assert_eq!(believed(&env, "web", &db), own);
    is_greeted(&env, "web", "db", "db");
    is_greeted(&env, "web", &db, "db");
}

#[test]
fn who_takes_a_neighbours_address_is_cut_off() {
    let Some(env) = scene(&[]) else { return };
    let (db, web) = (address(&env, "db", "back"), address(&env, "web", "back"));
    let own = address(&env, "thief", "back");
    inside(&env, "thief", &format!("ip addr flush dev eth0; ip addr add {db}/24 dev eth0"));
    for _ in 0..3 {
        inside(&env, "thief", &format!("ping -c 1 -W 1 {web}"));
        is_greeted(&env, "web", &db, "db");
    }
    let answered = inside(&env, "thief", &format!("ping -c 2 -W 2 {web}"));
    assert!(answered.code != 0, "{answered}");
    // With its own it is back.
    inside(&env, "thief", &format!("ip addr flush dev eth0; ip addr add {own}/24 dev eth0"));
    is_greeted(&env, "thief", &db, "db");
}

#[test]
fn tags_bridges_and_further_interfaces_lead_nowhere() {
    let Some(env) = scene(&[]) else { return };
    let (db, web) = (address(&env, "db", "back"), address(&env, "web", "back"));
    let tagged = |name: &str, ip: &str| {
        let script = format!(
            "ip link add link eth0 name v7 type vlan id 7 && ip link set v7 up && ip addr add 203.0.113.{ip}/24 dev v7"
        );
        inside(&env, name, &script).code == 0
    };
    if tagged("thief", "1") && tagged("web", "2") {
        let seen = inside(&env, "thief", "ping -c 2 -W 1 203.0.113.2");
        assert!(seen.code != 0, "{seen}");
    } else {
        skip("the tagged part: this kernel has no VLANs");
    }
    for kind in ["macvlan mode bridge", "macvlan mode private"] {
        let script = format!(
            "ip link add link eth0 name m0 type {kind} && ip link set m0 up && ip addr add {db}/32 dev m0 && \
             ping -c 1 -W 1 -I m0 {web}; ip link del m0"
        );
        inside(&env, "thief", &script);
        is_greeted(&env, "web", &db, "db");
    }
    let script = format!(
        "ip link add b0 type bridge && ip link set b0 up && ip link set eth0 master b0 && ip addr add {db}/24 dev b0; \
         ping -c 2 -W 1 -I b0 {web}"
    );
    inside(&env, "thief", &script);
    is_greeted(&env, "web", &db, "db");
}

#[test]
fn slirp4netns_and_its_names_cannot_be_impersonated() {
    let Some(env) = scene(&[]) else { return };
    // The bridge's own neighbour, by which everything goes outside.
    let script = "ip addr add 10.0.2.2/32 dev eth0; for i in 1 2 3; do \
                  arping -c 1 -w 1 -U -I eth0 -s 10.0.2.2 10.0.2.2; arping -c 1 -w 1 -A -I eth0 -s 10.0.2.2 10.0.2.1; done";
    inside(&env, "thief", script);
    let Some(host) = coracle::netns::host_address() else {
        return skip("the rest: this machine has no address but loopback");
    };
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"hello from the host\n");
        }
    });
    eventually("the outside is reached", || {
        inside(&env, "web", &format!("nc -w 5 {host} {port} </dev/null")).stdout == "hello from the host\n"
    });
}

#[test]
fn a_neighbours_address_of_ipv6_cannot_be_taken() {
    if !std::path::Path::new("/proc/sys/net/ipv6").exists() {
        return skip("this kernel has no IPv6");
    }
    let Some(env) = scene(&["--ipv6"]) else { return };
    env.coracle(["rm", "-f", "-t", "0", "thief"]).ok();
    let announces = ["dad_transmits=0", "ndisc_notify=1", "keep_addr_on_down=1"];
    let announces: Vec<String> =
        announces.iter().map(|one| format!("--sysctl=net.ipv6.conf.eth0.{one}")).collect();
    let mut options = [&["-d", "--name", "thief", "--network", "back"], &POWERFUL[..]].concat();
    options.extend(announces.iter().map(String::as_str));
    run_ok(&env, &options, &SLEEP);
    let six = super::ps::field(&env, "db", "{{.NetworkSettings.Networks.back.GlobalIPv6Address}}");
    is_greeted(&env, "web", &six, "db");
    let own = mac(&env, "db");
    // An address that comes up with its interface is announced to everybody, where nobody is asked before.
    let script = format!(
        "ip addr add {six}/64 dev eth0 && ip link set eth0 down && ip link set eth0 up && ip -6 addr show dev eth0"
    );
    let seen = inside(&env, "thief", &script);
    assert!(seen.stdout.contains(&six), "{seen}");
    is_greeted(&env, "web", &six, "db");
    assert_eq!(believed(&env, "web", &six), own);
}

#[test]
fn addresses_outside_the_network_may_be_used() {
    let Some(env) = scene(&[]) else { return };
    for (name, ip) in [("thief", "203.0.113.1"), ("web", "203.0.113.2")] {
        let given = inside(&env, name, &format!("ip addr add {ip}/24 dev eth0"));
        assert_eq!(given.code, 0, "{given}");
    }
    let seen = inside(&env, "thief", "ping -c 2 -W 5 203.0.113.2");
    assert_eq!(seen.code, 0, "{seen}");
}
