//! Completing or taking back the exchanges of commands that were killed.

use super::exchange::{complete, drop_new, provisional, take_back};
use super::prove::prove;
use super::unsettled::{Disturbed, disturbed};
use crate::engine::containers::recover;
use crate::error::{Error, Kind, Result};
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Exchange};

/// Completes or takes back what killed commands have left; gives what could not be.
///
/// # Errors
/// When the containers cannot be listed.
pub(super) fn settle(store: &Store) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    for (new, plan) in store.containers().specs()?.read {
        let Some(id) = &plan.lifecycle.replaces else { continue };
        let settled = match store.containers().open(id) {
            Ok(old) => settle_one(store, &old, &new, &plan),
            Err(e) if e.kind() == Kind::NotFound => settle_alone(store, &new, &plan),
            Err(e) => Err(e),
        };
        failures.extend(settled.err().map(|error| {
            Error::new(error.kind(), format!("complete the interrupted update of container {}", plan.name))
                .caused_by(error)
        }));
    }
    Ok(failures)
}

fn settle_one(store: &Store, old: &ContainerDir, new: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    let at = new.exchange();
    if at == Some(Exchange::Over) {
        return Ok(());
    }
    recover(store, old)?;
    recover(store, new)?;
    old.await_start();
    new.await_start();
    let name = &plan.name;
    if at == Some(Exchange::Accepted) || new.called() == name.as_str() {
        return complete(store, Some(old), new, plan);
    }
    let failed = at == Some(Exchange::Failed);
    let look = || disturbed(old, new, false);
    let well = match look() {
        None if !failed && new.status().is_active() => prove(store, new, plan, &look),
        // What stopped the new one was the command that takes it back.
        Some(Disturbed::Stopped) if failed && old.is_lent() => Ok(None),
        other => Ok(other),
    };
    match well {
        Ok(None) if !failed && new.status().is_active() => complete(store, Some(old), new, plan),
        Ok(None) | Err(_) => take_back(store, old, new, name),
        Ok(Some(_)) => {
            drop_new(store, new)?;
            if old.in_place() { old.end_loan() } else { Ok(()) }
        }
    }
}

/// The old container is gone: one that was accepted gets the name, any other one goes too, as its predecessor was removed
/// by somebody.
fn settle_alone(store: &Store, new: &ContainerDir, plan: &ContainerSpec) -> Result<()> {
    if new.called() != provisional(&plan.name, new.id())?.as_str() {
        return Ok(());
    }
    match new.exchange() {
        Some(Exchange::Accepted) => complete(store, None, new, plan),
        Some(Exchange::Over) => Ok(()),
        Some(Exchange::Failed) | None => drop_new(store, new),
    }
}
