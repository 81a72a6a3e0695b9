//! The rows of the container life cycle: many containers at once, logs, terminals.

use crate::common::{Call, eventually};
use crate::rows::{Bench, IMAGE, ROUNDS, in_turns, megabytes, once, quiet};
use crate::table::{Row, median};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::Instant;

/// Containers in the rows about many.
const MANY: usize = 1000;
/// Bytes that `yes` writes: with the head of each line, 142 MB of log.
const FLOOD: u64 = 6 << 20;
const KEYS: usize = 200;

fn create(bench: &Bench, names: &[String]) {
    for name in names {
        once(bench.coracle(["create", "--network=none", "--name", name, IMAGE, "sleep", "1000"]));
    }
}

fn each(bench: &Bench, verb: &[&str], names: &[String]) -> f64 {
    once(bench.coracle([]).args(verb).args(names))
}

/// One verb on a thousand containers in one command, held against ten times a hundred of them: whoever
/// takes a lock on everything or keeps a list of all is not linear.
fn many(bench: &Bench, verb: &[&str], before: &[&[&str]]) -> Row {
    let all: Vec<String> = (0..MANY).map(|n| format!("many{n}")).collect();
    let (first, rest) = all.split_at(MANY / 10);
    create(bench, first);
    for step in before {
        each(bench, step, first);
    }
    let few = each(bench, verb, first);
    each(bench, &["rm", "-f", "-t=0"], first);
    quiet(&bench.env, 0);
    create(bench, first);
    create(bench, rest);
    for step in before {
        each(bench, step, &all);
    }
    let taken = each(bench, verb, &all);
    bench.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    quiet(&bench.env, 0);
    Row {
        unit: "ms",
        ours: taken,
        peer: None,
        floor: Some(("ten times a hundred", few * 10.0)),
        target: "linear",
    }
}

pub(crate) fn start_many(bench: &Bench) -> Row {
    many(bench, &["start"], &[])
}

pub(crate) fn stop_many(bench: &Bench) -> Row {
    Row { target: "linear, <= 6 s", ..many(bench, &["stop", "-t=0"], &[&["start"]]) }
}

pub(crate) fn rm_many(bench: &Bench) -> Row {
    many(bench, &["rm"], &[])
}

/// MB/s that a payload gets rid of while all of it is logged.
fn flood(call: Call, name: &str) -> f64 {
    let script = format!("yes | head -c {FLOOD}");
    let bytes = FLOOD as f64 / 1e6;
    bytes
        / (once(call.args([
            "run",
            "--network=none",
            "--pull=never",
            "--log-driver=k8s-file",
            "--name",
            name,
            IMAGE,
            "sh",
            "-c",
            &script,
        ])) / 1e3)
}

pub(crate) fn log_write(bench: &Bench) -> Row {
    let podman = bench.podman();
    let ours = flood(bench.coracle([]), "flood");
    let peer = flood(podman.call([]), "flood");
    bench.coracle(["rm", "-f", "flood"]).ok();
    podman.call(["rm", "-f", "flood"]).ok();
    Row { unit: "MB/s", ours, peer: Some(peer), floor: None, target: ">= 3 x podman" }
}

pub(crate) fn log_read(bench: &Bench) -> Row {
    let podman = bench.podman();
    flood(bench.coracle([]), "flood");
    flood(podman.call([]), "flood");
    let id = bench.coracle(["inspect", "--format", "{{.Id}}", "flood"]).ok().text().to_owned();
    let log = bench.env.root().join("containers").join(id).join("log");
    let megabytes = std::fs::metadata(&log).unwrap().len() as f64 / 1e6;
    let read = |call: Call| megabytes / (once(call.args(["logs", "flood"])) / 1e3);
    let ours = median((0..5).map(|_| read(bench.coracle([]))).collect());
    let peer = read(podman.call([]));
    let copied = Instant::now();
    std::io::copy(&mut File::open(&log).unwrap(), &mut std::io::sink()).unwrap();
    let floor = megabytes / copied.elapsed().as_secs_f64();
    bench.coracle(["rm", "-f", "flood"]).ok();
    podman.call(["rm", "-f", "flood"]).ok();
    Row { unit: "MB/s", ours, peer: Some(peer), floor: Some(("read(2) alone", floor)), target: ">= 500 MB/s" }
}

