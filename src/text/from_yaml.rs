//! YAML as JSON: one form for what users may write in both.

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// Deeper than any document that is read; what a parser's stack is for.
const DEPTH_MAX: usize = 32;

/// The first document of a YAML text, as JSON.
///
/// # Errors
/// What is wrong with it, in words.
pub fn from_yaml(text: &str) -> Result<Value, String> {
    fn convert(node: Yaml, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        Ok(match node {
            Yaml::Boolean(on) => on.into(),
            Yaml::Integer(number) => number.into(),
            Yaml::Real(text) | Yaml::String(text) => text.into(),
            Yaml::Null => Value::Null,
            Yaml::Array(list) => {
                Value::Array(list.into_iter().map(|one| convert(one, depth + 1)).collect::<Result<_, _>>()?)
            }
            Yaml::Hash(map) => {
                let mut object = serde_json::Map::new();
                for (key, value) in map {
                    let Yaml::String(key) = key else { return Err("a key is not a string".to_owned()) };
                    object.insert(key, convert(value, depth + 1)?);
                }
                Value::Object(object)
            }
            Yaml::Alias(_) | Yaml::BadValue => return Err("it has an undefined alias".to_owned()),
        })
    }
    let mut documents = YamlLoader::load_from_str(text).map_err(|e| format!("it is not YAML: {e}"))?;
    // Nothing but remarks.
    if documents.is_empty() { Ok(Value::Null) } else { convert(documents.swap_remove(0), 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_json_or_refused() {
        let text = "a: [1, yes, 1.5]\nb: {c: null}\nd: &x text\ne: *x\n";
        assert_eq!(
            from_yaml(text).unwrap(),
            json!({"a": [1, "yes", "1.5"], "b": {"c": null}, "d": "text", "e": "text"})
        );
        assert_eq!(from_yaml("# a: 1\n").unwrap(), Value::Null);
        for bad in ["a: [", "1: a", &"[".repeat(100), &("[".repeat(40) + &"]".repeat(40))] {
            assert!(from_yaml(bad).is_err(), "{bad}");
        }
    }
}
