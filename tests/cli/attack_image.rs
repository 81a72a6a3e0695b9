//! Attack cases 15 to 24, 27, 28 and 30: a hostile image or root file system, before the payload runs.
//!
//! Each test sets up what went wrong elsewhere (a symlink where a directory belongs, a file in the place
//! of a device) with a victim outside the root, and checks what the payload sees and that the victim is
//! as it was.

use super::docker::docker;
use crate::common::{Layer, Output, TestEnv, busybox, shared_registry};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A busybox root of this test's own and a directory beside it that nothing may touch.
struct Scene {
    env: TestEnv,
    root: PathBuf,
    victim: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let env = TestEnv::new();
        let root = env.busybox_rootfs();
        let victim = env.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "untouched").unwrap();
        Scene { env, root, victim }
    }

    /// Puts a symlink into the root, in place of what is there.
    fn link(&self, at: &str, target: impl AsRef<Path>) {
        let at = self.root.join(at);
        let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(target, at).unwrap();
    }

    /// Puts a file into the root, in place of what is there.
    fn put(&self, at: &str, content: &str) {
        let at = self.root.join(at);
        let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at));
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, content).unwrap();
    }

    /// Paths that lead from the root to the victim where symlinks are followed carelessly.
    fn ways_out(&self) -> [PathBuf; 2] {
        [self.victim.clone(), PathBuf::from("../victim")]
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let call = self.env.coracle(["run", "--rm", "--network", "none"]).args(options);
        call.args(["--rootfs", self.root.to_str().unwrap()]).args(command).run()
    }

    fn sh(&self, options: &[&str], script: &str) -> Output {
        self.run(options, &["sh", "-c", script])
    }

    #[track_caller]
    fn victim_is_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.victim).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["file"]);
        assert_eq!(fs::read_to_string(self.victim.join("file")).unwrap(), "untouched");
    }
}

#[track_caller]
fn refused(output: &Output, names: &str) {
    assert_eq!(output.code, 125, "{output}");
    assert!(output.stderr.contains(names), "not named: {names}: {output}");
}

/// What isolates a container, as seen from inside and without what differs between two runs.
const FACTS: &str = "grep -E '^(Cap|Seccomp|NoNew|Groups|Uid|Gid)' /proc/self/status; cat /proc/self/uid_map; \
    while read -r _ at kind flags _; do echo $at $kind ${flags%%,*}; done </proc/mounts; \
    echo $(ls /dev) $(ls /sys/fs/cgroup | wc -l); ulimit -a; id; umask; pwd";

#[test]
fn case_15_no_label_or_annotation_changes_isolation() {
    let registry = shared_registry();
    let env = TestEnv::new();
    busybox().push(registry, "attack/plain", "latest");
    let switches = json!({
        "io.podman.annotations.privileged": "TRUE",
        "io.podman.annotations.seccomp": "unconfined",
        "io.podman.annotations.init": "TRUE",
        "io.podman.annotations.userns": "host",
        "io.podman.annotations.pids-limit": "-1",
        "io.podman.annotations.label": "disable",
        "io.containers.capabilities": "CAP_SYS_ADMIN,CAP_NET_RAW",
        "io.containers.autoupdate": "registry",
        "io.kubernetes.cri-o.Devices": "/dev/fuse",
        "io.kubernetes.cri-o.TrustedSandbox": "true",
        "org.criu.config": "/etc/criu.conf",
        "org.systemd.property.DefaultDependencies": "false",
        "run.oci.keep_original_groups": "1",
        "run.oci.seccomp_fail_unknown_syscall": "0",
        "run.oci.handler": "krun",
        "run.oci.hooks.stdout": "/tmp/x",
        "RUN": "podman run --privileged IMAGE",
        "PODMAN_PRIVILEGED": "true",
        "coracle.privileged": "true"
    });
    busybox()
        .config("Labels", switches.clone())
        .config("Annotations", switches)
        .config("Privileged", json!(true))
        .config("CapAdd", json!(["ALL"]))
        .config("SecurityOpt", json!(["seccomp=unconfined", "unmask=ALL"]))
        .config("HostConfig", json!({"Privileged": true, "Binds": ["/:/host"], "PidMode": "host"}))
        .config("NetworkMode", json!("host"))
        .config("Mounts", json!([{"Source": "/", "Destination": "/host", "Type": "bind"}]))
        .push(registry, "attack/labels", "latest");
    let facts = |name: &str| {
        let reference = registry.reference(name, "latest");
        env.coracle(["run", "--rm", "--network", "none", &reference, "sh", "-c", FACTS]).ok().stdout
    };
    let plain = facts("attack/plain");
    assert!(plain.contains("Seccomp:\t2"), "{plain}");
    assert_eq!(facts("attack/labels"), plain);
}

