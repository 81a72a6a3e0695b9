//! Workers: processes that do a part of a long operation side by side with others of their kind.
//!
//! Theory of operation. A worker tells its parent what happens and asks it for what it needs of others; its result
//! comes back whole, as a leaf's does. Unlike a leaf it stays single-threaded, so it may fork leaves and containers
//! of its own (rule 1). The parent waits for several with poll(2), so nothing here waits for long except a worker that
//! asks. It dies with its parent, and its leaves die with it.

use super::leaf::{Reporter, Told, spawn_leaf, take};
use super::link::MESSAGE_MAX;
use super::{Child, leaf};
use crate::error::{Context, Kind, Result};
use crate::sys::process;
use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

/// A worker, from its parent's side.
#[derive(Debug)]
pub struct Worker<M, T> {
    name: &'static str,
    child: Child,
    kind: PhantomData<fn() -> (M, T)>,
}

/// What a parent hears from a worker.
#[derive(Debug)]
pub enum Heard<M, T> {
    /// A message or a question.
    Message(M),
    /// It has ended with this result.
    Ended(Result<T>),
}

impl<M, T> Worker<M, T>
where
    M: Serialize + DeserializeOwned,
    T: Serialize + DeserializeOwned,
{
    /// Starts one. Of this process's descriptors it has the standard streams and those `kept`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        name: &'static str,
        kept: &[RawFd],
        work: impl FnOnce(&Reporter<M>) -> Result<T>,
    ) -> Result<Self> {
        let child = spawn_leaf(name, kept, work)?;
        Ok(Worker { name, child, kind: PhantomData })
    }

    /// Takes what comes next; waits for it.
    pub fn hear(&self) -> Heard<M, T> {
        match take(self.name, &self.child) {
            Told::Message(message) => Heard::Message(message),
            Told::Done(result) => {
                let _ = self.child.wait();
                Heard::Ended(result)
            }
        }
    }

    /// Answers a question; an answer may be of any size.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn answer<A: Serialize>(&self, answer: &A) -> Result<()> {
        let bytes =
            serde_json::to_vec(answer).context(Kind::Runtime, || "answer a process of this command")?;
        let link = &self.child.link;
        // One that has died says so when it is heard next.
        let _ = link
            .send(&bytes.len(), &[])
            .and_then(|()| bytes.chunks(MESSAGE_MAX).try_for_each(|piece| link.send_bytes(piece, &[])));
        Ok(())
    }

    /// Ends it, and waits until it is gone.
    pub fn kill(&self) {
        let _ = process::pidfd_send_signal(self.child.pidfd.as_fd(), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

impl<M, T> AsFd for Worker<M, T> {
    /// Readable when there is something to hear.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.child.link.as_fd()
    }
}

impl<M: Serialize> Reporter<M> {
    /// Sends a question up and waits for the answer.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn ask<A: DeserializeOwned>(&self, question: M) -> Result<A> {
        self.send(question);
        leaf::answer(self)
    }
}
