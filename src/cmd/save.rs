//! `coracle save`.

use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::{Image, Reference};
use crate::storage::Store;
use crate::storage::archive::{self, Item, SaveFormat};
use crate::storage::events::{Action, Event};
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `save`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of an image, followed by further names for it; with -m, names of images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// What to write
    #[arg(long, value_name = "FORMAT", default_value = "docker-archive")]
    pub format: Format,
    /// Write to this file, or into this directory, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Save several images; with docker-archive only
    #[arg(short, long)]
    pub multi_image_archive: bool,
    /// Compress uncompressed layers; with docker-dir only
    #[arg(long)]
    pub compress: bool,
    /// Accept uncompressed layers; layers are saved as they were pulled in any case
    #[arg(long)]
    pub uncompressed: bool,
    /// Show no progress; none is shown in any case
    #[arg(short, long)]
    pub quiet: bool,
}

/// What an image is saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// An archive for docker load and podman load
    DockerArchive,
    /// An OCI image layout as an archive
    OciArchive,
    /// An OCI image layout as a directory
    OciDir,
    /// A directory in the form of skopeo's dir:, with docker's manifest
    DockerDir,
}

/// Saves images to an archive or a directory.
///
/// # Errors
/// An image that is not here, options that exclude each other, an output that cannot be written.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    check(args)?;
    let store = super::store(env)?;
    // Docker's names are images each.
    let many = args.multi_image_archive || crate::ui::docker() && args.format == Format::DockerArchive;
    let items = if many { several(&store, &args.images)? } else { one(&store, &args.images)? };
    let format = match args.format {
        Format::DockerArchive => SaveFormat::DockerArchive,
        Format::OciArchive => SaveFormat::OciArchive,
        Format::OciDir => SaveFormat::OciDir,
        Format::DockerDir => SaveFormat::DockerDir,
    };
    match &args.output {
        Some(dir) if is_directory(args.format) => {
            let made = prepare(dir)?;
            let saved = items
                .iter()
                .try_for_each(|item| archive::save_directory(&store, format, item, dir, args.compress));
            if saved.is_err() {
                empty(dir, made);
            }
            saved?;
        }
        Some(path) => archive::to_file(path, |file| archive::save_archive(&store, format, &items, file))?,
        None => archive::save_archive(&store, format, &items, io::stdout().lock())?,
    }
    for item in &items {
        let id = &item.image.id;
        store.events().emit(Event::image_named(Action::Save, id.as_str(), id.hex()));
    }
    Ok(ExitCode::SUCCESS)
}

fn is_directory(format: Format) -> bool {
    matches!(format, Format::OciDir | Format::DockerDir)
}

/// Refuses what does not go together, before anything is read.
fn check(args: &Args) -> Result<()> {
    let wrong = |what: &str, hint: &str| Err(Error::new(Kind::Usage, what).hint(hint));
    if args.compress && args.format != Format::DockerDir {
        return wrong(
            "--compress goes with --format docker-dir only",
            "Leave --compress away: layers are saved as they came.",
        );
    }
    if args.multi_image_archive && args.format != Format::DockerArchive {
        return wrong(
            "--multi-image-archive goes with --format docker-archive only",
            "Save each image to a file of its own, or leave --format away.",
        );
    }
    if args.output.is_some() {
        return Ok(());
    }
    if is_directory(args.format) {
        return wrong(
            "a directory cannot be written to standard output",
            "Name the directory: coracle save -o DIR ...",
        );
    }
    if io::stdout().is_terminal() {
        return wrong(
            "an archive is not written to a terminal",
            "Name a file: coracle save -o FILE ...; or use a pipe.",
        );
    }
    Ok(())
}

/// One image under the name it was called by, and those that follow. Names that other images have are
/// refused: who gives them wants those images saved.
fn one(store: &Store, texts: &[String]) -> Result<Vec<Item>> {
    let Some((first, more)) = texts.split_first() else { return Ok(Vec::new()) };
    let image = store.images().need(first)?;
    let mut names: Vec<Reference> = tagged(&image);
    for text in more {
        let name = text.parse::<Reference>()?.as_new_name()?;
        if store.images().find(text)?.is_some_and(|found| found.id != image.id) {
            return Err(Error::new(
                Kind::Usage,
                format!("{text} is another image, not a new name for {first}"),
            )
            .hint(format!("Save each: coracle save -m -o FILE {}", texts.join(" "))));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(vec![Item { image, names }])
}

fn several(store: &Store, texts: &[String]) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for text in texts {
        let image = store.images().need(text)?;
        let names = tagged(&image);
        match items.iter_mut().find(|item| item.image.id == image.id) {
            Some(item) => item.names.extend(names),
            None => items.push(Item { image, names }),
        }
    }
    for item in &mut items {
        item.names.sort();
        item.names.dedup();
    }
    Ok(items)
}

/// The name an image was found under; an id or a digest is none.
fn tagged(image: &Image) -> Vec<Reference> {
    image.reference.iter().filter(|name| name.digest().is_none()).cloned().collect()
}

/// Makes the directory; one that is there must be empty. Gives whether it is new.
fn prepare(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(false),
        Ok(false) => Err(Error::new(Kind::Usage, format!("directory {} is not empty", dir.display()))
            .hint("Name another one: coracle save -o DIR ...")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(dir).map(|()| true).map_err(|e| cannot(dir, e))
        }
        Err(e) => Err(cannot(dir, e)),
    }
}

fn cannot(dir: &Path, e: io::Error) -> Error {
    Error::new(Kind::Usage, format!("use directory {}", dir.display())).caused_by(e)
}

/// Takes back what was written into a directory that was empty.
fn empty(dir: &Path, made: bool) {
    // The failure that led here is the one to be told of.
    let _ = match made {
        true => fs::remove_dir_all(dir),
        false => fs::read_dir(dir).map(|entries| {
            for entry in entries.flatten() {
                let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let path = entry.path();
                let _ = if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            }
        }),
    };
}
