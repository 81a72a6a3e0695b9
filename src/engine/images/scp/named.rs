//! The name that an image gets which comes from elsewhere.

use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Reference};
use crate::storage::archive::Loaded;

/// Chooses the image of an archive that is meant by what was asked for, and the only name that it gets: `new`, or else
/// the one that was asked for, which the other side may have filled up from below `localhost/` or docker.io. One that was
/// asked for by its id or digest gets none. `None` when there is no image.
///
/// # Errors
/// `Image` when there are several, none of which is called so.
pub(super) fn choose<'a>(
    loaded: &'a [Loaded],
    asked: &str,
    new: Option<&str>,
) -> Result<Option<(&'a Digest, Option<Reference>)>> {
    let reference: Option<Reference> = asked.parse().ok();
    let candidates: Vec<Reference> = match &reference {
        Some(name) if name.registry().is_some() => vec![name.clone()],
        Some(name) => vec![name.qualify("localhost"), name.qualify("docker.io")],
        None => Vec::new(),
    };
    let own_name = |image: &Loaded| {
        let called =
            |wanted: &Reference| image.names.iter().any(|name| name.canonical() == wanted.canonical());
        candidates.iter().find(|wanted| called(wanted)).cloned()
    };
    let called = loaded.iter().find_map(|image| Some((image, own_name(image)?)));
    let (image, name) = match (called, loaded) {
        (Some((image, name)), _) => (image, Some(name)),
        (None, []) => return Ok(None),
        (None, [image]) => (image, None),
        (None, several) => {
            let message = format!("{} images came instead of {asked}", several.len());
            return Err(Error::new(Kind::Image, message).hint("Ask for one image by its full name."));
        }
    };
    if let Some(new) = new {
        return Ok(Some((&image.id, Some(new.parse::<Reference>()?.as_new_name()?))));
    }
    let by_id = image.id.hex().starts_with(asked.strip_prefix("sha256:").unwrap_or(asked));
    // What has a digest cannot be a name.
    let name = name.or(reference.filter(|_| !by_id)).and_then(|name| name.as_new_name().ok());
    Ok(Some((&image.id, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(content: &str, names: &[&str]) -> Loaded {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        Loaded { id: Digest::sha256_of(content.as_bytes()), names }
    }

    #[test]
    fn the_other_side_has_no_say_in_names() {
        let is = |archive: &[Loaded], asked: &str, new: Option<&str>| {
            let (_, name) = choose(archive, asked, new).unwrap().unwrap();
            name.map_or("none".to_owned(), |name| name.to_string())
        };
        let liar = [loaded("a", &["quay.io/bank/app:latest", "localhost/other:1"])];
        let id = liar[0].id.hex().to_owned();
        assert_eq!(is(&liar, "app", None), "localhost/app:latest");
        assert_eq!(is(&liar, "quay.io/bank/app", None), "quay.io/bank/app:latest");
        assert_eq!(is(&liar, "app", Some("mine:2")), "localhost/mine:2");
        for asked in [id.as_str(), &id[..12], &format!("sha256:{id}"), &format!("app@sha256:{id}")] {
            assert_eq!(is(&liar, asked, None), "none", "{asked}");
        }
        let docker = [loaded("a", &["docker.io/library/app:latest"])];
        assert_eq!(is(&docker, "app", None), "docker.io/library/app:latest");
        let several = [loaded("a", &["localhost/a:1"]), loaded("b", &["localhost/b:1"])];
        assert_eq!(choose(&several, "b:1", None).unwrap().unwrap().0, &several[1].id);
        assert!(choose(&several, "c:1", None).is_err());
        assert_eq!(choose(&[], "c:1", None).unwrap(), None);
    }
}
