//! Pushing what was built.

use super::built::Built;
use super::job::Job;
use super::request::BuildRequest;
use super::state::State;
use crate::engine::images::push::{Message, PushRequest};
use crate::error::Result;
use crate::image::{Digest, Image, Platform, Reference};
use crate::registry::{Event, PushEvent};
use crate::storage::archive::{Descriptor, OutgoingForm, index_of};

/// Pushes the images, which are recorded, to these names; of several platforms with an index. `told` hears what
/// begins, and with true what is over.
///
/// # Errors
/// A registry that refuses. The images stay.
pub(super) fn publish(
    request: &BuildRequest,
    results: &[(Job<'_>, State)],
    built: &mut Built,
    (names, form): (&[Reference], OutgoingForm),
    told: &mut dyn FnMut(String, bool),
) -> Result<()> {
    let Some((first, _)) = results.first() else { return Ok(()) };
    let engine = first.engine;
    // In the order in which the platforms were asked for.
    let mut images: Vec<(&Platform, Image)> = Vec::new();
    for (job, _) in results {
        let id: Option<&Digest> = built.images.iter().find(|(of, _)| *of == job.platform).map(|(_, id)| id);
        if let Some(id) = id {
            images.push((&job.platform, engine.store.images().need(id.as_str())?));
        }
    }
    let (platforms, images): (Vec<&Platform>, Vec<Image>) = images.into_iter().unzip();
    let push = PushRequest { registry: request.registry.clone(), form };
    let index = |entries: &[Descriptor]| {
        let entries = platforms.iter().copied().cloned().zip(entries.iter().cloned());
        index_of(entries, &request.changes.index_annotations)
    };
    for name in names {
        let layers = format!("pushing layers for {name}");
        told(layers.clone(), false);
        let mut report = |message| {
            if let Message::Layer(PushEvent::Session(event)) = message {
                match event {
                    Event::Warning(text) => told(format!("warning: {text}"), true),
                    Event::Waiting { why, seconds } => {
                        told(format!("{why}; trying again in {seconds} s"), true)
                    }
                    _ => {}
                }
            }
        };
        let pushed = match images.as_slice() {
            [image] => engine.push(image, name, &push, &mut report)?,
            images => engine.push_index(images, &index, name, &push, &mut report)?,
        };
        told(layers, true);
        told(format!("pushing manifest for {name}@{}", pushed.digest), true);
        if let Some(list) = &built.list
            && let Err(e) = engine.store.images().note_pushed_list(list, &pushed.reference, &pushed.digest)
        {
            log::warn!("the list was pushed, and that could not be noted: {}", e.in_one_line());
        }
        built.pushed = Some(pushed.digest);
    }
    Ok(())
}
