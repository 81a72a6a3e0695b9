//! `coracle pull`, and the pull that `run` begins with.

use crate::error::{Error, FAILED, Kind, Result};
use crate::host::Env;
use crate::image::{Image, Platform, Reference};
use crate::registry::{Credentials, Places, Prepared, PullRequest, RetryPolicy};
use crate::storage::Store;
use crate::storage::events::{Action, Event};
use crate::ui::{self, progress::Progress, time::parse_duration};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

mod leaf;
mod show;

/// Arguments of `pull`.
#[derive(Debug, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Name of an image: [registry/]name[:tag][@digest]
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<Reference>,
    /// Pull every tag of the repository
    #[arg(short, long)]
    pub all_tags: bool,
    /// When to pull
    #[arg(long, value_name = "POLICY", default_value = "always")]
    pub policy: PullPolicy,
    /// Print the image's id only
    #[arg(short, long)]
    pub quiet: bool,
    /// Accepted for docker's sake, without effect
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    pub disable_content_trust: Option<Option<bool>>,
    /// Which image, from where.
    #[command(flatten)]
    pub source: SourceOptions,
}

/// When an image is pulled although it may be here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PullPolicy {
    /// Always pull
    Always,
    /// Pull if the image is not in the store
    #[default]
    Missing,
    /// Never pull
    Never,
    /// Pull if the registry has another one; if it does not answer, use the one in the store
    Newer,
}

/// Options on the image's platform and its registry, common to every verb that pulls.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceOptions {
    /// Platform of the image: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM", conflicts_with_all = ["arch", "os"], help_heading = "Platform")]
    pub platform: Option<Platform>,
    /// Architecture of the image, instead of this machine's
    #[arg(long, value_name = "ARCH", help_heading = "Platform")]
    pub arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long, value_name = "OS", help_heading = "Platform")]
    pub os: Option<String>,
    /// Variant of the architecture, such as v7
    #[arg(long, value_name = "VARIANT", help_heading = "Platform")]
    pub variant: Option<String>,
    /// Require https and a valid certificate; false allows plain http and any certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", help_heading = "Registry")]
    pub tls_verify: Option<bool>,
    /// User name and password for the registry: user:password
    #[arg(long, value_name = "CREDENTIALS", help_heading = "Registry")]
    pub creds: Option<Credentials>,
    /// File with credentials, instead of the usual ones
    #[arg(long, value_name = "FILE", help_heading = "Registry")]
    pub authfile: Option<PathBuf>,
    /// Directory with certificates (*.crt, *.cert, *.key) for the registry
    #[arg(long, value_name = "DIR", help_heading = "Registry")]
    pub cert_dir: Option<PathBuf>,
    /// Number of retries after a failure
    #[arg(long, value_name = "COUNT", help_heading = "Registry")]
    pub retry: Option<u32>,
    /// Delay before each retry, such as 2s; by default 1s, then doubling
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Registry")]
    pub retry_delay: Option<Duration>,
}

impl SourceOptions {
    /// The platform the user asked for, if any of the four options was given.
    ///
    /// # Errors
    /// A word that cannot be part of a platform.
    fn wanted_platform(&self) -> Result<Option<Platform>> {
        if self.platform.is_none() && self.arch.is_none() && self.os.is_none() && self.variant.is_none() {
            return Ok(None);
        }
        let host = Platform::host();
        let (os, arch, variant) = match &self.platform {
            Some(p) => (p.os.clone(), p.architecture.clone(), p.variant.clone()),
            // This machine's variant belongs to its own architecture only.
            None => (
                self.os.clone().unwrap_or(host.os),
                self.arch.clone().unwrap_or(host.architecture.clone()),
                if self.arch.is_none() { host.variant } else { None },
            ),
        };
        let mut text = format!("{os}/{arch}");
        if let Some(variant) = self.variant.clone().or(variant) {
            text.push('/');
            text.push_str(&variant);
        }
        text.parse().map(Some)
    }

    fn request(&self) -> Result<PullRequest> {
        let usual = RetryPolicy::default();
        Ok(PullRequest {
            platform: self.wanted_platform()?.unwrap_or_else(Platform::host),
            tls_verify: self.tls_verify,
            credentials: self.creds.clone(),
            auth_file: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            retry: RetryPolicy { retries: self.retry.unwrap_or(usual.retries), delay: self.retry_delay },
        })
    }
}

