//! Running a health check on request, in addition to those of the monitor.

use super::signal::signal;
use super::stop::stop_by_policy;
use crate::container::Signal;
use crate::error::Result;
use crate::runtime::health;
use crate::spec::health::OnFailure;
use crate::storage::Store;
use crate::storage::containers::ContainerDir;

/// What a check on request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Passed,
    /// It failed.
    Failed,
    /// The container was stopped meanwhile.
    Stopped,
}

/// Runs the health check of a container now, and does what is to follow from it.
///
/// # Errors
/// `Conflict` when it is not running or has no check; a check that cannot be run.
pub fn check(store: &Store, container: &ContainerDir) -> Result<Verdict> {
    let outcome = health::check(store, container, &container.spec()?)?;
    match outcome.follows {
        OnFailure::None => {}
        OnFailure::Kill => signal(container, Signal::KILL.number())?,
        OnFailure::Stop => {
            stop_by_policy(store, container)?;
        }
        // The monitor's next check sees to it.
        OnFailure::Restart => {}
    }
    Ok(match outcome.success {
        _ if outcome.stopped => Verdict::Stopped,
        true => Verdict::Passed,
        false => Verdict::Failed,
    })
}
