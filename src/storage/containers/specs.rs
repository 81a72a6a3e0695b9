//! The plans of all containers, for code that decides what is unused.
//!
//! A plan that cannot be read (truncated by a power cut, overwritten, of a newer version) may name anything. It
//! must never make something count as unused: [`Specs::unreadable`] is returned along with the readable plans,
//! and code that removes things has to check it.

use super::{ContainerDir, Containers, files, plan};
use crate::container::ContainerId;
use crate::error::{Error, Kind, Result};
use crate::spec::ContainerSpec;
use crate::storage::record::warn_once;

/// The plans of all containers.
#[derive(Debug)]
pub struct Specs {
    /// Those whose plans can be read.
    pub read: Vec<(ContainerDir, ContainerSpec)>,
    /// The containers whose plans cannot.
    pub unreadable: Vec<Unreadable>,
}

/// A container of which nobody knows what it uses.
#[derive(Debug)]
pub struct Unreadable {
    /// Its identifier.
    pub id: ContainerId,
    /// Why its plan cannot be read.
    pub why: Error,
    /// It is of a newer version, and whole for all we know.
    pub is_newer: bool,
}

impl Unreadable {
    /// Says that it and what it may use are kept, once for each container.
    pub fn warn(&self) {
        let (id, why) = (self.id.short(), self.why.in_one_line());
        let text = format!(
            "container {id}: {why}; it is left alone, and what it may use is kept. Repair it: coracle system check --repair; or remove it: coracle rm -f {id}"
        );
        warn_once(id, &text);
    }

    /// The refusal to remove something that the container may use.
    pub fn refusal(&self, what: &str) -> Error {
        let id = self.id.short();
        Error::new(
            Kind::Conflict,
            format!("{what} may be in use by container {id}, whose plan cannot be read"),
        )
        .hint(format!(
            "Repair that container: coracle system check --repair; or remove it: coracle rm -f {id}"
        ))
    }
}

impl ContainerDir {
    /// Whether the plan is one of a newer version.
    fn has_newer_plan(&self) -> bool {
        let bytes = files::read(self.fd(), "plan.json").ok().flatten().unwrap_or_default();
        plan::is_newer(&bytes)
    }
}

impl Containers {
    /// Reads every container's plan. Containers that are being created or removed are left out.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn specs(&self) -> Result<Specs> {
        let mut specs = Specs { read: Vec::new(), unreadable: Vec::new() };
        for id in self.ids()? {
            let dir = match self.open(&id) {
                Ok(dir) => dir,
                Err(why) => {
                    if why.kind() != Kind::NotFound {
                        specs.unreadable.push(Unreadable { id, why, is_newer: false });
                    }
                    continue;
                }
            };
            match dir.spec() {
                Ok(spec) => specs.read.push((dir, spec)),
                // A creator or remover that was killed leaves a directory without a summary, and perhaps half a
                // plan; one that was removed since we found it has none.
                Err(why) if dir.in_place() && (dir.is_listed() || dir.is_alive()) => {
                    let is_newer = dir.has_newer_plan();
                    specs.unreadable.push(Unreadable { id, why, is_newer });
                }
                Err(_) => {}
            }
        }
        Ok(specs)
    }
}
