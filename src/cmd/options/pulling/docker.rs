//! The progress of a pull in docker's words: lines where there is no terminal, else bars with them around.

use crate::cmd::options::transfer::loading;
use crate::engine::images::pull::Message;
use crate::error::Result;
use crate::image::{Digest, Reference};
use crate::registry::Event;
use crate::ui;
use crate::ui::progress::{Bar, Progress};
use crate::view::Dialect;

/// What is said, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// `pull`: on standard output.
    Pull,
    /// `pull --all-tags`, which sums up itself: on standard output.
    Tag,
    /// `run` and `create`: on standard error, as standard output is the container's.
    Container {
        /// Whether the image is pulled because it is not here.
        missing: bool,
    },
}

/// Turns messages of a pull into docker's lines.
pub(super) struct Show {
    voice: Voice,
    /// It ends after the bars.
    layers: Vec<Layer>,
    progress: Option<Progress>,
    /// The name that is tried.
    name: Option<Reference>,
    /// Layers that are here and were not told of yet. Docker does not speak of them if the whole image is here.
    present: Vec<usize>,
    /// Whether something was transferred, so that the image is a new one.
    begun: bool,
    /// Whether a name means another image now, once something was pulled.
    newer: Option<bool>,
    /// Whether standard output takes what is written.
    written: Result<()>,
}

struct Layer {
    digest: Digest,
    bar: Option<Bar>,
    /// Whether it was told of.
    told: bool,
}

impl Show {
    /// Shows a pull that has not begun.
    pub(super) fn new(voice: Voice) -> Self {
        Show {
            voice,
            layers: Vec::new(),
            progress: None,
            name: None,
            present: Vec::new(),
            begun: false,
            newer: None,
            written: Ok(()),
        }
    }

    /// Whether a name means another image now; nothing if none was pulled.
    ///
    /// # Errors
    /// Standard output could not be written.
    pub(super) fn end(self) -> Result<Option<bool>> {
        self.written.map(|()| self.newer)
    }

    /// Shows one message.
    pub(super) fn message(&mut self, message: Message) {
        match message {
            Message::Event(Event::Resolved(how)) => self.note(&how),
            Message::Event(Event::Trying(name)) => self.trying(name),
            Message::Event(Event::Warning(text)) => self.note(&format!("Warning: {text}")),
            Message::Event(Event::Waiting { why, seconds }) => {
                self.note(&format!("{why}; trying again in {seconds} s"));
            }
            Message::Event(Event::Layers(layers)) => self.begin(layers),
            Message::Event(Event::Present(at)) if self.begun => self.present_layer(at),
            Message::Event(Event::Present(at)) => self.present.push(at),
            Message::Event(Event::Progress(at, bytes)) => {
                self.transferred(at);
                if let Some(bar) = self.layers.get(at).and_then(|layer| layer.bar.as_ref()) {
                    bar.set(bytes);
                }
            }
            Message::Event(Event::Downloaded(at)) => {
                self.transferred(at);
                self.layer_line(at, "Download complete");
                if let Some(bar) = self.layers.get(at).and_then(|layer| layer.bar.as_ref()) {
                    bar.doing("unpacking");
                }
            }
            Message::Unpacked(at) => {
                if self.present.contains(&at) {
                    return;
                }
                self.layer_line(at, "Pull complete");
                self.finish(at, "Pull complete");
            }
            Message::Recorded { name, digest, newer, .. } => self.recorded(&name, &digest, newer),
            Message::Loading(step) => loading(self.progress(), Dialect::Docker, &step),
        }
    }

    fn trying(&mut self, name: Reference) {
        if self.voice == (Voice::Container { missing: true }) && self.name.is_none() {
            self.line(&format!("Unable to find image '{}' locally", Dialect::Docker.image_name(&name)));
        }
        self.name = Some(name);
    }

    fn begin(&mut self, layers: Vec<(Digest, u64)>) {
        // A mirror that failed may have begun before.
        self.layers.clear();
        self.present.clear();
        self.begun = false;
        if let Some(name) = self.name.clone() {
            self.line(&format!("{}: Pulling from {}", name.asked_for(), name.path()));
        }
        let progress = self.progress.get_or_insert_with(|| Progress::new(false));
        self.layers = layers
            .into_iter()
            .map(|(digest, size)| {
                let bar = progress.bar_only(&format!("{}:", digest.short()), Some(size));
                Layer { digest, bar: Some(bar), told: false }
            })
            .collect();
    }

    /// A layer's bytes come, so that the image is not here.
    fn transferred(&mut self, at: usize) {
        self.tell_present();
        if let Some(layer) = self.layers.get_mut(at)
            && !std::mem::replace(&mut layer.told, true)
        {
            self.layer_line(at, "Pulling fs layer");
        }
    }

    fn tell_present(&mut self) {
        self.begun = true;
        let mut present = std::mem::take(&mut self.present);
        present.sort_unstable();
        for at in present {
            self.present_layer(at);
        }
    }

    fn present_layer(&mut self, at: usize) {
        self.layer_line(at, "Already exists");
        self.finish(at, "Already exists");
    }

    fn recorded(&mut self, name: &Reference, digest: &Digest, newer: bool) {
        self.newer = Some(newer || self.newer == Some(true));
        if newer {
            self.tell_present();
        }
        // What comes next is below the bars.
        self.layers.clear();
        self.progress = None;
        self.line(&format!("Digest: {digest}"));
        if self.voice != Voice::Tag {
            self.line(&status(&Dialect::Docker.image_name(name), newer));
        }
        if self.voice == Voice::Pull {
            self.line(&name.canonical());
        }
    }

    /// A layer's bar ends.
    fn finish(&mut self, at: usize, how: &str) {
        if let Some(bar) = self.layers.get_mut(at).and_then(|layer| layer.bar.take()) {
            bar.finish(how);
        }
    }

    /// A line about a layer, which has a bar on a terminal.
    fn layer_line(&mut self, at: usize, what: &str) {
        let bars = self.progress.as_ref().is_some_and(Progress::has_bars);
        let Some(layer) = self.layers.get(at).filter(|layer| !bars && layer.bar.is_some()) else { return };
        let line = format!("{}: {what}", layer.digest.short());
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        match self.voice {
            Voice::Container { .. } => self.note(line),
            Voice::Pull | Voice::Tag if self.written.is_ok() => self.written = ui::out(&format!("{line}\n")),
            Voice::Pull | Voice::Tag => {}
        }
    }

    fn note(&mut self, line: &str) {
        self.progress().note(line);
    }

    fn progress(&mut self) -> &Progress {
        self.progress.get_or_insert_with(|| Progress::new(false))
    }
}

/// The line that says how a pull ended for a name.
pub fn status(name: &str, newer: bool) -> String {
    match newer {
        true => format!("Status: Downloaded newer image for {name}"),
        false => format!("Status: Image is up to date for {name}"),
    }
}
