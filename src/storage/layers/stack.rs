//! Layers that lie on each other, by their records.
//!
//! Theory of operation. A record names the layer below, and nobody makes a circle. Damage may, and must not keep a
//! command for ever: no walk goes further than an image's layers and the one that a build is about to put on them.

use super::{LayerRecord, Layers};
use crate::error::{Error, Kind, Result};
use crate::image::{ChainId, LAYERS_MAX};

impl Layers {
    /// A layer and those below it, topmost first, with their records. One whose record cannot be read is the last.
    pub(in crate::storage) fn down(
        &self,
        top: &ChainId,
    ) -> impl Iterator<Item = (ChainId, Result<LayerRecord>)> + '_ {
        let mut next = Some(top.clone());
        let step = move || {
            let id = next.take()?;
            let record = self.record(&id);
            next = record.as_ref().ok().and_then(|record| record.parent.clone());
            Some((id, record))
        };
        std::iter::from_fn(step).take(LAYERS_MAX + 1)
    }

    /// A layer and those below it, bottom first.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when one is in no store; when records lead in a circle.
    pub(in crate::storage) fn stack(&self, top: &ChainId) -> Result<Vec<ChainId>> {
        let mut stack = Vec::new();
        let mut ends = true;
        for (id, record) in self.down(top) {
            ends = record?.parent.is_none();
            stack.push(id);
        }
        if !ends {
            let circle = format!("the records of the layers below {} lead in a circle", top.0.short());
            return Err(Error::new(Kind::Storage, circle)
                .hint("Remove what is damaged: coracle system check --repair"));
        }
        stack.reverse();
        Ok(stack)
    }
}
