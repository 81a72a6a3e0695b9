//! Lists: tables, JSON, or a template per row, as docker and podman print them.

use crate::error::{Error, Kind, Result};
use crate::text::template::{Template, render};
use crate::text::{Document, Forms, printable, steers};
use serde_json::{Map, Value};
use std::io::Write;

/// How one verb lists its rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Listing<'a> {
    /// The default table: header and template of each column, such as `("NAMES", "{{.Names}}")`.
    pub columns: &'a [(&'a str, &'a str)],
    /// Headers that `table ...` shows above fields when they are not the field's name in capitals:
    /// field and header, such as `("ID", "CONTAINER ID")`.
    pub headers: &'a [(&'a str, &'a str)],
    /// Leave the header line out.
    pub no_heading: bool,
}

/// Whether a format asks for JSON as a whole; a verb whose JSON differs from its rows checks this first.
pub fn is_json(format: Option<&str>) -> bool {
    format.is_some_and(|f| f.trim() == "json")
}

/// Whether a list is asked for as JSON as a whole, by the word or by `{{json .}}`: most verbs of podman take both for
/// their list, and docker prints the same lines for both.
pub fn is_whole_json(format: Option<&str>) -> bool {
    let inside = |f: &str| {
        let words =
            f.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim().strip_prefix("json")?.trim_start();
        Some(words == ".")
    };
    is_json(format) || format.and_then(inside).unwrap_or_default()
}

/// Makes sure that a listing that knows no templates is asked for none: as json, or as it is by itself.
///
/// # Errors
/// `Usage` for any other format.
pub fn only_json(format: Option<&str>) -> Result<()> {
    match format {
        None | Some("") => Ok(()),
        Some(_) if is_json(format) => Ok(()),
        Some(other) => Err(Error::new(Kind::Usage, format!("unknown --format argument: {other:?}"))
            .hint("Write --format json, or leave it out.")),
    }
}

/// A value as indented JSON with a final newline.
///
/// # Errors
/// None in practice: JSON values always serialize.
pub fn json(value: &Value) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Kind::Usage, "write as JSON").caused_by(e))?;
    text = harmless_json(&text);
    text.push('\n');
    Ok(text)
}

/// JSON as it was, with those characters escaped that JSON lets through and a terminal may obey.
pub fn harmless_json(text: &str) -> String {
    // The line ends are those of its form: in strings they are escaped.
    let is_let_through = |c: char| c != '\n' && steers(c);
    let escaped = |c: char| if is_let_through(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() };
    match text.contains(is_let_through) {
        true => text.chars().map(escaped).collect(),
        false => text.to_owned(),
    }
}

/// A value as JSON on one line, with its fields sorted by name, as in docker.
///
/// # Errors
/// None in practice: JSON values always serialize.
pub fn line(value: &Value) -> Result<String> {
    let mut value = value.clone();
    value.sort_all_objects();
    let text =
        serde_json::to_string(&value).map_err(|e| Error::new(Kind::Usage, "write as JSON").caused_by(e))?;
    Ok(harmless_json(&text) + "\n")
}

/// A row whose texts neither steer the terminal nor fake another line of a table.
fn harmless(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(printable(text).into_owned()),
        Value::Array(all) => Value::Array(all.iter().map(harmless).collect()),
        Value::Object(all) => {
            let spelt = |(key, value): (&String, &Value)| (printable(key).into_owned(), harmless(value));
            Value::Object(all.iter().map(spelt).collect())
        }
        other => other.clone(),
    }
}

