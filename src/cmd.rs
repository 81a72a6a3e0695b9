//! One file per verb: its arguments (whose doc comments are the help) and `run`.

use crate::cli::Command;
use crate::error::Result;
use crate::host::Env;
use crate::ui::Telling;
use crate::{fork, runtime, ui};
use std::process::ExitCode;

pub mod attach;
pub mod auto_update;
pub mod build;
pub mod builder;
pub mod commit;
pub mod completion;
pub mod container;
pub mod context;
pub mod cp;
pub mod create;
mod dialect;
pub mod diff;
pub mod events;
pub mod exec;
mod explain;
pub mod export;
pub mod groups;
pub mod healthcheck;
pub mod history;
pub mod image;
pub mod images;
pub mod import;
pub mod info;
pub mod init;
pub mod inspect;
pub mod kill;
mod linger;
pub mod load;
pub mod login;
pub mod logout;
pub mod logs;
pub mod manifest;
pub mod mount;
pub mod network;
pub mod options;
pub mod pause;
pub mod pod;
pub mod port;
mod pruned;
pub mod ps;
pub mod pull;
pub mod push;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod save;
pub mod search;
pub mod secret;
pub mod start;
pub mod stats;
pub mod stop;
mod store;
pub mod system;
pub mod tag;
pub mod top;
pub mod unmount;
pub mod unshare;
pub mod untag;
pub mod update;
pub mod verbs;
pub mod version;
pub mod volume;
pub mod wait;

use dialect::dialect;
use store::store;

/// Entry points of re-executed stages, by the name that follows `__stage` on the command line.
pub const STAGES: [(&str, fork::Stage); 3] =
    [("init", runtime::init::resumed), ("birth", runtime::birth::resumed), ("exec", runtime::exec::resumed)];

/// Runs the verb. A failure without a hint of its own gets one for what the machine lacks.
///
/// # Errors
/// Whatever the verb reports.
pub fn dispatch(command: Command, env: &Env) -> Result<ExitCode> {
    let verb = match &command {
        Command::Container(args) => groups::telling(args),
        Command::Run(_) | Command::Unshare(_) => Telling::Run,
        Command::Exec(_) => Telling::Exec,
        Command::Start(_) | Command::Attach(_) => Telling::Attached,
        _ => Telling::Success,
    };
    let done = perform(command, env).map_err(|error| explain::explained(error, env));
    if !ui::docker() {
        return done;
    }
    Ok(match done {
        Err(error) => {
            ui::report_of(&error, verb);
            ui::docker_failure(error.kind(), verb)
        }
        Ok(code) => ui::docker_exit_code(code, verb),
    })
}

fn perform(command: Command, env: &Env) -> Result<ExitCode> {
    match command {
        Command::Attach(args) => attach::run(&args, env),
        Command::AutoUpdate(args) => auto_update::run(&args, env),
        Command::Build(args) => build::run(args, env),
        Command::Builder(args) => builder::builder(args, env),
        Command::Buildx(args) => builder::buildx(args, env),
        Command::Commit(args) => commit::run(&args, env),
        Command::Completion(args) => completion::run(&args, env),
        Command::Container(args) => groups::container(args, env),
        Command::Context(args) => context::run(&args, env),
        Command::Create(args) => create::run(args, env),
        Command::Events(args) => events::run(&args, env),
        Command::Cp(args) => cp::run(&args, env),
        Command::Diff(args) => diff::run(&args, diff::DiffTarget::Any, env),
        Command::Exec(args) => exec::run(args, env),
        Command::Export(args) => export::run(&args, env),
        Command::History(args) => history::run(&args, env),
        Command::Healthcheck(args) => healthcheck::run(&args, env),
        Command::Image(args) => groups::image(args, env),
        Command::Images(args) => images::run(&args, env),
        Command::Import(args) => import::run(&args, env),
        Command::Info(args) => info::run(&args, env),
        Command::Init(args) => init::run(&args, env),
        Command::Inspect(args) => inspect::run(&args, env),
        Command::Kill(args) => kill::run(&args, env),
        Command::Load(args) => load::run(&args, env),
        Command::Login(args) => login::run(&args, env),
        Command::Logout(args) => logout::run(&args, env),
        Command::Logs(args) => logs::run(&args, env),
        Command::Manifest(args) => manifest::run(args, env),
        Command::Mount(args) => mount::run(&args, env),
        Command::Network(args) => network::run(args, env),
        Command::Pause(args) => pause::pause(&args, env),
        Command::Pod(args) => pod::run(args, env),
        Command::Port(args) => port::run(&args, env),
        Command::Ps(args) => ps::run(&args, env),
        Command::Pull(args) => pull::run(&args, env),
        Command::Push(args) => push::run(&args, env),
        Command::Rename(args) => rename::run(&args, env),
        Command::Restart(args) => restart::run(&args, env),
        Command::Rm(args) => rm::run(&args, env),
        Command::Rmi(args) => rmi::run(&args, env),
        Command::Run(args) => run::run(args, env),
        Command::Save(args) => save::run(&args, env),
        Command::Start(args) => start::run(&args, env),
        Command::Stats(args) => stats::run(&args, env),
        Command::Search(args) => search::run(&args, env),
        Command::Secret(args) => secret::run(args, env),
        Command::Stop(args) => stop::run(&args, env),
        Command::System(args) => system::run(&args, env),
        Command::Tag(args) => tag::run(&args, env),
        Command::Top(args) => top::run(&args, env),
        Command::Unpause(args) => pause::unpause(&args, env),
        Command::Unmount(args) => unmount::run(&args, env),
        Command::Unshare(args) => unshare::run(&args, env),
        Command::Untag(args) => untag::run(&args, env),
        Command::Update(args) => update::run(&args, env),
        Command::Version(args) => version::run(&args, env),
        Command::Volume(args) => volume::run(args, env),
        Command::Wait(args) => wait::run(&args, env),
    }
}
