//! A store in which something is not what it was: records cut off, links and FIFOs in the place of files and
//! directories, commands killed between two steps. What cannot be read makes nothing count as unused, and
//! stands in the way of nobody else.

use crate::common::{Output, TestEnv, busybox, coracle_binary, one_file};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Puts a kind of damage in the place of a file.
fn spoil(path: &Path, kind: &str, outside: &Path) {
    let _ = fs::remove_file(path);
    match kind {
        "empty" => fs::write(path, "").unwrap(),
        "torn" => fs::write(path, "{\"version\":1,\"na").unwrap(),
        "newer" => fs::write(path, "{\"version\":99}").unwrap(),
        "link" => symlink(outside, path).unwrap(),
        "fifo" => nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap(),
        "sparse" => fs::File::create(path).unwrap().set_len(3 << 40).unwrap(),
        other => panic!("{other}"),
    }
}

const KINDS: [&str; 6] = ["empty", "torn", "newer", "link", "fifo", "sparse"];

/// A file beside the data root that nothing may touch.
fn outside(env: &TestEnv) -> PathBuf {
    env.file("outside", "untouched")
}

fn is_untouched(env: &TestEnv) -> bool {
    fs::read_to_string(env.path().join("outside")).unwrap() == "untouched"
}

fn names(env: &TestEnv, dir: &str) -> Vec<String> {
    let names = fs::read_dir(env.root().join(dir)).unwrap();
    let mut names: Vec<String> = names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A container that has written to a volume and to its own root, of an image of the store's own.
fn scene(env: &TestEnv, image: &str) -> (String, PathBuf) {
    let (image, _) = env.pulled(busybox(), image);
    let script = "echo precious >/v/data; echo mine >/file";
    let run = ["run", "--network=none", "--name=bad", "-v=kept:/v", &image, "sh", "-c", script];
    env.coracle(run).ok();
    env.coracle(["create", "--name=good", "--network=none", "-v=used:/v", &image, "true"]).ok();
    let id = env.coracle(["inspect", "-f", "{{.Id}}", "bad"]).ok().text().to_owned();
    let plan = env.root().join("containers").join(&id).join("plan.json");
    (image, plan)
}

fn warns(output: &Output, id: &str) {
    let short = &id[..12];
    assert!(output.stderr.contains(&format!("container {short}")), "{output}");
    assert!(output.stderr.contains(&format!("coracle rm -f {short}")), "{output}");
    assert_eq!(output.stderr.matches("cannot be read").count(), 1, "said once: {output}");
}

#[test]
fn what_a_container_may_use_is_kept_while_its_plan_cannot_be_read() {
    let env = TestEnv::new();
    let (image, plan) = scene(&env, "damage/plan");
    let id = plan.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let (outside, whole) = (outside(&env), fs::read(&plan).unwrap());
    for kind in KINDS {
        spoil(&plan, kind, &outside);
        for verb in [
            &["volume", "prune", "-af"][..],
            &["image", "prune", "-af"],
            &["system", "prune", "-af", "--volumes", "--filter", "label=none"],
            &["container", "prune", "-f", "--filter", "label=none"],
            &["system", "df"],
        ] {
            warns(&env.coracle(verb).ok(), &id);
        }
        let refused = env.coracle(["volume", "rm", "kept"]).fails(2).says("may be in use by container");
        assert!(refused.stderr.contains("coracle rm -f"), "{kind}: {refused}");
        env.coracle(["volume", "rm", "-f", "kept"]).fails(2);
        env.coracle(["rmi", &image]).fails(2);
        // The others go on.
        for verb in [
            &["ps", "-a"][..],
            &["volume", "ls"],
            &["images"],
            &["inspect", "good"],
            &["secret", "ls"],
            &["volume", "create", "--ignore", "more"],
        ] {
            env.coracle(verb).ok();
        }
        assert_eq!(env.containers().len(), 2, "{kind}");
        env.coracle(["system", "check", "-q"]).fails(125).says("1 damaged object");
        for volume in ["kept", "used", "more"] {
            env.coracle(["volume", "inspect", volume]).ok();
        }
        assert_eq!(fs::read_to_string(env.root().join("volumes/kept/_data/data")).unwrap(), "precious\n");
    }
    assert!(is_untouched(&env));
    // One that has to go anyhow does not take the volumes along, and then they are what nobody uses.
    env.coracle(["container", "prune", "-f"]).ok();
    assert_eq!(env.containers(), [id.as_str()], "it alone is kept");
    env.coracle(["rm", "-f", "bad"]).ok();
    assert_eq!(names(&env, "names"), [""; 0]);
    env.coracle(["volume", "inspect", "kept"]).ok();
    assert_eq!(env.coracle(["volume", "prune", "-af"]).ok().lines(), ["kept", "more", "used"]);
    assert!(!whole.is_empty());
}

#[test]
fn repair_sets_a_container_without_a_plan_aside_with_all_that_it_has() {
    let env = TestEnv::new();
    let (image, plan) = scene(&env, "damage/aside");
    spoil(&plan, "newer", &outside(&env));
    // A newer coracle could read it.
    env.coracle(["system", "check", "-q", "--repair"]).fails(125).says("version 99");
    assert_eq!(env.containers().len(), 2);
    spoil(&plan, "empty", &outside(&env));
    fs::write(plan.with_file_name("summary"), "").unwrap();
    let said = env.coracle(["system", "check", "-q", "--repair"]).ok();
    let id = plan.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let aside = env.root().join("damaged").join(format!("containers-{id}"));
    assert!(said.stdout.contains(&format!("set aside as {}", aside.display())), "{said}");
    assert_eq!(fs::read_to_string(aside.join("upper/file")).unwrap(), "mine\n");
    assert_eq!(env.containers().len(), 1);
    assert_eq!(env.coracle(["system", "check", "-q"]).ok().stdout, "");
    env.coracle(["run", "--rm", "--name=bad", "--network=none", &image, "true"]).ok();
    let free = env.coracle(["volume", "prune", "-af"]).ok();
    assert_eq!((free.lines(), free.stderr.as_str()), (vec!["kept".to_owned()], ""));
    env.coracle(["system", "reset", "-f"]).ok();
    assert!(!env.root().exists());
}

#[test]
fn a_bad_record_of_another_kind_blocks_no_verb_on_other_objects() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(busybox(), "damage/kinds");
    let (bad, bad_id) = env.pulled(one_file("bad"), "damage/kinds2");
    let outside = outside(&env);
    env.file("value", "v");
    for name in ["a", "b"] {
        env.coracle(["secret", "create", name, "value"]).ok();
        env.coracle(["volume", "create", "--label", "l=1", name]).ok();
    }
    fs::write(env.root().join("volumes/a/_data/data"), "precious").unwrap();
    let root = env.root();
    let image_record = root.join("images").join(bad_id.trim_start_matches("sha256:"));
    let named = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|text| text.contains("kinds2"));
    let mut refs = names(&env, "refs").into_iter().map(|name| root.join("refs").join(name));
    let records = [
        root.join("volumes/a/volume.json"),
        root.join("secrets/a/secret.json"),
        image_record,
        refs.find(named).unwrap(),
    ];
    for kind in ["empty", "torn", "link", "fifo", "sparse"] {
        let whole: Vec<Vec<u8>> = records.iter().map(|path| fs::read(path).unwrap()).collect();
        records.iter().for_each(|path| spoil(path, kind, &outside));
        for verb in [
            &["volume", "ls"][..],
            &["volume", "inspect", "b"],
            &["secret", "ls"],
            &["secret", "inspect", "b"],
            &["images"],
            &["image", "inspect", &image],
            &["run", "--rm", "--network=none", "-v=b:/v", "--secret=b", &image, "cat", "/run/secrets/b"],
            &["tag", &image, "localhost/other"],
            &["rmi", "localhost/other"],
            &["system", "df"],
            &["image", "prune", "-f"],
            &["system", "prune", "-f"],
            &["volume", "create", "new"],
            &["volume", "rm", "new"],
        ] {
            env.coracle(verb).ok();
        }
        // What it said is kept: the image of the bad record is not there any more for anybody, its layers are.
        env.coracle(["system", "prune", "-f", "--volumes", "--filter", "label=none"]).ok();
        assert_eq!(fs::read_to_string(root.join("volumes/a/_data/data")).unwrap(), "precious", "{kind}");
        let found = env.coracle(["system", "check", "-q", "--max=0s"]).fails(125);
        for what in ["volume a", "secret a", "images/", "refs/"] {
            assert!(found.stdout.contains(&format!("Damaged {what}")), "{kind}: {found}");
        }
        for (path, whole) in records.iter().zip(whole) {
            fs::remove_file(path).unwrap();
            fs::write(path, whole).unwrap();
        }
    }
    env.coracle(["system", "check"]).ok();
    env.coracle(["run", "--rm", "--network=none", &bad, "true"]).fails(127);
    records.iter().for_each(|path| spoil(path, "torn", &outside));
    let said = env.coracle(["system", "check", "-q", "--repair"]).ok();
    assert!(said.stdout.contains("Repaired volume a: has a fresh record"), "{said}");
    assert!(said.stdout.contains("Repaired secret a: set aside as"), "{said}");
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    assert_eq!(fs::read_to_string(root.join("volumes/a/_data/data")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(root.join("damaged/secrets-a/value")).unwrap(), "v");
    env.coracle(["pull", "-q", &bad]).ok();
    // By name each can be removed as it is.
    fs::write(root.join("volumes/b/volume.json"), "").unwrap();
    fs::write(root.join("secrets/b/secret.json"), "").unwrap();
    assert_eq!(env.coracle(["volume", "rm", "b"]).ok().text(), "b");
    env.coracle(["secret", "rm", "b"]).ok();
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    assert!(is_untouched(&env));
}

