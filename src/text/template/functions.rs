//! The functions: Go's own and those that docker adds.

use crate::text::template::fault::Fault;
use crate::text::template::printf;
use crate::text::template::value::{Val, kind, text};
use serde_json::Value;
use std::cmp::Ordering;

/// Every function's name.
pub(super) const NAMES: [&str; 26] = [
    "and", "eq", "ge", "gt", "html", "index", "join", "json", "le", "len", "lower", "lt", "ne", "not", "or",
    "pad", "print", "printf", "println", "slice", "split", "title", "toJson", "truncate", "upper",
    "urlquery",
];

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

type Called<'a> = Result<Val<'a>, Fault>;

/// Calls a function; faults carry no position yet.
pub(super) fn call<'a>(name: &str, arguments: &[Val<'a>]) -> Called<'a> {
    let wrong = |usage: &str| Err(fault(format!("{name} takes {usage}")));
    match (name, arguments) {
        ("not", [one]) => Ok(Val::owned(!one.truth())),
        ("not", _) => wrong("one argument"),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Ok(Val::owned(true));
                }
            }
            Ok(Val::owned(false))
        }
        ("ne", [a, b]) => Ok(Val::owned(!equal(a, b)?)),
        ("lt", [a, b]) => Ok(Val::owned(order(a, b)?.is_lt())),
        ("le", [a, b]) => Ok(Val::owned(order(a, b)?.is_le())),
        ("gt", [a, b]) => Ok(Val::owned(order(a, b)?.is_gt())),
        ("ge", [a, b]) => Ok(Val::owned(order(a, b)?.is_ge())),
        ("eq" | "ne" | "lt" | "le" | "gt" | "ge", _) => wrong("two arguments"),
        ("index", [base, keys @ ..]) => keys.iter().try_fold(base.clone(), |v, key| index(&v, key)),
        ("index", _) => wrong("a list or an object, and keys"),
        ("len", [one]) => length(one).map(Val::owned),
        ("len", _) => wrong("one argument"),
        ("slice", [base, bounds @ ..]) if bounds.len() <= 2 => slice(base, bounds),
        ("slice", _) => wrong("a list or a string, and at most two numbers"),
        ("json" | "toJson", [one]) => {
            let value = one.shown.or(one.get()).unwrap_or(&Value::Null);
            serde_json::to_string(value).map(Val::owned).map_err(|e| fault(format!("json: {e}")))
        }
        ("json" | "toJson", _) => wrong("one argument"),
        ("join", [list, separator]) => {
            let parts = match list.get() {
                Some(Value::Array(list)) => list.iter().map(|one| text(one, false)).collect::<Vec<_>>(),
                None | Some(Value::Null) => Vec::new(),
                _ => return Err(fault(format!("join needs a list, this is {}", kind(list)))),
            };
            Ok(Val::owned(parts.join(&separator.text())))
        }
        ("join", _) => wrong("a list and a separator"),
        ("split", [whole, separator]) => {
            let (whole, separator) = (string(name, whole)?, string(name, separator)?);
            let parts: Vec<Value> = if separator.is_empty() {
                whole.chars().map(|c| Value::String(c.into())).collect()
            } else {
                whole.split(separator.as_str()).map(Value::from).collect()
            };
            Ok(Val::owned(parts))
        }
        ("split", _) => wrong("a string and a separator"),
        ("lower", [one]) => string(name, one).map(|s| Val::owned(s.to_lowercase())),
        ("upper", [one]) => string(name, one).map(|s| Val::owned(s.to_uppercase())),
        ("title", [one]) => string(name, one).map(|s| Val::owned(title(&s))),
        ("lower" | "upper" | "title", _) => wrong("one string"),
        ("truncate", [one, most]) => {
            Ok(Val::owned(string(name, one)?.chars().take(number(name, most)?).collect::<String>()))
        }
        ("truncate", _) => wrong("a string and a length"),
        ("pad", [one, before, after]) => {
            let one = string(name, one)?;
            if one.is_empty() {
                return Ok(Val::owned(one));
            }
            let spaces = |v| number(name, v).map(|n| " ".repeat(n.min(printf::WIDTH_MAX)));
            Ok(Val::owned(format!("{}{one}{}", spaces(before)?, spaces(after)?)))
        }
        ("pad", _) => wrong("a string and two numbers of spaces"),
        ("print", all) => Ok(Val::owned(print(all))),
        ("println", all) => {
            let words: Vec<String> = all.iter().map(Val::text).collect();
            Ok(Val::owned(words.join(" ") + "\n"))
        }
        ("printf", [format, rest @ ..]) => Ok(Val::owned(printf::format(&string(name, format)?, rest))),
        ("printf", _) => wrong("a format"),
        ("html", all) => Ok(Val::owned(html(&print(all)))),
        ("urlquery", all) => Ok(Val::owned(urlquery(&print(all)))),
        _ => Err(fault(format!("unknown function {name:?}"))),
    }
}

/// `.Label "key"`: from an object or docker's `a=b,c=d`; empty when there is none.
pub(super) fn label(row: &Val<'_>, key: &str) -> String {
    let labels = row.key("Labels");
    match labels.as_ref().and_then(Val::get) {
        Some(Value::Object(object)) => object.get(key).map(|one| text(one, false)).unwrap_or_default(),
        Some(Value::String(pairs)) => pairs
            .split(',')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned(),
        _ => String::new(),
    }
}

