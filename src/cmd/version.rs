//! `coracle version`.

use crate::error::Result;
use crate::host::{Env, kernel_release};
use crate::text::Forms;
use crate::ui;
use crate::ui::rows::{align, is_json, is_whole_json, json, line};
use crate::view::version::{self, Role};
use std::process::ExitCode;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// The program's name and what `--version` says after it.
pub fn banner() -> (&'static str, String) {
    super::dialect::role().banner()
}

/// Prints the version.
///
/// # Errors
/// When the format is wrong.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let role = super::dialect::role();
    let shown = version::document(role, &kernel_release());
    let text = match (args.format.as_deref(), role) {
        (None, Role::Docker) => version::docker_text(),
        (None, _) => {
            let lines = version::lines(role);
            align(&lines.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect::<String>())?
        }
        (format, Role::Docker) if is_whole_json(format) => line(shown.json())?,
        (format, _) if is_json(format) => json(shown.json())?,
        (format, _) => crate::text::template::render(format.unwrap_or_default(), &shown)? + "\n",
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
