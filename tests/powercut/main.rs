//! A power cut at every flush of the disk, and what is in the store afterwards.
//!
//! Theory of operation. The store lies on an ext4 of its own, on a loop device over a file that
//! `qemu-storage-daemon` shows and whose writes and flushes it logs (`blklogwrites`, the format of dm-log-writes).
//! One verb after the other is run, and the length of the log noted when it reports success. Then the log is
//! replayed up to each flush: a disk that lost its power may hold that and nothing later. Each of these disks is
//! mounted, which has ext4 replay its journal, and looked at: whatever had been reported done before the next
//! flush is there, the verb under way has happened or not, images run, every verb works and `system check` is
//! content or repairs.
//!
//! It needs root, for the mounts; all commands run as the test user. `make crash` runs it; elsewhere it says why
//! it does not. It has no harness, so that its one process is the one that mounts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a test: a panic is how it fails"
)]

#[path = "../common/mod.rs"]
mod common;
mod disk;
mod place;

use common::{Known, Layer, State, busybox, images, scratch, shared_registry, which};
use disk::{Disk, Log};
use place::{Place, User};
use std::collections::BTreeMap;
use std::path::Path;

/// The verbs, in their order, which must succeed; `@pull` is an image in the registry, `@archive` a saved one,
/// `@context` a directory to build from.
const VERBS: [&[&str]; 22] = [
    &["load", "-q", "-i", "@archive"],
    &["tag", "saved:1", "more:1"],
    &["pull", "-q", "@pull"],
    &["volume", "create", "data"],
    &["secret", "create", "secret", "@secret"],
    &["create", "--name=a", "--network=none", "-v=data:/d", "--secret=secret", "more:1", "sleep", "1000"],
    &["rename", "a", "b"],
    &["update", "--restart=on-failure:3", "b"],
    &["run", "-d", "--name=c", "--network=none", "-v=new:/d", "more:1", "sleep", "1000"],
    &["rename", "c", "d"],
    &["update", "--restart=always", "d"],
    &["run", "--name=e", "--network=none", "@pull", "sh", "-c", "echo made >/mark"],
    &["commit", "-q", "e", "made:1"],
    &["commit", "-q", "-s", "e", "made:2"],
    &["build", "-q", "--network=none", "-t=built:1", "@context"],
    &["builder", "prune", "-a", "-f"],
    &["secret", "create", "--replace", "secret", "@archive-list"],
    &["untag", "saved:1", "more:1"],
    &["create", "--name=f", "--network=none", "--restart=always", "saved:1", "true"],
    &["run", "-d", "--replace", "--name=d", "--network=none", "-v=data:/d", "saved:1", "sleep", "1000"],
    &["load", "-q", "-i", "@archive"],
    &["volume", "create", "--label=a=b", "last"],
];

/// Where a container may stand after a power cut, wherever it stood before.
const STATUSES: [&str; 2] = ["created", "exited"];

/// What stands for what in the verbs.
type Words = BTreeMap<&'static str, String>;

/// A verb that has reported success.
struct Mark {
    verb: String,
    /// The length of the log at this moment.
    at: u64,
    state: State,
}

