//! slirp4netns and the port forwarder on real namespaces, in a program of one thread: `harness = false`,
//! since `coracle::fork` refuses to fork where threads run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests: a panic is how they fail"
)]

mod support;

use coracle::fork::Link;
use coracle::netns::{self, slirp};
use coracle::spec::network::SlirpOptions;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;
use support::{Inside, PATIENCE, Running, end, options};

type Test = (&'static str, fn());

const TESTS: [Test; 18] = [
    ("slirp_configures_the_interface_and_ends_with_its_owner", slirp_configures_the_interface),
    ("slirp_that_cannot_start_says_why", slirp_that_cannot_start_says_why),
    ("a_client_shows_as_itself", a_client_shows_as_itself),
    ("a_loopback_client_shows_as_the_gateway", a_loopback_client_shows_as_the_gateway),
    ("a_rootlesskit_client_shows_as_the_container", a_rootlesskit_client_shows_as_the_container),
    ("an_ipv6_client_shows_as_itself", an_ipv6_client_shows_as_itself),
    ("bytes_arrive_whole_in_both_directions", bytes_arrive_whole_in_both_directions),
    ("an_end_of_one_direction_leaves_the_other", an_end_of_one_direction_leaves_the_other),
    ("a_stalled_client_does_not_hold_up_others", a_stalled_client_does_not_hold_up_others),
    ("a_reset_passes_in_both_directions", a_reset_passes_in_both_directions),
    ("few_descriptors_delay_clients_but_lose_none", few_descriptors_delay_clients_but_lose_none),
    ("nobody_listening_is_a_reset", nobody_listening_is_a_reset),
    ("a_service_on_loopback_stays_private", a_service_on_loopback_stays_private),
    ("many_connections_at_once", many_connections_at_once),
    ("udp_answers_come_from_the_address_asked", udp_answers_come_from_the_address_asked),
    ("a_udp_client_shows_as_itself", a_udp_client_shows_as_itself),
    ("the_forwarder_has_few_privileges_and_ends_with_its_link", the_forwarder_has_few_privileges),
    ("a_port_is_free_when_the_forwarder_has_ended", a_port_is_free_when_the_forwarder_has_ended),
];

/// Enters a user namespace, as monitors live in the user's shared one: slirp4netns takes namespaces by
/// descriptor only where it is root.
fn enter_user_namespace() {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).unwrap();
    std::fs::write("/proc/self/setgroups", "deny").unwrap();
    std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).unwrap();
    std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).unwrap();
}

fn main() {
    enter_user_namespace();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mut ran = 0;
    for (name, test) in TESTS {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            println!("test {name} ...");
            test();
            println!("test {name} ... ok");
            ran += 1;
        }
    }
    let left = nix::sys::wait::waitpid(Pid::from_raw(-1), Some(nix::sys::wait::WaitPidFlag::WNOHANG));
    assert_eq!(left, Err(Errno::ECHILD), "every child has been reaped");
    println!("\ntest result: ok. {ran} passed");
}

/// Payload: tells every client its address, one after the other.
fn who_are_you(bind: &'static str) -> impl FnOnce(&Link) -> i32 {
    move |link| {
        // Distributions differ in how strictly source addresses are checked; here, as strictly as can be.
        for interface in ["all", "lo", "tap0"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"), "1").unwrap();
        }
        let listener = TcpListener::bind(bind).unwrap();
        link.send(&"listening", &[]).unwrap();
        loop {
            let (mut stream, client) = listener.accept().unwrap();
            let _ = stream.write_all(client.to_string().as_bytes());
        }
    }
}

/// Payload: sends back what it gets, each connection in a thread.
fn echo(link: &Link) -> i32 {
    let listener = TcpListener::bind("0.0.0.0:80").unwrap();
    link.send(&"listening", &[]).unwrap();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut out = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut stream, &mut out);
            let _ = out.shutdown(Shutdown::Write);
        });
    }
}

fn read_address(mut stream: TcpStream) -> SocketAddr {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.parse().unwrap()
}

