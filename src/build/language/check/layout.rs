//! Rules about how the file is written: names, case, comments, forms.

use super::report::Report;
use super::rules;
use crate::build::language::keys::is_old_form;
use crate::build::language::statement::Statement;
use crate::build::language::tree::{Argument, Containerfile, Does, Lines, Stage};

/// Checks the file.
pub(super) fn check(file: &Containerfile, report: &mut Report<'_>) {
    for line in &file.empty_continuations {
        report.add((*line, *line), rules::no_empty_continuation());
    }
    arguments(&file.globals, report);
    let mut names: Vec<&str> = Vec::new();
    for stage in &file.stages {
        from(stage, &mut names, report);
        for instruction in &stage.instructions {
            match &instruction.does {
                Does::Maintainer(_) => report.add(instruction.at, rules::maintainer_deprecated()),
                Does::Arg(all) => arguments(all, report),
                _ => {}
            }
        }
        once(stage, report);
    }
    casing(file, report);
}

/// The words of FROM and the name of a stage.
fn from<'a>(stage: &'a Stage, names: &mut Vec<&'a str>, report: &mut Report<'_>) {
    let words: Vec<&str> = stage.original.split_whitespace().collect();
    let (Some(name), [keyword, .., between, written]) = (stage.name.as_deref(), &words[..]) else { return };
    if *written != name {
        report.add(stage.at, rules::stage_name_casing(written));
    }
    let other = match () {
        () if is_lower(keyword) => !is_lower(between),
        () if is_upper(keyword) => !is_upper(between),
        () => false,
    };
    if other {
        report.add(stage.at, rules::from_as_casing(keyword, between));
    }
    if ["context", "scratch"].contains(&name) {
        report.add(stage.at, rules::reserved_stage_name(name));
    }
    if names.contains(&name) {
        report.add(stage.at, rules::duplicate_stage_name(name));
    }
    names.push(name);
    description("FROM", &[name], stage.at, report);
}

/// ARG of one line or more.
fn arguments(all: &[Argument], report: &mut Report<'_>) {
    for together in all.chunk_by(|a, b| a.at == b.at) {
        let names: Vec<&str> = together.iter().map(|argument| argument.name.as_str()).collect();
        if let Some(first) = together.first() {
            description("ARG", &names, first.at, report);
        }
    }
}

/// The comment above what has these names.
fn description(keyword: &str, names: &[&str], at: Lines, report: &mut Report<'_>) {
    let Some(comment) = report.comments.last(at.0) else { return };
    let first = comment.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return;
    }
    let example = if let [one] = names { one } else { "<arg_key>" };
    report.add(at, rules::invalid_definition_description(keyword, example));
}

/// Instructions of which the last one counts. Those before it are named.
fn once(stage: &Stage, report: &mut Report<'_>) {
    let kinds: [fn(&Does) -> bool; 3] = [
        |does| matches!(does, Does::Entrypoint(_)),
        |does| matches!(does, Does::Cmd(_)),
        |does| matches!(does, Does::HealthCheck(_)),
    ];
    for kind in kinds {
        let mut before = None;
        for instruction in stage.instructions.iter().filter(|instruction| kind(&instruction.does)) {
            if let Some(at) = before.replace(instruction.at) {
                report.add(at, rules::multiple_instructions_disallowed(instruction.keyword()));
            }
        }
    }
}

/// Whether ENV or LABEL is written `ENV name value`.
pub(super) fn is_old(original: &str, escape: char) -> bool {
    is_old_form(Statement::new(original, escape).rest, escape)
}

/// The case of all instructions.
fn casing(file: &Containerfile, report: &mut Report<'_>) {
    let mut keywords: Vec<(&str, Lines)> = Vec::new();
    for stage in &file.stages {
        keywords.push((stage.original.split_whitespace().next().unwrap_or_default(), stage.at));
        keywords.extend(stage.instructions.iter().map(|i| (i.keyword(), i.at)));
    }
    let lower = keywords.iter().filter(|(keyword, _)| is_lower(keyword)).count();
    let upper = keywords.iter().filter(|(keyword, _)| is_upper(keyword)).count();
    let (fits, casing): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    for (keyword, at) in keywords.into_iter().filter(|(keyword, _)| !fits(keyword)) {
        report.add(at, rules::consistent_instruction_casing(keyword, casing));
    }
}

fn is_lower(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_uppercase())
}

fn is_upper(word: &str) -> bool {
    !word.contains(|c: char| c.is_ascii_lowercase())
}
