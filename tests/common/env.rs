//! A data root of one's own, and `coracle` called on it.

use super::{ImageBuilder, leftovers, registry, scratch, shared_registry, traces_of, write};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long one command may take before the test is given up. A guard against hanging, no figure.
const GUARD: Duration = Duration::from_secs(180);

/// The program under test: the one cargo has just built, or `CORACLE_TEST_BINARY`.
pub(crate) fn coracle_binary() -> PathBuf {
    std::env::var_os("CORACLE_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_coracle")), PathBuf::from)
}

/// One test's own world: `--root`, `--runroot`, home and temporary directory below one directory.
///
/// Dropping it removes every container, then the directory, then looks for processes and mounts that
/// still name it: a test that leaves any fails.
#[derive(Debug)]
pub(crate) struct TestEnv {
    dir: PathBuf,
    stores: Vec<PathBuf>,
}

impl TestEnv {
    /// An empty data root. `busybox` resolves to the shared local registry for `pull`.
    pub(crate) fn new() -> TestEnv {
        let dir = scratch("e");
        for name in ["home", "tmp", "run"] {
            std::fs::create_dir(dir.join(name)).unwrap_or_else(|e| panic!("create {name}: {e}"));
        }
        TestEnv { dir, stores: Vec::new() }
    }

    /// A data root that sees the images every run test needs (`busybox`) through a shared read-only
    /// store, prepared once per test process.
    pub(crate) fn with_images() -> TestEnv {
        TestEnv::over(shared_store())
    }

    /// A data root that sees the images of another store.
    pub(crate) fn over(store: &Path) -> TestEnv {
        let mut env = TestEnv::new();
        env.stores.push(store.to_owned());
        env
    }

    /// The directory of this test; files of the test's own may be put here.
    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// `--root`.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// `--runroot`.
    pub(crate) fn runroot(&self) -> PathBuf {
        self.dir.join("run/coracle")
    }

    /// Further stores that its images are in.
    pub(crate) fn stores(&self) -> impl Iterator<Item = std::path::Display<'_>> {
        self.stores.iter().map(|store| store.display())
    }

    /// `$HOME` of the commands.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// Writes a file below the test's directory and returns its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(name);
        write(&path, bytes);
        path
    }

    /// A directory with a busybox tree of this test's own, for `--rootfs`.
    pub(crate) fn busybox_rootfs(&self) -> PathBuf {
        let path = self.dir.join("rootfs");
        if !path.exists() {
            super::busybox_tree(&path);
        }
        path
    }

    /// Makes short names (`busybox`) come from `registry`, as a mirror of docker.io.
    pub(crate) fn use_registry(&self, address: &str) {
        let text = format!(
            "unqualified-search-registries = [\"docker.io\"]\n\n[[registry]]\nprefix = \"docker.io\"\n\
             location = \"{address}\"\ninsecure = true\n"
        );
        write(&self.home().join(".config/containers/registries.conf"), text);
    }

    /// A call of `coracle` with these arguments, on this data root.
    pub(crate) fn coracle<I>(&self, args: I) -> Call
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.call(coracle_binary(), args)
    }

    /// The same call under another name.
    pub(crate) fn called<I>(&self, name: &str, args: I) -> Call
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let link = self.dir.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(coracle_binary(), &link).unwrap();
        }
        self.call(link, args)
    }

    fn call<I>(&self, program: impl AsRef<OsStr>, args: I) -> Call
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.root()).arg("--runroot").arg(self.runroot());
        for store in &self.stores {
            command.arg("--storage-opt").arg(format!("additionalimagestore={}", store.display()));
        }
        // To run everything with another overlay than the kernel's.
        if let Some(driver) = std::env::var_os("CORACLE_TEST_OVERLAY") {
            command.arg("--storage-opt").arg([OsStr::new("overlay.driver="), &driver].join(OsStr::new("")));
        }
        command.args(args);
        self.dress(&mut command);
        Call { command, input: None }
    }

    /// Another program in this test's surroundings (home, temporary directory).
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Call {
        let mut command = Command::new(program);
        self.dress(&mut command);
        Call { command, input: None }
    }

    /// The container ids that `ps -aq --no-trunc` lists.
    pub(crate) fn containers(&self) -> Vec<String> {
        self.coracle(["ps", "-aq", "--no-trunc"]).ok().lines()
    }

    fn dress(&self, command: &mut Command) {
        // Nothing of the caller's surroundings may change what a test sees.
        command.env_clear();
        for name in ["PATH", "USER", "LOGNAME", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.home()).env("TMPDIR", self.dir.join("tmp"));
        command.env("XDG_RUNTIME_DIR", self.dir.join("run")).env("LC_ALL", "C.UTF-8");
        command.current_dir(&self.dir);
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        let mut wrong = String::new();
        let has_containers = std::fs::read_dir(self.root().join("containers"))
            .is_ok_and(|mut entries| entries.next().is_some());
        if has_containers {
            let removed = self.coracle(["rm", "-f", "-a", "-t", "0"]).run();
            if removed.code != 0 {
                wrong = format!("rm -f -a -t 0 failed: {}\n", removed.stderr);
            }
        }
        // Deferred work of `--rm` runs comes to its end by itself.
        let begun = Instant::now();
        let mut left = traces_of(&self.dir);
        while !left.is_empty() && begun.elapsed() < Duration::from_secs(15) {
            std::thread::sleep(Duration::from_millis(10));
            left = traces_of(&self.dir);
        }
        if !left.is_empty() {
            wrong.push_str(&format!("processes left behind:\n{left}"));
            left.kill(&self.dir);
        }
        if let Err(why) = self.remove_tree() {
            wrong.push_str(&why);
        }
        if !wrong.is_empty() {
            if std::thread::panicking() {
                eprintln!("{wrong}");
            } else {
                panic!("{wrong}");
            }
        }
    }
}

