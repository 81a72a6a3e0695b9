//! Running containers: from a plan and a directory to a process, and back to an exit record.

pub mod caps;
pub mod client;
pub mod control;
pub mod frame;
pub mod relay;
pub mod seccomp;
pub mod select;
pub mod users;
