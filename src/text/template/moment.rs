//! The methods of Go's `time.Time` that templates call on times, which are text in JSON.

use chrono::{DateTime, Datelike, FixedOffset, Local, Timelike, Utc};
use serde_json::Value;

/// The methods without arguments, by name.
pub(super) const METHODS: [&str; 17] = [
    "Day",
    "Format",
    "Hour",
    "IsZero",
    "Local",
    "Minute",
    "Month",
    "Nanosecond",
    "Second",
    "String",
    "UTC",
    "Unix",
    "UnixMicro",
    "UnixMilli",
    "UnixNano",
    "Weekday",
    "Year",
];

/// The time that a text is, when it is one.
fn read(text: &str) -> Option<DateTime<FixedOffset>> {
    if let Some(plain) = text.strip_suffix(" UTC") {
        return DateTime::parse_from_str(plain, "%Y-%m-%d %H:%M:%S%.f %z").ok();
    }
    if !text.contains('T') {
        return None;
    }
    DateTime::parse_from_rfc3339(text).ok()
}

/// The result of a method on a text that is a time; `None` if it is not a time, or there is no such method.
pub(super) fn method(text: &str, name: &str, layout: Option<&str>) -> Option<Value> {
    let time = read(text)?;
    Some(match (name, layout) {
        ("Format", Some(layout)) => format(&time, layout).into(),
        (_, Some(_)) => return None,
        ("Unix", _) => time.timestamp().into(),
        ("UnixMilli", _) => time.timestamp_millis().into(),
        ("UnixMicro", _) => time.timestamp_micros().into(),
        ("UnixNano", _) => time.timestamp_nanos_opt().unwrap_or_default().into(),
        ("Year", _) => time.year().into(),
        ("Month", _) => time.format("%B").to_string().into(),
        ("Day", _) => time.day().into(),
        ("Weekday", _) => time.format("%A").to_string().into(),
        ("Hour", _) => time.hour().into(),
        ("Minute", _) => time.minute().into(),
        ("Second", _) => time.second().into(),
        ("Nanosecond", _) => time.nanosecond().into(),
        ("IsZero", _) => (time.timestamp() == -62_135_596_800).into(),
        ("UTC", _) => again(&time.with_timezone(&Utc).fixed_offset()),
        ("Local", _) => again(&time.with_timezone(&Local).fixed_offset()),
        ("String", _) => format(&time, "2006-01-02 15:04:05.999999999 -0700 MST").into(),
        _ => return None,
    })
}

/// A time as text that [`read`] reads, so that methods can follow methods.
fn again(time: &DateTime<FixedOffset>) -> Value {
    time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into()
}

/// Go's reference time by its parts, the longer first, and what chrono calls them.
const PARTS: [(&str, &str); 29] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("2006", "%Y"),
    ("-07:00", "%:z"),
    ("Z07:00", "%:z"),
    ("-0700", "%z"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "MST"),
    ("002", "%j"),
    ("06", "%y"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("15", "%H"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("PM", "%p"),
    ("pm", "%P"),
    (".000000000", "%.9f"),
    (".000000", "%.6f"),
    (".000", "%.3f"),
    (".999999999", "%.9f"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// A time in one of Go's layouts.
fn format(time: &DateTime<FixedOffset>, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        let Some((part, meaning)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = &rest[part.len()..];
        let utc = time.offset().local_minus_utc() == 0;
        match *part {
            "MST" if utc => out.push_str("UTC"),
            "MST" => out.push_str(&time.format("%z").to_string()),
            "Z07:00" if utc => out.push('Z'),
            ".999999999" => {
                let fraction = time.format(meaning).to_string();
                out.push_str(fraction.trim_end_matches('0').trim_end_matches('.'));
            }
            _ => out.push_str(&time.format(meaning).to_string()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_gos_methods() {
        let text = "2026-01-02T03:04:05.678Z";
        let give = |name: &str| method(text, name, None).unwrap();
        assert_eq!(give("Unix"), 1_767_323_045);
        assert_eq!(give("Year"), 2026);
        assert_eq!(give("Month"), "January");
        assert_eq!(give("IsZero"), false);
        assert_eq!(give("String"), "2026-01-02 03:04:05.678 +0000 UTC");
        assert_eq!(method("0001-01-01T00:00:00Z", "IsZero", None).unwrap(), true);
        for (layout, shown) in [
            ("2006-01-02", "2026-01-02"),
            ("Jan _2 15:04:05 2006", "Jan  2 03:04:05 2026"),
            ("2006-01-02T15:04:05Z07:00", "2026-01-02T03:04:05Z"),
            ("Mon, 02 Jan 06 3:04PM MST -0700", "Fri, 02 Jan 26 3:04AM UTC +0000"),
        ] {
            assert_eq!(method(text, "Format", Some(layout)).unwrap(), shown);
        }
        assert!(method("web", "Unix", None).is_none());
        // As Go prints one.
        assert_eq!(method("2026-01-02 03:04:05.678 +0000 UTC", "Unix", None).unwrap(), 1_767_323_045);
        assert!(METHODS.iter().all(|name| *name == "Format" || method(text, name, None).is_some()));
    }
}
