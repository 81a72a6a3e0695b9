//! `--pod` of the verbs that create a container.

use super::container::CreationArgs;
use crate::container::Name;
use crate::engine::pods::{PodChoice, PodWish};
use crate::error::{Error, Kind, Result};
use crate::plan::option_values::Ipc;
use crate::spec::PodNamespace;

/// Reads `--pod`.
///
/// # Errors
/// A new pod without a name, or with a malformed one.
pub(in crate::cmd) fn choice(text: &str) -> Result<PodChoice> {
    match text.strip_prefix("new:") {
        None => Ok(PodChoice::Named(text.to_owned())),
        Some("") => Err(Error::new(Kind::Usage, "new pod name must be at least one character")
            .hint("Write --pod new:NAME, for example --pod new:shop.")),
        Some(name) => Ok(PodChoice::New(name.parse::<Name>()?)),
    }
}

/// The pod that the options name, and the namespaces that they choose whatever the pod shares.
pub(super) fn wish(args: &CreationArgs) -> Option<PodWish> {
    let pod = match (&args.pod.pod, &args.pod.pod_id_file) {
        (Some(pod), _) => pod.clone(),
        (None, Some(file)) => PodChoice::File(file.clone()),
        (None, None) => return None,
    };
    let process = &args.process;
    // The network of a new pod is what is asked for here.
    let network = !args.network.network.is_empty() && !matches!(pod, PodChoice::New(_));
    let chosen = [
        (PodNamespace::Pid, process.pid.is_some()),
        (PodNamespace::Ipc, process.ipc != Ipc::default()),
        (PodNamespace::Uts, process.uts.is_some()),
        (PodNamespace::Cgroup, process.cgroupns.is_some()),
        (PodNamespace::Net, network),
    ];
    let chosen = chosen.into_iter().filter(|(_, is_chosen)| *is_chosen).map(|(namespace, _)| namespace);
    Some(PodWish { pod, chosen: chosen.collect() })
}
