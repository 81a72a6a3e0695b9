//! An image in a listing.

use super::Dialect;
use super::dialect::short_image_name;
use crate::image::Reference;
use crate::storage::images::{Brief, Listed};
use crate::text::{Differs, Document, Forms, time, units};
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// What podman's JSON leaves out where it is empty.
const OMITTED: [(&str, Differs); 7] = [
    ("Dangling", Differs::Omitted),
    ("ReadOnly", Differs::Omitted),
    ("Arch", Differs::Omitted),
    ("Digest", Differs::Omitted),
    ("History", Differs::Omitted),
    ("Names", Differs::Omitted),
    ("Os", Differs::Omitted),
];

/// An image of a listing, under one of its names.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The image.
    pub image: &'a Listed,
    /// The name; `None` when it has none.
    pub name: Option<&'a Reference>,
    /// How many containers use it, where that was asked.
    pub containers: usize,
    /// Ids are not shortened.
    pub whole: bool,
}

impl Row<'_> {
    /// Its id.
    pub fn id(&self) -> String {
        let id = &self.image.image.id;
        if self.whole { id.to_string() } else { id.short().to_owned() }
    }

    /// The name without its tag.
    pub fn repository(&self) -> String {
        self.name.map_or_else(|| "<none>".to_owned(), Reference::repository)
    }

    /// The tag.
    pub fn tag(&self) -> String {
        let tag = self.name.and_then(Reference::tag_or_latest);
        tag.unwrap_or("<none>").to_owned()
    }

    /// The names that it has had.
    pub fn history(&self) -> String {
        self.image.history.join(", ")
    }

    /// What a template may name; docker's JSON is this row, too.
    pub fn fields(&self, dialect: Dialect) -> Value {
        if dialect == Dialect::Docker { self.docker_fields() } else { self.podman_fields() }
    }

    fn docker_fields(&self) -> Value {
        let image = self.image;
        let repository = self.repository();
        json!({
            "Containers": "N/A",
            "CreatedAt": time::go_utc(image.created),
            "CreatedSince": time::ago(image.created),
            "Digest": self.name.and_then(|name| image.digest_of(name)).unwrap_or("<none>"),
            "ID": self.id(),
            "Repository": short_image_name(&repository),
            "SharedSize": "N/A",
            "Size": units::size(image.size),
            "Tag": self.tag(),
            "UniqueSize": "N/A",
            "VirtualSize": units::decimal_size(image.size),
        })
    }

    fn names(&self) -> Vec<String> {
        self.image.names.iter().map(Reference::to_string).collect()
    }

    fn podman_fields(&self) -> Value {
        let (image, brief) = (self.image, &self.image.image);
        json!({
            "ID": self.id(),
            "Id": image.image.id.hex(),
            "Repository": self.repository(),
            "Tag": self.tag(),
            "Digest": image.manifest_of(self.name),
            "CreatedSince": time::ago(image.created),
            "CreatedAt": time::go_utc(image.created),
            "CreatedTime": time::go_utc(image.created),
            "Created": time::ago(image.created),
            "Size": units::spaced_size(image.size),
            "VirtualSize": image.size,
            "SharedSize": image.shared,
            "UniqueSize": units::size(image.size - image.shared),
            "Labels": brief.labels,
            "Names": self.names(),
            "RepoTags": image.tags(),
            "RepoDigests": image.repo_digests(),
            "History": self.history(),
            "Arch": brief.architecture,
            "Os": brief.os,
            "IsManifestList": image.is_list,
            "Containers": self.containers,
            "Dangling": image.is_dangling(),
            "IsDangling": image.is_dangling(),
            "ReadOnly": image.read_only,
            "IsReadOnly": image.read_only,
            "ParentId": "",
        })
    }

    /// The image in podman's `--format json`.
    pub fn json(&self) -> Value {
        let image = self.image;
        let Brief { os, architecture, labels, .. } = &image.image;
        let all = json!({
            "Id": image.image.id.hex(),
            "ParentId": "",
            "RepoTags": Some(image.tags()).filter(|tags| !tags.is_empty()),
            "RepoDigests": image.repo_digests(),
            "Size": image.size,
            "SharedSize": image.shared,
            "VirtualSize": image.size,
            "Labels": if labels.is_empty() { Value::Null } else { json!(labels) },
            "Containers": self.containers,
            "Dangling": image.is_dangling(),
            "ReadOnly": image.read_only,
            "Arch": architecture,
            "Digest": image.manifest_of(self.name),
            "History": image.history,
            "IsManifestList": image.is_list,
            "Names": self.names(),
            "Os": os,
            "Created": image.created.timestamp(),
            "CreatedAt": image.created.to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        Document::new(all, &OMITTED).json().clone()
    }
}
