//! A hostile payload and the options that its owner gives it: what it leaves for the next command, what the
//! first process still holds, mounts, limits, and a place for volatile state that somebody else prepared.

use crate::common::{Call, Output, TestEnv, compiled, coracle_binary, eventually};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// `run` without a network, with the hostile program at `/hostile`.
fn run(env: &TestEnv, program: &Path, options: &[&str], command: &[&str]) -> Call {
    let program = format!("--volume={}:/hostile:ro", program.display());
    env.coracle(["run", "--network=none", &program]).args(options).arg("busybox").args(command)
}

/// The same call with these limits of a shell, `ulimit -s 1024` for one.
fn limited(env: &TestEnv, limit: &str, words: &[&str]) -> Output {
    let call = env.coracle(words).into_command();
    let words = [call.get_program()].into_iter().chain(call.get_args()).map(OsStr::to_owned);
    let script = format!("ulimit {limit}; exec \"$@\"");
    env.program("sh").args(["-c", &script, "sh"]).args(words.collect::<Vec<_>>()).run()
}

/// Clear words, and none of a process that died.
#[track_caller]
fn is_told(output: &Output) {
    let longest = output.stderr.lines().map(str::len).max().unwrap_or(0);
    assert!(output.code == 125 && output.stderr.starts_with("Error: ") && longest < 600, "{output}");
    assert!(!output.stderr.contains("died") && !output.stderr.contains("overflow"), "{output}");
}

#[test]
fn the_first_process_of_init_holds_nothing_when_its_payload_begins() {
    let env = TestEnv::with_images();
    let program = compiled("hostile");
    for options in [&["--rm", "--init", "--privileged"][..], &["--rm", "--init", "--cap-add=SYS_PTRACE"]] {
        for _ in 0..5 {
            let output = run(&env, &program, options, &["/hostile", "first"]).ok();
            assert_eq!(output.text(), "looked", "{output}");
        }
    }
    // What the payload's start has to say still comes through.
    run(&env, &program, &["--rm", "--init"], &["/none"]).fails(127);
    run(&env, &program, &["--rm", "--init"], &["/etc"]).fails(126);
}

#[test]
fn what_exec_and_health_checks_start_has_the_containers_limits() {
    let env = TestEnv::with_images();
    let limits =
        ["run", "-d", "--network=none", "--name=c", "--ulimit=nofile=77:88", "--ulimit=core=0:51200"];
    let check = ["--health-cmd=ulimit -n; ulimit -Hn", "--health-interval=disable"];
    env.coracle(limits).args(check).args(["busybox", "sleep", "1000"]).ok();
    let told = "ulimit -n; ulimit -Hn; ulimit -c; ulimit -Hc";
    assert_eq!(env.coracle(["exec", "c", "sh", "-c", told]).ok().lines(), ["77", "88", "0", "100"]);
    env.coracle(["healthcheck", "run", "c"]).ok();
    let log = env.coracle(["inspect", "-f", "{{json .State.Health.Log}}", "c"]).ok();
    assert!(log.stdout.contains("77\\n88"), "{log}");
    // A caller who may have less of something gives no more than that.
    let fewer = limited(&env, "-n 60", &["exec", "c", "sh", "-c", told]);
    assert_eq!(fewer.lines(), ["60", "60", "0", "100"], "{fewer}");
}

#[test]
fn how_deep_a_container_nests_directories_ends_no_process_of_ours() {
    let env = TestEnv::with_images();
    let program = compiled("hostile");
    // Fits into an archive, and into no stack that is needed for each level.
    let script = "/hostile deep /v 900 && /hostile deep /root 900";
    run(&env, &program, &["--name=c", "-v=deep:/v"], &["sh", "-c", script]).ok();
    for words in [
        &["export", "-o=root.tar", "c"][..],
        &["commit", "c", "deep"],
        &["volume", "export", "-o=volume.tar", "deep"],
        &["diff", "c"],
        &["system", "df"],
    ] {
        let output = limited(&env, "-s 1024", words);
        // What an image may nest is bounded.
        match words[0] {
            "commit" => is_told(&output),
            _ => assert_eq!(output.code, 0, "{output}"),
        }
    }
    assert!(fs::metadata(env.path().join("root.tar")).unwrap().len() > 900 * 512);
    run(&env, &program, &["--rm", "-u=5", "-v=deep:/v:U"], &["sh", "-c", "test -O /v/d/d/d/d/d"]).ok();
    env.coracle(["rm", "c"]).ok();
    // No name of an archive is as long as these.
    run(&env, &program, &["--name=c"], &["/hostile", "deep", "/root", "2500"]).ok();
    is_told(&env.coracle(["export", "-o=root.tar", "c"]).run());
    is_told(&env.coracle(["cp", "c:/root", "copy"]).run());
    env.coracle(["rm", "c"]).ok();
}

/// All names in the two directories and what is in the files.
fn view(env: &TestEnv, driver: &str) -> Vec<String> {
    let driver = format!("overlay.driver={driver}");
    env.coracle(["--storage-opt", &driver, "start", "-a", "c"]).ok().lines()
}

