//! A process of a container keeps nothing of its maker's.

use super::reap;
use crate::common::{self, TestEnv, eventually, free_port};
use coracle::container::Signal;
use coracle::engine::containers;
use coracle::fork;
use coracle::storage::Store;
use coracle::storage::containers::ContainerDir;
use coracle::storage::rootfs::Overlay;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

    let pair = || socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty()).unwrap();
    let (clients, peers): (Vec<OwnedFd>, Vec<OwnedFd>) = (0..CLIENTS).map(|_| pair()).unzip();
    eventually("threads of the fixtures are gone", fork::single_threaded);
    let mut running = Vec::new();
    for (name, _) in &kinds {
        let dir = store.containers().find(name).unwrap();
        containers::start::start(&store, &dir, false).unwrap();
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
