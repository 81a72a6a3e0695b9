//! `coracle push`.

use super::options::destination::Destination;
use super::options::push_form::{SignArgs, form};
use super::options::pushing::{PushList, push_list, push_list_to_file, pushing};
use super::options::refused::{Never, because};
use super::options::result_file::ResultFile;
use super::options::source::RegistryOptions;
use crate::engine::Engine;
use crate::engine::images::pull::is_for;
use crate::engine::images::push::{FileRequest, Message, PushRequest, Pushed};
use crate::engine::images::tag;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::image::media::Compression;
use crate::image::{FileForm, Image, Platform, Reference};
use crate::storage::archive::Family;
use crate::storage::images::{Found, Instance};
use crate::ui;
use crate::view::Dialect;
use std::path::PathBuf;
use std::process::ExitCode;

const ENCRYPT: &str = "encrypted layers are not supported";
const ENCRYPT_HINT: &str = "Leave it out.";

/// Arguments of `push`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of an image
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Where it goes, if not to the registry of its own name: [docker://]registry/name[:tag], or
    /// oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or dir:DIR
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<Destination>,
    /// Push every tag of the repository
    #[arg(short, long, conflicts_with = "destination")]
    pub all_tags: bool,
    /// Push all images of a manifest list, and the list; otherwise only what it has for this machine
    #[arg(long)]
    pub all: bool,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Write the digest of what was pushed to this file
    #[arg(long, value_name = "FILE")]
    pub digestfile: Option<PathBuf>,
    /// Format of the manifest, if not that of the image
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Compression of layers; those that are compressed otherwise are compressed anew
    #[arg(long, value_name = "FORMAT", value_parser = compression)]
    pub compression_format: Option<Compression>,
    /// Level of the compression: 1 to 9 for gzip (5), 1 to 20 for zstd (3)
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub compression_level: Option<i32>,
    /// Compress layers anew that are compressed otherwise; the default is true with --compression-format
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub force_compression: Option<bool>,
    /// Compress plain layers; with dir: only
    #[arg(long)]
    pub compress: bool,
    /// Refuse an image that is not for this platform: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<Platform>,
    /// Leave out signatures; no effect, as none are pushed
    #[arg(long, hide = true)]
    pub remove_signatures: bool,
    /// Accepted for compatibility with docker; no effect
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    pub disable_content_trust: Option<Option<bool>>,
    /// What signs, and is refused.
    #[command(flatten)]
    pub sign: SignArgs,
    /// Encrypt layers
    #[arg(long, hide = true, value_name = "KEY", value_parser = because(ENCRYPT, ENCRYPT_HINT))]
    pub encryption_key: Vec<Never>,
    /// Which layers to encrypt
    #[arg(long, hide = true, value_name = "LAYER", value_parser = because(ENCRYPT, ENCRYPT_HINT))]
    pub encrypt_layer: Vec<Never>,
    /// How to talk to the registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// The format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI's
    Oci,
    /// Docker's, schema 2
    #[value(alias = "docker")]
    V2s2,
}

fn compression(text: &str) -> Result<Compression> {
    match text {
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        "zstd:chunked" => Err(Error::new(
            Kind::Usage,
            "zstd:chunked is not supported: files of a layer are never fetched one by one",
        )
        .hint("Use --compression-format zstd, which is as small.")),
        _ => Err(Error::new(Kind::Usage, format!("unknown compression format {text:?}"))
            .hint("Give it as gzip or zstd.")),
    }
}

