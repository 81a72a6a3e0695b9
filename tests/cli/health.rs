//! Health checks: by the monitor and by hand, what they say and what follows.

use super::ps::{IDLE, field, start};
use crate::common::{TestEnv, busybox, eventually, shared_registry};
use std::path::Path;
use std::time::{Duration, Instant};

fn status(env: &TestEnv, name: &str) -> String {
    field(env, name, "{{.State.Health.Status}}")
}

fn becomes(env: &TestEnv, name: &str, wanted: &str) {
    eventually(&format!("{name} is {wanted}"), || status(env, name) == wanted);
}

fn shown(env: &TestEnv, name: &str) -> String {
    env.coracle(["ps", "-a", "--format", "{{.Status}}", "-f", &format!("name={name}")]).ok().text().to_owned()
}

#[test]
fn the_monitor_checks_and_everybody_shows_it() {
    let env = TestEnv::new();
    let options =
        ["--health-cmd", "echo seen; test -e /tmp/well", "--health-interval=100ms", "--health-retries=2"];
    start(&env, "web", &options, IDLE);
    becomes(&env, "web", "unhealthy");
    assert!(shown(&env, "web").contains(" (unhealthy)"), "{}", shown(&env, "web"));
    env.coracle(["exec", "web", "touch", "/tmp/well"]).ok();
    becomes(&env, "web", "healthy");
    assert!(shown(&env, "web").ends_with(" (healthy)"));
    let names = |filter: &str| env.coracle(["ps", "-f", filter, "--format", "{{.Names}}"]).ok().lines();
    assert_eq!(names("health=healthy"), ["web"]);
    assert_eq!((names("health=unhealthy").len(), names("health=none").len()), (0, 0));
    env.coracle(["ps", "-f", "health=fine"]).fails(125);
    assert_eq!(field(&env, "web", "{{.State.Health.FailingStreak}}"), "0");
    let log = field(&env, "web", "{{json .State.Health.Log}}");
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let log = log.as_array().unwrap();
    assert!(!log.is_empty() && log.len() <= 5, "{log:?}");
    assert_eq!(
        (&log[log.len() - 1]["ExitCode"], &log[log.len() - 1]["Output"]),
        (&0.into(), &"seen\n".into())
    );
    let told =
        ["events", "--stream=false", "-f", "event=health_status", "--format", "{{.HealthStatus}} {{.Name}}"];
    let told = env.coracle(told).ok().lines();
    assert!(
        told.contains(&"unhealthy web".to_owned()) && told.contains(&"healthy web".to_owned()),
        "{told:?}"
    );
    let config = field(&env, "web", "{{json .Config.Healthcheck}}");
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((&config["Interval"], &config["Retries"]), (&100_000_000.into(), &2.into()));
    assert_eq!(config["Test"][0], "CMD-SHELL");
    // No trace in the list of execs.
    assert_eq!(field(&env, "web", "{{len .ExecIDs}}"), "0");
    env.coracle(["stop", "web"]).ok();
    assert!(!shown(&env, "web").contains("healthy"));
}

#[test]
fn a_check_by_hand_has_exit_codes() {
    let env = TestEnv::new();
    let check = ["--health-cmd", "test -e /tmp/well", "--health-interval=disable"];
    let options = [&check[..], &["--health-start-interval=2s"]].concat();
    start(&env, "web", &options, IDLE);
    assert_eq!(field(&env, "web", "{{.Config.Healthcheck.StartInterval}}"), "2s");
    assert_eq!(status(&env, "web"), "starting");
    assert!(shown(&env, "web").ends_with(" (starting)"));
    assert_eq!(env.coracle(["healthcheck", "run", "web"]).fails(1).text(), "unhealthy");
    assert_eq!(field(&env, "web", "{{.State.Health.FailingStreak}}"), "1");
    env.coracle(["exec", "web", "touch", "/tmp/well"]).ok();
    assert_eq!(env.coracle(["healthcheck", "run", "web"]).ok().stdout, "");
    assert_eq!(status(&env, "web"), "healthy");
    env.coracle(["healthcheck", "run", "nobody"]).fails(125).says("nobody");
    env.coracle(["healthcheck", "run"]).fails(125);
    env.coracle(["stop", "web"]).ok();
    env.coracle(["healthcheck", "run", "web"]).fails(125).says("container state improper");
    start(&env, "plain", &[], IDLE);
    env.coracle(["healthcheck", "run", "plain"]).fails(125).says("has no defined healthcheck");
    assert_eq!(field(&env, "plain", "{{.State.Health.Status}}|{{.State.Health.FailingStreak}}"), "|0");
    let config = "{{.Config.Healthcheck}} {{.Config.HealthcheckOnFailureAction}}";
    assert_eq!(field(&env, "plain", config), "<nil> none");
}

