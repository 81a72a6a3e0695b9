//! The containers of a pod, for verbs that work on all of them.

use crate::container::Status;
use crate::engine::containers;
use crate::error::Result;
use crate::spec::PodId;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;

/// The containers of a pod.
pub(super) struct Members {
    /// That which holds its namespaces.
    pub(super) infra: Option<ContainerDir>,
    /// The others, in the order in which they were made.
    pub(super) others: Vec<ContainerDir>,
}

impl Members {
    /// Those that are there now, after cleaning up those whose monitor died.
    ///
    /// # Errors
    /// When containers cannot be listed.
    pub(super) fn of(store: &Store, pod: &PodId) -> Result<Members> {
        let mut members = Members { infra: None, others: Vec::new() };
        let list = containers::list(store)?;
        for summary in list.into_iter().rev().filter(|one| one.pod.as_ref() == Some(pod)) {
            // One that was removed since is none.
            let Ok(dir) = store.containers().open(&summary.id) else { continue };
            match summary.is_infra {
                true => members.infra = Some(dir),
                false => members.others.push(dir),
            }
        }
        Ok(members)
    }

    /// All in the order in which they are ended.
    pub(super) fn all(self) -> impl Iterator<Item = ContainerDir> {
        self.others.into_iter().chain(self.infra)
    }

    /// Those in this state, in the order in which they are ended.
    pub(super) fn in_state(self, wanted: Status) -> impl Iterator<Item = ContainerDir> {
        self.all().filter(move |one| {
            one.await_start();
            one.status() == wanted
        })
    }
}
