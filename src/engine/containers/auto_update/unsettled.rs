//! What users do with containers that are being exchanged.

use crate::container::{ContainerId, Name};
use crate::error::{Error, Kind};
use crate::spec::health::Health;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Exchange};

/// What somebody else has done since the old container was stopped, so that the exchange is not gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbed {
    /// The old one was removed.
    Removed,
    /// The old one was started again.
    Started,
    /// One of the two was stopped.
    Stopped,
    /// This process was asked to stop.
    Signal,
}

impl Disturbed {
    /// What to say of it.
    pub(super) fn error(self, name: &Name) -> Error {
        let (what, hint) = match self {
            Disturbed::Removed => (
                "it was removed during its update",
                format!("Create it again: coracle run --name {name} ..."),
            ),
            Disturbed::Started => (
                "somebody has started it with the old image during its update",
                "Run auto-update once more.".to_owned(),
            ),
            Disturbed::Stopped => (
                "it was stopped during its update, and stays so with the old image",
                format!("Start it: coracle start {name}"),
            ),
            Disturbed::Signal => (
                "its update was interrupted, and it runs with the old image",
                "Run auto-update once more.".to_owned(),
            ),
        };
        Error::new(Kind::Conflict, what).hint(hint)
    }
}

/// Whether somebody else has had a say since the old container was stopped for the new one.
pub(super) fn disturbed(old: &ContainerDir, new: &ContainerDir, signal: bool) -> Option<Disturbed> {
    let stopped = |dir: &ContainerDir| {
        let run = dir.run_record().ok().flatten().map(|run| run.run);
        // Checks that have found it unhealthy may stop it too.
        run.is_some() && dir.stop_asked() == run && dir.summary().health != Some(Health::Unhealthy)
    };
    match () {
        () if !old.in_place() => Some(Disturbed::Removed),
        () if old.status().is_active() => Some(Disturbed::Started),
        () if !old.is_lent() || stopped(new) => Some(Disturbed::Stopped),
        () if signal => Some(Disturbed::Signal),
        () => None,
    }
}

/// Whether a container is being exchanged for another one, or is the other one: until that is settled, it is left alone
/// by whatever removes what is not needed.
pub fn is_exchanged(store: &Store, dir: &ContainerDir) -> bool {
    let others = |new: &ContainerDir, old: &ContainerId| {
        let replaces = new.spec().ok().and_then(|plan| plan.lifecycle.replaces);
        replaces.as_ref() == Some(old) && new.exchange() != Some(Exchange::Over)
    };
    let replaces = dir.spec().ok().and_then(|plan| plan.lifecycle.replaces);
    if let Some(old) = replaces
        && dir.exchange() != Some(Exchange::Over)
        && store.containers().open(&old).is_ok()
    {
        return true;
    }
    let all = || store.containers().specs().map(|specs| specs.read).unwrap_or_default();
    // Stopped, it has a note of that.
    dir.is_lent() && all().iter().any(|(new, _)| others(new, dir.id()))
}
