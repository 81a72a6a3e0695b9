//! What registries have, as `buildx imagetools` shows it.

use crate::engine::lists::InRegistry;
use crate::engine::lists::inspect::Inspected;
use crate::error::{Context, Kind, Result};
use crate::image::{Index, PlatformOf, Reference};
use crate::text::Document;
use serde_json::{Map, Value, json};

/// A manifest or an index in docker's words.
///
/// # Errors
/// An index that cannot be read.
pub fn summary(found: &Inspected) -> Result<String> {
    let name = name(found);
    let mut text =
        lines(0, &[("Name", &name), ("MediaType", &found.media_type), ("Digest", found.digest.as_str())]);
    if !found.is_index() {
        return Ok(text);
    }
    text.push_str("\nManifests:\n");
    let repository = found.reference.as_ref().map(Reference::repository).unwrap_or_default();
    let index = Index::parse(&name, found.text.as_bytes())?;
    for (at, entry) in index.manifests.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let name = format!("{repository}@{}", entry.digest);
        let platform = entry.platform.as_ref().map(platform_text);
        let mut rows = vec![("Name", name.as_str()), ("MediaType", entry.media_type.as_str())];
        rows.extend(platform.as_deref().map(|platform| ("Platform", platform)));
        if !entry.annotations.is_empty() {
            rows.push(("Annotations", ""));
        }
        text.push_str(&lines(2, &rows));
        let annotations: Vec<(&str, &str)> =
            entry.annotations.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        text.push_str(&lines(4, &annotations));
    }
    Ok(text)
}

/// The same for templates: `.Name`, `.Manifest` and, if they were fetched, `.Image`.
///
/// # Errors
/// A document that cannot be read.
pub fn document(found: &InRegistry) -> Result<Document> {
    let whole = &found.document;
    let read = |text: &str| -> Result<Value> {
        serde_json::from_str(text).context(Kind::Image, || format!("read {}", name(whole)))
    };
    let text = read(&whole.text)?;
    let mut manifest = Map::new();
    manifest.insert("schemaVersion".into(), text["schemaVersion"].clone());
    manifest.insert("mediaType".into(), whole.media_type.as_str().into());
    manifest.insert("digest".into(), whole.digest.as_str().into());
    manifest.insert("size".into(), whole.text.len().into());
    for field in ["manifests", "annotations"] {
        if let Some(value) = text.get(field) {
            manifest.insert(field.into(), value.clone());
        }
    }
    let mut images = Map::new();
    let mut image = None;
    for (platform, config) in &found.configs {
        match platform {
            Some(platform) => drop(images.insert(platform_text(platform), read(config)?)),
            None => image = Some(read(config)?),
        }
    }
    let json = json!({"name": name(whole), "manifest": manifest, "image": image.unwrap_or(images.into())});
    Ok(Document::of(typed(&json), json))
}

/// The fields under their names in Go. Keys that are data stay.
fn typed(value: &Value) -> Value {
    match value {
        Value::Object(all) => Value::Object(
            all.iter()
                .map(|(key, value)| match key.as_str() {
                    "annotations" | "Labels" => (go_name(key), value.clone()),
                    _ => (go_name(key), typed(value)),
                })
                .collect(),
        ),
        Value::Array(all) => all.iter().map(typed).collect(),
        other => other.clone(),
    }
}

fn go_name(key: &str) -> String {
    match key {
        "os" => return "OS".into(),
        "os.version" => return "OSVersion".into(),
        "os.features" => return "OSFeatures".into(),
        "rootfs" => return "RootFS".into(),
        "diff_ids" => return "DiffIDs".into(),
        _ if key.contains('/') => return key.into(),
        _ => {}
    }
    key.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
        })
        .collect()
}

fn name(found: &Inspected) -> String {
    found.reference.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn platform_text(platform: &PlatformOf) -> String {
    let parts = [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()];
    parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("/")
}

/// Names and values, aligned.
fn lines(indent: usize, rows: &[(&str, &str)]) -> String {
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default() + 2;
    let line = |(name, value): &(&str, &str)| {
        let name = format!("{name}:");
        format!("{:indent$}{}\n", "", format!("{name:width$}{}", crate::text::printable(value)).trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::text::template::render;

    fn index() -> InRegistry {
        let digest = format!("sha256:{}", "a".repeat(64));
        let text = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
            {"mediaType": "m", "size": 7, "digest": digest, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
             "annotations": {"a.b": "c"}}]})
        .to_string();
        let document = Inspected {
            reference: Some("quay.io/a:1".parse().unwrap()),
            digest: Digest::sha256_of(text.as_bytes()),
            media_type: "application/vnd.oci.image.index.v1+json".into(),
            platform: None,
            text,
        };
        let of = PlatformOf { os: "linux".into(), architecture: "arm".into(), ..PlatformOf::default() };
        InRegistry {
            document,
            configs: vec![(Some(of), r#"{"os":"linux","config":{"Env":["A=1"]}}"#.into())],
        }
    }

    #[test]
    fn an_index_is_summed_up() {
        let text = summary(&index().document).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Name:      quay.io/a:1");
        assert_eq!(lines[1], "MediaType: application/vnd.oci.image.index.v1+json");
        assert_eq!(lines[3..5], ["", "Manifests:"]);
        assert_eq!(lines[5], format!("  Name:        quay.io/a@sha256:{}", "a".repeat(64)));
        assert_eq!(lines[7..], ["  Platform:    linux/arm/v7", "  Annotations:", "    a.b: c"]);
    }

    #[test]
    fn templates_have_docker_s_names() {
        let found = document(&index()).unwrap();
        for (format, said) in [
            ("{{.Name}} {{.Manifest.MediaType}}", "quay.io/a:1 application/vnd.oci.image.index.v1+json"),
            (
                "{{range .Manifest.Manifests}}{{.Size}} {{.Platform.OS}}/{{.Platform.Architecture}}{{end}}",
                "7 linux/arm",
            ),
            (r#"{{(index .Image "linux/arm").Config.Env}}"#, "[A=1]"),
            (
                "{{json (index .Manifest.Manifests 0).Platform}}",
                r#"{"os":"linux","architecture":"arm","variant":"v7"}"#,
            ),
        ] {
            assert_eq!(render(format, &found).unwrap(), said, "{format}");
        }
        assert!(
            render("{{json .}}", &found)
                .unwrap()
                .starts_with(r#"{"name":"quay.io/a:1","manifest":{"schemaVersion":2"#)
        );
    }
}