/// Pulls the named images and prints their ids.
///
/// # Errors
/// The failure of the only name; with several names each failure is reported and the others go on.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    if !args.all_tags {
        return ui::each(args.images.iter().collect(), |image| one(args, env, &store, image));
    }
    let mut code = ExitCode::SUCCESS;
    for image in &args.images {
        match all_tags(args, env, &store, image) {
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

/// Pulls one image; gives the line to print.
fn one(args: &Args, env: &Env, store: &Store, image: &Reference) -> Result<Option<String>> {
    let image = ensure_image(env, store, &image.to_string(), args.policy, &args.source, args.quiet)?;
    Ok(Some(image.id.hex().to_owned()))
}

fn all_tags(args: &Args, env: &Env, store: &Store, image: &Reference) -> Result<ExitCode> {
    if image.tag().is_some() || image.digest().is_some() {
        return Err(Error::new(Kind::Usage, format!("{image} names one image"))
            .hint("Leave the tag away with --all-tags."));
    }
    // As podman documents it, search registries are not consulted here.
    let image = if image.registry().is_none() { image.qualify("docker.io") } else { image.clone() };
    let request = args.source.request()?;
    let prepared = Prepared::new(&Places::from_env(&env.roots.config), &image, &request)?;
    let progress = Progress::new(args.quiet);
    let mut seen = HashSet::new();
    let mut tags = leaf::tags(&prepared, &progress)?;
    tags.retain(|tag| seen.insert(tag.clone()));
    if tags.is_empty() {
        return Err(Error::new(Kind::NotFound, format!("{} has no tags", image.repository())));
    }
    ui::each(tags, |tag| {
        let tagged: Reference = format!("{}:{tag}", image.repository()).parse()?;
        one(args, env, store, &tagged)
    })
}

/// Gives the image that `text` names (a name, an id or the beginning of one), pulling it first if the
/// policy says so. Progress goes to standard error unless `quiet`.
///
/// # Errors
/// It is not here and may not be pulled, or could not be pulled.
pub fn ensure_image(
    env: &Env,
    store: &Store,
    text: &str,
    policy: PullPolicy,
    source: &SourceOptions,
    quiet: bool,
) -> Result<Image> {
    let wanted = source.wanted_platform()?;
    let here = match policy {
        PullPolicy::Always => None,
        // An image for another platform than the one asked for is not the one.
        _ => store.images().find(text)?.filter(|i| wanted.as_ref().is_none_or(|w| is_for(i, w))),
    };
    match &here {
        Some(image) => log::debug!("image {text} is here: {}", image.id.short()),
        None => log::debug!("image {text} is not here, or not to be taken from here"),
    }
    match (policy, here) {
        (PullPolicy::Missing | PullPolicy::Never, Some(image)) => Ok(image),
        (PullPolicy::Never, None) => Err(Error::new(Kind::NotFound, format!("image {text} is not here"))
            .hint(format!("Fetch it: coracle pull {text}"))),
        (PullPolicy::Newer, Some(image)) => match pull(env, store, text, source, quiet) {
            Ok(newer) => Ok(newer),
            Err(e) => {
                log::info!("{e}; using the image that is here");
                Ok(image)
            }
        },
        (_, _) => pull(env, store, text, source, quiet),
    }
}

fn is_for(image: &Image, wanted: &Platform) -> bool {
    let config = &image.config;
    let variant = wanted.variant.as_deref().is_none_or(|w| config.variant.as_deref().is_none_or(|v| v == w));
    config.os == wanted.os && config.architecture == wanted.architecture && variant
}

fn pull(env: &Env, store: &Store, text: &str, source: &SourceOptions, quiet: bool) -> Result<Image> {
    let reference: Reference = text.parse()?;
    // Helpers run in here, so this comes before the leaf (law 1).
    let prepared = Prepared::new(&Places::from_env(&env.roots.config), &reference, &source.request()?)?;
    let progress = Progress::new(quiet);
    let pulled = leaf::pull(env, &prepared, &progress)?;
    let lost = || Error::new(Kind::Storage, format!("{pulled} was pulled and is gone again"));
    let image = store.images().find_reference(&pulled)?.ok_or_else(lost)?;
    store.events().emit(Event::image_named(Action::Pull, image.id.as_str(), &pulled.to_string()));
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_options_make_a_platform() {
        let options = |arch: Option<&str>, os: Option<&str>, variant: Option<&str>| SourceOptions {
            arch: arch.map(str::to_owned),
            os: os.map(str::to_owned),
            variant: variant.map(str::to_owned),
            ..SourceOptions::default()
        };
        assert_eq!(options(None, None, None).wanted_platform().unwrap(), None);
        let arm = options(Some("arm"), None, Some("v6")).wanted_platform().unwrap().unwrap();
        assert_eq!(arm.to_string(), "linux/arm/v6");
        let alias = options(Some("x86_64"), None, None).wanted_platform().unwrap().unwrap();
        assert_eq!(alias.to_string(), "linux/amd64");
        assert!(options(Some("a/b/c"), None, None).wanted_platform().is_err());
    }
}
