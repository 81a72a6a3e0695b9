//! Short names that stand for a full one. What knows them is above the store, which is told.

use crate::error::Result;
use crate::image::Reference;
use std::fmt;
use std::sync::Arc;

/// Gives the full name that a short one stands for, if it stands for any.
type Resolve = dyn Fn(&Reference) -> Result<Option<Reference>> + Send + Sync;

/// Who knows the aliases; nobody unless somebody was named.
#[derive(Clone, Default)]
pub struct Aliases(Option<Arc<Resolve>>);

impl Aliases {
    /// Those that `resolve` knows. It is asked only for names that nothing here has.
    pub fn new(resolve: impl Fn(&Reference) -> Result<Option<Reference>> + Send + Sync + 'static) -> Aliases {
        Aliases(Some(Arc::new(resolve)))
    }

    /// The full name. One that cannot be found out is none: what is here can be used with a damaged configuration.
    pub(super) fn of(&self, short: &Reference) -> Option<Reference> {
        let resolve = self.0.as_ref().filter(|_| short.registry().is_none())?;
        resolve(short).unwrap_or_else(|error| {
            log::info!("short-name aliases are not known: {}", error.in_one_line());
            None
        })
    }
}

impl fmt::Debug for Aliases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Aliases(..)" } else { "Aliases" })
    }
}
