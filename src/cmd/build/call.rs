//! `--call`: what is told of a Containerfile instead of building it, in docker's forms.

use super::options::Method;
use crate::build::event::Warning;
use crate::build::language::{Argument, Containerfile, Does, Stage, Word};
use crate::build::request::BuildRequest;
use crate::error::{Error, Kind, Result};
use crate::text::{boolean, csv, printable};
use crate::ui;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What `--check` prints.
///
/// # Errors
/// None in practice: JSON values always serialize.
pub(super) fn findings(warnings: &[Warning], json: bool) -> Result<String> {
    if !json {
        return Ok(ui::build::report(warnings));
    }
    let one = |warning: &Warning| {
        let (first, last) = warning.lines;
        json!({
            "ruleName": warning.rule,
            "description": warning.description,
            "url": ui::build::address(&warning.rule),
            "detail": warning.message,
            "location": {"ranges": [{"start": {"line": first}, "end": {"line": last}}]},
        })
    };
    ui::rows::json(&json!({"warnings": warnings.iter().map(one).collect::<Vec<_>>()}))
}

/// What the other methods print.
///
/// # Errors
/// A target that is not there.
pub(super) fn text(
    method: Method,
    json: bool,
    file: &Containerfile,
    request: &BuildRequest,
) -> Result<String> {
    let document = match method {
        Method::Targets => targets(file),
        _ => outline(file, request)?,
    };
    match (json, method) {
        (true, _) => ui::rows::json(&document),
        (false, Method::Targets) => targets_text(&document),
        (false, _) => outline_text(&document),
    }
}

fn targets(file: &Containerfile) -> Value {
    let last = file.stages.len().saturating_sub(1);
    let one = |(at, stage): (usize, &Stage)| {
        let name = stage.name.clone().unwrap_or_default();
        let mut target = Map::new();
        let mut add = |key: &str, value: Value| drop(target.insert(key.into(), value));
        let described = description(file, stage.at.0, &name);
        if !name.is_empty() {
            add("name", json!(name));
        }
        if at == last {
            add("default", json!(true));
        }
        if !described.is_empty() {
            add("description", json!(described));
        }
        add("base", json!(stage.base.0));
        if let Some(Word(platform)) = &stage.platform {
            add("platform", json!(platform));
        }
        Value::Object(target)
    };
    json!({"targets": file.stages.iter().enumerate().map(one).collect::<Vec<_>>()})
}

/// What the comment above a line says of a name: `# NAME does this`.
fn description(file: &Containerfile, line: usize, name: &str) -> String {
    let above = file.source.lines.get(..line.saturating_sub(1)).unwrap_or_default();
    let comments = above.iter().rev().map_while(|line| line.trim_start().strip_prefix('#'));
    let of_it = comments.filter_map(|text| text.trim().strip_prefix(name)?.strip_prefix(' '));
    if name.is_empty() { String::new() } else { of_it.last().unwrap_or_default().trim().to_owned() }
}

