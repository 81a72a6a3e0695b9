//! A container as `inspect` shows it: docker's document, and podman's, which has docker's structure and more.
//!
//! Theory of operation. Each dialect's document is a type with every field that is documented, in `podman` and in
//! `docker`. `Facts` is what is known about the container. Where JSON and templates differ is said beside the types.

use crate::container::ExitRecord;
use crate::error::Result;
use crate::runtime::usage::written;
use crate::spec::{ContainerSpec, RootSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, ExecRecord, Summary};
use crate::text::Document;
use crate::view::Dialect;
use facts::Facts;

mod docker;
mod facts;
mod health;
mod host;
pub(super) mod infra;
mod mounts;
mod network;
mod podman;
mod secrets;
mod time;

pub(super) fn show(store: &Store, dir: &ContainerDir, size: bool, dialect: Dialect) -> Result<Document> {
    let mut plan = dir.spec()?;
    if let Ok(Some(changed)) = dir.changed() {
        changed.put_into(&mut plan);
    }
    let summary = dir.summary();
    let ended = |exit: &ExitRecord| exit.run == summary.run && !summary.status.is_live();
    let facts = Facts {
        store,
        dir,
        run: dir.run_record()?,
        exit: dir.exit_record()?.filter(ended),
        execs: execs(dir, &summary)?,
        limits: super::limits::effective(dir, &plan),
        size: if size { Some(sizes(store, dir, &plan)?) } else { None },
        plan,
        summary,
    };
    match dialect {
        Dialect::Podman => podman::document(&facts),
        Dialect::Docker => docker::document(&facts),
    }
}

/// The processes of `exec` in this run, those included that ended a short while ago in the background.
fn execs(dir: &ContainerDir, summary: &Summary) -> Result<Vec<ExecRecord>> {
    let mut all = dir.execs()?;
    all.retain(|e| e.run == summary.run && summary.status.is_live() && (e.code.is_some() || e.is_running()));
    Ok(all)
}

fn sizes(store: &Store, dir: &ContainerDir, plan: &ContainerSpec) -> Result<(u64, u64)> {
    let written = written(store, dir)?;
    let mut below = 0;
    if let RootSpec::Layers(layers) = &plan.root {
        below =
            layers.iter().filter_map(|layer| store.layers().record(layer).ok()).map(|layer| layer.size).sum();
    }
    Ok((written, written + below))
}
