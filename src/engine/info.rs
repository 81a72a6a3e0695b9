//! Information about the machine and the store.

use crate::error::Result;
use crate::host::{self, Machine, Roots};
use crate::netns::{pasta, says_of_its_version, slirp};
use crate::plan::caps::DEFAULT;
use crate::registry::{Places, Registries};
use crate::storage::Store;
use nix::sys::statvfs::statvfs;
use std::path::PathBuf;

/// An image of docker's registry, which is asked for to see where it would come from.
const DOCKER_IMAGE: &str = "docker.io/library/any";

/// Information about the machine and the store.
#[derive(Debug)]
pub struct Info {
    /// The machine.
    pub machine: Machine,
    /// The kernel's release.
    pub kernel: String,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Controllers that this account may use.
    pub cgroup_controllers: Vec<String>,
    /// slirp4netns, where it is installed.
    pub slirp: Option<Helper>,
    /// pasta, where it is installed.
    pub pasta: Option<Helper>,
    /// The default capabilities of containers.
    pub capabilities: String,
    /// How ids are mapped.
    pub id_map: serde_json::Value,
    /// This program.
    pub program: PathBuf,
    /// Where short names are looked up, or why that is unknown.
    pub search: Result<Vec<String>>,
    /// Mirrors of docker's registry.
    pub mirrors: Vec<String>,
    /// The machine's id (machine-id(5)); empty where it has none. Not to be shown.
    pub machine_id: String,
    /// The store's places.
    pub roots: Roots,
    /// Bytes of the file system of the data root, and those that are used.
    pub disk: Option<(u64, u64)>,
    /// What is in the store, or why it cannot be opened.
    pub counts: Result<Counts>,
}

/// A program that connects containers.
#[derive(Debug)]
pub struct Helper {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of its version, in one or more lines.
    pub version: String,
}

impl Helper {
    fn of(path: PathBuf) -> Helper {
        Helper { version: says_of_its_version(&path), path }
    }
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Images.
    pub images: usize,
    /// Containers.
    pub containers: usize,
    /// Containers that run.
    pub running: usize,
    /// Containers that are paused.
    pub paused: usize,
}

/// Looks at the machine and the store. What cannot be read is reported but is no error: this is where a user
/// looks for the reason.
pub fn info(roots: &Roots, store: Result<Store>) -> Info {
    // Files that cannot be read are the business of a pull.
    let places = Places::from_env(&roots.config, roots.docker.as_deref());
    let registries = Registries::load(&Places { daemon: roots.daemon.clone(), ..places });
    let disk = statvfs(&roots.data).ok().map(|disk| {
        let all = disk.blocks() * disk.fragment_size();
        (all, all - disk.blocks_free() * disk.fragment_size())
    });
    Info {
        machine: host::machine(),
        kernel: host::kernel_release(),
        cgroup_version: host::cgroup_version(),
        cgroup_controllers: host::cgroup_controllers(),
        slirp: slirp::find().ok().map(Helper::of),
        pasta: pasta::find().ok().map(Helper::of),
        capabilities: DEFAULT.join(","),
        id_map: host::id_map(),
        program: std::env::current_exe().unwrap_or_default(),
        mirrors: registries.as_ref().map(mirrors).unwrap_or_default(),
        machine_id: host::machine_id(),
        search: registries.map(|registries| registries.search().to_vec()),
        roots: roots.clone(),
        disk,
        counts: store.and_then(|store| count(&store)),
    }
}

/// As docker shows them, with a scheme.
fn mirrors(registries: &Registries) -> Vec<String> {
    let sources = DOCKER_IMAGE.parse().and_then(|image| registries.sources(&image)).unwrap_or_default();
    let hosts = sources.iter().filter_map(|source| Some((source.reference.registry()?, source.insecure)));
    let others = hosts.filter(|(host, _)| *host != "docker.io");
    others.map(|(host, plain)| format!("{}://{host}/", if plain { "http" } else { "https" })).collect()
}

fn count(store: &Store) -> Result<Counts> {
    let containers = store.containers().list()?;
    let count = |word: &str| containers.iter().filter(|c| c.status.as_str() == word).count();
    Ok(Counts {
        images: store.images().list()?.len(),
        containers: containers.len(),
        running: count("running"),
        paused: count("paused"),
    })
}
