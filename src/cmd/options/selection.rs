//! Selecting containers: one set of options for every verb that takes several.

use crate::engine::containers::selector::{Chosen, ContainerSelector, Filters, StatusFilter};
use crate::error::{Error, Kind, Result};
use crate::storage::Store;
use crate::ui;
use std::path::PathBuf;

/// Containers by name or by one of the general choices. A verb whose own options need a letter takes it
/// away here: `#[command(mut_arg("filter", |arg| arg.short(None)))]`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct SelectorArgs {
    /// Containers by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
    /// All containers that the command applies to
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// The latest container
    #[arg(short, long, help_heading = "Which containers")]
    pub latest: bool,
    /// Read the id of a container from this file; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Which containers")]
    pub cidfile: Vec<PathBuf>,
    /// Containers that match a condition, as in ps
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which containers")]
    pub filter: Vec<String>,
    /// Ignore containers that do not exist
    #[arg(short, long, help_heading = "Which containers")]
    pub ignore: bool,
}

impl SelectorArgs {
    /// The containers, in the order given; `status` says which of them `--all` and `--filter` may give. As in podman,
    /// nothing is done to any if one of those that were named does not exist; in docker's dialect the others go on.
    ///
    /// # Errors
    /// `Usage` when nothing or too much was said; `Storage` when the containers cannot be listed; except in docker's
    /// dialect, `NotFound` when one does not exist.
    pub fn chosen(&self, store: &Store, status: StatusFilter) -> Result<Vec<Chosen>> {
        self.select(store, status, false, self.ignore)
    }

    /// As [`SelectorArgs::chosen`], without those that do not exist.
    ///
    /// # Errors
    /// As [`SelectorArgs::chosen`], but for `NotFound`.
    pub fn existing(&self, store: &Store, status: StatusFilter) -> Result<Vec<Chosen>> {
        self.select(store, status, false, true)
    }

    /// As [`SelectorArgs::chosen`], but with names `--filter` chooses among those.
    ///
    /// # Errors
    /// As [`SelectorArgs::chosen`].
    pub fn narrowed(&self, store: &Store, status: StatusFilter) -> Result<Vec<Chosen>> {
        self.select(store, status, true, self.ignore)
    }

    fn select(&self, store: &Store, status: StatusFilter, narrow: bool, ignore: bool) -> Result<Vec<Chosen>> {
        let selection = ContainerSelector {
            names: &self.containers,
            latest: self.latest,
            cidfiles: &self.cidfile,
            ignore: self.ignore,
            all: self.all,
            filters: Filters::parse(&self.filter)?,
            status,
            narrow,
        };
        let mut chosen = selection.containers(store)?;
        if ignore {
            chosen.retain(|(_, found)| !found.as_ref().is_err_and(|e| e.kind() == Kind::NotFound));
        }
        match chosen.iter().position(|(_, found)| is_unknown(found)) {
            Some(at) if !ui::docker() => chosen.swap_remove(at).1.map(|_| Vec::new()),
            _ => Ok(chosen),
        }
    }
}

/// Refuses more than one way to say which containers are meant, of a verb that has few.
///
/// # Errors
/// `Usage`, naming the two that exclude each other.
pub fn check_one_way(all: bool, latest: bool, named: bool) -> Result<()> {
    let text = match (all, latest, named) {
        (true, _, true) => "no arguments are needed with --all",
        (false, true, true) => "--latest and containers cannot be used together",
        (true, true, false) => "--all and --latest cannot be used together",
        _ => return Ok(()),
    };
    Err(Error::new(Kind::Usage, text).hint("Leave one of the two out."))
}

/// Whether a name is that of no container, or may be that of several. One that is there and damaged is known.
pub fn is_unknown<T>(found: &Result<T>) -> bool {
    found.as_ref().is_err_and(|error| matches!(error.kind(), Kind::NotFound | Kind::Conflict))
}
