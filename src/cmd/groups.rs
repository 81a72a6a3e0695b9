//! `coracle container ...` and `coracle image ...`: the same verbs under the noun they act on.

use super::verbs::verbs;
use super::{
    attach, build, commit, container, cp, create, diff, exec, export, history, image, images, import, init,
    inspect, kill, load, logs, mount, pause, port, ps, pull, push, rename, restart, rm, rmi, run, save,
    search, start, stats, stop, tag, top, unmount, untag, update, wait,
};
use crate::error::Result;
use crate::host::Env;
use crate::ui::Telling;
use inspect::ObjectKind;
use std::process::ExitCode;

verbs! {
    /// What can be done with containers.
    pub enum ContainerVerb of ContainerArgs {
        /// Attach to a running container
        Attach(attach::Args),
        /// Clean up containers whose monitor was killed
        Cleanup(container::cleanup::Args),
        /// Create a container with the settings of another
        Clone(Box<container::clone::Args>),
        /// Create an image from a container
        Commit(commit::Args),
        /// Copy files between containers and the host
        Cp(cp::Args),
        /// Create a container without starting it
        Create(Box<create::Args>),
        /// Show the changed files of a container
        Diff(diff::Args),
        /// Run a command in a running container
        Exec(exec::Args),
        /// Check whether a container exists
        Exists(container::exists::Args),
        /// Export the files of a container as a tar archive
        Export(export::Args),
        /// Prepare containers for starting
        Init(init::Args),
        /// Show details of containers
        Inspect(inspect::Args),
        /// Send a signal to running containers
        Kill(kill::Args),
        /// Show the logs of containers
        Logs(logs::Args),
        /// List containers
        Ls(ps::Args) = "list" | "ps",
        /// Mount the files of containers, inside unshare
        Mount(mount::Args),
        /// Pause containers
        Pause(pause::Args),
        /// Show the published ports of a container
        Port(port::Args),
        /// Remove containers that are not running
        Prune(container::prune::Args),
        /// Rename a container
        Rename(rename::Args),
        /// Restart containers
        Restart(restart::Args),
        /// Remove containers
        Rm(rm::Args),
        /// Run a command in a new container
        Run(Box<run::Args>),
        /// Start containers
        Start(start::Args),
        /// Show the resource usage of containers
        Stats(stats::Args),
        /// Stop containers
        Stop(stop::Args),
        /// Show the processes of a container
        Top(top::Args),
        /// Unmount the files of containers
        Unmount(unmount::Args) = "umount",
        /// Unpause containers
        Unpause(pause::Args),
        /// Update settings of containers
        Update(Box<update::Args>),
        /// Wait for containers to stop and print their exit codes
        Wait(wait::Args),
    }
}

verbs! {
    /// What can be done with images.
    pub enum ImageVerb of ImageArgs {
        /// Build an image from a Containerfile
        Build(Box<build::Args>),
        /// Show the files that the last layer of an image changed
        Diff(image::diff::Args),
        /// Check whether an image is in the store
        Exists(image::exists::Args),
        /// Show the history of an image
        History(history::Args),
        /// Create an image from a tar archive of files
        Import(import::Args),
        /// Show details of images
        Inspect(image::inspect::Args),
        /// Load images from an archive
        Load(load::Args),
        /// List images
        Ls(images::Args) = "list",
        /// Mount images, inside unshare
        Mount(image::mount::Args),
        /// Remove unused images
        Prune(image::prune::Args),
        /// Pull images from a registry
        Pull(Box<pull::Args>),
        /// Push an image to a registry
        Push(Box<push::Args>),
        /// Remove images
        Rm(rmi::Args) = "remove" | "rmi",
        /// Save images to an archive
        Save(save::Args),
        /// Copy an image to or from another machine or user
        Scp(image::scp::Args),
        /// Search registries for images
        Search(search::Args),
        /// Add names to an image
        Tag(tag::Args),
        /// Show the layers of an image as a tree
        Tree(image::tree::Args),
        /// Show and set which images are accepted
        Trust(image::trust::Args),
        /// Unmount images
        Unmount(image::unmount::Args) = "umount",
        /// Remove names from an image
        Untag(untag::Args),
    }
}

