//! Credential helpers: `docker-credential-NAME get|store|erase|list` (docker/docker-credential-helpers, Development).
//!
//! Theory of operation. A helper gets the standard streams and nothing else; secrets go through its standard input,
//! never through its arguments. It is a program of the user's that may ask for a passphrase, so it has time; but one
//! that never ends, or that prints without end, is ended. What it says of a failure is shown, what it says
//! otherwise is not.

use super::key::LoginKey;
use super::secret::Credentials;
use crate::error::{Error, Kind, Result};
use crate::sys::fd::command;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take; somebody may have to type a passphrase.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Most bytes that are read from each of its streams.
const OUTPUT_MAX: usize = 1 << 20;
/// Time between two looks whether it has ended.
const LOOK_EVERY: u16 = 50;
/// The user name by which a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// How helpers say that they know nothing of a server.
const NOT_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    user: String,
    #[serde(rename = "Secret")]
    secret: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Order<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// Asks a helper for what it knows of a server.
///
/// # Errors
/// A helper that is not there, fails, or answers nonsense.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Credentials>> {
    let Some(output) = run(name, "get", server, server.as_bytes(), TIME_MAX)? else { return Ok(None) };
    let answer: Answer = serde_json::from_slice(&output).map_err(|_| bad_answer(name, server))?;
    Ok(match answer {
        Answer { user, secret } if user == TOKEN_USER => Some(Credentials::Identity(secret)),
        Answer { user, .. } if user.is_empty() => None,
        Answer { user, secret } => Some(Credentials::Password { user, password: secret }),
    })
}

/// Gives a helper a secret to keep.
///
/// # Errors
/// A helper that is not there or fails.
pub(super) fn store(name: &str, key: &LoginKey, user: &str, secret: &str) -> Result<()> {
    let order = Order { server: key.docker(), username: user, secret };
    let order = serde_json::to_vec(&order).map_err(|e| failed(name, key.docker()).caused_by(e))?;
    run(name, "store", key.docker(), &order, TIME_MAX).map(drop)
}

/// Has a helper forget a server; whether it knew it.
///
/// # Errors
/// A helper that is not there or fails.
pub(super) fn erase(name: &str, server: &str) -> Result<bool> {
    Ok(run(name, "erase", server, server.as_bytes(), TIME_MAX)?.is_some())
}

/// The servers a helper knows.
///
/// # Errors
/// As [`get`].
pub(super) fn list(name: &str) -> Result<Vec<String>> {
    let output = run(name, "list", "all servers", b"", TIME_MAX)?.unwrap_or_default();
    let known: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&output).map_err(|_| bad_answer(name, "all servers"))?;
    Ok(known.into_keys().collect())
}

fn failed(name: &str, server: &str) -> Error {
    Error::new(Kind::Host, format!("credential helper docker-credential-{name} for {server}"))
}

fn said(name: &str, server: &str, what: &str) -> Error {
    Error::new(Kind::Host, format!("{}: {what}", failed(name, server).message()))
}

fn bad_answer(name: &str, server: &str) -> Error {
    said(name, server, "its answer is not JSON of the known form")
}

