//! Working off stages side by side, each in a process of its own.
//!
//! Theory of operation. This process starts a worker per stage that the cache did not have whole, passes on what they
//! tell, and answers their questions: what another stage has come to is answered when that has ended. A stage asks only
//! when it comes to the instruction that needs the other, so two stages of which one copies from the other run side by
//! side up to there. A stage can only ask for those before it in the file, so nobody waits in a circle. When one fails,
//! or a signal asks this process to stop, the others are killed; their containers die with them.

use super::course::{Course, Reached, Stopped};
use super::event::{Event, VertexId};
use super::image;
use super::job::Job;
use super::namespace;
use super::state::State;
use super::surroundings::Surroundings;
use crate::error::{Context, Error, Kind, Result};
use crate::fork::{Heard, Reporter, StopSignals, Worker};
use crate::image::{ChainId, Digest, Image};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;

/// Stages worked on side by side unless `--jobs` says otherwise.
const JOBS: usize = 16;
/// Most bytes of a piece; JSON may make six of one.
const PIECE: usize = 8 << 10;
/// How often running times are shown anew, in milliseconds.
const TICK: u8 = 100;

/// What a worker says before its result.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    /// This happened.
    Event(Event),
    /// What has this stage come to?
    Stage(usize),
    /// A piece of what it has come to, as JSON, before it says that it failed: a message is bounded.
    Piece(String),
    /// The next thing it says is that it failed: the code of a command, the step, an image of what there was
    /// before, and how many instructions were done.
    Stopped(Option<u8>, Option<VertexId>, Option<Digest>, usize),
}

/// Why a build came to no end.
#[derive(Debug)]
pub(super) struct Failure {
    /// What failed.
    pub(super) error: Box<Error>,
    /// The code of a command that failed.
    pub(super) code: Option<u8>,
    /// An image of what the stage had come to before.
    pub(super) before: Option<Digest>,
    /// Where a shell can be opened, if the request wants one.
    pub(super) place: Option<Box<Place>>,
}

/// Where a stage stopped.
#[derive(Debug)]
pub(super) struct Place {
    /// The stage, as it was before the step that failed.
    pub(super) course: Course,
    /// What others have come to.
    pub(super) done: BTreeMap<usize, State>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error: Box::new(error), code: None, before: None, place: None }
    }
}

/// What a build has come to.
pub(super) struct Done {
    /// The target.
    pub(super) state: State,
    /// The layers of all stages that are no base image's.
    pub(super) made: Vec<ChainId>,
    /// The keys of all steps.
    pub(super) steps: Vec<Digest>,
}

/// Goes through all stages: what the cache has is taken here, the rest is worked off.
///
/// # Errors
/// The first stage that failed.
pub(super) fn stages(
    job: &Job<'_>,
    courses: Vec<Course>,
    report: &mut dyn FnMut(Event),
) -> Result<Done, Failure> {
    let mut done = BTreeMap::new();
    let mut left = Vec::new();
    // Layers of caches elsewhere are unpacked in it, one by one.
    let _namespace = (!job.caches.borrow().is_empty()).then(|| namespace::keep(job));
    for mut course in courses {
        let mut around = Looking { job, done: &done, report };
        let reached = course.advance(job, &mut around);
        match reached {
            Ok(Reached::End) => drop(done.insert(course.stage, course.state)),
            Ok(Reached::Lacking) => left.push(course),
            Err(Stopped { error, code, vertex }) => {
                if let Some(vertex) = vertex {
                    report(Event::Failed(vertex, error.in_one_line()));
                }
                return Err(Failure { code, ..Failure::from(*error) });
            }
        }
    }
    if left.is_empty() {
        job.contexts.remember(job.store());
    } else {
        work(job, left, &mut done, report)?;
    }
    let layers = done.values().flat_map(|state| &state.layers).filter(|layer| layer.archive.is_some());
    let made = layers.map(|layer| layer.chain.clone()).collect();
    let steps = done.values().flat_map(|state| state.steps.iter().cloned()).collect();
    let lost = || Error::new(Kind::Runtime, "the stage that is wanted has no result").into();
    done.remove(&job.graph.target).map(|state| Done { state, made, steps }).ok_or_else(lost)
}