#[test]
fn case_16_dev_is_a_symlink() {
    let scene = Scene::new();
    for way in scene.ways_out() {
        scene.link("dev", way);
        refused(&scene.sh(&[], "true"), "/dev");
        scene.victim_is_untouched();
    }
    scene.link("dev", "/tmp");
    refused(&scene.sh(&[], "true"), "/dev");
    scene.put("dev", "a file");
    refused(&scene.sh(&[], "true"), "/dev");
}

#[test]
fn case_17_dev_null_is_replaced() {
    let scene = Scene::new();
    let look = "stat -c %F,%t:%T /dev/null /proc/keys /proc/timer_list; cat /proc/keys /proc/timer_list";
    let masked = "character special file,1:3\n".repeat(3);
    scene.put("dev/null", "evil");
    assert_eq!(scene.sh(&[], look).stdout, masked);
    for way in scene.ways_out() {
        scene.link("dev/null", way.join("file"));
        assert_eq!(scene.sh(&[], look).stdout, masked);
        scene.victim_is_untouched();
    }
}

#[test]
fn case_18_console_and_terminals_are_replaced() {
    let scene = Scene::new();
    for way in scene.ways_out() {
        for at in ["dev/console", "dev/pts/0", "dev/ptmx", "dev/tty"] {
            scene.link(at, way.join("file"));
        }
        let look = "stat -c %F /dev/console /dev/pts/0; tty; stat -f -c %T /dev/pts /dev/console";
        let output = scene.sh(&["-t"], look);
        let lines: Vec<&str> = output.stdout.lines().map(str::trim_end).collect();
        let device = "character special file";
        assert_eq!(lines, [device, device, "/dev/pts/0", "devpts", "devpts"], "{output}");
        scene.victim_is_untouched();
    }
    scene.link("dev/pts", &scene.victim);
    assert_eq!(scene.sh(&["-t"], "true").code, 0);
    scene.victim_is_untouched();
}

#[test]
fn case_19_proc_or_sys_is_no_directory() {
    let scene = Scene::new();
    for base in ["proc", "sys"] {
        let shown = format!("/{base}");
        scene.put(base, "a file");
        refused(&scene.sh(&[], "true"), &shown);
        // A tree that looks right, inside and outside.
        scene.put("false/self/attr/exec", "fake");
        scene.put("false/sys/kernel/x", "fake");
        let ways = scene.ways_out();
        for target in [Path::new("/false"), Path::new("false"), &ways[0], &ways[1]] {
            scene.link(base, target);
            refused(&scene.sh(&[], "true"), &shown);
            scene.victim_is_untouched();
        }
        // Missing is not hostile: it is made.
        fs::remove_file(scene.root.join(base)).unwrap();
        let kind = scene.sh(&[], &format!("stat -f -c %T {shown}"));
        assert_eq!(kind.text(), if base == "proc" { "proc" } else { "sysfs" }, "{kind}");
    }
}

#[test]
fn case_20_writes_to_proc_reach_procfs() {
    let scene = Scene::new();
    scene.put("proc/sys/net/ipv4/ip_forward", "fake");
    let set = ["--sysctl", "net.ipv4.ip_forward=1"];
    assert_eq!(scene.sh(&set, "cat /proc/sys/net/ipv4/ip_forward").text(), "1");
    assert_eq!(fs::read_to_string(scene.root.join("proc/sys/net/ipv4/ip_forward")).unwrap(), "fake");
    // Nothing of the user's covers parts of it either: what is written there would be lost or lie.
    for part in ["/proc", "/proc/sys", "/proc/self", "/proc/sys/net/ipv4/ip_forward", "/tmp/../proc/sys"] {
        let volume = format!("{}:{part}", scene.victim.display());
        let output = scene.sh(&["-v", &volume], "true");
        assert_eq!(output.code, 125, "{part}: {output}");
    }
    scene.link("alias", "/proc");
    let volume = format!("{}:/alias/sys", scene.victim.display());
    refused(&scene.sh(&["-v", &volume], "true"), "/proc");
    scene.victim_is_untouched();
}

