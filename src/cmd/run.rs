//! `coracle run`.

use super::options::container::{CreationArgs, RunArgs};
use super::options::creation;
use super::options::pulling::pulling_for_container;
use crate::cmd::options::attached::{Attaching, input_is_no_terminal, lacks_terminal};
use crate::engine::containers::{self, Created, Started};
use crate::engine::images::remove;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::plan::option_values::Stream;
use crate::ui::terminal::Attachment;
use crate::{host, ui};
use clap::ArgAction;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, override_usage = "coracle run [OPTIONS] IMAGE [COMMAND [ARG]...]")]
pub struct Args {
    /// The container.
    #[command(flatten)]
    pub container: CreationArgs,
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
pub fn run(args: Box<Args>, env: &Env) -> Result<ExitCode> {
    if lacks_terminal(args.container.terminal.tty, args.container.terminal.interactive && !args.run.detach) {
        ui::report(&input_is_no_terminal());
        return Ok(ExitCode::FAILURE);
    }
    let attachment = attachment(&args)?;
    let Args { mut container, run, words, .. } = *args;
    container.lifecycle.rm |= run.rmi;
    let caller = host::caller()?;
    let (quiet, policy) = (container.image.quiet, container.image.pull.into());
    let mut wanted = creation::wanted(container, words, &caller)?;
    wanted.start = true;
    wanted.request.process.preserve_fds = run.preserve_fds;
    wanted.request.lifecycle.remove_image = run.rmi;
    // Attaching to standard input is asking for it to be open.
    wanted.request.stdin |= run.attach.contains(&Stream::Stdin);
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let mut created =
        pulling_for_container(quiet, policy, |report| containers::create(engine, wanted, caller, report))?;
    ui::warn(&created.warnings);
    // What is typed is read by one of the two.
    let passed_through = created.spec.io.is_passed_through();
    let how = attachment.map(|how| Attachment { stdin: how.stdin && !passed_through, ..how });
    let mut attaching = how.map(Attaching::new);
    let started = match &mut attaching {
        Some(attaching) => containers::run(&store, &mut created, Some(&mut || attaching.get_ready())),
        None => containers::run(&store, &mut created, None),
    };
    let Started { running, records } = started?;
    ui::warn(&running.warnings);
    let Created { spec, dir, .. } = created;
    let Some(attaching) = attaching else {
        // On the disk when we say that it is there.
        records.reach_disk()?;
        ui::out(&format!("{}\n", spec.id))?;
        super::linger::warn(env);
        return Ok(ExitCode::SUCCESS);
    };
    let code = attaching.follow(running, &store, &dir).map(ExitCode::from);
    if let Err(error) = records.reach_disk() {
        log::warn!("{}", error.in_one_line());
    }
    if let Some(image) = spec.image.filter(|_| run.rmi)
        && let Err(error) = remove::forget(&store, &image.reference)
    {
        log::info!("image {} is kept: {error}", image.reference);
    }
    code
}

/// Which streams the caller is attached to; `None` in the background.
fn attachment(args: &Args) -> Result<Option<Attachment>> {
    let run = &args.run;
    let tty = args.container.terminal.tty;
    if run.detach {
        return match run.attach.is_empty() {
            true => Ok(None),
            false => Err(Error::new(Kind::Usage, "--attach and --detach cannot be set together")
                .hint("Leave one of the two out.")),
        };
    }
    let has = |stream| run.attach.contains(&stream);
    let everything = run.attach.is_empty();
    let stdin = args.container.terminal.interactive || has(Stream::Stdin);
    if tty && stdin && !std::io::stdin().is_terminal() {
        ui::warn(&[phrases::not_a_terminal()]);
    }
    Ok(Some(Attachment {
        stdin,
        stdout: everything || has(Stream::Stdout),
        stderr: everything || has(Stream::Stderr),
        tty,
        // With a terminal, signals of the keyboard travel as characters.
        sig_proxy: run.sig_proxy && !tty,
        detach_keys: run.detach_keys.0.clone(),
        visiting: false,
    }))
}
