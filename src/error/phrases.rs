//! The failures whose words differ between podman and docker, and that programs look for: one table of both.
//!
//! Podman's words are those of its sources' `define` errors, docker's those of its engine. Either may be followed by
//! the cause. What both word alike, or only one has, stands where it happens.

use super::warning::Warning;
use super::{Error, Kind};

/// A table of functions, each of which makes an error of its kind: its arguments, podman's words, docker's words, and
/// `of_client` where it is docker's client that says them.
macro_rules! phrases {
    ($($(#[$about:meta])* $name:ident($($argument:ident: $type:ty),*) $kind:ident, $podman:literal, $docker:literal
       $(, $whose:ident)?;)+) => {
        $(
            $(#[$about])*
            pub fn $name($($argument: $type),*) -> Error {
                Error::new(Kind::$kind, format!($podman)).as_docker(format!($docker))$(.$whose())?
            }
        )+
    };
}

phrases! {
    /// Input for a terminal does not come from one, which only docker refuses.
    input_is_no_terminal() Usage,
        "the input device is not a TTY",
        "the input device is not a TTY";
    /// The command of a step of a build failed.
    step_failed(step: &str, command: &str, code: u8) Runtime,
        "building at STEP \"{step}\": while running runtime: exit status {code}",
        "failed to solve: process \"{command}\" did not complete successfully: exit code: {code}";
    /// No container has this name or id.
    no_container(name: &str) NotFound,
        "no container with name or ID {name:?} found: no such container",
        "No such container: {name}";
    /// As [`no_container`], when asked to describe it.
    no_container_to_inspect(name: &str) NotFound,
        "no such container {name:?}",
        "No such container: {name}";
    /// No image is called so.
    no_image(name: &str) NotFound,
        "{name}: image not known",
        "No such image: {name}";
    /// An image is to be removed by its id, and has several names.
    image_with_several_names(id: &str, short: &str, names: &str) Usage,
        "unable to delete image {id:?} by ID with more than one tag ([{names}]): please force removal",
        "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories";
    /// A new name has a digest.
    name_with_digest(name: &str) Usage,
        "{name}: tag by digest not supported",
        "refusing to create a tag with a digest reference";
    /// A new list gets a name that something has.
    list_name_taken(name: &str, holder: &str) Conflict,
        "creating image to hold manifest list: image name {name:?} is already associated with image {holder:?}: that name is already in use",
        "refusing to amend an existing manifest list with no --amend flag", of_client;
    /// No list has this name.
    no_list(name: &str) NotFound,
        "{name}: image not known",
        "no such manifest: {name}", of_client;
    /// A list is to get a list; podman takes one of its images instead.
    is_list(name: &str, whole: &str) Usage,
        "{whole}: image is a manifest list",
        "{name} is a manifest list", of_client;
    /// As [`no_list`], when it is to be removed.
    no_list_to_remove(name: &str) NotFound,
        "{name}: image not known",
        "No such manifest: {name}", of_client;
    /// As [`no_image`], when it is to be pushed.
    no_image_to_push(name: &str) NotFound,
        "{name}: image not known",
        "An image does not exist locally with the tag: {name}";
    /// A build context is no directory.
    no_context(path: &str) NotFound,
        "context must be a directory: {path:?}",
        "unable to prepare context: path {path:?} not found";
    /// A build context has no file of the usual names.
    no_containerfile(context: &str) NotFound,
        "no Containerfile or Dockerfile specified or found in context directory, {context}: no such file or directory",
        "failed to read dockerfile: open Dockerfile: no such file or directory ({context})";
    /// The file named with `--file` is not there.
    no_containerfile_called(path: &str) NotFound,
        "the specified Containerfile or Dockerfile does not exist, {path}: no such file or directory",
        "failed to read dockerfile: open {path}: no such file or directory";
    /// There is nothing in a Containerfile.
    empty_containerfile(path: &str) Usage,
        "no contents in {path:?}",
        "the Dockerfile ({path}) cannot be empty";
    /// No volume is called so.
    no_volume(name: &str) NotFound,
        "no volume with name {name:?} found: no such volume",
        "get {name}: no such volume";
    /// No secret has this name or id.
    no_secret(name: &str) NotFound,
        "no secret with name or id {name:?}: no such secret",
        "secret {name} not found";
    /// The infra container of a pod goes with that only.
    infra_stays(container: &str, pod: &str) Conflict,
        "container {container} is the infra container of pod {pod} and cannot be removed without removing the pod",
        "container {container} is the infra container of pod {pod} and cannot be removed without removing the pod";
    /// No pod has this name or id.
    no_pod(name: &str) NotFound,
        "no pod with name or ID {name} found: no such pod",
        "no pod with name or ID {name} found: no such pod";
    /// No network is called so.
    no_network(name: &str) NotFound,
        "unable to find network with name or ID {name}: network not found",
        "network {name} not found";
    /// Another network has this name.
    network_exists(name: &str) Conflict,
        "network name {name} already used: network already exists",
        "network with name {name} already exists";
    /// A container is on the network that is to be removed.
    network_in_use(name: &str, users: &str) Conflict,
        "{name:?} has associated containers with it. Use -f to forcibly delete containers and pods: network is being used",
        "error while removing network: network {name} has active endpoints ({users})";
    /// A container is on no network that others can be added to.
    not_a_bridge(mode: &str) Conflict,
        "{mode:?} is not supported: invalid network mode",
        "container has network mode {mode} and cannot be connected to networks";
    /// A container is on the network already.
    already_connected(container: &str, network: &str, dockers: &str) Conflict,
        "container {container} is already connected to network {network:?}: network is already connected",
        "endpoint with name {container} already exists in network {dockers}";
    /// A container is not on the network.
    not_connected(container: &str, network: &str, dockers: &str) Conflict,
        "container {container} is not connected to network {network}",
        "container {container} is not connected to network {dockers}";
    /// The network that every account has stays.
    built_in_network_stays(name: &str, dockers: &str) Network,
        "default network {name} cannot be removed",
        "{dockers} is a pre-defined network and cannot be removed";
    /// An address range is in use.
    subnet_used(subnet: &str) Usage,
        "subnet {subnet} is already used on the host or by another config",
        "invalid pool request: Pool overlaps with other one on this address space";
    /// Nothing is called so.
    no_object(name: &str) NotFound,
        "no such object: {name:?}",
        "No such object: {name}", of_client;
    /// A container cannot be entered: it does not run.
    not_running_to_exec(name: &str) NotRunning,
        "container {name}: can only create exec sessions on running containers: container state improper",
        "container {name} is not running";
    /// A container cannot be signalled: it does not run.
    not_running_to_kill(name: &str, state: &str) Conflict,
        "can only kill running containers. {name} is in state {state}: container state improper",
        "cannot kill container: {name}: container {name} is not running";
    /// A container has no streams: it does not run.
    not_running_to_attach(name: &str, state: &str) Conflict,
        "you can only attach to running containers. {name} is in state {state}: container state improper",
        "you cannot attach to a stopped container, start it first: container {name} is not running", of_client;
    /// A container has no processes: it does not run.
    not_running(name: &str, state: &str) Conflict,
        "container {name} is {state}, not running: container state improper",
        "container {name} is not running";
    /// A container is not removed while it runs or is paused.
    still_running(name: &str, state: &str) StillRunning,
        "cannot remove container {name} as it is {state} - running or paused containers cannot be removed without force: container state improper",
        "cannot remove container \"/{name}\": container is {state}: stop the container before removing or force remove";
    /// Another container has this name.
    name_in_use(name: &str, holder: &str) Conflict,
        "the container name {name:?} is already in use by {holder}. You have to remove that container to be able to reuse that name: that name is already in use",
        "Conflict. The container name \"/{name}\" is already in use by container \"{holder}\". You have to remove (or rename) that container to be able to reuse that name.";
    /// Containers mount a volume.
    volume_in_use(name: &str, users: &str) Conflict,
        "volume {name} is being used by the following container(s): {users}: volume is being used",
        "remove {name}: volume is in use - [{users}]";
    /// A container was made from an image, and does not run.
    image_in_use(id: &str, user: &str) Conflict,
        "image used by {user}: image is in use by a container",
        "conflict: unable to delete {id} (must be forced) - image is being used by stopped container {user}";
    /// A running container was made from an image.
    image_in_use_by_running(id: &str, user: &str) Conflict,
        "image used by {user}: image is in use by a container",
        "conflict: unable to delete {id} (cannot be forced) - image is being used by running container {user}";
    /// A program is not in the container.
    program_not_found(program: &str) CommandNotFound,
        "executable file `{program}` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        "exec: {program:?}: executable file not found in $PATH: no such file or directory";
    /// The working directory for `exec` is not in the container.
    no_directory_to_enter(path: &str) CommandNotFound,
        "chdir to `{path}`: No such file or directory: OCI runtime attempted to invoke a command that was not found",
        "chdir to cwd ({path:?}) set in config.json failed: no such file or directory";
    /// A container's working directory is not in it, and is not the image's.
    no_working_directory(path: &str, container: &str) NotExecutable,
        "workdir {path:?} does not exist on container {container}",
        "workdir {path:?} does not exist on container {container}";
    /// A program in the container, by its path, cannot be executed.
    not_executable(program: &str) NotExecutable,
        "OCI permission denied: exec {program:?}",
        "exec: {program:?}";
    /// A port of the host is taken; the cause says so.
    port_in_use(port: &str, address: &str, protocol: &str) Network,
        "cannot publish {port}: listen {protocol} {address}: bind",
        "Bind for {address} failed: port is already allocated";
    /// Nothing publishes this port of a container.
    port_not_published(port: &str, container: &str) NotFound,
        "failed to find published port {port:?}",
        "No public port '{port}' published for {container}", of_client;
    /// A file to copy is not in the container.
    no_file_in_container(path: &str, container: &str) NotFound,
        "{path:?} could not be found on container {container}: no such file or directory",
        "Could not find the file {path} in container {container}";
    /// A file to copy is not on the host.
    no_file_on_host(path: &str) NotFound,
        "{path:?} could not be found on the host: no such file or directory",
        "lstat {path}: no such file or directory", of_client;
    /// A directory is to be copied onto something that is none.
    not_a_directory_to_copy_to(shown: &str) Conflict,
        "{shown}: destination must be a directory when copying a directory",
        "cannot copy directory: {shown} is not a directory", of_client;
    /// A file stands where a directory of the copy goes.
    in_the_way_of_directory(path: &str) Conflict,
        "error creating \"{path}\": file exists",
        "cannot overwrite non-directory \"{path}\" with directory \"{path}\"";
    /// A directory stands where a file of the copy goes.
    in_the_way_of_file(path: &str) Conflict,
        "error creating \"{path}\": file exists",
        "cannot overwrite directory \"{path}\" with non-directory \"{path}\"";
    /// A source of COPY or ADD is not there, or matches nothing.
    no_source(path: &str) NotFound,
        "{path:?}: no such file or directory",
        "failed to calculate checksum of ref: {path:?}: not found";
    /// A source of COPY or ADD is there, but the ignore file leaves it out.
    source_left_out(path: &str, count: usize, ignore_file: &str) NotFound,
        "no items matching glob {path:?} copied ({count} filtered out using {ignore_file}): no such file or directory",
        "failed to calculate checksum of ref: {path:?}: not found (left out by {ignore_file})";
    /// A directory of a copy would take the place of a file.
    no_directory_to_copy_to(path: &str) Conflict,
        "cannot copy to non-directory: {path}",
        "cannot copy to non-directory: {path}";
    /// A file of a copy would take the place of a directory.
    directory_in_place_of_copy(path: &str) Conflict,
        "cannot replace to directory {path} with file",
        "cannot replace to directory {path} with file";
    /// There are no credentials for a registry.
    not_logged_in(key: &str) NotFound,
        "not logged into {key}",
        "Not logged in to {key}", of_client;
    /// A registry refuses a user name and password.
    login_refused(host: &str, key: &str) Registry,
        "logging into {key:?}: invalid username/password",
        "Get \"https://{host}/v2/\": unauthorized: incorrect username or password";
    /// A user name or password is wanted, and there is no terminal.
    nobody_to_ask() Usage,
        "getting username and password: reading password: inappropriate ioctl for device",
        "cannot perform an interactive login from a non-TTY device";
    /// A registry has no such repository, or hides it.
    no_repository(tag: &str, name: &str) NotFound,
        "reading manifest {tag} in {name}: manifest unknown: repository name not known to registry",
        "pull access denied for {name}, repository does not exist or may require 'docker login': manifest unknown";
    /// A repository has no such tag or digest; `whole` is the name with it.
    no_manifest(tag: &str, name: &str, whole: &str) NotFound,
        "reading manifest {tag} in {name}: manifest unknown",
        "manifest for {whole} not found: manifest unknown";
    /// A name of an image has capital letters.
    not_lower_case(text: &str) Usage,
        "{text:?}: invalid reference format: repository name must be lowercase",
        "invalid reference format: repository name ({text}) must be lowercase";
    /// Two mounts have one destination.
    duplicate_mount(destination: &str) Usage,
        "{destination}: duplicate mount destination",
        "Duplicate mount point: {destination}";
    /// A bind mount's source is not there.
    no_bind_source(path: &str) Usage,
        "bind source: statfs {path}: no such file or directory",
        "invalid mount config for type \"bind\": bind source path does not exist: {path}";
    /// An archive is no archive of images.
    no_image_archive() Image,
        "payload does not match any of the supported image formats",
        "archive/tar: invalid tar header";
    /// A directory has no images; docker's client reads files only.
    no_image_directory(path: &str) Image,
        "payload does not match any of the supported image formats",
        "read {path}: is a directory", of_client;
    /// An archive would have to be typed.
    terminal_for_input(option: &str) Usage,
        "cannot read from terminal, use command-line redirection or {option}",
        "requested load from stdin, but stdin is empty";
    /// An archive would be shown.
    terminal_for_output(option: &str) Usage,
        "cannot write to terminal, use command-line redirection or {option}",
        "cowardly refusing to save to a terminal. Use {option} or redirect";
    /// A condition of `--filter` names something unknown.
    unknown_filter(text: &str, key: &str) Usage,
        "invalid filter {text:?}: {key} is an invalid filter",
        "invalid filter '{key}'";
    /// A condition of `--filter` has no value.
    filter_without_value(text: &str) Usage,
        "invalid filter {text:?}: must be in the format \"filter=value or filter!=value\"",
        "invalid filter '{text}': bad format of filter (expected name=value)";
    /// The same of a condition on images.
    image_filter_without_value(text: &str) Usage,
        "invalid image filter {text:?}: must be in the format \"filter=value or filter!=value\"",
        "invalid filter '{text}': bad format of filter (expected name=value)";
    /// There is no such log driver.
    no_log_driver(name: &str, why: &str) Usage,
        "log driver {name:?} {why}: invalid log driver: invalid argument",
        "logger: no log driver named '{name}' is registered";
    /// A container's output was not kept.
    keeps_no_log(name: &str) Conflict,
        "container {name}: this container is using the 'none' log driver, cannot read logs",
        "configured logging driver does not support reading";
    /// A restart policy is malformed.
    bad_restart_policy(text: &str, why: &str) Usage,
        "{text:?} is not a valid restart policy: {text} invalid restart policy: {why}",
        "invalid restart policy: '{text}' {why}";
    /// No command was given to `exec`.
    no_command_to_exec() Usage,
        "must provide a non-empty command to start an exec session: invalid argument",
        "\"docker exec\" requires at least 2 arguments";
    /// Nothing was named.
    nothing_named(what: &str) Usage,
        "you must provide at least one name or id: no {what} was named",
        "requires at least 1 argument: no {what} was named";
    /// There is no such command.
    unknown_command(verb: &str, name: &str, whole: &str) Usage,
        "unrecognized command `{verb} {name}`",
        "unknown command: {whole}: '{name}' is not a docker command";
    /// A command got fewer arguments than it needs; `s` makes their plural.
    too_few_arguments(verb: &str, least: usize, s: &str, got: usize, missing: &str) Usage,
        "{verb}: requires at least {least} arg(s), only received {got}: {missing} is missing",
        "\"{verb}\" requires at least {least} argument{s}: {missing} is missing";
    /// A command needs another number of arguments; `s` makes their plural.
    wrong_number_of_arguments(verb: &str, wanted: usize, s: &str, got: usize, why: &str) Usage,
        "{verb}: accepts {wanted} arg(s), received {got}: {why}",
        "\"{verb}\" requires exactly {wanted} argument{s}: {why}";
    /// A command got more arguments than it takes; `s` makes their plural.
    too_many_arguments(verb: &str, most: usize, s: &str, got: usize, why: &str) Usage,
        "{verb}: accepts at most {most} arg(s), received {got}: {why}",
        "\"{verb}\" requires at most {most} argument{s}: {why}";
    /// A command takes no arguments.
    takes_no_arguments(verb: &str, why: &str) Usage,
        "`{verb}` takes no arguments: {why}",
        "\"{verb}\" accepts no arguments: {why}";
    /// Two options exclude each other.
    conflicting_options(one: &str, other: &str) Usage,
        "{one} and {other} cannot be set together",
        "conflicting options: {one} and {other} cannot be set together";
    /// There is no such pull policy.
    bad_pull_policy(text: &str) Usage,
        "unsupported pull policy {text:?}",
        "invalid pull option: '{text}': must be one of \"always\", \"missing\" or \"never\"";
    /// There is no such log level.
    bad_log_level(text: &str) Usage,
        "Log Level {text:?} is not supported, choose from: trace, debug, info, warn, warning, error, fatal, panic",
        "Unable to parse logging level: {text}";
    /// A text for `--since` or `--until` of `logs` is no point in time.
    bad_time_for_logs(option: &str, text: &str) Usage,
        "parsing --{option} {text:?}: unable to interpret time value",
        "invalid value for {option:?}";
    /// A text for `--since` or `--until` of `events` is no point in time.
    bad_time_for_events(option: &str, text: &str) Usage,
        "failed to parse event filters: --{option} {text:?}",
        "invalid value for {option:?}";
}

/// A table of functions, each of which makes a warning: its arguments, podman's words, docker's words or nothing.
macro_rules! warnings {
    ($($(#[$about:meta])* $name:ident($($argument:ident: $type:ty),*) $podman:literal, $($docker:literal)?;)+) => {
        $(
            $(#[$about])*
            pub fn $name($($argument: $type),*) -> Warning {
                Warning { podman: format!($podman), docker: None$(.or(Some(format!($docker))))? }
            }
        )+
    };
}

warnings! {
    /// There is no network that ports could be published to.
    published_ports_discarded(network: &str)
        "Port mappings have been discarded because {network:?} network namespace mode does not support them",
        "Published ports are discarded when using {network} network mode";
    /// Input for a terminal does not come from one.
    not_a_terminal()
        "The input device is not a TTY. The --tty and --interactive flags might not work properly",;
    /// An ordinary user cannot lower the score of its processes.
    oom_score_raised(asked: i32, least: i32)
        "Requested oom_score_adj={asked} is lower than the current one, changing to {least}",
        "Requested oom_score_adj={asked} is lower than the current one, changing to {least}";
    /// A container did not end in time when it was told to.
    stop_timed_out(signal: &str, name: &str, seconds: u64)
        "StopSignal {signal} failed to stop container {name} in {seconds} seconds, resorting to SIGKILL",;
}