#[test]
fn case_21_a_mount_target_is_exchanged_while_we_mount() {
    use nix::fcntl::{RenameFlags, renameat2};
    use std::sync::atomic::{AtomicBool, Ordering};
    let scene = Scene::new();
    let shared = scene.env.path().join("shared");
    fs::create_dir_all(shared.join("target")).unwrap();
    symlink(&scene.victim, shared.join("link")).unwrap();
    let source = scene.env.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("marker"), "").unwrap();
    let (volume, below) = (format!("{}:/vol", shared.display()), format!("{}:/vol/target", source.display()));
    let count = |options: &[&str]| scene.sh(options, "grep -c . /proc/mounts");
    let usual: usize = count(&[]).text().parse().unwrap();
    let stop = AtomicBool::new(false);
    let outputs: Vec<Output> = std::thread::scope(|scope| {
        scope.spawn(|| {
            let dir = fs::File::open(&shared).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let _ = renameat2(&dir, "target", &dir, "link", RenameFlags::RENAME_EXCHANGE);
            }
        });
        let outputs = (0..30).map(|_| count(&["-v", &volume, "-v", &below])).collect();
        stop.store(true, Ordering::Relaxed);
        outputs
    });
    for output in &outputs {
        // A mount that is not below the root is not in the container's table.
        match output.code {
            0 => assert_eq!(output.text(), (usual + 2).to_string(), "{output}"),
            _ => assert_eq!(output.code, 125, "{output}"),
        }
    }
    assert!(outputs.iter().any(|o| o.code == 0));
    scene.victim_is_untouched();
    assert_eq!(fs::read_dir(&source).unwrap().count(), 1);
}

#[test]
fn case_22_mount_points_and_directories_are_made_inside() {
    let scene = Scene::new();
    let source = scene.env.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("marker"), "").unwrap();
    for (i, way) in scene.ways_out().into_iter().enumerate() {
        let name = format!("way{i}");
        scene.link(&name, way);
        let volume = format!("{}:/{name}/made/deep", source.display());
        assert_eq!(scene.sh(&["-v", &volume], &format!("ls /{name}/made/deep")).text(), "marker");
        scene.victim_is_untouched();
        let tmpfs = format!("/{name}/tmpfs/deep");
        assert_eq!(scene.sh(&["--tmpfs", &tmpfs], &format!("ls {tmpfs}")).code, 0);
        scene.victim_is_untouched();
        let workdir = format!("/{name}/work/deep");
        let rootfs = scene.root.to_str().unwrap();
        let run = ["run", "--rm", "--network=none", "-w", &workdir, "--rootfs", rootfs];
        docker(&scene.env, &run).args(["sh", "-c", "pwd -P; echo x >made"]).ok();
        scene.victim_is_untouched();
    }
    // In a directory of the host that was handed in it is made there, and nowhere else: a symlink that
    // somebody put into it leads no further.
    let (outer, inner) =
        (format!("{}:/data", source.display()), format!("{}:/data/new", scene.victim.display()));
    assert_eq!(scene.sh(&["-v", &outer, "-v", &inner], "ls /data/new").text(), "file");
    assert!(fs::read_dir(source.join("new")).unwrap().next().is_none());
    fs::remove_dir(source.join("new")).unwrap();
    for (i, way) in scene.ways_out().into_iter().enumerate() {
        symlink(way, source.join(format!("out{i}"))).unwrap();
        let below = format!("{}:/data/out{i}/made", source.display());
        scene.sh(&["-v", &outer, "-v", &below], "true");
        scene.victim_is_untouched();
    }
}

#[test]
fn case_22_generated_files_do_not_follow_symlinks_out() {
    let scene = Scene::new();
    for way in scene.ways_out() {
        for at in ["etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv"] {
            scene.link(at, way.join(at.rsplit('/').next().unwrap()));
        }
        let output =
            scene.sh(&["--hostname", "inside"], "cat /etc/hostname; cat /etc/hosts | grep -c localhost");
        assert_eq!(output.code, 0, "{output}");
        scene.victim_is_untouched();
        scene.link("etc", &way);
        assert!(!scene.sh(&["-u", "4321"], "cat /etc/passwd").stdout.contains("untouched"));
        scene.victim_is_untouched();
        fs::remove_file(scene.root.join("etc")).unwrap();
    }
}

