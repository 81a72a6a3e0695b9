//! Root file systems by the kernel's overlay and by our own: one is to be as good as the other.

mod probe;

use crate::common::{Call, ImageBuilder, Layer, TestEnv, busybox, coracle_binary, debian, eventually, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const DRIVERS: [&str; 2] = ["kernel", "fuse"];

/// Directories and files to be changed, in two layers.
fn image() -> ImageBuilder {
    let mut below = Layer::new();
    for dir in
        ["w", "w/full", "w/full/b", "w/r", "w/r/lowdir", "w/r/old", "w/r/stays", "w/o", "w/o/dir", "w/storm"]
    {
        below = below.dir(&format!("{dir}/"), 0o755);
    }
    for file in [
        "low",
        "opened",
        "opened2",
        "gone",
        "full/a",
        "full/b/c",
        "linked",
        "r/file",
        "r/over",
        "r/second",
        "r/lowdir/x",
        "r/old/x",
        "r/stays/victim",
        "o/cap",
        "o/cap2",
        "mapped",
        "early",
        "hidden",
    ] {
        below = below.file(&format!("w/{file}"), 0o644, format!("{file} of the image"));
    }
    for number in 0..20 {
        below = below.file(&format!("w/storm/low{number}"), 0o644, "low");
    }
    below = below
        .owned_file("w/o/file", 0o755, (3, 4), "owned")
        .file("w/twin1", 0o644, "twins")
        .hard_link("w/twin2", "w/twin1")
        .symlink("w/r/link", "/etc/passwd")
        .symlink("w/o/link", "nowhere")
        .entry(tar::EntryType::Fifo, "w/r/fifo", 0o600, (0, 0), "", b"")
        .pax(&[("SCHILY.xattr.user.image", b"yes")])
        .file("w/o/attr", 0o644, "attributes")
        .file("w/sparse", 0o644, vec![0; 1 << 20]);
    let above = Layer::new()
        .whiteout("w/hidden")
        .file("w/r/second", 0o600, "second of the second layer")
        .file("w/full/late", 0o644, "late")
        .whiteout("w/full/late2");
    busybox().layer(below).layer(above)
}

fn with(env: &TestEnv, driver: &str, args: &[&str]) -> Call {
    env.coracle([format!("--storage-opt=overlay.driver={driver}").as_str()]).args(args)
}

/// Runs the probe in a new container, which stays.
fn probe(env: &TestEnv, driver: &str, name: &str, options: &[&str], image: &str, what: &str) -> Call {
    let program = std::env::current_exe().unwrap();
    let volume = format!("{}:/probe:ro", program.display());
    let variable = format!("CORACLE_PROBE={what}");
    with(env, driver, &["run", "--network=none", "--name", name, "-v", &volume, "-e", &variable])
        .args(options)
        .args([image, "/probe", probe::NAME, "--exact", "--ignored", "--nocapture", "-q", "--test-threads=1"])
}

/// What the probe printed: the harness's own words take time, and say it.
fn said(output: &str) -> Vec<String> {
    let own = |line: &&str| !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test ");
    output.lines().filter(own).map(str::to_owned).collect()
}

#[track_caller]
fn same(one: &[String], other: &[String]) {
    for (at, (one, other)) in one.iter().zip(other).enumerate() {
        assert_eq!(one, other, "line {at}");
    }
    assert_eq!(one.len(), other.len());
}

/// Whoever serves a running container's files.
fn servers(env: &TestEnv, name: &str) -> Vec<i32> {
    let record = record(env, name);
    let monitor = record["monitor"]["pid"].as_i64().unwrap();
    let init = i32::try_from(record["init"]["pid"].as_i64().unwrap()).unwrap();
    let path = format!("/proc/{monitor}/task/{monitor}/children");
    let children = fs::read_to_string(path).unwrap();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(|pid| *pid != init).collect()
}

fn record(env: &TestEnv, name: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(directory(env, name).join("run.json")).unwrap()).unwrap()
}

