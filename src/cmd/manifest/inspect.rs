//! `coracle manifest inspect`.

use crate::cmd::options::pulling::pulling;
use crate::cmd::options::source::RegistryOptions;
use crate::engine::Engine;
use crate::engine::lists::{self, inspect::Inspected};
use crate::error::{Error, Kind, Result, phrases};
use crate::host::Env;
use crate::image::Platform;
use crate::registry::PullRequest;
use crate::ui;
use crate::view::manifest;
use std::process::ExitCode;

/// Arguments of `manifest inspect`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name or id of a manifest list or an image, here or in a registry; with two names, an entry of a list
    #[arg(value_name = "NAME", required = true, num_args = 1..=2)]
    pub names: Vec<String>,
    /// Also show what the entries name, as docker does
    #[arg(short, long)]
    pub verbose: bool,
    /// Allow plain http and any certificate, as --tls-verify=false
    #[arg(long, hide = true)]
    pub insecure: bool,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Prints a manifest list, or a manifest.
///
/// # Errors
/// When nothing is called so.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let request = args.registry.request(Platform::host());
    let tls_verify = if args.insecure { Some(false) } else { request.tls_verify };
    let request = PullRequest { tls_verify, ..request };
    let text = pulling(true, |report| match args.names.as_slice() {
        [list, entry] => {
            lists::find(&store, list)?;
            let whole = engine.inspect_list(list, false, &request, report)?;
            let digest = lists::entry(&store, list, entry)?;
            let entries = engine.inspect_entries(&whole, &request, report)?;
            let found = entries.into_iter().find(|found| found.digest == digest);
            let found =
                found.ok_or_else(|| Error::new(Kind::NotFound, format!("{entry} is not in {list}")))?;
            shown(engine, &found, args, &request, report)
        }
        [name, ..] => {
            let found =
                engine.inspect_list(name, ui::docker(), &request, report).map_err(|e| missing(name, e))?;
            shown(engine, &found, args, &request, report)
        }
        [] => Ok(String::new()),
    })?;
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Docker has one sentence for whatever is not there, and scripts look for it.
fn missing(name: &str, error: Error) -> Error {
    match error.kind() {
        Kind::NotFound if ui::docker() => phrases::no_list(name).hint("Check the name and the tag."),
        _ => error,
    }
}

fn shown(
    engine: Engine<'_>,
    found: &Inspected,
    args: &Args,
    request: &PullRequest,
    report: &mut dyn FnMut(crate::engine::images::pull::Message),
) -> Result<String> {
    if args.verbose {
        return match found.is_index() {
            true => manifest::verbose_list(&engine.inspect_entries(found, request, report)?),
            false => manifest::verbose(found),
        };
    }
    if !found.is_index() && !ui::docker() {
        log::warn!("the manifest type {} is not a manifest list but a single image", found.media_type);
    }
    manifest::plain(found, crate::cmd::dialect())
}
