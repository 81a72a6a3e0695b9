//! Log messages on standard error.

use crate::error::commands_of;
use crate::sys::process::{Identity, identity};
use log::{LevelFilter, Log, Metadata, Record};
use std::io::Write;

/// `--log-level`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What made the command fail
    #[value(aliases = ["fatal", "panic"])]
    #[serde(alias = "fatal", alias = "panic")]
    Error,
    /// Also what works otherwise than asked
    #[default]
    #[value(alias = "warning")]
    #[serde(alias = "warning")]
    Warn,
    /// Also what is done
    Info,
    /// Also how
    Debug,
    /// Everything, libraries too
    Trace,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => LevelFilter::Error,
            Level::Warn => LevelFilter::Warn,
            Level::Info => LevelFilter::Info,
            Level::Debug => LevelFilter::Debug,
            Level::Trace => LevelFilter::Trace,
        }
    }
}

struct Stderr;

static STDERR: Stderr = Stderr;

/// Starts logging at this level; a second call only changes the level.
pub(super) fn start(level: Level) {
    // Refused when a logger already exists, which is then this one.
    let _ = log::set_logger(&STDERR);
    log::set_max_level(level.into());
}

impl Log for Stderr {
    /// Libraries speak two levels later than we do: what made them fail we tell ourselves, in our words.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let ours = metadata.target().split("::").next() == Some("coracle");
        let level = metadata.level() as usize + if ours { 0 } else { 2 };
        level <= log::max_level() as usize || log::max_level() == LevelFilter::Trace
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // One write per line, so that lines of several processes do not mix. Nobody to tell on failure.
        let _ = std::io::stderr().write_all(line(record, identity()).as_bytes());
    }

    fn flush(&self) {}
}

/// The line in the form of whom this process stands for; podman's has fields, each with its name.
fn line(record: &Record<'_>, whose: Identity) -> String {
    // What an image or a registry wrote must not steer the terminal.
    let text = record.args().to_string().replace(char::is_control, " ");
    let text = commands_of(&text, whose.name());
    match (record.level(), whose) {
        (level, Identity::Podman) => {
            let time = chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let level = if level == log::Level::Warn { "warning" } else { level.as_str() };
            format!("time=\"{time}\" level={} msg={text:?}\n", level.to_ascii_lowercase())
        }
        (log::Level::Error, _) => format!("Error: {text}\n"),
        (log::Level::Warn, Identity::Coracle) => format!("Warning: {text}\n"),
        (log::Level::Warn, Identity::Docker) => format!("WARNING: {text}\n"),
        (level, _) => format!("{} {} {text}\n", level.as_str().to_ascii_lowercase(), record.target()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_read_as_sentences_and_details_say_where() {
        let record = |level, text, whose| {
            let args = format_args!("{text}");
            line(&Record::builder().level(level).target("coracle::x").args(args).build(), whose)
        };
        assert_eq!(record(log::Level::Warn, "one id only", Identity::Coracle), "Warning: one id only\n");
        assert_eq!(record(log::Level::Warn, "a\x1b[2Jb\n", Identity::Coracle), "Warning: a [2Jb \n");
        assert_eq!(record(log::Level::Debug, "joined", Identity::Coracle), "debug coracle::x joined\n");
        assert_eq!(record(log::Level::Warn, "one id only", Identity::Docker), "WARNING: one id only\n");
        assert_eq!(
            record(log::Level::Warn, "see: coracle info", Identity::Docker),
            "WARNING: see: docker info\n"
        );
        let fields = record(log::Level::Warn, "no \"x\"", Identity::Podman);
        assert!(fields.starts_with("time=\"20"), "{fields}");
        assert!(fields.ends_with("\" level=warning msg=\"no \\\"x\\\"\"\n"), "{fields}");
    }
}