/// Milliseconds from a key to its echo, through a terminal on both sides.
fn echo(call: Call) -> f64 {
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = call.into_command();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(pty.slave);
    let mut keyboard = File::from(pty.master);
    let mut screen = keyboard.try_clone().unwrap();
    let mut buffer = [0; 4096];
    let mut echoed = |patience: u16| {
        let begun = Instant::now();
        keyboard.write_all(b"x").unwrap();
        loop {
            let mut wait = [PollFd::new(screen.as_fd(), PollFlags::POLLIN)];
            if poll(&mut wait, PollTimeout::from(patience)).unwrap() == 0 {
                return None;
            }
            if screen.read(&mut buffer).map(|n| buffer[..n].contains(&b'x')).unwrap() {
                return Some(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    };
    // What is typed while the terminal is made raw is lost; after a second it is.
    let begun = Instant::now();
    while begun.elapsed().as_secs() < 1 {
        let _ = echoed(100);
    }
    let taken = (0..KEYS).map(|_| echoed(10_000).expect("an echo")).collect();
    let _ = keyboard.write_all(b"\x03");
    let _ = child.wait();
    median(taken)
}

pub(crate) fn key_echo(bench: &Bench) -> Row {
    let podman = bench.podman();
    let start = ["run", "-d", "--name=target", "--network=none", "--pull=never", IMAGE, "sleep", "1000"];
    bench.coracle(start).ok();
    podman.call(start).ok();
    let ours = echo(bench.coracle(["exec", "-it", "target", "cat"]));
    let peer = echo(podman.call(["exec", "-it", "target", "cat"]));
    bench.coracle(["rm", "-f", "-t", "0", "target"]).ok();
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "< 1 ms" }
}

pub(crate) fn memory_with_checks(bench: &Bench) -> Row {
    let checks = ["--health-cmd=true", "--health-interval=1s"];
    let start = ["run", "-d", "--name=target", "--network=none", "--pull=never"];
    bench.coracle(start).args(checks).args([IMAGE, "sleep", "1000"]).ok();
    eventually("a check was made", || {
        bench.coracle(["inspect", "--format", "{{.State.Health.Status}}", "target"]).ok().text() == "healthy"
    });
    // Checks come and go: the mean over some of them.
    let samples = 20;
    let mut sum = 0.0;
    for _ in 0..samples {
        std::thread::sleep(std::time::Duration::from_millis(170));
        sum += megabytes(|exe, _| exe == crate::common::coracle_binary().as_os_str().to_string_lossy());
    }
    let ours = sum / f64::from(samples);
    bench.coracle(["rm", "-f", "-t", "0", "target"]).ok();
    Row { unit: "MB", ours, peer: None, floor: None, target: "<= 1.5 MB" }
}

/// Milliseconds of a `run -d` with these options: to the first byte of its payload, and to its return. The records
/// of a container that stays are on the disk by then; one with `--rm` needs no disk.
fn run_detached(bench: &Bench, options: &[&str]) -> (f64, f64) {
    let dir = bench.env.path().join("first-byte");
    let pipe = dir.join("pipe");
    if !dir.exists() {
        std::fs::create_dir(&dir).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let mount = format!("{}:/bench", dir.display());
    let call = bench.coracle(["run", "-d", "--network=none", "-v", &mount, "--name=first"]).args(options);
    let call = call.args([IMAGE, "sh", "-c", "echo >/bench/pipe; sleep 1000"]);
    let begun = Instant::now();
    let first = std::thread::spawn(move || {
        File::open(pipe).unwrap().read_exact(&mut [0]).unwrap();
        begun.elapsed().as_secs_f64() * 1e3
    });
    let returned = once(call);
    let first = first.join().unwrap();
    once(bench.coracle(["rm", "-f", "-t", "0", "first"]));
    quiet(&bench.env, 0);
    (first, returned)
}

/// What one starts whose end is measured.
const IDLE: [&str; 8] =
    ["run", "-d", "--name=target", "--network=none", "--pull=never", IMAGE, "sleep", "1000"];
const REMOVE: [&str; 5] = ["rm", "-f", "-t", "0", "target"];

/// Milliseconds of a stop that waits for nobody's patience.
pub(crate) fn stop(bench: &Bench) -> Row {
    let podman = bench.podman();
    let stopped = |start: Call, stop: Call| {
        start.ok();
        once(stop)
    };
    bench.coracle(IDLE).ok();
    podman.call(IDLE).ok();
    let (start, stop) = (["start", "target"], ["stop", "-t", "0", "target"]);
    let [ours, peer] = in_turns(
        ROUNDS,
        [&mut || stopped(bench.coracle(start), bench.coracle(stop)), &mut || {
            stopped(podman.call(start), podman.call(stop))
        }],
    );
    bench.coracle(REMOVE).ok();
    podman.call(REMOVE).ok();
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 5 ms, <= 1/12 of podman" }
}

/// Milliseconds of a container that is started and removed at once.
pub(crate) fn there_and_back(bench: &Bench) -> Row {
    let podman = bench.podman();
    let ours = || {
        let taken = once(bench.coracle(IDLE)) + once(bench.coracle(REMOVE));
        quiet(&bench.env, 0);
        taken
    };
    let [ours, peer] =
        in_turns(ROUNDS, [&mut || ours(), &mut || once(podman.call(IDLE)) + once(podman.call(REMOVE))]);
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 1/10 of podman" }
}

pub(crate) fn first_byte(bench: &Bench) -> Row {
    let [ours, floor] =
        in_turns(ROUNDS, [&mut || run_detached(bench, &[]).0, &mut || run_detached(bench, &["--rm"]).0]);
    Row { unit: "ms", ours, peer: None, floor: Some(("with --rm", floor)), target: "<= 1.3 x with --rm" }
}

pub(crate) fn detached(bench: &Bench) -> Row {
    let [ours, floor] =
        in_turns(ROUNDS, [&mut || run_detached(bench, &[]).1, &mut || run_detached(bench, &["--rm"]).1]);
    Row { unit: "ms", ours, peer: None, floor: Some(("with --rm", floor)), target: "the price of the disk" }
}
