//! `--log-driver` and `--log-opt` against this machine, and the tag's template.

use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::plan::logging::LogOpt;
use crate::spec::{ContainerSpec, LogDriver, LogSpec};
use crate::storage::containers::log::journal;
use crate::text::template;
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Where output is kept, if this machine and this command line allow that.
pub(super) fn plan(driver: LogDriver, options: Vec<LogOpt>, caller: &Caller) -> Result<LogSpec> {
    let refuse = |kind, why: String, hint: &str| Err(Error::new(kind, why).hint(hint));
    let plan = LogSpec::of(driver, options, &caller.cwd)?;
    if driver == LogDriver::Journald && !Path::new(journal::SOCKET).exists() {
        let why = format!("--log-driver journald: the journal does not run here ({})", journal::SOCKET);
        return refuse(Kind::Host, why, "Keep the log in a file: --log-driver k8s-file");
    }
    if driver == LogDriver::Passthrough
        && (io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal())
    {
        let why = "--log-driver passthrough would give the container this terminal".to_owned();
        return refuse(Kind::Usage, why, "If it may have it: --log-driver passthrough-tty");
    }
    Ok(plan)
}

/// Puts the tag's text in place of its template, now that the container has a name and an id. The names
/// are those of `inspect` and of docker's log tags.
///
/// # Errors
/// A template that is none.
pub(super) fn render_tag(plan: &mut ContainerSpec) -> Result<()> {
    let Some(tag) = &plan.io.log.tag else { return Ok(()) };
    let (image, image_id) = match &plan.image {
        Some(image) => (image.reference.as_str(), image.id.hex()),
        None => ("", ""),
    };
    let facts = json!({
        "Id": plan.id,
        "ID": plan.id.short(),
        "FullID": plan.id,
        "Name": plan.name,
        "Created": plan.created,
        "Image": image_id,
        "ImageID": image_id.get(..12).unwrap_or_default(),
        "ImageFullID": image_id,
        "ImageName": image,
        "Path": plan.process.argv.first(),
        "Args": plan.process.argv.get(1..),
        "Command": plan.process.argv.join(" "),
        "DaemonName": "coracle",
        "Config": { "Labels": plan.labels, "Hostname": plan.hostname, "Image": image },
    });
    let text = template::render(tag, &facts).context(Kind::Usage, || format!("--log-opt tag={tag}"))?;
    plan.io.log.tag = Some(text);
    Ok(())
}
