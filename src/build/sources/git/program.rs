//! Runs the host's git.
//!
//! Theory of operation. git works for a stranger here: the repository may be made to attack who fetches it (attack
//! cases 47 and 48). So it gets an environment of its own, a configuration file of ours ([`super::settings`]), and
//! on every command line what a repository must not change: no hooks, no monitor, no templates, only transports of
//! the network, nothing in the background. It asks nobody for a password. It ends with this process.

use super::output::{Words, read_both, version};
use super::settings::{self, Setting};
use crate::build::sources::remote::GitSource;
use crate::build::sources::report::Progress;
use crate::error::{Context, Error, Kind, Result};
use crate::host::Caller;
use crate::registry::WebTrust;
use crate::storage::{Scratch, record, room};
use crate::sys::fd::worker;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

/// What of the caller's environment git, ssh and credential helpers get.
const PASSED: [&str; 28] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "DBUS_SESSION_BUS_ADDRESS",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LOGNAME",
    "NO_PROXY",
    "PATH",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "GNUPGHOME",
];
/// Where the caller's configuration is, if not at the usual places: read, but not passed on.
const CONFIGURATION: [&str; 3] = ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"];
/// Where programs are if the caller does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// What no configuration changes.
const FIXED: [&str; 17] = [
    "advice.detachedHead=false",
    "core.attributesFile=/dev/null",
    "core.autocrlf=false",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.symlinks=true",
    "credential.interactive=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    // A server that says nothing for a minute is given up.
    "http.lowSpeedLimit=100",
    "http.lowSpeedTime=60",
    "init.defaultBranch=main",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "protocol.fd.allow=never",
    "protocol.file.allow=never",
    "submodule.recurse=false",
];
/// ssh without questions; who is not known yet is refused, as by ssh itself.
const SSH: &str =
    "ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4";
/// Transports for the repository itself.
const TRANSPORTS: &str = "https:http:git:ssh";
/// The same without ssh, whose keys are not bound to a server: for submodules of a repository that needs none.
const TRANSPORTS_WITHOUT_KEYS: &str = "https:http:git";
/// The first version that takes `GIT_CONFIG_GLOBAL`.
const OLDEST: (u32, u32) = (2, 32);
/// The configuration file, in the directory that is worked in.
const CONFIG: &str = "config";
/// The file with the password that was in the address, likewise.
const CREDENTIALS: &str = "credentials";
/// The certificates of those that are trusted, where that was asked for.
const AUTHORITIES: &str = "authorities";
/// Our own certificate, with its key.
const IDENTITY: &str = "identity";
/// git, made ready for one repository.
#[derive(Debug)]
pub(super) struct Git {
    env: Vec<(String, String)>,
    /// What messages call the repository.
    shown: String,
    /// Whether the repository itself is reached by ssh.
    ssh: bool,
}

impl Git {
    /// Looks at the installed version and writes the configuration file for `source` into the scratch directory.
    ///
    /// # Errors
    /// git is missing or too old; the file cannot be written.
    pub(super) fn new(
        scratch: &Scratch,
        source: &GitSource,
        caller: &Caller,
        trust: &WebTrust,
    ) -> Result<Git> {
        let path = scratch.path().to_string_lossy().into_owned();
        let of_caller = |name: &&str| {
            let found = caller.env.iter().find(|(other, _)| other == name);
            found.filter(|(_, value)| !value.is_empty()).cloned()
        };
        let mut env: Vec<(String, String)> = PASSED.iter().filter_map(of_caller).collect();
        let mut default = |name: &str, value: &str| {
            if !env.iter().any(|(other, _)| other == name) {
                env.push((name.to_owned(), value.to_owned()));
            }
        };
        default("PATH", PATH);
        default("LC_ALL", "C");
        default("GIT_TERMINAL_PROMPT", "0");
        // A repository around the store is not the one that is meant.
        let above = scratch.path().parent().unwrap_or(scratch.path());
        default("GIT_CEILING_DIRECTORIES", &above.to_string_lossy());
        let mut git = Git { env, shown: source.url.clone(), ssh: false };
        git.check_version()?;

        let mut theirs = Git { env: git.env.clone(), shown: git.shown.clone(), ssh: false };
        theirs.env.extend(CONFIGURATION.iter().filter_map(of_caller));
        let settings = theirs.settings(&path)?;
        let url = settings::rewritten(&settings, &source.url);
        git.ssh = settings::is_ssh(&url);
        let own_ssh = settings.iter().any(Setting::is_ssh_command)
            || git.env.iter().any(|(name, _)| name.starts_with("GIT_SSH") && !name.starts_with("GIT_SSL"));
        if !own_ssh {
            git.env.push(("GIT_SSH_COMMAND".to_owned(), SSH.to_owned()));
        }
        let secret = source.secret.as_ref();
        let credentials = scratch.path().join(CREDENTIALS);
        let text = settings::written(&settings::chosen(settings, &url, secret, &credentials));
        write(scratch, CONFIG, &text)?;
        if let Some(line) = secret.and_then(|secret| settings::credential(&url, secret)) {
            write(scratch, CREDENTIALS, &line)?;
        }
        if trust.unchecked {
            git.env.push(("GIT_SSL_NO_VERIFY".to_owned(), "1".to_owned()));
        }
        if let Some(certificates) = trust.certificates()? {
            write(scratch, AUTHORITIES, &certificates.trusted)?;
            git.env.push(("GIT_SSL_CAINFO".to_owned(), format!("{path}/{AUTHORITIES}")));
            if let Some(own) = certificates.own {
                write(scratch, IDENTITY, &own)?;
                for name in ["GIT_SSL_CERT", "GIT_SSL_KEY"] {
                    git.env.push((name.to_owned(), format!("{path}/{IDENTITY}")));
                }
            }
        }
        git.env.push(("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()));
        git.env.push(("GIT_CONFIG_GLOBAL".to_owned(), format!("{path}/{CONFIG}")));
        Ok(git)
    }

    fn check_version(&self) -> Result<()> {
        let (_, said, _) = self.answer(self.command("/", TRANSPORTS).arg("version"))?;
        match version(&said) {
            Some(found) if found < OLDEST => {
                let (major, minor) = found;
                let message = format!("git {major}.{minor} is too old to fetch {} safely", self.shown);
                Err(Error::new(Kind::Host, message).hint("Install git 2.32 or newer."))
            }
            _ => Ok(()),
        }
    }

    /// The user's settings that may count.
    fn settings(&self, dir: &str) -> Result<Vec<Setting>> {
        let mut command = self.command(dir, TRANSPORTS);
        command.args(["config", "--null", "--includes", "--get-regexp", settings::PATTERN]);
        // Without any it fails; so it does where one is malformed, of which there is nothing to learn then.
        Ok(settings::read(&self.answer(&mut command)?.1))
    }

    /// git in a directory, with everything but the command.
    fn command(&self, dir: &str, transports: &str) -> Command {
        let mut command = worker("git");
        command.env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.env("GIT_ALLOW_PROTOCOL", transports);
        command.args(["-C", dir]);
        for setting in FIXED {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null());
        command
    }

    /// What a command answers; whether it succeeded comes first.
    fn answer(&self, command: &mut Command) -> Result<(bool, String, Words)> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| self.not_started(e))?;
        let mut words = Words::default();
        let said = read_both(child.stdout.take(), child.stderr.take(), &mut |bytes| {
            words.take(bytes, &mut |_, _| {});
            true
        });
        let status = child.wait().context(Kind::Host, || format!("wait for git about {}", self.shown))?;
        Ok((status.success(), String::from_utf8_lossy(&said).into_owned(), words))
    }

