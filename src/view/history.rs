//! A step of an image's history.

use super::Dialect;
use crate::engine::images::history::Step;
use crate::text::{time, units};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Longest command that is shown whole.
const SHOWN: usize = 45;

/// A step, and how it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The step.
    pub of: &'a Step<'a>,
    /// Ids and commands are not shortened.
    pub whole: bool,
    /// Sizes and times are for people; else bytes and RFC 3339.
    pub human: bool,
}

impl Row<'_> {
    /// The id of the image, where this step made the last of it.
    pub fn id(&self) -> String {
        match self.of.top {
            None => "<missing>".to_owned(),
            Some(image) if self.whole => image.id.hex().to_owned(),
            Some(image) => image.id.short().to_owned(),
        }
    }

    fn created(&self) -> Option<DateTime<Utc>> {
        let text = self.of.entry.created.as_deref()?;
        DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
    }

    fn created_by(&self) -> &str {
        self.of.entry.created_by.as_deref().unwrap_or_default()
    }

    /// The command that made it, with this at the end where it is cut.
    fn command(&self, cut: &str) -> String {
        let by = self.created_by();
        if self.whole || by.chars().count() <= SHOWN {
            return by.to_owned();
        }
        by.chars().take(SHOWN - cut.chars().count()).chain(cut.chars()).collect()
    }

    /// What a template may name; docker's JSON is this row, too.
    pub fn fields(&self, dialect: Dialect) -> Value {
        if dialect == Dialect::Docker { self.docker_fields() } else { self.podman_fields() }
    }

    fn docker_fields(&self) -> Value {
        let created = self.created();
        let at = created.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
        let since = if self.human { created.map(time::ago).unwrap_or_default() } else { at.clone() };
        json!({
            "ID": self.id(),
            "CreatedAt": at,
            "CreatedSince": since,
            "CreatedBy": self.command("…"),
            "Size": if self.human { units::size(self.of.size) } else { self.of.size.to_string() },
            "Comment": self.of.entry.comment.as_deref().unwrap_or_default(),
        })
    }

    fn podman_fields(&self) -> Value {
        let created = self.created();
        let since = created.map(time::ago).unwrap_or_default();
        let at = created.map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default();
        let by = self.command("...");
        json!({
            "ID": self.id(),
            "Created": if self.human { &since } else { &at },
            "CreatedAt": created.map(time::go_utc).unwrap_or_default(),
            "CreatedSince": since,
            "CreatedBy": by,
            "Size": if self.human { units::spaced_size(self.of.size) } else { self.of.size.to_string() },
            "Comment": self.of.entry.comment.as_deref().unwrap_or_default(),
            "Tags": self.of.names,
        })
    }

    /// The step in podman's `--format json`.
    pub fn json(&self) -> Value {
        let created = self.created().map(|t| t.to_rfc3339_opts(SecondsFormat::Secs, true));
        json!({
            "id": self.of.top.map_or("<missing>", |image| image.id.hex()),
            "created": self.of.entry.created.as_deref().unwrap_or_default(),
            "Created": created.unwrap_or_default(),
            "CreatedBy": self.created_by(),
            "size": self.of.size,
            "comment": self.of.entry.comment.as_deref().unwrap_or_default(),
            "tags": self.of.names,
        })
    }
}
