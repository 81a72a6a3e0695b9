//! `coracle pod create`.

use super::infra::{self, InfraArgs};
use crate::cmd::options::files;
use crate::cmd::options::pulling::pulling;
use crate::cmd::options::resources::ResourceArgs;
use crate::cmd::options::switch::switchable;
use crate::container::{Name, RestartPolicy};
use crate::engine::pods::{self, PodRequest};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::plan::option_values::Pair;
use crate::runtime::cgroup;
use crate::spec::{ExitPolicy, PodNamespace};
use crate::{host, ui};
use clap::{Arg, ArgAction};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `pod create`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, mut_args = shown)]
pub struct Args {
    /// Name of the pod
    #[arg(value_name = "NAME")]
    pub positional: Option<Name>,
    /// Name of the pod; a random one by default
    #[arg(short, long, value_name = "NAME", help_heading = "Identity")]
    pub name: Option<Name>,
    /// Remove another pod of this name first, with its containers
    #[arg(long, help_heading = "Identity")]
    pub replace: bool,
    /// Label; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Identity")]
    pub label: Vec<Pair>,
    /// Read labels from a file, one per line
    #[arg(long, value_name = "FILE", value_delimiter = ',', help_heading = "Identity")]
    pub label_file: Vec<PathBuf>,
    /// Write the pod's id to a file
    #[arg(long, value_name = "FILE", help_heading = "Identity")]
    pub pod_id_file: Option<PathBuf>,
    /// Create a container that holds what the others share; by default if they share something
    #[arg(long, help_heading = "Infra container")]
    pub infra: Option<bool>,
    /// What holds the namespaces.
    #[command(flatten)]
    pub holder: InfraArgs,
    /// Namespaces that the containers share: cgroup, ipc, net, pid, uts; none; with + in front added to the default
    #[arg(long, value_name = "NAMESPACES", default_value = "ipc,net,uts", help_heading = "Infra container")]
    pub share: String,
    /// Put the containers into the cgroup of the pod, where it has one
    #[arg(long, default_value = "true", help_heading = "Infra container")]
    pub share_parent: bool,
    /// When the last container has ended: continue (the infra container runs on) or stop
    #[arg(long, value_name = "POLICY", default_value = "continue", help_heading = "Lifecycle")]
    pub exit_policy: ExitPolicy,
    /// Restart policy of containers that have none of their own: no, on-failure[:N], always or unless-stopped
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "no",
        hide_default_value = true,
        help_heading = "Lifecycle"
    )]
    pub restart: RestartPolicy,
    /// What its containers may use together.
    #[command(flatten)]
    pub resources: ResourceArgs,
    /// Parent cgroup of that of the pod
    #[arg(long, value_name = "PATH|SLICE", help_heading = "Limits")]
    pub cgroup_parent: Option<String>,
    /// Print help
    #[arg(long, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}

/// Flags as everywhere; and what a pod cannot have is not offered as if it could.
fn shown(arg: Arg) -> Arg {
    let arg = switchable(arg);
    match arg.get_help_heading() {
        Some("Limits") if arg.get_id() != "cgroup_parent" => {
            arg.help_heading("Limits (refused: a pod has no cgroup of its own)")
        }
        Some("Limits") => arg.help_heading("Lifecycle"),
        _ => arg,
    }
}

/// Makes a pod and prints its id.
///
/// # Errors
/// Anything that is wrong with the options, before anything changes.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    let caller = host::caller()?;
    let name = match (args.name, args.positional) {
        (Some(_), Some(_)) => {
            return Err(Error::new(Kind::Usage, "cannot specify --name and NAME at the same time")
                .hint("Leave one of the two out."));
        }
        (name, positional) => name.or(positional),
    };
    let shared = shared(&args.share)?;
    let has_infra = args.infra.unwrap_or(!shared.is_empty());
    if !has_infra {
        infra::check_without(&args.holder, args.infra.map(|_| args.share.as_str()))?;
    }
    if has_infra
        && args.share_parent
        && args.share.split(',').any(|one| one == "cgroup")
        && !shared.is_empty()
    {
        // As podman, whose pods have a cgroup in any case, asks for.
        return Err(Error::new(
            Kind::Usage,
            "cannot define the pod as the cgroup parent at the same time as joining the infra container's cgroupNS: invalid argument",
        )
        .hint("Leave the cgroup of the pod out: coracle pod create --share-parent=false ..."));
    }
    let resources = args.resources.resources()?.limiting();
    let mut warnings = Vec::new();
    if cgroup::out_of_reach(&resources) {
        warnings.push(cgroup::IGNORED.into());
    } else if !resources.is_empty() {
        return Err(Error::new(Kind::Usage, "a pod has no cgroup of its own that limits could be for")
            .hint("Limit its containers: coracle run --pod NAME --memory 512m ..."));
    }
    let holder = if has_infra { Some(infra::request(args.holder, &caller)?) } else { None };
    let request = PodRequest {
        name,
        shared: if has_infra { shared } else { Vec::new() },
        exit_policy: args.exit_policy,
        restart: args.restart,
        labels: files::labels(&args.label_file, args.label, &caller)?,
        share_parent: args.share_parent,
        cgroup_parent: args.cgroup_parent.filter(|path| !path.is_empty()),
        resources,
        infra: holder,
        id_file: args.pod_id_file,
        replace: args.replace,
        create_command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
    };
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let made = pulling(false, |report| pods::create(engine, request, caller, report))?;
    warnings.extend(made.warnings);
    ui::warn(&warnings);
    ui::out(&format!("{}\n", made.spec.id))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads `--share`.
fn shared(text: &str) -> Result<Vec<PodNamespace>> {
    let (more, list) = match text.strip_prefix('+') {
        Some(list) => (true, list),
        None => (false, text),
    };
    let mut shared = if more { PodNamespace::DEFAULT.to_vec() } else { Vec::new() };
    for word in list.split(',') {
        let namespace = match word.trim() {
            "cgroup" => PodNamespace::Cgroup,
            "ipc" => PodNamespace::Ipc,
            "net" => PodNamespace::Net,
            "pid" => PodNamespace::Pid,
            "uts" => PodNamespace::Uts,
            // Whose namespaces are shared also has the users.
            "" | "user" => continue,
            "none" => return Ok(Vec::new()),
            "mnt" => {
                return Err(Error::new(
                    Kind::Usage,
                    "mount sharing functionality not supported on pod level",
                )
                .hint("Share files with a volume: coracle pod create -v NAME:/DIR ..."));
            }
            other => {
                return Err(Error::new(
                    Kind::Usage,
                    format!("invalid kernel namespace to share: {other}. Options are: cgroup, ipc, net, pid, uts or none"),
                )
                .hint("Write them separated by commas, for example --share net,ipc."));
            }
        };
        if !shared.contains(&namespace) {
            shared.push(namespace);
        }
    }
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_to_share() {
        let read =
            |text: &str| shared(text).unwrap().iter().map(|one| one.as_str()).collect::<Vec<_>>().join(",");
        assert_eq!(read("ipc,net,uts"), "ipc,net,uts");
        assert_eq!(read("+pid"), "ipc,net,uts,pid");
        assert_eq!(read("net,net,user"), "net");
        assert_eq!(read(""), "");
        assert_eq!(read("none"), "");
        assert!(shared("mnt").unwrap_err().message().contains("mount sharing"));
        assert!(shared("wat").unwrap_err().message().contains("invalid kernel namespace"));
    }
}
