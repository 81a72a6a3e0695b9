//! Arguments of `ps`.

/// Arguments of `ps`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show all containers, not only running ones
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Show the latest container, running or not
    #[arg(short, long, conflicts_with = "last", help_heading = "Which containers")]
    pub latest: bool,
    /// Show the N latest containers, running or not
    #[arg(short = 'n', long, value_name = "N", help_heading = "Which containers")]
    pub last: Option<usize>,
    /// Show containers that match a condition: id, name, label, exited, status, ancestor, before, since, until, volume or network
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which containers")]
    pub filter: Vec<String>,
    /// Order by command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which containers",
          value_parser = ["command", "created", "id", "image", "names", "runningfor", "size", "status"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Names}} {{.Status}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Print ids only
    #[arg(short, long, conflicts_with_all = ["size", "namespace"], help_heading = "Output")]
    pub quiet: bool,
    /// Do not shorten ids and commands
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Omit the header line
    #[arg(long, help_heading = "Output")]
    pub noheading: bool,
    /// Show the pod of each container; there are none
    #[arg(short, long, help_heading = "Output")]
    pub pod: bool,
    /// Show the size of each container, alone and with its image
    #[arg(short, long, conflicts_with = "namespace", help_heading = "Output")]
    pub size: bool,
    /// Show process id and namespaces
    #[arg(long, visible_alias = "ns", help_heading = "Output")]
    pub namespace: bool,
    /// Refresh every SECONDS
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    pub watch: Option<u32>,
    /// Accepted for podman's sake: the state shown is always the true one
    #[arg(long, hide = true)]
    pub sync: bool,
    /// Accepted for podman's sake: there are no containers of other tools in the store
    #[arg(long, hide = true)]
    pub external: bool,
}
