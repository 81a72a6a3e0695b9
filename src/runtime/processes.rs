//! The processes of a running container, from the host's procfs.
//!
//! Theory of operation. A container's processes are those in the PID namespace of its first process or, if that
//! is the host's (`--pid=host`), those in its mount namespace. Each process is read through a descriptor of its
//! directory in procfs, which becomes invalid when the process exits, so data of different processes is never
//! mixed up even if a pid is reused. Nothing from the container is executed, linked or queried (attack case
//! 32); pids inside are those that the kernel reports (`NSpid`, proc_pid_status(5)).

use super::door::Door;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::storage::containers::{ContainerDir, RunRecord};
use crate::sys::process;
use crate::sys::read::text_of;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::{SysconfVar, sysconf};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Most bytes that are read of one file of procfs.
const FILE_MAX: u64 = 1 << 20;

/// One process of a container.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Process {
    /// Its number inside.
    pub pid: i32,
    /// Its parent's number inside; 0 when the parent is outside.
    pub ppid: i32,
    /// Its process group's number inside.
    pub pgid: i32,
    /// Its number on the host.
    pub host_pid: i32,
    /// Its parent's number on the host.
    pub host_ppid: i32,
    /// The kernel's name for it, 15 bytes at most; the process can change it.
    pub comm: String,
    /// Program and arguments as the process shows them; empty for a process that has exited.
    pub args: Vec<String>,
    /// State letter (proc_pid_stat(5)).
    pub state: char,
    /// Controlling terminal as device number; 0 when there is none.
    pub tty: u64,
    /// Nice value.
    pub nice: i32,
    /// Number of threads.
    pub threads: u64,
    /// Processor time used, its own alone.
    pub cpu: Duration,
    /// When it started, after the boot of the machine.
    pub started: Duration,
    /// Virtual memory, in bytes.
    pub virtual_memory: u64,
    /// Memory in use, in bytes.
    pub resident: u64,
    /// Real, effective, saved and file system user id, on the host.
    pub uids: [u32; 4],
    /// Real, effective, saved and file system group id, on the host.
    pub gids: [u32; 4],
    /// Supplementary groups, on the host.
    pub groups: Vec<u32>,
    /// Capability sets: inheritable, permitted, effective, bounding, ambient.
    pub capabilities: [u64; 5],
    /// 0 none, 1 strict, 2 filter (prctl(2) `PR_GET_SECCOMP`).
    pub seccomp: u8,
    /// Its label in a security module; empty if there is none.
    pub label: String,
}

/// The living processes of a container, by their number inside. Those that end meanwhile are left out.
///
/// # Errors
/// `Conflict` when the container is not running; `Runtime` when procfs cannot be read.
pub fn of(container: &ContainerDir) -> Result<Vec<Process>> {
    let not_running = || {
        let status = container.status().as_str();
        let name = container.called();
        phrases::not_running(&name, status).hint("See which containers run: coracle ps")
    };
    container.await_start();
    if !container.status().is_live() {
        return Err(not_running());
    }
    let run = container.run_record()?.ok_or_else(not_running)?;
    let first = First::open(&run).ok_or_else(not_running)?;
    let mut found = Vec::new();
    let entries = std::fs::read_dir("/proc").context(Kind::Runtime, || "list /proc")?;
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(dir) = open_dir(pid) else { continue };
        if namespace(dir.as_fd(), first.kind).as_deref() == Some(first.namespace.as_str())
            && let Some(process) = read(dir.as_fd(), pid, first.level)
        {
            found.push(process);
        }
    }
    let inside: HashMap<i32, i32> = found.iter().map(|p| (p.host_pid, p.pid)).collect();
    for process in &mut found {
        process.ppid = inside.get(&process.host_ppid).copied().unwrap_or(0);
    }
    found.sort_by_key(|p| p.pid);
    Ok(found)
}

