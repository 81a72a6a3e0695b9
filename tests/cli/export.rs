//! `export`: the root file system as an archive, without what is mounted.

use super::ps::{IDLE, start};
use crate::common::TestEnv;

#[test]
fn the_root_is_exported_running_or_not() {
    let env = TestEnv::with_images();
    let script = "echo mine >/made; chown 33:44 /made; mkdir -p /data /mem; echo under >/below; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let run =
        ["run", "-d", "--name", "web", "--network=none", "-v", "data:/data", "--tmpfs", "/mem", "busybox"];
    env.coracle(run).args(["sh", "-c", script]).ok();
    crate::common::eventually("it is done", || env.coracle(["exec", "web", "cat", "/below"]).run().code == 0);
    env.coracle(["exec", "web", "sh", "-c", "echo hidden >/data/x; echo hidden >/mem/x"]).ok();
    let list =
        |archive: Vec<u8>| env.program("tar").args(["-tv", "--numeric-owner"]).stdin(archive).ok().stdout;
    let running = list(env.coracle(["export", "web"]).ok().bytes);
    assert!(
        running.contains(" bin/busybox") && running.contains("33/44") && running.contains(" made"),
        "{running}"
    );
    assert!(running.contains(" data/\n") && !running.contains("data/x") && !running.contains("mem/x"));
    assert!(running.contains(" proc/\n") && !running.contains("proc/1"));
    env.coracle(["stop", "web"]).ok();
    let file = env.path().join("out.tar");
    assert_eq!(env.coracle(["container", "export", "-o"]).arg(&file).arg("web").ok().stdout, "");
    let stopped = list(std::fs::read(&file).unwrap());
    assert_eq!(stopped, running);
    let read = env.program("tar").args(["-xOf"]).arg(&file).arg("made").ok();
    assert_eq!(read.stdout, "mine\n");
}

#[test]
fn failures() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.coracle(["export", "nobody"]).fails(125).says("nobody");
    env.coracle(["export"]).fails(125);
    env.coracle(["export", "-o", "/nosuch/file", "web"]).fails(125).says("/nosuch/file");
    env.coracle(["export", "-o", "/dev/full", "web"]).fails(125);
}

/// A file of the user's is replaced whole or not at all, and through a symbolic link.
#[test]
fn an_archive_cut_short_replaces_nothing() {
    let env = TestEnv::with_images();
    let mounted = ["create", "--name", "web", "--network=none", "-v", "vol:/bin", "busybox"];
    env.coracle(mounted).ok();
    env.coracle(["run", "--rm", "--network=none", "-v", "vol:/v", "busybox", "cp", "/bin/busybox", "/v/b"])
        .ok();
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(env.path().join("out")).unwrap().flatten().collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        names.iter().map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let old = env.file("out/old.tar", "old");
    std::os::unix::fs::symlink("old.tar", env.path().join("out/link.tar")).unwrap();
    for verb in [&["export", "web"][..], &["volume", "export", "vol"], &["save", "busybox"]] {
        let (what, verb) = verb.split_last().unwrap();
        let program = crate::common::coracle_binary();
        let call = env.coracle(verb).args(["-o", "out/link.tar", what]).into_command();
        // 100 KiB, less than the archive has.
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", "ulimit -f 200; exec \"$0\" \"$@\""]).arg(program).args(call.get_args());
        let status = limited.current_dir(env.path()).stderr(std::process::Stdio::null()).status().unwrap();
        assert!(!status.success(), "{verb:?}");
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "old", "{verb:?}");
        assert_eq!(names(), ["link.tar", "old.tar"], "{verb:?}");
        env.coracle(verb).args(["-o", "out/link.tar", what]).ok();
        assert!(std::fs::metadata(&old).unwrap().len() > 100 << 10, "{verb:?}");
        assert_eq!(names(), ["link.tar", "old.tar"], "{verb:?}");
        std::fs::write(&old, "old").unwrap();
    }
}
