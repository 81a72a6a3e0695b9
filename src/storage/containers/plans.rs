//! The plans of all containers, for whoever decides what is unused.
//!
//! A plan that cannot be read (cut off by a power cut, overwritten, of a newer version) may name anything. It
//! never makes something count as unused: [`Plans::unreadable`] comes along with those that can be read, and
//! whoever removes things has to look at it.

use super::{ContainerDir, Containers, files};
use crate::container::{ContainerId, PLAN_VERSION};
use crate::error::{Error, Kind, Result};
use crate::storage::record::warn_once;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;

/// What the plans of all containers say.
#[derive(Debug)]
pub struct Plans<P> {
    /// Those that can be read.
    pub read: Vec<(ContainerDir, P)>,
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

/// The part of a plan that says whether this program understands it.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u32,
}

/// A plan from its bytes.
///
/// # Errors
/// When it is none, or of a newer version.
pub(super) fn parse<P: DeserializeOwned>(bytes: &[u8]) -> Result<P> {
    let wrong = |e| Error::new(Kind::Storage, "it is damaged").caused_by(e);
    let Versioned { version } = serde_json::from_slice(bytes).map_err(wrong)?;
    if version > PLAN_VERSION {
        let what = format!("it has version {version}, this coracle knows up to {PLAN_VERSION}");
        return Err(Error::new(Kind::Storage, what));
    }
    serde_json::from_slice(bytes).map_err(wrong)
}

impl ContainerDir {
    /// Whether the plan is one of a newer version.
    fn has_newer_plan(&self) -> bool {
        let bytes = files::read(self.fd(), "plan.json").ok().flatten().unwrap_or_default();
        serde_json::from_slice::<Versioned>(&bytes).is_ok_and(|plan| plan.version > PLAN_VERSION)
    }
}

impl Containers {
    /// Reads every container's plan. What is being made or removed at this moment is left out.
    ///
    /// # Errors
    /// When the directory of containers cannot be read.
    pub fn plans<P: DeserializeOwned>(&self) -> Result<Plans<P>> {
        let mut plans = Plans { read: Vec::new(), unreadable: Vec::new() };
        for id in self.ids()? {
            let dir = match self.open(&id) {
                Ok(dir) => dir,
                Err(why) => {
                    if why.kind() != Kind::NotFound {
                        plans.unreadable.push(Unreadable { id, why, is_newer: false });
                    }
                    continue;
                }
            };
            match dir.checked_plan() {
                Ok(plan) => plans.read.push((dir, plan)),
                // A creator or remover that was killed leaves a directory without a summary, and perhaps half a
                // plan; one that was removed since we found it has none.
                Err(why) if dir.in_place() && (dir.is_listed() || dir.is_alive()) => {
                    let is_newer = dir.has_newer_plan();
                    plans.unreadable.push(Unreadable { id, why, is_newer });
                }
                Err(_) => {}
            }
        }
        Ok(plans)
    }

    /// The containers whose plan contains the ids of others, with those ids. A plan that is no longer, or not
    /// yet, one that this program understands is searched all the same.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn mentions(&self) -> Result<Vec<(ContainerDir, HashSet<ContainerId>)>> {
        let ids: HashSet<ContainerId> = self.ids()?.into_iter().collect();
        let mentions = |id: &ContainerId| {
            let dir = self.open(id).ok()?;
            let plan = files::read(dir.fd(), "plan.json").ok()??;
            // Ids and digests stand between quotes and colons, as do all words of JSON.
            let words = plan.split(|byte| !byte.is_ascii_hexdigit());
            let found = words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<ContainerId>().ok());
            let others: HashSet<_> = found.filter(|other| other != id && ids.contains(other)).collect();
            (!others.is_empty()).then_some((dir, others))
        };
        Ok(ids.iter().filter_map(mentions).collect())
    }
}
