//! The rows of `build`: ours against podman's (which is buildah's) and, where `DOCKER_HOST` names a Docker Engine, against
//! the BuildKit in it. That engine needs root, so it is no part of the ordinary bench.

use crate::common::{Call, debian_compilers};
use crate::peer::{BuildKit, Podman};
use crate::pull::settled;
use crate::rows::{Bench, IMAGE, in_turns, once};
use crate::table::{Row, median};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const ROUNDS: usize = 9;
/// Steps in the row about the overhead of one.
const STEPS: usize = 20;

/// Seven steps that change files.
const SEVEN: &str = "WORKDIR /app\n\
    COPY a.txt .\n\
    RUN mkdir data && echo one >data/one\n\
    COPY src src\n\
    RUN cat a.txt src/* >all\n\
    RUN wc -c all >size\n\
    RUN rm -r data && ls >list\n\
    CMD [\"cat\", \"size\"]\n";

/// A context of that file, below the bench's directory.
fn context(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let dir = bench.env.path().join(name);
    fs::create_dir_all(dir.join("src")).unwrap();
    for number in 0..10 {
        fs::write(dir.join(format!("src/{number}")), format!("{number}\n").repeat(1000)).unwrap();
    }
    fs::write(dir.join("a.txt"), "a").unwrap();
    fs::write(dir.join("Containerfile"), format!("FROM {IMAGE}\n{text}")).unwrap();
    dir
}

/// `build` of a context, by any of them.
fn build(call: Call, dir: &Path, options: &[&str]) -> Call {
    call.args(["build", "-q", "-t", "bench", "-f"]).arg(dir.join("Containerfile")).args(options).arg(dir)
}

/// What changed a moment ago is read again.
fn settle() {
    std::thread::sleep(std::time::Duration::from_secs(3));
}

/// A row about builds of one context with these options, of which a first one fills the caches.
fn compared(bench: &Bench, dir: &Path, options: &[&str], target: &'static str) -> Row {
    let podman = bench.podman();
    let ours = || once(build(bench.coracle([]), dir, options));
    let peer = || once(build(podman.call([]), dir, options));
    let Some(buildkit) = BuildKit::new(&bench.env) else {
        let [ours, peer] = in_turns(ROUNDS, [&mut || ours(), &mut || peer()]);
        return Row { unit: "ms", ours, peer: Some(peer), floor: None, target };
    };
    let theirs = || once(build(buildkit.call([]), dir, options));
    let [ours, peer, theirs] = in_turns(ROUNDS, [&mut || ours(), &mut || peer(), &mut || theirs()]);
    Row { unit: "ms", ours, peer: Some(peer), floor: Some(("BuildKit", theirs)), target }
}

pub(crate) fn seven(bench: &Bench) -> Row {
    let dir = context(bench, "seven", SEVEN);
    compared(bench, &dir, &["--no-cache"], "<= 1/8 of podman, <= 1/3 of BuildKit")
}

pub(crate) fn unchanged(bench: &Bench) -> Row {
    let dir = context(bench, "seven", SEVEN);
    compared(bench, &dir, &[], "<= 40 ms, <= 1/5 of BuildKit")
}

pub(crate) fn many_files(bench: &Bench) -> Row {
    let dir = context(bench, "many", "COPY . /all\n");
    for number in 0..20_000 {
        let place = dir.join(format!("files/{}", number % 200));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(number.to_string()), format!("{number}\n")).unwrap();
    }
    settle();
    compared(bench, &dir, &[], "<= 120 ms")
}

pub(crate) fn side_by_side(bench: &Bench) -> Row {
    let one = "RUN sleep 2 && echo one >/one\n";
    let two = format!("{one}FROM {IMAGE} AS other\nRUN sleep 2 && echo two >/two\nCOPY --from=0 /one /one\n");
    let (one, two) = (context(bench, "one", one), context(bench, "two", &two));
    let options = ["--no-cache"];
    let [one, two] = in_turns(
        3,
        [&mut || once(build(bench.coracle([]), &one, &options)), &mut || {
            once(build(bench.coracle([]), &two, &options))
        }],
    );
    Row { unit: "ms", ours: two, peer: None, floor: Some(("one of them", one)), target: "<= 1.2 x the one" }
}

/// What a step writes, and how.
const BIG: &str = "for i in 1 2 3 4 5; do dd if=/dev/zero of=big$i bs=1000000 count=100; done";

pub(crate) fn big_step(bench: &Bench) -> Row {
    let dir = context(bench, "big", &format!("WORKDIR /big\nRUN {BIG}\n"));
    let plain = bench.env.path().join("plain");
    fs::create_dir_all(&plain).unwrap();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&plain).stdin(Stdio::null());
        let begun = Instant::now();
        assert!(command.output().unwrap().status.success(), "{script}");
        begun.elapsed().as_secs_f64() * 1e3
    };
    let podman = bench.podman();
    let options = ["--no-cache", "--network=none"];
    let [ours, peer, floor] = in_turns(
        3,
        [
            &mut || settled(bench, || drop(build(bench.coracle([]), &dir, &options).ok())),
            &mut || settled(bench, || drop(build(podman.call([]), &dir, &options).ok())),
            // The archive is what the step's layer is to other tools.
            &mut || {
                settled(bench, || {
                    shell(&format!("rm -f ../big.tar big*; {BIG}; tar -cf ../big.tar ."));
                })
            },
        ],
    );
    shell("rm -f ../big.tar big*");
    let floor = Some(("dd, then tar of it", floor));
    Row { unit: "ms", ours, peer: Some(peer), floor, target: "<= 1.3 x the floor" }
}

