//! `mount`, `unmount`, `image mount` and `image unmount`, inside `unshare`.

use crate::common::{
    Call, ImageBuilder, Layer, TestEnv, busybox, coracle_binary, eventually, skip, traces_of,
};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A shell in the user namespace, in which `coracle` is a call on this data root.
fn unshared(env: &TestEnv, script: &str) -> Call {
    let (root, run) = (env.root(), env.runroot());
    let mut options = format!("--root '{}' --runroot '{}'", root.display(), run.display());
    for store in env.stores() {
        options.push_str(&format!(" --storage-opt 'additionalimagestore={store}'"));
    }
    if let Some(driver) = std::env::var_os("CORACLE_TEST_OVERLAY") {
        options.push_str(&format!(" --storage-opt overlay.driver={}", driver.display()));
    }
    let function = format!("coracle() {{ '{}' {options} \"$@\"; }}\n", coracle_binary().display());
    env.coracle(["unshare", "sh", "-euc", &format!("{function}{script}")])
}

/// A container that does nothing, and one that does nothing until it is stopped.
fn idle(env: &TestEnv, name: &str, options: &[&str]) {
    let call = env.coracle(["create", "--name", name, "--network=none"]).args(options);
    call.args(["busybox", "sh", "-c", super::ps::IDLE]).ok();
}

#[test]
fn outside_the_namespace_nothing_is_mounted() {
    let env = TestEnv::with_images();
    idle(&env, "c", &[]);
    for (words, command) in [
        (&["mount", "c"][..], "mount"),
        (&["container", "mount"], "mount"),
        (&["image", "mount", "busybox"], "image mount"),
    ] {
        let said = format!(
            "cannot run command \"coracle {command}\" in rootless mode, must execute `coracle unshare` first"
        );
        env.coracle(words).fails(125).says(&said).says("coracle unshare");
    }
    // There is nothing to unmount, and podman says nothing more.
    assert_eq!(env.coracle(["umount", "c"]).ok().text(), "c");
    assert_eq!(env.coracle(["image", "umount", "busybox"]).ok().stdout, "");
    assert_eq!(env.coracle(["unmount", "-a"]).ok().stdout, "");
    assert!(!env.root().join("mounts").exists());
}

/// Whiteouts, opaque directories, links, owners and modes are those of a container's root.
#[test]
fn an_image_is_shown_as_it_is_and_cannot_be_changed() {
    let env = TestEnv::new();
    let below = Layer::new()
        .dir("d/", 0o755)
        .file("d/hidden", 0o644, "x")
        .file("d/kept", 0o644, "x")
        .dir("o/", 0o755)
        .file("o/gone", 0o644, "x")
        .file("gone", 0o644, "x")
        .owned_file("owned", 0o4755, (7, 8), "x")
        .symlink("link", "/d/kept")
        .hard_link("hard", "owned");
    let above = Layer::new()
        .entry(tar::EntryType::Directory, "./", 0o711, (12, 34), "", b"")
        .whiteout("gone")
        .whiteout("d/hidden")
        .dir("o/", 0o700)
        .opaque("o")
        .file("o/new", 0o644, "x");
    let (name, id) = env.pulled(ImageBuilder::new().layer(below).layer(above), "mounting/tree");
    let (single, _) = env.pulled(
        ImageBuilder::new().layer(Layer::new().file("one", 0o644, "x").whiteout("no")),
        "mounting/one",
    );
    for options in ["", "--storage-opt overlay.driver=fuse"] {
        if !options.is_empty() && !Path::new("/dev/fuse").exists() {
            skip("there is no /dev/fuse");
            continue;
        }
        let script = format!(
            "m=$(coracle {options} image mount {name})\n\
             echo $m\n\
             cd $m; find . | sort | xargs stat -c '%n %A %u:%g %h %N'\n\
             ! touch new 2>&1; ! rm owned 2>&1\n\
             ls $(coracle {options} image mount {single})\n\
             coracle image mount | wc -l"
        );
        let lines = unshared(&env, &script).ok().lines();
        assert!(lines[0].ends_with(&format!("/mounts/images/{id}")), "{lines:?}");
        let wanted = [
            ". drwx--x--x 12:34",
            "./d drwxr-xr-x 0:0",
            "./d/kept -rw-r--r-- 0:0",
            "./hard -rwsr-xr-x 7:8",
            "./link lrwxrwxrwx 0:0",
            "./o drwx------ 0:0",
            "./o/new -rw-r--r-- 0:0",
            "./owned -rwsr-xr-x 7:8",
        ];
        for (line, wanted) in lines[1..].iter().zip(wanted) {
            assert!(line.starts_with(wanted), "{line}: {wanted}");
        }
        let rest = &lines[1 + wanted.len()..];
        assert!(rest[..2].iter().all(|line| line.contains("Read-only file system")), "{rest:?}");
        assert_eq!(rest[2..], ["one", "2"]);
        // The last process in the namespace has ended, and with it all mounts.
        assert_eq!(fs::read_dir(env.root().join("mounts")).unwrap().count(), 0);
        eventually("what served the mounts has ended", || traces_of(&env.root()).is_empty());
    }
}

