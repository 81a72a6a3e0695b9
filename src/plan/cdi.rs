//! Specifications of the Container Device Interface: what a vendor says a device needs.
//!
//! The form is that of the CDI specification, versions 0.3 to 1.0 (cncf-tags/container-device-interface). Only what
//! is known here is read: a key that is not would change a container in ways nobody asked for.

use crate::error::{Error, Kind, Result};
use crate::text::from_yaml;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// One specification file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// `vendor/class`.
    pub kind: String,
    /// Its devices.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// What each of its devices needs.
    #[serde(default)]
    pub container_edits: Edits,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its name within the kind.
    #[serde(deserialize_with = "text_or_number")]
    pub name: String,
    /// What it needs.
    #[serde(default)]
    pub container_edits: Edits,
}

/// What a device needs of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edits {
    /// `NAME=value`.
    #[serde(default)]
    pub env: Vec<String>,
    /// Device nodes.
    #[serde(default)]
    pub device_nodes: Vec<Node>,
    /// Mounts.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Programs of the host that would be run on the container.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// Further groups of the payload.
    #[serde(default, rename = "additionalGids")]
    pub groups: Vec<u32>,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Where it appears.
    pub path: PathBuf,
    /// Where it is on the host; `path` when not given.
    #[serde(default)]
    pub host_path: Option<PathBuf>,
    /// `r`, `w` and `m`.
    #[serde(default)]
    pub permissions: Option<String>,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// What is mounted.
    pub host_path: String,
    /// Where it appears.
    pub container_path: String,
    /// Mount options.
    #[serde(default)]
    pub options: Vec<String>,
    /// The file system; a bind when not given.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// A program that the vendor wants to be run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hook {
    /// When.
    pub hook_name: String,
    /// Which.
    pub path: String,
    /// With what.
    #[serde(default)]
    pub args: Vec<String>,
}

/// YAML reads a device that is called 0 as a number.
fn text_or_number<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("a device's name must be a string")),
    }
}

/// Reads a specification, JSON or YAML.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, is_json: bool) -> Result<Spec> {
    let bad = |why: String| Error::new(Kind::Usage, why);
    let value = match is_json {
        true => serde_json::from_str(text).map_err(|e| bad(format!("it is not JSON: {e}")))?,
        false => from_yaml(text).map_err(bad)?,
    };
    let version = value.get("cdiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !(version.starts_with("0.") || version.starts_with("1.")) {
        return Err(bad(format!("CDI version {version:?} is not known")));
    }
    let spec: Spec =
        serde_json::from_value(value).map_err(|e| bad(format!("it is not a specification: {e}")))?;
    let named = |name: &str| super::device::is_qualified(&format!("{}={name}", spec.kind));
    if !named("x") {
        return Err(bad(format!("{:?} is not the kind of a device", spec.kind)));
    }
    if let Some(device) = spec.devices.iter().find(|device| !named(&device.name)) {
        return Err(bad(format!("{:?} is not the name of a device", device.name)));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
cdiVersion: \"0.5.0\"
kind: vendor.com/net
devices:
  - name: 0
    containerEdits:
      deviceNodes:
        - path: /dev/vendor0
          hostPath: /dev/null
          permissions: rw
  - name: all
containerEdits:
  env: [VENDOR=yes]
  mounts:
    - {hostPath: /usr/lib/a.so, containerPath: /usr/lib/a.so, options: [ro, nosuid]}
  hooks:
    - hookName: createContainer
      path: /usr/bin/hook
      args: [hook, now]
";

    #[test]
    fn both_forms_say_the_same() {
        let spec = parse(YAML, false).unwrap();
        assert_eq!(spec.devices[0].name, "0");
        assert_eq!(spec.devices[0].container_edits.device_nodes[0].host_path, Some("/dev/null".into()));
        assert_eq!(spec.container_edits.env, ["VENDOR=yes"]);
        assert_eq!(spec.container_edits.hooks[0].args, ["hook", "now"]);
        let json = r#"{"cdiVersion": "0.6.0", "kind": "vendor.com/net", "devices": [{"name": "0"}]}"#;
        assert_eq!(parse(json, true).unwrap().devices[0].name, "0");
    }

    #[test]
    fn what_is_no_specification_is_refused() {
        for bad in [
            "",
            "a: [",
            "- 1",
            "kind: vendor.com/net",
            "{cdiVersion: \"9.0\", kind: v.com/n}",
            "{cdiVersion: \"0.5.0\", kind: wat}",
            "{cdiVersion: \"0.5.0\", kind: v.com/n, devices: [{name: \"a b\"}]}",
            "{cdiVersion: \"0.5.0\", kind: v.com/n, devices: [{containerEdits: {}}]}",
        ] {
            assert!(parse(bad, false).is_err(), "{bad}");
        }
        let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        assert!(parse(&deep, false).is_err());
    }
}
