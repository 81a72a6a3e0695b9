//! What `inspect` prints: whole documents.

use super::out;
use super::rows::{is_json, json, line};
use crate::error::Result;
use crate::text::Forms;
use crate::text::template::Template;
use serde_json::Value;

/// How documents are printed.
#[derive(Debug)]
pub enum Shape {
    /// One indented JSON array.
    Array,
    /// JSON, a line for each.
    Lines,
    /// A template for each, a newline after it.
    Template(Template),
}

impl Shape {
    /// Reads `--format`: without one and with `json` an array, else a template. With `in_lines`, `json` is a line for
    /// each, as in docker.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) for a malformed template, so that it is refused before anything is
    /// shown.
    pub fn parse(format: Option<&str>, in_lines: bool) -> Result<Shape> {
        Ok(match format {
            None => Shape::Array,
            Some(_) if is_json(format) && in_lines => Shape::Lines,
            Some(_) if is_json(format) => Shape::Array,
            Some(text) => Shape::Template(Template::parse(text)?),
        })
    }

    /// Prints the documents, those included that come before one that the template does not fit.
    ///
    /// # Errors
    /// That one's; output that cannot be written.
    pub fn print<D: Forms>(&self, all: &[D]) -> Result<()> {
        match self {
            Shape::Array => out(&json(&Value::Array(all.iter().map(|one| one.json().clone()).collect()))?),
            Shape::Lines => all.iter().try_for_each(|one| out(&line(one.json())?)),
            Shape::Template(template) => all.iter().try_for_each(|one| out(&(template.render(one)? + "\n"))),
        }
    }
}
