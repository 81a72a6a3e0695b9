//! `coracle version`.

use crate::error::Result;
use crate::host::Env;
use crate::ui;
use crate::ui::rows::{align, is_json, json, line};
use crate::view::version;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Arguments of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
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
    let facts = version::facts();
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
