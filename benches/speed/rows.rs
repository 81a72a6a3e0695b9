//! The rows, one function each.

use crate::build;
use crate::common::{Call, TestEnv, coracle_binary, eventually, shared_registry, traces_of};
use crate::images;
use crate::lifecycle;
use crate::network;
use crate::peer::Podman;
use crate::pull;
use crate::push;
use crate::table::{Row, median};
use crate::transfer;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

type Measure = fn(&Bench) -> Row;

pub(crate) const ROWS: [(&str, Measure); 49] = [
    ("`--version`", version),
    ("`--help`", help),
    ("`run --rm --network=none busybox true`, cached", run_cached),
    ("the same while another container runs", run_joined),
    ("the C program under that container's user namespace", floor_joined),
    ("the same with the default network", run_network),
    ("`run -d`, until the payload's first byte", lifecycle::first_byte),
    ("`run -d`, until it returns", lifecycle::detached),
    ("`stop -t 0` of a running `sleep`", lifecycle::stop),
    ("`run -d`, then `rm -f -t 0`", lifecycle::there_and_back),
    ("200 in a row, until deferred work is done", two_hundred),
    ("32 at once, until deferred work is done", thirty_two),
    ("`exec` true", exec),
    ("`ps -a` with 1,000 containers (podman: 200)", ps),
    ("`volume ls` with 1,000, each in a container (podman: 200)", volume_ls),
    ("`images` with 500 images (podman: 100)", images::list),
    ("pull of a Debian image of 5 layers", pull::row),
    ("pull of 1 GB in 8 layers", transfer::large),
    ("memory of that pull, at most", transfer::large_memory),
    ("pull over a line of 100 ms that loses 1 % of the packets", transfer::afar),
    ("push of a pulled image of 8 layers of 64 MiB to an empty registry", push::pulled),
    ("push of a built layer of 500 MB", push::built),
    ("push where everything is there", push::there),
    ("a published port, iperf3", network::published_port),
    ("one byte there and back through a published port", network::ping_pong),
    ("connections per second through a published port", network::connections),
    ("out of an accelerated container, iperf3", network::way_out),
    ("two containers on a network, iperf3", network::between),
    ("the first container on a network, until its payload's first byte", network::first),
    ("`run --rm` on a network that is in use", network::next),
    ("a neighbour's address by its name", network::lookup),
    ("memory of two networks with ten containers, besides slirp4netns and payloads (PSS)", network::memory),
    ("`network create`, `ls` and `rm`, each", network::records),
    ("memory besides the payload's (PSS)", memory),
    ("the same with health checks", lifecycle::memory_with_checks),
    ("`start` of 1,000 containers in one command", lifecycle::start_many),
    ("`stop` of 1,000", lifecycle::stop_many),
    ("`rm` of 1,000", lifecycle::rm_many),
    ("logging a payload's output, `yes`", lifecycle::log_write),
    ("`logs` of that output", lifecycle::log_read),
    ("a keystroke and its echo through `exec -it`", lifecycle::key_echo),
    ("`build` of seven steps on busybox, `--no-cache`", build::seven),
    ("`build` of the same, unchanged", build::unchanged),
    ("`build`, unchanged, of a context of 20,000 files", build::many_files),
    ("`build` of two independent stages of 2 s each", build::side_by_side),
    ("`build` of a step that writes 500 MB", build::big_step),
    ("`build`, bytes read, of a context of 1 GB of which 10 MB are not ignored", build::left_out),
    ("`build` of a C program in 3 stages, one line changed", build::c_program),
    ("`build`, each further `RUN true`", build::true_step),
];

pub(crate) const IMAGE: &str = "docker.io/library/busybox:latest";
const RUN: [&str; 5] = ["run", "--rm", "--network=none", "--pull=never", IMAGE];
const RUN_NETWORK: [&str; 4] = ["run", "--rm", "--pull=never", IMAGE];
pub(crate) const ROUNDS: usize = 41;