#[test]
fn mounts_are_counted_listed_and_taken_back() {
    let env = TestEnv::with_images();
    idle(&env, "c", &[]);
    idle(&env, "d", &[]);
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "c"]).ok().text().to_owned();
    let image = env.coracle(["image", "inspect", "-f", "{{.Id}}", "busybox"]).ok().text().to_owned();
    let point = env.root().join("mounts/containers").join(&id).display().to_string();
    let script = "coracle mount; coracle mount --format json\n\
         coracle mount c c; coracle mount; coracle mount --no-trunc\n\
         coracle umount c; coracle mount | wc -l; coracle container umount c; coracle mount | wc -l\n\
         coracle umount c\n\
         coracle mount -l >/dev/null; coracle mount c >/dev/null; coracle mount c; coracle umount -f c; coracle mount | wc -l\n\
         coracle umount -a; coracle mount -a | wc -l; coracle umount -a | wc -l";
    let lines = unshared(&env, script).ok().lines();
    let short = format!("{}  {point}", &id[..12]);
    let squeezed: Vec<String> =
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join("  ")).collect();
    let whole = format!("{id}  {point}");
    let wanted = ["[]", &point, &point, &short, &whole, "c", "1", "c", "0", "c", &point, "c", "1"];
    assert_eq!(squeezed[..wanted.len()], wanted);
    assert_eq!(squeezed[wanted.len() + 1..], ["2", "2"]);
    let script = "coracle image mount busybox; coracle image mount --format json busybox\n\
         coracle image mount busybox busybox; coracle image unmount busybox; coracle image mount | wc -l\n\
         coracle image umount -f busybox; coracle image unmount busybox; coracle image mount | wc -l";
    let said = unshared(&env, script).ok();
    let shown = env.root().join("mounts/images").join(&image).display().to_string();
    let (first, rest) = said.stdout.split_once('\n').unwrap();
    assert_eq!(first, shown);
    let (document, rest) = rest.split_once("]\n").map(|(a, b)| (format!("{a}]"), b)).unwrap();
    let (more, rest) = rest.split_once("]\n").map_or((String::new(), rest), |(a, b)| (format!("{a}]"), b));
    let document: Value = serde_json::from_str(&format!("{document}{more}")).unwrap();
    assert_eq!((&document[0]["id"], &document[0]["mountpoint"]), (&json!(image), &json!(shown)));
    assert!(document[0]["Repositories"][0].as_str().unwrap().contains("busybox"), "{document}");
    let rest: Vec<&str> = rest.lines().collect();
    assert!(rest[0].ends_with(&shown) && rest[0].contains("busybox:") && rest[0] == rest[1], "{rest:?}");
    assert_eq!(rest[2..], [&image, "1", &image, "0"]);
    for (words, said) in [
        ("mount c nosuch", "no such container"),
        ("mount -a c", "no arguments are needed with --all"),
        ("mount -l c", "--latest and containers cannot be used together"),
        ("mount --format table", "unknown --format argument: \"table\""),
        ("umount", "you must provide at least one name or id"),
        ("umount c nosuch", "no such container"),
        ("image mount busybox nosuch", "nosuch: image not known"),
        ("image mount -a busybox", "when using the --all switch, you may not pass any image names or IDs"),
        ("image unmount", "image name or ID must be specified"),
    ] {
        unshared(&env, &format!("coracle {words}")).fails(125).says(said);
    }
    // Nothing was mounted by the calls that failed.
    assert_eq!(unshared(&env, "coracle mount c nosuch || coracle mount").ok().stdout, "");
}

