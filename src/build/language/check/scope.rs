//! Rules for which stages are followed with their variables.

use super::layout::is_old;
use super::report::{BaseImage, CheckContext, Report};
use super::rules;
use crate::build::language::tree::{
    Argument, Command, Containerfile, Copy, Does, Instruction, Lines, Stage, Word,
};
use crate::image::{Location, Platform, Reference};
use crate::text::clean;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is known where an instruction stands.
#[derive(Debug, Clone, Default)]
struct Scope {
    /// Variables that are set.
    set: BTreeMap<String, String>,
    /// Names of ARG, with a value or without.
    declared: BTreeSet<String>,
    /// Whether all variables are known: the base image is.
    complete: bool,
    /// Whether there was a WORKDIR.
    workdir: bool,
    /// Whether there was a SHELL.
    shell: bool,
}

/// A word as it is where it stands, with the variables it asks for.
struct Expanded {
    text: Result<String, String>,
    found: BTreeSet<String>,
    missing: BTreeSet<String>,
}

/// Longest value that is kept, in bytes: no rule needs more.
const VALUE_MAX: usize = 4096;

impl Scope {
    fn set(&mut self, name: String, mut value: String) {
        value.truncate(value.floor_char_boundary(VALUE_MAX));
        self.set.insert(name, value);
    }

    fn expand(&self, word: &Word, escape: char) -> Expanded {
        self.used(|variable| word.expand(escape, variable))
    }

    fn used(
        &self,
        expand: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<String, String>,
    ) -> Expanded {
        let asked = RefCell::new(BTreeSet::new());
        let text = expand(&|name| {
            asked.borrow_mut().insert(name.to_owned());
            self.set.get(name).cloned()
        });
        let (found, missing) = asked.into_inner().into_iter().partition(|name| self.set.contains_key(name));
        Expanded { text, found, missing }
    }
}

/// Checks all stages.
pub(super) fn check(file: &Containerfile, known: &CheckContext<'_>, report: &mut Report<'_>) {
    let none = BTreeMap::new();
    let defaults = globals(file, known.predefined, &none);
    let global = globals(file, known.predefined, known.args);
    let mut scopes: BTreeMap<String, Scope> = BTreeMap::new();
    for (number, stage) in file.stages.iter().enumerate() {
        let mut walk = Walk { file, known, report, global: &global };
        walk.default_base(stage, &defaults);
        let base = walk.from(stage);
        let scope = scopes.get(&base.to_lowercase()).cloned().unwrap_or_else(|| walk.image(&base));
        let shown = walk.report.found.len();
        let scope = walk.stage(stage, scope);
        if !(known.stage)(number) {
            walk.report.found.truncate(shown);
        }
        if let Some(name) = &stage.name {
            scopes.insert(name.clone(), scope);
        }
    }
}

/// What FROM can use.
fn globals(
    file: &Containerfile,
    predefined: &BTreeMap<String, String>,
    args: &BTreeMap<String, String>,
) -> Scope {
    let mut scope = Scope { set: predefined.clone(), complete: true, ..Scope::default() };
    for (name, value) in args {
        if let Some(set) = scope.set.get_mut(name) {
            set.clone_from(value);
        }
    }
    for argument in &file.globals {
        scope.declared.insert(argument.name.clone());
        let value = args
            .get(&argument.name)
            .cloned()
            .or_else(|| scope.expand(argument.default.as_ref()?, file.directives.escape).text.ok());
        if let Some(value) = value {
            scope.set(argument.name.clone(), value);
        }
    }
    scope
}

struct Walk<'a, 'r, 'f> {
    file: &'a Containerfile,
    known: &'a CheckContext<'a>,
    report: &'r mut Report<'f>,
    global: &'a Scope,
}

