//! `docker top`: the output of the host's ps(1) for the container's processes, with the host's pids and names,
//! in the commonly used formats. Other arguments are taken as columns of podman's `top`.

use super::columns::{percent, terminal};
use super::table::Table;
use crate::runtime::processes::{self, Names, Process};
use chrono::{DateTime, Local, TimeDelta, Utc};
use std::time::Duration;

/// One of ps's columns: its keyword and its header.
pub(super) type Column = (&'static str, &'static str);

/// `ps -ef`, docker's default.
const FULL: [Column; 8] = [
    ("user", "UID"),
    ("pid", "PID"),
    ("ppid", "PPID"),
    ("c", "C"),
    ("stime", "STIME"),
    ("tty", "TTY"),
    ("time", "TIME"),
    ("args", "CMD"),
];

/// `ps aux`.
const USER: [Column; 11] = [
    ("user", "USER"),
    ("pid", "PID"),
    ("pcpu", "%CPU"),
    ("pmem", "%MEM"),
    ("vsz", "VSZ"),
    ("rss", "RSS"),
    ("tty", "TTY"),
    ("stat", "STAT"),
    ("stime", "START"),
    ("bsdtime", "TIME"),
    ("args", "COMMAND"),
];

/// `ps x`.
const SHORT: [Column; 5] =
    [("pid", "PID"), ("tty", "TTY"), ("stat", "STAT"), ("bsdtime", "TIME"), ("args", "COMMAND")];

/// `ps -e`.
const EVERY: [Column; 4] = [("pid", "PID"), ("tty", "TTY"), ("time", "TIME"), ("comm", "CMD")];

/// The columns for these options of ps; `None` for other words.
pub(super) fn columns(words: &[String]) -> Option<Vec<Column>> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Some(match words.as_slice() {
        [] | ["-ef" | "ef" | "-f" | "-eF"] => FULL.to_vec(),
        ["aux" | "-aux" | "auxww" | "auxw" | "u"] => USER.to_vec(),
        ["ax" | "x" | "-x" | "-ax"] => SHORT.to_vec(),
        ["-e" | "-A"] => EVERY.to_vec(),
        _ => return None,
    })
}

/// The table of the processes.
pub(super) fn table(columns: &[Column], processes: &[Process]) -> Table {
    let (names, uptime) = (Names::of_host(), processes::uptime());
    let row =
        |process: &Process| columns.iter().map(|(name, _)| cell(name, process, &names, uptime)).collect();
    Table {
        titles: columns.iter().map(|(_, title)| *title).collect(),
        rows: processes.iter().map(row).collect(),
    }
}

fn cell(name: &str, p: &Process, names: &Names, uptime: Duration) -> String {
    let age = uptime.saturating_sub(p.started);
    let share = percent(p.cpu.as_secs_f64(), age.as_secs_f64());
    match name {
        "user" => names.user(p.uids[1]),
        "pid" => p.host_pid.to_string(),
        "ppid" => p.host_ppid.to_string(),
        "c" => format!("{:.0}", share.floor()),
        "pcpu" => format!("{share:.1}"),
        "pmem" => format!("{:.1}", percent(p.resident as f64, processes::memory_total() as f64)),
        "vsz" => (p.virtual_memory / 1024).to_string(),
        "rss" => (p.resident / 1024).to_string(),
        "tty" => terminal(p.tty),
        "stat" => p.state.to_string(),
        "stime" => started(age),
        "time" => clock(p.cpu.as_secs()),
        "bsdtime" => format!("{}:{:02}", p.cpu.as_secs() / 60, p.cpu.as_secs() % 60),
        "comm" => p.comm.clone(),
        _ if p.args.is_empty() => format!("[{}]", p.comm),
        _ => p.args.join(" "),
    }
}

/// The hour of a start today, else the day.
fn started(age: Duration) -> String {
    let now = Local::now();
    let at: DateTime<Utc> = now.to_utc() - TimeDelta::from_std(age).unwrap_or_default();
    let at = at.with_timezone(&Local);
    at.format(if at.date_naive() == now.date_naive() { "%H:%M" } else { "%b%d" }).to_string()
}

/// `[DAYS-]HH:MM:SS`.
fn clock(seconds: u64) -> String {
    let days = if seconds < 86400 { String::new() } else { format!("{}-", seconds / 86400) };
    format!("{days}{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_ps_have_their_columns() {
        let first = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            columns(&words).map(|columns| columns[0].1)
        };
        assert_eq!((first(&[]), first(&["aux"])), (Some("UID"), Some("USER")));
        assert_eq!((first(&["-x"]), first(&["pid,user"])), (Some("PID"), None));
        assert_eq!((clock(59).as_str(), clock(90_061).as_str()), ("00:00:59", "1-01:01:01"));
    }
}
