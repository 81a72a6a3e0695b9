//! The stages that the target needs, each at its beginning: their base images are pulled, what those leave to be done is
//! put before their own instructions, and each step gets its vertex.

use super::course::Course;
use super::event::{Event, VertexId};
use super::graph::Origin;
use super::job::Job;
use super::language::{self, Does, Instruction, Word};
use super::request::BuildRequest;
use super::state::State;
use super::vertices::{self, Vertices};
use crate::engine::images::pull::Message;
use crate::error::Result;
use crate::image::{Image, Platform, Reference};
use crate::registry::Event as pull;
use crate::storage::archive;
use std::collections::HashMap;

/// Base images, by name and by the platform that a stage asks for.
type Images = HashMap<(String, Option<Platform>), Image>;

/// A stage, before its vertices are declared.
struct Begun {
    number: usize,
    state: State,
    below: Option<usize>,
    /// Those that its base leaves to it.
    triggers: Vec<Instruction>,
}

/// The stages that the target needs, in order. What bases leave to be done may need more of them.
///
/// # Errors
/// An image that cannot be had; an instruction of a base image that is none.
pub(super) fn courses(job: &mut Job<'_>, vertices: &mut Vertices<'_>) -> Result<Vec<Course>> {
    let mut images = Images::new();
    loop {
        pull_bases(job, &mut images, vertices)?;
        let mut news = false;
        let mut begun = Vec::new();
        for number in job.graph.needed() {
            let stage = begin(job, number, &images)?;
            news |= job.graph.needs_also(number, &stage.triggers);
            begun.push(stage);
        }
        if !news {
            return Ok(begun.into_iter().map(|stage| course(job, stage, &images, vertices)).collect());
        }
    }
}

/// Gets the base images of the stages that are needed.
fn pull_bases(job: &Job<'_>, images: &mut Images, vertices: &mut Vertices<'_>) -> Result<()> {
    for number in job.graph.needed() {
        let node = &job.graph.nodes[number];
        let Some(name) = base_name(job, &node.origin) else { continue };
        let of_stage = node.platform.as_ref();
        let key = (name.to_owned(), of_stage.cloned());
        if images.contains_key(&key) {
            continue;
        }
        let what = format!("[internal] load metadata for {}", shown(job, name));
        let image = vertices.during(what, |vertex, report| {
            job.image(name, of_stage, &mut |message| {
                if let Some(event) = pull_event(vertex, message) {
                    report(event);
                }
            })
            .map_err(|e| job.at_word(job.file.stages[number].at, &job.file.stages[number].base.0, e))
        })?;
        images.insert(key, image);
    }
    Ok(())
}

/// The name of the image that a stage starts from, if it starts from one.
fn base_name<'j>(job: &'j Job<'_>, origin: &'j Origin) -> Option<&'j str> {
    match origin {
        Origin::Image(name) => Some(name),
        Origin::Context(name) => job.contexts.image_of(name),
        Origin::Scratch | Origin::Stage(_) => None,
    }
}

fn begin(job: &Job<'_>, number: usize, images: &Images) -> Result<Begun> {
    let (stage, node) = (&job.file.stages[number], &job.graph.nodes[number]);
    let image = |name: &str| images.get(&(name.to_owned(), node.platform.clone())).map(State::of_image);
    let platform = node.platform.as_ref().unwrap_or(&job.platform);
    let found = match &node.origin {
        Origin::Scratch => Some(State::scratch(platform)),
        Origin::Stage(below) => {
            let mut triggers = own_triggers(job, &job.file.stages[*below].instructions)?;
            with_mounts(&mut triggers, job.request);
            let state = State::scratch(&job.platform);
            return Ok(Begun { number, state, below: Some(*below), triggers });
        }
        origin @ (Origin::Context(_) | Origin::Image(_)) => base_name(job, origin).and_then(image),
    };
    let no_image =
        || job.fault(stage.at, "a build context of files is no image, so no stage can start from it");
    let mut state = found.ok_or_else(no_image)?;
    if job.request.changes.forget_labels {
        state.config.config.labels.clear();
    }
    state.default_path();
    let asked = std::mem::take(&mut state.config.config.on_build);
    let mut triggers =
        asked.iter().map(|line| language::parse_trigger(line, stage.at)).collect::<Result<Vec<_>>>()?;
    with_mounts(&mut triggers, job.request);
    Ok(Begun { number, state, below: None, triggers })
}