fn fault(message: String) -> Fault {
    Fault::new(0, message)
}

fn string(name: &str, value: &Val<'_>) -> Result<String, Fault> {
    match value.plain() {
        Some(Value::String(s)) => Ok(s.clone()),
        None | Some(Value::Null) => Ok(String::new()),
        _ => Err(fault(format!("{name} needs a string, this is {}", kind(value)))),
    }
}

fn number(name: &str, value: &Val<'_>) -> Result<usize, Fault> {
    let number = value.get().and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    number.ok_or_else(|| fault(format!("{name} needs a number from 0 up, this is {}", value.text())))
}

fn equal(a: &Val<'_>, b: &Val<'_>) -> Result<bool, Fault> {
    match (a.plain(), b.plain()) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(true),
        (None | Some(Value::Null), _) | (_, None | Some(Value::Null)) => Ok(false),
        (Some(Value::Number(x)), Some(Value::Number(y))) => Ok(x == y || x.as_f64() == y.as_f64()),
        (Some(x), Some(y)) if std::mem::discriminant(x) == std::mem::discriminant(y) => Ok(x == y),
        _ => Err(fault(format!("cannot compare {} with {}", kind(a), kind(b)))),
    }
}

fn order(a: &Val<'_>, b: &Val<'_>) -> Result<Ordering, Fault> {
    let incomparable = || fault(format!("cannot order {} and {}", kind(a), kind(b)));
    match (a.get(), b.get()) {
        (Some(Value::String(x)), Some(Value::String(y))) => Ok(x.cmp(y)),
        (Some(Value::Number(x)), Some(Value::Number(y))) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => Ok(x.cmp(&y)),
            _ => x.as_f64().partial_cmp(&y.as_f64()).ok_or_else(incomparable),
        },
        _ => Err(incomparable()),
    }
}

fn index<'a>(base: &Val<'a>, key: &Val<'a>) -> Called<'a> {
    match base.get() {
        None => Ok(Val::MISSING),
        Some(Value::Null) => Ok(Val::MISSING),
        Some(Value::Object(object)) => {
            let name = string("index", key)?;
            Ok(base.key(&name).unwrap_or_else(|| zero(object.values())))
        }
        Some(Value::Array(list)) => {
            let at = number("index", key)?;
            let found = base.elements().and_then(|all| all.into_iter().nth(at));
            found
                .map(|(_, v)| v)
                .ok_or_else(|| fault(format!("index {at} is out of range, the list has {}", list.len())))
        }
        Some(Value::String(s)) => {
            let at = number("index", key)?;
            let byte = s.as_bytes().get(at).copied();
            byte.map(Val::owned).ok_or_else(|| fault(format!("index {at} is out of range")))
        }
        _ => Err(fault(format!("index needs a list or an object, this is {}", kind(base)))),
    }
}

/// What Go's `index` gives for a key that a map does not have: the zero value of its values' type,
/// guessed from the values there are.
fn zero<'a, 'v>(mut values: impl Iterator<Item = &'v Value> + Clone) -> Val<'a> {
    let some = values.clone().next().is_some();
    if values.clone().all(Value::is_string) {
        Val::owned("")
    } else if some && values.all(|v| v.is_array() || v.is_null()) {
        Val::owned(Vec::<Value>::new())
    } else {
        Val::MISSING
    }
}

fn length(value: &Val<'_>) -> Result<usize, Fault> {
    match value.plain() {
        None | Some(Value::Null) => Ok(0),
        Some(Value::String(s)) => Ok(s.len()),
        Some(Value::Array(list)) => Ok(list.len()),
        Some(Value::Object(object)) => Ok(object.len()),
        _ => Err(fault(format!("len of {}", kind(value)))),
    }
}

fn slice<'a>(base: &Val<'a>, bounds: &[Val<'a>]) -> Called<'a> {
    let whole = length(base)?;
    let bound = |i: usize, default| bounds.get(i).map_or(Ok(default), |v| number("slice", v));
    let (from, to) = (bound(0, 0)?, bound(1, whole)?);
    let outside = || fault(format!("slice {from} to {to} is out of range, the length is {whole}"));
    match base.get() {
        Some(Value::String(s)) => s.get(from..to).map(Val::owned).ok_or_else(outside),
        Some(Value::Array(list)) => list.get(from..to).map(|l| Val::owned(l.to_vec())).ok_or_else(outside),
        None | Some(Value::Null) if from == 0 && to == 0 => Ok(base.clone()),
        _ => Err(fault(format!("slice needs a list or a string, this is {}", kind(base)))),
    }
}

/// First letter of every word in upper case, as Go's `strings.Title`.
fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut inside = false;
    for c in s.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || c == '_';
    }
    out
}

/// Go's `fmt.Sprint`: a space between two operands when neither is a string.
fn print(all: &[Val<'_>]) -> String {
    let mut out = String::new();
    let mut before_is_string = true;
    for value in all {
        let is_string = matches!(value.plain(), Some(Value::String(_)));
        if !before_is_string && !is_string {
            out.push(' ');
        }
        out.push_str(&value.text());
        before_is_string = is_string;
    }
    out
}

fn html(s: &str) -> String {
    let mut out = String::new();
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn urlquery(s: &str) -> String {
    let mut out = String::new();
    for byte in s.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte.into()),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
