//! What becomes of the result: an image, its files in a directory or an archive, an image archive.

use super::built::Built;
use super::image;
use super::job::Job;
use super::metadata::apply_changes;
use super::publish::publish;
use super::request::{BuildRequest, Destination, Output};
use super::selected::Stack;
use super::state::State;
use crate::engine::images::enter;
use crate::engine::images::remove;
use crate::engine::images::save::{IndexRequest, SaveRequest, Target, save, save_index};
use crate::engine::lists::{self, Entry};
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::image::{ChainId, Digest, Platform, Reference};
use crate::runtime::root::own_mounts;
use crate::storage::Store;
use crate::storage::archive::{SaveFormat, to_file};
use crate::storage::pack::{Options, Packer};
use crate::storage::unpack::extract::{Extract, Owner, extract};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;

/// Does with the results, one for each platform, what the request says, and notes the images. `told` hears of each part
/// of a push when it begins, and with true when it is over.
///
/// # Errors
/// When one cannot be written.
pub(super) fn export(
    request: &BuildRequest,
    results: &mut [(Job<'_>, State)],
    built: &mut Built,
    told: &mut dyn FnMut(String, bool),
) -> Result<()> {
    for (_, state) in results.iter_mut() {
        apply_changes(state, &request.changes);
    }
    let outputs = match request.outputs.as_slice() {
        [] => &[Output::Image],
        outputs => outputs,
    };
    for output in outputs {
        match output {
            Output::Image => record(request, results, built)?,
            Output::Push { names, form } => {
                record(request, results, built)?;
                publish(request, results, built, (names, *form), told)?;
            }
            Output::Local(dir) => {
                for (job, state) in &*results {
                    let dir =
                        job.label.as_deref().map_or_else(|| dir.clone(), |label| dir.join(below(label)));
                    into_directory(job, state, &dir)?;
                }
            }
            Output::Tar(to) => into_archive(results, to)?,
            Output::Oci { to, directory } => {
                let format = if *directory { SaveFormat::OciDir } else { SaveFormat::OciArchive };
                saved(request, results, format, to, built)?;
            }
            Output::Docker(to) => saved(request, results, SaveFormat::DockerArchive, to, built)?,
            Output::Nothing => {}
        }
    }
    Ok(())
}

/// The name of a platform's directory, as BuildKit has it: `linux_arm64`.
fn below(label: &str) -> String {
    label.replace('/', "_")
}

/// Records the images, unless that is done.
fn record(request: &BuildRequest, results: &[(Job<'_>, State)], built: &mut Built) -> Result<()> {
    if built.images.is_empty() { recorded(request, results, built) } else { Ok(()) }
}

/// Records the images, and the lists that have them.
fn recorded(request: &BuildRequest, results: &[(Job<'_>, State)], built: &mut Built) -> Result<()> {
    /// How often it is begun when other commands remove images before a list has them.
    const TRIES: usize = 5;
    let host = Platform::host();
    let mut tries = 0..TRIES;
    loop {
        // The names of several are those of their list.
        let names = if results.len() == 1 { request.names.as_slice() } else { &[] };
        let mut images = Vec::new();
        for (job, state) in results {
            images.push((job.platform.clone(), image::record(job, state, names)?));
        }
        if let Some((first, _)) = results.first() {
            match listed(request, first.store(), &images, built) {
                Err(e) if e.kind() == Kind::NotFound && tries.next().is_some() => continue,
                other => other?,
            }
        }
        // Where there is no list, the last one's id is told.
        if let Some(own) = images.iter().position(|(platform, _)| *platform == host) {
            let own = images.remove(own);
            images.push(own);
        }
        built.images = images;
        return Ok(());
    }
}

/// Puts the images into the lists that the request names.
fn listed(
    request: &BuildRequest,
    store: &Store,
    images: &[(Platform, Digest)],
    built: &mut Built,
) -> Result<()> {
    let annotations = &request.changes.index_annotations;
    let entries = || -> Result<Vec<Entry>> {
        let entry = |(platform, id): &(Platform, Digest)| {
            Ok(Entry::of(store, &store.images().need(id.as_str())?)?.platform(platform))
        };
        images.iter().map(entry).collect()
    };
    if images.len() > 1 && !request.names.is_empty() {
        let (list, index) = lists::replace(store, &request.names, entries()?, annotations)?;
        (built.list, built.index) = (Some(list), Some(index));
    }
    if let Some(name) = &request.list {
        let list = lists::put(store, name, entries()?, annotations, true)?;
        built.index = Some(lists::find(store, list.as_str())?.digest);
        built.list = Some(list);
    }
    Ok(())
}

/// Saves the images as an archive. They stay in the store only if they were there before.
fn saved(
    request: &BuildRequest,
    results: &[(Job<'_>, State)],
    format: SaveFormat,
    to: &Destination,
    built: &mut Built,
) -> Result<()> {
    let Some((first, _)) = results.first() else { return Ok(()) };
    let store = first.store();
    let before: Vec<Digest> = store.images().list()?.into_iter().map(|listed| listed.image.id).collect();
    let mut images = Vec::new();
    for (job, state) in results {
        images.push((job.platform.clone(), image::record(job, state, &[])?));
    }
    let target = match to {
        Destination::File(path) => Target::Path(path),
        Destination::Stream(stream) => Target::Stream(stream.0.as_fd()),
    };
    let done = if let [(_, id)] = images.as_slice() {
        let names = request.names.iter().map(ToString::to_string);
        let names: Vec<String> = std::iter::once(id.to_string()).chain(names).collect();
        let request = SaveRequest { images: &names, each: false, format, compress: false };
        save(store, &request, target)
    } else {
        let names: Vec<Reference> = request.names.iter().chain(&request.list).cloned().collect();
        let index = IndexRequest {
            images: &images,
            names: &names,
            annotations: &request.changes.index_annotations,
            format,
        };
        save_index(store, &index, target).map(|digest| built.index = Some(digest))
    };
    for (_, id) in images.iter().filter(|(_, id)| !before.contains(id)) {
        remove::forget(store, id.as_str())?;
    }
    done?;
    if built.images.is_empty() {
        built.images = images;
    }
    Ok(())
}

/// Writes the files as an archive.
fn into_archive(results: &[(Job<'_>, State)], to: &Destination) -> Result<()> {
    let Some((first, _)) = results.first() else { return Ok(()) };
    let write = |out: &File| {
        let roots: Vec<(Option<&str>, Vec<ChainId>)> =
            results.iter().map(|(job, state)| (job.label.as_deref(), state.chain())).collect();
        on_leaf(first, out, |out| {
            let mut packer =
                Packer::new(out, Options { one_mount: true, to_file: true, ..Options::default() });
            for (label, chain) in roots {
                let stack = Stack::mount(first.store(), &chain)?;
                let prefix = label.map(below).unwrap_or_default();
                if !prefix.is_empty() {
                    packer.directory(prefix.as_bytes(), 0o755)?;
                }
                packer.tree(stack.root()?.as_fd(), prefix.as_bytes())?;
            }
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
            apart: false,
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
    on_leaf(job, with, |with| {
        let stack = Stack::mount(job.store(), chain)?;
        work(stack.root()?, with)
    })
}

/// Does something in a leaf that can mount layers, with one more descriptor.
fn on_leaf(job: &Job<'_>, with: &File, work: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    fork::leaf::<(), _>(
        "export",
        &[with.as_raw_fd()],
        |_| {
            let _maker = enter(job.store())?;
            own_mounts()?;
            work(with)
        },
        |()| {},
    )
}
