//! RUN --mount: what each of them is, and mounting it.

use crate::build::job::Job;
use crate::build::language::mount::RunMount;
use crate::build::origin::{self, Found};
use crate::build::request::SecretSource;
use crate::build::selected;
use crate::build::state::State;
use crate::build::surroundings::Surroundings;
use crate::build::wanted::whole;
use crate::error::{Context as _, Error, Kind, Result};
use crate::image::Digest;
use crate::runtime::launch::Extras;
use crate::runtime::secrets::SecretFile;
use crate::spec::{ContainerSpec, MountSource, MountSpec, OverlaySpec};
use crate::storage::Scratch;
use crate::storage::build::{CacheMount, Sharing};
use crate::text::clean;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A mount whose source is known.
#[derive(Debug)]
pub(super) enum Mounted {
    /// Files of a context, a stage or an image.
    Files {
        /// Whose.
        found: Found,
        /// Which of them, relative.
        part: String,
        /// The digest of their contents.
        digest: Digest,
        /// Where, absolute.
        target: PathBuf,
        /// Whether they may be changed; changes go with the step.
        read_write: bool,
    },
    /// A directory that is kept from one build to the next.
    Cache {
        /// Its name.
        id: String,
        /// Who else may use it meanwhile.
        sharing: Sharing,
        /// Where, absolute.
        target: PathBuf,
        /// What is in it first.
        seed: Option<(Found, String)>,
        /// Permission bits.
        mode: u32,
        /// Owner inside.
        owner: (u32, u32),
        /// Whether it may not be changed.
        read_only: bool,
    },
    /// Memory.
    Memory {
        /// Where, absolute.
        target: PathBuf,
        /// Bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: u32,
        /// Whether it may not be changed.
        read_only: bool,
    },
    /// A secret.
    Secret {
        /// Its id.
        id: String,
        /// The file, absolute.
        target: Option<PathBuf>,
        /// The variable.
        env: Option<String>,
        /// Its value; a step that can do without may get none.
        value: Option<Vec<u8>>,
        /// Permission bits.
        mode: u32,
        /// Owner inside.
        owner: (u32, u32),
    },
    /// The caller's ssh agent.
    Agent {
        /// Its id.
        id: String,
        /// Its socket on this machine; a step that can do without may get none.
        socket: Option<PathBuf>,
        /// Where, absolute.
        target: PathBuf,
    },
}

impl Mounted {
    /// What the step's result depends on: contents of files, and names and options of everything else.
    pub(super) fn key(&self) -> Value {
        match self {
            Mounted::Files { digest, target, read_write, .. } => json!(["bind", digest, target, read_write]),
            Mounted::Cache { id, target, mode, owner, read_only, .. } => {
                json!(["cache", id, target, mode, owner, read_only])
            }
            Mounted::Memory { target, size, mode, read_only } => {
                json!(["tmpfs", target, size, mode, read_only])
            }
            Mounted::Secret { id, target, env, mode, owner, .. } => {
                json!(["secret", id, target, env, mode, owner])
            }
            Mounted::Agent { id, target, .. } => json!(["ssh", id, target]),
        }
    }

    /// Whether it is a directory that is kept.
    pub(super) fn is_cache(&self) -> bool {
        matches!(self, Mounted::Cache { .. })
    }
}

/// Finds what an option means; `None` when that is not known yet.
///
/// # Errors
/// A source that does not exist, a secret or agent that was not given.
pub(super) fn find(
    job: &Job<'_>,
    state: &State,
    option: RunMount,
    before: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Mounted>> {
    let place = |target: &str| target_below(state.working_directory(), target);
    Ok(Some(match option {
        RunMount::Bind { from, source, target, read_write } => {
            let Some(found) = origin::find(job, from.as_deref(), before, around)? else { return Ok(None) };
            let part = relative(&source);
            let Some(digest) = selected::digest(job, &found, &whole(&part), around)? else {
                return Ok(None);
            };
            Mounted::Files { found, part, digest, target: place(&target)?, read_write }
        }
        RunMount::Cache { id, target, sharing, from, source, mode, uid, gid, read_only } => {
            let target = place(&target)?;
            let seed = match from {
                None => None,
                Some(name) => {
                    let Some(found) = origin::find(job, Some(&name), before, around)? else {
                        return Ok(None);
                    };
                    Some((found, relative(&source)))
                }
            };
            Mounted::Cache { id, sharing, target, seed, mode, owner: (uid, gid), read_only }
        }
        RunMount::Tmpfs { target, size, mode, read_only } => {
            Mounted::Memory { target: place(&target)?, size, mode, read_only }
        }
        RunMount::Secret { id, target, env, required, mode, uid, gid } => {
            let value = match job.request.secrets.get(&id) {
                Some(SecretSource::Value(value)) => Some(value.clone()),
                Some(SecretSource::File(path)) => {
                    let name = || format!("read secret {id} from {}", path.display());
                    Some(fs::read(path).context(Kind::Usage, name)?)
                }
                None if required => {
                    return Err(Error::new(Kind::Usage, format!("secret {id}: not found")).hint(format!(
                        "Give its value: coracle build --secret id={id},src=FILE . or --secret id={id},env=VARIABLE"
                    )));
                }
                None => None,
            };
            let target = target.map(|target| place(&target)).transpose()?;
            Mounted::Secret { id, target, env, value, mode, owner: (uid, gid) }
        }
        RunMount::Ssh { id, target, required, .. } => {
            let socket = job.agents.socket(&id).map(Path::to_owned);
            if socket.is_none() && required {
                return Err(Error::new(Kind::Usage, format!("unset ssh forward key {id}"))
                    .hint(format!("Pass your agent on: coracle build --ssh {id} .")));
            }
            let target = target.unwrap_or_else(|| "/run/buildkit/ssh_agent.0".to_owned());
            Mounted::Agent { id, socket, target: place(&target)? }
        }
    }))
}

/// A path below a directory, worked out on the text; it cannot leave `/`.
fn target_below(below: &str, path: &str) -> Result<PathBuf> {
    let target = clean(&Path::new(below).join(path));
    if target == Path::new("/") {
        return Err(Error::new(Kind::Usage, format!("mount target {path:?} is the root of the stage")));
    }
    Ok(target)
}

/// A path as one relative to a root, worked out on the text.
fn relative(path: &str) -> String {
    clean(Path::new(path)).to_string_lossy().trim_start_matches('/').to_owned()
}

/// What has to be held while the container runs.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By id.
    caches: BTreeMap<String, CacheMount>,
    copies: Vec<Scratch>,
}