#[test]
fn rm_force_removes_whatever_is_in_the_place_of_a_container() {
    let env = TestEnv::with_images();
    let make = |name: &str| {
        let id = env.coracle(["create", "--network=none", "--name", name, "busybox", "true"]).ok();
        let id = id.text().to_owned();
        (env.root().join("containers").join(&id), id)
    };
    for file in
        ["plan.json", "summary", "settings.json", "run.json", "exit.json", "stop", "lock", "alive", "log"]
    {
        for kind in ["torn", "link", "fifo", "directory"] {
            let (dir, id) = make("x");
            let path = dir.join(file);
            match kind {
                "directory" => {
                    let _ = fs::remove_file(&path);
                    fs::create_dir_all(path.join("below")).unwrap();
                }
                _ => spoil(&path, kind, &outside(&env)),
            }
            env.coracle(["ps", "-a"]).ok();
            env.coracle(["rm", "-f", &id]).ok();
            assert!(!dir.exists(), "{file} {kind}");
            assert_eq!(names(&env, "names"), [""; 0], "{file} {kind}");
        }
    }
    // No directory at all.
    let (dir, id) = make("y");
    fs::remove_dir_all(&dir).unwrap();
    symlink(env.path(), &dir).unwrap();
    env.coracle(["ps", "-a"]).ok();
    env.coracle(["rm", "y"]).fails(125).says("coracle rm -f");
    let (_, other) = make("other");
    assert_eq!(env.coracle(["rm", "y", "other"]).fails(125).says("coracle rm -f").text(), "other", "{other}");
    env.coracle(["rm", "-f", &id]).ok();
    let (dir, _) = make("z");
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "").unwrap();
    env.coracle(["rm", "-f", "z"]).ok();
    assert_eq!(names(&env, "containers"), [""; 0]);
    assert!(is_untouched(&env));
}

