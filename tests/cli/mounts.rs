//! `--mount`, `--volume` with all their kinds and options, `--volumes-from`, `--image-volume`.

use super::ps::start;
use crate::common::{Call, ImageBuilder, Layer, TestEnv, busybox, shared_registry};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

/// A call that runs `script` in busybox with these options, ready to be checked.
fn run(env: &TestEnv, options: &[&str], script: &str) -> Call {
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
    call.args(["--rootfs", &rootfs, "sh", "-c", script])
}

fn shown(env: &TestEnv, options: &[&str], script: &str) -> String {
    run(env, options, script).ok().text().to_owned()
}

fn volumes(env: &TestEnv) -> usize {
    env.coracle(["volume", "ls", "-q"]).ok().lines().len()
}

#[test]
fn a_layer_above_a_directory_takes_the_changes() {
    let env = TestEnv::new();
    env.file("data/old", "old\n");
    std::fs::create_dir(env.path().join("u")).unwrap();
    std::fs::create_dir(env.path().join("w")).unwrap();
    let script = "cat /m/old; rm /m/old; echo new > /m/new; ls /m";
    assert_eq!(shown(&env, &["-v", "./data:/m:O"], script), "old\nnew");
    assert_eq!(shown(&env, &["-v", "./data:/m:O"], "ls /m"), "old");
    assert!(env.path().join("data/old").exists() && !env.path().join("data/new").exists());
    let kept = "./data:/m:O,upperdir=./u,workdir=./w";
    assert_eq!(shown(&env, &["-v", kept], script), "old\nnew");
    assert_eq!(shown(&env, &["-v", kept], "ls /m"), "new");
    assert!(env.path().join("u/new").exists());
    // A volume's content is as safe.
    shown(&env, &["-v", "vol:/m"], "echo kept > /m/file");
    assert_eq!(shown(&env, &["-v", "vol:/m:O"], "echo x > /m/other; ls /m"), "file\nother");
    assert_eq!(shown(&env, &["-v", "vol:/m"], "ls /m"), "file");
    run(&env, &["-v", "./data:/m:O,ro"], "true").fails(125).says("conflicts");
    run(&env, &["-v", "./data:/m:O,upperdir=./u"], "true").fails(125).says("go together");
    run(&env, &["-v", "./data:/m:idmap"], "true").fails(125).says("only root has");
}

#[test]
fn an_overlay_starts_anew_with_each_start_and_goes_with_its_container() {
    let env = TestEnv::new();
    env.file("data/old", "old\n");
    start(&env, "c", &["-v", "./data:/m:O"], "echo x > /m/new; chmod 0 /m/new; chown -R 5:5 /m");
    env.coracle(["wait", "c"]).ok();
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let options =
        ["create", "--name", "d", "--network=none", "-v", "./data:/m:O", "-v", "vol:/v", "--rootfs", &rootfs];
    env.coracle(options).args(["sh", "-c", "ls /m; echo x >> /m/new; echo x >> /v/n; wc -l < /v/n"]).ok();
    assert_eq!(volumes(&env), 1, "made with the container");
    for count in ["1", "2"] {
        assert_eq!(env.coracle(["start", "-a", "d"]).ok().lines(), ["old", count]);
    }
    env.coracle(["rm", "d"]).ok();
    env.coracle(["rm", "c"]).ok();
    let trash = std::fs::read_dir(env.root().join("trash")).unwrap().count();
    assert_eq!(trash, 0);
}

#[test]
fn parts_of_volumes_and_images() {
    let env = TestEnv::with_images();
    shown(
        &env,
        &["-v", "vol:/m"],
        "mkdir -p /m/a/b; echo in > /m/a/b/f; ln -s a/b /m/in; ln -s /etc /m/out; ln -s ../x /m/up",
    );
    for part in ["a/b", "in", "./a/b"] {
        let mount = format!("type=volume,src=vol,dst=/p,volume-subpath={part}");
        assert_eq!(shown(&env, &["--mount", &mount], "ls /p"), "f", "{part}");
    }
    assert_eq!(
        shown(&env, &["--mount", "type=volume,src=vol,dst=/p/file,subpath=a/b/f"], "cat /p/file"),
        "in"
    );
    assert_eq!(shown(&env, &["-v", "vol:/p:ro,subpath=a"], "touch /p/x 2>/dev/null; ls /p"), "b");
    for (part, says) in [("out", "leads out"), ("up", "leads out"), ("none", "nothing there")] {
        let mount = format!("type=volume,src=vol,dst=/p,subpath={part}");
        run(&env, &["--mount", &mount], "ls /p").fails(125).says(says);
    }
    for part in ["../x", "/etc"] {
        run(&env, &["--mount", &format!("type=volume,src=vol,dst=/p,subpath={part}")], "true")
            .fails(125)
            .says("..");
    }
    let image = shown(&env, &["--mount", "type=image,src=busybox,dst=/i,subpath=bin"], "ls /i");
    assert!(image.contains("busybox"), "{image}");
}