impl TestEnv {
    /// Pushes an image to the shared registry as `repository[:tag]`, the tag being 1 otherwise, and pulls
    /// it; gives its name and id.
    pub(crate) fn pulled(&self, image: ImageBuilder, name: &str) -> (String, String) {
        let (repository, tag) = name.split_once(':').unwrap_or((name, "1"));
        image.push(shared_registry(), repository, tag);
        let name = shared_registry().reference(repository, tag);
        let id = self.coracle(["pull", "-q", &name]).ok().text().to_owned();
        (name, id)
    }

    /// Removes the directory; what belongs to subordinate ids goes through the program's own means.
    fn remove_tree(&self) -> Result<(), String> {
        if std::fs::remove_dir_all(&self.dir).is_ok() {
            return Ok(());
        }
        let mut call = self.coracle(["unshare", "rm", "-rf"]);
        call.command.arg(&self.dir).current_dir("/");
        let unshare = call.run();
        if !self.dir.exists() {
            return Ok(());
        }
        // Not the program's doing any more: clear up for the others, and say so.
        let _ = Command::new("unshare")
            .args(["--user", "--map-auto", "--map-root-user", "rm", "-rf"])
            .arg(&self.dir)
            .status();
        Err(format!("coracle unshare rm -rf left files of the data root: {}\n", unshare.stderr))
    }
}

/// One call being put together.
#[derive(Debug)]
pub(crate) struct Call {
    command: Command,
    input: Option<Vec<u8>>,
}