#[test]
fn a_check_that_takes_too_long_is_killed_with_what_it_started() {
    let env = TestEnv::new();
    let endless = "echo before; sleep 4321 & sleep 4321; echo after";
    let options = ["--health-cmd", endless, "--health-timeout=1s", "--health-interval=disable"];
    start(&env, "web", &options, IDLE);
    assert_eq!(env.coracle(["healthcheck", "run", "web"]).fails(1).text(), "unhealthy");
    let output = field(&env, "web", "{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}");
    assert!(output.starts_with("-1 before") && output.contains("took too long"), "{output}");
    let left = env.coracle(["exec", "web", "ps", "-o", "args"]).ok();
    assert!(!left.stdout.contains("4321"), "{left}");
}

#[test]
fn a_stop_ends_a_check_without_a_verdict() {
    let env = TestEnv::new();
    let slow = ["--health-cmd", "touch /begun; sleep 4321", "--health-interval=disable", "-t"];
    start(&env, "web", &slow, IDLE);
    let check = env.coracle(["healthcheck", "run", "web"]).start();
    let begun = || env.coracle(["exec", "web", "test", "-e", "/begun"]).run().code == 0;
    eventually("the check is under way", begun);
    env.coracle(["stop", "web"]).ok();
    let output = check.wait();
    assert_eq!((output.code, output.text()), (1, "stopped"), "{output}");
    assert_eq!(field(&env, "web", "{{len .State.Health.Log}}"), "0");
}

