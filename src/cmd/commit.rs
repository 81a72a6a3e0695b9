//! `coracle commit`.

use super::import::check_changes;
use super::load::enter;
use crate::container::Status;
use crate::error::{Context, Error, Kind, Result};
use crate::fork;
use crate::host::Env;
use crate::image::change::Change;
use crate::image::{Digest, HistoryEntry, Image, ImageConfig, Reference, RunConfig};
use crate::plan::env::PROXY;
use crate::runtime::control;
use crate::runtime::root::{Root, own_mounts};
use crate::spec::RootSpec;
use crate::spec::{ContainerSpec, MountSource};
use crate::storage::Store;
use crate::storage::archive::{Family, MakeImage, NewLayer, make_image};
use crate::storage::containers::ContainerDir;
use crate::storage::events::Action;
use crate::ui;
use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `commit`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Name of the new image; under localhost/ when it names no registry
    #[arg(value_name = "REFERENCE")]
    pub image: Option<Reference>,
    /// Author of the image
    #[arg(short, long, value_name = "AUTHOR")]
    pub author: Option<String>,
    /// Change the configuration: 'CMD ["sh"]', ENV=A=b, 'LABEL a=b', ...
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<Change>,
    /// Format of the image's manifest
    #[arg(short, long, value_name = "FORMAT", default_value = "oci")]
    pub format: Format,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Record the container's volumes and bind mounts as volumes of the image, without their content
    #[arg(long)]
    pub include_volumes: bool,
    /// Message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Pause the container while its files are read
    #[arg(short, long)]
    pub pause: bool,
    /// Print the id only
    #[arg(short, long)]
    pub quiet: bool,
    /// Squash everything into one layer
    #[arg(short, long)]
    pub squash: bool,
}

/// Whose form of manifest an image has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// OCI's
    Oci,
    /// Docker's
    Docker,
}

/// Makes an image of a container and prints its id.
///
/// # Errors
/// A container that does not exist or has no image below it, a wrong change; nothing is kept then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    check_changes(&args.change)?;
    let names: Vec<Reference> = args.image.iter().map(Reference::as_new_name).collect::<Result<_>>()?;
    let store = super::store(env)?;
    let container = control::find(&store, &args.container)?;
    let plan: ContainerSpec = container.spec()?;
    let base = base(&store, args, &plan)?;
    let config = configuration(args, &plan, &base);
    let paused = if args.pause { Paused::new(&container)? } else { None };
    let id: Digest = fork::tidy_leaf::<(), _>(
        "commit",
        |_, _| {
            let (store, _member) = enter(env)?;
            // Whoever starts the container meanwhile waits.
            let alive = if container.status().is_active() { None } else { container.hold_alive().ok() };
            let (base, layer) = if args.squash {
                drop(alive);
                own_mounts()?;
                let root = Root::open(&store, &container, &plan, false)?;
                (None, Some(NewLayer::of_root(&store, root.fd(), &plan.ids)?))
            } else {
                let layer = NewLayer::of_upper(&store, &container.upper(), &base.layers, &plan.ids)?;
                (Some(&base), layer)
            };
            let mut config = config;
            if let Some(step) = config.history.last_mut() {
                step.empty_layer = layer.is_none();
            }
            let family = if args.format == Format::Oci { Family::Oci } else { Family::Docker };
            Ok(make_image(&store, MakeImage { base, layer, config, family, names: &names })?.id)
        },
        |()| {},
    )?;
    drop(paused);
    container.emit(Action::Commit);
    if let Some(path) = &args.iidfile {
        std::fs::write(path, id.hex()).context(Kind::Usage, || format!("write {}", path.display()))?;
    }
    ui::out(&format!("{}\n", id.hex()))?;
    Ok(ExitCode::SUCCESS)
}

/// The image below the container.
fn base(store: &Store, args: &Args, plan: &ContainerSpec) -> Result<Image> {
    let (Some(source), RootSpec::Layers(_)) = (&plan.image, &plan.root) else {
        let name = &args.container;
        return Err(Error::new(Kind::Usage, format!("container {name} was not made from an image"))
            .hint(format!("Take all of its files: coracle export {name} | coracle import - NAME")));
    };
    let gone = || {
        Error::new(Kind::NotFound, format!("the image {} of the container is gone", source.id.short())).hint(
            format!("Take all of its files: coracle export {0} | coracle import - NAME", args.container),
        )
    };
    store.images().find(source.id.as_str())?.ok_or_else(gone)
}

/// Variables that are the tool's and none of the image's; those of the caller's proxies are not, either.
const OWN: [&str; 4] = ["container", "HOSTNAME", "HOME", "TERM"];

/// The configuration: the image's, as the container runs, with the changes that were asked for.
fn configuration(args: &Args, plan: &ContainerSpec, base: &Image) -> ImageConfig {
    let created = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut config = base.config.clone();
    let run = &mut config.config;
    let of_image = |name: &str, image: &RunConfig| {
        image.env.iter().any(|entry| entry.split_once('=').is_some_and(|(n, _)| n == name))
    };
    let is_own = |entry: &&String| {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        !OWN.contains(&name) && !PROXY.contains(&name) || of_image(name, &base.config.config)
    };
    run.env = plan.process.env.iter().filter(is_own).cloned().collect();
    run.entrypoint.clone_from(&plan.asked.entrypoint);
    run.cmd.clone_from(&plan.asked.command);
    run.labels.clone_from(&plan.labels);
    run.working_dir = plan.process.cwd.to_string_lossy().into_owned();
    if !plan.process.user.user.is_empty() {
        run.user.clone_from(&plan.process.user.user);
    }
    let empty = || Value::Object(Map::new());
    run.exposed_ports.extend(plan.asked.exposed_ports.iter().map(|port| (port.clone(), empty())));
    if args.include_volumes {
        let mounts = plan
            .mounts
            .iter()
            .filter(|mount| matches!(mount.source, MountSource::Volume { .. } | MountSource::Bind { .. }));
        run.volumes.extend(mounts.map(|m| (m.destination.to_string_lossy().into_owned(), empty())));
    }
    args.change.iter().for_each(|change| change.apply(run));
    if args.author.is_some() {
        config.author.clone_from(&args.author);
    }
    if args.squash {
        config.history.clear();
    } else {
        // Layers that no step tells of get one, so that the new step is not taken for theirs.
        let told = config.history.iter().filter(|step| !step.empty_layer).count();
        let untold = base.layers.len().saturating_sub(told);
        config.history.extend(std::iter::repeat_n(HistoryEntry::default(), untold));
    }
    config.history.push(HistoryEntry {
        created: Some(created.clone()),
        created_by: Some(plan.process.argv.join(" ")),
        author: args.author.clone(),
        comment: args.message.clone(),
        empty_layer: false,
    });
    config.created = Some(created);
    config
}

/// A container that stands still until this is dropped.
struct Paused<'a>(&'a ContainerDir);

impl<'a> Paused<'a> {
    /// `None` when it does not run, or somebody else has paused it.
    fn new(container: &'a ContainerDir) -> Result<Option<Paused<'a>>> {
        if container.status() != Status::Running {
            return Ok(None);
        }
        control::pause(container)?;
        Ok(Some(Paused(container)))
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if let Err(e) = control::unpause(self.0) {
            // It may have been killed meanwhile.
            log::warn!("container {} is not unpaused: {e}", self.0.id().short());
        }
    }
}
