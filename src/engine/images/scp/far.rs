//! A program for containers that works in another account, here or on another machine.
//!
//! Theory of operation. ssh gives one string to a shell there, of which nothing is known; so that string calls sh with
//! a script of ours and plain words, all in single quotes and without a line break, which every shell reads alike. The
//! script looks for coracle, podman and docker, in this order, says which one it has found, and has that save or load.
//! What comes before that line is what start-up files of the shell have printed, and is passed over. Standard output
//! then has the archive, or the names of what was loaded. What the other side says of itself may be made up: it is
//! shown, but nothing is decided by it.

use super::place::Holder;
use crate::error::{Context, Error, Kind, Result};
use crate::sys::fd::worker;
use crate::text::printable;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

/// What the line begins with that says which program was found.
const FOUND: &str = "coracle-scp: ";
/// How much may come before that line, in bytes.
const NOISE_MAX: usize = 64 << 10;
/// How much of what a side says is kept, in bytes.
const WORDS_MAX: usize = 4096;
/// The exit code of the script that finds none of the programs.
const NONE_FOUND: i32 = 127;
/// The exit code of ssh for failures of its own (ssh(1), "EXIT STATUS").
const SSH_FAILED: i32 = 255;

/// Finds the program as `$p`. A session by ssh or sudo may lack the directory of programs of one's own, and what a login
/// sets.
const FIND: &str = "p=; PATH=$PATH:$HOME/.local/bin:/usr/local/bin:/usr/bin:/bin; export PATH; \
     r=/run/user/$(id -u); if [ -z \"$XDG_RUNTIME_DIR\" ] && [ -d $r ]; then XDG_RUNTIME_DIR=$r; export XDG_RUNTIME_DIR; fi; \
     for n in coracle podman docker; do if command -v $n >/dev/null 2>&1; then p=$n; break; fi; done; \
     if [ -z \"$p\" ]; then exit 127; fi; echo \"coracle-scp: $p\"; ";

/// Saves: the form, the image, and whether to save it without its names. Docker knows one form only.
const SAVE: &str = "i=$2; if [ \"$3\" = nameless ]; then \
     i=$($p image inspect --format \"{{.Id}}\" \"$2\" </dev/null) || exit 1; fi; \
     case $p in docker) exec docker save \"$i\";; esac; exec $p save --format \"$1\" \"$i\"";

/// Loads, and names what has come without a name.
const LOAD: &str = "if [ -z \"$1\" ]; then exec $p load; fi; set -f; o=$($p load) || exit 1; \
     i=; for w in $o; do i=$w; done; $p tag \"$i\" \"$1\" && echo \"Loaded image: $1\"";

/// What is to be done there.
#[derive(Debug)]
pub(super) enum Work<'a> {
    /// Write an archive.
    Save {
        /// The form that is asked for, as coracle and podman call it.
        format: &'a str,
        /// The image.
        image: &'a str,
        /// Without its names.
        nameless: bool,
    },
    /// Read one.
    Load {
        /// The name for an image that has none.
        name: Option<&'a str>,
    },
}

/// The program at work.
#[derive(Debug)]
pub(super) struct Far {
    holder: Holder,
    child: Child,
    /// What was asked for, for messages.
    doing: String,
    /// Which program was found.
    pub(super) program: String,
    /// Where an archive goes.
    pub(super) input: Option<ChildStdin>,
    /// Where an archive comes from, or names.
    pub(super) output: Option<ChildStdout>,
    /// Where it complains.
    pub(super) complaints: Option<ChildStderr>,
    /// What it has complained of.
    pub(super) said: Tail,
    ended: bool,
}

/// The last of what a program writes.
#[derive(Debug, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    /// Takes what comes next.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.drain(..self.0.len().saturating_sub(WORDS_MAX));
    }

    /// The lines, without what terminals obey.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.0);
        let lines = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| printable(line).into_owned()).collect()
    }

    /// What went wrong: the last line that says so, else the last lines.
    fn complaint(&self) -> Option<String> {
        let lines = self.lines();
        if let Some(error) = lines.iter().rev().find_map(|line| line.strip_prefix("Error: ")) {
            return Some(error.to_owned());
        }
        let plain: Vec<&str> =
            lines.iter().map(String::as_str).filter(|line| !line.starts_with("Hint: ")).collect();
        let last = plain[plain.len().saturating_sub(3)..].join("; ");
        Some(last).filter(|last| !last.is_empty())
    }
}

