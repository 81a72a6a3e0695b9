//! The infra container that the options of `pod create` ask for.

use crate::cmd::options::container::{ConfinementArgs, NameArgs, PlaceArgs, Ports};
use crate::cmd::options::devices::{self, DeviceArgs};
use crate::cmd::options::files;
use crate::cmd::options::refused::{Never, because};
use crate::cmd::options::request::{confinement, share};
use crate::cmd::options::source::{PullPolicy, SourceOptions};
use crate::container::Name;
use crate::engine::pods::InfraRequest;
use crate::error::{Error, Kind, Result};
use crate::host::Caller;
use crate::netns::{self, AddressOptions};
use crate::plan::Request;
use crate::plan::id_lines::MapArg;
use crate::plan::ids::{IdsRequest, Userns};
use crate::plan::limits::SysctlArg;
use crate::plan::mount::VolumeArg;
use crate::plan::mount::inherit::VolumesFrom;
use crate::plan::option_values::Mode;
use crate::plan::process::{Entrypoint, Hostname};
use crate::plan::request::{LifecycleRequest, LimitRequest, MountRequest, NetworkRequest, ProcessRequest};
use crate::plan::security::SecurityOpt;
use crate::plan::units::Size;
use crate::spec::{FilesSpec, NamespaceSpec, NetworkMode};
use std::path::PathBuf;

/// Options that are about the infra container, and so about what the others share.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct InfraArgs {
    /// Name of the infra container
    #[arg(long, value_name = "NAME", help_heading = "Infra container")]
    pub infra_name: Option<Name>,
    /// Image of the infra container, instead of an empty root and coracle's own first process
    #[arg(long, value_name = "IMAGE", help_heading = "Infra container")]
    pub infra_image: Option<String>,
    /// Command of the infra container, with --infra-image
    #[arg(long, value_name = "COMMAND", help_heading = "Infra container")]
    pub infra_command: Option<Entrypoint>,
    /// Write the PID of the infra container's monitor to a file
    #[arg(long, value_name = "FILE", help_heading = "Infra container")]
    pub infra_conmon_pidfile: Option<PathBuf>,
    /// Host name of the containers
    #[arg(short = 'h', long, value_name = "NAME", help_heading = "Infra container")]
    pub hostname: Option<Hostname>,
    /// PID namespace of the pod: private or host
    #[arg(long, value_name = "MODE", help_heading = "Infra container")]
    pub pid: Option<Mode>,
    /// UTS namespace of the pod: private or host
    #[arg(long, value_name = "MODE", help_heading = "Infra container")]
    pub uts: Option<Mode>,
    /// User namespace of the pod: host, keep-id (keep your own ids inside) or nomap
    #[arg(long, value_name = "MODE", help_heading = "Infra container")]
    pub userns: Option<Userns>,
    /// User id map, as with run
    #[arg(
        long,
        value_name = "MAP",
        value_delimiter = ',',
        conflicts_with = "userns",
        help_heading = "Infra container"
    )]
    pub uidmap: Vec<MapArg>,
    /// Group id map, as with run
    #[arg(
        long,
        value_name = "MAP",
        value_delimiter = ',',
        conflicts_with = "userns",
        help_heading = "Infra container"
    )]
    pub gidmap: Vec<MapArg>,
    /// Network of the pod, as with run
    #[arg(long, visible_alias = "net", value_name = "MODE", value_parser = netns::parse_network, help_heading = "Network")]
    pub network: Vec<NetworkMode>,
    /// Where it is on its network.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Publish a port or a range of ports of the pod
    #[arg(short, long, value_name = "[[IP:][PORT]:]PORT[/PROTO]", value_delimiter = ',',
          value_parser = netns::parse_publish, help_heading = "Network")]
    pub publish: Vec<Ports>,
    /// How names are looked up.
    #[command(flatten)]
    pub names: NameArgs,
    /// Base of /etc/hosts: a file on the host, or none
    #[arg(long, value_name = "FILE", conflicts_with = "no_hosts", help_heading = "Network")]
    pub hosts_file: Option<PathBuf>,
    /// Mount a host path or a volume into each container
    #[arg(short, long, value_name = "[SOURCE:]DEST[:OPTIONS]", help_heading = "Given to each container")]
    pub volume: Vec<VolumeArg>,
    /// Mount the volumes of another container into each container; ro makes them read-only
    #[arg(long, value_name = "CONTAINER[:OPTIONS]", help_heading = "Given to each container")]
    pub volumes_from: Vec<VolumesFrom>,
    /// Devices of each container.
    #[command(flatten)]
    pub devices: DeviceArgs,
    /// Security option of each container, as with run
    #[arg(long, value_name = "OPTION", help_heading = "Given to each container")]
    pub security_opt: Vec<SecurityOpt>,
    /// Size of the /dev/shm that the containers share
    #[arg(long, value_name = "SIZE", help_heading = "Infra container")]
    pub shm_size: Option<Size>,
    /// Kernel parameter of the namespaces that the containers share
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Infra container")]
    pub sysctl: Vec<SysctlArg>,
    /// Size of each tmpfs that systemd gets
    #[arg(long, hide = true, value_name = "SIZE", value_parser = because(
        "nothing in the infra container is systemd", "Give it to the container: coracle run --shm-size-systemd SIZE ..."))]
    pub shm_size_systemd: Option<Never>,
    /// Range of subordinate users
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(
        "every container uses all subordinate ids of your account, and no others",
        "Choose among them with --uidmap and --gidmap."))]
    pub subuidname: Option<Never>,
    /// Range of subordinate groups
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(
        "every container uses all subordinate ids of your account, and no others",
        "Choose among them with --uidmap and --gidmap."))]
    pub subgidname: Option<Never>,
}

