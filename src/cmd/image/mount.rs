//! `coracle image mount`.

use crate::engine::mounts;
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::image::{ChainId, Digest, Reference};
use crate::storage::images::Listed;
use crate::ui;
use crate::ui::rows::{self, Listing};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `image mount`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Names or ids of images; none lists what is mounted
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// All images
    #[arg(short, long)]
    pub all: bool,
    /// Print what is mounted as json
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Mounts images and prints where; without any, lists those that are mounted.
///
/// # Errors
/// Outside the user namespace of containers; an image that is not here, before anything is mounted.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    mounts::check_namespace(ui::identity().name(), "image mount", args.images.first().map(String::as_str))?;
    if args.all && !args.images.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            "when using the --all switch, you may not pass any image names or IDs",
        )
        .hint("Leave one of the two out."));
    }
    let json = rows::is_whole_json(args.format.as_deref());
    if !json {
        rows::only_json(args.format.as_deref())?;
    }
    let store = crate::cmd::store(env)?;
    store.unmount_gone()?;
    let wanted: Vec<(Digest, Vec<ChainId>)> = if args.all {
        let all = store.images().list()?.into_iter();
        all.map(|listed| (listed.image.id, listed.image.layers)).collect()
    } else {
        let needed = |text: &String| store.images().need(text).map(|image| (image.id, image.layers));
        args.images.iter().map(needed).collect::<Result<_>>()?
    };
    let gone = |name: &str| phrases::no_image(name).hint("List the images: coracle images");
    let mut points = Vec::new();
    for (index, (image, layers)) in wanted.iter().enumerate() {
        let mounted = mounts::mount_image(&store, image, layers);
        // It may be removed meanwhile.
        let is_here = mounted.is_ok() || store.images().find(image.as_str())?.is_some();
        match args.images.get(index).filter(|_| !is_here) {
            Some(name) => return Err(gone(name)),
            None => points.push(mounted?),
        }
    }
    let all = if args.all || !wanted.is_empty() {
        // In the order in which they were named, and as often.
        let mut all = Vec::new();
        for (index, ((image, _), point)) in wanted.iter().zip(points).enumerate() {
            match store.images().listed(image)? {
                Some(listed) => all.push((listed, point)),
                // What it shows is of no use.
                None => {
                    store.unmount_gone()?;
                    args.images.get(index).map_or(Ok(()), |name| Err(gone(name)))?;
                }
            }
        }
        all
    } else {
        mounts::mounted_images(&store)?
    };
    let shown: Vec<&(Listed, PathBuf)> = all.iter().collect();
    let text = match shown.as_slice() {
        _ if json => {
            let all = shown.iter().map(|(listed, point)| object(listed, point)).collect();
            rows::json(&Value::Array(all))?
        }
        [(_, point)] if args.images.len() == 1 => format!("{}\n", point.display()),
        _ => table(&shown)?,
    };
    crate::ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn object(listed: &Listed, point: &Path) -> Value {
    json!({
        "id": listed.image.id.hex(),
        "Names": [listed.manifest_of(None)],
        "Repositories": listed.tags(),
        "mountpoint": point.to_string_lossy(),
    })
}

/// A row for each image, by its first name if it has any.
fn table(shown: &[&(Listed, PathBuf)]) -> Result<String> {
    let row = |(listed, point): &&(Listed, PathBuf)| {
        let name = listed.names.first().map(Reference::to_string);
        let name = name.unwrap_or_else(|| listed.image.id.hex().to_owned());
        json!({ "Name": name, "Path": point.to_string_lossy() })
    };
    let values: Vec<Value> = shown.iter().map(row).collect();
    let columns = &[("NAME", "{{.Name}}"), ("PATH", "{{.Path}}")];
    rows::rows(None, &values, &Listing { columns, headers: &[], no_heading: true })
}