/// The numbers on the host of a container's own processes, those that it put into further namespaces and
/// those that `exec` started included; of a pid namespace that it shares, only what is its own.
///
/// # Errors
/// As [`of`].
pub fn own(container: &ContainerDir) -> Result<Vec<i32>> {
    let gone = || Error::new(Kind::Conflict, "the container has just ended");
    let run = container.run_record()?.ok_or_else(gone)?;
    let first = First::open_own(&run).ok_or_else(gone)?;
    let mut own = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir("/proc").context(Kind::Runtime, || "list /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(dir) = open_dir(pid) else { continue };
        if namespace(dir.as_fd(), first.kind).as_deref() == Some(first.namespace.as_str()) {
            own.push(pid);
        } else if let Some(parent) = parent(dir.as_fd()) {
            others.push((pid, parent));
        }
    }
    // Children of theirs may be in namespaces below. Each process is looked at once, however they are
    // nested: how is the container's choice.
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, parent) in others {
        children.entry(parent).or_default().push(pid);
    }
    let mut at = 0;
    while let Some(pid) = own.get(at) {
        own.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    Ok(own)
}

/// Whether a process has ended, reaped or not: a dead one stays in its cgroup until it is reaped, and who
/// should reap it may be frozen.
pub fn has_ended(pid: i32) -> bool {
    let state = || {
        let stat = text(open_dir(pid)?.as_fd(), "stat")?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    };
    state().is_none_or(|state| matches!(state, 'Z' | 'X'))
}

/// A process that has ended with all its threads and was not reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead {
    /// How, as wait(2) tells it.
    pub status: i32,
    /// Its tracer, if visible from here.
    pub tracer: Option<i32>,
}

/// Whether a process is dead as a whole; `None` when it is not, or is gone.
pub fn dead(pid: i32) -> Option<Dead> {
    let mut tracer = None;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let Ok(status) = text_of(thread.path().join("status")) else { continue };
        if !field(&status, "State")?.starts_with(['Z', 'X']) {
            return None;
        }
        tracer =
            tracer.or(field(&status, "TracerPid").and_then(|pid| pid.parse().ok()).filter(|pid| *pid > 0));
    }
    let stat = text(open_dir(pid)?.as_fd(), "stat")?;
    // The 52nd field, the state being the third (proc_pid_stat(5)).
    let status = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(49)?.parse().ok()?;
    Some(Dead { status, tracer })
}

/// A process as a message names it: number, program, and how it stands.
pub fn shown(pid: i32) -> String {
    let Some(stat) = open_dir(pid).and_then(|dir| text(dir.as_fd(), "stat")) else {
        return format!("process {pid}");
    };
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map_or("?", |(name, _)| name);
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    let state = match state {
        Some('D') => ", which hangs in the kernel (state D)",
        Some('T') => ", which is stopped (state T)",
        Some('t') => ", which its tracer has stopped (state t)",
        Some('Z' | 'X') => ", which has ended and was not reaped",
        _ => "",
    };
    let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("process {pid} ({name}){state}")
}

fn parent(dir: BorrowedFd<'_>) -> Option<i32> {
    text(dir, "stat")?.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// What tells a container's processes from others.
struct First {
    kind: &'static str,
    namespace: String,
    /// Which of the numbers in `NSpid` is the one inside.
    level: usize,
}

impl First {
    /// As [`First::open`], by the mount namespace wherever the pid namespace is not the container's own.
    fn open_own(run: &RunRecord) -> Option<First> {
        let first = First::open(run)?;
        let dir = open_dir(run.init.pid)?;
        let status = text(dir.as_fd(), "status")?;
        // The creator of a PID namespace has pid 1 in it.
        if field(&status, "NSpid")?.split_ascii_whitespace().last() == Some("1") && first.kind == "pid" {
            return Some(first);
        }
        Some(First { kind: "mnt", namespace: namespace(dir.as_fd(), "mnt")?, ..first })
    }

    fn open(run: &RunRecord) -> Option<First> {
        let pidfd = run.open_init()?;
        let dir = open_dir(run.init.pid)?;
        let own = namespace(open_dir(std::process::id().cast_signed())?.as_fd(), "pid")?;
        let pid_namespace = namespace(dir.as_fd(), "pid")?;
        let shared = own == pid_namespace;
        let namespace = if shared { namespace(dir.as_fd(), "mnt")? } else { pid_namespace };
        let status = text(dir.as_fd(), "status")?;
        let level = field(&status, "NSpid").map_or(1, |numbers| numbers.split_ascii_whitespace().count()) - 1;
        // Still the process that was recorded, so what was read is its own.
        process::pidfd_send_signal(pidfd.as_fd(), 0).ok()?;
        Some(First { kind: if shared { "mnt" } else { "pid" }, namespace, level })
    }
}

fn open_dir(pid: i32) -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, format!("/proc/{pid}").as_str(), flags, Mode::empty()).ok()
}

