//! `coracle buildx imagetools inspect`.

use crate::cmd::options::pulling::pulling;
use crate::cmd::options::source::RegistryOptions;
use crate::error::Result;
use crate::host::Env;
use crate::image::{Platform, Reference};
use crate::text::template::Template;
use crate::ui;
use crate::view::imagetools;
use std::process::ExitCode;

/// Arguments of `buildx imagetools inspect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name in a registry
    #[arg(value_name = "NAME")]
    pub name: Reference,
    /// Print with a Go template such as '{{.Manifest.Digest}}'; its fields are .Name, .Manifest and .Image
    #[arg(long, value_name = "FORMAT", default_value = "{{.Manifest}}", hide_default_value = true)]
    pub format: String,
    /// Print the manifest or index as it is
    #[arg(long)]
    pub raw: bool,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
    /// How to talk to the registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Shows what a registry has under a name.
///
/// # Errors
/// A format that is no template, a name that the registry does not have.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let whole = args.format == "{{.Manifest}}";
    let template = Template::parse(&args.format)?;
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let request = args.registry.request(Platform::host());
    // Configurations cost a request each.
    let with_configs = !args.raw && !whole && wants_images(&args.format);
    let found = pulling(true, |report| {
        engine.inspect_in_registry(&args.name.with_registry(), with_configs, &request, report)
    })?;
    let text = match (args.raw, whole) {
        (true, _) => found.document.text.clone(),
        (false, true) => imagetools::summary(&found.document)?,
        (false, false) => template.render(&imagetools::document(&found)?)?,
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a template may look at images: where it has the whole.
fn wants_images(format: &str) -> bool {
    let named = |field: &str| format.contains(field);
    named(".Image") || !(named(".Name") || named(".Manifest"))
}
