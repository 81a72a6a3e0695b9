//! `coracle secret create`.

use crate::container::Name;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Env;
use crate::plan::option_values::Pair;
use crate::storage::secrets::{FILE, Secret, VALUE_MAX};
use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

/// Arguments of `secret create`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    pub name: Name,
    /// File with the value, or - for standard input; with --env, a variable
    #[arg(value_name = "FILE")]
    pub source: String,
    /// Driver of the secret: file
    #[arg(short, long, value_name = "DRIVER", default_value = FILE)]
    pub driver: String,
    /// Option of the driver
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub driver_opts: Vec<Pair>,
    /// Take the value from an environment variable
    #[arg(long)]
    pub env: bool,
    /// Do not fail if it already exists
    #[arg(short, long, conflicts_with = "replace")]
    pub ignore: bool,
    /// Label; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<Pair>,
    /// Replace the value of an existing secret; containers keep the old one
    #[arg(long)]
    pub replace: bool,
}

/// Makes a secret and prints its identifier.
///
/// # Errors
/// A name that is taken, a value that cannot be read, is empty or larger than 512 kB.
pub fn run(args: Args, env: &Env) -> Result<ExitCode> {
    if args.driver != FILE {
        return Err(Error::new(
            Kind::Usage,
            format!("secret driver {:?} is not supported: it would run another program", args.driver),
        )
        .hint("Leave it out; the driver is file."));
    }
    let store = crate::cmd::store(env)?;
    if args.ignore
        && let Some(secret) = store.secrets().get(&args.name)?
    {
        crate::ui::out(&format!("{}\n", secret.id))?;
        return Ok(ExitCode::SUCCESS);
    }
    let value = value(&args)?;
    let mut secret = Secret::new(args.name)?;
    secret.labels = args.label.into_iter().map(|pair| (pair.key, pair.value)).collect();
    secret.driver_options = args.driver_opts.into_iter().map(|pair| (pair.key, pair.value)).collect();
    let made = store.secrets().create(secret, &value, args.replace)?;
    crate::ui::out(&format!("{}\n", made.id))?;
    Ok(ExitCode::SUCCESS)
}

fn value(args: &Args) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    // One byte more than is allowed tells that there is more.
    let limit = VALUE_MAX as u64 + 1;
    match args.source.as_str() {
        variable if args.env => {
            let found = std::env::var_os(variable).ok_or_else(|| {
                Error::new(Kind::Usage, format!("environment variable {variable} is not set"))
                    .hint("Leave --env out to name a file.")
            })?;
            value = found.into_encoded_bytes();
        }
        "-" => {
            let read = std::io::stdin().lock().take(limit).read_to_end(&mut value);
            read.context(Kind::Usage, || "read the secret from standard input")?;
        }
        path => {
            let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut value));
            read.context(Kind::Usage, || format!("read the secret from {path}"))?;
        }
    }
    Ok(value)
}