/// One file system, whoever mounted it first: what one side writes the other sees.
#[test]
fn a_container_and_its_mount_are_one_file_system() {
    let env = TestEnv::with_images();
    idle(&env, "c", &[]);
    let script = "m=$(coracle mount c)\n\
         echo before >$m/before; coracle start c >/dev/null; coracle exec c cat /before\n\
         echo live >$m/live; coracle exec c cat /live\n\
         coracle exec c sh -c 'echo inside >/inside'; cat $m/inside\n\
         coracle stop c >/dev/null; echo after >$m/after; coracle start c >/dev/null; coracle exec c cat /after\n\
         coracle exec c rm /before; test ! -e $m/before\n\
         coracle umount c >/dev/null; test ! -e $m\n\
         m=$(coracle mount c); echo running >$m/running; coracle exec c cat /running\n\
         coracle stop c >/dev/null; coracle umount c\n\
         coracle cp c:/running - | tar -xO; coracle diff c | grep -c running";
    let lines = unshared(&env, script).ok().lines();
    assert_eq!(lines, ["before", "live", "inside", "after", "running", "c", "running", "1"]);
    // Two shells, and a copy from outside.
    let (go, done) = (env.path().join("go"), env.path().join("done"));
    let script = format!(
        "m=$(coracle mount c); echo first >$m/first; echo >'{0}'; while [ -e '{0}' ]; do sleep 0.02; done; cat $m/second $m/third",
        go.display()
    );
    let first = unshared(&env, &script).start();
    eventually("the first shell has written", || go.exists());
    let second = unshared(&env, "m=$(coracle mount c); cat $m/first; echo second >$m/second").ok();
    assert_eq!(second.text(), "first");
    fs::write(env.path().join("third"), "third\n").unwrap();
    env.coracle(["cp", env.path().join("third").to_str().unwrap(), "c:/third"]).ok();
    assert!(env.root().join("containers").exists() && !done.exists());
    fs::remove_file(&go).unwrap();
    let first = first.wait();
    assert_eq!((first.code, first.lines()), (0, vec!["second".to_owned(), "third".to_owned()]), "{first:?}");
    // The note that told where to look goes with the first look for nothing.
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "c"]).ok().text().to_owned();
    let note = env.root().join("containers").join(id).join("mounted");
    assert!(note.exists());
    env.coracle(["start", "c"]).ok();
    assert!(!note.exists());
    assert_eq!(env.coracle(["exec", "c", "cat", "/second"]).ok().text(), "second");
    env.coracle(["rm", "-f", "-t0", "c"]).ok();
}

/// Containers whose files a process of ours serves.
#[test]
fn served_roots_are_mounted_as_long_as_somebody_looks() {
    if !Path::new("/dev/fuse").exists() {
        return skip("there is no /dev/fuse");
    }
    let env = TestEnv::with_images();
    idle(&env, "kept", &["--userns=keep-id"]);
    let script = "m=$(coracle mount kept); ls $m/bin/busybox | wc -l; echo x >$m/x; coracle umount kept\n\
         m=$(coracle --storage-opt overlay.driver=fuse mount kept); cat $m/x; touch $m/y";
    assert_eq!(unshared(&env, script).ok().lines(), ["1", "kept", "x"]);
    eventually("what served the mounts has ended", || traces_of(&env.root()).is_empty());
    assert!(env.coracle(["diff", "kept"]).ok().lines().contains(&"A /y".to_owned()));
}

