//! `--network ...:accelerate`: connections to the outside by sockets of the host. The payload is a small program
//! (`tests/programs/swapped.c`) that says what it sees of them, and tries what it should not be able to do.

use super::network::{HTTPD, ask, greeter, host_port};
use super::networks::{address, network};
use super::ps::field;
use crate::common::{Call, Output, TestEnv, compiled, eventually, scratch, skip, traces_of};
use coracle::netns;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{Backlog, listen};
use nix::unistd::Pid;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

const SLIRP: &str = "slirp4netns:accelerate";

/// The host's address that is not loopback, where connections can be made by its sockets.
fn host() -> Option<Ipv4Addr> {
    if !netns::swap::is_possible() {
        skip("this machine has no seccomp user notification");
        return None;
    }
    let host = netns::host_address();
    if host.is_none() {
        skip("this machine has no address but loopback");
    }
    host
}

/// The directory with the program, which is mounted on `/p`.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compiled("swapped").parent().unwrap().to_owned())
}

fn prepared(env: &TestEnv, verb: &str, options: &[&str], words: &[&str]) -> Call {
    let mount = format!("{}:/p", program().display());
    let rootfs = env.busybox_rootfs();
    let call = env.coracle([verb]).args(options).args(["-v", &mount, "--rootfs"]).arg(rootfs);
    call.arg("/p/swapped").args(words)
}

/// Runs the program.
#[track_caller]
fn swapped(env: &TestEnv, options: &[&str], words: &[&str]) -> String {
    let output: Output = prepared(env, "run", &[&["--rm"], options].concat(), words).run();
    assert_eq!(output.code, 0, "{output}");
    output.stdout
}

/// A server on the host's loopback, which nobody inside may hear of.
fn secret() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    for stream in [Some(listener), TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()].into_iter().flatten()
    {
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = stream.accept() {
                let _ = stream.write_all(b"secret\n");
            }
        });
    }
    port
}

/// The leaf of a container: the monitor's child that runs no other program and is neither first process nor forwarder.
fn leaf(env: &TestEnv, name: &str) -> Option<Pid> {
    let monitor = field(env, name, "{{.State.ConmonPid}}");
    let payload = field(env, name, "{{.State.Pid}}");
    let children = std::fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).ok()?;
    let of = |pid: &str, what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let own = of(&monitor, "cmdline");
    let mut leaves = children.split_whitespace().filter(|pid| *pid != payload && of(pid, "cmdline") == own);
    leaves.next_back()?.parse().ok().map(Pid::from_raw)
}

#[test]
fn a_connection_to_the_outside_is_the_hosts_and_does_not_show_it() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let port = greeter(host).to_string();
    let host = host.to_string();
    let plain = swapped(&env, &["--network", "slirp4netns"], &["names", &host, &port]);
    let fast = swapped(&env, &["--network", SLIRP], &["names", &host, &port]);
    assert!(plain.ends_with("own\nhello from the host\n"), "{plain}");
    assert!(plain.contains("own 10.0.2.100 16\n") && plain.contains("cloexec 1 blocks 1\n"), "{plain}");
    assert_eq!(fast, plain.replace("own\nhello", "swapped\nhello"));
    let mapped = format!("::ffff:{host}");
    let fast = swapped(&env, &["--network", SLIRP], &["names", &mapped, &port]);
    assert!(fast.contains("own ::ffff:10.0.2.100 28\n"), "{fast}");
    assert!(fast.ends_with("swapped\nhello from the host\n"), "{fast}");
}

#[test]
fn only_who_asks_for_it_has_a_second_filter() {
    let Some(_) = host() else { return };
    let env = TestEnv::new();
    for (network, want) in [("slirp4netns", "1"), ("bridge", "1"), (SLIRP, "2"), ("bridge:accelerate", "2")] {
        let call = env.coracle(["run", "--rm", "--network", network, "--rootfs"]).arg(env.busybox_rootfs());
        let seen = call.args(["awk", "/Seccomp_filters/ { print $2 }", "/proc/self/status"]).ok();
        assert_eq!(seen.text(), want, "{network}");
    }
}

