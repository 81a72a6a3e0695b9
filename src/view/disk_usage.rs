//! Disk usage, as rows.

use super::Dialect;
use super::container::status;
use super::dialect::short_image_name;
use crate::engine::disk_usage::{BUILD_CACHE, Kind, OTHER, Usage};
use crate::image::Reference;
use crate::storage::build::Entry;
use crate::text::{time, units};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A row for each kind of things.
pub fn kinds(usage: &Usage, dialect: Dialect) -> Vec<Value> {
    if dialect == Dialect::Docker { docker_kinds(usage) } else { podman_kinds(usage) }
}

/// The kinds that docker knows; it counts in text.
fn docker_kinds(usage: &Usage) -> Vec<Value> {
    let known = usage.kinds().into_iter().filter(|kind| kind.name != OTHER);
    let row = |kind: Kind| {
        let Kind { name, total, active, size, reclaimable } = kind;
        let percent = (reclaimable * 100).checked_div(size).filter(|_| name != BUILD_CACHE);
        let percent = percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
        json!({
            "Active": active.to_string(),
            "Reclaimable": format!("{}{percent}", units::decimal_size(reclaimable)),
            "Size": units::decimal_size(size),
            "TotalCount": total.to_string(),
            "Type": name,
        })
    };
    known.map(row).collect()
}

fn podman_kinds(usage: &Usage) -> Vec<Value> {
    let row = |kind: Kind| {
        let Kind { name, total, active, size, reclaimable } = kind;
        let percent = (reclaimable * 100 + size / 2).checked_div(size).unwrap_or_default();
        json!({
            "Type": name,
            "Total": total,
            "TotalCount": total,
            "Active": active,
            "RawSize": size,
            "RawReclaimable": reclaimable,
            "Size": units::decimal_size(size),
            "Reclaimable": format!("{} ({percent}%)", units::decimal_size(reclaimable)),
        })
    };
    // Podman has neither of the two.
    let is_there =
        |kind: &Kind| ![BUILD_CACHE, OTHER].contains(&kind.name) || kind.total > 0 || kind.size > 0;
    usage.kinds().into_iter().filter(is_there).map(row).collect()
}

/// How old it is; podman leaves the `ago` out here.
fn age(created: DateTime<Utc>, dialect: Dialect) -> String {
    if dialect == Dialect::Docker { time::ago(created) } else { time::words(time::since(created)) }
}

/// A row for each name of an image.
pub fn images(usage: &Usage, dialect: Dialect) -> Vec<Value> {
    let docker = dialect == Dialect::Docker;
    let mut rows = Vec::new();
    for image in &usage.images {
        let (size, shared) = usage.image(image);
        let names: Vec<Option<&Reference>> = match image.listed.names.as_slice() {
            [] => vec![None],
            names => names.iter().map(Some).collect(),
        };
        rows.extend(names.into_iter().map(|name| {
            let repository = name.map_or_else(|| "<none>".to_owned(), Reference::repository);
            json!({
                "Repository": if docker { short_image_name(&repository) } else { &repository },
                "Tag": name.and_then(Reference::tag_or_latest).unwrap_or("<none>"),
                "ID": image.listed.image.id.short(),
                "Created": age(image.listed.created, dialect),
                "Size": if docker { units::size(size) } else { units::decimal_size(size) },
                "Shared": units::decimal_size(shared),
                "Unique": units::decimal_size(size - shared),
                "Containers": image.users,
            })
        }));
    }
    rows
}

/// A row for each container.
pub fn containers(usage: &Usage, dialect: Dialect) -> Vec<Value> {
    let rows = usage.containers.iter().map(|c| {
        let (size, volumes) = usage.container(c);
        json!({
            "ID": c.id.short(),
            "Image": c.image_id.get(..12).unwrap_or_default(),
            "Command": if dialect == Dialect::Docker { format!("{:?}", c.command) } else { c.command.clone() },
            "Volumes": volumes,
            "Size": units::decimal_size(size),
            "Created": age(c.created, dialect),
            "Status": if dialect == Dialect::Docker { status(c, dialect) } else { c.status.as_str().to_owned() },
            "Names": c.name,
        })
    });
    rows.collect()
}

/// Bytes of the build cache, and a row for each part of it, as docker has them. How often one was used is not counted:
/// 1 says that it was.
pub fn build_cache(usage: &Usage) -> (u64, Vec<Value>) {
    let row = |entry: &Entry| {
        let size = units::decimal_size(entry.size);
        json!({
            "ID": entry.id.get(..12).unwrap_or(&entry.id),
            "CacheType": entry.kind.as_str(),
            "Size": size,
            "CreatedSince": time::ago(entry.created),
            "LastUsedSince": time::ago(entry.used),
            "UsageCount": u8::from(entry.used > entry.created),
            "Shared": entry.shared,
        })
    };
    let size = usage.kinds().into_iter().find(|kind| kind.name == BUILD_CACHE).map_or(0, |kind| kind.size);
    (size, usage.build_cache.iter().map(row).collect())
}

/// A row for each volume.
pub fn volumes(usage: &Usage) -> Vec<Value> {
    let row = |(name, links): (&String, &usize)| json!({ "Name": name, "Links": links, "Size": units::decimal_size(usage.volume(name)) });
    usage.links.iter().map(row).collect()
}
