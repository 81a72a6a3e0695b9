//! `coracle system df`.

use crate::engine::containers;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::{Digest, Reference};
use crate::spec::{MountSource, RootSpec};
use crate::storage::Store;
use crate::storage::containers::{Summary, Unreadable};
use crate::storage::images::Listed;
use crate::storage::measure::{self, Sizes};
use crate::storage::volumes::Users;
use crate::text::{time, units};
use crate::ui::rows::{self, Listing};
use crate::userns;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

/// Arguments of `system df`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show every image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
    /// Print as json or a Go template such as '{{.Type}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows how much room everything takes. All sizes together are what du(1) says of the data root.
///
/// # Errors
/// A wrong format, or a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.verbose && args.format.is_some() {
        return Err(Error::new(Kind::Usage, "--verbose and --format exclude each other")
            .hint("Leave one of the two out."));
    }
    let store = crate::cmd::store(env)?;
    let usage = Usage::read(&store)?;
    let text = if args.verbose { usage.details()? } else { usage.table(args.format.as_deref())? };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// [`measure::data_root`], in the user namespace where that is needed.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn sizes(store: &Store) -> Result<Sizes> {
    match measure::data_root(store) {
        Ok(sizes) => Ok(sizes),
        // Directories of other ids are closed to us, but not to us inside.
        Err(_) => userns::in_child(store.runtime(), || measure::data_root(store)),
    }
}

/// An image with what it is made of, as paths of [`Sizes`].
struct Image {
    listed: Listed,
    parts: BTreeSet<String>,
    users: usize,
}

struct Usage {
    sizes: Sizes,
    images: Vec<Image>,
    containers: Vec<Summary>,
    /// Named volumes of each container.
    volumes: BTreeMap<String, usize>,
    /// How many containers use a volume.
    links: BTreeMap<String, usize>,
    /// Volumes that surely nobody uses.
    free: Vec<String>,
    /// Layers that containers stand on.
    held: BTreeSet<String>,
    /// Containers may stand on any layer: the plan of one cannot be read.
    held_unknown: bool,
}

fn layer(id: &crate::image::ChainId) -> String {
    format!("layers/{}", id.0.hex())
}

impl Usage {
    fn read(store: &Store) -> Result<Usage> {
        let containers = containers::list(store)?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut held = BTreeSet::new();
        let plans = store.containers().specs()?;
        plans.unreadable.iter().for_each(Unreadable::warn);
        let held_unknown = !plans.unreadable.is_empty();
        for (container, plan) in plans.read {
            let volumes = plan.mounts.iter().filter(|m| matches!(m.source, MountSource::Volume { .. }));
            counts.insert(container.id().to_string(), volumes.count());
            if let RootSpec::Layers(layers) = &plan.root {
                held.extend(layers.iter().map(layer));
            }
        }
        let users = Users::read(store.containers())?;
        let all = store.volumes().list()?;
        let free = all.iter().filter(|volume| users.is_free(&volume.name));
        let free = free.map(|volume| format!("volumes/{}", volume.name)).collect();
        let links = all.iter().map(|v| (v.name.to_string(), users.of(&v.name).len())).collect();
        let blobs: BTreeMap<Digest, _> = store.images().blobs_by_image()?.into_iter().collect();
        let mut images = Vec::new();
        for listed in store.images().list()?.into_iter().filter(|listed| !listed.read_only) {
            let mut parts: BTreeSet<String> = listed.image.layers.iter().map(layer).collect();
            let own = blobs.get(&listed.image.id).into_iter().flatten();
            parts.extend(own.map(|blob| format!("oci/blobs/{}/{}", blob.algorithm(), blob.hex())));
            let users = store.images().users(&listed.image.id)?.len();
            images.push(Image { listed, parts, users });
        }
        Ok(Usage {
            sizes: sizes(store)?,
            images,
            containers,
            volumes: counts,
            links,
            free,
            held,
            held_unknown,
        })
    }

    fn size(&self, path: &str) -> u64 {
        self.sizes.get(path).copied().unwrap_or_default()
    }

