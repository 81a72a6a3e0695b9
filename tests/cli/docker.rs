//! The binary called `docker`.

use super::ps::{IDLE, field, start};
use crate::common::{Call, ImageBuilder, Layer, TestEnv, busybox, eventually, shared_registry};
use serde_json::Value;

/// This call under docker's name.
pub(crate) fn docker(env: &TestEnv, args: &[&str]) -> Call {
    env.called("docker", args)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn cp_copies_links_and_begins_at_the_root() {
    let env = TestEnv::new();
    std::fs::create_dir(env.busybox_rootfs().join("srv")).unwrap();
    start(
        &env,
        "web",
        &["-w", "/srv"],
        "echo x >/file; ln -s file /link; mkdir /d; ln -s d /dir; sleep 1000",
    );
    eventually("the links are there", || env.coracle(["exec", "web", "test", "-L", "/dir"]).run().code == 0);
    let is_link = |name: &str| env.path().join(name).is_symlink();
    docker(&env, &["cp", "web:/link", "as-it-is"]).ok();
    docker(&env, &["cp", "-L", "web:/link", "followed"]).ok();
    docker(&env, &["cp", "web:/dir", "dir"]).ok();
    docker(&env, &["cp", "web:/dir/", "slash"]).ok();
    assert!(is_link("as-it-is") && !is_link("followed") && is_link("dir") && !is_link("slash"));
    assert_eq!(std::fs::read_to_string(env.path().join("followed")).unwrap(), "x\n");
    env.file("f", "");
    docker(&env, &["cp", "f", "web:."]).ok();
    env.coracle(["exec", "web", "test", "-e", "/f"]).ok();
    // Volumes: one that is there is as good as made; pruning takes those without a name.
    for _ in 0..2 {
        assert_eq!(docker(&env, &["volume", "create", "data"]).ok().text(), "data");
    }
    docker(&env, &["system", "prune", "-f", "--volumes"]).ok();
    env.coracle(["volume", "exists", "data"]).ok();
}

#[test]
fn lists_are_dockers() {
    let env = TestEnv::new();
    busybox().push(shared_registry(), "docker/lists", "1");
    let name = shared_registry().reference("docker/lists", "1");
    env.coracle(["pull", "-q", &name]).ok();
    env.coracle(["tag", &name, "docker.io/library/box:latest"]).ok();
    let old = start(&env, "old", &["--label", "a=b"], IDLE);
    start(&env, "new", &[], "sleep 1000 # and some more words");
    let ps = objects(&docker(&env, &["ps", "--format", "json"]).ok().stdout);
    assert_eq!(ps.len(), 2, "an object per line");
    assert_eq!((&ps[0]["Names"], &ps[1]["Names"]), (&"new".into(), &"old".into()), "the newest first");
    assert_eq!((&ps[1]["ID"], &ps[1]["Labels"]), (&old[..12].into(), &"a=b".into()));
    assert_eq!(ps[0]["State"], "running");
    let table = docker(&env, &["ps"]).ok().stdout;
    assert!(table.lines().nth(1).unwrap().contains("\"sh -c 'sleep 1000 #…\""), "{table}");
    assert_eq!(docker(&env, &["ps", "-q", "--filter", "name=old"]).ok().lines(), [&old[..12]]);
    let images = docker(&env, &["image", "ls"]).ok().stdout;
    let header: Vec<&str> = images.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
    assert!(images.lines().any(|line| line.starts_with("box ")), "{images}");
    let images = objects(&docker(&env, &["images", "--format", "json"]).ok().stdout);
    assert!(
        images.iter().any(|image| image["Repository"] == "box" && image["Tag"] == "latest"),
        "{images:?}"
    );
    assert_eq!(images[0]["ID"].as_str().unwrap().len(), 12);
    // Under its own name it has podman's habits.
    assert!(env.coracle(["ps", "--format", "json"]).ok().json().is_array());
    let shown = docker(&env, &["inspect", "-f", "{{.Name}}", "old"]).ok();
    assert_eq!(shown.text(), "/old");
    let one = docker(&env, &["inspect", "--format", "json", "old"]).ok().stdout;
    assert_eq!(objects(&one)[0]["Id"], old.as_str());
    let image = docker(&env, &["inspect", "-f", "{{.Id}}", "box"]).ok();
    assert!(image.text().starts_with("sha256:"), "{image}");
    env.coracle(["rm", "-f", "-t", "0", "old", "new"]).ok();
}

#[test]
fn versions_and_exit_codes_are_dockers() {
    let env = TestEnv::new();
    let version = env!("CARGO_PKG_VERSION");
    let shown = docker(&env, &["version", "--format", "{{.Client.Version}} {{.Server.Version}}"]).ok();
    assert_eq!(shown.text(), "27.5.1 27.5.1");
    assert_eq!(
        objects(&docker(&env, &["version", "-f", "json"]).ok().stdout)[0]["Client"]["Version"],
        "27.5.1"
    );
    for flag in ["-v", "--version"] {
        let said = docker(&env, &[flag]).ok();
        assert_eq!(said.text(), format!("Docker version 27.5.1, build coracle-{version}"));
        assert_eq!(env.coracle([flag]).ok().text(), format!("coracle version {version}"));
    }
    let podman = env.coracle(["version", "--format", "{{.Client.Version}} {{.Version}}"]).ok();
    assert_eq!(podman.text(), format!("{version} {version}"));
    docker(&env, &["inspect", "nothing"]).fails(1).says("nothing");
    docker(&env, &["rm", "nothing"]).fails(1);
    docker(&env, &["rmi", "nothing"]).fails(1);
    docker(&env, &["logs", "nothing"]).fails(1).says("nothing");
    env.coracle(["logs", "nothing"]).fails(125);
    docker(&env, &["run", "--pull=never", "nothing"]).fails(125);
    docker(&env, &["container", "run", "--pull=never", "nothing"])
        .fails(125)
        .says("docker: Error response from daemon");
    docker(&env, &["ps", "--nosuch"]).fails(125).says("unknown flag: --nosuch");
    for verb in ["swarm", "buildx", "compose", "stack", "context"] {
        docker(&env, &[verb, "x"]).fails(1).says("is not supported: ");
        env.coracle([verb, "x"]).fails(125).says("is not supported: ");
    }
    docker(&env, &["frobnicate"])
        .fails(1)
        .says("Error: unknown command: docker frobnicate: 'frobnicate' is not a docker command\nHint: See 'docker --help'");
    docker(&env, &["container", "strat"]).fails(1).says(
        "docker container strat: 'strat' is not a docker command\nHint: Did you mean docker container start?",
    );
    env.coracle(["frobnicate"]).fails(125).says("unrecognized command `coracle frobnicate`");
}

#[test]
fn facts_and_figures_have_dockers_names() {
    let env = TestEnv::new();
    let id = start(&env, "web", &[], IDLE);
    let format = "{{.ServerVersion}} {{.Driver}} {{.ContainersRunning}} {{.DockerRootDir}} {{gt .NCPU 0}} {{gt .MemTotal 0}}";
    let shown = docker(&env, &["info", "--format", format]).ok();
    let root = env.root();
    assert_eq!(shown.text(), format!("27.5.1 overlay 1 {} true true", root.display()));
    assert_eq!(objects(&docker(&env, &["info", "-f", "json"]).ok().stdout)[0]["ContainersRunning"], 1);
    env.coracle(["info", "--format", "{{.ServerVersion}}"]).fails(125).says("ServerVersion");
    let rows = objects(&docker(&env, &["stats", "--no-stream", "--format", "json"]).ok().stdout);
    assert_eq!((&rows[0]["Name"], &rows[0]["ID"]), (&"web".into(), &id[..12].into()));
    assert!(rows[0]["CPUPerc"].as_str().unwrap().ends_with('%') && rows[0]["PIDs"].is_string());
    assert!(env.coracle(["stats", "--no-stream", "--format", "json"]).ok().json().is_array());
    // Names that follow are images of their own.
    let name = |repository: &str, content: &str| {
        let image = ImageBuilder::new().layer(Layer::new().file("file", 0o644, content));
        image.push(shared_registry(), repository, "1");
        let name = shared_registry().reference(repository, "1");
        env.coracle(["pull", "-q", &name]).ok();
        name
    };
    let (one, two) = (name("docker/one", "one"), name("docker/two", "two"));
    docker(&env, &["save", "-o", "both.tar", &one, &two]).ok();
    let ids = || env.coracle(["inspect", "-f", "{{.Id}}", &one, &two]).ok().stdout;
    let before = ids();
    env.coracle(["rmi", &one, &two]).ok();
    docker(&env, &["load", "-q", "-i", "both.tar"]).ok();
    assert_eq!(ids(), before);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
}

#[test]
fn tables_of_processes_figures_and_steps_are_dockers() {
    let env = TestEnv::new();
    start(&env, "web", &[], "sleep 1000 & exec sleep 2000");
    let header = |args: &[&str]| docker(&env, args).ok().lines().swap_remove(0);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let names = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
    assert_eq!(words(&header(&["top", "web"])), names);
    eventually("both run", || docker(&env, &["top", "web"]).ok().lines().len() == 3);
    let table = docker(&env, &["top", "web", "-ef"]).ok().lines();
    let (first, second) = (words(&table[1]), words(&table[2]));
    let account = env.program("id").arg("-un").ok();
    assert_eq!(first[0], account.text());
    assert_eq!(first[1], field(&env, "web", "{{.State.Pid}}"), "numbers of the host");
    assert_eq!((&second[2], &first[6..]), (&first[1], &["00:00:00", "sleep", "2000"].map(str::to_owned)[..]));
    assert_eq!(words(&header(&["top", "web", "aux"]))[8..], ["START", "TIME", "COMMAND"]);
    assert_eq!(header(&["top", "web", "pid"]), "PID", "podman's columns are known too");
    assert_eq!(
        header(&["stats", "--no-stream"])
            .split("  ")
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .collect::<Vec<_>>(),
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
    );
    let memory = docker(&env, &["stats", "--no-stream", "--format", "{{.MemUsage}}"]).ok();
    assert!(memory.text().ends_with("iB"), "{memory}");
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    let name = shared_registry().reference("docker/steps", "1");
    busybox().push(shared_registry(), "docker/steps", "1");
    env.coracle(["pull", "-q", &name]).ok();
    assert_eq!(words(&header(&["history", &name])), ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]);
    let step = &objects(&docker(&env, &["history", "--format", "json", &name]).ok().stdout)[0];
    let keys: Vec<&String> = step.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["Comment", "CreatedAt", "CreatedBy", "CreatedSince", "ID", "Size"]);
}

