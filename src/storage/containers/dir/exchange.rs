//! Notes on the exchange of a container for a newer one (`auto-update`), which say what the two containers' states do
//! not: how far it is, and whether somebody else has had a say since.

use super::ContainerDir;
use crate::error::{Context, Kind, Result};
use crate::storage::containers::files;
use nix::errno::Errno;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// In the new container: how far its exchange is.
const EXCHANGE: &str = "exchange";
/// In the old one: that it was stopped for an exchange only.
const LENT: &str = "lent";

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exchange {
    /// The new container is well, and is to have the name.
    Accepted,
    /// It has failed, and the old one is to run again.
    Failed,
    /// It is over, although the old container is still there.
    Over,
}

impl Exchange {
    fn word(self) -> &'static str {
        match self {
            Exchange::Accepted => "accepted",
            Exchange::Failed => "failed",
            Exchange::Over => "over",
        }
    }
}

impl ContainerDir {
    /// Notes how far the exchange is that this container was made for.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn note_exchange(&self, at: Exchange) -> Result<()> {
        files::replace(self.fd(), EXCHANGE, at.word().as_bytes())
            .context(Kind::Storage, || self.doing("note the exchange"))
    }

    /// What [`ContainerDir::note_exchange`] has noted last.
    pub fn exchange(&self) -> Option<Exchange> {
        let bytes = files::read(self.fd(), EXCHANGE).ok()??;
        [Exchange::Accepted, Exchange::Failed, Exchange::Over]
            .into_iter()
            .find(|at| at.word().as_bytes() == bytes)
    }

    /// Notes that an exchange stops this container, which may be started again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn lend(&self) -> Result<()> {
        files::replace(self.fd(), LENT, b"").context(Kind::Storage, || self.doing("note the exchange"))
    }

    /// Whether it is stopped for an exchange, and nobody has asked for its stop since.
    pub fn is_lent(&self) -> bool {
        files::is_there(self.fd(), LENT)
    }

    /// Takes back [`ContainerDir::lend`].
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn end_loan(&self) -> Result<()> {
        match unlinkat(self.fd(), LENT, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e).context(Kind::Storage, || self.doing("end the exchange")),
        }
    }
}