/// A container that was given the data root can put a link anywhere in it.
#[test]
fn case_25_a_link_in_the_place_of_a_directory_of_the_store_is_not_followed() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(busybox(), "damage/links");
    env.file("value", "v");
    env.coracle(["secret", "create", "s", "value"]).ok();
    env.coracle(["create", "--name=c", "--network=none", "-v=vol:/v", &image, "true"]).ok();
    let precious = env.path().join("precious");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86400);
    let fill = || {
        fs::create_dir_all(precious.join("sub")).unwrap();
        for name in ["doc", "sub/doc", "plan.json", "current"] {
            fs::write(precious.join(name), "precious").unwrap();
        }
        let name = "0".repeat(64);
        fs::create_dir_all(precious.join(&name)).unwrap();
        fs::write(precious.join(&name).join("doc"), "precious").unwrap();
        for name in ["doc", "sub", &name] {
            fs::File::open(precious.join(name)).unwrap().set_modified(long_ago).unwrap();
        }
    };
    fill();
    let listing = || env.program("find").arg(&precious).args(["-printf", "%P %s %T@\n"]).ok().lines().len();
    let before = listing();
    let parts = [
        "tmp",
        "trash",
        "names",
        "events",
        "containers",
        "volumes",
        "secrets",
        "images",
        "refs",
        "layers",
        "oci",
        "oci/blobs",
        "oci/blobs/sha256",
    ];
    for part in parts {
        let (place, old) = (env.root().join(part), env.path().join("old"));
        fs::rename(&place, &old).unwrap();
        symlink(&precious, &place).unwrap();
        for verb in [
            &["ps", "-a"][..],
            &["run", "--rm", "--network=none", &image, "true"],
            &["run", "--name=new", "--network=none", "-v=other:/v", &image, "true"],
            &["volume", "create", "more"],
            &["secret", "create", "more", "value"],
            &["tag", &image, "localhost/more"],
            &["rename", "c", "d"],
            &["rm", "-f", "c", "d", "new"],
            &["volume", "rm", "-f", "more", "other"],
            &["secret", "rm", "more"],
            &["rmi", "localhost/more"],
            &["commit", "c", "localhost/made"],
            &["volume", "prune", "-af"],
            &["image", "prune", "-af"],
            &["system", "prune", "-af", "--volumes"],
            &["system", "df"],
            &["system", "check"],
        ] {
            let done = env.coracle(verb).run();
            assert!(done.code != 101 && !done.stderr.contains("panicked"), "{part}: {done}");
            assert_eq!(listing(), before, "{part} after {verb:?}: {done}");
        }
        let said = env.coracle(["system", "check", "-q", "--repair"]).run();
        assert_eq!(listing(), before, "{part}: {said}");
        assert_eq!(fs::read_to_string(precious.join("doc")).unwrap(), "precious", "{part}");
        if ["tmp", "trash", "names", "events"].contains(&part) {
            assert!(said.stdout.contains(&format!("Repaired {part}: set aside")), "{part}: {said}");
            env.coracle(["system", "check", "-q", "--repair"]).ok();
            fs::remove_dir_all(&old).unwrap();
        } else {
            assert_eq!(said.code, 125, "{part}: {said}");
            assert!(said.stdout.contains(part) || said.stderr.contains(part), "{part}: {said}");
            fs::remove_file(&place).unwrap();
            fs::rename(&old, &place).unwrap();
        }
        // What the verbs above have taken away.
        env.coracle(["pull", "-q", &image]).ok();
        env.coracle(["rm", "-f", "-a"]).ok();
        env.coracle(["create", "--name=c", "--network=none", "-v=vol:/v", &image, "true"]).ok();
    }
}