/// Megabytes that a build and all its processes read, of a gigabyte of which it needs ten.
pub(crate) fn left_out(bench: &Bench) -> Row {
    let dir = context(bench, "left-out", "COPY . /all\n");
    fs::create_dir_all(dir.join("rest")).unwrap();
    let fill = |path: PathBuf, megabytes: usize| fs::write(path, vec![b'x'; megabytes * 1_000_000]).unwrap();
    for number in 0..99 {
        fill(dir.join(format!("rest/{number}")), 10);
    }
    fill(dir.join("needed"), 10);
    fs::write(dir.join(".dockerignore"), "rest\n").unwrap();
    settle();
    let read = |call: Call| read_by(build(call, &dir, &["--no-cache"]));
    let (ours, peer) = (read(bench.coracle([])), read(bench.podman().call([])));
    fs::remove_dir_all(dir).unwrap();
    let target = "never reads the rest";
    Row { unit: "MB", ours, peer: Some(peer), floor: Some(("what is needed", 10.0)), target }
}

/// Megabytes that a command and what it started and waited for have read (proc_pid_io(5)).
fn read_by(call: Call) -> f64 {
    let command = call.into_command();
    let mut shell = Command::new("sh");
    shell.args(["-c", r#""$@" >/dev/null && cat /proc/$$/io"#, "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.current_dir("/").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let read = text.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("a count of bytes");
    read.parse::<f64>().unwrap() / 1e6
}

/// Functions of the C program: enough for a compile of about a second.
const FUNCTIONS: usize = 150;

pub(crate) fn c_program(bench: &Bench) -> Row {
    let tar = debian_compilers().expect("a Debian tree with compilers");
    bench.coracle(["import", "-q"]).arg(&tar).arg("localhost/compilers").ok();
    let compile = "gcc -O2 -static -o program program.c";
    let dir = context(bench, "c", "");
    let text = format!(
        "FROM localhost/compilers AS compiled\nWORKDIR /src\nCOPY program.c .\nRUN {compile}\n\
        FROM localhost/compilers AS stripped\nCOPY --from=compiled /src/program /program\nRUN strip /program\n\
        FROM scratch\nCOPY --from=stripped /program /program\nCMD [\"/program\"]\n"
    );
    fs::write(dir.join("Containerfile"), text).unwrap();
    let mut changes = 0;
    let mut change = || {
        changes += 1;
        let function = |n: usize| {
            format!("int f{n}(int x) {{ for (int i = 0; i < x; i++) x ^= i * {n} + {changes}; return x; }}\n")
        };
        let calls: String = (0..FUNCTIONS).map(|n| format!("x = f{n}(x);\n")).collect();
        let all: String = (0..FUNCTIONS).map(function).collect();
        let text = format!(
            "#include <stdio.h>\n{all}int main(int x, char **y) {{ {calls} return !printf(\"%d\", x); }}\n"
        );
        fs::write(dir.join("program.c"), text).unwrap();
    };
    let network = "--network=none";
    let volume = format!("{}:/src", dir.display());
    let alone =
        ["run", "--rm", network, "-w", "/src", "-v", &volume, "localhost/compilers", "sh", "-c", compile];
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    change();
    once(build(bench.coracle([]), &dir, &[network]));
    for _ in 0..5 {
        change();
        ours.push(once(build(bench.coracle([]), &dir, &[network])));
        floor.push(once(bench.coracle([]).args(alone)));
    }
    Row {
        unit: "ms",
        ours: median(ours),
        peer: None,
        floor: Some(("the compile alone, in a container", median(floor))),
        target: "<= 1.3 x the compile",
    }
}

/// Milliseconds that each of many steps adds.
pub(crate) fn true_step(bench: &Bench) -> Row {
    let steps: String = (0..STEPS).map(|n| format!("RUN true {n}\n")).collect();
    let (none, all) = (context(bench, "none", "RUN true\n"), context(bench, "steps", &steps));
    let podman: Podman<'_> = bench.podman();
    let options = ["--no-cache", "--network=none"];
    let step = |call: &dyn Fn() -> Call| {
        let few = once(build(call(), &none, &options));
        (once(build(call(), &all, &options)) - few) / (STEPS - 1) as f64
    };
    let ours = || step(&|| bench.coracle([]));
    let peer = || step(&|| podman.call([]));
    let run = || once(bench.coracle(["run", "--rm", "--network=none", IMAGE, "true"]));
    let [ours, peer, floor] = in_turns(5, [&mut || ours(), &mut || peer(), &mut || run()]);
    Row { unit: "ms", ours, peer: Some(peer), floor: Some(("run --rm of it", floor)), target: "<= 15 ms" }
}
