//! Leaves: processes that may start threads, never fork, and return one result.
//!
//! Theory of operation. While it works, a leaf sends messages of one packet each. Its result can be of any size
//! (the names in an archive, the contents of a volume), so it follows the last message in as many packets as it
//! needs, terminated by end of file. A truncated result is not valid JSON, so a leaf that dies while sending is
//! noticed.
//!
//! A leaf works only for its parent, so it dies with it (prctl(2) `PR_SET_PDEATHSIG`): when a pull is killed,
//! its download stops. Entering the user namespace does not reset that, but a leaf that changes its ids has to
//! set it again.
//!
//! A leaf keeps only the descriptors passed to it. So a lock that its parent releases is free, and a client
//! whose connection a server closes sees that, however long a leaf works.

use super::link::MESSAGE_MAX;
use super::{Child, Failure, Link, Step, spawn};
use crate::error::{Error, Kind, Result};
use crate::sys::fd::close_all_but_numbers;
use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// Largest result of a leaf, in bytes: more than any honest one, and little to hold.
const RESULT_MAX: usize = 64 << 20;

/// What a [`leaf`] sends up when it is done.
#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "lives for one message")]
enum Done<T> {
    Ok(T),
    Err(SentError),
}

/// An [`Error`] sent through a link: messages and hints are preserved, the types of causes are not.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SentError {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    /// The message and the causes as docker words them.
    docker: Vec<String>,
    hints: Vec<String>,
    excerpts: Vec<String>,
    /// Docker's client says it, not its engine.
    of_client: bool,
    /// The failure at the bottom of the chain, whole, so that the parent can explain it.
    failure: Option<Failure>,
}

impl From<&Error> for SentError {
    fn from(e: &Error) -> Self {
        SentError {
            kind: e.kind(),
            message: e.message().to_owned(),
            causes: e.causes(),
            docker: e.dockers_chain(),
            hints: e.hints().into_iter().map(str::to_owned).collect(),
            excerpts: e.excerpts().into_iter().map(str::to_owned).collect(),
            of_client: !e.is_engines(),
            failure: Failure::below(e).cloned(),
        }
    }
}

impl From<SentError> for Error {
    fn from(sent: SentError) -> Error {
        // A failure is always the last cause; it takes the place of its own text.
        let words = sent.causes.len() - usize::from(sent.failure.is_some() && !sent.causes.is_empty());
        let mut below: Option<Box<dyn std::error::Error + Send + Sync>> = sent.failure.map(Into::into);
        let mut docker = sent.docker.into_iter();
        let mut error = Error::new(sent.kind, sent.message).as_docker(docker.next().unwrap_or_default());
        let causes: Vec<(String, String)> = sent.causes.into_iter().zip(docker).take(words).collect();
        for (message, docker) in causes.into_iter().rev() {
            let next = Error::new(sent.kind, message).as_docker(docker);
            below = Some(Box::new(match below {
                Some(cause) => next.caused_by(cause),
                None => next,
            }));
        }
        if let Some(cause) = below {
            error = error.caused_by(cause);
        }
        let error = if sent.of_client { error.of_client() } else { error };
        let error = sent.hints.into_iter().fold(error, Error::hint);
        if sent.excerpts.is_empty() { error } else { error.excerpt(sent.excerpts.concat()) }
    }
}

/// Runs `work` in a forked leaf: a process that may start threads and never forks. Of this process's descriptors
/// it has the standard streams and those `kept`. Its result or its error comes back whole; messages it sends on
/// the way are given to `on_message`.
///
/// # Errors
/// The error of `work`, or that the leaf died.
pub fn leaf<M, T>(
    name: &str,
    kept: &[RawFd],
    work: impl FnOnce(&Reporter<M>) -> Result<T>,
    on_message: impl FnMut(M),
) -> Result<T>
where
    M: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let child = spawn_leaf(name, kept, work)?;
    listen(name, &child, |_| Ok(()), on_message)
}

/// A leaf that works in parallel with its parent.
#[derive(Debug)]
pub struct Beside<T> {
    name: &'static str,
    child: Child,
    kind: std::marker::PhantomData<fn() -> T>,
}

/// Like [`leaf`], but this process continues meanwhile, until it calls [`Beside::finish`].
///
/// # Errors
/// When it cannot be started.
pub fn leaf_beside<T>(
    name: &'static str,
    kept: &[RawFd],
    work: impl FnOnce() -> Result<T>,
) -> Result<Beside<T>>
where
    T: Serialize + DeserializeOwned,
{
    let child = spawn_leaf::<(), T>(name, kept, |_| work())?;
    Ok(Beside { name, child, kind: std::marker::PhantomData })
}

impl<T: Serialize + DeserializeOwned> Beside<T> {
    /// Waits for its result.
    ///
    /// # Errors
    /// The error of its work, or that it died.
    pub fn finish(self) -> Result<T> {
        listen::<(), T>(self.name, &self.child, |_| Ok(()), |()| {})
    }
}

