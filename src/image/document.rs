//! JSON documents of images.
//!
//! Programs in Go take `null` for a member that is not there, and tools write it for what is unset: so does
//! every reader here. What a document must have is missing then, and is reported as missing.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a document; a member that is `null` is as if it were not there.
///
/// # Errors
/// Those of [`serde_json::from_slice`].
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    match serde_json::from_slice(bytes) {
        // Few documents have such members, and only those are read twice.
        Err(e) if e.is_data() => {
            let mut value: Value = serde_json::from_slice(bytes)?;
            if without_nulls(&mut value) { serde_json::from_value(value) } else { Err(e) }
        }
        other => other,
    }
}

/// Removes members that are `null`; says whether there were any. The reader limits how deep it goes.
fn without_nulls(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Object(members) => {
            let before = members.len();
            members.retain(|_, member| !member.is_null());
            any = members.len() < before;
            members.values_mut().for_each(|member| any |= without_nulls(member));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| any |= without_nulls(element)),
        _ => {}
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageConfig;

    #[test]
    fn null_is_as_if_it_were_not_there() {
        let whole =
            r#"{"os": "linux", "config": {"Cmd": ["a"]}, "rootfs": {"type": "layers", "diff_ids": []}}"#;
        let expected: ImageConfig = parse(whole.as_bytes()).unwrap();
        for extra in [
            r#""architecture": null"#,
            r#""variant": null"#,
            r#""history": null"#,
            r#""history": [], "created": null"#,
        ] {
            let text = whole.replacen('{', &format!("{{{extra}, "), 1);
            assert_eq!(parse::<ImageConfig>(text.as_bytes()).unwrap(), expected, "{extra}");
        }
        let deep =
            r#"{"config": null, "history": [{"created_by": "x", "empty_layer": null}], "rootfs": null}"#;
        let config: ImageConfig = parse(deep.as_bytes()).unwrap();
        assert_eq!(config.history[0].created_by.as_deref(), Some("x"));
        let label = r#"{"config": {"Labels": {"a": null, "b": "c"}}}"#;
        let config: ImageConfig = parse(label.as_bytes()).unwrap();
        assert_eq!(config.config.labels.into_iter().collect::<Vec<_>>(), [("b".into(), "c".into())]);
    }

    #[test]
    fn what_must_be_there_is_missing_and_other_faults_stay() {
        #[derive(Debug, serde::Deserialize)]
        struct Needed {
            size: u64,
        }
        assert!(parse::<Needed>(br#"{"size": null}"#).unwrap_err().to_string().contains("missing field"));
        assert!(parse::<Needed>(br#"{"size": "x", "a": null}"#).unwrap_err().to_string().contains("string"));
        assert!(parse::<Needed>(b"{").is_err());
        assert_eq!(parse::<Needed>(br#"{"size": 1}"#).unwrap().size, 1);
    }
}
