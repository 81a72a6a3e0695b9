//! `coracle container clone`.

use crate::cmd::options::pulling::pulling;
use crate::cmd::options::refused::{Never, no_pods};
use crate::cmd::options::resources::ResourceArgs;
use crate::cmd::options::source::{PullPolicy, SourceOptions};
use crate::container::Name;
use crate::engine::Engine;
use crate::engine::containers;
use crate::engine::containers::start;
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::copy;
use crate::runtime::cgroup;
use crate::spec::{ContainerSpec, ImageSource, RootSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Containers};
use crate::ui;
use chrono::Utc;
use std::process::ExitCode;

/// Most copies that get their name from the original's.
const COPIES_MAX: u32 = 1000;

/// Arguments of `container clone`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Container by name, id or beginning of an id
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Name of the clone; by default that of the original with -clone
    #[arg(value_name = "NAME", conflicts_with = "named")]
    pub name: Option<Name>,
    /// Image of the clone, instead of the original's
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// Name of the clone
    #[arg(id = "named", long = "name", value_name = "NAME")]
    pub named: Option<Name>,
    /// Remove the original
    #[arg(long)]
    pub destroy: bool,
    /// With --destroy: stop the original first if it is running
    #[arg(short, long, requires = "destroy")]
    pub force: bool,
    /// Start the clone in the background
    #[arg(long)]
    pub run: bool,
    /// Pod
    #[arg(long, hide = true, value_name = "NAME", value_parser = no_pods())]
    pub pod: Option<Never>,
    /// What it may use, in place of what the original may.
    #[command(flatten)]
    pub resources: ResourceArgs,
}

/// Makes a container like another one: as that one was made and what it may use by now, without what it
/// wrote since. Prints its id.
///
/// # Errors
/// A container or image that does not exist, a name that is taken, an original that runs and is to be
/// removed, limits that contradict each other or those of the original.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let limits = args.resources.clone().resources()?;
    let store = crate::cmd::store(env)?;
    let original = containers::find(&store, &args.container)?;
    let status = original.status();
    if args.destroy && !args.force && (status.is_active() || original.is_in_hand()) {
        return Err(Error::new(
            Kind::Conflict,
            format!("container {} is {}", args.container, status.as_str()),
        )
        .hint("Add --force to stop it, or leave --destroy out."));
    }
    let of = start::stored_plan(&original)?;
    let wanted = args.name.as_ref().or(args.named.as_ref());
    let name = match wanted {
        Some(name) => name.clone(),
        None => free_name(&store, &of.name)?,
    };
    let volume = || Containers::new_id().map(Name::from);
    let mut plan = copy(&of, Containers::new_id()?, name, Utc::now(), volume)?;
    plan.lifecycle.restart = original.restart_policy(of.lifecycle.restart);
    let mut resources = cgroup::effective(&original, &of)?;
    resources.merge(&limits);
    resources.check()?;
    plan.limits.resources = resources.limiting();
    if args.run {
        // Refused before the copy is made, or the original removed.
        cgroup::prepare(&plan.limits.resources, plan.limits.cgroup_parent.as_deref())?;
    }
    plan.asked.cidfile = None;
    plan.asked.create_command = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(image) = &args.image {
        from_image(env, &store, &mut plan, image)?;
    }
    let dir = containers::copied(&store, &mut plan)?;
    if args.destroy
        && let Err(error) = destroy(&store, &original)
    {
        containers::discard(&store, &dir);
        return Err(error);
    }
    if args.run {
        ui::warn(&start::start(&store, &dir, false)?.warnings);
    }
    ui::out(&format!("{}\n", plan.id))?;
    Ok(ExitCode::SUCCESS)
}

/// `web-clone`, `web-clone1` and so on: the first that nobody has.
fn free_name(store: &Store, of: &Name) -> Result<Name> {
    for number in 0..COPIES_MAX {
        let number = if number == 0 { String::new() } else { number.to_string() };
        let name: Name = format!("{of}-clone{number}").parse()?;
        if containers::find(store, name.as_str()).is_err() {
            return Ok(name);
        }
    }
    Err(Error::new(Kind::Conflict, format!("{COPIES_MAX} clones of {of} already exist"))
        .hint("Give this one a name: coracle container clone --name NAME ..."))
}

fn from_image(env: &Env, store: &Store, plan: &mut ContainerSpec, text: &str) -> Result<()> {
    let engine = Engine { store, config: &env.roots.config };
    let wanted = SourceOptions::default().wanted(PullPolicy::Missing)?;
    let image = pulling(false, |report| engine.ensure(text, &wanted, report))?;
    plan.root = RootSpec::Layers(image.layers.clone());
    plan.image = Some(ImageSource::of(&image));
    Ok(())
}

fn destroy(store: &Store, original: &ContainerDir) -> Result<()> {
    let (signal, patience) = containers::stop_policy(original, None);
    containers::end(store, original, signal, patience)?;
    match containers::remove_ended(store, original, true) {
        Ok(true) => {}
        Ok(false) if !original.in_place() => {}
        Ok(false) => {
            let id = original.id().short();
            return Err(Error::new(
                Kind::Conflict,
                format!("container {id} was started again in the meantime"),
            ));
        }
        Err(error) => return Err(error),
    }
    containers::tidy(store);
    Ok(())
}
