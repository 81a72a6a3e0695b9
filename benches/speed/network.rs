//! Published ports, and networks that containers share.

use crate::common::{Call, coracle_binary};
use crate::rows::{Bench, IMAGE, in_turns, megabytes, once, quiet, timed};
use crate::table::{Row, median};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 21;
/// The host's own programs and their libraries, read-only, for containers without any.
const HOSTS: [&str; 3] = ["-v=/usr:/usr:ro", "-v=/lib:/lib:ro", "-v=/lib64:/lib64:ro"];
/// Questions and bytes of one measurement, and seconds of connections.
const TIMES: &str = "5000";
const SECONDS: &str = "3";

/// What measures (benches/net.c).
fn measure(bench: &Bench) -> PathBuf {
    let program = bench.env.path().join("net");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/net.c");
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(built.success(), "the program that measures cannot be built");
    program
}

/// The numbers in the first line that a command writes.
fn numbers(mut command: Command) -> Vec<f64> {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default();
    let all: Vec<f64> = first.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(!all.is_empty(), "{command:?}: {output:?}");
    all
}

pub(crate) fn published_port(bench: &Bench) -> Row {
    let podman = bench.podman();
    let port = crate::common::free_port();
    let publish = format!("127.0.0.1:{port}:5201");
    let start = |call: Call| {
        let call = call.args(["run", "-d", "--name=iperf", "--pull=never", "-p", &publish]).args(HOSTS);
        call.args([IMAGE, "/usr/bin/iperf3", "-s"]).ok();
    };
    let stop = ["rm", "-f", "-t", "0", "iperf"];
    let mut ours = Vec::new();
    let mut peer = Vec::new();
    for _ in 0..3 {
        start(bench.coracle([]));
        ours.push(iperf(port));
        bench.coracle(stop).ok();
        start(podman.call([]));
        peer.push(iperf(port));
        podman.call(stop).ok();
    }
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-B", "127.0.0.1", "-p"]).arg(port.to_string());
    let mut server = crate::common::spawn_with_us(server).unwrap();
    let floor = iperf(port);
    let _ = server.kill();
    let _ = server.wait();
    Row {
        unit: "Gbit/s",
        ours: median(ours),
        peer: Some(median(peer)),
        floor: Some(("loopback itself", floor)),
        target: ">= podman",
    }
}

pub(crate) fn way_out(bench: &Bench) -> Row {
    let host =
        coracle::netns::host_address().expect("an address of this machine that is not loopback").to_string();
    let port = crate::common::free_port().to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-p", &port]);
    let mut server = crate::common::spawn_with_us(server).unwrap();
    let client = ["iperf3", "-c", &host, "-t", "4", "-J", "-p", &port];
    let inside = |call: Call| {
        let call = call.args(["--rm", "--pull=never"]).args(HOSTS).args([IMAGE]);
        call.args(["/usr/bin/iperf3"]).args(&client[1..]).into_command()
    };
    let ours = || inside(bench.coracle(["run", "--network=slirp4netns:accelerate"]));
    let podman = bench.podman();
    let [ours, peer, floor] = in_turns(
        3,
        [&mut || gigabits(ours), &mut || gigabits(|| inside(podman.call(["run"]))), &mut || {
            gigabits(|| {
                let mut bare = Command::new(client[0]);
                bare.args(&client[1..]);
                bare
            })
        }],
    );
    let _ = server.kill();
    let _ = server.wait();
    let (floor, target) = (Some(("the host itself", floor)), ">= 0.8 x the host itself");
    Row { unit: "Gbit/s", ours, peer: Some(peer), floor, target }
}

/// Gbit/s that the receiver saw in four seconds.
fn iperf(port: u16) -> f64 {
    gigabits(|| {
        let mut client = Command::new("iperf3");
        client.args(["-c", "127.0.0.1", "-t", "4", "-J", "-p"]).arg(port.to_string());
        client
    })
}

