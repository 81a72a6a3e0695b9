//! Durations and points in time, as docker prints and reads them.

use crate::error::{Error, Kind, Result};
use chrono::{DateTime, Local, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use std::time::Duration;

/// A duration in words, one unit only: `About a minute`, `3 hours`, `2 weeks`.
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as u64);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago a point in time was, in words: `2 hours ago`. The future counts as now.
pub fn ago(then: DateTime<Utc>) -> String {
    format!("{} ago", words(since(then)))
}

/// A point in time as Go prints one in UTC, without fractions: `2006-01-02 15:04:05 +0000 UTC`.
pub fn go_utc(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S %z UTC").to_string()
}

/// As [`go_utc`], with what fraction of a second there is.
pub fn go_utc_exact(time: DateTime<Utc>) -> String {
    time.format(&format!("%Y-%m-%d %H:%M:%S{} %z UTC", fraction(time))).to_string()
}

/// A point in time as Go prints one, in the local zone and without fractions: `2006-01-02 15:04:05 +0000 UTC`. A zone
/// has no name here but its difference from UTC.
pub fn go_local(time: DateTime<Utc>) -> String {
    go_zoned(time, "")
}

/// As [`go_local`], with what fraction of a second there is.
pub fn go_local_exact(time: DateTime<Utc>) -> String {
    go_zoned(time, &fraction(time))
}

fn go_zoned(time: DateTime<Utc>, fraction: &str) -> String {
    let local = time.with_timezone(&Local);
    let zone = if local.offset().local_minus_utc() == 0 { "UTC" } else { "%z" };
    local.format(&format!("%Y-%m-%d %H:%M:%S{fraction} %z {zone}")).to_string()
}

/// `.5` of a second; empty for none.
fn fraction(time: DateTime<Utc>) -> String {
    time.format("%.9f").to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// How long ago a point in time was; zero for the future.
pub fn since(then: DateTime<Utc>) -> Duration {
    (Utc::now() - then).to_std().unwrap_or_default()
}

/// Reads a Go duration: `1h30m`, `1.5s`, `300ms`. A bare number is refused except 0.
///
/// # Errors
/// [`Kind::Usage`] when the text is not a duration or is negative.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::new(Kind::Usage, format!("{text:?} is not a duration"))
            .hint("Write numbers with h, m, s or ms behind them: 1h30m")
    };
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

/// A duration as Go prints it: `1h30m0s`, `1.5s`, `300ms`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 && nanos != 0 {
        let (unit, size) = match nanos {
            1_000_000.. => ("ms", 1e6),
            1000.. => ("\u{b5}s", 1e3),
            _ => ("ns", 1.0),
        };
        return format!("{}{unit}", f64::from(nanos) / size);
    }
    let mut text = String::new();
    if seconds >= 3600 {
        text.push_str(&format!("{}h", seconds / 3600));
    }
    if seconds >= 60 {
        text.push_str(&format!("{}m", seconds / 60 % 60));
    }
    text.push_str(&(seconds % 60).to_string());
    if nanos != 0 {
        text.push_str(format!(".{nanos:09}").trim_end_matches('0'));
    }
    text + "s"
}

/// Parses a point in time like [`parse_time`], in the past.
///
/// # Errors
/// As [`parse_time`].
pub fn moment(text: &str) -> Result<DateTime<Utc>> {
    parse_time(text, Utc::now())
}

/// Reads a point in time: a date with or without a time of day and a zone ([`absolute`]), a Unix time with a fraction,
/// or a Go duration before `now`.
///
/// # Errors
/// [`Kind::Usage`] for any other text.
pub fn parse_time(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    point(text, now, false)
}

/// As [`parse_time`], but a duration lies ahead: podman's `--until 2s` is in two seconds.
///
/// # Errors
/// As [`parse_time`].
pub fn parse_end(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    point(text, now, true)
}

fn point(text: &str, now: DateTime<Utc>, ahead: bool) -> Result<DateTime<Utc>> {
    let wrong = || {
        let what = if ahead { "how long from now" } else { "how long ago" };
        Error::new(Kind::Usage, format!("{text:?} is not a point in time"))
            .hint(format!("Write 2006-01-02T15:04:05, a Unix time, or {what}: 10m"))
    };
    if let Some(time) = absolute(text).or_else(|| unix(text)) {
        return Ok(time);
    }
    let (ahead, span) = match text.strip_prefix('-') {
        Some(span) => (!ahead, span),
        None => (ahead, text),
    };
    let span = parse_duration(span).map_err(|_| wrong())?;
    let span = TimeDelta::from_std(span).map_err(|_| wrong())?;
    if ahead { now.checked_add_signed(span) } else { now.checked_sub_signed(span) }.ok_or_else(wrong)
}

/// `2006-01-02`, then perhaps `T15`, `:04`, `:05` and a fraction behind a point or a comma (as `date --iso-8601=ns`
/// prints it), then perhaps a zone: `Z`, `+01:00`, `+0100` or `+01`. Without a zone it is local time. A blank may stand
/// for the `T` and before the zone, and `UTC` at the end, as Go prints times.
fn absolute(text: &str) -> Option<DateTime<Utc>> {
    let (day, rest) = text.split_at_checked(10)?;
    if !day.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let rest = rest.strip_suffix(" UTC").unwrap_or(rest);
    let (clock, zone) = match rest.strip_prefix(['T', 't', ' ']) {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit() && !":.,".contains(c)).unwrap_or(rest.len());
            let (clock, zone) = rest.split_at(end);
            (time_of_day(clock)?, zone.strip_prefix(' ').unwrap_or(zone))
        }
        None => (NaiveTime::MIN, rest),
    };
    let moment = day.and_time(clock);
    if zone.is_empty() {
        return Local.from_local_datetime(&moment).earliest().map(|time| time.to_utc());
    }
    Some(moment.and_utc() - offset(zone)?)
}