fn directory(env: &TestEnv, name: &str) -> PathBuf {
    let id = env.coracle(["inspect", "--format", "{{.Id}}", name]).ok().text().to_owned();
    env.root().join("containers").join(id)
}

#[test]
fn both_overlays_do_the_same() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(image(), "overlay/operations");
    let [by_kernel, by_fuse] = DRIVERS.map(|driver| {
        let name = format!("by-{driver}");
        let options: &[&str] = if driver == "fuse" { &["-e", "CORACLE_PROBE_FUSE=1"] } else { &[] };
        let output = probe(&env, driver, &name, options, &image, "operations").ok();
        assert_eq!(fs::read_dir(directory(&env, &name).join("work/fuse")).is_ok(), driver == "fuse");
        said(&output.stdout)
    });
    assert!(by_kernel.len() > 200, "{by_kernel:?}");
    same(&by_kernel, &by_fuse);
    // What is on the disk means the same to everybody who reads it.
    let changes = DRIVERS.map(|driver| env.coracle(["diff", &format!("by-{driver}")]).ok().lines());
    same(&changes[0], &changes[1]);
    assert!(changes[0].contains(&"D /w/r/third".to_owned()) || changes[0].len() > 40, "{changes:?}");
    let committed = DRIVERS.map(|driver| {
        let (container, made) = (format!("by-{driver}"), format!("made-{driver}"));
        env.coracle(["commit", "-q", &container, &made]).ok();
        let listed = probe(&env, driver, &format!("of-{made}"), &["--rm"], &made, "list").ok();
        (said(&listed.stdout), env.coracle(["diff", &made, &image]).ok().lines())
    });
    same(&committed[0].0, &committed[1].0);
    same(&committed[0].1, &committed[1].1);
    // Either shows what the other has left.
    for container in ["by-kernel", "by-fuse"] {
        let [one, other] =
            DRIVERS.map(|driver| exported(&with(&env, driver, &["export", container]).ok().bytes));
        assert!(one.len() > 100, "{one:?}");
        same(&one, &other);
    }
}

fn exported(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    let mut all: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let (head, path) = (entry.header(), entry.path().unwrap().into_owned());
            let owner = (head.uid().unwrap(), head.gid().unwrap());
            // A file with several names is stored under the one that is found first.
            let link =
                head.entry_type() == tar::EntryType::Link || head.entry_type() == tar::EntryType::Regular;
            let target = if link { None } else { head.link_name().unwrap().map(|name| name.into_owned()) };
            let (mode, time) = (head.mode().unwrap(), head.mtime().unwrap());
            format!("{path:?} {mode:o} {owner:?} {time} {target:?}")
        })
        .collect();
    all.sort();
    all
}

#[test]
fn one_overlay_goes_on_where_the_other_has_stopped() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(image(), "overlay/turns");
    let script = "cd /w && echo x >>count && wc -l <count && rm -rf full r/lowdir && mkdir full r/lowdir && \
                  (echo; wc -l <count) >>r/file && tail -n1 r/file && mv low high; [ -f high ] && mv high low; \
                  ls full r/lowdir; ls hidden";
    with(&env, "fuse", &["create", "--name=c", "--network=none", &image, "sh", "-c", script]).ok();
    for round in 1..=6 {
        let driver = DRIVERS[round % 2];
        let output = with(&env, driver, &["start", "-a", "c"]).run();
        assert_eq!(output.stdout, format!("{round}\n{round}\nfull:\n\nr/lowdir:\n"), "{}", output.stderr);
        assert!(output.stderr.contains("hidden: No such file"), "{}", output.stderr);
    }
}

#[test]
fn many_at_a_time_lose_nothing() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(image(), "overlay/storm");
    let [one, other] = DRIVERS.map(|driver| {
        said(&probe(&env, driver, &format!("storm-{driver}"), &[], &image, "storm").ok().stdout)
    });
    assert!(one.iter().any(|line| line == "left = 400"), "{one:?}");
    same(&one, &other);
}

