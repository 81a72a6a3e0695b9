//! `cp`: what goes where, to whom it belongs, and what is refused.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, busybox};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// What a command in the container says.
fn inside(env: &TestEnv, script: &str) -> String {
    env.coracle(["exec", "web", "sh", "-c", script]).ok().text().to_owned()
}

fn cp(env: &TestEnv, words: &[&str]) {
    env.coracle(["cp"]).args(words).ok();
}

/// A directory on the host with a file, a directory and a symlink in it.
fn tree(env: &TestEnv) {
    let dir = env.path().join("dir");
    fs::create_dir_all(dir.join("sub")).unwrap();
    fs::write(dir.join("file"), "content").unwrap();
    fs::write(dir.join("sub/deep"), "deep").unwrap();
    symlink("file", dir.join("link")).unwrap();
    fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o751)).unwrap();
}

#[test]
fn files_go_where_podman_puts_them() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.file("hello", "hello");
    inside(&env, "mkdir -p /srv/there");
    for (target, place) in [
        ("web:/", "/hello"),
        ("web:/other", "/other"),
        ("web:/srv", "/srv/hello"),
        ("web:/srv/there/", "/srv/there/hello"),
        ("web:srv/there/.", "/srv/there/hello"),
        ("web:srv/new", "/srv/new"),
    ] {
        inside(&env, "rm -f /hello /other /srv/hello /srv/there/hello");
        cp(&env, &["hello", target]);
        assert_eq!(inside(&env, &format!("cat {place}")), "hello", "{target}");
    }
    // A file that exists is overwritten.
    env.file("other", "changed");
    cp(&env, &["./other", "web:/srv/new"]);
    assert_eq!(inside(&env, "cat /srv/new"), "changed");
    for (target, why) in [
        ("web:/nosuch/new", "\"/nosuch\" could not be found on container web"),
        ("web:/nosuch/", "could not be found on container web"),
        ("web:/srv/new/", "not a directory"),
        ("web:/srv/new/x", "not a directory"),
    ] {
        env.coracle(["cp", "hello", target]).fails(125).says(why);
    }
    env.coracle(["cp", "nosuch", "web:/"])
        .fails(125)
        .says("\"nosuch\" could not be found on the host: no such file or directory")
        .says("Hint: ");
    env.coracle(["cp", "hello/", "web:/"]).fails(125).says("not a directory");
    env.coracle(["cp", "web:/nosuch", "."])
        .fails(125)
        .says("\"/nosuch\" could not be found on container web")
        .says("Hint: ");
    env.coracle(["cp", "web:/dev/null", "."]).fails(125).says("device");
}

#[test]
fn directories_go_where_podman_puts_them() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    tree(&env);
    let list = |dir: &str| inside(&env, &format!("cd {dir} && find . | sort | tr '\\n' ' '"));
    let all = ". ./file ./link ./sub ./sub/deep";
    for (source, target, place) in [
        ("dir", "web:/new1", "/new1"),
        ("dir/", "web:/new2", "/new2"),
        ("dir/.", "web:/new3", "/new3"),
        ("dir", "web:/new4/", "/new4"),
        ("dir", "web:/new1", "/new1/dir"),
        ("dir/", "web:/new2", "/new2/dir"),
        ("dir/.", "web:/new5/.", "/new5"),
    ] {
        cp(&env, &[source, target]);
        assert_eq!(
            list(place).trim_end().replace(" ./dir", "").split(" ./dir/").next().unwrap(),
            all,
            "{source} {target}"
        );
    }
    inside(&env, "mkdir /content; echo mine >/content/file");
    cp(&env, &["dir/.", "web:/content"]);
    assert_eq!(list("/content"), all);
    assert_eq!(inside(&env, "cat /content/file; stat -c %a /content/file"), "content751");
    // And back.
    cp(&env, &["web:/new3", "back"]);
    assert_eq!(fs::read_to_string(env.path().join("back/sub/deep")).unwrap(), "deep");
    assert_eq!(fs::read_link(env.path().join("back/link")).unwrap(), Path::new("file"));
    cp(&env, &["web:/new3", "back"]);
    assert_eq!(fs::read_to_string(env.path().join("back/new3/file")).unwrap(), "content");
    cp(&env, &["web:new3/.", "back/sub"]);
    assert_eq!(fs::read_to_string(env.path().join("back/sub/file")).unwrap(), "content");
    // A symlink named as the source is followed, one met on the way is not.
    cp(&env, &["dir/link", "web:/followed"]);
    assert_eq!(inside(&env, "test ! -L /followed; cat /followed"), "content");
    inside(&env, "ln -s /new3 /pointer");
    cp(&env, &["web:/pointer", "pointed"]);
    assert!(env.path().join("pointed/sub/deep").exists());
    cp(&env, &["dir/file", "web:/pointer/through"]);
    assert_eq!(inside(&env, "cat /new3/through"), "content");
    env.coracle(["cp", "dir", "web:/followed"]).fails(125).says("--overwrite");
    env.coracle(["cp", "web:/new3", "web:/new3/sub"]).fails(125).says("into itself");
    env.coracle(["cp", "web:/", "web:/tmp"]).fails(125).says("into itself");
}

