//! The window between "its first process exists" and "its payload runs": nobody joins, reads or signals what
//! still stands on the host (attack cases 31, 32 and 36), whoever comes first.

use super::ps::field;
use crate::common::{Call, TestEnv, compiled, coracle_binary, eventually};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The binaries that go different ways into a container: the one under test, which others own as a rule, and
/// a copy that its user owns, which executes itself anew from a read-only view.
fn programs(env: &TestEnv) -> [PathBuf; 2] {
    let copy = env.path().join("coracle");
    fs::copy(coracle_binary(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    [coracle_binary(), copy]
}

/// A call of this copy of the program on the test's own data root.
fn call(env: &TestEnv, program: &Path, args: &[&str]) -> Call {
    let stores = env.stores().map(|store| format!("--storage-opt=additionalimagestore={store}"));
    let call = env.program(program).arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot());
    call.args(stores).args(args)
}

/// What the files on the host hold.
const MARK: &str = "mark-of-the-host";

/// Marks on the host that nothing in a container may see, or make.
struct Marks {
    file: PathBuf,
    memory: PathBuf,
    planted: PathBuf,
}

impl Marks {
    fn new(env: &TestEnv) -> Marks {
        let memory =
            PathBuf::from(format!("/dev/shm/coracle-window-{}", env.path().file_name().unwrap().display()));
        fs::write(&memory, MARK).unwrap();
        Marks { file: env.file("marker", MARK), memory, planted: env.path().join("planted") }
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.memory);
    }
}

/// What each kind of container is made with.
const KINDS: [&[&str]; 7] = [
    &[],
    &["--init"],
    &["--userns=keep-id"],
    &["--systemd=always"],
    &["--restart=always"],
    &["--read-only"],
    &["--rootfs"],
];

/// Has every verb that enters, reads or joins `c` do so at the same time; none of it may touch the host.
fn hammer(env: &TestEnv, program: &Path, marks: &Marks) {
    let file = marks.file.to_str().unwrap();
    let plant_there = format!("c:{}", marks.planted.display());
    let plant = env.file("plant", "planted");
    let out = |name: &str| env.path().join(name).to_str().unwrap().to_owned();
    let (copied, exported) = (out("copied"), out("exported"));
    let join = |option: &'static str, command: &'static str| {
        vec!["run", "--rm", "--network=none", option, "busybox", "sh", "-c", command]
    };
    let verbs: Vec<Vec<&str>> = vec![
        vec!["exec", "c", "/bin/cat", file],
        vec!["exec", "c", "sh", "-c", "ls /dev/shm; cat /proc/1/root/dev/shm/*"],
        vec!["cp", "c:/etc/passwd", &copied],
        vec!["cp", plant.to_str().unwrap(), &plant_there],
        vec!["healthcheck", "run", "c"],
        join("--ipc=container:c", "ls /dev/shm"),
        join("--pid=container:c", "ls /proc/1/root/; true"),
        vec!["run", "--rm", "--network=container:c", "busybox", "cat", "/etc/hosts"],
        join("--uts=container:c", "hostname"),
        join("--userns=container:c", "ls /dev/shm"),
        vec!["top", "c"],
        vec!["stats", "--no-stream", "c"],
        vec!["diff", "c"],
        vec!["export", "-o", &exported, "c"],
        vec!["inspect", "c"],
        vec!["port", "c"],
        vec!["commit", "-q", "c", "made"],
        vec!["pause", "c"],
        vec!["unpause", "c"],
        join("--cgroupns=container:c", "ls /dev/shm"),
    ];
    let begun: Vec<_> = verbs.iter().map(|verb| (verb, call(env, program, verb).start())).collect();
    let memory = marks.memory.file_name().unwrap().to_str().unwrap();
    for (verb, running) in begun {
        let output = running.wait();
        assert!(!output.stdout.contains(MARK), "{verb:?} read a file of the host: {output}");
        assert!(!output.stdout.contains(memory), "{verb:?} saw the host's memory: {output}");
        assert!(!marks.planted.exists(), "{verb:?} wrote on the host");
    }
    let passwd = fs::read_to_string(&copied).unwrap_or_default();
    assert_ne!(passwd, fs::read_to_string("/etc/passwd").unwrap());
    let _ = fs::remove_file(&copied);
    let _ = fs::remove_file(&exported);
}