/// What the link of a process's namespace says: kind and number.
fn namespace(dir: BorrowedFd<'_>, kind: &str) -> Option<String> {
    readlinkat(dir, format!("ns/{kind}").as_str()).ok()?.into_string().ok()
}

fn bytes(dir: BorrowedFd<'_>, name: &str) -> Option<Vec<u8>> {
    let file = openat(dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut content = Vec::new();
    File::from(file).take(FILE_MAX).read_to_end(&mut content).ok()?;
    Some(content)
}

fn text(dir: BorrowedFd<'_>, name: &str) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes(dir, name)?).into_owned())
}

/// What stands behind a name in a `status` file.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn read(dir: BorrowedFd<'_>, host_pid: i32, level: usize) -> Option<Process> {
    let (stat, status) = (text(dir, "stat")?, text(dir, "status")?);
    // The name between the parentheses may hold anything, parentheses too.
    let (before, rest) = stat.rsplit_once(')')?;
    let comm = before.split_once('(')?.1.to_owned();
    let stat: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |nth: usize| stat.get(nth - 3).and_then(|text| text.parse::<i64>().ok());
    let inside = |name: &str| field(&status, name)?.split_ascii_whitespace().nth(level)?.parse().ok();
    let ids = |name: &str| {
        let mut all = field(&status, name)?.split_ascii_whitespace().map(|id| id.parse().ok());
        Some([all.next()??, all.next()??, all.next()??, all.next()??])
    };
    let set =
        |name: &str| field(&status, name).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let args = bytes(dir, "cmdline").unwrap_or_default();
    let args = args.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned());
    let mut args: Vec<String> = args.collect();
    // Each argument ends with a NUL byte, so that an empty piece follows the last one.
    if args.last().is_some_and(String::is_empty) {
        args.pop();
    }
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096).unsigned_abs();
    Some(Process {
        pid: inside("NSpid").unwrap_or(host_pid),
        ppid: 0,
        pgid: inside("NSpgid").or_else(|| number(5).and_then(|n| n.try_into().ok())).unwrap_or(0),
        host_pid,
        host_ppid: number(4)?.try_into().ok()?,
        comm,
        args,
        state: stat.first()?.chars().next()?,
        tty: number(7)?.unsigned_abs(),
        nice: number(19)?.try_into().ok()?,
        threads: number(20)?.unsigned_abs(),
        cpu: ticks((number(14)? + number(15)?).unsigned_abs()),
        started: ticks(number(22)?.unsigned_abs()),
        virtual_memory: number(23)?.unsigned_abs(),
        resident: number(24)?.unsigned_abs() * page,
        uids: ids("Uid")?,
        gids: ids("Gid")?,
        groups: field(&status, "Groups")?.split_ascii_whitespace().filter_map(|g| g.parse().ok()).collect(),
        capabilities: ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map(set),
        seccomp: field(&status, "Seccomp").and_then(|mode| mode.parse().ok()).unwrap_or(0),
        label: text(dir, "attr/current").unwrap_or_default().trim_end_matches(['\0', '\n']).to_owned(),
    })
}

/// A number of clock ticks as time.
fn ticks(count: u64) -> Duration {
    let hertz = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100).unsigned_abs().max(1);
    Duration::from_secs(count / hertz) + Duration::from_nanos(count % hertz * 1_000_000_000 / hertz)
}

/// What one process uses, and has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor time, that of children it has waited for included.
    pub cpu: Duration,
    /// The part of it in the kernel.
    pub cpu_system: Duration,
    /// Memory in bytes, what is shared counted in parts.
    pub memory: u64,
    /// Bytes read from and written to disks; `None` when this account may not know.
    pub disk: Option<(u64, u64)>,
    /// Threads.
    pub threads: u64,
}