fn slirp_configures_the_interface() {
    let inside = Inside::new(|link| {
        let own = netns::host_address();
        let mtu = std::fs::read_to_string("/proc/self/net/route").unwrap();
        link.send(&format!("{own:?} {}", mtu.contains("tap0")), &[]).unwrap();
        let _ = link.recv::<String>();
        0
    });
    let slirp = inside.slirp(&options("slirp4netns:cidr=10.9.8.0/24,mtu=1500"));
    assert_eq!(inside.go(), "Some(10.9.8.100) true");
    end(slirp);
    inside.child.link.send(&"end", &[]).unwrap();
    assert_eq!(inside.child.wait().unwrap(), 0);
}

fn slirp_that_cannot_start_says_why() {
    let inside = Inside::new(|_| 0);
    let (userns, netns) = (inside.userns.as_fd(), inside.netns.as_fd());
    let nowhere = Path::new("/nonexistent/slirp4netns");
    let slirp = slirp::spawn(nowhere, &SlirpOptions::default(), netns).unwrap();
    let failure = slirp.wait_ready().unwrap_err();
    assert_eq!((failure.errno(), failure.stage.as_str()), (Errno::ENOENT, "slirp4netns"));
    assert!(slirp::explain(nowhere, &failure).message().contains("not installed"));
    end(slirp);

    let program = slirp::find().unwrap();
    let slirp = slirp::spawn(&program, &SlirpOptions::default(), userns).unwrap();
    let failure = slirp.wait_ready().unwrap_err();
    assert!(!failure.detail.is_empty() && failure.detail != "it ended without a message", "{failure:?}");
    end(slirp);
    coracle::sys::process::pidfd_send_signal(inside.child.pidfd.as_fd(), libc::SIGKILL).unwrap();
    inside.child.wait().unwrap();
}

fn a_client_shows_as_itself() {
    let Some(ip) = netns::host_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    for bind in ["0.0.0.0:80", "10.0.2.100:80", "[::]:80"] {
        let running = Running::new("slirp4netns", &["80"], who_are_you(bind));
        for _ in 0..3 {
            let stream = running.connect(ip);
            let own = stream.local_addr().unwrap();
            let seen = read_address(stream);
            assert_eq!((seen.ip().to_canonical(), seen.port()), (own.ip(), own.port()), "{bind}");
        }
        running.end();
    }
}

fn a_loopback_client_shows_as_the_gateway() {
    let running = Running::new("slirp4netns:cidr=10.7.0.0/16", &["80"], who_are_you("0.0.0.0:80"));
    let mut clients: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    if TcpStream::connect((Ipv6Addr::LOCALHOST, running.port())).is_ok() {
        clients.push(Ipv6Addr::LOCALHOST.into());
    } else {
        eprintln!("skipped the IPv6 half: this machine has no IPv6");
    }
    for client in clients {
        assert_eq!(read_address(running.connect(client)).ip(), Ipv4Addr::new(10, 7, 0, 2), "{client}");
    }
    running.end();
}

fn a_rootlesskit_client_shows_as_the_container() {
    let network = "slirp4netns:port_handler=rootlesskit";
    let running = Running::new(network, &["127.0.0.1::80"], who_are_you("0.0.0.0:80"));
    let seen = read_address(running.connect(Ipv4Addr::LOCALHOST));
    assert_eq!(seen.ip(), Ipv4Addr::new(10, 0, 2, 100));
    running.end();
}

