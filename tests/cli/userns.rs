//! `run` with an id map of the container's own: `--userns=nomap` and `keep-id`.

use crate::common::{Call, ImageBuilder, Layer, TestEnv, busybox, coracle_binary, eventually, many_layers};
use expectrl::Expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const NOMAP: &str = "--userns=nomap";

fn call(env: &TestEnv, options: &[&str], image: &str, script: &str) -> Call {
    env.coracle(["run", "--network=none", NOMAP]).args(options).args([image, "sh", "-c", script])
}

#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    call(env, &[&["--rm"], options].concat(), "busybox", script).ok().text().to_owned()
}

fn start(env: &TestEnv, name: &str, options: &[&str], script: &str) {
    let script = format!("{script}; exec sleep 1000");
    call(env, &[&["-d", "--name", name], options].concat(), "busybox", &script).ok();
}

/// An image whose `/euid` is set-user-id root and ends with its effective user as exit code.
#[cfg(target_arch = "x86_64")]
fn with_setuid() -> ImageBuilder {
    let code = b"\xb8\x6b\0\0\0\x0f\x05\x89\xc7\xb8\x3c\0\0\0\x0f\x05";
    let size = (120 + code.len() as u64).to_le_bytes();
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    elf.extend(0x40_0078_u64.to_le_bytes());
    elf.extend(64_u64.to_le_bytes());
    elf.extend([0; 12]);
    elf.extend(b"\x40\0\x38\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x05\0\0\0");
    for word in [0_u64, 0x40_0000, 0x40_0000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(size);
    elf.extend(size);
    elf.extend(0x1000_u64.to_le_bytes());
    elf.extend(code);
    busybox().layer(Layer::new().file("euid", 0o4755, &elf).file("plain", 0o755, &elf))
}

#[test]
fn the_users_own_id_does_not_exist_inside() {
    let env = TestEnv::with_images();
    let script = "id; cat /proc/self/uid_map /proc/self/gid_map; stat -c '%u:%g %n' / /bin /etc/passwd /etc/hosts /dev /dev/pts";
    let shown = out(&env, &[], script);
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("uid=0(root) gid=0(root)"), "{shown}");
    let map: Vec<u64> = lines[1].split_whitespace().map(|n| n.parse().unwrap()).collect();
    assert!(map[0] == 0 && map[1] == 1 && map[2] >= 65535, "{shown}");
    assert!(
        shown.ends_with("0:0 /\n0:0 /bin\n0:0 /etc/passwd\n0:0 /etc/hosts\n0:0 /dev\n0:0 /dev/pts"),
        "{shown}"
    );
    // The user's own files belong to nobody.
    env.file("mine/f", "x");
    let bind = format!("{}:/mine", env.path().join("mine").display());
    assert_eq!(out(&env, &["-v", &bind], "stat -c %u /mine/f; cat /mine/f"), "65534\nx");
    assert_eq!(
        out(&env, &["--user", "1000:10"], "id -u; id -g; touch /tmp/x && stat -c %u /tmp/x"),
        "1000\n10\n1000"
    );
    let mode = call(&env, &["-d", "--name", "c"], "busybox", "sleep 1000");
    mode.ok();
    let seen = env.coracle(["inspect", "c"]).ok().json();
    assert_eq!(seen[0]["HostConfig"]["UsernsMode"], "private");
    assert!(seen[0]["HostConfig"]["IDMappings"]["UidMap"][0].as_str().unwrap().starts_with("0:1:"));
}

#[test]
fn an_image_is_seen_whole() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(many_layers(20), "userns/many");
    let script = "cat /many/last; test ! -e /d/hidden && ls /o; cat /d/b; stat -c '%a %u:%g %h' /d/suid /d/owned /d/a; \
                  ls -a /o | head -2; test /d/a -ef /d/b && echo same; find / -xdev | wc -l; df -P / | wc -l";
    let with = |options: &[&str]| {
        let base = env.coracle(["run", "--rm", "--network=none"]).args(options);
        base.args([&image, "sh", "-c", script]).ok().text().to_owned()
    };
    assert_eq!(with(&[NOMAP]), with(&[]));
}

