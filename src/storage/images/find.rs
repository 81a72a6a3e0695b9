//! Finding images and lists by what users type.

use super::found::Found;
use super::records::{ImageRecord, RefRecord, Target};
use super::{IMAGES, Images, LISTS, REFS, key};
use crate::error::{Error, Kind, Result, phrases};
use crate::image::{Digest, Image, Location, Reference};
use crate::storage::place::Place;
use std::collections::{BTreeMap, HashSet};

impl Images {
    /// Finds an image by what a user types: a reference, a short name (`localhost/` first, then
    /// docker.io, then its alias, then any registry), an id or a unique prefix of one. Of a list it is what that has for this machine.
    ///
    /// # Errors
    /// [`Kind::Usage`] when the text is neither, [`Kind::Conflict`] when it means several images; when a list has
    /// nothing for this machine.
    pub fn find(&self, text: &str) -> Result<Option<Image>> {
        self.find_any(text)?.map(|found| self.for_host(found)).transpose()
    }

    /// As [`Images::find`], but a list is that list.
    ///
    /// # Errors
    /// As there.
    pub fn find_any(&self, text: &str) -> Result<Option<Found>> {
        self.find_to_remove(text)?.map(Found::whole).transpose()
    }

    /// As [`Images::find_any`], for one who needs nothing of what a list says: its index may be missing or damaged.
    ///
    /// # Errors
    /// As there.
    pub fn find_to_remove(&self, text: &str) -> Result<Option<Found>> {
        // containers-transports(5)
        let text = text.strip_prefix("containers-storage:").unwrap_or(text);
        let id = text.strip_prefix("sha256:").unwrap_or(text);
        let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.starts_with("sha256:") {
            if !is_id {
                return Err(Error::new(Kind::Usage, format!("{text:?} is not an image id")));
            }
            return self.by_id(id);
        }
        let reference = match text.parse::<Reference>() {
            // A full id is longer than a tag-less name may look, but is one all the same.
            Err(_) if is_id => return self.by_id(id),
            other => other.map_err(|e| Location::of_no_image(text).unwrap_or(e))?,
        };
        if let Some(found) = self.find_name(&reference)? {
            return Ok(Some(found));
        }
        if is_id && let Some(found) = self.by_id(id)? {
            return Ok(Some(found));
        }
        if let Some(full) = self.aliases.of(&reference)
            && let Some(found) = self.get(&full)?
        {
            return Ok(Some(found));
        }
        let found = patiently(|| self.in_any_registry(&reference))?;
        if found.is_none() { Location::of_no_image(text).map_or(Ok(None), Err) } else { Ok(found) }
    }

    /// The image that is meant for this machine.
    fn for_host(&self, found: Found) -> Result<Image> {
        match found {
            Found::Image(image) => Ok(*image),
            Found::List(list) => self.instance(&list, None)?.need(&list.called()),
        }
    }

    /// As [`Images::find`], for one who cannot do without the image.
    ///
    /// # Errors
    /// As there, and [`Kind::NotFound`].
    pub fn need(&self, text: &str) -> Result<Image> {
        self.find(text)?.ok_or_else(|| not_here(text))
    }

    /// As [`Images::find_any`], for one who cannot do without what is meant.
    ///
    /// # Errors
    /// As there, and [`Kind::NotFound`].
    pub fn need_any(&self, text: &str) -> Result<Found> {
        self.find_any(text)?.ok_or_else(|| not_here(text))
    }

    /// As [`Images::find_to_remove`], for one who cannot do without what is meant.
    ///
    /// # Errors
    /// As there, and [`Kind::NotFound`].
    pub fn need_to_remove(&self, text: &str) -> Result<Found> {
        self.find_to_remove(text)?.ok_or_else(|| not_here(text))
    }

    /// Finds an image by name. An unqualified one is looked for under `localhost/`, then docker.io. Of a list it is
    /// what that has for this machine.
    ///
    /// # Errors
    /// When a record is damaged; when a list has nothing for this machine.
    pub fn find_reference(&self, reference: &Reference) -> Result<Option<Image>> {
        self.find_name(reference)?.map(|found| self.for_host(found.whole()?)).transpose()
    }

