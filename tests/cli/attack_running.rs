//! Attack cases 25, 26, 29 and 36 to 40: what a running container, or a name, could get hold of.

use crate::common::{Call, Output, TestEnv, coracle_binary, eventually, sha256_hex};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `run --rm --network none --rootfs DIR` with these options and command.
fn run(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    started(env, &["--rm"], options, command).run()
}

/// `run -d --name c ...`.
fn detached(env: &TestEnv, options: &[&str], command: &[&str]) -> Output {
    started(env, &["-d", "--name", "c"], options, command).ok()
}

fn started(env: &TestEnv, first: &[&str], options: &[&str], command: &[&str]) -> Call {
    let root = env.busybox_rootfs();
    let call = env.coracle(["run", "--network", "none"]).args(first).args(options);
    call.arg("--rootfs").arg(root).args(command)
}

/// A member of a running container's record, such as `monitor`: pid and start time are below it.
fn record(env: &TestEnv) -> (PathBuf, serde_json::Value) {
    let id = env.containers().remove(0);
    let path = env.root().join("containers").join(id).join("run.json");
    let text = fs::read(&path).unwrap();
    (path, serde_json::from_slice(&text).unwrap())
}

fn pid_of(record: &serde_json::Value, who: &str) -> i32 {
    i32::try_from(record[who]["pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn case_25_no_descriptor_reaches_the_container() {
    let env = TestEnv::new();
    let file = env.file("leak", "secret");
    // Fifty of the caller's, inheritable, some of them directories of the host.
    let leaks: Vec<OwnedFd> = (0..50)
        .map(|i| {
            let fd: OwnedFd = fs::File::open(if i % 2 == 0 { &file } else { Path::new("/") }).unwrap().into();
            let inheritable = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty());
            nix::fcntl::fcntl(&fd, inheritable).unwrap();
            fd
        })
        .collect();
    assert!(leaks.iter().all(|fd| fd.as_raw_fd() > 2));
    // ls(1) itself holds 3.
    let listed = |output: Output| {
        assert_eq!(output.lines(), ["0", "1", "2", "3"], "{output}");
    };
    listed(run(&env, &[], &["ls", "/proc/self/fd"]));
    listed(run(&env, &["-i"], &["ls", "/proc/self/fd"]));
    listed(run(&env, &["--init"], &["ls", "/proc/self/fd"]));
    // The small init itself, which its payload may look at when it has the capability.
    let init = run(
        &env,
        &["--init", "--privileged"],
        &["sh", "-c", "ls -l /proc/1/fd | grep -c secret; ls -l /proc/1/fd"],
    );
    assert!(!init.stdout.contains("/leak") && !init.stdout.contains(" -> /tmp"), "{init}");
    detached(&env, &[], &["sleep", "100"]);
    let payload = env.coracle(["exec", "c", "ls", "/proc/1/fd"]).ok();
    assert_eq!(payload.lines(), ["0", "1", "2"]);
    listed(env.coracle(["exec", "c", "ls", "/proc/self/fd"]).ok());
    listed(env.coracle(["exec", "-i", "c", "ls", "/proc/self/fd"]).ok());
    // Nor does the monitor keep what belongs to the caller.
    let monitor = pid_of(&record(&env).1, "monitor");
    for entry in fs::read_dir(format!("/proc/{monitor}/fd")).unwrap() {
        let to = fs::read_link(entry.unwrap().path()).unwrap_or_default();
        assert!(to != file && to != Path::new("/"), "the monitor holds {}", to.display());
    }
}

/// The program under test, copied to where its user owns it.
fn own_copy(env: &TestEnv) -> PathBuf {
    let copy = env.path().join("coracle");
    fs::copy(coracle_binary(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}

fn call_copy(env: &TestEnv, copy: &Path, args: &[&str]) -> Call {
    let call = env.program(copy).arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot());
    call.args(args)
}

#[test]
fn case_26_our_program_cannot_be_overwritten_from_inside() {
    let env = TestEnv::new();
    let copy = own_copy(&env);
    let before = sha256_hex(&fs::read(&copy).unwrap());
    let root = env.busybox_rootfs();
    let root = root.to_str().unwrap();
    let container = |options: &[&str], command: &[&str]| {
        let args = [&["run", "--rm", "--network", "none"], options, &["--rootfs", root], command].concat();
        call_copy(&env, &copy, &args).run()
    };
    // While it runs the kernel refuses writers anyway ("Text file busy"); only a view that cannot be
    // written to refuses them afterwards as well.
    let output = container(&["--init", "--privileged"], &["sh", "-c", "touch -c /proc/1/exe 2>&1"]);
    assert!(output.stdout.contains("Read-only file system"), "{output}");
    // An entry point that is our own program, directly and as an interpreter, waiting in an open(2).
    fs::write(Path::new(root).join("entry"), "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(Path::new(root).join("entry"), fs::Permissions::from_mode(0o755)).unwrap();
    container(&[], &["/entry"]);
    fs::create_dir_all(Path::new(root).join("tmp")).unwrap();
    nix::unistd::mkfifo(&Path::new(root).join("tmp/block"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    // PID 1 looks for a process whose program is ours, takes a descriptor of it, ends it and writes.
    let thief = "while :; do for p in /proc/[0-9]*; do case $(readlink $p/exe) in /|*/coracle*) \
        exec 9<$p/exe; kill -9 ${p#/proc/}; (echo evil >/proc/self/fd/9) 2>&1; echo done; exit;; \
        esac; done; done";
    let name = ["run", "-d", "--name", "thief", "--network", "none", "--rootfs", root, "sh", "-c", thief];
    call_copy(&env, &copy, &name).ok();
    let block = ["exec", "thief", "/proc/self/exe", "run", "--env-file", "/tmp/block", "x"];
    call_copy(&env, &copy, &block).run();
    let log = || call_copy(&env, &copy, &["logs", "thief"]).run().stdout;
    eventually("the thief has tried", || log().contains("done"));
    assert!(log().contains("Read-only file system"), "{}", log());
    // Any number of joins while somebody inside writes to every program it sees.
    call_copy(&env, &copy, &["rm", "-f", "-t", "0", "thief"]).ok();
    let hammer = "while :; do for p in /proc/[0-9]*; do (echo evil >>$p/exe) 2>/dev/null; done; done";
    let name =
        ["run", "-d", "--name", "hammer", "--network", "none", "--cap-add", "SYS_PTRACE", "--rootfs", root];
    call_copy(&env, &copy, &name).args(["sh", "-c", hammer]).ok();
    for _ in 0..10 {
        call_copy(&env, &copy, &["exec", "hammer", "/entry"]).run();
        call_copy(&env, &copy, &["exec", "hammer", "true"]).run();
    }
    call_copy(&env, &copy, &["rm", "-f", "-t", "0", "hammer"]).ok();
    assert_eq!(sha256_hex(&fs::read(&copy).unwrap()), before);
}

/// A container in which the user does not exist needs no seal, and can be had from a program that nobody
/// but its owner may read or execute.
#[test]
fn case_26_our_program_is_a_strangers_where_the_user_does_not_exist() {
    let env = TestEnv::with_images();
    let copy = own_copy(&env);
    let before = sha256_hex(&fs::read(&copy).unwrap());
    let container = |options: &[&str], script: &str| {
        let run = env.coracle(["run", "--network=none", "--userns=nomap"]).args(options).into_command();
        let call = env.program(&copy).args(run.get_args().map(ToOwned::to_owned));
        call.args(["busybox", "sh", "-c", script]).run()
    };
    // In sight of all that the caller runs, with every capability.
    let hammer = "for p in /proc/[0-9]*; do (echo evil >>$p/exe) && echo wrote $p; touch -c $p/exe; done 2>/dev/null; id -u";
    for options in [&["--rm", "--privileged", "--init"][..], &["--rm", "--privileged", "--pid=host"]] {
        assert_eq!(container(options, hammer).text(), "0");
    }
    container(&["--rm"], "printf '#!/proc/self/exe\n' >/entry; chmod 755 /entry; exec /entry");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(container(&["--rm"], "id -u").text(), "0");
    // Neither of the two processes keeps what the change of user was made with.
    let passed_on =
        container(&["--rm", "--init"], "grep -h -E 'CapInh|CapAmb' /proc/1/status /proc/self/status");
    let none = ["CapInh:\t0000000000000000", "CapAmb:\t0000000000000000"];
    assert_eq!(passed_on.lines(), [none, none].concat(), "{passed_on}");
    assert_eq!(container(&["-d", "--name", "c"], "sleep 1000").code, 0);
    assert_eq!(call_copy(&env, &copy, &["exec", "c", "id", "-u"]).ok().text(), "0");
    assert_eq!(sha256_hex(&fs::read(&copy).unwrap()), before);
}

/// Bit masks of /proc/self/status by name.
fn capability_sets(output: &Output) -> Vec<(String, u64)> {
    let lines = output.stdout.lines().filter_map(|l| l.split_once(":\t"));
    lines.map(|(name, hex)| (name.to_owned(), u64::from_str_radix(hex, 16).unwrap())).collect()
}

#[test]
fn case_29_the_five_capability_sets() {
    const DEFAULT: u64 = 0x8004_05fb;
    const KILL: u64 = 1 << 5;
    const NET_RAW: u64 = 1 << 13;
    let env = TestEnv::new();
    let sets = ["grep", "^Cap", "/proc/self/status"];
    let cases: [(&[&str], u64, u64, u64); 8] = [
        // options; bounding; permitted and effective; inheritable and ambient
        (&[], DEFAULT, DEFAULT, 0),
        (&["--user", "tester"], DEFAULT, 0, 0),
        (&["--cap-drop", "ALL"], 0, 0, 0),
        (&["--cap-drop", "KILL"], DEFAULT & !KILL, DEFAULT & !KILL, 0),
        (&["--cap-add", "NET_RAW"], DEFAULT | NET_RAW, DEFAULT | NET_RAW, 0),
        (&["--cap-drop", "ALL", "--cap-add", "kill"], KILL, KILL, 0),
        (&["--user", "tester", "--cap-add", "NET_RAW"], DEFAULT | NET_RAW, NET_RAW, NET_RAW),
        (&["--security-opt", "no-new-privileges"], DEFAULT, DEFAULT, 0),
    ];
    for (options, bounding, effective, ambient) in cases {
        let wanted: Vec<(String, u64)> = [
            ("CapInh", ambient),
            ("CapPrm", effective),
            ("CapEff", effective),
            ("CapBnd", bounding),
            ("CapAmb", ambient),
        ]
        .map(|(name, bits)| (name.to_owned(), bits))
        .to_vec();
        let output = run(&env, options, &sets);
        assert_eq!(capability_sets(&output), wanted, "{output}");
        detached(&env, options, &["sleep", "100"]);
        let output = env.coracle(["exec", "c"]).args(sets).run();
        assert_eq!(capability_sets(&output), wanted, "{output}");
        env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    }
    // Everything, and still nothing inheritable.
    let output = run(&env, &["--privileged"], &sets);
    let found = capability_sets(&output);
    assert_eq!((found[0].1, found[4].1), (0, 0), "{output}");
    assert!(found[3].1.count_ones() > 38 && found[1].1 == found[3].1, "{output}");
}

/// The filter is in force, the default one and one of the user's own, for exec as well.
#[test]
fn case_53_the_filter_that_runs_is_the_one_that_was_asked_for() {
    let env = TestEnv::new();
    let profile = env.file(
        "profile.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]}"#,
    );
    let option = format!("seccomp={}", profile.display());
    let mkdir = ["sh", "-c", "mkdir /tmp/new 2>&1; grep -c ^Seccomp:.2 /proc/self/status"];
    for _ in 0..2 {
        let output = run(&env, &["--security-opt", &option], &mkdir);
        assert!(
            output.stdout.contains("Read-only file system") && output.stdout.ends_with("1\n"),
            "{output}"
        );
    }
    assert_eq!(fs::read_dir(env.root().join("cache/seccomp")).unwrap().count(), 1);
    detached(&env, &["--security-opt", &option], &["sleep", "100"]);
    let output = env.coracle(["exec", "c"]).args(mkdir).run();
    assert!(output.stdout.contains("Read-only file system"), "{output}");
    let open =
        run(&env, &["--security-opt", "seccomp=unconfined"], &["grep", "^Seccomp:", "/proc/self/status"]);
    assert_eq!(open.text(), "Seccomp:\t0");
    let wrong = env.file("wrong.json", r#"{"defaultAction": "SCMP_ACT_PERHAPS"}"#);
    let output = run(&env, &["--security-opt", &format!("seccomp={}", wrong.display())], &["true"]);
    assert!(output.code == 125 && output.stderr.contains("SCMP_ACT_PERHAPS"), "{output}");
}

#[test]
fn case_36_exec_cannot_be_traced_from_inside() {
    let env = TestEnv::new();
    // The program as root installs it, and as its user does, where a join executes it anew.
    for program in [coracle_binary(), own_copy(&env)] {
        let root = env.busybox_rootfs();
        // PID 1 takes what it can from every process it did not start:
        // descriptors, program, memory.
        let spy = "while :; do for p in /proc/[0-9]*; do case $p in /proc/1) continue;; esac; \
            for f in $p/fd/* $p/exe $p/cwd; do t=$(readlink $f) && case $t in \
            socket:*|*memfd*|*coracle*|/tmp/ct-*) echo stolen $f $t $(cat $p/comm);; esac; done; \
            done; done 2>/dev/null";
        let args = ["run", "-d", "--name", "c", "--network", "none", "--cap-add", "SYS_PTRACE", "--rootfs"];
        call_copy(&env, &program, &args).arg(root).args(["sh", "-c", spy]).ok();
        for _ in 0..30 {
            call_copy(&env, &program, &["exec", "c", "true"]).ok();
        }
        let log = call_copy(&env, &program, &["logs", "c"]).ok();
        assert_eq!(log.stdout, "", "{log}");
        call_copy(&env, &program, &["rm", "-f", "-t", "0", "c"]).ok();
    }
}

#[test]
fn case_37_a_recycled_pid_is_not_signalled() {
    let env = TestEnv::new();
    detached(&env, &[], &["sleep", "100"]);
    let (path, mut run) = record(&env);
    let (monitor, init) = (pid_of(&run, "monitor"), pid_of(&run, "init"));
    for pid in [monitor, init] {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    for pid in [monitor, init] {
        eventually("they are gone", || {
            !fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z"))
        });
    }
    // The number now belongs to a stranger of the same user.
    let mut stranger = std::process::Command::new("sleep").arg("100").spawn().unwrap();
    for who in ["monitor", "init"] {
        run[who]["pid"] = stranger.id().into();
    }
    fs::write(&path, serde_json::to_vec(&run).unwrap()).unwrap();
    for args in [
        &["kill", "c"][..],
        &["kill", "-s", "KILL", "c"],
        &["stop", "-t", "0", "c"],
        &["exec", "c", "true"],
        &["rm", "-f", "-t", "0", "c"],
    ] {
        env.coracle(args).run();
        assert!(stranger.try_wait().unwrap().is_none(), "{args:?} hit a stranger");
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn case_38_no_abstract_socket_and_no_open_directory() {
    let env = TestEnv::new();
    detached(&env, &[], &["sleep", "100"]);
    let (_, run) = record(&env);
    let mut inodes = BTreeSet::new();
    for who in ["monitor", "init"] {
        for entry in fs::read_dir(format!("/proc/{}/fd", pid_of(&run, who))).unwrap() {
            let to = fs::read_link(entry.unwrap().path()).unwrap_or_default();
            let inode =
                to.to_string_lossy().strip_prefix("socket:[").map(|i| i.trim_end_matches(']').to_owned());
            inodes.extend(inode);
        }
    }
    let table = fs::read_to_string("/proc/net/unix").unwrap();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if inodes.contains(fields[6]) {
            assert!(!fields.get(7).is_some_and(|name| name.starts_with('@')), "abstract: {line}");
        }
        assert!(!line.contains("@coracle"), "{line}");
    }
    for dir in [env.root(), env.runroot()] {
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700, "{}", dir.display());
    }
    // Whatever has a name in the runtime directory is its owner's alone.
    let mut left = vec![env.runroot()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                left.push(entry.path());
            }
            if kind.is_socket() {
                let mode = entry.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
            }
        }
    }
}

/// The most memory a process has held, in KiB.
fn peak(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The same of a monitor that has nothing to do: most of it is the program itself, which is large without optimization.
fn idle_peak() -> u64 {
    let env = TestEnv::new();
    detached(&env, &[], &["sleep", "100"]);
    let idle = peak(pid_of(&record(&env).1, "monitor"));
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    idle
}

/// What a monitor may take for output at most, in KiB.
const FOR_OUTPUT: u64 = 6 * 1024;

#[test]
fn case_39_floods_of_output_do_not_grow_memory() {
    let env = TestEnv::new();
    let idle = idle_peak();
    // Short lines, then one line of 32 MiB.
    let flood = "yes | head -c 33554432; head -c 33554432 /dev/zero | tr '\\0' x; echo; echo end; sleep 100";
    detached(&env, &["--log-opt", "max-size=1m"], &["sh", "-c", flood]);
    eventually("the flood has passed", || {
        env.coracle(["logs", "--tail", "1", "c"]).ok().text().ends_with("end")
    });
    let monitor = pid_of(&record(&env).1, "monitor");
    assert!(peak(monitor) < idle + FOR_OUTPUT, "the monitor took {} KiB, idle {idle}", peak(monitor));
    let dir = env.root().join("containers").join(env.containers().remove(0));
    let kept: u64 = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap())
        .filter(|e| e.file_name().to_string_lossy().contains("log"))
        .map(|e| e.metadata().unwrap().len())
        .sum();
    assert!(kept < 4 << 20, "{kept} bytes of log are kept");
}

#[test]
fn case_39_a_reader_that_stops_reading_stops_the_flood() {
    let env = TestEnv::new();
    let idle = idle_peak();
    let mut command =
        started(&env, &["--name", "c"], &["--log-driver", "none"], &["head", "-c", "268435456", "/dev/zero"])
            .into_command();
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let mut client = command.spawn().unwrap();
    let client_pid = i32::try_from(client.id()).unwrap();
    eventually("it runs", || env.coracle(["ps", "-q"]).ok().lines().len() == 1);
    // Two seconds of flooding against a pipe that nobody empties.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let monitor = pid_of(&record(&env).1, "monitor");
    assert!(peak(monitor) < idle + FOR_OUTPUT, "the monitor took {} KiB, idle {idle}", peak(monitor));
    assert!(peak(client_pid) < 48 * 1024, "the client took {} KiB", peak(client_pid));
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    let _ = client.kill();
    client.wait().unwrap();
}

#[test]
fn case_39_lists_show_no_terminal_escapes() {
    let env = TestEnv::new();
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2Jx\r\u{9b}31m";
    detached(&env, &["--label", &format!("k={evil}")], &["sh", "-c", "sleep 100", evil]);
    for args in [
        &["ps", "-a", "--no-trunc"][..],
        &["ps", "-a", "--format", "table {{.Command}} {{.Labels}}"],
        &["inspect", "c"],
    ] {
        let output = env.coracle(args).ok();
        let bad = output.stdout.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t');
        assert_eq!(bad, None, "{output:?}");
    }
}

#[test]
fn case_40_names_are_not_paths() {
    let env = TestEnv::new();
    let victim = env.file("victim/file", "untouched");
    detached(&env, &[], &["sleep", "100"]);
    let before = tree(&env.root());
    for name in ["../x", "a/b", "//x", "/", ".", "..", "-x", "a\nb", "a b", "\u{e9}", "../../victim"] {
        let output = started(&env, &["--rm"], &["--name", name], &["true"]).run();
        assert_eq!(output.code, 125, "--name {name:?}: {output}");
    }
    for name in ["../x", ".", "..", "../containers", "/etc", "../../victim", "c/..", "*", "", "c\0"] {
        if name.contains('\0') {
            continue;
        }
        // With -f what does not exist is no error.
        env.coracle(["rm", "-f", "--", name]).run();
        for verb in [&["rm"][..], &["inspect"], &["logs"], &["stop"], &["kill"], &["wait"]] {
            let output = env.coracle(verb.iter().chain(&["--", name])).run();
            assert_ne!(output.code, 0, "{verb:?} {name:?}: {output}");
        }
        assert_ne!(env.coracle(["exec", "--", name, "true"]).run().code, 0, "exec {name:?}");
        assert_ne!(env.coracle(["rmi", "-f", "--", name]).run().code, 0, "rmi {name:?}");
    }
    for volume in ["../x:/v", "a/../../x:/v", "-x:/v", "a b:/v"] {
        let output = run(&env, &["-v", volume], &["true"]);
        assert!(output.code == 125, "-v {volume:?}: {output}");
    }
    for network in ["../x", "container:../c", "container:..", "ns:/../x"] {
        let root = env.busybox_rootfs();
        let call = env.coracle(["run", "--rm", "--network", network, "--rootfs"]).arg(root).arg("true");
        assert_eq!(call.run().code, 125, "--network {network:?}");
    }
    assert_eq!(tree(&env.root()), before);
    assert_eq!(fs::read_to_string(victim).unwrap(), "untouched");
    assert_eq!(env.containers().len(), 1);
}

/// Every name below a directory but those of the log and of locks that come and go.
fn tree(dir: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
            all.insert(entry.path());
        }
    }
    all
}
