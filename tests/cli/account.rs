//! What a container, or a command that was killed, must not take from its account: kernel keys, room on the
//! disk, other processes' time, the cgroup of whoever started it.

use super::networks::{SLEEP, network, run_ok};
use super::pause::own_cgroup;
use super::ps::{IDLE, field, kill_monitor, start};
use crate::common::{Layer, TestEnv, busybox, coracle_binary, eventually, skip, which};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Less than the kernel waits for a lease (45 s), for all that a test does with one file.
const PATIENCE: Duration = Duration::from_secs(20);

/// The processes that a process has started.
fn children(pid: u32) -> Vec<String> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(str::to_owned).collect()
}

fn lives(pid: &str) -> bool {
    // A zombie has ended; its new parent reaps it when it comes to that.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn registrations_of_killed_processes_do_not_pile_up() {
    let env = TestEnv::new();
    start(&env, "base", &[], IDLE);
    for _ in 0..8 {
        start(&env, "killed", &[], IDLE);
        kill_monitor(&env, "killed");
        env.coracle(["rm", "-f", "killed"]).ok();
    }
    // A killed process takes its time to end.
    eventually("no more than the last command's own is left", || {
        env.coracle(["unshare", "true"]).ok();
        let registered = fs::read_dir(env.runroot().join("userns")).unwrap().flatten();
        let pids = registered.filter_map(|entry| entry.file_name().into_string().ok());
        pids.filter(|pid| pid != "lock" && !lives(pid)).count() <= 1
    });
}

#[test]
fn a_command_that_cannot_look_forgets_nobody() {
    let env = TestEnv::new();
    network(&env, &["back"]);
    run_ok(&env, &["-d", "--name", "base", "--network", "back"], &SLEEP);
    let registered = || {
        let all = fs::read_dir(env.runroot().join("userns")).unwrap().flatten();
        all.map(|entry| entry.file_name()).filter(|name| name != "lock").collect::<BTreeSet<_>>()
    };
    let before = registered();
    assert_eq!(before.len(), 2, "the monitor and the keeper: {before:?}");
    let under = |program: &str, args: &[&str]| {
        let call = env.program(program).args(args).arg(coracle_binary());
        let call = call.args(["--root".as_ref(), env.root().as_os_str()]);
        let call = call.args(["--runroot".as_ref(), env.runroot().as_os_str()]);
        // Whatever comes of it.
        call.args(["run", "--rm", "--network=back", "--rootfs"]).arg(env.busybox_rootfs()).arg("true").run()
    };
    for limit in 5..40 {
        let script = format!("ulimit -n {limit}; exec \"$0\" \"$@\"");
        under("sh", &["-c", &script]);
        assert!(registered().is_superset(&before), "{limit} descriptors: {:?}", registered());
    }
    for sandbox in
        [&["--user", "--map-current-user"][..], &["--user", "--map-current-user", "--pid", "--fork"]]
    {
        under("unshare", sandbox);
        assert!(registered().is_superset(&before), "{sandbox:?}: {:?}", registered());
    }
    run_ok(&env, &["--rm", "--network", "back"], &["true"]);
    env.coracle(["exec", "base", "true"]).ok();
}

/// A process beside the container that holds a write lease on a file and does not give it back.
struct Lease(Child);