#[test]
fn the_longest_chain_of_layers_can_be_mounted() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(many_layers(127), "userns/most");
    assert_eq!(call(&env, &["--rm"], &image, "cat /many/last").ok().text(), "126");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn set_user_id_and_file_capabilities_work() {
    let env = TestEnv::new();
    // Revision 2, effective, CAP_NET_BIND_SERVICE permitted.
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let binary = std::fs::read(crate::common::which("busybox").unwrap()).unwrap();
    let capable = Layer::new().dir("c", 0o755).pax(&[("SCHILY.xattr.security.capability", capability)]);
    let (image, _) = env.pulled(with_setuid().layer(capable.file("c/grep", 0o755, binary)), "userns/setuid");
    let script = "/euid; echo $?; /plain; echo $?; /c/grep CapEff /proc/self/status; cp /euid /tmp/copy; /tmp/copy; echo $?";
    let shown = call(&env, &["--rm", "-u", "7"], &image, script).ok().text().to_owned();
    assert_eq!(shown, "0\n7\nCapEff:\t0000000000000400\n7");
}

#[test]
fn what_is_written_belongs_to_the_containers_users_everywhere() {
    let env = TestEnv::with_images();
    let script = "echo r >/root/f; touch /home/tester/t; chown 1000:10 /home/tester/t; rm /etc/group; rm -r /home/tester; mkdir /home/tester; chown 5:6 /home/tester; \
                  ln /root/f /root/g; chmod 4711 /root/f";
    start(&env, "c", &[], script);
    eventually("it has written", || env.coracle(["exec", "c", "test", "-u", "/root/f"]).run().code == 0);
    let exec = |options: &[&str], script: &str| {
        let call = env.coracle(["exec"]).args(options).args(["c", "sh", "-c", script]);
        call.ok().text().to_owned()
    };
    assert_eq!(exec(&[], "stat -c '%u:%g %a %h' /root/f"), "0:0 4711 2");
    assert_eq!(exec(&["-u", "1000"], "id -u; touch /tmp/t; stat -c %u /tmp/t"), "1000\n1000");
    let changes = env.coracle(["diff", "c"]).ok().stdout;
    assert!(changes.contains("D /etc/group\n") && changes.contains("A /root/f\n"), "{changes}");
    assert!(!changes.contains("/bin"), "{changes}");

    // Copies, both ways and through an archive.
    env.file("given", "g");
    env.coracle(["cp", "given", "c:/root/given"]).ok();
    env.coracle(["cp", "c:/root/given", "taken"]).ok();
    assert_eq!(std::fs::metadata(env.path().join("taken")).unwrap().uid(), nix::unistd::getuid().as_raw());
    assert_eq!(exec(&[], "stat -c %u:%g /root/given"), "0:0");
    let archive = env.coracle(["cp", "c:/home/tester", "-"]).ok().bytes;
    let owner = |archive: &[u8], path: &str| {
        let mut archive = tar::Archive::new(archive);
        let mut entries = archive.entries().unwrap().flatten();
        let entry =
            entries.find(|e| e.path_bytes().strip_suffix(b"/").unwrap_or(&e.path_bytes()) == path.as_bytes());
        entry.map(|e| (e.header().uid().unwrap(), e.header().gid().unwrap()))
    };
    assert_eq!(owner(&archive, "tester"), Some((5, 6)));
    env.coracle(["cp", "--archive=false", "-", "c:/tmp"]).stdin(archive).ok();
    assert_eq!(exec(&[], "stat -c %u:%g /tmp/tester"), "5:6");

    for state in ["running", "stopped"] {
        let exported = env.coracle(["export", "c"]).ok().bytes;
        assert_eq!(owner(&exported, "root/f"), Some((0, 0)), "{state}");
        assert_eq!(owner(&exported, "home/tester"), Some((5, 6)), "{state}");
        assert_eq!(owner(&exported, "bin/busybox"), Some((0, 0)), "{state}");
        env.coracle(["commit", "-q", "c", &format!("layer-{state}")]).ok();
        env.coracle(["commit", "-q", "--squash", "c", &format!("whole-{state}")]).ok();
        for image in ["layer", "whole"] {
            let image = format!("localhost/{image}-{state}");
            let script = "stat -c '%u:%g %a %h' /root/f; stat -c %u:%g /home/tester / /bin; ls /etc/group";
            for options in [&[][..], &[NOMAP]] {
                let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
                let seen = call.args([&image, "sh", "-c", script]).fails(1);
                assert_eq!(seen.text(), "0:0 4711 2\n5:6\n0:0\n0:0", "{image} {options:?}");
            }
        }
        env.coracle(["stop", "-t", "0", "c"]).ok();
    }
    env.coracle(["start", "c"]).ok();
    assert_eq!(exec(&[], "stat -c %u:%g /root/given /tmp/tester"), "0:0\n5:6");
}