#[test]
fn images_are_mounted_read_only_unless_asked() {
    let env = TestEnv::with_images();
    let option = "type=image,source=busybox,destination=/i";
    assert_eq!(
        shown(&env, &["--mount", option], "ls /i/bin/busybox; touch /i/x 2>/dev/null || echo ro"),
        "/i/bin/busybox\nro"
    );
    let writable = format!("{option},rw=true");
    assert_eq!(shown(&env, &["--mount", &writable], "rm /i/bin/busybox && echo x > /i/x && cat /i/x"), "x");
    assert_eq!(shown(&env, &["--mount", &writable], "ls /i/bin/busybox"), "/i/bin/busybox");
    run(&env, &["--mount", "type=image,src=nobody/nothing,dst=/i"], "true").fails(125).says("coracle pull");
}

#[test]
fn an_image_that_is_mounted_stays() {
    let env = TestEnv::new();
    env.use_registry(shared_registry().address());
    let layer = Layer::new().file("data", 0o644, "in the image\n");
    ImageBuilder::new().layer(layer).push(shared_registry(), "library/mounted", "latest");
    let full = "mounted";
    env.coracle(["pull", "-q", full]).ok();
    start(&env, "c", &["--mount", &format!("type=image,src={full},dst=/i")], "cat /i/data");
    env.coracle(["wait", "c"]).ok();
    assert_eq!(env.coracle(["logs", "c"]).ok().text(), "in the image");
    env.coracle(["rmi", full]).fails(2).says("image is in use by a container");
    env.coracle(["rm", "c"]).ok();
    env.coracle(["rmi", full]).ok();
}

#[test]
fn patterns_mount_each_match() {
    let env = TestEnv::new();
    for name in ["g/a1", "g/a2", "g/b1"] {
        env.file(name, name);
    }
    let option = "type=glob,src=./g/a*,dst=/m,ro";
    assert_eq!(
        shown(&env, &["--mount", option], "cat /m/*; touch /m/a1 2>/dev/null || echo ro"),
        "g/a1g/a2ro"
    );
    let place = env.path().join("g");
    let option = format!("type=glob,src={}/b*", place.display());
    assert_eq!(shown(&env, &["--mount", &option], &format!("ls {}", place.display())), "b1");
    run(&env, &["--mount", "type=glob,src=./g/none*,dst=/m"], "true")
        .fails(125)
        .says("no file paths matching glob");
}

#[test]
fn memory_and_terminals() {
    let env = TestEnv::new();
    let options = ["--mount", "type=ramfs,dst=/r,tmpfs-mode=0700"];
    assert_eq!(
        shown(&env, &options, "stat -c %a /r; grep ' /r ' /proc/mounts | cut -d' ' -f3"),
        "700\nramfs"
    );
    let options = ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0711"];
    assert_eq!(
        shown(&env, &options, "stat -c %a /t; df -k /t | tail -1 | tr -s ' ' | cut -d' ' -f2"),
        "711\n1024"
    );
    let options = ["--mount", "type=devpts,dst=/dev/pts,max=3,mode=0640", "-t"];
    let text = shown(&env, &options, "tty; stat -c %a /dev/pts/0; test -t 0 && echo yes");
    assert_eq!(text.replace('\r', ""), "/dev/pts/0\n640\nyes");
    let options = ["--mount", "type=devpts,dst=/p"];
    assert_eq!(shown(&env, &options, "ls /p"), "ptmx");
}