#[test]
fn what_is_no_lock_file_is_not_waited_for() {
    let env = TestEnv::new();
    env.pulled(one_file("x"), "damage/locks");
    for name in ["lock", "index.lock"] {
        let path = env.root().join(name);
        for kind in ["fifo", "link"] {
            spoil(&path, kind, &outside(&env));
            for verb in [&["image", "prune", "-af"][..], &["volume", "prune", "-af"], &["images"]] {
                env.coracle(verb).run();
            }
            let said = env.coracle(["system", "check", "-q", "--repair"]).ok();
            assert!(said.stdout.contains(&format!("Repaired {name}: set aside")), "{said}");
            env.coracle(["volume", "prune", "-af"]).ok();
        }
    }
    assert!(is_untouched(&env));
}

/// Kills a command at a step.
fn killed(env: &TestEnv, step: &str, words: &[&str]) {
    let call = env.coracle(words).env("CORACLE_FAILPOINT", format!("{step}=kill"));
    let done = call.run();
    assert_eq!(done.code, 137, "{step}: {done}");
}

#[test]
fn a_create_that_is_killed_leaves_nothing_that_anybody_trips_over() {
    let env = TestEnv::with_images();
    env.file("value", "v");
    env.coracle(["secret", "create", "s", "value"]).ok();
    let create = ["create", "--name=c", "--network=none", "--secret=s", "-v=vol:/v", "busybox", "true"];
    for step in ["create.dir", "create.filled", "create.name"] {
        killed(&env, step, &create);
        for verb in [
            &["system", "check"][..],
            &["system", "df"],
            &["volume", "prune", "-af"],
            &["image", "prune", "-f"],
            &["system", "check", "--repair", "--force"],
        ] {
            let done = env.coracle(verb).ok();
            assert_eq!(done.stderr, "", "{step}: {done}");
        }
        assert_eq!(env.containers(), [""; 0], "{step}");
        assert_eq!(names(&env, "containers"), [""; 0], "{step}");
        assert_eq!(names(&env, "names"), [""; 0], "{step}");
        killed(&env, step, &create);
        env.coracle(create).ok();
        env.coracle(["rm", "c"]).ok();
    }
    // From here on it is whole: it has its secrets, and its volumes are made when it starts.
    killed(&env, "create.placed", &create);
    assert_eq!(env.coracle(["system", "check"]).ok().stdout, "");
    env.coracle(["start", "-a", "c"]).ok();
    env.coracle(["volume", "inspect", "vol"]).ok();
    env.coracle(["rm", "c"]).ok();
}

