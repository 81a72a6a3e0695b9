//! The options of `build`, grouped as in its help.

use super::output::OutputArg;
use super::refused::RefusedArgs;
use super::values::{AnnotationArg, CacheArg, ContextArg, PullArg, SecretArg, SshArg};
use crate::cmd::options::container::{ConfinementArgs, NameArgs};
use crate::cmd::options::resources::ResourceArgs;
use crate::cmd::options::source::RegistryOptions;
use crate::cmd::options::switch::switchable;
use crate::image::{Platform, Reference};
use crate::netns;
use crate::plan::device::DeviceArg;
use crate::plan::env::EnvArg;
use crate::plan::limits::UlimitArg;
use crate::plan::mount::VolumeArg;
use crate::plan::option_values::Pair;
use crate::plan::process::GroupArg;
use crate::plan::units::Size;
use crate::spec::NetworkMode;
use crate::text::time::parse_duration;
use crate::ui::build::Mode;
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is built from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What it is called, and what becomes of it.
    #[command(flatten)]
    pub result: ResultArgs,
    /// Changes of its configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Layers and times.
    #[command(flatten)]
    pub layers: LayerArgs,
    /// The cache.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Base images.
    #[command(flatten)]
    pub base: BaseArgs,
    /// What RUN may use.
    #[command(flatten)]
    pub steps: StepArgs,
    /// What is shown.
    #[command(flatten)]
    pub output: ShowArgs,
    /// What cannot be had.
    #[command(flatten)]
    pub refused: RefusedArgs,
    /// Directory with the files to build from, URL of a git repository or an archive, or - for an archive or a
    /// Containerfile on standard input; by default the directory of the file that -f names, or the current one
    #[arg(value_name = "CONTEXT", required = crate::ui::docker(), value_hint = clap::ValueHint::DirPath)]
    pub context: Option<String>,
}

/// What is built from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Source", mut_args = switchable)]
pub struct SourceArgs {
    /// Containerfile: a file, a URL, or - for standard input; by default Containerfile or Dockerfile in the context.
    /// Several are read as one
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub file: Vec<String>,
    /// Stage to build, by name or number, instead of the last one
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Value of an ARG; NAME alone passes the caller's value, if there is one
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<EnvArg>,
    /// Read values of ARG from a file, one per line
    #[arg(long, value_name = "FILE")]
    pub build_arg_file: Vec<PathBuf>,
    /// What FROM NAME and --from=NAME mean: a directory, a URL, docker-image://IMAGE (also container-image:) or
    /// oci-layout://DIR
    #[arg(long, value_name = "NAME=VALUE")]
    pub build_context: Vec<ContextArg>,
    /// Ignore file, instead of .containerignore or .dockerignore in the context
    #[arg(long, value_name = "FILE")]
    pub ignorefile: Option<PathBuf>,
    /// Secret for RUN --mount=type=secret: id=ID,src=FILE or id=ID,env=NAME; id=ID alone is the variable or file ID.
    /// It is in no layer, no history and no cache
    #[arg(long, value_name = "id=ID[,KEY=VALUE...]")]
    pub secret: Vec<SecretArg>,
    /// SSH agent or keys for RUN --mount=type=ssh: default is your agent, ID=PATH a socket, or files with private keys
    /// that have no passphrase, for which an ssh-agent is started
    #[arg(long, value_name = "default|ID[=PATH,...]")]
    pub ssh: Vec<SshArg>,
}

/// What it is called, and what becomes of it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Result", mut_args = switchable)]
pub struct ResultArgs {
    /// Name of the image, or of the manifest list of several platforms; may be repeated; without a registry it gets
    /// localhost/
    #[arg(short, long, value_name = "REFERENCE")]
    pub tag: Vec<Reference>,
    /// Add the image, or those of all platforms, to the manifest list of this name, which is created if it does not exist
    #[arg(long, value_name = "REFERENCE")]
    pub manifest: Option<Reference>,
    /// Write the result elsewhere, besides the store or, called as docker, instead: DIR (its files), - (its files as an
    /// archive on standard output), or type=local|tar|oci|docker|image|registry|cacheonly,dest=PATH
    #[arg(short, long, value_name = "DIR|-|KEY=VALUE,...")]
    pub output: Vec<OutputArg>,
    /// Put the image into the store, which is the default, also where --output asks for something else
    #[arg(long)]
    pub load: bool,
    /// Push the image to the registries of its names, as with --output type=registry
    #[arg(long)]
    pub push: bool,
    /// Form of the manifest: oci, or docker; the default is $BUILDAH_FORMAT or oci, and docker when called as docker
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Write the image's id to this file, without sha256: before it
    #[arg(long, value_name = "FILE", conflicts_with = "iidfile")]
    pub iidfile_raw: Option<PathBuf>,
    /// Write ids and names of the result to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// Platforms to build for, such as linux/arm64; several make a manifest list under the name of --tag, and separate
    /// images without it. RUN needs an emulator for foreign ones
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',', conflicts_with_all = ["arch", "os", "variant"],
          value_parser = platform)]
    pub platform: Vec<Platform>,
    /// Architecture to build for, instead of this machine's
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Operating system to build for, instead of linux
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Variant of the architecture, such as v7
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
}

