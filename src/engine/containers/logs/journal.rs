//! Reads a container's output from systemd's journal by running journalctl.
//!
//! The `export` format (systemd.io/JOURNAL_EXPORT_FORMATS) preserves arbitrary bytes. Entries are separated by
//! an empty line; each consists of lines `FIELD=value`, or of the field's name alone, the length of the value
//! in eight bytes, and the value. To follow the journal, journalctl is run again with the last entry's cursor.
//!
//! Any local user can send entries with any fields. The journal itself records the sender (`_UID`,
//! systemd.journal-fields(7)), so only entries from this user's monitors are accepted.

use crate::container::ContainerId;
use crate::storage::containers::log::{Line, Stream, stamp};
use crate::userns;
use chrono::{DateTime, Utc};
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Longest value that is taken; longer ones belong to no container of ours.
const VALUE_MAX: u64 = 1024 * 1024;

/// The entries of one container.
#[derive(Debug)]
pub(super) struct Journal {
    /// What entries must have, each as `FIELD=value`.
    marks: [String; 2],
    since: Option<String>,
    cursor: Option<String>,
    running: Option<(Child, BufReader<ChildStdout>)>,
    entry: Entry,
}

fn marks(id: &ContainerId) -> [String; 2] {
    [format!("CONTAINER_ID_FULL={id}"), format!("_UID={}", userns::host_uid())]
}

#[derive(Debug, Default)]
struct Entry {
    time: Vec<u8>,
    text: Vec<u8>,
    error: bool,
    partial: bool,
    cursor: Option<String>,
}

impl Journal {
    /// Asks for the last `tail` entries, or all of them.
    ///
    /// # Errors
    /// When journalctl cannot be run.
    pub(super) fn open(
        id: &ContainerId,
        tail: Option<u64>,
        since: Option<DateTime<Utc>>,
    ) -> io::Result<Journal> {
        let since = since.map(|time| format!("@{}", time.timestamp()));
        let mut journal =
            Journal { marks: marks(id), since, cursor: None, running: None, entry: Entry::default() };
        journal.ask(tail)?;
        Ok(journal)
    }

    fn ask(&mut self, tail: Option<u64>) -> io::Result<()> {
        let mut command = Command::new("journalctl");
        command.args(self.question(tail));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("journalctl has no output"))?;
        self.running = Some((child, BufReader::with_capacity(64 * 1024, output)));
        Ok(())
    }

    /// The arguments of journalctl.
    fn question(&self, tail: Option<u64>) -> Vec<String> {
        let fixed = ["--quiet", "--all", "--no-pager", "--output=export"];
        let mut all: Vec<String> = fixed.map(str::to_owned).into();
        // Different fields must all match.
        all.extend(self.marks.iter().cloned());
        all.push("--output-fields=MESSAGE,PRIORITY,CONTAINER_PARTIAL_MESSAGE".to_owned());
        all.extend(tail.map(|tail| format!("--lines={tail}")));
        match (&self.cursor, &self.since) {
            (Some(cursor), _) => all.push(format!("--after-cursor={cursor}")),
            (None, Some(since)) => all.push(format!("--since={since}")),
            (None, None) => {}
        }
        all
    }

    /// The next entry as a line of a log; `None` when there is none yet. The call after that asks again.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.running.is_none() {
            self.ask(None)?;
        }
        let Some((_, output)) = &mut self.running else { return Ok(None) };
        if !read_entry(output, &mut self.entry)? {
            if let Some((mut child, _)) = self.running.take() {
                child.wait()?;
            }
            return Ok(None);
        }
        if let Some(cursor) = self.entry.cursor.take() {
            self.cursor = Some(cursor);
        }
        let entry = &self.entry;
        let stream = if entry.error { Stream::Stderr } else { Stream::Stdout };
        Ok(Some(Line { time: &entry.time, stream, full: !entry.partial, text: &entry.text }))
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            // It may have exited by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads one entry; false at the end.
fn read_entry(input: &mut impl BufRead, entry: &mut Entry) -> io::Result<bool> {
    *entry = Entry::default();
    let mut any = false;
    let mut line = Vec::new();
    let mut value = Vec::new();
    loop {
        line.clear();
        input.by_ref().take(VALUE_MAX).read_until(b'\n', &mut line)?;
        let ended = line.is_empty();
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.is_empty() {
            if any || ended {
                return Ok(any);
            }
            continue;
        }
        any = true;
        let field = match text.iter().position(|&b| b == b'=') {
            Some(at) => {
                value.clear();
                value.extend_from_slice(&text[at + 1..]);
                &text[..at]
            }
            None => {
                let mut length = [0; 8];
                input.read_exact(&mut length)?;
                let length = u64::from_le_bytes(length);
                if length > VALUE_MAX {
                    return Err(io::Error::other("journalctl gave a value that is too long"));
                }
                value.resize(length as usize, 0);
                input.read_exact(&mut value)?;
                input.read_exact(&mut [0])?;
                text
            }
        };
        match field {
            b"MESSAGE" => entry.text.clone_from(&value),
            b"PRIORITY" => entry.error = value == b"3",
            b"CONTAINER_PARTIAL_MESSAGE" => entry.partial = value == b"true",
            b"__CURSOR" => entry.cursor = String::from_utf8(value.clone()).ok(),
            b"__REALTIME_TIMESTAMP" => {
                let micros = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                let time = micros.and_then(DateTime::from_timestamp_micros);
                entry.time = time.map(stamp).unwrap_or_default().into_bytes();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_user_wrote_is_asked_for() {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let journal = Journal {
            marks: marks(&id),
            since: Some("@5".to_owned()),
            cursor: None,
            running: None,
            entry: Entry::default(),
        };
        let asked = journal.question(Some(3));
        assert!(asked.contains(&format!("CONTAINER_ID_FULL={id}")), "{asked:?}");
        let own = nix::unistd::getuid();
        assert!(asked.contains(&format!("_UID={own}")), "{asked:?}");
        assert!(!asked.contains(&"+".to_owned()), "both must match: {asked:?}");
        assert!(asked.ends_with(&["--lines=3".to_owned(), "--since=@5".to_owned()]), "{asked:?}");
    }

    #[test]
    fn entries_hold_any_bytes() {
        let mut input: &[u8] =
            b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1767225600000001\nPRIORITY=6\nMESSAGE=a=b\n\n\
            __CURSOR=x\n__REALTIME_TIMESTAMP=1767225600000002\nPRIORITY=3\nCONTAINER_PARTIAL_MESSAGE=true\n\
            MESSAGE\n\x03\0\0\0\0\0\0\0\xff\n\0\n\n";
        let mut entry = Entry::default();
        assert!(read_entry(&mut input, &mut entry).unwrap());
        assert_eq!((entry.text.as_slice(), entry.error, entry.partial), (&b"a=b"[..], false, false));
        assert_eq!(entry.time, b"2026-01-01T00:00:00.000001000Z");
        assert_eq!(entry.cursor.as_deref(), Some("s=1;i=2"));
        assert!(read_entry(&mut input, &mut entry).unwrap());
        assert_eq!((entry.text.as_slice(), entry.error, entry.partial), (&b"\xff\n\0"[..], true, true));
        assert!(!read_entry(&mut input, &mut entry).unwrap());
    }
}
