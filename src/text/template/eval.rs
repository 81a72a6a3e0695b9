//! Evaluates the tree.

use crate::text::template::fault::Fault;
use crate::text::template::parse::{Base, Command, Node, Operand, Pipeline};
use crate::text::template::value::{Val, kind};
use crate::text::template::{functions, moment};
use serde_json::Value;

/// Renders nodes with `data` as dot and `$`; `shown` is what JSON shows of it.
pub(super) fn render<'a>(nodes: &'a [Node], data: &'a Value, shown: &'a Value) -> Result<String, Fault> {
    let root = Val { shown: Some(shown).filter(|shown| !std::ptr::eq(*shown, data)), ..Val::borrowed(data) };
    let mut state = State { out: String::new(), variables: vec![(String::new(), root.clone())] };
    state.walk(nodes, &root)?;
    Ok(state.out)
}

struct State<'a> {
    out: String,
    /// Innermost last, names without `$`.
    variables: Vec<(String, Val<'a>)>,
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl<'a> State<'a> {
    fn walk(&mut self, nodes: &'a [Node], dot: &Val<'a>) -> Result<Flow, Fault> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::Print(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.names.is_empty() {
                        self.out.push_str(&value.text());
                    } else {
                        self.set(pipeline, value);
                    }
                }
                Node::Choose { with, branches, otherwise } => {
                    let scope = self.variables.len();
                    let flow = self.choose(*with, branches, otherwise, dot)?;
                    self.variables.truncate(scope);
                    if flow != Flow::On {
                        return Ok(flow);
                    }
                }
                Node::Range { over, body, otherwise } => {
                    let scope = self.variables.len();
                    let flow = self.range(over, body, otherwise, dot)?;
                    self.variables.truncate(scope);
                    if flow != Flow::On {
                        return Ok(flow);
                    }
                }
            }
        }
        Ok(Flow::On)
    }

    fn choose(
        &mut self,
        with: bool,
        branches: &'a [(Pipeline, Vec<Node>)],
        otherwise: &'a [Node],
        dot: &Val<'a>,
    ) -> Result<Flow, Fault> {
        for (condition, body) in branches {
            let value = self.pipeline(condition, dot)?;
            self.set(condition, value.clone());
            if value.truth() {
                return self.walk(body, if with { &value } else { dot });
            }
        }
        self.walk(otherwise, dot)
    }

    fn range(
        &mut self,
        over: &'a Pipeline,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Val<'a>,
    ) -> Result<Flow, Fault> {
        let value = self.pipeline(over, dot)?;
        let elements = match value.get().and_then(Value::as_u64) {
            Some(count) => (0..count.min(RANGE_MAX)).map(|i| (Val::owned(i), Val::owned(i))).collect(),
            None => value.elements().ok_or_else(|| {
                let at = over.commands.first().and_then(|c| c.operands.first()).map_or(0, |o| o.at);
                Fault::new(at, format!("range cannot walk {}", kind(&value)))
            })?,
        };
        if elements.is_empty() {
            return self.walk(otherwise, dot);
        }
        let scope = self.variables.len();
        for (key, element) in elements {
            match over.names.as_slice() {
                [] => {}
                [one] => self.bind(over.declares, one, element.clone()),
                [first, second, ..] => {
                    self.bind(over.declares, first, key);
                    self.bind(over.declares, second, element.clone());
                }
            }
            let flow = self.walk(body, &element)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn set(&mut self, pipeline: &Pipeline, value: Val<'a>) {
        if let [name] = pipeline.names.as_slice() {
            self.bind(pipeline.declares, name, value);
        }
    }

    fn bind(&mut self, declares: bool, name: &str, value: Val<'a>) {
        if !declares && let Some(found) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            found.1 = value;
        } else {
            self.variables.push((name.to_owned(), value));
        }
    }

    fn pipeline(&mut self, pipeline: &'a Pipeline, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let mut result = None;
        for command in &pipeline.commands {
            result = Some(self.command(command, dot, result)?);
        }
        Ok(result.unwrap_or(Val::MISSING))
    }

    /// One command; `piped` is the result of the one before, its last argument.
    fn command(
        &mut self,
        command: &'a Command,
        dot: &Val<'a>,
        piped: Option<Val<'a>>,
    ) -> Result<Val<'a>, Fault> {
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Val::MISSING) };
        if let Base::Function(name) = &first.base {
            if !first.fields.is_empty() {
                return Err(Fault::new(first.at, format!("put {name} and its arguments in parentheses")));
            }
            if name == "and" || name == "or" {
                return self.short_circuit(name == "or", first, rest, dot, piped);
            }
            let mut arguments = rest.iter().map(|o| self.operand(o, dot)).collect::<Result<Vec<_>, _>>()?;
            arguments.extend(piped);
            return functions::call(name, &arguments).map_err(|fault| Fault { at: first.at, ..fault });
        }
        if rest.is_empty() && piped.is_none() {
            return self.operand(first, dot);
        }
        // The one method that docker's and podman's rows have.
        if let (Base::Dot, [(_, method)], [argument]) = (&first.base, first.fields.as_slice(), rest)
            && method == "Label"
        {
            let key = self.operand(argument, dot)?.text();
            return Ok(Val::owned(functions::label(dot, &key)));
        }
        if let (Some(((_, method), fields)), [layout]) = (first.fields.split_last(), rest)
            && method == "Format"
        {
            let layout = self.operand(layout, dot)?.text();
            let mut value = self.base(first, dot)?;
            for (at, name) in fields {
                value = field(&value, name, *at)?;
            }
            let text = value.get().and_then(Value::as_str).unwrap_or_default();
            if let Some(shown) = moment::method(text, method, Some(&layout)) {
                return Ok(Val::owned(shown));
            }
            return Err(Fault::new(first.at, format!("Format is for times, this is {}", kind(&value))));
        }
        Err(Fault::new(first.at, "only a function takes arguments")
            .hint("Compare with eq: {{if eq .A \"b\"}}"))
    }

    /// `and` and `or` stop at the first argument that decides.
    fn short_circuit(
        &mut self,
        stop_at: bool,
        first: &Operand,
        operands: &'a [Operand],
        dot: &Val<'a>,
        piped: Option<Val<'a>>,
    ) -> Result<Val<'a>, Fault> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(operand, dot)?;
            if value.truth() == stop_at {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| Fault::new(first.at, "arguments are missing"))
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let mut value = self.base(operand, dot)?;
        for (at, name) in &operand.fields {
            value = field(&value, name, *at)?;
        }
        Ok(value)
    }

    /// An operand's value without its fields.
    fn base(&mut self, operand: &'a Operand, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        Ok(match &operand.base {
            Base::Dot => dot.clone(),
            Base::Literal(json) => Val::borrowed(json),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(n, _)| n == name);
                found
                    .map(|(_, v)| v.clone())
                    .ok_or_else(|| Fault::new(operand.at, format!("unknown variable ${name}")))?
            }
            Base::Function(name) => {
                functions::call(name, &[]).map_err(|fault| Fault { at: operand.at, ..fault })?
            }
            Base::Parenthesis(inner) => {
                let scope = self.variables.len();
                let value = self.pipeline(inner, dot)?;
                self.set(inner, value.clone());
                self.variables.truncate(scope);
                value
            }
        })
    }
}

