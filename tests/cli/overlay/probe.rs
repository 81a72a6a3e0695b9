//! What is done to files inside a container by the tests of overlays: this very binary, mounted into it, is
//! told by `CORACLE_PROBE` what to do, and prints what came of each step.
#![allow(clippy::print_stdout, reason = "what it prints is what the tests compare")]

use coracle::sys::xattr;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FallocateFlags, RenameFlags, copy_file_range, fallocate, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, mknod, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Whence, ftruncate, lseek, truncate};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{
    DirEntryExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink,
};
use std::path::Path;

/// The test that is no test, by its name.
pub(super) const NAME: &str = "overlay::probe::inside_a_container";

#[test]
#[ignore = "a program of other tests, which run it inside containers"]
fn inside_a_container() {
    println!();
    match std::env::var("CORACLE_PROBE").unwrap().as_str() {
        "operations" => operations(),
        "list" => list(Path::new("/w")),
        "storm" => storm(),
        "churn" => churn(),
        other => panic!("{other}"),
    }
}

fn say<T>(what: &str, done: Result<T, impl Into<std::io::Error>>) -> Option<T> {
    match done {
        Ok(value) => {
            println!("{what}: ok");
            Some(value)
        }
        Err(e) => {
            let e = e.into();
            println!("{what}: {:?}", Errno::from_raw(e.raw_os_error().unwrap_or(0)));
            None
        }
    }
}

fn show(what: &str, value: impl Display) {
    println!("{what} = {value}");
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| format!("{:?}", e.kind()))
}

fn rename(from: &str, to: &str, flags: RenameFlags) {
    say(&format!("rename {from} {to} {flags:?}"), renameat2(AT_FDCWD, from, AT_FDCWD, to, flags));
}

/// The attributes of an open file; other kinds have none.
fn attribute(path: &str, name: &str, value: Option<&[u8]>, flags: i32) -> Result<(), Errno> {
    let (file, name) = (File::open(path).unwrap(), CString::new(name).unwrap());
    match value {
        Some(value) => xattr::set_with(file.as_fd(), &name, value, flags),
        None => xattr::remove(file.as_fd(), &name),
    }
}

fn attributes(path: &Path) -> BTreeMap<String, String> {
    let kind = fs::symlink_metadata(path).unwrap().file_type();
    if !kind.is_file() && !kind.is_dir() {
        return BTreeMap::new();
    }
    let file = File::open(path).unwrap();
    let names = xattr::list(file.as_fd()).unwrap();
    let all = names.split(|b| *b == 0).filter(|name| !name.is_empty());
    all.map(|name| {
        let value = xattr::get(file.as_fd(), &CString::new(name).unwrap()).unwrap();
        (String::from_utf8_lossy(name).into_owned(), format!("{value:?}"))
    })
    .collect()
}