fn an_ipv6_client_shows_as_itself() {
    let probe =
        UdpSocket::bind("[::]:0").and_then(|s| s.connect("[2001:db8::1]:9").and_then(|()| s.local_addr()));
    let Ok(own) = probe else {
        eprintln!("skipped: this machine has no IPv6 address but loopback");
        return;
    };
    let running = Running::new("slirp4netns:enable_ipv6=true", &["80"], |link| {
        // The address comes with slirp's router advertisement.
        for _ in 0..200 {
            let table = std::fs::read_to_string("/proc/self/net/if_inet6").unwrap();
            if let Some(line) = table.lines().find(|l| l.starts_with("fd00") && l.ends_with("tap0")) {
                // Usable at once: not tentative (IFA_F_TENTATIVE, 0x40).
                let flags = line.split_whitespace().nth(4).unwrap();
                assert_eq!(u32::from_str_radix(flags, 16).unwrap() & 0x40, 0, "{line}");
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        who_are_you("[::]:80")(link)
    });
    let stream = running.connect(own.ip());
    let local = stream.local_addr().unwrap();
    let seen = read_address(stream);
    assert_eq!((seen.ip(), seen.port()), (local.ip(), local.port()));
    let loopback = read_address(running.connect(Ipv6Addr::LOCALHOST));
    assert_eq!(loopback.ip(), "fd00::2".parse::<IpAddr>().unwrap());
    running.end();
}

/// Bytes that do not repeat in step with any buffer.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}

fn bytes_arrive_whole_in_both_directions() {
    let running = Running::new("slirp4netns", &["80"], echo);
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.set_nonblocking(true).unwrap();
    let sent = pattern(24 << 20);
    let (mut written, mut read) = (0, Vec::with_capacity(sent.len()));
    let mut buffer = vec![0u8; 1 << 16];
    // The reader starts late, so that everything between fills up first.
    let mut full = false;
    loop {
        if written < sent.len() {
            match stream.write(&sent[written..]) {
                Ok(count) => written += count,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => full = true,
                Err(e) => panic!("{e}"),
            }
            if written == sent.len() {
                stream.shutdown(Shutdown::Write).unwrap();
                full = true;
            }
        }
        if full {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => read.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
    assert!(read == sent, "{} of {} bytes", read.len(), sent.len());
    running.end();
}

fn an_end_of_one_direction_leaves_the_other() {
    let running = Running::new("slirp4netns", &["80"], |link| {
        let listener = TcpListener::bind("0.0.0.0:80").unwrap();
        link.send(&"listening", &[]).unwrap();
        loop {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            stream.read_to_string(&mut question).unwrap();
            stream.write_all(question.to_uppercase().as_bytes()).unwrap();
        }
    });
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.write_all(b"to the end").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "TO THE END");
    running.end();
}

/// Sends `text` to an echo service and expects it back.
fn expect_echo(running: &Running, text: &str) {
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.write_all(text.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, text);
}

fn a_stalled_client_does_not_hold_up_others() {
    let running = Running::new("slirp4netns", &["80"], echo);
    let junk = vec![b'x'; 1 << 20];
    // Twelve clients that send and never read, until nothing more fits.
    let mut stalled = Vec::new();
    for _ in 0..12 {
        let mut stream = running.connect(Ipv4Addr::LOCALHOST);
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        for _ in 0..64 {
            if stream.write_all(&junk).is_err() {
                break;
            }
        }
        stalled.push(stream);
    }
    expect_echo(&running, "still here");
    running.end();
}

/// Closes a connection with a reset.
fn abort(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &linger).unwrap();
}

fn a_reset_passes_in_both_directions() {
    let running = Running::new("slirp4netns", &["80"], |link| {
        let listener = TcpListener::bind("0.0.0.0:80").unwrap();
        link.send(&"listening", &[]).unwrap();
        // The first client resets; the second is reset.
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"x").unwrap();
        let seen = stream.read_to_end(&mut Vec::new()).map_err(|e| e.kind());
        link.send(&format!("{seen:?}"), &[]).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"y").unwrap();
        stream.read_exact(&mut [0u8]).unwrap();
        abort(stream);
        let _ = link.recv::<String>();
        0
    });
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.read_exact(&mut [0u8]).unwrap();
    abort(stream);
    let (seen, _) = running.inside.child.link.recv::<String>().unwrap().unwrap();
    assert_eq!(seen, "Err(ConnectionReset)");

    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.read_exact(&mut [0u8]).unwrap();
    stream.write_all(b"z").unwrap();
    let seen = stream.read(&mut [0u8]).map_err(|e| e.kind());
    assert_eq!(seen, Err(std::io::ErrorKind::ConnectionReset));
    running.end();
}