#[test]
fn kinds_are_overwritten_only_when_asked_to() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    tree(&env);
    inside(&env, "mkdir -p /a/dir/file /b; echo x >/a/dir/sub; echo x >/b/dir; mkdir -p /c/file/full");
    env.coracle(["cp", "dir", "web:/a"]).fails(125).says("--overwrite");
    env.coracle(["cp", "dir", "web:/b"]).fails(125).says("--overwrite");
    env.coracle(["cp", "dir/file", "web:/c"]).fails(125).says("--overwrite");
    cp(&env, &["--overwrite", "dir", "web:/a"]);
    cp(&env, &["--overwrite", "dir", "web:/b"]);
    cp(&env, &["--overwrite", "dir/file", "web:/c"]);
    assert_eq!(
        inside(&env, "cat /a/dir/file /a/dir/sub/deep /b/dir/file /c/file"),
        "contentdeepcontentcontent"
    );
    cp(&env, &["--overwrite", "dir", "web:/b/dir/file"]);
    assert_eq!(inside(&env, "cat /b/dir/file/sub/deep"), "deep");
}

#[test]
fn owners_are_the_containers_user_or_kept() {
    let env = TestEnv::new();
    start(&env, "web", &["-u", "33:44"], IDLE);
    start(&env, "root", &[], IDLE);
    tree(&env);
    cp(&env, &["dir", "web:/given"]);
    cp(&env, &["--archive=false", "dir", "web:/kept"]);
    let owner = "cd /; stat -c %u:%g given given/file given/sub/deep kept kept/file";
    assert_eq!(inside(&env, owner), "33:44\n33:44\n33:44\n0:0\n0:0");
    // Back on the host they are the user's, set-user-id bits left out.
    env.coracle(["exec", "-u", "0", "web", "chmod", "4755", "/given/file"]).ok();
    cp(&env, &["web:/given", "back"]);
    let meta = fs::metadata(env.path().join("back/file")).unwrap();
    assert_eq!((meta.uid(), meta.mode() & 0o7777), (fs::metadata(env.path()).unwrap().uid(), 0o755));
    // Between containers.
    cp(&env, &["-a=false", "web:/given", "root:/kept2"]);
    cp(&env, &["web:/given", "root:/given2"]);
    let shown = env.coracle(["exec", "root", "stat", "-c", "%u:%g %a", "/kept2/file", "/given2/file"]).ok();
    assert_eq!(shown.lines(), ["33:44 4755", "0:0 4755"]);
}

#[test]
fn archives_go_in_and_out() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    tree(&env);
    let tar = |args: &[&str]| env.program("tar").args(args).ok().bytes;
    for (name, archive) in [
        ("plain", tar(&["-c", "dir"])),
        ("zip", tar(&["-cz", "dir"])),
        ("zstd", tar(&["-c", "--zstd", "dir"])),
    ] {
        inside(&env, &format!("mkdir /{name}"));
        env.coracle(["cp", "-", &format!("web:/{name}")]).stdin(archive).ok();
        assert_eq!(inside(&env, &format!("cat /{name}/dir/sub/deep; readlink /{name}/dir/link")), "deepfile");
    }
    // Names that are links in the container lead where they do there.
    inside(&env, "mkdir -p /usr/deep; ln -s usr/deep /alias");
    fs::create_dir(env.path().join("alias")).unwrap();
    env.file("alias/x", "through");
    env.coracle(["cp", "-", "web:/"]).stdin(tar(&["-c", "alias"])).ok();
    assert_eq!(inside(&env, "test -L /alias; cat /usr/deep/x"), "through");
    let list = |source: &str| {
        let archive = env.coracle(["cp", source, "-"]).ok().bytes;
        env.program("tar").arg("-t").stdin(archive).ok().lines()
    };
    assert_eq!(list("web:/plain/dir"), ["dir/", "dir/file", "dir/link", "dir/sub/", "dir/sub/deep"]);
    assert_eq!(list("web:/plain/dir/file"), ["file"]);
    assert_eq!(list("web:/plain/dir/.")[..2], ["file", "link"]);
    env.coracle(["cp", "-", "web:/nosuch"]).stdin("").fails(125).says("could not be found");
    env.coracle(["cp", "-", "web:/plain/dir/file"])
        .stdin("")
        .fails(125)
        .says("destination must be a directory when copying from stdin");
    env.coracle(["cp", "-", "web:/"]).stdin("rubbish".repeat(1000)).fails(125);
    let up = crate::common::Layer::new().file("../../../../up", 0o644, "x").zip(crate::common::Zip::Plain);
    env.coracle(["cp", "-", "web:/plain"]).stdin(up.finish().1).fails(125).says("leads out");
}

