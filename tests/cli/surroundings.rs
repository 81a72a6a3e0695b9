//! `run`: options on what surrounds the process, and those that are refused with the reason.

use crate::common::{TestEnv, busybox, shared_registry};

#[track_caller]
fn out(env: &TestEnv, options: &[&str], script: &str) -> String {
    let base = ["run", "--rm", "--network=none"];
    env.coracle(base).args(options).args(["busybox", "sh", "-c", script]).ok().text().to_owned()
}

#[track_caller]
fn refused(env: &TestEnv, options: &[&str], says: &str) {
    let output = env.coracle(["run", "--rm"]).args(options).args(["busybox", "true"]).fails(125);
    assert!(output.stderr.contains(says), "{options:?} {says}: {output}");
    assert!(output.stderr.starts_with("Error: "), "{output}");
    assert!(env.containers().is_empty(), "{output}");
}

#[test]
fn systemd_gets_what_it_expects() {
    let env = TestEnv::new();
    let init = "#!/bin/sh\nfor d in /run /run/lock /tmp /var/log/journal; do grep -c \" $d tmpfs \" /proc/self/mounts; done; echo ${#container_uuid}\n";
    let layer = crate::common::Layer::new().file("sbin/init", 0o755, init).file("run/kept", 0o644, "x");
    busybox().layer(layer).push(shared_registry(), "surroundings/systemd", "latest");
    let image = shared_registry().reference("surroundings/systemd", "latest");
    let run = |options: &[&str], command: &str| {
        let base = env.coracle(["run", "--rm", "--network=none"]).args(options);
        base.args([&image, command]).ok().text().replace('\n', " ")
    };
    assert_eq!(run(&[], "/sbin/init"), "1 1 1 1 32");
    assert_eq!(run(&["--systemd=false"], "/sbin/init"), "0 0 0 0 0");
    assert_eq!(run(&["--systemd=always"], "/run/../sbin/init"), "1 1 1 1 32");
    assert_eq!(run(&["--systemd", "always"], "/run/../sbin/init"), "1 1 1 1 32");
    let script = ["run", "-d", "--name", "one", "--systemd=always", "--shm-size-systemd=1m", "--cidfile=cid"];
    env.coracle(script).args(["--network=none", &image, "sleep", "1000"]).ok();
    let mounted = env.coracle(["exec", "--cidfile=cid", "cat", "/proc/self/mounts"]).ok();
    let small = |line: &String| line.contains(" /run tmpfs ") && line.contains("size=1024k");
    assert!(mounted.lines().iter().any(small), "{mounted}");
    env.coracle(["exec", "--cidfile=nosuch", "true"]).fails(125).says("nosuch");
    assert_eq!(env.coracle(["exec", "one", "cat", "/run/kept"]).ok().stdout, "x");
    let signal = |name: &str| env.coracle(["inspect", name, "--format", "{{.Config.StopSignal}}"]).ok();
    let of_one = signal("one");
    assert!(of_one.text().contains("37") || of_one.text().contains("RTMIN+3"), "{of_one}");
    let own =
        ["run", "-d", "--name", "two", "--systemd=always", "--stop-signal=INT", "--network=none", &image];
    env.coracle(own).args(["sleep", "1000"]).ok();
    assert!(signal("two").text().contains("INT") || signal("two").text() == "2", "{}", signal("two"));
    refused(&TestEnv::new(), &["--systemd=maybe"], "maybe");
}

#[test]
fn entries_of_the_user_are_as_asked() {
    let env = TestEnv::with_images();
    let last = "tail -n1 /etc/passwd; tail -n1 /etc/group";
    let lines = [
        "--passwd-entry",
        "$USERNAME:x:$UID:$GID:mine:/srv:/bin/ash",
        "--group-entry",
        "g$GROUPNAME:x:$GID:$USERLIST",
    ];
    let user = [&["-u", "4321:77"][..], &lines].concat();
    assert_eq!(out(&env, &user, last), "4321:x:4321:77:mine:/srv:/bin/ash\ng77:x:77:4321");
    assert!(!out(&env, &[&["--passwd=false"], &user[..]].concat(), last).contains("mine"));
    let entry = out(&env, &["--hostuser", "games"], "grep ^games /etc/passwd");
    let host = std::fs::read_to_string("/etc/passwd").unwrap();
    let host = host.lines().find(|line| line.starts_with("games:")).unwrap();
    assert_eq!(entry.split(':').collect::<Vec<_>>()[2..], host.split(':').collect::<Vec<_>>()[2..]);
    refused(&env, &["--hostuser", "nosuch"], "nosuch");
    refused(&env, &["--passwd-entry", "a\nb::"], "--passwd-entry");
    refused(&env, &["--group-entry", "wat"], "--group-entry");
}