/// Most turns of a `range` over a number.
const RANGE_MAX: u64 = 1_000_000;

/// `.Name` of a value.
fn field<'a>(value: &Val<'a>, name: &str, at: usize) -> Result<Val<'a>, Fault> {
    if let Some(found) = value.key(name) {
        return Ok(found);
    }
    match value.get() {
        None => Ok(Val::MISSING),
        _ if value.map => Ok(Val::MISSING),
        Some(Value::Object(object)) => {
            // Scripts write `.ID` and `.Id`, `.Host` and `.host`: docker's and podman's names in turn.
            let same = object.keys().find(|k| k.eq_ignore_ascii_case(name));
            if let Some(found) = same.and_then(|same| value.key(same)) {
                return Ok(found);
            }
            let known: Vec<String> = object.keys().map(|k| format!(".{k}")).collect();
            let fault = Fault::new(at, format!("unknown field .{name}"));
            Err(match known.is_empty() {
                true => fault.hint("There are no fields here."),
                false => fault.hint(format!("Fields: {}", known.join(" "))),
            })
        }
        Some(Value::String(text)) if moment::METHODS.contains(&name) => moment::method(text, name, None)
            .map(Val::owned)
            .ok_or_else(|| Fault::new(at, format!("{name} is for times, this is a string"))),
        Some(_) => Err(Fault::new(at, format!("no field .{name} in {}", kind(value)))),
    }
}
