//! Documents, which templates see in another form than JSON shows.
//!
//! Go programs print typed values: a template finds every field, an empty one with the zero value of its type,
//! while JSON leaves some out when they are empty; a time and a duration are objects with a text of their own to a
//! template, and a string or a number in JSON. Views build one typed document with all fields and say where the two
//! forms differ.

use crate::text::time;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

/// What is rendered: a value that has one form, or a [`Document`].
pub trait Forms {
    /// What a template sees.
    fn seen(&self) -> &Value;
    /// What JSON shows.
    fn json(&self) -> &Value;
}

impl Forms for Value {
    fn seen(&self) -> &Value {
        self
    }

    fn json(&self) -> &Value {
        self
    }
}

/// A document in both forms.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    seen: Value,
    /// `None` where it is the same.
    json: Option<Value>,
}

impl Forms for Document {
    fn seen(&self) -> &Value {
        &self.seen
    }

    fn json(&self) -> &Value {
        self.json.as_ref().unwrap_or(&self.seen)
    }
}

/// How the two forms of a field differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differs {
    /// JSON leaves it out when it is empty: null, false, 0, or without elements.
    Omitted,
    /// JSON leaves it out when it is null: a pointer to nothing.
    Unset,
    /// A list or an object that is null in JSON when it is empty: Go's nil.
    Nil,
    /// A point in time: RFC 3339 in JSON, as Go prints it to a template.
    Time,
    /// A duration: nanoseconds in JSON, `1m30s` to a template.
    Duration,
    /// Labels: an object to a template that looks into it, `a=b,c=d` to one that prints it, and in JSON.
    Pairs,
}

impl Document {
    /// A document of a value with all its fields. The names in a path are separated by dots; `*` stands for every
    /// element of a list or object.
    pub fn new(all: Value, differences: &[(&str, Differs)]) -> Document {
        Document { json: Some(all.clone()), seen: all }.differing("", differences)
    }

    /// The document with these differences too, whose paths lie below another: what several documents have.
    #[must_use]
    pub fn differing(self, below: &str, differences: &[(&str, Differs)]) -> Document {
        let Document { mut seen, json } = self;
        let mut json = json.unwrap_or_else(|| seen.clone());
        for (path, differs) in differences {
            let path: Vec<&str> =
                below.split('.').filter(|name| !name.is_empty()).chain(path.split('.')).collect();
            match differs {
                Differs::Omitted => at(&mut json, &path, &mut |found| is_empty(found)),
                Differs::Unset => at(&mut json, &path, &mut |found| found.is_null()),
                Differs::Nil => at(&mut json, &path, &mut |value| {
                    if is_empty(value) {
                        *value = Value::Null;
                    }
                    false
                }),
                Differs::Pairs => at(&mut json, &path, &mut |labels| {
                    *labels = pairs(labels).into();
                    false
                }),
                Differs::Time => at(&mut seen, &path, &mut |value| {
                    let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
                    if let Some(time) = time {
                        *value = time::go_utc_exact(time.with_timezone(&Utc)).into();
                    }
                    false
                }),
                Differs::Duration => at(&mut seen, &path, &mut |value| {
                    if let Some(nanos) = value.as_u64() {
                        *value = time::go_duration(Duration::from_nanos(nanos)).into();
                    }
                    false
                }),
            }
        }
        Document { seen, json: Some(json) }
    }

    /// A document whose forms are made.
    pub fn of(seen: Value, json: Value) -> Document {
        Document { seen, json: Some(json) }
    }

    /// A document whose forms are made from another's: once, where that has only one.
    pub fn mapped(other: &impl Forms, change: impl Fn(&Value) -> Value) -> Document {
        let json = (!std::ptr::eq(other.seen(), other.json())).then(|| change(other.json()));
        Document { seen: change(other.seen()), json }
    }

    /// A document that looks the same everywhere.
    pub fn of_one_form(all: Value) -> Document {
        Document { seen: all, json: None }
    }

    /// Adds a field that looks the same everywhere.
    #[must_use]
    pub fn and(mut self, name: &str, value: Value) -> Document {
        for form in [Some(&mut self.seen), self.json.as_mut()].into_iter().flatten() {
            if let Value::Object(all) = form {
                all.insert(name.to_owned(), value.clone());
            }
        }
        self
    }

    /// Adds a field that only templates have: a method, or another name. Names in its path are separated by dots.
    #[must_use]
    pub fn with(mut self, path: &str, value: Value) -> Document {
        let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
        let mut parent = &mut self.seen;
        for step in parents.split('.').filter(|step| !step.is_empty()) {
            let Some(found) = parent.get_mut(step) else { return self };
            parent = found;
        }
        if let Value::Object(all) = parent {
            all.insert(name.to_owned(), value);
        }
        self
    }
}

