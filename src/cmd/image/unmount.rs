//! `coracle image unmount`.

use crate::engine::mounts;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::Digest;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `image unmount`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Names or ids of images
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// All images that are mounted
    #[arg(short, long)]
    pub all: bool,
    /// Unmount as often as it was mounted
    #[arg(short, long)]
    pub force: bool,
}

/// Unmounts images and prints the ids of those that were mounted.
///
/// # Errors
/// An image that is not here, before anything is unmounted.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let wanted: Vec<Digest> = match (args.all, args.images.as_slice()) {
        (true, []) => {
            mounts::mounted_images(&store)?.into_iter().map(|(listed, _)| listed.image.id).collect()
        }
        (true, _) => {
            return Err(Error::new(
                Kind::Usage,
                "when using the --all switch, you may not pass any image names or IDs",
            )
            .hint("Leave one of the two out."));
        }
        (false, []) => {
            return Err(Error::new(Kind::Usage, "image name or ID must be specified")
                .hint("List what is mounted here: coracle image mount; or unmount all of it: coracle image unmount --all"));
        }
        (false, texts) => {
            let id = |text: &String| store.images().need(text).map(|image| image.id);
            texts.iter().map(id).collect::<Result<_>>()?
        }
    };
    for image in &wanted {
        if mounts::unmount_image(&store, image, args.force)? {
            ui::out(&format!("{}\n", image.hex()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