    fn find_name(&self, reference: &Reference) -> Result<Option<Found>> {
        if reference.registry().is_some() {
            return self.get(reference);
        }
        for registry in ["localhost", "docker.io"] {
            if let Some(found) = self.get(&reference.qualify(registry))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What has exactly this name, which has a registry. At most two small reads when it is an image by tag.
    ///
    /// # Errors
    /// When a record is damaged.
    fn get(&self, reference: &Reference) -> Result<Option<Found>> {
        patiently(|| self.get_once(reference))
    }

    fn get_once(&self, reference: &Reference) -> Result<Option<Found>> {
        let name = key(reference);
        for data in self.roots.readable() {
            if let Some(refs) = Place::find(&data.join(REFS))?
                && let Some(found) = refs.read::<RefRecord>(name.hex())?
            {
                return self.meant(&found.target, found.reference).map(Some);
            }
        }
        match reference.digest() {
            Some(digest) => self.by_digest(&reference.repository(), digest),
            None => Ok(None),
        }
    }

    /// What a name means.
    fn meant(&self, target: &Target, name: Reference) -> Result<Found> {
        match target {
            Target::Image { id, manifest } => self.load_image(id, &manifest.digest, Some(name)),
            Target::List { list } => self.load_list(list, Some(name)),
        }
    }

    /// An image pulled under another name or tag that has this manifest or index digest.
    fn by_digest(&self, repository: &str, digest: &Digest) -> Result<Option<Found>> {
        let wanted = format!("{repository}@{digest}");
        let found = self.image_records()?.into_iter().find(|(r, _)| r.digests.contains(&wanted));
        let Some((found, _)) = found else { return Ok(None) };
        let Some(manifest) = found.manifests.first() else { return Ok(None) };
        let name = wanted.parse().ok();
        self.load_image(&found.id, &manifest.digest, name).map(Some)
    }

    /// An image or a list by a prefix of its id's hex digits.
    fn by_id(&self, prefix: &str) -> Result<Option<Found>> {
        patiently(|| self.by_id_once(prefix))
    }

    fn by_id_once(&self, prefix: &str) -> Result<Option<Found>> {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let mut places = Vec::new();
        for kind in [IMAGES, LISTS] {
            for data in self.roots.readable() {
                let Some(place) = Place::find(&data.join(kind))? else { continue };
                for name in place.names()?.into_iter().filter(|n| n.starts_with(prefix)) {
                    found.entry(name).or_insert(places.len());
                }
                places.push((kind, place));
            }
        }
        if found.len() > 1 {
            let ids: Vec<&str> = found.keys().map(|k| k.get(..12).unwrap_or(k)).collect();
            return Err(Error::new(
                Kind::Conflict,
                format!("image id {prefix:?} is ambiguous: {}", ids.join(", ")),
            )
            .hint("Write more digits of the id."));
        }
        let Some((name, place)) = found.into_iter().next() else { return Ok(None) };
        let Some((kind, place)) = places.get(place) else { return Ok(None) };
        if *kind == LISTS {
            return self.load_list(&format!("sha256:{name}").parse()?, None).map(Some);
        }
        let Some(found) = place.read::<ImageRecord>(&name)? else { return Ok(None) };
        let Some(manifest) = found.manifests.first() else { return Ok(None) };
        self.load_image(&found.id, &manifest.digest, None).map(Some)
    }

    /// `name` also means `any.registry/any/path/name`, when only one image is called so.
    fn in_any_registry(&self, reference: &Reference) -> Result<Option<Found>> {
        if reference.registry().is_some() || reference.digest().is_some() {
            return Ok(None);
        }
        let suffix = format!("/{}", reference.path());
        let mut found = self.ref_records()?;
        found.retain(|(r, _)| {
            r.reference.tag_or_latest() == reference.tag_or_latest()
                && r.reference.repository().ends_with(&suffix)
        });
        let ids: HashSet<&Digest> = found.iter().map(|(r, _)| r.target.id()).collect();
        if ids.len() > 1 {
            let names: Vec<String> = found.iter().map(|(r, _)| r.reference.to_string()).collect();
            return Err(Error::new(
                Kind::Conflict,
                format!("{reference} is ambiguous: {}", names.join(", ")),
            )
            .hint("Write the name with its registry."));
        }
        match found.first() {
            Some((r, _)) => self.meant(&r.target, r.reference.clone()).map(Some),
            None => Ok(None),
        }
    }
}

fn not_here(text: &str) -> Error {
    phrases::no_image(text).hint("List the images: coracle images")
}

/// Looks for an image anew if that fails: it may have been removed, and even brought back, since its record was read.
fn patiently(look: impl Fn() -> Result<Option<Found>>) -> Result<Option<Found>> {
    const ATTEMPTS: usize = 4;
    (1..ATTEMPTS).find_map(|_| look().ok()).map_or_else(look, Ok)
}