#[test]
fn volumes_on_memory_and_on_directories() {
    let env = TestEnv::new();
    let create = |options: &[&str]| env.coracle(["volume", "create"]).args(options).ok();
    create(&["-o", "type=tmpfs", "-o", "o=size=1m,mode=711,noexec", "mem"]);
    let options = ["-v", "mem:/m"];
    let script = "echo x > /m/x; stat -c %a /m; df -k /m | tail -1 | tr -s ' ' | cut -d' ' -f2; grep -c ' /m tmpfs.*noexec' /proc/mounts";
    assert_eq!(shown(&env, &options, script), "711\n1024\n1");
    assert_eq!(shown(&env, &options, "ls /m"), "");
    env.file("dir/f", "host\n");
    let device = format!("device={}", env.path().join("dir").display());
    create(&["-o", "type=none", "-o", &device, "-o", "o=bind", "dir"]);
    assert_eq!(shown(&env, &["-v", "dir:/m"], "cat /m/f; echo back > /m/g"), "host");
    assert_eq!(std::fs::read_to_string(env.path().join("dir/g")).unwrap(), "back\n");
    create(&["-o", "type=none", "-o", &device, "-o", "o=bind,ro", "fixed"]);
    assert_eq!(shown(&env, &["-v", "fixed:/m"], "touch /m/x 2>/dev/null || echo ro"), "ro");
    // The owner that was asked for stays, whatever the image has there.
    create(&["-o", "o=uid=12,gid=34", "own"]);
    assert_eq!(shown(&env, &["-v", "own:/bin/sub", "-v", "own:/etc"], "stat -c %u:%g /etc"), "12:34");
    let device = format!("device={}", env.path().join("gone").display());
    std::fs::create_dir(env.path().join("gone")).unwrap();
    create(&["-o", "type=none", "-o", &device, "-o", "o=bind", "gone"]);
    std::fs::remove_dir(env.path().join("gone")).unwrap();
    run(&env, &["-v", "gone:/m"], "true").fails(125).says("gone");
}

#[test]
fn missing_mount_points_are_made_where_no_link_leads() {
    let env = TestEnv::new();
    env.file("inner/f", "inner\n");
    env.file("outer/there/.keep", "");
    let both = ["-v", "./outer:/o", "-v", "./inner:/o/new/deep"];
    assert_eq!(shown(&env, &both, "cat /o/new/deep/f"), "inner");
    assert!(env.path().join("outer/new/deep").is_dir(), "made in the source, as docker does");
    let file = ["-v", "./outer:/o", "-v", "./inner/f:/o/file"];
    assert_eq!(shown(&env, &file, "cat /o/file"), "inner");
    // Read-only sources are left alone, with a reason.
    let fixed = ["-v", "./outer:/o:ro", "-v", "./inner:/o/absent"];
    run(&env, &fixed, "true").fails(125).says("read-only");
    assert_eq!(shown(&env, &["-v", "./outer:/o:ro", "-v", "./inner:/o/there"], "cat /o/there/f"), "inner");
    // Whoever fills a source does not choose where else something is made.
    std::fs::create_dir(env.path().join("victim")).unwrap();
    for link in ["/v", "../v", "/v/sub/../.."] {
        let path = env.path().join("outer/link");
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(link, &path).unwrap();
        let options = ["-v", "./victim:/v", "-v", "./outer:/o", "-v", "./inner:/o/link/made"];
        run(&env, &options, "true").run();
        assert_eq!(std::fs::read_dir(env.path().join("victim")).unwrap().count(), 0, "{link}");
    }
}

#[test]
fn mounts_are_taken_from_other_containers() {
    let env = TestEnv::new();
    env.file("dir/f", "host\n");
    let options = ["-v", "./dir:/d:ro", "-v", "vol:/v", "-v", "/anon", "--tmpfs", "/t"];
    start(&env, "one", &options, "echo a > /anon/a; echo v > /v/v");
    env.coracle(["wait", "one"]).ok();
    let script = "cat /d/f /anon/a /v/v; touch /d/x 2>/dev/null || echo ro; touch /v/x && echo rw; grep -c ' /t ' /proc/mounts";
    assert_eq!(run(&env, &["--volumes-from", "one"], script).run().text(), "host\na\nv\nro\nrw\n0");
    let script = "touch /v/x 2>/dev/null || echo ro";
    assert_eq!(shown(&env, &["--volumes-from", "one:ro,z"], script), "ro");
    let mine = ["--volumes-from", "one", "-v", "other:/v"];
    assert_eq!(shown(&env, &mine, "ls /v"), "", "what is asked for here comes first");
    run(&env, &["--volumes-from", "nobody"], "true").fails(125).says("nobody");
    run(&env, &["--volumes-from", "one:wat"], "true").fails(125).says("wat");
    // The anonymous volume lives as long as somebody has it.
    start(&env, "two", &["--volumes-from", "one"], "exit 0");
    env.coracle(["wait", "two"]).ok();
    let before = volumes(&env);
    env.coracle(["rm", "-v", "one"]).ok();
    assert_eq!(volumes(&env), before);
    env.coracle(["rm", "-v", "two"]).ok();
    assert_eq!(volumes(&env), before - 1);
}

