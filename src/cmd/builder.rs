//! `coracle builder ...` and `coracle buildx ...`: docker's names for building and its cache.

use super::build;
use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use std::process::ExitCode;

pub mod du;
pub mod imagetools;
pub mod instances;
pub mod prune;
mod table;

verbs! {
    /// What can be done with the builder.
    pub enum BuilderVerb of BuilderArgs {
        /// Build an image
        Build(Box<build::Args>),
        /// Show the disk usage of the build cache
        Du(du::Args),
        /// Remove the build cache
        Prune(prune::Args),
    }
}

verbs! {
    /// What can be done with buildx.
    pub enum BuildxVerb of BuildxVerbs {
        /// Build an image
        Build(Box<build::Args>) = "b",
        /// Create a builder; no effect, as there is one
        Create(instances::CreateArgs),
        /// Show the disk usage of the build cache
        Du(du::Args),
        /// Look at images in registries, and make lists of them
        Imagetools(imagetools::Args),
        /// Show details of the builder
        Inspect(instances::InspectArgs),
        /// List builders, of which there is one
        Ls(instances::LsArgs),
        /// Remove the build cache
        Prune(prune::Args),
        /// Remove builders; no effect, as there is one
        Rm(instances::RmArgs),
        /// Stop builders; no effect, as none runs
        Stop(instances::StopArgs),
        /// Choose the builder
        Use(instances::UseArgs),
        /// Show the version
        Version(instances::VersionArgs),
    }
}

/// Arguments of `buildx`: its verbs, and what may stand before them.
#[derive(Debug, clap::Args)]
pub struct BuildxArgs {
    /// Builder: there is one, whatever it is called
    #[arg(long = "builder", hide = true, value_name = "NAME")]
    pub of_builder: Option<String>,
    /// The verb.
    #[command(flatten)]
    pub verbs: BuildxVerbs,
}

/// Runs a verb of `builder`.
///
/// # Errors
/// Those of the verb.
pub fn builder(args: BuilderArgs, env: &Env) -> Result<ExitCode> {
    match args.verb {
        BuilderVerb::Build(args) => build::run(args, env),
        BuilderVerb::Du(args) => du::run(&args, env),
        BuilderVerb::Prune(args) => prune::run(&args, env),
    }
}

/// Runs a verb of `buildx`.
///
/// # Errors
/// Those of the verb.
pub fn buildx(args: BuildxArgs, env: &Env) -> Result<ExitCode> {
    match args.verbs.verb {
        BuildxVerb::Build(args) => build::run(args, env),
        BuildxVerb::Create(args) => instances::create(&args),
        BuildxVerb::Du(args) => du::run(&args, env),
        BuildxVerb::Imagetools(args) => imagetools::run(args, env),
        BuildxVerb::Inspect(args) => instances::inspect(&args),
        BuildxVerb::Ls(args) => instances::ls(&args),
        BuildxVerb::Prune(args) => prune::run(&args, env),
        BuildxVerb::Rm(args) => instances::rm(&args),
        BuildxVerb::Stop(args) => instances::stop(&args),
        BuildxVerb::Use(args) => instances::choose(&args),
        BuildxVerb::Version(args) => instances::version(&args),
    }
}
