//! What a pull looks like on standard error.

use super::leaf::Message;
use crate::registry::Event;
use crate::ui::progress::{Bar, Progress};

/// Turns messages of the leaf into bars and lines.
#[derive(Debug)]
pub(super) struct Show<'a> {
    progress: &'a Progress,
    bars: Vec<Option<Bar>>,
    present: Vec<bool>,
}

impl<'a> Show<'a> {
    pub(super) fn new(progress: &'a Progress) -> Show<'a> {
        Show { progress, bars: Vec::new(), present: Vec::new() }
    }

    pub(super) fn message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Trying(name)) => self.progress.note(&format!("Trying to pull {name}...")),
            Message::Event(Event::Warning(text)) => self.progress.note(&format!("Warning: {text}")),
            Message::Event(Event::Waiting { why, seconds }) => {
                self.progress.note(&format!("{why}; trying again in {seconds} s"));
            }
            Message::Event(Event::Layers(layers)) => {
                self.present = vec![false; layers.len()];
                self.bars = layers
                    .iter()
                    .map(|(digest, size)| {
                        Some(self.progress.bar(&format!("Layer {}", digest.short()), Some(*size)))
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
            Message::Unpacked(at) => {
                let here = self.present.get(at).copied().unwrap_or_default();
                if let Some(bar) = self.bars.get_mut(at).and_then(Option::take) {
                    bar.finish(if here { "already here" } else { "done" });
                }
            }
        }
    }
}
