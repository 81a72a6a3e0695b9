use super::*;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};

const WRITERS: usize = 16;
const EACH: usize = 400;

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn put_aside(events: &Events) -> Vec<u64> {
    numbers(&make(&events.dir).unwrap()).unwrap()
}

fn all(events: &Events) -> Vec<Event> {
    rest(&mut events.reader(true).unwrap())
}

/// What there is to read now.
fn rest(reader: &mut Reader) -> Vec<Event> {
    std::iter::from_fn(|| reader.next_event().unwrap()).collect()
}

/// A data root, as far as events ask.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("version"), "{}").unwrap();
    dir
}

fn small(dir: &Path) -> Events {
    Events { full: 8 << 10, ..Events::new(dir) }
}

fn numbered_event(writer: usize, n: usize) -> Event {
    let event = Event::new(Type::Container, Action::Start).id(format!("{writer}-{n}"));
    event.attribute("pad", "x".repeat(n % 300))
}

/// Not a test of its own: the writing process of the one below.
#[test]
fn a_writer() {
    let (Ok(dir), Ok(writer)) = (std::env::var("EVENTS_DIR"), std::env::var("EVENTS_WRITER")) else { return };
    let events = small(Path::new(&dir));
    for n in 0..EACH {
        events.append(&numbered_event(writer.parse().unwrap(), n).line(LINE_MAX)).unwrap();
    }
}

#[test]
fn many_processes_lose_and_tear_nothing_while_files_are_put_aside() {
    let dir = store();
    let events = small(dir.path());
    // One who follows, and so must not miss a change of files, either.
    let mut follower = events.reader(false).unwrap();
    let program = std::env::current_exe().unwrap();
    let start = |writer: usize| {
        Command::new(&program)
            .args(["--exact", "storage::events::tests::a_writer", "--test-threads=1"])
            .env("EVENTS_DIR", dir.path())
            .env("EVENTS_WRITER", writer.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut writers: Vec<_> = (0..WRITERS).map(start).collect();
    let mut followed = HashSet::new();
    while followed.len() < WRITERS * EACH {
        let over = writers.iter_mut().all(|w| w.try_wait().unwrap().is_some());
        for event in rest(&mut follower) {
            assert!(followed.insert(event.id.clone()), "{} was read twice", event.id);
        }
        if over {
            break;
        }
        follower.wait(Some(Duration::from_millis(100)));
    }
    for writer in &mut writers {
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(followed.len(), WRITERS * EACH);
    let kept: HashSet<String> = all(&events).into_iter().map(|e| e.id).collect();
    assert_eq!(kept, followed);
    let files = put_aside(&events);
    assert!(files.len() > 3, "only {} files were put aside", files.len());
    for number in files {
        let text = fs::read(events.dir.join(numbered(number))).unwrap();
        // However many write, and whenever: twice the size, and what each had to say by then.
        assert!(text.len() < 2 * events.full as usize + WRITERS * 1024, "{} bytes", text.len());
        assert_eq!(text.last(), Some(&b'\n'));
        for line in text.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            serde_json::from_slice::<Event>(line).unwrap();
        }
    }
}

#[test]
fn what_follows_a_torn_line_is_read() {
    let dir = store();
    let events = Events::new(dir.path());
    events.emit(Event::volume(Action::Create, "one"));
    let path = events.dir.join("current");
    let torn = Event::volume(Action::Create, "two").attribute("a", "{\"time\":\"").line(LINE_MAX);
    open(&path).unwrap().write_all(&torn[..torn.len() - 4]).unwrap();
    events.emit(Event::volume(Action::Create, "three"));
    let names: Vec<String> = all(&events).into_iter().map(|e| e.name).collect();
    assert_eq!(names, ["one", "three"]);
}

#[test]
fn a_line_is_not_handed_on_before_its_end_is_there() {
    let dir = store();
    let events = Events::new(dir.path());
    let mut reader = events.reader(false).unwrap();
    let line = Event::volume(Action::Create, "one").line(LINE_MAX);
    let mut names = Vec::new();
    for part in [&line[..20], &line[20..]] {
        assert!(names.is_empty());
        open(&events.dir.join("current")).unwrap().write_all(part).unwrap();
        names.extend(rest(&mut reader).into_iter().map(|event| event.name));
    }
    assert_eq!(names, ["one"]);
}

#[test]
fn files_of_long_ago_are_passed_over_and_in_the_end_removed() {
    let dir = store();
    let events = Events { full: 1, ..Events::new(dir.path()) };
    let day = SystemTime::now() - Duration::from_secs(86400);
    // Tests beside this one fork, and what they start holds the file's lock for a moment: then it is put
    // aside later.
    let mut lines = 0;
    while put_aside(&events).last() < Some(&30) {
        events.emit(Event::volume(Action::Create, "old"));
        lines += 1;
        open(&events.dir.join("current")).unwrap().set_modified(day).unwrap();
    }
    assert_eq!(put_aside(&events).len(), KEPT);
    let kept = all(&events).len();
    assert!(KEPT < kept && kept < lines, "{kept} of {lines}");
    events.emit(Event::volume(Action::Create, "now"));
    let mut reader = events.reader(true).unwrap();
    reader.skip_to((SystemTime::now() - Duration::from_secs(60)).into()).unwrap();
    let names: Vec<String> = rest(&mut reader).into_iter().map(|event| event.name).collect();
    // The last file that was put aside is read whatever it holds.
    assert_eq!(names.last().map(String::as_str), Some("now"));
    assert!(names.len() <= kept - KEPT + 2, "{} of {kept}", names.len());
}

#[test]
fn long_labels_are_left_out_and_unknown_words_understood() {
    let event = Event::volume(Action::Create, "v").attribute("a", "x".repeat(LINE_MAX));
    assert!(event.line(LINE_MAX).len() < 200);
    let line = br#"{"time":"2026-01-01T00:00:00Z","type":"volume","status":"teleport","more":1}"#;
    assert_eq!(Event::from_line(line).unwrap().status, Action::Unknown);
    assert!(Event::from_line(b"").is_none());
}

/// Neither is waited for or written to; the verb that tells of something goes on.
#[test]
fn a_fifo_or_a_link_in_the_place_of_the_file_is_left_alone() {
    let dir = store();
    let events = Events::new(dir.path());
    events.emit(Event::volume(Action::Create, "one"));
    let current = events.dir.join(CURRENT);
    fs::remove_file(&current).unwrap();
    nix::unistd::mkfifo(&current, nix::sys::stat::Mode::S_IRWXU).unwrap();
    events.emit(Event::volume(Action::Create, "two"));
    assert!(events.reader(true).unwrap().next_event().is_err());
    fs::remove_file(&current).unwrap();
    fs::write(dir.path().join("outside"), "").unwrap();
    std::os::unix::fs::symlink(dir.path().join("outside"), &current).unwrap();
    events.emit(Event::volume(Action::Create, "three"));
    assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "");
}

#[test]
fn a_place_that_cannot_be_written_fails_nothing() {
    Events::new(Path::new("/proc/nowhere")).emit(Event::volume(Action::Create, "v"));
}

/// A monitor that tells of its end while the store is being taken away.
#[test]
fn nothing_is_told_of_a_store_that_is_gone() {
    let dir = store();
    let events = Events::new(dir.path());
    fs::remove_file(dir.path().join("version")).unwrap();
    events.emit(numbered_event(0, 0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
