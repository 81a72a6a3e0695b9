//! Parses tokens into a tree.

use crate::text::template::fault::Fault;
use crate::text::template::functions;
use crate::text::template::lex::{Kind, Piece, Token};
use serde_json::Value;
use std::iter::Peekable;
use std::vec::IntoIter;

/// Deepest nesting of blocks and parentheses; keeps hostile templates off the stack's end.
const DEPTH_MAX: usize = 64;

/// One step of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    /// Evaluate and print, unless it declares.
    Print(Pipeline),
    /// `if` and `with`: the first branch whose pipeline is true, else the last body.
    Choose {
        with: bool,
        branches: Vec<(Pipeline, Vec<Node>)>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

/// Commands joined by `|`, with the variables that take the result.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// Names without `$`; two only for `range`.
    pub(super) names: Vec<String>,
    /// `:=` rather than `=`.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// A function or field with its arguments, or a lone operand.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

/// A value: where it starts, and the fields taken of it.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) base: Base,
    pub(super) fields: Vec<(usize, String)>,
}

/// Where a value starts.
#[derive(Debug)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Literal(Value),
    Function(String),
    Parenthesis(Box<Pipeline>),
}

/// What ended a list of nodes.
#[derive(PartialEq)]
enum Stop {
    Source,
    End,
    Else(Vec<Token>),
}

/// Builds the tree.
pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, Fault> {
    let mut parser =
        Parser { pieces: pieces.into_iter(), variables: vec![String::new()], loops: 0, depth: 0 };
    let (nodes, stop, at) = parser.list()?;
    match stop {
        Stop::Source => Ok(nodes),
        Stop::End => Err(Fault::new(at, "{{end}} without a block to end")),
        Stop::Else(_) => Err(Fault::new(at, "{{else}} outside of if, with and range")),
    }
}

struct Parser {
    pieces: IntoIter<Piece>,
    /// Names in scope, without `$`.
    variables: Vec<String>,
    loops: usize,
    depth: usize,
}

type Tokens = Peekable<IntoIter<Token>>;

impl Parser {
    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::new(at, format!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }

