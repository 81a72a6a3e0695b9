//! `coracle secret ...`.

use super::verbs::verbs;
use crate::error::Result;
use crate::host::Env;
use crate::storage::Store;
use crate::storage::secrets::Secret;
use chrono::SecondsFormat;
use serde_json::{Value, json};
use std::process::ExitCode;

pub mod create;
pub mod exists;
pub mod inspect;
pub mod ls;
pub mod rm;

verbs! {
    /// What can be done with secrets.
    pub enum Verb of Args {
        /// Create a secret
        Create(create::Args),
        /// Check whether a secret exists
        Exists(exists::Args),
        /// Show details of secrets, but not their values
        Inspect(inspect::Args),
        /// List secrets
        Ls(ls::Args) = "list",
        /// Remove secrets
        Rm(rm::Args) = "remove",
    }
}

/// Runs a verb of `secret`.
///
/// # Errors
/// Those of the verb.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create::run(args, env),
        Verb::Exists(args) => exists::run(&args, env),
        Verb::Inspect(args) => inspect::run(&args, env),
        Verb::Ls(args) => ls::run(&args, env),
        Verb::Rm(args) => rm::run(&args, env),
    }
}

/// A secret in podman's form.
fn record(store: &Store, secret: &Secret) -> Value {
    let time = |time: &chrono::DateTime<chrono::Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let mut options = json!(secret.driver_options);
    options["path"] = store.secrets().path().to_string_lossy().into();
    json!({
        "ID": secret.id,
        "CreatedAt": time(&secret.created),
        "UpdatedAt": time(&secret.updated),
        "Spec": {
            "Name": secret.name,
            "Driver": { "Name": secret.driver, "Options": options },
            "Labels": secret.labels,
        },
    })
}
