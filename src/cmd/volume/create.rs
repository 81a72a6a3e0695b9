//! `coracle volume create`.

use crate::container::Name;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::option_values::Pair;
use crate::storage::volumes::{LOCAL, Volume, Volumes};
use crate::{ui, userns};
use std::process::ExitCode;

/// Arguments of `volume create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name of the volume; random by default
    #[arg(value_name = "NAME")]
    pub name: Option<Name>,
    /// Driver of the volume: local
    #[arg(short, long, value_name = "DRIVER", default_value = LOCAL)]
    pub driver: String,
    /// Label; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub label: Vec<Pair>,
    /// Option of the driver; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub opt: Vec<Pair>,
    /// Do not fail if it already exists
    #[arg(long)]
    pub ignore: bool,
}

/// Makes a volume and prints its name.
///
/// # Errors
/// A name that is taken, options that cannot be had.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    driver(&args.driver)?;
    // To docker, one without a name of the user's is anonymous.
    let anonymous = args.name.is_none() && ui::docker();
    let name = match args.name {
        Some(name) => name,
        None => Volumes::unused_name()?,
    };
    let mut volume = Volume::new(name, anonymous);
    volume.labels = args.label.into_iter().map(|pair| (pair.key, pair.value)).collect();
    volume.options = args.opt.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let backing = volume.backing()?;
    backing.check_place()?;
    let owned = backing.has_owner();
    let store = crate::cmd::store(env)?;
    let name = volume.name.clone();
    let make = || {
        store.volumes().create(volume)?;
        // What is reported is on the disk; others of these are as short-lived as their containers.
        if anonymous { store.volumes().keep(&name) } else { Ok(()) }
    };
    let made = if owned { userns::in_child(store.runtime(), &[], make) } else { make() };
    match made {
        // To docker, which has no such option, it is there as it was asked for.
        Err(e) if e.kind() == Kind::Conflict && (args.ignore || ui::docker()) => {}
        Err(e) if e.kind() == Kind::Conflict => {
            return Err(e.hint(format!(
                "Use the existing one with --ignore, or remove it: coracle volume rm {name}"
            )));
        }
        other => other?,
    }
    ui::out(&format!("{name}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn driver(name: &str) -> Result<()> {
    let error = match name {
        LOCAL => return Ok(()),
        "image" => Error::new(
            Kind::Usage,
            "volume driver \"image\" is not supported: volumes hold files of their own",
        )
        .hint(
            "Mount the image itself: coracle run --mount type=image,source=IMAGE,destination=DIR,rw=true ...",
        ),
        other => {
            Error::new(Kind::Usage, format!("volume driver {other:?} is not supported: there are no plugins"))
                .hint("Leave it out; the driver is local.")
        }
    };
    Err(error)
}