/// What all rows share: a cached image on both sides, and the floor program.
pub(crate) struct Bench {
    pub(crate) env: TestEnv,
    floor: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let env = TestEnv::new();
        crate::common::busybox().push(shared_registry(), "library/busybox", "latest");
        env.use_registry(shared_registry().address());
        env.coracle(["pull", "-q", IMAGE]).ok();
        let podman = Podman::new(&env);
        podman.call(["pull", "-q", IMAGE]).ok();
        podman.stop();
        drop(podman);
        let floor = env.path().join("floor");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/floor.c");
        let built =
            Command::new("cc").args(["-O2", "-static", "-o"]).arg(&floor).arg(source).status().unwrap();
        assert!(built.success(), "the floor program cannot be built");
        std::fs::create_dir(env.path().join("floor-work")).unwrap();
        crate::common::busybox_tree(&env.path().join("floor-tree"));
        Bench { env, floor }
    }

    pub(crate) fn podman(&self) -> Podman<'_> {
        Podman::new(&self.env)
    }

    pub(crate) fn machine(&self) -> String {
        let first = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).output().map(|o| o.stdout).unwrap_or_default();
            String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
        };
        format!(
            "{} processors, Linux {}, {}, {}, {}",
            std::thread::available_parallelism().map_or(0, usize::from),
            first("uname", &["-r"]).split('-').next().unwrap_or_default(),
            first("podman", &["--version"]),
            first("runc", &["--version"]),
            first("slirp4netns", &["--version"]),
        )
    }

    pub(crate) fn coracle<const N: usize>(&self, args: [&str; N]) -> Call {
        self.env.coracle(args)
    }

    fn floor_once(&self) -> f64 {
        self.floor_with(&[])
    }

    fn floor_with(&self, options: &[&str]) -> f64 {
        let mut command = Command::new(&self.floor);
        command.args(options).arg(self.env.path().join("floor-tree")).arg(self.env.path().join("floor-work"));
        command.arg("/bin/true");
        timed(command)
    }
}

/// The least that a static program can do.
const HELLO: &str = "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n";

fn hello(bench: &Bench) -> PathBuf {
    let program = bench.env.path().join("hello");
    let source = bench.env.file("hello.c", HELLO);
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(built.success(), "the hello program cannot be built");
    program
}

/// The program's start alone, against that of a static C program.
fn start_up(bench: &Bench, option: &str, target: &'static str) -> Row {
    let hello = hello(bench);
    let binary = coracle_binary();
    let ours = || {
        let mut command = Command::new(&binary);
        command.arg(option);
        timed(command)
    };
    let [ours, floor] = in_turns(501, [&mut { ours }, &mut || timed(Command::new(&hello))]);
    Row { unit: "ms", ours, peer: None, floor: Some(("static hello in C", floor)), target }
}

fn version(bench: &Bench) -> Row {
    start_up(bench, "--version", "<= 1.5 x the floor")
}

fn help(bench: &Bench) -> Row {
    start_up(bench, "--help", "for comparison")
}

/// Milliseconds of one command from spawn to exit; its output is thrown away.
pub(crate) fn timed(mut command: Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().unwrap();
    let taken = begun.elapsed().as_secs_f64() * 1e3;
    if !status.success() {
        // Once more, to see what it says.
        let again = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        panic!("{command:?} failed: {status}\n{}", String::from_utf8_lossy(&again.stderr));
    }
    taken
}

pub(crate) fn once(call: Call) -> f64 {
    timed(call.into_command())
}

/// Lets deferred work end, so that it is not counted against whoever is measured next.
pub(crate) fn quiet(env: &TestEnv, before: usize) {
    let root = env.root();
    eventually("deferred work has ended", || traces_of(&root).to_string().lines().count() <= before);
}

/// Milliseconds of a run of `true`; its deferred work has ended when this returns.
fn run_once(env: &TestEnv, run: &[&str], before: usize) -> f64 {
    let taken = once(env.coracle(run).arg("true"));
    quiet(env, before);
    taken
}

/// Medians of several contestants, measured in turns.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    mut contestants: [&mut dyn FnMut() -> f64; N],
) -> [f64; N] {
    let mut taken = [const { Vec::new() }; N];
    for round in 0..=rounds {
        for (contestant, taken) in contestants.iter_mut().zip(&mut taken) {
            let value = contestant();
            // The first round warms up.
            if round > 0 {
                taken.push(value);
            }
        }
    }
    taken.map(median)
}

