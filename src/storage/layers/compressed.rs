//! What came of compressing a layer that has no blob, so that it need not be done again to know it.
//!
//! Theory of operation. Compressed archives are not kept: they would take as much room again as the layer, and can be
//! made again, byte for byte. A small file in the layer's directory remembers digests and sizes, and goes with it. It
//! may be lost or wrong: a registry that does not have such a blob gets a new one, whatever its digest is.

use super::Layers;
use crate::error::Result;
use crate::image::{ChainId, Digest};
use crate::storage::compress::Recipe;
use crate::storage::record::Durability;
use serde::{Deserialize, Serialize};

/// The file.
const NAME: &str = "compressed.json";

/// The content of `compressed.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    version: u32,
    blobs: Vec<Compressed>,
}

/// A compressed archive of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compressed {
    /// How it was made.
    pub recipe: Recipe,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl Layers {
    /// What compressing this layer in this way has come to before.
    pub fn compressed(&self, layer: &ChainId, recipe: Recipe) -> Option<Compressed> {
        let record: Record = self.home(layer).ok()?.read(NAME).ok()??;
        record.blobs.into_iter().find(|blob| record.version == 1 && blob.recipe == recipe)
    }

    /// Remembers what compressing this layer has come to. A layer of another store is left as it is.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn note_compressed(&self, layer: &ChainId, made: Compressed) -> Result<()> {
        let Some(home) = self.own()?.below(layer.0.hex())? else { return Ok(()) };
        let mut record = home.read::<Record>(NAME).ok().flatten().unwrap_or_default();
        if record.version != 1 {
            record = Record { version: 1, blobs: Vec::new() };
        }
        if record.blobs.contains(&made) {
            return Ok(());
        }
        record.blobs.retain(|blob| blob.recipe != made.recipe);
        record.blobs.push(made);
        home.replace(NAME, &record, Durability::Volatile)
    }
}
