//! A process that stands for a container, with slirp4netns and a forwarder around it.

use coracle::fork::{self, Child, Link};
use coracle::netns::forwarder::{self, Report};
use coracle::netns::{self, Listener, Reach, slirp};
use coracle::spec::NetworkMode;
use coracle::spec::network::{PortPublish, SlirpOptions};
use nix::libc;
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long any one answer may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A process in a user and network namespace of its own, standing for a container.
pub(crate) struct Inside {
    pub(crate) child: Child,
    pub(crate) userns: OwnedFd,
    pub(crate) netns: OwnedFd,
}

impl Inside {
    /// Starts the process; it runs `payload` when [`Inside::go`] is called.
    pub(crate) fn new(payload: impl FnOnce(&Link) -> i32) -> Self {
        let flags = (libc::CLONE_NEWUSER | libc::CLONE_NEWNET) as u64;
        let child = fork::spawn(flags, |link| {
            // A failed test leaves no process behind.
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
            match link.recv::<String>() {
                Ok(Some(_)) => payload(&link),
                _ => 1,
            }
        })
        .unwrap();
        let proc = format!("/proc/{}", child.pid);
        std::fs::write(format!("{proc}/setgroups"), "deny").unwrap();
        std::fs::write(format!("{proc}/uid_map"), "0 0 1").unwrap();
        std::fs::write(format!("{proc}/gid_map"), "0 0 1").unwrap();
        let open = |name: &str| OwnedFd::from(std::fs::File::open(format!("{proc}/ns/{name}")).unwrap());
        Inside { userns: open("user"), netns: open("net"), child }
    }

    /// Lets the payload run and waits until it says that it listens.
    pub(crate) fn go(&self) -> String {
        self.child.link.send(&"go", &[]).unwrap();
        self.child.link.recv::<String>().unwrap().expect("the payload has started").0
    }

    pub(crate) fn slirp(&self, options: &SlirpOptions) -> slirp::Slirp {
        let program = slirp::find().unwrap();
        let slirp = slirp::spawn(&program, options, self.netns.as_fd()).unwrap();
        if let Err(failure) = slirp.wait_ready() {
            panic!("{:?}\n{}", slirp::explain(&program, &failure), slirp.log());
        }
        slirp
    }

    pub(crate) fn forward(
        &self,
        listeners: Vec<Listener>,
        options: &SlirpOptions,
        descriptors: u64,
    ) -> (Child, bool) {
        let userns = self.userns.try_clone().unwrap();
        let netns = self.netns.try_clone().unwrap();
        let child = fork::spawn(0, |link| {
            use nix::sys::resource::{Resource, getrlimit, setrlimit};
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            let (soft, hard) = (soft.min(descriptors), hard.min(descriptors));
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            forwarder::serve(listeners, Some(&Reach::from(options)), userns, netns, link)
        })
        .unwrap();
        match child.link.recv::<Report>().unwrap() {
            Some((Report::Ready { keeps_client }, _)) => (child, keeps_client),
            other => panic!("{other:?}"),
        }
    }
}

/// A whole set-up: payload, network, forwarder.
pub(crate) struct Running {
    pub(crate) inside: Inside,
    slirp: slirp::Slirp,
    pub(crate) forwarder: Child,
    ports: Vec<PortPublish>,
}

impl Running {
    pub(crate) fn new(network: &str, publish: &[&str], payload: impl FnOnce(&Link) -> i32) -> Self {
        Running::with_limit(network, publish, u64::MAX, payload)
    }

    /// With a limit to the forwarder's descriptors.
    pub(crate) fn with_limit(
        network: &str,
        publish: &[&str],
        descriptors: u64,
        payload: impl FnOnce(&Link) -> i32,
    ) -> Self {
        let options = options(network);
        let wanted: Vec<PortPublish> =
            publish.iter().flat_map(|p| netns::parse_publish(p).unwrap()).collect();
        let listeners = netns::listen(&wanted).unwrap();
        let ports = listeners.iter().map(|l| l.bound.clone()).collect();
        let inside = Inside::new(payload);
        let slirp = inside.slirp(&options);
        let (forwarder, keeps) = inside.forward(listeners, &options, descriptors);
        assert_eq!(keeps, options.keep_client);
        assert_eq!(inside.go(), "listening");
        Running { inside, slirp, forwarder, ports }
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0].host_port
    }

    pub(crate) fn connect(&self, ip: impl Into<IpAddr>) -> TcpStream {
        let stream = TcpStream::connect((ip.into(), self.port())).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Ends everything, in the order a monitor does.
    pub(crate) fn end(self) {
        forwarder::stop(self.forwarder);
        end(self.slirp);
        coracle::sys::process::pidfd_send_signal(self.inside.child.pidfd.as_fd(), libc::SIGKILL).unwrap();
        self.inside.child.wait().unwrap();
    }
}

/// Ends slirp4netns as the death of its monitor does, which closes the exit pipe.
pub(crate) fn end(slirp: slirp::Slirp) {
    let pidfd = slirp.pidfd().try_clone_to_owned().unwrap();
    drop(slirp);
    wait(&pidfd);
}

pub(crate) fn wait(pidfd: &OwnedFd) {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).unwrap();
}

pub(crate) fn options(network: &str) -> SlirpOptions {
    match netns::parse_network(network).unwrap() {
        NetworkMode::Slirp(options) => options,
        other => panic!("{other:?}"),
    }
}
