//! `coracle start`.

use crate::cmd::options::attached::{self, Attaching};
use crate::cmd::options::selection::SelectorArgs;
use crate::container::Status;
use crate::engine::containers::selector::StatusFilter;
use crate::engine::containers::start;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::keys::DetachKeys;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
#[command(
    mut_args = crate::cmd::options::switch::switchable,
    mut_arg("all", |arg| arg.short(None)),
    mut_arg("ignore", |arg| arg.short(None)),
    mut_arg("filter", |arg| arg.help("Of these containers, or of all, those that match a condition, as in ps"))
)]
pub struct Args {
    /// Which containers.
    #[command(flatten)]
    pub which: SelectorArgs,
    /// Attach to the container's output, and exit with its exit code
    #[arg(short, long)]
    pub attach: bool,
    /// Also attach to its standard input, if it was created with -i
    #[arg(short, long)]
    pub interactive: bool,
    /// Keys that detach from the container; empty for none
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q")]
    pub detach_keys: DetachKeys,
    /// Forward signals to the container; the default with --attach
    #[arg(long)]
    pub sig_proxy: Option<bool>,
}

/// Starts existing containers. One that is already running is left alone.
///
/// # Errors
/// A container that does not exist or cannot be started.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    // Typing into it without seeing anything is nobody's wish.
    let attach = args.attach || args.interactive;
    if args.sig_proxy == Some(true) && !attach {
        return Err(Error::new(Kind::Usage, "--sig-proxy goes with --attach only")
            .hint("Add --attach, or leave --sig-proxy out."));
    }
    if args.which.all && !args.which.containers.is_empty() {
        let message = "either start all containers or the container(s) provided in the arguments";
        return Err(Error::new(Kind::Usage, message).hint("Give either names or --all."));
    }
    let mut chosen = args.which.narrowed(&store, StatusFilter::Ended)?;
    if !attach {
        let code = ui::each(chosen, |(name, found)| {
            let found = found?;
            // podman tells of what it has started only.
            let has_run = found.status() == Status::Running && !ui::docker();
            // As in podman, what was to be run does not matter.
            let started = start::start(&store, &found, None).map_err(|e| e.of_kind(Kind::Runtime));
            ui::warn(&started?.warnings);
            Ok(Some(name).filter(|_| !has_run))
        })?;
        super::linger::warn(env);
        return Ok(code);
    }
    let (Some((_, found)), true) = (chosen.pop(), chosen.is_empty()) else {
        return Err(Error::new(Kind::Usage, "only one container can be started and attached to")
            .hint("Name one, or leave --attach and --interactive out."));
    };
    let dir = found?;
    let sig_proxy = args.sig_proxy.unwrap_or(true);
    let how = attached::how(&dir, args.interactive, sig_proxy, &args.detach_keys, false)?;
    let mut attaching = Attaching::new(how);
    let running = start::start(&store, &dir, Some(&mut || attaching.get_ready()))
        .map_err(|e| e.of_kind(Kind::Runtime))?;
    ui::warn(&running.warnings);
    attaching.follow(running, &store, &dir).map(ExitCode::from)
}
