//! `coracle untag`.

use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::Reference;
use crate::storage::events::{Action, Event};
use std::process::ExitCode;

/// Arguments of `untag`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Names to remove; all names of the image by default
    #[arg(value_name = "TARGET")]
    pub names: Vec<Reference>,
}

/// Takes names away from an image, which stays.
///
/// # Errors
/// An image that is not here, or a name that is not its own; nothing changes then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let image = store.images().need(&args.image)?;
    let own = store.images().names(&image.id)?;
    let names = match args.names.as_slice() {
        [] => own,
        names => names.iter().map(|name| known(name, &own)).collect::<Result<_>>()?,
    };
    for name in &names {
        store.images().untag(name)?;
        store.events().emit(Event::image_named(Action::Untag, image.id.as_str(), &name.to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The image's name that is meant: below localhost/ first, then docker.io, as everywhere.
fn known(name: &Reference, own: &[Reference]) -> Result<Reference> {
    let candidates = match name.registry() {
        Some(_) => vec![name.clone()],
        None => vec![name.qualify("localhost"), name.qualify("docker.io")],
    };
    let found = own.iter().find(|own| candidates.iter().any(|c| c.canonical() == own.canonical()));
    found.cloned().ok_or_else(|| {
        let all: Vec<String> = own.iter().map(Reference::to_string).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        Error::new(Kind::NotFound, format!("{name} is not a name of this image"))
            .hint(format!("Its names are: {all}"))
    })
}
