//! Which containers are on which networks: by their plans, and by their runs.
//!
//! There is no reference count: a network is in use if a container's plan names it, or its settings do where they have
//! changed that.

use crate::container::ContainerId;
use crate::error::Result;
use crate::spec::Attached;
use crate::storage::containers::{Containers, Unreadable};
use std::collections::BTreeMap;

/// Containers by the networks that they are on whenever they run.
#[derive(Debug, Default)]
pub struct Users {
    known: BTreeMap<String, Vec<ContainerId>>,
    /// Those of which nobody can tell.
    pub unreadable: Vec<Unreadable>,
}

/// A running container on a network.
#[derive(Debug, Clone)]
pub struct Member {
    /// The container.
    pub id: ContainerId,
    /// What it is called.
    pub name: String,
    /// What it has there.
    pub attached: Attached,
}

impl Users {
    /// Reads every container's plan.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn read(containers: &Containers) -> Result<Users> {
        let mut specs = containers.specs()?;
        let mut known: BTreeMap<String, Vec<ContainerId>> = BTreeMap::new();
        for (dir, spec) in specs.read.drain(..) {
            let attachments = match dir.networks(&spec.network.mode) {
                Ok(attachments) => attachments.unwrap_or_default(),
                Err(why) => {
                    specs.unreadable.push(Unreadable { id: dir.id().clone(), why, is_newer: false });
                    continue;
                }
            };
            for attachment in attachments {
                known.entry(attachment.network).or_default().push(dir.id().clone());
            }
        }
        Ok(Users { known, unreadable: specs.unreadable })
    }

    /// Leaves out the containers that do not run: with docker, a network belongs to those that do.
    #[must_use]
    pub fn running(mut self, containers: &Containers) -> Users {
        for ids in self.known.values_mut() {
            ids.retain(|id| containers.open(id).is_ok_and(|dir| dir.status().is_active()));
        }
        self
    }

    /// The containers that are on this network when they run.
    pub fn of(&self, network: &str) -> &[ContainerId] {
        self.known.get(network).map_or(&[], Vec::as_slice)
    }

    /// Whether it is sure that no container is on this network. It is not while the plan of one cannot be read.
    pub fn is_free(&self, network: &str) -> bool {
        self.of(network).is_empty() && self.unreadable.is_empty()
    }

    /// Says which containers keep networks from being removed, as nobody knows which are theirs.
    pub fn warn(&self) {
        self.unreadable.iter().for_each(Unreadable::warn);
    }

    /// The containers that run on this network now, with what they have there.
    pub fn members(&self, containers: &Containers, network: &str) -> Vec<Member> {
        let member = |id: &ContainerId| {
            // One that goes away meanwhile is no member.
            let dir = containers.open(id).ok()?;
            if !dir.status().is_live() {
                return None;
            }
            let run = dir.run_record().ok()??;
            let attached = run.networks.into_iter().find(|attached| attached.network == network)?;
            Some(Member { id: id.clone(), name: dir.called(), attached })
        };
        self.of(network).iter().filter_map(member).collect()
    }
}