/// Everything below a directory, as `diff` could never show it.
fn list(at: &Path) {
    let status = fs::symlink_metadata(at).unwrap();
    let kind = status.file_type();
    let content = match () {
        () if kind.is_symlink() => fs::read_link(at).unwrap().display().to_string(),
        () if kind.is_file() => format!("{:x}", checksum(&fs::read(at).unwrap())),
        () => String::new(),
    };
    // How many directories are in one is not told by either.
    let links = if kind.is_dir() { 0 } else { status.nlink() };
    let size = if kind.is_dir() { 0 } else { status.len() };
    println!(
        "{} {:o} {}:{} {size} {links} {content} {:?}",
        at.display(),
        status.mode(),
        status.uid(),
        status.gid(),
        attributes(at)
    );
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(count, names.len(), "{at:?} has a name twice");
        names.iter().for_each(|path| list(path));
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// A listing shows the inode numbers that stat(2) does, whether the kernel knew the names before or not.
fn listed_numbers(at: &str) {
    if std::env::var_os("CORACLE_PROBE_FUSE").is_none() {
        return;
    }
    for time in ["first", "again"] {
        let listed = fs::read_dir(at).unwrap().map(|entry| entry.unwrap());
        let listed: Vec<_> = listed.map(|entry| (entry.path(), entry.ino())).collect();
        for (path, number) in listed {
            assert_eq!(number, fs::symlink_metadata(&path).unwrap().ino(), "{}: {time}", path.display());
        }
    }
}

fn operations() {
    listed_numbers("/w");
    writing();
    names();
    renames();
    owners();
    contents();
    listed_numbers("/w");
    list(Path::new("/w"));
}

fn writing() {
    let before = fs::metadata("/w/low").unwrap();
    let reader = File::open("/w/low").unwrap();
    let mut file = OpenOptions::new().append(true).open("/w/low").unwrap();
    say("append", file.write_all(b"more\n"));
    show("appended", read("/w/low"));
    show("same inode", fs::metadata("/w/low").unwrap().ino() == before.ino());
    show("same mode", fs::metadata("/w/low").unwrap().mode() == before.mode());
    drop(reader);
    say("truncate", truncate("/w/low", 2));
    show("truncated", read("/w/low"));
    say("create exclusively", File::create_new("/w/low").map(drop));
    say("new", fs::write("/w/new", "new"));
    say("under a file", fs::write("/w/new/x", "x"));
    say("read only", OpenOptions::new().write(true).custom_flags(libc::O_DIRECTORY).open("/w/new"));
    // Open, removed, and used still.
    let mut file = OpenOptions::new().read(true).write(true).open("/w/opened").unwrap();
    say("unlink while open", fs::remove_file("/w/opened"));
    say("write then", file.write_all(b"unseen"));
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    show("read then", text);
    show("links then", file.metadata().unwrap().nlink());
    say("chmod then", file.set_permissions(fs::Permissions::from_mode(0o600)));
    show("mode then", format!("{:o}", file.metadata().unwrap().mode()));
    show("gone", read("/w/opened"));
    let lower = File::open("/w/opened2").unwrap();
    say("unlink in the image while open", fs::remove_file("/w/opened2"));
    let mut text = String::new();
    (&lower).read_to_string(&mut text).unwrap();
    show("read that", text);
    say("made again", fs::write("/w/opened2", "another"));
    show("which is", read("/w/opened2"));
}

fn names() {
    say("mkdir", fs::create_dir("/w/dir"));
    say("mkdir again", fs::create_dir("/w/dir"));
    say("rmdir full", fs::remove_dir("/w/full"));
    say("rm a directory", fs::remove_file("/w/full"));
    say("rmdir a file", fs::remove_dir("/w/low"));
    for name in ["/w/full/a", "/w/full/b/c"] {
        say(name, fs::remove_file(name));
    }
    say("rmdir empty", fs::remove_dir("/w/full/b"));
    say("new in it", fs::write("/w/full/n", "n"));
    say("and away", fs::remove_file("/w/full/n"));
    say("rmdir emptied", fs::remove_dir("/w/full"));
    say("and again", fs::remove_dir("/w/full"));
    say("a new one in its place", fs::create_dir("/w/full"));
    show("entries", fs::read_dir("/w/full").unwrap().count());
    say("a file where one was removed", fs::write("/w/full/a", "new a"));
    say("a directory where a file was", fs::remove_file("/w/gone").and_then(|()| fs::create_dir("/w/gone")));
    say("symlink", symlink("../etc/passwd", "/w/dir/link"));
    say("link", fs::hard_link("/w/linked", "/w/dir/hard"));
    say("link a directory", fs::hard_link("/w/full", "/w/dir/never"));
    show("links", fs::metadata("/w/dir/hard").unwrap().nlink());
    say("write by one name", fs::write("/w/dir/hard", "one for both"));
    show("by the other", read("/w/linked"));
    say("remove one", fs::remove_file("/w/linked"));
    show("the other", read("/w/dir/hard"));
    say("link where one was removed", fs::hard_link("/w/dir/hard", "/w/linked"));
    // Two names in the image: one is copied up, the other stays.
    say("one of two", fs::write("/w/twin1", "changed"));
    show("the second", read("/w/twin2"));
    for (name, kind) in [("fifo", SFlag::S_IFIFO), ("socket", SFlag::S_IFSOCK), ("plain", SFlag::S_IFREG)] {
        say(name, mknod(format!("/w/dir/{name}").as_str(), kind, Mode::from_bits_truncate(0o640), 0));
    }
    for (what, number) in [("whiteout", 0), ("null", libc::makedev(1, 3))] {
        let made = mknod("/w/dir/device", SFlag::S_IFCHR, Mode::S_IRUSR, number);
        // Which of two refusals does not matter.
        show(what, made.is_err());
    }
    let long = format!("/w/{}", "n".repeat(256));
    say("a long name", fs::write(&long, ""));
    say("a longest name", fs::write(&long[..long.len() - 1], "x"));
    say("and away", fs::remove_file(&long[..long.len() - 1]));
    // Whoever stands in a directory that goes.
    say("a place to be", fs::create_dir("/w/here"));
    std::env::set_current_dir("/w/here").unwrap();
    say("gone from under us", fs::remove_dir("/w/here"));
    say("nothing is made there", fs::write("x", "x"));
    std::env::set_current_dir("/").unwrap();
}

fn renames() {
    let none = RenameFlags::empty();
    rename("/w/r/file", "/w/r/moved", none);
    show("moved", read("/w/r/moved"));
    rename("/w/r/moved", "/w/r/over", none);
    show("over", read("/w/r/over"));
    rename("/w/r/over", "/w/r/file", none);
    show("back", read("/w/r/file"));
    rename("/w/r/none", "/w/r/file", none);
    rename("/w/r/file", "/w/r/lowdir", none);
    rename("/w/r/lowdir", "/w/r/file", none);
    rename("/w/r/lowdir", "/w/r/other", none);
    for name in ["/w/r/own", "/w/r/own/below", "/w/r/target", "/w/r/busy"] {
        say(name, fs::create_dir(name));
    }
    say("inside", fs::write("/w/r/own/below/f", "deep"));
    say("busy", fs::write("/w/r/busy/f", "b"));
    let held = File::open("/w/r/own/below/f").unwrap();
    rename("/w/r/own", "/w/r/busy", none);
    rename("/w/r/own", "/w/r/target", none);
    show("deep", read("/w/r/target/below/f"));
    let mut text = String::new();
    (&held).read_to_string(&mut text).unwrap();
    show("held", text);
    rename("/w/r/target", "/w/r/target/below/in", none);
    // Over a directory of the image, which is emptied first.
    rename("/w/r/target", "/w/r/lowdir", none);
    say("emptied", fs::remove_file("/w/r/lowdir/x"));
    rename("/w/r/target", "/w/r/lowdir", none);
    show("in it now", format!("{:?}", read("/w/r/lowdir/below/f")));
    rename("/w/r/lowdir", "/w/r/elsewhere", none);
    show("nothing is left", Path::new("/w/r/lowdir").exists());
    // To a place where a directory of the image was removed.
    say("away", fs::remove_file("/w/r/old/x").and_then(|()| fs::remove_dir("/w/r/old")));
    rename("/w/r/elsewhere", "/w/r/old", none);
    show("of the image there", Path::new("/w/r/old/x").exists());
    rename("/w/r/file", "/w/r/second", RenameFlags::RENAME_NOREPLACE);
    rename("/w/r/file", "/w/r/third", RenameFlags::RENAME_NOREPLACE);
    rename("/w/r/third", "/w/r/second", RenameFlags::RENAME_EXCHANGE);
    show("second", read("/w/r/second"));
    show("third", read("/w/r/third"));
    rename("/w/r/old", "/w/r/second", RenameFlags::RENAME_EXCHANGE);
    show("a directory", Path::new("/w/r/second/below/f").exists());
    rename("/w/r/second", "/w/r/stays", RenameFlags::RENAME_EXCHANGE);
    rename("/w/r/third", "/w/r/none", RenameFlags::RENAME_EXCHANGE);
    rename("/w/r/third", "/w/r/fourth", RenameFlags::RENAME_WHITEOUT);
    rename("/w/r/link", "/w/r/link2", none);
    show("link", fs::read_link("/w/r/link2").unwrap().display());
    rename("/w/r/fifo", "/w/r/fifo2", none);
    show("fifo", fs::symlink_metadata("/w/r/fifo2").unwrap().file_type().is_fifo());
    // From one directory to another, over a file that is open.
    let open = File::open("/w/r/stays/victim").unwrap();
    rename("/w/r/third", "/w/r/stays/victim", none);
    let mut text = String::new();
    (&open).read_to_string(&mut text).unwrap();
    show("victim", text);
}

fn owners() {
    say("chmod", fs::set_permissions("/w/o/file", fs::Permissions::from_mode(0o4750)));
    say("chown", std::os::unix::fs::chown("/w/o/file", Some(7), Some(8)));
    show("bits", format!("{:o}", fs::metadata("/w/o/file").unwrap().mode()));
    say("chmod again", fs::set_permissions("/w/o/file", fs::Permissions::from_mode(0o6755)));
    say("a write", fs::write("/w/o/file", "w"));
    say("lchown", std::os::unix::fs::lchown("/w/o/link", Some(9), Some(10)));
    show("link", fs::symlink_metadata("/w/o/link").unwrap().uid());
    say("chown dir", std::os::unix::fs::chown("/w/o/dir", Some(11), Some(12)));
    say("sgid", fs::set_permissions("/w/o/dir", fs::Permissions::from_mode(0o2775)));
    say("in it", fs::write("/w/o/dir/f", "f"));
    say("below it", fs::create_dir("/w/o/dir/d"));
    show("group", fs::metadata("/w/o/dir/f").unwrap().gid());
    show("bits below", format!("{:o}", fs::metadata("/w/o/dir/d").unwrap().mode()));
    let time = TimeSpec::new(1_000_000_000, 123_456_789);
    let follow = UtimensatFlags::NoFollowSymlink;
    for path in ["/w/o/file", "/w/o/dir", "/w/o/link", "/w/r/fifo2"] {
        say(&format!("times of {path}"), utimensat(AT_FDCWD, path, &time, &time, follow));
        let found = fs::symlink_metadata(path).unwrap();
        show("modified", format!("{}.{}", found.mtime(), found.mtime_nsec()));
    }
    say("set", attribute("/w/o/attr", "user.mine", Some(b"1"), 0));
    say("set once", attribute("/w/o/attr", "user.mine", Some(b"2"), libc::XATTR_CREATE));
    say("replace", attribute("/w/o/attr", "user.none", Some(b"2"), libc::XATTR_REPLACE));
    say("remove", attribute("/w/o/attr", "user.image", None, 0));
    say("remove none", attribute("/w/o/file", "user.none", None, 0));
    for name in ["user.overlay.opaque", "user.overlay.mine"] {
        // One refuses it, one keeps it as its own that means nothing.
        let set = attribute("/w/o/dir", name, Some(b"y"), 0);
        show(name, set.is_err() || !attributes(Path::new("/w/o/dir")).is_empty());
        let _ = attribute("/w/o/dir", name, None, 0);
    }
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    say("capability", attribute("/w/o/cap", "security.capability", Some(&capability), 0));
    say("written", fs::write("/w/o/cap", "no longer"));
    say("capability again", attribute("/w/o/cap2", "security.capability", Some(&capability), 0));
}

fn contents() {
    let sparse = OpenOptions::new().read(true).write(true).open("/w/sparse").unwrap();
    sparse.write_all_at(b"x", 0).unwrap();
    show("sparse", sparse.metadata().unwrap().blocks() < 1000);
    show("data", format!("{:?}", lseek(&sparse, 1 << 16, Whence::SeekData)));
    show("hole", format!("{:?}", lseek(&sparse, 0, Whence::SeekHole).is_ok()));
    let file = File::options().read(true).write(true).create_new(true).open("/w/alloc").unwrap();
    say("allocate", fallocate(&file, FallocateFlags::empty(), 0, 100_000));
    show("size", file.metadata().unwrap().len());
    file.write_all_at(&[7; 100_000], 0).unwrap();
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    say("punch", fallocate(&file, punch, 4096, 8192));
    let mut byte = [1];
    file.read_exact_at(&mut byte, 5000).unwrap();
    show("punched", byte[0]);
    let to = File::options().read(true).write(true).create_new(true).open("/w/copied").unwrap();
    let copied = copy_file_range(&file, None, &to, None, 100_000).unwrap();
    show("copied", copied);
    say("shorter", ftruncate(&to, 10));
    show("that is", to.metadata().unwrap().len());
    // One that was opened before the copy.
    let early = File::open("/w/early").unwrap();
    fs::write("/w/early", "late").unwrap();
    drop(early);
    // What runs cannot be written.
    fs::copy("/bin/busybox", "/w/program").unwrap();
    let mut child = std::process::Command::new("/w/program").args(["sleep", "1000"]).spawn().unwrap();
    // The kernel's overlay lets it be written.
    let busy = OpenOptions::new().write(true).open("/w/program");
    assert!(
        std::env::var_os("CORACLE_PROBE_FUSE").is_none()
            || busy.is_err_and(|e| e.kind() == ErrorKind::ExecutableFileBusy)
    );
    child.kill().unwrap();
    child.wait().unwrap();
    say("and then", OpenOptions::new().write(true).open("/w/program"));
    fs::remove_file("/w/program").unwrap();
    let lock = |file: &File| file.try_lock().is_ok();
    let (one, two) = (File::open("/w/copied").unwrap(), File::open("/w/copied").unwrap());
    show("locks", format!("{} {}", lock(&one), lock(&two)));
    say("direct", OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open("/w/copied"));
    let mut big = File::create("/w/big").unwrap();
    for at in 0..40_u8 {
        big.write_all(&[at; 100_003]).unwrap();
    }
    say("fsync", big.sync_all());
    say("fsync of a directory", File::open("/w").and_then(|dir| dir.sync_all()));
}

/// Many at a time in the same directories.
fn storm() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 150;
    let work = |thread: usize| {
        for round in 0..ROUNDS {
            let name = format!("/w/storm/{thread}-{round}");
            fs::write(&name, &name).unwrap();
            fs::rename(&name, format!("{name}.new")).unwrap();
            // All want the same names, as package managers do.
            let common = format!("/w/storm/common{}", round % 5);
            fs::hard_link(format!("{name}.new"), format!("{name}.link")).unwrap();
            fs::rename(format!("{name}.link"), &common).unwrap();
            let found = read(&common);
            assert!(found.starts_with("/w/storm/"), "{found:?}");
            assert!(fs::read_dir("/w/storm").unwrap().all(|entry| entry.is_ok()));
            match fs::remove_file(format!("/w/storm/low{}", (thread + round) % 20)) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                other => other.unwrap(),
            }
            if round % 3 > 0 {
                fs::remove_file(format!("{name}.new")).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    let mut names: Vec<String> = fs::read_dir("/w/storm")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("common"))
        .collect();
    names.sort();
    show("left", names.len());
    show("names", format!("{:x}", checksum(names.join(",").as_bytes())));
}

/// Makes and forgets many files, and says when it is done.
fn churn() {
    for round in 0..20_000 {
        let name = format!("/w/storm/{}", round % 7);
        let file = File::create(&name).unwrap();
        fs::remove_file(&name).unwrap();
        drop(file);
    }
    println!("done");
    std::thread::sleep(std::time::Duration::from_secs(1000));
}