/// Capabilities that the container's root gives a file are root's in the image too.
#[test]
fn capabilities_set_inside_survive_a_commit() {
    let env = TestEnv::with_images();
    if !out(&env, &[], "busybox --list").lines().any(|applet| applet == "setfattr") {
        return crate::common::skip("this busybox has no setfattr");
    }
    let value = "0x0100000200040000000000000000000000000000";
    call(
        &env,
        &["--name", "c"],
        "busybox",
        &format!("cp /bin/busybox /tmp/grep; setfattr -n security.capability -v {value} /tmp/grep"),
    )
    .ok();
    env.coracle(["commit", "-q", "c", "made"]).ok();
    let run = env.coracle([
        "run",
        "--rm",
        "--network=none",
        "-u",
        "7",
        "localhost/made",
        "/tmp/grep",
        "CapEff",
        "/proc/self/status",
    ]);
    assert_eq!(run.ok().text(), "CapEff:\t0000000000000400");
}

#[test]
fn volumes_and_memory_belong_to_the_payloads_user() {
    let env = TestEnv::with_images();
    let script = "stat -c %u:%g /v /h; touch /v/x && stat -c %u /v/x";
    let user = ["-u", "1000:1000", "-v", "named:/v", "-v", "home:/h"];
    assert_eq!(out(&env, &user, script), "1000:1000\n1000:1000\n1000");
    // The second one to use it takes nothing away.
    assert_eq!(out(&env, &["-v", "named:/v"], "stat -c %u:%g /v /v/x"), "1000:1000\n1000:1000");
    assert_eq!(out(&env, &["-v", "etc:/etc"], "stat -c %u:%g /etc /etc/passwd"), "0:0\n0:0");
    env.file("dir/f", "x");
    let bind = format!("{}:/b:U", env.path().join("dir").display());
    assert_eq!(out(&env, &["-u", "3:4", "-v", &bind], "stat -c %u:%g /b /b/f; echo y >/b/f"), "3:4\n3:4");
    assert_eq!(
        out(&env, &["--tmpfs", "/t", "--read-only"], "touch /t/x /tmp/y; stat -c %u:%g /t/x /tmp/y"),
        "0:0\n0:0"
    );
    let image = ["--mount", "type=image,src=busybox,dst=/i,rw=true"];
    assert_eq!(
        out(&env, &image, "stat -c %u:%g /i/bin/busybox; touch /i/new && stat -c %u:%g /i/new"),
        "0:0\n0:0"
    );
}

#[test]
fn it_lives_like_any_other() {
    let env = TestEnv::with_images();
    // Terminals, a small init, the default network.
    let mut terminal = env
        .coracle([
            "run",
            "--rm",
            "-it",
            NOMAP,
            "busybox",
            "sh",
            "-c",
            "stat -c %u:%g $(tty); ls /sys/class/net",
        ])
        .pty();
    terminal.expect("0:5").unwrap();
    terminal.expect("tap0").unwrap();
    drop(terminal);
    assert_eq!(out(&env, &["--init"], "echo $$; id -u"), "2\n0");
    // Health checks run as the container's root, policies bring it back.
    start(&env, "h", &["--health-cmd", "test $(id -u) = 0", "--health-interval", "100ms"], "true");
    eventually("it is healthy", || {
        env.coracle(["inspect", "-f", "{{.State.Health.Status}}", "h"]).ok().text() == "healthy"
    });
    call(&env, &["--name", "r", "--restart", "on-failure:1"], "busybox", "echo run; exit 3").run();
    eventually("it has run twice", || env.coracle(["logs", "r"]).ok().text() == "run\nrun");
    // Whoever shares its namespaces has its ids.
    let joined = env.coracle([
        "run",
        "--rm",
        "--network=container:h",
        "busybox",
        "sh",
        "-c",
        "stat -c %u / /bin; touch /x",
    ]);
    assert_eq!(joined.ok().text(), "0\n0");
    env.coracle(["run", "--rm", "--network=container:h", NOMAP, "busybox", "true"])
        .fails(125)
        .says("Leave out --userns and --uidmap");
}

