//! `coracle save`.

use crate::engine::images::save::{SaveRequest, Target};
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::archive::SaveFormat;
use crate::view::Dialect;
use nix::fcntl::OFlag;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `save`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of an image, followed by further names for it; with -m, names of images
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
    /// Format of the output
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
    /// Accept uncompressed layers; no effect, as layers are saved as they were pulled
    #[arg(long)]
    pub uncompressed: bool,
    /// Do not show progress; no effect, as none is shown
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
    let docker = super::dialect() == Dialect::Docker && args.format == Format::DockerArchive;
    let request = SaveRequest {
        images: &args.images,
        each: args.multi_image_archive || docker,
        format: args.format.into(),
        compress: args.compress,
    };
    let stdout = io::stdout();
    let target = match &args.output {
        Some(path) => Target::Path(path),
        None => Target::Stream(stdout.as_fd()),
    };
    super::store::engine(&store, env).save(&request, target)?;
    Ok(ExitCode::SUCCESS)
}

impl From<Format> for SaveFormat {
    fn from(format: Format) -> SaveFormat {
        match format {
            Format::DockerArchive => SaveFormat::DockerArchive,
            Format::OciArchive => SaveFormat::OciArchive,
            Format::OciDir => SaveFormat::OciDir,
            Format::DockerDir => SaveFormat::DockerDir,
        }
    }
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
            "Leave out --compress: layers are saved as they were pulled.",
        );
    }
    if args.multi_image_archive && args.format != Format::DockerArchive {
        return wrong(
            "--multi-image-archive goes with --format docker-archive only",
            "Save each image to a file of its own, or leave out --format.",
        );
    }
    if let Some(path) = &args.output {
        return if is_terminal(path) { Err(to_terminal()) } else { Ok(()) };
    }
    if is_directory(args.format) {
        return wrong(
            "a directory cannot be written to standard output",
            "Name the directory: coracle save -o DIR ...",
        );
    }
    if io::stdout().is_terminal() { Err(to_terminal()) } else { Ok(()) }
}

fn to_terminal() -> Error {
    phrases::terminal_for_output("the --output flag")
        .hint("Name a file: coracle save -o FILE ...; or use a pipe.")
}

/// Whether a path, such as /dev/stdout, leads to a terminal.
fn is_terminal(path: &Path) -> bool {
    let is_device = fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device());
    let open = || OpenOptions::new().write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path);
    is_device && open().is_ok_and(|file| file.is_terminal())
}
