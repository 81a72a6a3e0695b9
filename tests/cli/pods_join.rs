//! What a container gets from its pod, what it may choose itself, and what is refused.

use super::pods::{infra, pod, run, run_ok, state};
use super::ps::field;
use crate::common::TestEnv;

const SLEEP: [&str; 2] = ["sleep", "1000"];

#[test]
fn what_only_the_pod_can_have_is_refused() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    for (options, said) in [
        (&["-p", "80:80"][..], "published or exposed ports must be defined when the pod is created"),
        (&["-P"], "published or exposed ports must be defined when the pod is created"),
        (&["--hostname", "x"], "cannot set hostname when joining the pod UTS namespace"),
        (&["--add-host", "a:192.0.2.1"], "extra host entries must be specified on the pod"),
        (&["--dns", "192.0.2.1"], "name servers must be specified on the pod"),
        (&["--userns", "keep-id"], "--userns and --pod cannot be set together"),
        (&["--pod-id-file", "x"], "--pod"),
    ] {
        let refused = run(&env, &[&["--rm", "--pod", "p"], options].concat(), &["true"]);
        assert_eq!(refused.code, 125, "{options:?}: {refused}");
        refused.says(said);
    }
    assert_eq!(state(&env, "p"), "Created", "nothing was started for them");
    for (options, said) in [
        (
            &["--infra=false", "--share", "net"][..],
            "cannot set share(net) namespaces without an infra container",
        ),
        (&["--infra=false", "-p", "80:80"], "you must have an infra container"),
        (&["--infra=false", "--infra-name", "x"], "cannot set infra-name"),
        (&["--infra=false", "--no-hosts"], "cannot specify --no-hosts"),
        (&["--infra=false", "--network", "none"], "cannot set --network without an infra container"),
        (&["--infra=false", "--ip", "10.88.0.9"], "cannot set --ip without an infra container"),
        (&["--infra=false", "--dns", "192.0.2.1"], "cannot set --dns without an infra container"),
        (&["--infra=false", "--add-host", "a:192.0.2.1"], "cannot set --add-host without"),
        (&["--infra=false", "--sysctl", "net.ipv4.ip_forward=1"], "cannot set --sysctl without"),
        (&["--ip", "10.0.2.50"], "--ip can only be set when the network mode is bridge"),
        (&["--gpus", "all"], "no CDI specification"),
        (&["--sysctl", "kernel.hostname=x"], "kernel.hostname cannot be set for a container"),
        (&["--share", "mnt"], "mount sharing functionality not supported"),
        (&["--share", "wat"], "invalid kernel namespace to share: wat"),
        (&["--share", "cgroup"], "cannot define the pod as the cgroup parent"),
        (&["--exit-policy", "wat"], "invalid pod exit policy"),
        (&["--infra-command", "/x"], "--infra-command needs --infra-image"),
        (&["--name", "x", "y"], "cannot specify --name and NAME at the same time"),
        (&["--network", "nosuch"], "network not found"),
        (&["-v", "/nosuch:/x"], "no such file or directory"),
    ] {
        env.coracle(["pod", "create"]).args(options).fails(125).says(said);
    }
    assert_eq!(run(&env, &["--rm", "--pod", "nosuch"], &["true"]).code, 125);
    assert_eq!(run(&env, &["--rm", "--pod", "new:"], &["true"]).says("at least one character").code, 125);
    pod(&env, &["rm", "p"]);
}

#[test]
fn members_are_where_the_pod_was_put() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "--subnet=10.123.45.0/24", "--subnet=fd12:3456::/64", "front"]).ok();
    let place = ["--ip=10.123.45.67", "--ip6=fd12:3456::67", "--mac-address=02:00:00:00:00:67"];
    let options =
        ["create", "--name=p", "--network=front", "--sysctl=net.ipv4.ip_unprivileged_port_start=99"];
    pod(&env, &[&options[..], &place].concat());
    for _ in 0..2 {
        let script =
            "ip -o addr show eth0; ip -o link show eth0; cat /proc/sys/net/ipv4/ip_unprivileged_port_start";
        let seen = run_ok(&env, &["--rm", "--pod=p"], &["sh", "-c", script]).stdout;
        for part in ["10.123.45.67/24", "fd12:3456::67/64", "02:00:00:00:00:67"] {
            assert!(seen.contains(part), "{part}: {seen}");
        }
        assert_eq!(seen.lines().last(), Some("99"));
        pod(&env, &["restart", "p"]);
    }
    pod(&env, &["rm", "-f", "-t0", "p"]);
}

#[test]
fn a_container_may_choose_other_namespaces() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    let options = ["--rm", "--pod", "p", "--uts", "private", "--network", "none", "--ipc", "private"];
    let told = run_ok(&env, &options, &["sh", "-c", "hostname; ls /sys/class/net"]);
    assert_ne!(told.lines()[0], "p");
    assert_eq!(told.lines()[1], "lo");
    pod(&env, &["rm", "p"]);
}

