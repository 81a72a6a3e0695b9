//! `coracle buildx ls`, `inspect`, `use` and `version`: docker's builders, of which there is one.

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

/// The name of the only builder.
#[derive(Debug, Clone, Copy)]
pub struct OnlyBuilder;

/// Takes the name of the only builder.
///
/// # Errors
/// `NotFound` for any other name.
pub fn builder(text: &str) -> Result<OnlyBuilder> {
    match text {
        DEFAULT | "" => Ok(OnlyBuilder),
        other => Err(Error::new(Kind::NotFound, format!("there is no builder {other:?}: there is one"))
            .hint("Use default, the only builder.")),
    }
}

/// Arguments of `buildx inspect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct InspectArgs {
    /// Builder
    #[arg(value_name = "BUILDER", value_parser = builder)]
    pub name: Option<OnlyBuilder>,
    /// Start the builder first; no effect, as it need not be started
    #[arg(long)]
    pub bootstrap: bool,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME", value_parser = builder)]
    pub builder: Option<OnlyBuilder>,
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

/// Arguments of `buildx use`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct UseArgs {
    /// Builder
    #[arg(value_name = "BUILDER", value_parser = builder)]
    pub name: OnlyBuilder,
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

/// Chooses the builder, of which there is one.
///
/// # Errors
/// None: the parser has refused other names.
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
