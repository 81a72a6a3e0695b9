//! The columns of `top`: ps(1)'s AIX descriptors and podman's own.

use super::table::Table;
use crate::error::{Error, Kind, Result};
use crate::runtime::processes::{self, Names, Process};
use crate::storage::containers::ContainerDir;
use crate::text::time::{go_duration, go_local};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// One column.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// podman's name.
    name: &'static str,
    /// ps's code, such as `%C`; empty when it has none.
    code: &'static str,
    /// Its first line.
    header: &'static str,
    /// Further names, ps's for the most part.
    others: &'static [&'static str],
}

const fn column(
    name: &'static str,
    code: &'static str,
    header: &'static str,
    others: &'static [&'static str],
) -> Column {
    Column { name, code, header, others }
}

const COLUMNS: [Column; 31] = [
    column("args", "%a", "COMMAND", &["cmd", "command"]),
    column("capamb", "", "AMBIENT CAPS", &[]),
    column("capbnd", "", "BOUNDING CAPS", &[]),
    column("capeff", "", "EFFECTIVE CAPS", &[]),
    column("capinh", "", "INHERITED CAPS", &[]),
    column("capprm", "", "PERMITTED CAPS", &[]),
    column("comm", "%c", "COMMAND", &["ucmd", "ucomm"]),
    column("etime", "%t", "ELAPSED", &[]),
    column("group", "%G", "GROUP", &["egroup"]),
    column("groups", "", "GROUPS", &["supgrp"]),
    column("hgroup", "", "HGROUP", &[]),
    column("hgroups", "", "HGROUPS", &[]),
    column("hpid", "", "HPID", &[]),
    column("huser", "", "HUSER", &[]),
    column("label", "", "LABEL", &[]),
    column("nice", "%n", "NI", &["ni"]),
    column("pcpu", "%C", "%CPU", &["%cpu", "c"]),
    column("pgid", "%r", "PGID", &["pgrp"]),
    column("pid", "%p", "PID", &[]),
    column("pmem", "", "%MEM", &["%mem"]),
    column("ppid", "%P", "PPID", &[]),
    column("rgroup", "%g", "RGROUP", &[]),
    column("rss", "", "RSS", &["rssize", "rsz"]),
    column("ruser", "%u", "RUSER", &[]),
    column("seccomp", "", "SECCOMP", &[]),
    column("state", "", "STATE", &["s", "stat"]),
    column("stime", "", "STIME", &["start", "lstart", "start_time"]),
    column("time", "%x", "TIME", &["cputime"]),
    column("tty", "%y", "TTY", &["tt", "tname"]),
    column("user", "%U", "USER", &["euser", "uname"]),
    column("vsz", "%z", "VSZ", &["vsize"]),
];

/// podman's default.
const DEFAULT: &str = "user,pid,ppid,pcpu,etime,tty,time,args";
/// What ps shows with options that people type by habit.
const HABITS: [(&str, &str); 8] = [
    ("aux", "user,pid,pcpu,pmem,vsz,rss,tty,state,stime,time,args"),
    ("-aux", "user,pid,pcpu,pmem,vsz,rss,tty,state,stime,time,args"),
    ("auxww", "user,pid,pcpu,pmem,vsz,rss,tty,state,stime,time,args"),
    ("-ef", "user,pid,ppid,pcpu,stime,tty,time,args"),
    ("ef", "user,pid,ppid,pcpu,stime,tty,time,args"),
    ("-e", "pid,tty,time,comm"),
    ("-A", "pid,tty,time,comm"),
    ("ax", "pid,tty,state,time,args"),
];

fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name)
}

/// The names of podman's columns, a line for each.
pub fn listing() -> String {
    names().map(|name| format!("{name}\n")).collect()
}

