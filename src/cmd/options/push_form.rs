//! What `push` and `manifest push` have in common: the form that images are pushed in, and options that are refused.

use super::refused::{Never, because};
use crate::cmd::options::switch::switchable;
use crate::error::Result;
use crate::host::{Env, LayerCompression};
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

/// The form that the options `--format`, `--compression-format`, `--compression-level` and `--force-compression` ask
/// for. What they leave open, coracle.toml may say; docker's format has gzip only.
///
/// # Errors
/// A level that the compression does not have.
pub fn form(
    family: Option<Family>,
    (compression, level): (Option<Compression>, Option<i32>),
    force: Option<bool>,
    env: &Env,
) -> Result<OutgoingForm> {
    let usual = env.compression.map(|(format, level)| match format {
        LayerCompression::Gzip => (Compression::Gzip, level),
        LayerCompression::Zstd => (Compression::Zstd, level),
    });
    let usual = usual.filter(|(format, _)| family != Some(Family::Docker) || *format == Compression::Gzip);
    let format = compression.or(usual.map(|(format, _)| format));
    let level = level.or(usual.filter(|(of, _)| Some(*of) == format).and_then(|(_, level)| level));
    let recipe = match (format, level) {
        (None, None) => None,
        (format, level) => Some(Recipe::new(format.unwrap_or(Compression::Gzip), level)?),
    };
    Ok(OutgoingForm { family, recipe, recompress: force.unwrap_or(compression.is_some()) })
}
