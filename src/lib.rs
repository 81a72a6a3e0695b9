//! coracle: a rootless, daemonless, single-user container tool.
//!
//! The map of the house; ARCHITECTURE.md has the reasons. Imports go downwards only, and
//! `tests/architecture` holds that rule.
#![warn(clippy::mod_module_files)]

pub mod cli;
pub mod cmd;
pub mod container;
pub mod engine;
pub mod error;
pub mod failpoint;
pub mod fork;
pub mod host;
pub mod image;
pub mod netns;
pub mod plan;
pub mod registry;
pub mod runtime;
pub mod spec;
pub mod storage;
pub mod sys;
pub mod text;
pub mod ui;
pub mod userns;
pub mod view;
