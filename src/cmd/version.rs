//! `coracle version`.

use crate::error::Result;
use crate::host::{Env, kernel_release};
use crate::ui;
use crate::ui::rows::{align, is_json, json, line};
use crate::view::{Dialect, version};
use serde_json::Value;
use std::process::ExitCode;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Prints the version.
///
/// # Errors
/// When the format is wrong.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let facts = version::facts();
    let dialect = super::dialect();
    let shown = version::document(dialect, &kernel_release());
    let text = match args.format.as_deref() {
        None => {
            let built = facts["BuiltTime"].as_str().filter(|time| !time.is_empty());
            let mut lines = vec![("Client:", "Coracle"), ("Version:", env!("CARGO_PKG_VERSION"))];
            lines.extend(built.map(|time| ("Built:", time)));
            lines.push(("OS/Arch:", facts["OsArch"].as_str().unwrap_or_default()));
            align(&lines.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect::<String>())?
        }
        format if is_json(format) && dialect == Dialect::Docker => line(&shown)?,
        format if is_json(format) => json(&shown)?,
        format => {
            // podman takes the client's fields without `.Client`, too.
            let mut shown = shown;
            if let (Value::Object(all), Value::Object(own)) = (&mut shown, facts) {
                all.extend(own);
            }
            crate::text::template::render(format.unwrap_or_default(), &shown)? + "\n"
        }
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