fn run_cached(bench: &Bench) -> Row {
    let podman = bench.podman();
    let [ours, peer, floor] = in_turns(
        ROUNDS,
        [&mut || run_once(&bench.env, &RUN, 0), &mut || once(podman.call(RUN).arg("true")), &mut || {
            bench.floor_once()
        }],
    );
    let target = "<= 2.5 x the floor, <= 1/15 of podman";
    Row { unit: "ms", ours, peer: Some(peer), floor: Some(("C program", floor)), target }
}

/// Measured in turns, each in a store of its own: what one run removes makes the next one's files dearer
/// (ext4 looks at each inode that was freed a moment ago), so who comes later would pay for who came before.
fn run_joined(bench: &Bench) -> Row {
    let other = TestEnv::new();
    other.use_registry(shared_registry().address());
    other.coracle(["pull", "-q", IMAGE]).ok();
    other.coracle(["run", "-d", "--name=other", "--network=none", IMAGE, "sleep", "1000"]).ok();
    let before = traces_of(&other.root()).to_string().lines().count();
    let [alone, joined] =
        in_turns(ROUNDS, [&mut || run_once(&bench.env, &RUN, 0), &mut || run_once(&other, &RUN, before)]);
    Row {
        unit: "ms",
        ours: joined,
        peer: None,
        floor: Some(("a run alone", alone)),
        target: "<= 0.7 x a run alone",
    }
}

/// What is left for the kernel to charge when nothing but the user namespace is saved.
fn floor_joined(bench: &Bench) -> Row {
    bench.coracle(["run", "-d", "--name=other", "--network=none", IMAGE, "sleep", "1000"]).ok();
    let monitor =
        bench.coracle(["inspect", "--format", "{{.State.ConmonPid}}", "other"]).ok().text().to_owned();
    let [joined, alone] =
        in_turns(ROUNDS, [&mut || bench.floor_with(&["--join", &monitor]), &mut || bench.floor_once()]);
    bench.coracle(["rm", "-f", "-t", "0", "other"]).ok();
    Row { unit: "ms", ours: joined, peer: None, floor: Some(("C program", alone)), target: "for comparison" }
}

fn run_network(bench: &Bench) -> Row {
    let podman = bench.podman();
    let [ours, peer] = in_turns(
        ROUNDS,
        [&mut || run_once(&bench.env, &RUN_NETWORK, 0), &mut || once(podman.call(RUN_NETWORK).arg("true"))],
    );
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 1/8 of podman" }
}

