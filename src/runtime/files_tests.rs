use super::*;
use crate::runtime::inside::{Space, in_namespaces};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::fs::{PermissionsExt, symlink};

fn root_of(dir: &Path) -> OwnedFd {
    File::open(dir).unwrap().into()
}

fn ensure_target(root: BorrowedFd<'_>, path: &Path, target: Target) -> Result<OwnedFd, Failure> {
    target_at(root, path, target, InMounts::Refuse)
}

#[test]
fn mount_points_are_made_inside_the_root_only() {
    let outside = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir_in(outside.path()).unwrap();
    let root = root_of(dir.path());
    let make = |path: &str, target| ensure_target(root.as_fd(), Path::new(path), target);
    make("/a/b/c", Target::Directory).unwrap();
    assert!(dir.path().join("a/b/c").is_dir());
    make("a/b/f", Target::File).unwrap();
    make("a/b/f", Target::File).unwrap();
    assert!(dir.path().join("a/b/f").is_file());
    assert!(make("/a/b/c", Target::File).unwrap_err().detail.contains("is a directory"));
    assert!(make("/a/b/f", Target::Directory).unwrap_err().detail.contains("not a directory"));
    assert!(make("/a/b/f/x", Target::File).is_err());
    make("/", Target::Directory).unwrap();
    assert!(make("/missing/../x", Target::Directory).is_err());
    make("/a/../../../y", Target::Directory).unwrap();
    assert!(dir.path().join("y").is_dir());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn case_22_making_mount_points_does_not_leave_the_root() {
    let outside = tempfile::tempdir().unwrap();
    let dir = outside.path().join("root");
    std::fs::create_dir_all(dir.join("etc")).unwrap();
    let victim = outside.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    let root = root_of(&dir);
    for (link, target) in [
        ("abs", victim.to_str().unwrap().to_owned()),
        ("up", "../victim".to_owned()),
        ("far", "../../../../../../../..".to_owned() + victim.to_str().unwrap()),
        ("etc/conf", "../../victim/conf".to_owned()),
        ("chain", "up".to_owned()),
        ("fds", "/proc/self/fd".to_owned()),
    ] {
        symlink(&target, dir.join(link)).unwrap();
        let path = Path::new("/").join(link).join("made/deep");
        let made = ensure_target(root.as_fd(), &path, Target::Directory);
        let number = made.unwrap().into_raw_fd();
        let reached = std::fs::read_link(format!("/proc/self/fd/{number}"));
        assert!(reached.unwrap().starts_with(&dir), "{link}");
    }
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    symlink("loop", dir.join("loop")).unwrap();
    assert_eq!(
        ensure_target(root.as_fd(), Path::new("/loop/x"), Target::File).unwrap_err().errno(),
        Errno::ELOOP
    );
    // As an image of a distribution has it: a file to be made where a symlink points.
    symlink("../run/resolve/stub.conf", dir.join("etc/resolv.conf")).unwrap();
    ensure_target(root.as_fd(), Path::new("/etc/resolv.conf"), Target::File).unwrap();
    assert!(dir.join("run/resolve/stub.conf").is_file());
}

/// Somebody exchanges a directory with a symlink to the outside while mount points are made.
#[test]
fn case_22_race_with_an_exchanged_directory() {
    use nix::fcntl::{RenameFlags, renameat2};
    use std::sync::atomic::{AtomicBool, Ordering};
    let outside = tempfile::tempdir().unwrap();
    let (dir, victim) = (outside.path().join("root"), outside.path().join("victim"));
    std::fs::create_dir_all(dir.join("shared/real")).unwrap();
    std::fs::create_dir(&victim).unwrap();
    symlink(&victim, dir.join("shared/link")).unwrap();
    let root = root_of(&dir);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let shared = root_of(&dir.join("shared"));
            while !stop.load(Ordering::Relaxed) {
                renameat2(&shared, "real", &shared, "link", RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        for i in 0..3000 {
            let path = format!("/shared/real/{i}/deep");
            let _ = ensure_target(root.as_fd(), Path::new(&path), Target::Directory);
            let path = format!("/shared/real/file{i}");
            let _ = ensure_target(root.as_fd(), Path::new(&path), Target::File);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
}

/// Ours and libpathrs' resolver agree on what a path means, on generated trees.
#[test]
fn paths_mean_what_pathrs_says() {
    use proptest::prelude::*;
    let name = prop::sample::select(vec!["a", "b", "c", "..", "l1", "l2"]);
    let path = prop::collection::vec(name, 1..6).prop_map(|p| p.join("/"));
    let links = prop::collection::vec((prop::bool::ANY, path.clone()), 2);
    proptest!(ProptestConfig::with_cases(64), |(links in links, path in path)| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for (i, (absolute, target)) in links.iter().enumerate() {
            let target = if *absolute { format!("/{target}") } else { target.clone() };
            for at in ["", "a/", "b/c/"] {
                symlink(&target, dir.path().join(format!("{at}l{}", i + 1))).unwrap();
            }
        }
        let root = root_of(dir.path());
        let theirs = pathrs::Root::open(dir.path()).unwrap().resolve(&path);
        let ours = open_in(root.as_fd(), Path::new(&path), OFlag::O_PATH);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(fstat(&ours).unwrap().st_ino, fstat(OwnedFd::from(theirs)).unwrap().st_ino);
        }
        // What can be made is afterwards found there.
        if let Ok(made) = ensure_target(root.as_fd(), Path::new(&path), Target::Directory) {
            let again = pathrs::Root::open(dir.path()).unwrap().resolve(&path).unwrap();
            prop_assert_eq!(fstat(&made).unwrap().st_ino, fstat(OwnedFd::from(again)).unwrap().st_ino);
        }
    });
}

#[test]
fn case_22_nothing_is_made_inside_a_bind_source() {
    in_namespaces("case_22_nothing_is_made_inside_a_bind_source", || {
        let space = Space::new();
        let volume = space.dir.join("volume");
        std::fs::create_dir_all(volume.join("there")).unwrap();
        let tree = mount::open_tree(root_of(&volume).as_fd(), Path::new(""), Tree::Clone).unwrap();
        mount_at(space.root.as_fd(), Path::new("/data"), Target::Directory, tree.as_fd()).unwrap();
        for path in ["/data/new", "/data/new/deeper", "/data/there/new"] {
            let failure = ensure_target(space.root.as_fd(), Path::new(path), Target::Directory).unwrap_err();
            assert!(failure.detail.contains("another mount"), "{failure:?}");
        }
        ensure_target(space.root.as_fd(), Path::new("/data/there"), Target::Directory).unwrap();
        assert_eq!(std::fs::read_dir(&volume).unwrap().count(), 1);
    });
}

#[test]
fn generated_files_are_mounted_over_symlinks_of_the_image() {
    in_namespaces("generated_files_are_mounted_over_symlinks_of_the_image", || {
        let space = Space::new();
        let root = space.dir.join("root");
        std::fs::create_dir(root.join("etc")).unwrap();
        let victim = space.dir.join("victim");
        std::fs::write(&victim, "mine").unwrap();
        symlink(&victim, root.join("etc/hosts")).unwrap();
        symlink("/run/missing/name", root.join("etc/hostname")).unwrap();
        let mut scratch = space.scratch();
        for path in ["/etc/hosts", "/etc/hostname", "/run/.containerenv"] {
            let generated = Generated { path: Path::new(path), content: path.as_bytes(), mode: 0o644 };
            scratch.mount(space.root.as_fd(), &generated).unwrap();
            let fd = open_in(space.root.as_fd(), Path::new(path), OFlag::O_RDONLY).unwrap();
            assert_eq!(std::io::read_to_string(File::from(fd)).unwrap(), path);
        }
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "mine");
        let status =
            fstat(open_in(space.root.as_fd(), Path::new("/etc/hosts"), OFlag::O_PATH).unwrap()).unwrap();
        assert_eq!(status.st_mode & 0o7777, 0o644);
    });
}

#[test]
fn case_24_the_working_directory_is_inside_or_refused() {
    in_namespaces("case_24_the_working_directory_is_inside_or_refused", || {
        let space = Space::new();
        let root = space.dir.join("root");
        space.bind("/proc", "/proc");
        let leaked = format!("/proc/self/fd/{}", space.outside.as_raw_fd());
        symlink(&leaked, root.join("leak")).unwrap();
        space.enter();
        let here: OwnedFd = File::open("/").unwrap().into();
        enter_cwd(here.as_fd(), Path::new("/made/for/me"), (0, 0)).unwrap();
        assert_eq!(std::env::current_dir().unwrap(), Path::new("/made/for/me"));
        let mode = std::fs::metadata("/made").unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
        for path in ["/leak", "/leak/hidden", &leaked] {
            enter_cwd(here.as_fd(), Path::new(path), (0, 0)).unwrap_err();
        }
        // A descriptor of a directory outside, as a leaked one would be.
        let failure = enter_cwd(space.outside.as_fd(), Path::new("/"), (0, 0)).unwrap_err();
        assert!(failure.detail.contains("not inside"), "{failure:?}");
    });
}

#[test]
fn case_22_memory_of_the_host_is_a_source_as_any_other() {
    in_namespaces("case_22_memory_of_the_host_is_a_source_as_any_other", || {
        let space = Space::new();
        let volume = tempfile::tempdir_in("/dev/shm").unwrap();
        let source = std::fs::File::open(volume.path()).unwrap();
        assert_eq!(fstatfs(&source).unwrap().filesystem_type(), TMPFS_MAGIC);
        let tree = mount::open_tree(source.as_fd(), Path::new(""), Tree::Clone).unwrap();
        mount_at(space.root.as_fd(), Path::new("/data"), Target::Directory, tree.as_fd()).unwrap();
        ensure_target(space.root.as_fd(), Path::new("/data/new"), Target::Directory).unwrap_err();
        assert_eq!(std::fs::read_dir(volume.path()).unwrap().count(), 0);
        // What was made for the container is the container's.
        let memory = mount::new_mount(c"tmpfs", &[], 0).unwrap();
        mount_at(space.root.as_fd(), Path::new("/memory"), Target::Directory, memory.as_fd()).unwrap();
        ensure_target(space.root.as_fd(), Path::new("/memory/new"), Target::Directory).unwrap();
    });
}