/// Runs a helper; gives what it prints, or nothing if it says that it does not know the server.
fn run(name: &str, verb: &str, server: &str, input: &[u8], time: Duration) -> Result<Option<Vec<u8>>> {
    if name.is_empty() || name.contains('/') {
        return Err(
            failed(name, server).caused_by(Error::new(Kind::Usage, "the name must not contain a slash"))
        );
    }
    let mut child = command(format!("docker-credential-{name}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(name, server).caused_by(e))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A helper that ends early says so by its exit code. A pipe holds more than any password.
        let _ = pipe.write_all(input);
    }
    let outcome = outcome(&mut child, time);
    if outcome.is_err() {
        let _ = child.kill();
    }
    let ended = child.wait();
    let (output, complaint) = outcome.map_err(|why| said(name, server, &why))?;
    let status: ExitStatus = ended.map_err(|e| failed(name, server).caused_by(e))?;
    if status.success() {
        return Ok(Some(output));
    }
    let words = words(&output, &complaint);
    if words.contains(NOT_FOUND) {
        return Ok(None);
    }
    let words = if words.is_empty() { format!("it failed ({status})") } else { words };
    Err(said(name, server, &words))
}

/// What a helper says of its failure; nothing that may be an answer with a secret.
fn words(output: &[u8], complaint: &[u8]) -> String {
    let output = if output.contains(&b'{') { &[] } else { output };
    let text = String::from_utf8_lossy(&[output, complaint].concat()).into_owned();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>().trim().to_owned()
}

/// Waits for the end of a helper and reads what it prints. Its own children may hold its streams longer.
fn outcome(child: &mut Child, time: Duration) -> Result<(Vec<u8>, Vec<u8>), String> {
    let begun = Instant::now();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    loop {
        let over = child.try_wait().map_err(in_words)?.is_some();
        loop {
            let wait = if over { PollTimeout::ZERO } else { PollTimeout::from(LOOK_EVERY) };
            let first = read_if_ready(&mut stdout, &mut output, wait)?;
            let second = read_if_ready(&mut stderr, &mut complaint, PollTimeout::ZERO)?;
            if output.len().max(complaint.len()) > OUTPUT_MAX {
                return Err(format!("it prints more than {OUTPUT_MAX} bytes"));
            }
            if begun.elapsed() > time {
                return Err(format!("it has not answered within {} s", time.as_secs()));
            }
            if !first && !second {
                break;
            }
        }
        if over {
            return Ok((output, complaint));
        }
        if stdout.is_none() {
            std::thread::sleep(Duration::from_millis(LOOK_EVERY.into()) / 10);
        }
    }
}

/// What the system says of a failure to talk to a helper.
fn in_words(failure: std::io::Error) -> String {
    failure.to_string()
}

/// Reads what a stream has within the time; whether it had anything. At its end it becomes `None`.
fn read_if_ready<R: Read + AsFd>(
    stream: &mut Option<R>,
    to: &mut Vec<u8>,
    wait: PollTimeout,
) -> Result<bool, String> {
    let Some(open) = stream else { return Ok(false) };
    let mut ready = [PollFd::new(open.as_fd(), PollFlags::POLLIN)];
    match poll(&mut ready, wait) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(false),
        Ok(_) => {}
        Err(e) => return Err(in_words(e.into())),
    }
    let mut buffer = [0; 8192];
    match open.read(&mut buffer).map_err(in_words)? {
        0 => {
            *stream = None;
            Ok(false)
        }
        length => {
            to.extend_from_slice(&buffer[..length]);
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn outcome_of(script: &str, time: Duration) -> Result<(Vec<u8>, Vec<u8>), String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let found = outcome(&mut child, time);
        let _ = child.kill();
        child.wait().unwrap();
        found
    }

    #[test]
    fn helpers_that_hang_or_flood_are_given_up() {
        let long = Duration::from_secs(100);
        let (output, complaint) = outcome_of("echo out; echo err >&2", long).unwrap();
        assert_eq!((output.as_slice(), complaint.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        let error = outcome_of("exec sleep 100", Duration::from_millis(50)).unwrap_err();
        assert!(error.contains("not answered"), "{error}");
        let error = outcome_of("exec cat /dev/zero", long).unwrap_err();
        assert!(error.contains("more than"), "{error}");
        let error = outcome_of("exec cat /dev/zero >&2", long).unwrap_err();
        assert!(error.contains("more than"), "{error}");
        // A child of its own that keeps the streams does not keep us.
        assert_eq!(
            outcome_of("sleep 100 & echo $!; exit", long).map(|(o, _)| {
                let pid: i32 = String::from_utf8(o).unwrap().trim().parse().unwrap();
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
            }),
            Ok(())
        );
    }

    #[test]
    fn a_failure_shows_no_answer() {
        assert_eq!(words(b"{\"Secret\":\"x\"}", b"pass\x1b[2J not there\n"), "pass [2J not there");
        assert_eq!(
            words(b"credentials not found in native keychain", b""),
            "credentials not found in native keychain"
        );
    }
}