/// Pushes an image to a registry.
///
/// # Errors
/// An image that is not here, a destination that cannot be written, a registry that refuses.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if ui::docker() && args.destination.is_some() {
        return Err(Error::new(Kind::Usage, "\"docker push\" requires exactly 1 argument")
            .of_client()
            .hint("Give the image the name first: coracle tag IMAGE REGISTRY/NAME:TAG"));
    }
    let request = request(args, env)?;
    let digestfile =
        args.digestfile.as_deref().map(|path| ResultFile::open("--digestfile", path)).transpose()?;
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let push = Push { engine, args, request: &request };
    if args.all_tags {
        let repository: Reference = args.image.parse()?;
        let tags = engine.tags_here(&repository.with_registry())?;
        let mut digests = Vec::new();
        for tag in tags {
            let found = engine.store.images().need_any(&tag.to_string())?;
            digests.push(push.to(&push.meant(found)?, &tag)?.digest.to_string());
        }
        digestfile.map(|file| file.write(&digests.join("\n"))).transpose()?;
        return Ok(ExitCode::SUCCESS);
    }
    let missing = || phrases::no_image_to_push(&args.image).hint("List the images: coracle images");
    let found = engine.store.images().find_any(&args.image)?.ok_or_else(missing)?;
    let own = match &found {
        Found::Image(image) => image.reference.clone(),
        Found::List(list) => list.reference.clone(),
    };
    let to = match &args.destination {
        None => own_name(&args.image, own.as_ref())?,
        Some(Destination::Registry(name)) => name.with_registry(),
        Some(Destination::Stored(name)) => {
            let image = push.image(found)?;
            engine.admit_stored(&image)?;
            tag::tag(&store, &args.image, std::slice::from_ref(name))?;
            digestfile.map(|file| file.write(image.manifest.as_str())).transpose()?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Destination::File(to)) => {
            if let (Found::List(list), true) = (&found, args.all) {
                let form = Some(request.form).filter(|_| recompresses(args));
                let digest = push_list_to_file(engine, &list.id, to, (&request, form), args.quiet)?;
                digestfile.map(|file| file.write(digest.as_str())).transpose()?;
                return Ok(ExitCode::SUCCESS);
            }
            let image = push.image(found)?;
            engine.admit_stored(&image)?;
            let form = Some(request.form).filter(|_| recompresses(args));
            let request = FileRequest { family: request.form.family, compress: args.compress, form };
            let digest = pushing(args.quiet, Dialect::Podman, |report| {
                report(Message::Layers(Vec::new()));
                report(Message::Config(image.id.clone()));
                let digest = engine.push_to_file(&image, to, request)?;
                report(Message::Manifest);
                Ok(digest)
            })?;
            digestfile.zip(digest).map(|(file, digest)| file.write(digest.as_str())).transpose()?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    if ui::docker() && !args.quiet && to.tag().is_none() && to.digest().is_none() {
        ui::out(&format!("Using default tag: {}\n", to.tag_or_latest().unwrap_or_default()))?;
    }
    let pushed = push.to(&push.meant(found)?, &to)?;
    digestfile.map(|file| file.write(pushed.digest.as_str())).transpose()?;
    Ok(ExitCode::SUCCESS)
}

fn request(args: &Args, env: &Env) -> Result<PushRequest> {
    check_destination(args)?;
    let family = args.format.map(|format| match format {
        Format::Oci => Family::Oci,
        Format::V2s2 => Family::Docker,
    });
    let compression = (args.compression_format, args.compression_level);
    let form = form(family, compression, args.force_compression, env)?;
    Ok(PushRequest { registry: args.registry.request(Platform::host()), form })
}

/// Refuses what does not go with the destination.
fn check_destination(args: &Args) -> Result<()> {
    let form = match &args.destination {
        None | Some(Destination::Registry(_)) => return Ok(()),
        Some(Destination::Stored(_)) => None,
        Some(Destination::File(to)) => Some(to.form),
    };
    let wrong = |message: &str, hint: &str| Err(Error::new(Kind::Usage, message).hint(hint));
    if recompresses(args) && matches!(form, None | Some(FileForm::DockerArchive)) {
        return wrong(
            "--compression-format, --compression-level and --force-compression do not go with docker-archive: and \
             containers-storage:",
            "Leave them out: the layers of a docker-archive are plain, and those of the store stay as they are.",
        );
    }
    if (args.format.is_some() || args.compress) && form != Some(FileForm::Dir) {
        return wrong(
            "--format and --compress go with a registry or dir: only",
            "Leave them out: the other transports have one format each.",
        );
    }
    if args.digestfile.is_some() && form == Some(FileForm::DockerArchive) {
        return wrong(
            "--digestfile does not go with docker-archive:, which has no manifest",
            "Leave it out, or push to oci-archive:FILE.",
        );
    }
    Ok(())
}

/// Whether the layers are not to stay as they are, wherever they go.
fn recompresses(args: &Args) -> bool {
    args.compression_format.is_some()
        || args.compression_level.is_some()
        || args.force_compression == Some(true)
}

/// What is asked for.
struct Push<'a> {
    engine: Engine<'a>,
    args: &'a Args,
    request: &'a PushRequest,
}

