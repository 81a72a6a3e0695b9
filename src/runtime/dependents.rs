//! Which containers cannot do without which.

use crate::container::ContainerId;
use crate::error::Result;
use crate::netns::NetMode;
use crate::plan::{ContainerPlan, Share};
use crate::storage::Store;
use crate::storage::containers::ContainerDir;
use std::collections::HashMap;

/// Who shares a namespace of whom, and so cannot outlive it, or requires it. Read once for all containers
/// that a verb is given: it takes a look at every plan.
#[derive(Debug)]
pub struct Dependents(HashMap<ContainerId, Vec<ContainerId>>);

impl Dependents {
    /// As the plans stand now.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn read(store: &Store) -> Result<Dependents> {
        let mut all: HashMap<ContainerId, Vec<ContainerId>> = HashMap::new();
        for (dir, mentioned) in store.containers().mentions()? {
            // Of one that cannot be read it is not known what for it names others.
            let plan = dir.checked_plan::<ContainerPlan>().ok();
            let needed = |id: &ContainerId| plan.as_ref().is_none_or(|plan| needs(plan, id));
            for id in mentioned.into_iter().filter(needed) {
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

fn needs(plan: &ContainerPlan, other: &ContainerId) -> bool {
    let ns = &plan.namespaces;
    let own = other.as_str();
    matches!(&plan.network.mode, NetMode::Container(id) if id == own)
        || plan.lifecycle.requires.contains(other)
        || [&ns.pid, &ns.ipc, &ns.uts, &ns.cgroup, &ns.user]
            .into_iter()
            .any(|share| matches!(share, Share::Container(id) if id == own))
}