/// Gets the cache mounts, each once: two places of a step may show the same one. All steps that wait for several do so
/// in the order of their ids, so none of two waits for the other.
fn caches(job: &Job<'_>, mounts: &[Mounted]) -> Result<BTreeMap<String, CacheMount>> {
    let mut wanted = BTreeMap::new();
    for mounted in mounts {
        if let Mounted::Cache { id, sharing, seed, mode, owner, .. } = mounted {
            let (strictest, ..) = wanted.entry(id).or_insert((*sharing, seed.as_ref(), *mode, *owner));
            *strictest = (*strictest).max(*sharing);
        }
    }
    let mut caches = BTreeMap::new();
    for (id, (sharing, seed, mode, owner)) in wanted {
        let fill = |cache: &CacheMount| selected::fill(job, cache, seed, mode, owner);
        let cache = job.store().build_cache().mount(id, sharing, &|| false, &fill)?;
        caches.insert(id.clone(), cache);
    }
    Ok(caches)
}

/// Adds the mounts to a plan, and to what no plan says.
///
/// # Errors
/// A directory that cannot be made, locked or filled.
pub(super) fn mount(
    job: &Job<'_>,
    mounts: &[Mounted],
    spec: &mut ContainerSpec,
    extras: &mut Extras,
) -> Result<Held> {
    let mut held = Held { caches: caches(job, mounts)?, copies: Vec::new() };
    for mounted in mounts {
        match mounted {
            Mounted::Files { found, part, target, read_write, .. } => {
                let source = source(job, found, part, &mut held)?;
                let mut new = MountSpec { read_only: !read_write, ..MountSpec::new(source, target.clone()) };
                new.overlay = matches!(new.source, MountSource::Bind { .. }).then(OverlaySpec::default);
                new.subpath = Some(PathBuf::from(part)).filter(|_| !part.is_empty());
                spec.mounts.push(new);
            }
            Mounted::Cache { id, target, read_only, .. } => {
                let Some(cache) = held.caches.get(id) else { continue };
                let source = MountSource::Bind { path: cache.path().to_owned(), recursive: false };
                let new =
                    MountSpec { suid: true, read_only: *read_only, ..MountSpec::new(source, target.clone()) };
                spec.mounts.push(new);
            }
            Mounted::Memory { target, size, mode, read_only } => {
                let source = MountSource::Tmpfs {
                    size: *size,
                    mode: Some(*mode),
                    inodes: None,
                    uid: None,
                    gid: None,
                    copy_up: false,
                };
                spec.mounts
                    .push(MountSpec { read_only: *read_only, ..MountSpec::new(source, target.clone()) });
            }
            Mounted::Secret { id, target, env, value: Some(value), mode, owner } => {
                if let Some(path) = target {
                    let (uid, gid) = (Some(owner.0), Some(owner.1));
                    extras.files.push(SecretFile {
                        path: path.clone(),
                        value: value.clone(),
                        uid,
                        gid,
                        mode: *mode,
                    });
                }
                if let Some(variable) = env {
                    let text = String::from_utf8(value.clone()).ok().filter(|text| !text.contains('\0'));
                    let text = text.ok_or_else(|| {
                        Error::new(
                            Kind::Usage,
                            format!("secret {id} is not text, so it cannot be a variable"),
                        )
                    })?;
                    extras.env.push(format!("{variable}={text}"));
                }
            }
            Mounted::Agent { socket: Some(socket), target, .. } => {
                let source = MountSource::Bind { path: socket.clone(), recursive: false };
                spec.mounts.push(MountSpec::new(source, target.clone()));
                extras.env.push(format!("SSH_AUTH_SOCK={}", target.display()));
            }
            Mounted::Secret { value: None, .. } | Mounted::Agent { socket: None, .. } => {}
        }
    }
    Ok(held)
}

/// Where files are mounted from. Those of a context are the caller's own: changes go to a layer above them, and what
/// the ignore file leaves out is not there, so with one they are copied.
fn source(job: &Job<'_>, found: &Found, part: &str, held: &mut Held) -> Result<MountSource> {
    match found {
        Found::Layers(layers) => Ok(MountSource::Image {
            reference: "stage".to_owned(),
            id: Digest::sha256_of(b""),
            layers: layers.clone(),
        }),
        Found::Context(name) => {
            let context = job.contexts.get(name.as_deref())?;
            let path = if context.tree().ignore.is_some() {
                let copy = selected::copied(job, context.tree(), part)?;
                let path = copy.path().join("fs");
                held.copies.push(copy);
                path
            } else {
                context.path().to_owned()
            };
            Ok(MountSource::Bind { path, recursive: true })
        }
    }
}
