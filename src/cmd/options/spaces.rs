//! Options for the environment of a container's process, and how they get into the request.

use crate::cmd::options::files;
use crate::cmd::options::switch::switchable;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host;
use crate::host::Caller;
use crate::plan::Request;
use crate::plan::id_lines::MapArg;
use crate::plan::ids::IdsRequest;
use crate::plan::option_values::Pair;
use crate::plan::process::{OomScore, Personality};
use crate::plan::systemd::Systemd;
use crate::plan::units::Size;
use crate::spec::network::HostsBase;
use crate::ui;
use std::path::{Path, PathBuf};

/// Options on the surroundings.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Process", mut_args = switchable)]
pub struct SpaceArgs {
    /// Set up mounts, stop signal and variables for systemd: true (if the command is an init), false or always
    #[arg(long, value_name = "MODE", default_value = "true")]
    pub systemd: Systemd,
    /// Size of each tmpfs that --systemd mounts
    #[arg(long, value_name = "SIZE")]
    pub shm_size_systemd: Option<Size>,
    /// Add a host account to /etc/passwd
    #[arg(long, value_name = "USER")]
    pub hostuser: Vec<String>,
    /// Entry that --passwd adds to /etc/passwd; $USERNAME, $UID, $GID, $NAME and $HOME are replaced
    #[arg(long, value_name = "ENTRY")]
    pub passwd_entry: Option<String>,
    /// Entry that --passwd adds to /etc/group; $GROUPNAME, $GID and $USERLIST are replaced
    #[arg(long, value_name = "ENTRY")]
    pub group_entry: Option<String>,
    /// Host program to run as init, instead of coracle's own
    #[arg(long, value_name = "FILE")]
    pub init_path: Option<PathBuf>,
    /// User id map, [FLAGS]CONTAINER:[@]FROM[:COUNT]: FROM 0 is you, 1 and up are your subordinate ids, @FROM is an id of
    /// the host; also for groups, unless --gidmap is given or FLAGS have u; with + it takes ids from the lines before
    #[arg(long, value_name = "MAP", value_delimiter = ',', conflicts_with = "userns")]
    pub uidmap: Vec<MapArg>,
    /// Group id map; see --uidmap
    #[arg(long, value_name = "MAP", value_delimiter = ',', conflicts_with = "userns")]
    pub gidmap: Vec<MapArg>,
    /// OOM score adjustment: -1000 to 1000, and at least the caller's
    #[arg(long, value_name = "NUMBER")]
    pub oom_score_adj: Option<OomScore>,
    /// Execution domain: linux or linux32
    #[arg(long, value_name = "PERSONA")]
    pub personality: Option<Personality>,
    /// Directories in the container that also get /etc/hosts, /etc/hostname and /etc/resolv.conf
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub chrootdirs: Vec<PathBuf>,
    /// Write the PID of the container's monitor to a file
    #[arg(long, value_name = "FILE")]
    pub conmon_pidfile: Option<PathBuf>,
    /// Modify a variable of the image: NAME=TEXT, where TEXT may contain ${NAME}
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Environment")]
    pub env_merge: Vec<Pair>,
    /// Base of /etc/hosts: a file on the host, image for the image's file, or none
    #[arg(long, value_name = "FILE", conflicts_with = "no_hosts", help_heading = "Network")]
    pub hosts_file: Option<String>,
}

/// Puts the options into the request.
///
/// # Errors
/// A file or an account that does not exist, a directory that is not absolute.
pub fn apply(args: SpaceArgs, request: &mut Request, caller: &Caller) -> Result<()> {
    if let Some(ids) = IdsRequest::given(&args.uidmap, &args.gidmap) {
        request.ids = ids;
    }
    let process = &mut request.process;
    process.systemd = args.systemd;
    process.systemd_size = args.shm_size_systemd.map(|size| size.0).filter(|bytes| *bytes > 0);
    process.host_users = args.hostuser.iter().map(|name| host::account(name)).collect::<Result<_>>()?;
    process.passwd_line = args.passwd_entry.map(|text| one_line("--passwd-entry", text)).transpose()?;
    process.group_line = args.group_entry.map(|text| one_line("--group-entry", text)).transpose()?;
    process.personality = args.personality.map(|personality| personality.0);
    process.env.merge = args.env_merge.into_iter().map(|pair| (pair.key, pair.value)).collect();
    if let Some(path) = args.init_path {
        let path = caller.cwd.join(path);
        let found =
            path.canonicalize().context(Kind::Usage, || format!("--init-path: {}", path.display()))?;
        if !found.is_file() {
            return Err(Error::new(Kind::Usage, format!("--init-path: {} is not a program", path.display()))
                .hint("Leave it out: --init alone uses coracle's own."));
        }
        process.init_path = Some(found);
    }
    if let Some(OomScore(asked)) = args.oom_score_adj {
        let own = std::fs::read_to_string("/proc/self/oom_score_adj").ok();
        let least = own.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        if asked < least {
            ui::warn(&[phrases::oom_score_raised(asked, least)]);
        }
        process.oom_score = Some(asked.max(least));
    }
    for dir in args.chrootdirs {
        let up = dir.components().any(|part| part == std::path::Component::ParentDir);
        if !dir.is_absolute() || up {
            return Err(Error::new(
                Kind::Usage,
                format!("--chrootdirs: {} is not an absolute path", dir.display()),
            )
            .hint("Name the directory as it is called inside, for example --chrootdirs /srv/root."));
        }
        request.chroot_dirs.push(dir);
    }
    request.lifecycle.monitor_pidfile = args.conmon_pidfile;
    request.network.hosts_base = match args.hosts_file.as_deref() {
        Some("image") => HostsBase::Image,
        file => files::hosts_base(file.map(Path::new), caller)?,
    };
    Ok(())
}

fn one_line(option: &str, text: String) -> Result<String> {
    match text.contains(['\n', '\0']) || text.matches(':').count() < 2 {
        true => Err(Error::new(Kind::Usage, format!("{option}: {text:?} is not one entry"))
            .hint("Write it as in the file, for example '$USERNAME:x:$UID:$GID:$NAME:$HOME:/bin/sh'.")),
        false => Ok(text),
    }
}
