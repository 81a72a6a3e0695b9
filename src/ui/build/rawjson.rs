//! Progress as BuildKit's JSON: a line for each event, in the form of its `SolveStatus`.

use super::show::Show;
use super::warnings;
use crate::build::event::{Event, VertexId, Warning};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

/// Writes JSON lines.
#[derive(Debug)]
pub(super) struct RawJson<W> {
    to: W,
    began: DateTime<Utc>,
    /// What was told of each vertex.
    vertices: HashMap<VertexId, Map<String, Value>>,
    /// When each part of each vertex's work began.
    parts: HashMap<(VertexId, String), String>,
}

impl<W: Write> RawJson<W> {
    /// Writes to `to`; all times are counted from `began`.
    pub(super) fn new(to: W, began: DateTime<Utc>) -> Self {
        RawJson { to, began, vertices: HashMap::new(), parts: HashMap::new() }
    }

    fn time(&self, now: Duration) -> String {
        let passed = TimeDelta::from_std(now).unwrap_or_default();
        (self.began + passed).to_rfc3339_opts(SecondsFormat::Nanos, true)
    }

    fn vertex(&mut self, id: VertexId, fields: &[(&str, Value)]) -> Value {
        let vertex = self.vertices.entry(id).or_default();
        vertex.extend(fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        json!({"vertexes": [vertex]})
    }

    fn document(&mut self, event: &Event, now: Duration) -> Option<Value> {
        let time = self.time(now);
        let at = || Value::String(time.clone());
        let ended = |error: &str| {
            let mut fields = vec![("completed", at())];
            if !error.is_empty() {
                fields.push(("error", Value::String(error.to_owned())));
            }
            fields
        };
        Some(match event {
            Event::Tick => return None,
            Event::Declared { vertex, name, .. } => {
                let digest = digest(*vertex, name);
                self.vertex(*vertex, &[("digest", json!(digest)), ("name", json!(name))])
            }
            Event::Started(id) => self.vertex(*id, &[("started", at())]),
            Event::Cached(id) => {
                self.vertex(*id, &[("started", at()), ("completed", at()), ("cached", Value::Bool(true))])
            }
            Event::Done(id) => self.vertex(*id, &ended("")),
            Event::Failed(id, message) => self.vertex(*id, &ended(message)),
            Event::Canceled(id) => self.vertex(*id, &ended("context canceled")),
            Event::Output { vertex, stderr, bytes } => json!({"logs": [{
                "vertex": self.digest(*vertex),
                "stream": if *stderr { 2 } else { 1 },
                "data": STANDARD.encode(bytes),
                "timestamp": time,
            }]}),
            Event::Progress { vertex, what, current, total } => {
                let started =
                    self.parts.entry((*vertex, what.clone())).or_insert_with(|| time.clone()).clone();
                let mut status = json!({
                    "id": what,
                    "vertex": self.digest(*vertex),
                    "current": current,
                    "timestamp": time,
                    "started": started,
                });
                if let Some(total) = total {
                    status["total"] = json!(total);
                    if current == total {
                        status["completed"] = at();
                    }
                }
                json!({"statuses": [status]})
            }
            Event::Warning(warning) => {
                let short = format!("{}: {} (line {})", warning.rule, warning.message, warning.lines.0);
                json!({"warnings": [{
                    "level": 1,
                    "short": STANDARD.encode(short),
                    "detail": [STANDARD.encode(&warning.description)],
                    "url": warnings::address(&warning.rule),
                    "sourceInfo": {"filename": warning.file},
                    "range": [{"start": {"line": warning.lines.0}, "end": {"line": warning.lines.1}}],
                }]})
            }
        })
    }

    fn digest(&self, id: VertexId) -> Value {
        self.vertices.get(&id).and_then(|vertex| vertex.get("digest")).cloned().unwrap_or_default()
    }
}

/// What a vertex is called by: two may have the same name.
fn digest(id: VertexId, name: &str) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(format!("{} {name}", id.0));
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

impl<W: Write + std::fmt::Debug> Show for RawJson<W> {
    fn event(&mut self, event: &Event, now: Duration) -> io::Result<()> {
        let Some(document) = self.document(event, now) else { return Ok(()) };
        writeln!(self.to, "{document}")?;
        self.to.flush()
    }

    fn end(&mut self, _now: Duration) -> io::Result<()> {
        self.to.flush()
    }

    fn findings(&self) -> Option<&[Warning]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_a_line_of_buildkits() {
        let mut out = Vec::new();
        let began = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let mut show = RawJson::new(&mut out, began);
        let id = VertexId(3);
        for (event, at) in [
            (Event::Declared { vertex: id, name: "[1/2] RUN make".into() }, 0),
            (Event::Started(id), 250),
            (Event::Output { vertex: id, stderr: true, bytes: b"hi\n".to_vec() }, 300),
            (Event::Progress { vertex: id, what: "sha256:ab".into(), current: 5, total: Some(5) }, 400),
            (Event::Tick, 450),
            (Event::Failed(id, "exit code: 1".into()), 500),
        ] {
            show.event(&event, Duration::from_millis(at)).unwrap();
        }
        let lines: Vec<Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 5);
        let digest = lines[0]["vertexes"][0]["digest"].as_str().unwrap();
        assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
        assert_eq!(lines[1]["vertexes"][0]["started"], "2023-11-14T22:13:20.250000000Z");
        assert_eq!(
            lines[2]["logs"][0],
            json!({"vertex": digest, "stream": 2, "data": "aGkK", "timestamp": "2023-11-14T22:13:20.300000000Z"})
        );
        let status = &lines[3]["statuses"][0];
        assert_eq!((status["total"].as_u64(), &status["completed"]), (Some(5), &status["timestamp"]));
        let failed = &lines[4]["vertexes"][0];
        assert_eq!((&failed["error"], &failed["name"]), (&json!("exit code: 1"), &json!("[1/2] RUN make")));
        assert_eq!(failed["started"], lines[1]["vertexes"][0]["started"]);
    }
}
