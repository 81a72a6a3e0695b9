//! A process of a container keeps nothing of its maker's.

use super::reap;
use crate::common::{self, TestEnv, eventually, free_port};
use coracle::container::Signal;
use coracle::engine::Engine;
use coracle::engine::containers::copy::{self, Place};
use coracle::engine::containers::{self, export};
use coracle::engine::volumes::archive;
use coracle::error::Result;
use coracle::fork;
use coracle::image::ImageConfig;
use coracle::storage::Store;
use coracle::storage::containers::ContainerDir;
use coracle::storage::rootfs::Overlay;
use coracle::sys::process::pidfd_send_signal;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{Pid, pipe2};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// How many clients the server has.
const CLIENTS: usize = 30;
/// Says which descriptors the payload has.
const PAYLOAD: &str = "echo $(ls /proc/self/fd) end; exec sleep 1000";

/// A server's own descriptors are in no list of what was open at its start, and not all are close-on-exec.
pub(super) fn no_process_of_a_container_keeps_what_its_maker_has_open() {
    let env = TestEnv::new();
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    let port = format!("127.0.0.1:{}:80", free_port());
    let tools = common::which("slirp4netns").is_some() && std::path::Path::new("/dev/net/tun").exists();
    let network = if tools { vec!["-p", &port] } else { vec!["--network=none"] };
    let health = "--health-cmd=true";
    let kinds: [(&str, Vec<&str>); 4] = [
        ("plain", vec!["--network=none"]),
        ("init", vec!["--network=none", "--init", health, "--health-interval=1s"]),
        ("network", network),
        ("restarted", vec!["--network=none", "--restart=always"]),
    ];
    for (name, options) in &kinds {
        let create = env.coracle(["create", "--name", name]).args(options);
        create.args(["--rootfs", &rootfs, "sh", "-c", PAYLOAD]).ok();
    }
    let fuse = std::fs::File::options().read(true).write(true).open("/dev/fuse").is_ok();
    let overlay = if fuse { Overlay::Fuse } else { Overlay::Auto };
    let store = Store::open(&env.root(), &env.runroot(), &[]).unwrap().overlaid_by(overlay);

    let (clients, peers) = clients();
    eventually("threads of the fixtures are gone", fork::single_threaded);
    let mut running = Vec::new();
    for (name, _) in &kinds {
        let dir = store.containers().find(name).unwrap();
        containers::start::start(&store, &dir, None).unwrap();
        running.push(dir);
    }
    let monitor = |dir: &ContainerDir| Pid::from_raw(dir.run_record().unwrap().unwrap().monitor.pid);
    let monitors: Vec<Pid> = running.iter().map(monitor).collect();
    for dir in &running {
        let log = || std::fs::read_to_string(dir.log_path()).unwrap_or_default();
        eventually("the payload lists what it has", || log().contains(" end"));
        // Three streams, and the directory that is listed.
        assert!(log().contains(" 0 1 2 3 end"), "{}", log());
    }
    drop(clients);
    let mut fds: Vec<PollFd<'_>> =
        peers.iter().map(|peer| PollFd::new(peer.as_fd(), PollFlags::empty())).collect();
    // Hung up, all of them, with no process that has to end first.
    poll(&mut fds, PollTimeout::ZERO).unwrap();
    let open: Vec<i32> = fds
        .iter()
        .zip(&peers)
        .filter(|(fd, _)| !fd.revents().unwrap().contains(PollFlags::POLLHUP))
        .map(|(_, peer)| peer.as_raw_fd())
        .collect();
    assert_eq!(open, [0; 0], "somebody still has their other ends");
    for dir in &running {
        assert!(dir.status().is_live(), "{}", dir.called());
        containers::stop(&store, dir, Signal::KILL.number(), Some(Duration::ZERO)).unwrap();
    }
    reap(&monitors);
}

/// The server's ends of connections, and the clients'.
fn clients() -> (Vec<OwnedFd>, Vec<OwnedFd>) {
    let pair = || socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
    (0..CLIENTS).map(|_| pair()).unzip()
}

/// Leaves at work, each held up by a pipe: of an archive that does not come, or that nobody takes.
pub(super) fn no_leaf_keeps_what_its_maker_has_open() {
    let env = TestEnv::new();
    let rootfs = format!("{}:O", env.busybox_rootfs().display());
    env.coracle(["create", "--name", "box", "--network=none", "--rootfs", &rootfs, "true"]).ok();
    env.coracle(["volume", "create", "data"]).ok();
    let store = Store::open(&env.root(), &env.runroot(), &[]).unwrap();
    let (container, volume) =
        (store.containers().find("box").unwrap(), store.volumes().find("data").unwrap());
    let (comes, _nothing_comes) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (_nobody_takes, goes) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let config = env.home().join(".config");
    let engine = Engine {
        store: &store,
        config: &config,
        docker: None,
        daemon: None,
        network: None,
        accelerate: false,
        choose: None,
    };
    let input = || File::from(comes.try_clone().unwrap());
    let output = File::from(goes.try_clone().unwrap());
    let stream = |fd: &OwnedFd| Place::Stream(fd.try_clone().unwrap());
    let inside = |path: &str| Place::Container(&container, path.into(), "box");
    let copy = |from, to| {
        copy::copy(&store, &copy::Request { from, to, archive: false, overwrite: false, follow: true })
    };
    let (_clients, _peers) = clients();
    let works: [(&str, &dyn Fn() -> Result<()>); 6] = [
        ("export", &|| export::export(&store, &container, &output)),
        ("cp out", &|| copy(inside("/"), stream(&goes))),
        ("cp in", &|| copy(stream(&comes), inside("/"))),
        ("import", &|| engine.import(input(), "-", ImageConfig::default(), &[]).map(drop)),
        ("load", &|| engine.load(input(), "-", &mut |_| {}).map(drop)),
        ("volume import", &|| archive::import(&store, &volume, input()).map(drop)),
    ];
    eventually("threads of the fixtures are gone", fork::single_threaded);
    for (name, work) in works {
        let server = fork::spawn(0, |_| i32::from(work().is_err())).unwrap();
        let mut leaf = None;
        eventually("the leaf is there", || {
            leaf = only_child(server.pid);
            leaf.is_some()
        });
        let leaf = leaf.unwrap();
        // Its link to its maker, and no client's.
        eventually(name, || sockets(leaf) == 1);
        pidfd_send_signal(server.pidfd.as_fd(), Signal::KILL.number()).unwrap();
        server.wait().unwrap();
        eventually("the leaf is gone, too", || !Path::new(&format!("/proc/{leaf}")).exists());
    }
}

fn only_child(of: Pid) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

fn sockets(of: i32) -> usize {
    let links = std::fs::read_dir(format!("/proc/{of}/fd")).into_iter().flatten().flatten();
    links
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .filter(|to| to.to_string_lossy().starts_with("socket:"))
        .count()
}
