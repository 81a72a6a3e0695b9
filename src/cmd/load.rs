//! `coracle load`.

use super::options::input::Input;
use super::options::transfer;
use crate::error::Result;
use crate::host::Env;
use crate::storage::archive::Loaded;
use crate::ui;
use std::process::ExitCode;

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Read this archive, directory or address (http, https) instead of standard input
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
    let input = Input::named(args.input.as_deref(), "load -i")?;
    let progress = ui::progress::Progress::new(args.quiet);
    let store = super::store(env)?;
    let name = input.label(args.input.as_deref());
    let input = input.open(&store, &progress)?;
    let (engine, dialect) = (super::store::engine(&store, env), super::dialect());
    let loaded = engine.load(input, &name, &mut |step| transfer::loading(&progress, dialect, &step))?;
    // The bars' last line ends before what was loaded is told.
    drop(progress);
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
