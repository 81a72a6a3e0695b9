//! `coracle diff`.

use crate::engine::containers;
use crate::engine::containers::export::{self, Tree};
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::spec::ContainerSpec;
use crate::storage::Store;
use crate::storage::compare::Change;
use crate::storage::containers::ContainerDir;
use crate::text::printable;
use crate::ui::{self, rows};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container or image; given two, compare the first with the second
    #[arg(value_name = "NAME", num_args = 0..=2)]
    pub names: Vec<String>,
    /// Use the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Print as json instead of one line per path
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub format: Option<String>,
}

/// What names are looked for among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiffTarget {
    /// Containers, then images.
    Any,
    /// Containers.
    Container,
    /// Images.
    Image,
}

/// Paths that the tool itself makes or mounts over, as podman leaves them out.
const OURS: [&str; 11] = [
    "/dev",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/run",
    "/run/.containerenv",
    "/run/notify",
    "/run/secrets",
    "/sys",
];

/// Something that can be compared.
enum Object {
    Container(ContainerDir, Box<ContainerSpec>),
    Image(Vec<PathBuf>),
}

impl Object {
    fn find(store: &Store, name: &str, sort: DiffTarget) -> Result<Object> {
        let container = if sort == DiffTarget::Image { None } else { Some(containers::find(store, name)) };
        match container {
            Some(Ok(dir)) => return Object::container(dir),
            Some(Err(e)) if sort == DiffTarget::Container || e.kind() != Kind::NotFound => return Err(e),
            _ => {}
        }
        // A name that cannot be an image's is simply none.
        match store.images().find(name) {
            Ok(Some(image)) => {
                let paths = image.layers.iter().map(|id| store.layers().path(id));
                paths.collect::<Result<_>>().map(Object::Image)
            }
            Err(e) if e.kind() != Kind::Usage => Err(e),
            _ => {
                let none = match sort {
                    DiffTarget::Image => phrases::no_image(name),
                    _ => phrases::no_object(name),
                };
                Err(none.hint("List them: coracle ps -a; coracle images"))
            }
        }
    }

    fn container(dir: ContainerDir) -> Result<Object> {
        let plan = dir.spec()?;
        Ok(Object::Container(dir, Box::new(plan)))
    }

    fn tree(&self) -> Tree<'_> {
        match self {
            Object::Container(dir, plan) => Tree::Container(dir, plan),
            Object::Image(layers) => Tree::Layers(layers),
        }
    }

    /// What it is compared with when nothing else was named.
    fn base(&self) -> Tree<'_> {
        match self {
            Object::Container(_, plan) => Tree::Base(plan),
            Object::Image(layers) => Tree::Layers(layers.split_last().map_or(&[], |(_, below)| below)),
        }
    }
}

/// Shows what changed in a container or an image.
///
/// # Errors
/// Something that does not exist or has no base to compare with.
pub fn run(args: &Args, sort: DiffTarget, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let mut objects = Vec::new();
    if args.latest {
        objects.push(Object::container(store.containers().latest()?)?);
    }
    for (nth, name) in args.names.iter().enumerate() {
        // What comes second may be an image in any case.
        let sort = if nth + usize::from(args.latest) > 0 { DiffTarget::Any } else { sort };
        objects.push(Object::find(&store, name, sort)?);
    }
    let changes = match objects.as_slice() {
        [one] => export::diff(&store, &one.base(), &one.tree())?,
        [one, other] => export::diff(&store, &other.tree(), &one.tree())?,
        [] => {
            return Err(phrases::nothing_named("container or image")
                .hint("Give a container or an image, or --latest: coracle diff web"));
        }
        _ => return Err(Error::new(Kind::Usage, "more than two names were given")),
    };
    let shown =
        changes.into_iter().map(|(change, path)| (change, String::from_utf8_lossy(&path).into_owned()));
    let mut shown: Vec<(Change, String)> = shown.collect();
    shown.retain(|(_, path)| !OURS.contains(&path.as_str()));
    let text = if args.format.is_some() { json(&shown)? } else { lines(&shown) };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(changes: &[(Change, String)]) -> String {
    let line = |(change, path): &(Change, String)| {
        let letter = match change {
            Change::Added => 'A',
            Change::Changed => 'C',
            Change::Deleted => 'D',
        };
        format!("{letter} {}\n", printable(path))
    };
    changes.iter().map(line).collect()
}

fn json(changes: &[(Change, String)]) -> Result<String> {
    let mut all = Map::new();
    for (key, wanted) in
        [("changed", Change::Changed), ("added", Change::Added), ("deleted", Change::Deleted)]
    {
        let paths = changes.iter().filter(|(change, _)| *change == wanted);
        let paths: Vec<Value> = paths.map(|(_, path)| Value::String(path.clone())).collect();
        if !paths.is_empty() {
            all.insert(key.to_owned(), Value::Array(paths));
        }
    }
    rows::json(&Value::Object(all))
}
