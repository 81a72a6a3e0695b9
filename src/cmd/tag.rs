//! `coracle tag`.

use crate::error::Result;
use crate::host::Env;
use crate::image::Reference;
use crate::storage::events::{Action, Event};
use std::process::ExitCode;

/// Arguments of `tag`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// New names: [registry/]name[:tag]; without a registry they are under localhost/
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Reference>,
}

/// Gives an image more names.
///
/// # Errors
/// An image that is not here, or a name with a digest; nothing is named then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let names = args.targets.iter().map(Reference::as_new_name).collect::<Result<Vec<_>>>()?;
    let store = super::store(env)?;
    let lock = store.shared()?;
    let image = store.images().need(&args.image)?;
    for name in &names {
        store.images().tag(&lock, &image, name)?;
        store.events().emit(Event::image_named(Action::Tag, image.id.as_str(), &name.to_string()));
    }
    Ok(ExitCode::SUCCESS)
}