pub(super) fn spawn_leaf<M, T>(
    name: &str,
    kept: &[RawFd],
    work: impl FnOnce(&Reporter<M>) -> Result<T>,
) -> Result<Child>
where
    M: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let parent = getpid();
    spawn(0, |link| {
        let kept = [kept, &[link.as_fd().as_raw_fd()]].concat();
        if !ends_with(parent) || close_all_but_numbers(&kept).is_err() {
            return 125;
        }
        let reporter = Reporter { link, kind: std::marker::PhantomData };
        let done = match work(&reporter) {
            Ok(value) => Done::Ok(value),
            Err(e) => Done::Err(SentError::from(&e)),
        };
        let Reporter { link, .. } = reporter;
        let sent = link.send(&Up::<M>::Done, &[]).and_then(|()| send_result(&link, &done));
        i32::from(sent.is_err())
    })
    .map_err(|e| not_started(name, e))
}

/// The failure of a leaf that there is not.
pub(super) fn not_started(name: &str, errno: Errno) -> Error {
    let what = format!("the {name} process");
    Error::new(Kind::Host, format!("start {what}")).caused_by(Failure::new(Step::Start, what, errno))
}

/// Has this process killed when its parent's end comes; false when that has been. The signal comes at the end
/// of the thread that forked, and a process that forks has one (rule 1).
fn ends_with(parent: Pid) -> bool {
    set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent
}

/// Takes a leaf's messages until its result; `before_each` is called before each wait.
pub(super) fn listen<M, T>(
    name: &str,
    child: &Child,
    mut before_each: impl FnMut(&Child) -> nix::Result<()>,
    mut on_message: impl FnMut(M),
) -> Result<T>
where
    M: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    let result = loop {
        if let Err(e) = before_each(child) {
            break Err(died(name).caused_by(e));
        }
        match take(name, child) {
            Told::Message(message) => on_message(message),
            Told::Done(result) => break result,
        }
    };
    let _ = child.wait();
    result
}

/// What a leaf has said.
pub(super) enum Told<M, T> {
    Message(M),
    Done(Result<T>),
}

/// Waits for what a leaf says next.
pub(super) fn take<M, T>(name: &str, child: &Child) -> Told<M, T>
where
    M: DeserializeOwned,
    T: DeserializeOwned,
{
    Told::Done(match child.link.recv::<Up<M>>() {
        Ok(Some((Up::Message(message), _))) => return Told::Message(message),
        Ok(Some((Up::Done, _))) => match receive_result(&child.link) {
            Ok(Done::Ok(value)) => Ok(value),
            Ok(Done::Err(sent)) => Err(sent.into()),
            Err(e) => Err(died(name).caused_by(e)),
        },
        Ok(None) => Err(died(name)),
        Err(e) => Err(died(name).caused_by(e)),
    })
}

fn died(name: &str) -> Error {
    Error::new(Kind::Runtime, format!("the {name} process died"))
        .hint("It may have been killed for lack of memory: see journalctl -k. Run the command again.")
}

/// Waits for the parent's answer to a question.
pub(super) fn answer<M, A: DeserializeOwned>(reporter: &Reporter<M>) -> Result<A> {
    let gone = || Error::new(Kind::Runtime, "the command that this process works for is gone");
    let received = || -> nix::Result<Option<A>> {
        let Some((length, _)) = reporter.link.recv::<usize>()? else { return Ok(None) };
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let (piece, _) = reporter.link.recv_bytes()?;
            if piece.is_empty() {
                return Ok(None);
            }
            bytes.extend(piece);
        }
        serde_json::from_slice(&bytes).map(Some).map_err(|_| Errno::EBADMSG)
    };
    match received() {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(gone()),
        Err(e) => Err(gone().caused_by(e)),
    }
}

/// A leaf's way to send messages while it works; shared by its threads.
#[derive(Debug)]
pub struct Reporter<M> {
    link: Link,
    kind: std::marker::PhantomData<fn(M)>,
}

impl<M: Serialize> Reporter<M> {
    /// Sends one message up; a parent that is gone is not an error here.
    pub fn send(&self, message: M) {
        let _ = self.link.send(&Up::Message(message), &[]);
    }
}

#[derive(Serialize, Deserialize)]
enum Up<M> {
    Message(M),
    /// The result follows.
    Done,
}

fn send_result<T: Serialize>(link: &Link, result: &Done<T>) -> nix::Result<()> {
    let bytes = serde_json::to_vec(result).map_err(|_| Errno::EINVAL)?;
    bytes.chunks(MESSAGE_MAX).try_for_each(|piece| link.send_bytes(piece, &[]))
}

fn receive_result<T: DeserializeOwned>(link: &Link) -> nix::Result<Done<T>> {
    let mut bytes = Vec::new();
    loop {
        let (piece, _) = link.recv_bytes()?;
        if piece.is_empty() {
            return serde_json::from_slice(&bytes).map_err(|_| Errno::EBADMSG);
        }
        if bytes.len() + piece.len() > RESULT_MAX {
            return Err(Errno::EMSGSIZE);
        }
        bytes.extend(piece);
    }
}