impl Far {
    /// Starts the program there, and waits until it is found.
    ///
    /// # Errors
    /// ssh or sudo is missing here or fails, or there is no such program there.
    pub(super) fn start(holder: &Holder, work: &Work<'_>) -> Result<Far> {
        let doing = match work {
            Work::Save { image, .. } => format!("save {image} on {holder}"),
            Work::Load { .. } => format!("load the image on {holder}"),
        };
        let mut command = command(holder, work);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| not_started(holder, e))?;
        let (input, output, complaints) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut far = Far {
            holder: holder.clone(),
            child,
            doing,
            program: String::new(),
            input,
            output,
            complaints,
            said: Tail::default(),
            ended: false,
        };
        if matches!(work, Work::Save { .. }) {
            far.input = None;
        }
        match far.greeting() {
            Some(program) => far.program = program,
            None => return Err(far.not_reached()),
        }
        log::debug!("{} was found on {holder}", far.program);
        Ok(far)
    }

    /// Reads up to the line with the program, a byte at a time, as what follows is others' to read.
    fn greeting(&mut self) -> Option<String> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        for _ in 0..NOISE_MAX {
            self.await_output();
            match self.output.as_mut()?.read(&mut byte) {
                Ok(0) => return None,
                Ok(_) if byte[0] == b'\n' => {
                    let text = String::from_utf8_lossy(&line);
                    let program = text.trim_end().strip_prefix(FOUND);
                    if let Some(found) =
                        ["coracle", "podman", "docker"].into_iter().find(|p| program == Some(p))
                    {
                        return Some(found.to_owned());
                    }
                    line.clear();
                }
                Ok(_) => line.push(byte[0]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Waits for output, and meanwhile takes complaints.
    fn await_output(&mut self) {
        while let (Some(output), Some(complaints)) = (&self.output, &mut self.complaints) {
            let mut fds = [
                PollFd::new(output.as_fd(), PollFlags::POLLIN),
                PollFd::new(complaints.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => return,
                Ok(_) => {}
            }
            let (ready, complains) = (fds[0].any().unwrap_or(true), fds[1].any().unwrap_or(true));
            if complains && !take_some(complaints, &mut self.said) {
                self.complaints = None;
            }
            if ready {
                return;
            }
        }
    }

    /// Why there is no program there.
    fn not_reached(mut self) -> Error {
        (self.input, self.output) = (None, None);
        let code = self.wait();
        let holder = &self.holder;
        let none = Error::new(
            Kind::NotFound,
            format!("neither coracle nor podman nor docker was found on {holder}"),
        )
        .hint(
            "Install one of them there, in a directory that is in the PATH of a session without a terminal.",
        );
        let error = match (holder, code) {
            (_, Ok(NONE_FOUND)) if self.said.complaint().is_none() => return none,
            (Holder::User(user), _) => Error::new(Kind::Host, format!("become the user {user}"))
                .hint(format!("See what you may do: sudo -u {user} true")),
            (_, Ok(SSH_FAILED)) => Error::new(Kind::Network, format!("connect to {holder}"))
                .hint(format!("See what ssh says: {} true", self.shown())),
            _ => Error::new(Kind::Network, format!("start a program on {holder}"))
                .hint(format!("See what ssh says: {} true", self.shown())),
        };
        match self.said.complaint() {
            Some(said) => error.caused_by(Error::new(Kind::Network, said)),
            None => error,
        }
    }

    /// The call of ssh for hints.
    fn shown(&self) -> String {
        let port = match &self.holder {
            Holder::Machine { port: Some(port), .. } => format!("-p {port} "),
            _ => String::new(),
        };
        format!("ssh {port}{}", self.holder)
    }

    fn wait(&mut self) -> Result<i32> {
        while self.complaints.as_mut().is_some_and(|from| take_some(from, &mut self.said)) {}
        let status = self.child.wait().context(Kind::Host, || format!("wait for {}", self.holder))?;
        self.ended = true;
        Ok(status.code().unwrap_or(-1))
    }

    /// Waits for its end, once its output has been read.
    ///
    /// # Errors
    /// When it has failed, with what it has said last.
    pub(super) fn finish(mut self) -> Result<()> {
        (self.input, self.output) = (None, None);
        let ended = self.wait()?;
        let lost = match ended {
            0 => return Ok(()),
            SSH_FAILED => matches!(self.holder, Holder::Machine { .. }),
            _ => false,
        };
        let error = match lost {
            true => Error::new(Kind::Network, format!("the connection to {} was lost", self.holder)),
            false => Error::new(Kind::Image, self.doing.clone()),
        };
        Err(match self.said.complaint() {
            Some(said) => error.caused_by(Error::new(Kind::Image, said)),
            None => error
                .caused_by(Error::new(Kind::Image, format!("{} ended with exit code {ended}", self.program))),
        })
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        if !self.ended {
            // It ends one way or the other.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Takes what there is; false at the end.
pub(super) fn take_some(from: &mut impl Read, into: &mut Tail) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                into.take(&buffer[..count]);
                return true;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

/// The call that has the work done there.
fn command(holder: &Holder, work: &Work<'_>) -> Command {
    let (script, words): (&str, Vec<&str>) = match work {
        Work::Save { format, image, nameless } => {
            (SAVE, vec![format, image, if *nameless { "nameless" } else { "" }])
        }
        Work::Load { name } => (LOAD, vec![name.unwrap_or_default()]),
    };
    let script = format!("{FIND}{script}");
    match holder {
        Holder::Machine { user, host, port } => {
            let mut command = worker("ssh");
            // One that is gone is noticed.
            command.args(["-T", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]);
            command.args(port.map(|port| format!("-p{port}")));
            command.args(user.as_ref().map(|user| format!("-l{user}")));
            let words: String = words.iter().map(|word| format!(" '{word}'")).collect();
            command.arg("--").arg(host).arg(format!("exec sh -c '{script}' coracle-scp{words}"));
            command
        }
        Holder::User(user) => {
            let mut command = worker("sudo");
            command.args(["-H", "-u", user, "--", "sh", "-c", &script, "coracle-scp"]).args(words);
            command
        }
        Holder::Here => {
            let mut command = worker("sh");
            command.args(["-c", &script, "coracle-scp"]).args(words);
            command
        }
    }
}

fn not_started(holder: &Holder, e: std::io::Error) -> Error {
    let (program, package) = match holder {
        Holder::Machine { .. } => ("ssh", "openssh-client"),
        _ => ("sudo", "sudo"),
    };
    let error = Error::new(Kind::Host, format!("{program} is needed to reach {holder}"));
    if e.kind() == ErrorKind::NotFound {
        return error
            .caused_by(Error::new(Kind::Host, format!("the program {program} was not found")))
            .hint(format!("Install the package {package}: apt install {package} (or dnf, zypper)."));
    }
    error.caused_by(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ssh gets is one word for a shell of any kind.
    #[test]
    fn scripts_have_nothing_that_ends_their_quotes() {
        for text in [FIND, SAVE, LOAD] {
            assert!(!text.contains(['\'', '\n', '!', '\\']), "{text}");
        }
    }

    #[test]
    fn the_last_error_is_the_complaint() {
        let mut tail = Tail::default();
        tail.take(b"Warning: x\nError: first\nError: the \x1b[31mlast\r\nHint: type this\n");
        assert_eq!(tail.complaint().as_deref(), Some("the \\x1b[31mlast"));
        let mut tail = Tail::default();
        tail.take(b"Permission denied (publickey).\n\n");
        assert_eq!(tail.complaint().as_deref(), Some("Permission denied (publickey)."));
        assert_eq!(Tail::default().complaint(), None);
    }
}
