//! `run`: every option, seen by its effect inside a container.

use crate::common::{Call, ImageBuilder, Output, TestEnv, busybox, eventually, shared_registry};
use serde_json::json;

/// `coracle run --rm --network=none OPTIONS busybox sh -c SCRIPT`.
fn sh(env: &TestEnv, options: &[&str], script: &str) -> Call {
    env.coracle(["run", "--rm", "--network=none"]).args(options).args(["busybox", "sh", "-c", script])
}

/// The standard output of a script in a container with these options.
#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    sh(env, options, script).ok().text().to_owned()
}

/// A refusal: exit 125, one `Error:` line that names the thing, nothing made.
#[track_caller]
fn refused(env: &TestEnv, options: &[&str], names: &str) -> Output {
    let output = sh(env, options, "true").fails(125);
    assert_eq!(output.stdout, "", "{output}");
    assert_eq!(output.stderr.matches("Error:").count(), 1, "{output}");
    assert!(output.stderr.lines().next().is_some_and(|line| line.contains(names)), "{names}: {output}");
    assert!(env.containers().is_empty(), "a container is left: {output}");
    output
}

#[test]
fn files_for_ids_and_users_without_one_are_refused_with_the_cure() {
    let env = TestEnv::with_images();
    for option in ["--pidfile", "--conmon-pidfile", "--cidfile"] {
        let output = refused(&env, &[option, "/nosuch/x"], &format!("{option}: /nosuch is not a directory"));
        output.says("Hint: Make it first: mkdir -p /nosuch");
    }
    let output = sh(&env, &["-u", "70000000"], "true").fails(125).says("set user 70000000");
    output.says("Hint: ").says("coracle unshare cat /proc/self/uid_map");
}

#[test]
fn the_environment_is_put_together() {
    let env = TestEnv::with_images();
    let plain = out(&env, &["--hostname", "box"], "env | sort");
    for line in ["HOME=/root", "HOSTNAME=box", "container=oci"] {
        assert!(plain.lines().any(|l| l == line), "{line}: {plain}");
    }
    assert!(!plain.contains("TERM="), "{plain}");
    let file = env.file("vars", "# remark\nA=file\nB=two words\nCALLER\n");
    let text = sh(
        &env,
        &["--env-file", file.to_str().unwrap(), "-e", "A=option", "-e", "APP_*", "--env", "GONE"],
        "env | sort",
    )
    .env("CALLER", "yes")
    .env("APP_ONE", "1")
    .env("http_proxy", "http://proxy.example:3128")
    .ok();
    for line in ["A=option", "B=two words", "CALLER=yes", "APP_ONE=1", "http_proxy=http://proxy.example:3128"]
    {
        assert!(text.stdout.lines().any(|l| l == line), "{line}: {text}");
    }
    assert!(!text.stdout.contains("GONE"), "{text}");
    let bare =
        sh(&env, &["--http-proxy=false", "--unsetenv", "container"], "env").env("http_proxy", "x").ok();
    assert!(!bare.stdout.contains("http_proxy") && !bare.stdout.contains("container="), "{bare}");
    let host = sh(&env, &["--env-host"], "echo $SEEN").env("SEEN", "host").ok();
    assert_eq!(host.text(), "host");
    let none = out(&env, &["--unsetenv-all", "-e", "PATH=/bin", "-e", "X=1"], "env | sort");
    assert!(none.contains("X=1") && !none.contains("HOSTNAME"), "{none}");
    refused(&env, &["-e", "=x"], "--env");
    refused(&env, &["--env-file", "/nonexistent"], "/nonexistent").says("Hint: See what is there: ls -l /");
}

