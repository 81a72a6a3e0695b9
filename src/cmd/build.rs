//! `coracle build`.

use crate::build::{self, DebugShell, Stopped};
use crate::error::{Context, Error, Kind, Result};
use crate::host::{self, Env};
use crate::text::quoted;
use crate::ui;
use crate::ui::build::{Mode, Progress};
use crate::ui::terminal::{Attachment, Terminal};
use crate::view::Dialect;
use options::Method;
use request::Wanted;
use results::{IdFile, Results};
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

mod call;
mod context;
mod options;
mod output;
mod refused;
mod request;
mod results;
mod secrets;
#[cfg(test)]
mod tests;
mod values;

pub use options::Args;

/// Builds an image and, unless called as docker, prints its id; or does what `--call` says.
///
/// # Errors
/// Anything that is wrong with the options, before anything changes; a step that fails.
pub fn run(args: Box<Args>, env: &Env) -> Result<ExitCode> {
    // Docker builds with a client of its own.
    built(args, env).map_err(Error::of_client)
}

fn built(args: Box<Args>, env: &Env) -> Result<ExitCode> {
    let caller = host::caller()?;
    let words = args.context.clone();
    let dialect = super::dialect();
    let quiet = args.output.quiet;
    let mode = mode(args.output.progress, quiet, &caller)?;
    let ids = (args.result.iidfile.clone(), args.result.iidfile_raw.clone());
    let metadata = args.result.metadata_file.clone();
    let logfile = args.output.logfile.clone();
    let Wanted { request, method, json } = request::wanted(*args, &caller, ui::docker())?;
    let iidfile = IdFile::open(ids, &request)?;
    let results = Results::prepare(iidfile, metadata.as_deref(), &request, quiet, dialect)?;
    let mut progress = Progress::new(mode, logfile.as_deref().map(log).transpose()?)?;
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    if matches!(method, Method::Outline | Method::Targets) {
        let read = build::read(engine, &request, &caller, &mut |event| progress.event(&event));
        progress.end(None)?;
        ui::out(&call::text(method, json, &read?, &request)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let built = build::build(engine, &request, &caller, &mut |event| progress.event(&event));
    let checked = method == Method::Check;
    let found = built.as_ref().map(|built| built.warnings.clone()).unwrap_or_default();
    let ended = progress.end(if checked { None } else { Some(&found[..]) });
    let built = match built {
        Ok(built) => built,
        Err(stopped) => return failed(stopped, words.as_deref(), dialect),
    };
    ended?;
    if checked {
        ui::out(&call::findings(&built.warnings, json)?)?;
        return Ok(if built.warnings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    results.tell(&store, &built, dialect)?;
    Ok(ExitCode::SUCCESS)
}

/// Tells of a failure, and opens a shell there if that is wanted. A command that failed has the exit code, as in podman; with docker it is always 1.
fn failed(stopped: Stopped<'_>, context: Option<&str>, dialect: Dialect) -> Result<ExitCode> {
    let Stopped { error, code, before, shell } = stopped;
    let mut error = *error;
    if let Some(image) = before.filter(|_| shell.is_none()) {
        error = error.hint(format!(
            "Look around before the step: coracle run --rm -it --entrypoint sh {}",
            image.short()
        ));
        let from_stdin = context == Some("-");
        if io::stdin().is_terminal() && io::stderr().is_terminal() && !from_stdin {
            let context = quoted(Path::new(context.unwrap_or(".")));
            error = error.hint(format!(
                "With its mounts and variables: add --debug-shell to the same command: coracle build --debug-shell ... {context}"
            ));
        }
    }
    if shell.is_some() {
        error = error.hint("A shell opens in the state before the step. Leave it with: exit");
    }
    let Some(code) = code else { return Err(error) };
    ui::report(&error.of_client());
    if let Some(shell) = shell {
        look_around(&shell)?;
    }
    Ok(ExitCode::from(if dialect == Dialect::Docker { 1 } else { code }))
}

/// Opens a shell where a step failed, on the caller's terminal or with the caller's streams, until it ends.
fn look_around(shell: &DebugShell<'_>) -> Result<()> {
    let tty = io::stdin().is_terminal();
    let how = Attachment {
        stdin: true,
        stdout: true,
        stderr: true,
        tty,
        // Those of the keyboard travel as characters; others end the build, and the shell with it.
        sig_proxy: false,
        detach_keys: Vec::new(),
        visiting: false,
    };
    let terminal = Terminal::ready(how)?;
    let mut open = shell.open(tty)?;
    terminal.follow(open.connection())?.lost.map_or(Ok(()), Err)
}

/// How progress is shown.
fn mode(asked: Option<Mode>, quiet: bool, caller: &host::Caller) -> Result<Mode> {
    if quiet {
        return Ok(Mode::Quiet);
    }
    if let Some(mode) = asked {
        return Ok(mode);
    }
    values::variable(caller, "BUILDKIT_PROGRESS").map_or(Ok(Mode::Auto), |text| {
        use clap::ValueEnum as _;
        Mode::from_str(text, true)
            .map_err(|_| Error::new(Kind::Usage, format!("BUILDKIT_PROGRESS is {text:?}")))
            .map_err(|error| error.hint("Give it as auto, plain, tty, rawjson, quiet or none."))
    })
}

/// `--logfile`, which goes on where it ends.
fn log(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.context(Kind::Usage, || format!("--logfile: cannot write {}", path.display()))
}
