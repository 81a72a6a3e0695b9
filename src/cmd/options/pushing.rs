//! The progress of a push, in podman's words on standard error or in docker's on standard output.

use super::pulling::pulling;
use crate::engine::Engine;
use crate::engine::images::push::{Layer, Message, PushRequest, Pushed};
use crate::error::Result;
use crate::image::{Digest, FileLocation, Reference};
use crate::registry::{Event, PushEvent};
use crate::storage::archive::Family;
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

/// Writes a list with everything that it has to a file or a directory, with progress unless `quiet`; gives the digest of
/// its index.
///
/// # Errors
/// An image that is not to be had, a place that cannot be written, a transport that has no lists.
pub fn push_list_to_file(
    engine: Engine<'_>,
    list: &Digest,
    to: &FileLocation,
    request: &PushRequest,
    quiet: bool,
) -> Result<Digest> {
    let gathered =
        pulling(quiet, |report| engine.gather_list(list.as_str(), None, true, &request.registry, report))?;
    let pushed = pushing(quiet, Dialect::Podman, |report| {
        let digest = engine.push_list_to_file(&gathered, to)?;
        report(Message::Manifest);
        Ok(digest)
    });
    engine.release(&gathered);
    pushed
}

/// Turns messages of a push into bars and lines.
struct Show {
    quiet: bool,
    dialect: Dialect,
    /// There are no bars.
    lines: bool,
    /// They end before the progress does.
    layers: Vec<Option<(Layer, Bar)>>,
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
                if let Some(Some((_, bar))) = self.layers.get(at) {
                    bar.set(bytes);
                }
            }
            Message::Layer(PushEvent::Present(at, ..)) => {
                self.end(at, "skipped: already exists", "Layer already exists");
            }
            Message::Layer(PushEvent::Mounted(at, from)) => {
                self.end(at, &format!("skipped: mounted from {from}"), &format!("Mounted from {from}"));
            }
            Message::Layer(PushEvent::Sent(at, ..)) => self.end(at, "", "Pushed"),
            Message::Config(digest) => self.podman(&format!("Copying config {digest}")),
            Message::Manifest => self.podman("Writing manifest to image destination"),
        }
    }

    fn begin(&mut self, layers: Vec<Layer>) {
        self.podman("Getting image source signatures");
        if self.dialect == Dialect::Docker && self.lines {
            // Docker begins with the topmost one.
            for layer in layers.iter().rev() {
                self.docker(&format!("{}: Preparing", layer.diff_id.short()));
            }
        }
        let bar = |layer: Layer| {
            let name = match self.dialect {
                Dialect::Docker => format!("{}:", layer.diff_id.short()),
                Dialect::Podman => format!("Copying blob {}", layer.digest.short()),
            };
            let bar = self.progress.bar_only(&name, Some(layer.size));
            Some((layer, bar))
        };
        self.layers = layers.into_iter().map(bar).collect();
    }

    /// A layer is there: how, in both dialects.
    fn end(&mut self, at: usize, podman: &str, docker: &str) {
        let Some((layer, bar)) = self.layers.get_mut(at).and_then(Option::take) else { return };
        if !self.lines {
            return bar.finish(match (self.dialect, podman) {
                (Dialect::Docker, _) => docker,
                (Dialect::Podman, "") => "done",
                (Dialect::Podman, how) => how,
            });
        }
        self.podman(format!("Copying blob {} {podman}", layer.digest).trim_end());
        self.docker(&format!("{}: {docker}", layer.diff_id.short()));
    }

    fn podman(&self, line: &str) {
        if self.dialect == Dialect::Podman {
            self.progress.note(line);
        }
    }

    fn docker(&mut self, line: &str) {
        if self.dialect == Dialect::Docker && !self.quiet && self.written.is_ok() {
            self.written = ui::out(&format!("{line}\n"));
        }
    }
}