/// `15[:04[:05[.fraction]]]`.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let (text, fraction) = match text.split_once(['.', ',']) {
        Some((text, fraction)) => (text, Some(fraction)),
        None => (text, None),
    };
    let parts: Vec<u32> = text.split(':').map(two_digits).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour] if fraction.is_none() => (hour, 0, 0),
        [hour, minute] if fraction.is_none() => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    NaiveTime::from_hms_nano_opt(hour, minute, second, fraction.map_or(Some(0), nanos)?)
}

/// How far a zone is ahead.
fn offset(zone: &str) -> Option<TimeDelta> {
    if matches!(zone, "Z" | "z") {
        return Some(TimeDelta::zero());
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None => digits.split_at_checked(2)?,
    };
    let minutes = if minutes.is_empty() && digits.len() == 2 { 0 } else { two_digits(minutes)? };
    let (hours, minutes) =
        (two_digits(hours).filter(|hours| *hours < 24)?, Some(minutes).filter(|m| *m < 60)?);
    Some(TimeDelta::minutes(sign * i64::from(hours * 60 + minutes)))
}

fn two_digits(text: &str) -> Option<u32> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// A fraction of a second; what is less than a nanosecond is cut off.
fn nanos(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    all.then(|| format!("{:0<9.9}", digits).parse().ok()).flatten()
}

/// `seconds[.fraction]` since 1970.
fn unix(text: &str) -> Option<DateTime<Utc>> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    DateTime::from_timestamp(seconds.parse().ok()?, nanos(fraction)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn durations_are_told_as_docker_tells_them() {
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (3, "3 seconds"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (45 * 60, "45 minutes"),
            (HOUR, "About an hour"),
            (90 * 60, "2 hours"),
            (3 * HOUR, "3 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), expected, "{seconds}");
        }
        assert_eq!(ago(Utc::now() + TimeDelta::hours(1)), "Less than a second ago");
    }

    #[test]
    fn go_durations_go_in_and_out() {
        for (text, millis, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("1h30m", 5_400_000, "1h30m0s"),
            ("1.5s", 1500, "1.5s"),
            ("300ms", 300, "300ms"),
            ("90s", 90_000, "1m30s"),
            ("100h", 360_000_000, "100h0m0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration.as_millis(), millis, "{text}");
            assert_eq!(go_duration(duration), shown, "{text}");
        }
        for text in ["", "5", "h", "1x", "1h5", "-1s", "1.2.3s", "s1", "1e400h", "9999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn points_in_time_are_read_in_every_form() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let read = |text: &str| parse_time(text, now).unwrap();
        assert_eq!(read("10m").timestamp(), 1_700_000_000 - 600);
        assert_eq!(read("-1h").timestamp(), 1_700_000_000 + 3600);
        assert_eq!(read("1136073600").timestamp(), 1_136_073_600);
        assert_eq!(read("1136073600.5").timestamp_subsec_millis(), 500);
        assert_eq!(read("2006-01-02T15:04:05Z").timestamp(), 1_136_214_245);
        assert_eq!(read("2006-01-02T15:04:05.25+01:00").timestamp(), 1_136_210_645);
        assert_eq!(read("2006-01-02Z").timestamp(), 1_136_160_000);
        for (text, seconds, nanos) in [
            ("2006-01-02T15:04:05,25+01:00", 1_136_210_645, 250_000_000),
            ("2006-01-02T15:04:05,123456789+0100", 1_136_210_645, 123_456_789),
            ("2006-01-02T15:04:05.1234567891Z", 1_136_214_245, 123_456_789),
            ("2006-01-02 15:04:05.5 +0000 UTC", 1_136_214_245, 500_000_000),
            ("2006-01-02t15:04z", 1_136_214_240, 0),
            ("2006-01-02T15:04-02:30", 1_136_223_240, 0),
            ("2006-01-02T15+00", 1_136_214_000, 0),
            ("2006-01-02T15Z", 1_136_214_000, 0),
            ("2006-01-02+01:00", 1_136_156_400, 0),
            ("1136073600.1234567891", 1_136_073_600, 123_456_789),
        ] {
            let time = read(text);
            assert_eq!((time.timestamp(), time.timestamp_subsec_nanos()), (seconds, nanos), "{text}");
        }
        let local =
            |hour, minute, second| Local.with_ymd_and_hms(2006, 1, 2, hour, minute, second).unwrap().to_utc();
        assert_eq!(read("2006-01-02T15:04"), local(15, 4, 0));
        assert_eq!(read("2006-01-02T15"), local(15, 0, 0));
        assert_eq!(read("2006-01-02 15:04:05.0"), local(15, 4, 5));
        assert_eq!(read("2006-01-02"), local(0, 0, 0));
        let end = |text: &str| parse_end(text, now).unwrap().timestamp() - now.timestamp();
        assert_eq!((end("2s"), end("-10m"), end("1136073600")), (2, -600, 1_136_073_600 - now.timestamp()));
        for text in [
            "",
            "yesterday",
            "2006-13-01",
            "2006-1-02",
            "2006-01-02T",
            "2006-01-02T5",
            "2006-01-02T15.5",
            "2006-01-02T15:04:05.",
            "2006-01-02T15:04:05x",
            "2006-01-02T15:04:05+1",
            "2006-01-02+24:00",
            "2006-01-02T24:00",
            "1136073600.",
            "99999999999999999999h",
            ".",
        ] {
            assert!(parse_time(text, now).is_err(), "{text}");
        }
    }
}