/// The text of a list: the default table without a format or with `table`; one table with the given columns for
/// `table {{...}}`; one JSON array for `json`; a template over the whole list when it starts with
/// `{{range`; else the template once per row, a newline after each.
///
/// # Errors
/// [`Kind::Usage`] when the format is wrong.
pub fn rows<R: Forms>(format: Option<&str>, rows: &[R], listing: &Listing<'_>) -> Result<String> {
    let written = format.unwrap_or("table");
    let format = written.trim_start();
    if is_whole_json(Some(format)) && super::docker() {
        return rows.iter().map(|row| line(row.json())).collect();
    }
    let all = |form: fn(&R) -> &Value| Value::Array(rows.iter().map(|row| form(row).clone()).collect());
    if is_json(Some(format)) {
        return json(&all(R::json));
    }
    if format.starts_with("{{range") || format.starts_with("{{ range") {
        return Ok(ended(render(format, &Document::of(all(R::seen), all(R::json)))?));
    }
    let Some(body) = table_body(format) else {
        // Blanks before a template are a part of it.
        let template = Template::parse(written)?;
        return rows.iter().map(|row| template.render(row).map(ended)).collect();
    };
    let mut text = String::new();
    if body.is_empty() {
        let headers: Vec<&str> = listing.columns.iter().map(|(header, _)| *header).collect();
        if !listing.no_heading {
            text.push_str(&headers.join("\t"));
            text.push('\n');
        }
        // A cell at a time: what an image wrote into one must not break the table.
        let cells = listing.columns.iter().map(|(_, cell)| Template::parse(cell));
        let cells = cells.collect::<Result<Vec<_>>>()?;
        for row in rows {
            let line = cells.iter().map(|cell| Ok(printable(&cell.render(row)?).into_owned()));
            text.push_str(&ended(line.collect::<Result<Vec<_>>>()?.join("\t")));
        }
        return align(&text);
    }
    // podman aligns cells that spaces separate, too.
    let template = Template::parse(&body.replace("}} {{", "}}\t{{"))?;
    if !listing.no_heading {
        text.push_str(&ended(template.render(&headers(rows, listing))?));
    }
    for row in rows {
        text.push_str(&ended(template.render(&Document::mapped(row, harmless))?));
    }
    align(&text)
}

/// What follows `table`, when the format is one.
fn table_body(format: &str) -> Option<&str> {
    let body = format.strip_prefix("table")?;
    (body.is_empty() || body.starts_with([' ', '\t', '\\'])).then(|| {
        let body = body.trim_start();
        body.strip_prefix("\\t").unwrap_or(body)
    })
}

/// The row that a table's template is rendered with for its header line: every field's header.
fn headers<R: Forms>(rows: &[R], listing: &Listing<'_>) -> Value {
    let mut all = Map::new();
    let mut known: Vec<String> = listing.headers.iter().map(|(field, _)| (*field).to_owned()).collect();
    if let Some(Value::Object(row)) = rows.first().map(R::seen) {
        known.extend(row.keys().cloned());
    }
    for (_, cell) in listing.columns {
        if let Some(field) = cell.strip_prefix("{{.").and_then(|c| c.strip_suffix("}}")) {
            known.push(field.to_owned());
        }
    }
    for field in known {
        let own = listing.headers.iter().find(|(name, _)| *name == field).map(|(_, header)| *header);
        let column = || {
            let cell = format!("{{{{.{field}}}}}");
            listing.columns.iter().find(|(_, c)| *c == cell).map(|(header, _)| *header)
        };
        let header = own.or_else(column).map_or_else(|| capitals(&field), str::to_owned);
        all.insert(field, Value::String(header));
    }
    Value::Object(all)
}

/// `CreatedAt` as `CREATED AT`; runs of capitals stay together.
fn capitals(field: &str) -> String {
    let mut out = String::new();
    let mut before_is_lower = false;
    for c in field.chars() {
        if c.is_uppercase() && before_is_lower {
            out.push(' ');
        }
        before_is_lower = c.is_lowercase();
        out.extend(c.to_uppercase());
    }
    out
}

fn ended(mut line: String) -> String {
    line.push('\n');
    line
}

