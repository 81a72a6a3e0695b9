//! `coracle load`.

use super::options::input::input;
use crate::engine::images::load;
use crate::error::Result;
use crate::host::Env;
use crate::storage::archive::{Loaded, Progress};
use crate::ui;
use std::process::ExitCode;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Read this archive or directory instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub input: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// Loads images from an archive or a directory and prints their names.
///
/// # Errors
/// A malformed or inconsistent archive; then nothing of it is kept.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let input = input(args.input.as_deref(), "load -i")?;
    let progress = ui::progress::Progress::new(args.quiet);
    let store = super::store(env)?;
    let name = args.input.as_deref().unwrap_or("-");
    let loaded = load::load(&store, input, name, &mut |step| progress.note(&describe(&step)))?;
    for image in &loaded {
        let lines: String = shown(image).iter().map(|name| format!("Loaded image: {name}\n")).collect();
        ui::out(&lines)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(image: &Loaded) -> Vec<String> {
    if image.names.is_empty() {
        return vec![image.id.to_string()];
    }
    image.names.iter().map(ToString::to_string).collect()
}

fn describe(step: &Progress) -> String {
    match step {
        Progress::Layer(id) => format!("Copying layer {}", id.short()),
        Progress::Present(id) => format!("Layer {} is already here", id.short()),
        Progress::Image(id) => format!("Image {} is complete", id.short()),
    }
}
