//! Commands and monitors killed with -9 at random moments, verb after verb.
//!
//! Each round plays one verb against a handful of containers and kills the command after a random time,
//! now and then a monitor with it. After each round every record must be readable and every status a
//! legal one; at the end `rm -f -a` must win. `CORACLE_ROUNDS` asks for more rounds, `CORACLE_SEED` for
//! the rounds of a run that failed.

use crate::common::{Output, TestEnv, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) const IMAGE: &str = "busybox";
/// Containers that the verbs fight over.
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];
/// Longest life of a command that is to be killed, in microseconds: most verbs end in less.
const LIFE_MAX: u64 = 30_000;
pub(super) const STATUSES: [&str; 6] = ["Created", "Up ", "Exited (", "Paused", "Restarting", "Stopp"];

/// SplitMix64: a number generator of four lines that says its seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    pub(super) fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll(all.len() as u64) as usize]
    }
}

pub(super) fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Verbs and their arguments; `@` is one of the containers, `%` another.
pub(super) const VERBS: [&[&str]; 34] = [
    &["run", "-d", "--name=@", "--network=none", IMAGE, "sleep", "60"],
    &["run", "-d", "--name=@", "--network=none", "--restart=always", IMAGE, "sh", "-c", "sleep 0.02"],
    &["run", "-d", "--name=@", "--network=none", "--restart=on-failure:3", IMAGE, "false"],
    &["run", "-d", "--name=@", "--network=none", "--replace", "-v=vol:/data", IMAGE, "sleep", "60"],
    &["run", "--name=@", "--network=none", IMAGE, "sh", "-c", "echo out; exit 3"],
    &["run", "--rm", "--network=none", "-v=/anonymous", IMAGE, "true"],
    &["run", "-d", "--rm", "--name=@", IMAGE, "sleep", "60"],
    &["create", "--name=@", "--network=none", IMAGE, "sleep", "60"],
    &["start", "@"],
    &["start", "@", "%"],
    &["restart", "-t=0", "@"],
    &["stop", "-t=0", "@"],
    &["stop", "-t=0", "-a"],
    &["kill", "@"],
    &["rm", "@"],
    &["rm", "-f", "-t=0", "@"],
    &["rm", "-f", "-t=0", "-v", "@", "%"],
    &["rename", "@", "%"],
    &["update", "--restart=no", "@"],
    &["exec", "@", "true"],
    &["exec", "-d", "@", "sleep", "60"],
    &["cp", "@:/bin/busybox", "copied"],
    &["cp", "/etc/passwd", "@:/passwd"],
    &["commit", "-q", "@", "made"],
    &["export", "-o", "exported.tar", "@"],
    &["diff", "@"],
    &["logs", "@"],
    &["inspect", "@"],
    &["volume", "create", "other"],
    &["volume", "rm", "other"],
    &["volume", "prune", "-af"],
    &["container", "prune", "-f"],
    &["rmi", "made"],
    &["system", "prune", "-f"],
];

struct Game {
    env: TestEnv,
    dice: Dice,
    seed: u64,
}

impl Game {
    fn command(&mut self) -> Vec<String> {
        let words = VERBS[self.dice.roll(VERBS.len() as u64) as usize];
        let (one, other) = (self.dice.of(&NAMES), self.dice.of(&NAMES));
        words.iter().map(|word| word.replace('@', one).replace('%', other)).collect()
    }

    /// Plays one verb; gives what it said when it was left to its end.
    fn play(&mut self, words: &[String]) -> Option<Output> {
        let mut running = self.env.coracle(words).start();
        match self.dice.roll(3) {
            0 => return Some(running.wait()),
            _ => std::thread::sleep(Duration::from_micros(self.dice.roll(LIFE_MAX))),
        }
        if running.has_ended() {
            return Some(running.wait());
        }
        running.signal(Signal::SIGKILL);
        // What it started may hold its output; nobody waits for that.
        drop(running);
        None
    }

