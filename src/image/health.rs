//! `HEALTHCHECK` as a line of a Containerfile (Dockerfile reference, HEALTHCHECK).

use crate::text::time::parse_duration;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Reads what follows `HEALTHCHECK`: `NONE`, or options, `CMD` and a command. Gives what the image's
/// configuration has as `Healthcheck`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(text: &str) -> Result<Value, String> {
    let mut check = Map::new();
    let mut rest = text.trim();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, more) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let (key, value) = set(option)?;
        check.insert(key.to_owned(), value);
        rest = more.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test = match (kind.to_ascii_uppercase().as_str(), command.trim()) {
        ("NONE", "") if check.is_empty() => vec!["NONE".to_owned()],
        ("NONE", _) => return Err("nothing goes with NONE".to_owned()),
        ("CMD", "") => return Err("it has no command".to_owned()),
        ("CMD", command) => match serde_json::from_str::<Vec<String>>(command) {
            Ok(words) if words.is_empty() => return Err("it has no command".to_owned()),
            Ok(words) => [vec!["CMD".to_owned()], words].concat(),
            Err(_) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        _ => return Err("it is neither NONE nor CMD and a command".to_owned()),
    };
    check.insert("Test".to_owned(), json!(test));
    Ok(Value::Object(check))
}

/// One option as a member of the configuration; durations are nanoseconds there.
fn set(option: &str) -> Result<(&'static str, Value), String> {
    let (name, value) = option.split_once('=').ok_or_else(|| format!("--{option} has no value"))?;
    let key = match name {
        "interval" => "Interval",
        "timeout" => "Timeout",
        "start-period" => "StartPeriod",
        "start-interval" => "StartInterval",
        "retries" => {
            let number: u32 = value.parse().map_err(|_| format!("--retries={value} is not a number"))?;
            return Ok(("Retries", number.into()));
        }
        _ => return Err(format!("--{name} is not an option of HEALTHCHECK")),
    };
    let duration = parse_duration(value).map_err(|e| e.to_string())?;
    // Zero stands for what is inherited or the default; what lies between is nothing that can be meant.
    if !duration.is_zero() && duration < Duration::from_millis(1) {
        return Err(format!("--{name}={value} is shorter than a millisecond"));
    }
    let nanoseconds =
        u64::try_from(duration.as_nanos()).map_err(|_| format!("--{name}={value} is too long"))?;
    Ok((key, nanoseconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_read_as_builders_read_them() {
        for (text, wanted) in [
            ("NONE", json!({"Test": ["NONE"]})),
            (
                "CMD curl -f localhost || exit 1",
                json!({"Test": ["CMD-SHELL", "curl -f localhost || exit 1"]}),
            ),
            (
                r#"--interval=5s --retries=2 CMD ["a", "b c"]"#,
                json!({"Test": ["CMD", "a", "b c"], "Interval": 5_000_000_000_u64, "Retries": 2}),
            ),
            (
                "--timeout=1m --start-period=500ms --start-interval=1s cmd true",
                json!({"Test": ["CMD-SHELL", "true"], "Timeout": 60_000_000_000_u64,
                    "StartPeriod": 500_000_000, "StartInterval": 1_000_000_000}),
            ),
        ] {
            assert_eq!(check(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_check_is_refused() {
        for wrong in [
            "",
            "NONE x",
            "--retries=1 NONE",
            "CMD",
            "CMD []",
            "RUN x",
            "--interval CMD x",
            "--interval=x CMD x",
            "--interval=1us CMD x",
            "--retries=-1 CMD x",
            "--often=1s CMD x",
        ] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
    }
}
