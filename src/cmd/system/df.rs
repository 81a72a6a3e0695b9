//! `coracle system df`.

use crate::engine::disk_usage::Usage;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::text::units;
use crate::ui::rows::{self, Listing};
use crate::view::{Dialect, disk_usage};
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
        return Err(Error::new(Kind::Usage, "--verbose and --format cannot be set together")
            .hint("Leave one of the two out."));
    }
    let store = crate::cmd::store(env)?;
    let usage = Usage::read(&store)?;
    let dialect = crate::cmd::dialect();
    let text = match args.verbose {
        true => details(&usage, dialect)?,
        false => {
            let kinds = disk_usage::kinds(&usage, dialect);
            let listing = if dialect == Dialect::Docker { &DOCKER_SUMMARY } else { &SUMMARY };
            let format = args.format.as_deref();
            rows::rows(if rows::is_whole_json(format) { Some("json") } else { format }, &kinds, listing)?
        }
    };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn details(usage: &Usage, dialect: Dialect) -> Result<String> {
    let mut text = String::new();
    for (title, columns, all) in [
        ("Images", &IMAGES[..], disk_usage::images(usage, dialect)),
        ("Containers", &CONTAINERS[..], disk_usage::containers(usage, dialect)),
        ("Local Volumes", &VOLUMES[..], disk_usage::volumes(usage)),
    ] {
        let listing = Listing { columns, ..Listing::default() };
        text.push_str(&format!("{title} space usage:\n\n{}\n", rows::rows(None, &all, &listing)?));
    }
    if dialect == Dialect::Docker {
        let listing = Listing { columns: &BUILD_CACHE, ..Listing::default() };
        let (size, all) = disk_usage::build_cache(usage);
        let size = units::decimal_size(size);
        text.push_str(&format!("Build cache usage: {size}\n\n{}\n", rows::rows(None, &all, &listing)?));
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

/// Docker's name of the number is another.
const DOCKER_SUMMARY: Listing<'static> = Listing {
    columns: &[
        ("TYPE", "{{.Type}}"),
        ("TOTAL", "{{.TotalCount}}"),
        ("ACTIVE", "{{.Active}}"),
        ("SIZE", "{{.Size}}"),
        ("RECLAIMABLE", "{{.Reclaimable}}"),
    ],
    ..SUMMARY
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

/// Docker's.
const BUILD_CACHE: [(&str, &str); 7] = [
    ("CACHE ID", "{{.ID}}"),
    ("CACHE TYPE", "{{.CacheType}}"),
    ("SIZE", "{{.Size}}"),
    ("CREATED", "{{.CreatedSince}}"),
    ("LAST USED", "{{.LastUsedSince}}"),
    ("USAGE", "{{.UsageCount}}"),
    ("SHARED", "{{.Shared}}"),
];

const VOLUMES: [(&str, &str); 3] =
    [("VOLUME NAME", "{{.Name}}"), ("LINKS", "{{.Links}}"), ("SIZE", "{{.Size}}")];