#[test]
fn a_command_that_is_not_there_is_a_failure() {
    let env = TestEnv::new();
    let options = ["--health-cmd", r#"["nosuch", "x"]"#, "--health-interval=disable"];
    start(&env, "web", &options, IDLE);
    env.coracle(["healthcheck", "run", "web"]).fails(1);
    let log = field(&env, "web", "{{range .State.Health.Log}}{{.ExitCode}} {{.Output}}{{end}}");
    assert!(log.starts_with("127 ") && log.contains("nosuch"), "{log}");
}

#[test]
fn what_follows_from_being_unhealthy() {
    let env = TestEnv::new();
    let sick =
        ["--health-cmd", "exit 1", "--health-interval=100ms", "--health-retries=1", "--health-on-failure"];
    let options = |action| [&sick[..], &[action]].concat();
    start(&env, "killed", &options("kill"), IDLE);
    eventually("it is killed", || field(&env, "killed", "{{.State.Status}}") == "exited");
    assert_eq!(field(&env, "killed", "{{.State.ExitCode}}"), "137");
    let stop = [&options("stop")[..], &["--restart", "always"]].concat();
    start(&env, "stopped", &stop, "trap 'exit 7' TERM; while :; do sleep 0.05; done");
    eventually("it is stopped", || field(&env, "stopped", "{{.State.Status}}") == "exited");
    assert_eq!(field(&env, "stopped", "{{.State.ExitCode}}"), "7");
    start(&env, "again", &options("restart"), IDLE);
    let restarts = || field(&env, "again", "{{.RestartCount}}").parse::<u32>().unwrap_or(0);
    eventually("it is restarted twice", || restarts() >= 2);
    env.coracle(["stop", "again"]).ok();
    assert_eq!(field(&env, "again", "{{.State.Status}}"), "exited");
    start(&env, "left", &options("none"), IDLE);
    becomes(&env, "left", "unhealthy");
    assert_eq!(field(&env, "left", "{{.State.Status}}"), "running");
    // By hand, and without a timer, too.
    let by_hand = [
        "--health-cmd",
        "false",
        "--health-interval=disable",
        "--health-retries=1",
        "--health-on-failure=kill",
    ];
    start(&env, "hand", &by_hand, IDLE);
    env.coracle(["healthcheck", "run", "hand"]).fails(1);
    eventually("it is killed", || field(&env, "hand", "{{.State.ExitCode}}") == "137");
}

#[test]
fn startup_checks_come_before_the_regular_ones() {
    let env = TestEnv::new();
    let options = [
        "--health-cmd",
        "echo regular",
        "--health-interval=100ms",
        "--health-startup-cmd",
        "echo startup; test -e /tmp/up",
        "--health-startup-interval=100ms",
        "--health-startup-success=2",
    ];
    start(&env, "web", &options, IDLE);
    let outputs = || field(&env, "web", "{{range .State.Health.Log}}{{.Output}}{{end}}");
    eventually("three have failed", || outputs().matches("startup").count() >= 3);
    assert_eq!(status(&env, "web"), "starting");
    assert!(!outputs().contains("regular"));
    env.coracle(["exec", "web", "touch", "/tmp/up"]).ok();
    becomes(&env, "web", "healthy");
    eventually("the regular ones run", || outputs().contains("regular"));
    // Too many failures restart it.
    let options = [
        "--health-cmd=true",
        "--health-startup-cmd=false",
        "--health-startup-interval=100ms",
        "--health-startup-retries=2",
    ];
    start(&env, "stuck", &options, IDLE);
    eventually("it is restarted", || field(&env, "stuck", "{{.RestartCount}}") != "0");
}

#[test]
fn results_are_kept_where_and_as_far_as_is_asked() {
    let env = TestEnv::new();
    let place = env.path().join("logs");
    std::fs::create_dir(&place).unwrap();
    let run = |name: &str| env.coracle(["healthcheck", "run", name]).ok();
    let base = [
        "--health-cmd=echo 123456789",
        "--health-interval=disable",
        "--health-max-log-count=2",
        "--health-max-log-size=4",
    ];
    let lengths = |name: &str| field(&env, name, "{{range .State.Health.Log}}{{.Output}},{{end}}");
    start(&env, "local", &base, IDLE);
    (0..4).for_each(|_| drop(run("local")));
    assert_eq!(lengths("local"), "1234,1234,");
    let directory = format!("--health-log-destination={}", place.display());
    let id = start(&env, "file", &[&base[..], &[&directory]].concat(), IDLE);
    (0..3).for_each(|_| drop(run("file")));
    assert_eq!((lengths("file"), status(&env, "file")), ("1234,1234,".into(), "healthy".into()));
    assert!(place.join(format!("{id}-healthcheck.log")).exists());
    start(&env, "told", &[&base[..], &["--health-log-destination=events_logger"]].concat(), IDLE);
    run("told");
    assert_eq!((lengths("told"), status(&env, "told")), (String::new(), "healthy".into()));
    let told =
        env.coracle(["events", "--stream=false", "-f", "container=told", "-f", "event=health_status"]).ok();
    assert!(told.stdout.contains("health_log=1234"), "{told}");
    let all = [
        "--health-cmd=echo 123456789",
        "--health-interval=disable",
        "--health-max-log-count=0",
        "--health-max-log-size=0",
    ];
    start(&env, "all", &all, IDLE);
    (0..7).for_each(|_| drop(run("all")));
    assert_eq!(lengths("all"), "123456789\n,".repeat(7));
}

#[test]
fn the_image_brings_its_check_and_options_change_it() {
    let env = TestEnv::new();
    let check =
        serde_json::json!({"Test": ["CMD-SHELL", "exit 0"], "Interval": 5_000_000_000_u64, "Retries": 7});
    busybox().config("Healthcheck", check).push(shared_registry(), "health/image", "v1");
    let name = shared_registry().reference("health/image", "v1");
    let run = |options: &[&str]| {
        let call = env.coracle(["run", "-d", "-q", "--network=none"]).args(options).arg(&name);
        call.args(["/bin/busybox", "sleep", "500"]).ok().text().to_owned()
    };
    let plain = run(&[]);
    becomes(&env, &plain, "healthy");
    let changed = run(&["--health-retries=2"]);
    let of = |id: &str| field(&env, id, "{{json .Config.Healthcheck}}");
    assert!(
        of(&changed).contains(r#""Interval":5000000000,"Timeout":30000000000,"Retries":2"#),
        "{}",
        of(&changed)
    );
    for off in ["--no-healthcheck", "--health-cmd=none"] {
        assert_eq!(field(&env, &run(&[off]), "{{.State.Health.Status}}"), "", "{off}");
    }
}

#[test]
fn wrong_options_are_refused_before_anything_changes() {
    let env = TestEnv::new();
    for wrong in [
        &["--health-cmd= "][..],
        &["--health-on-failure=kill"],
        &["--health-cmd=true", "--no-healthcheck"],
        &["--health-cmd=true", "--health-retries=0"],
        &["--health-cmd=true", "--health-retries=many"],
        &["--health-cmd=true", "--health-timeout=10ms"],
        &["--health-cmd=true", "--health-interval=often"],
        &["--health-cmd=true", "--health-start-period=-1s"],
        &["--health-cmd=true", "--health-on-failure=pray"],
        &["--health-cmd=true", "--health-log-destination=/nonexistent/place"],
        &["--health-cmd=true", "--health-max-log-count=-1"],
        &["--health-cmd=true", "--health-max-log-size=big"],
        &["--health-cmd=true", "--health-startup-retries=2"],
        &["--health-cmd=true", "--health-startup-cmd=true", "--health-startup-timeout=1ms"],
        &["--health-startup-cmd=true"],
    ] {
        let call = env.coracle(["run", "-d", "--network=none"]).args(wrong);
        call.arg("--rootfs").arg(env.busybox_rootfs()).args(["true"]).fails(125);
    }
    assert!(env.containers().is_empty());
}

/// Checks must not leak the container's streams, or clients would wait for ever.
#[test]
fn an_attached_client_gets_its_end_while_a_check_hangs() {
    let env = TestEnv::new();
    let call =
        env.coracle(["run", "--rm", "--network=none", "--health-cmd=sleep 4321", "--health-timeout=100s"]);
    let ended = call.arg("--rootfs").arg(env.busybox_rootfs()).args(["sh", "-c", "sleep 1; exit 5"]).fails(5);
    assert_eq!(ended.stdout, "");
    assert!(env.containers().is_empty());
}

/// The monitor stays small, and alone: the leaf of each check is gone when the check is over.
#[test]
fn the_monitor_is_small_again_after_its_checks() {
    let env = TestEnv::new();
    start(&env, "never", &["--no-healthcheck"], IDLE);
    start(&env, "often", &["--health-cmd=true", "--health-interval=50ms"], IDLE);
    let begun = Instant::now();
    becomes(&env, "often", "healthy");
    let monitor = |name: &str| Path::new("/proc").join(field(&env, name, "{{.State.ConmonPid}}"));
    let (never, often) = (monitor("never"), monitor("often"));
    // In kB. What a monitor maps of its own program counts, too: a check runs code that waiting does not.
    let resident = |process: &Path| {
        let status = std::fs::read_to_string(process.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    // Longer than the time after which a monitor first releases memory.
    eventually("there were many checks", || {
        let options = ["events", "--stream=false", "-f", "event=health_status", "-f", "container=often"];
        begun.elapsed() > Duration::from_secs(1) && env.coracle(options).ok().lines().len() > 10
    });
    env.coracle(["update", "--no-healthcheck", "often"]).ok();
    eventually("the monitor is as small as one without checks", || {
        // Both have been waiting long enough to be small.
        begun.elapsed() > Duration::from_secs(2) && resident(&often) <= resident(&never) + 1024
    });
    assert_eq!(std::fs::read_dir(often.join("task")).unwrap().count(), 1);
}

#[test]
fn a_check_that_ends_after_its_removal_leaves_no_health() {
    let env = TestEnv::new();
    let slow = "touch /began; while [ ! -e /go ]; do sleep 0.05; done";
    let options = ["--health-interval=disable", "--health-timeout=1h", "--health-cmd", slow];
    start(&env, "web", &options, IDLE);
    let inside = |words: &[&str]| env.coracle(["exec", "web"]).args(words).run();
    let checking = env.coracle(["healthcheck", "run", "web"]).start();
    eventually("the check runs", || inside(&["test", "-e", "/began"]).code == 0);
    env.coracle(["update", "--no-healthcheck", "web"]).ok();
    inside(&["touch", "/go"]);
    let output = checking.wait();
    assert!(output.code == 125 && output.stderr.contains("has no defined healthcheck"), "{output}");
    assert!(!shown(&env, "web").contains("healthy"), "{}", shown(&env, "web"));
}

#[test]
fn update_changes_the_check_of_a_container_that_runs() {
    let env = TestEnv::new();
    start(&env, "web", &["--health-cmd=false", "--health-interval=100ms", "--health-retries=1"], IDLE);
    becomes(&env, "web", "unhealthy");
    env.coracle(["update", "--health-cmd", "exit 0", "web"]).ok();
    becomes(&env, "web", "healthy");
    let config = field(&env, "web", "{{json .Config.Healthcheck}}");
    assert!(config.contains(r#""exit 0""#) && config.contains(r#""Interval":100000000"#), "{config}");
    env.coracle(["update", "--health-cmd=true", "--no-healthcheck", "web"]).fails(125);
    env.coracle(["update", "--no-healthcheck", "web"]).ok();
    assert_eq!(field(&env, "web", "{{.State.Health.Status}}"), "");
    assert!(!shown(&env, "web").contains("healthy"), "{}", shown(&env, "web"));
    env.coracle(["update", "--health-retries=2", "web"]).fails(125).says("healthcheck command is not set");
    let told = env.coracle(["events", "--stream=false", "-f", "event=update", "--format", "{{.Name}}"]).ok();
    assert_eq!(told.lines(), ["web", "web"]);
}
