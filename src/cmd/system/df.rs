//! `coracle system df`.

use crate::engine::disk_usage::Usage;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui::rows::{self, Listing};
use crate::view::disk_usage;
use std::process::ExitCode;

/// Arguments of `system df`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show every image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
    /// Print as json or a Go template such as '{{.Type}} {{.Size}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows how much room everything takes. All sizes together are what du(1) says of the data root.
///
/// # Errors
/// A wrong format, or a store that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if args.verbose && args.format.is_some() {
        return Err(Error::new(Kind::Usage, "--verbose and --format exclude each other")
            .hint("Leave one of the two out."));
    }
    let store = crate::cmd::store(env)?;
    let usage = Usage::read(&store)?;
    let text = match args.verbose {
        true => details(&usage)?,
        false => rows::rows(args.format.as_deref(), &disk_usage::kinds(&usage), &SUMMARY)?,
    };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn details(usage: &Usage) -> Result<String> {
    let mut text = String::new();
    for (title, columns, all) in [
        ("Images", &IMAGES[..], disk_usage::images(usage)),
        ("Containers", &CONTAINERS[..], disk_usage::containers(usage)),
        ("Local Volumes", &VOLUMES[..], disk_usage::volumes(usage)),
    ] {
        let listing = Listing { columns, ..Listing::default() };
        text.push_str(&format!("{title} space usage:\n\n{}\n", rows::rows(None, &all, &listing)?));
    }
    text.truncate(text.len() - 1);
    Ok(text)
}

const SUMMARY: Listing<'static> = Listing {
    columns: &[
        ("TYPE", "{{.Type}}"),
        ("TOTAL", "{{.Total}}"),
        ("ACTIVE", "{{.Active}}"),
        ("SIZE", "{{.Size}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
    ],
    headers: &[],
    no_heading: false,
};

const IMAGES: [(&str, &str); 8] = [
    ("REPOSITORY", "{{.Repository}}"),
    ("TAG", "{{.Tag}}"),
    ("IMAGE ID", "{{.ID}}"),
    ("CREATED", "{{.Created}}"),
    ("SIZE", "{{.Size}}"),
    ("SHARED SIZE", "{{.Shared}}"),
    ("UNIQUE SIZE", "{{.Unique}}"),
    ("CONTAINERS", "{{.Containers}}"),
];

const CONTAINERS: [(&str, &str); 8] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("IMAGE", "{{.Image}}"),
    ("COMMAND", "{{.Command}}"),
    ("LOCAL VOLUMES", "{{.Volumes}}"),
    ("SIZE", "{{.Size}}"),
    ("CREATED", "{{.Created}}"),
    ("STATUS", "{{.Status}}"),
    ("NAMES", "{{.Names}}"),
];

const VOLUMES: [(&str, &str); 3] =
    [("VOLUME NAME", "{{.Name}}"), ("LINKS", "{{.Links}}"), ("SIZE", "{{.Size}}")];
