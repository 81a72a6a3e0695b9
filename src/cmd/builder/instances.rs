//! `coracle buildx create`, `ls`, `inspect`, `use`, `rm`, `stop` and `version`: docker's builders, of which there is one.
//! Scripts make one for themselves, build with it and remove it, so every name is the name of this one.

use super::table::pairs;
use crate::error::{Error, Kind, Result};
use crate::image::Platform;
use crate::ui::out;
use crate::ui::rows::{self, Listing};
use serde_json::{Value, json};
use std::process::ExitCode;

/// The only builder.
const DEFAULT: &str = "default";
/// What builds: this program itself.
const DRIVER: &str = "coracle";
/// It is there whenever it is called.
const STATUS: &str = "running";

/// `--driver` of `buildx create`: where builds run.
fn driver(text: &str) -> Result<String> {
    match text {
        "docker" | "docker-container" | "" => Ok(text.to_owned()),
        other => Err(Error::new(Kind::Usage, format!("builds run on this machine, and not by {other:?}"))
            .hint("Leave --driver out, or use docker-container.")),
    }
}

/// Arguments of `buildx inspect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct InspectArgs {
    /// Builder
    #[arg(value_name = "BUILDER")]
    pub name: Option<String>,
    /// Start the builder first; no effect, as it need not be started
    #[arg(long)]
    pub bootstrap: bool,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
}

/// Arguments of `buildx ls`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct LsArgs {
    /// Print as table, json or a Go template such as '{{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not shorten anything; no effect, as nothing is shortened
    #[arg(long)]
    pub no_trunc: bool,
}

/// Arguments of `buildx create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct CreateArgs {
    /// Where it would run; no effect, as it is this program itself
    #[arg(value_name = "CONTEXT|ENDPOINT")]
    pub endpoint: Option<String>,
    /// Name of the builder
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Use it from now on, which is the case in any way
    #[arg(long = "use")]
    pub choose: bool,
    /// Start it at once; no effect, as it need not be started
    #[arg(long)]
    pub bootstrap: bool,
    /// Driver: docker or docker-container; no effect
    #[arg(long, value_name = "DRIVER", value_parser = driver)]
    pub driver: Option<String>,
    /// Options of the driver; no effect
    #[arg(long, value_name = "KEY=VALUE")]
    pub driver_opt: Vec<String>,
    /// Platforms of the node; no effect
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Vec<String>,
    /// Name of the node; no effect
    #[arg(long, hide = true, value_name = "NAME")]
    pub node: Option<String>,
    /// Add a node; no effect
    #[arg(long, hide = true)]
    pub append: bool,
    /// Remove a node; no effect
    #[arg(long, hide = true)]
    pub leave: bool,
    /// Configuration of BuildKit; no effect
    #[arg(long, alias = "config", hide = true, value_name = "FILE")]
    pub buildkitd_config: Option<String>,
    /// Options of BuildKit; no effect
    #[arg(long, hide = true, value_name = "OPTIONS")]
    pub buildkitd_flags: Option<String>,
}

/// Arguments of `buildx rm`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct RmArgs {
    /// Builders
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Do not ask for confirmation; no effect, as nothing is asked
    #[arg(short, long)]
    pub force: bool,
    /// Remove those that are not running; no effect
    #[arg(long)]
    pub all_inactive: bool,
    /// Keep its state; no effect
    #[arg(long)]
    pub keep_state: bool,
    /// Keep it running; no effect
    #[arg(long)]
    pub keep_daemon: bool,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
}

/// Arguments of `buildx stop`.
#[derive(Debug, clap::Args)]
pub struct StopArgs {
    /// Builders
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
}

/// Arguments of `buildx use`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct UseArgs {
    /// Builder
    #[arg(value_name = "BUILDER")]
    pub name: String,
    /// Use it in every context; no effect
    #[arg(long, hide = true)]
    pub global: bool,
    /// Use it in this context; no effect
    #[arg(long = "default", hide = true)]
    pub of_context: bool,
}

/// Arguments of `buildx version`.
#[derive(Debug, clap::Args)]
pub struct VersionArgs {}

const LISTING: Listing<'static> = Listing {
    columns: &[
        ("NAME/NODE", "{{.Name}}{{if .Current}}*{{end}}"),
        ("DRIVER/ENDPOINT", "{{.DriverEndpoint}}"),
        ("STATUS", "{{.Status}}"),
        ("BUILDKIT", "{{.Buildkit}}"),
        ("PLATFORMS", "{{.Platforms}}"),
    ],
    headers: &[],
    no_heading: false,
};

/// Lists the builder and its node.
///
/// # Errors
/// A wrong format.
pub fn ls(args: &LsArgs) -> Result<ExitCode> {
    let row = |name: &str, endpoint: &str, of_node: bool| -> Value {
        let only = |text: String| if of_node { text } else { String::new() };
        json!({
            "Name": name,
            "Current": !of_node,
            "DriverEndpoint": endpoint,
            "Status": only(STATUS.to_owned()),
            "Buildkit": only("-".to_owned()),
            "Platforms": only(Platform::host().to_string()),
        })
    };
    let node = format!(" \\_ {DEFAULT}");
    let list = [row(DEFAULT, DRIVER, false), row(&node, &node, true)];
    let shown = if rows::is_whole_json(args.format.as_deref()) { &list[..1] } else { &list[..] };
    out(&rows::rows(args.format.as_deref(), shown, &LISTING)?)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows the builder.
///
/// # Errors
/// Output that cannot be written.
pub fn inspect(_args: &InspectArgs) -> Result<ExitCode> {
    let text = |value: &str| value.to_owned();
    let of_builder = pairs(&[("Name", text(DEFAULT)), ("Driver", text(DRIVER))])?;
    let of_node = pairs(&[
        ("Name", text(DEFAULT)),
        ("Endpoint", text(DEFAULT)),
        ("Status", text(STATUS)),
        ("Platforms", Platform::host().to_string()),
    ])?;
    out(&format!("{of_builder}\nNodes:\n{of_node}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the name that a builder was to have, for scripts that take it from there. Nothing is made.
///
/// # Errors
/// Output that cannot be written.
pub fn create(args: &CreateArgs) -> Result<ExitCode> {
    out(&format!("{}\n", args.name.as_deref().unwrap_or(DEFAULT)))?;
    Ok(ExitCode::SUCCESS)
}

/// Says of builders that they are removed, as docker does. The only one stays.
///
/// # Errors
/// Output that cannot be written.
pub fn rm(args: &RmArgs) -> Result<ExitCode> {
    args.names.iter().chain(&args.builder).try_for_each(|name| out(&format!("{name} removed\n")))?;
    Ok(ExitCode::SUCCESS)
}

/// Stops builders: none runs while nothing is built.
///
/// # Errors
/// None.
pub fn stop(_args: &StopArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}

/// Chooses the builder, of which there is one.
///
/// # Errors
/// None: any name is its own.
pub fn choose(_args: &UseArgs) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}

/// Prints whose builder this is, and its version.
///
/// # Errors
/// Output that cannot be written.
pub fn version(_args: &VersionArgs) -> Result<ExitCode> {
    out(&format!("{DRIVER} v{}\n", env!("CARGO_PKG_VERSION")))?;
    Ok(ExitCode::SUCCESS)
}
