//! Building images from Containerfiles.
//!
//! Front ends call this room as they call the engine: with a typed request and a callback for what is to be
//! shown. Nothing here uses command line options, standard streams, the current directory or exit codes.
//!
//! ```text
//! text of a Containerfile
//!   -> language::parse        a Containerfile: stages of instructions, words not expanded yet
//!   -> graph                  the stages that the target needs, and what each needs of others
//!   -> course                 goes through a stage: expands words, asks the cache for each step
//!   -> work                   one process per stage works off what the cache lacks
//!        steps                RUN as a container of ours; COPY, ADD and WORKDIR on a mounted root
//!        files                what is selected, its digest, writing it
//!        sources              contexts and files from elsewhere: archives, git, http
//!   -> image                  configuration and manifest over layers that are in the store already
//!   -> export                 what becomes of it: an image, files, an archive
//! ```

mod agents;
mod begin;
mod built;
mod contexts;
mod course;
mod debug;
mod elsewhere;
pub mod event;
mod export;
pub mod files;
mod found;
mod graph;
mod image;
mod job;
mod key;
pub mod language;
mod metadata;
mod namespace;
mod origin;
mod plan;
mod publish;
pub mod request;
mod results;
mod scope;
mod selected;
pub mod sources;
mod squash;
mod state;
mod steps;
mod surroundings;
mod vertices;
mod wanted;
mod work;

use crate::engine::{Engine, containers, lists};
use crate::error::Result;
use crate::host::Caller;
use crate::image::Platform;
pub use built::Built;
pub use debug::{DebugShell, Stopped};
use event::Event;
use language::Containerfile;
use plan::Planned;
use request::{BuildRequest, LayerRequest};
pub use steps::OpenShell;
use vertices::Vertices;

/// Builds an image, or one for each platform; `report` hears what happens.
///
/// # Errors
/// Anything that is wrong with the request or the Containerfile, before anything changes; a step that fails.
pub fn build<'a>(
    engine: Engine<'a>,
    request: &'a BuildRequest,
    caller: &'a Caller,
    report: &mut dyn FnMut(Event),
) -> Result<Built, Stopped<'a>> {
    let mut vertices = Vertices::new(report);
    plan::supported(request)?;
    elsewhere::writable(engine, request)?;
    if let Some(name) = &request.list {
        lists::may_be(engine.store, name)?;
    }
    let mut planned = Vec::new();
    let read = plan::read(engine, request, caller, &mut vertices)?;
    for platform in platforms(request) {
        planned.push(plan::plan(engine, request, caller, platform, &read, &mut vertices)?);
    }
    // Who builds has what it needs of it.
    drop(read);
    let warnings = planned.first_mut().map(|first| std::mem::take(&mut first.warnings));
    let mut built = Built { warnings: warnings.unwrap_or_default(), ..Built::default() };
    if request.check == request::CheckRequest::Only {
        return Ok(built);
    }
    let (mut results, mut layers, mut keys, mut least) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Planned { job, courses, .. } in planned {
        if !request.cache.from.is_empty() {
            vertices.during("importing cache", |_, _| {
                elsewhere::look(&job);
                Ok(())
            })?;
        }
        let work::Done { state, made, steps } =
            match work::stages(&job, courses, &mut |event| vertices.tell(event)) {
                Ok(done) => done,
                Err(failure) => {
                    // What the step had written.
                    containers::tidy(engine.store);
                    return Err(Stopped::of(job, failure));
                }
            };
        least.extend(state.steps.iter().cloned());
        let state = match request.layers {
            LayerRequest::Each => state,
            _ => vertices.during("squashing layers", |_, _| squash::squashed(&job, state))?,
        };
        layers.extend(made);
        keys.extend(steps);
        results.push((job, state));
    }
    // They were built in another order.
    results.sort_by_key(|(job, _)| request.platforms.iter().position(|platform| *platform == job.platform));
    vertices.during("exporting to image", |vertex, report| {
        // What has no total goes on.
        let mut told = |what: String, over: bool| {
            report(Event::Progress { vertex, what, current: 0, total: over.then_some(0) });
        };
        told("exporting layers".to_owned(), true);
        export::export(request, &mut results, &mut built, &mut told)?;
        let mut done = |what: String| told(what, true);
        built.images.iter().for_each(|(_, id)| done(format!("writing image {id}")));
        request.names.iter().chain(&request.list).for_each(|name| done(format!("naming to {name}")));
        Ok(())
    })?;
    if let Some((job, _)) = results.first()
        && !request.cache.to.is_empty()
    {
        vertices.during("exporting cache", |_, _| elsewhere::export(job, &keys, &least))?;
    }
    if request.cache.discard {
        // Nothing says any more that they are needed.
        drop(results);
        engine.store.images().discard_if_unused(&engine.store.exclusive()?, &layers)?;
    }
    Ok(built)
}

/// The platforms that are built for. The store has one image for each name, that of the platform which was pulled last:
/// this machine's comes last, and so keeps the names of base images.
fn platforms(request: &BuildRequest) -> Vec<Platform> {
    let host = Platform::host();
    let mut platforms = request.platforms.clone();
    platforms.sort_by_key(|platform| *platform == host);
    if platforms.is_empty() { vec![host] } else { platforms }
}

/// Reads the Containerfile of a build, and builds nothing.
///
/// # Errors
/// A context or a file that cannot be read, or is wrong.
pub fn read(
    engine: Engine<'_>,
    request: &BuildRequest,
    caller: &Caller,
    report: &mut dyn FnMut(Event),
) -> Result<Containerfile> {
    let mut vertices = Vertices::new(report);
    plan::read(engine, request, caller, &mut vertices).map(|read| read.file)
}
