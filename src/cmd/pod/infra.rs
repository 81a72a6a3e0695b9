//! The infra container that the options of `pod create` ask for.

use super::create::InfraArgs;
use crate::cmd::options::container::{ConfinementArgs, PlaceArgs};
use crate::cmd::options::devices;
use crate::cmd::options::request::{confinement, share};
use crate::cmd::options::source::{PullPolicy, SourceOptions};
use crate::engine::pods::InfraRequest;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::netns::{self, AddressOptions};
use crate::plan::Request;
use crate::plan::ids::IdsRequest;
use crate::plan::request::{LifecycleRequest, LimitRequest, MountRequest, NetworkRequest, ProcessRequest};
use crate::spec::network::HostsBase;
use crate::spec::{FilesSpec, NamespaceSpec};

/// Refuses what only an infra container could have, in a pod without one; `share` is what is to be shared, where that
/// was said together with `--infra=false`.
///
/// # Errors
/// `Usage`, naming the option.
pub(super) fn check_without(args: &InfraArgs, share: Option<&str>) -> Result<()> {
    let default = |share: &str| matches!(share, "" | "none" | "ipc,net,uts");
    let wrong = if !args.publish.is_empty() {
        "you must have an infra container to publish port bindings to the host".to_owned()
    } else if args.infra_name.is_some() {
        "cannot set infra-name without an infra container".to_owned()
    } else if args.names.no_hosts {
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
    let hosts_base = match args.hosts_file.as_ref().map(|file| (file.to_str(), file)) {
        None | Some((Some(""), _)) => HostsBase::Localhost,
        Some((Some("none"), _)) => HostsBase::Empty,
        Some((_, file)) => {
            let path = caller.cwd.join(file);
            std::fs::File::open(&path)
                .context(Kind::Usage, || format!("--hosts-file: cannot read {}", file.display()))?;
            HostsBase::File(path)
        }
    };
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