#[test]
fn a_change_of_several_records_that_is_killed_leaves_a_legal_state() {
    let env = TestEnv::with_images();
    let name = |id: &str| env.coracle(["inspect", "-f", "{{.Name}}", id]).ok().text().to_owned();
    for step in ["rename.link", "settings.written", "settings.decided", "rename.settings"] {
        let id = env.coracle(["create", "--name=old", "--network=none", "busybox", "true"]).ok();
        let id = id.text().to_owned();
        killed(&env, step, &["rename", "old", "new"]);
        let now = name(&id);
        assert!(["old", "new"].contains(&now.as_str()), "{step}: {now}");
        env.coracle(["start", "-a", &now]).ok();
        env.coracle(["system", "check", "--repair"]).ok();
        assert_eq!(env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), now, "{step}");
        assert_eq!(names(&env, "names"), [now.as_str()], "{step}");
        // Done once more it comes to its end.
        if now == "old" {
            env.coracle(["rename", "old", "new"]).ok();
        }
        assert_eq!(names(&env, "names"), ["new"], "{step}");
        env.coracle(["rm", "new"]).ok();
        assert_eq!(names(&env, "names"), [""; 0], "{step}");
    }
    for step in ["trash.moved", "trash.name"] {
        env.coracle(["create", "--name=c", "--network=none", "busybox", "true"]).ok();
        killed(&env, step, &["rm", "c"]);
        assert_eq!(env.containers(), [""; 0], "{step}");
        env.coracle(["create", "--name=c", "--network=none", "busybox", "true"]).ok();
        killed(&env, step, &["rm", "c"]);
        env.coracle(["system", "prune", "-f"]).ok();
        assert_eq!(names(&env, "names"), [""; 0], "{step}");
    }
    env.file("value", "v");
    for (step, there) in [("secret.filled", false), ("secret.placed", true)] {
        killed(&env, step, &["secret", "create", step, "value"]);
        env.coracle(["secret", "inspect", step]).fails(if there { 0 } else { 125 });
    }
    for (step, there) in [("volume.filled", false), ("volume.placed", true)] {
        killed(&env, step, &["volume", "create", step]);
        env.coracle(["volume", "inspect", step]).fails(if there { 0 } else { 125 });
    }
    env.coracle(["create", "--name=c", "--network=none", "busybox", "true"]).ok();
    for step in ["settings.written", "settings.decided", "update.settings"] {
        killed(&env, step, &["update", "--restart=on-failure:3", "c"]);
        env.coracle(["system", "check"]).ok();
        env.coracle(["update", "--restart=always", "c"]).ok();
        env.coracle(["update", "--restart=no", "c"]).ok();
    }
}

