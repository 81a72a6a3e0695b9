//! `coracle run`.

pub mod args;
mod before;
pub mod devices;
pub mod health;
pub mod joins;
mod logging;
pub(super) mod make;
pub mod refused;
pub mod request;
pub mod resources;
mod sources;
pub mod spaces;
#[cfg(test)]
mod tests;

use super::rmi;
use crate::error::{Error, Kind, Result};
use crate::failpoint;
use crate::fork;
use crate::host::Env;
use crate::plan::words::Stream;
use crate::runtime::{self, client::Attachment};
use crate::ui;
use args::{ContainerArgs, RunArgs};
use clap::ArgAction;
use make::{Made, Wish, discard, make};
use std::io::IsTerminal;
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "coracle run [OPTIONS] IMAGE [COMMAND [ARG]...]")]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub container: ContainerArgs,
    /// How it is run.
    #[command(flatten)]
    pub run: RunArgs,
    /// Image, then the command and its arguments
    #[arg(value_name = "IMAGE", required = true, num_args = 1.., trailing_var_arg = true)]
    pub words: Vec<String>,
    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// Makes a container and runs it: in the foreground its exit code is ours, in the background its id is
/// printed.
///
/// # Errors
/// Anything that is wrong with the options, before anything changes; a failed pull; a failed start.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let attachment = attachment(&args)?;
    let Args { mut container, run, words, .. } = args;
    container.lifecycle.rm |= run.rmi;
    let stdin = run.attach.contains(&Stream::Stdin);
    let wish = Wish { container, words, preserve_fds: run.preserve_fds, stdin };
    let Made { store, plan, dir, prepared } = make(wish, true, env)?;
    failpoint::reach("run.made");
    let detached = attachment.is_none();
    // On the disk when we say that it is there; the start does not wait for it.
    let keeping = match plan.lifecycle.auto_remove {
        true => None,
        false => Some(fork::leaf_beside("records", || runtime::keep(&store, &dir, &plan))?),
    };
    let launched = match prepared {
        Some(prepared) => runtime::start::first(&store, &dir, &plan, prepared, attachment),
        None => runtime::start::start(&store, &dir, None),
    };
    let running = match launched {
        Ok(running) => running,
        Err(error) => {
            // Without --rm it stays, as created, for inspect and rm.
            if plan.lifecycle.auto_remove {
                discard(&store, &dir);
            }
            return Err(error);
        }
    };
    let kept = || keeping.map_or(Ok(()), fork::Beside::finish);
    if detached {
        kept()?;
        ui::out(&format!("{}\n", plan.id))?;
        super::linger::warn(env);
        return Ok(ExitCode::SUCCESS);
    }
    let code = running.wait(&store, &dir).map(ExitCode::from)?;
    if let Err(error) = kept() {
        log::warn!("{error}: {}", error.causes().join(": "));
    }
    if let Some(image) = plan.image.filter(|_| run.rmi)
        && let Err(error) = rmi::forget(&store, &image.reference)
    {
        log::info!("image {} stays: {error}", image.reference);
    }
    Ok(code)
}

/// Which streams the caller is attached to; `None` in the background.
fn attachment(args: &Args) -> Result<Option<Attachment>> {
    let run = &args.run;
    let tty = args.container.terminal.tty;
    if run.detach {
        return match run.attach.is_empty() {
            true => Ok(None),
            false => Err(Error::new(Kind::Usage, "--attach cannot be used together with --detach")
                .hint("Leave one of the two out.")),
        };
    }
    let has = |stream| run.attach.contains(&stream);
    let everything = run.attach.is_empty();
    let stdin = args.container.terminal.interactive || has(Stream::Stdin);
    if tty && stdin && !std::io::stdin().is_terminal() {
        log::warn!("the input device is not a terminal; --tty and --interactive may not work well together");
    }
    Ok(Some(Attachment {
        stdin,
        stdout: everything || has(Stream::Stdout),
        stderr: everything || has(Stream::Stderr),
        tty,
        // With a terminal, signals of the keyboard travel as characters.
        sig_proxy: run.sig_proxy && !tty,
        detach_keys: run.detach_keys.0.clone(),
    }))
}
