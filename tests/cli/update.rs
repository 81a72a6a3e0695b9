//! `update` and `container clone`.

use super::ps::{IDLE, field, start};
use crate::common::{TestEnv, eventually};

fn status(env: &TestEnv, name: &str) -> String {
    field(env, name, "{{.State.Status}} {{.State.ExitCode}}")
}

#[test]
fn a_restart_policy_is_changed_while_the_container_runs() {
    let env = TestEnv::new();
    start(&env, "web", &[], "trap 'exit 3' USR1; while :; do sleep 0.05; done");
    assert_eq!(env.coracle(["update", "--restart", "on-failure:4", "web"]).ok().text(), "web");
    let policy = "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(field(&env, "web", policy), "on-failure:4");
    env.coracle(["kill", "-s", "USR1", "web"]).ok();
    eventually("it runs again", || field(&env, "web", "{{.State.Status}} {{.RestartCount}}") == "running 1");
    env.coracle(["container", "update", "--restart=no", "-l"]).ok();
    env.coracle(["kill", "-s", "USR1", "web"]).ok();
    eventually("it has ended", || status(&env, "web") == "exited 3");
    // A pause before a restart ends without one.
    env.coracle(["update", "--restart", "always", "web"]).ok();
    start(&env, "again", &["--restart", "always"], "exit 1");
    eventually("it pauses", || status(&env, "again") == "restarting 1");
    env.coracle(["update", "--restart", "no", "again"]).ok();
    eventually("it stays", || status(&env, "again") == "exited 1");
    start(&env, "gone", &["--rm"], IDLE);
    env.coracle(["update", "--restart", "always", "gone"]).fails(125).says("--rm");
    env.coracle(["update", "--restart", "wat", "web"]).fails(125).says("restart policy");
    env.coracle(["update", "web"]).fails(125).says("nothing to change");
    env.coracle(["update", "--restart", "no", "nobody"]).fails(125).says("nobody");
}

#[test]
fn a_clone_is_made_as_the_original_was() {
    let env = TestEnv::new();
    let script = format!("echo seen >/data/file; {IDLE}");
    let id =
        start(&env, "web", &["-e", "A=b", "-l", "x=y", "-v", "/data", "--restart", "on-failure:2"], &script);
    env.coracle(["update", "--restart", "always", "web"]).ok();
    let copy = env.coracle(["container", "clone", "web"]).ok().text().to_owned();
    assert_ne!(copy, id);
    let facts = "{{.Name}} {{.State.Status}} {{.Config.Labels.x}} {{.HostConfig.RestartPolicy.Name}}";
    assert_eq!(field(&env, &copy, facts), "web-clone created y always");
    assert_eq!(field(&env, &copy, "{{.Config.Hostname}}"), copy[..12]);
    assert_ne!(
        field(&env, &copy, "{{(index .Mounts 0).Name}}"),
        field(&env, "web", "{{(index .Mounts 0).Name}}")
    );
    env.coracle(["container", "clone", "web", "other"]).ok();
    env.coracle(["container", "clone", "--name", "other", "web"]).fails(125).says("in use");
    env.coracle(["container", "clone", "web"]).ok();
    assert_eq!(field(&env, "web-clone1", "{{.State.Status}}"), "created");
    env.coracle(["container", "clone", "--destroy", "web", "new"]).fails(125).says("--force");
    env.coracle(["container", "clone", "--force", "web"]).fails(125);
    env.coracle(["container", "clone", "nobody"]).fails(125).says("nobody");
    let run =
        env.coracle(["container", "clone", "--destroy", "--force", "--run", "--name", "new", "web"]).ok();
    assert_eq!(field(&env, "new", "{{.Id}} {{.State.Status}}"), format!("{} running", run.text()));
    env.coracle(["container", "exists", "web"]).fails(1);
    let env_of = |name: &str| field(&env, name, "{{range .Config.Env}}{{.}} {{end}}");
    assert!(env_of("new").contains("A=b") && !env_of("new").contains(&id[..12]), "{}", env_of("new"));
    assert_eq!(env.coracle(["exec", "new", "hostname"]).ok().text(), &run.text()[..12]);
}

/// The image changes, the command and everything else stay.
#[test]
fn a_clone_of_another_image() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name", "a", "--network", "none", "busybox", "echo", "hi"]).ok();
    env.coracle(["container", "clone", "a", "b", "busybox"]).ok();
    assert_eq!(env.coracle(["start", "-a", "b"]).ok().stdout, "hi\n");
    env.coracle(["container", "clone", "a", "third", "localhost:1/nosuch"]).fails(125);
    env.coracle(["container", "exists", "third"]).fails(1);
}