/// Works off what is left of these stages; `done` has those that are there, and gets the others.
///
/// # Errors
/// The first stage that failed. The others are stopped.
fn work(
    job: &Job<'_>,
    left: Vec<Course>,
    done: &mut BTreeMap<usize, State>,
    report: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let signals = StopSignals::watch().context(Kind::Runtime, || "watch for signals")?;
    let _namespace = namespace::keep(job);
    let mut yard = Yard {
        job,
        waiting: left,
        running: Vec::new(),
        asked: Vec::new(),
        done,
        open: BTreeSet::new(),
        begun: Vec::new(),
        pieces: String::new(),
    };
    let worked = yard.run(&signals, report);
    if worked.is_err() {
        yard.stop(report);
    }
    signals.release().context(Kind::Runtime, || "let go of signals")?;
    worked
}

/// The stages at work.
struct Yard<'a> {
    job: &'a Job<'a>,
    /// Not begun, first stage first.
    waiting: Vec<Course>,
    running: Vec<(usize, Worker<Said, State>)>,
    /// Who waits for which stage.
    asked: Vec<(usize, usize)>,
    done: &'a mut BTreeMap<usize, State>,
    /// Steps that have begun and not ended.
    open: BTreeSet<VertexId>,
    /// As the stages were when they began, if a shell may be wanted.
    begun: Vec<Course>,
    /// What one has come to, as far as it has said.
    pieces: String,
}

impl Yard<'_> {
    fn run(&mut self, signals: &StopSignals, report: &mut dyn FnMut(Event)) -> Result<(), Failure> {
        loop {
            let most = self.job.request.jobs.unwrap_or(JOBS).max(1);
            while self.running.len() < most && !self.waiting.is_empty() {
                let course = self.waiting.remove(0);
                self.start(course)?;
            }
            if self.running.is_empty() {
                return Ok(());
            }
            let at = match self.wait(signals, report)? {
                Some(at) => at,
                None => return Err(Error::new(Kind::Runtime, "interrupted").into()),
            };
            self.hear(at, report)?;
        }
    }

    fn start(&mut self, mut course: Course) -> Result<()> {
        let (job, done) = (self.job, &*self.done);
        let stage = course.stage;
        if job.request.debug_shell {
            self.begun.push(course.clone());
        }
        let kept = [&job.contexts.descriptors()[..], &[job.running.descriptor()]].concat();
        let worker = Worker::start("build stage", &kept, |reporter| {
            let mut around = Inside { job, reporter, done, heard: BTreeMap::new() };
            let reached = course.advance(job, &mut around);
            job.contexts.remember(job.store());
            match reached {
                Ok(Reached::End) => Ok(course.state),
                Ok(Reached::Lacking) => Err(Error::new(Kind::Runtime, "a step is of no stage")),
                Err(Stopped { error, code, vertex }) => {
                    let before = code.and_then(|_| image::of_last_good(job, &course.state));
                    if job.request.debug_shell && code.is_some() {
                        send_state(reporter, &course.state);
                    }
                    reporter.send(Said::Stopped(code, vertex, before, course.done));
                    Err(*error)
                }
            }
        })?;
        self.running.push((stage, worker));
        Ok(())
    }

    /// Waits until a worker has something to say; `None` when a signal came.
    fn wait(&self, signals: &StopSignals, report: &mut dyn FnMut(Event)) -> Result<Option<usize>> {
        loop {
            let mut fds: Vec<PollFd<'_>> = self
                .running
                .iter()
                .map(|(_, worker)| PollFd::new(worker.as_fd(), PollFlags::POLLIN))
                .collect();
            fds.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
            match poll(&mut fds, PollTimeout::from(TICK)) {
                Err(Errno::EINTR) => continue,
                other => other.context(Kind::Runtime, || "wait for the stages of the build")?,
            };
            report(Event::Tick);
            if signals.came() {
                return Ok(None);
            }
            if let Some(at) = fds.iter().position(|fd| fd.any().unwrap_or(true)) {
                return Ok(Some(at));
            }
        }
    }

    fn hear(&mut self, at: usize, report: &mut dyn FnMut(Event)) -> Result<(), Failure> {
        let Some((stage, worker)) = self.running.get(at) else { return Ok(()) };
        let stage = *stage;
        match worker.hear() {
            Heard::Message(Said::Event(event)) => {
                match &event {
                    Event::Started(vertex) => drop(self.open.insert(*vertex)),
                    Event::Done(vertex) | Event::Cached(vertex) => drop(self.open.remove(vertex)),
                    _ => {}
                }
                report(event);
                Ok(())
            }
            Heard::Message(Said::Stage(wanted)) => {
                if let Some(state) = self.done.get(&wanted) {
                    worker.answer(state)?;
                    return Ok(());
                }
                self.asked.push((stage, wanted));
                // Who asks has nothing else to do, so this is one more than the limit by name only.
                if let Some(place) = self.waiting.iter().position(|course| course.stage == wanted) {
                    let course = self.waiting.remove(place);
                    self.start(course)?;
                } else if !self.running.iter().any(|(number, _)| *number == wanted) {
                    let why = format!("stage {wanted} is needed, which only running the build has shown");
                    return Err(Error::new(Kind::Usage, why)
                        .hint("Name the stage without variables, so that it is built before.")
                        .into());
                }
                Ok(())
            }
            Heard::Message(Said::Piece(piece)) => {
                self.pieces.push_str(&piece);
                Ok(())
            }
            Heard::Message(Said::Stopped(code, vertex, before, done)) => {
                let Heard::Ended(Err(error)) = worker.hear() else { return Ok(()) };
                self.running.remove(at);
                if let Some(vertex) = vertex {
                    self.open.remove(&vertex);
                    report(Event::Failed(vertex, error.in_one_line()));
                }
                let place = self.place(stage, done);
                Err(Failure { error: Box::new(error), code, before, place })
            }
            Heard::Ended(result) => {
                self.running.remove(at);
                let state = result?;
                let (answered, asked) = self.asked.drain(..).partition(|(_, wanted)| *wanted == stage);
                self.asked = asked;
                let answered: Vec<(usize, usize)> = answered;
                for (asker, _) in answered {
                    if let Some((_, worker)) = self.running.iter().find(|(number, _)| *number == asker) {
                        worker.answer(&state)?;
                    }
                }
                self.done.insert(stage, state);
                Ok(())
            }
        }
    }

    /// Where a stage stopped, if a shell is wanted and it has said what it had come to.
    fn place(&mut self, stage: usize, done: usize) -> Option<Box<Place>> {
        let state = serde_json::from_str(&std::mem::take(&mut self.pieces)).ok()?;
        let begun = self.begun.iter().find(|course| course.stage == stage)?.clone();
        let course = Course { state, done, below: None, ..begun };
        Some(Box::new(Place { course, done: self.done.clone() }))
    }

    /// Ends all that still run.
    fn stop(&mut self, report: &mut dyn FnMut(Event)) {
        for (_, worker) in self.running.drain(..) {
            worker.kill();
        }
        for vertex in std::mem::take(&mut self.open) {
            report(Event::Canceled(vertex));
        }
    }
}

