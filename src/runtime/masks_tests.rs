use super::*;
use crate::runtime::inside::{Space, in_namespaces};
use std::os::unix::fs::symlink;

fn null() -> OwnedFd {
    let fd = nix::fcntl::open("/dev/null", OFlag::O_PATH | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty());
    fd.unwrap()
}

fn paths(list: &[&str]) -> Vec<PathBuf> {
    list.iter().map(PathBuf::from).collect()
}

#[test]
fn masked_and_read_only_paths() {
    in_namespaces("masked_and_read_only_paths", || {
        let space = Space::new();
        space.bind("/proc", "/proc");
        let mut scratch = space.scratch();
        let masked =
            paths(&["/proc/version", "/proc/self/../fs", "/proc/no/such", "/proc/fs", "/proc/uptime"]);
        let read_only = paths(&["/proc/sys", "/proc/irq", "/nothing/here"]);
        apply(&mut scratch, space.root.as_fd(), null().as_fd(), &masked, &read_only).unwrap();
        let inside = space.dir.join("root/proc");
        assert_eq!(std::fs::read(inside.join("version")).unwrap(), b"");
        assert_eq!(std::fs::read(inside.join("uptime")).unwrap(), b"");
        assert_eq!(std::fs::read_dir(inside.join("fs")).unwrap().count(), 0);
        assert_eq!(
            std::fs::write(inside.join("fs/x"), "").unwrap_err().kind(),
            std::io::ErrorKind::ReadOnlyFilesystem
        );
        let refused = std::fs::write(inside.join("sys/kernel/hostname"), "x").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    });
}

#[test]
fn a_star_stands_for_any_text_in_one_part() {
    in_namespaces("a_star_stands_for_any_text_in_one_part", || {
        let space = Space::new();
        space.bind("/proc", "/proc");
        let mut scratch = space.scratch();
        let masked =
            paths(&["/proc/ver*on", "/proc/sys/*l/ostype", "/proc/f*", "/proc/none*/x", "/no*/where"]);
        apply(&mut scratch, space.root.as_fd(), null().as_fd(), &masked, &[]).unwrap();
        let inside = space.dir.join("root/proc");
        for hidden in ["version", "sys/kernel/ostype", "filesystems"] {
            assert_eq!(std::fs::read(inside.join(hidden)).unwrap(), b"", "{hidden}");
        }
        assert_eq!(std::fs::read_dir(inside.join("fs")).unwrap().count(), 0);
        assert_ne!(std::fs::read(inside.join("sys/kernel/osrelease")).unwrap(), b"");
    });
}

#[test]
fn case_17_a_replaced_null_device_is_refused() {
    in_namespaces("case_17_a_replaced_null_device_is_refused", || {
        let space = Space::new();
        space.bind("/proc", "/proc");
        let mut scratch = space.scratch();
        let file = space.dir.join("null");
        std::fs::write(&file, "evil").unwrap();
        for fake in [file.to_str().unwrap(), "/dev/zero", "/dev"] {
            let fake = File::open(fake).unwrap();
            let failure =
                apply(&mut scratch, space.root.as_fd(), fake.as_fd(), &paths(&["/proc/version"]), &[])
                    .unwrap_err();
            assert!(failure.detail.contains("not the null device"), "{failure:?}");
        }
        assert_ne!(std::fs::read(space.dir.join("root/proc/version")).unwrap(), b"");
    });
}

#[test]
fn case_19_a_false_proc_is_refused() {
    in_namespaces("case_19_a_false_proc_is_refused", || {
        let space = Space::new();
        let root = space.dir.join("root");
        let mut scratch = space.scratch();
        let mut try_it = |what: &str| {
            let failure =
                apply(&mut scratch, space.root.as_fd(), null().as_fd(), &paths(&["/proc/sys"]), &[])
                    .unwrap_err();
            assert!(!failure.object.is_empty(), "{what}: {failure:?}");
        };
        std::fs::create_dir_all(root.join("proc/sys")).unwrap();
        try_it("an ordinary directory");
        std::fs::remove_dir_all(root.join("proc")).unwrap();
        space.bind("/proc", "/elsewhere");
        symlink("/elsewhere", root.join("proc")).unwrap();
        try_it("a symlink");
        std::fs::remove_file(root.join("proc")).unwrap();
        std::fs::write(root.join("proc"), "").unwrap();
        try_it("a file");
        std::fs::remove_file(root.join("proc")).unwrap();
        // The right type, and not its root.
        space.bind("/proc/sys", "/proc");
        try_it("a part of procfs");
    });
}

#[test]
fn case_20_sysctls_go_to_a_real_procfs_only() {
    in_namespaces("case_20_sysctls_go_to_a_real_procfs_only", || {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sys/net/ipv4/ip_forward");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "kept").unwrap();
        let one = |name: &str| BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        let fake = File::open(dir.path()).unwrap();
        write_sysctls(fake.as_fd(), &one("net.ipv4.ip_forward")).unwrap_err();
        assert_eq!(std::fs::read(&file).unwrap(), b"kept");
        let proc = File::open("/proc").unwrap();
        write_sysctls(proc.as_fd(), &one("net.ipv4.ip_forward")).unwrap();
        assert_eq!(std::fs::read("/proc/sys/net/ipv4/ip_forward").unwrap(), b"1\n");
        for name in ["kernel.no_such", "..", "../self/comm", "kernel/../../self/comm", "/etc/x", ""] {
            write_sysctls(proc.as_fd(), &one(name)).unwrap_err();
        }
    });
}

#[test]
fn sysctl_names() {
    for (name, path) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/5.rp_filter", "net/ipv4/conf/eth0.5/rp_filter"),
        ("net/ipv4/conf/eth0.5/rp_filter", "net/ipv4/conf/eth0.5/rp_filter"),
    ] {
        assert_eq!(sysctl_path(name), Path::new(path));
    }
}
