//! Copying images to other machines and users, and from them: `save` on one side, `load` on the other, and the archive
//! in a pipe between them (podman-image-scp(1)).
//!
//! Theory of operation. The side that takes the image is started first, as what it understands decides about the form
//! of the archive; then the side that has it. Both may be far. An image that is to have another name comes without
//! those that it has, so that no name there is taken from another image; it is named when it is there. What comes here
//! is named when both sides have ended well, and by the name that was asked for: the names in the archive are the other
//! side's words.

mod far;
mod named;
mod place;
mod stream;

pub use place::{Holder, Place};
pub use stream::Step;

use super::save::{save_as, tagged};
use super::tag::tag;
use crate::engine::Engine;
use crate::error::{Context, Error, Kind, Result};
use crate::failpoint;
use crate::fork::{StopSignals, Worker};
use crate::image::{Image, Reference};
use crate::storage::Store;
use crate::storage::archive::SaveFormat;
use far::{Far, Tail, Work};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use stream::{Giver, Passed, Taken, Taker, pass};

/// What is copied, and where to.
#[derive(Debug)]
pub struct Copy {
    from: Holder,
    image: String,
    to: Holder,
    /// The only name that the image gets.
    name: Option<String>,
}

impl Copy {
    /// Puts both places together. Without a destination an image comes here.
    ///
    /// # Errors
    /// `Usage` when there is nothing to copy, or nowhere to copy it.
    pub fn new(source: Place, destination: Option<Place>) -> Result<Copy> {
        let wrong = |what: &str, hint: &str| Err(Error::new(Kind::Usage, what).hint(hint));
        let Some(image) = source.image else {
            return wrong(
                "a source image must be specified",
                "Name it behind the host: coracle image scp HOST::IMAGE",
            );
        };
        if destination.is_none() && source.holder == Holder::Here {
            return wrong(
                "must specify a destination",
                "Name where the image is to go: coracle image scp IMAGE HOST::",
            );
        }
        let destination = destination.unwrap_or(Place::here());
        if source.holder == Holder::Here && destination.holder == Holder::Here {
            return wrong(
                "source and destination are the same store",
                "Give the image another name: coracle tag IMAGE NAME",
            );
        }
        let name = destination.image;
        if let Some(name) = &name {
            name.parse::<Reference>()?.as_new_name()?;
        }
        Ok(Copy { from: source.holder, image, to: destination.holder, name })
    }

    /// What is copied from where, for progress.
    pub fn label(&self) -> String {
        match (&self.from, &self.to) {
            (from, Holder::Here) => format!("Copying {} from {from}", self.image),
            (_, to) => format!("Copying {} to {to}", self.image),
        }
    }
}

/// Copies an image; gives the names, or else the id, that it has at its destination.
///
/// # Errors
/// An image that is not there; a side that cannot be reached, or fails: the message says which. Nothing is left on
/// either side then.
pub fn scp(engine: &Engine<'_>, copy: &Copy, report: &mut dyn FnMut(Step)) -> Result<Vec<String>> {
    let store = engine.store;
    let here = match copy.from {
        Holder::Here => Some(store.images().need(&copy.image)?),
        _ => None,
    };
    // An image of this store is sent with its new name.
    let name_there = copy.name.as_deref().filter(|_| here.is_none());
    let (mut taker, to, format) = take(engine, &copy.to, name_there)?;
    let (mut giver, from) = match here {
        Some(image) => {
            engine.admit_stored(&image)?;
            give(store, &image, format, copy.name.as_deref())?
        }
        None => {
            let format = if format == SaveFormat::DockerArchive { "docker-archive" } else { "oci-archive" };
            let work = Work::Save { format, image: &copy.image, nameless: copy.name.is_some() };
            let mut far = Far::start(&copy.from, &work)?;
            let from = far.output.take().ok_or_else(|| lost(&copy.from))?;
            (Giver::Far(far), from.into())
        }
    };
    let signals = StopSignals::watch().context(Kind::Host, || "watch for signals")?;
    let passed = pass((&mut giver, from), (&mut taker, to), &signals, report);
    let copied = match passed {
        Ok(Passed::Stopped) => {
            // A store of ours is left as it was; what is far hears the end of the connection.
            if matches!(taker, Taker::Own { .. }) {
                let _ = taker.finish();
            }
            Err(Error::new(Kind::Runtime, format!("the copy of {} was interrupted", copy.image)))
        }
        Ok(Passed::Refused) => taker.finish().and_then(|_| {
            giver.finish()?;
            Err(lost(&copy.to))
        }),
        // What the first has to say explains the other's complaint about half an archive.
        Ok(Passed::Whole) => giver.finish().and_then(|()| taker.finish()),
        Err(error) => Err(error),
    };
    signals.release().context(Kind::Host, || "end the watch for signals")?;
    match copied? {
        Taken::There(names) => Ok(names),
        Taken::Here(loaded) => {
            failpoint::reach("scp.loaded");
            let named = named::choose(&loaded, &copy.image, copy.name.as_deref())?;
            let (id, name) = named.ok_or_else(|| lost(&copy.from))?;
            let Some(name) = name else { return Ok(vec![id.to_string()]) };
            tag(store, id.as_str(), std::slice::from_ref(&name))?;
            Ok(vec![name.to_string()])
        }
    }
}

fn lost(holder: &Holder) -> Error {
    Error::new(Kind::Network, format!("{holder} has ended the transfer"))
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).context(Kind::Host, || "make a pipe")
}

/// Starts the side that takes the image; says where the archive goes and of which form it is to be.
fn take(engine: &Engine<'_>, holder: &Holder, name: Option<&str>) -> Result<(Taker, OwnedFd, SaveFormat)> {
    if *holder != Holder::Here {
        let mut far = Far::start(holder, &Work::Load { name })?;
        let docker = far.program == "docker";
        let format = if docker { SaveFormat::DockerArchive } else { SaveFormat::OciArchive };
        let to = far.input.take().ok_or_else(|| lost(holder))?;
        return Ok((Taker::Far { far, printed: Tail::default() }, to.into(), format));
    }
    let (from, to) = pipe()?;
    let worker = Worker::start("load", &[from.as_raw_fd()], |reporter| {
        let input = from.as_fd().try_clone_to_owned().context(Kind::Host, || "read an archive")?;
        engine.load_unnamed(File::from(input), "-", &mut |step| reporter.send(step))
    })?;
    Ok((Taker::Own { worker, loaded: None }, to, SaveFormat::OciArchive))
}

/// Starts to save an image of this store.
fn give(store: &Store, image: &Image, format: SaveFormat, name: Option<&str>) -> Result<(Giver, OwnedFd)> {
    let names = match name {
        // Docker knows no localhost/.
        Some(name) if format == SaveFormat::DockerArchive => vec![name.parse::<Reference>()?.to_string()],
        Some(name) => vec![name.parse::<Reference>()?.as_new_name()?.to_string()],
        None => tagged(image),
    };
    let (from, to) = pipe()?;
    let worker =
        Worker::start("save", &[to.as_raw_fd()], |_| save_as(store, image, names, format, to.as_fd()))?;
    drop(to);
    Ok((Giver::Own(worker), from))
}