/// `local` is docker's word for this machine's.
fn platform(text: &str) -> crate::error::Result<Platform> {
    if text == "local" { Ok(Platform::host()) } else { text.parse() }
}

/// Whose form of manifest an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI's
    #[value(alias = "oci-archive")]
    Oci,
    /// Docker's
    #[value(alias = "docker-archive")]
    Docker,
}

/// Changes of its configuration.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Configuration of the image", mut_args = switchable)]
pub struct ConfigArgs {
    /// Label; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<Pair>,
    /// Remove a label of the base image
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub unsetlabel: Vec<String>,
    /// Keep the labels of the base image
    #[arg(long, default_value = "true")]
    pub inherit_labels: bool,
    /// Annotation of the manifest, or with index: before it, of the index; not with --format docker
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<AnnotationArg>,
    /// Remove an annotation of the base image
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub unsetannotation: Vec<String>,
    /// Keep the annotations of the base image
    #[arg(long, default_value = "true")]
    pub inherit_annotations: bool,
    /// Set the annotation org.opencontainers.image.created
    #[arg(long)]
    pub created_annotation: bool,
    /// Set a variable in the image; NAME alone passes the caller's value, if there is one
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub env: Vec<EnvArg>,
    /// Unset a variable in the image
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub unsetenv: Vec<String>,
    /// Label the image with the builder; off by default, as the label is another tool's
    #[arg(long)]
    pub identity_label: bool,
    /// Leave the history out
    #[arg(long)]
    pub omit_history: bool,
}

/// Layers and times.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Layers and times", mut_args = switchable)]
pub struct LayerArgs {
    /// Make one layer of all steps, on top of the base image's
    #[arg(long, conflicts_with = "squash_all")]
    pub squash: bool,
    /// Make one layer of everything, the base image included
    #[arg(long)]
    pub squash_all: bool,
    /// Make a layer of each step, and keep it for later builds; with false there is one layer, as with --squash, and
    /// results of steps are neither used nor kept. The default is $BUILDAH_LAYERS or true
    #[arg(long)]
    pub layers: Option<bool>,
    /// Time of the image, its history and all files of its layers, in seconds since 1970
    #[arg(long, value_name = "SECONDS", conflicts_with = "source_date_epoch", allow_hyphen_values = true)]
    pub timestamp: Option<i64>,
    /// Time of the image and its history, in seconds since 1970; the default is $SOURCE_DATE_EPOCH
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub source_date_epoch: Option<i64>,
    /// Make no file of a layer later than --source-date-epoch
    #[arg(long)]
    pub rewrite_timestamp: bool,
}

/// The cache.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache", mut_args = switchable)]
pub struct CacheArgs {
    /// Use no results of earlier builds
    #[arg(long)]
    pub no_cache: bool,
    /// Use no results of earlier builds for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Also use results that are elsewhere, as --cache-to has written them: type=local,src=DIR, or type=registry,ref=NAME
    /// or NAME, which may be an image with an inline cache
    #[arg(long, value_name = "IMAGE|KEY=VALUE,...")]
    pub cache_from: Vec<CacheArg>,
    /// Also keep results elsewhere: type=local,dest=DIR, type=registry,ref=NAME or NAME, or type=inline, in the image;
    /// with mode=min only those of the image's own stages, with mode=max all
    #[arg(long, value_name = "KEY=VALUE,...")]
    pub cache_to: Vec<CacheArg>,
    /// Use only results that are not older than this, such as 24h; 0 is as --no-cache
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub cache_ttl: Option<Duration>,
}