#[test]
fn containers_that_do_not_run_are_copied_from_and_to() {
    let env = TestEnv::with_images();
    tree(&env);
    let host = env.path().join("bound");
    fs::create_dir(&host).unwrap();
    let run = ["run", "--name", "job", "--network", "none", "-v", "data:/data", "-v"];
    env.coracle(run)
        .arg(format!("{}:/bound", host.display()))
        .args(["busybox", "sh", "-c", "echo made >/made"])
        .ok();
    cp(&env, &["job:/made", "."]);
    assert_eq!(fs::read_to_string(env.path().join("made")).unwrap(), "made\n");
    cp(&env, &["job:/etc/passwd", "passwd"]);
    cp(&env, &["dir", "job:/data/"]);
    cp(&env, &["dir/file", "job:/bound/"]);
    cp(&env, &["dir", "job:/new"]);
    assert_eq!(fs::read_to_string(host.join("file")).unwrap(), "content");
    cp(&env, &["job:/data/dir/sub/deep", "job:/data/dir/sub/deeper"]);
    let seen = env
        .coracle(["run", "--rm", "--network=none", "-v", "data:/d", "busybox", "cat", "/d/dir/sub/deeper"])
        .ok();
    assert_eq!(seen.stdout, "deep");
    env.coracle(["run", "-d", "--name", "web", "--network=none", "busybox", "sleep", "1000"]).ok();
    cp(&env, &["job:/new", "web:/new"]);
    cp(&env, &["web:/new/file", "job:/again"]);
    cp(&env, &["job:/again", "-"]);
    // Nothing stays mounted, and the container can be removed.
    assert!(!env.program("cat").arg("/proc/self/mountinfo").ok().stdout.contains("/merged"));
    env.coracle(["rm", "job"]).ok();
}

#[test]
fn mounts_of_a_running_container_are_seen() {
    let env = TestEnv::new();
    let host = env.path().join("bound");
    fs::create_dir(&host).unwrap();
    let bind = format!("{}:/bound:ro", host.display());
    start(&env, "web", &["-v", "data:/data", "--tmpfs", "/mem", "-v", &bind], IDLE);
    tree(&env);
    for place in ["/data", "/mem"] {
        cp(&env, &["dir", &format!("web:{place}")]);
        assert_eq!(inside(&env, &format!("cat {place}/dir/file")), "content");
        cp(&env, &[&format!("web:{place}/dir/sub"), "."]);
    }
    env.coracle(["cp", "dir", "web:/bound"]).fails(125).says("read-only file system");
    // A generated file is mounted on its own; it is written in place.
    env.file("hosts", "127.0.0.1 replaced\n");
    cp(&env, &["hosts", "web:/etc/hosts"]);
    assert_eq!(inside(&env, "cat /etc/hosts"), "127.0.0.1 replaced");
}

#[test]
fn wrong_sides_are_refused() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.file("a", "");
    for (words, why) in [
        (&["a", "b"][..], "container"),
        (&["-", "-"], "container"),
        (&["a", "nobody:/"], "nobody"),
        (&["a", "web:"], "path"),
        (&[":/x", "a"], "path"),
        (&["./web:/x", "b"], "container"),
        (&["a"], ""),
    ] {
        env.coracle(["cp"]).args(words).fails(125).says(why);
    }
    cp(&env, &["-Lq", "a", "web:/"]);
    env.coracle(["container", "cp", "web:/a", "b"]).ok();
}