/// Says what a stage has come to.
fn send_state(reporter: &Reporter<Said>, state: &State) {
    // Without it there is no shell.
    let text = serde_json::to_string(state).unwrap_or_default();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE));
        reporter.send(Said::Piece(piece.to_owned()));
        rest = after;
    }
}

/// What is around a stage while the cache is looked through.
struct Looking<'a> {
    job: &'a Job<'a>,
    done: &'a BTreeMap<usize, State>,
    report: &'a mut dyn FnMut(Event),
}

impl Surroundings for Looking<'_> {
    fn stage(&mut self, number: usize) -> Result<Option<State>> {
        Ok(self.done.get(&number).cloned())
    }

    fn image(&mut self, name: &str, stage: usize) -> Result<Option<Image>> {
        self.job.image_here(name, self.job.platform_of(stage))
    }

    fn works(&self) -> bool {
        false
    }

    fn tell(&mut self, event: Event) {
        (self.report)(event);
    }
}

/// What is around a stage in its own process.
struct Inside<'a> {
    job: &'a Job<'a>,
    reporter: &'a Reporter<Said>,
    /// What stages had come to when this one began.
    done: &'a BTreeMap<usize, State>,
    /// What it has asked for since.
    heard: BTreeMap<usize, State>,
}

impl Surroundings for Inside<'_> {
    fn stage(&mut self, number: usize) -> Result<Option<State>> {
        if let Some(state) = self.done.get(&number).or_else(|| self.heard.get(&number)) {
            return Ok(Some(state.clone()));
        }
        let state: State = self.reporter.ask(Said::Stage(number))?;
        self.heard.insert(number, state.clone());
        Ok(Some(state))
    }

    fn image(&mut self, name: &str, stage: usize) -> Result<Option<Image>> {
        self.job.image(name, self.job.platform_of(stage), &mut |_| {}).map(Some)
    }

    fn works(&self) -> bool {
        true
    }

    fn tell(&mut self, event: Event) {
        self.reporter.send(Said::Event(event));
    }
}