    fn kill_a_monitor(&mut self) {
        let shown = self.env.coracle(["ps", "-q", "--no-trunc"]).ok().lines();
        let Some(id) = shown.get(self.dice.roll(shown.len().max(1) as u64) as usize) else { return };
        let pid = self.env.coracle(["inspect", "--format", "{{.State.ConmonPid}}", id]).run();
        if let Some(pid) = pid.text().parse().ok().filter(|pid| *pid > 1) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Every container is listed once, with a status that exists.
    fn check(&self, after: &str) {
        let listed = self.env.coracle(["ps", "-a", "--format", "{{.Names}}\t{{.Status}}"]).run();
        assert_eq!(listed.code, 0, "seed {} after {after}: {listed}", self.seed);
        let mut seen = BTreeMap::new();
        for line in listed.lines() {
            let (name, status) = line.split_once('\t').unwrap_or((&line, ""));
            let legal = STATUSES.iter().any(|s| status.starts_with(s));
            assert!(legal, "seed {} after {after}: {listed}", self.seed);
            let before = seen.insert(name.to_owned(), status.to_owned());
            assert!(before.is_none(), "seed {} after {after}, twice: {listed}", self.seed);
        }
    }

    /// An exit code that a command reported is still known after its monitor was killed.
    fn reported_codes_stay(&mut self) {
        self.env.coracle(["rm", "-f", "-t=0", "told"]).ok();
        let code = 1 + self.dice.roll(99) as i32;
        let script = format!("exit {code}");
        let told = ["run", "--name=told", "--network=none", IMAGE, "sh", "-c", &script];
        self.env.coracle(told).fails(code);
        self.kill_a_monitor();
        let kept = self.env.coracle(["wait", "told"]).ok();
        assert_eq!(kept.text(), code.to_string(), "seed {}: {kept}", self.seed);
    }
}

#[test]
fn kill_dash_nine_at_any_moment_leaves_legal_containers() {
    let rounds = number("CORACLE_ROUNDS").unwrap_or(40);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("CORACLE_SEED").unwrap_or(now.as_nanos() as u64);
    let mut game = Game { env: TestEnv::with_images(), dice: Dice(seed), seed };
    let mut killed = 0;
    for round in 0..rounds {
        let words = game.command();
        let output = game.play(&words);
        killed += u64::from(output.is_none());
        if game.dice.roll(4) == 0 {
            game.kill_a_monitor();
        }
        let after = format!("round {round}, {words:?}");
        if let Some(output) = output {
            let known = [0, 1, 2, 3, 125, 126, 127, 137, 255];
            assert!(known.contains(&output.code), "seed {seed} after {after}: {output}");
            assert!(!output.stderr.contains("panicked"), "seed {seed} after {after}: {output}");
        }
        game.check(&after);
        if round % 10 == 0 {
            game.reported_codes_stay();
        }
    }
    println!("{rounds} rounds, {killed} commands were killed, seed {seed}");
    let removed = game.env.coracle(["rm", "-f", "-a", "-t", "0"]).run();
    assert_eq!(removed.code, 0, "seed {seed}: {removed}");
    assert!(game.env.containers().is_empty(), "seed {seed}");
    // The names are free again, and the store works as before.
    for name in NAMES {
        game.env.coracle(["run", "--rm", "--name", name, "--network=none", IMAGE, "true"]).ok();
    }
}

/// A full data root: what runs can be stopped with its own exit code, and `rm -f` wins.
#[test]
fn a_full_data_root_loses_no_exit_code_and_no_container_stays() {
    let env = TestEnv::new();
    let disk = env.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = r#"
        mount -t tmpfs -o size=8m none "$1" || exit 99
        disk=$1 run=$2 program=$3 tree=$4
        c() { "$program" --root "$disk/root" --runroot "$run" "$@"; }
        c run -d --name a --network none --rootfs "$tree" sleep 1000 >/dev/null || exit 1
        c run -d --name b --network none --rootfs "$tree" \
            sh -c 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null || exit 1
        until c logs b | grep -q ready; do sleep 0.05; done
        cat /dev/zero >"$disk/fill" 2>/dev/null
        c stop -t 20 b; echo stop $?
        echo wait $(c wait b)
        c run --rm --network none --rootfs "$tree" true 2>&1 | grep -ci "full"
        c rm -f -t 0 a; echo rm $?
        c rm -f -t 0 b; echo rm $?
        echo left $(c ps -aq | wc -l)
        rm "$disk/fill"
        c run --rm --network none --rootfs "$tree" echo works again
    "#;
    let mut call =
        env.program("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    call = call.arg(&disk).arg(env.runroot()).arg(crate::common::coracle_binary());
    let output = call.arg(env.busybox_rootfs()).run();
    if output.code == 99 {
        return skip("no tmpfs in a user namespace here");
    }
    let expected = ["b", "stop 0", "wait 7", "1", "a", "rm 0", "b", "rm 0", "left 0", "works again"];
    assert_eq!(output.lines(), expected, "{output}");
}

/// What a killed command may leave in `tmp/`: directories that nobody may enter, names that are no text.
#[test]
fn odd_leftovers_go_with_the_next_command() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    env.coracle(["images"]).ok();
    let tmp = env.root().join("tmp");
    let odd = tmp.join(std::ffi::OsStr::from_bytes(b"left-\xff\xfe"));
    for dir in [odd.clone(), tmp.join("closed"), tmp.join("partly")] {
        std::fs::create_dir_all(dir.join("a/b")).unwrap();
        std::fs::write(dir.join("a/b/file"), "x").unwrap();
    }
    std::fs::write(tmp.join(std::ffi::OsStr::from_bytes(b"file-\xff")), "x").unwrap();
    let close = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for inner in ["closed/a/b", "closed/a", "closed", "partly/a"] {
        close(&tmp.join(inner), 0o000);
    }
    close(&tmp.join("partly"), 0o500);
    let plain = crate::common::Layer::new().file("f", 0o644, "x").finish().0;
    for _ in 0..3 {
        env.coracle(["import", "-q", "-"]).stdin(plain.clone()).ok();
    }
    for dir in ["tmp", "trash"] {
        let left: Vec<_> = std::fs::read_dir(env.root().join(dir)).unwrap().flatten().collect();
        assert!(left.is_empty(), "{dir}: {left:?}");
    }
    // Without the user namespace, too.
    std::fs::create_dir_all(tmp.join("again/a")).unwrap();
    close(&tmp.join("again"), 0o000);
    env.coracle(["system", "prune", "-f"]).ok();
    env.coracle(["images"]).ok();
    assert!(!tmp.join("again").exists());
}