/// Refuses what only an infra container could have, in a pod without one; `share` is what is to be shared, where that
/// was said together with `--infra=false`.
///
/// # Errors
/// `Usage`, naming the option.
pub(super) fn check_without(args: &InfraArgs, share: Option<&str>) -> Result<()> {
    let default = |share: &str| matches!(share, "" | "none" | "ipc,net,uts");
    let (place, names) = (&args.place, &args.names);
    // Options of the pod's network and its names, which the containers would never see.
    let lost = [
        ("network", !args.network.is_empty()),
        ("ip", place.ip.is_some()),
        ("ip6", place.ip6.is_some()),
        ("mac-address", place.mac_address.is_some()),
        ("network-alias", !place.network_alias.is_empty()),
        ("dns", !names.dns.is_empty()),
        ("dns-search", !names.dns_search.is_empty()),
        ("dns-option", !names.dns_option.is_empty()),
        ("add-host", !names.add_host.is_empty()),
        ("sysctl", !args.sysctl.is_empty()),
    ];
    let wrong = if !args.publish.is_empty() {
        "you must have an infra container to publish port bindings to the host".to_owned()
    } else if args.infra_name.is_some() {
        "cannot set infra-name without an infra container".to_owned()
    } else if let Some((option, _)) = lost.iter().find(|(_, given)| *given) {
        format!("cannot set --{option} without an infra container")
    } else if names.no_hosts {
        "cannot specify --no-hosts without an infra container".to_owned()
    } else if let Some(share) = share.filter(|share| !default(share)) {
        format!("cannot set share({share}) namespaces without an infra container")
    } else {
        return Ok(());
    };
    Err(Error::new(Kind::Usage, wrong).hint("Leave out --infra=false, or give the option to the containers."))
}

/// The container that these options describe.
///
/// # Errors
/// Options that contradict each other, files that cannot be read.
pub(super) fn request(args: InfraArgs, caller: &Caller) -> Result<InfraRequest> {
    if args.infra_command.is_some() && args.infra_image.is_none() {
        return Err(Error::new(
            Kind::Usage,
            "--infra-command needs --infra-image: coracle's own infra container has no programs",
        )
        .hint("Leave it out: nothing has to be executed to hold the namespaces."));
    }
    let image = match &args.infra_image {
        Some(name) if !name.is_empty() => {
            Some((name.clone(), SourceOptions::default().wanted(PullPolicy::Missing)?))
        }
        _ => None,
    };
    let PlaceArgs { ip, ip6, mac_address: mac, network_alias: aliases } = args.place;
    let (mode, mac) = netns::merge_networks(args.network, AddressOptions { ip, ip6, mac, aliases })?;
    let hosts_base = files::hosts_base(args.hosts_file.as_deref(), caller)?;
    let userns = args.userns.as_ref();
    let mut request = Request {
        process: ProcessRequest { entrypoint: args.infra_command, ..ProcessRequest::default() },
        hostname: args.hostname.map(|name| name.0),
        namespaces: NamespaceSpec {
            pid: share(args.pid.as_ref()),
            uts: share(args.uts.as_ref()),
            user: userns.map(|mode| mode.share.clone()).unwrap_or_default(),
            ..NamespaceSpec::default()
        },
        ids: IdsRequest::given(&args.uidmap, &args.gidmap)
            .unwrap_or_else(|| userns.map(|mode| mode.ids.clone()).unwrap_or_default()),
        network: NetworkRequest {
            mode,
            ports: args.publish.into_iter().flatten().collect(),
            dns: args.names.dns()?,
            hosts: args.names.add_host.into_iter().flatten().collect(),
            mac,
            hosts_base,
            ..NetworkRequest::default()
        },
        mounts: MountRequest {
            list: args.volume.into_iter().map(|volume| volume.0).collect(),
            volumes_from: args.volumes_from,
            shm_size: args.shm_size.map(|size| size.0),
            ..MountRequest::default()
        },
        files: FilesSpec {
            hosts: !args.names.no_hosts,
            hostname: !args.names.no_hostname,
            ..FilesSpec::default()
        },
        security: confinement(
            ConfinementArgs { security_opt: args.security_opt, ..ConfinementArgs::default() },
            caller,
        )?,
        limits: LimitRequest { sysctls: args.sysctl, ..LimitRequest::default() },
        lifecycle: LifecycleRequest {
            monitor_pidfile: args.infra_conmon_pidfile,
            ..LifecycleRequest::default()
        },
        ..Request::default()
    };
    devices::look_up(&args.devices, &mut request, caller)?;
    Ok(InfraRequest { name: args.infra_name, request, image })
}
