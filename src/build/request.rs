//! What is to be built, from any front end.

use crate::engine::images::pull::PullPolicy;
use crate::image::{Digest, Platform, Reference};
use crate::plan::env::EnvRequest;
use crate::plan::limits::UlimitArg;
use crate::plan::mount::MountArg;
use crate::plan::security::SecurityRequest;
use crate::registry::{PullRequest, WebTrust};
use crate::spec::network::{DnsSpec, HostEntry};
use crate::spec::{DeviceSpec, NetworkMode, Resources};
use crate::storage::archive::{Family, OutgoingForm};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// An image to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Where the files are that COPY and ADD mean.
    pub context: ContextSource,
    /// The Containerfiles, which are read one after the other as one; none is `Containerfile` or `Dockerfile` in
    /// the context.
    pub files: Vec<FileSource>,
    /// Whether `Dockerfile` is looked for before `Containerfile`.
    pub dockerfile_first: bool,
    /// The ignore file, if not the usual ones.
    pub ignore_file: Option<PathBuf>,
    /// `--build-context NAME=...`: what `FROM NAME` and `--from=NAME` mean.
    pub contexts: BTreeMap<String, NamedContext>,
    /// The stage that is wanted, by name or number; the last one otherwise.
    pub target: Option<String>,
    /// `--from`: the image that the first FROM names instead of its own.
    pub from: Option<String>,
    /// `--build-arg`, values known.
    pub args: BTreeMap<String, String>,
    /// Changes of the image's configuration that are on the command line.
    pub changes: Changes,
    /// The names it gets; of several platforms their list has them.
    pub names: Vec<Reference>,
    /// `--manifest`: the list that it is added to, which is made if there is none.
    pub list: Option<Reference>,
    /// The platforms it is built for; none is the machine's. With several, a list is made.
    pub platforms: Vec<Platform>,
    /// When base images are pulled.
    pub pull: PullPolicy,
    /// How to talk to registries.
    pub registry: PullRequest,
    /// Which results of earlier builds are used, and what is kept.
    pub cache: CacheRequest,
    /// `--secret`, by id.
    pub secrets: BTreeMap<String, SecretSource>,
    /// `--ssh`, by id: the agent's socket, or files with keys.
    pub ssh: BTreeMap<String, Vec<PathBuf>>,
    /// How the containers of RUN are run.
    pub run: RunRequest,
    /// How many layers the image gets.
    pub layers: LayerRequest,
    /// Whose form of manifest it has.
    pub family: Family,
    /// Which times it has.
    pub times: TimeRequest,
    /// What becomes of the result; none is an image in the store.
    pub outputs: Vec<Output>,
    /// Stages worked on side by side; `None` is as many as there are.
    pub jobs: Option<usize>,
    /// `--debug-shell`: a failure says where a shell can be opened.
    pub debug_shell: bool,
    /// Rules of the build checks that fail the build (`check=error=true`).
    pub check: CheckRequest,
}

impl BuildRequest {
    /// How to talk to the registry of this name. Credentials of the command line are for where it is pushed to, if it
    /// is: no other registry gets them.
    pub(super) fn registry_of(&self, name: Option<&Reference>) -> PullRequest {
        let pushed = self.outputs.iter().flat_map(|output| match output {
            Output::Push { names, .. } => names.as_slice(),
            _ => &[],
        });
        let pushed: Vec<Option<&str>> = pushed.map(Reference::registry).collect();
        let mut request = self.registry.clone();
        if !pushed.is_empty() && !pushed.contains(&name.and_then(Reference::registry)) {
            request.credentials = None;
        }
        request
    }

    /// Whom TLS trusts that is no registry's: as for registries.
    pub(super) fn trust(&self) -> WebTrust {
        WebTrust {
            unchecked: self.registry.tls_verify == Some(false),
            cert_dir: self.registry.cert_dir.clone(),
        }
    }
}

/// Where a build context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A directory, absolute.
    Directory(PathBuf),
    /// An archive, compressed or not, on a descriptor of this process (`/proc/self/fd/0`): `build -`.
    Archive(PathBuf),
    /// A git repository or the address of an archive or Containerfile, as written.
    Remote(String),
    /// There is none: the Containerfile came on standard input.
    None,
}

/// Where a Containerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSource {
    /// A path, absolute, or relative to the context.
    Path(PathBuf),
    /// Its text, as read from standard input.
    Text(Vec<u8>),
    /// An address, as written.
    Remote(String),
}

/// What a named context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// Files.
    Files(ContextSource),
    /// `docker-image://NAME` or `container-image:NAME`.
    Image(String),
    /// `oci-layout://DIR[:TAG][@DIGEST]`: the directory, and which image of it.
    Layout {
        /// The directory, absolute.
        dir: PathBuf,
        /// Its tag.
        tag: Option<String>,
        /// Its digest.
        digest: Option<Digest>,
    },
}

/// Changes of the configuration that are no instructions of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`, of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// `--env NAME=VALUE`.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--unsetannotation`, of those of the base image.
    pub unset_annotations: Vec<String>,
    /// `--inherit-labels=false`: none of the base image's.
    pub forget_labels: bool,
    /// `--inherit-annotations=false`: none of the base image's.
    pub forget_annotations: bool,
    /// `--annotation index:KEY=VALUE`, of the index of several platforms.
    pub index_annotations: BTreeMap<String, String>,
    /// `--created-annotation`: the time of the image as `org.opencontainers.image.created`.
    pub created_annotation: bool,
    /// `--omit-history`: the image has no history.
    pub omit_history: bool,
    /// `--identity-label`: `io.buildah.version` is not for us to claim, so this is false by default.
    pub identity_label: bool,
}

