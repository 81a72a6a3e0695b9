//! What the user sees: errors, tables, templates, progress. The only place that prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the room that prints")]

use crate::error::{Error, Kind, Warning, commands_of};
use crate::text::printable;
use std::io::Write;
use std::process::ExitCode;

mod ask;
pub mod build;
mod choose;
mod confirm;
mod dialect;
mod documents;
mod each;
mod out;
pub mod progress;
mod refusal;
pub mod rows;
pub mod terminal;
mod typing;

pub use ask::{ask, ask_hidden, can_ask};
pub use choose::{can_choose, choose_image};
pub use confirm::confirm;
pub use dialect::{Identity, Telling, docker, docker_exit_code, docker_failure, identity};
pub use documents::Shape;
pub use each::{Worst, each};
pub use out::{divert, lost, out};

/// Prints a failure as [`report`] does, and gives its exit code.
pub fn fail(error: &Error) -> ExitCode {
    report(error);
    ExitCode::from(error.kind().exit_code())
}

/// The variable that leaves hints out when it is 0.
const HINTS: &str = "CORACLE_HINTS";

/// Prints a failure and its causes to standard error, in one line and in the dialect's words, then the lines of a file
/// that it is about, then its hints.
pub fn report(error: &Error) {
    write(error, dialect::beginning(error));
}

/// As [`report`], for the failure of a verb in docker's dialect: `docker run` has its own name before it.
pub fn report_of(error: &Error, verb: Telling) {
    let beginning = dialect::beginning(error);
    match (verb, error.is_engines()) {
        (Telling::Run, true) => write(error, &format!("docker: {beginning}")),
        (Telling::Run, false) => write(error, "docker"),
        _ => write(error, beginning),
    }
}

fn write(error: &Error, beginning: &str) {
    if error.kind() == Kind::OutputClosed {
        return;
    }
    // Messages may quote a registry or an image; hints are ours and may hold a file to write.
    let mut text = format!("{beginning}: {}\n", printable(&dialect::words(error)));
    for excerpt in error.excerpts() {
        text.push_str(excerpt);
    }
    if std::env::var_os(HINTS).is_none_or(|wanted| wanted != "0") {
        for hint in if docker() { error.dockers_hints() } else { error.hints() } {
            text.push_str(&format!("Hint: {}\n", commands_of(hint, identity().name())));
        }
    }
    // A closed standard error leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Prints lines of its own form to standard error.
pub fn tell(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Tells of what was asked for in vain, in lines of the log.
pub fn warn(warnings: &[Warning]) {
    for warning in warnings {
        match docker() {
            true => warning.dockers().into_iter().for_each(|text| log::warn!("{text}")),
            false => log::warn!("{}", warning.podmans()),
        }
    }
}

/// Prints what clap has to say about this process's command line: help to standard output; a refusal as
/// any other error, with exit 125. To docker only wrong options are worth that code; podman and docker both end
/// with 1 for a wrong log level.
pub fn usage(refused: &clap::Error, tree: &clap::Command) -> ExitCode {
    if refused.use_stderr() {
        let code = fail(&refusal::explain(refused, tree, &std::env::args_os().collect::<Vec<_>>()));
        return if refusal::is_plain_failure(refused) { ExitCode::FAILURE } else { code };
    }
    let text = refused.render().to_string();
    printed(&format!("{}\n", text.trim_end()))
}

/// Prints a text that is all that was asked for, and returns the exit code.
pub fn printed(text: &str) -> ExitCode {
    match out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}
