//! Disk usage, as rows.

use super::Dialect;
use super::container::status;
use super::dialect::short_image_name;
use crate::engine::disk_usage::{Kind, OTHER, Usage};
use crate::image::Reference;
use crate::text::{time, units};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// A row for each kind of things.
pub fn kinds(usage: &Usage, dialect: Dialect) -> Vec<Value> {
    if dialect == Dialect::Docker { docker_kinds(usage) } else { podman_kinds(usage) }
}

/// The kinds that docker knows; it counts in text. There is no build cache.
fn docker_kinds(usage: &Usage) -> Vec<Value> {
    let known = usage.kinds().into_iter().filter(|kind| kind.name != OTHER);
    let cache = Kind { name: "Build Cache", total: 0, active: 0, size: 0, reclaimable: 0 };
    let row = |kind: Kind| {
        let Kind { name, total, active, size, reclaimable } = kind;
        let percent = (reclaimable * 100).checked_div(size).filter(|_| name != cache.name);
        let percent = percent.map(|percent| format!(" ({percent}%)")).unwrap_or_default();
        json!({
            "Active": active.to_string(),
            "Reclaimable": format!("{}{percent}", units::decimal_size(reclaimable)),
            "Size": units::decimal_size(size),
            "TotalCount": total.to_string(),
            "Type": name,
        })
    };
    known.chain([cache]).map(row).collect()
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
    usage.kinds().into_iter().map(row).collect()
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

/// A row for each volume.
pub fn volumes(usage: &Usage) -> Vec<Value> {
    let row = |(name, links): (&String, &usize)| json!({ "Name": name, "Links": links, "Size": units::decimal_size(usage.volume(name)) });
    usage.links.iter().map(row).collect()
}
