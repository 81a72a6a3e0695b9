//! The verbs of the command line, by name.

use crate::cmd;
use crate::cmd::verbs::{self, Verb};

verbs::verbs! {
    /// The verbs.
    pub enum Command {
        /// Attach to a running container
        Attach(cmd::attach::Args),
        /// Update containers to newer images
        AutoUpdate(cmd::auto_update::Args),
        /// Build an image from a Containerfile
        Build(Box<cmd::build::Args>),
        /// Build images and manage the build cache
        Builder(cmd::builder::BuilderArgs),
        /// Build images and manage the build cache, as docker's plugin
        Buildx(cmd::builder::BuildxArgs),
        /// Create an image from a container
        Commit(cmd::commit::Args),
        /// Print the completion script for a shell
        Completion(cmd::completion::Args),
        /// Manage containers
        Container(cmd::groups::ContainerArgs),
        /// Show docker's contexts, of which there is one
        Context(cmd::context::Args),
        /// Copy files between containers and the host
        Cp(cmd::cp::Args),
        /// Create a container without starting it
        Create(Box<cmd::create::Args>),
        /// Show the changed files of a container or an image
        Diff(cmd::diff::Args),
        /// Show events of containers, images and volumes
        Events(cmd::events::Args),
        /// Run a command in a running container
        Exec(cmd::exec::Args),
        /// Export the files of a container as a tar archive
        Export(cmd::export::Args),
        /// Manage health checks
        Healthcheck(cmd::healthcheck::Args),
        /// Show the history of an image
        History(cmd::history::Args),
        /// Manage images
        Image(cmd::groups::ImageArgs),
        /// List images
        Images(cmd::images::Args),
        /// Create an image from a tar archive of files
        Import(cmd::import::Args),
        /// Show information about this machine and the store
        Info(cmd::info::Args),
        /// Prepare containers for starting
        Init(cmd::init::Args),
        /// Show details of containers, images and volumes
        Inspect(cmd::inspect::Args),
        /// Send a signal to running containers
        Kill(cmd::kill::Args),
        /// Load images from an archive
        Load(cmd::load::Args),
        /// Log in to a registry
        Login(cmd::login::Args),
        /// Log out of a registry
        Logout(cmd::logout::Args),
        /// Show the logs of containers
        Logs(cmd::logs::Args),
        /// Manage manifest lists, which name the images of several platforms as one
        Manifest(cmd::manifest::Args),
        /// Mount the files of containers, inside unshare
        Mount(cmd::mount::Args),
        /// Manage networks that containers share
        Network(cmd::network::Args),
        /// Pause containers
        Pause(cmd::pause::Args),
        /// Manage pods, groups of containers that share namespaces
        Pod(cmd::pod::Args),
        /// Show the published ports of a container
        Port(cmd::port::Args),
        /// List containers
        Ps(cmd::ps::Args),
        /// Pull images from a registry
        Pull(cmd::pull::Args),
        /// Push an image to a registry
        Push(Box<cmd::push::Args>),
        /// Rename a container
        Rename(cmd::rename::Args),
        /// Restart containers
        Restart(cmd::restart::Args),
        /// Remove containers
        Rm(cmd::rm::Args),
        /// Remove images
        Rmi(cmd::rmi::Args),
        /// Run a command in a new container
        Run(Box<cmd::run::Args>),
        /// Save images to an archive
        Save(cmd::save::Args),
        /// Search registries for images
        Search(cmd::search::Args),
        /// Manage secrets
        Secret(cmd::secret::Args),
        /// Start containers
        Start(cmd::start::Args),
        /// Show the resource usage of containers
        Stats(cmd::stats::Args),
        /// Stop containers
        Stop(cmd::stop::Args),
        /// Manage the store as a whole
        System(cmd::system::Args),
        /// Add names to an image
        Tag(cmd::tag::Args),
        /// Show the processes of a container
        Top(cmd::top::Args),
        /// Unmount the files of containers
        Unmount(cmd::unmount::Args) = "umount",
        /// Unpause containers
        Unpause(cmd::pause::Args),
        /// Run a command in the user namespace of containers
        Unshare(cmd::unshare::Args),
        /// Remove names from an image
        Untag(cmd::untag::Args),
        /// Update settings of containers
        Update(Box<cmd::update::Args>),
        /// Show the version
        Version(cmd::version::Args),
        /// Manage volumes
        Volume(cmd::volume::Args),
        /// Wait for containers to stop and print their exit codes
        Wait(cmd::wait::Args),
    }
}

/// The verb of this name.
pub(super) fn verb(name: &str) -> Option<&'static Verb> {
    Command::ALL.iter().find(|verb| verb.name() == name)
}