impl Call {
    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Call {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<I>(mut self, args: I) -> Call
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    /// What the command reads from standard input; empty by default.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Call {
        self.input = Some(bytes.into());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Call {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Call {
        self.command.env_remove(name);
        self
    }

    /// Sets the working directory; the test's own directory by default.
    pub(crate) fn cwd(mut self, dir: impl AsRef<Path>) -> Call {
        self.command.current_dir(dir);
        self
    }

    /// Runs to the end of the command *and* of its output: a helper that keeps the caller's standard
    /// output makes this fail, as it would make `$(coracle run -d ...)` hang.
    pub(crate) fn run(self) -> Output {
        self.start().wait()
    }

    /// Runs and expects success.
    #[track_caller]
    pub(crate) fn ok(self) -> Output {
        let output = self.run();
        assert_eq!(output.code, 0, "{output}");
        output
    }

    /// Runs and expects this exit code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> Output {
        let output = self.run();
        assert_eq!(output.code, code, "{output}");
        output
    }

    /// Starts without waiting; the output is read in the background.
    pub(crate) fn start(mut self) -> Running {
        let shown = format!("{:?}", self.command);
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("start {shown}: {e}"));
        if let (Some(bytes), Some(mut stdin)) = (self.input.take(), child.stdin.take()) {
            // A command that does not read its input is fine.
            std::thread::spawn(move || {
                let _ = stdin.write_all(&bytes);
            });
        }
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        Running { child, shown, stdout, stderr }
    }

    /// Starts on a new pseudo-terminal.
    pub(crate) fn pty(self) -> expectrl::session::OsSession {
        let shown = format!("{:?}", self.command);
        let mut session = expectrl::Session::spawn(self.command).unwrap_or_else(|e| panic!("{shown}: {e}"));
        session.set_expect_timeout(Some(Duration::from_secs(30)));
        session
    }

    /// The command itself, for tests that arrange descriptors by hand.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }
}

type Collected = std::sync::mpsc::Receiver<Vec<u8>>;

fn collect(pipe: Option<impl Read + Send + 'static>) -> Collected {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    shown: String,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    /// The command's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal);
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits for its end and the end of its output.
    pub(crate) fn wait(mut self) -> Output {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if begun.elapsed() < GUARD => {
                    let pause = begun.elapsed().as_millis().clamp(1, 20) as u64;
                    std::thread::sleep(Duration::from_millis(pause));
                }
                other => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    panic!("{} did not end by itself: {other:?}", self.shown);
                }
            }
        };
        let take = |pipe: &Collected, name: &str| {
            pipe.recv_timeout(Duration::from_secs(20))
                .unwrap_or_else(|_| panic!("{} ended, but something still holds its {name}", self.shown))
        };
        let stdout = take(&self.stdout, "standard output");
        let stderr = take(&self.stderr, "standard error");
        Output::new(std::mem::take(&mut self.shown), status, stdout, stderr)
    }
}

/// What a command said and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// The call, for messages.
    pub(crate) shown: String,
    /// Exit code, or 128+n.
    pub(crate) code: i32,
    /// Standard output as text.
    pub(crate) stdout: String,
    /// Standard error as text.
    pub(crate) stderr: String,
    /// Standard output as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Output {
    fn new(shown: String, status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Output {
        Output {
            shown,
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            bytes: stdout,
        }
    }

    /// Standard output without the white space around it.
    pub(crate) fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.stdout.lines().map(str::to_owned).collect()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self}"))
    }

    /// Expects standard error to hold this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Output {
        assert!(self.stderr.contains(text), "standard error lacks {text:?}: {self}");
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output { shown, code, stdout, stderr, .. } = self;
        write!(f, "{shown}\nexit code {code}\n-- stdout --\n{stdout}\n-- stderr --\n{stderr}")
    }
}

/// The store that all tests of this process share: pulled once, from the shared registry, then only
/// read.
fn shared_store() -> &'static Path {
    static STORE: OnceLock<PathBuf> = OnceLock::new();
    STORE.get_or_init(|| {
        let env = TestEnv::new();
        super::busybox().push(super::shared_registry(), "library/busybox", "latest");
        env.use_registry(super::shared_registry().address());
        env.coracle(["pull", "-q", "busybox"]).ok();
        let root = env.root();
        // The janitor removes it at the end.
        std::mem::forget(env);
        root
    })
}