/// Goes to a path. Where `visit` says so, the member is left out.
fn at(value: &mut Value, path: &[&str], visit: &mut impl FnMut(&mut Value) -> bool) {
    let Some((name, rest)) = path.split_first() else { return };
    match (*name, value) {
        ("*", Value::Array(all)) => {
            for one in all {
                step(one, rest, visit);
            }
        }
        ("*", Value::Object(all)) => {
            all.retain(|_, one| !step(one, rest, visit));
        }
        (name, Value::Object(all)) => {
            let gone = all.get_mut(name).is_some_and(|found| step(found, rest, visit));
            if gone {
                all.shift_remove(name);
            }
        }
        _ => {}
    }
}

fn step(value: &mut Value, rest: &[&str], visit: &mut impl FnMut(&mut Value) -> bool) -> bool {
    if rest.is_empty() {
        return visit(value);
    }
    at(value, rest, visit);
    false
}

/// Whether Go's JSON would leave it out as empty.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(all) => all.is_empty(),
        Value::Object(all) => all.is_empty(),
    }
}

/// An object of texts as `a=b,c=d`, ordered by name.
pub fn pairs(object: &Value) -> String {
    let Value::Object(all) = object else { return String::new() };
    let mut pairs: Vec<String> =
        all.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
    pairs.sort();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::template::render;
    use serde_json::json;

    fn document() -> Document {
        let all = json!({
            "Id": "1",
            "Created": "2026-01-02T03:04:05.5Z",
            "Size": null,
            "Count": 0,
            "Links": [],
            "Check": {"Interval": 90_000_000_000_u64, "Timeout": 0},
            "Mounts": [{"Name": "", "Source": "/a"}, {"Name": "v", "Source": "/b"}],
            "Labels": {"c": "d", "a": "b"},
        });
        Document::new(
            all,
            &[
                ("Created", Differs::Time),
                ("Size", Differs::Unset),
                ("Count", Differs::Unset),
                ("Links", Differs::Nil),
                ("Check.Interval", Differs::Duration),
                ("Check.Timeout", Differs::Duration),
                ("Check.*", Differs::Omitted),
                ("Mounts.*.Name", Differs::Omitted),
                ("Labels", Differs::Pairs),
                ("Nosuch.Field", Differs::Omitted),
            ],
        )
        .with("Other", "name".into())
        .with("Check.Other", 1.into())
        .with("Nosuch.Other", 1.into())
    }

    #[test]
    fn json_leaves_out_what_is_empty() {
        let shown = json!({
            "Id": "1",
            "Created": "2026-01-02T03:04:05.5Z",
            "Count": 0,
            "Links": null,
            "Check": {"Interval": 90_000_000_000_u64},
            "Mounts": [{"Source": "/a"}, {"Name": "v", "Source": "/b"}],
            "Labels": "a=b,c=d",
        });
        assert_eq!(*document().json(), shown);
        assert_eq!(render("{{json .}}", &document()).unwrap(), shown.to_string());
    }

    #[test]
    fn templates_find_every_field() {
        for (template, expected) in [
            ("{{.Size}}|{{json .Size}}|{{.Links}}|{{json .Links}}", "<nil>|null|[]|null"),
            (
                "{{.Created}} {{.Created.Year}} {{json .Created}}",
                "2026-01-02 03:04:05.5 +0000 UTC 2026 \"2026-01-02T03:04:05.5Z\"",
            ),
            ("{{.Check.Interval}} {{json .Check.Interval}} {{.Check.Timeout}}", "1m30s 90000000000 0s"),
            ("{{json .Check}}", r#"{"Interval":90000000000}"#),
            (
                "{{range .Mounts}}[{{.Name}}]{{json .}}{{end}}",
                r#"[]{"Source":"/a"}[v]{"Name":"v","Source":"/b"}"#,
            ),
            ("{{with index .Mounts 0}}{{.Name}}{{json .}}{{end}}", r#"{"Source":"/a"}"#),
            ("{{.Labels}} {{json .Labels}} {{.Labels.c}} {{index .Labels \"a\"}}", "a=b,c=d \"a=b,c=d\" d b"),
            ("{{.Label \"c\"}} {{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "d abcd"),
            ("{{.Other}} {{.Check.Other}}", "name 1"),
        ] {
            assert_eq!(render(template, &document()).unwrap(), expected, "{template}");
        }
    }
}