#[test]
fn a_clone_may_use_what_the_original_may_unless_told_otherwise() {
    let env = TestEnv::new();
    env.coracle(["create", "--name", "web", "-m", "64m", "--memory-swap", "1g", "--cpu-period", "50000"])
        .args(["--cpu-quota", "25000", "-c", "512", "--rootfs"])
        .arg(env.busybox_rootfs())
        .arg("true")
        .ok();
    let limits = |name: &str| {
        let limits =
            "{{.Memory}} {{.MemorySwap}} {{.CpuPeriod}} {{.CpuQuota}} {{.CpuShares}} on={{.CpusetCpus}}";
        field(&env, name, &format!("{{{{with .HostConfig}}}}{limits}{{{{end}}}}"))
    };
    let of_web = "67108864 1073741824 50000 25000 512 on=";
    assert_eq!(limits("web"), of_web);
    let clone = |options: &[&str]| {
        let call = env.coracle(["container", "clone", "--name", "copy"]).args(options);
        call.arg("web")
    };
    for (options, copy) in [
        (&[][..], of_web),
        (&["-m", "128m"], "134217728 1073741824 50000 25000 512 on="),
        (&["--cpus", "2", "--cpuset-cpus", "0"], "67108864 1073741824 100000 200000 512 on=0"),
        (&["--cpu-quota", "-1", "--cpu-shares", "1024"], "67108864 1073741824 50000 0 1024 on="),
        (&["--memory", "0", "--memory-swap=-1"], "0 0 50000 25000 512 on="),
    ] {
        clone(options).ok();
        assert_eq!(limits("copy"), copy, "{options:?}");
        env.coracle(["rm", "copy"]).ok();
    }
    clone(&["-m", "2g"]).fails(125).says("--memory-swap is below --memory");
    clone(&["--memory-swappiness", "5"]).fails(125).says("cgroup v1");
    clone(&["--pod", "some"]).fails(125).says("a clone has the namespaces of the original, and so its pod");
    assert_eq!(env.containers().len(), 1, "what is refused makes no copy");
}

/// A container is never started without the limits that somebody has set.
#[test]
fn changed_limits_that_cannot_be_read_are_told_and_not_left_out() {
    let env = TestEnv::new();
    let create =
        env.coracle(["create", "--name=web", "--network=none", "--rootfs"]).arg(env.busybox_rootfs());
    let id = create.arg("true").ok().text().to_owned();
    env.coracle(["update", "--restart=no", "web"]).ok();
    let settings = env.root().join("containers").join(&id).join("settings.json");
    let mut said: serde_json::Value = serde_json::from_slice(&std::fs::read(&settings).unwrap()).unwrap();
    said["limits"] = serde_json::json!({ "memory": "all of it" });
    std::fs::write(&settings, said.to_string()).unwrap();
    env.coracle(["start", "web"]).fails(125).says("settings.json").says("system check --repair");
    env.coracle(["system", "check", "--repair", "--force"]).run();
    env.coracle(["start", "web"]).ok();
    env.coracle(["rm", "-f", &id]).ok();
}

#[test]
fn limits_of_processes_change_with_the_next_start() {
    let env = TestEnv::new();
    start(&env, "web", &["--ulimit", "nofile=100", "--ulimit", "core=0"], "ulimit -n");
    env.coracle(["wait", "web"]).ok();
    env.coracle(["update", "--ulimit", "nofile=60:70", "web"]).ok();
    assert_eq!(env.coracle(["start", "-a", "web"]).ok().text(), "60");
    let limits = field(&env, "web", "{{range .HostConfig.Ulimits}}{{.Name}}={{.Soft}}:{{.Hard}} {{end}}");
    assert!(limits.contains("=60:70") && limits.to_lowercase().contains("core=0:0"), "{limits}");
    env.coracle(["update", "--ulimit", "wat=1", "web"]).fails(125).says("wat");
}

#[test]
fn the_environment_changes_with_the_next_start() {
    let env = TestEnv::new();
    start(&env, "web", &["-e", "OLD=1", "-e", "KEPT=1", "-e", "GONE=1"], "echo $OLD,$KEPT,$GONE,$NEW,$MINE");
    env.coracle(["wait", "web"]).ok();
    let update =
        env.coracle(["update", "-e", "OLD=2", "--env=NEW=a b", "-e", "MINE", "--unsetenv", "GONE", "web"]);
    update.env("MINE", "caller").ok();
    assert_eq!(env.coracle(["start", "-a", "web"]).ok().text(), "2,1,,a b,caller");
    let shown = field(&env, "web", "{{json .Config.Env}}");
    assert!(shown.contains("NEW=a b") && !shown.contains("GONE"), "{shown}");
    env.coracle(["update", "--unsetenv", "NEW", "web"]).ok();
    assert_eq!(env.coracle(["start", "-a", "web"]).ok().text(), "2,1,,,caller");
    env.coracle(["container", "clone", "--name", "copy", "web"]).ok();
    assert_eq!(env.coracle(["start", "-a", "copy"]).ok().text(), "2,1,,,caller");
    env.coracle(["update", "-e", "=x", "web"]).fails(125);
}

#[test]
fn a_changed_environment_is_committed() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name=c", "--network=none", "busybox", "true"]).ok();
    env.coracle(["update", "-e", "NEW=1", "c"]).ok();
    env.coracle(["commit", "-q", "c", "changed"]).ok();
    let shown = env.coracle(["image", "inspect", "-f", "{{json .Config.Env}}", "changed"]).ok();
    assert!(shown.text().contains("NEW=1"), "{shown}");
}
