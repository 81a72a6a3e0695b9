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

mod begin;
mod contexts;
mod course;
mod debug;
pub mod event;
mod export;
pub mod files;
mod graph;
mod image;
mod job;
mod key;
pub mod language;
mod metadata;
mod origin;
mod plan;
pub mod request;
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

use crate::engine::Engine;
use crate::error::Result;
use crate::host::Caller;
use crate::image::{Digest, Platform};
pub use debug::{DebugShell, Stopped};
use event::{Event, Warning};
use language::Containerfile;
use plan::Planned;
use request::{BuildRequest, LayerRequest};
pub use steps::OpenShell;
use vertices::Vertices;

/// What a build has made.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The image of each platform; none where it was not asked for one.
    pub images: Vec<(Platform, Digest)>,
    /// The index of several platforms.
    pub index: Option<Digest>,
    /// What the build checks found.
    pub warnings: Vec<Warning>,
}

/// Builds an image; `report` hears what happens.
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
    let Planned { job, courses, warnings } = plan::plan(engine, request, caller, &mut vertices)?;
    let mut built = Built { warnings, ..Built::default() };
    if request.check == request::CheckRequest::Only {
        return Ok(built);
    }
    let done = work::stages(&job, courses, &mut |event| vertices.tell(event));
    let work::Done { state, made } = match done {
        Ok(done) => done,
        Err(failure) => return Err(Stopped::of(job, failure)),
    };
    let state = match request.layers {
        LayerRequest::Each => state,
        _ => vertices.during("squashing layers", |_, _| squash::squashed(&job, state))?,
    };
    let image = vertices.during("exporting to image", |_, _| export::export(&job, state))?;
    built.images.extend(image.map(|id| (job.platform.clone(), id)));
    if request.cache.discard {
        // Nothing says any more that they are needed.
        drop(job);
        engine.store.images().discard_if_unused(&engine.store.exclusive()?, &made)?;
    }
    Ok(built)
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
