//! Options of podman's and docker's builds that change nothing here, or that cannot be had, each with the reason. They
//! are hidden from the help.

use crate::cmd::options::refused::{Accepted, Never, because, only};
use crate::cmd::options::switch::switchable;
use crate::error::{Error, Kind, Result};
use crate::text::csv;

const OWN: &str = "the containers of RUN have namespaces of their own";
const OWN_HINT: &str = "Leave it out.";
const MAPS: &str = "images are built with the ids that all containers of your account have";
const WINDOWS: &str = "it exists only for Windows images";
const STAGES: &str = "stages get no images of their own: their results are in the build cache";
const STAGES_HINT: &str = "Build the stage by itself: coracle build --target STAGE -t NAME .";
const USAGE: &str = "what a step uses is not measured";
const USAGE_HINT: &str = "Measure it inside: RUN time COMMAND";
const COMPRESSION: &str = "layers are compressed when they leave the store, and not before";
const SBOM: &str = "no list of an image's contents is made";
const SBOM_HINT: &str = "Use a scanner on the image that was built: coracle save -o FILE IMAGE";

/// `--attest type=sbom|provenance[,disabled=true]`: what is switched off is not missed.
fn attestation(text: &str) -> Result<Accepted> {
    let fields = csv::fields(text).unwrap_or_default();
    match fields.iter().any(|field| field == "disabled=true") {
        true => Ok(Accepted),
        false => {
            Err(Error::new(Kind::Usage, "images get no attestations")
                .hint("Leave it out, or add disabled=true."))
        }
    }
}

/// `--allow`: RUN --network=host is allowed in any case.
fn entitlement(text: &str) -> Result<Accepted> {
    match text {
        "network.host" => Ok(Accepted),
        "security.insecure" => Err(Error::new(
            Kind::Usage,
            "security.insecure: a step cannot have more rights than your account",
        )
        .hint("Leave it out; single rights are given with --cap-add, --device and --security-opt.")),
        _ => Err(Error::new(Kind::Usage, format!("there is no entitlement {text:?} to give"))
            .hint("Leave it out.")),
    }
}

