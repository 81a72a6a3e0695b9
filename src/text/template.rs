//! Go's text/template, the part that `--format` needs, over JSON values.
//!
//! What docker and podman users type works: fields, `index`, pipelines, variables, `if`, `range`,
//! `with`, `printf`, `json`, `join` and the other functions of docker's reference page
//! (docs.docker.com/engine/cli/formatting). `define`, `template` and `block` are refused.
//!
//! JSON does not tell a Go struct from a Go map, and the two differ on an unknown name: a struct's is a
//! mistake, a map's is `<no value>`. Objects under a name in [`MAPS`] are maps, all others structs.

use crate::error::{Error, Kind, Result};
use serde_json::Value;

mod eval;
mod functions;
mod lex;
mod moment;
mod parse;
mod printf;
mod value;

#[cfg(test)]
mod tests;

/// Names of fields whose keys are data: an unknown key is `<no value>` and no mistake.
const MAPS: [&str; 14] = [
    "Annotations",
    "Attributes",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Ulimits",
    "Volumes",
];

/// A parsed template, to be rendered any number of times.
#[derive(Debug)]
pub struct Template {
    source: String,
    nodes: Vec<parse::Node>,
}

impl Template {
    /// Parses a template. `\t` and `\n` outside of actions stand for tab and newline.
    ///
    /// # Errors
    /// [`Kind::Usage`] with line and column when the text is not a template or names an unknown function.
    pub fn parse(source: &str) -> Result<Self> {
        let parsed = lex::pieces(source).and_then(parse::parse);
        let nodes = parsed.map_err(|fault| fault.in_source(source))?;
        Ok(Template { source: source.to_owned(), nodes })
    }

    /// Renders the template with `data` as the dot.
    ///
    /// # Errors
    /// [`Kind::Usage`] with line and column: unknown field, wrong argument of a function.
    pub fn render(&self, data: &Value) -> Result<String> {
        eval::render(&self.nodes, data).map_err(|fault| fault.in_source(&self.source))
    }
}

/// Parses and renders in one step; see [`Template`].
///
/// # Errors
/// Those of [`Template::parse`] and [`Template::render`].
pub fn render(source: &str, data: &Value) -> Result<String> {
    Template::parse(source)?.render(data)
}

/// What is wrong with a template, and at which byte of it.
#[derive(Debug, PartialEq)]
struct Fault {
    at: usize,
    message: String,
    hint: Option<String>,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Fault { at, message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error for the user: line and column instead of a byte.
    fn in_source(self, source: &str) -> Error {
        let before = source.get(..self.at.min(source.len())).unwrap_or(source);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
        let error =
            Error::new(Kind::Usage, format!("template, line {line} column {column}: {}", self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}