impl Walk<'_, '_, '_> {
    fn escape(&self) -> char {
        self.file.directives.escape
    }

    /// The base without `--build-arg`.
    fn default_base(&mut self, stage: &Stage, defaults: &Scope) {
        let Ok(base) = defaults.expand(&stage.base, self.escape()).text else { return };
        if !matches!(Location::of(&base), Ok(Some(_))) && base.parse::<Reference>().is_err() {
            self.report.add(stage.at, rules::invalid_default_arg_in_from(&stage.base.0));
        }
    }

    /// FROM; gives the base's name.
    fn from(&mut self, stage: &Stage) -> String {
        let base = self.global.expand(&stage.base, self.escape());
        self.undeclared(&base, stage.at);
        if let Some(platform) = &stage.platform {
            let expanded = self.global.expand(platform, self.escape());
            self.undeclared(&expanded, stage.at);
            self.platform(stage, platform, &expanded);
        }
        base.text.unwrap_or_default()
    }

    fn undeclared(&mut self, used: &Expanded, at: Lines) {
        for name in used.missing.iter().filter(|name| !self.global.declared.contains(*name)) {
            let known = self.global.declared.iter().chain(self.global.set.keys());
            let meant = self.report.meant("", name, known);
            self.report.add(at, rules::undefined_arg_in_from(name, &meant));
        }
    }

    fn platform(&mut self, stage: &Stage, written: &Word, expanded: &Expanded) {
        const TARGET: &str = "TARGETPLATFORM";
        let Ok(text) = &expanded.text else { return };
        let only_target = expanded.found.iter().eq([TARGET]) && expanded.missing.is_empty();
        if only_target && self.global.set.get(TARGET) == Some(text) {
            self.report.add(stage.at, rules::redundant_target_platform(&written.0));
        }
        if !expanded.found.is_empty() || !expanded.missing.is_empty() {
            return;
        }
        let Ok(platform) = text.parse::<Platform>() else { return };
        let name = stage.name.as_deref().unwrap_or_default();
        if !name.contains(&platform.os) && !name.contains(&platform.architecture) {
            self.report.add(stage.at, rules::from_platform_flag_const_disallowed(text));
        }
    }

    /// The scope of a stage that starts from an image.
    fn image(&self, name: &str) -> Scope {
        let found = if name == "scratch" { Some(BaseImage::default()) } else { (self.known.base)(name) };
        let complete = found.is_some();
        let image = found.unwrap_or_default();
        let mut set = image.env;
        // Every step has one.
        set.entry("PATH".to_owned()).or_default();
        Scope { set, complete, shell: image.shell, ..Scope::default() }
    }

    /// The instructions of a stage; gives the scope at its end.
    fn stage(&mut self, stage: &Stage, mut scope: Scope) -> Scope {
        for instruction in &stage.instructions {
            self.undefined(instruction, &scope);
            self.instruction(instruction, &mut scope);
        }
        scope
    }

    fn instruction(&mut self, instruction: &Instruction, scope: &mut Scope) {
        let (at, keyword, escape) = (instruction.at, instruction.keyword(), self.escape());
        match &instruction.does {
            Does::Arg(all) => all.iter().for_each(|argument| self.argument(argument, scope)),
            Does::Env(pairs) => {
                self.old_form(instruction);
                // All see the variables as they were before.
                let text = |word| scope.expand(word, escape).text.unwrap_or_default();
                let pairs: Vec<_> = pairs.iter().map(|(name, value)| (text(name), text(value))).collect();
                for (name, value) in pairs {
                    self.secret("ENV", &name, at);
                    scope.set(name, value);
                }
            }
            Does::Label(_) => self.old_form(instruction),
            Does::Shell(_) => scope.shell = true,
            Does::Cmd(Command::Shell { .. }) | Does::Entrypoint(Command::Shell { .. }) if !scope.shell => {
                self.report.add(at, rules::json_args_recommended(keyword));
            }
            Does::WorkDir(path) => {
                let expanded = scope.expand(path, escape);
                let sure = scope.complete || expanded.missing.is_empty();
                let relative = expanded.text.is_ok_and(|path| !path.starts_with('/'));
                if !scope.workdir && relative && sure {
                    self.report.add(at, rules::workdir_relative_path(&path.0));
                }
                scope.workdir = true;
            }
            Does::Copy(copy) if copy.from.is_none() => self.ignored("Copy", copy, scope, at),
            Does::Add(add) => self.ignored("Add", &add.copy, scope, at),
            Does::Expose(ports) => self.ports(ports, scope, at),
            _ => {}
        }
    }

    fn argument(&mut self, argument: &Argument, scope: &mut Scope) {
        self.secret("ARG", &argument.name, argument.at);
        let value = match (self.known.args.get(&argument.name), &argument.default) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(default)) => {
                let expanded = scope.expand(default, self.escape());
                self.missing(&expanded.missing, scope, argument.at);
                expanded.text.ok()
            }
            (None, None) => self.global.set.get(&argument.name).cloned(),
        };
        if let Some(value) = value {
            scope.set(argument.name.clone(), value);
        }
        scope.declared.insert(argument.name.clone());
    }

    /// Variables of an instruction that nobody defined. Those of RUN are the shell's.
    fn undefined(&mut self, instruction: &Instruction, scope: &Scope) {
        let mut words: Vec<&Word> = Vec::new();
        let mut missing = BTreeSet::new();
        let mut copied = |copy: &Copy| {
            for heredoc in &copy.inline {
                missing.extend(scope.used(|variable| heredoc.expanded(variable)).missing);
            }
        };
        match &instruction.does {
            Does::Env(pairs) | Does::Label(pairs) => words.extend(pairs.iter().flat_map(|(a, b)| [a, b])),
            Does::Run(run) => words.extend(&run.mounts),
            Does::Copy(copy) => {
                copied(copy);
                words.extend(in_copy(copy));
            }
            Does::Add(add) => {
                copied(&add.copy);
                words.extend(in_copy(&add.copy));
                words.extend(&add.checksum);
            }
            Does::WorkDir(word) | Does::User(word) | Does::StopSignal(word) => words.push(word),
            Does::Volume(all) => words.extend(all),
            _ => {}
        }
        missing.extend(words.into_iter().flat_map(|word| scope.expand(word, self.escape()).missing));
        self.missing(&missing, scope, instruction.at);
    }

    fn missing(&mut self, names: &BTreeSet<String>, scope: &Scope, at: Lines) {
        for name in names.iter().filter(|name| scope.complete && !scope.declared.contains(*name)) {
            let meant = self.report.meant("$", name, scope.set.keys());
            self.report.add(at, rules::undefined_var(name, &meant));
        }
    }

    fn old_form(&mut self, instruction: &Instruction) {
        if is_old(&instruction.original, self.escape()) {
            self.report.add(instruction.at, rules::legacy_key_value_format(instruction.keyword()));
        }
    }

    /// A name that looks like a secret's.
    fn secret(&mut self, keyword: &str, name: &str, at: Lines) {
        const SECRET: [&str; 10] = [
            "apikey",
            "auth",
            "credential",
            "credentials",
            "key",
            "password",
            "pword",
            "passwd",
            "secret",
            "token",
        ];
        const PUBLIC: [&str; 3] = ["public", "file", "version"];
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
        if has(&SECRET) && !has(&PUBLIC) {
            self.report.add(at, rules::secrets_used_in_arg_or_env(keyword, name));
        }
    }

    /// Sources that the ignore file excludes.
    fn ignored(&mut self, verb: &str, copy: &Copy, scope: &Scope, at: Lines) {
        let Some(ignored) = self.known.ignored else { return };
        for source in &copy.sources {
            let Ok(path) = scope.expand(source, self.escape()).text else { continue };
            let elsewhere = path.contains("://") || path.starts_with("git@");
            let path = in_context(&path);
            if !elsewhere && ignored(&path) {
                self.report.add(at, rules::copy_ignored_file(verb, &path));
            }
        }
    }

    fn ports(&mut self, ports: &[Word], scope: &Scope, at: Lines) {
        let variable = |name: &str| scope.set.get(name).cloned();
        let escape = self.escape();
        for port in ports.iter().filter_map(|port| port.expand_list(escape, &variable).ok()).flatten() {
            let (before, container) = port.rsplit_once(':').unwrap_or(("", &port));
            let protocol = container.split_once('/').map_or("", |(_, protocol)| protocol);
            if protocol.contains(|c: char| c.is_ascii_uppercase()) {
                self.report.add(at, rules::expose_proto_casing(&port));
            }
            if before.contains(|c| c != ':') {
                self.report.add(at, rules::expose_invalid_format(&port));
            }
        }
    }
}

/// The words of COPY that are expanded.
fn in_copy(copy: &Copy) -> impl Iterator<Item = &Word> {
    copy.sources.iter().chain([&copy.destination]).chain(&copy.chown).chain(&copy.chmod)
}

/// The path as the ignore file has it: below the context, without `.` and `..`.
fn in_context(path: &str) -> String {
    match clean(Path::new(path)).to_string_lossy().trim_start_matches('/') {
        "" => ".".to_owned(),
        below => below.to_owned(),
    }
}