/// What is forgotten takes no room: neither descriptors nor numbers.
#[test]
fn the_server_stays_small() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(image(), "overlay/churn");
    let program = format!("{}:/probe:ro", std::env::current_exe().unwrap().display());
    let options = ["run", "-d", "--name=c", "--network=none", "-v", &program, "-e", "CORACLE_PROBE=churn"];
    with(&env, "fuse", &options)
        .args([&image, "/probe", probe::NAME, "--exact", "--ignored", "--nocapture"])
        .ok();
    eventually("it is done", || env.coracle(["logs", "c"]).ok().stdout.contains("done"));
    let server = servers(&env, "c");
    assert_eq!(server.len(), 1, "{server:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", server[0])).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // Some 4 MB, buffers included, and no more after any number of files: 20,000 that are not forgotten are
    // 6 MB on top.
    assert!(field("RssAnon:") < 8 << 10, "{status}");
    assert!(field("Threads:") > 1 && field("NoNewPrivs:") == 1, "{status}");
    env.coracle(["rm", "-f", "-t", "0", "c"]).ok();
    eventually("the server is gone", || !Path::new(&format!("/proc/{}", server[0])).exists());
}

#[test]
fn a_killed_server_is_an_error_and_no_wait() {
    let env = TestEnv::with_images();
    let script =
        "echo kept >/kept; echo up; while :; do ls / || echo lost; read -t 0.1 none </dev/zero; done";
    with(&env, "fuse", &["run", "-d", "--name=c", "--network=none", "busybox", "sh", "-c", script]).ok();
    eventually("it is up", || env.coracle(["logs", "c"]).ok().stdout.contains("up"));
    let server = servers(&env, "c");
    assert_eq!(server.len(), 1, "{server:?}");
    kill(Pid::from_raw(server[0]), Signal::SIGKILL).unwrap();
    // Not even a program can be started there.
    let exec = env.coracle(["exec", "c", "true"]).run();
    assert!(exec.code != 0, "{exec:?}");
    assert_eq!(env.coracle(["inspect", "--format", "{{.State.Status}}", "c"]).ok().text(), "running");
    env.coracle(["stop", "-t", "0", "c"]).ok();
    assert!(env.coracle(["diff", "c"]).ok().lines().contains(&"A /kept".to_owned()));
    with(&env, "fuse", &["start", "c"]).ok();
    assert_eq!(env.coracle(["exec", "c", "cat", "/kept"]).ok().text(), "kept");
}

