//! Commands killed at each step that changes the store (`src/failpoint.rs`).
//!
//! Each scenario is played once to learn which steps its processes come to, and then anew, in a store of its own,
//! for each of these steps with the process that comes there killed. Afterwards nothing that was reported done is
//! lost and every object is as it was or as it is to be; the same command and all others work without advice;
//! `system check` is content or repairs; and once all objects are removed, nothing is left.
//!
//! `cargo test` plays one step of each scenario, `make crash` all of them (`CORACLE_TEST_CRASH=all`);
//! `CORACLE_TEST_CRASH=rename`, or `rename:settings.written#1`, plays those of one scenario, or one.

mod scenarios;
mod world;

use crate::common::{State, skip};
use scenarios::Scenario;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use world::{Template, World};

const POINTS: &str = "CORACLE_FAILPOINT";
const LOG: &str = "CORACLE_FAILPOINT_LOG";

/// What a scenario does when nobody disturbs it.
#[derive(Debug)]
struct Lesson {
    scenario: &'static Scenario,
    before: State,
    after: State,
    codes: Vec<i32>,
    /// The steps in the order of their first time: `NAME#TIME`.
    points: Vec<String>,
}

fn learn(template: &Template, scenario: &'static Scenario) -> Lesson {
    let (world, before) = World::new(template, scenario);
    let log = world.path("points");
    let mut codes = Vec::new();
    for act in scenario.acts {
        let (code, said) = world.act(act, &[(LOG, log.to_str().unwrap())]);
        assert!(code < 125, "{act:?}: {code} {said}");
        codes.push(code);
    }
    // Before what comes long after the verb is reached too.
    let after = if scenario.name == "reset" { State::default() } else { world.rested() };
    let mut points: Vec<String> = Vec::new();
    for line in fs::read_to_string(&log).unwrap_or_default().lines() {
        if !points.iter().any(|known| known == line) {
            points.push(line.to_owned());
        }
    }
    Lesson { scenario, before, after, codes, points }
}

/// What came of a kill.
struct Played {
    /// Whether a process is known to have come to the step again.
    reached: bool,
    /// What `system check` had to repair.
    repaired: Option<String>,
}

/// Plays a scenario with a kill at one step.
fn play(template: &Template, lesson: &Lesson, point: &str) -> Played {
    let Lesson { scenario, before, after, codes, .. } = lesson;
    let (world, found) = World::new(template, scenario);
    assert_eq!(found, *before, "each copy is like the others");
    let (kill, log) = (format!("{point}=kill"), world.path("points"));
    let variables = [(POINTS, kill.as_str()), (LOG, log.to_str().unwrap())];
    let played: Vec<i32> = scenario.acts.iter().map(|act| world.act(act, &variables).0).collect();
    let reached = fs::read_to_string(&log).unwrap_or_default().lines().any(|line| line == point);
    // Whether it did its work this time, rather than say that it is done.
    let again = || {
        let mut works = true;
        for (act, wanted) in scenario.acts.iter().zip(codes) {
            let (code, said) = world.act(act, &[]);
            let content = code == *wanted || scenario.again.iter().any(|text| said.contains(text));
            assert!(content, "{act:?} again: exit code {code}\n{said}");
            works &= code == *wanted;
        }
        works
    };
    if scenario.name == "reset" {
        // Nothing is to stay, so the rest of it comes first.
        again();
        return Played { reached, repaired: None };
    }
    let compare = |state: &State, done: bool| {
        let kept = match (scenario.leaves_made || scenario.exchanges) && !(done && played == *codes) {
            true if scenario.exchanges => &state.clone().without_exchange(before),
            true => &state.clone().without_made(before),
            false => state,
        };
        kept.lies_between(before, after, scenario.statuses, done)
    };
    world.at_rest(|state| compare(state, played == *codes));
    world.contents_are_whole();
    // Either may be the first that comes.
    let early = point.len().is_multiple_of(2);
    let found = if early { world.check() } else { None };
    let works = again();
    world.at_rest(|state| compare(state, works));
    world.next_commands_work();
    let found = found.or(world.check());
    world.removing_all_leaves_nothing();
    Played { reached, repaired: found }
}

