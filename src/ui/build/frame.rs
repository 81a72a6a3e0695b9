//! What a terminal shows of a build at one moment, as lines that fit its width and height.

use super::trace::{End, Trace, Vertex};
use super::words;
use std::time::Duration;

/// Lines of output that are shown below a running step.
const LOG_LINES: usize = 6;
/// Narrower terminals show no times.
const NARROW: usize = 20;
/// What takes less than this is shown as taking no time.
const NO_TIME: Duration = Duration::from_millis(50);

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// How a line is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Not at all: the first line, and what is running.
    Plain,
    /// What is done.
    Done,
    /// What failed.
    Failed,
    /// What was stopped.
    Canceled,
    /// Output of a step.
    Faint,
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The lines. The last ones, when it is over, are all of them, whatever the height, and no output.
pub(super) fn rows(trace: &Trace, now: Duration, size: Size, last: bool) -> Vec<Row> {
    // The last column stays empty: some terminals go to the next line behind it.
    let columns = size.columns.saturating_sub(1);
    let mut shown: Vec<(Option<&Vertex>, bool, Row)> = Vec::new();
    for vertex in trace.vertices.iter().filter(|vertex| vertex.is_shown()) {
        let running = vertex.is_running();
        shown.push((Some(vertex), running, main_row(vertex, now, columns)));
        for part in &vertex.parts {
            let took = part.ended.or(vertex.ended.as_ref().map(|(at, _)| *at)).unwrap_or(now);
            let amount = words::amount(part.current, part.total);
            let tone = if part.ended.is_some() { Tone::Done } else { Tone::Plain };
            let colon = if amount.is_empty() || part.total.is_some() { "" } else { ":" };
            let name = format!("=> {}{colon}", part.name);
            let took = took.saturating_sub(part.started);
            shown.push((None, running && part.ended.is_none(), row(&name, &amount, took, tone, columns)));
        }
    }
    let room = size.rows.saturating_sub(2);
    while !last && shown.len() > room && !shown.is_empty() {
        // What is running stays as long as possible.
        shown.remove(shown.iter().position(|(_, running, _)| !running).unwrap_or(0));
    }
    let mut free = if last { 0 } else { room - shown.len() };
    let mut rows = vec![header(trace, now, columns, last)];
    for (vertex, running, row) in shown {
        rows.push(row);
        let Some(vertex) = vertex.filter(|_| running) else { continue };
        let count = vertex.lines.len().min(LOG_LINES).min(free);
        for line in vertex.lines.iter().skip(vertex.lines.len() - count) {
            let text = words::cut(&format!(" => => # {}", line.text), columns).into_owned();
            rows.push(Row { text, tone: Tone::Faint });
        }
        free -= count;
    }
    rows
}

fn header(trace: &Trace, now: Duration, columns: usize, last: bool) -> Row {
    let (ended, all) = trace.counts();
    let over =
        if last && ended == all && all > 0 && trace.failed().next().is_none() { " FINISHED" } else { "" };
    let text = format!("[+] Building {:.1}s ({ended}/{all}){over}", now.as_secs_f64());
    Row { text: words::cut(&text, columns).into_owned(), tone: Tone::Plain }
}

fn main_row(vertex: &Vertex, now: Duration, columns: usize) -> Row {
    let (mark, tone) = match &vertex.ended {
        None => ("", Tone::Plain),
        Some((_, End::Done)) => ("", Tone::Done),
        Some((_, End::Cached)) => ("CACHED ", Tone::Done),
        Some((_, End::Failed(_))) => ("ERROR ", Tone::Failed),
        Some((_, End::Canceled)) => ("CANCELED ", Tone::Canceled),
    };
    row(&format!("{mark}{}", vertex.name), "", vertex.took(now), tone, columns)
}

/// ` => NAME AMOUNT      0.3s`, the time at the right edge.
fn row(name: &str, amount: &str, took: Duration, tone: Tone, columns: usize) -> Row {
    if columns < NARROW {
        return Row { text: words::cut(&format!("=> {name}"), columns).into_owned(), tone };
    }
    let took = if took < NO_TIME { Duration::ZERO } else { took };
    let time = format!(" {:.1}s", took.as_secs_f64());
    let room = columns.saturating_sub(words::width(&time) + 4);
    // The amount is left out before the name is.
    let amount =
        if !amount.is_empty() && room > amount.len() + 12 { format!(" {amount}") } else { String::new() };
    let name = words::cut(name, room.saturating_sub(amount.len()));
    let blanks = room.saturating_sub(words::width(&name) + amount.len());
    Row { text: format!(" => {name}{amount}{}{time}", " ".repeat(blanks)), tone }
}
