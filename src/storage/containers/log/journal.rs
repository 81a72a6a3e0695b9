//! Writes to systemd's journal by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram
//! per line of output, `FIELD=value` lines, and values that may hold line ends with their length before
//! them. The fields are conmon's, so that `podman logs` habits (`journalctl CONTAINER_NAME=web`) work.

use super::Stream;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

/// Where the journal listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";
/// Longest piece of a line in one datagram: well within the kernel's least buffer.
const PIECE: usize = 32 * 1024;
/// How long a payload's output waits for a journal that does not take it, before it is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

/// What every entry is marked with.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// The container's full id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// `--log-opt tag`; empty without.
    pub tag: &'a str,
}

/// Writes a container's output to the journal.
#[derive(Debug)]
pub struct Writer {
    socket: UnixDatagram,
    fields: Vec<u8>,
    entry: Vec<u8>,
}

impl Writer {
    /// Connects to the journal at `path`, [`SOCKET`] except for tests.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn connect(path: &Path, marks: &Marks<'_>) -> io::Result<Writer> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut fields = Vec::new();
        let identifier = if marks.tag.is_empty() { marks.name } else { marks.tag };
        for (field, value) in [
            ("CONTAINER_ID_FULL", marks.id),
            ("CONTAINER_ID", marks.id.get(..12).unwrap_or(marks.id)),
            ("CONTAINER_NAME", marks.name),
            ("CONTAINER_TAG", marks.tag),
            ("SYSLOG_IDENTIFIER", identifier),
        ] {
            push(&mut fields, field, value.as_bytes());
        }
        Ok(Writer { socket, fields, entry: Vec::new() })
    }

    /// Appends what the payload wrote.
    ///
    /// # Errors
    /// When the journal is gone or does not take it; what was not taken is lost.
    pub fn append(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            for piece in line.chunks(PIECE) {
                let text = piece.strip_suffix(b"\n");
                self.entry.clear();
                self.entry.extend_from_slice(&self.fields);
                if text.is_none() {
                    self.entry.extend_from_slice(b"CONTAINER_PARTIAL_MESSAGE=true\n");
                }
                let priority = if stream == Stream::Stderr { b"PRIORITY=3\n" } else { b"PRIORITY=6\n" };
                self.entry.extend_from_slice(priority);
                push(&mut self.entry, "MESSAGE", text.unwrap_or(piece));
                self.socket.send(&self.entry)?;
            }
        }
        Ok(())
    }
}

fn push(entry: &mut Vec<u8>, field: &str, value: &[u8]) {
    entry.extend_from_slice(field.as_bytes());
    if value.contains(&b'\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value);
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_the_native_protocol() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let marks = Marks { id: "0123456789abcdef", name: "web", tag: "a\nb" };
        let mut writer = Writer::connect(&path, &marks).unwrap();
        writer.append(Stream::Stdout, b"one\ntw").unwrap();
        writer.append(Stream::Stderr, b"\xff\0\n").unwrap();
        let mut entry = [0; 4096];
        let mut next = || {
            let length = journal.recv(&mut entry).unwrap();
            String::from_utf8_lossy(&entry[..length]).into_owned()
        };
        let first = next();
        assert!(first.starts_with(
            "CONTAINER_ID_FULL=0123456789abcdef\nCONTAINER_ID=0123456789ab\nCONTAINER_NAME=web\n"
        ));
        assert!(first.contains("CONTAINER_TAG\n\u{3}\0\0\0\0\0\0\0a\nb\n"), "{first:?}");
        assert!(first.ends_with("PRIORITY=6\nMESSAGE=one\n"), "{first}");
        assert!(next().ends_with("CONTAINER_PARTIAL_MESSAGE=true\nPRIORITY=6\nMESSAGE=tw\n"));
        assert!(next().ends_with("PRIORITY=3\nMESSAGE=\u{fffd}\0\n"));
        drop(journal);
        assert!(writer.append(Stream::Stdout, b"x\n").is_err());
        assert!(Writer::connect(&dir.path().join("none"), &marks).is_err());
    }
}
