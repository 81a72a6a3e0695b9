//! Names that are given to images here.

use super::Reference;
use crate::error::{Error, Kind, Result};

impl Reference {
    /// The full form of a name that an image is to get: under `localhost/` without a registry, with the
    /// tag `latest` without one.
    ///
    /// # Errors
    /// When it has a digest, which nobody can give.
    pub fn as_new_name(&self) -> Result<Reference> {
        if self.digest.is_some() {
            return Err(Error::new(Kind::Usage, format!("{self} has a digest, which no one can choose"))
                .hint("Write [registry/]name[:tag]."));
        }
        let named = if self.registry.is_some() { self.clone() } else { self.qualify("localhost") };
        Ok(Reference { tag: Some(self.tag.clone().unwrap_or_else(|| "latest".to_owned())), ..named })
    }
}
