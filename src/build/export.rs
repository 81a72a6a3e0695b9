//! What becomes of the result: an image, its files in a directory or an archive, an image archive.

use super::image;
use super::job::Job;
use super::metadata::apply_changes;
use super::request::{Destination, Output};
use super::selected::Stack;
use super::state::State;
use crate::engine::images::enter;
use crate::engine::images::remove;
use crate::engine::images::save::{SaveRequest, Target, save};
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::{ChainId, Digest};
use crate::runtime::root::own_mounts;
use crate::storage::archive::{SaveFormat, to_file};
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::extract::{Extract, Owner, extract};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;

/// Does with the result what the request says; gives the image's id, where there is one.
///
/// # Errors
/// When it cannot be written.
pub(super) fn export(job: &Job<'_>, mut state: State) -> Result<Option<Digest>> {
    apply_changes(&mut state, &job.request.changes);
    let outputs = match job.request.outputs.as_slice() {
        [] => &[Output::Image],
        outputs => outputs,
    };
    let mut image = None;
    for output in outputs {
        match output {
            Output::Image => image = Some(image::record(job, &state, &job.request.names)?),
            Output::Local(dir) => into_directory(job, &state, dir)?,
            Output::Tar(to) => into_archive(job, &state, to)?,
            Output::Oci { to, directory } => {
                let format = if *directory { SaveFormat::OciDir } else { SaveFormat::OciArchive };
                image = Some(saved(job, &state, format, to)?);
            }
            Output::Docker(to) => image = Some(saved(job, &state, SaveFormat::DockerArchive, to)?),
            Output::Nothing => {}
        }
    }
    Ok(image)
}

/// Saves the image as an archive. It stays in the store only if it was there before.
fn saved(job: &Job<'_>, state: &State, format: SaveFormat, to: &Destination) -> Result<Digest> {
    let store = job.store();
    let before: Vec<Digest> = store.images().list()?.into_iter().map(|listed| listed.image.id).collect();
    let id = image::record(job, state, &[])?;
    let new = !before.contains(&id);
    let names: Vec<String> =
        std::iter::once(id.to_string()).chain(job.request.names.iter().map(ToString::to_string)).collect();
    let request = SaveRequest { images: &names, each: false, format, compress: false };
    let done = match to {
        Destination::File(path) => save(store, &request, Target::Path(path)),
        Destination::Stream(stream) => save(store, &request, Target::Stream(stream.0.as_fd())),
    };
    if new {
        remove::forget(store, id.as_str())?;
    }
    done.map(|()| id)
}

/// Writes the files as an archive.
fn into_archive(job: &Job<'_>, state: &State, to: &Destination) -> Result<()> {
    let write = |out: &File| {
        on_files(job, &state.chain(), out, |root, out| {
            let mut packer =
                Packer::new(out, Options { one_mount: true, to_file: true, ..Options::default() });
            packer.tree(root.as_fd(), b"")?;
            packer.finish().map(drop)
        })
    };
    match to {
        Destination::File(path) => to_file(path, write),
        Destination::Stream(stream) => {
            let out = stream.0.try_clone().context(Kind::Host, || "write an archive")?;
            write(&File::from(out))
        }
    }
}

/// Copies the files to a directory, which is made; they belong to the caller.
fn into_directory(job: &Job<'_>, state: &State, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).context(Kind::Usage, || format!("create {}", dir.display()))?;
    let into = File::open(dir).context(Kind::Usage, || format!("open {}", dir.display()))?;
    on_files(job, &state.chain(), &into, |root, into| {
        let (from, to) = std::io::pipe().context(Kind::Host, || "make a pipe")?;
        let packing = thread::spawn(move || {
            let mut packer = Packer::new(to, Options { one_mount: true, ..Options::default() });
            packer.tree(root.as_fd(), b"")?;
            packer.finish().and_then(|(mut to, _)| to.flush().context(Kind::Host, || "write to a pipe"))
        });
        let how = Extract {
            owner: Owner::Caller,
            overwrite: true,
            privileges: false,
            below: dir.display().to_string(),
        };
        let extracted = extract(into.as_fd(), BufReader::new(from), how);
        let packed =
            packing.join().unwrap_or_else(|_| Err(Error::new(Kind::Storage, "the packing thread died")));
        // Where nothing is read any more, the failure of the writer says nothing new.
        extracted.map(drop).and(packed)
    })
}

/// Does something with the files of layers, in a leaf, and with one more descriptor.
fn on_files(
    job: &Job<'_>,
    chain: &[ChainId],
    with: &File,
    work: impl FnOnce(OwnedFd, &File) -> Result<()>,
) -> Result<()> {
    fork::leaf::<(), _>(
        "export",
        &[with.as_raw_fd()],
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            let stack = Stack::mount(job.store(), chain)?;
            work(stack.root()?, with)
        },
        |()| {},
    )
}