/// Looks at a process; `None` when it is gone.
pub fn usage(pid: i32) -> Option<Usage> {
    let dir = open_dir(pid)?;
    let stat = text(dir.as_fd(), "stat")?;
    let stat: Vec<u64> =
        stat.rsplit_once(')')?.1.split_ascii_whitespace().map(|n| n.parse().unwrap_or(0)).collect();
    let number = |nth: usize| stat.get(nth - 3).copied().unwrap_or(0);
    let value = |text: &str, key: &str| {
        let number = field(text, key)?.split_ascii_whitespace().next()?;
        number.parse::<u64>().ok()
    };
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096).unsigned_abs();
    let shared_out =
        text(dir.as_fd(), "smaps_rollup").and_then(|text| value(&text, "Pss")).map(|kib| kib * 1024);
    let disk = text(dir.as_fd(), "io")
        .and_then(|text| Some((value(&text, "read_bytes")?, value(&text, "write_bytes")?)));
    Some(Usage {
        cpu: ticks(number(14) + number(15) + number(16) + number(17)),
        cpu_system: ticks(number(15) + number(17)),
        memory: shared_out.unwrap_or_else(|| number(24) * page),
        disk,
        threads: number(20),
    })
}

/// How long the machine has been up.
pub fn uptime() -> Duration {
    let text = text_of("/proc/uptime").unwrap_or_default();
    let seconds = text.split_ascii_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
}

/// The memory of the machine, in bytes; 0 when it cannot be read.
pub fn memory_total() -> u64 {
    let text = text_of("/proc/meminfo").unwrap_or_default();
    let kibibytes = field(&text, "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// How many capabilities this kernel has.
pub fn capability_count() -> u32 {
    let text = text_of("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    text.trim().parse::<u32>().map_or(0, |last| last + 1)
}

/// Names for the ids of a container's processes.
#[derive(Debug, Default)]
pub struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
    uid_map: Vec<[u32; 3]>,
    gid_map: Vec<[u32; 3]>,
}

impl Names {
    /// Those that the container's own `/etc/passwd` and `/etc/group` have. What cannot be read has no
    /// names.
    pub fn of(container: &ContainerDir) -> Names {
        let known = || {
            let door = Door::open(container).ok()?;
            let root = door.root().ok()?;
            let (users, groups) = super::passwd::names(root.as_fd());
            let dir = open_dir(door.run().init.pid)?;
            let map = |name: &str| Some(parse_map(&text(dir.as_fd(), name)?));
            Some(Names { users, groups, uid_map: map("uid_map")?, gid_map: map("gid_map")? })
        };
        known().unwrap_or_default()
    }

    /// Those that the host's `/etc/passwd` and `/etc/group` have.
    pub fn of_host() -> Names {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let Ok(root) = openat(AT_FDCWD, "/", flags, Mode::empty()) else { return Names::default() };
        let (users, groups) = super::passwd::names(root.as_fd());
        let all = vec![[0, 0, u32::MAX]];
        Names { users, groups, uid_map: all.clone(), gid_map: all }
    }

    /// A user by its id on the host; its number where it has no name.
    pub fn user(&self, host: u32) -> String {
        name(host, &self.uid_map, &self.users)
    }

    /// A group by its id on the host; its number where it has no name.
    pub fn group(&self, host: u32) -> String {
        name(host, &self.gid_map, &self.groups)
    }
}

fn name(host: u32, map: &[[u32; 3]], names: &HashMap<u32, String>) -> String {
    let inside = map.iter().find_map(|[inside, outside, count]| {
        host.checked_sub(*outside).filter(|n| n < count).map(|n| inside + n)
    });
    // What has no number inside shows there as the kernel's overflow id.
    let id = inside.unwrap_or(65534);
    names.get(&id).cloned().unwrap_or_else(|| id.to_string())
}

/// The lines of a `uid_map`: first id inside, first id outside, how many (user_namespaces(7)).
fn parse_map(text: &str) -> Vec<[u32; 3]> {
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|n| n.parse().ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_back_through_the_map() {
        let map = parse_map("         0       1000          1\n         1     100000      65536\n");
        let names = HashMap::from([(0, "root".to_owned()), (33, "web".to_owned())]);
        assert_eq!(name(1000, &map, &names), "root");
        assert_eq!(name(100_032, &map, &names), "web");
        assert_eq!(name(100_099, &map, &names), "100");
        assert_eq!(name(7, &map, &names), "65534");
    }

    #[test]
    fn this_process_is_read_like_any_other() {
        let pid = std::process::id().cast_signed();
        let own = read(open_dir(pid).unwrap().as_fd(), pid, 0).unwrap();
        assert_eq!((own.pid, own.host_pid), (pid, pid));
        assert_eq!(own.args, std::env::args().collect::<Vec<_>>());
        assert_eq!(own.uids[1], nix::unistd::geteuid().as_raw());
        assert!(own.resident > 0 && own.started <= uptime());
    }
}
