//! `coracle load`.

use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::host::Env;
use crate::storage::archive::{self, Loaded, Progress};
use crate::storage::events::{Action, Event};
use crate::storage::{Store, trash};
use crate::ui;
use crate::userns;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Read this archive or directory instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Loads images from an archive or a directory and prints their names.
///
/// # Errors
/// An archive that is none, or does not keep its promises; then nothing of it is kept.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let input = input(args.input.as_deref(), "load -i")?;
    let progress = ui::progress::Progress::new(args.quiet);
    let loaded = fork::tidy_leaf(
        "load",
        |reporter, stop| {
            let (store, _member) = enter(env)?;
            let stop = || stop.came();
            let source = archive::open(&store, input, &stop)?;
            archive::load(&store, &source, &|step| reporter.send(step), &stop)
        },
        |step| progress.note(&describe(&step)),
    )?;
    let store = super::store(env)?;
    for image in &loaded {
        store.events().emit(Event::image_named(Action::Load, image.id.as_str(), &shown(image)[0]));
        let lines: String = shown(image).iter().map(|name| format!("Loaded image: {name}\n")).collect();
        ui::out(&lines)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(image: &Loaded) -> Vec<String> {
    if image.names.is_empty() {
        return vec![image.id.to_string()];
    }
    image.names.iter().map(ToString::to_string).collect()
}

fn describe(step: &Progress) -> String {
    match step {
        Progress::Layer(id) => format!("Copying layer {}", id.short()),
        Progress::Present(id) => format!("Layer {} is already here", id.short()),
        Progress::Image(id) => format!("Image {} is complete", id.short()),
    }
}

/// Opens what the user names; without a name or with `-`, standard input. `verb` is for hints.
pub(super) fn input(name: Option<&str>, verb: &str) -> Result<File> {
    match name {
        None | Some("-") => {
            if io::stdin().is_terminal() {
                return Err(Error::new(Kind::Usage, "an archive is not read from a terminal")
                    .hint(format!("Name a file: coracle {verb} FILE; or use a pipe.")));
            }
            let stdin = io::stdin().as_fd().try_clone_to_owned();
            Ok(File::from(stdin.context(Kind::Host, || "open standard input")?))
        }
        Some(url) if url.starts_with("http://") || url.starts_with("https://") => {
            let verb = verb.trim_end_matches(" -i");
            Err(Error::new(Kind::Usage, format!("{url} is a URL, which is not fetched here")).hint(
                format!(
                    "Let a program do it that shows whom it trusts: curl -fL {url} | coracle {verb} {}",
                    if verb == "load" { "" } else { "- [NAME]" }
                )
                .trim_end()
                .to_owned(),
            ))
        }
        Some(path) => {
            let path = Path::new(path);
            File::open(path).context(Kind::Usage, || format!("open {}", path.display())).map_err(|e| {
                let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
                e.hint(format!("See what is there: ls -l {}", dir.unwrap_or(Path::new(".")).display()))
            })
        }
    }
}

/// The store, from inside the user namespace that owns its layers. For leaves.
pub(super) fn enter(env: &Env) -> Result<(Store, userns::Membership)> {
    let member = userns::enter(&env.roots.runtime)?;
    if member.has_one_id() {
        log::warn!("{}", userns::ONE_ID);
    }
    let roots = &env.roots;
    let store = Store::open(&roots.data, &roots.runtime, &roots.image_stores)?;
    store.check_id_map()?;
    trash::collect_leftovers(&store)?;
    trash::sweep(&store, 2)?;
    Ok((store, member))
}
