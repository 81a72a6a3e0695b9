//! `coracle manifest push`.

use crate::cmd::options::destination::Destination;
use crate::cmd::options::push_form::{SignArgs, form};
use crate::cmd::options::pushing::{PushList, push_list, push_list_to_file};
use crate::cmd::options::refused::{Never, because};
use crate::cmd::options::result_file::ResultFile;
use crate::cmd::options::source::RegistryOptions;
use crate::engine::images::push::PushRequest;
use crate::engine::{containers, lists};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::media::Compression;
use crate::image::{Digest, FileForm, FileLocation, Platform, Reference};
use crate::registry::PullRequest;
use crate::storage::Store;
use crate::storage::archive::{Family, OutgoingForm};
use crate::storage::images::List;
use crate::ui;
use crate::view::Dialect;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `manifest push`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of a manifest list
    #[arg(value_name = "LIST")]
    pub list: String,
    /// Where it goes, if not to the registry of its own name: [docker://]registry/name[:tag],
    /// oci:DIR[:NAME] or oci-archive:FILE[:NAME]
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<Destination>,
    /// Push the images of the list too; false if they are in the destination's repository already
    #[arg(long, default_value = "true")]
    pub all: bool,
    /// Remove the list from the store once it has been pushed
    #[arg(long)]
    pub rm: bool,
    /// As --rm
    #[arg(short, long, hide = true)]
    pub purge: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the digest of the list to this file
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
    /// Format of the list; with v2s2 its images have that too
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Compression of layers; those that are compressed otherwise are compressed anew
    #[arg(long, value_name = "FORMAT")]
    pub compression_format: Option<Packing>,
    /// Level of the compression: 1 to 9 for gzip (5), 1 to 20 for zstd (3)
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub compression_level: Option<i32>,
    /// Compress layers anew that are compressed otherwise; the default is true with --compression-format
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub force_compression: Option<bool>,
    /// Allow plain http and any certificate, as --tls-verify=false
    #[arg(long, hide = true)]
    pub insecure: bool,
    /// Leave out signatures; no effect, as none are pushed
    #[arg(long, hide = true)]
    pub remove_signatures: bool,
    /// Further images of another compression
    #[arg(long, hide = true, value_name = "FORMAT", value_parser = because(
        "a list is pushed with each image once", "Choose one compression: --compression-format zstd"))]
    pub add_compression: Vec<Never>,
    /// What signs, and is refused.
    #[command(flatten)]
    pub sign: SignArgs,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// The format of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI's index
    Oci,
    /// Docker's manifest list
    #[value(alias = "docker")]
    V2s2,
}

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Packing {
    /// gzip, which every tool reads
    Gzip,
    /// zstd, which is smaller
    Zstd,
}

/// Pushes a list. Called as docker, it prints the digest.
///
/// # Errors
/// A list that is not here, an image of it that is not to be had, a registry that refuses.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let (request, family) = request(args, env)?;
    let digestfile =
        args.digestfile.as_deref().map(|path| ResultFile::open("--digestfile", path)).transpose()?;
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let list = lists::find(&store, &args.list)?;
    let quiet = args.quiet || ui::docker();
    let to = match &args.destination {
        Some(Destination::Registry(name)) => name.with_registry(),
        None => own_name(&args.list, &list)?,
        Some(Destination::Stored(name)) => {
            return Err(Error::new(Kind::Usage, format!("{name}: the list is in this store already"))
                .hint(format!("Give it another name: coracle tag {} NAME", args.list)));
        }
        Some(Destination::File(to)) => {
            let form = form_in_file(args, &request, to)?;
            let digest = push_list_to_file(engine, &list.id, to, (&request, form), quiet)?;
            return pushed_as(args, &store, digestfile, &digest);
        }
    };
    let wanted = PushList { list: &list.id, to: &to, images: args.all, family };
    let pushed = push_list(engine, &wanted, &request, quiet, Dialect::Podman)?;
    pushed_as(args, &store, digestfile, &pushed.digest)
}

/// What follows when a list was pushed.
fn pushed_as(
    args: &Args,
    store: &Store,
    digestfile: Option<ResultFile>,
    digest: &Digest,
) -> Result<ExitCode> {
    digestfile.map(|file| file.write(digest.as_str())).transpose()?;
    if args.rm || args.purge {
        lists::delete(store, &args.list)?;
        containers::tidy(store);
    }
    if ui::docker() {
        ui::out(&format!("{digest}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How layers are compressed in a file or a directory; as they are here for `None`.
///
/// # Errors
/// What does not go with one.
fn form_in_file(args: &Args, request: &PushRequest, to: &FileLocation) -> Result<Option<OutgoingForm>> {
    let dockers = args.format == Some(Format::V2s2) && to.form != FileForm::Dir;
    if dockers || !args.all {
        return Err(Error::new(
            Kind::Usage,
            "--format v2s2 goes with a registry or dir: only, and --all=false with a registry only",
        )
        .hint("Leave them out: other places get OCI's index, with all images."));
    }
    let recompresses = args.compression_format.is_some()
        || args.compression_level.is_some()
        || args.force_compression == Some(true)
        || args.format == Some(Format::V2s2);
    Ok(Some(request.form).filter(|_| recompresses))
}

fn request(args: &Args, env: &Env) -> Result<(PushRequest, Option<Family>)> {
    let packing = args.compression_format.map(|packing| match packing {
        Packing::Gzip => Compression::Gzip,
        Packing::Zstd => Compression::Zstd,
    });
    let family = args.format.map(|format| match format {
        Format::Oci => Family::Oci,
        Format::V2s2 => Family::Docker,
    });
    let registry = args.registry.request(Platform::host());
    let tls_verify = if args.insecure { Some(false) } else { registry.tls_verify };
    // An OCI index may name images of both formats.
    let of_images = family.filter(|family| *family == Family::Docker);
    let form = form(of_images, (packing, args.compression_level), args.force_compression, env)?;
    Ok((PushRequest { registry: PullRequest { tls_verify, ..registry }, form }, family))
}

/// Where a list goes that is pushed by its own name.
fn own_name(text: &str, list: &List) -> Result<Reference> {
    let written: Option<Reference> = text.parse().ok();
    let is_name = |name: &&Reference| name.registry() != Some("localhost");
    match (&list.reference, written) {
        // What docker calls so is in its own registry, wherever it is here.
        (Some(_), Some(written)) if ui::docker() && written.registry().is_none() => {
            Ok(written.with_registry())
        }
        (found, _) => found.as_ref().filter(is_name).cloned().ok_or_else(|| {
            Error::new(Kind::Usage, format!("{text} names no registry to push to"))
                .hint(format!("Name it: coracle manifest push {text} REGISTRY/NAME:TAG"))
        }),
    }
}
