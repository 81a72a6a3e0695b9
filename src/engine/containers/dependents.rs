//! Which containers depend on which.

use crate::container::ContainerId;
use crate::error::Result;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::collections::{BTreeSet, HashMap};

/// Which containers share namespaces with, or require, which others. Read once for all containers of a
/// command, as it reads every plan.
#[derive(Debug)]
pub struct Dependents(HashMap<ContainerId, Vec<ContainerId>>);

impl Dependents {
    /// As the plans stand now.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn read(store: &Store) -> Result<Dependents> {
        let mut all: HashMap<ContainerId, Vec<ContainerId>> = HashMap::new();
        // One that cannot be read cannot be started either, so it loses nothing.
        for (dir, spec) in store.containers().specs()?.read {
            let needed: BTreeSet<ContainerId> = spec.needed_containers().collect();
            for id in needed {
                all.entry(id).or_default().push(dir.id().clone());
            }
        }
        Ok(Dependents(all))
    }

    /// Those of this container that are still there.
    pub fn of(&self, store: &Store, id: &ContainerId) -> Vec<ContainerDir> {
        let ids = self.0.get(id).into_iter().flatten();
        ids.filter_map(|id| store.containers().open(id).ok()).collect()
    }
}
