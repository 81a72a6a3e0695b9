//! Progress of long operations on standard error: bars on a terminal, otherwise a line per finished part.
//!
//! No thread draws (rule 1): a bar is redrawn when its owner calls [`Bar::set`], at most ten times a second.

use crate::text::printable;
use crate::text::units::size;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::cell::Cell;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// Shortest time between two drawings of one bar.
const PERIOD: Duration = Duration::from_millis(100);

/// Where progress goes.
#[derive(Debug)]
enum Sink {
    Bars(MultiProgress),
    Lines,
    Nowhere,
}

/// The progress of one command.
#[derive(Debug)]
pub struct Progress {
    sink: Sink,
    /// Whether something was drawn, so that the cursor is behind it.
    drawn: Cell<bool>,
}

impl Progress {
    /// Bars when standard error is a terminal that can move its cursor, else lines; nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let sink = if quiet {
            Sink::Nowhere
        } else if std::io::stderr().is_terminal() && !dumb {
            Sink::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)))
        } else {
            Sink::Lines
        };
        Progress { sink, drawn: Cell::new(false) }
    }

    /// A part of the work with its name and size in bytes; without a size it shows only what is done.
    pub fn bar(&self, name: &str, total: Option<u64>) -> Bar {
        let shown = match &self.sink {
            Sink::Bars(all) => {
                let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
                bar.set_style(style(total.is_some()));
                self.drawn.set(true);
                bar.set_prefix(name.to_owned());
                let bar = all.add(bar);
                // Shown before its first byte has come.
                bar.tick();
                Shown::Bar(bar)
            }
            Sink::Lines => Shown::Line(name.to_owned()),
            Sink::Nowhere => Shown::Nothing,
        };
        Bar { shown, drawn: Cell::new(None) }
    }

    /// Whether there are bars.
    pub fn has_bars(&self) -> bool {
        matches!(self.sink, Sink::Bars(_))
    }

    /// As [`Progress::bar`], for a part that has no line where there are no bars: its owner says what there is to say.
    pub fn bar_only(&self, name: &str, total: Option<u64>) -> Bar {
        if self.has_bars() {
            self.bar(name, total)
        } else {
            Bar { shown: Shown::Nothing, drawn: Cell::new(None) }
        }
    }

    /// Says one line, below the bars when there are any: of what is over, and stays.
    pub fn below(&self, line: &str) {
        match &self.sink {
            Sink::Bars(all) => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
                bar.set_style(finished());
                bar.set_prefix(printable(line).into_owned());
                self.drawn.set(true);
                all.add(bar).finish();
            }
            Sink::Lines | Sink::Nowhere => self.note(line),
        }
    }

    /// Says one line, above the bars when there are any.
    pub fn note(&self, line: &str) {
        let line = &*printable(line);
        match &self.sink {
            // If standard error cannot be written, there is no way to report it.
            Sink::Bars(all) => {
                self.drawn.set(true);
                drop(all.println(line));
            }
            Sink::Lines => say(line),
            Sink::Nowhere => {}
        }
    }
}

impl Drop for Progress {
    /// Whatever comes next begins a line of its own.
    fn drop(&mut self) {
        if self.has_bars() && self.drawn.get() {
            say("");
        }
    }
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Line(String),
    Nothing,
}

/// One part of the work.
#[derive(Debug)]
pub struct Bar {
    shown: Shown,
    drawn: Cell<Option<Instant>>,
}

impl Bar {
    /// How many bytes are done. Cheap: call it as often as you like.
    pub fn set(&self, done: u64) {
        let Shown::Bar(bar) = &self.shown else { return };
        let now = Instant::now();
        if self.drawn.get().is_none_or(|last| now - last >= PERIOD) {
            self.drawn.set(Some(now));
            // What is compressed on its way may come out larger than it was.
            bar.set_position(bar.length().map_or(done, |all| done.min(all)));
        }
    }

    /// All bytes are here; `what` is done with them now, a word or two, shown behind the bar only.
    pub fn doing(&self, what: &str) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(bar.length().unwrap_or_default());
            bar.set_message(what.to_owned());
        }
    }

    /// The part is over; `how` says in a few words: `done`, `already here`.
    pub fn finish(self, how: &str) {
        match &self.shown {
            Shown::Bar(bar) => {
                bar.set_style(finished());
                bar.finish_with_message(how.to_owned());
            }
            Shown::Line(name) => say(&format!("{name}: {how}")),
            Shown::Nothing => {}
        }
    }
}

impl Drop for Bar {
    /// A part that was not finished leaves its bar as it stands.
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown
            && !bar.is_finished()
        {
            bar.abandon();
        }
    }
}

fn say(line: &str) {
    // As above.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// No colours, so NO_COLOR has nothing to switch off.
fn style(sized: bool) -> ProgressStyle {
    let form = if sized { "{prefix} [{bar:30}] {done}/{all} {msg}" } else { "{prefix} {done} {msg}" };
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .progress_chars("=> ")
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&size(state.pos()));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&size(state.len().unwrap_or(0)));
        })
}

fn finished() -> ProgressStyle {
    ProgressStyle::with_template("{prefix} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal that keeps what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Recorder(Arc<Mutex<String>>);

    impl Recorder {
        fn take(&self) -> String {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl indicatif::TermLike for Recorder {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, s: &str) -> io::Result<()> {
            self.write_str(&format!("{s}\n"))
        }
        fn write_str(&self, s: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(s);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bars_show_name_sizes_and_how_it_ended() {
        let term = Recorder::default();
        let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
        let sink = Sink::Bars(MultiProgress::with_draw_target(target));
        let progress = Progress { sink, drawn: Cell::new(false) };
        let bar = progress.bar("0123456789ab", Some(2_000_000));
        bar.set(500_000);
        let drawn = term.take();
        assert!(drawn.contains("0123456789ab [=======>"), "{drawn}");
        assert!(drawn.contains("500kB/2MB"), "{drawn}");
        bar.set(500_001);
        assert_eq!(term.take(), "", "drawn again within the period");
        std::thread::sleep(PERIOD);
        bar.set(2_100_000);
        assert!(term.take().contains("2MB/2MB"), "no more than all");
        progress.note("a note");
        assert!(term.take().contains("a note"));
        bar.finish("done");
        assert!(term.take().contains("0123456789ab done"));
    }

    #[test]
    fn quiet_progress_takes_every_call() {
        let progress = Progress::new(true);
        let bar = progress.bar("x", None);
        bar.set(1);
        bar.doing("unpacking");
        progress.note("unseen");
        bar.finish("done");
    }
}