#[test]
fn what_is_removed_is_unmounted_and_nothing_stays_of_a_killed_shell() {
    let env = TestEnv::with_images();
    let own = busybox().layer(Layer::new().file("own", 0o644, "x"));
    let (name, _) = env.pulled(own, "mounting/removed");
    for container in ["c", "d"] {
        env.coracle(["create", "--name", container, "--network=none", &name, "true"]).ok();
    }
    let script = format!(
        "coracle mount c d >/dev/null; coracle image mount {name} >/dev/null\n\
         coracle rm c d >/dev/null; coracle mount; coracle image mount | wc -l\n\
         coracle rmi {name} >/dev/null; grep -c /mounts /proc/self/mountinfo || true"
    );
    assert_eq!(unshared(&env, &script).ok().lines(), ["1", "0"]);
    idle(&env, "e", &[]);
    let shell = unshared(&env, "coracle mount e; coracle image mount busybox; exec sleep 1000").start();
    let note = || {
        let id = env.coracle(["inspect", "-f", "{{.Id}}", "e"]).ok().text().to_owned();
        env.root().join("containers").join(id).join("mounted")
    };
    let note = note();
    eventually("the container is mounted", || {
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", shell.pid())).unwrap_or_default();
        note.exists() && table.contains("/mounts/images/")
    });
    shell.signal(nix::sys::signal::Signal::SIGKILL);
    drop(shell.wait());
    eventually("nothing is mounted", || traces_of(&env.root()).is_empty());
    assert_eq!(fs::read_dir(env.root().join("mounts")).unwrap().count(), 0);
    env.coracle(["start", "e"]).ok();
    env.coracle(["system", "check"]).ok();
    env.coracle(["rm", "-f", "-t0", "e"]).ok();
    // Everything can be removed, from inside as well.
    idle(&env, "f", &[]);
    env.coracle(["manifest", "create", "list"]).ok();
    unshared(&env, "coracle mount f >/dev/null; coracle system reset -f >/dev/null").ok();
    assert!(!env.root().exists());
}

/// A container can mount what it likes at the place where its neighbour's root would be, but in a namespace of its own.
#[test]
fn a_container_does_not_pass_off_a_root_as_that_of_another() {
    let env = TestEnv::with_images();
    idle(&env, "victim", &[]);
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "victim"]).ok().text().to_owned();
    unshared(&env, "coracle mount victim >/dev/null").ok();
    assert!(env.root().join("containers").join(&id).join("mounted").exists());
    let point = env.root().join("mounts/containers").join(&id);
    let fake = format!(
        "mkdir -p '{0}'; mount -t tmpfs none '{0}'; mkdir '{0}/bin' && cp /bin/busybox '{0}/bin/sh' && echo >/ready; {1}",
        point.display(),
        super::ps::IDLE
    );
    let options = ["run", "-d", "--name=evil", "--network=none", "--privileged", "busybox", "sh", "-c"];
    let said = env.coracle(options).arg(&fake).run();
    if said.code != 0 {
        return skip(&format!("no privileged container: {said}"));
    }
    eventually("it has mounted", || env.coracle(["exec", "evil", "test", "-e", "/ready"]).run().code == 0);
    env.coracle(["start", "victim"]).ok();
    env.coracle(["exec", "victim", "ls", "/etc/passwd"]).ok();
    assert!(!env.root().join("containers").join(&id).join("mounted").exists());
    env.coracle(["rm", "-f", "-t0", "evil", "victim"]).ok();
}

/// A mount that has its mount point is finished before another command may take that away; one of an image that is
/// removed meanwhile fails.
#[test]
fn mounting_beside_unmounting_and_removing() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "mounting/beside");
    env.coracle(["tag", &name, "beside"]).ok();
    let begin = "rm -f log; CORACLE_FAILPOINT=mount.point=pause:1500 CORACLE_FAILPOINT_LOG=$PWD/log \
                 coracle image mount beside >out 2>err & \
                 while ! [ -s log ]; do sleep 0.02; done; ";
    let work = env.path().join("work");
    fs::create_dir(&work).unwrap();
    let at = format!("cd {}; ", work.display());
    let said = unshared(
        &env,
        &format!(
            "{at}{begin} coracle image unmount beside; wait $!; cat out err; \
        coracle image mount beside >/dev/null; coracle image unmount -f beside >/dev/null; coracle image mount"
        ),
    );
    let said = said.ok();
    assert!(said.stderr.is_empty() && !said.stdout.contains("rror"), "{said}");
    let removed = unshared(
        &env,
        &format!(
            "{at}{begin} coracle rmi -f $(coracle images -q beside) >/dev/null; wait $! || echo $?; cat out err"
        ),
    );
    let removed = removed.ok();
    assert!(
        removed.stdout.starts_with("125\n") && removed.stdout.contains("beside: image not known"),
        "{removed}"
    );
}
