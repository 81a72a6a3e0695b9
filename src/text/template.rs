//! The part of Go's text/template that `--format` needs, over JSON values.
//!
//! It supports what docker and podman users type: fields, `index`, pipelines, variables, `if`, `range`, `with`,
//! `printf`, `json`, `join` and the other functions of docker's reference page
//! (docs.docker.com/engine/cli/formatting). `define`, `template` and `block` are refused.
//!
//! JSON does not distinguish a Go struct from a Go map, but the two differ for an unknown name: in a struct it
//! is an error, in a map it is `<no value>`. Objects under a name in [`value::MAPS`] are maps, all others
//! structs.

use crate::error::Result;
use crate::text::Forms;

mod eval;
mod fault;
mod functions;
mod lex;
mod moment;
mod parse;
mod printf;
mod value;

#[cfg(test)]
mod tests;

/// A parsed template, to be rendered any number of times.
#[derive(Debug)]
pub struct Template {
    source: String,
    nodes: Vec<parse::Node>,
}

impl Template {
    /// Parses a template. `\t` and `\n` outside actions mean tab and newline.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) with line and column when the text is not a template or
    /// names an unknown function.
    pub fn parse(source: &str) -> Result<Self> {
        let parsed = lex::pieces(source).and_then(parse::parse);
        let nodes = parsed.map_err(|fault| fault.in_source(source))?;
        Ok(Template { source: source.to_owned(), nodes })
    }

    /// Renders the template with `data` as the dot.
    ///
    /// # Errors
    /// [`Kind::Usage`](crate::error::Kind::Usage) with line and column: unknown field, wrong argument of a function.
    pub fn render(&self, data: &impl Forms) -> Result<String> {
        let rendered = eval::render(&self.nodes, data.seen(), data.json());
        rendered.map_err(|fault| fault.in_source(&self.source))
    }
}

/// Parses and renders in one step; see [`Template`].
///
/// # Errors
/// Those of [`Template::parse`] and [`Template::render`].
pub fn render(source: &str, data: &impl Forms) -> Result<String> {
    Template::parse(source)?.render(data)
}
