//! `coracle buildx imagetools create`.

use crate::cmd::options::pulling::pulling;
use crate::cmd::options::pushing::pushing;
use crate::cmd::options::source::RegistryOptions;
use crate::engine::images::push::PushRequest;
use crate::engine::lists::CombineRequest;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::image::{Digest, Platform, Reference};
use crate::storage::archive::OutgoingForm;
use crate::ui;
use crate::ui::progress::Progress;
use crate::view::Dialect;
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `buildx imagetools create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Names in registries, of images or manifest lists; a digest is one of the repository of the first --tag
    #[arg(value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// Annotation: index:KEY=VALUE or manifest-descriptor[OS/ARCH]:KEY=VALUE; may be repeated
    #[arg(long, value_name = "ANNOTATION", value_parser = annotation)]
    pub annotation: Vec<Annotation>,
    /// Keep what the list called by the first --tag has
    #[arg(long)]
    pub append: bool,
    /// Print the list, and push nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only what is for these platforms: os/arch[/variant], separated by commas
    #[arg(short, long, value_name = "PLATFORM", value_delimiter = ',')]
    pub platform: Vec<Platform>,
    /// Name that the list gets; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<Reference>,
    /// Progress: auto, plain, tty, rawjson, or none for none
    #[arg(long, value_name = "KIND", default_value = "auto")]
    pub progress: String,
    /// Builder
    #[arg(long, hide = true, value_name = "NAME")]
    pub builder: Option<String>,
    /// How to talk to registries.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// What `--annotation` says, and of what.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// `None` for the whole, else the entries for a platform, or for all.
    of_entries: Option<Option<Platform>>,
    key: String,
    value: String,
}

const FORM: &str = "Write index:KEY=VALUE, or manifest-descriptor:KEY=VALUE for the entries.";

fn annotation(text: &str) -> Result<Annotation> {
    let wrong = |why: &str| Error::new(Kind::Usage, format!("annotation {text:?}: {why}")).hint(FORM);
    let (left, value) = text.split_once('=').ok_or_else(|| wrong("there is no value"))?;
    // Docker's word for one without a type.
    let (of, key) = left.split_once(':').unwrap_or(("manifest", left));
    if key.is_empty() {
        return Err(wrong("there is no key"));
    }
    let (of, platform) = match of.strip_suffix(']').and_then(|of| of.split_once('[')) {
        Some((of, platform)) => (of, Some(platform.parse()?)),
        None => (of, None),
    };
    let of_entries = match (of, &platform) {
        ("index", None) => None,
        ("manifest-descriptor", _) => Some(platform),
        _ => return Err(wrong(&format!("{of:?} annotations are not supported"))),
    };
    Ok(Annotation { of_entries, key: key.to_owned(), value: value.to_owned() })
}

/// Makes a list of what registries have, and pushes it.
///
/// # Errors
/// Sources that are not there, no name to push it to, a registry that refuses.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let wrong = |why: &str, hint: &str| Err(Error::new(Kind::Usage, why).hint(hint));
    if args.tag.is_empty() && (!args.dry_run || args.append) {
        return wrong("no name was given for the list", "Give it one: --tag REGISTRY/NAME:TAG");
    }
    if args.sources.is_empty() {
        return wrong("no sources were given", "Name images of the registry.");
    }
    let tags: Vec<Reference> = args.tag.iter().map(Reference::with_registry).collect();
    let mut sources: Vec<Reference> = tags.first().filter(|_| args.append).cloned().into_iter().collect();
    for text in &args.sources {
        sources.push(match (text.parse::<Digest>(), tags.first()) {
            (Ok(digest), Some(tag)) => tag.with_digest(digest),
            _ => text.parse::<Reference>()?.with_registry(),
        });
    }
    let registry = args.registry.request(Platform::host());
    let store = crate::cmd::store(env)?;
    let engine = crate::cmd::store::engine(&store, env);
    let of = |one: &Annotation| (one.key.clone(), one.value.clone());
    let entries: Vec<_> = args
        .annotation
        .iter()
        .filter_map(|one| Some((one.of_entries.clone()?, one.key.clone(), one.value.clone())))
        .collect();
    let request = CombineRequest {
        sources: &sources,
        annotations: &args.annotation.iter().filter(|one| one.of_entries.is_none()).map(of).collect(),
        entry_annotations: &entries,
        platforms: &args.platform,
        registry: &registry,
    };
    let combined = pulling(true, |report| engine.combine(&request, report))?;
    if args.dry_run {
        let document: Value =
            serde_json::from_slice(&combined.bytes()?).context(Kind::Image, || "read the list")?;
        let text = serde_json::to_string_pretty(&document).context(Kind::Image, || "write the list")?;
        ui::out(&format!("{text}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let quiet = args.progress == "none";
    let request = PushRequest { registry, form: OutgoingForm::default() };
    for tag in &tags {
        let pushed = pushing(true, Dialect::Podman, |pushed| {
            engine.push_combined(&combined, tag, &request, &mut |_| {}, pushed)
        })?;
        Progress::new(quiet).note(&format!("pushed {} to {tag}", pushed.digest));
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_say_what_they_are_of() {
        let read = |text: &str| annotation(text).map(|one| (one.of_entries, one.key, one.value));
        assert_eq!(read("index:a=b=c").unwrap(), (None, "a".into(), "b=c".into()));
        assert_eq!(read("manifest-descriptor:a=").unwrap(), (Some(None), "a".into(), String::new()));
        let arm = Some(Some("linux/arm64".parse().unwrap()));
        assert_eq!(read("manifest-descriptor[linux/arm64]:a=b").unwrap(), (arm, "a".into(), "b".into()));
        for wrong in ["a=b", "manifest:a=b", "index[linux/arm]:a=b", "index:a", "index:=b", "x:a=b"] {
            assert_eq!(read(wrong).unwrap_err().kind(), Kind::Usage, "{wrong}");
        }
    }
}
