//! The processes of a container, in the columns of podman's `top` or as docker shows them with ps(1).

mod columns;
mod docker;
mod table;

use super::Dialect;
use crate::error::Result;
use crate::runtime::processes::Process;
use crate::storage::containers::ContainerDir;
pub use columns::listing;
pub use table::Table;

/// Which columns are shown.
#[derive(Debug)]
pub enum Columns {
    /// podman's, or columns that were named.
    Named(Vec<&'static columns::Column>),
    /// Those of ps(1) on the host.
    Ps(Vec<docker::Column>),
}

impl Columns {
    /// Reads what follows the container's name: descriptors, separated by blanks or commas, or options of ps.
    /// Nothing is the default of the dialect.
    ///
    /// # Errors
    /// `Usage` when a descriptor does not exist. Programs of the container are not asked instead.
    pub fn parse(words: &[String], dialect: Dialect) -> Result<Columns> {
        match docker::columns(words).filter(|_| dialect == Dialect::Docker) {
            Some(columns) => Ok(Columns::Ps(columns)),
            None => columns::parse(words).map(Columns::Named),
        }
    }

    /// The table of the processes of a container.
    pub fn table(&self, container: &ContainerDir, processes: &[Process]) -> Table {
        match self {
            Columns::Ps(columns) => docker::table(columns, processes),
            Columns::Named(columns) => columns::table(columns, container, processes),
        }
    }
}