#[test]
fn marks_of_overlays_and_archives_mean_nothing_when_a_container_makes_them() {
    let program = compiled("hostile");
    for (one, other) in [("kernel", "fuse"), ("fuse", "kernel")] {
        let env = TestEnv::with_images();
        let script =
            "[ -e /odd ] || /hostile marks; find /odd /etc /bin | sort; cat /odd/moved /odd/dir/inside";
        let options = ["--storage-opt".to_owned(), format!("overlay.driver={one}")];
        let volume = format!("--volume={}:/hostile:ro", program.display());
        let capable =
            ["--name=c", "--network=none", "--cap-add=ALL", "--security-opt=seccomp=unconfined", &volume];
        let first = env.coracle(options).arg("run").args(capable).args(["busybox", "sh", "-c", script]).ok();
        let first = first.lines();
        assert!(!first.iter().any(|line| line.starts_with("made")), "{first:?}");
        assert_eq!(&first[first.len() - 2..], ["mine", "mine"]);
        for driver in [other, one] {
            assert_eq!(view(&env, driver), first, "{one} then {driver}");
        }
        let changes = env.coracle(["diff", "c"]).ok();
        assert!(!changes.lines().iter().any(|line| line.starts_with('D')), "{changes}");
        env.coracle(["commit", "c", "odd"]).ok();
        // Names that would hide others are no names of an image.
        let kept = first.iter().filter(|line| !line.contains("/.wh."));
        let committed = env.coracle(["run", "--rm", "--network=none", "odd", "sh", "-c", script]).ok();
        assert!(committed.lines().iter().eq(kept), "{committed}");
    }
}

#[test]
fn no_mount_that_a_container_may_make_or_undo_shows_the_host() {
    let env = TestEnv::with_images();
    let program = compiled("hostile");
    let marker = env.file("marker", "of the host");
    let marker = marker.to_str().unwrap();
    for options in [
        &["--privileged"][..],
        &["--privileged", "--init"],
        &["--privileged", "--userns=keep-id", "--user=0"],
        &["--privileged", "--pid=host", "--ipc=host", "--uts=host", "--cgroupns=host"],
        &[
            "--cap-add=ALL",
            "--security-opt=seccomp=unconfined",
            "--security-opt=unmask=ALL",
            "--network=host",
        ],
        &["--cap-add=SYS_ADMIN", "--read-only"],
    ] {
        let output = run(&env, &program, options, &["/hostile", "mounts", marker]).run();
        assert!(output.code == 0 && output.stdout.is_empty(), "{options:?}: {output}");
    }
}

#[test]
fn a_place_in_tmp_that_somebody_has_mounted_is_refused() {
    let env = TestEnv::new();
    // In the user namespace one's number is 0, whoever has put what there.
    // The program itself may lie in /tmp.
    let script = "exec 3<\"$0\"; mount -t tmpfs none /tmp && mkdir /tmp/coracle-0 /tmp/data \
                  && mount -t tmpfs -o mode=0700 none /tmp/coracle-0 \
                  && exec env -u XDG_RUNTIME_DIR /proc/self/fd/3 --root /tmp/data ps";
    let output = env.coracle(["unshare", "sh", "-c", script]).arg(coracle_binary()).run();
    assert_eq!(output.code, 125, "{output}");
    assert!(output.stderr.contains("/tmp/coracle-0 is not a directory that only you can change"), "{output}");
}

#[test]
fn what_a_container_puts_where_its_pid_is_written_is_not_followed() {
    let env = TestEnv::with_images();
    let shared = env.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let precious = env.file("precious", "untouched");
    let volume = format!("--volume={}:/s", shared.display());
    let (pid, monitor) = (shared.join("pid"), shared.join("monitor"));
    let files = [format!("--pidfile={}", pid.display()), format!("--conmon-pidfile={}", monitor.display())];
    let script = "rm -f /s/pid /s/monitor; ln -s ../precious /s/pid; mkfifo /s/monitor";
    env.coracle(["run", "--name=c", "--network=none", &volume])
        .args(files)
        .args(["busybox", "sh", "-c", script])
        .ok();
    env.coracle(["start", "-a", "c"]).ok();
    assert_eq!(fs::read_to_string(precious).unwrap(), "untouched");
    assert!(fs::symlink_metadata(&pid).unwrap().is_symlink(), "the second run has put it there again");
}

#[test]
fn a_start_is_not_kept_waiting_by_who_has_the_files_in_hand() {
    let env = TestEnv::with_images();
    let script = "dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null";
    env.coracle(["run", "--name=c", "--network=none", "busybox", "sh", "-c", script]).ok();
    let mut export = env.coracle(["export", "c"]).into_command();
    let mut export =
        export.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let alive = env.root().join("containers").join(&env.containers()[0]).join("alive");
    eventually("it has them", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&alive).unwrap());
        locks.lines().any(|line| line.contains(&format!(":{inode} ")))
    });
    let waiting = env.coracle(["start", "c"]).start();
    let begun = Instant::now();
    let output = waiting.wait();
    assert!(begun.elapsed() < Duration::from_secs(60), "{output}");
    is_told(&output);
    assert!(output.stderr.contains("is using the files of container"), "{output}");
    assert!(output.stderr.contains("ps -o pid,stat,args -p"), "{output}");
    // One that waits is ended like the one it waits for, unless it has begun by then.
    let waiting = env.coracle(["start", "c"]).start();
    std::thread::sleep(Duration::from_millis(500));
    env.coracle(["rm", "-f", "-t=0", "c"]).ok();
    let output = waiting.wait();
    assert!([0, 125].contains(&output.code), "{output}");
    assert!(env.containers().is_empty());
    export.kill().unwrap();
    export.wait().unwrap();
}