/// The use of the build cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheRequest {
    /// `--no-cache`: every step is worked off.
    pub ignore: bool,
    /// `--no-cache-filter`: those of these stages are.
    pub ignore_stages: Vec<String>,
    /// `--cache-from`.
    pub from: Vec<CachePlace>,
    /// `--cache-to`.
    pub to: Vec<CacheTarget>,
    /// `--cache-ttl` in seconds: older results are not used.
    pub max_age: Option<u64>,
    /// `--layers=false`: no result of a step is kept, either.
    pub discard: bool,
}

impl CacheRequest {
    /// Whether results are kept for later builds.
    pub fn keeps(&self) -> bool {
        !self.discard
    }
}

/// A cache to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheTarget {
    /// Where.
    pub place: CachePlace,
    /// Only the steps that led to the image, and not those of other stages: `mode=min`.
    pub least: bool,
}

impl std::fmt::Display for CachePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CachePlace::Registry(name) => write!(f, "{name}"),
            CachePlace::Repository(name) => f.write_str(&name.repository()),
            CachePlace::Local(dir) => write!(f, "{}", dir.display()),
            CachePlace::Inline => f.write_str("type=inline"),
        }
    }
}

/// Where a cache is, apart from our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// `type=registry,ref=NAME`, or a name with a tag alone.
    Registry(Reference),
    /// A name without a tag alone: a repository for caches, or an image with a cache in it.
    Repository(Reference),
    /// `type=local,src=DIR` or `dest=DIR`, absolute.
    Local(PathBuf),
    /// `type=inline`: in the image's configuration.
    Inline,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, absolute.
    File(PathBuf),
    /// The value of a variable of the caller.
    Value(Vec<u8>),
}

/// How the containers of RUN are run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRequest {
    /// `--network`; `None` is the default network.
    pub network: Option<NetworkMode>,
    /// `--dns`, `--dns-search`, `--dns-option`.
    pub dns: DnsSpec,
    /// `--add-host`.
    pub hosts: Vec<HostEntry>,
    /// `--volume`.
    pub mounts: Vec<MountArg>,
    /// `--device`.
    pub devices: Vec<DeviceSpec>,
    /// `--cap-add`, `--cap-drop`, `--security-opt`.
    pub security: SecurityRequest,
    /// `--group-add`, by name or number.
    pub groups: Vec<String>,
    /// `--no-hosts`: the image's `/etc/hosts` is left as it is.
    pub no_hosts: bool,
    /// `--no-hostname`: the image's `/etc/hostname` is left as it is.
    pub no_hostname: bool,
    /// `--ulimit`.
    pub ulimits: Vec<UlimitArg>,
    /// `--memory`, `--cpus` and the like.
    pub resources: Resources,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--shm-size` in bytes.
    pub shm_size: Option<u64>,
    /// `--http-proxy`: the caller's proxy variables are in the environment of steps, and nowhere else. Likewise what
    /// the specification of a device sets.
    pub proxies: EnvRequest,
    /// `--mount`: what each RUN has besides its own, in the words of its `--mount`.
    pub step_mounts: Vec<String>,
}

/// How many layers an image gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LayerRequest {
    /// One for each step that changes files.
    #[default]
    Each,
    /// `--squash`, `--layers=false`: one for all steps, on top of the base image's.
    Squash,
    /// `--squash-all`: one for everything.
    SquashAll,
}

/// Which times an image has. All in seconds since 1970, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRequest {
    /// `--timestamp`: of the image, its history and all files of its layers.
    pub all: Option<i64>,
    /// `--source-date-epoch`, or SOURCE_DATE_EPOCH: of the image and its history.
    pub image: Option<i64>,
    /// `--rewrite-timestamp`: no file of the layers that are made is later than `image`.
    pub rewrite: bool,
}

impl TimeRequest {
    /// That of the image, if one was asked for.
    pub(super) fn of_image(&self) -> Option<i64> {
        self.all.or(self.image)
    }
}

/// What becomes of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An image in the store, under the names of the request.
    Image,
    /// The same, and in a registry.
    Push {
        /// The names there; each has a registry.
        names: Vec<Reference>,
        /// What it is to be there.
        form: OutgoingForm,
    },
    /// Its files in a directory, absolute, which is made.
    Local(PathBuf),
    /// Its files as an archive.
    Tar(Destination),
    /// An OCI image layout: an archive, or a directory.
    Oci {
        /// Where.
        to: Destination,
        /// Whether it is a directory.
        directory: bool,
    },
    /// Docker's archive, as `save` writes it.
    Docker(Destination),
    /// Nothing but the cache: `type=cacheonly`.
    Nothing,
}

/// Where an archive is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file, absolute.
    File(PathBuf),
    /// A descriptor of the front end, such as its standard output.
    Stream(Stream),
}

/// An open descriptor of the front end. It is equal to its own clones only.
#[derive(Debug, Clone)]
pub struct Stream(pub Arc<OwnedFd>);

impl PartialEq for Stream {
    fn eq(&self, other: &Stream) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Stream {}

/// What the build checks are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CheckRequest {
    /// Their findings are warnings.
    #[default]
    Warn,
    /// `--check`: nothing is built.
    Only,
}