fn few_descriptors_delay_clients_but_lose_none() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let running = Running::with_limit("slirp4netns", &["80"], 100, echo);
    let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, before.1, before.1).unwrap();
    let mut streams: Vec<TcpStream> = (0..60).map(|_| running.connect(Ipv4Addr::LOCALHOST)).collect();
    // Each is served once those before it have gone.
    for (i, stream) in streams.iter_mut().enumerate() {
        write!(stream, "{i:04}").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    }
    for (i, mut stream) in streams.into_iter().enumerate() {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, format!("{i:04}"));
    }
    expect_echo(&running, "last");
    running.end();
}

fn nobody_listening_is_a_reset() {
    for network in ["slirp4netns", "slirp4netns:port_handler=rootlesskit"] {
        let running = Running::new(network, &["81"], who_are_you("0.0.0.0:80"));
        let mut stream = running.connect(Ipv4Addr::LOCALHOST);
        let e = stream.read(&mut [0u8; 1]).unwrap_err();
        assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset, "{network}");
        running.end();
    }
}

fn a_service_on_loopback_stays_private() {
    let running = Running::new("slirp4netns", &["80"], who_are_you("127.0.0.1:80"));
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    let e = stream.read(&mut [0u8; 1]).unwrap_err();
    assert_eq!(e.kind(), std::io::ErrorKind::ConnectionReset);
    running.end();
}

fn many_connections_at_once() {
    let running = Running::new("slirp4netns", &["80"], echo);
    let mut streams: Vec<TcpStream> = (0..300).map(|_| running.connect(Ipv4Addr::LOCALHOST)).collect();
    for (i, stream) in streams.iter_mut().enumerate() {
        write!(stream, "{i:04}").unwrap();
    }
    for (i, stream) in streams.iter_mut().enumerate() {
        let mut answer = [0u8; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), format!("{i:04}"));
    }
    drop(streams);
    // All of them have gone, and the next is served.
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.write_all(b"last").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "last");
    running.end();
}

fn udp_answers_come_from_the_address_asked() {
    let running = Running::new("slirp4netns", &["53/udp"], |link| {
        let socket = UdpSocket::bind("0.0.0.0:53").unwrap();
        link.send(&"listening", &[]).unwrap();
        let mut buffer = vec![0u8; 65_536];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], client).unwrap();
        }
    });
    let mut hosts: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 9).into()];
    hosts.extend(netns::host_address().map(IpAddr::from));
    if UdpSocket::bind("[::1]:0").is_ok() {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    } else {
        eprintln!("skipped the IPv6 half: this machine has no IPv6");
    }
    let clients: Vec<UdpSocket> = hosts
        .iter()
        .map(|host| {
            let any: IpAddr =
                if host.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            // A connected socket takes answers from this address only.
            socket.connect((*host, running.port())).unwrap();
            socket
        })
        .collect();
    for length in [0, 5, 1400, 60_000] {
        let question = pattern(length);
        // Small ones all at once; the large ones would fill the payload's buffer, and be lost.
        let at_once = length < 10_000;
        if at_once {
            clients.iter().for_each(|client| assert_eq!(client.send(&question).unwrap(), length));
        }
        for (client, host) in clients.iter().zip(&hosts) {
            if !at_once {
                client.send(&question).unwrap();
            }
            let mut answer = vec![0u8; 65_536];
            let got = client.recv(&mut answer).unwrap_or_else(|e| panic!("{length} bytes from {host}: {e}"));
            assert!(answer[..got] == question[..], "{length} bytes from {host}");
        }
    }
    running.end();
}