#[test]
fn a_symlink_as_the_target_leads_to_what_is_written() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.file("new", "new");
    inside(&env, "mkdir /d; echo old >/d/f; ln -s f /d/link; ln -s ../d/link /twice; ln -s d/made /dangling");
    for (target, written) in [("/d/link", "/d/f"), ("/twice", "/d/f"), ("/dangling", "/d/made")] {
        inside(&env, "echo old >/d/f");
        cp(&env, &["new", &format!("web:{target}")]);
        assert_eq!(inside(&env, &format!("test -L {target}; cat {written}")), "new", "{target}");
    }
    assert_eq!(
        inside(&env, "for l in /d/link /twice /dangling; do readlink $l; done"),
        "f\n../d/link\nd/made"
    );
    // Only what is in the container can be meant, whatever the link says.
    let outside = env.file("outside", "mine");
    inside(&env, &format!("ln -s {} /out; ln -s /nosuch/x /lost; ln -s round /round", outside.display()));
    env.coracle(["cp", "new", "web:/out"]).fails(125).says("could not be found on container web");
    env.coracle(["cp", "new", "web:/lost"])
        .fails(125)
        .says("\"/nosuch\" could not be found on container web");
    env.coracle(["cp", "new", "web:/round"]).fails(125);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
    // And here.
    env.file("real", "old");
    symlink("real", env.path().join("link")).unwrap();
    symlink("made", env.path().join("dangling")).unwrap();
    for (target, written) in [("link", "real"), ("dangling", "made")] {
        cp(&env, &["web:/d/made", target]);
        assert!(env.path().join(target).is_symlink(), "{target}");
        assert_eq!(fs::read_to_string(env.path().join(written)).unwrap(), "new", "{target}");
    }
    // A directory goes where a dangling link leads, too.
    symlink("tree", env.path().join("to-tree")).unwrap();
    cp(&env, &["web:/d", "to-tree"]);
    assert!(env.path().join("tree/f").exists() && env.path().join("to-tree").is_symlink());
}

#[test]
fn relative_paths_begin_in_the_working_directory() {
    let env = TestEnv::new();
    fs::create_dir_all(env.busybox_rootfs().join("srv/app")).unwrap();
    start(&env, "web", &["-w", "/srv/app"], IDLE);
    env.file("f", "content");
    cp(&env, &["f", "web:."]);
    cp(&env, &["f", "web:g"]);
    cp(&env, &["f", "web:../up"]);
    assert_eq!(inside(&env, "cat /srv/app/f /srv/app/g /srv/up"), "contentcontentcontent");
    cp(&env, &["web:g", "back"]);
    assert_eq!(fs::read_to_string(env.path().join("back")).unwrap(), "content");
    cp(&env, &["web:.", "all"]);
    assert!(env.path().join("all/g").exists());
    // On the host, what `..` leads to has a name.
    fs::create_dir_all(env.path().join("parent/child")).unwrap();
    env.file("parent/in", "");
    inside(&env, "mkdir /there");
    let above = env.coracle(["cp", "..", "web:/there"]);
    above.cwd(env.path().join("parent/child")).ok();
    assert_eq!(inside(&env, "cd /there && find . | sort").split('\n').count(), 4, "parent, child, in");
    inside(&env, "test -f /there/parent/in && test -d /there/parent/child");
}

#[test]
fn pipes_sockets_and_devices_are_left_alone() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.file("f", "content");
    nix::unistd::mkfifo(&env.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    inside(&env, "echo x >/x; mkfifo /fifo; mkdir /d; mkfifo /d/f");
    for (source, target) in [("web:/x", "fifo"), ("f", "web:/fifo"), ("f", "web:/dev/null"), ("f", "web:/d")]
    {
        env.coracle(["cp", "--overwrite", source, target]).fails(125).says("a directory");
    }
    let kind = fs::symlink_metadata(env.path().join("fifo")).unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&kind));
    inside(&env, "test -p /fifo && test -p /d/f && test -c /dev/null");
    // A FIFO takes the place of a FIFO.
    cp(&env, &["web:/d", "d"]);
    cp(&env, &["web:/d/.", "d"]);
    // Standard input is a file of the caller's, or nothing that can be copied.
    env.coracle(["cp", "/dev/stdin", "web:/piped"]).stdin("x").fails(125).says("is a pipe").says("cp - ");
    inside(&env, "test ! -e /piped");
    env.coracle(["cp", "-", "web:/d"]).stdin("").fails(125).says("the archive is empty");
}

