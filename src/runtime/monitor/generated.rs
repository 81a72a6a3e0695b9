//! The files that are generated for a container: its names, those of others, and who it is.

use crate::fork::{Doing, Failure};
use crate::netns::{self, Tool, files as texts};
use crate::runtime::init::FileOrder;
use crate::runtime::passwd;
use crate::spec::network::HostsBase;
use crate::spec::{Attached, ContainerSpec};
use crate::sys::read::text_of;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::os::fd::AsFd;
use std::path::Path;

/// The files that are generated for a container.
pub(super) fn files(
    plan: &ContainerSpec,
    tool: Option<&Tool>,
    networks: &[&Attached],
    root: &Path,
) -> Result<Vec<FileOrder>, Failure> {
    let host_file = text_of("/etc/hosts").unwrap_or_default();
    let base = match &plan.network.hosts_base {
        HostsBase::Localhost => None,
        HostsBase::Empty => Some(String::new()),
        HostsBase::Image => {
            let look = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let root = open(root, look, Mode::empty()).doing("open", root)?;
            let of_image = passwd::read_database(root.as_fd(), "etc/hosts")?.unwrap_or_default();
            Some(String::from_utf8_lossy(&of_image).into_owned())
        }
        HostsBase::File(path) => Some(text_of(path).doing("read", path)?),
    };
    let facts = texts::HostsFacts {
        hostname: &plan.hostname,
        name: plan.name.as_str(),
        networks,
        host_address: netns::host_address(),
        host_file: &host_file,
        base: base.as_deref(),
        tool,
    };
    let wanted = [
        ("/etc/hostname", plan.files.hostname.then(|| format!("{}\n", plan.hostname)), 0o644),
        ("/etc/hosts", plan.files.hosts.then(|| texts::hosts(&plan.network, &facts)), 0o644),
        ("/etc/resolv.conf", texts::resolv_conf(&plan.network, networks, &netns::host_resolver()), 0o644),
        match (plan.files.as_docker, plan.security.privileged) {
            (true, _) => ("/.dockerenv", Some(String::new()), 0o755),
            (false, true) => ("/run/.containerenv", Some(container_env(plan)), 0o644),
            // Others learn nothing of the host.
            (false, false) => ("/run/.containerenv", Some(String::new()), 0o644),
        },
    ];
    let order = |(path, content, mode): (&str, Option<String>, u32)| {
        content.map(|content| FileOrder { path: path.to_owned(), content, mode })
    };
    let mut all: Vec<FileOrder> = wanted.into_iter().filter_map(order).collect();
    for dir in &plan.chroot_dirs {
        let of_etc = all.iter().filter(|file| file.path.starts_with("/etc/"));
        let again: Vec<FileOrder> = of_etc
            .map(|file| FileOrder { path: format!("{}{}", dir.display(), file.path), ..file.clone() })
            .collect();
        all.extend(again);
    }
    Ok(all)
}

/// What programs in a privileged container read to learn where they are, as podman has it.
fn container_env(plan: &ContainerSpec) -> String {
    let image = plan
        .image
        .as_ref()
        .map_or_else(String::new, |i| format!("image=\"{}\"\nimageid=\"{}\"\n", i.reference, i.id.hex()));
    format!(
        "engine=\"coracle-{}\"\nname=\"{}\"\nid=\"{}\"\n{image}rootless=1\n",
        env!("CARGO_PKG_VERSION"),
        plan.name,
        plan.id
    )
}