/// Base images.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Base images", mut_args = switchable)]
pub struct BaseArgs {
    /// Image that the first FROM names, instead of its own
    #[arg(long, value_name = "IMAGE")]
    pub from: Option<String>,
    /// When to pull base images: always (which --pull alone is), missing (the default), never or newer
    #[arg(long, value_name = "POLICY", num_args = 0..=1, require_equals = true, default_missing_value = "always",
          conflicts_with_all = ["pull_always", "pull_never"])]
    pub pull: Option<PullArg>,
    /// As --pull=always
    #[arg(long, hide = true, conflicts_with = "pull_never")]
    pub pull_always: bool,
    /// As --pull=never
    #[arg(long, hide = true)]
    pub pull_never: bool,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// What RUN may use.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Containers of RUN", mut_args = switchable)]
pub struct StepArgs {
    /// Network of RUN: slirp4netns[:OPTIONS], pasta[:OPTIONS], none, host or ns:PATH
    #[arg(long, visible_alias = "net", value_name = "MODE", value_parser = netns::parse_network)]
    pub network: Option<NetworkMode>,
    /// How names are looked up.
    #[command(flatten)]
    pub names: NameArgs,
    /// Mount for each RUN, as RUN --mount has it
    #[arg(long, value_name = "type=TYPE[,KEY=VALUE...]")]
    pub mount: Vec<String>,
    /// Mount a host path during RUN
    #[arg(short, long, alias = "transient-mount", value_name = "[SOURCE:]DEST[:OPTIONS]")]
    pub volume: Vec<VolumeArg>,
    /// Host device, a directory of devices, or vendor/class=name of a CDI specification
    #[arg(long, value_name = "HOST[:INSIDE][:rwm]")]
    pub device: Vec<DeviceArg>,
    /// Supplementary group; keep-groups keeps the caller's
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub group_add: Vec<GroupArg>,
    /// What confines it.
    #[command(flatten)]
    pub confinement: ConfinementArgs,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<Size>,
    /// Ulimit, or host for the caller's limits
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    pub ulimit: Vec<UlimitArg>,
    /// What a cgroup keeps.
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// Parent cgroup: a path, relative to the caller's cgroup without a leading slash, or NAME.slice of your systemd
    #[arg(long, value_name = "PATH|SLICE")]
    pub cgroup_parent: Option<String>,
    /// Pass the caller's proxy variables to RUN; they are in no layer and no history
    #[arg(long, default_value = "true")]
    pub http_proxy: bool,
    /// Number of stages that are worked on side by side; 0, the default, is as many as there are
    #[arg(long, value_name = "NUMBER")]
    pub jobs: Option<usize>,
}

/// What is shown.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output", mut_args = switchable)]
pub struct ShowArgs {
    /// How progress is shown, on standard error: auto (tty on a terminal, otherwise plain), plain (lines), tty,
    /// rawjson (BuildKit's JSON lines), quiet or none. The default is $BUILDKIT_PROGRESS or auto
    #[arg(long, value_name = "HOW")]
    pub progress: Option<Mode>,
    /// Print only the image's id; a failing step is still shown
    #[arg(short, long)]
    pub quiet: bool,
    /// Append progress to this file, in plain lines, instead of showing it
    #[arg(long, value_name = "FILE")]
    pub logfile: Option<PathBuf>,
    /// When a RUN fails, open a shell in the state before it, with its mounts and variables; the build fails when the
    /// shell ends
    #[arg(long, conflicts_with_all = ["check", "call"])]
    pub debug_shell: bool,
    /// Build nothing, and check the Containerfile: as --call=check
    #[arg(long, conflicts_with = "call")]
    pub check: bool,
    /// Build nothing, and check the Containerfile (check), or print the arguments of a target (outline) or the targets;
    /// ,format=json prints JSON
    #[arg(long, value_name = "METHOD")]
    pub call: Option<Call>,
}

/// `--call METHOD[,format=json]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// What is done.
    pub method: Method,
    /// Whether JSON is printed.
    pub json: bool,
}

/// What `--call` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// It builds.
    Build,
    /// It checks the Containerfile.
    Check,
    /// It prints what a target takes.
    Outline,
    /// It prints the targets.
    Targets,
}

impl std::str::FromStr for Call {
    type Err = crate::error::Error;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            crate::error::Error::new(crate::error::Kind::Usage, format!("there is no method {s:?}"))
                .hint("Use build, check, outline or targets, and ,format=json behind it for JSON.")
        };
        let (name, format) = s.split_once(',').map_or((s, None), |(name, format)| (name, Some(format)));
        let method = match name.strip_prefix("subrequest=").unwrap_or(name) {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            _ => return Err(wrong()),
        };
        let json = match format {
            None | Some("format=text") => false,
            Some("format=json") => true,
            Some(_) => return Err(wrong()),
        };
        Ok(Call { method, json })
    }
}