impl Lease {
    fn on(file: &Path) -> Option<Lease> {
        let script = "$SIG{IO} = 'IGNORE'; open(F, '+<', $ARGV[0]) or die; fcntl(F, 1024, 1) or die $!;
            $| = 1; print qq(held\\n); sleep 1000";
        let mut child = Command::new(which("perl")?)
            .args(["-e", script])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Some(Lease(child))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_lease_on_a_file_is_named_and_keeps_nobody_waiting() {
    let env = TestEnv::new();
    start(&env, "web", &["-v", "data:/data"], &format!("echo x >/leased; echo x >/data/kept; {IDLE}"));
    let root = env.busybox_rootfs();
    let kept = env.root().join("volumes/data/_data/kept");
    eventually("the files are there", || root.join("leased").exists() && kept.exists());
    let Some(lease) = Lease::on(&root.join("leased")) else { return skip("there is no perl") };
    let begun = Instant::now();
    env.coracle(["cp", "web:/leased", "copy"]).fails(125).says("/leased").says("holds a lease");
    env.coracle(["cp", "web:/leased", "-"]).fails(125).says("/leased").says("holds a lease");
    env.coracle(["export", "-o", "all.tar", "web"]).fails(125).says("/leased").says("holds a lease");
    assert!(!env.path().join("all.tar").exists());
    // It takes the place of the file and is no write to it.
    env.file("new", "new");
    env.coracle(["cp", "new", "web:/leased"]).ok();
    drop(lease);
    assert_eq!(env.coracle(["exec", "web", "cat", "/leased"]).ok().text(), "new");
    let lease = Lease::on(&kept).unwrap();
    env.coracle(["volume", "export", "-o", "data.tar", "data"])
        .fails(125)
        .says("/kept")
        .says("holds a lease");
    drop(lease);
    env.coracle(["volume", "export", "-o", "data.tar", "data"]).ok();
    let lease = Lease::on(&root.join("etc/passwd")).unwrap();
    env.coracle(["exec", "web", "true"]).fails(125).says("/etc/passwd").says("holds a lease");
    drop(lease);
    env.coracle(["exec", "web", "true"]).ok();
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    // A file that is written in its place, since something is mounted there.
    let file = env.file("single", "single");
    let bind = format!("{}:/single", file.display());
    start(&env, "bound", &["-v", &bind], IDLE);
    let lease = Lease::on(&file).unwrap();
    let begun = Instant::now();
    env.coracle(["cp", "new", "bound:/single"]).fails(125).says("/single").says("holds a lease");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    drop(lease);
    env.coracle(["cp", "new", "bound:/single"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new", "the mount is still there");
}

#[test]
fn a_killed_command_takes_its_leaf_along() {
    let env = TestEnv::new();
    for verb in [&["load", "-q"][..], &["import", "-q", "-"]] {
        let mut command = env.coracle(verb).into_command();
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut command = command.spawn().unwrap();
        // Kept open, or the leaf would come to an end by itself.
        let _input = command.stdin.take();
        let mut leaf = Vec::new();
        eventually("its leaf reads", || {
            leaf = children(command.id());
            let tmp = fs::read_dir(env.root().join("tmp"));
            !leaf.is_empty() && tmp.is_ok_and(|mut files| files.next().is_some())
        });
        command.kill().unwrap();
        command.wait().unwrap();
        eventually("its leaf has ended", || !leaf.iter().any(|pid| lives(pid)));
        // A day later.
        for left in fs::read_dir(env.root().join("tmp")).unwrap().flatten() {
            fs::File::open(left.path()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        env.coracle(["system", "prune", "-f"]).ok();
        assert_eq!(fs::read_dir(env.root().join("tmp")).unwrap().count(), 0);
    }
}

/// Runs a script with a small disk: `$1` is mounted there, `c` is `coracle` with its store on it, `$4` a tree
/// for containers.
fn on_a_small_disk(env: &TestEnv, script: &str) -> Option<crate::common::Output> {
    let disk = env.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let script = format!(
        r#"mount -t tmpfs -o size=64m none "$1" || exit 99
        disk=$1 run=$2 program=$3 tree=$4
        c() {{ "$program" --root "$disk/root" --runroot "$run" "$@"; }}
        {script}"#
    );
    let call =
        env.program("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    let call = call.arg(&disk).arg(env.runroot()).arg(coracle_binary());
    let output = call.arg(env.busybox_rootfs()).run();
    if output.code == 99 {
        skip("no tmpfs in a user namespace here");
        return None;
    }
    Some(output)
}

#[test]
fn an_endless_input_ends_before_the_disk_is_full() {
    let env = TestEnv::new();
    let script = r#"
        for verb in "load -q" "import -q -"; do
            c $verb </dev/zero; echo "code $?"
            ls -A "$disk/root/tmp"
        done
        c ps -a
    "#;
    let Some(output) = on_a_small_disk(&env, script) else { return };
    let lines = output.lines();
    assert_eq!(lines[..2], ["code 125", "code 125"], "{output}");
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(output.stderr.matches("there is no room for what is read: ").count(), 2, "{output}");
    assert_eq!(output.stderr.matches("3 MiB are kept").count(), 2, "{output}");
    output.says("MiB were written to").says("coracle system prune");
}

#[test]
fn a_commit_on_a_full_disk_is_advised_of_what_it_has() {
    let env = TestEnv::new();
    let script = r#"
        tar -C "$tree" -c . | c import -q - base >/dev/null || exit 1
        c run --name big --network none base dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null || exit 2
        c commit big; echo "code $?"
        ls -A "$disk/root/tmp"
        c images -q | wc -l
        c rm big >/dev/null
    "#;
    let Some(output) = on_a_small_disk(&env, script) else { return };
    assert_eq!(output.lines(), ["code 125", "1"], "{output}");
    assert!(!output.stderr.contains("-o FILE"), "{output}");
    output.says("no room").says("coracle system prune");
}

#[test]
fn the_limit_on_the_size_of_files_is_named() {
    let env = TestEnv::new();
    let big: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let image = busybox().layer(Layer::new().file("big", 0o644, big));
    image.push(crate::common::shared_registry(), "account/big", "1");
    let name = crate::common::shared_registry().reference("account/big", "1");
    let shell = |verb: &str| {
        let script = format!("ulimit -f 100; exec \"$0\" --root \"$1\" --runroot \"$2\" {verb}");
        let call = env.program("bash").args(["-c", &script]).arg(coracle_binary());
        call.arg(env.root()).arg(env.runroot())
    };
    let output = shell(&format!("pull -q {name}")).fails(125);
    assert!(!output.stderr.contains("memory"), "{output}");
    output.says("file too large").says("ulimit -f");
    env.coracle(["pull", "-q", &name]).ok();
    shell(&format!("save -o saved.tar {name}")).fails(125).says("ulimit -f");
    env.coracle(["save", "-o", "saved.tar", &name]).ok();
    let output = env.coracle(["run", "--rm", "--network=none", &name, "sh", "-c", "trap"]).ok();
    assert_eq!(output.text(), "", "a payload has its signals");
    // What it executes for the user has the signal as it was.
    let ignored = env.coracle(["unshare", "grep", "SigIgn", "/proc/self/status"]).ok();
    let mask = u64::from_str_radix(ignored.text().split_whitespace().last().unwrap(), 16).unwrap();
    assert_eq!(mask & (1 << (nix::sys::signal::Signal::SIGXFSZ as u64 - 1)), 0, "{ignored}");
}

#[test]
fn an_image_of_a_killed_load_lacks_a_name_at_most() {
    let env = TestEnv::new();
    let (name, id) = env.pulled(busybox(), "account/killed");
    env.coracle(["save", "-o", "a.tar", &name]).ok();
    let load = || env.coracle(["load", "-q", "-i", "a.tar"]);
    let age = || {
        for dir in ["tmp", "oci/blobs/sha256"] {
            for left in fs::read_dir(env.root().join(dir)).unwrap().flatten() {
                fs::File::open(left.path()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        }
    };
    let is_empty = || {
        for dir in ["images", "refs", "layers", "tmp", "trash", "oci/blobs/sha256"] {
            assert_eq!(fs::read_dir(env.root().join(dir)).unwrap().count(), 0, "{dir}");
        }
    };
    for (step, listed, named) in [
        ("load.published", false, false),
        ("load.committed", false, false),
        ("image.blobs", false, false),
        ("image.recorded", true, false),
        ("image.named", true, true),
    ] {
        env.coracle(["rmi", "-a"]).ok();
        let output = load().env("CORACLE_FAILPOINT", format!("{step}=kill")).run();
        assert_ne!(output.code, 0, "{step}: {output}");
        let found = env.coracle(["images", "-q", "--no-trunc"]).ok();
        assert_eq!(!found.text().is_empty(), listed, "{step}: {found}");
        assert_eq!(env.coracle(["image", "exists", &name]).run().code == 0, named, "{step}");
        if listed {
            // It is whole, by its id too.
            env.coracle(["run", "--rm", "--network=none", &id, "true"]).ok();
        }
        // The same again brings the rest.
        load().ok();
        assert_eq!(env.coracle(["images", "-q", "--no-trunc", &name]).ok().text(), format!("sha256:{id}"));
        if named {
            continue;
        }
        env.coracle(["rmi", &name]).ok();
        load().env("CORACLE_FAILPOINT", format!("{step}=kill")).run();
        age();
        env.coracle(["image", "prune", "-f"]).ok();
        is_empty();
    }
}

/// The test that is no test, by its name.
const PROBE: &str = "account::inside_a_container";

#[test]
#[ignore = "a program of another test, which runs it inside a container"]
#[allow(clippy::print_stdout, reason = "its output is what the test reads")]
fn inside_a_container() {
    use coracle::sys::caps::join_new_session_keyring;
    // A keyring for each thread, until the account may have no more; then whatever others give back.
    for number in 0..1000 {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            while let Err(e) = join_new_session_keyring() {
                let _ = sender.send(e);
                std::thread::sleep(Duration::from_millis(1));
            }
            drop(sender);
            loop {
                std::thread::park();
            }
        });
        if receiver.recv().is_ok() {
            println!("\nused up after {number}");
            while receiver.recv().is_ok() {}
        }
    }
    println!("\nno end of keys");
}

#[test]
fn a_container_cannot_use_up_the_keys_that_others_need() {
    let env = TestEnv::with_images();
    // As in a login session: who has none gets a new keyring whatever the quota says.
    coracle::sys::caps::join_new_session_keyring().unwrap();
    let volume = format!("{}:/probe:ro", std::env::current_exe().unwrap().display());
    start(&env, "web", &["--security-opt=unmask=/proc/keys"], IDLE);
    env.coracle([
        "run",
        "-d",
        "--name",
        "hungry",
        "--network=none",
        "--ulimit=nproc=4096:4096",
        "-v",
        &volume,
    ])
    .args(["busybox", "/probe", PROBE, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
    .ok();
    eventually("it has what it can get", || {
        let said = env.coracle(["logs", "hungry"]).ok().stdout;
        said.contains("used up") || said.contains("no end")
    });
    if env.coracle(["logs", "hungry"]).ok().stdout.contains("no end") {
        return skip("this account may have more keys than a test can make");
    }
    env.coracle(["run", "--rm", "--network=none", "busybox", "true"]).ok();
    env.coracle(["exec", "web", "true"]).ok();
    // It possesses one of its own all the same, which is another user's: of the others' it sees those of root.
    eventually("a keyring is charged to another user", || {
        let own = env.coracle(["exec", "web", "grep", "_ses", "/proc/keys"]).ok();
        own.lines().iter().any(|line| line.split_whitespace().nth(5) != Some("0"))
    });
    // One user only: nobody else can be charged.
    let script = "mount --bind /dev/null $(command -v newuidmap) && \
        exec unshare --user --map-user=1000 --map-group=1000 \"$@\"";
    let single =
        env.program("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    let single = single.arg(coracle_binary()).arg("--root").arg(env.path().join("single")).arg("--runroot");
    let single =
        single.arg(env.path().join("single-run")).args(["run", "--rm", "--network=none", "--rootfs"]);
    let output = single.arg(env.busybox_rootfs()).args(["id", "-u"]).ok();
    assert_eq!(output.text(), "0", "{output}");
    env.coracle(["rm", "-f", "-t", "0", "hungry"]).ok();
}

/// A process in a cgroup below this one, and that cgroup.
struct Victim {
    child: Child,
    group: std::path::PathBuf,
}

impl Victim {
    fn new(own: &Path, name: &str) -> Victim {
        let group = own.join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
        Victim { child, group }
    }

    #[track_caller]
    fn lives(&mut self, after: &str) {
        assert!(self.child.try_wait().unwrap().is_none(), "{after} killed a process of its caller's cgroup");
    }

    /// A call that starts in the victim's cgroup.
    fn call(&self, env: &TestEnv, arguments: &[&str]) -> crate::common::Output {
        let script = "echo $$ >\"$0/cgroup.procs\"; exec \"$@\"";
        let call = env.program("sh").args(["-c", script]).arg(&self.group).arg(coracle_binary());
        call.arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot()).args(arguments).run()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let begun = Instant::now();
        while fs::remove_dir(&self.group).is_err() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Ends all in the cgroup that a process is in, by a fresh mount from namespaces of its own, which
/// takes no capability.
const FROM_BELOW: &str = "exec unshare -U -r -m -C sh -c 'mount -t cgroup2 none /mnt && cd /mnt && \
    echo 1 >cgroup.kill'";

#[test]
fn case_51_the_callers_cgroup_is_out_of_reach() {
    let Some(own) = own_cgroup() else { return };
    let env = TestEnv::new();
    let mut victim = Victim::new(&own, "caller");
    let base = ["run", "--rm", "--network=none"];
    let image = ["--rootfs", "/:O", "sh", "-c"];
    let mount = "mount -o remount,bind,rw /sys/fs/cgroup; echo 1 >/sys/fs/cgroup/cgroup.kill; \
        mount -t cgroup2 none /mnt && echo 1 >/mnt/cgroup.kill; sleep 1";
    for (options, script) in [
        (&["--privileged"][..], mount),
        (&["--cap-add=SYS_ADMIN"], mount),
        (&[], FROM_BELOW),
        (&["--cgroupns=host"], FROM_BELOW),
        (&["--cgroupns=host", "--privileged"], FROM_BELOW),
        (&["--pid=host", "--cap-add=SYS_ADMIN"], mount),
        (&["--systemd=always"], FROM_BELOW),
        (&["--user=1:1"], FROM_BELOW),
        (&["--init"], FROM_BELOW),
    ] {
        let output = victim.call(&env, &[&base[..], options, &image, &[script]].concat());
        victim.lives(&format!("{options:?}: {output}"));
        assert_ne!(output.code, 125, "{options:?}: {output}");
    }
    // From a container that joins another's, and from what is started in one later.
    victim.call(&env, &["run", "-d", "--name=web", "--network=none", "--rootfs", "/:O", "sleep", "1000"]);
    for join in ["--cgroupns=container:web", "--pid=container:web"] {
        let output = victim.call(&env, &[&base[..], &[join], &image, &[FROM_BELOW]].concat());
        victim.lives(&format!("{join}: {output}"));
        assert_ne!(output.code, 125, "{join}: {output}");
    }
    let output = victim.call(&env, &["exec", "--privileged", "web", "sh", "-c", FROM_BELOW]);
    victim.lives(&format!("exec: {output}"));
    assert_eq!(output.code, 137, "what it ends is itself: {output}");
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    let check = ["--health-cmd", FROM_BELOW, "--health-interval=1s", "--health-retries=1"];
    let created =
        [&["run", "-d", "--name=ill", "--network=none"][..], &check, &image, &["sleep 1000"]].concat();
    victim.call(&env, &created);
    eventually("a check has run", || {
        field(&env, "ill", "{{json .State.Health.Log}}").contains("137")
            || field(&env, "ill", "{{.State.Status}}") == "exited"
    });
    victim.lives("a health check");
    env.coracle(["rm", "-f", "-t", "0", "ill"]).ok();
    // Killed monitors leave none either, whenever they are killed.
    for script in ["sleep 1000", "exit 3"] {
        let victim_of = ["run", "-d", "--name=lost", "--restart=always", "--network=none"];
        let output = victim.call(&env, &[&victim_of[..], &image, &[script]].concat());
        assert_eq!(output.code, 0, "{output}");
        if script == "exit 3" {
            eventually("it waits", || field(&env, "lost", "{{.State.Status}}") == "restarting");
        }
        kill_monitor(&env, "lost");
        let remove = victim.call(&env, &["rm", "-f", "-t", "0", "lost"]);
        assert_eq!(remove.code, 0, "{remove}");
    }
    eventually("no cgroup is left", || {
        fs::read_dir(&victim.group).unwrap().flatten().all(|e| !e.file_type().unwrap().is_dir())
    });
}

#[test]
fn case_51_cgroups_in_the_hosts_sysfs_are_read_only_for_good() {
    let Some(own) = own_cgroup() else { return };
    let env = TestEnv::new();
    let mut victim = Victim::new(&own, "victim");
    // Mounted anew, moved, bound elsewhere, from namespaces below.
    let script = format!(
        "mount -o remount,bind,rw {0}; echo 1 >{1}/cgroup.kill; \
         mount --bind {0} /mnt; mount -o remount,bind,rw /mnt; echo 1 >/mnt/{2}/cgroup.kill; \
         unshare -Urm sh -c 'mount -o remount,bind,rw {0}; echo 1 >{1}/cgroup.kill'; test -w {1}/cgroup.kill",
        if own.starts_with("/sys/fs/cgroup/unified") { "/sys/fs/cgroup/unified" } else { "/sys/fs/cgroup" },
        victim.group.display(),
        victim.group.file_name().unwrap().to_str().unwrap(),
    );
    for options in [&["--privileged"][..], &["--cap-add=SYS_ADMIN"], &["--privileged", "--cgroupns=host"]] {
        let base = ["run", "--rm", "--network=host", "--rootfs", "/:O"];
        let output =
            env.coracle(base[..3].iter().chain(options).chain(&base[3..])).args(["sh", "-c", &script]).run();
        victim.lives(&format!("{options:?}: {output}"));
        assert_eq!(output.code, 1, "{options:?}: {output}");
    }
    // The monitor itself, and what it starts, can still write there.
    let check = ["--network=host", "--health-cmd", "true", "--health-interval=1s", "--init"];
    let id = start(&env, "web", &check, IDLE);
    let group = own.join(format!("coracle-{}", &id[..12]));
    assert!(group.exists());
    env.coracle(["healthcheck", "run", "web"]).ok();
    eventually("a check has run", || field(&env, "web", "{{.State.Health.Status}}") == "healthy");
    env.coracle(["pause", "web"]).ok();
    env.coracle(["unpause", "web"]).ok();
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    eventually("its cgroup is gone", || !group.exists());
}