    /// Nodes up to what ends them, and the byte of that.
    fn list(&mut self) -> Result<(Vec<Node>, Stop, usize), Fault> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (at, tokens) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(at, tokens) => (at, tokens),
            };
            let word = match tokens.first().map(|t| &t.kind) {
                Some(Kind::Word(word)) => word.clone(),
                Some(_) => String::new(),
                None => return Err(Fault::new(at, "empty action")),
            };
            let rest = || tokens[1..].to_vec();
            match word.as_str() {
                "end" if tokens.len() == 1 => return Ok((nodes, Stop::End, at)),
                "else" => return Ok((nodes, Stop::Else(rest()), at)),
                "if" | "with" => {
                    let node = self.choose(word == "with", at, rest())?;
                    nodes.push(node);
                }
                "range" => {
                    let node = self.range(at, rest())?;
                    nodes.push(node);
                }
                "break" | "continue" if tokens.len() == 1 => {
                    if self.loops == 0 {
                        return Err(Fault::new(at, format!("{{{{{word}}}}} outside of range")));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                "define" | "template" | "block" => {
                    return Err(Fault::new(at, format!("{word:?} is not supported in a format")));
                }
                _ => nodes.push(Node::Print(self.whole(at, tokens, 1)?)),
            }
        }
        Ok((nodes, Stop::Source, 0))
    }

    /// The rest of `if` or `with`, whose tokens these are.
    fn choose(&mut self, with: bool, at: usize, mut tokens: Vec<Token>) -> Result<Node, Fault> {
        self.deeper(at)?;
        let scope = self.variables.len();
        let word = if with { "with" } else { "if" };
        let mut branches = Vec::new();
        let otherwise = loop {
            let condition = self.whole(at, tokens, 1)?;
            let (body, stop, stopped) = self.list()?;
            branches.push((condition, body));
            match stop {
                Stop::Source => return Err(Fault::new(at, format!("{word} without {{{{end}}}}"))),
                Stop::End => break Vec::new(),
                Stop::Else(next) if next.is_empty() => break self.last_body(word, at)?,
                Stop::Else(next) => {
                    if next[0].kind != Kind::Word(word.to_owned()) {
                        return Err(Fault::new(stopped, format!("only {word:?} may follow else here")));
                    }
                    tokens = next[1..].to_vec();
                }
            }
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Choose { with, branches, otherwise })
    }

    fn range(&mut self, at: usize, tokens: Vec<Token>) -> Result<Node, Fault> {
        self.deeper(at)?;
        let scope = self.variables.len();
        let over = self.whole(at, tokens, 2)?;
        self.loops += 1;
        let (body, stop, _) = self.list()?;
        self.loops -= 1;
        let otherwise = match stop {
            Stop::Source => return Err(Fault::new(at, "range without {{end}}")),
            Stop::End => Vec::new(),
            Stop::Else(next) if next.is_empty() => self.last_body("range", at)?,
            Stop::Else(next) => return Err(Fault::new(next[0].at, "only {{else}} may follow in range")),
        };
        self.variables.truncate(scope);
        self.depth -= 1;
        Ok(Node::Range { over, body, otherwise })
    }

    /// The body after the last `{{else}}`.
    fn last_body(&mut self, word: &str, at: usize) -> Result<Vec<Node>, Fault> {
        match self.list()? {
            (body, Stop::End, _) => Ok(body),
            (_, Stop::Else(_), stopped) => Err(Fault::new(stopped, "a second {{else}}")),
            (_, Stop::Source, _) => Err(Fault::new(at, format!("{word} without {{{{end}}}}"))),
        }
    }

    /// A pipeline that uses all tokens and declares at most so many variables.
    fn whole(&mut self, at: usize, tokens: Vec<Token>, most: usize) -> Result<Pipeline, Fault> {
        let mut tokens = tokens.into_iter().peekable();
        let pipeline = self.pipeline(at, &mut tokens, most)?;
        match tokens.next() {
            None => Ok(pipeline),
            Some(token) => Err(unexpected(&token)),
        }
    }

    fn pipeline(&mut self, at: usize, tokens: &mut Tokens, most: usize) -> Result<Pipeline, Fault> {
        let (names, declares) = self.declaration(tokens, most)?;
        let mut commands = Vec::new();
        loop {
            let command = self.command(tokens)?;
            if command.operands.is_empty() {
                let at = tokens.peek().map_or(at, |t| t.at);
                return Err(Fault::new(at, "a value is missing"));
            }
            if let (Some(operand), false) = (command.operands.first(), commands.is_empty())
                && matches!(operand.base, Base::Literal(_))
            {
                return Err(Fault::new(operand.at, "only a function can follow `|`"));
            }
            commands.push(command);
            if tokens.next_if(|t| t.kind == Kind::Pipe).is_none() {
                break;
            }
        }
        if declares {
            self.variables.extend(names.iter().cloned());
        }
        Ok(Pipeline { names, declares, commands })
    }

    /// `$a :=`, `$a =` or `$i, $e :=` if the tokens start with one.
    fn declaration(&mut self, tokens: &mut Tokens, most: usize) -> Result<(Vec<String>, bool), Fault> {
        let mut ahead = tokens.clone();
        let mut names = Vec::new();
        let mut first = 0;
        while let Some(Token { at, kind: Kind::Variable(name), .. }) = ahead.next() {
            if names.is_empty() {
                first = at;
            }
            names.push(name);
            let next = ahead.next();
            let declares = match next.map(|t| t.kind) {
                Some(Kind::Comma) => continue,
                Some(Kind::Declare) => true,
                Some(Kind::Assign) => false,
                _ => break,
            };
            if names.len() > most {
                return Err(Fault::new(first, "too many variables in a declaration"));
            }
            if let Some(unknown) = names.iter().find(|n| !declares && !self.variables.contains(n)) {
                return Err(Fault::new(first, format!("unknown variable ${unknown}")));
            }
            if names.iter().any(String::is_empty) {
                return Err(Fault::new(first, "$ cannot be set"));
            }
            *tokens = ahead;
            return Ok((names, declares));
        }
        Ok((Vec::new(), false))
    }

    fn command(&mut self, tokens: &mut Tokens) -> Result<Command, Fault> {
        let mut operands = Vec::new();
        while let Some(token) = tokens.next_if(|t| !matches!(t.kind, Kind::Pipe | Kind::Close)) {
            let at = token.at;
            let mut fields = Vec::new();
            let base = match token.kind {
                Kind::Dot => Base::Dot,
                Kind::Field(name) => {
                    fields.push((at, name));
                    Base::Dot
                }
                Kind::Variable(name) if self.variables.contains(&name) => Base::Variable(name),
                Kind::Variable(name) => return Err(Fault::new(at, format!("unknown variable ${name}"))),
                Kind::Literal(value) => Base::Literal(value),
                Kind::Word(word) => match word.as_str() {
                    "true" => Base::Literal(Value::Bool(true)),
                    "false" => Base::Literal(Value::Bool(false)),
                    "nil" => Base::Literal(Value::Null),
                    _ if functions::exists(&word) => Base::Function(word),
                    _ => {
                        let known = functions::NAMES.join(" ");
                        return Err(Fault::new(at, format!("unknown function {word:?}"))
                            .hint(format!("Functions: {known}. Fields start with a dot: {{{{.{word}}}}}")));
                    }
                },
                Kind::Open => {
                    self.deeper(at)?;
                    let scope = self.variables.len();
                    let inner = self.pipeline(at, tokens, 1)?;
                    if tokens.next_if(|t| t.kind == Kind::Close).is_none() {
                        return Err(Fault::new(at, "parenthesis without an end"));
                    }
                    self.variables.truncate(scope);
                    self.depth -= 1;
                    Base::Parenthesis(Box::new(inner))
                }
                _ => return Err(unexpected(&token)),
            };
            while let Some(next) = tokens.next_if(|t| t.glued && matches!(t.kind, Kind::Field(_))) {
                if let Kind::Field(name) = next.kind {
                    fields.push((next.at, name));
                }
            }
            operands.push(Operand { at, base, fields });
        }
        Ok(Command { operands })
    }
}

fn unexpected(token: &Token) -> Fault {
    let what = match &token.kind {
        Kind::Close => "`)`",
        Kind::Comma => "`,`",
        Kind::Declare => "`:=`",
        Kind::Assign => "`=`; compare with eq",
        _ => "token",
    };
    Fault::new(token.at, format!("unexpected {what}"))
}