#[test]
fn image_volumes_are_volumes_memory_or_nothing() {
    let env = TestEnv::new();
    env.use_registry(shared_registry().address());
    busybox()
        .layer(Layer::new().dir("data", 0o755).file("data/f", 0o644, "image\n"))
        .config("Volumes", json!({"/data": {}}))
        .push(shared_registry(), "library/voluminous", "latest");
    let full = "voluminous";
    // The whole of a file system, or a part of one: a volume, too, may lie on a tmpfs.
    let top = |options: &[&str]| {
        let call = env.coracle(["run", "--rm", "--network=none", "-q"]).args(options);
        let script = "cat /data/f; grep ' /data ' /proc/self/mountinfo | cut -d' ' -f4";
        call.args([full, "sh", "-c", script]).ok().lines()
    };
    assert_eq!(top(&["--image-volume=tmpfs"]), ["image", "/"]);
    assert_eq!(top(&["--image-volume=ignore"]), ["image"]);
    let bind = top(&[]);
    assert!(bind.len() == 2 && bind[1].ends_with("/_data"), "{bind:?}");
    assert_eq!(volumes(&env), 0, "anonymous volumes go with --rm");
    env.coracle(["run", "--image-volume=wat", full]).fails(125).says("wat");
}

#[test]
fn replacing_a_container_takes_its_anonymous_volumes() {
    let env = TestEnv::new();
    start(&env, "c", &["-v", "/x"], "exit 0");
    env.coracle(["wait", "c"]).ok();
    start(&env, "c", &["--replace", "-v", "/x"], "exit 0");
    env.coracle(["wait", "c"]).ok();
    assert_eq!(volumes(&env), 1);
}

#[test]
fn case_41_what_a_pattern_finds_leads_nowhere_else() {
    let env = TestEnv::with_images();
    let dir = |name: &str| {
        let dir = env.path().join(name);
        fs::create_dir_all(&dir).unwrap();
        dir
    };
    let (shared, forbidden) = (dir("shared"), dir("forbidden"));
    fs::create_dir(shared.join("a")).unwrap();
    fs::write(shared.join("a/file"), "shared").unwrap();
    fs::write(forbidden.join("file"), "SECRET").unwrap();
    // A link within is what libraries have.
    symlink("a", shared.join("b")).unwrap();
    let read = "cat /m/b/file";
    assert_eq!(run(&env, &["--mount", "type=glob,src=./shared/*,dst=/m"], read).ok().text(), "shared");
    // What a container that fills the directory may leave there for the next one.
    for (name, target) in [("evil", "../forbidden".to_owned()), ("evil", forbidden.display().to_string())] {
        symlink(target, shared.join(name)).unwrap();
        for pattern in ["./shared/*", "./shared/e*/file", "forbidden/../shared/evi?", "./shared/a/../evi*"] {
            let mount = format!("type=glob,src={pattern},dst=/m");
            run(&env, &["--mount", &mount], "cat /m/evil/file /m/file")
                .fails(125)
                .says("leads out of the source");
        }
        fs::remove_file(shared.join(name)).unwrap();
    }
}

/// As in podman and docker, `..` takes away the name before it, also one that is not there.
#[test]
fn sources_are_cleaned() {
    let env = TestEnv::with_images();
    env.file("file", "content");
    let volume = "./nosuch/../file:/m:ro";
    let run = env.coracle(["run", "--rm", "--network=none", "-v", volume, "busybox", "cat", "/m"]).ok();
    assert_eq!(run.text(), "content");
}

#[test]
fn links_are_not_copied_as_links() {
    let env = TestEnv::with_images();
    std::os::unix::fs::symlink("file", env.path().join("link")).unwrap();
    env.file("file", "content");
    let run = |source: &str| {
        let mount = format!("type=bind,src=./{source},dst=/m,no-dereference");
        env.coracle(["run", "--rm", "--network=none", "--mount", &mount, "busybox", "cat", "/m"])
    };
    assert_eq!(run("file").ok().text(), "content");
    run("link").fails(125).says("is a symbolic link").says("Hint: Leave the option out");
    assert!(env.containers().is_empty());
}