#[test]
fn sockets_behave_as_without() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let port = greeter(host).to_string();
    let closed = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port().to_string();
    let host = host.to_string();
    for (words, want) in [
        (&["nonblocking", &host, &port][..], "begun\nerror 0 nonblocking 1\nswapped\nhello from the host\n"),
        (&["options", &host, &port], "1 77 1 131072 0 7\nswapped\nhello from the host\n"),
        (&["fork", &host, &port], "swapped\nhello from the host\n"),
        (&["exec", &host, &port], "hello from the host\n"),
        (&["refused", &host, &port, &closed], "ECONNREFUSED\nconnected\nswapped\nhello from the host\n"),
        (&["undone", &host, &port], "1\n0\nown 0.0.0.0 no port 0\nswapped\nhello from the host\n"),
        (&["many", &host, &port, "300"], "all\n"),
        // What cannot be put in another one's place goes as before.
        (&["dup", &host, &port], "own\nhello from the host\n"),
        (&["epoll", &host, &port], "woken 42\nhello from the host\n"),
        (&["bound", &host, &port], "connected\nown\nhello from the host\n"),
    ] {
        assert_eq!(swapped(&env, &["--network", SLIRP], words), want, "{words:?}");
    }
    // Somebody who takes no more connections.
    let full = TcpListener::bind((host.parse::<Ipv4Addr>().unwrap(), 0)).unwrap();
    listen(&full, Backlog::new(0).unwrap()).unwrap();
    let at = full.local_addr().unwrap();
    let taken: Vec<_> =
        std::iter::from_fn(|| TcpStream::connect_timeout(&at, Duration::from_millis(100)).ok())
            .take(64)
            .collect();
    assert!(taken.len() < 64);
    let port = at.port().to_string();
    for network in ["slirp4netns", SLIRP] {
        let words = ["late", &host, &port];
        assert_eq!(swapped(&env, &["--network", network], &words), "EINPROGRESS\n", "{network}");
    }
}

#[test]
fn what_is_not_outside_is_reached_as_without() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let (port, hidden) = (greeter(host).to_string(), secret().to_string());
    for at in ["127.0.0.1", "10.0.2.2", "0.0.0.0", "::1", "::ffff:127.0.0.1"] {
        let output = prepared(&env, "run", &["--rm", "--network", SLIRP], &["names", at, &hidden]).run();
        assert!(output.code != 0 && !output.stdout.contains("secret"), "{at}: {output}");
    }
    let open = "slirp4netns:accelerate,allow_host_loopback=true";
    let seen = swapped(&env, &["--network", open], &["names", "10.0.2.2", &hidden]);
    assert!(seen.ends_with("own\nsecret\n"), "{seen}");
    network(&env, &["--internal", "cut-off"]);
    let host = host.to_string();
    let words = ["names", &host, &port];
    let output = prepared(&env, "run", &["--rm", "--network", "cut-off:accelerate"], &words).run();
    assert!(output.code != 0 && !output.stdout.contains("hello"), "{output}");
}

#[test]
fn containers_of_a_network_reach_each_other_and_the_outside() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    network(&env, &["back"]);
    let port = greeter(host).to_string();
    let host = host.to_string();
    env.coracle(["run", "-d", "--name", "web", "--network", "back:accelerate", "-p", "80", "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(HTTPD)
        .ok();
    let seen = swapped(&env, &["--network", "back:accelerate"], &["names", &host, &port]);
    assert!(seen.contains("own 10.89.") && seen.ends_with("swapped\nhello from the host\n"), "{seen}");
    let web = address(&env, "web", "back");
    let output =
        prepared(&env, "run", &["--rm", "--network", "back:accelerate"], &["names", &web, "80"]).run();
    assert!(output.stdout.contains("\nown\n"), "{output}");
    assert!(ask(Ipv4Addr::LOCALHOST, host_port(&env, "web")).starts_with("HTTP/1"));
}

#[test]
fn rights_inside_change_nothing() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let port = greeter(host).to_string();
    let host = host.to_string();
    for options in [
        &["--privileged"][..],
        &["--cap-add=NET_ADMIN", "--init"],
        &["--security-opt=seccomp=unconfined", "--user=1000"],
        &["--security-opt=no-new-privileges", "--cap-drop=all"],
    ] {
        let options = [&["--network", SLIRP], options].concat();
        let seen = swapped(&env, &options, &["names", &host, &port]);
        assert!(seen.ends_with("swapped\nhello from the host\n"), "{options:?}: {seen}");
    }
    // Files of --rootfs cannot have other ids.
    let images = TestEnv::with_images();
    let mount = format!("{}:/p", program().display());
    let call = images.coracle(["run", "--rm", "--userns=keep-id", "--network", SLIRP, "-v", &mount]);
    let seen = call.args(["busybox", "/p/swapped", "names", &host, &port]).ok();
    assert!(seen.stdout.ends_with("swapped\nhello from the host\n"), "{seen}");
}

