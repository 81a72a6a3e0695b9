//! `coracle rmi`.

use crate::engine::containers;
use crate::engine::images::remove::{self, How};
use crate::error::{Kind, Result};
use crate::host::Env;
use crate::storage::images::Removed;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `rmi`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Names or ids of images
    #[arg(value_name = "IMAGE", required_unless_present = "all", conflicts_with = "all")]
    pub images: Vec<String>,
    /// Remove all images
    #[arg(short, long)]
    pub all: bool,
    /// Also remove the containers that use an image, running ones, too, and all names of an image given by id; ignore
    /// images that do not exist
    #[arg(short, long)]
    pub force: bool,
    /// Ignore images that do not exist
    #[arg(short, long)]
    pub ignore: bool,
    /// Keep the images without a name that the image was made of
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

    /// Tells how it went with one image; that it is not here is no failure where `gone_is_fine`.
    fn told(&mut self, removed: Result<Vec<Removed>>, gone_is_fine: bool) -> Result<()> {
        let error = match removed {
            Ok(removed) => return removed.iter().try_for_each(report),
            Err(error) => error,
        };
        match error.kind() {
            Kind::OutputClosed => return Err(error),
            Kind::NotFound if gone_is_fine => return Ok(()),
            Kind::NotFound => self.unknown = true,
            Kind::Conflict => self.in_use = true,
            _ => self.other = true,
        }
        ui::report(&error);
        Ok(())
    }
}

/// Removes images.
///
/// # Errors
/// When the store cannot be opened. What fails for one image is reported, and the others go on; the exit
/// code is 1 when images were not here, 2 when containers use one, 125 for the rest.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let how = How {
        force: args.force,
        every_name: false,
        list_alone: false,
        spare_users: ui::docker(),
        keep_parents: args.no_prune,
    };
    let mut failures = Failures::default();
    let work = || match args.all {
        true => remove::remove_all(&store, args.force, |removed| failures.told(removed, true)),
        false => args
            .images
            .iter()
            .try_for_each(|text| failures.told(remove::remove(&store, text, how), args.ignore || args.force)),
    };
    store.images().together(None, work)?;
    containers::tidy(&store);
    Ok(failures.exit_code())
}

fn report(removed: &Removed) -> Result<()> {
    let dialect = super::dialect();
    let untagged = removed.untagged.iter().map(|name| format!("Untagged: {}\n", dialect.image_name(name)));
    let mut text: String = untagged.collect();
    if let Some(id) = &removed.deleted {
        text.push_str(&format!("Deleted: {}\n", dialect.image_id(id)));
    }
    ui::out(&text)
}