#[test]
fn process_ids_are_shared_when_asked_for() {
    let env = TestEnv::new();
    pod(&env, &["create", "--name", "p", "--share", "+pid"]);
    run_ok(&env, &["-d", "--pod", "p", "--name", "a"], &["sleep", "1234"]);
    let seen =
        run_ok(&env, &["--rm", "--pod", "p"], &["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]);
    assert!(seen.stdout.contains("sleep 1234"), "{seen}");
    // Orphans become children of the infra container, which reaps them.
    run_ok(&env, &["--rm", "--pod", "p"], &["sh", "-c", "(sleep 0.1 &) ; exit 0"]);
    env.coracle(["exec", "a", "sh", "-c", "sleep 0.3; grep -l 'State:.Z' /proc/[0-9]*/status; true"]).ok();
    pod(&env, &["rm", "-f", "-t0", "p"]);
}

#[test]
fn what_the_pod_is_given_its_containers_have() {
    let env = TestEnv::new();
    env.file("given/x", "told");
    let given = format!("{}:/given:ro", env.path().join("given").display());
    pod(
        &env,
        &[
            "create",
            "--name",
            "p",
            "-v",
            &given,
            "-v",
            "shared:/data",
            "--security-opt",
            "no-new-privileges",
            "--restart",
            "on-failure:2",
        ],
    );
    let script = "cat /given/x; echo; grep NoNewPrivs /proc/self/status; echo made >/data/y";
    let told = run_ok(&env, &["--pod", "p", "--name", "a"], &["sh", "-c", script]);
    assert_eq!(told.lines(), ["told", "NoNewPrivs:\t1"]);
    assert_eq!(run_ok(&env, &["--rm", "--pod", "p"], &["cat", "/data/y"]).text(), "made");
    assert_eq!(run_ok(&env, &["--rm", "--pod", "p", "-v", "other:/data"], &["ls", "/data"]).stdout, "");
    assert_eq!(field(&env, "a", "{{.HostConfig.RestartPolicy.Name}}"), "on-failure");
    assert_eq!(pod(&env, &["inspect", "-f", "{{.RestartPolicy}}", "p"]).text(), "on-failure:2");
    pod(&env, &["rm", "p"]);
    env.coracle(["volume", "rm", "shared", "other"]).ok();
}

#[test]
fn a_pod_has_user_ids_of_its_own() {
    let env = TestEnv::new();
    pod(&env, &["create", "--name", "p", "--userns", "keep-id"]);
    let own = nix::unistd::getuid();
    let image = env
        .coracle(["run", "--rm", "--pod", "p", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(["id", "-u"])
        .run();
    // Files of a directory cannot be shown under other ids.
    image.says("--rootfs cannot be used with another id map");
    let with_images = TestEnv::with_images();
    pod(&with_images, &["create", "--name", "p", "--userns", "keep-id"]);
    let told = with_images.coracle(["run", "--rm", "--pod", "p", "busybox", "id", "-u"]).ok();
    assert_eq!(told.text(), own.to_string());
    pod(&with_images, &["rm", "p"]);
    pod(&env, &["rm", "p"]);
}

#[test]
fn a_pod_is_on_networks_for_its_containers() {
    let env = TestEnv::new();
    env.coracle(["network", "create", "back"]).ok();
    pod(&env, &["create", "--name", "db", "--network", "back", "--network-alias", "store"]);
    run_ok(
        &env,
        &["-d", "--pod", "db", "--name", "one"],
        &["sh", "-c", "while :; do echo here | nc -l -p 7; done"],
    );
    let script = "until nc -w 5 store 7 </dev/null; do sleep 0.1; done";
    assert_eq!(run_ok(&env, &["--rm", "--network", "back"], &["sh", "-c", script]).text(), "here");
    assert_eq!(
        pod(&env, &["ps", "--filter", "network=back", "--format", "{{.Name}} {{.Networks}}"]).text(),
        "db back"
    );
    env.coracle(["network", "rm", "back"]).fails(2).says("network is being used");
    assert_eq!(infra(&env, "db").len(), 64);
    pod(&env, &["rm", "-f", "-t0", "db"]);
    env.coracle(["network", "rm", "back"]).ok();
}

#[test]
fn an_infra_container_may_have_an_image() {
    let env = TestEnv::with_images();
    pod(
        &env,
        &[
            "create",
            "--name",
            "p",
            "--infra-image",
            "busybox",
            "--infra-command",
            "[\"sleep\", \"1000\"]",
            "--infra-name",
            "holder",
        ],
    );
    pod(&env, &["start", "p"]);
    assert_eq!(
        env.coracle(["ps", "--format", "{{.Names}} {{.Command}} {{.IsInfra}}"]).ok().text(),
        "holder sleep 1000 true"
    );
    let told = env.coracle(["run", "--rm", "--pod", "p", "busybox", "hostname"]).ok();
    assert_eq!(told.text(), "p");
    pod(&env, &["stop", "-t0", "p"]);
    pod(&env, &["rm", "p"]);
}

#[test]
fn paused_pods_are_paused_as_a_whole() {
    let env = TestEnv::new();
    pod(&env, &["create", "p"]);
    run_ok(&env, &["-d", "--pod", "p", "--name", "a"], &SLEEP);
    let paused = env.coracle(["pod", "pause", "p"]).run();
    if paused.code != 0 {
        crate::common::skip(&format!("this account has no cgroup to pause in: {paused}"));
    } else {
        assert_eq!(state(&env, "p"), "Paused");
        pod(&env, &["unpause", "--all"]);
        assert_eq!(state(&env, "p"), "Running");
    }
    pod(&env, &["rm", "-f", "-t0", "p"]);
}
