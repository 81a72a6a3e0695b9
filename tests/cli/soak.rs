//! Many at once, on the same few names, their commands and monitors killed with -9 at random moments.
//!
//! `make soak` lets it run for `CORACLE_TEST_SOAK` seconds (120) and then looks whether a thousand `run --rm`
//! later one takes as long as at first; `cargo test` plays two seconds. The seed of the run is printed, and
//! taken from `CORACLE_SEED`; the order in which the workers come is the machine's.

use super::reliability::{Dice, IMAGE, NAMES, STATUSES, VERBS, number};
use crate::common::TestEnv;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const WORKERS: u64 = 16;
/// A command that takes longer hangs: all others wait for the same two processors.
const GUARD: Duration = Duration::from_secs(170);
/// Longest life of a command that is to be killed, in microseconds.
const LIFE_MAX: u64 = 200_000;
/// Runs afterwards, and how many of the first and the last are held against each other.
const RUNS: usize = 1500;
const SHARE: usize = 300;

struct Soak {
    env: TestEnv,
    until: Instant,
    played: AtomicU64,
    killed: AtomicU64,
}

impl Soak {
    /// Plays verbs until the time is over.
    fn work(&self, worker: u64, mut dice: Dice) {
        let said = self.env.path().join(format!("said-{worker}"));
        while Instant::now() < self.until {
            let words = VERBS[dice.roll(VERBS.len() as u64) as usize];
            let (one, other) = (dice.of(&NAMES), dice.of(&NAMES));
            let words: Vec<String> =
                words.iter().map(|word| word.replace('@', one).replace('%', other)).collect();
            let file = File::create(&said).unwrap();
            let mut command = self.env.coracle(&words).into_command();
            command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
            let mut child = command.spawn().unwrap();
            let life = match dice.roll(3) {
                0 => Some(Duration::from_micros(dice.roll(LIFE_MAX))),
                _ => None,
            };
            let begun = Instant::now();
            let code = loop {
                match child.try_wait().unwrap() {
                    Some(status) => break status.code().unwrap_or(128 + status.signal().unwrap_or(0)),
                    None if life.is_some_and(|life| begun.elapsed() >= life) => {
                        let _ = child.kill();
                        let _ = child.wait();
                        self.killed.fetch_add(1, Ordering::Relaxed);
                        break 137;
                    }
                    None if begun.elapsed() > GUARD => {
                        let _ = child.kill();
                        panic!("{words:?} hangs");
                    }
                    None => std::thread::sleep(Duration::from_millis(2)),
                }
            };
            self.played.fetch_add(1, Ordering::Relaxed);
            let told = fs::read_to_string(&said).unwrap();
            assert!([0, 1, 2, 3, 125, 126, 127, 137, 255].contains(&code), "{words:?}: {code}\n{told}");
            for bad in ["panicked", "damaged", "system check"] {
                assert!(!told.contains(bad), "{words:?}: {code}\n{told}");
            }
        }
    }

    /// Kills a monitor now and then, and looks at the list that all see.
    fn disturb(&self, mut dice: Dice) {
        while Instant::now() < self.until {
            std::thread::sleep(Duration::from_millis(dice.roll(300)));
            self.look();
            let running = self.env.coracle(["ps", "-q", "--no-trunc"]).ok().lines();
            let Some(id) = running.get(dice.roll(running.len().max(1) as u64) as usize) else { continue };
            let pid = self.env.coracle(["inspect", "--format", "{{.State.ConmonPid}}", id]).run();
            if let Some(pid) = pid.text().parse().ok().filter(|pid| *pid > 1) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }

    /// Every container is listed once, with a status that exists.
    fn look(&self) {
        let listed = self.env.coracle(["ps", "-a", "--format", "{{.ID}}\t{{.Names}}\t{{.Status}}"]).ok();
        let mut names = BTreeMap::new();
        for line in listed.lines() {
            let mut parts = line.split('\t');
            let (id, name, status) =
                (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or_default());
            assert!(STATUSES.iter().any(|legal| status.starts_with(legal)), "{listed}");
            assert!(names.insert(name.to_owned(), id.to_owned()).is_none(), "twice: {listed}");
        }
    }
}

/// The seconds that the runs took which `CORACLE_TEST_SOAK` asks for, in their order.
fn runs(env: &TestEnv) -> Vec<f64> {
    let one = || {
        let begun = Instant::now();
        env.coracle(["run", "--rm", "--network=none", IMAGE, "true"]).ok();
        begun.elapsed().as_secs_f64()
    };
    std::iter::repeat_with(one).take(RUNS).collect()
}

fn median(times: &[f64]) -> f64 {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[test]
fn workers_that_fight_over_names_and_are_killed_leave_a_store_that_works() {
    let asked = number("CORACLE_TEST_SOAK");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("CORACLE_SEED").unwrap_or(now.as_nanos() as u64);
    println!("seed {seed}");
    let soak = Soak {
        env: TestEnv::with_images(),
        until: Instant::now() + Duration::from_secs(asked.unwrap_or(2)),
        played: AtomicU64::new(0),
        killed: AtomicU64::new(0),
    };
    // What is prepared once must not be made in the middle of it.
    soak.env.coracle(["run", "--rm", "--network=none", IMAGE, "true"]).ok();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let soak = &soak;
            scope.spawn(move || soak.work(worker, Dice(seed.wrapping_add(worker))));
        }
        soak.disturb(Dice(seed.wrapping_sub(1)));
    });
    println!("{:?} verbs, {:?} of them killed", soak.played, soak.killed);
    let env = &soak.env;
    soak.look();
    let checked = env.coracle(["system", "check"]).run();
    if checked.code != 0 {
        println!("seed {seed}: system check found {}", checked.stdout);
        env.coracle(["system", "check", "--repair"]).ok();
        env.coracle(["system", "check"]).ok();
    }
    env.coracle(["rm", "-f", "-a", "-t=0"]).ok();
    for name in NAMES {
        env.coracle(["run", "--rm", "--name", name, "--network=none", IMAGE, "true"]).ok();
    }
    env.removing_all_leaves_nothing();
    if asked.is_some() {
        let times = runs(env);
        let (first, last) = (median(&times[..SHARE]), median(&times[RUNS - SHARE..]));
        let milliseconds = |time: f64| time * 1000.0;
        println!("run --rm: {:.1} ms at first, {:.1} ms at last", milliseconds(first), milliseconds(last));
        assert!(
            last <= 1.3 * first,
            "seed {seed}: {RUNS} runs later one takes {:.2} times as long",
            last / first
        );
        env.removing_all_leaves_nothing();
    }
}
