//! The build cache: by content, never by time.

use super::{context, run};
use crate::common::{TestEnv, eventually, sha256_hex};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The steps that were worked off, by their numbers: `2/4`.
pub(super) fn worked(env: &TestEnv, dir: &Path, options: &[&str]) -> Vec<String> {
    let built = env
        .coracle(["build", "--network=none", "--progress=rawjson", "-t", "made"])
        .args(options)
        .arg(dir)
        .ok();
    let mut steps: Vec<String> = Vec::new();
    for line in built.stderr.lines().chain(built.stdout.lines()) {
        let Ok(status) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        for vertex in status["vertexes"].as_array().into_iter().flatten() {
            let name = vertex["name"].as_str().unwrap_or_default();
            let Some(number) = name.strip_prefix('[').and_then(|rest| rest.split(']').next()) else {
                continue;
            };
            let done =
                vertex.get("completed").is_some() && vertex["cached"] != true && !name.contains("] FROM ");
            if done && number.contains('/') && !steps.contains(&number.to_owned()) {
                steps.push(number.to_owned());
            }
        }
    }
    steps.sort();
    steps
}

#[test]
fn what_did_not_change_is_not_worked_off_again() {
    let env = TestEnv::with_images();
    let file = "FROM busybox\nCOPY a /a\nCOPY b /b\nARG X\nRUN cat /a /b >/c; echo $X\n";
    let dir = context(&env, "context", &[("Containerfile", file), ("a", "1"), ("b", "2")]);
    let all = ["2/4", "3/4", "4/4"];
    assert_eq!(worked(&env, &dir, &[]), all);
    let id = env.coracle(["image", "inspect", "-f", "{{.Id}}", "made"]).ok().stdout;
    assert!(worked(&env, &dir, &[]).is_empty());
    assert_eq!(env.coracle(["image", "inspect", "-f", "{{.Id}}", "made"]).ok().stdout, id);
    // A time is nothing that counts.
    fs::File::open(dir.join("a")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(worked(&env, &dir, &[]).is_empty());
    // A mode does, and content of the same length.
    fs::set_permissions(dir.join("b"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(worked(&env, &dir, &[]), ["3/4", "4/4"]);
    fs::write(dir.join("a"), "3").unwrap();
    assert_eq!(worked(&env, &dir, &[]), all);
    assert_eq!(run(&env, "made", "cat /c"), "32");
    assert_eq!(worked(&env, &dir, &["--build-arg=X=1"]), ["4/4"]);
    assert_eq!(worked(&env, &dir, &["--no-cache"]), all);
    // What was built before is known still.
    fs::write(dir.join("a"), "1").unwrap();
    fs::set_permissions(dir.join("b"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(worked(&env, &dir, &["--build-arg=X=1"]).iter().all(|step| step == "4/4"));
}

/// Several builds of one file at once do each step once, and come to one image.
#[test]
fn builds_at_once_share_their_work() {
    let env = TestEnv::with_images();
    let dir = context(
        &env,
        "context",
        &[(
            "Containerfile",
            "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid >/id\nRUN sleep 0.2; cat /proc/sys/kernel/random/uuid >>/id\n",
        )],
    );
    let start = |_| env.coracle(["build", "--network=none", "-q"]).arg(&dir).start();
    let running: Vec<_> = (0..8).map(start).collect();
    let mut ids: Vec<String> = running.into_iter().map(|build| build.wait().stdout).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

/// The cache keeps layers from `image prune`; `builder prune` lets them go.
#[test]
fn prune_knows_what_is_used() {
    let env = TestEnv::with_images();
    let dir =
        context(&env, "context", &[("Containerfile", "FROM busybox\nRUN echo x >/x\nRUN echo y >/y\n")]);
    worked(&env, &dir, &[]);
    env.coracle(["rmi", "made"]).ok();
    env.coracle(["image", "prune", "-f"]).ok();
    assert!(worked(&env, &dir, &[]).is_empty());
    env.coracle(["builder", "prune", "-a", "-f"]).ok();
    assert_eq!(run(&env, "made", "cat /x /y"), "x\ny");
    assert_eq!(worked(&env, &dir, &[]), ["2/3", "3/3"]);
    assert!(env.coracle(["system", "check"]).run().code == 0);
}

/// What a build has found in the cache stays for as long as it needs it, whoever prunes meanwhile.
#[test]
fn builds_beside_prune_end_whole() {
    const ROUNDS: usize = 8;
    let env = TestEnv::with_images();
    let steps: String = (0..6).map(|number| format!("COPY a /{number}\n")).collect();
    let file = format!("FROM busybox\n{steps}RUN cat /0 /5 >/c\n");
    let dir = context(&env, "context", &[("Containerfile", &file), ("a", "1")]);
    let building = AtomicUsize::new(2);
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let (env, dir, building) = (&env, &dir, &building);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let built = env.coracle(["build", "--network=none", "-q", "-t", name]).arg(dir).run();
                    if built.code != 0 {
                        building.fetch_sub(1, Ordering::Relaxed);
                        panic!("round {round}: {built}");
                    }
                }
                building.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while building.load(Ordering::Relaxed) > 0 {
            env.coracle(["rmi", "-f", "one", "two"]).run();
            env.coracle(["builder", "prune", "-a", "-f"]).ok();
        }
    });
    env.coracle(["build", "--network=none", "-q", "-t", "made"]).arg(&dir).ok();
    assert_eq!(run(&env, "made", "cat /c"), "11");
    assert_eq!(env.coracle(["system", "check"]).run().code, 0);
}

/// A build that finds everything needs no other process: not one can be started.
#[test]
fn a_build_with_nothing_to_do_forks_nothing() {
    let env = TestEnv::with_images();
    let file = "FROM busybox\nWORKDIR /w\nCOPY a .\nRUN cat a >b\n";
    let dir = context(&env, "context", &[("Containerfile", file), ("a", "1")]);
    let build = || env.coracle(["build", "--network=none", "-q", "-t", "made"]).arg(&dir);
    let id = build().ok().stdout;
    let again = build().into_command();
    let limited = env.program("prlimit").args(["--nproc=1", "--"]).arg(again.get_program());
    assert_eq!(limited.args(again.get_args()).ok().stdout, id);
}

/// What has to be built has one user namespace, which is given up at the end.
#[test]
fn nothing_is_left_in_the_user_namespace() {
    let env = TestEnv::with_images();
    for file in ["FROM busybox\nRUN true\n", "FROM busybox\nRUN false\n"] {
        env.coracle(["build", "--network=none", "-"]).stdin(file).run();
        let registered = || fs::read_dir(env.runroot().join("userns")).map_or(0, |found| found.count());
        // The lock stays.
        eventually("nobody is registered", || registered() == 1);
    }
}

/// Of a context of which little is needed, little is read: what the ignore file leaves out is not even opened.
#[test]
fn what_is_left_out_is_not_read() {
    let env = TestEnv::with_images();
    let files = [
        ("Containerfile", "FROM busybox\nCOPY . /all\n"),
        (".containerignore", "closed\n*.secret\nbig\n"),
        ("needed", "1"),
        ("closed/file", "2"),
        ("a.secret", "3"),
    ];
    let dir = context(&env, "context", &files);
    fs::File::create(dir.join("big")).unwrap().set_len(1 << 30).unwrap();
    for closed in ["closed", "a.secret"] {
        fs::set_permissions(dir.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let build = env.coracle(["build", "--network=none", "-t", "made"]).arg(&dir).into_command();
    // What the shell has waited for counts as its own (proc_pid_io(5)).
    let counted = env.program("sh").args(["-c", r#""$@" >/dev/null && cat /proc/$$/io"#, "sh"]);
    let counted = counted.arg(build.get_program()).args(build.get_args()).ok();
    let read = counted.stdout.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
    assert!(read.parse::<u64>().unwrap() < 100 << 20, "{read} bytes");
    assert_eq!(run(&env, "made", "ls -A /all"), ".containerignore\nContainerfile\nneeded");
    fs::set_permissions(dir.join("closed"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// What one store knows another one takes from a directory, and builds nothing.
#[test]
fn results_travel_in_a_directory() {
    let text = "FROM busybox AS first\nRUN cat /proc/sys/kernel/random/uuid >/id; rm /etc/group\nFROM busybox\nWORKDIR /w\n\
                COPY a .\nCOPY --from=first /id /id\nRUN cat /id a >both\n";
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", text), ("a", "1")]);
    let kept = env.path().join("kept");
    let to = format!("--cache-to=type=local,dest={}", kept.display());
    worked(&env, &dir, &[&to]);
    let made = run(&env, "made", "cat /w/both");
    // Again, over what is there.
    assert!(worked(&env, &dir, &[&to]).is_empty());
    let other = TestEnv::with_images();
    // Times in archives are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let from = format!("--cache-from=type=local,src={}", kept.display());
    assert!(worked(&other, &dir, &[&from]).is_empty());
    assert_eq!(run(&other, "made", "cat /w/both"), made);
    other.coracle(["system", "check"]).ok();
    // Its layers are a build's own: they are saved, and loaded elsewhere.
    let file = env.path().join("saved");
    other.coracle(["save", "-o"]).arg(&file).arg("made").ok();
    let third = TestEnv::new();
    third.coracle(["load", "-i"]).arg(&file).ok();
    assert_eq!(run(&third, "made", "cat /w/both"), made);
}

/// A cache that is none, or was changed, costs its use and nothing else.
#[test]
fn a_directory_that_is_no_cache_is_passed_over() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", "FROM busybox\nRUN echo x >/x\n")]);
    let kept = env.path().join("kept");
    worked(&env, &dir, &[&format!("--cache-to=type=local,dest={}", kept.display())]);
    let from = format!("--cache-from=type=local,src={}", kept.display());
    let blobs = kept.join("blobs/sha256");
    let layer =
        fs::read_dir(&blobs).unwrap().flatten().max_by_key(|blob| blob.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(layer.path()).unwrap();
    bytes[1000] ^= 1;
    fs::write(layer.path(), bytes).unwrap();
    for broken in ["a changed layer", "no index"] {
        let other = TestEnv::with_images();
        let built = other.coracle(["build", "--network=none", &from, "-t", "made"]).arg(&dir).ok();
        assert!(built.stderr.contains("it is not used"), "{broken}: {built}");
        assert_eq!(run(&other, "made", "cat /x"), "x");
        other.coracle(["system", "check"]).ok();
        fs::remove_file(kept.join("index.json")).ok();
    }
    let call = env.coracle(["build", "--layers=false", "--cache-to=type=local,dest=x"]).arg(&dir);
    call.fails(125).says("no result of a step to keep");
}

/// Nothing that a directory says makes another layer of what a step comes to, here or in later builds.
#[test]
fn what_a_directory_says_of_layers_is_checked() {
    let env = TestEnv::with_images();
    let dir = context(
        &env,
        "context",
        &[("Containerfile", "FROM busybox\nRUN echo x >/x\nRUN echo y >/y\nRUN cat /x /y >/z\n")],
    );
    let kept = env.path().join("kept");
    worked(&env, &dir, &[&format!("--cache-to=type=local,dest={}", kept.display())]);
    let blobs = kept.join("blobs/sha256");
    let document =
        fs::read_dir(&blobs).unwrap().flatten().map(|blob| fs::read(blob.path()).unwrap_or_default());
    let is_list = |bytes: &Vec<u8>| bytes.starts_with(b"{\"version\":1,\"steps\"");
    let list: serde_json::Value =
        serde_json::from_slice(&document.into_iter().find(is_list).unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut list = list.clone();
        change(&mut list);
        write_cache(&kept, &list);
        let other = TestEnv::with_images();
        let from = format!("--cache-from=type=local,src={}", kept.display());
        for options in [&[from.as_str()][..], &[]] {
            let build =
                other.coracle(["build", "--network=none", "-q", "-t", "made"]).args(options).arg(&dir);
            build.ok();
            assert_eq!(run(&other, "made", "cat /z"), "x\ny");
        }
        other.coracle(["system", "check"]).ok();
        other.coracle(["save", "-q", "-o", "saved", "made"]).ok();
        assert!(fs::metadata(other.path().join("saved")).unwrap().len() < 100 << 20);
    };
    changed(&|list| list["layers"][0]["size"] = (1_u64 << 62).into());
    changed(&|list| {
        let chains: Vec<_> = (0..3).map(|n| list["steps"][n]["chain"].clone()).collect();
        (0..3).for_each(|n| list["steps"][n]["chain"] = chains[2 - n].clone());
    });
    changed(&|list| {
        let parents: Vec<_> = (0..3).map(|n| list["steps"][n]["parent"].clone()).collect();
        (0..3).for_each(|n| list["steps"][n]["parent"] = parents[2 - n].clone());
    });
}

/// Writes a list of steps into a cache directory in place of the one that is there.
fn write_cache(kept: &Path, list: &serde_json::Value) {
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(kept.join(name)).unwrap()).unwrap()
    };
    let write = |value: &serde_json::Value| {
        let bytes = serde_json::to_vec(value).unwrap();
        let hex = sha256_hex(&bytes);
        fs::write(kept.join("blobs/sha256").join(&hex), &bytes).unwrap();
        (format!("sha256:{hex}"), bytes.len())
    };
    let mut index = read("index.json");
    let name = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
    let mut manifest = read(&format!("blobs/{name}"));
    let (digest, size) = write(list);
    manifest["config"]["digest"] = digest.into();
    manifest["config"]["size"] = size.into();
    let (digest, size) = write(&manifest);
    index["manifests"][0]["digest"] = digest.into();
    index["manifests"][0]["size"] = size.into();
    fs::write(kept.join("index.json"), index.to_string()).unwrap();
}

/// What a step's command can see is in its key: options of mounts, and of the whole build.
#[test]
fn options_that_a_command_can_see_make_another_result() {
    let env = TestEnv::with_images();
    let file =
        |mount: &str| format!("FROM busybox\nRUN --mount={mount} stat -c %a /m >/mode; ulimit -n >/files\n");
    let dir = context(&env, "context", &[("Containerfile", &file("type=tmpfs,target=/m"))]);
    worked(&env, &dir, &[]);
    assert_eq!(worked(&env, &dir, &["--ulimit=nofile=99:99"]), ["2/2"]);
    assert_eq!(run(&env, "made", "cat /files"), "99");
    for options in [
        ["--shm-size=1m"],
        ["--cap-drop=chown"],
        ["--group-add=77"],
        ["--add-host=a:192.0.2.1"],
        ["--no-hosts"],
    ] {
        assert_eq!(worked(&env, &dir, &options), ["2/2"], "{options:?}");
        assert!(worked(&env, &dir, &options).is_empty(), "{options:?}");
    }
    for mount in ["type=cache,target=/m,mode=0700", "type=cache,target=/m,ro"] {
        fs::write(dir.join("Containerfile"), file(mount)).unwrap();
        assert_eq!(worked(&env, &dir, &[]), ["2/2"], "{mount}");
        assert!(worked(&env, &dir, &[]).is_empty(), "{mount}");
    }
}

/// As buildx has it: what is reserved stays, and enough room on the disk leaves everything.
#[test]
fn prune_leaves_what_there_is_room_for() {
    let env = TestEnv::with_images();
    let dir =
        context(&env, "context", &[("Containerfile", "FROM busybox\nRUN echo x >/x\nRUN echo y >/y\n")]);
    worked(&env, &dir, &[]);
    let prune = |options: &[&str]| env.coracle(["builder", "prune", "-a", "-f"]).args(options).ok();
    for options in [
        &["--min-free-space=1"][..],
        &["--reserved-space=1g"],
        &["--keep-storage=1g"],
        &["--max-used-space=1", "--reserved-space=1g"],
    ] {
        prune(options);
        assert!(worked(&env, &dir, &[]).is_empty(), "{options:?}");
    }
    prune(&["--max-used-space=1"]);
    assert_eq!(worked(&env, &dir, &[]), ["2/3", "3/3"]);
}
