//! The progress of a pull, in podman's words on standard error or in docker's.

use super::transfer::{self, Blob};
use crate::engine::images::pull::{Message, PullPolicy};
use crate::error::Result;
use crate::registry::Event;
use crate::ui;
use crate::ui::progress::Progress;
use crate::view::Dialect;
use std::cell::OnceCell;

mod docker;

pub use docker::{Voice, status};

/// Pulls with progress on standard error, unless `quiet`.
pub fn pulling<T>(quiet: bool, work: impl FnOnce(&mut dyn FnMut(Message)) -> T) -> T {
    let mut show = Show { quiet, progress: OnceCell::new(), blobs: Vec::new(), present: Vec::new() };
    work(&mut |message| show.message(message))
}

/// As [`pulling`], for the image of a container that is about to be made: in docker's words under its name.
///
/// # Errors
/// Those of `work`.
pub fn pulling_for_container<T>(
    quiet: bool,
    policy: PullPolicy,
    work: impl FnOnce(&mut dyn FnMut(Message)) -> Result<T>,
) -> Result<T> {
    if quiet || !ui::docker() {
        return pulling(quiet, work);
    }
    let voice = Voice::Container { missing: policy == PullPolicy::Missing };
    as_docker(voice, work).map(|(made, _)| made)
}

/// Pulls with progress in docker's words. Gives besides whether a name means another image now; nothing if none was
/// pulled.
///
/// # Errors
/// Those of `work`, and that standard output is closed.
pub fn as_docker<T>(
    voice: Voice,
    work: impl FnOnce(&mut dyn FnMut(Message)) -> Result<T>,
) -> Result<(T, Option<bool>)> {
    let mut show = docker::Show::new(voice);
    let done = work(&mut |message| show.message(message))?;
    show.end().map(|newer| (done, newer))
}

/// Turns messages of a pull into bars and lines.
#[derive(Debug)]
struct Show {
    quiet: bool,
    /// They end before the progress does.
    blobs: Vec<Option<Blob>>,
    /// Made with the first message: an image that is here shows nothing.
    progress: OnceCell<Progress>,
    present: Vec<bool>,
}

impl Show {
    fn progress(&self) -> &Progress {
        self.progress.get_or_init(|| Progress::new(self.quiet))
    }

    fn message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Resolved(how)) => self.progress().note(&how),
            Message::Event(Event::Trying(name)) => self.progress().note(&format!("Trying to pull {name}...")),
            Message::Event(Event::Warning(text)) => self.progress().note(&format!("Warning: {text}")),
            Message::Event(Event::Waiting { why, seconds }) => {
                self.progress().note(&format!("{why}; trying again in {seconds} s"));
            }
            Message::Event(Event::Layers(layers)) => {
                transfer::begin(self.progress());
                self.present = vec![false; layers.len()];
                let blob = |(digest, size): &(_, u64)| Some(Blob::new(self.progress(), digest, *size));
                self.blobs = layers.iter().map(blob).collect();
            }
            Message::Event(Event::Present(at)) => {
                if let Some(present) = self.present.get_mut(at) {
                    *present = true;
                }
            }
            Message::Event(Event::Progress(at, bytes)) => {
                if let Some(Some(blob)) = self.blobs.get(at) {
                    blob.bar().set(bytes);
                }
            }
            Message::Event(Event::Downloaded(at)) => {
                if let Some(Some(blob)) = self.blobs.get(at) {
                    blob.bar().doing("unpacking");
                }
            }
            Message::Recorded { config, .. } => {
                transfer::config(self.progress(), &config);
                transfer::manifest(self.progress());
            }
            Message::Loading(step) => transfer::loading(self.progress(), Dialect::Podman, &step),
            Message::Unpacked(at) => {
                let here = self.present.get(at).copied().unwrap_or_default();
                if let Some(blob) = self.blobs.get_mut(at).and_then(Option::take) {
                    blob.end(self.progress(), here.then_some(transfer::PRESENT));
                }
            }
        }
    }
}
