//! The processes of one container: from a plan and a directory to a payload, and back to an exit record.
//!
//! [`launch`] is the parent's side of a start, [`monitor`] is what it forks, and [`init`] becomes the payload;
//! [`exec`] and [`health`] join a running container through [`door`].

pub mod birth;
pub mod caps;
pub mod cgroup;
pub mod connection;

pub mod door;
pub mod exec;
pub mod explain;
mod extras;
mod failure;
pub mod files;
pub mod frame;
pub mod health;
pub mod init;
#[cfg(test)]
pub(crate) mod inside;
pub mod join;
mod keys;
pub mod launch;
pub mod link;
pub mod masks;
pub mod monitor;
pub mod mounting;
pub mod namespaces;
mod notify;
pub mod output;
pub mod passwd;
mod preflight;
pub mod processes;
pub mod relay;
mod report;
pub mod root;
pub mod seccomp;
pub mod secrets;
mod shared_root;
pub mod usage;
