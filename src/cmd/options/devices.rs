//! Devices: nodes are looked up on the host, names in the specifications of the Container Device Interface.

use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::plan::Request;
use crate::plan::cdi::{self, Edits, Spec};
use crate::plan::device::{DeviceArg, GpusArg};
use crate::plan::env::EnvArg;
use crate::plan::mount::{MountArg, TmpfsArg, VolumeArg};
use crate::spec::DeviceSpec;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Where specifications are; those of a later directory replace those of an earlier one.
const SPEC_DIRS: [&str; 3] = ["/etc/cdi", "/var/run/cdi", "/run/cdi"];
/// Largest specification, in bytes.
const SPEC_MAX: u64 = 4 << 20;
/// Most nodes that one directory gives.
const NODES_MAX: usize = 1024;

/// Options that give a container devices.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Devices")]
pub struct DeviceArgs {
    /// Host device, a directory of devices, or vendor/class=name of a CDI specification
    #[arg(long, value_name = "HOST[:INSIDE][:rwm]")]
    pub device: Vec<DeviceArg>,
    /// GPUs from CDI specifications: all, a number, or device=NAME
    #[arg(long, value_name = "DEVICES")]
    pub gpus: Vec<GpusArg>,
    /// Directory with CDI specifications, instead of /etc/cdi and /run/cdi
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub cdi_spec_dir: Vec<PathBuf>,
}

/// Adds what the options ask for to the request.
///
/// # Errors
/// A missing node or one that is not a device; a device that no specification describes.
pub fn look_up(args: &DeviceArgs, request: &mut Request, caller: &Caller) -> Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for device in &args.device {
        match device {
            DeviceArg::Node { host, inside, permissions } => {
                request.devices.extend(nodes(host, inside.as_deref().unwrap_or(host), permissions)?);
            }
            DeviceArg::Cdi(name) => names.push(name),
        }
    }
    if request.security.privileged {
        request.devices.extend(openable(&request.devices));
    }
    names.extend(args.gpus.iter().flat_map(|gpus| gpus.0.iter().map(String::as_str)));
    if names.is_empty() {
        return Ok(());
    }
    let specs = specs(&args.cdi_spec_dir, caller)?;
    let mut whole: Vec<&Spec> = Vec::new();
    for name in names {
        let (spec, device) = find(&specs, name).ok_or_else(|| unknown(name, args, &specs))?;
        // What all devices of a specification need is needed once.
        if !whole.iter().any(|seen| std::ptr::eq(*seen, spec)) {
            whole.push(spec);
            apply(&spec.container_edits, name, request)?;
        }
        apply(device, name, request)?;
    }
    Ok(())
}

/// The node at a path of the host, or the nodes below it.
fn nodes(host: &Path, inside: &Path, permissions: &str) -> Result<Vec<DeviceSpec>> {
    let shown = host.display();
    let refuse = |why: &str| Error::new(Kind::Usage, format!("device {shown} cannot be used: {why}"));
    let found = host.canonicalize().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            refuse("it does not exist on this machine").hint("See which devices there are: ls -l /dev")
        }
        _ => refuse("it cannot be looked up").caused_by(e),
    })?;
    let kind = found.metadata().map_err(|e| refuse("it cannot be looked up").caused_by(e))?.file_type();
    let plan = |host: PathBuf, inside: PathBuf| DeviceSpec {
        host,
        inside,
        permissions: permissions.to_owned(),
        optional: false,
    };
    if is_device(kind) {
        if !permissions.contains('w') || !permissions.contains('r') {
            log::warn!("device {shown}: an ordinary user cannot restrict access to it to {permissions:?}");
        }
        return Ok(vec![plan(found, inside.to_owned())]);
    }
    if !kind.is_dir() {
        return Err(refuse("it is not a device")
            .hint(format!("Mount a file or a directory with: -v {shown}:{}", inside.display())));
    }
    let mut all = Vec::new();
    let mut waiting = vec![(found, inside.to_owned())];
    while let Some((host, inside)) = waiting.pop() {
        let entries = fs::read_dir(&host).map_err(|e| refuse("it cannot be listed").caused_by(e))?;
        for entry in entries.flatten() {
            // Links and whatever else lies there are left out.
            let Ok(kind) = entry.file_type() else { continue };
            let place = inside.join(entry.file_name());
            match kind {
                kind if kind.is_dir() => waiting.push((entry.path(), place)),
                kind if is_device(kind) => all.push(plan(entry.path(), place)),
                _ => {}
            }
        }
        if all.len() > NODES_MAX || waiting.len() > NODES_MAX {
            return Err(refuse("it has too many devices").hint("Name those that are needed."));
        }
    }
    all.sort_by(|a, b| a.inside.cmp(&b.inside));
    if all.is_empty() { Err(refuse("there is no device in it")) } else { Ok(all) }
}

/// Devices that a container creates itself, and terminals, which must not be shared.
const OWN: [&str; 10] = ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm", "console"];

/// For `--privileged`: the devices that the caller may open, in addition to the default ones.
fn openable(known: &[DeviceSpec]) -> Vec<DeviceSpec> {
    let dev = Path::new("/dev");
    let of_host = nodes(dev, dev, "rwm").unwrap_or_default();
    let wanted = |device: &DeviceSpec| {
        let first = device.inside.strip_prefix(dev).ok().and_then(|rest| rest.components().next());
        let first = first.map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
        !OWN.contains(&first.as_str())
            && !first.starts_with("tty")
            && !first.starts_with("vcs")
            && !known.iter().any(|other| other.inside == device.inside)
            && fs::metadata(&device.host).is_ok_and(|status| may_use(&status))
    };
    of_host.into_iter().filter(wanted).map(|device| DeviceSpec { optional: true, ..device }).collect()
}

