//! The steps of a stage on which decisions are based.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A step that decides an exit code, a retry, a fall-back or a hint when it fails. All others are words alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Any other step.
    Other,
    /// A program takes the process over: the payload, or one of the host's.
    Execute,
    /// A user or group is looked up in the container.
    FindAccount,
    /// The working directory is looked up in a container that is being started.
    FindDirectory,
    /// A process in a running container enters its working directory.
    EnterDirectory,
    /// A fork, in the namespaces that the parent has.
    Start,
    /// The container is taken in hand, before its first step: another monitor may have it.
    TakeContainer,
    /// New namespaces, by unshare(2) or by birth.
    MakeNamespaces,
    /// newuidmap or newgidmap.
    MapIds,
    /// Layers whose files belong to many ids are used by who has one.
    UseLayers,
    /// An overlay is mounted by the kernel.
    MountOverlay,
    /// A container asks a network for an address.
    GetAddress,
    /// A network's keeper is called, or an answer of its waited for.
    ReachKeeper,
    /// The network's program opens /dev/net/tun.
    OpenTun,
}

impl Step {
    /// The step in the infinitive, for messages.
    pub(super) fn words(self) -> &'static str {
        match self {
            Step::Other => "work on",
            Step::Execute => "execute",
            Step::FindAccount => "unable to find",
            Step::FindDirectory => "find working directory",
            Step::EnterDirectory => "enter working directory",
            Step::Start | Step::TakeContainer => "start",
            Step::MakeNamespaces => "make",
            Step::MapIds => "run",
            Step::UseLayers => "use the layers in",
            Step::MountOverlay => "mount overlay on",
            Step::GetAddress => "get an address on network",
            Step::ReachKeeper => "reach the keeper of network",
            Step::OpenTun => "set up the network with",
        }
    }
}

/// What was done: a [`Step`], which has its words, or words by which nobody decides.
#[derive(Debug, Clone)]
pub struct What<'a> {
    pub(super) step: Step,
    pub(super) words: Cow<'a, str>,
}

impl<'a> From<&'a str> for What<'a> {
    fn from(words: &'a str) -> Self {
        What { step: Step::Other, words: words.into() }
    }
}

impl From<Step> for What<'static> {
    fn from(step: Step) -> Self {
        What { step, words: step.words().into() }
    }
}