    fn sum<'a>(&self, paths: impl IntoIterator<Item = &'a String>) -> u64 {
        paths.into_iter().map(|path| self.size(path)).sum()
    }

    /// Everything whose path begins with one of these.
    fn below(&self, roots: &[&str]) -> u64 {
        let inside =
            |path: &str| roots.iter().any(|root| path == *root || path.starts_with(&format!("{root}/")));
        self.sizes.iter().filter(|(path, _)| inside(path)).map(|(_, size)| size).sum()
    }

    fn rows(&self) -> Vec<(&'static str, usize, usize, u64, u64)> {
        let mut used = self.held.clone();
        used.extend(self.images.iter().filter(|i| i.users > 0).flat_map(|i| i.parts.iter().cloned()));
        let parts = self.sizes.keys().filter(|path| {
            let single = path.starts_with("layers/") || path.starts_with("oci/blobs/sha");
            single && !path.ends_with("/.")
        });
        let idle = self.sum(parts.filter(|path| !self.held_unknown && !used.contains(*path)));
        let ended =
            self.containers.iter().filter(|c| !c.status.is_live()).map(|c| format!("containers/{}", c.id));
        let ended: Vec<String> = ended.collect();
        let images = self.below(&["layers", "oci", "images", "refs"]);
        let containers = self.below(&["containers", "names"]);
        let local = self.below(&["volumes"]);
        let total: u64 = self.sizes.values().sum();
        vec![
            ("Images", self.images.len(), self.images.iter().filter(|i| i.users > 0).count(), images, idle),
            (
                "Containers",
                self.containers.len(),
                self.containers.len() - ended.len(),
                containers,
                self.sum(&ended),
            ),
            (
                "Local Volumes",
                self.links.len(),
                self.links.len() - self.free.len(),
                local,
                self.sum(&self.free),
            ),
            ("Other", 0, 0, total - images - containers - local, self.below(&["tmp", "trash"])),
        ]
    }

    fn table(&self, format: Option<&str>) -> Result<String> {
        let rows: Vec<Value> = self
            .rows()
            .into_iter()
            .map(|(kind, total, active, size, free)| {
                let percent = (free * 100 + size / 2).checked_div(size).unwrap_or_default();
                json!({
                    "Type": kind,
                    "Total": total,
                    "TotalCount": total,
                    "Active": active,
                    "RawSize": size,
                    "RawReclaimable": free,
                    "Size": units::size(size),
                    "Reclaimable": format!("{} ({percent}%)", units::size(free)),
                })
            })
            .collect();
        rows::rows(format, &rows, &SUMMARY)
    }

    fn details(&self) -> Result<String> {
        let mut images = Vec::new();
        for image in &self.images {
            let others: BTreeSet<&String> = self
                .images
                .iter()
                .filter(|other| other.listed.image.id != image.listed.image.id)
                .flat_map(|other| &other.parts)
                .collect();
            let size = self.sum(&image.parts);
            let shared = self.sum(image.parts.iter().filter(|part| others.contains(part)));
            let names: Vec<Option<&Reference>> = match image.listed.names.as_slice() {
                [] => vec![None],
                names => names.iter().map(Some).collect(),
            };
            images.extend(names.into_iter().map(|name| {
                json!({
                    "Repository": name.map_or_else(|| "<none>".to_owned(), Reference::repository),
                    "Tag": name.and_then(Reference::tag_or_latest).unwrap_or("<none>"),
                    "ID": image.listed.image.id.short(),
                    "Created": time::ago(image.listed.created),
                    "Size": units::size(size),
                    "Shared": units::size(shared),
                    "Unique": units::size(size - shared),
                    "Containers": image.users,
                })
            }));
        }
        let containers: Vec<Value> = self
            .containers
            .iter()
            .map(|c| {
                json!({
                    "ID": c.id.short(),
                    "Image": c.image_id.get(..12).unwrap_or_default(),
                    "Command": c.command,
                    "Volumes": self.volumes.get(c.id.as_str()).unwrap_or(&0),
                    "Size": units::size(self.size(&format!("containers/{}", c.id))),
                    "Created": time::ago(c.created),
                    "Status": c.status.as_str(),
                    "Names": c.name,
                })
            })
            .collect();
        let volumes: Vec<Value> = self
            .links
            .iter()
            .map(|(name, links)| {
                let size = self.size(&format!("volumes/{name}"));
                json!({ "Name": name, "Links": links, "Size": units::size(size) })
            })
            .collect();
        let mut text = String::new();
        for (title, columns, all) in [
            ("Images", &IMAGES[..], images),
            ("Containers", &CONTAINERS[..], containers),
            ("Local Volumes", &VOLUMES[..], volumes),
        ] {
            let listing = Listing { columns, ..Listing::default() };
            text.push_str(&format!("{title} space usage:\n\n{}\n", rows::rows(None, &all, &listing)?));
        }
        text.truncate(text.len() - 1);
        Ok(text)
    }
}

const SUMMARY: Listing<'static> = Listing {
    columns: &[
        ("TYPE", "{{.Type}}"),
        ("TOTAL", "{{.Total}}"),
        ("ACTIVE", "{{.Active}}"),
        ("SIZE", "{{.Size}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
    ],
    headers: &[],
    no_heading: false,
};

const IMAGES: [(&str, &str); 8] = [
    ("REPOSITORY", "{{.Repository}}"),
    ("TAG", "{{.Tag}}"),
    ("IMAGE ID", "{{.ID}}"),
    ("CREATED", "{{.Created}}"),
    ("SIZE", "{{.Size}}"),
    ("SHARED SIZE", "{{.Shared}}"),
    ("UNIQUE SIZE", "{{.Unique}}"),
    ("CONTAINERS", "{{.Containers}}"),
];

const CONTAINERS: [(&str, &str); 8] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("IMAGE", "{{.Image}}"),
    ("COMMAND", "{{.Command}}"),
    ("LOCAL VOLUMES", "{{.Volumes}}"),
    ("SIZE", "{{.Size}}"),
    ("CREATED", "{{.Created}}"),
    ("STATUS", "{{.Status}}"),
    ("NAMES", "{{.Names}}"),
];

const VOLUMES: [(&str, &str); 3] =
    [("VOLUME NAME", "{{.Name}}"), ("LINKS", "{{.Links}}"), ("SIZE", "{{.Size}}")];
