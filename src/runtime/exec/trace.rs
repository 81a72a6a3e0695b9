//! The traces of an `exec`: a record of its process in the container's directory, and events.
//!
//! Theory of operation. The joiner, which lives as long as the process, writes the record when the process
//! starts and again when it exits. If somebody was attached, the record is removed at the exit, because the
//! caller has the exit code; the record of a detached process is kept for a while. Old records, and those whose
//! joiner was killed, are removed by the next `exec`.

use crate::container::ContainerId;
use crate::runtime::relay::End;
use crate::runtime::report;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers, ExecRecord, ProcessRef};
use crate::storage::events::{Action, Events};
use chrono::Utc;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the joiner, which may have executed itself again, finds the records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Trace {
    data: PathBuf,
    runtime: PathBuf,
    container: ContainerId,
    run: u64,
    id: ContainerId,
    /// Keep the record when the process has ended.
    keep: bool,
}

/// The record of one process.
#[derive(Debug)]
pub(super) struct Tracer<'a> {
    trace: &'a Trace,
    plan: &'a ContainerSpec,
    dir: ContainerDir,
    record: ExecRecord,
}

impl Trace {
    /// To be called by the command, before the joiner is started.
    pub(super) fn new(store: &Store, dir: &ContainerDir, run: u64, id: &ContainerId, keep: bool) -> Trace {
        dir.tidy_execs(run);
        Trace {
            data: store.data().to_owned(),
            runtime: store.runtime().to_owned(),
            container: dir.id().clone(),
            run,
            id: id.clone(),
            keep,
        }
    }

    /// Opens the container's directory while paths still mean what they mean on the host; `None` when it
    /// has been removed, and then there is nothing to record.
    pub(super) fn open<'a>(&'a self, plan: &'a ContainerSpec) -> Option<Tracer<'a>> {
        let dir = Containers::new(&self.data, &self.runtime).open(&self.container).ok()?;
        let record = ExecRecord {
            id: self.id.clone(),
            run: self.run,
            process: None,
            argv: plan.process.argv.clone(),
            code: None,
            finished: None,
        };
        Some(Tracer { trace: self, plan, dir, record })
    }
}

impl Tracer<'_> {
    fn tell(&self, action: Action, code: Option<u8>) {
        let event = report::event(&self.dir, self.plan, action);
        let event = event.attribute("execID", self.record.id.as_str());
        let event = match code {
            Some(code) => event.code(code.into()),
            None => event,
        };
        Events::new(&self.trace.data).emit(event);
    }

    /// The process runs. A record that cannot be written must not end it.
    pub(super) fn started(&mut self, pid: Pid) {
        self.record.process = ProcessRef::of(pid.as_raw());
        let _ = self.dir.write_exec(&self.record);
        self.tell(Action::Exec, None);
    }

    /// The process has ended.
    pub(super) fn ended(mut self, end: End) {
        self.record.code = Some(end.code);
        self.record.finished = Some(Utc::now());
        let _ = match self.trace.keep {
            true => self.dir.write_exec(&self.record),
            false => self.dir.remove_exec(&self.record.id),
        };
        self.tell(Action::ExecDied, Some(end.code));
    }
}
