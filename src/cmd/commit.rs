//! `coracle commit`.

use crate::cmd::options::result_file::ResultFile;
use crate::engine::images::commit::{self, CommitRequest};
use crate::error::Result;
use crate::host::Env;
use crate::image::Reference;
use crate::image::change::Change;
use crate::storage::archive::Family;
use crate::ui;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `commit`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Name of the new image; without a registry it gets localhost/
    #[arg(value_name = "REFERENCE")]
    pub image: Option<Reference>,
    /// Author of the image
    #[arg(short, long, value_name = "AUTHOR")]
    pub author: Option<String>,
    /// Change the configuration: 'CMD ["sh"]', ENV=A=b, 'LABEL a=b', ...
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<Change>,
    /// Format of the image's manifest
    #[arg(short, long, value_name = "FORMAT", default_value = "oci")]
    pub format: Format,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Record the container's volumes and bind mounts as volumes of the image, without their contents
    #[arg(long)]
    pub include_volumes: bool,
    /// Message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Pause the container while its files are read
    #[arg(short, long)]
    pub pause: bool,
    /// Print only the id
    #[arg(short, long)]
    pub quiet: bool,
    /// Squash everything into one layer
    #[arg(short, long)]
    pub squash: bool,
}

/// Whose form of manifest an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI's
    Oci,
    /// Docker's
    Docker,
}

/// Makes an image of a container and prints its id.
///
/// # Errors
/// A container that does not exist or has no image below it, a wrong change; nothing is kept then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let wanted = CommitRequest {
        name: args.image.clone(),
        author: args.author.clone(),
        message: args.message.clone(),
        changes: args.change.clone(),
        family: if args.format == Format::Oci { Family::Oci } else { Family::Docker },
        include_volumes: args.include_volumes,
        pause: args.pause,
        squash: args.squash,
    };
    let iidfile = args.iidfile.as_deref().map(|path| ResultFile::open("--iidfile", path)).transpose()?;
    let id = commit::commit(&super::store(env)?, &args.container, &wanted)?;
    if let Some(file) = iidfile {
        file.write(id.hex())?;
    }
    ui::out(&format!("{}\n", super::dialect().image_id(&id)))?;
    Ok(ExitCode::SUCCESS)
}
