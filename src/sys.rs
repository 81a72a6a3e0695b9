//! Typed system calls: the only room that may contain `unsafe`.
//!
//! What nix offers is used from nix; this is what it lacks. Every wrapper takes and returns owned or borrowed
//! descriptors, never raw numbers, and returns `nix::Result`.
#![allow(unsafe_code, reason = "the one room for system calls that no library wraps")]

pub mod calls;
pub mod caps;
pub mod dir;
pub mod fd;
pub mod mount;
pub mod namespace;
pub mod net;
pub mod probe;
pub mod process;
pub mod pty;
pub mod random;
pub mod read;
pub mod sctp;
pub mod seccomp;
pub mod sockets;
pub mod volume;
pub mod xattr;