/// Gives each RUN the mounts of the request.
pub(super) fn with_mounts(instructions: &mut [Instruction], request: &BuildRequest) {
    for instruction in instructions {
        if let Does::Run(run) = &mut instruction.does {
            run.mounts.extend(request.run.step_mounts.iter().cloned().map(Word));
        }
    }
}

/// The instructions that a stage leaves to those that start from it.
fn own_triggers(job: &Job<'_>, instructions: &[Instruction]) -> Result<Vec<Instruction>> {
    let mut triggers = Vec::new();
    for instruction in instructions {
        if let Does::OnBuild(line) = &instruction.does {
            let trigger = language::parse_trigger(line, instruction.at);
            triggers.push(trigger.map_err(|e| job.at(instruction.at, e))?);
        }
    }
    Ok(triggers)
}

/// An image's name with everything that it stands for.
fn shown(job: &Job<'_>, name: &str) -> String {
    let here = job.store().images().find(name).ok().flatten().and_then(|image| image.reference);
    let reference = here.or_else(|| name.parse::<Reference>().ok());
    reference.map_or_else(|| name.to_owned(), |reference| reference.canonical())
}

fn course(job: &Job<'_>, begun: Begun, images: &Images, vertices: &mut Vertices<'_>) -> Course {
    let Begun { number, state, below, triggers: mut instructions } = begun;
    let stage = &job.file.stages[number];
    instructions.extend(stage.instructions.iter().cloned());
    let called = match (&stage.name, job.file.stages.len()) {
        (Some(name), _) => name.clone(),
        (None, 1) => String::new(),
        (None, _) => format!("stage-{number}"),
    };
    let called = match &job.label {
        Some(label) if called.is_empty() => label.clone(),
        Some(label) => format!("{label} {called}"),
        None => called,
    };
    let from = base_name(job, &job.graph.nodes[number].origin);
    let platform = job.graph.nodes[number].platform.clone();
    let named = |name: &str| {
        let image = images.get(&(name.to_owned(), platform.clone()))?;
        image.reference.as_ref().map(Reference::canonical)
    };
    let from = from.map(|name| named(name).unwrap_or_else(|| name.to_owned()));
    let (first, names) = vertices::names(&called, from.as_deref(), &instructions);
    if let Some(first) = first {
        let from = vertices.declare(first);
        vertices.tell(Event::Started(from));
        vertices.tell(Event::Done(from));
    }
    let vertices: Vec<Option<VertexId>> =
        names.into_iter().map(|name| name.map(|name| vertices.declare(name))).collect();
    let cache = &job.request.cache;
    let named = |name: &String| stage.name.as_ref() == Some(&name.to_ascii_lowercase());
    let cached = !cache.ignore && !cache.ignore_stages.iter().any(named);
    Course { stage: number, state, below, instructions, vertices, done: 0, cached }
}

/// What is shown of a pull.
fn pull_event(vertex: VertexId, message: Message) -> Option<Event> {
    let progress = |what: String, current, total| Some(Event::Progress { vertex, what, current, total });
    match message {
        Message::Event(pull::Trying(reference)) => progress(format!("resolve {reference}"), 0, None),
        Message::Event(pull::Waiting { why, seconds }) => {
            progress(format!("{why}; trying again in {seconds} seconds"), 0, None)
        }
        Message::Event(pull::Progress(layer, bytes)) => progress(format!("layer {}", layer + 1), bytes, None),
        Message::Unpacked(layer) => progress(format!("layer {} unpacked", layer + 1), 1, Some(1)),
        Message::Loading(archive::Progress::Layer(id)) => progress(format!("loading {id}"), 0, None),
        Message::Event(_) | Message::Recorded { .. } | Message::Loading(_) => None,
    }
}
