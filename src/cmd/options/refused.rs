//! Options of podman and docker that are not supported here, each with the reason.
//!
//! They are hidden from the help. Users who copy a command line learn why it does not work, and what does.

use crate::error::{Error, Kind, Result};

/// The value of an option that is never accepted.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// A value that changes nothing.
#[derive(Debug, Clone, Copy)]
pub struct Accepted;

/// A parser that refuses every value.
pub(in crate::cmd) fn because(
    reason: &'static str,
    hint: &'static str,
) -> impl Fn(&str) -> Result<Never> + Clone + Send + Sync + 'static {
    move |_| Err(Error::new(Kind::Usage, reason).hint(hint))
}

/// Takes one of the values that ask for what is the case anyway.
pub(in crate::cmd) fn only(
    accepted: &'static [&'static str],
    reason: &'static str,
    hint: &'static str,
) -> impl Fn(&str) -> Result<Accepted> + Clone + Send + Sync + 'static {
    move |text| match accepted.contains(&text) {
        true => Ok(Accepted),
        false => Err(Error::new(Kind::Usage, reason).hint(hint)),
    }
}

const MAPS: &str = "every container uses all subordinate ids of your account, and no others";
const MAPS_HINT: &str = "Choose among them with --uidmap and --gidmap.";
const ADDRESS: &str = "link-local addresses are given by the kernel alone";
const ADDRESS_HINT: &str = "Give an address of a network: coracle run --network NAME --ip IP ...";

/// What is refused.
#[derive(Debug, clap::Args)]
pub struct RefusedArgs {
    /// Range of subordinate users
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(MAPS, MAPS_HINT))]
    pub subuidname: Option<Never>,
    /// Range of subordinate groups
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(MAPS, MAPS_HINT))]
    pub subgidname: Option<Never>,
    /// Link-local address
    #[arg(long, hide = true, value_name = "IP", value_parser = because(ADDRESS, ADDRESS_HINT))]
    pub link_local_ip: Vec<Never>,
    /// Link to a container
    #[arg(long, hide = true, value_name = "CONTAINER", value_parser = because(
        "links between containers are a feature that docker has deprecated",
        "Put both on one network, where they find each other by name: coracle network create NAME && coracle run --network NAME ..."))]
    pub link: Vec<Never>,
    /// Rule of a device group
    #[arg(long, hide = true, value_name = "RULE", value_parser = because(
        "an ordinary user has no device cgroup; a container has the same access to a device as you",
        "Give it the devices it needs: --device /dev/NAME."))]
    pub device_cgroup_rule: Vec<Never>,
    /// Where the seccomp filter comes from
    #[arg(long, hide = true, value_name = "POLICY", value_parser = only(&["default", ""],
        "an image cannot choose its own seccomp profile",
        "Name a profile yourself: --security-opt seccomp=FILE."))]
    pub seccomp_policy: Option<Accepted>,
    /// Signatures
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = only(&["true", "false"], "it is neither true nor false", "Leave it out."))]
    pub disable_content_trust: Option<Accepted>,
    /// Isolation
    #[arg(long, hide = true, value_name = "HOW", value_parser = only(&["default", ""],
        "it exists only for Windows containers", "Leave it out."))]
    pub isolation: Option<Accepted>,
    /// Driver of volumes
    #[arg(long, hide = true, value_name = "DRIVER", value_parser = only(&["local", ""],
        "there are no volume plugins", "Leave it out, or use local."))]
    pub volume_driver: Option<Accepted>,
    /// Bandwidth
    #[arg(long, hide = true, value_name = "SIZE", value_parser = because("it exists only for Windows \
                                                                          containers", "Leave it out."))]
    pub io_maxbandwidth: Option<Never>,
    /// Operations
    #[arg(long, hide = true, value_name = "NUMBER", value_parser = because("it exists only for Windows \
                                                                            containers", "Leave it out."))]
    pub io_maxiops: Option<Never>,
    /// Processors
    #[arg(long, hide = true, value_name = "NUMBER", value_parser = because("it exists only for Windows \
                                                                            containers", "Leave it out."))]
    pub cpu_count: Option<Never>,
    /// Share of processors
    #[arg(long, hide = true, value_name = "NUMBER", value_parser = because("it exists only for Windows \
                                                                            containers", "Leave it out."))]
    pub cpu_percent: Option<Never>,
    /// Cache and bandwidth class
    #[arg(long, hide = true, value_name = "CLASS", value_parser = because(
        "only root can assign cache classes", "Leave it out."))]
    pub rdt_class: Option<Never>,
    /// Key of an encrypted image
    #[arg(long, hide = true, value_name = "KEY", value_parser = because(
        "encrypted images cannot be read", "Pull an image that is not encrypted, or decrypt it first: skopeo copy --decryption-key KEY ..."))]
    pub decryption_key: Vec<Never>,
    /// Descriptors to pass
    #[arg(long, hide = true, value_name = "FD", value_parser = because(
        "only the descriptors from 3 up can be passed", "Pass the first N above standard error: \
                                                         --preserve-fds N."))]
    pub preserve_fd: Vec<Never>,
    /// Init container of a pod
    #[arg(long, hide = true, value_name = "TYPE", value_parser = because(
        "containers of a pod are started in the order that --requires says, and none has to end first",
        "Run it before the others: coracle run --rm --pod NAME ..."))]
    pub init_ctr: Option<Never>,
    /// The engine's socket
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = because("there is no daemon, and so no socket", "Leave it out."))]
    pub use_api_socket: Option<Never>,
}
