use super::Mode;
use super::frame::{Size, Tone, rows};
use super::plain::Plain;
use super::show::Show;
use super::trace::Trace;
use super::tty::Tty;
use crate::build::event::{Event, VertexId};
use std::cell::Cell;
use std::time::Duration;

fn declared(id: u32, name: &str) -> Event {
    Event::Declared { vertex: VertexId(id), name: name.into() }
}

fn output(id: u32, text: &str) -> Event {
    Event::Output { vertex: VertexId(id), stderr: false, bytes: text.as_bytes().to_vec() }
}

fn part(id: u32, what: &str, current: u64, total: Option<u64>) -> Event {
    Event::Progress { vertex: VertexId(id), what: what.into(), current, total }
}

use Event::{Cached, Canceled, Done, Failed, Started};

fn ms(at: u64) -> Duration {
    Duration::from_millis(at)
}

/// A small build with everything in it: milliseconds and events.
fn recorded() -> Vec<(u64, Event)> {
    let id = VertexId;
    vec![
        (0, declared(1, "[internal] load build context")),
        (0, declared(2, "[build 1/2] FROM docker.io/library/alpine:3")),
        (0, declared(3, "[build 2/2] RUN make")),
        (0, declared(4, "exporting to image")),
        (0, Started(id(1))),
        (10, part(1, "transferring context", 31, None)),
        (40, Done(id(1))),
        (50, Cached(id(2))),
        (60, Started(id(3))),
        (183, output(3, "gcc -c a.c\n\x1b[1mgcc\x1b[0m -c b.c\n")),
        (460, Done(id(3))),
        (470, Started(id(4))),
        (480, part(4, "sha256:0123456789ab", 1_000_000, Some(2_000_000))),
        (490, part(4, "sha256:0123456789ab", 2_000_000, Some(2_000_000))),
        (500, Done(id(4))),
    ]
}