/// The stage of this name or number.
fn stage_of(file: &Containerfile, wanted: &str) -> Option<usize> {
    let by_name = file
        .stages
        .iter()
        .position(|stage| stage.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
    by_name.or_else(|| wanted.parse().ok().filter(|at| *at < file.stages.len()))
}

/// The stages that one needs, itself included.
fn needed(file: &Containerfile, target: usize) -> BTreeSet<usize> {
    let (mut found, mut open) = (BTreeSet::new(), vec![target]);
    while let Some(at) = open.pop() {
        if !found.insert(at) {
            continue;
        }
        let stage = &file.stages[at];
        let mut names = vec![stage.base.0.clone()];
        for instruction in &stage.instructions {
            match &instruction.does {
                Does::Copy(copy) => names.extend(copy.from.iter().map(|from| from.0.clone())),
                Does::Add(add) => names.extend(add.copy.from.iter().map(|from| from.0.clone())),
                Does::Run(run) => names.extend(run.mounts.iter().filter_map(|mount| key(mount, "from"))),
                _ => {}
            }
        }
        // Only earlier ones can be meant.
        open.extend(names.iter().filter_map(|name| stage_of(file, name)).filter(|other| *other < at));
    }
    found
}

/// The value of a key of `--mount`.
fn key(mount: &Word, wanted: &str) -> Option<String> {
    let fields = csv::fields(&mount.0).ok()?;
    fields.iter().find_map(|field| match field.split_once('=') {
        Some((key, value)) => key.eq_ignore_ascii_case(wanted).then(|| value.to_owned()),
        None => field.eq_ignore_ascii_case(wanted).then(|| "true".to_owned()),
    })
}

fn outline(file: &Containerfile, request: &BuildRequest) -> Result<Value> {
    let target = match &request.target {
        None => file.stages.len().saturating_sub(1),
        Some(name) => stage_of(file, name).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("target stage {name:?} is not in the Containerfile"))
                .hint("List the stages: coracle build --call targets .")
        })?,
    };
    let needed = needed(file, target);
    let stages = || needed.iter().filter_map(|at| file.stages.get(*at));
    let of_stages = stages().flat_map(|stage| &stage.instructions);
    let mut arguments: Vec<&Argument> = file.globals.iter().collect();
    let mut mounts: Vec<&Word> = Vec::new();
    for instruction in of_stages {
        match &instruction.does {
            Does::Arg(all) => arguments.extend(all),
            Does::Run(run) => mounts.extend(&run.mounts),
            _ => {}
        }
    }
    let mut seen = BTreeSet::new();
    arguments.retain(|argument| seen.insert(&argument.name));
    let argument = |argument: &&Argument| {
        let default = argument.default.as_ref().map(|word| word.0.clone());
        let value = request.args.get(&argument.name).cloned().or(default).unwrap_or_default();
        let described = description(file, argument.at.0, &argument.name);
        json!({"name": argument.name, "description": described, "value": value})
    };
    let of_type = |wanted: &str, usual: &str| -> Value {
        let mut all: BTreeMap<String, bool> = BTreeMap::new();
        for mount in mounts.iter().filter(|mount| key(mount, "type").as_deref() == Some(wanted)) {
            let id = key(mount, "id").or_else(|| key(mount, "target")).unwrap_or_else(|| usual.to_owned());
            let required = key(mount, "required").and_then(|text| boolean(&text)).unwrap_or_default();
            *all.entry(id).or_default() |= required;
        }
        all.into_iter().map(|(name, required)| json!({"name": name, "required": required})).collect()
    };
    let stage = file.stages.get(target);
    let name = stage.and_then(|stage| stage.name.clone()).unwrap_or_default();
    let described = stage.map(|stage| description(file, stage.at.0, &name)).unwrap_or_default();
    Ok(json!({
        "name": name,
        "description": described,
        "args": arguments.iter().map(argument).collect::<Vec<_>>(),
        "secrets": of_type("secret", ""),
        "ssh": of_type("ssh", "default"),
    }))
}

/// A field of a document, safe for a terminal.
fn shown(value: &Value, key: &str) -> String {
    printable(value[key].as_str().unwrap_or_default()).into_owned()
}

fn targets_text(document: &Value) -> Result<String> {
    let mut text = "TARGET\tDESCRIPTION\n".to_owned();
    for target in document["targets"].as_array().into_iter().flatten() {
        let name = match (shown(target, "name"), target["default"] == true) {
            (name, false) => name,
            (name, true) if name.is_empty() => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
        };
        text.push_str(&format!("{name}\t{}\n", shown(target, "description")));
    }
    ui::rows::align(&text)
}

fn outline_text(document: &Value) -> Result<String> {
    let name = shown(document, "name");
    let name = if name.is_empty() { "(default)".to_owned() } else { name };
    let mut text = format!("TARGET:\t{name}\n");
    if !shown(document, "description").is_empty() {
        text.push_str(&format!("DESCRIPTION:\t{}\n", shown(document, "description")));
    }
    let mut parts = vec![text];
    let list = |key: &str| document[key].as_array().cloned().unwrap_or_default();
    let arguments = list("args");
    if !arguments.is_empty() {
        let row =
            |a: &Value| format!("{}\t{}\t{}\n", shown(a, "name"), shown(a, "value"), shown(a, "description"));
        parts.push(format!(
            "BUILD ARG\tVALUE\tDESCRIPTION\n{}",
            arguments.iter().map(row).collect::<String>()
        ));
    }
    for (title, key) in [("SECRET", "secrets"), ("SSH", "ssh")] {
        let all = list(key);
        if !all.is_empty() {
            let required = |one: &Value| if one["required"] == true { "true" } else { "" };
            let row = |one: &Value| format!("{}\t{}\n", shown(one, "name"), required(one));
            parts.push(format!("{title}\tREQUIRED\n{}", all.iter().map(row).collect::<String>()));
        }
    }
    let aligned = parts.iter().map(|part| ui::rows::align(part)).collect::<Result<Vec<_>>>()?;
    Ok(aligned.join("\n"))
}
