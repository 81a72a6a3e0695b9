//! `coracle version`.

use crate::error::Result;
use crate::host::Env;
use crate::image::Platform;
use crate::ui;
use crate::ui::rows::{align, is_json, json};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// When the source was last changed, seconds since 1970, if the build says so (SOURCE_DATE_EPOCH).
const BUILT: Option<&str> = option_env!("SOURCE_DATE_EPOCH");

/// What there is to say about this program; the names are podman's.
pub(super) fn facts() -> Value {
    let platform = Platform::host();
    let mut facts = json!({
        "Version": env!("CARGO_PKG_VERSION"),
        "OsArch": format!("{}/{}", platform.os, platform.architecture),
        "Os": platform.os,
        "Arch": platform.architecture,
    });
    if let Some(built) = BUILT.and_then(|text| text.parse::<i64>().ok()) {
        facts["Built"] = json!(built);
        if let Some(time) = chrono::DateTime::from_timestamp(built, 0) {
            facts["BuiltTime"] = json!(time.format("%a %b %e %T %Y").to_string());
        }
    }
    facts
}

/// Prints the version.
///
/// # Errors
/// When the format is wrong.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let facts = facts();
    let text = match args.format.as_deref() {
        None => {
            let built = facts["BuiltTime"].as_str();
            let mut lines = vec![("Client:", "Coracle"), ("Version:", env!("CARGO_PKG_VERSION"))];
            lines.extend(built.map(|time| ("Built:", time)));
            lines.push(("OS/Arch:", facts["OsArch"].as_str().unwrap_or_default()));
            align(&lines.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect::<String>())?
        }
        format if is_json(format) => json(&json!({ "Client": facts }))?,
        format => ui::template::render(format.unwrap_or_default(), &json!({ "Client": facts }))? + "\n",
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}
