//! Terminal, standard input and where output is stored.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Terminal, standard input and log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IoSpec {
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin: bool,
    /// Where output is kept.
    pub log: LogSpec,
}

/// Where output is kept; by default in a file of the container's directory, without a limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogSpec {
    /// How it is kept.
    pub driver: LogDriver,
    /// Bytes after which the file is rotated; `None` is never.
    pub max_size: Option<u64>,
    /// The file, absolute; `None` is one in the container's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What entries are marked with: a template as it was asked for, and its text in the plan that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// How many files of `max_size` there may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_file: Option<u32>,
}

/// How output is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// A text file: time, stream, partial or full, text.
    #[default]
    K8sFile,
    /// A file of docker's JSON objects.
    JsonFile,
    /// systemd's journal.
    Journald,
    /// Not kept.
    None,
    /// The caller's descriptors go straight to the payload; nothing is kept.
    Passthrough,
    /// The same, also where they are a terminal.
    PassthroughTty,
}

impl IoSpec {
    /// Whether the caller's streams are the payload's own.
    pub fn is_passed_through(&self) -> bool {
        matches!(self.log.driver, LogDriver::Passthrough | LogDriver::PassthroughTty) && !self.tty
    }
}