#[test]
fn case_23_read_only_means_the_mount_we_made() {
    let scene = Scene::new();
    scene.link("link", "/real/place");
    fs::create_dir_all(scene.root.join("real/place")).unwrap();
    let source = scene.env.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    let volume = format!("{}:/link:ro", source.display());
    let script = "for f in /link/x /real/place/x /link/sub/x /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger \
        /sys/x /proc/irq/x /proc/bus/x; do (echo 1 >$f) 2>/dev/null && echo wrote $f; done; \
        mount -o remount,rw /link 2>/dev/null && echo remounted; \
        mount -o remount,rw,bind /proc/sys 2>/dev/null && echo remounted proc; echo x >/real/y && echo end";
    assert_eq!(scene.sh(&["-v", &volume], script).text(), "end");
    assert_eq!(fs::read_dir(&source).unwrap().count(), 1);
    let output = scene.sh(&["--read-only"], "(echo x >/etc/x) 2>/dev/null || echo refused");
    assert_eq!(output.text(), "refused", "{output}");
    // With the capability in the container's own namespace as well.
    let admin = scene.sh(&["--cap-add", "SYS_ADMIN", "-v", &volume], script);
    assert!(!admin.stdout.contains("wrote /link") && !admin.stdout.contains("wrote /real/place"), "{admin}");
}

#[test]
fn case_24_the_working_directory_is_a_descriptor() {
    let scene = Scene::new();
    let mut places: Vec<String> = (0..40).map(|n| format!("/proc/self/fd/{n}")).collect();
    places
        .extend(["/proc/1/cwd", "/proc/self/root", "/proc/self/cwd", "/proc/1/root/tmp"].map(str::to_owned));
    for place in &places {
        let output = scene.sh(&["-w", place], "ls ../../..");
        assert!(output.code == 126 && output.stderr.contains(place), "{output}");
    }
    scene.link("leak", "/proc/self/fd/7");
    let output = scene.sh(&["-w", "/leak"], "true");
    assert!(output.code == 126 && output.stderr.contains("/leak"), "{output}");
    // The same from the image's configuration.
    let env = TestEnv::new();
    let registry = shared_registry();
    for (i, place) in ["/proc/self/fd/5", "/proc/self/fd/8", "/proc/thread-self/fd/9"].iter().enumerate() {
        let tag = i.to_string();
        busybox().config("WorkingDir", json!(place)).push(registry, "attack/workdir", &tag);
        let reference = registry.reference("attack/workdir", &tag);
        env.coracle(["run", "--rm", "--network", "none", &reference, "pwd"]).fails(125);
    }
}

#[test]
fn case_24_exec_with_a_descriptor_for_a_directory() {
    let scene = Scene::new();
    let root = scene.root.to_str().unwrap();
    scene
        .env
        .coracle(["run", "-d", "--name", "c", "--network", "none", "--rootfs", root, "sleep", "100"])
        .ok();
    for n in 0..30 {
        let place = format!("/proc/self/fd/{n}");
        let output = scene.env.coracle(["exec", "-w", &place, "c", "ls", "../../.."]).run();
        assert_ne!(output.code, 0, "{output}");
        assert_eq!(output.stdout, "");
    }
    assert_eq!(scene.env.coracle(["exec", "-w", "/tmp", "c", "pwd"]).ok().text(), "/tmp");
}

