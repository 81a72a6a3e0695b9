//! The engine requests of verbs that create a container.

use super::container::CreationArgs;
use super::request::Origin;
use crate::engine::containers::{CreateRequest, IdFile};
use crate::engine::pods::{PodChoice, PodWish};
use crate::error::Result;
use crate::host::Caller;
use crate::plan::option_values::Ipc;
use crate::spec::PodNamespace;
use crate::ui;

/// The request that options and words, the image's name first, come to. The container is not started.
///
/// # Errors
/// Anything that is wrong with them.
pub fn wanted(container: CreationArgs, words: Vec<String>, caller: &Caller) -> Result<CreateRequest> {
    let mut words = words.into_iter();
    let first = words.next().unwrap_or_default();
    let origin = container.origin(&first)?;
    let pod = wish(&container);
    let image = match &origin {
        Origin::Image(name) => Some((name.clone(), container.image.source.wanted(container.image.pull)?)),
        Origin::Rootfs(_) => None,
    };
    let cidfile = container.identity.cidfile.clone().map(|path| IdFile { path, is_podmans: !ui::docker() });
    let replace = container.identity.replace;
    let requires = container.lifecycle.requires.clone();
    let command_line = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let request = container.into_request(&origin, words.collect(), caller, command_line)?;
    Ok(CreateRequest { request, image, pod, requires, cidfile, replace, start: false })
}

/// The pod that the options name, and the namespaces that they choose whatever the pod shares.
fn wish(args: &CreationArgs) -> Option<PodWish> {
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
