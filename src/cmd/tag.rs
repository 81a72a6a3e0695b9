//! `coracle tag`.

use crate::engine::images::tag;
use crate::error::Result;
use crate::host::Env;
use crate::image::Reference;
use std::process::ExitCode;

/// Arguments of `tag`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// New names: [registry/]name[:tag]; without a registry they get localhost/
    #[arg(value_name = "TARGET", required = true)]
    pub targets: Vec<Reference>,
}

/// Adds names to an image.
///
/// # Errors
/// An image that is not here, or a name with a digest; nothing is named then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    tag::tag(&super::store(env)?, &args.image, &args.targets)?;
    Ok(ExitCode::SUCCESS)
}