/// Under a limit for the size of files: as on a full disk, and without dying of the signal.
fn without_room(env: &TestEnv, limit: u32, words: &[&str]) -> Output {
    let call = env.program("prlimit").arg(format!("--fsize={limit}")).arg(coracle_binary());
    call.arg("--root").arg(env.root()).arg("--runroot").arg(env.runroot()).args(words).run()
}

#[test]
fn a_change_for_which_there_is_no_room_changes_nothing() {
    let env = TestEnv::new();
    let (image, _) = env.pulled(busybox(), "damage/room");
    let id = env.coracle(["create", "--name=aa", "--network=none", &image, "true"]).ok().text().to_owned();
    env.file("value", "v");
    let records = || {
        let dir = env.root().join("containers").join(&id);
        ["summary", "settings.json"].map(|name| fs::read(dir.join(name)).ok())
    };
    let before = records();
    for limit in [0, 20, 60, 100, 120] {
        for words in [
            &["rename", "aa", "bb"][..],
            &["update", "--restart=always", "aa"],
            &["create", "--name=new", "--network=none", &image, "true"],
            &["volume", "create", "v"],
            &["secret", "create", "s", "value"],
            &["tag", &image, "localhost/more"],
        ] {
            let done = without_room(&env, limit, words);
            if done.code == 0 {
                // It fits.
                assert!(limit >= 20 && matches!(words[0], "volume" | "secret"), "{done}");
                continue;
            }
            assert_eq!(done.code, 125, "{limit} {words:?}: {done}");
            assert!(done.stderr.contains("file too large"), "{limit} {words:?}: {done}");
            assert!(done.stderr.contains("ulimit -f"), "{limit} {words:?}: {done}");
            assert_eq!(env.coracle(["system", "check", "-q"]).ok().stdout, "", "{limit} {words:?}");
            if matches!(words[0], "rename" | "update") {
                assert_eq!(records(), before, "{limit} {words:?}");
            }
        }
        assert_eq!(env.coracle(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), "aa");
        assert_eq!(names(&env, "names"), ["aa"]);
        assert_eq!(names(&env, "tmp"), [""; 0]);
        assert_eq!(names(&env, "containers"), [id.as_str()]);
    }
}

/// What is in it can all be made again.
#[test]
fn a_damaged_build_cache_is_a_smaller_one() {
    let env = TestEnv::new();
    let outside = outside(&env);
    let (image, _) = env.pulled(busybox(), "damage/build");
    let build = env.root().join("build");
    let step = build.join("steps").join("a".repeat(64));
    for kind in KINDS {
        for verb in [
            &["system", "df"][..],
            &["image", "prune", "-f"],
            &["run", "--rm", "--network=none", &image, "true"],
            &["system", "prune", "-f", "--build"],
        ] {
            fs::create_dir_all(step.parent().unwrap()).unwrap();
            spoil(&step, kind, &outside);
            env.coracle(verb).ok();
        }
        let found = env.coracle(["system", "check", "-q"]).run();
        assert!(found.stdout.contains("Damaged build/steps/aaa"), "{kind}: {found}");
        env.coracle(["system", "check", "-q", "--repair"]).ok();
        assert!(fs::symlink_metadata(&step).is_err(), "{kind}");
        env.coracle(["system", "check", "-q"]).ok();
    }
    let precious = env.path().join("precious");
    fs::create_dir_all(precious.join("steps")).unwrap();
    fs::write(precious.join("steps/doc"), "precious").unwrap();
    fs::remove_dir_all(&build).unwrap();
    symlink(&precious, &build).unwrap();
    for verb in [&["system", "prune", "-af", "--build"][..], &["rmi", &image], &["system", "check", "-q"]] {
        let done = env.coracle(verb).run();
        assert!(done.code == 125 && !done.stderr.contains("panicked"), "{verb:?}: {done}");
    }
    let said = env.coracle(["system", "check", "-q", "--repair"]).ok();
    assert!(said.stdout.contains("Repaired build: set aside"), "{said}");
    env.coracle(["rmi", &image]).ok();
    assert_eq!(fs::read_to_string(precious.join("steps/doc")).unwrap(), "precious");
    assert!(is_untouched(&env));
}