#[test]
fn events_are_dockers() {
    let env = TestEnv::new();
    let id = start(&env, "web", &["--label", "tier=x"], "exit 3");
    env.coracle(["wait", "web"]).ok();
    env.coracle(["rm", "web"]).ok();
    let events = |args: &[&str]| {
        docker(&env, &["events", "--since", "1h", "--until", "0s", "--filter", "type=container"])
            .args(args)
            .ok()
    };
    let lines = events(&[]).lines();
    let die = lines.iter().find(|line| line.contains(" container die ")).unwrap();
    let (time, rest) = die.split_once(' ').unwrap();
    assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{die}");
    assert_eq!(rest, format!("container die {id} (exitCode=3, image=, name=web, tier=x)"));
    assert!(lines.last().unwrap().contains(&format!(" container destroy {id} (")), "{lines:?}");
    for format in ["json", "{{json .}}"] {
        let all = objects(&events(&["--filter", "event=die", "--format", format]).stdout);
        assert_eq!(all.len(), 1);
        assert_eq!((&all[0]["Action"], &all[0]["Actor"]["ID"]), (&"die".into(), &id.as_str().into()));
        assert!(all[0]["time"].is_i64() && all[0]["timeNano"].is_i64(), "{all:?}");
    }
    let shown = events(&[
        "--filter",
        "event=destroy",
        "--format",
        "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}",
    ]);
    assert_eq!(shown.text(), "container destroy web");
}

