//! `coracle login`.

use super::options::login::{AuthFileOptions, login_key};
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Env;
use crate::registry::{Credentials, Keeper, LoginKey, Verdict};
use crate::storage::Store;
use crate::ui;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// Most bytes of a password.
const PASSWORD_MAX: u64 = 64 << 10;
/// What stands for the password itself to docker's users.
const DOCKERS_ADVICE: &str = "Configure a credential helper to remove this warning. See\n\
                              https://docs.docker.com/go/credential-store/";

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Registry: host[:port], or host[:port]/namespace for a part of it
    #[arg(value_name = "REGISTRY")]
    pub registry: Option<String>,
    /// Password; other users of this machine can see it here
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        conflicts_with = "password_stdin",
        help_heading = "Credentials"
    )]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long, help_heading = "Credentials")]
    pub password_stdin: bool,
    /// Read the password from a secret
    #[arg(long, value_name = "SECRET", conflicts_with_all = ["password", "password_stdin"], help_heading = "Credentials")]
    pub secret: Option<String>,
    /// User name
    #[arg(short, long, value_name = "USER", help_heading = "Credentials")]
    pub username: Option<String>,
    /// Where to keep the credentials.
    #[command(flatten)]
    pub file: AuthFileOptions,
    /// Print the user who is logged in, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub get_login: bool,
    /// Print where the credentials are kept
    #[arg(short, long, help_heading = "Output")]
    pub verbose: bool,
    /// Directory with certificates (*.crt, *.cert, *.key) for the registry
    #[arg(long, value_name = "DIR", help_heading = "Registry")]
    pub cert_dir: Option<PathBuf>,
    /// Require https and a valid certificate; false allows plain http and any certificate
    #[arg(long, help_heading = "Registry")]
    pub tls_verify: Option<bool>,
}

/// Verifies credentials and keeps them.
///
/// # Errors
/// Credentials that the registry refuses, a registry that cannot be reached, files that cannot be written.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let engine = super::store::engine(&store, env);
    let key = login_key(engine, args.registry.as_deref())?;
    let keeper = args.file.keeper(engine)?;
    let known = keeper.current(&key)?;
    if args.get_login {
        return match known {
            Some(Credentials::Password { user, .. }) => Ok(ui::printed(&format!("{user}\n"))),
            _ => Err(phrases::not_logged_in(key.as_str())),
        };
    }
    let given = given(args, &store)?;
    let tried = |credentials: Credentials| {
        engine.try_login(&key, credentials, args.tls_verify, args.cert_dir.as_deref())
    };
    let known_user = match &known {
        Some(Credentials::Password { user, .. }) => user.as_str(),
        // Podman leaves these alone, too: they are another program's, or another login's that is better.
        Some(_) if !ui::docker() => {
            return Err(Error::new(
                Kind::Conflict,
                "currently logged in, auth file contains an Identity token",
            )
            .hint(format!("Log out first: coracle logout {key}")));
        }
        _ => "",
    };
    if let (None, None, Some(known @ Credentials::Password { .. })) = (&args.username, &given, &known) {
        ui::out(&match ui::docker() {
            true => "Authenticating with existing credentials...\n".to_owned(),
            false => format!("Authenticating with existing credentials for {key}\n"),
        })?;
        match tried(known.clone())? {
            Verdict::Accepted => {
                let done =
                    format!("Existing credentials are valid. Already logged in to {}\n", key.registry());
                ui::out(if ui::docker() { "Login Succeeded\n" } else { &done })?;
                return Ok(ExitCode::SUCCESS);
            }
            Verdict::Refused => {
                ui::out("Existing credentials are invalid, please enter valid username and password\n")?;
            }
        }
    }
    let (user, password) = complete(args.username.as_deref(), known_user, given)?;
    let credentials = Credentials::typed(&user, password.clone())?;
    match tried(credentials)? {
        Verdict::Accepted => keep(&keeper, &key, &user, &password, args.verbose),
        Verdict::Refused => Err(phrases::login_refused(key.registry(), key.as_str())
            .hint("Check the user name and the password; some registries want a token in its place.")),
    }
}

/// The password, where it need not be asked for.
fn given(args: &Args, store: &Store) -> Result<Option<String>> {
    let unnamed = |option: &str| {
        Error::new(Kind::Usage, format!("must provide --username with {option}"))
            .hint("Add -u USER to the command.")
    };
    let bytes = if let Some(name) = &args.secret {
        if args.username.is_none() {
            return Err(unnamed("--secret"));
        }
        let secret = store.secrets().find(name)?;
        store.secrets().value(&secret.name)?
    } else if args.password_stdin {
        if args.username.is_none() {
            return Err(unnamed("--password-stdin"));
        }
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(PASSWORD_MAX + 1).read_to_end(&mut bytes);
        read.context(Kind::Usage, || "read the password from standard input")?;
        if bytes.len() as u64 > PASSWORD_MAX {
            return Err(Error::new(Kind::Usage, format!("the password is longer than {PASSWORD_MAX} bytes")));
        }
        bytes
    } else {
        if args.password.is_some() && ui::docker() {
            ui::tell("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        return Ok(args.password.clone());
    };
    let text =
        String::from_utf8(bytes).map_err(|_| Error::new(Kind::Usage, "the password is not UTF-8 text"))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Some(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

/// Asks for what is missing.
fn complete(user: Option<&str>, known: &str, password: Option<String>) -> Result<(String, String)> {
    if (user.is_none() || password.is_none()) && !ui::can_ask() {
        return Err(phrases::nobody_to_ask().hint(
            "Give the password on standard input: printf %s \"$TOKEN\" | coracle login -u USER --password-stdin REGISTRY",
        ));
    }
    let ended =
        |what: &str| Error::new(Kind::Usage, format!("getting username and password: reading {what}: EOF"));
    let user = match user {
        Some(user) => user.to_owned(),
        None => {
            let question = if known.is_empty() { "Username: " } else { &format!("Username ({known}): ") };
            let typed = ui::ask(question)?.ok_or_else(|| ended("username"))?;
            // Enter alone takes the one that is shown.
            if typed.trim().is_empty() { known.to_owned() } else { typed.trim().to_owned() }
        }
    };
    let password = match password {
        Some(password) => password,
        None => ui::ask_hidden("Password: ")?.ok_or_else(|| ended("password"))?,
    };
    Ok((user, password))
}

fn keep(keeper: &Keeper, key: &LoginKey, user: &str, password: &str, verbose: bool) -> Result<ExitCode> {
    let kept = keeper.keep(key, user, password)?;
    if !ui::docker() {
        let place = if verbose { format!("Used:  {}\n", kept.place) } else { String::new() };
        ui::out(&format!("{place}Login Succeeded!\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if kept.in_clear {
        let place = &kept.place;
        ui::tell(&format!(
            "WARNING! Your password will be stored unencrypted in {place}.\n{DOCKERS_ADVICE}\n"
        ));
    }
    ui::out("Login Succeeded\n")?;
    Ok(ExitCode::SUCCESS)
}
