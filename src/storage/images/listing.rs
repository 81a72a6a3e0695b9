//! Listing all images.
//!
//! Theory of operation. Four small files are read for an image: the record of its name, its own, its configuration and
//! that of its topmost layer, the others being shared mostly. The directories are opened once, so that each file costs
//! four system calls.

use super::{Images, Listed, family};
use crate::error::Result;
use crate::image::{ChainId, Digest, Reference};
use crate::storage::record::warn_once;
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashSet};

impl Images {
    /// All images, newest first.
    ///
    /// # Errors
    /// When a record is damaged.
    pub fn list(&self) -> Result<Vec<Listed>> {
        let mut names: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
        for (found, _) in self.ref_records()? {
            names.entry(found.target.id().clone()).or_default().push(found.reference);
        }
        let mut lists: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
        for (list, _) in self.list_records()?.into_iter().filter(|(_, read_only)| !read_only) {
            for image in list.parts.into_iter().filter_map(|part| part.image) {
                lists.entry(image).or_default().push(list.id.clone());
            }
        }
        let mut sizes: BTreeMap<ChainId, u64> = BTreeMap::new();
        let mut configs = self.blobs.reader();
        let records = self.layers.reader()?;
        let mut all = Vec::new();
        for (found, read_only) in self.image_records()? {
            let Some(manifest) = found.manifests.first() else { continue };
            let mut names = names.remove(&found.id).unwrap_or_default();
            names.sort();
            let bytes = configs.read(&found.id);
            let load = |bytes| self.load_from(&bytes, &found.id, &manifest.digest, names.first().cloned());
            let Ok(image) = bytes.and_then(load) else {
                // `system check` says what is wrong with it.
                let id = found.id.short();
                warn_once(id, &format!("image {id} is damaged and left out; see: coracle system check"));
                continue;
            };
            let created = image.config.created.as_deref().and_then(|c| DateTime::parse_from_rfc3339(c).ok());
            let created = created.map_or(found.added, |c| c.with_timezone(&Utc));
            let mut size = 0;
            for layer in &image.layers {
                size += match sizes.get(layer) {
                    Some(size) => *size,
                    None => {
                        // A layer that is missing takes no room; `run` will say that it is missing.
                        let bytes = records.record(layer).map_or(0, |r| r.size);
                        sizes.insert(layer.clone(), bytes);
                        bytes
                    }
                };
            }
            let (digests, remote) = known_digests(found.digests, found.remote);
            all.push(Listed {
                is_list: false,
                has_children: false,
                lists: lists.remove(&image.id).unwrap_or_default(),
                image,
                digests,
                remote,
                history: in_use_first(found.history, &names),
                names,
                created,
                size,
                shared: 0,
                read_only,
            });
        }
        share(&mut all, &sizes);
        family::note_children(&mut all);
        all.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.image.id.cmp(&b.image.id)));
        Ok(all)
    }
}

/// Names that an image has had, those that it has now before the others.
pub(super) fn in_use_first(history: Vec<String>, names: &[Reference]) -> Vec<String> {
    let now: HashSet<String> = names.iter().map(Reference::to_string).collect();
    let (mut names, former): (Vec<String>, Vec<String>) =
        history.into_iter().partition(|name| now.contains(name));
    names.extend(former);
    names
}

/// All digests of a record, those of registries first; and these.
pub(super) fn known_digests(digests: Vec<String>, remote: Option<Vec<String>>) -> (Vec<String>, Vec<String>) {
    let remote = remote.unwrap_or_else(|| digests.clone());
    let others = digests.into_iter().filter(|digest| !remote.contains(digest));
    (remote.iter().cloned().chain(others).collect(), remote)
}

/// Fills in how much each image shares with others.
fn share(all: &mut [Listed], sizes: &BTreeMap<ChainId, u64>) {
    let mut users: BTreeMap<ChainId, usize> = BTreeMap::new();
    for layer in all.iter().flat_map(|listed| &listed.image.layers) {
        *users.entry(layer.clone()).or_default() += 1;
    }
    for listed in all {
        let shared = listed.image.layers.iter().filter(|layer| users.get(layer).is_some_and(|n| *n > 1));
        listed.shared = shared.filter_map(|layer| sizes.get(layer)).sum();
    }
}