impl Push<'_> {
    /// What of a name's meaning is pushed. Of a list this is what it has for a platform, unless all of it is asked for
    /// or its image for this machine is not here (podman-push(1)); docker pushes lists whole.
    fn meant(&self, found: Found) -> Result<Found> {
        let (args, images) = (self.args, self.engine.store.images());
        match (found, &args.platform) {
            (found @ Found::Image(_), _) | (found, Some(_)) => {
                self.image(found).map(Box::new).map(Found::Image)
            }
            (Found::List(list), None) if !args.all && !ui::docker() => match images.instance(&list, None) {
                Ok(Instance::Here(image)) => {
                    let name = list.called();
                    log::warn!(
                        "{name} is a manifest list, and only its image for this machine is pushed; to push all of it: \
                         coracle push --all {name}"
                    );
                    Ok(Found::Image(image))
                }
                _ => Ok(Found::List(list)),
            },
            (found, _) => Ok(found),
        }
    }

    /// The image that is meant: of a list that for the platform.
    fn image(&self, found: Found) -> Result<Image> {
        let (args, images) = (self.args, self.engine.store.images());
        let image = match found {
            Found::Image(image) => *image,
            Found::List(list) => images.instance(&list, args.platform.as_ref())?.need(&list.called())?,
        };
        match &args.platform {
            Some(platform) if !is_for(&image, platform) => {
                let (os, arch) = (&image.config.os, &image.config.architecture);
                let message = format!("image {} is for {os}/{arch}, not for {platform}", args.image);
                Err(Error::new(Kind::NotFound, message))
            }
            _ => Ok(image),
        }
    }

    /// Pushes it to a name, with its progress.
    fn to(&self, what: &Found, to: &Reference) -> Result<Pushed> {
        let (args, dialect) = (self.args, super::dialect());
        let docker = dialect == Dialect::Docker;
        if docker && !args.quiet {
            ui::out(&format!("The push refers to repository [{}]\n", to.repository()))?;
        }
        let pushed = match what {
            Found::Image(image) => {
                self.engine.admit_stored(image)?;
                pushing(args.quiet, dialect, |report| self.engine.push(image, to, self.request, report))?
            }
            Found::List(list) => {
                let wanted = PushList { list: &list.id, to, images: true, family: self.request.form.family };
                push_list(self.engine, &wanted, self.request, args.quiet, dialect)?
            }
        };
        if docker && args.quiet {
            ui::out(&format!("{to}\n"))?;
        } else if docker {
            let tag = to.tag_or_latest().unwrap_or_default();
            ui::out(&format!("{tag}: digest: {} size: {}\n", pushed.digest, pushed.size))?;
        }
        Ok(pushed)
    }
}

/// Where goes what is pushed by its own name.
fn own_name(text: &str, found: Option<&Reference>) -> Result<Reference> {
    let no_registry = || {
        Error::new(Kind::Usage, format!("{text} names no registry to push to"))
            .hint(format!("Name it: coracle push {text} REGISTRY/NAME:TAG"))
    };
    let written: Option<Reference> = text.parse().ok();
    match (found, written) {
        (None, _) | (_, None) => Err(no_registry()),
        (Some(_), Some(written)) if written.registry().is_some() => Ok(written),
        // What docker calls so is in its own registry, wherever it is here.
        (Some(_), Some(written)) if ui::docker() => Ok(written.with_registry()),
        (Some(found), _) if found.registry() == Some("localhost") => Err(no_registry()),
        (Some(found), _) => Ok(found.clone()),
    }
}
