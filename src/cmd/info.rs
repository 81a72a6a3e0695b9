//! `coracle info`.

use crate::engine;
use crate::error::Result;
use crate::host::{self, Check, Env, Feature};
use crate::text::Forms;
use crate::ui;
use crate::ui::rows::{align, is_whole_json, json, line};
use crate::view::{Dialect, info};
use serde_json::json;
use std::process::ExitCode;

/// Arguments of `info`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Shows the machine, the store, what the machine lacks and how to fix it.
///
/// # Errors
/// When the format is wrong. What the machine lacks is shown and is no error.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let dialect = super::dialect();
    let found = engine::info::info(&env.roots, super::store(env));
    let info = info::document(&found, super::dialect::role(), dialect);
    if dialect == Dialect::Docker {
        let text = match args.format.as_deref() {
            None => info::docker_text(&info),
            format if is_whole_json(format) => line(info.json())?,
            format => crate::text::template::render(format.unwrap_or_default(), &info)? + "\n",
        };
        ui::out(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (checks, features) = (host::examine(&env.roots), host::features());
    let Some(format) = args.format.as_deref() else {
        ui::out(&crate::text::yaml(info.json()))?;
        ui::out(&format!("\n{}\n{}", checks_table(&checks)?, features_table(&features)?))?;
        return Ok(ExitCode::SUCCESS);
    };
    let info = info.and("checks", json!(checks)).and("features", json!(features));
    let text = match is_whole_json(Some(format)) {
        true => json(info.json())?,
        false => crate::text::template::render(format, &info)? + "\n",
    };
    ui::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn checks_table(checks: &[Check]) -> Result<String> {
    let mut text = String::from("CHECK\tSTATE\tDETAIL\n");
    for check in checks {
        let state = json!(check.state);
        text.push_str(&format!("{}\t{}\t{}\n", check.name, state.as_str().unwrap_or_default(), check.detail));
    }
    let mut text = align(&text)?;
    for check in checks.iter().filter(|check| !check.cure.is_empty()) {
        text.push_str(&format!("\nTo cure {}:\n", check.name));
        for line in check.cure.iter().flat_map(|cure| cure.lines()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    Ok(text)
}

fn features_table(features: &[Feature]) -> Result<String> {
    let mut text = String::from("KERNEL FEATURE\tSINCE\tHERE\tUSED FOR\n");
    for feature in features {
        let here = if feature.available { "yes" } else { "no" };
        let otherwise = match (feature.available, feature.without) {
            (false, without) if !without.is_empty() => format!(" (here: {without})"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "{}\t{}\t{here}\t{}{otherwise}\n",
            feature.name, feature.since, feature.usage
        ));
    }
    align(&text)
}
