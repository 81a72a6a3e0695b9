//! The progress of a pull on standard error.

use crate::engine::images::pull::Message;
use crate::registry::Event;
use crate::storage::archive::Progress as Loading;
use crate::ui::progress::{Bar, Progress};
use std::cell::OnceCell;

/// Pulls with progress on standard error, unless `quiet`.
pub fn pulling<T>(quiet: bool, work: impl FnOnce(&mut dyn FnMut(Message)) -> T) -> T {
    let mut show = Show { quiet, progress: OnceCell::new(), bars: Vec::new(), present: Vec::new() };
    work(&mut |message| show.message(message))
}

/// Turns messages of a pull into bars and lines.
#[derive(Debug)]
struct Show {
    quiet: bool,
    /// They end before the progress does.
    bars: Vec<Option<Bar>>,
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
                self.present = vec![false; layers.len()];
                self.bars = layers
                    .iter()
                    .map(|(digest, size)| {
                        Some(self.progress().bar(&format!("Layer {}", digest.short()), Some(*size)))
                    })
                    .collect();
            }
            Message::Event(Event::Present(at)) => {
                if let Some(present) = self.present.get_mut(at) {
                    *present = true;
                }
            }
            Message::Event(Event::Progress(at, bytes)) => {
                if let Some(Some(bar)) = self.bars.get(at) {
                    bar.set(bytes);
                }
            }
            Message::Event(Event::Downloaded(at)) => {
                if let Some(Some(bar)) = self.bars.get(at) {
                    bar.doing("unpacking");
                }
            }
            Message::Loading(step) => self.progress().note(&loading(&step)),
            Message::Unpacked(at) => {
                let here = self.present.get(at).copied().unwrap_or_default();
                if let Some(bar) = self.bars.get_mut(at).and_then(Option::take) {
                    bar.finish(if here { "already here" } else { "done" });
                }
            }
        }
    }
}

/// A line about an image that comes from an archive.
pub fn loading(step: &Loading) -> String {
    match step {
        Loading::Layer(id) => format!("Copying layer {}", id.short()),
        Loading::Present(id) => format!("Layer {} is already here", id.short()),
        Loading::Image(id) => format!("Image {} is complete", id.short()),
    }
}
