//! coracle: a rootless, daemonless, single-user container tool.
//!
//! ARCHITECTURE.md describes the rooms and the reasons for them. Imports go in one direction only, which
//! `tests/architecture` enforces.
#![warn(clippy::mod_module_files)]

pub mod build;
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
