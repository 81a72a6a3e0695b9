//! `coracle pull`.

use super::options::pulling::{Voice, as_docker, pulling, status};
use super::options::source::{PullPolicy, SourceOptions};
use crate::engine::Engine;
use crate::engine::images::pull::Wanted;
use crate::error::{Error, FAILED, Kind, Result};
use crate::host::Env;
use crate::image::{Location, Reference};
use crate::ui;
use crate::view::Dialect;
use std::process::ExitCode;
use std::str::FromStr;

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name of an image: [registry/]name[:tag][@digest], or oci:DIR[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME] or dir:DIR
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<Source>,
    /// Pull every tag of the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// When to pull
    #[arg(long, value_name = "POLICY", default_value = "always")]
    pub policy: PullPolicy,
    /// Print only the image's id
    #[arg(short, long)]
    pub quiet: bool,
    /// Accepted for compatibility with docker; no effect
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    pub disable_content_trust: Option<Option<bool>>,
    /// Which image, from where.
    #[command(flatten)]
    pub source: SourceOptions,
}

/// Where an image is pulled from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A registry.
    Name(Reference),
    /// Where a transport leads, as written.
    Elsewhere(String),
}

impl FromStr for Source {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match Location::of(text)? {
            Some(_) => Ok(Source::Elsewhere(text.to_owned())),
            None => text.parse().map(Source::Name),
        }
    }
}

/// Pulls the named images and prints their ids.
///
/// # Errors
/// The failure of the only name; with several names each failure is reported and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let (wanted, quiet) = (args.source.wanted(args.policy)?, args.quiet);
    if !args.all_tags {
        return ui::each(args.images.iter().collect(), |image| one(engine, &wanted, quiet, image));
    }
    let mut code = ExitCode::SUCCESS;
    for image in &args.images {
        match all_tags(engine, &wanted, quiet, image) {
            Ok(ExitCode::SUCCESS) => {}
            Ok(failed) => code = failed,
            Err(e) if args.images.len() == 1 || e.kind() == Kind::OutputClosed => return Err(e),
            Err(e) => {
                ui::report(&e);
                code = ExitCode::from(FAILED);
            }
        }
    }
    Ok(code)
}

/// Pulls one image; returns the line to print.
fn one(engine: Engine<'_>, wanted: &Wanted, quiet: bool, image: &Source) -> Result<Option<String>> {
    let text = match image {
        Source::Name(name) if ui::docker() => return one_as_docker(engine, wanted, quiet, name),
        Source::Name(name) => name.to_string(),
        Source::Elsewhere(text) => text.clone(),
    };
    let image = pulling(quiet, |report| engine.ensure(&text, wanted, report))?;
    Ok(Some(image.id.hex().to_owned()))
}

/// As [`one`], in docker's words.
fn one_as_docker(
    engine: Engine<'_>,
    wanted: &Wanted,
    quiet: bool,
    name: &Reference,
) -> Result<Option<String>> {
    let full = name.with_registry().to_string();
    if quiet {
        pulling(quiet, |report| engine.ensure(&name.to_string(), wanted, report))?;
        return Ok(Some(full));
    }
    if name.tag().is_none() && name.digest().is_none() {
        ui::out(&format!("Using default tag: {}\n", name.asked_for()))?;
    }
    let (_, newer) = as_docker(Voice::Pull, |report| engine.ensure(&name.to_string(), wanted, report))?;
    // What a policy let stay as it is was not named yet.
    Ok(Some(full).filter(|_| newer.is_none()))
}

fn all_tags(engine: Engine<'_>, wanted: &Wanted, quiet: bool, image: &Source) -> Result<ExitCode> {
    let image = match image {
        Source::Name(name) => name,
        Source::Elsewhere(text) => {
            let transport = text.split(':').next().unwrap_or_default();
            let message = format!("pulling all tags is not supported for {transport} transport");
            return Err(Error::new(Kind::Usage, message).hint("Pull one image of it without --all-tags."));
        }
    };
    let tags = pulling(quiet, |report| engine.tags(image, &wanted.request, report))?;
    if ui::docker() && !quiet {
        let mut newer = false;
        let code = ui::each(tags, |tagged| {
            let name = tagged?.to_string();
            let (_, changed) = as_docker(Voice::Tag, |report| engine.ensure(&name, wanted, report))?;
            newer |= changed == Some(true);
            Ok(None)
        })?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        let image = image.with_registry();
        let repository = image.repository();
        let short = Dialect::Docker.image_name(&image);
        let short = short.strip_suffix(":latest").unwrap_or(&short);
        ui::out(&format!("{}\n{repository}\n", status(short, newer)))?;
        return Ok(code);
    }
    ui::each(tags, |tagged| one(engine, wanted, quiet, &Source::Name(tagged?)))
}