/// Reads what follows the container's name: descriptors, separated by blanks or commas, or options of
/// ps. Nothing is the default.
///
/// # Errors
/// `Usage` when a descriptor does not exist. Programs of the container are not asked instead.
pub(super) fn parse(words: &[String]) -> Result<Vec<&'static Column>> {
    let mut list: Vec<&str> = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if let Some((_, columns)) = HABITS.iter().find(|(habit, _)| *habit == word) {
            list.extend(columns.split(','));
        } else if let Some(given) =
            ["-eo", "-axo", "-Ao", "axo", "-o"].iter().find_map(|o| word.strip_prefix(o))
        {
            list.extend(if given.is_empty() { words.next().unwrap_or_default() } else { given }.split(','));
        } else {
            list.extend(word.split([',', ' ']));
        }
    }
    list.retain(|name| !name.is_empty());
    if list.is_empty() {
        list = DEFAULT.split(',').collect();
    }
    list.into_iter().map(find).collect()
}

fn find(text: &str) -> Result<&'static Column> {
    let lower = text.to_ascii_lowercase();
    let named = |c: &&Column| {
        c.name == lower || c.others.contains(&lower.as_str()) || (!c.code.is_empty() && c.code == text)
    };
    COLUMNS.iter().find(named).ok_or_else(|| {
        Error::new(Kind::Usage, format!("{text:?} is not a column of top")).hint(format!(
            "Use {}; for the container's own ps: coracle exec CONTAINER ps",
            names().collect::<Vec<_>>().join(", ")
        ))
    })
}

/// The table of the processes of a container.
pub(super) fn table(columns: &[&'static Column], container: &ContainerDir, processes: &[Process]) -> Table {
    let context = Context::new(columns, container);
    let row = |process: &Process| columns.iter().map(|column| context.cell(column, process)).collect();
    Table {
        titles: columns.iter().map(|column| column.header).collect(),
        rows: processes.iter().map(row).collect(),
    }
}

/// What cells need besides the process.
struct Context {
    inside: Names,
    host: Names,
    uptime: Duration,
    memory: u64,
}

impl Context {
    /// Reads what these columns need.
    fn new(columns: &[&Column], container: &ContainerDir) -> Context {
        let any = |names: &[&str]| columns.iter().any(|column| names.contains(&column.name));
        let inside = any(&["user", "group", "groups", "ruser", "rgroup"]);
        let host = any(&["huser", "hgroup", "hgroups"]);
        Context {
            inside: if inside { Names::of(container) } else { Names::default() },
            host: if host { Names::of_host() } else { Names::default() },
            uptime: processes::uptime(),
            memory: if any(&["pmem"]) { processes::memory_total() } else { 0 },
        }
    }

    /// The text of one cell.
    fn cell(&self, column: &Column, p: &Process) -> String {
        let age = self.uptime.saturating_sub(p.started);
        let groups = |names: &Names| p.groups.iter().map(|g| names.group(*g)).collect::<Vec<_>>().join(",");
        match column.name {
            "args" if p.args.is_empty() => format!("[{}]", p.comm),
            "args" => p.args.join(" "),
            "capinh" => capabilities(p.capabilities[0]),
            "capprm" => capabilities(p.capabilities[1]),
            "capeff" => capabilities(p.capabilities[2]),
            "capbnd" => capabilities(p.capabilities[3]),
            "capamb" => capabilities(p.capabilities[4]),
            "comm" => p.comm.clone(),
            "etime" => go_duration(age),
            "group" => self.inside.group(p.gids[1]),
            "groups" => groups(&self.inside),
            "hgroup" => self.host.group(p.gids[1]),
            "hgroups" => groups(&self.host),
            "hpid" => p.host_pid.to_string(),
            "huser" => self.host.user(p.uids[1]),
            "label" if p.label.is_empty() => "?".to_owned(),
            "label" => p.label.clone(),
            "nice" => p.nice.to_string(),
            "pcpu" => format!("{:.3}", percent(p.cpu.as_secs_f64(), age.as_secs_f64())),
            "pgid" => p.pgid.to_string(),
            "pid" => p.pid.to_string(),
            "pmem" => format!("{:.1}", percent(p.resident as f64, self.memory as f64)),
            "ppid" => p.ppid.to_string(),
            "rgroup" => self.inside.group(p.gids[0]),
            "rss" => (p.resident / 1024).to_string(),
            "ruser" => self.inside.user(p.uids[0]),
            "seccomp" => match p.seccomp {
                0 => "disabled",
                1 => "strict",
                _ => "filter",
            }
            .to_owned(),
            "state" => p.state.to_string(),
            "stime" => started(age),
            "time" => go_duration(Duration::from_secs(p.cpu.as_secs())),
            "tty" => terminal(p.tty),
            "user" => self.inside.user(p.uids[1]),
            _ => (p.virtual_memory / 1024).to_string(),
        }
    }
}

/// A part in per cent; 0 of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part * 100.0 / whole } else { 0.0 }
}

