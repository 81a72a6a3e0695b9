//! `volume export`, `import`, `mount`; volumes under attack from inside (cases 33 to 35, 44).

use super::ps::{IDLE, start};
use crate::common::{Layer, Output, TestEnv, busybox, shared_registry};
use nix::fcntl::{RenameFlags, renameat2};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tar::EntryType;

fn run(env: &TestEnv, options: &[&str], script: &str) -> Output {
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let call = env.coracle(["run", "--rm", "--network=none"]).args(options);
    call.args(["--rootfs", &rootfs, "sh", "-c", script]).run()
}

fn place(env: &TestEnv, volume: &str) -> PathBuf {
    PathBuf::from(env.coracle(["volume", "inspect", "-f", "{{.Mountpoint}}", volume]).ok().text())
}

/// Exchanges two names in a directory as long as `work` takes.
fn exchanging<T>(dir: &Path, names: (&str, &str), work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let dir = std::fs::File::open(dir).unwrap();
        let stop = &stop;
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                renameat2(&dir, names.0, &dir, names.1, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_volume_goes_out_and_in_whole() {
    let env = TestEnv::new();
    let fill = "cd /m; mkdir -p d/e; echo one > d/f; ln d/f d/same; ln -s /etc/passwd link; mkfifo pipe; echo w > .wh.x; \
                chown -R 5:6 d; chmod 2750 d; chmod 4755 d/f; touch -d '2001-02-03 04:05:06' d/f";
    run(&env, &["-v", "from:/m"], fill);
    let archive = env.path().join("v.tar");
    env.coracle(["volume", "export", "-o"]).arg(&archive).arg("from").ok();
    let listed = env.program("tar").args(["-tf"]).arg(&archive).ok().lines();
    assert_eq!(listed, [".wh.x", "d/", "d/e/", "d/f", "d/same", "link", "pipe"]);
    let piped = env.coracle(["volume", "export", "from"]).ok();
    assert_eq!(piped.bytes, std::fs::read(&archive).unwrap(), "the same tree gives the same bytes");

    env.coracle(["volume", "import", "to"]).arg(&archive).fails(125).says("to");
    env.coracle(["volume", "create", "to"]).ok();
    run(&env, &["-v", "to:/m"], "mkdir -p /m/d; echo old > /m/d/f; echo kept > /m/d/kept; mkdir /m/link");
    env.coracle(["volume", "import", "to"]).arg(&archive).ok();
    let look = "cd /m; cat d/f d/kept .wh.x; stat -c '%a %u:%g %h %Y' d/f; stat -c '%a %u:%g' d; readlink link; test -p pipe && echo pipe";
    let time = "981173106";
    let expected = format!("one\nkept\nw\n4755 5:6 2 {time}\n2750 5:6\n/etc/passwd\npipe");
    assert_eq!(run(&env, &["-v", "to:/m"], look).text(), expected);
    // From standard input, compressed too.
    env.coracle(["volume", "create", "third"]).ok();
    let packed = env.program("gzip").arg("-c").stdin(piped.bytes).ok().bytes;
    env.coracle(["volume", "import", "third", "-"]).stdin(packed).ok();
    assert_eq!(run(&env, &["-v", "third:/m"], "cat /m/d/same").text(), "one");
    env.coracle(["volume", "export", "nobody"]).fails(125).says("nobody");
    env.coracle(["volume", "import", "to", "/nosuch"]).fails(125).says("/nosuch");
    env.coracle(["volume", "import", "to"]).stdin("no archive at all").fails(125);
}

#[test]
fn where_volumes_are() {
    let env = TestEnv::new();
    env.coracle(["volume", "create", "one"]).ok();
    env.coracle(["volume", "create", "-o", "type=tmpfs", "mem"]).ok();
    let path = env.coracle(["volume", "mount", "one"]).ok();
    assert_eq!(PathBuf::from(path.text()), place(&env, "one"));
    assert_eq!(env.coracle(["volume", "unmount", "one"]).ok().text(), "one");
    env.coracle(["volume", "umount", "nobody"]).fails(125).says("nobody");
    env.coracle(["volume", "mount", "mem"]).fails(125).says("tmpfs");
    env.coracle(["volume", "export", "mem"]).fails(125).says("tmpfs");
}

#[test]
fn case_14_an_imported_archive_stays_in_the_volume() {
    let env = TestEnv::new();
    env.coracle(["volume", "create", "v"]).ok();
    let victim = env.file("victim/file", "untouched");
    let outside = victim.parent().unwrap().to_str().unwrap().to_owned();
    let up = format!("{}{}", "../".repeat(20), outside.trim_start_matches('/'));
    let file =
        |layer: Layer, name: &str| layer.entry(EntryType::Regular, name, 0o644, (0, 0), "", b"changed");
    let archives = [
        file(Layer::new(), &format!("{up}/file")),
        file(Layer::new(), &format!("{outside}/file")),
        file(Layer::new().symlink("link", &outside), "link/file"),
        file(Layer::new().symlink("link", &up), "link/file"),
        file(Layer::new().symlink("file", &format!("{outside}/file")), "file"),
        file(Layer::new().symlink("a", &outside).dir("a", 0o777), "a/file"),
        Layer::new().hard_link("hard", &format!("{up}/file")),
        Layer::new().symlink("link", &outside).hard_link("hard", "link/file"),
    ];
    for (at, archive) in archives.into_iter().enumerate() {
        // Refused or brought in below the volume: both are fine.
        let output = env.coracle(["volume", "import", "v", "-"]).stdin(archive.finish().0).run();
        assert!(matches!(output.code, 0 | 125), "{at}: {output}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched", "{at}");
        assert_eq!(std::fs::read_dir(victim.parent().unwrap()).unwrap().count(), 1, "{at}");
    }
    let root = Layer::new().entry(EntryType::Symlink, "./", 0o777, (0, 0), outside.as_str(), b"");
    env.coracle(["volume", "import", "v"]).stdin(root.finish().0).run();
    assert!(place(&env, "v").is_dir() && !place(&env, "v").is_symlink());
}

/// What the volume holds is exchanged with symlinks to the outside while it is packed.
#[test]
fn case_33_export_does_not_follow_what_is_exchanged() {
    let env = TestEnv::new();
    let secret = env.file("outside/file", "SECRET OF THE HOST");
    run(&env, &["-v", "v:/m"], "mkdir /m/dir; echo plain > /m/dir/file; echo plain > /m/file");
    let dir = place(&env, "v");
    symlink(secret.parent().unwrap(), dir.join("dirlink")).unwrap();
    symlink(&secret, dir.join("filelink")).unwrap();
    let check = || {
        for _ in 0..25 {
            let archive = env.coracle(["volume", "export", "v"]).run();
            assert!(!archive.stdout.contains("SECRET"), "the export left the volume");
        }
    };
    exchanging(&dir, ("dir", "dirlink"), || exchanging(&dir, ("file", "filelink"), check));
}

/// An image chooses what a volume is filled with: only from itself, and only an empty volume.
#[test]
fn case_34_filling_a_volume_stays_in_the_image() {
    let env = TestEnv::new();
    env.use_registry(shared_registry().address());
    let victim = env.file("outside/file", "SECRET OF THE HOST");
    let outside = victim.parent().unwrap().to_str().unwrap().to_owned();
    let up = format!("{}{}", "../".repeat(20), outside.trim_start_matches('/'));
    let layer = Layer::new().symlink("abs", &outside).symlink("rel", &up).dir("own", 0o755);
    busybox().layer(layer.file("own/f", 0o644, "image\n")).push(
        shared_registry(),
        "library/filler",
        "latest",
    );
    let look = |options: &[&str], script: &str| {
        let call = env.coracle(["run", "--rm", "--network=none", "-q"]).args(options);
        call.args(["filler", "sh", "-c", script]).run()
    };
    for at in ["/abs", "/rel", "/abs/../../../..", "/own/../abs"] {
        let output = look(&["-v", &format!("filled:{at}/sub"), "-v", &format!("top:{at}")], "true");
        assert!(matches!(output.code, 0 | 125), "{at}: {output}");
        for volume in ["filled", "top"] {
            if env.coracle(["volume", "exists", volume]).run().code == 0 {
                let text = env.coracle(["volume", "export", volume]).ok().stdout;
                assert!(!text.contains("SECRET"), "{at}: {volume} was filled from the host");
            }
        }
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "{at}");
        env.coracle(["volume", "prune", "-af"]).ok();
    }
    // What a volume holds already is not touched.
    run(&env, &["-v", "full:/m"], "echo mine > /m/f");
    assert_eq!(look(&["-v", "full:/own"], "cat /own/f").text(), "mine");
    assert_eq!(look(&["-v", "fresh:/own"], "cat /own/f").text(), "image");
    assert_eq!(look(&["-v", "bare:/own:nocopy"], "ls /own").text(), "");
}

/// What we generate is not written through symlinks that a volume holds.
#[test]
fn case_35_generated_files_do_not_go_through_a_volume() {
    let env = TestEnv::new();
    let victim = env.file("outside/file", "untouched");
    let path = victim.to_str().unwrap();
    let names = ["hosts", "resolv.conf", "hostname", "passwd", "group", "key"];
    run(&env, &["-v", "etc:/m"], &names.map(|name| format!("ln -s {path} /m/{name};")).concat());
    env.coracle(["secret", "create", "key", "-"]).stdin("VALUE").ok();
    let options = [
        "-v",
        "etc:/etc",
        "-v",
        "etc:/run/secrets",
        "--secret",
        "key",
        "-u",
        "77",
        "--add-host",
        "a:1.2.3.4",
    ];
    let output = run(&env, &options, "true");
    assert!(matches!(output.code, 0 | 125), "{output}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    let archive = env.coracle(["volume", "export", "etc"]).ok().stdout;
    assert!(!archive.contains("VALUE") && !archive.contains("1.2.3.4"), "nothing is left in the volume");
    let links = env.coracle(["volume", "mount", "etc"]).ok();
    for name in names {
        assert!(PathBuf::from(links.text()).join(name).is_symlink(), "{name}");
    }
}

/// A part of a volume is exchanged with a symlink to the outside while it is mounted.
#[test]
fn case_44_a_subpath_is_exchanged_while_it_is_mounted() {
    let env = TestEnv::new();
    let secret = env.file("outside/file", "SECRET OF THE HOST");
    run(&env, &["-v", "v:/m"], "mkdir -p /m/a/part; echo plain > /m/a/part/file");
    let dir = place(&env, "v");
    symlink(secret.parent().unwrap(), dir.join("a/link")).unwrap();
    let up =
        format!("{}{}", "../".repeat(20), secret.parent().unwrap().to_str().unwrap().trim_start_matches('/'));
    let wander = || {
        let mut plain = 0;
        for _ in 0..25 {
            let output = run(&env, &["--mount", "type=volume,src=v,dst=/p,subpath=a/part"], "cat /p/file");
            assert!(!output.stdout.contains("SECRET"), "the mount left the volume: {output}");
            plain += usize::from(output.text() == "plain");
        }
        plain
    };
    exchanging(&dir.join("a"), ("part", "link"), wander);
    // Whichever of the two is the link now.
    let link = if dir.join("a/link").is_symlink() { "link" } else { "part" };
    std::fs::remove_file(dir.join("a").join(link)).unwrap();
    if link == "part" {
        std::fs::rename(dir.join("a/link"), dir.join("a/part")).unwrap();
    }
    symlink(&up, dir.join("a/link")).unwrap();
    exchanging(&dir.join("a"), ("part", "link"), wander);
}

#[test]
fn a_volume_in_use_can_be_exported_and_filled() {
    let env = TestEnv::new();
    start(&env, "c", &["-v", "v:/m"], IDLE);
    env.coracle(["volume", "import", "v"]).stdin(Layer::new().file("new", 0o644, "in\n").finish().0).ok();
    assert_eq!(env.coracle(["exec", "c", "cat", "/m/new"]).ok().text(), "in");
    assert!(env.coracle(["volume", "export", "v"]).ok().stdout.contains("in\n"));
}
