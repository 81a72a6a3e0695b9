//! Values during evaluation, and how Go prints them.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write;

/// A value: borrowed from the data where it can be, `None` for a key that a map does not have.
#[derive(Debug, Clone)]
pub(super) struct Val<'a> {
    pub(super) json: Option<Cow<'a, Value>>,
    /// Its keys are data, see [`MAPS`].
    pub(super) map: bool,
    /// What JSON shows of it, where that may be something else.
    pub(super) shown: Option<&'a Value>,
}

impl<'a> Val<'a> {
    pub(super) const MISSING: Val<'static> = Val { json: None, map: false, shown: None };

    pub(super) fn borrowed(json: &'a Value) -> Self {
        Val { json: Some(Cow::Borrowed(json)), map: false, shown: None }
    }

    pub(super) fn owned(json: impl Into<Value>) -> Self {
        Val { json: Some(Cow::Owned(json.into())), map: false, shown: None }
    }

    pub(super) fn get(&self) -> Option<&Value> {
        self.json.as_deref()
    }

    /// What is printed and compared: labels as a whole are text.
    pub(super) fn plain(&self) -> Option<&Value> {
        match (self.get(), self.shown) {
            (Some(Value::Object(_)), Some(text @ Value::String(_))) => Some(text),
            (value, _) => value,
        }
    }

    /// The element under a key, keeping the borrow where there is one.
    pub(super) fn key(&self, key: &str) -> Option<Val<'a>> {
        let map = MAPS.contains(&key);
        let shown = self.shown.and_then(|shown| in_json(shown, key));
        match self.json.as_ref()? {
            Cow::Borrowed(value) => value.get(key).map(|v| Val { map, shown, ..Val::borrowed(v) }),
            Cow::Owned(value) => value.get(key).map(|v| Val { map, shown, ..Val::owned(v.clone()) }),
        }
    }

    /// The elements of a list, or the values of an object in the order of their keys, with what Go's
    /// `range` gives first. Null and missing are empty; `None` when there is nothing to walk.
    pub(super) fn elements(&self) -> Option<Vec<(Val<'a>, Val<'a>)>> {
        fn sorted(object: &serde_json::Map<String, Value>) -> Vec<(&String, &Value)> {
            let mut all: Vec<_> = object.iter().collect();
            all.sort_by_key(|(key, _)| *key);
            all
        }
        let at = |i: usize| self.shown.and_then(|shown| shown.get(i));
        let under = |key: &str| self.shown.and_then(|shown| shown.get(key));
        let listed = |(i, value): (usize, Val<'a>)| (Val::owned(i), Val { shown: at(i), ..value });
        let named =
            |(key, value): (&String, Val<'a>)| (Val::owned(key.as_str()), Val { shown: under(key), ..value });
        Some(match &self.json {
            None => Vec::new(),
            Some(Cow::Borrowed(Value::Array(list))) => {
                list.iter().map(Val::borrowed).enumerate().map(listed).collect()
            }
            Some(Cow::Borrowed(Value::Object(object))) => {
                sorted(object).into_iter().map(|(k, v)| named((k, Val::borrowed(v)))).collect()
            }
            Some(value) => match value.as_ref() {
                Value::Null => Vec::new(),
                Value::Array(list) => list.iter().cloned().map(Val::owned).enumerate().map(listed).collect(),
                Value::Object(object) => {
                    sorted(object).into_iter().map(|(k, v)| named((k, Val::owned(v.clone())))).collect()
                }
                _ => return None,
            },
        })
    }

    /// Go's truth: not the zero value of its type and not empty.
    pub(super) fn truth(&self) -> bool {
        match self.get() {
            None | Some(Value::Null) => false,
            Some(Value::Bool(b)) => *b,
            Some(Value::Number(n)) => n.as_f64() != Some(0.0),
            Some(Value::String(s)) => !s.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            Some(Value::Object(object)) => !object.is_empty(),
        }
    }

    /// As `{{.}}` prints it.
    pub(super) fn text(&self) -> String {
        match self.plain() {
            None => "<no value>".to_owned(),
            Some(value) => text(value, self.map),
        }
    }
}

/// What JSON has for a field. Some documents write its name in lower case there.
fn in_json<'a>(shown: &'a Value, key: &str) -> Option<&'a Value> {
    let folded = || shown.as_object()?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    shown.get(key).or_else(|| folded().map(|(_, value)| value))
}

/// As Go's `%v` prints it; `map` where an object's keys are data.
pub(super) fn text(value: &Value, map: bool) -> String {
    let mut out = String::new();
    write_text(value, map, &mut out);
    out
}

fn write_text(value: &Value, map: bool, out: &mut String) {
    match value {
        Value::Null => out.push_str("<nil>"),
        Value::String(s) => out.push_str(s),
        Value::Array(list) => {
            out.push('[');
            for (i, v) in list.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_text(v, false, out);
            }
            out.push(']');
        }
        // A struct: the values in the order of its fields.
        Value::Object(object) if !map => {
            out.push('{');
            for (i, (name, v)) in object.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                write_text(v, MAPS.contains(&name.as_str()), out);
            }
            out.push('}');
        }
        Value::Object(object) => {
            let mut all: Vec<_> = object.iter().collect();
            all.sort_by_key(|(key, _)| *key);
            out.push_str("map[");
            for (i, (k, v)) in all.into_iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(k);
                out.push(':');
                write_text(v, false, out);
            }
            out.push(']');
        }
        // Writing to a string does not fail.
        Value::Bool(b) => drop(write!(out, "{b}")),
        Value::Number(n) => match n.as_f64().filter(|_| n.is_f64()) {
            Some(real) => drop(write!(out, "{}", general(real))),
            None => drop(write!(out, "{n}")),
        },
    }
}

/// A float as Go's `%g`: the shortest digits that read back, with an exponent of two digits at least
/// below 1e-4 and from 1e21 up.
fn general(number: f64) -> String {
    if number == 0.0 || (1e-4..1e21).contains(&number.abs()) {
        return number.to_string();
    }
    let shown = format!("{number:e}");
    match shown.split_once('e') {
        Some((mantissa, power)) => {
            let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |digits| ('-', digits));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => shown,
    }
}

/// Names of fields whose keys are data: an unknown key is `<no value>` and no mistake.
pub(super) const MAPS: [&str; 25] = [
    "Annotations",
    "Attributes",
    "CgroupConf",
    "Data",
    "Details",
    "DriverOpts",
    "ExposedPorts",
    "IPAMConfig",
    "IndexConfigs",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Status",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Ulimits",
    "Volumes",
    "graphOptions",
    "graphStatus",
    "registries",
    "runtimeInfo",
];

/// What sort of value this is, for messages.
pub(super) fn kind(value: &Val<'_>) -> &'static str {
    match value.get() {
        None => "no value",
        Some(Value::Null) => "a null value",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(_)) => "a string",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
    }
}
