//! Expands the template of `--log-opt tag`, once the container has a name and an id.

use crate::error::{Context, Kind, Result};
use crate::spec::ContainerSpec;
use crate::text::template;
use serde_json::json;

/// Puts the tag's text in place of its template, now that the container has a name and an id. The names
/// are those of `inspect` and of docker's log tags.
///
/// # Errors
/// A malformed template.
pub(super) fn render(plan: &mut ContainerSpec) -> Result<()> {
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
