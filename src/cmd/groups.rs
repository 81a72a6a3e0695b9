//! `coracle container ...` and `coracle image ...`: the same verbs under the noun they act on.

use super::{
    attach, commit, container, cp, create, diff, exec, export, history, image, images, import, init, inspect,
    kill, load, logs, pause, port, ps, pull, rename, restart, rm, rmi, run, save, start, stats, stop, tag,
    top, untag, update, wait,
};
use crate::error::Result;
use crate::host::Env;
use inspect::Sort;
use std::process::ExitCode;

/// Arguments of `container`.
#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ContainerVerb,
}

/// What can be done with containers.
#[derive(Debug, clap::Subcommand)]
pub enum ContainerVerb {
    /// Attach to a running container
    Attach(attach::Args),
    /// Finish what a killed monitor left of containers
    Cleanup(container::cleanup::Args),
    /// Make a container like another one
    Clone(Box<container::clone::Args>),
    /// Make an image of a container
    Commit(commit::Args),
    /// Copy files between containers and the host
    Cp(cp::Args),
    /// Make a container, to be started later
    Create(Box<create::Args>),
    /// Show what changed in containers
    Diff(diff::Args),
    /// Run a command in a running container
    Exec(exec::Args),
    /// Say by the exit code whether a container exists
    Exists(container::exists::Args),
    /// Write a container's root file system as an archive
    Export(export::Args),
    /// Make ready what the start of containers needs
    Init(init::Args),
    /// Show everything known about containers
    Inspect(inspect::Args),
    /// Send a signal to containers
    Kill(kill::Args),
    /// Show what containers wrote
    Logs(logs::Args),
    /// List containers
    #[command(name = "ls", visible_aliases = ["list", "ps"])]
    Ls(ps::Args),
    /// Freeze the processes of containers
    Pause(pause::Args),
    /// Show where a container's ports are published
    Port(port::Args),
    /// Remove the containers that do not run
    Prune(container::prune::Args),
    /// Give a container another name
    Rename(rename::Args),
    /// Stop containers and start them again
    Restart(restart::Args),
    /// Remove containers
    Rm(rm::Args),
    /// Run a command in a new container
    Run(Box<run::Args>),
    /// Start containers that were made before
    Start(start::Args),
    /// Show what containers use of processor, memory, network and disks
    Stats(stats::Args),
    /// Stop containers
    Stop(stop::Args),
    /// Show the processes of a container
    Top(top::Args),
    /// Let frozen containers go on
    Unpause(pause::Args),
    /// Change settings of containers
    Update(Box<update::Args>),
    /// Wait for containers to stop and print their exit codes
    Wait(wait::Args),
}

/// Arguments of `image`.
#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub verb: ImageVerb,
}

/// What can be done with images.
#[derive(Debug, clap::Subcommand)]
pub enum ImageVerb {
    /// Show what changed in an image, against the layers below its last one
    Diff(diff::Args),
    /// Say by the exit code whether an image is here
    Exists(image::exists::Args),
    /// Show how an image was made
    History(history::Args),
    /// Make an image of an archive of files
    Import(import::Args),
    /// Show everything known about images
    Inspect(inspect::Args),
    /// Load images from an archive
    Load(load::Args),
    /// List images
    #[command(name = "ls", visible_alias = "list")]
    Ls(images::Args),
    /// Remove images that nobody needs
    Prune(image::prune::Args),
    /// Pull images from a registry
    Pull(Box<pull::Args>),
    /// Remove images
    Rm(rmi::Args),
    /// Save images to an archive
    Save(save::Args),
    /// Give an image more names
    Tag(tag::Args),
    /// Show the layers of an image as a tree
    Tree(image::tree::Args),
    /// Take names away from an image
    Untag(untag::Args),
}

/// Runs a verb of `container`.
///
/// # Errors
/// Those of the verb.
pub fn container(args: ContainerArgs, env: &Env) -> Result<ExitCode> {
    match args.verb {
        ContainerVerb::Commit(args) => commit::run(&args, env),
        ContainerVerb::Cp(args) => cp::run(&args, env),
        ContainerVerb::Diff(args) => diff::run(&args, diff::Sort::Container, env),
        ContainerVerb::Exec(args) => exec::run(&args, env),
        ContainerVerb::Export(args) => export::run(&args, env),
        ContainerVerb::Attach(args) => attach::run(&args, env),
        ContainerVerb::Cleanup(args) => container::cleanup::run(&args, env),
        ContainerVerb::Clone(args) => container::clone::run(&args, env),
        ContainerVerb::Create(args) => create::run(*args, env),
        ContainerVerb::Exists(args) => container::exists::run(&args, env),
        ContainerVerb::Init(args) => init::run(&args, env),
        ContainerVerb::Inspect(args) => inspect::run_sort(&args, Sort::Container, env),
        ContainerVerb::Kill(args) => kill::run(&args, env),
        ContainerVerb::Logs(args) => logs::run(&args, env),
        ContainerVerb::Ls(args) => ps::run(&args, env),
        ContainerVerb::Pause(args) => pause::pause(&args, env),
        ContainerVerb::Port(args) => port::run(&args, env),
        ContainerVerb::Prune(args) => container::prune::run(&args, env),
        ContainerVerb::Rename(args) => rename::run(&args, env),
        ContainerVerb::Restart(args) => restart::run(&args, env),
        ContainerVerb::Rm(args) => rm::run(&args, env),
        ContainerVerb::Run(args) => run::run(*args, env),
        ContainerVerb::Start(args) => start::run(&args, env),
        ContainerVerb::Stats(args) => stats::run(&args, env),
        ContainerVerb::Stop(args) => stop::run(&args, env),
        ContainerVerb::Top(args) => top::run(&args, env),
        ContainerVerb::Unpause(args) => pause::unpause(&args, env),
        ContainerVerb::Update(args) => update::run(&args, env),
        ContainerVerb::Wait(args) => wait::run(&args, env),
    }
}

/// Runs a verb of `image`.
///
/// # Errors
/// Those of the verb.
pub fn image(args: ImageArgs, env: &Env) -> Result<ExitCode> {
    match args.verb {
        ImageVerb::Diff(args) => diff::run(&args, diff::Sort::Image, env),
        ImageVerb::Exists(args) => image::exists::run(&args, env),
        ImageVerb::History(args) => history::run(&args, env),
        ImageVerb::Import(args) => import::run(&args, env),
        ImageVerb::Inspect(args) => inspect::run_sort(&args, Sort::Image, env),
        ImageVerb::Ls(args) => images::run(&args, env),
        ImageVerb::Load(args) => load::run(&args, env),
        ImageVerb::Prune(args) => image::prune::run(&args, env),
        ImageVerb::Pull(args) => pull::run(&args, env),
        ImageVerb::Rm(args) => rmi::run(&args, env),
        ImageVerb::Save(args) => save::run(&args, env),
        ImageVerb::Tag(args) => tag::run(&args, env),
        ImageVerb::Tree(args) => image::tree::run(&args, env),
        ImageVerb::Untag(args) => untag::run(&args, env),
    }
}
