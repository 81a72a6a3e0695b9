//! The end of the last container of a pod whose exit policy is `stop`: its infra container is stopped.
//!
//! Each monitor looks when its own container's end is recorded, so of two that end at the same time one finds that none
//! is left. A container that was never started, or is about to be started again, is not the end.

use super::context::MonitorContext;
use crate::container::Status;
use crate::error::Result;
use crate::spec::{ExitPolicy, PodSpec};
use crate::storage::Store;
use crate::storage::events::Action;
use crate::sys::process;
use nix::libc;
use std::os::fd::AsFd;

/// Ends the pod of a container that has ended for good, if that was the last one and the pod is to end with it.
pub(super) fn ended(context: &MonitorContext<'_>) {
    let Some(part) = context.plan.pod.as_ref().filter(|part| !part.infra) else { return };
    let pod = match context.store.pods().get(&part.id) {
        Ok(Some(pod)) if pod.exit_policy == ExitPolicy::Stop => pod,
        _ => return,
    };
    if let Err(error) = stop_if_last(context, &pod) {
        log::warn!("pod {} is not stopped: {}", pod.name, error.in_one_line());
    }
}

fn stop_if_last(context: &MonitorContext<'_>, pod: &PodSpec) -> Result<()> {
    let store = context.store;
    let list = store.containers().list()?;
    let others = list.iter().filter(|one| one.pod.as_ref() == Some(&pod.id) && !one.is_infra);
    let mut others = others.filter(|one| one.id != context.plan.id);
    if others.any(|one| !matches!(one.status, Status::Exited | Status::Crashed)) {
        return Ok(());
    }
    crate::failpoint::reach("end.pod");
    stop_infra(store, pod)?;
    store.pods().emit(pod, Action::Stop);
    Ok(())
}

fn stop_infra(store: &Store, pod: &PodSpec) -> Result<()> {
    let Some(id) = pod.infra_id() else { return Ok(()) };
    let infra = store.containers().open(id)?;
    infra.await_start();
    if !infra.status().is_live() {
        return Ok(());
    }
    let Some(run) = infra.run_record()? else { return Ok(()) };
    infra.ask_stop(run.run)?;
    if let Some(pidfd) = run.open_init() {
        // It may have ended since.
        let _ = process::pidfd_send_signal(pidfd.as_fd(), libc::SIGTERM);
    }
    Ok(())
}