/// Aligns cells that tabs separate: columns at least 10 wide, 3 spaces between, as docker's tables.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn align(text: &str) -> Result<String> {
    let mut writer = tabwriter::TabWriter::new(Vec::new()).minwidth(7).padding(3);
    let failed = || Error::new(Kind::Usage, "align a table");
    writer.write_all(text.as_bytes()).map_err(|e| failed().caused_by(e))?;
    let bytes = writer.into_inner().map_err(|_| failed())?;
    String::from_utf8(bytes).map_err(|e| failed().caused_by(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LISTING: Listing<'static> = Listing {
        columns: &[("CONTAINER ID", "{{.ID}}"), ("IMAGE", "{{.Image}}"), ("NAMES", "{{.Names}}")],
        headers: &[("RunningFor", "CREATED")],
        no_heading: false,
    };

    fn two() -> Vec<Value> {
        vec![
            json!({"ID": "1234567890ab", "Image": "alpine", "Names": "web", "RunningFor": "2 hours ago", "ExitCode": 0}),
            json!({"ID": "ffffffffffff", "Image": "docker.io/library/busybox", "Names": "db", "RunningFor": "now", "ExitCode": 3}),
        ]
    }

    fn shown(format: Option<&str>) -> String {
        rows(format, &two(), &LISTING).unwrap()
    }

    #[test]
    fn the_default_table_is_aligned_as_dockers() {
        let expected = "CONTAINER ID   IMAGE                       NAMES\n\
                        1234567890ab   alpine                      web\n\
                        ffffffffffff   docker.io/library/busybox   db\n";
        assert_eq!(shown(None), expected);
        assert_eq!(shown(Some("table")), expected);
        let bare = Listing { no_heading: true, ..LISTING };
        assert_eq!(rows(None, &two(), &bare).unwrap().lines().count(), 2);
        assert_eq!(rows::<Value>(None, &[], &LISTING).unwrap(), "CONTAINER ID   IMAGE     NAMES\n");
    }

    #[test]
    fn control_characters_do_not_break_the_default_table() {
        let row = json!({"ID": "1", "Image": "a\tb\x1b[2J", "Names": "x\ny"});
        let text = rows(None, &[row], &LISTING).unwrap();
        assert_eq!(text.lines().nth(1), Some(r"1              a\tb\x1b[2J   x\ny"));
    }

    #[test]
    fn a_given_table_has_headers_of_its_fields() {
        let text = shown(Some(r"table {{.Names}}\t{{.RunningFor}}\t{{.ID}}\t{{.ExitCode}}"));
        assert_eq!(text.lines().next(), Some("NAMES     CREATED       CONTAINER ID   EXIT CODE"));
        assert_eq!(text.lines().nth(1), Some("web       2 hours ago   1234567890ab   0"));
        assert_eq!(shown(Some("table {{.Names}} {{.ID}}")), shown(Some(r"table {{.Names}}\t{{.ID}}")));
        let upper = shown(Some("table {{upper .Names}}"));
        assert_eq!(upper, "NAMES\nWEB\nDB\n");
    }

    #[test]
    fn templates_are_rendered_per_row_and_json_as_one_list() {
        assert_eq!(shown(Some("{{.Names}}={{.ExitCode}}")), "web=0\ndb=3\n");
        assert_eq!(shown(Some("{{json .Names}}")), "\"web\"\n\"db\"\n");
        assert_eq!(shown(Some("{{range .}}{{.Names}},{{end}}")), "web,db,\n");
        assert_eq!(shown(Some("plain")), "plain\nplain\n");
        assert_eq!(shown(Some("  {{.Names}}")), "  web\n  db\n");
        assert_eq!(shown(Some("  table {{.Names}}")), shown(Some("table {{.Names}}")));
        let back: Value = serde_json::from_str(&shown(Some(" json "))).unwrap();
        assert_eq!(back, Value::Array(two()));
        assert!(is_whole_json(Some("{{ json . }}")) && !is_whole_json(Some("{{json .Names}}")));
        assert_eq!(rows::<Value>(Some("json"), &[], &LISTING).unwrap(), "[]\n");
        assert_eq!(rows::<Value>(Some("{{.Names}}"), &[], &LISTING).unwrap(), "");
    }

    #[test]
    fn wrong_formats_name_the_field_and_list_the_others() {
        let error = rows(Some("table {{.Name}}"), &two(), &LISTING).unwrap_err();
        assert!(error.message().contains("unknown field .Name"), "{error}");
        assert!(error.hints()[0].contains(".Names"), "{:?}", error.hints());
        assert!(rows::<Value>(Some("{{.Names"), &[], &LISTING).is_err(), "syntax is checked without rows");
    }
}
