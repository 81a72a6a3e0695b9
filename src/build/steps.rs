//! Steps: instructions that change files.
//!
//! Theory of operation. A step is prepared first: words are expanded, and everything that its result depends on goes
//! into a key. Only if the cache has no result under that key is it worked off. What it changes lands in the `fs/` of
//! a directory of its own, the upper directory of an overlay over the layers so far, which becomes the next layer by
//! being renamed. RUN is a container, so this process starts it; the others do their work in a leaf.

use super::event::VertexId;
use super::job::Job;
use super::language::{Does, Instruction};
use super::state::{Layer, State};
use super::surroundings::Surroundings;
use crate::error::{Error, Result};

mod command;
mod container;
mod copy;
mod fetched;
mod layer;
mod mounts;
mod run;
mod shell;
mod step;
mod workdir;

pub(super) use layer::placed;
pub(super) use run::Code;
pub use shell::OpenShell;
pub(super) use shell::open as open_shell;
pub(super) use step::Step;

/// What a step does.
#[derive(Debug)]
pub(super) enum Work {
    /// RUN.
    Run(Box<command::Work>),
    /// COPY and ADD.
    Copy(Box<copy::Work>),
    /// WORKDIR.
    Directory(workdir::Work),
}

/// What preparing a step comes to.
#[derive(Debug)]
pub(super) enum Prepared {
    /// It is to be looked up, or worked off.
    Step(Step<Work>),
    /// It has changed the configuration, and there is nothing to do.
    Nothing,
    /// Something that it depends on is not known yet.
    Unknown,
}

/// Prepares an instruction that may change files, of the stage of this number.
///
/// # Errors
/// What is wrong with it.
pub(super) fn prepare(
    job: &Job<'_>,
    state: &mut State,
    instruction: &Instruction,
    stage: usize,
    around: &mut dyn Surroundings,
) -> Result<Prepared> {
    let prepared = match &instruction.does {
        Does::Run(run) => {
            let step = run::prepare_step(job, state, instruction, run, stage, around)?;
            step.map(|step| step.of(|work| Work::Run(Box::new(work))))
        }
        Does::Copy(copy) => {
            let step = copy::prepare_copy(job, state, instruction, copy, stage, around)?;
            step.map(|step| step.of(|work| Work::Copy(Box::new(work))))
        }
        Does::Add(add) => {
            let step = copy::prepare_add(job, state, instruction, add, stage, around)?;
            step.map(|step| step.of(|work| Work::Copy(Box::new(work))))
        }
        Does::WorkDir(word) => {
            let step = workdir::prepare_step(job, state, instruction, word)?;
            return Ok(step.map_or(Prepared::Nothing, |step| Prepared::Step(step.of(Work::Directory))));
        }
        _ => return Ok(Prepared::Nothing),
    };
    Ok(prepared.map_or(Prepared::Unknown, Prepared::Step))
}

/// Why a step has no result.
#[derive(Debug)]
pub(super) enum Failed {
    /// The command of RUN ended with this code.
    Command(Code, Error),
    /// Something else.
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed::Other(error)
    }
}

/// Works a step off; gives the layer that it made, if it changed anything.
///
/// # Errors
/// When it fails.
pub(super) fn perform(
    job: &Job<'_>,
    state: &State,
    step: &Step<Work>,
    vertex: VertexId,
    around: &mut dyn Surroundings,
) -> Result<Option<Layer>, Failed> {
    match &step.work {
        Work::Run(work) => match run::perform(job, state, work, vertex, around)? {
            Ok(layer) => Ok(layer),
            Err(code) => Err(Failed::Command(code, run::failed(work, code))),
        },
        Work::Copy(work) => Ok(copy::perform(job, state, work)?),
        Work::Directory(work) => Ok(layer::on_root(job, state, &[], |root| workdir::perform(work, root))?),
    }
}
