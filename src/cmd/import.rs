//! `coracle import`.

use super::options::input::Input;
use crate::engine::images::import;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::image::change::Change;
use crate::image::{HistoryEntry, ImageConfig, Platform, Reference};
use crate::ui;
use chrono::{SecondsFormat, Utc};
use std::process::ExitCode;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Archive of files, plain or compressed, or its address (http, https); - for standard input
    #[arg(value_name = "FILE")]
    pub path: String,
    /// Name of the new image
    #[arg(value_name = "REFERENCE")]
    pub reference: Option<Reference>,
    /// Change the configuration: 'CMD ["sh"]', ENV=A=b, 'LABEL a=b', ...
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub change: Vec<Change>,
    /// Message for the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub message: Option<String>,
    /// Architecture of the image, instead of this machine's
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Makes an image of an archive of files and prints its id.
///
/// # Errors
/// An archive that the unpacker refuses, a wrong change; nothing is kept then.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    import::check_changes(&args.change)?;
    let names: Vec<Reference> = args.reference.iter().map(Reference::as_new_name).collect::<Result<_>>()?;
    let config = configuration(args)?;
    let input = Input::named(Some(&args.path), "import")?;
    let label = input.label(Some(&args.path));
    let store = super::store(env)?;
    let input = input.open(&store, &ui::progress::Progress::new(args.quiet))?;
    if input.metadata().context(Kind::Usage, || format!("look at {}", args.path))?.is_dir() {
        return Err(Error::new(Kind::Usage, format!("{} is a directory", args.path))
            .hint(format!("Pack it on the way: tar -C {} -c . | coracle import -", args.path)));
    }
    let id = super::store::engine(&store, env).import(input, &label, config, &names)?;
    ui::out(&format!("{}\n", id.as_str()))?;
    Ok(ExitCode::SUCCESS)
}

fn configuration(args: &Args) -> Result<ImageConfig> {
    let (os, arch, variant) = (args.os.as_deref(), args.arch.as_deref(), args.variant.as_deref());
    let platform = Platform::of_parts(os, arch, variant)?;
    let created = Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true);
    let mut config = ImageConfig {
        created: Some(created.clone()),
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant,
        history: vec![HistoryEntry {
            created: Some(created),
            comment: Some(args.message.clone().unwrap_or_else(|| "imported from tarball".to_owned())),
            ..HistoryEntry::default()
        }],
        ..ImageConfig::default()
    };
    args.change.iter().for_each(|change| change.apply(&mut config.config));
    Ok(config)
}