#[test]
fn a_killed_monitor_takes_its_server_along_and_loses_nothing() {
    let env = TestEnv::with_images();
    let script = "echo kept >/kept; echo up; sleep 1000";
    with(&env, "fuse", &["run", "-d", "--name=c", "--network=none", "busybox", "sh", "-c", script]).ok();
    eventually("it is up", || env.coracle(["logs", "c"]).ok().stdout.contains("up"));
    let server = servers(&env, "c");
    let monitor = i32::try_from(record(&env, "c")["monitor"]["pid"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    eventually("all is gone", || !Path::new(&format!("/proc/{}", server[0])).exists());
    let status = || env.coracle(["inspect", "--format", "{{.State.Status}}", "c"]).ok().text().to_owned();
    eventually("it is known", || status() == "exited");
    let again = with(&env, "kernel", &["start", "c"]).run();
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(env.coracle(["exec", "c", "cat", "/kept"]).ok().text(), "kept");
}

/// A restart policy has fresh runs over the same files.
#[test]
fn runs_follow_one_another_on_the_same_files() {
    let env = TestEnv::with_images();
    let options = ["run", "--name=c", "--network=none", "--restart=on-failure:2", "busybox"];
    let output = with(&env, "fuse", &options).args(["sh", "-c", "echo x >>/n; wc -l </n; exit 3"]).run();
    assert_eq!(output.code, 3, "{output:?}");
    eventually("all runs are over", || env.coracle(["logs", "c"]).ok().lines() == ["1", "2", "3"]);
}

#[test]
fn a_run_after_its_server_was_killed_has_the_files_again() {
    let env = TestEnv::with_images();
    let script =
        "echo x >>/n; wc -l </n; while ls / >/dev/null; do read -t 0.1 none </dev/zero; done; exit 3";
    let options = ["run", "-d", "--name=c", "--network=none", "--restart=on-failure:3", "busybox"];
    with(&env, "fuse", &options).args(["sh", "-c", script]).ok();
    let lines = || env.coracle(["logs", "c"]).ok().lines();
    let has = |line: &str| lines().iter().any(|found| found == line);
    eventually("it is up", || has("1"));
    kill(Pid::from_raw(servers(&env, "c")[0]), Signal::SIGKILL).unwrap();
    eventually("it is up again", || has("2"));
    assert_eq!(servers(&env, "c").len(), 1);
}

/// Shared mappings, by a program of the image, as a program of ours has no way to write to one safely.
#[cfg(target_arch = "x86_64")]
#[test]
fn shared_mappings_reach_the_disk_when_their_process_is_killed() {
    let env = TestEnv::new();
    let Some(debian) = debian() else { return skip("no Debian tree") };
    let (image, _) =
        env.pulled(debian.layer(Layer::new().file("mapped", 0o644, [b'.'; 8192])), "overlay/debian");
    // mmap(2), read(2) into the mapping, write(2) out of it: numbers of this architecture.
    let script = r#"
        open(F, "+<", "/mapped") or die;
        my $at = syscall(9, 0, 8192, 3, 1, fileno(F), 0);
        die "mmap: $!" if $at < 0;
        close(F);
        pipe(R, W);
        syswrite(W, "last words");
        die unless syscall(0, fileno(R), $at + 4096, 10) == 10;
        open(F, "<", "/mapped") or die;
        sysseek(F, 4096, 0); sysread(F, my $seen, 10);
        $| = 1; print "$seen
";
        open(F, "+<", "/mapped") or die;
        sysseek(F, 0, 0); syswrite(F, "written");
        syscall(1, 1, $at, 7); print "
";
        sleep 1000;
    "#;
    for driver in DRIVERS {
        let name = format!("--name={driver}");
        with(&env, driver, &["run", "-d", &name, "--network=none", &image, "perl", "-e", script]).ok();
        let lines = || env.coracle(["logs", driver]).ok().lines();
        eventually("it is written", || lines().len() >= 2);
        assert_eq!(lines(), ["last words", "written"], "{driver}");
        env.coracle(["kill", driver]).ok();
        env.coracle(["wait", driver]).ok();
        let upper = fs::read(directory(&env, driver).join("upper/mapped")).unwrap();
        assert_eq!((&upper[..7], &upper[4096..4106]), (&b"written"[..], &b"last words"[..]), "{driver}");
    }
}

/// A package manager's habits on a tree of its kind.
#[test]
fn a_debian_tree_is_unpacked_changed_and_removed() {
    let env = TestEnv::new();
    let Some(debian) = debian() else { return skip("no Debian tree") };
    let (image, _) = env.pulled(debian, "overlay/tree");
    let script = "set -e; mkdir /copy; tar -C /usr -cf - share lib/x86_64-linux-gnu bin | tar -C /copy -xpf -; \
                  for part in share bin; do (cd /usr/$part && find . -type f -exec md5sum {} +) | (cd /copy/$part && md5sum --quiet -c -); done; \
                  diff -r --no-dereference /usr/share /copy/share; \
                  find /copy/share -type f | sort | head -n 300 >/list; \
                  while read f; do echo new >$f.dpkg-new; ln $f $f.dpkg-tmp; mv $f.dpkg-new $f; rm $f.dpkg-tmp; done </list; \
                  xargs cat </list | sort -u; \
                  find /etc -type f -name '*.conf' ! -name resolv.conf | while read f; do cp -p $f $f.dpkg-new; mv $f.dpkg-new $f; done; \
                  find /usr/share | wc -l; rm -rf /copy /usr/share; ls -d /copy /usr/share 2>/dev/null || true; mkdir /usr/share; \
                  ls -A /usr/share; dpkg-query -W | wc -l; find / -xdev | sort | md5sum";
    let [one, other] = DRIVERS.map(|driver| {
        let run = with(&env, driver, &["run", "--name", driver, "--hostname=h", "--network=none", &image]);
        run.args(["bash", "-c", script]).ok().lines()
    });
    assert_eq!(one[0], "new");
    assert_eq!(one, other);
    let [one, other] = DRIVERS.map(|driver| env.coracle(["diff", driver]).ok().lines());
    same(&one, &other);
}

/// Nothing in a layer leads out of it, and what would be a mark of overlay's is none.
#[test]
fn hostile_layers_show_themselves_only() {
    let env = TestEnv::with_images();
    let secret = env.file("secret", "outside");
    let tree = env.busybox_rootfs();
    symlink(&secret, tree.join("absolute")).unwrap();
    symlink("../secret", tree.join("relative")).unwrap();
    symlink(env.path(), tree.join("up")).unwrap();
    fs::create_dir(tree.join("marked")).unwrap();
    fs::write(tree.join("marked/file"), "seen").unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    fs::write(tree.join("other"), "other").unwrap();
    let attribute = |name: &str, attribute: &std::ffi::CStr, value: &[u8]| {
        let file = fs::File::open(tree.join(name)).unwrap();
        coracle::sys::xattr::set(std::os::fd::AsFd::as_fd(&file), attribute, value).unwrap();
    };
    attribute("marked", c"user.overlay.redirect", b"/etc");
    attribute("marked", c"user.overlay.opaque", b"y");
    attribute("other", c"user.overlay.metacopy", b"");
    attribute("other", c"user.overlay.redirect", b"/etc/passwd");
    let script = "cat /absolute /relative /up/secret; cat /marked/* /other; echo; echo x >>/other; echo y >/marked/new; \
                  cat /other; ls /marked; mv /marked /gone 2>&1; ls /gone";
    let rootfs = format!("{}:O", tree.display());
    let run =
        with(&env, "fuse", &["run", "--rm", "--network=none", "--rootfs", &rootfs, "sh", "-c", script]).run();
    assert!(!run.stdout.contains("outside"), "{run:?}");
    assert_eq!(run.stderr.matches("No such file").count(), 3, "{run:?}");
    assert!(run.stdout.starts_with("seenother\notherx\nfile\nnew\n"), "{run:?}");
    assert_eq!(fs::read_to_string(tree.join("other")).unwrap(), "other");
    assert!(tree.join("marked/file").exists() && !tree.join("marked/new").exists());
}

/// Calls the program in a user namespace with an overlay mounted at `m`, on which the kernel allows no other.
fn on_an_overlay(env: &TestEnv, before: &str, args: &str) -> Call {
    for name in ["l", "u", "w", "m"] {
        fs::create_dir_all(env.path().join(name)).unwrap();
    }
    let script = format!(
        "mount -t overlay overlay -o userxattr,lowerdir=l,upperdir=u,workdir=w m && {before} && \
         C=\"$0 --root $PWD/m/root --runroot $PWD/m/run $OPTIONS\" && {args}"
    );
    let options: Vec<String> =
        env.stores().map(|s| format!("--storage-opt additionalimagestore={s}")).collect();
    env.program("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(coracle_binary())
        .env("OPTIONS", options.join(" "))
}

#[test]
fn where_the_kernel_refuses_it_works_without_a_word() {
    let env = TestEnv::with_images();
    let script = "mkdir /d && echo 1 >/d/f && rm /etc/group && rm -r /var && mkdir /var && touch /var/v && cat /proc/mounts";
    let verbs = format!(
        "$C run --name=c --network=none busybox sh -c '{script}' && $C diff c && $C commit -q c made && \
         $C run --rm --network=none made sh -c 'ls /var /etc/group /d' ; $C rm -f c >/dev/null && $C ps -aq"
    );
    let output = on_an_overlay(&env, "true", &verbs).run();
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("coracle / fuse "), "{output:?}");
    let lines = output.lines();
    for line in ["D /etc/group", "A /d", "A /d/f", "A /var/v"] {
        assert!(lines.iter().any(|found| found == line), "{line}: {output:?}");
    }
    assert!(output.stdout.ends_with("/d:\nf\n\n/var:\nv\n"), "{output:?}");
    assert!(output.stderr.contains("/etc/group: No such file"), "{output:?}");
}

#[test]
fn where_both_are_missing_both_are_named() {
    let env = TestEnv::with_images();
    // A /dev that has no such device.
    let before = "mkdir d && mount -t tmpfs dev d && for f in null zero full random urandom tty; do touch d/$f && \
                  mount --bind /dev/$f d/$f || exit 1; done && mount --rbind d /dev";
    let run = "$C run --rm --network=none busybox true";
    let output = on_an_overlay(&env, before, run).fails(125);
    for part in ["/dev/fuse", "the kernel refuses an overlay", "invalid argument", "Hint: ", "modprobe fuse"]
    {
        assert!(output.stderr.contains(part), "{part}: {output:?}");
    }
    let kernel = run.replace("$C", "$C --storage-opt overlay.driver=kernel");
    let output = on_an_overlay(&env, "true", &kernel).fails(125);
    assert!(output.stderr.contains("mount overlay on") && !output.stderr.contains("fuse"), "{output:?}");
}

#[test]
fn ids_of_a_containers_own_work_with_both() {
    let env = TestEnv::with_images();
    for driver in DRIVERS {
        for (mode, own) in [("keep-id", nix::unistd::getuid().as_raw()), ("nomap", 0)] {
            let script = "id -u; stat -c %u /bin; touch /tmp/t && stat -c %u /tmp/t; echo x >>/tmp/t; ls -l /etc/passwd | wc -l";
            let name = format!("{driver}-{mode}");
            let userns = format!("--userns={mode}");
            let run = with(&env, driver, &["run", "--network=none", "--name", &name, &userns, "busybox"]);
            let lines = run.args(["sh", "-c", script]).ok().lines();
            assert_eq!(lines, [own.to_string(), "0".into(), own.to_string(), "1".into()], "{name}");
            let diff = env.coracle(["diff", &name]).ok().lines();
            assert!(diff.contains(&"A /tmp/t".to_owned()), "{name}: {diff:?}");
        }
    }
}

#[test]
fn throw_away_and_kept_overlays_of_mounts_are_served_too() {
    let env = TestEnv::with_images();
    env.file("data/f", "host");
    let volume = format!("{}:/data:O", env.path().join("data").display());
    let script = "echo more >>/data/f && cat /data/f && touch /data/n && ls /data && grep -c ' /data fuse ' /proc/mounts";
    let run =
        with(&env, "fuse", &["run", "--rm", "--network=none", "-v", &volume, "busybox", "sh", "-c", script])
            .ok();
    assert_eq!(run.lines(), ["hostmore", "f", "n", "1"]);
    assert_eq!(fs::read_to_string(env.path().join("data/f")).unwrap(), "host");
    // The host's own tree, of which nothing belongs to anybody inside.
    let script = "echo x >/etc/new && rm /etc/new && ls /usr/bin >/dev/null && echo fine";
    let run =
        with(&env, "fuse", &["run", "--rm", "--network=none", "--rootfs", "/:O", "sh", "-c", script]).ok();
    assert_eq!(run.text(), "fine");
}

/// What a container that does not run is copied into is the same for it afterwards.
#[test]
fn cp_writes_through_it() {
    let env = TestEnv::with_images();
    let file = env.file("in", "copied");
    with(&env, "fuse", &["create", "--name=c", "--network=none", "busybox", "cat", "/etc/in"]).ok();
    with(&env, "fuse", &["cp", file.to_str().unwrap(), "c:/etc/in"]).ok();
    assert_eq!(with(&env, "fuse", &["start", "-a", "c"]).ok().text(), "copied");
    let size = env.coracle(["ps", "-as", "--format", "{{.Size}}"]).ok();
    assert!(!size.text().starts_with("0B"), "{size:?}");
}
