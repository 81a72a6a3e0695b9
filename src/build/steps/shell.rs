//! A shell where a step failed: its container anew, with the stage's shell in place of its command.

use super::container::{self, Running, Streams};
use super::{Prepared, Work, prepare};
use crate::build::job::Job;
use crate::build::language::Instruction;
use crate::build::state::State;
use crate::build::surroundings::Surroundings;
use crate::error::{Error, Kind, Result};
use crate::runtime::connection::Connection;

/// A shell in the container of a step. What it changes goes with it.
#[derive(Debug)]
pub struct OpenShell(Running);

impl OpenShell {
    /// The connection to it.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.0.connection
    }
}

/// Opens a shell in the state before an instruction, with its mounts and its environment; on a terminal, or with the
/// input that comes over the connection.
///
/// # Errors
/// An instruction that runs nothing; a container that cannot be started.
pub(in crate::build) fn open(
    job: &Job<'_>,
    state: &State,
    instruction: &Instruction,
    stage: usize,
    around: &mut dyn Surroundings,
    terminal: bool,
) -> Result<OpenShell> {
    match prepare(job, &mut state.clone(), instruction, stage, around)? {
        Prepared::Step(step) => match &step.work {
            Work::Run(work) => {
                let streams = if terminal { Streams::Terminal } else { Streams::Input };
                container::start(job, state, work, streams).map(OpenShell)
            }
            _ => Err(no_container()),
        },
        _ => Err(no_container()),
    }
}

fn no_container() -> Error {
    Error::new(Kind::Runtime, "the step that failed has no container")
}