fn make(env: &TestEnv, program: &Path, marks: &Marks, kind: &[&str]) {
    let check = format!("echo owned >{}", marks.planted.display());
    let first =
        ["create", "--name", "c", "--network=none", "--health-cmd", &check, "--health-interval=disable"];
    let tree = env.busybox_rootfs();
    let root = if kind == ["--rootfs"] { tree.to_str().unwrap() } else { "busybox" };
    call(env, program, &first).args(kind).args([root, "sh", "-c", "sleep 1000"]).ok();
}

#[test]
fn nobody_enters_before_the_payload_runs() {
    let env = TestEnv::with_images();
    let marks = Marks::new(&env);
    for program in programs(&env) {
        for kind in KINDS {
            make(&env, &program, &marks, kind);
            let start =
                call(&env, &program, &["start", "c"]).env("CORACLE_FAILPOINT", "start.pivot=pause:400");
            let start = start.start();
            hammer(&env, &program, &marks);
            assert_eq!(start.wait().code, 0, "{kind:?}");
            env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
        }
    }
}

/// Each of the verbs waits for the moment, and then does what it was told.
#[test]
fn whoever_comes_early_waits_for_the_payload() {
    let env = TestEnv::with_images();
    env.coracle(["create", "--name", "c", "--network=none", "busybox", "sleep", "1000"]).ok();
    let start = env.coracle(["start", "c"]).env("CORACLE_FAILPOINT", "start.pivot=pause:700").start();
    eventually("the run is recorded", || {
        fs::read_dir(env.root().join("containers"))
            .unwrap()
            .flatten()
            .any(|c| c.path().join("run.json").exists())
    });
    assert_eq!(field(&env, "c", "{{.State.Status}} {{.State.Pid}}"), "created 0");
    assert_eq!(env.coracle(["ps", "-a", "--format", "{{.Status}}"]).ok().text(), "Created");
    let verbs: [&[&str]; 5] = [
        &["exec", "c", "hostname"],
        &["top", "c"],
        &["run", "--rm", "--network=container:c", "busybox", "true"],
        &["cp", "c:/etc/passwd", "-"],
        &["wait", "--condition=running", "c"],
    ];
    let early = verbs.map(|verb| env.coracle(verb).start());
    early.into_iter().for_each(|verb| assert_eq!(verb.wait().code, 0));
    assert_eq!(start.wait().code, 0);
    env.coracle(["rm", "c"]).fails(2);
    let again =
        env.coracle(["restart", "-t", "0", "c"]).env("CORACLE_FAILPOINT", "start.pivot=pause:700").start();
    env.coracle(["stop", "-t", "0", "c"]).ok();
    again.wait();
    // One that fails to start lets go of those who wait.
    let fails = env.coracle(["run", "-d", "--name", "f", "--network=none", "busybox", "/nosuch"]);
    let fails = fails.env("CORACLE_FAILPOINT", "start.pivot=pause:700").start();
    eventually("it is there", || env.coracle(["container", "exists", "f"]).run().code == 0);
    env.coracle(["exec", "f", "true"]).fails(255).says("container state improper");
    assert_eq!(fails.wait().code, 127);
}