/// Does this with each of them, as many at a time as there are processors; gives what it said, in order.
fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<Result<R, String>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<R, String>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(at) else { break };
                    let result = catch_unwind(AssertUnwindSafe(|| work(one))).map_err(|panic| {
                        let text = panic.downcast_ref::<String>().map(String::as_str);
                        text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
                    });
                    results.lock().unwrap().push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The steps that the program's source names.
fn named_in(dir: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            named_in(&path, names);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let found = text.split("failpoint::reach(\"").skip(1);
            names.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}

#[test]
fn a_command_killed_at_any_step_leaves_a_store_that_works() {
    let choice = std::env::var("CORACLE_TEST_CRASH").unwrap_or_default();
    let (wanted, step) = choice.split_once(':').unwrap_or((&choice, ""));
    let all = wanted == "all";
    let chosen: Vec<&'static Scenario> = scenarios::ALL
        .iter()
        .filter(|scenario| all || wanted.is_empty() || scenario.name == wanted)
        .collect();
    assert!(!chosen.is_empty(), "no scenario is called {wanted}");
    let template = Template::new();
    let learned = each(&chosen, |scenario| learn(&template, scenario));
    let (mut wrong, mut skipped) = (Vec::new(), false);
    let mut lessons = Vec::new();
    for (scenario, lesson) in chosen.iter().zip(learned) {
        match lesson {
            Ok(lesson) => lessons.push(lesson),
            Err(error) if error.contains("cgroup") => {
                skipped = true;
                skip(&format!("{}: {error}", scenario.name));
            }
            Err(error) => wrong.push(format!("{}, not disturbed: {error}", scenario.name)),
        }
    }
    if wrong.is_empty() && lessons.iter().all(|lesson| lesson.points.is_empty()) {
        return skip("the program has no fail points: it is a release build");
    }
    let mut named = BTreeSet::new();
    named_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut named);
    let mut cases: Vec<(&Lesson, String)> = Vec::new();
    for lesson in &lessons {
        let mut points = lesson.points.clone();
        // Who stands in the container's root cannot reach the log.
        let verb = |point: &str| point.split('.').next().unwrap_or_default().to_owned();
        let verbs: BTreeSet<String> = points.iter().map(|point| verb(point)).collect();
        let known: BTreeSet<String> =
            points.iter().filter_map(|point| Some(point.split_once('#')?.0.to_owned())).collect();
        let silent = named.difference(&known).filter(|name| verbs.contains(&verb(name)));
        points.extend(silent.map(|name| format!("{name}#1")));
        match (all || !wanted.is_empty(), points.len()) {
            (_, 0) => println!("{} comes to no step", lesson.scenario.name),
            (true, _) => {
                let points = points.into_iter().filter(|point| step.is_empty() || point == step);
                cases.extend(points.map(|point| (lesson, point)));
            }
            // Another one for each scenario, the same one every time.
            (false, count) => {
                let at = lesson.scenario.name.bytes().map(usize::from).sum::<usize>() % count;
                cases.push((lesson, points.swap_remove(at)));
            }
        }
    }
    println!("{} commands are killed at a step", cases.len());
    let results = each(&cases, |(lesson, point)| play(&template, lesson, point));
    let (mut reached, mut repaired) = (0, 0);
    for ((lesson, point), result) in cases.iter().zip(results) {
        let case = format!("{}:{point}", lesson.scenario.name);
        match result {
            Ok(played) => {
                reached += usize::from(played.reached);
                if let Some(found) = played.repaired {
                    repaired += 1;
                    println!("{case}: system check repaired\n{found}");
                }
            }
            Err(error) => wrong.push(format!("CORACLE_TEST_CRASH={case}\n{error}")),
        }
    }
    println!("{reached} of {} came to the step, {repaired} stores were repaired", cases.len());
    assert!(wrong.is_empty(), "{} of {} went wrong:\n\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
    if all {
        let reached: BTreeSet<String> =
            cases.iter().filter_map(|(_, point)| Some(point.split_once('#')?.0.to_owned())).collect();
        let never: Vec<_> = named.difference(&reached).collect();
        assert!(skipped || never.is_empty(), "no scenario comes to {never:?}");
    }
}