/// What the exit code of a verb of `container` tells in docker's dialect: that of the plain verb.
pub(super) fn telling(args: &ContainerArgs) -> Telling {
    match args.verb {
        ContainerVerb::Run(_) => Telling::Run,
        ContainerVerb::Exec(_) => Telling::Exec,
        ContainerVerb::Start(_) | ContainerVerb::Attach(_) => Telling::Attached,
        _ => Telling::Success,
    }
}

/// Runs a verb of `container`.
///
/// # Errors
/// Those of the verb.
pub fn container(args: ContainerArgs, env: &Env) -> Result<ExitCode> {
    match args.verb {
        ContainerVerb::Commit(args) => commit::run(&args, env),
        ContainerVerb::Cp(args) => cp::run(&args, env),
        ContainerVerb::Diff(args) => diff::run(&args, diff::DiffTarget::Container, env),
        ContainerVerb::Exec(args) => exec::run(args, env),
        ContainerVerb::Export(args) => export::run(&args, env),
        ContainerVerb::Attach(args) => attach::run(&args, env),
        ContainerVerb::Cleanup(args) => container::cleanup::run(&args, env),
        ContainerVerb::Clone(args) => container::clone::run(&args, env),
        ContainerVerb::Create(args) => create::run(args, env),
        ContainerVerb::Exists(args) => container::exists::run(&args, env),
        ContainerVerb::Init(args) => init::run(&args, env),
        ContainerVerb::Inspect(args) => inspect::run_kind(&args, ObjectKind::Container, env),
        ContainerVerb::Kill(args) => kill::run(&args, env),
        ContainerVerb::Logs(args) => logs::run(&args, env),
        ContainerVerb::Ls(args) => ps::run(&args, env),
        ContainerVerb::Mount(args) => mount::run(&args, env),
        ContainerVerb::Pause(args) => pause::pause(&args, env),
        ContainerVerb::Port(args) => port::run(&args, env),
        ContainerVerb::Prune(args) => container::prune::run(&args, env),
        ContainerVerb::Rename(args) => rename::run(&args, env),
        ContainerVerb::Restart(args) => restart::run(&args, env),
        ContainerVerb::Rm(args) => rm::run(&args, env),
        ContainerVerb::Run(args) => run::run(args, env),
        ContainerVerb::Start(args) => start::run(&args, env),
        ContainerVerb::Stats(args) => stats::run(&args, env),
        ContainerVerb::Stop(args) => stop::run(&args, env),
        ContainerVerb::Top(args) => top::run(&args, env),
        ContainerVerb::Unmount(args) => unmount::run(&args, env),
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
        ImageVerb::Build(args) => build::run(args, env),
        ImageVerb::Diff(args) => {
            let args = diff::Args { names: args.images, latest: false, format: args.format };
            diff::run(&args, diff::DiffTarget::Image, env)
        }
        ImageVerb::Exists(args) => image::exists::run(&args, env),
        ImageVerb::History(args) => history::run(&args, env),
        ImageVerb::Import(args) => import::run(&args, env),
        ImageVerb::Inspect(args) => {
            let args = inspect::Args { names: args.images, format: args.format, ..inspect::Args::default() };
            inspect::run_kind(&args, ObjectKind::Image, env)
        }
        ImageVerb::Ls(args) => images::run(&args, env),
        ImageVerb::Load(args) => load::run(&args, env),
        ImageVerb::Mount(args) => image::mount::run(&args, env),
        ImageVerb::Prune(args) => image::prune::run(&args, env),
        ImageVerb::Pull(args) => pull::run(&args, env),
        ImageVerb::Push(args) => push::run(&args, env),
        ImageVerb::Rm(args) => rmi::run(&args, env),
        ImageVerb::Save(args) => save::run(&args, env),
        ImageVerb::Scp(args) => image::scp::run(&args, env),
        ImageVerb::Search(args) => search::run(&args, env),
        ImageVerb::Tag(args) => tag::run(&args, env),
        ImageVerb::Trust(args) => image::trust::run(args, env),
        ImageVerb::Tree(args) => image::tree::run(&args, env),
        ImageVerb::Unmount(args) => image::unmount::run(&args, env),
        ImageVerb::Untag(args) => untag::run(&args, env),
    }
}