fn started(age: Duration) -> String {
    let at: DateTime<Utc> = Utc::now() - TimeDelta::from_std(age).unwrap_or_default();
    go_local(at)
}

/// A terminal's name by its device number (devices.txt of the kernel's documentation).
pub(super) fn terminal(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    match (major, minor) {
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 64..) => format!("ttyS{}", minor - 64),
        (4, _) => format!("tty{minor}"),
        (5, 1) => "console".to_owned(),
        _ => "?".to_owned(),
    }
}

/// The names of a capability set, as podman shows them: `full`, `none` or a list.
fn capabilities(set: u64) -> String {
    let known = 1_u64.checked_shl(processes::capability_count()).map_or(u64::MAX, |bit| bit - 1);
    if set != 0 && set & known == known {
        return "full".to_owned();
    }
    let mut names: Vec<String> = caps::all()
        .into_iter()
        .filter(|cap| set & cap.bitmask() != 0)
        .map(|cap| cap.to_string().trim_start_matches("CAP_").to_owned())
        .collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(&words).unwrap().iter().map(|column| column.name).collect()
    }

    #[test]
    fn columns_are_read_as_podman_and_ps_write_them() {
        assert_eq!(shown(&[]).join(","), DEFAULT);
        assert_eq!(shown(&["pid", "seccomp", "args", "%C"]), ["pid", "seccomp", "args", "pcpu"]);
        assert_eq!(shown(&["pid,user,%a"]), ["pid", "user", "args"]);
        assert_eq!(shown(&["%p %P"]), ["pid", "ppid"]);
        assert_eq!(shown(&["-o", "pid,cmd"]), ["pid", "args"]);
        assert_eq!(shown(&["-eopid,tt"]), ["pid", "tty"]);
        assert_eq!(shown(&["aux"])[0], "user");
        assert_eq!(shown(&["-ef"])[2], "ppid");
        // %u and %U differ.
        assert_eq!(shown(&["%u", "%U", "%g", "%G"]), ["ruser", "user", "rgroup", "group"]);
        let wrong = parse(&["pid".to_owned(), "colour".to_owned()]).unwrap_err();
        assert!(wrong.message().contains("colour") && wrong.hints()[0].contains("seccomp"), "{wrong}");
    }

    #[test]
    fn terminals_by_number() {
        for (device, name) in
            [(0, "?"), (0x8800, "pts/0"), (0x8803, "pts/3"), (0x401, "tty1"), (0x440, "ttyS0")]
        {
            assert_eq!(terminal(device), name, "{device:#x}");
        }
    }

    #[test]
    fn sets_of_capabilities() {
        assert_eq!(capabilities(0), "none");
        assert_eq!(capabilities(1), "CHOWN");
        assert_eq!(capabilities(0x4eb), "CHOWN,DAC_OVERRIDE,FOWNER,KILL,NET_BIND_SERVICE,SETGID,SETUID");
        assert_eq!(capabilities(u64::MAX), "full");
    }
}
