//! Ends of pods: by their policy, by kills, under races; and that nothing is left.

use super::pods::{infra, pod, run, run_ok, state};
use super::ps::field;
use crate::common::{TestEnv, eventually, traces_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SLEEP: [&str; 2] = ["sleep", "1000"];

fn pid_of(env: &TestEnv, container: &str, which: &str) -> Pid {
    Pid::from_raw(field(env, container, which).parse().unwrap())
}

#[test]
fn a_pod_ends_with_its_last_container_if_it_is_to() {
    let env = TestEnv::new();
    pod(&env, &["create", "--name", "p", "--exit-policy", "stop"]);
    run_ok(&env, &["-d", "--pod", "p", "--init", "--name", "a"], &SLEEP);
    run_ok(&env, &["--rm", "--pod", "p"], &["true"]);
    assert_eq!(state(&env, "p"), "Running", "another one runs");
    env.coracle(["stop", "a"]).ok();
    eventually("the pod has ended", || state(&env, "p") == "Exited");
    assert_eq!(field(&env, &infra(&env, "p"), "{{.State.ExitCode}}"), "0");
    pod(&env, &["start", "p"]);
    assert_eq!(state(&env, "p"), "Running");
    pod(&env, &["rm", "-f", "-t0", "p"]);
    pod(&env, &["create", "--name", "q"]);
    run_ok(&env, &["--pod", "q", "--name", "b"], &["true"]);
    assert_eq!(state(&env, "q"), "Degraded", "the infra container runs on");
    pod(&env, &["rm", "q"]);
    assert!(traces_of(env.path()).is_empty());
}

#[test]
fn what_was_killed_is_mended_by_the_next_start() {
    for who in ["{{.State.Pid}}", "{{.State.ConmonPid}}"] {
        let env = TestEnv::new();
        pod(&env, &["create", "p"]);
        run_ok(
            &env,
            &["-d", "--pod", "p", "--init", "--name", "a"],
            &["sh", "-c", "echo up; exec sleep 1000"],
        );
        let before = field(&env, "a", "{{.State.Pid}}");
        kill(pid_of(&env, &infra(&env, "p"), who), Signal::SIGKILL).unwrap();
        eventually("the end of the infra container is seen", || state(&env, "p") == "Degraded");
        assert_eq!(field(&env, "a", "{{.State.Status}}"), "running", "as with podman, others run on");
        pod(&env, &["start", "p"]);
        assert_eq!(state(&env, "p"), "Running");
        assert_ne!(field(&env, "a", "{{.State.Pid}}"), before, "it is in the new namespaces");
        let same = env.coracle(["ps", "--ns", "--format", "{{.NET}}"]).ok().lines();
        assert!(same.len() == 2 && same[0] == same[1], "{same:?}");
        pod(&env, &["rm", "-f", "-t0", "p"]);
        assert!(traces_of(env.path()).is_empty());
    }
}

#[test]
fn two_commands_make_one_pod() {
    let env = TestEnv::new();
    for _ in 0..5 {
        let start = |name: &str| {
            env.coracle(["run", "-d", "--pod", "new:x", "--name", name, "--rootfs"])
                .arg(env.busybox_rootfs())
                .args(SLEEP)
                .start()
        };
        let both = [start("a"), start("b")];
        let codes: Vec<i32> = both.into_iter().map(|one| one.wait().code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
        assert_eq!(pod(&env, &["ps", "-q"]).lines().len(), 1);
        assert_eq!(env.containers().len(), 2);
        pod(&env, &["rm", "-f", "-t0", "x"]);
        assert!(env.containers().is_empty());
    }
}

#[test]
fn a_pod_is_removed_while_containers_come_and_start() {
    let env = TestEnv::new();
    for _ in 0..5 {
        pod(&env, &["create", "p"]);
        for name in ["a", "b"] {
            env.coracle(["create", "--pod", "p", "--name", name, "--rootfs"])
                .arg(env.busybox_rootfs())
                .args(SLEEP)
                .ok();
        }
        let starting = env.coracle(["pod", "start", "p"]).start();
        let coming = env
            .coracle(["run", "-d", "--pod", "p", "--name", "c", "--rootfs"])
            .arg(env.busybox_rootfs())
            .args(SLEEP)
            .start();
        env.coracle(["pod", "rm", "-f", "-t0", "p"]).ok();
        starting.wait();
        let come = coming.wait();
        env.coracle(["pod", "exists", "p"]).fails(1);
        assert!(env.containers().is_empty(), "{come}");
    }
    assert!(traces_of(env.path()).is_empty());
}

#[test]
fn a_damaged_record_keeps_its_containers() {
    let env = TestEnv::new();
    let id = pod(&env, &["create", "p"]);
    run_ok(&env, &["-d", "--pod", "p", "--name", "a"], &SLEEP);
    let record = env.root().join("pods").join(id.text()).join("pod.json");
    std::fs::write(&record, "{").unwrap();
    assert_eq!(field(&env, "a", "{{.State.Status}}"), "running");
    pod(&env, &["ps"]).says("is left alone");
    env.coracle(["pod", "start", "p"]).fails(125).says("is damaged");
    env.coracle(["system", "check"]).fails(125);
    env.coracle(["pod", "rm", "-f", "-t0", "p"]).ok();
    assert!(env.containers().is_empty());
    env.coracle(["system", "check"]).ok();
    let id = pod(&env, &["create", "q"]);
    std::fs::write(env.root().join("pods").join(id.text()).join("pod.json"), "{").unwrap();
    env.coracle(["system", "check", "--repair"]).ok();
    assert_eq!(pod(&env, &["ps", "-q"]).stdout, "");
    // Its infra container is a container like any other then.
    env.coracle(["rm", "-a"]).ok();
}

#[test]
fn pods_go_with_the_rest() {
    let env = TestEnv::new();
    pod(&env, &["create", "ended"]);
    run_ok(&env, &["--pod", "ended", "--name", "a"], &["true"]);
    pod(&env, &["stop", "ended"]);
    pod(&env, &["create", "fresh"]);
    let said = env.coracle(["system", "prune", "-f"]).ok();
    assert!(said.stdout.starts_with("Deleted Pods\n"), "{said}");
    assert_eq!(pod(&env, &["ps", "--format", "{{.Name}}"]).text(), "fresh");
    assert_eq!(run(&env, &["-d", "--pod", "fresh"], &SLEEP).code, 0);
    env.coracle(["system", "reset", "-f"]).ok();
    assert_eq!(pod(&env, &["ps", "-q"]).stdout, "");
    pod(&env, &["create", "fresh"]);
    pod(&env, &["rm", "fresh"]);
}

#[test]
fn containers_of_a_pod_that_need_one_another_go_together() {
    let env = TestEnv::new();
    pod(&env, &["create", "--name", "p", "--infra=false", "--share="]);
    let create = |options: &[&str]| {
        env.coracle(["create"]).args(options).arg("--rootfs").arg(env.busybox_rootfs()).args(SLEEP).ok();
    };
    create(&["--pod", "p", "--name", "a"]);
    create(&["--pod", "p", "--name", "b", "--requires", "a"]);
    create(&["--pod", "p", "--name", "c", "--requires", "a,b"]);
    create(&["--name", "outside", "--requires", "b"]);
    env.coracle(["pod", "rm", "-f", "p"]).fails(125).says("has dependent containers");
    assert_eq!(env.containers().len(), 4, "nothing was removed");
    env.coracle(["rm", "outside"]).ok();
    pod(&env, &["rm", "p"]);
    assert!(env.containers().is_empty());
}