/// Until nothing that names the directory runs any more, beyond what did before.
fn to_the_end(dir: &Path, work: impl FnOnce()) -> f64 {
    let before = traces_of(dir).to_string().lines().count();
    let begun = Instant::now();
    work();
    while traces_of(dir).to_string().lines().count() > before {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    begun.elapsed().as_secs_f64() * 1e3
}

fn two_hundred_times(call: impl Fn() -> Call) {
    for _ in 0..200 {
        once(call());
    }
}

fn two_hundred(bench: &Bench) -> Row {
    let podman = bench.podman();
    once(podman.call(RUN).arg("true"));
    let ours = to_the_end(&bench.env.root(), || two_hundred_times(|| bench.coracle(RUN).arg("true")));
    let dir = bench.env.path().join("podman");
    let peer = to_the_end(&dir, || two_hundred_times(|| podman.call(RUN).arg("true")));
    let floor = (0..200).map(|_| bench.floor_once()).sum();
    Row { unit: "ms", ours, peer: Some(peer), floor: Some(("C program", floor)), target: "<= 1/12 of podman" }
}

fn at_once(calls: Vec<Call>) {
    let started: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let mut command = call.into_command();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut child in started {
        assert!(child.wait().unwrap().success(), "one of 32 failed");
    }
}

fn thirty_two(bench: &Bench) -> Row {
    let podman = bench.podman();
    once(podman.call(RUN).arg("true"));
    let dir = bench.env.path().join("podman");
    let [ours, peer] = in_turns(
        3,
        [
            &mut || {
                to_the_end(&bench.env.root(), || {
                    at_once((0..32).map(|_| bench.coracle(RUN).arg("true")).collect())
                })
            },
            &mut || to_the_end(&dir, || at_once((0..32).map(|_| podman.call(RUN).arg("true")).collect())),
        ],
    );
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 1/12 of podman" }
}

fn exec(bench: &Bench) -> Row {
    let podman = bench.podman();
    let start = ["run", "-d", "--name=target", "--network=none", "--pull=never", IMAGE, "sleep", "1000"];
    bench.coracle(start).ok();
    podman.call(start).ok();
    let [ours, peer] = in_turns(
        ROUNDS,
        [&mut || once(bench.coracle(["exec", "target", "true"])), &mut || {
            once(podman.call(["exec", "target", "true"]))
        }],
    );
    bench.coracle(["rm", "-f", "-t", "0", "target"]).ok();
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 1/15 of podman" }
}

fn ps(bench: &Bench) -> Row {
    let podman = bench.podman();
    for _ in 0..1000 {
        once(bench.coracle(["run", "--network=none", IMAGE, "true"]));
    }
    for _ in 0..200 {
        once(podman.call(["create", "--network=none", "--pull=never", IMAGE, "true"]));
    }
    assert_eq!(bench.env.containers().len(), 1000);
    let [ours, peer] =
        in_turns(21, [&mut || once(bench.coracle(["ps", "-a"])), &mut || once(podman.call(["ps", "-a"]))]);
    bench.coracle(["rm", "-f", "-a", "-t", "0"]).ok();
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 15 ms" }
}

fn volume_ls(bench: &Bench) -> Row {
    let podman = bench.podman();
    let create = ["create", "--network=none", "--pull=never"];
    let volume = |n: usize| format!("volume{n}:/data");
    for n in 0..1000 {
        once(bench.coracle(create).args(["-v", &volume(n), IMAGE, "true"]));
    }
    for n in 0..200 {
        once(podman.call(create).args(["-v", &volume(n), IMAGE, "true"]));
    }
    let list = ["volume", "ls"];
    let [ours, peer] = in_turns(21, [&mut || once(bench.coracle(list)), &mut || once(podman.call(list))]);
    for tool in [bench.coracle(["rm", "-f", "-a"]), podman.call(["rm", "-f", "-a"])] {
        tool.ok();
    }
    for tool in [bench.coracle(["volume", "prune", "-f"]), podman.call(["volume", "prune", "-f"])] {
        tool.ok();
    }
    Row { unit: "ms", ours, peer: Some(peer), floor: None, target: "<= 15 ms" }
}

/// Everything we keep running beside the payload and slirp4netns, against podman's conmon.
fn memory(bench: &Bench) -> Row {
    let podman = bench.podman();
    let start = ["run", "-d", "--name=target", "--pull=never", IMAGE, "sleep", "1000"];
    bench.coracle(start).ok();
    podman.call(start).ok();
    // A container that stays is what is asked about; see `SETTLED` in runtime/relay.rs.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let ours = megabytes(|exe, _| exe == coracle_binary().as_os_str().to_string_lossy());
    let dir = bench.env.path().join("podman").display().to_string();
    let peer = megabytes(|exe, line| {
        line.contains(&dir) && ["conmon", "podman", "rootlessport"].iter().any(|p| exe.contains(p))
    });
    bench.coracle(["rm", "-f", "-t", "0", "target"]).ok();
    Row { unit: "MB", ours, peer: Some(peer), floor: None, target: "<= 2 MB" }
}

/// The memory of processes, chosen by program and command line: PSS, or where that may not be read (the
/// monitor is not dumpable) its upper bound, all anonymous pages and the mapped part of the program once.
pub(crate) fn megabytes(wanted: impl Fn(&str, &str) -> bool) -> f64 {
    let mut sum = 0.0;
    let mut program: f64 = 0.0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let line = read("cmdline").replace('\0', " ");
        let exe = std::fs::read_link(entry.path().join("exe")).map(|p| p.display().to_string());
        let exe = exe.unwrap_or_else(|_| line.split(' ').next().unwrap_or_default().to_owned());
        if !wanted(&exe, &line) {
            continue;
        }
        let field = |text: &str, name: &str| -> Option<f64> {
            text.lines().find(|l| l.starts_with(name))?.split_whitespace().nth(1)?.parse().ok()
        };
        if let Some(pss) = field(&read("smaps_rollup"), "Pss:") {
            sum += pss;
        } else {
            let status = read("status");
            sum += field(&status, "RssAnon:").unwrap_or(0.0);
            program = program.max(field(&status, "RssFile:").unwrap_or(0.0));
        }
    }
    (sum + program) / 1024.0
}