#[test]
fn case_27_user_databases_that_are_no_plain_files() {
    let scene = Scene::new();
    fs::write(scene.victim.join("file"), "root:x:0:0::/:/bin/sh\nevil:x:0:0::/:/bin/sh\n").unwrap();
    let try_it = |name: &str| {
        let output = scene.sh(&["-u", "evil"], "id");
        refused(&output, name);
    };
    for way in scene.ways_out() {
        scene.link("etc/passwd", way.join("file"));
        let output = scene.sh(&["-u", "evil"], "id");
        assert_eq!((output.code, output.stdout.as_str()), (126, ""), "{output}");
        output.says("unable to find user evil");
    }
    let path = scene.root.join("etc/passwd");
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    try_it("/etc/passwd");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    try_it("/etc/passwd");
    fs::remove_dir(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    try_it("/etc/passwd");
    scene.put("etc/passwd", "evil:x:7:7::/:/bin/sh\n");
    let group = scene.root.join("etc/group");
    fs::remove_file(&group).unwrap();
    nix::unistd::mkfifo(&group, nix::sys::stat::Mode::S_IRWXU).unwrap();
    try_it("/etc/group");
}

#[test]
fn case_28_users_and_groups() {
    let scene = Scene::new();
    scene.put(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\ntester:x:1000:1000::/home:/bin/sh\nover:x:4294967296:0::/:\nneg:x:-1:0::/:\n",
    );
    let ids = "grep -E '^(Uid|Gid|Groups)' /proc/self/status";
    for user in ["4294967295", "4294967296", "-1", "+0", "0:4294967295", "0:0:0"] {
        assert_eq!(scene.sh(&["--user", user], ids).code, 125, "{user}");
    }
    for user in ["0x0", "over", "neg", "nobody-here"] {
        assert_eq!(scene.sh(&["--user", user], ids).code, 126, "{user}");
    }
    // No id of ours ends at 70000: it is refused by number instead of becoming another.
    refused(&scene.sh(&["--user", "70000000"], ids), "70000000");
    for (user, uid, gid, groups) in [
        ("tester", 1000, 1000, "10 1000"),
        ("1000", 1000, 1000, "10 1000"),
        ("tester:audio", 1000, 29, "29"),
        ("555:666", 555, 666, "666"),
    ] {
        let wanted = format!("Uid: {uid} {uid} {uid} {uid} Gid: {gid} {gid} {gid} {gid} Groups: {groups}");
        let output = scene.sh(&["--user", user], ids);
        assert_eq!(output.stdout.split_whitespace().collect::<Vec<_>>().join(" "), wanted, "{user}");
    }
    let root = scene.root.to_str().unwrap();
    scene
        .env
        .coracle(["run", "-d", "--name", "c", "--network", "none", "--rootfs", root, "sleep", "100"])
        .ok();
    for user in ["4294967295", "4294967296", "-1", "+0", "over", "nobody-here"] {
        let output = scene.env.coracle(["exec", "-u", user, "c", "id"]).run();
        assert!(output.code != 0 && output.stdout.is_empty(), "{output}");
    }
    let output = scene.env.coracle(["exec", "-u", "tester", "c", "sh", "-c", ids]).ok();
    let joined = output.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(joined, "Uid: 1000 1000 1000 1000 Gid: 1000 1000 1000 1000 Groups: 10 1000");
}

#[test]
fn case_30_nothing_on_the_host_is_chosen_by_the_image() {
    let registry = shared_registry();
    let env = TestEnv::new();
    let victim = env.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("secret"), "secret").unwrap();
    let out = victim.to_str().unwrap();
    let layer = || {
        Layer::new()
            .symlink("data", out)
            .symlink("far", &format!("../../../../../../../../../..{out}"))
            .symlink("etc/system-fips", out)
            .symlink("usr/share/zoneinfo", out)
            .file("proc/sys/crypto/fips_enabled", 0o644, "1")
    };
    let image = |volumes| busybox().layer(layer()).config("Volumes", volumes);
    image(json!({"/data": {}, "/far": {}})).push(registry, "attack/sources", "latest");
    image(json!({"/../../..": {}})).push(registry, "attack/sources", "root");
    let reference = registry.reference("attack/sources", "latest");
    let look = "ls -d /data/* /far/* /run/secrets/* /usr/share/crypto-policies/* 2>/dev/null; true";
    for options in
        [&[][..], &["-v", "named:/data"], &["--tmpfs", "/data"], &["--mount", "type=volume,dst=/far"]]
    {
        let call = env.coracle(["run", "--rm", "--network", "none"]).args(options);
        let output = call.args([&reference, "sh", "-c", look]).run();
        assert!(!output.stdout.contains("secret"), "{output}");
        assert_eq!(output.code, 0, "{output}");
    }
    let root = registry.reference("attack/sources", "root");
    refused(&env.coracle(["run", "--rm", "--network", "none", &root, "true"]).run(), "/../../..");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}
