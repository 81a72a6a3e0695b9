//! Go's `fmt.Sprintf` over JSON values. A wrong verb is shown in the output as in Go.

use crate::text::template::value::{Val, text};
use serde_json::Value;
use std::iter::Peekable;
use std::str::Chars;

/// Widest field; Go's own limit.
pub(super) const WIDTH_MAX: usize = 1_000_000;

/// Flags, width and precision of one verb.
#[derive(Default)]
struct Spec {
    left: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats the arguments.
pub(super) fn format(template: &str, arguments: &[Val<'_>]) -> String {
    let mut out = String::new();
    let mut chars = template.chars().peekable();
    let mut next = 0;
    let mut reordered = false;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        spec.width = match chars.next_if_eq(&'*') {
            Some(_) => {
                let width = arguments.get(next).and_then(Val::get).and_then(Value::as_i64).unwrap_or(0);
                next += 1;
                spec.left |= width < 0;
                usize::try_from(width.unsigned_abs()).unwrap_or(WIDTH_MAX).min(WIDTH_MAX)
            }
            None => digits(&mut chars),
        };
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(digits(&mut chars));
        }
        // `%[2]d` takes the second argument, and continues after it.
        if chars.next_if_eq(&'[').is_some() {
            next = digits(&mut chars).saturating_sub(1);
            reordered = chars.next_if_eq(&']').is_some();
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => {
                match arguments.get(next) {
                    None => out.push_str(&format!("%!{verb}(MISSING)")),
                    Some(value) => out.push_str(&one(&spec, verb, value)),
                }
                next += 1;
            }
        }
    }
    if let Some(extra) = arguments.get(next..).filter(|e| !e.is_empty() && !reordered) {
        let shown: Vec<String> = extra.iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", shown.join(", ")));
    }
    out
}

/// The decimal number that follows, 0 when none does.
fn digits(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0_usize;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        number = (number * 10 + digit.to_digit(10).unwrap_or(0) as usize).min(WIDTH_MAX);
    }
    number
}

fn one(spec: &Spec, verb: char, value: &Val<'_>) -> String {
    let json = value.plain();
    // Lists are formatted element by element.
    if let (Some(Value::Array(list)), false) = (json, matches!(verb, 'v' | 'T')) {
        let all: Vec<String> = list.iter().map(|v| one(spec, verb, &Val::borrowed(v))).collect();
        return format!("[{}]", all.join(" "));
    }
    let body = match (verb, json) {
        ('v', _) if json.is_none() => "<nil>".to_owned(),
        ('v', Some(Value::String(s))) if spec.sharp => quote(s),
        ('v', Some(json)) => cut(spec, text(json, value.map)),
        ('s', Some(Value::String(s))) => cut(spec, s.clone()),
        ('q', Some(Value::String(s))) => quote(&cut(spec, s.clone())),
        ('x' | 'X', Some(Value::String(s))) => {
            let upper = verb == 'X';
            let bytes = s.bytes().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") });
            bytes.collect::<Vec<_>>().join(if spec.space { " " } else { "" })
        }
        ('t', Some(Value::Bool(b))) => b.to_string(),
        ('d' | 'x' | 'X' | 'o' | 'b' | 'c' | 'q' | 'U', Some(Value::Number(n))) if !n.is_f64() => {
            return integer(
                spec,
                verb,
                n.as_i64().map_or_else(|| n.as_u64().unwrap_or(0).into(), i128::from),
            );
        }
        ('f' | 'F' | 'e' | 'g', Some(Value::Number(n))) if n.is_f64() => {
            let number = n.as_f64().unwrap_or(0.0);
            let shown = match verb {
                'e' => exponent(number, spec.precision.unwrap_or(6)),
                'g' => text(&Value::from(number), false),
                _ => format!("{number:.*}", spec.precision.unwrap_or(6).min(1000)),
            };
            return padded(spec, signed(spec, shown), true);
        }
        ('T', _) => typed(value).split('=').next().unwrap_or_default().to_owned(),
        _ => return format!("%!{verb}({})", typed(value)),
    };
    padded(spec, body, false)
}

fn integer(spec: &Spec, verb: char, number: i128) -> String {
    let size = number.unsigned_abs();
    let mut digits = match verb {
        'x' => format!("{}{size:x}", if spec.sharp { "0x" } else { "" }),
        'X' => format!("{}{size:X}", if spec.sharp { "0X" } else { "" }),
        'o' => format!("{}{size:o}", if spec.sharp { "0" } else { "" }),
        'b' => format!("{size:b}"),
        'U' => return padded(spec, format!("U+{size:04X}"), false),
        'c' | 'q' => {
            let c = u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
            return padded(spec, if verb == 'c' { c.to_string() } else { format!("'{c}'") }, false);
        }
        _ => size.to_string(),
    };
    if let Some(least) = spec.precision.map(|p| p.min(WIDTH_MAX)).filter(|p| digits.len() < *p) {
        digits.insert_str(0, &"0".repeat(least - digits.len()));
    }
    if number < 0 {
        digits.insert(0, '-');
    }
    padded(spec, signed(spec, digits), spec.precision.is_none())
}

fn signed(spec: &Spec, digits: String) -> String {
    match digits.starts_with('-') {
        false if spec.plus => format!("+{digits}"),
        false if spec.space => format!(" {digits}"),
        _ => digits,
    }
}

/// Go writes exponents with a sign and two digits.
fn exponent(number: f64, precision: usize) -> String {
    let shown = format!("{number:.*e}", precision.min(1000));
    match shown.split_once('e') {
        Some((mantissa, power)) => {
            let (sign, digits) = power.strip_prefix('-').map_or(('+', power), |d| ('-', d));
            format!("{mantissa}e{sign}{digits:0>2}")
        }
        None => shown,
    }
}

fn cut(spec: &Spec, s: String) -> String {
    match spec.precision {
        Some(most) => s.chars().take(most).collect(),
        None => s,
    }
}

fn padded(spec: &Spec, body: String, number: bool) -> String {
    let fill = spec.width.saturating_sub(body.chars().count());
    if fill == 0 {
        body
    } else if spec.left {
        body + &" ".repeat(fill)
    } else if spec.zero && number {
        let sign = usize::from(body.starts_with(['-', '+', ' ']));
        let (sign, digits) = body.split_at(sign);
        format!("{sign}{}{digits}", "0".repeat(fill))
    } else {
        " ".repeat(fill) + &body
    }
}

/// Go's double-quoted form.
fn quote(s: &str) -> String {
    let mut out = String::from("\"");
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `string=hi`, as Go shows a value under a wrong verb.
fn typed(value: &Val<'_>) -> String {
    match value.get() {
        None | Some(Value::Null) => "<nil>".to_owned(),
        Some(Value::Bool(b)) => format!("bool={b}"),
        Some(Value::Number(n)) if n.is_f64() => format!("float64={n}"),
        Some(Value::Number(n)) => format!("int={n}"),
        Some(Value::String(s)) => format!("string={s}"),
        Some(json @ Value::Array(_)) => format!("[]interface {{}}={}", text(json, false)),
        Some(json @ Value::Object(_)) => format!("map[string]interface {{}}={}", text(json, true)),
    }
}