#[test]
fn the_process_is_as_asked_for() {
    let env = TestEnv::with_images();
    assert_eq!(out(&env, &["-w", "/etc"], "pwd"), "/etc");
    assert_eq!(out(&env, &["--umask", "027"], "umask"), "0027");
    assert_eq!(out(&env, &["-u", "1000:2000"], "id -u; id -g"), "1000\n2000");
    assert_eq!(out(&env, &["-u", "4321", "--group-add", "5,6"], "id -G | tr ' ' '\\n' | sort -n"), "0\n5\n6");
    assert!(out(&env, &["-u", "4321"], "cat /etc/passwd").contains(":4321:"));
    assert!(!out(&env, &["-u", "4321", "--passwd=false"], "cat /etc/passwd").contains(":4321:"));
    assert_eq!(out(&env, &["-h", "box"], "hostname; cat /etc/hostname"), "box\nbox");
    assert_eq!(out(&env, &["--init"], "echo $(( $$ > 1 )); cat /proc/1/comm").lines().next(), Some("1"));
    let entry = |options: &[&str], rest: &[&str]| {
        env.coracle(["run", "--rm", "--network=none"]).args(options).arg("busybox").args(rest).ok()
    };
    assert_eq!(entry(&["--entrypoint", "echo"], &["a", "b"]).text(), "a b");
    assert_eq!(entry(&["--entrypoint", r#"["echo","-n"]"#], &["x"]).stdout, "x");
    assert_eq!(entry(&["--entrypoint", ""], &["echo", "y"]).text(), "y");
    for bad in [&["-u", "nosuch"][..], &["-u", "0:nosuch"]] {
        let output = sh(&env, bad, "true").fails(126);
        assert!(output.stderr.contains("nosuch"), "{output}");
    }
    assert!(env.containers().is_empty());
    refused(&env, &["-u", "4294967296"], "4294967296");
    refused(&env, &["-w", "relative"], "relative");
    refused(&env, &["--umask", "9"], "--umask");
    refused(&env, &["--hostname", "a b"], "--hostname");
}

/// Podman makes the image's own only, docker any.
#[test]
fn a_missing_working_directory_is_made_or_refused() {
    let env = TestEnv::with_images();
    for missing in ["/made/here", "/etc/passwd"] {
        let output = sh(&env, &["-w", missing], "true").fails(126);
        assert!(output.stderr.contains(missing), "{output}");
    }
    let output = sh(&env, &["-w", "/made/here"], "true").fails(126);
    output.says("workdir \"/made/here\" does not exist on container ");
    assert!(env.containers().is_empty());
    assert_eq!(out(&env, &["--tmpfs", "/t", "-w", "/t/made"], "pwd"), "/t/made");
    let docker = ["run", "--rm", "--network=none", "-w", "/made/here", "busybox", "pwd"];
    assert_eq!(super::docker::docker(&env, &docker).ok().text(), "/made/here");
    env.coracle(["create", "--name", "c", "--network=none", "-w", "/made/here", "busybox", "pwd"]).ok();
    env.coracle(["start", "-a", "c"]).fails(125).says("does not exist on container");
    let registry = shared_registry();
    let image = busybox().config("WorkingDir", json!("/of/the/image"));
    image.push(registry, "options/workdir", "latest");
    let name = registry.reference("options/workdir", "latest");
    let made = env.coracle(["run", "--rm", "--network=none", &name, "pwd"]).ok();
    assert_eq!(made.text(), "/of/the/image");
}

#[test]
fn volumes_and_binds_are_mounted_with_their_options() {
    let env = TestEnv::with_images();
    let dir = env.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("file"), "content").unwrap();
    assert_eq!(out(&env, &["-v", "./data:/d"], "cat /d/file; echo new >/d/made"), "content");
    assert_eq!(std::fs::read_to_string(dir.join("made")).unwrap(), "new\n");
    assert_eq!(
        out(&env, &["-v", "./data/file:/one:ro"], "cat /one; echo x 2>/dev/null >/one || echo no"),
        "contentno"
    );
    std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
    assert_eq!(out(&env, &["-v", "./data/link:/one"], "cat /one"), "content");
    let by_keys = "type=bind,src=./data,dst=/d,readonly";
    assert_eq!(
        out(&env, &["--mount", by_keys], "cat /d/file; touch /d/x 2>/dev/null || echo no"),
        "contentno"
    );
    std::fs::write(dir.join("run"), "#!/bin/sh\necho ran\n").unwrap();
    std::fs::set_permissions(dir.join("run"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(out(&env, &["-v", "./data:/d"], "/d/run"), "ran");
    assert_eq!(out(&env, &["-v", "./data:/d:noexec"], "/d/run 2>/dev/null || echo no"), "no");
    let flags = |volume: &str| out(&env, &["-v", volume], "grep ' /d ' /proc/self/mounts");
    let locked = |flags: &str| ["nosuid", "nodev"].map(|flag| flags.contains(flag));
    // The source's own, as podman has it; volumes have both.
    let plain = std::fs::read_to_string("/proc/self/mounts").unwrap();
    if !plain.lines().any(|line| locked(line)[0] && env.path().starts_with(line.split(' ').nth(1).unwrap())) {
        assert_eq!(locked(&flags("./data:/d")), [false, false]);
    }
    assert_eq!(locked(&flags("./data:/d:nosuid,nodev")), [true, true]);
    assert_eq!(locked(&flags("vol:/d")), [true, true]);
    assert_eq!(locked(&flags("vol:/d:suid,dev")), [false, false]);
    // Locked by whoever mounted it; nothing fails for that.
    let places = plain.lines().filter(|line| locked(line) == [true, true]);
    let readable = |place: &&str| std::fs::read_dir(place).is_ok();
    if let Some(place) = places.filter_map(|line| line.split(' ').nth(1)).find(readable) {
        assert_eq!(locked(&flags(&format!("{place}:/d:suid,dev"))), [true, true], "{place}");
    }

    out(&env, &["-v", "kept:/v"], "echo kept >/v/a");
    assert_eq!(out(&env, &["--mount", "type=volume,src=kept,dst=/w"], "cat /w/a"), "kept");
    let volumes = || std::fs::read_dir(env.root().join("volumes")).unwrap().count();
    let before = volumes();
    assert_eq!(out(&env, &["-v", "/anon"], "touch /anon/a && ls /anon"), "a");
    // Nobody could name it any more.
    eventually("the anonymous volume is gone", || volumes() == before);
    // First use fills a named volume from the image; `nocopy` does not.
    assert!(out(&env, &["-v", "etc:/etc"], "ls /etc").contains("passwd"));
    assert!(!out(&env, &["-v", "bare:/etc:nocopy"], "ls /etc").contains("passwd"));
    // What is mounted deeper comes later, in whatever order it is asked for.
    assert_eq!(out(&env, &["-v", "./data:/x/y", "--tmpfs", "/x"], "cat /x/y/file"), "content");

    // The user inside owns what was given to it, and a link is not followed.
    std::fs::create_dir_all(env.path().join("given/deep")).unwrap();
    std::fs::write(env.path().join("given/deep/file"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", env.path().join("given/link")).unwrap();
    let listing = "cd /d; stat -c '%u:%g' . deep deep/file link; stat -c %u /etc/passwd";
    let owners = out(&env, &["-u", "1234:56", "-v", "./given:/d:U,ro"], listing);
    assert_eq!(owners, "1234:56\n1234:56\n1234:56\n1234:56\n0");
    out(&env, &["-v", "./given:/d:U"], "test $(stat -c %u /d/deep) = 0");
    // What the top's owner has given to others stays theirs.
    out(&env, &["-v", "./given:/d:U"], "chown 7 /d/deep/file");
    out(&env, &["-v", "./given:/d:U"], "test $(stat -c %u /d/deep/file) = 7");
    refused(&env, &["-v", "./home:/d:U"], "home");

    refused(&env, &["-v", "./missing:/d"], "missing");
    refused(&env, &["-v", "./data:d"], "--volume");
    refused(&env, &["-v", "./data:/d:wat"], "wat");
    refused(&env, &["-v", "./data:/d", "-v", "other:/d"], "/d");
    refused(&env, &["--mount", "type=wat,dst=/d"], "wat");
    refused(&env, &["--mount", "type=bind,src=./data"], "destination");
}

#[test]
fn memory_is_mounted_where_asked() {
    let env = TestEnv::with_images();
    let line =
        out(&env, &["--tmpfs", "/t:size=64k,mode=700"], "grep ' /t ' /proc/self/mounts; stat -c %a /t");
    for word in ["tmpfs", "size=64k", "noexec", "nosuid", "nodev", "\n700"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    let keys = "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0711";
    let line = out(&env, &["--mount", keys], "grep ' /t ' /proc/self/mounts; stat -c %a /t");
    assert!(line.contains("size=1024k") && line.contains("\n711"), "{line}");
    assert!(out(&env, &["--tmpfs", "/etc"], "ls /etc").contains("passwd"));
    assert!(!out(&env, &["--tmpfs", "/etc:notmpcopyup"], "ls /etc").contains("passwd"));
    assert_eq!(
        out(&env, &["--shm-size", "1m"], "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"),
        "1024"
    );
    refused(&env, &["--tmpfs", "/t:size=x"], "size");
}

#[test]
fn a_read_only_root_keeps_three_places_writable() {
    let env = TestEnv::with_images();
    let script = "for d in / /run /tmp /var/tmp; do touch $d/x 2>/dev/null && echo $d; done; true";
    assert_eq!(out(&env, &["--read-only"], script), "/run\n/tmp\n/var/tmp");
    assert_eq!(out(&env, &["--read-only", "--read-only-tmpfs=false"], script), "");
    assert_eq!(out(&env, &["--read-only", "-v", "v:/data"], "touch /data/x && echo ok"), "ok");
}

#[test]
fn capabilities_are_added_and_dropped() {
    let env = TestEnv::with_images();
    let bounding = |options: &[&str]| {
        let line = out(&env, options, "grep CapBnd /proc/self/status");
        u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
    };
    assert_eq!(bounding(&[]).count_ones(), 11);
    assert_eq!(bounding(&["--cap-add", "net_raw"]), bounding(&[]) | 1 << 13);
    assert_eq!(bounding(&["--cap-drop", "CAP_CHOWN"]), bounding(&[]) & !1);
    assert_eq!(bounding(&["--cap-drop", "all"]), 0);
    assert_eq!(bounding(&["--cap-drop", "ALL", "--cap-add", "chown,kill"]), 1 | 1 << 5);
    assert_eq!(bounding(&["--privileged"]).count_ones(), 41);
    refused(&env, &["--cap-add", "wat"], "--cap-add");
    refused(&env, &["--cap-add", "chown", "--cap-drop", "chown"], "CAP_CHOWN");
}

#[test]
fn security_options_take_effect() {
    let env = TestEnv::with_images();
    let status = |options: &[&str], field: &str| {
        out(&env, options, &format!("grep ^{field}: /proc/self/status | cut -f2"))
    };
    assert_eq!(status(&[], "NoNewPrivs"), "0");
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    assert_eq!(status(&["--security-opt", "no-new-privileges:false"], "NoNewPrivs"), "0");
    assert_eq!(status(&[], "Seccomp"), "2");
    assert_eq!(status(&["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
    assert_eq!(status(&["--privileged"], "Seccomp"), "0");
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1 }]
    });
    env.file("profile.json", profile.to_string());
    let option = ["--security-opt", "seccomp=profile.json"];
    assert_eq!(out(&env, &option, "mkdir /x 2>/dev/null || echo no"), "no");
    assert_eq!(out(&env, &[], "wc -c </proc/keys"), "0");
    assert_ne!(out(&env, &["--security-opt", "unmask=/proc/keys"], "wc -l </proc/keys"), "0");
    assert_eq!(
        out(&env, &["--security-opt", "mask=/etc/hosts:/proc/version"], "cat /etc/hosts /proc/version"),
        ""
    );
    let sys = "echo 1 2>/dev/null >/proc/sys/net/ipv4/ip_forward && echo written || echo no";
    assert_eq!(out(&env, &["--cap-add", "net_admin"], sys), "no");
    assert_eq!(out(&env, &["--cap-add", "net_admin", "--security-opt", "unmask=ALL"], sys), "written");
    // Accepted for compatibility.
    out(&env, &["--security-opt", "label=disable", "--security-opt", "apparmor=unconfined"], "true");
    env.file("broken.json", "{}");
    refused(&env, &["--security-opt", "seccomp=broken.json"], "broken.json");
    refused(&env, &["--security-opt", "seccomp=missing.json"], "missing.json");
    refused(&env, &["--security-opt", "wat=1"], "wat");
}

#[test]
fn limits_are_set() {
    let env = TestEnv::with_images();
    assert_eq!(out(&env, &["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn"), "100\n200");
    assert_eq!(out(&env, &["--ulimit", "core=0,nofile=50"], "ulimit -c; ulimit -n"), "0\n50");
    refused(&env, &["--ulimit", "nofile=99999999999"], "nofile");
    refused(&env, &["--ulimit", "wat=1"], "wat");
    let asked = ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4096"];
    assert_eq!(out(&env, &asked, "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax"), "1\n4096");
    refused(&env, &["--sysctl", "kernel.panic=1"], "kernel.panic");
    refused(&env, &["--ipc=host", "--sysctl", "kernel.msgmax=1"], "kernel.msgmax");
    out(&env, &["--pids-limit", "-1"], "true");
    refused(&env, &["--restart", "always"], "--rm");
}

#[test]
fn names_are_taken_once_and_replaced_on_demand() {
    let env = TestEnv::with_images();
    let run = |options: &[&str], script: &str| {
        let base = ["run", "-d", "--network=none", "--name", "web"];
        env.coracle(base).args(options).args(["busybox", "sh", "-c", script])
    };
    let first = run(&[], "sleep 1000").ok();
    assert_eq!(first.text().len(), 64, "{first}");
    let again = run(&[], "true").fails(125);
    assert!(again.stderr.contains("web") && again.stderr.contains("--replace"), "{again}");
    assert!(again.stderr.contains("coracle rm"), "{again}");
    let second = run(&["--replace", "--stop-timeout=0"], "sleep 1000").ok();
    assert_ne!(first.text(), second.text());
    assert_eq!(env.containers(), [second.text()]);
    refused_name(&env);
}

#[track_caller]
fn refused_name(env: &TestEnv) {
    let output = env.coracle(["run", "--name", "../x", "busybox"]).fails(125);
    assert!(output.stderr.contains("../x"), "{output}");
    env.coracle(["run", "--replace", "busybox"]).fails(125).says("--name");
}

#[test]
fn id_and_pid_files_are_written() {
    let env = TestEnv::with_images();
    let cid = env.path().join("cid");
    let id = env
        .coracle([
            "run",
            "-d",
            "--network=none",
            "--cidfile",
            "cid",
            "--pidfile",
            "pid",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    assert_eq!(std::fs::read_to_string(&cid).unwrap().trim(), id.text());
    let pid = std::fs::read_to_string(env.path().join("pid")).unwrap();
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap();
    assert_eq!(command, "sleep\u{0}1000\u{0}");
    let before = env.containers();
    env.coracle(["run", "--cidfile", "nowhere/cid", "busybox"]).fails(125).says("nowhere");
    env.coracle(["run", "--cidfile", ".", "busybox"]).fails(125).says("is a directory");
    assert_eq!(env.containers(), before);
    // As with podman 5, the file is replaced.
    let id = env.coracle(["create", "--cidfile", "cid", "busybox"]).ok();
    assert_eq!(std::fs::read_to_string(&cid).unwrap(), id.text());
    // It goes with its container, as long as it is that one's.
    env.coracle(["rm", "-f", "-t", "0", &before[0]]).ok();
    assert!(cid.exists());
    env.coracle(["rm", id.text()]).ok();
    assert!(!cid.exists());
    env.coracle(["run", "--rm", "--network=none", "--cidfile", "cid", "busybox", "true"]).ok();
    assert!(!cid.exists());
}

#[test]
fn exit_codes_tell_whose_failure_it_was() {
    let env = TestEnv::with_images();
    let run = |words: &[&str]| env.coracle(["run", "--rm", "--network=none", "busybox"]).args(words);
    run(&["sh", "-c", "exit 7"]).fails(7);
    run(&["nosuch"]).fails(127).says("nosuch");
    run(&["/no/such/file"]).fails(127);
    run(&["/etc"]).fails(126).says("/etc");
    run(&["/etc/passwd"]).fails(126);
    sh(&env, &["--init"], "kill -9 $$").fails(137);
    env.coracle(["run", "--wat", "busybox"]).fails(125).says("--wat");
    env.coracle(["run", "Bad/Ref", "true"]).fails(125).says("Bad/Ref");
    env.coracle(["run", "--pull=never", "missing-image"]).fails(125).says("missing-image");
    env.coracle(["run"]).fails(125).says("IMAGE");
    assert!(env.containers().is_empty());
    // Without --rm a container that could not start stays, as in podman.
    env.coracle(["run", "--network=none", "busybox", "nosuch"]).fails(127);
    assert_eq!(env.containers().len(), 1);
}

/// What is refused leaves nothing behind, with or without --rm.
#[test]
fn a_refused_run_makes_nothing() {
    let env = TestEnv::with_images();
    env.file("profile.json", r#"{"defaultAction": "SCMP_ACT_WAT"}"#);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("127.0.0.1:{}:80", taken.local_addr().unwrap().port());
    for (options, names) in [
        (&["--preserve-fds=1"][..], "3"),
        (&["--security-opt", "seccomp=profile.json"], "SCMP_ACT_WAT"),
        (&["-p", &port], "in use"),
        (&["-v", "./missing:/d"], "missing"),
        (&["--cidfile", "missing/cid"], "missing"),
    ] {
        let output = env.coracle(["run"]).args(options).args(["busybox", "true"]).fails(125);
        assert!(output.stderr.contains(names), "{names}: {output}");
        assert!(env.containers().is_empty(), "{output}");
    }
}

#[test]
fn streams_are_attached_as_asked() {
    let env = TestEnv::with_images();
    let both = "echo out; echo err >&2";
    let plain = sh(&env, &[], both).ok();
    assert_eq!((plain.stdout.as_str(), plain.stderr.as_str()), ("out\n", "err\n"));
    let only = sh(&env, &["-a", "stderr"], both).ok();
    assert_eq!((only.stdout.as_str(), only.stderr.as_str()), ("", "err\n"));
    assert_eq!(sh(&env, &["-i"], "cat").stdin("typed").ok().stdout, "typed");
    assert_eq!(sh(&env, &["-a", "stdin,stdout"], "cat").stdin("typed").ok().stdout, "typed");
    assert_eq!(sh(&env, &[], "cat").stdin("typed").ok().stdout, "");
    sh(&env, &["-d", "-a", "stdout"], "true").fails(125).says("--attach");
    let pass = sh(&env, &["--log-driver=passthrough"], both).ok();
    assert_eq!((pass.stdout.as_str(), pass.stderr.as_str()), ("out\n", "err\n"));
    for options in [&["--log-driver=passthrough"][..], &["-i", "--log-driver=passthrough"]] {
        assert_eq!(sh(&env, options, "cat").stdin("typed").ok().stdout, "typed");
    }
    refused(&env, &["-t", "--log-driver=passthrough"], "passthrough");
    refused(&env, &["-w", "here"], "\"here\" is not an absolute path").says("Hint: ");
    refused(&env, &["--log-driver=journald"], "journald");
    // Podman warns where docker refuses.
    sh(&env, &["-it"], "test -t 0 && test -t 1").ok().says("The input device is not a TTY");
}

#[test]
fn a_run_ends_in_time() {
    let env = TestEnv::with_images();
    sh(&env, &["--timeout=1"], "sleep 1000").fails(255);
    let script = "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.1; done";
    let id = env
        .coracle([
            "run",
            "-d",
            "--network=none",
            "--stop-signal=USR1",
            "--name=s",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .ok();
    eventually("it is ready", || env.coracle(["logs", "s"]).run().stdout.contains("ready"));
    env.coracle(["stop", "s"]).ok();
    assert_eq!(env.coracle(["wait", id.text()]).ok().text(), "3");
}

#[test]
fn time_zones_come_from_the_host() {
    let env = TestEnv::with_images();
    assert_eq!(out(&env, &["--tz", "Etc/GMT+5"], "date +%z"), "-0500");
    out(&env, &["--tz", "local"], "date");
    refused(&env, &["--tz", "Mars/Base"], "Mars/Base");
}

#[test]
fn names_are_resolved_as_asked() {
    let env = TestEnv::with_images();
    let script = "cat /etc/resolv.conf /etc/hosts";
    let run = |options: &[&str]| {
        env.coracle(["run", "--rm"]).args(options).args(["busybox", "sh", "-c", script]).ok().stdout
    };
    let asked = ["--dns=9.9.9.9", "--dns-search=x.example", "--dns-option=ndots:2", "--add-host=db:10.1.2.3"];
    let text = run(&asked);
    for word in ["nameserver 9.9.9.9", "search x.example", "ndots:2", "10.1.2.3\tdb"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(text.contains("host.containers.internal"), "{text}");
    let plain = sh(&env, &["--no-hosts", "--no-hostname"], "cat /etc/hosts /etc/hostname").run();
    assert!(!plain.stdout.contains("localhost"), "{plain}");
    refused(&env, &["--dns=9.9.9.9"], "--dns");
    refused(&env, &["--add-host=db"], "--add-host");
    env.coracle(["run", "--network=wat", "busybox", "true"])
        .fails(125)
        .says("name or ID wat: network not found");
    refused(&env, &["-p", "99999:80"], "99999");
    refused(&env, &["-p", "80:80:80:80"], "--publish");
    refused(&env, &["--expose", "x"], "x");
}

#[test]
fn logs_are_kept_as_asked() {
    let env = TestEnv::with_images();
    let run = |name: &str, option: &str| {
        env.coracle(["run", "--network=none", "--name", name, option, "busybox", "echo", "kept"]).ok()
    };
    assert_eq!(run("file", "--log-driver=json-file").text(), "kept");
    assert_eq!(env.coracle(["logs", "file"]).ok().text(), "kept");
    assert_eq!(run("none", "--log-driver=none").text(), "kept");
    assert!(!env.coracle(["logs", "none"]).run().stdout.contains("kept"));
    assert_eq!(run("small", "--log-opt=max-size=10m").text(), "kept");
    refused_option(&env, "--log-opt=path=");
    let path = env.path().join("elsewhere");
    assert_eq!(run("path", &format!("--log-opt=path={}", path.display())).text(), "kept");
    assert!(std::fs::read_to_string(&path).unwrap().contains("kept"));
    env.coracle(["run", "--name=lost", "--log-opt=path=/proc/x", "busybox", "true"])
        .fails(125)
        .says("/proc/x");
    assert_eq!(env.coracle(["inspect", "--format", "{{.State.Status}}", "lost"]).ok().text(), "created");
}

#[track_caller]
fn refused_option(env: &TestEnv, option: &str) {
    env.coracle(["run", option, "busybox", "true"]).fails(125).says("Hint:");
}

#[test]
fn namespaces_are_shared_on_demand() {
    let env = TestEnv::with_images();
    let own = |kind: &str| std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().display().to_string();
    for (option, kind) in [("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup"), ("--pid", "pid")] {
        let look = format!("readlink /proc/self/ns/{kind}");
        assert_eq!(out(&env, &[&format!("{option}=host")], &look), own(kind), "{option}");
        assert_ne!(out(&env, &[&format!("{option}=private")], &look), own(kind), "{option}");
    }
    refused(&env, &["--pid=container:x"], "\"x\"");
    refused(&env, &["--uts=host", "--hostname=x"], "--hostname");
}

/// Fields of an image's configuration, honoured and overridden.
#[test]
fn the_image_configuration_is_honoured() {
    let env = TestEnv::new();
    env.use_registry(shared_registry().address());
    let image: ImageBuilder = busybox()
        .config("Entrypoint", json!(["sh", "-c"]))
        .config(
            "Cmd",
            json!(["id -u; pwd; echo $MODE; ls -d /data; cat /proc/self/mounts | grep -c ' /data '"]),
        )
        .config("Env", json!(["PATH=/bin", "MODE=image"]))
        .config("User", json!("1234"))
        .config("WorkingDir", json!("/work/dir"))
        .config("Volumes", json!({"/data": {}}))
        .config("Labels", json!({"io.podman.annotations.privileged": "TRUE", "stage": "image"}))
        .config("Wat", json!([1, 2]));
    image.push(shared_registry(), "library/configured", "latest");
    let run = |options: &[&str], words: &[&str]| {
        env.coracle(["run", "--rm", "--network=none", "-q"]).args(options).arg("configured").args(words)
    };
    assert_eq!(run(&[], &[]).ok().text(), "1234\n/work/dir\nimage\n/data\n1");
    assert_eq!(run(&["-e", "MODE=mine"], &["echo $MODE"]).ok().text(), "mine");
    assert_eq!(run(&["--entrypoint", "echo"], &["only", "this"]).ok().text(), "only this");
    assert_eq!(run(&["-u", "0", "-w", "/"], &["id -u; pwd"]).ok().text(), "0\n/");
    // Case 15: a label is data.
    let bounding = run(&["-u", "0"], &["grep CapBnd /proc/self/status"]).ok();
    assert!(bounding.text().ends_with("00000000800405fb"), "{bounding}");
}

#[test]
fn a_directory_can_be_the_root() {
    let env = TestEnv::new();
    let root = env.busybox_rootfs();
    let run = |tree: &str, script: &str| {
        env.coracle(["run", "--rm", "--network=none", "--rootfs", tree, "sh", "-c", script])
    };
    let tree = root.to_str().unwrap();
    run(&format!("{tree}:O"), "echo x >/made").ok();
    assert!(!root.join("made").exists());
    run(tree, "echo x >/made").ok();
    assert!(root.join("made").exists());
    assert_eq!(run("/:O", "id -u; echo x >/tmp/here && cat /tmp/here").ok().text(), "0\nx");
    run("/", "true").fails(125).says("/:O");
    run("./missing", "true").fails(125).says("missing");
    env.coracle(["run", "--rootfs", tree]).fails(127).says("no command or entrypoint provided");
    assert!(env.containers().is_empty());
}

#[test]
fn a_throw_away_root_is_new_at_each_start() {
    let env = TestEnv::new();
    let script = "[ -e /etc/made ] && echo seen; echo x >/etc/made && echo ready; exec sleep 1000";
    let run = ["run", "-d", "--name=one", "--network=none", "--rootfs", "/:O", "sh", "-c", script];
    let starts: [&[&str]; 3] = [&run, &["restart", "-t=0", "one"], &["start", "one"]];
    for (before, start) in starts.iter().enumerate() {
        env.coracle(*start).ok();
        let logged = || env.coracle(["logs", "one"]).ok().stdout;
        eventually("it has started", || logged().lines().count() > before);
        assert_eq!(logged(), "ready\n".repeat(before + 1));
        if before == 1 {
            env.coracle(["stop", "-t=0", "one"]).ok();
        }
    }
}

/// Records that must survive a power cut are written beside the run: nobody who is attached waits for the disk.
#[test]
fn output_is_shown_while_the_records_are_on_their_way_to_the_disk() {
    let env = TestEnv::with_images();
    let shown = env.path().join("shown");
    let run = env.coracle(["run", "--name=c", "--network=none", "busybox", "echo", "here"]);
    let run = run.env("CORACLE_FAILPOINT", "run.keep=pause:600000");
    let mut run = run.into_command().stdout(std::fs::File::create(&shown).unwrap()).spawn().unwrap();
    eventually("what it says is shown", || std::fs::read_to_string(&shown).unwrap() == "here\n");
    // It still waits for the disk; what writes there goes with it.
    assert!(run.try_wait().unwrap().is_none());
    run.kill().unwrap();
    run.wait().unwrap();
}
