//! `coracle inspect`.

use crate::engine::{containers, pods};
use crate::error::{Error, FAILED, Kind, Result, phrases};
use crate::host::Env;
use crate::storage::volumes::Users;
use crate::storage::{Store, networks};
use crate::text::Document;
use crate::ui::{Shape, report};
use crate::view::{self, Dialect};
use std::process::ExitCode;

/// Arguments of `inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Containers, images, volumes, networks or pods by name, id or beginning of an id
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Type of object to look for: container, image, volume, network, pod or all
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "all", value_parser = ["all", "container", "image", "volume", "network", "pod"])]
    pub kind: String,
    /// Print as json or a Go template such as '{{.State.Status}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show the latest container
    #[arg(short, long)]
    pub latest: bool,
    /// Show the size of each container, with and without its image
    #[arg(short, long)]
    pub size: bool,
}

/// What `inspect` looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Containers, then images, volumes, networks and pods.
    Any,
    /// Containers only.
    Container,
    /// Images only.
    Image,
    /// Volumes only.
    Volume,
    /// Networks only.
    Network,
    /// Pods only.
    Pod,
}

/// Shows everything known about containers and images.
///
/// # Errors
/// An object that does not exist, or a wrong format.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let kind = match args.kind.as_str() {
        "container" => ObjectKind::Container,
        "image" => ObjectKind::Image,
        "volume" => ObjectKind::Volume,
        "network" => ObjectKind::Network,
        "pod" => ObjectKind::Pod,
        _ => ObjectKind::Any,
    };
    run_kind(args, kind, env)
}

/// [`run`] for `container inspect` and `image inspect`.
///
/// # Errors
/// Those of [`run`].
pub fn run_kind(args: &Args, kind: ObjectKind, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let dialect = super::dialect();
    let shape = Shape::parse(args.format.as_deref(), dialect == Dialect::Docker)?;
    let names = names(args, kind, &store)?;
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in &names {
        match look_up(&store, name, kind, args.size, dialect) {
            Ok(value) => found.push(value),
            Err(error) => failures.push(error),
        }
    }
    shape.print(&found)?;
    failures.iter().for_each(report);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn names(args: &Args, kind: ObjectKind, store: &Store) -> Result<Vec<String>> {
    match (args.latest, args.names.is_empty()) {
        (true, true) => Ok(vec![store.containers().latest()?.id().to_string()]),
        (false, false) => Ok(args.names.clone()),
        (true, false) => Err(Error::new(Kind::Usage, "no arguments are needed with --latest")
            .hint("Give either names or --latest.")),
        (false, true) => Err(match kind {
            ObjectKind::Image => {
                phrases::nothing_named("image").hint("Give a name or id; list them with: coracle images")
            }
            ObjectKind::Container => {
                phrases::nothing_named("container").hint("Give a name or id; list them with: coracle ps -a")
            }
            ObjectKind::Volume => {
                phrases::nothing_named("volume").hint("Give a name; list them with: coracle volume ls")
            }
            ObjectKind::Network => phrases::nothing_named("network")
                .hint("Give a name or id; list them with: coracle network ls"),
            ObjectKind::Pod => {
                phrases::nothing_named("pod").hint("Give a name or id; list them with: coracle pod ps")
            }
            ObjectKind::Any => phrases::nothing_named("container or image")
                .hint("Give a name or id; list them with: coracle ps -a; coracle images"),
        }),
    }
}

fn look_up(store: &Store, name: &str, kind: ObjectKind, size: bool, dialect: Dialect) -> Result<Document> {
    if kind == ObjectKind::Volume {
        return volume(store, name, dialect);
    }
    if kind == ObjectKind::Network {
        return network(store, name, dialect);
    }
    if kind == ObjectKind::Pod {
        return pod(store, name);
    }
    if kind != ObjectKind::Image {
        match store.containers().find(name) {
            Ok(dir) => {
                // A store that cannot be written is shown as it is.
                let _ = containers::recover(store, &dir);
                return view::inspect::container(store, &dir, size, dialect);
            }
            Err(e) if e.kind() == Kind::NotFound && kind == ObjectKind::Any => {}
            Err(e) if e.kind() == Kind::NotFound => {
                return Err(phrases::no_container_to_inspect(name).hint("List containers: coracle ps -a"));
            }
            Err(e) => return Err(e),
        }
    }
    match store.images().find(name) {
        Ok(Some(found)) => view::inspect::image(store, &found, dialect),
        Err(e) if kind == ObjectKind::Image || e.kind() != Kind::Usage => Err(e),
        _ if kind == ObjectKind::Image => Err(phrases::no_image(name).hint("List images: coracle images")),
        _ => {
            let found = match volume(store, name, dialect) {
                Err(e) if e.kind() == Kind::NotFound => network(store, name, dialect),
                other => other,
            };
            let found = match found {
                // Docker has none.
                Err(e) if e.kind() == Kind::NotFound && dialect == Dialect::Podman => pod(store, name),
                other => other,
            };
            found.map_err(|e| match e.kind() {
                Kind::NotFound => phrases::no_object(name)
                    .hint("List them: coracle ps -a; coracle images; coracle volume ls; coracle network ls; coracle pod ps"),
                _ => e,
            })
        }
    }
}

fn pod(store: &Store, name: &str) -> Result<Document> {
    Ok(view::pod::document(store, &pods::listed(store, store.pods().find(name)?)?))
}

fn network(store: &Store, name: &str, dialect: Dialect) -> Result<Document> {
    let found = store.networks().find(view::network::meant(name, dialect))?;
    let users = networks::Users::read(store.containers())?;
    Ok(view::network::document(&found, &users.members(store.containers(), &found.name), dialect))
}

fn volume(store: &Store, name: &str, dialect: Dialect) -> Result<Document> {
    let found = store.volumes().find(name)?;
    Ok(view::volume::document(store, &found, &Users::read(store.containers())?, dialect))
}
