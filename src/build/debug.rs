//! `--debug-shell`: looking around where a step failed.

use super::event::Event;
use super::job::Job;
use super::state::State;
use super::steps::{OpenShell, open_shell};
use super::surroundings::Surroundings;
use super::work::{Failure, Place};
use crate::error::{Error, Kind, Result};
use crate::image::{Digest, Image};
use std::collections::BTreeMap;

/// A build that has failed.
#[derive(Debug)]
pub struct Stopped<'a> {
    /// What failed.
    pub error: Box<Error>,
    /// The code of a command that failed.
    pub code: Option<u8>,
    /// An image of what the stage had come to before.
    pub before: Option<Digest>,
    /// Where a shell can be opened, if the request wants one and the step was a command.
    pub shell: Option<Box<DebugShell<'a>>>,
}

impl From<Error> for Stopped<'_> {
    fn from(error: Error) -> Self {
        Stopped { error: Box::new(error), code: None, before: None, shell: None }
    }
}

impl<'a> Stopped<'a> {
    /// A failure of this build.
    pub(super) fn of(job: Job<'a>, failure: Failure) -> Stopped<'a> {
        let Failure { error, code, before, place } = failure;
        let shell = place.map(|place| Box::new(DebugShell { job, place }));
        Stopped { error, code, before, shell }
    }
}

/// Where a step failed.
#[derive(Debug)]
pub struct DebugShell<'a> {
    job: Job<'a>,
    place: Box<Place>,
}

impl DebugShell<'_> {
    /// Opens a shell in the state just before the step, with its mounts and its environment.
    ///
    /// # Errors
    /// A container that cannot be started.
    pub fn open(&self, terminal: bool) -> Result<OpenShell> {
        let course = &self.place.course;
        let gone = || Error::new(Kind::Runtime, "the step that failed is not known any more");
        let instruction = course.instructions.get(course.done).ok_or_else(gone)?;
        let mut around = Around { job: &self.job, done: &self.place.done };
        open_shell(&self.job, &course.state, instruction, course.stage, &mut around, terminal)
    }
}

/// What was around the stage.
struct Around<'a> {
    job: &'a Job<'a>,
    done: &'a BTreeMap<usize, State>,
}

impl Surroundings for Around<'_> {
    fn stage(&mut self, number: usize) -> Result<Option<State>> {
        Ok(self.done.get(&number).cloned())
    }

    fn image(&mut self, name: &str, stage: usize) -> Result<Option<Image>> {
        self.job.image(name, self.job.platform_of(stage), &mut |_| {}).map(Some)
    }

    fn works(&self) -> bool {
        true
    }

    fn tell(&mut self, _event: Event) {}
}
