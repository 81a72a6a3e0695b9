//! `coracle untag`.

use crate::engine::images::tag;
use crate::error::Result;
use crate::host::Env;
use crate::image::Reference;
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
/// An image that is not here, or a name that it does not have; nothing changes then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    tag::untag(&super::store(env)?, &args.image, &args.names)?;
    Ok(ExitCode::SUCCESS)
}
