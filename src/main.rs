//! Entry point: parse, build the environment, dispatch, print the error, exit.

use coracle::{cli, cmd, fork, host, ui};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A file that may not grow further is an error that is reported and cleaned up after, no reason to die.
    fork::survive_size_limits();
    // Re-executed stages skip the command line's tree: it costs a millisecond.
    if let Some(code) = fork::run_stage_if_asked(&cmd::STAGES) {
        return code;
    }
    fork::begin_afresh();
    if let Some(version) = cli::version_if_asked() {
        return ui::printed(&version);
    }
    // A stage was handed its descriptors on purpose; a command was not.
    fork::note_inherited();
    if std::env::var_os(cmd::completion::VARIABLE).is_some() {
        clap_complete::CompleteEnv::with_factory(cli::completed).var(cmd::completion::VARIABLE).complete();
    }
    let cli = match cli::read(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(refused) => return ui::usage(&refused.error, &refused.tree),
    };
    let accepted = &cli.global.accepted;
    let result = ui::divert(accepted.out.as_deref(), accepted.noout)
        .and_then(|()| host::Env::new(&cli.global))
        .and_then(|env| cmd::dispatch(cli.command, &env));
    result.unwrap_or_else(|error| ui::fail(&error))
}
