//! Networks with many containers, and many changes: `make networks` for the long forms.

use super::networks::{address, inside, network, run_ok};
use crate::common::{TestEnv, entries, eventually, traces_of};
use std::collections::BTreeSet;

const SLEEP: [&str; 2] = ["sleep", "1000"];

/// So many in tests that run always, or so many in the long form.
fn count(short: u32, long: u32) -> u32 {
    match std::env::var_os("CORACLE_TEST_NETWORKS") {
        Some(_) => long,
        None => short,
    }
}

/// Starts so many at once, with these options.
fn start(env: &TestEnv, many: u32, options: &[&str]) {
    let rootfs = env.busybox_rootfs();
    let start = |number: u32| {
        let name = format!("c{number}");
        let call = env.coracle(["run", "-d", "--name", &name]).args(options).arg("--rootfs").arg(&rootfs);
        call.args(SLEEP).start()
    };
    let running: Vec<_> = (0..many).map(start).collect();
    for one in running {
        let output = one.wait();
        assert_eq!(output.code, 0, "{output}");
    }
}

#[test]
fn many_at_once_have_addresses_of_their_own_and_find_each_other() {
    let env = TestEnv::new();
    let many = count(16, 200);
    network(&env, &["--internal", "back"]);
    start(&env, many, &["--network", "back"]);
    let all: BTreeSet<String> =
        (0..many).map(|number| address(&env, &format!("c{number}"), "back")).collect();
    assert!(all.len() == many as usize && !all.contains(""), "{all:?}");
    let script = format!("for i in $(seq 0 {}); do nslookup c$i >/dev/null || echo c$i; done", many - 1);
    for asker in [0, many / 2, many - 1] {
        let seen = inside(&env, &format!("c{asker}"), &script);
        assert_eq!(seen.stdout, "", "{seen}");
    }
    env.coracle(["rm", "-f", "-t", "0", "-a"]).ok();
    eventually("no process of the network is left", || traces_of(env.path()).is_empty());
}

#[test]
fn free_ports_are_given_once() {
    let env = TestEnv::new();
    let many = count(8, 60);
    network(&env, &["--internal", "back"]);
    start(&env, many, &["--network", "back", "-p", "80", "-p", "81/udp"]);
    let mut ports = BTreeSet::new();
    for number in 0..many {
        let shown = env.coracle(["port", &format!("c{number}")]).ok().lines();
        assert_eq!(shown.len(), 2, "{shown:?}");
        for line in shown {
            let kind = line.contains("tcp");
            assert!(ports.insert((kind, line.rsplit(':').next().unwrap().to_owned())), "{line} twice");
        }
    }
}

#[test]
fn rounds_of_changes_leave_nothing() {
    let env = TestEnv::new();
    network(&env, &["--internal", "front"]);
    network(&env, &["--internal", "back"]);
    run_ok(&env, &["-d", "--name", "stays", "--network", "back"], &SLEEP);
    let shown = |what: &str| inside(&env, "stays", what).stdout;
    let before = shown("ls /sys/class/net");
    for number in 0..count(8, 1000) {
        let name = format!("c{number}");
        run_ok(&env, &["-d", "--name", &name, "--network", "front"], &SLEEP);
        env.coracle(["network", "connect", "back", &name]).ok();
        let seen = inside(&env, "stays", &format!("nslookup {name}"));
        assert_eq!(seen.code, 0, "{seen}");
        env.coracle(["network", "disconnect", "front", &name]).ok();
        if number % 2 == 0 {
            env.coracle(["network", "disconnect", "back", &name]).ok();
        }
        env.coracle(["rm", "-f", "-t", "0", &name]).ok();
    }
    assert_eq!(shown("ls /sys/class/net"), before);
    let members = env.coracle(["network", "inspect", "-f", "{{len .Containers}}", "back"]).ok();
    assert_eq!(members.text(), "1");
    env.coracle(["rm", "-f", "-t", "0", "stays"]).ok();
    env.coracle(["network", "rm", "front", "back"]).ok();
    eventually("no process of the networks is left", || traces_of(env.path()).is_empty());
    assert!(entries(&env.runroot().join("networks")).is_empty());
}