    /// What a command in a directory answers.
    ///
    /// # Errors
    /// When it fails, with its last words.
    pub(super) fn ask(&self, dir: &str, doing: &str, args: &[&str]) -> Result<String> {
        match self.answer(self.command(dir, TRANSPORTS).args(args))? {
            (true, said, _) => Ok(said),
            (false, _, words) => Err(self.failed(doing, &words)),
        }
    }

    /// Runs a command in a directory, and reports the progress that it shows.
    ///
    /// # Errors
    /// As [`Git::ask`]; when the disk is almost full.
    pub(super) fn run(
        &self,
        dir: &str,
        doing: &str,
        args: &[&str],
        report: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        self.watch(self.command(dir, TRANSPORTS).args(args), dir, doing, report)
    }

    /// As [`Git::run`], for submodules.
    ///
    /// # Errors
    /// As there.
    pub(super) fn run_for_submodules(
        &self,
        dir: &str,
        doing: &str,
        args: &[&str],
        report: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let transports = if self.ssh { TRANSPORTS } else { TRANSPORTS_WITHOUT_KEYS };
        self.watch(self.command(dir, transports).args(args), dir, doing, report)
    }

    fn watch(
        &self,
        command: &mut Command,
        dir: &str,
        doing: &str,
        report: &mut dyn FnMut(Progress),
    ) -> Result<()> {
        let what = format!("{doing} {}", self.shown);
        report(Progress::begins(what.clone()));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let place = File::open(dir).context(Kind::Storage, || format!("open {dir}"))?;
        let mut child = command.spawn().map_err(|e| self.not_started(e))?;
        let (mut words, mut room) = (Words::default(), Ok(()));
        read_both(None, child.stderr.take(), &mut |bytes| {
            words.take(bytes, &mut |current, total| {
                report(Progress { what: what.clone(), current, total: Some(total) });
            });
            room = room::check(&place, 0, dir.as_ref());
            room.is_ok()
        });
        if room.is_err() {
            // It ends one way or the other.
            let _ = child.kill();
        }
        let status = child.wait().context(Kind::Host, || format!("wait for git about {}", self.shown))?;
        room?;
        if status.success() { Ok(()) } else { Err(self.failed(doing, &words)) }
    }

    /// A failure of git, with its last words.
    fn failed(&self, doing: &str, words: &Words) -> Error {
        let error = Error::new(Kind::Registry, format!("git failed {doing} {}", self.shown))
            .hint(format!("See what git itself says: git ls-remote {}", self.shown));
        match words.last() {
            said if said.is_empty() => error,
            said => error.caused_by(Error::new(Kind::Registry, said)),
        }
    }

    fn not_started(&self, e: std::io::Error) -> Error {
        if e.kind() == std::io::ErrorKind::NotFound {
            return Error::new(Kind::Host, format!("git is needed to fetch {}", self.shown))
                .caused_by(Error::new(Kind::Host, "the program git was not found"))
                .hint("Install the package git: sudo apt install git (or dnf, zypper).");
        }
        Error::new(Kind::Host, format!("start git to fetch {}", self.shown)).caused_by(e)
    }
}

fn write(scratch: &Scratch, name: &str, text: impl AsRef<[u8]>) -> Result<()> {
    let path = scratch.path().join(name);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(scratch, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(std::io::Error::from);
    let written = opened.and_then(|fd| File::from(fd).write_all(text.as_ref()));
    written.map_err(|e| record::failed("write", &path, e))
}