/// What is refused, and what is accepted and changes nothing.
#[derive(Debug, clap::Args)]
#[command(mut_args = switchable)]
pub struct RefusedArgs {
    /// Compress the context; no effect, as it is sent nowhere
    #[arg(long, hide = true)]
    pub compress: bool,
    /// Remove intermediate containers; no effect, as none is left
    #[arg(long, hide = true, default_value = "true")]
    pub rm: bool,
    /// Remove intermediate containers; no effect, as none is left
    #[arg(long, hide = true, default_value = "true")]
    pub force_rm: bool,
    /// Signatures; no effect
    #[arg(long, hide = true)]
    pub disable_content_trust: bool,
    /// Print debug messages; no effect
    #[arg(long, hide = true)]
    pub debug: bool,
    /// No effect in podman either
    #[arg(long, hide = true, value_name = "NUMBER")]
    pub loglevel: Option<i64>,
    /// Isolation: RUN has containers as any other
    #[arg(long, hide = true, value_name = "HOW", value_parser = only(&["", "default", "oci", "rootless", "chroot"],
        "it exists only for Windows containers", "Leave it out."))]
    pub isolation: Option<Accepted>,
    /// Builder: there is one, whatever it is called
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
    /// Entitlement
    #[arg(long, hide = true, value_name = "NAME", value_delimiter = ',', value_parser = entitlement)]
    pub allow: Vec<Accepted>,
    /// Do not compress layers: they are compressed when they leave the store, if at all
    #[arg(short = 'D', long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["true", "1"],
          COMPRESSION, "Leave it out."))]
    pub disable_compression: Option<Accepted>,
    /// Leave out stages that nothing needs
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["true", "1"],
          "stages that nothing needs are not built", "Use --target to build such a stage."))]
    pub skip_unused_stages: Option<Accepted>,
    /// Keep what RUN writes into volumes out of the image
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"],
          "what RUN writes into a volume's directory is a part of the image", "Leave it out."))]
    pub compat_volumes: Option<Accepted>,
    /// A log for each platform
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"],
          "there is one log for all platforms, and each line tells its step", "Leave it out."))]
    pub logsplit: Option<Accepted>,
    /// Input for RUN
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"],
          "steps have no input: they run side by side, and their results are kept",
          "Give them answers with --build-arg or --secret."))]
    pub stdin: Option<Accepted>,
    /// Keep images of the stages
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"], STAGES, STAGES_HINT))]
    pub save_stages: Option<Accepted>,
    /// Label images of the stages
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"], STAGES, STAGES_HINT))]
    pub stage_labels: Option<Accepted>,
    /// Resource usage of steps
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"], USAGE, USAGE_HINT))]
    pub rusage: Option<Accepted>,
    /// Where that goes
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(USAGE, USAGE_HINT))]
    pub rusage_logfile: Option<Never>,
    /// Compression of layers
    #[arg(long, hide = true, value_name = "FORMAT", value_parser = because(COMPRESSION, "Leave it out."))]
    pub compression_format: Option<Never>,
    /// How much they are compressed
    #[arg(long, hide = true, value_name = "LEVEL", value_parser = because(COMPRESSION, "Leave it out."))]
    pub compression_level: Option<Never>,
    /// Compress again what is compressed otherwise
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"], COMPRESSION, "Leave it out."))]
    pub force_compression: Option<Accepted>,
    /// Every platform of the base image
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"],
          "the platforms of base images are not looked up", "List them: --platform linux/amd64,linux/arm64"))]
    pub all_platforms: Option<Accepted>,
    /// Attestation
    #[arg(long, hide = true, value_name = "KEY=VALUE,...", value_parser = attestation)]
    pub attest: Vec<Accepted>,
    /// Provenance
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["false", "0"], "images get no attestations",
          "Leave it out, or set it to false."))]
    pub provenance: Option<Accepted>,
    /// Contents
    #[arg(long, hide = true, value_name = "PRESET", value_parser = only(&["false", "0"], SBOM, SBOM_HINT))]
    pub sbom: Option<Accepted>,
    /// Scanner
    #[arg(long, hide = true, value_name = "COMMAND", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_scanner_command: Vec<Never>,
    /// Scanner
    #[arg(long, hide = true, value_name = "IMAGE", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_scanner_image: Option<Never>,
    /// How lists are put together
    #[arg(long, hide = true, value_name = "METHOD", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_merge_strategy: Option<Never>,
    /// Where the list goes
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_output: Option<Never>,
    /// Where the list goes in the image
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_image_output: Option<Never>,
    /// Where the list of packages goes
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_purl_output: Option<Never>,
    /// Where the list of packages goes in the image
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(SBOM, SBOM_HINT))]
    pub sbom_image_purl_output: Option<Never>,
    /// Confidential workload
    #[arg(long, hide = true, value_name = "KEY=VALUE,...", value_parser = because(
        "images for confidential workloads are not made", "Leave it out."))]
    pub cw: Option<Never>,
    /// Preprocessor
    #[arg(long, hide = true, value_name = "FLAG", value_parser = because(
        "Containerfiles are not run through cpp", "Use it yourself: cpp -E -P FILE.in | coracle build -f - ."))]
    pub cpp_flag: Vec<Never>,
    /// Key of an encrypted image
    #[arg(long, hide = true, value_name = "KEY", value_parser = because(
        "encrypted images cannot be read", "Use an image that is not encrypted."))]
    pub decryption_key: Vec<Never>,
    /// Signature
    #[arg(long, hide = true, value_name = "FINGERPRINT", value_parser = because(
        "signing images is not supported", "Leave it out."))]
    pub sign_by: Option<Never>,
    /// Policy of signatures
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(
        "signatures are not checked", "Leave it out."))]
    pub signature_policy: Option<Never>,
    /// Policy of sources
    #[arg(long, hide = true, value_name = "FILE", value_parser = because(
        "there is no policy for what a build may read", "Leave it out."))]
    pub source_policy_file: Option<Never>,
    /// Policy of sources, as docker has it
    #[arg(long, hide = true, value_name = "KEY=VALUE,...", value_parser = only(&["disabled=true"],
        "there is no policy for what a build may read", "Leave it out."))]
    pub policy: Vec<Accepted>,
    /// Debugger
    #[arg(long, hide = true, value_name = "COMMAND", value_parser = because(
        "there is no debugger that a build could be run in", "Open a shell where a step fails: --debug-shell"))]
    pub invoke: Option<Never>,
    /// Go on in the background
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = only(&["false", "0"],
          "a build ends with its command", "Leave it to the shell: coracle build ... &"))]
    pub detach: Option<Accepted>,
    /// Hooks
    #[arg(long, hide = true, value_name = "DIR", value_parser = because(
        "containers have no hooks of OCI runtimes", "Leave it out."))]
    pub hooks_dir: Vec<Never>,
    /// Flags of the runtime
    #[arg(long, hide = true, value_name = "FLAG", value_parser = because(
        "there is no OCI runtime: coracle runs containers itself", "Leave it out."))]
    pub runtime_flag: Vec<Never>,
    /// Labels of intermediate images
    #[arg(long, hide = true, value_name = "KEY=VALUE", value_parser = because(
        "there are no intermediate images", "Use --label for the image itself."))]
    pub layer_label: Vec<Never>,
    /// Feature of the operating system
    #[arg(long, hide = true, value_name = "FEATURE", value_parser = because(WINDOWS, "Leave it out."))]
    pub os_feature: Vec<Never>,
    /// Version of the operating system
    #[arg(long, hide = true, value_name = "VERSION", value_parser = because(WINDOWS, "Leave it out."))]
    pub os_version: Option<Never>,
    /// PID namespace
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["", "private", "container"], OWN, OWN_HINT))]
    pub pid: Option<Accepted>,
    /// IPC namespace
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["", "private", "container"], OWN, OWN_HINT))]
    pub ipc: Option<Accepted>,
    /// UTS namespace
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["", "private", "container"], OWN, OWN_HINT))]
    pub uts: Option<Accepted>,
    /// Cgroup namespace
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["", "private", "container"], OWN, OWN_HINT))]
    pub cgroupns: Option<Accepted>,
    /// User namespace: the one that all containers are in
    #[arg(long, hide = true, value_name = "MODE", value_parser = only(&["", "private", "container", "host"], MAPS,
          OWN_HINT))]
    pub userns: Option<Accepted>,
    /// User ids
    #[arg(long, hide = true, value_name = "MAP", value_parser = because(MAPS, OWN_HINT))]
    pub userns_uid_map: Vec<Never>,
    /// Group ids
    #[arg(long, hide = true, value_name = "MAP", value_parser = because(MAPS, OWN_HINT))]
    pub userns_gid_map: Vec<Never>,
    /// Range of user ids
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(MAPS, OWN_HINT))]
    pub userns_uid_map_user: Option<Never>,
    /// Range of group ids
    #[arg(long, hide = true, value_name = "NAME", value_parser = because(MAPS, OWN_HINT))]
    pub userns_gid_map_group: Option<Never>,
}
