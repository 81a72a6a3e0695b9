//! Agents for `--ssh ID=KEY`: a step gets what signs with the keys, and not the keys.
//!
//! Theory of operation. The host's ssh-agent(1) serves them, one for each id. It runs a program that ends when this
//! process does, however that comes, and ends itself after it. Keys reach it through ssh-add(1), whose standard input
//! they are, so that their modes do not matter. Its socket is in a directory that goes with the build.

use super::request::BuildRequest;
use crate::error::{Context, Error, Kind, Result};
use crate::storage::{Scratch, Store};
use crate::sys::fd::command;
use crate::sys::process::{pidfd_open, pidfd_send_signal};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::libc;
use nix::unistd::{Pid, getpid};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The name of a socket in its directory.
const SOCKET: &str = "agent";
/// More bytes than a private key has.
const KEY_MAX: u64 = 1 << 20;

/// The sockets of agents, by id.
#[derive(Debug, Default)]
pub(super) struct Agents {
    sockets: BTreeMap<String, PathBuf>,
    started: Vec<Agent>,
}

impl Agents {
    /// Those of a request: sockets that are there, and agents that are started for keys.
    ///
    /// # Errors
    /// Keys that cannot be used; programs that are not there.
    pub(super) fn start(request: &BuildRequest, store: &Store) -> Result<Agents> {
        let mut agents = Agents::default();
        for (id, paths) in &request.ssh {
            let socket = match paths.as_slice() {
                [one] if is_socket(one) => one.clone(),
                keys => {
                    let agent = Agent::start(id, keys, store)?;
                    let socket = agent.dir.path().join(SOCKET);
                    agents.started.push(agent);
                    socket
                }
            };
            agents.sockets.insert(id.clone(), socket);
        }
        Ok(agents)
    }

    /// The socket of one.
    pub(super) fn socket(&self, id: &str) -> Option<&Path> {
        self.sockets.get(id).map(PathBuf::as_path)
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// An agent that was started; ended on drop.
#[derive(Debug)]
struct Agent {
    dir: Scratch,
    /// What it runs, and ends after.
    child: Child,
    process: OwnedFd,
    owner: Pid,
}

impl Agent {
    fn start(id: &str, keys: &[PathBuf], store: &Store) -> Result<Agent> {
        let dir = store.scratch()?;
        let missing = |program: &'static str| {
            move || {
                format!("--ssh {id}: start {program}, which serves the keys: is openssh-client installed?")
            }
        };
        // A path of its own would be too long for a socket.
        let mut child = command("ssh-agent")
            .args(["-a", SOCKET, "sh", "-c", "echo $SSH_AGENT_PID; exec cat >/dev/null"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(Kind::Host, missing("ssh-agent"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line).context(Kind::Host, missing("ssh-agent"))?;
        }
        let process = line.trim().parse().ok().map(Pid::from_raw);
        let process = process.and_then(|pid| pidfd_open(pid).ok());
        let Some(process) = process else {
            let _ = child.kill().and_then(|()| child.wait());
            return Err(Error::new(Kind::Host, format!("--ssh {id}: ssh-agent does not start"))
                .hint("Give the socket of an agent that runs: coracle build --ssh default ."));
        };
        let agent = Agent { dir, child, process, owner: getpid() };
        for key in keys {
            agent.add(id, key)?;
        }
        Ok(agent)
    }

    fn add(&self, id: &str, path: &Path) -> Result<()> {
        let doing = || format!("--ssh {id}: read {}", path.display());
        let mut key = Vec::new();
        let found = fs::metadata(path).context(Kind::Usage, doing)?;
        if !found.is_file() {
            return Err(Error::new(Kind::Usage, format!("--ssh {id}: {} is not a file", path.display()))
                .hint("Give a private key, or the socket of an agent."));
        }
        let file = File::open(path).context(Kind::Usage, doing)?;
        file.take(KEY_MAX).read_to_end(&mut key).context(Kind::Usage, doing)?;
        let usable = |why: &str| {
            Error::new(Kind::Usage, format!("--ssh {id}: {} {why}", path.display()))
                .hint("Add it to your agent, which may ask for its passphrase: ssh-add FILE; and give --ssh default")
        };
        if is_encrypted(&key) {
            return Err(usable("is a key with a passphrase"));
        }
        let mut adding = command("ssh-add")
            .args(["-q", "-"])
            .current_dir(self.dir.path())
            .env("SSH_AUTH_SOCK", SOCKET)
            // It asks nobody.
            .env("SSH_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context(Kind::Host, || format!("--ssh {id}: start ssh-add"))?;
        if let Some(mut input) = adding.stdin.take() {
            // What reads no more says why by its exit code.
            let _ = input.write_all(&key);
        }
        match adding.wait() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(usable("is no private key")),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A forked process does not end it.
        if self.owner != getpid() {
            return;
        }
        let _ = pidfd_send_signal(self.process.as_fd(), libc::SIGTERM);
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Whether a private key has a passphrase, in the forms that OpenSSH reads.
fn is_encrypted(key: &[u8]) -> bool {
    let text = String::from_utf8_lossy(key);
    let says = |line: &str| {
        (line.starts_with("-----") || line.starts_with("Proc-Type")) && line.contains("ENCRYPTED")
    };
    if text.lines().any(says) {
        return true;
    }
    // PROTOCOL.key: a magic, then the name of the cipher with its length before it.
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let Ok(bytes) = STANDARD.decode(body) else { return false };
    let cipher = bytes.strip_prefix(b"openssh-key-v1\0").and_then(|rest| rest.get(4..8));
    cipher.is_some_and(|cipher| cipher != b"none")
}
