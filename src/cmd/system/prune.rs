//! `coracle system prune`.

use crate::cmd::pruned;
use crate::engine::containers::selector;
use crate::engine::prune::{self, PruneRequest, Pruned};
use crate::engine::{build_cache, images, networks, pods, volumes};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `system prune`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    pub all: bool,
    /// Also remove volumes that no container uses
    #[arg(long)]
    pub volumes: bool,
    /// Also remove what builds have left for later builds
    #[arg(long)]
    pub build: bool,
    /// Remove only what matches a condition: label=..., label!=... or until=TIME
    #[arg(long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Remove only leftovers of interrupted commands
    #[arg(long)]
    pub external: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub force: bool,
}

/// Removes pods that have ended, containers that are not running, unused networks and images and, if requested, unused volumes and the build cache.
///
/// # Errors
/// A wrong filter; nobody to answer the question; something that cannot be removed.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    prune::check_keys(&args.filter, "")?;
    if args.external && (args.all || args.volumes || args.build || !args.filter.is_empty()) {
        return Err(Error::new(
            Kind::Usage,
            "--external cannot be set together with --all, --volumes, --build and --filter",
        )
        .hint("It removes only leftovers of interrupted commands: coracle system prune --external"));
    }
    let store = crate::cmd::store(env)?;
    let of_containers = selector::Filters::parse(&args.filter)?;
    let of_pods = pods::filter::Filters::parse(&args.filter)?;
    let of_images = images::filter::Filters::parse(&args.filter, &store)?;
    // As docker has it, named volumes are left to `volume prune --all`.
    let only = ui::docker().then(|| "anonymous=true".to_owned());
    let of_volumes: Vec<String> = args.filter.iter().cloned().chain(only).collect();
    let of_volumes = volumes::filter::Filters::parse(&of_volumes)?;
    let of_networks = networks::filter::Filters::parse(&args.filter)?;
    let build_cache = of_build_cache(args)?;
    if !args.force && !ui::confirm(&question(args, build_cache.is_some()))? {
        return Ok(ExitCode::SUCCESS);
    }
    let request = PruneRequest {
        leftovers: args.external,
        volumes: args.volumes,
        all_images: args.all,
        build_cache,
        of_containers,
        of_pods,
        of_images,
        of_volumes,
        of_networks,
        networks_of: crate::cmd::dialect::networks_kept_for(),
    };
    let Pruned { pods, containers, volumes, networks, images, build_cache, freed } =
        prune::everything(&store, request)?;
    let containers: Vec<String> = containers.iter().map(ToString::to_string).collect();
    let pods: Vec<String> = pods.iter().map(ToString::to_string).collect();
    let volumes: Vec<String> = volumes.iter().map(ToString::to_string).collect();
    let images: Vec<String> = images.iter().map(pruned::image).collect();
    let build_cache: Vec<String> = build_cache.into_iter().map(|entry| entry.id).collect();
    let lists = [
        ("Pods", pods),
        ("Containers", containers),
        ("Volumes", volumes),
        ("Networks", networks),
        ("Images", images),
        ("build cache objects", build_cache),
    ];
    let text: String = lists.iter().map(|(kind, names)| pruned::list(kind, names)).collect();
    ui::out(&(text + &pruned::total(freed)))?;
    Ok(ExitCode::SUCCESS)
}

/// Docker takes the build cache along, podman if it is asked to. What is in it has no labels.
fn of_build_cache(args: &Args) -> Result<Option<build_cache::PruneRequest>> {
    let of_time = |text: &&String| text.starts_with("until=");
    if !args.build && !ui::docker() || !args.filter.iter().all(|text| of_time(&text)) {
        return Ok(None);
    }
    let filters = build_cache::Filters::parse(&args.filter)?;
    Ok(Some(build_cache::PruneRequest { all: args.all, filters, ..build_cache::PruneRequest::default() }))
}

fn question(args: &Args, build_cache: bool) -> String {
    let mut text = String::from("WARNING! This command removes:\n");
    let mut add = |what: &str| text.push_str(&format!("\t- {what}\n"));
    if !args.external {
        if !ui::docker() {
            add("all stopped pods");
        }
        add("all stopped containers");
        add("all networks not used by at least one container");
        if args.volumes {
            add(match ui::docker() {
                true => "all anonymous volumes not used by at least one container",
                false => "all volumes not used by at least one container",
            });
        }
        add(match args.all {
            true => "all images without at least one container associated with them",
            false => "all dangling images",
        });
        if build_cache {
            add(if args.all { "all build cache" } else { "unused build cache" });
        }
    }
    add("leftovers of interrupted commands");
    for filter in &args.filter {
        add(&format!("(only those that match {filter})"));
    }
    text + "\nAre you sure you want to continue? [y/N] "
}
