//! Disk usage, as rows.

use crate::engine::disk_usage::{Kind, Usage};
use crate::image::Reference;
use crate::text::{time, units};
use serde_json::{Value, json};

/// A row for each kind of things.
pub fn kinds(usage: &Usage) -> Vec<Value> {
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
            "Size": units::size(size),
            "Reclaimable": format!("{} ({percent}%)", units::size(reclaimable)),
        })
    };
    usage.kinds().into_iter().map(row).collect()
}

/// A row for each name of an image.
pub fn images(usage: &Usage) -> Vec<Value> {
    let mut rows = Vec::new();
    for image in &usage.images {
        let (size, shared) = usage.image(image);
        let names: Vec<Option<&Reference>> = match image.listed.names.as_slice() {
            [] => vec![None],
            names => names.iter().map(Some).collect(),
        };
        rows.extend(names.into_iter().map(|name| {
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
    rows
}

/// A row for each container.
pub fn containers(usage: &Usage) -> Vec<Value> {
    let rows = usage.containers.iter().map(|c| {
        let (size, volumes) = usage.container(c);
        json!({
            "ID": c.id.short(),
            "Image": c.image_id.get(..12).unwrap_or_default(),
            "Command": c.command,
            "Volumes": volumes,
            "Size": units::size(size),
            "Created": time::ago(c.created),
            "Status": c.status.as_str(),
            "Names": c.name,
        })
    });
    rows.collect()
}

/// A row for each volume.
pub fn volumes(usage: &Usage) -> Vec<Value> {
    let row = |(name, links): (&String, &usize)| json!({ "Name": name, "Links": links, "Size": units::size(usage.volume(name)) });
    usage.links.iter().map(row).collect()
}
