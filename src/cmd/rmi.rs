//! `coracle rmi`.

use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::{Digest, Image, Reference};
use crate::runtime::control;
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::storage::images::Removed;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `rmi`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Names or ids of images
    #[arg(value_name = "IMAGE", required_unless_present = "all", conflicts_with = "all")]
    pub images: Vec<String>,
    /// Remove all images
    #[arg(short, long)]
    pub all: bool,
    /// Remove the containers that use an image too, and all names of an image given by id
    #[arg(short, long)]
    pub force: bool,
    /// Ignore images that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// Keep untagged parents; images here have none
    #[arg(long)]
    pub no_prune: bool,
}

/// What went wrong, by the exit codes of podman-rmi(1).
#[derive(Debug, Default)]
struct Failures {
    unknown: bool,
    in_use: bool,
    other: bool,
}

impl Failures {
    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failures { in_use: true, .. } => 2,
            Failures { other: true, .. } => 125,
            Failures { unknown: true, .. } => 1,
            _ => 0,
        })
    }
}

/// Removes images.
///
/// # Errors
/// When the store cannot be opened. What fails for one image is reported, and the others go on; the exit
/// code is 1 when images were not here, 2 when containers use one, 125 for the rest.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let mut failures = Failures::default();
    let texts = if args.all { everything(&store)? } else { args.images.clone() };
    for text in &texts {
        let removed = match remove(&store, args, text) {
            Err(e) if e.kind() == Kind::NotFound && (args.ignore || args.all) => continue,
            other => other,
        };
        match removed {
            Ok(removed) => report(&removed)?,
            Err(e) => {
                match e.kind() {
                    Kind::OutputClosed => return Err(e),
                    Kind::NotFound => failures.unknown = true,
                    Kind::Conflict => failures.in_use = true,
                    _ => failures.other = true,
                }
                ui::report(&e);
            }
        }
    }
    control::tidy(&store);
    Ok(failures.exit_code())
}

/// The ids of all images that can be removed.
fn everything(store: &Store) -> Result<Vec<String>> {
    let listed = store.images().list()?;
    Ok(listed.into_iter().filter(|l| !l.read_only).map(|l| l.image.id.to_string()).collect())
}

fn report(removed: &Removed) -> Result<()> {
    let mut text: String = removed.untagged.iter().map(|name| format!("Untagged: {name}\n")).collect();
    if let Some(id) = &removed.deleted {
        text.push_str(&format!("Deleted: {}\n", id.hex()));
    }
    ui::out(&text)
}

fn remove(store: &Store, args: &Args, text: &str) -> Result<Removed> {
    let Some(image) = store.images().find(text)? else {
        return Err(Error::new(Kind::NotFound, format!("image {text} is not here"))
            .hint("List the images that are: coracle images"));
    };
    let names = store.images().names(&image.id)?;
    match &image.reference {
        // The image stays: it has other names, or it lies in a store that is only read.
        Some(name)
            if names.contains(name)
                && !args.all
                && (names.len() > 1 || !store.images().is_own(&image.id)) =>
        {
            store.images().untag(name)?;
            store.events().emit(Event::image_named(Action::Untag, image.id.as_str(), &name.to_string()));
            return Ok(Removed { untagged: vec![name.clone()], ..Removed::default() });
        }
        None if names.len() > 1 && !args.all && !args.force => return Err(several(&image, &names)),
        _ => {}
    }
    control::settle_all(store)?;
    if args.force {
        remove_users(store, &image.id)?;
    }
    let lock = store.exclusive()?;
    store.images().remove(&lock, &image.id)
}

/// Removes an image for `run --rmi`, by the name it was used under, and for `container cleanup --rmi`.
///
/// # Errors
/// When a container uses it.
pub(super) fn forget(store: &Store, name: &str) -> Result<()> {
    remove(store, &Args::default(), name)?;
    control::tidy(store);
    Ok(())
}

fn several(image: &Image, names: &[Reference]) -> Error {
    let list: Vec<String> = names.iter().map(Reference::to_string).collect();
    let id = image.id.short();
    Error::new(Kind::Usage, format!("image {id} has more than one name: {}", list.join(", ")))
        .hint(format!("Remove it with all of them: coracle rmi --force {id}; or give one name."))
}

/// Kills and removes the containers that were made from an image.
fn remove_users(store: &Store, id: &Digest) -> Result<()> {
    for user in store.images().users(id)? {
        let container = match store.containers().open(&user) {
            Err(e) if e.kind() == Kind::NotFound => continue,
            other => other?,
        };
        control::kill(store, &container)?;
        // One that somebody starts again meanwhile keeps the image, which says so.
        control::remove_ended(store, &container, false)?;
    }
    Ok(())
}
