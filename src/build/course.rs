//! Going through a stage, instruction by instruction.
//!
//! Theory of operation. One function goes through a stage, twice if need be: first in the process that was called,
//! which takes what the cache has and stops at the first step that it lacks; then, in a process of the stage's own,
//! from there on, working off what is lacking. So a build with nothing to do forks nothing, and what is looked up and
//! what is worked off cannot differ.

use super::event::{Event, VertexId};
use super::job::Job;
use super::language::Instruction;
use super::metadata;
use super::results;
use super::state::State;
use super::steps::{self, Failed, Prepared, Step, Work};
use super::surroundings::Surroundings;
use crate::error::{Error, Result};
use crate::image::LAYERS_MAX;
use crate::storage::build::StepRecord;
use chrono::SecondsFormat;

/// A stage on its way.
#[derive(Debug, Clone)]
pub(super) struct Course {
    /// Its number.
    pub stage: usize,
    /// What it has come to.
    pub state: State,
    /// The stage that it starts from, until that is known.
    pub below: Option<usize>,
    /// Its instructions, those that its base asks for before its own.
    pub instructions: Vec<Instruction>,
    /// The vertices of those that may change files, by the place of the instruction.
    pub vertices: Vec<Option<VertexId>>,
    /// How many instructions are done.
    pub done: usize,
    /// Whether results of earlier builds are used.
    pub cached: bool,
}

/// How far one got.
#[derive(Debug)]
pub(super) enum Reached {
    /// The end.
    End,
    /// A step that has to be worked off, or looked up once more is known.
    Lacking,
}

/// Why a stage came to no end.
#[derive(Debug)]
pub(super) struct Stopped {
    /// What failed.
    pub error: Box<Error>,
    /// The code of a command that failed.
    pub code: Option<u8>,
    /// The vertex of the step.
    pub vertex: Option<VertexId>,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Stopped {
        Stopped { error: Box::new(error), code: None, vertex: None }
    }
}

impl Course {
    /// Goes on, as far as it goes.
    ///
    /// # Errors
    /// The step that failed; what it had come to before is in `state`.
    pub(super) fn advance(
        &mut self,
        job: &Job<'_>,
        around: &mut dyn Surroundings,
    ) -> Result<Reached, Stopped> {
        if let Some(below) = self.below {
            let Some(state) = around.stage(below)? else { return Ok(Reached::Lacking) };
            self.state = state.inherited();
            self.below = None;
        }
        while let Some(instruction) = self.instructions.get(self.done) {
            let at = instruction.at;
            let wrong = |why: String| Stopped::from(job.fault(at, why));
            if self.state.is_too_large() {
                return Err(wrong("the image's configuration gets larger than 4 MiB here".to_owned()));
            }
            if metadata::apply(&mut self.state, &job.scope, job.escape(), &instruction.does).map_err(wrong)? {
                self.done += 1;
                continue;
            }
            let vertex = self.vertices.get(self.done).copied().flatten();
            let located = |error: Error| Stopped { error: Box::new(job.at(at, error)), code: None, vertex };
            // What is prepared may change the configuration, and must not do so twice.
            let mut next = self.state.clone();
            let step = match steps::prepare(job, &mut next, instruction, self.stage, around) {
                Ok(Prepared::Step(step)) => step,
                Ok(Prepared::Unknown) => return Ok(Reached::Lacking),
                Ok(Prepared::Nothing) => {
                    if let Some(vertex) = vertex {
                        around.tell(Event::Cached(vertex));
                    }
                    self.state = next;
                    self.done += 1;
                    continue;
                }
                Err(error) => return Err(located(error)),
            };
            let Some(vertex) = vertex else { return Ok(Reached::Lacking) };
            let found = match self.cached {
                true => results::find(job, &step.key, &self.state).map_err(located)?,
                false => None,
            };
            let record = match found {
                Some(record) => {
                    around.tell(Event::Cached(vertex));
                    record
                }
                None if !around.works() => return Ok(Reached::Lacking),
                None => self.work(job, &step, vertex, around).map_err(|failed| match failed {
                    Failed::Command(code, error) => Stopped {
                        error: Box::new(job.at(at, error)),
                        code: Some(code.0),
                        vertex: Some(vertex),
                    },
                    Failed::Other(error) => located(error),
                })?,
            };
            let layer = results::layer(job, &record).map_err(located)?;
            if layer.is_some() && self.state.layers.len() >= LAYERS_MAX {
                let many = format!("an image has at most {LAYERS_MAX} layers, and this would be one more");
                return Err(wrong(many));
            }
            let created = job.time().unwrap_or(record.created);
            next.add(step.told, layer, created.to_rfc3339_opts(SecondsFormat::Nanos, true));
            next.steps.push(step.key);
            self.state = next;
            self.done += 1;
        }
        Ok(Reached::End)
    }

    /// Works a step off. Who works at the same one elsewhere is waited for, and then it is done.
    fn work(
        &self,
        job: &Job<'_>,
        step: &Step<Work>,
        vertex: VertexId,
        around: &mut dyn Surroundings,
    ) -> Result<StepRecord, Failed> {
        around.tell(Event::Started(vertex));
        // Who is to stop is killed.
        let _lock = job.store().build_cache().lock_step(&step.key, &|| false)?;
        if self.cached
            && let Some(record) = results::find(job, &step.key, &self.state)?
        {
            around.tell(Event::Cached(vertex));
            return Ok(record);
        }
        let layer = steps::perform(job, &self.state, step, vertex, around)?;
        let record = StepRecord::new(step.key.clone(), step.kind, step.told.clone());
        let record = results::keep(job, record, &self.state, layer.as_ref())?;
        around.tell(Event::Done(vertex));
        Ok(record)
    }
}