#[test]
fn the_process_gets_its_surroundings() {
    let env = TestEnv::with_images();
    assert_eq!(out(&env, &["--oom-score-adj", "700"], "cat /proc/self/oom_score_adj"), "700");
    refused(&env, &["--oom-score-adj", "2000"], "2000");
    let lower =
        env.coracle(["run", "--rm", "--network=none", "--oom-score-adj=-1000", "busybox", "true"]).ok();
    lower.says("is lower than the current one, changing to ");
    let bits = |options: &[&str]| out(&env, options, "uname -m");
    if bits(&[]) == "x86_64" {
        assert_eq!(bits(&["--personality", "LINUX32"]), "i686");
    }
    refused(&env, &["--personality", "wat"], "wat");
    assert_eq!(out(&env, &["--env-merge", "PATH=${PATH}:/more"], "echo ${PATH##*:}"), "/more");
    assert!(
        out(&env, &["--security-opt", "proc-opts=hidepid=2"], "grep ' /proc ' /proc/self/mounts")
            .contains("hidepid")
    );
    refused(&env, &["--security-opt", "proc-opts=wat"], "proc-opts");
    let init = env.busybox_rootfs().join("bin/busybox");
    let init = init.to_str().unwrap().to_owned();
    let output =
        env.coracle(["run", "--rm", "--network=none", "--init-path", &init, "busybox", "echo", "x"]).run();
    // busybox is no init: that it was started is all there is to see.
    assert!(output.stderr.contains("applet") || output.stdout.contains("BusyBox"), "{output}");
    refused(&env, &["--init-path", "/nosuch"], "/nosuch");
    env.coracle(["run", "-d", "--network=none", "--conmon-pidfile", "pid", "busybox", "sleep", "1000"]).ok();
    let file = env.path().join("pid");
    let shown = env.coracle(["inspect", "-l", "--format", "{{.ConmonPidFile}}"]).ok();
    assert_eq!(shown.text(), file.to_str().unwrap());
    let pid = std::fs::read_to_string(file).unwrap();
    assert!(std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap().contains("coracle"));
}

#[test]
fn generated_files_follow_the_options() {
    let env = TestEnv::with_images();
    let base = env.file("base", "10.9.8.7\tbase\n");
    let base = base.to_str().unwrap();
    assert!(out(&env, &["--hosts-file", base], "cat /etc/hosts").starts_with("10.9.8.7\tbase\n127.0.0.1\t"));
    assert!(!out(&env, &["--hosts-file", "none"], "cat /etc/hosts").contains("localhost"));
    assert!(!out(&env, &["--hosts-file", "image"], "cat /etc/hosts").contains("localhost"));
    refused(&env, &["--hosts-file", "/nosuch"], "/nosuch");
    let places = out(
        &env,
        &["--chrootdirs", "/srv/a,/b", "-h", "box"],
        "cat /srv/a/etc/hostname /b/etc/hostname; ls /b/etc",
    );
    assert_eq!(places, "box\nbox\nhostname\nhosts\nresolv.conf");
    refused(&env, &["--chrootdirs", "srv"], "srv");
}

#[test]
fn an_image_goes_with_its_only_container() {
    let env = TestEnv::new();
    busybox().push(shared_registry(), "surroundings/rmi", "latest");
    let image = shared_registry().reference("surroundings/rmi", "latest");
    let names = || env.coracle(["images", "-q"]).ok().text().lines().count();
    env.coracle(["run", "--rmi", "--network=none", &image, "sh", "-c", "exit 3"]).fails(3);
    assert_eq!(names(), 0);
    assert!(env.containers().is_empty());
    env.coracle(["run", "-d", "--name=c", "--network=none", &image, "sleep", "1000"]).ok();
    let run = ["run", "-d", "--rmi", "--name=d", "--network=none", &image, "sleep", "1000"];
    env.coracle(run).ok();
    let shown = env.coracle(["inspect", "-f", "{{.HostConfig.AutoRemoveImage}}", "c", "d"]).ok();
    assert_eq!(shown.lines(), ["false", "true"]);
    env.coracle(["run", "--rmi", "--network=none", &image, "true"]).ok();
    assert_eq!(names(), 1);
}

#[test]
fn what_cannot_be_had_is_refused_with_the_reason() {
    let env = TestEnv::with_images();
    for (option, says) in [
        ("--subuidname=x", "subordinate ids of your account"),
        ("--subgidname=x", "subordinate ids of your account"),
        ("--ip=10.0.0.1", "--ip can only be set when the network mode is bridge"),
        ("--ip6=fd00::1", "--ip6 can only be set when the network mode is bridge"),
        ("--link-local-ip=169.254.1.1", "given by the kernel alone"),
        ("--network-alias=web", "--network-alias can only be set when the network mode is bridge"),
        ("--link=web:db", "has deprecated"),
        ("--pod=x", "no such pod"),
        ("--pod-id-file=x", "open x: no such file or directory"),
        ("--device-cgroup-rule=c 1:3 r", "device cgroup"),
        ("--seccomp-policy=image", "choose its own seccomp profile"),
        ("--isolation=hyperv", "Windows"),
        ("--runtime=kata", "itself"),
        ("--volume-driver=nfs", "volume plugins"),
        ("--use-api-socket", "daemon"),
        ("--cpu-count=1", "Windows"),
        ("--rdt-class=x", "cache"),
        ("--decryption-key=x", "encrypted"),
        ("--preserve-fd=4", "only the descriptors from 3 up can be passed"),
        ("--init-ctr=once", "in the order that --requires says"),
    ] {
        refused(&env, &[option], says);
    }
    out(
        &env,
        &[
            "--seccomp-policy=default",
            "--disable-content-trust",
            "--isolation=default",
            "--volume-driver=local",
        ],
        "true",
    );
}