#[track_caller]
fn kept(env: &TestEnv, options: &[&str], script: &str) -> String {
    let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
    call.args(["busybox", "sh", "-c", script]).ok().text().to_owned()
}

/// As podman has it: the same numbers inside and outside, and files on both sides are the same user's.
#[test]
fn the_user_is_himself_inside() {
    let env = TestEnv::with_images();
    let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
    let name = std::env::var("USER").unwrap();
    // The image has a user of its own by the number that the first account of a machine has.
    let known = uid.as_raw() == 1000;
    let (called, home) = if known { ("tester", "/home/tester\n") } else { (name.as_str(), "/tmp\n") };
    let keep = "--userns=keep-id";
    let script =
        "id; echo $HOME; tail -n 1 /etc/passwd /etc/group; cat /proc/self/uid_map; stat -c %u:%g / /bin";
    let shown = kept(&env, &[keep, "-w", "/tmp"], script);
    assert!(shown.starts_with(&format!("uid={uid}({called}) gid={gid}({called})")), "{shown}");
    for line in [
        format!("{name}:*:{uid}:{gid}:"),
        if known { String::new() } else { format!("{name}:x:{gid}:{name}") },
        home.to_owned(),
        "0:0\n0:0".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    let map: Vec<Vec<u32>> = shown
        .lines()
        .map(|line| line.split_whitespace().map_while(|n| n.parse().ok()).collect())
        .filter(|line: &Vec<u32>| line.len() == 3)
        .collect();
    assert_eq!(map[..2], [vec![0, 1, uid.as_raw()], vec![uid.as_raw(), 0, 1]]);

    // The user's files, a fresh volume, and somebody else.
    env.file("mine/f", "x");
    let bind = format!("{}:/mine", env.path().join("mine").display());
    let script = "stat -c %u:%g /mine/f /v; echo y >/mine/g; touch /v/x; id -un";
    let own = format!("{uid}:{gid}");
    assert_eq!(kept(&env, &[keep, "-v", &bind, "-v", "v:/v"], script), format!("{own}\n{own}\n{called}"));
    let made = std::fs::metadata(env.path().join("mine/g")).unwrap();
    assert_eq!((made.uid(), made.gid()), (uid.as_raw(), gid.as_raw()));
    assert_eq!(kept(&env, &[keep, "-u", "0"], "id -u; touch /x; stat -c %u /x"), "0\n0");
    assert_eq!(kept(&env, &[keep, "-u", "tester"], "id -un; echo $HOME"), "tester\n/home/tester");
    assert!(!kept(&env, &[keep, "--passwd=false"], "cat /etc/passwd").contains(&name));
    // As a user of the image.
    let script = "id -un; echo $HOME; stat -c %U:%G /mine/f; grep -c tester /etc/passwd";
    let options = ["--userns=keep-id:uid=1000,gid=10", "-v", &bind];
    assert_eq!(kept(&env, &options, script), "tester\n/home/tester\ntester:wheel\n1");
    assert_eq!(
        kept(&env, &["--userns=keep-id:uid=0,gid=0", "-v", &bind], "id -u; stat -c %u /mine/f"),
        "0\n0"
    );
    // More than there are: the user comes last.
    assert_eq!(kept(&env, &["--userns=keep-id:uid=900000"], "id -u; stat -c %u /bin"), "900000\n0");
}

#[test]
fn what_the_user_makes_inside_is_committed_and_copied_as_his() {
    let env = TestEnv::with_images();
    let uid = nix::unistd::getuid();
    let run = env.coracle([
        "run",
        "-d",
        "--name=c",
        "--network=none",
        "--userns=keep-id",
        "busybox",
        "sleep",
        "1000",
    ]);
    run.ok();
    let exec = |script: &str| env.coracle(["exec", "c", "sh", "-c", script]).ok().text().to_owned();
    assert_eq!(exec("id -u; touch /tmp/made; stat -c %u /tmp/made"), format!("{uid}\n{uid}"));
    env.file("given", "g");
    env.coracle(["cp", "given", "c:/tmp/given"]).ok();
    assert_eq!(exec("stat -c %u /tmp/given; rm /tmp/given"), uid.to_string());
    env.coracle(["commit", "-q", "c", "made"]).ok();
    let seen = env.coracle([
        "run",
        "--rm",
        "--network=none",
        "localhost/made",
        "stat",
        "-c",
        "%u",
        "/tmp/made",
        "/tmp",
    ]);
    assert_eq!(seen.ok().text(), format!("{uid}\n0"));
    env.coracle(["restart", "-t", "0", "c"]).ok();
    assert_eq!(exec("id -u; ls /tmp"), format!("{uid}\nmade"));
}

#[test]
fn maps_are_given_line_by_line() {
    let env = TestEnv::with_images();
    let script = "cat /proc/self/uid_map | tr -s ' '; id -u; stat -c %u /bin; touch /x; stat -c %u /x";
    let shown = kept(&env, &["--uidmap=0:1:1000", "--uidmap=1000:0:1", "--gidmap=0:1:2000"], script);
    assert_eq!(shown, "0 1 1000\n 1000 0 1\n0\n0\n0");
    // Be the user the container's root, or its group, both or neither.
    let script = "id -u; id -g; touch /x && stat -c %u:%g /x; test -L /dev/ptmx && stat -c %u:%g /dev";
    for maps in [
        &["--uidmap=0:0:1000", "--gidmap=0:1:1000"][..],
        &["--uidmap=0:1:1000", "--gidmap=0:0:1000"],
        &["--uidmap=0:0:1000", "--gidmap=0:5:10,10:0:1"],
        &["--uidmap=0:0"],
        &["--uidmap=0:5:10", "--gidmap=0:0:1"],
    ] {
        assert_eq!(kept(&env, maps, script), "0\n0\n0:0\n0:0", "{maps:?}");
    }
    let maps = ["--uidmap=0:0:1000", "--gidmap=0:1:1000", "busybox", "sleep", "1000"];
    env.coracle(["run", "-d", "--name=mapped", "--network=none"]).args(maps).ok();
    assert_eq!(env.coracle(["exec", "mapped", "sh", "-c", script]).ok().text(), "0\n0\n0:0\n0:0");
    // Ids of the image that are left out are nobody's.
    let (image, _) = env.pulled(many_layers(12), "userns/odd");
    let script = "stat -c %u:%g /d/owned /d/suid; cat /d/owned || rm /d/owned || echo kept";
    let run = env.coracle([
        "run",
        "--rm",
        "--network=none",
        "--uidmap=0:1:100,200:0:1",
        &image,
        "sh",
        "-c",
        script,
    ]);
    assert_eq!(run.ok().text(), "65534:65534\n0:0\nkept");
    for (options, why) in [
        (&["--uidmap=5:1:10"][..], "no root"),
        (&["--uidmap=0:1:4000000000"], "this account has"),
        (&["--uidmap=0:1:10", "--gidmap=0:1:10,5:20:1"], "same ids"),
        (&["--uidmap=0:1:10", "--userns=nomap"], "cannot be set together"),
    ] {
        env.coracle(["run", "--rm"]).args(options).args(["busybox", "true"]).fails(125).says(why);
    }
}

#[test]
fn lines_of_maps_have_flags() {
    let env = TestEnv::with_images();
    let map = |options: &[&str], file: &str| {
        let script = format!("cat /proc/self/{file} | tr -s ' '");
        kept(&env, options, &script)
    };
    let user = format!("+u5:@{}", nix::unistd::getuid());
    assert!(map(&["--uidmap", &user], "uid_map").starts_with("0 1 5\n 5 0 1\n 6 6 "));
    assert!(map(&["--uidmap", &user], "gid_map").starts_with("0 0 "));
    let group = ["--gidmap=0:0:1000", "--gidmap=g2000:2000:1"];
    assert!(map(&group, "gid_map").ends_with("\n 2000 2000 1"));
    assert!(!map(&group, "uid_map").contains("2000"));
    let run = ["run", "--rm", "--uidmap=0:@4000000000", "busybox", "true"];
    env.coracle(run).fails(125).says("id 4000000000 of the host");
}

/// The server of its files goes with the monitor, and comes again with a start.
#[test]
fn a_killed_monitor_leaves_nothing_that_runs() {
    let env = TestEnv::with_images();
    start(&env, "c", &[], "echo kept >/root/f");
    let monitor =
        || env.coracle(["inspect", "-f", "{{.State.ConmonPid}}", "c"]).ok().text().parse::<i32>().unwrap();
    let children = |pid: i32| {
        let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<i32>>()
    };
    let first = monitor();
    let ours = children(first);
    assert_eq!(ours.len(), 2, "the payload and the server");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("its children are gone", || {
        ours.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
    let status = env.coracle(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c"]).ok();
    assert_eq!(status.text(), "exited 255");
    env.coracle(["start", "c"]).ok();
    assert_eq!(env.coracle(["exec", "c", "cat", "/root/f"]).ok().text(), "kept");
    // Without the server what is not known yet cannot be read, and nothing hangs.
    let server = children(monitor())[0];
    let payload = env.coracle(["inspect", "-f", "{{.State.Pid}}", "c"]).ok().text().parse::<i32>().unwrap();
    assert_ne!(server, payload, "the server is older");
    kill(Pid::from_raw(server), Signal::SIGKILL).unwrap();
    assert_ne!(env.coracle(["exec", "c", "find", "/"]).run().code, 0);
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
}

/// The server is a process of the user's outside of everything the container sees, and cannot be looked into.
#[test]
fn the_server_is_out_of_reach() {
    let env = TestEnv::with_images();
    start(&env, "c", &[], "true");
    let monitor = env.coracle(["inspect", "-f", "{{.State.ConmonPid}}", "c"]).ok().text().to_owned();
    let children = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap();
    let server = children.split_whitespace().next().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_once('\t').unwrap().1.to_owned()
    };
    // CAP_DAC_READ_SEARCH alone.
    assert_eq!((field("CapPrm:"), field("CapEff:")), ("0000000000000004".into(), "0000000000000004".into()));
    assert_eq!((field("CapInh:"), field("NoNewPrivs:")), ("0000000000000000".into(), "1".into()));
    assert!(std::fs::read_dir(format!("/proc/{server}/fd")).is_err(), "it is dumpable");
    let hidden =
        env.coracle(["exec", "c", "sh", "-c", &format!("kill -0 {server}; mount | grep -c fuse")]).run();
    assert_eq!(hidden.text(), "0");
}

/// Programs that log to /dev/stdout open it by name.
#[test]
fn standard_streams_can_be_opened_by_whoever_has_them() {
    let env = TestEnv::with_images();
    let script = "echo out >/dev/stdout && echo err >/dev/stderr";
    for ids in ["--userns=host", NOMAP, "--userns=keep-id"] {
        for user in ["0", "7:8"] {
            let options = ["--rm", "-i", "--network=none", ids, "-u", user];
            let run = env.coracle(["run"]).args(options).args(["busybox", "sh", "-c", script]).ok();
            assert_eq!((run.text(), run.stderr.trim()), ("out", "err"), "{ids} {user}");
        }
        env.coracle(["run", "-d", "--name", "c", "--network=none", ids, "busybox", "sleep", "1000"]).ok();
        let exec = env.coracle(["exec", "-u", "7:8", "c", "sh", "-c", script]).ok();
        assert_eq!((exec.text(), exec.stderr.trim()), ("out", "err"), "{ids}");
        env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    }
    // What the caller passes through stays the caller's.
    let log = env.file("log", "");
    let file = std::fs::File::create(&log).unwrap();
    let run = ["run", "--rm", "--network=none", "--log-driver=passthrough", "-u", "7", "busybox", "id", "-u"];
    assert!(env.coracle(run).into_command().stdout(file).status().unwrap().success());
    assert_eq!(std::fs::metadata(&log).unwrap().uid(), nix::unistd::getuid().as_raw());
}

/// Every capability inside is none over what belongs to the user, who does not exist there.
#[test]
fn files_of_the_user_stay_out_of_reach() {
    let env = TestEnv::with_images();
    let plain = "cp /bin/busybox /v/grep; chmod 6755 /v/grep; echo own >/v/own; chmod 600 /v/own";
    env.coracle(["run", "--rm", "--network=none", "-v", "shared:/v", "busybox", "sh", "-c", plain]).ok();
    env.file("mine/secret", "x");
    let mine = env.path().join("mine");
    for (path, mode) in [(mine.clone(), 0o777), (mine.join("secret"), 0o600)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let bind = format!("{}:/m", mine.display());
    let attack = "cat /m/secret /v/own; chmod 777 /m/secret /v /v/own; chown 0 /m/secret /v/grep; ln /m/secret /m/link; \
                  mv /v/own /v/other; echo x >>/v/grep; mount -o remount,bind,suid /v; mknod /m/device c 1 3; \
                  touch /m/new; exec 2>&1; /v/grep -E '^[UG]id' /proc/self/status";
    let shown = out(&env, &["--privileged", "-v", "shared:/v", "-v", &bind], attack);
    assert_eq!(shown, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0");
    let mut names: Vec<_> = std::fs::read_dir(&mine).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["new", "secret"]);
    let owner = |name: &str| std::fs::metadata(mine.join(name)).unwrap().uid();
    let user = nix::unistd::getuid().as_raw();
    assert!(owner("secret") == user && owner("new") != user);
    let list = ["run", "--rm", "--network=none", "-v", "shared:/v", "busybox", "stat", "-c", "%n %u %a"];
    assert_eq!(env.coracle(list).args(["/v/own", "/v/grep"]).ok().text(), "/v/own 0 600\n/v/grep 0 6755");
}

#[test]
fn a_low_limit_of_open_files_is_no_limit_inside() {
    let env = TestEnv::new();
    let files = (0..200).fold(Layer::new(), |layer, n| layer.file(&format!("many/{n}/f"), 0o644, b"x\n"));
    let (image, _) = env.pulled(busybox().layer(files), "userns/limit");
    let run = call(&env, &["--rm"], &image, "cat /many/*/f | wc -l").into_command();
    let limited = env.program("sh").args(["-c", "ulimit -n 120; exec \"$0\" \"$@\""]).arg(coracle_binary());
    assert_eq!(limited.args(run.get_args().map(ToOwned::to_owned)).ok().text(), "200");
}

/// Somebody, or the kernel for want of memory, kills the server: the next run has a new one.
#[test]
fn a_restart_brings_back_a_killed_server() {
    let env = TestEnv::with_images();
    let run = env.coracle(["run", "-d", "--name", "c", "--network=none", "--userns=keep-id"]);
    run.args(["--restart=always", "busybox", "sleep", "1000"]).ok();
    let field = |field: &str| -> i32 {
        let shown = env.coracle(["inspect", "-f", &format!("{{{{.{field}}}}}"), "c"]).ok();
        shown.text().parse().unwrap()
    };
    env.coracle(["exec", "c", "sh", "-c", "echo kept >/tmp/kept"]).ok();
    for round in 1..3 {
        let (monitor, payload) = (field("State.ConmonPid"), field("State.Pid"));
        let children = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap();
        for child in children.split_whitespace().map(|pid| pid.parse::<i32>().unwrap()) {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        eventually("the container has run again", || {
            field("RestartCount") >= round && ![0, payload].contains(&field("State.Pid"))
        });
        let seen = env.coracle(["exec", "c", "sh", "-c", "cat /tmp/kept; ls -d /bin/busybox"]).ok();
        assert_eq!(seen.stdout, "kept\n/bin/busybox\n", "{seen}");
        assert_eq!(field("State.ConmonPid"), monitor, "another monitor");
        assert_eq!(field("RestartCount"), round, "it came back at the first attempt");
    }
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
}

#[test]
fn what_it_needs_and_cannot_have_is_said() {
    let env = TestEnv::with_images();
    env.coracle(["run", "--rm", NOMAP, "--rootfs", "/:O", "true"]).fails(125).says("--rootfs cannot be used");
    env.coracle(["run", "--rm", "--userns=auto", "busybox", "true"])
        .fails(125)
        .says("is not supported: containers have no id ranges");
    let binary = coracle_binary();
    let isolated = ["--user", "--map-root-user", "--map-auto", "--mount", "sh", "-c"];
    let hide = "mount -t tmpfs none /dev; \"$0\" \"$@\"";
    let run = env.coracle(["run", "--network=none", NOMAP, "busybox", "true"]).into_command();
    let arguments: Vec<_> = run.get_args().map(ToOwned::to_owned).collect();
    let output = env.program("unshare").args(isolated).arg(hide).arg(&binary).args(arguments).run();
    assert_eq!(output.code, 125, "{output}");
    output.says("/dev/fuse").says("Hint: ").says("modprobe fuse");
    assert!(env.containers().is_empty());
    let info = env.coracle(["info", "--format", "json"]).ok().json();
    let found = info["checks"].as_array().unwrap().iter().find(|check| check["name"] == "fuse-device");
    assert_eq!(found.unwrap()["state"], "ok");
}
