//! Stages: what each starts from, which the target needs, and what each needs of others.

use super::language::{Containerfile, Does, Instruction, Stage, Word};
use super::scope::Scope;
use crate::error::{Error, Kind, Result};
use crate::image::Platform;
use std::collections::{BTreeMap, BTreeSet};

/// What a stage starts from, or what `--from` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing.
    Scratch,
    /// An earlier stage, by its number.
    Stage(usize),
    /// A named context of the request.
    Context(String),
    /// An image.
    Image(String),
}

/// A stage in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// What it starts from.
    pub origin: Origin,
    /// The platform that FROM asks for.
    pub platform: Option<Platform>,
    /// The stages it is known to need, itself not among them.
    pub needs: BTreeSet<usize>,
}

/// The stages of a file.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    /// All of them, by number.
    pub nodes: Vec<Node>,
    /// The one that is wanted.
    pub target: usize,
    names: BTreeMap<String, usize>,
    contexts: BTreeSet<String>,
}

impl Graph {
    /// Finds out what refers to what.
    ///
    /// # Errors
    /// `Usage` for a word that cannot be expanded, an empty base name, a platform that is none, a target that does
    /// not exist.
    pub(super) fn new(
        file: &Containerfile,
        scope: &Scope,
        contexts: BTreeSet<String>,
        target: Option<&str>,
    ) -> Result<Graph> {
        let mut graph = Graph { nodes: Vec::new(), target: 0, names: BTreeMap::new(), contexts };
        for (number, stage) in file.stages.iter().enumerate() {
            let node = graph.node(file, scope, stage)?;
            graph.nodes.push(node);
            if let Some(name) = &stage.name {
                graph.names.insert(name.clone(), number);
            }
        }
        for (number, stage) in file.stages.iter().enumerate() {
            graph.check_numbers(file, number, stage)?;
        }
        graph.target = match target {
            Some(name) => graph.find_target(file, name)?,
            None => graph.nodes.len().saturating_sub(1),
        };
        Ok(graph)
    }

    /// Refuses numbers of stages that are none or come later: no image is called so.
    fn check_numbers(&self, file: &Containerfile, before: usize, stage: &Stage) -> Result<()> {
        for instruction in &stage.instructions {
            for from in sources(instruction) {
                let is_number = !from.is_empty() && from.bytes().all(|byte| byte.is_ascii_digit());
                if is_number && matches!(self.origin(&from, before), Origin::Image(_)) {
                    let why = format!(
                        "invalid stage index {from}: the stages before this one are 0 to {}",
                        before.saturating_sub(1)
                    );
                    let none = format!("invalid stage index {from}: there is no stage before this one");
                    return Err(file.source.error(instruction.at, if before == 0 { none } else { why }));
                }
            }
        }
        Ok(())
    }

    /// What a name after `--from` means for a stage: one of the stages before it comes first.
    pub(super) fn origin(&self, name: &str, before: usize) -> Origin {
        let lower = name.to_ascii_lowercase();
        let by_number = || lower.parse::<usize>().ok();
        if self.contexts.contains(&lower) {
            return Origin::Context(lower);
        }
        match self.names.get(&lower).copied().or_else(by_number).filter(|number| *number < before) {
            Some(number) => Origin::Stage(number),
            None => Origin::Image(name.to_owned()),
        }
    }

    /// The stages that the target needs, itself among them, in order.
    pub(super) fn needed(&self) -> BTreeSet<usize> {
        let mut needed = BTreeSet::new();
        let mut open = vec![self.target];
        while let Some(number) = open.pop() {
            if needed.insert(number) {
                open.extend(self.nodes.get(number).into_iter().flat_map(|node| &node.needs));
            }
        }
        needed
    }

    /// Notes what instructions need that a base leaves to a stage; whether that is news.
    pub(super) fn needs_also(&mut self, number: usize, instructions: &[Instruction]) -> bool {
        let others: Vec<usize> = instructions
            .iter()
            .flat_map(sources)
            .filter_map(|from| match self.origin(&from, number) {
                Origin::Stage(other) => Some(other),
                _ => None,
            })
            .collect();
        let Some(node) = self.nodes.get_mut(number) else { return false };
        let before = node.needs.len();
        node.needs.extend(others);
        node.needs.len() > before
    }

    fn node(&self, file: &Containerfile, scope: &Scope, stage: &Stage) -> Result<Node> {
        let number = self.nodes.len();
        let wrong = |why: String| file.source.error(stage.at, why);
        let expand =
            |word: &Word| word.expand(file.directives.escape, &|name| scope.outside(name)).map_err(wrong);
        let base = expand(&stage.base)?;
        if base.is_empty() {
            return Err(wrong(format!("base name ({}) should not be blank", stage.base.0)).hint(
                "Give the variable a default before FROM, or a value: coracle build --build-arg NAME=VALUE .",
            ));
        }
        let platform = stage.platform.as_ref().map(expand).transpose()?.filter(|text| !text.is_empty());
        let platform = platform
            .map(|text| text.parse::<Platform>().map_err(|e| wrong(format!("platform {text:?}: {e}"))))
            .transpose()?;
        let origin = match base.as_str() {
            "scratch" => Origin::Scratch,
            // FROM does not count stages.
            name if name.parse::<usize>().is_ok() => Origin::Image(base.clone()),
            name => self.origin(name, number),
        };
        let mut needs: BTreeSet<usize> = BTreeSet::new();
        if let Origin::Stage(below) = origin {
            needs.insert(below);
        }
        for from in stage.instructions.iter().flat_map(sources) {
            // What depends on variables of the stage is found out when it is reached.
            if let Origin::Stage(other) = self.origin(&from, number) {
                needs.insert(other);
            }
        }
        Ok(Node { origin, platform, needs })
    }

    fn find_target(&self, file: &Containerfile, name: &str) -> Result<usize> {
        let lower = name.to_ascii_lowercase();
        let by_number = || lower.parse::<usize>().ok().filter(|number| *number < self.nodes.len());
        self.names.get(&lower).copied().or_else(by_number).ok_or_else(|| {
            let names: Vec<&str> = file.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
            let error = Error::new(Kind::Usage, format!("target stage {name:?} could not be found"));
            match names.as_slice() {
                [] => error.hint("No stage has a name; leave out --target, or write FROM IMAGE AS NAME."),
                names => error.hint(format!("The stages are: {}.", names.join(", "))),
            }
        })
    }
}

/// What the `--from` of an instruction says, as far as that is known from the text alone.
fn sources(instruction: &Instruction) -> Vec<String> {
    let plain = |word: &Word| Some(word.0.clone()).filter(|text| !text.contains('$'));
    match &instruction.does {
        Does::Copy(copy) => copy.from.iter().filter_map(plain).collect(),
        Does::Add(add) => add.copy.from.iter().filter_map(plain).collect(),
        Does::Run(run) => run.mounts.iter().filter_map(|mount| from_of(&mount.0)).collect(),
        _ => Vec::new(),
    }
}

/// `from=NAME` in the options of a mount.
fn from_of(options: &str) -> Option<String> {
    let value = options.split(',').find_map(|option| option.trim().strip_prefix("from="))?;
    Some(value.to_owned()).filter(|text| !text.contains('$'))
}
