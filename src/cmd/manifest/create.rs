//! `coracle manifest create`.

use super::entry::annotation;
use crate::cmd::options::pulling::pulling;
use crate::cmd::options::source::RegistryOptions;
use crate::engine::lists::{CreateRequest, Lookup, Source};
use crate::error::{Error, Kind, Result};
use crate::host::Env;
use crate::image::{Platform, Reference};
use crate::registry::PullRequest;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `manifest create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name of the list: [registry/]name[:tag]; without a registry it gets localhost/
    #[arg(value_name = "LIST")]
    pub list: Reference,
    /// Images that it gets: a name or id of the store, or a name in a registry; containers-storage:NAME or
    /// docker://NAME for one of both only
    #[arg(value_name = "IMAGE")]
    pub images: Vec<Source>,
    /// Of an image that is a manifest list, add everything that it has
    #[arg(long)]
    pub all: bool,
    /// If there is a manifest list of this name, add the images to it
    #[arg(short, long)]
    pub amend: bool,
    /// Annotation of the list; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = annotation)]
    pub annotation: Vec<(String, String)>,
    /// Allow plain http and any certificate, as --tls-verify=false
    #[arg(long, hide = true)]
    pub insecure: bool,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// Makes a list and prints its id; its name when called as docker.
///
/// # Errors
/// A name that is taken, an image that is not there; nothing is made then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    if ui::docker() && args.images.is_empty() {
        return Err(Error::new(Kind::Usage, "\"docker manifest create\" requires at least 2 arguments")
            .of_client()
            .hint("Name the list and its images: docker manifest create LIST IMAGE"));
    }
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let request = CreateRequest {
        name: &args.list,
        images: &args.images,
        all: args.all,
        amend: args.amend,
        annotations: &args.annotation.iter().cloned().collect(),
        lookup: if ui::docker() { Lookup::RegistryFirst } else { Lookup::StoreFirst },
        registry: &request(&args.registry, args.insecure),
    };
    let (id, name) = pulling(true, |report| engine.create_list(&request, report))?;
    match ui::docker() {
        true => ui::out(&format!("Created manifest list {name}\n"))?,
        false => ui::out(&format!("{}\n", id.hex()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the options ask of registries.
fn request(registry: &RegistryOptions, insecure: bool) -> PullRequest {
    let request = registry.request(Platform::host());
    PullRequest { tls_verify: if insecure { Some(false) } else { request.tls_verify }, ..request }
}
