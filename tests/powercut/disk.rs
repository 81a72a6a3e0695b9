//! Disks as files, the log of one, and what a disk was at a flush.
//!
//! The log is that of QEMU's `blklogwrites` driver, which is that of the kernel's dm-log-writes
//! (Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then entries of a header sector and
//! the bytes written.

use super::place::User;
use super::{common, run};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Bytes of a disk.
const SIZE: u64 = 384 << 20;
/// What the log begins with.
const MAGIC: u64 = 0x6a_7366_7773_6872;
/// Bits of an entry's flags.
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// Sectors are counted in units of this size, whatever the log's own are.
const SECTOR: u64 = 512;

/// A file with a file system on it.
pub(super) struct Disk {
    path: PathBuf,
    /// How much of a log has been replayed on it.
    replayed: u64,
}

impl Disk {
    /// A new one, whose root directory is the user's.
    pub(super) fn make(user: &User, path: &Path) -> Disk {
        File::create(path).unwrap().set_len(SIZE).unwrap();
        let options =
            format!("root_owner={}:{},lazy_itable_init=0,lazy_journal_init=0,nodiscard", user.uid, user.gid);
        run("mkfs.ext4", &["-q", "-E", &options, path.to_str().unwrap()]);
        Disk { path: path.to_owned(), replayed: 0 }
    }

    /// A copy of one; an older copy is overwritten.
    pub(super) fn copy(from: &Path, path: &Path) -> Disk {
        run("cp", &["--sparse=always", from.to_str().unwrap(), path.to_str().unwrap()]);
        Disk { path: path.to_owned(), replayed: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn mount(&self, at: &Path) {
        run("mount", &["-t", "ext4", "-o", "loop", self.path.to_str().unwrap(), at.to_str().unwrap()]);
    }

    /// Shows it as the file `shown`, and logs what is written there.
    pub(super) fn log(self, log: &Path, shown: &Path) -> Logged {
        for file in [log, shown] {
            File::create(file).unwrap();
        }
        let mut daemon = Command::new("qemu-storage-daemon");
        let file =
            |name: &str, path: &Path| format!("driver=file,node-name={name},filename={}", path.display());
        daemon.args(["--blockdev", &file("disk", &self.path), "--blockdev", &file("log", log)]);
        let logged = "driver=blklogwrites,node-name=logged,file=disk,log=log,log-super-update-interval=1";
        let export =
            format!("type=fuse,id=export,node-name=logged,mountpoint={},writable=on", shown.display());
        daemon.args(["--blockdev", logged, "--export", &export]);
        let daemon = common::spawn_with_us(daemon).unwrap();
        common::eventually("the disk is shown", || {
            fs::metadata(shown).is_ok_and(|found| found.len() == SIZE)
        });
        Logged { shown: Disk { path: shown.to_owned(), replayed: 0 }, log: log.to_owned(), daemon }
    }

    /// Brings it to where the log was at `end`.
    pub(super) fn replay(&mut self, log: &Log, end: u64) {
        let disk = OpenOptions::new().write(true).open(&self.path).unwrap();
        for entry in log.entries.iter().filter(|entry| (self.replayed + 1..=end).contains(&entry.end)) {
            let from = (entry.end - entry.data) as usize;
            let bytes = &log.bytes[from..from + entry.data as usize];
            disk.write_all_at(bytes, entry.sector * SECTOR).unwrap();
        }
        self.replayed = end;
    }
}

/// A disk whose writes are logged.
pub(super) struct Logged {
    shown: Disk,
    log: PathBuf,
    daemon: Child,
}

impl Logged {
    pub(super) fn mount(&self, at: &Path) {
        self.shown.mount(at);
    }

    /// The length of the log.
    pub(super) fn length(&self) -> u64 {
        fs::metadata(&self.log).unwrap().len()
    }

    /// Ends the logging; what came after `length` is of no interest.
    pub(super) fn finish(mut self, length: u64) -> Log {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = Command::new("umount").arg("-l").arg(&self.shown.path).output();
        Log::parse(fs::read(&self.log).unwrap(), length)
    }
}

/// What was written to a disk.
pub(super) struct Log {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    /// Where on the disk, in sectors.
    sector: u64,
    flags: u64,
    /// How many bytes were written.
    data: u64,
    /// Where the entry ends in the log.
    end: u64,
}

impl Log {
    fn parse(bytes: Vec<u8>, length: u64) -> Log {
        let number = |at: u64| {
            let at = at as usize;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!(number(0), MAGIC, "the log is none");
        let unit = number(24) & u64::from(u32::MAX);
        let mut entries = Vec::new();
        let mut at = unit;
        while at + unit <= length {
            let (sector, count, flags) = (number(at), number(at + 8), number(at + 16));
            let data = if flags & DISCARD == 0 { count * SECTOR } else { 0 };
            at += unit + data;
            entries.push(Entry { sector, flags, data, end: at });
        }
        Log { bytes, entries }
    }

    /// Where the log was each time that the disk was told to keep what it had, if there was anything new.
    pub(super) fn flushes(&self) -> Vec<u64> {
        let mut ends = Vec::new();
        let mut written = false;
        for entry in &self.entries {
            written |= entry.data > 0;
            if entry.flags & FLUSH != 0 && written {
                ends.push(entry.end);
                written = false;
            }
        }
        ends
    }
}

/// Unmounts, once what still uses it has ended.
pub(super) fn unmount(at: &Path) {
    let mut said = String::new();
    for _ in 0..200 {
        let output = Command::new("umount").arg(at).output().unwrap();
        if output.status.success() {
            return;
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{said}");
}