#[test]
fn a_new_volume_is_roots_to_docker_and_the_users_to_podman() {
    let env = TestEnv::with_images();
    let owner = |call: Call, volume: &str| {
        let volume = format!("{volume}:/new");
        let call = call.args(["run", "--rm", "--network=none", "-u=7", "-v", &volume]);
        call.args(["busybox", "stat", "-c", "%u:%g", "/new"]).ok().text().to_owned()
    };
    let under = |name: &str| env.called(name, [""; 0]);
    assert_eq!(owner(under("podman"), "a"), "7:0");
    assert_eq!(owner(under("docker"), "a"), "7:0");
    assert_eq!(owner(under("docker"), "b"), "0:0");
    env.coracle(["volume", "rm", "a", "b"]).ok();
}

#[test]
fn a_forced_removal_waits_for_nothing() {
    let env = TestEnv::with_images();
    env.coracle([
        "run",
        "-d",
        "--name=c",
        "--network=none",
        "--stop-timeout=3600",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    docker(&env, &["rm", "-f", "c"]).ok();
    assert!(env.containers().is_empty());
}

#[test]
fn a_terminal_without_one_for_input_is_refused() {
    let env = TestEnv::with_images();
    let run = docker(&env, &["run", "--rm", "-it", "--network=none", "busybox", "cat"]);
    run.fails(1).says("the input device is not a TTY");
    assert!(env.containers().is_empty());
    env.coracle(["run", "-d", "--name=c", "--network=none", "busybox", "sleep", "1000"]).ok();
    docker(&env, &["exec", "-it", "c", "true"]).fails(1).says("the input device is not a TTY");
    docker(&env, &["exec", "-t", "c", "true"]).ok();
    docker(&env, &["rm", "-f", "c"]).ok();
}

#[test]
fn hints_give_commands_of_the_name() {
    let env = TestEnv::new();
    for (name, hint) in [
        ("podman", "\nHint: List containers: podman ps -a\n"),
        ("docker", "\nHint: List containers: docker ps -a\n"),
    ] {
        let output = env.called(name, ["logs", "nosuch"]).run();
        assert!(output.stderr.ends_with(hint), "{output}");
    }
    env.coracle(["logs", "nosuch"]).fails(125).says("Hint: List containers: coracle ps -a");
}

/// With `--format json` one line each, as from docker.
#[test]
fn contexts_and_secrets_are_described_in_lines() {
    let env = TestEnv::new();
    let context = docker(&env, &["context", "inspect", "--format", "json"]).ok();
    assert_eq!(objects(&context.stdout).len(), 1);
    env.coracle(["secret", "create", "s", "-"]).stdin(b"x".to_vec()).ok();
    let secret = docker(&env, &["secret", "inspect", "--format", "json", "s"]).ok();
    assert_eq!(objects(&secret.stdout).len(), 1);
}

#[test]
fn prune_has_headings_and_a_sum() {
    let env = TestEnv::new();
    let (_, image) = env.pulled(busybox(), "docker/prune");
    let id = start(&env, "ended", &["-v", "/data"], "exit 0");
    env.coracle(["wait", "ended"]).ok();
    let prune = |kind: &str, listed: &str| {
        let options = if kind == "image" { "-af" } else { "-f" };
        let pruned = docker(&env, &[kind, "prune", options]).ok().stdout;
        let sum = pruned.strip_prefix(&format!("{listed}Total reclaimed space: "));
        sum.unwrap_or_else(|| panic!("{pruned}")).trim_end().to_owned()
    };
    let freed = prune("container", &format!("Deleted Containers:\n{id}\n\n"));
    assert!(freed.ends_with("kB"), "{freed}");
    assert_eq!(prune("container", ""), "0B");
    let volume = env.coracle(["volume", "ls", "-q"]).ok().text().to_owned();
    prune("volume", &format!("Deleted Volumes:\n{volume}\n\n"));
    let freed = prune("image", &format!("Deleted Images:\ndeleted: sha256:{image}\n\n"));
    assert!(freed.ends_with("MB"), "{freed}");
}

#[test]
fn a_volume_without_a_name_is_anonymous() {
    let env = TestEnv::new();
    let name = docker(&env, &["volume", "create", "--label", "a=b"]).ok().text().to_owned();
    let labels = "{{json .Labels}}";
    let shown = docker(&env, &["volume", "inspect", "-f", labels, &name]).ok();
    assert_eq!(shown.text(), r#"{"a":"b","com.docker.volume.anonymous":""}"#);
    let by_label = ["volume", "ls", "-q", "--filter", "label=com.docker.volume.anonymous"];
    assert_eq!(docker(&env, &by_label).ok().text(), name);
    let podmans = env.coracle(["volume", "create"]).ok().text().to_owned();
    assert_eq!(env.coracle(["volume", "prune", "-f"]).ok().text(), name);
    assert_eq!(env.coracle(["volume", "ls", "-q"]).ok().text(), podmans);
}

/// Docker never removes containers with an image.
#[test]
fn rmi_spares_containers() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "docker/spared");
    let run = docker(&env, &["run", "-d", "--network=none", &name, "sleep", "600"]).ok().text().to_owned();
    let refused = docker(&env, &["rmi", "-f", &name]).fails(1);
    assert!(!refused.stderr.contains("rmi --force"), "{refused}");
    refused.says("(cannot be forced)").says(&format!("docker rm --force {}", &run[..12]));
    docker(&env, &["rmi", &name]).fails(1).says("(cannot be forced)");
    docker(&env, &["kill", &run]).ok();
    docker(&env, &["wait", &run]).ok();
    docker(&env, &["rmi", &name]).fails(1).says("(must be forced)").says("rmi --force");
    let untagged = docker(&env, &["image", "remove", "-f", &name]).ok();
    assert!(untagged.text().starts_with("Untagged: ") && !untagged.text().contains("Deleted"), "{untagged}");
    assert_eq!(docker(&env, &["ps", "-aq", "--no-trunc"]).ok().text(), run);
    docker(&env, &["start", &run]).ok();
    docker(&env, &["rm", "-f", &run]).ok();
    docker(&env, &["image", "prune", "-f"]).ok();
}

#[test]
fn what_docker_lacks_works_under_its_name() {
    let env = TestEnv::with_images();
    assert!(docker(&env, &["images", "--history"]).ok().stdout.contains("HISTORY"));
    docker(&env, &["manifest", "push", "none:1"]).fails(1).says("docker manifest create none:1 IMAGE");
    docker(&env, &["image", "inspect"]).fails(1).says("docker images");
    docker(&env, &["image", "mount", "busybox"])
        .fails(1)
        .says(
            "cannot run command \"docker image mount\" in rootless mode, must execute `docker unshare` first",
        )
        .says("docker unshare sh -c 'ls \"$(docker image mount busybox)\"'");
}