fn main() {
    if let Err(why) = possible() {
        return println!("skipped: {why}");
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    // All mounts go with this process.
    run("mount", &["--make-rprivate", "/"]);
    let dir = scratch("power");
    let user = User::new(&dir);
    let words = fixtures(&user, &dir.join("made"));
    let mut known = Known::default();
    let (log, marks) = record(&user, &dir, &words, &mut known);
    let flushes = log.flushes();
    println!("{} verbs, {} flushes", VERBS.len(), flushes.len());
    let mut wrong: Vec<String> = Vec::new();
    let (mut repaired, mut damage) = (0, BTreeMap::new());
    let mut disk = Disk::copy(&dir.join("start"), &dir.join("replayed"));
    for (number, end) in flushes.iter().enumerate() {
        disk.replay(&log, *end);
        let next = flushes.get(number + 1).copied().unwrap_or(u64::MAX);
        let done = marks.iter().rposition(|mark| mark.at < next).unwrap_or(0);
        let (before, after) = (&marks[done], marks.get(done + 1).unwrap_or(&marks[done]));
        match look(&user, &dir, &disk, &words, &known, (before, after)) {
            Ok(None) => {}
            Ok(Some(found)) => {
                repaired += 1;
                // The number and the sort are enough: ids are not the same a second time.
                let sorts = found.lines().filter_map(|line| line.split_once(": ")).map(|(_, sort)| sort);
                sorts.for_each(|sort| *damage.entry(sort.to_owned()).or_insert(0) += 1);
            }
            Err(error) => {
                let when = format!("flush {number}: {} was reported, {} not", before.verb, after.verb);
                println!("{when}\n{error}\n");
                wrong.push(when);
            }
        }
    }
    println!("{} disks, {repaired} repaired by system check: {damage:#?}", flushes.len());
    assert!(wrong.is_empty(), "{} of them wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Why it cannot be run here.
fn possible() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("it mounts disks, which takes root: run make crash as root".to_owned());
    }
    for program in ["qemu-storage-daemon", "mkfs.ext4", "docker-registry"] {
        which(program).ok_or(format!("{program} is not installed"))?;
    }
    for device in ["/dev/loop-control", "/dev/fuse"] {
        if !Path::new(device).exists() {
            return Err(format!("there is no {device}"));
        }
    }
    Ok(())
}

fn run(program: &str, arguments: &[&str]) {
    let output = std::process::Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the verbs name, made on another disk.
fn fixtures(user: &User, dir: &Path) -> Words {
    let place = Place::new(user, dir);
    let image = |mark: &str| busybox().layer(Layer::new().file("mark", 0o644, format!("{mark}\n")));
    for name in ["saved", "pulled"] {
        image(name).push(shared_registry(), &format!("power/{name}"), "1");
    }
    let file = |name: &str| dir.join(name).display().to_string();
    let saved = shared_registry().reference("power/saved", "1");
    place.call(&["pull", "-q", &saved]).unwrap();
    place.call(&["tag", &saved, "saved:1"]).unwrap();
    place.call(&["save", "-q", "-o", &file("home/archive.tar"), "saved:1"]).unwrap();
    let steps = "COPY mark /mark\nRUN --mount=type=cache,target=/c echo made >/made\n";
    common::write(&dir.join("context/Containerfile"), format!("FROM {saved}\n{steps}"));
    common::write(&dir.join("context/mark"), "made\n");
    common::write(&dir.join("secret"), "one");
    common::write(&dir.join("list"), "two");
    BTreeMap::from([
        ("@archive", file("home/archive.tar")),
        ("@secret", file("secret")),
        ("@archive-list", file("list")),
        ("@context", file("context")),
        ("@pull", shared_registry().reference("power/pulled", "1")),
    ])
}

/// Runs all verbs on a disk whose log is kept.
fn record(user: &User, dir: &Path, words: &Words, known: &mut Known) -> (Log, Vec<Mark>) {
    let place = Place::new(user, &dir.join("live"));
    let disk = Disk::make(user, &dir.join("start"));
    let logged = Disk::copy(disk.path(), &dir.join("logged")).log(&dir.join("log"), &dir.join("shown"));
    logged.mount(&place.root());
    let mut marks = vec![Mark { verb: "nothing".to_owned(), at: 0, state: State::default() }];
    for verb in VERBS {
        let verb: Vec<&str> = verb.iter().map(|word| words.get(word).map_or(*word, String::as_str)).collect();
        place.call(&verb).unwrap();
        let at = logged.length();
        known.learn(&|words| place.call(words)).unwrap();
        let state = State::of(&place.root(), known, &|words| place.call(words)).unwrap();
        marks.push(Mark { verb: verb.join(" "), at, state });
    }
    let length = logged.length();
    place.call(&["rm", "-f", "-a", "-t=0"]).unwrap();
    disk::unmount(&place.root());
    (logged.finish(length), marks)
}

/// Looks at a disk as it was at a flush; gives what `system check` had to repair.
fn look(
    user: &User,
    dir: &Path,
    disk: &Disk,
    words: &Words,
    known: &Known,
    (before, after): (&Mark, &Mark),
) -> Result<Option<String>, String> {
    let place = Place::new(user, &dir.join("again"));
    let copy = Disk::copy(disk.path(), &dir.join("copy"));
    copy.mount(&place.root());
    boot_anew(&place.root());
    let result = examine(&place, words, known, before, after);
    let ended = place.call(&["rm", "-f", "-a", "-t=0"]);
    disk::unmount(&place.root());
    result.and_then(|found| ended.map(|_| found))
}

/// What says that it is of this boot is of an earlier one after a power cut.
fn boot_anew(root: &Path) {
    for layer in common::entries(&root.join("layers")) {
        let mark = layer.join("unsynced");
        if mark.exists() {
            std::fs::write(mark, "an earlier boot").unwrap();
        }
    }
}

fn examine(
    place: &Place<'_>,
    words: &Words,
    known: &Known,
    before: &Mark,
    after: &Mark,
) -> Result<Option<String>, String> {
    let call = |words: &[&str]| place.call(words);
    let mut state = State::of(&place.root(), known, &call)?;
    let mut checked = Ok(String::new());
    if state.has_unreadable() {
        // One whose making was not reported yet, or what follows tells.
        checked = call(&["system", "check"]);
        call(&["system", "check", "--repair"])?;
        state = State::of(&place.root(), known, &call)?;
    }
    let described = |error: String| format!("{error}\n{state:#?}");
    // A container that is to take another's place is made under a name of its own first.
    let compared = match after.verb.contains("--replace --name") {
        true => state.clone().without_made(&before.state),
        false => state.clone(),
    };
    compared.lies_between(&before.state, &after.state, &STATUSES, false).map_err(described)?;
    // Nothing that is in use goes, whatever was lost.
    call(&["image", "prune", "-f"])?;
    let unused = call(&["volume", "ls", "-q", "--filter=dangling=true"])?;
    call(&["volume", "prune", "-f"])?;
    let kept = State::of(&place.root(), known, &call)?;
    for key in state.keys().filter(|key| !kept.keys().any(|kept| kept == *key)) {
        if !unused.lines().any(|volume| key == &format!("volume {volume}")) {
            return Err(format!("pruning took {key}"));
        }
    }
    for (name, _) in images(&call)? {
        let mark = call(&["run", "--rm", "--pull=never", "--network=none", &name, "cat", "/mark"])?;
        if !["saved", "pulled", "made"].contains(&mark.trim()) {
            return Err(format!("{name} shows {mark:?}"));
        }
    }
    checked = checked.and(call(&["system", "check"]));
    if checked.is_err() {
        call(&["system", "check", "--repair"])?;
        call(&["system", "check"])?;
    }
    // What a build had finished is used, or made anew.
    if before.verb.starts_with("build") || after.verb.starts_with("build") {
        call(&["build", "-q", "--network=none", "-t=next:1", &words["@context"]])?;
        let made = call(&["run", "--rm", "--network=none", "next:1", "cat", "/mark", "/made"])?;
        if made != "made\nmade\n" {
            return Err(format!("the next build shows {made:?}"));
        }
    }
    for words in [&["ps", "-a"][..], &["images"], &["system", "df"], &["start", "--all"]] {
        call(words)?;
    }
    Ok(checked.err())
}