fn plain(events: &[(u64, Event)]) -> String {
    let mut out = Vec::new();
    let mut show = Plain::new(&mut out);
    events.iter().for_each(|(at, event)| show.event(event, ms(*at)).unwrap());
    show.end(ms(events.last().map_or(0, |(at, _)| *at))).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn plain_lines_are_buildkits() {
    let wanted = "\
#1 [internal] load build context
#1 transferring context: 31B
#1 transferring context: 31B 0.0s done
#1 DONE 0.0s

#2 [build 1/2] FROM docker.io/library/alpine:3
#2 CACHED

#3 [build 2/2] RUN make
#3 0.123 gcc -c a.c
#3 0.123 gcc -c b.c
#3 DONE 0.4s

#4 exporting to image
#4 sha256:0123456789ab 1.00MB / 2.00MB
#4 sha256:0123456789ab 2.00MB / 2.00MB done
#4 DONE 0.0s
";
    assert_eq!(plain(&recorded()), wanted);
}

#[test]
fn plain_lines_of_steps_side_by_side_stay_together() {
    let id = VertexId;
    let text = plain(&[
        (0, declared(1, "[a 1/1] RUN one")),
        (0, declared(2, "[b 1/1] RUN two")),
        (0, declared(3, "[c 1/1] RUN three")),
        (0, Started(id(1))),
        (0, Started(id(2))),
        (100, output(1, "one a\n")),
        (200, output(2, "two a\n")),
        (300, output(1, "one b\n")),
        // The second has waited for long enough.
        (5200, output(2, "two b\n")),
        (5300, output(1, "one c\n")),
        (5400, Done(id(1))),
        (5500, output(2, "two c\n")),
        (5600, Failed(id(2), "exit code: 1".into())),
        (5600, Canceled(id(3))),
    ]);
    let wanted = "\
#1 [a 1/1] RUN one
#1 0.100 one a
#1 0.300 one b
#1 ...

#2 [b 1/1] RUN two
#2 0.200 two a
#2 5.200 two b
#2 ...

#1 [a 1/1] RUN one
#1 5.300 one c
#1 DONE 5.4s

#2 [b 1/1] RUN two
#2 5.500 two c
#2 ERROR: exit code: 1
------
 > [b 1/1] RUN two:
0.200 two a
5.200 two b
5.500 two c
------
";
    assert_eq!(text, wanted);
}

/// Also of one that waits for its turn, and more than are kept for the case that it fails.
#[test]
fn plain_progress_has_every_line_of_output() {
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("line {n}\n")).collect::<String>();
    let text = plain(&[
        (0, declared(1, "[a 1/1] RUN one")),
        (0, declared(2, "[b 1/1] RUN two")),
        (0, Started(VertexId(1))),
        (0, Started(VertexId(2))),
        (10, output(1, &lines(1, 500))),
        (20, output(2, &lines(1, 300))),
        (30, output(2, &lines(301, 2500))),
        (40, output(2, &lines(2501, 2800))),
        (50, Done(VertexId(1))),
        (60, Done(VertexId(2))),
    ]);
    for (id, count) in [(1, 500), (2, 2800)] {
        let start = format!("#{id} 0.");
        let found: Vec<&str> =
            text.lines().filter(|l| l.starts_with(&start)).map(|l| l.rsplit(' ').next().unwrap()).collect();
        assert_eq!(found, (1..=count).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn plain_progress_is_shown_now_and_then() {
    let mut events = vec![(0, declared(1, "pull")), (0, Started(VertexId(1)))];
    // A hundredth each time: a line for each five, and no more.
    events.extend((1..=100).map(|n| (n * 10, part(1, "sha256:ab", n * 10_000, Some(1_000_000)))));
    events.push((1100, Done(VertexId(1))));
    assert_eq!(plain(&events).matches("sha256:ab").count(), 21);
}

fn traced(events: &[(u64, Event)]) -> Trace {
    let mut trace = Trace::default();
    for (at, event) in events {
        trace.note(event, ms(*at));
    }
    trace
}

fn texts(events: &[(u64, Event)], now: u64, columns: usize, height: usize, last: bool) -> Vec<String> {
    let shown = rows(&traced(events), ms(now), Size { columns, rows: height }, last);
    shown.into_iter().map(|row| row.text).collect()
}

#[test]
fn a_frame_shows_what_runs_with_its_output() {
    let running = &recorded()[..10];
    let wanted = [
        "[+] Building 1.3s (2/4)",
        " => [internal] load build context                               0.0s",
        " => => transferring context: 31B                                0.0s",
        " => CACHED [build 1/2] FROM docker.io/library/alpine:3          0.0s",
        " => [build 2/2] RUN make                                        1.2s",
        " => => # gcc -c a.c",
        " => => # gcc -c b.c",
    ];
    assert_eq!(texts(running, 1260, 69, 24, false), wanted);
    assert!(wanted[1].len() == 68 && wanted[4].len() == 68, "the last column stays empty");
}

#[test]
fn the_last_frame_shows_everything_and_no_output() {
    let shown = texts(&recorded(), 500, 80, 5, true);
    assert_eq!(shown[0], "[+] Building 0.5s (4/4) FINISHED");
    assert_eq!(shown.len(), 1 + 4 + 2);
    assert!(!shown.iter().any(|row| row.contains("gcc")));
    let mut failed = recorded();
    failed.truncate(10);
    failed.push((200, Failed(VertexId(3), "exit code: 2".into())));
    failed.push((200, Canceled(VertexId(4))));
    let trace = traced(&failed);
    let shown = rows(&trace, ms(200), Size { columns: 80, rows: 24 }, true);
    assert_eq!(shown[0].text, "[+] Building 0.2s (4/4)");
    let last = shown.last().unwrap();
    assert!(
        last.text.starts_with(" => ERROR [build 2/2] RUN make ") && last.tone == Tone::Failed,
        "{last:?}"
    );
}

#[test]
fn frames_fit_the_terminal() {
    let mut events = vec![];
    for id in 1..=30 {
        events.push((0, declared(id, &format!("[stage {id}/30] RUN \u{4e16}\u{754c} {}", "x".repeat(200)))));
        events.push((0, Started(VertexId(id))));
        events.push((0, output(id, &"y".repeat(300))));
        events.push((0, output(id, "\n")));
        if id % 3 != 0 {
            events.push((1, Done(VertexId(id))));
        }
    }
    for (columns, height) in [(80, 24), (40, 14), (20, 8), (10, 6), (3, 3), (1, 1), (0, 0)] {
        let shown = texts(&events, 100, columns, height, false);
        assert!(shown.len() <= height.max(1), "{columns}x{height}: {}", shown.len());
        let widest = shown.iter().map(|row| super::words::width(row)).max();
        assert!(widest < Some(columns.max(1)), "{columns}: {widest:?}");
    }
    let short = texts(&events, 100, 80, 14, false);
    assert!(short[1..].iter().filter(|row| row.contains("[stage")).count() >= 10);
    assert!(short.iter().any(|row| row.contains("[stage 3/30]")), "what runs stays: {short:?}");
}

thread_local! {
    static COLUMNS: Cell<usize> = const { Cell::new(80) };
}

#[test]
fn a_drawing_replaces_the_last_one() {
    let mut out = Vec::new();
    let size = || Size { columns: COLUMNS.get(), rows: 24 };
    let mut show = Tty::new(&mut out, size, true);
    for (at, event) in &recorded()[..9] {
        show.event(event, ms(*at)).unwrap();
    }
    // Within the period nothing is drawn.
    show.event(&Event::Tick, ms(90)).unwrap();
    show.event(&Event::Tick, ms(200)).unwrap();
    COLUMNS.set(40);
    show.event(&Event::Tick, ms(400)).unwrap();
    show.end(ms(500)).unwrap();
    COLUMNS.set(80);
    let text = String::from_utf8(out).unwrap();
    let ups: Vec<&str> =
        text.split("\r\u{1b}[").skip(1).map(|part| part.split('A').next().unwrap()).collect();
    // One line at first; then five; after the terminal shrank those took twice as many but for the first.
    assert_eq!(ups, ["1", "9", "5"], "{text:?}");
    assert_eq!(text.matches("\u{1b}[?25l").count(), text.matches("\u{1b}[?25h").count());
    assert!(text.contains("\u{1b}[34m => CACHED [build"), "{text:?}");
    let mut plain = Vec::new();
    let mut show = Tty::new(&mut plain, || Size { columns: 80, rows: 24 }, false);
    recorded().iter().for_each(|(at, event)| show.event(event, ms(*at)).unwrap());
    show.end(ms(500)).unwrap();
    assert!(!String::from_utf8(plain).unwrap().contains("\u{1b}[3"));
}

#[test]
fn a_terminal_shows_the_output_of_a_step_that_failed() {
    let mut events = recorded();
    events.truncate(10);
    events.push((200, Failed(VertexId(3), "exit code: 2".into())));
    let mut out = Vec::new();
    let mut show = Tty::new(&mut out, || Size { columns: 80, rows: 24 }, false);
    events.iter().for_each(|(at, event)| show.event(event, ms(*at)).unwrap());
    show.end(ms(200)).unwrap();
    let text = String::from_utf8(out).unwrap();
    let wanted = "------\n > [build 2/2] RUN make:\n0.123 gcc -c a.c\n0.123 gcc -c b.c\n------\n";
    assert!(text.ends_with(wanted), "{text}");
}

#[test]
fn modes_have_dockers_names() {
    use clap::ValueEnum as _;
    let names: Vec<String> = Mode::value_variants()
        .iter()
        .map(|mode| mode.to_possible_value().unwrap().get_name().to_owned())
        .collect();
    assert_eq!(names, ["auto", "plain", "tty", "rawjson", "quiet", "none"]);
}