/// Whether the mode lets everybody, or the caller as owner, read and write.
fn may_use(status: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let own = nix::unistd::geteuid().as_raw() == status.uid();
    status.mode() & 0o006 == 0o006 || own && status.mode() & 0o600 == 0o600
}

fn is_device(kind: fs::FileType) -> bool {
    kind.is_char_device() || kind.is_block_device()
}

/// A specification and the directory's rank among the others.
struct Found {
    rank: usize,
    spec: Spec,
}

/// All specifications. A file that cannot be read is reported and skipped, as another one may suffice.
fn specs(dirs: &[PathBuf], caller: &Caller) -> Result<Vec<Found>> {
    let own: Vec<PathBuf> = match dirs {
        [] => SPEC_DIRS.iter().map(PathBuf::from).collect(),
        some => some.iter().map(|dir| caller.cwd.join(dir)).collect(),
    };
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for (rank, dir) in own.iter().enumerate() {
        let Ok(real) = dir.canonicalize() else { continue };
        if seen.contains(&real) {
            continue;
        }
        let mut files: Vec<PathBuf> =
            fs::read_dir(&real).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        seen.push(real);
        files.sort();
        for file in files {
            let is_json = match file.extension().and_then(|ending| ending.to_str()) {
                Some("json") => true,
                Some("yaml" | "yml") => false,
                _ => continue,
            };
            let spec = read(&file).and_then(|text| cdi::parse(&text, is_json));
            match spec.context(Kind::Usage, || format!("CDI specification {}", file.display())) {
                Ok(spec) => found.push(Found { rank, spec }),
                Err(e) => {
                    let why = e.causes().join(": ");
                    log::warn!("{e} is left out: {why}");
                }
            }
        }
    }
    Ok(found)
}

fn read(file: &Path) -> Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let mut open = || fs::File::open(file)?.take(SPEC_MAX).read_to_string(&mut text);
    open().context(Kind::Usage, || "it cannot be read")?;
    Ok(text)
}

/// The device of this name, that of the highest rank; a name that is given twice at that rank is nobody's.
fn find<'a>(specs: &'a [Found], name: &str) -> Option<(&'a Spec, &'a Edits)> {
    let mut all: Vec<(usize, &Spec, &Edits)> = Vec::new();
    for Found { rank, spec } in specs {
        let own = spec.devices.iter().filter(|device| format!("{}={}", spec.kind, device.name) == name);
        all.extend(own.map(|device| (*rank, spec, &device.container_edits)));
    }
    let top = all.iter().map(|(rank, _, _)| *rank).max()?;
    let mut best = all.into_iter().filter(|(rank, _, _)| *rank == top);
    let (_, spec, edits) = best.next()?;
    best.next().is_none().then_some((spec, edits))
}

fn unknown(name: &str, args: &DeviceArgs, specs: &[Found]) -> Error {
    let places = match &args.cdi_spec_dir[..] {
        [] => "/etc/cdi or /run/cdi".to_owned(),
        some => some.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(" or "),
    };
    let error = Error::new(
        Kind::NotFound,
        format!("no CDI specification in {places} describes device {name}, or more than one does"),
    );
    let known: Vec<String> = specs
        .iter()
        .flat_map(|found| {
            found.spec.devices.iter().map(|device| format!("{}={}", found.spec.kind, device.name))
        })
        .collect();
    match name.starts_with("nvidia.com/") {
        _ if !known.is_empty() => error.hint(format!("There are: {}", known.join(" "))),
        true => error.hint("Make one with NVIDIA's container toolkit: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"),
        false => error.hint("The vendor's software makes it; name its directory with --cdi-spec-dir DIR."),
    }
}

/// Applies the edits of a specification that a container may have.
fn apply(edits: &Edits, name: &str, request: &mut Request) -> Result<()> {
    let wrong = |e: Error| {
        Error::new(Kind::Usage, format!("the CDI specification of {name} cannot be applied")).caused_by(e)
    };
    for (place, entry) in edits.env.iter().enumerate() {
        // Over the image's, and under what the user says.
        request.process.env.files.insert(place, entry.parse::<EnvArg>().map_err(wrong)?);
    }
    for node in &edits.device_nodes {
        let host = node.host_path.as_deref().unwrap_or(&node.path);
        let found = nodes(host, &node.path, node.permissions.as_deref().unwrap_or("rwm")).map_err(wrong)?;
        let new = found.into_iter().filter(|one| !request.devices.iter().any(|d| d.inside == one.inside));
        let new: Vec<DeviceSpec> = new.collect();
        request.devices.extend(new);
    }
    for mount in &edits.mounts {
        let new = mount_of(mount).map_err(wrong)?;
        if !request.mounts.list.iter().any(|known| known.destination == new.destination) {
            request.mounts.list.push(new);
        }
    }
    request.process.groups.extend(edits.groups.iter().map(u32::to_string));
    for hook in &edits.hooks {
        log::warn!(
            "device {name} asks for {} to be run on the container ({}); that is left out: no program of the host is run on what an image holds",
            hook.path,
            hook.args.get(1).unwrap_or(&hook.hook_name)
        );
    }
    Ok(())
}

fn mount_of(mount: &cdi::Mount) -> Result<MountArg> {
    let mut options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
    if mount.kind.as_deref() == Some("tmpfs") {
        let text = format!("{}:{}", mount.container_path, options.join(","));
        return text.trim_end_matches(':').parse::<TmpfsArg>().map(|arg| arg.0);
    }
    options.retain(|option| *option != "noatime");
    let text = format!("{}:{}:{}", mount.host_path, mount.container_path, options.join(","));
    text.trim_end_matches(':').parse::<VolumeArg>().map(|arg| arg.0)
}