#[test]
fn case_50_a_socket_that_is_used_again_does_not_lead_to_the_hosts_loopback() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let (port, hidden) = (greeter(host).to_string(), secret().to_string());
    let (host, shared) = (host.to_string(), scratch("s"));
    let at = format!("{}:/s", shared.display());
    let lend = ["lend", &host, &port, "/s/door"];
    for (lender, borrower) in [("one", &["--cap-add=ALL"][..]), ("two", &["--privileged"])] {
        let _ = std::fs::remove_file(shared.join("door"));
        let options = [&["-d", "--name", lender, "--network", SLIRP, "-v", &at], borrower].concat();
        prepared(&env, "run", &options, &lend).ok();
        eventually("connections are lent", || shared.join("door").exists());
        // Neither the processes of exec nor those of another container are under the filter.
        let words = ["escape", &host, &hidden, "/s/door"];
        let within = env.coracle(["exec", lender, "/p/swapped"]).args(words).run();
        let options = [&["--rm", "--network=none", "-v", &at], borrower].concat();
        let beside = prepared(&env, "run", &options, &words).run();
        for output in [within, beside] {
            let want = "network of the socket: EPERM\nanother port: EINVAL\nthere and back: ECONNREFUSED\n";
            assert_eq!((output.code, output.stdout.as_str()), (0, want), "{output}");
        }
        env.coracle(["rm", "-f", "-t", "0", lender]).ok();
    }
}

#[test]
fn case_50_what_changes_while_it_is_decided_about_leads_nowhere_else() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let (port, hidden) = (greeter(host).to_string(), secret().to_string());
    let host = host.to_string();
    let seen = swapped(&env, &["--network", SLIRP], &["race", &host, &port, &hidden, "2000"]);
    assert_eq!(seen, "reached some, breaches 0\n");
}

#[test]
fn a_killed_leaf_is_followed_by_another_one() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let port = greeter(host).to_string();
    let host = host.to_string();
    let loops = format!("while sleep 0.01; do /p/swapped names {host} {port}; done");
    let mount = format!("{}:/p", program().display());
    env.coracle(["run", "-d", "--name", "web", "--network", SLIRP, "-v", &mount, "--rootfs"])
        .arg(env.busybox_rootfs())
        .args(["sh", "-c", &loops])
        .ok();
    let answers = || env.coracle(["logs", "web"]).ok().stdout.matches("swapped\nhello from").count();
    for _ in 0..3 {
        let before = answers();
        eventually("connections are made", || answers() > before);
        let first = leaf(&env, "web").unwrap();
        kill(first, Signal::SIGKILL).unwrap();
        eventually("another leaf is there", || leaf(&env, "web").is_some_and(|pid| pid != first));
    }
    let before = answers();
    eventually("connections are made again", || answers() > before + 3);
    env.coracle(["rm", "-f", "-t", "0", "web"]).ok();
    eventually("nothing is left", || traces_of(env.path()).is_empty());
}

#[test]
fn the_configuration_has_it_done_for_all() {
    let Some(host) = host() else { return };
    let env = TestEnv::new();
    let port = greeter(host).to_string();
    let host = host.to_string();
    let config = env.path().join("config/coracle");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("coracle.toml"), "accelerate = true\n").unwrap();
    for (options, want) in [
        (&[][..], "swapped\nhello from the host\n"),
        (&["--network", "bridge"], "swapped\nhello from the host\n"),
        (&["--network", "slirp4netns:accelerate=false"], "own\nhello from the host\n"),
    ] {
        let call = prepared(&env, "run", &[&["--rm"], options].concat(), &["names", &host, &port]);
        let output = call.env("XDG_CONFIG_HOME", env.path().join("config")).ok();
        assert!(output.stdout.ends_with(want), "{options:?}: {output}");
    }
}
