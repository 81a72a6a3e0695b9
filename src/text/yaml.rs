//! JSON values as YAML, for people: `info` without a format.

use serde_json::Value;

/// The value as YAML text with a final newline. Strings that YAML would read as something else are quoted.
pub fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// Writes the lines of a value at this depth; the cursor is at the start of a line.
fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                out.push_str(&format!("{indent}{}:", scalar(key)));
                below(value, depth + 1, out);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                let mut inner = String::new();
                block(value, depth + 1, &mut inner);
                // The first line of an element stands behind its dash.
                out.push_str(&format!("{indent}- {}", inner.trim_start()));
            }
        }
        other => out.push_str(&format!("{indent}{}\n", plain(other))),
    }
}

/// Writes a value behind `key:`.
fn below(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            out.push('\n');
            block(value, depth, out);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            block(value, depth - 1, out);
        }
        other => out.push_str(&format!(" {}\n", plain(other))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => scalar(s),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        other => other.to_string(),
    }
}

/// A string, quoted as JSON (which is YAML) unless it is plainly a word or a path.
fn scalar(s: &str) -> String {
    let first = s.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || "/_.".contains(c));
    let rest = s.chars().all(|c| c.is_ascii_alphanumeric() || " /_.-+,()@=".contains(c));
    let word = !matches!(
        s.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if first
        && rest
        && word
        && !s.ends_with(' ')
        && s != "."
        && !s.starts_with(".inf")
        && !s.starts_with(".nan")
    {
        s.to_owned()
    } else {
        Value::from(s).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_lists_and_strings_are_told_apart() {
        let value = json!({
            "host": {"arch": "amd64", "version": "12", "rootless": true, "cpus": 2, "no": "no"},
            "list": ["a", "b: c", {"name": "x", "size": 1}, []],
            "empty": {},
            "none": null,
            "lines": "one\ntwo",
        });
        assert_eq!(
            yaml(&value),
            "host:\n  arch: amd64\n  version: \"12\"\n  rootless: true\n  cpus: 2\n  \"no\": \"no\"\n\
             list:\n- a\n- \"b: c\"\n- name: x\n  size: 1\n- []\nempty: {}\nnone: null\nlines: \"one\\ntwo\"\n"
        );
    }
}
