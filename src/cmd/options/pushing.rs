//! The progress of a push, in podman's words on standard error or in docker's on standard output.

use super::pulling::pulling;
use super::transfer::{self, Blob};
use crate::engine::Engine;
use crate::engine::images::push::{Layer, Message, PushRequest, Pushed};
use crate::error::Result;
use crate::image::{Digest, FileLocation, Reference};
use crate::registry::{Event, PushEvent};
use crate::storage::archive::{Family, OutgoingForm};
use crate::ui;
use crate::ui::progress::{Bar, Progress};
use crate::view::Dialect;

/// Pushes with progress, unless `quiet`.
///
/// # Errors
/// Those of `work`, and that standard output is closed.
pub fn pushing<T>(
    quiet: bool,
    dialect: Dialect,
    work: impl FnOnce(&mut dyn FnMut(Message)) -> Result<T>,
) -> Result<T> {
    let progress = Progress::new(quiet);
    let mut show =
        Show { quiet, dialect, lines: !progress.has_bars(), progress, layers: Vec::new(), written: Ok(()) };
    let done = work(&mut |message| show.message(message))?;
    show.written?;
    Ok(done)
}

/// A list to be pushed.
#[derive(Debug)]
pub struct PushList<'a> {
    /// Its id.
    pub list: &'a Digest,
    /// Where it goes; with a registry.
    pub to: &'a Reference,
    /// Whether its images go too; else they are there.
    pub images: bool,
    /// The form that the list gets, if not that which it has.
    pub family: Option<Family>,
}

/// Pushes a list with progress, unless `quiet`.
///
/// # Errors
/// An image that is not to be had, a registry that refuses, and that standard output is closed.
pub fn push_list(
    engine: Engine<'_>,
    wanted: &PushList<'_>,
    request: &PushRequest,
    quiet: bool,
    dialect: Dialect,
) -> Result<Pushed> {
    let gathered = pulling(quiet || dialect == Dialect::Docker, |report| {
        engine.gather_list(wanted.list.as_str(), Some(wanted.to), wanted.images, &request.registry, report)
    })?;
    let pushed = pushing(quiet, dialect, |report| {
        engine.push_list(&gathered, wanted.to, request, wanted.family, report)
    });
    engine.release(&gathered);
    pushed
}

/// Writes a list with everything that it has to a file or a directory, its layers in a form if one is given, with
/// progress unless `quiet`; gives the digest of
/// its index.
///
/// # Errors
/// An image that is not to be had, a place that cannot be written, a transport that has no lists.
pub fn push_list_to_file(
    engine: Engine<'_>,
    list: &Digest,
    to: &FileLocation,
    (request, form): (&PushRequest, Option<OutgoingForm>),
    quiet: bool,
) -> Result<Digest> {
    let gathered =
        pulling(quiet, |report| engine.gather_list(list.as_str(), None, true, &request.registry, report))?;
    let pushed = pushing(quiet, Dialect::Podman, |report| {
        let digest = engine.push_list_to_file(&gathered, to, form)?;
        report(Message::Manifest);
        Ok(digest)
    });
    engine.release(&gathered);
    pushed
}

/// A layer on its way.
enum Way {
    Podman(Blob),
    /// Which one, and its bar.
    Docker(Digest, Bar),
}

impl Way {
    fn bar(&self) -> &Bar {
        match self {
            Way::Podman(blob) => blob.bar(),
            Way::Docker(_, bar) => bar,
        }
    }
}

/// Turns messages of a push into bars and lines.
struct Show {
    quiet: bool,
    dialect: Dialect,
    /// There are no bars.
    lines: bool,
    /// They end before the progress does.
    layers: Vec<Option<Way>>,
    progress: Progress,
    /// Whether standard output takes what is written.
    written: Result<()>,
}

impl Show {
    fn message(&mut self, message: Message) {
        match message {
            Message::Layers(layers) => self.begin(layers),
            Message::Layer(PushEvent::Session(Event::Warning(text))) => {
                self.progress.note(&format!("Warning: {text}"));
            }
            Message::Layer(PushEvent::Session(Event::Waiting { why, seconds })) => {
                self.progress.note(&format!("{why}; trying again in {seconds} s"));
            }
            Message::Layer(PushEvent::Session(_)) => {}
            Message::Layer(PushEvent::Progress(at, bytes)) => {
                if let Some(Some(way)) = self.layers.get(at) {
                    way.bar().set(bytes);
                }
            }
            Message::Layer(PushEvent::Present(at, ..)) => {
                self.end(at, Some(transfer::PRESENT), "Layer already exists");
            }
            Message::Layer(PushEvent::Mounted(at, from)) => {
                let how = format!("skipped: mounted from {from}");
                self.end(at, Some(&how), &format!("Mounted from {from}"));
            }
            Message::Layer(PushEvent::Sent(at, ..)) => self.end(at, None, "Pushed"),
            Message::Config(digest) if self.dialect == Dialect::Podman => {
                transfer::config(&self.progress, &digest)
            }
            Message::Manifest if self.dialect == Dialect::Podman => transfer::manifest(&self.progress),
            Message::Config(_) | Message::Manifest => {}
        }
    }

    fn begin(&mut self, layers: Vec<Layer>) {
        match self.dialect {
            Dialect::Podman => transfer::begin(&self.progress),
            // Docker begins with the topmost one.
            Dialect::Docker if self.lines => {
                for layer in layers.iter().rev() {
                    self.docker(&format!("{}: Preparing", layer.diff_id.short()));
                }
            }
            Dialect::Docker => {}
        }
        let bar = |layer: Layer| {
            let bar = match self.dialect {
                Dialect::Podman => Way::Podman(Blob::new(&self.progress, &layer.digest, layer.size)),
                Dialect::Docker => {
                    let name = format!("{}:", layer.diff_id.short());
                    Way::Docker(layer.diff_id, self.progress.bar_only(&name, Some(layer.size)))
                }
            };
            Some(bar)
        };
        self.layers = layers.into_iter().map(bar).collect();
    }

    /// A layer is there: how, in both dialects.
    fn end(&mut self, at: usize, podman: Option<&str>, docker: &str) {
        match self.layers.get_mut(at).and_then(Option::take) {
            Some(Way::Podman(blob)) => blob.end(&self.progress, podman),
            Some(Way::Docker(layer, bar)) => {
                bar.finish(docker);
                if self.lines {
                    self.docker(&format!("{}: {docker}", layer.short()));
                }
            }
            None => {}
        }
    }

    fn docker(&mut self, line: &str) {
        if self.dialect == Dialect::Docker && !self.quiet && self.written.is_ok() {
            self.written = ui::out(&format!("{line}\n"));
        }
    }
}
