//! What `push` and `manifest push` have in common: the form that images are pushed in, and options that are refused.

use super::refused::{Never, because};
use crate::cmd::options::switch::switchable;
use crate::error::Result;
use crate::image::media::Compression;
use crate::storage::archive::{Family, OutgoingForm};
use crate::storage::compress::Recipe;

const SIGN: &str = "signing images is not supported";
const HINT: &str = "Leave it out, and sign what was pushed with another tool: skopeo copy --sign-by KEY ...";

/// Options that sign. They are hidden from the help.
#[derive(Debug, clap::Args)]
#[command(mut_args = switchable)]
pub struct SignArgs {
    /// Sign with a GPG key
    #[arg(long, hide = true, value_name = "KEY", value_parser = because(SIGN, HINT))]
    pub sign_by: Option<Never>,
    /// Sign as a parameter file says
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SIGN, HINT))]
    pub sign_by_sigstore: Option<Never>,
    /// Sign with a key in a file
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SIGN, HINT))]
    pub sign_by_sigstore_private_key: Option<Never>,
    /// Passphrase of a key
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SIGN, HINT))]
    pub sign_passphrase_file: Option<Never>,
}

/// The form that the options `--format`, `--compression-format`, `--compression-level` and `--force-compression` ask for.
///
/// # Errors
/// A level that the compression does not have.
pub fn form(
    family: Option<Family>,
    (compression, level): (Option<Compression>, Option<i32>),
    force: Option<bool>,
) -> Result<OutgoingForm> {
    let recipe = match (compression, level) {
        (None, None) => None,
        (compression, level) => Some(Recipe::new(compression.unwrap_or(Compression::Gzip), level)?),
    };
    Ok(OutgoingForm { family, recipe, recompress: force.unwrap_or(compression.is_some()) })
}
