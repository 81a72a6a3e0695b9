//! What git writes: answers, progress, last words.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{ChildStderr, ChildStdout};

/// Largest answer that is read, in bytes: a server chooses the length of the list of its references.
const ANSWER_MAX: usize = 16 << 20;
/// How much of its last words is kept, in bytes.
const WORDS_MAX: usize = 4096;

/// Standard error of git as it comes: lines of progress, and others.
#[derive(Default)]
pub(super) struct Words {
    kept: Vec<u8>,
    line: Vec<u8>,
}

impl Words {
    /// Takes the next bytes; gives the numbers in lines of progress to `on_count`.
    pub(super) fn take(&mut self, bytes: &[u8], on_count: &mut dyn FnMut(u64, u64)) {
        for byte in bytes {
            match byte {
                b'\r' | b'\n' => {
                    match counted(&self.line) {
                        Some((current, total)) => on_count(current, total),
                        None => self.kept.extend(self.line.iter().chain(b"\n")),
                    }
                    self.line.clear();
                }
                _ if self.line.len() < WORDS_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        self.kept.drain(..self.kept.len().saturating_sub(WORDS_MAX));
    }

    /// The last lines, in one, fit for a terminal: a part of them is the server's.
    pub(super) fn last(&self) -> String {
        let all = [&self.kept[..], &self.line[..]].concat();
        let text = String::from_utf8_lossy(&all);
        let plain = |line: &str| line.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(|line| plain(line.trim()));
        let mut lines: Vec<String> = lines.collect();
        lines.drain(..lines.len().saturating_sub(3));
        lines.join("; ")
    }
}

/// Reads both streams to their ends, whichever has something. Returns what came on standard output; a longer answer
/// than is allowed is not read on, so that its writer fails. `on_words` says whether to go on.
pub(super) fn read_both(
    mut out: Option<ChildStdout>,
    mut err: Option<ChildStderr>,
    on_words: &mut dyn FnMut(&[u8]) -> bool,
) -> Vec<u8> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 16 << 10]);
    while out.is_some() || err.is_some() {
        let ends = [out.as_ref().map(AsFd::as_fd), err.as_ref().map(AsFd::as_fd)];
        let mut fds: Vec<PollFd<'_>> =
            ends.into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let of_out = out.is_some() && ready.first() == Some(&true);
        let of_err = err.is_some() && ready.last() == Some(&true);
        if of_out {
            match some(out.as_mut(), &mut buffer) {
                [] => out = None,
                bytes if answer.len() + bytes.len() > ANSWER_MAX => out = None,
                bytes => answer.extend_from_slice(bytes),
            }
        }
        if of_err {
            match some(err.as_mut(), &mut buffer) {
                [] => err = None,
                bytes if !on_words(bytes) => break,
                _ => {}
            }
        }
    }
    answer
}

/// Reads what there is; nothing at the end and at a failure, which the exit code tells better.
fn some<'a>(from: Option<&mut impl Read>, buffer: &'a mut [u8]) -> &'a [u8] {
    let Some(from) = from else { return &[] };
    loop {
        match from.read(buffer) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return &buffer[..other.unwrap_or(0)],
        }
    }
}

/// The version in `git version 2.47.3`.
pub(super) fn version(said: &str) -> Option<(u32, u32)> {
    let mut parts = said.trim().strip_prefix("git version ")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The numbers in a line of progress: `Receiving objects:  45% (45/100), 1.20 MiB`.
fn counted(line: &[u8]) -> Option<(u64, u64)> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, rest) = line.split_once("% (")?;
    let (current, total) = rest.split_once(')')?.0.split_once('/')?;
    Some((current.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn versions_are_read() {
        assert_eq!(version("git version 2.47.3\n"), Some((2, 47)));
        assert_eq!(version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(version("hub version 1"), None);
    }

    #[test]
    fn progress_is_counted_and_the_rest_kept() {
        assert_eq!(counted(b"Receiving objects:  45% (45/100), 1.20 MiB | 3 MiB/s"), Some((45, 100)));
        assert_eq!(counted(b"remote: Counting objects: 100% (7/7), done."), Some((7, 7)));
        for none in ["remote: Enumerating objects: 5, done.", "fatal: 3% (x/y)", "% (", ""] {
            assert_eq!(counted(none.as_bytes()), None, "{none}");
        }
        let (mut words, mut counts) = (Words::default(), Vec::new());
        words.take(b"a\nReceiving objects: 50% (1/2)\rReceiving obj", &mut |a, b| counts.push((a, b)));
        words.take(b"ects: 100% (2/2)\nremote: b\x1b[31m\n\nfatal: c\nfatal: d", &mut |a, b| {
            counts.push((a, b))
        });
        assert_eq!(counts, [(1, 2), (2, 2)]);
        assert_eq!(words.last(), "remote: b[31m; fatal: c; fatal: d");
        assert_eq!(Words::default().last(), "");
        let mut words = Words::default();
        words.take(&[b'x'; 50_000], &mut |_, _| {});
        assert!(words.last().len() <= 300);
    }

    #[test]
    fn much_on_both_streams_blocks_nobody() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo end >&2";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = 0;
        let answer = read_both(child.stdout.take(), child.stderr.take(), &mut |bytes| {
            words += bytes.len();
            true
        });
        assert!(child.wait().unwrap().success());
        assert_eq!((answer.len(), words), (300_000, 300_004));
    }
}