/// Start and stop over and over, with everybody at the door; as often as `CORACLE_TEST_ROUNDS` says.
#[test]
fn nobody_slips_in_between_starts_and_stops() {
    let rounds = std::env::var("CORACLE_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let env = TestEnv::with_images();
    let marks = Marks::new(&env);
    for program in programs(&env) {
        for kind in KINDS {
            make(&env, &program, &marks, kind);
            for _ in 0..rounds {
                let start = call(&env, &program, &["start", "c"]).start();
                hammer(&env, &program, &marks);
                start.wait();
                let stop = call(&env, &program, &["stop", "-t", "0", "c"]).start();
                hammer(&env, &program, &marks);
                stop.wait();
            }
            env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
        }
    }
}

/// Seconds that a spy looks: longer than any test takes.
const LONG: &str = "600";

/// The spy in `eyes` has been looking all the while, and could get hold of nothing.
fn saw_nothing(env: &TestEnv) {
    assert_eq!(field(env, "eyes", "{{.State.Status}}"), "running");
    let seen = env.coracle(["logs", "eyes"]).ok();
    assert_eq!(seen.lines(), ["looking"], "{seen}");
}

/// One that sees all the user's processes and may trace what is in its own user namespace: neither the helpers of
/// its network nor who shares its namespaces and begins late is in reach.
#[test]
fn case_36_helpers_are_out_of_reach_of_tracers_with_the_hosts_process_ids() {
    let env = TestEnv::with_images();
    let marker = env.file("marker", MARK);
    let spy = compiled("spy");
    let look = format!("{}:/spy:ro", spy.display());
    let eyes = ["run", "-d", "--name", "eyes", "--pid=host", "--cap-add=SYS_PTRACE", "-p", "80", "-v", &look];
    env.coracle(eyes).args(["busybox", "/spy", marker.to_str().unwrap(), LONG]).ok();
    for program in programs(&env) {
        for point in ["start.begin", "start.pivot"] {
            let join = ["run", "--rm", "--userns=container:eyes", "busybox", "true"];
            call(&env, &program, &join).env("CORACLE_FAILPOINT", format!("{point}=pause:300")).ok();
        }
        let exec = call(&env, &program, &["exec", "eyes", "true"]);
        exec.env("CORACLE_FAILPOINT", "exec.enter=pause:300").ok();
    }
    saw_nothing(&env);
}

/// A container that may trace, in the process ids of another, and whatever of ours comes there.
#[test]
fn case_36_what_holds_the_host_is_out_of_reach_of_tracers() {
    let env = TestEnv::with_images();
    let marker = env.file("marker", MARK);
    let spy = compiled("spy");
    let look = format!("{}:/spy:ro", spy.display());
    for program in programs(&env) {
        let run = |name: &str, options: &[&str]| {
            let first = ["run", "-d", "--name", name, "--network=none", "-v", &look];
            call(&env, &program, &first).args(options)
        };
        run("x", &["--health-cmd", "true", "--health-interval=disable"])
            .args(["busybox", "sleep", "1000"])
            .ok();
        run("eyes", &["--pid=container:x", "--cap-add=SYS_PTRACE", "busybox", "/spy"])
            .args([marker.to_str().unwrap(), LONG])
            .ok();
        eventually("it looks", || env.coracle(["logs", "eyes"]).ok().stdout.contains("looking"));
        let slowly = |args: &[&str], point: &str| {
            call(&env, &program, args).env("CORACLE_FAILPOINT", format!("{point}=pause:300")).start()
        };
        let join = ["run", "--rm", "--network=none", "--pid=container:x", "busybox", "true"];
        let users = ["run", "--rm", "--network=none", "--userns=container:x", "--init", "busybox", "true"];
        let all = [
            slowly(&join, "start.pivot"),
            slowly(&join, "start.begin"),
            slowly(&join, "start.pivoted"),
            slowly(&users, "start.pivot"),
            slowly(&["exec", "x", "true"], "exec.enter"),
            slowly(&["exec", "-u", "1:1", "x", "true"], "exec.entered"),
            slowly(&["healthcheck", "run", "x"], "exec.enter"),
            slowly(&["cp", "x:/etc/passwd", "-"], "none"),
        ];
        for one in all {
            let output = one.wait();
            assert_eq!(output.code, 0, "{output}");
        }
        saw_nothing(&env);

        // It would have seen it.
        let open = format!("{}:/coracle:ro", spy.display());
        call(&env, &program, &["run", "-d", "--rm", "--network=none", "--pid=container:x", "-v", &open])
            .args(["busybox", "/coracle", "--stand", "3"])
            .ok();
        let eyes =
            ["run", "--rm", "--network=none", "--pid=container:x", "--cap-add=SYS_PTRACE", "-v", &look];
        let seen = call(&env, &program, &eyes).args(["busybox", "/spy", "/etc/passwd", "1"]).ok();
        for what in ["root", "cwd", "mem", "maps", "fd", "exe", "pidfd_getfd", "ptrace"] {
            assert!(seen.lines().contains(&format!("REACHED {what}")), "{what}: {seen}");
        }
        env.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    }
}