fn a_udp_client_shows_as_itself() {
    let Some(ip) = netns::host_address() else {
        eprintln!("skipped: this machine has no address but loopback");
        return;
    };
    for bind in ["0.0.0.0:53", "10.0.2.100:53", "[::]:53"] {
        let running = Running::new("slirp4netns", &["53/udp"], move |link| {
            for interface in ["all", "lo", "tap0"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{interface}/rp_filter"), "1").unwrap();
            }
            let socket = UdpSocket::bind(bind).unwrap();
            link.send(&"listening", &[]).unwrap();
            loop {
                let (_, client) = socket.recv_from(&mut [0; 64]).unwrap();
                socket.send_to(client.to_string().as_bytes(), client).unwrap();
            }
        });
        let ask = |host: IpAddr| {
            let socket = UdpSocket::bind((if host.is_loopback() { host } else { ip.into() }, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.connect((host, running.port())).unwrap();
            let mut seen = Vec::new();
            for _ in 0..3 {
                socket.send(b"who am I").unwrap();
                let mut buffer = [0; 64];
                let length = socket.recv(&mut buffer).unwrap();
                seen.push(std::str::from_utf8(&buffer[..length]).unwrap().parse::<SocketAddr>().unwrap());
            }
            assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
            (SocketAddr::new(seen[0].ip().to_canonical(), seen[0].port()), socket)
        };
        let sessions = [ask(ip.into()), ask(ip.into())];
        for (seen, socket) in &sessions {
            assert_eq!(*seen, socket.local_addr().unwrap(), "{bind}");
        }
        let (seen, _) = ask(Ipv4Addr::LOCALHOST.into());
        assert_eq!(seen.ip(), Ipv4Addr::new(10, 0, 2, 2), "{bind}");
        running.end();
    }
    // A service that has not been started yet finds its port free.
    let running = Running::new("slirp4netns", &["5300/udp"], |link| {
        link.send(&"listening", &[]).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let socket = UdpSocket::bind("0.0.0.0:5300").unwrap();
        loop {
            let (_, client) = socket.recv_from(&mut [0; 64]).unwrap();
            socket.send_to(client.to_string().as_bytes(), client).unwrap();
        }
    });
    let Ok(socket) = UdpSocket::bind((ip, 5300)) else {
        eprintln!("skipped the half with the service's own port: this machine uses it");
        return running.end();
    };
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket.connect((ip, running.port())).unwrap();
    let mut buffer = [0; 64];
    let seen = (0..100).find_map(|_| {
        socket.send(b"who am I").unwrap();
        let length = socket.recv(&mut buffer).ok()?;
        std::str::from_utf8(&buffer[..length]).unwrap().parse::<SocketAddr>().ok()
    });
    assert!(seen.is_some_and(|seen| seen.ip() == ip && seen.port() != 5300), "{seen:?}");
    running.end();
}

fn the_forwarder_has_few_privileges() {
    let running = Running::new("slirp4netns", &["80"], echo);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.forwarder.pid)).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    // CAP_NET_ADMIN (12) and CAP_NET_BIND_SERVICE (10), in the container's user namespace.
    assert_eq!(field("CapEff"), "0000000000001400");
    assert_eq!(field("CapPrm"), "0000000000001400");
    assert_eq!(field("CapInh"), "0000000000000000");
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Threads"), "1");
    // A process that may not be traced has no readable descriptors.
    let fds = std::fs::read_dir(format!("/proc/{}/fd", running.forwarder.pid));
    assert!(fds.is_err());
    running.end();
}

fn a_port_is_free_when_the_forwarder_has_ended() {
    // Below the ports that the kernel gives to connections, which could take a free one in between.
    let first = 10_000 + std::process::id() % 10_000;
    let running = Running::new("slirp4netns", &[&format!("{first}-{}:80", first + 99)], echo);
    let port = running.port();
    let mut stream = running.connect(Ipv4Addr::LOCALHOST);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0u8; 1]).unwrap();
    running.end();
    // A connection of the last run does not hold the port either.
    let again = netns::parse_publish(&format!("{port}:80")).unwrap();
    assert_eq!(netns::listen(&again).unwrap()[0].bound.host_port, port);
}
