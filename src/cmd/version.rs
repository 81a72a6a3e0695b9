//! `coracle version`.

use crate::error::Result;
use crate::host::Env;
use crate::image::Platform;
use crate::ui;
use crate::ui::rows::{align, is_json, json, line};
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
    let built = BUILT.and_then(|text| text.parse::<i64>().ok());
    let time = built.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    json!({
        "APIVersion": env!("CARGO_PKG_VERSION"),
        "Version": env!("CARGO_PKG_VERSION"),
        "GoVersion": "",
        "GitCommit": "",
        "OsArch": format!("{}/{}", platform.os, platform.architecture),
        "Os": platform.os,
        "Arch": platform.architecture,
        "Built": built.unwrap_or(0),
        "BuiltTime": time.map(|time| time.format("%a %b %e %T %Y").to_string()).unwrap_or_default(),
    })
}

/// The same in docker's shape, in which client and server are told apart.
fn docker_facts(facts: &Value) -> Value {
    let common = json!({
        "Version": facts["Version"],
        "ApiVersion": API,
        "Os": facts["Os"],
        "Arch": facts["Arch"],
        "BuildTime": facts["BuiltTime"],
        "GitCommit": "",
        "GoVersion": "",
        "Experimental": false,
    });
    let (mut client, mut server) = (common.clone(), common);
    client["Platform"] = json!({ "Name": "coracle" });
    client["DefaultAPIVersion"] = json!(API);
    client["Context"] = json!("default");
    server["Platform"] = json!({ "Name": "coracle" });
    server["MinAPIVersion"] = json!(API);
    server["KernelVersion"] = json!(crate::host::kernel_release());
    server["Components"] = json!([{ "Name": "Engine", "Version": facts["Version"], "Details": {} }]);
    json!({ "Client": client, "Server": server })
}

/// The version of docker's interface that templates and output are modelled on.
const API: &str = "1.43";

/// Prints the version.
///
/// # Errors
/// When the format is wrong.
pub fn run(args: &Args, _env: &Env) -> Result<ExitCode> {
    let facts = facts();
    let shown = if ui::docker() { docker_facts(&facts) } else { json!({ "Client": facts }) };
    let text = match args.format.as_deref() {
        None => {
            let built = facts["BuiltTime"].as_str().filter(|time| !time.is_empty());
            let mut lines = vec![("Client:", "Coracle"), ("Version:", env!("CARGO_PKG_VERSION"))];
            lines.extend(built.map(|time| ("Built:", time)));
            lines.push(("OS/Arch:", facts["OsArch"].as_str().unwrap_or_default()));
            align(&lines.iter().map(|(name, value)| format!("{name}\t{value}\n")).collect::<String>())?
        }
        format if is_json(format) && ui::docker() => line(&shown)?,
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
