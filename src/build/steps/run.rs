//! RUN: a container over the files of the stage.
//!
//! Theory of operation. The container is planned and launched as any other, but its records are in a directory of the
//! build's own, which nobody lists and which goes with the build, and what it changes goes to the directory that will
//! be the layer. Its payload dies with this process. The values of secrets, the caller's proxies and ssh agents are
//! given to the monitor alone: no plan, key or history has them.

use super::command::{SCRIPTS, Work};
use super::container::{self, Running, Streams};
use super::layer::adopt;
use super::mounts::{self, Mounted};
use super::step::Step;
use crate::build::event::{Event, VertexId};
use crate::build::job::Job;
use crate::build::language::{Command, Instruction, Run, Script, Word, mount};
use crate::build::metadata::expand;
use crate::build::state::{Layer, State};
use crate::build::surroundings::Surroundings;
use crate::error::{Error, Kind, Result, phrases};
use crate::runtime::connection::Output;
use crate::spec::NetworkMode;
use crate::storage::build::StepKind;

/// Most bytes of output in one event.
const OUTPUT_MAX: usize = 16 << 10;

/// Prepares a step; `None` when something it depends on is not known yet.
///
/// # Errors
/// Options that are wrong or cannot be had.
pub(super) fn prepare_step(
    job: &Job<'_>,
    state: &State,
    instruction: &Instruction,
    run: &Run,
    before: usize,
    around: &mut dyn Surroundings,
) -> Result<Option<Step<Work>>> {
    let wrong = |why: String| job.fault(instruction.at, why);
    let words = |word: &Word| expand(state, job.escape(), word).map_err(wrong);
    if let Some(security) = run.security.as_ref().map(words).transpose()?
        && security != "sandbox"
    {
        return Err(wrong(format!(
            "--security={security} is not allowed: a build never gives a step more than the account has"
        ))
        .hint(
            "Leave it out, or run the command in the finished image: coracle run --privileged IMAGE COMMAND.",
        ));
    }
    if let Some(device) = run.devices.first() {
        return Err(wrong(format!(
            "--device={} is not allowed: CDI devices are not given to single steps",
            device.0
        ))
        .hint("Give the device to every step: coracle build --device DEVICE ."));
    }
    let network = match run.network.as_ref().map(words).transpose()?.as_deref() {
        None | Some("default" | "") => job.request.run.network.clone(),
        Some("none") => Some(NetworkMode::None),
        Some("host") => Some(NetworkMode::Host),
        Some(other) => {
            return Err(wrong(format!("--network={other} is not known; use default, none or host")));
        }
    };
    let (argv, script) = command(state, &run.command);
    let expanded = |value: &str| expand(state, job.escape(), &Word(value.to_owned()));
    let options =
        run.mounts.iter().map(|word| mount::parse_with(&word.0, expanded)).collect::<Result<Vec<_>>>();
    let options = options.map_err(|e| job.at(instruction.at, e))?;
    let mut mounted = Vec::new();
    for option in options {
        match mounts::find(job, state, option, before, around).map_err(|e| job.at(instruction.at, e))? {
            Some(found) => mounted.push(found),
            None => return Ok(None),
        }
    }
    let told = told(state, &argv, script.as_ref());
    let config = &state.config.config;
    let request = &job.request.run;
    // What the command can see of them; limits of its cgroup only slow it down.
    let surroundings = format!(
        "{:?}",
        (
            (&request.hosts, &request.dns, request.no_hosts, request.no_hostname),
            (&request.devices, &request.groups, &request.ulimits, request.shm_size),
            &request.security,
        )
    );
    let volumes: Vec<&str> = request.mounts.iter().map(|mount| mount.asked.as_str()).collect();
    let key = job.key(
        "run",
        &(
            (state.files(), &argv, &script, &config.env, state.visible_arguments()),
            (&config.user, state.working_directory(), &network),
            mounted.iter().map(Mounted::key).collect::<Vec<_>>(),
            (surroundings, volumes),
        ),
    );
    let work = Work { shown: instruction.original.clone(), argv, script, network, mounts: mounted };
    Ok(Some(Step { key, told, kind: kind(&work), work }))
}

/// What listings of the cache say of the result.
fn kind(work: &Work) -> StepKind {
    let caches = work.mounts.iter().any(Mounted::is_cache);
    if caches { StepKind::CacheMount } else { StepKind::Regular }
}

/// What is executed, and a script that it is.
fn command(state: &State, command: &Command) -> (Vec<String>, Option<(String, String)>) {
    match command.script() {
        Script::Words(words) => (words, None),
        Script::Text(text) => ([state.shell(), vec![text]].concat(), None),
        Script::File { name, content } => {
            // As the kernel does it, which would not execute a file of that file system: `#!`, a program and at most
            // one argument (execve(2)).
            let first = content.lines().next().unwrap_or_default().trim_start_matches("#!").trim();
            let (program, argument) = first.split_once(char::is_whitespace).unwrap_or((first, ""));
            let words = [program, argument.trim()].into_iter().filter(|word| !word.is_empty());
            let words = words.map(str::to_owned).chain([format!("{SCRIPTS}/{name}")]).collect();
            (words, Some((name, content)))
        }
    }
}

/// What history says: docker's words, with the arguments that counted.
fn told(state: &State, argv: &[String], script: Option<&(String, String)>) -> String {
    let arguments = state.visible_arguments();
    let command = script.map_or_else(|| argv.join(" "), |(_, content)| content.clone());
    let mut words: Vec<String> = vec!["RUN".to_owned()];
    if !arguments.is_empty() {
        words.push(format!("|{}", arguments.len()));
        words.extend(arguments.iter().map(|(name, value)| format!("{name}={value}")));
    }
    words.push(command);
    words.push("# buildkit".to_owned());
    words.join(" ")
}

/// A command that ended with another code than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub u8);

/// Runs the container.
///
/// # Errors
/// When it cannot be started. A command that fails is no error here: its code is given.
pub(super) fn perform(
    job: &Job<'_>,
    state: &State,
    work: &Work,
    vertex: VertexId,
    around: &mut dyn Surroundings,
) -> Result<Result<Option<Layer>, Code>> {
    let mut running = container::start(job, state, work, Streams::Output)?;
    let code = loop {
        let (stderr, bytes) = match running.connection.await_output()? {
            Output::Stdout(bytes) => (false, bytes),
            Output::Stderr(bytes) => (true, bytes),
            Output::Exited(code) => break code,
            Output::Lost => {
                return Err(Error::new(Kind::Runtime, "the monitor of the step's container was killed"));
            }
        };
        for part in bytes.chunks(OUTPUT_MAX) {
            around.tell(Event::Output { vertex, stderr, bytes: part.to_vec() });
        }
    };
    let Running { changes, stubs, .. } = running;
    if code != 0 {
        return Ok(Err(Code(code)));
    }
    adopt(job, state, &changes, &stubs).map(Ok)
}

/// The failure of a command.
pub(super) fn failed(work: &Work, code: Code) -> Error {
    phrases::step_failed(&work.shown, &work.argv.join(" "), code.0)
}