#[test]
fn files_of_the_kernel_are_what_reading_them_gives() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    cp(&env, &["web:/proc/version", "version"]);
    let version = fs::read_to_string(env.path().join("version")).unwrap();
    assert_eq!(version.trim_end(), inside(&env, "cat /proc/version"));
    // More than fits into one block, of which stat(2) says nothing.
    cp(&env, &["web:/proc/kallsyms", "symbols"]);
    let symbols = fs::metadata(env.path().join("symbols")).unwrap().len();
    assert!(symbols == 0 || symbols > 1000, "{symbols}");
    let huge = "/sys/kernel/mm/transparent_hugepage/enabled";
    if Path::new(huge).exists() {
        cp(&env, &[&format!("web:{huge}"), "huge"]);
        assert_eq!(fs::read(env.path().join("huge")).unwrap(), fs::read(huge).unwrap());
    }
    // With everything else, what the kernel shows there is not meant.
    cp(&env, &["web:/", "root"]);
    for dir in ["proc", "sys"] {
        assert_eq!(fs::read_dir(env.path().join("root").join(dir)).unwrap().count(), 0, "{dir}");
    }
}

#[test]
fn a_container_that_has_not_run_gets_nothing_but_what_is_copied() {
    let env = TestEnv::with_images();
    env.file("f", "content");
    let nested = ["-v", "inner:/data/sub", "-v", "outer:/data", "-v", "deep:/a/b/c", "busybox", "true"];
    let id = env.coracle(["create", "--name", "new", "--network=none"]).args(nested).ok().text().to_owned();
    cp(&env, &["f", "new:/data/sub/f"]);
    cp(&env, &["f", "new:/a/b/c/"]);
    let names = |path: &str| -> Vec<String> {
        let path = env.root().join(path);
        let names = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    assert_eq!(names("volumes/inner/_data"), ["f"]);
    assert_eq!(names("volumes/deep/_data"), ["f"]);
    assert!(names("volumes/outer/_data").is_empty());
    assert!(names(&format!("containers/{id}/upper")).is_empty());
    // The run makes its own mount points.
    env.coracle(["start", "-a", "new"]).ok();
}

/// Attack case 9: a file of a tebibyte that is one hole stays one, whatever is done with it.
#[test]
fn case_09_a_sparse_giant_fills_no_disk() {
    let env = TestEnv::new();
    let (name, _) = env.pulled(busybox(), "cp/giant");
    env.coracle(["run", "-d", "--name=web", "--network=none", &name, "sleep", "1000"]).ok();
    let giant = env.file("giant", "begin");
    fs::File::options().write(true).open(&giant).unwrap().set_len(1 << 40).unwrap();
    let is_sparse = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        assert!(found.len() == 1 << 40 && found.blocks() < 4096, "{}: {found:?}", path.display());
    };
    inside(&env, "mkdir /v");
    cp(&env, &["giant", "web:/v/giant"]);
    assert_eq!(inside(&env, "stat -c %s /v/giant; head -c 5 /v/giant"), format!("{}\nbegin", 1u64 << 40));
    cp(&env, &["web:/v", "back"]);
    is_sparse(&env.path().join("back/giant"));
    let archive = env.coracle(["cp", "web:/v/.", "-"]).ok().bytes;
    assert!(archive.len() < 2 << 20, "{}", archive.len());
    env.coracle(["export", "-o", "root.tar", "web"]).ok();
    env.program("tar").args(["-xf", "root.tar", "v/giant"]).ok();
    is_sparse(&env.path().join("v/giant"));
    env.coracle(["commit", "-q", "web", "holed"]).ok();
    env.coracle(["save", "-q", "-o", "holed.tar", "holed"]).ok();
    assert!(fs::metadata(env.path().join("holed.tar")).unwrap().len() < 64 << 20);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    // An image's file into a volume, out of it and in again.
    let blocks = ["--network=none", "-v", "data:/v", "holed", "stat", "-c", "%s %b", "/v/giant"];
    let seen = env.coracle(["run", "--rm"]).args(blocks).ok();
    let (size, used) = seen.text().split_once(' ').unwrap();
    assert!(size.parse() == Ok(1u64 << 40) && used.parse::<u64>().unwrap() < 4096, "{seen}");
    let exported = env.coracle(["volume", "export", "data"]).ok().bytes;
    env.coracle(["volume", "create", "again"]).ok();
    env.coracle(["volume", "import", "again", "-"]).stdin(exported).ok();
}

#[test]
fn what_cannot_be_written_has_no_hint_about_the_store() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    env.file("f", "content");
    for place in ["/proc/sys/kernel/hostname", "/proc/cpuinfo", "/sys/new"] {
        let output = env.coracle(["cp", "f", &format!("web:{place}")]).fails(125);
        assert!(!output.stderr.contains("--root"), "{output}");
    }
}
