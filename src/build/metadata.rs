//! Instructions that change the configuration and no file.

use super::language::{Command, Does, Word};
use super::scope::Scope;
use super::state::State;
use crate::error::Error;
use crate::image::change::Change;
use serde_json::Value;

/// Applies an instruction that changes no file; false when it is none.
///
/// # Errors
/// What is wrong with its words, once they are expanded.
pub(super) fn apply(state: &mut State, scope: &Scope, escape: char, does: &Does) -> Result<bool, String> {
    let told = match does {
        Does::Arg(arguments) => {
            let mut words = Vec::new();
            for argument in arguments {
                let default =
                    argument.default.as_ref().map(|word| expand(state, escape, word)).transpose()?;
                let value = scope.inside(&argument.name, default);
                words.push(match &value {
                    Some(value) => format!("{}={value}", argument.name),
                    None => argument.name.clone(),
                });
                state.arguments.push((argument.name.clone(), value));
            }
            format!("ARG {}", words.join(" "))
        }
        Does::Env(pairs) => {
            // Values are of before this instruction: none sees another.
            let pairs = expand_pairs(state, escape, pairs)?;
            let told = joined(&pairs);
            if let Some((name, _)) = pairs.iter().find(|(name, _)| name.is_empty() || name.contains('\0')) {
                return Err(format!("names of variables cannot be blank: {name:?}"));
            }
            Change::Env(pairs).apply(&mut state.config.config);
            format!("ENV {told}")
        }
        Does::Label(pairs) => {
            let pairs = expand_pairs(state, escape, pairs)?;
            if pairs.iter().any(|(key, _)| key.is_empty()) {
                return Err("names of labels cannot be blank".to_owned());
            }
            let told = joined(&pairs);
            Change::Label(pairs).apply(&mut state.config.config);
            format!("LABEL {told}")
        }
        Does::User(word) => {
            let user = expand(state, escape, word)?;
            if user.is_empty() {
                return Err("no user is given".to_owned());
            }
            state.config.config.user.clone_from(&user);
            format!("USER {user}")
        }
        Does::Expose(words) => {
            let words = expand_lists(state, escape, words)?;
            let told = format!("EXPOSE {}", words.join(" "));
            let wrong = |error: Error| {
                let text = why(error);
                let of_option = format!("change {told:?}: ");
                text.strip_prefix(&of_option).map_or_else(|| text.clone(), |why| format!("{told}: {why}"))
            };
            told.parse::<Change>().map_err(wrong)?.apply(&mut state.config.config);
            format!("EXPOSE [{}]", words.join(" "))
        }
        Does::Volume(words) => {
            let paths =
                words.iter().map(|word| expand(state, escape, word)).collect::<Result<Vec<_>, _>>()?;
            if paths.iter().any(|path| path.trim().is_empty()) {
                return Err("the path of a volume cannot be blank".to_owned());
            }
            let told = format!("VOLUME [{}]", paths.join(" "));
            Change::Volume(paths).apply(&mut state.config.config);
            told
        }
        Does::StopSignal(word) => {
            let signal = expand(state, escape, word)?;
            signal.parse::<crate::container::Signal>().map_err(why)?;
            state.config.config.stop_signal.clone_from(&signal);
            format!("STOPSIGNAL {signal}")
        }
        Does::Entrypoint(command) => {
            state.config.config.entrypoint = argv(state, command);
            if !state.has_command {
                // The base image's was meant for another entry point.
                state.config.config.cmd.clear();
            }
            format!("ENTRYPOINT {}", list(&state.config.config.entrypoint))
        }
        Does::Cmd(command) => {
            state.config.config.cmd = argv(state, command);
            state.has_command = true;
            format!("CMD {}", list(&state.config.config.cmd))
        }
        Does::Shell(shell) => {
            state.config.config.shell.clone_from(shell);
            format!("SHELL [{}]", shell.join(" "))
        }
        Does::HealthCheck(check) => {
            state.config.config.healthcheck = Some(check.clone());
            format!("HEALTHCHECK {check}")
        }
        Does::OnBuild(trigger) => {
            state.config.config.on_build.push(trigger.clone());
            format!("ONBUILD {trigger}")
        }
        Does::Maintainer(word) => {
            let author = expand(state, escape, word)?;
            state.config.author = Some(author.clone());
            format!("MAINTAINER {author}")
        }
        Does::Run(_) | Does::Copy(_) | Does::Add(_) | Does::WorkDir(_) => return Ok(false),
    };
    state.note(told);
    Ok(true)
}

/// A word with the variables of a stage.
///
/// # Errors
/// What is wrong with it.
pub(super) fn expand(state: &State, escape: char, word: &Word) -> Result<String, String> {
    word.expand(escape, &|name| state.variable(name))
}

/// Words, each of which may become several.
///
/// # Errors
/// What is wrong with one.
pub(super) fn expand_lists(state: &State, escape: char, words: &[Word]) -> Result<Vec<String>, String> {
    let expanded: Result<Vec<Vec<String>>, String> =
        words.iter().map(|word| word.expand_list(escape, &|name| state.variable(name))).collect();
    Ok(expanded?.concat())
}

/// What a command executes: a line of the shell form goes to the shell.
fn argv(state: &State, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell { line, .. } => [state.shell(), vec![line.clone()]].concat(),
    }
}

fn expand_pairs(
    state: &State,
    escape: char,
    pairs: &[(Word, Word)],
) -> Result<Vec<(String, String)>, String> {
    pairs
        .iter()
        .map(|(key, value)| Ok((expand(state, escape, key)?, expand(state, escape, value)?)))
        .collect()
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(" ")
}

/// A list as docker's history shows it.
fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| Value::from(word.as_str()).to_string()).collect();
    format!("[{}]", words.join(" "))
}

fn why(error: Error) -> String {
    error.in_one_line()
}

/// Changes of the command line, which come after those of the file.
pub(super) fn apply_changes(state: &mut State, changes: &super::request::Changes) {
    let config = &mut state.config.config;
    config.env.retain(|entry| {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        !changes.unset_env.iter().any(|unset| unset == name)
    });
    Change::Env(changes.env.clone()).apply(config);
    config.labels.retain(|key, _| !changes.unset_labels.contains(key));
    config.labels.extend(changes.labels.iter().map(|(key, value)| (key.clone(), value.clone())));
}