/// What iperf3 says that the receiver saw, as soon as its server answers.
fn gigabits(client: impl Fn() -> Command) -> f64 {
    for _ in 0..100 {
        let output = client().output().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if let Some(bits) = answer["end"]["sum_received"]["bits_per_second"].as_f64() {
            return bits / 1e9;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("no answer: {:?}", client().output());
}

/// The server of `measure` behind a published port: what is measured there by this mode, ours, podman's and loopback's.
fn behind_port(bench: &Bench, mode: &str, amount: &str) -> [f64; 3] {
    let podman = bench.podman();
    let program = measure(bench);
    let mount = format!("-v={}:/net:ro", program.display());
    let port = crate::common::free_port().to_string();
    let publish = format!("127.0.0.1:{port}:7");
    let once_more = || {
        let mut client = Command::new(&program);
        client.args([mode, "127.0.0.1", &port, amount]);
        std::thread::sleep(std::time::Duration::from_millis(500));
        numbers(client)[0]
    };
    let contained = |call: Call, stop: Call| {
        let call = call.args(["run", "-d", "--name=net", "--pull=never", "-p", &publish, &mount]);
        call.args([IMAGE, "/net", "serve", "7"]).ok();
        let seen = once_more();
        stop.ok();
        seen
    };
    let stop = ["rm", "-f", "-t", "0", "net"];
    let bare = || {
        let mut server = Command::new("timeout");
        server.args(["60"]).arg(&program).args(["serve", &port]);
        let mut server = crate::common::spawn_with_us(server).unwrap();
        let seen = once_more();
        // It ends what it started.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(server.id() as i32),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = server.wait();
        seen
    };
    in_turns(
        3,
        [
            &mut || contained(bench.coracle([]), bench.coracle(stop)),
            &mut || contained(podman.call([]), podman.call(stop)),
            &mut { bare },
        ],
    )
}

pub(crate) fn ping_pong(bench: &Bench) -> Row {
    let [ours, peer, floor] = behind_port(bench, "pingpong", TIMES).map(|ms| ms * 1e3);
    let target = "<= 1.3 x loopback + 30 us";
    Row { unit: "us", ours, peer: Some(peer), floor: Some(("loopback itself", floor)), target }
}

pub(crate) fn connections(bench: &Bench) -> Row {
    let [ours, peer, floor] = behind_port(bench, "connects", SECONDS);
    let target = ">= 2 x podman";
    Row { unit: "/s", ours, peer: Some(peer), floor: Some(("loopback itself", floor)), target }
}

/// Two network namespaces with a veth pair between them, and iperf3 through it.
const VETH: &str = "unshare --net sleep 60 & other=$!; sleep 0.3
    ip link add near mtu 65520 type veth peer name far mtu 65520 netns $other
    ip addr add 10.9.0.1/24 dev near; ip link set near up
    there() { nsenter --net=/proc/$other/ns/net \"$@\"; }
    there ip addr add 10.9.0.2/24 dev far; there ip link set far up
    there iperf3 -s -1 >/dev/null & sleep 0.5
    iperf3 -c 10.9.0.2 -t 4 -J; kill $other";

pub(crate) fn between(bench: &Bench) -> Row {
    let podman = bench.podman();
    let stop = ["rm", "-f", "-t", "0", "server", "client"];
    let both = |tool: &dyn Fn() -> Call| {
        tool().args(["network", "create", "between"]).ok();
        for (name, command) in [("server", &["/usr/bin/iperf3", "-s"][..]), ("client", &["sleep", "1000"])] {
            let call =
                tool().args(["run", "-d", "--pull=never", "--network=between", "--name", name]).args(HOSTS);
            call.arg(IMAGE).args(command).ok();
        }
        let format = "{{.NetworkSettings.Networks.between.IPAddress}}";
        let server = tool().args(["inspect", "-f", format, "server"]).ok().stdout;
        let seen = gigabits(|| {
            let call =
                tool().args(["exec", "client", "/usr/bin/iperf3", "-c", server.trim(), "-t", "4", "-J"]);
            call.into_command()
        });
        tool().args(stop).ok();
        tool().args(["network", "rm", "between"]).ok();
        seen
    };
    let [ours, peer, floor] = in_turns(
        3,
        [&mut || both(&|| bench.coracle([])), &mut || both(&|| podman.call([])), &mut || {
            gigabits(|| {
                let mut alone = Command::new("unshare");
                alone.args(["--user", "--map-root-user", "--net", "sh", "-c", VETH]);
                alone
            })
        }],
    );
    let target = ">= 0.9 x the floor";
    Row { unit: "Gbit/s", ours, peer: Some(peer), floor: Some(("a plain veth pair", floor)), target }
}

/// Milliseconds to the first byte that a payload writes.
fn first_byte(call: Call) -> f64 {
    let mut command = call.into_command();
    let begun = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let taken = begun.elapsed().as_secs_f64() * 1e3;
    child.wait().unwrap();
    taken
}

const ON_NETWORK: [&str; 5] = ["run", "--rm", "--pull=never", "--network=shared", IMAGE];

pub(crate) fn first(bench: &Bench) -> Row {
    let podman = bench.podman();
    bench.coracle(["network", "create", "shared"]).ok();
    podman.call(["network", "create", "shared"]).ok();
    let ours = || {
        let taken = first_byte(bench.coracle(ON_NETWORK).args(["echo", "first"]));
        quiet(&bench.env, 0);
        taken
    };
    let theirs = || first_byte(podman.call(ON_NETWORK).args(["echo", "first"]));
    let [ours, peer] = in_turns(ROUNDS, [&mut { ours }, &mut { theirs }]);
    bench.coracle(["network", "rm", "shared"]).ok();
    podman.call(["network", "rm", "shared"]).ok();
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 35 ms, <= 1/8 of podman" }
}

/// While a container is on the network, and another one on a network of its own, so that neither finds more done for it.
pub(crate) fn next(bench: &Bench) -> Row {
    bench.coracle(["network", "create", "shared"]).ok();
    bench.coracle(["run", "-d", "--name=stays", "--network=shared", IMAGE, "sleep", "1000"]).ok();
    let usual = ["run", "--rm", "--pull=never", IMAGE];
    let [ours, floor] = in_turns(
        ROUNDS,
        [&mut || once(bench.coracle(ON_NETWORK).arg("true")), &mut || once(bench.coracle(usual).arg("true"))],
    );
    bench.coracle(["rm", "-f", "-t", "0", "stays"]).ok();
    bench.coracle(["network", "rm", "shared"]).ok();
    let floor = Some(("with the default network", floor));
    Row { unit: "ms", ours, peer: None, floor, target: "<= 1.4 x the default network" }
}

/// The median of many questions, one after the other. Debian's podman answers none without a plug-in.
pub(crate) fn lookup(bench: &Bench) -> Row {
    let mount = format!("-v={}:/net:ro", measure(bench).display());
    bench.coracle(["network", "create", "names"]).ok();
    let start = ["run", "-d", "--pull=never", "--network=names", "--name=there", IMAGE, "sleep", "1000"];
    bench.coracle(start).ok();
    let script =
        format!("/net names $(sed -n 's/^nameserver //p' /etc/resolv.conf | head -n 1) there {TIMES}");
    let ask = ["run", "--rm", "--pull=never", "--network=names", &mount, IMAGE, "sh", "-c", &script];
    let [ours] = in_turns(3, [&mut || numbers(bench.coracle(ask).into_command())[0] * 1e3]);
    bench.coracle(["rm", "-f", "-t", "0", "there"]).ok();
    bench.coracle(["network", "rm", "names"]).ok();
    Row { unit: "us", ours, peer: None, floor: None, target: "<= 200 us" }
}

pub(crate) fn memory(bench: &Bench) -> Row {
    let networks = ["one", "two"];
    let names: Vec<String> = (0..10).map(|number| format!("member{number}")).collect();
    for network in networks {
        bench.coracle(["network", "create", network]).ok();
    }
    for (name, network) in names.iter().zip(networks.iter().cycle()) {
        bench.coracle(["run", "-d", "--network", network, "--name", name, IMAGE, "sleep", "1000"]).ok();
    }
    std::thread::sleep(std::time::Duration::from_secs(2));
    let ours = megabytes(|exe, _| exe == coracle_binary().as_os_str().to_string_lossy());
    bench.coracle(["rm", "-f", "-t", "0"]).args(&names).ok();
    bench.coracle(["network", "rm"]).args(networks).ok();
    Row { unit: "MB", ours, peer: None, floor: None, target: "<= 8 MB" }
}

pub(crate) fn records(bench: &Bench) -> Row {
    let podman = bench.podman();
    let each = |tool: &dyn Fn() -> Call| {
        let verbs: [&[&str]; 3] = [&["create", "kept"], &["ls"], &["rm", "kept"]];
        let taken: f64 = verbs.iter().map(|words| once(tool().arg("network").args(*words))).sum();
        taken / verbs.len() as f64
    };
    let version = || {
        let mut command = Command::new(coracle_binary());
        command.arg("--version");
        timed(command)
    };
    let [ours, peer, floor] = in_turns(
        ROUNDS,
        [&mut || each(&|| bench.coracle([])), &mut || each(&|| podman.call([])), &mut { version }],
    );
    let target = "<= 1.5 x `--version`";
    Row { unit: "ms", ours, peer: Some(peer), floor: Some(("`--version`", floor)), target }
}
