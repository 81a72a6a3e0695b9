//! A store to break, what is in it, and what must hold after it was broken.

use super::scenarios::Scenario;
use crate::common::{
    Known, Layer, State, TestEnv, busybox, coracle_binary, entries, images, shared_registry,
};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long one command may take, and how long what a killed one has begun may take to come to rest.
const GUARD: Duration = Duration::from_secs(90);
const REST: Duration = Duration::from_secs(15);

/// What every container prints that was made of an image of ours.
const MARK: [&str; 2] = ["cat", "/mark"];

/// A store with bystanders: an image, a container, a volume with data and a secret, all of which must outlive
/// whatever happens to others. Made once, then copied.
#[derive(Debug)]
pub(super) struct Template {
    env: TestEnv,
    pull: String,
}

impl Template {
    pub(super) fn new() -> Template {
        let env = TestEnv::new();
        let image = |mark: &str| {
            let content = Layer::new().dir("content", 0o755).file("content/one", 0o644, "1");
            busybox().layer(content.file("mark", 0o644, format!("{mark}\n")))
        };
        let (kept, _) = env.pulled(image("kept"), "crash/kept:1");
        env.coracle(["tag", &kept, "keep:1"]).ok();
        env.coracle(["untag", "keep:1", &kept]).ok();
        let (other, _) = env.pulled(image("saved"), "crash/saved:1");
        env.coracle(["save", "-q", "-o", "archive.tar", &other]).ok();
        env.coracle(["rmi", &other]).ok();
        image("pulled").push(shared_registry(), "crash/pulled", "1");
        let file = "FROM keep:1\nCOPY mark /mark\nRUN --mount=type=cache,target=/c echo made >/made\n";
        fs::create_dir(env.path().join("context")).unwrap();
        env.file("context/Containerfile", file);
        env.file("context/mark", "made\n");
        env.file("secret", "secret data");
        env.file("list", "another secret");
        env.coracle(["secret", "create", "kept", "secret"]).ok();
        let fill = ["sh", "-c", "echo data >/d/file"];
        env.coracle(["run", "--rm", "--network=none", "-v=kept:/d", "keep:1"]).args(fill).ok();
        env.coracle(["create", "--name=tree", "keep:1"]).ok();
        env.coracle(["export", "-o", "tree.tar", "tree"]).ok();
        env.coracle(["rm", "tree"]).ok();
        // Never started, or its directories could not be copied.
        let kept = ["--name=kept", "--label=keep=1", "--network=none", "-v=kept:/d", "--secret=kept"];
        env.coracle(["create"]).args(kept).args(["keep:1", "cat", "/d/file"]).ok();
        env.coracle(["system", "prune", "-f", "--external"]).ok();
        let trash = env.root().join("trash");
        crate::common::eventually("the trash is empty", || entries(&trash).is_empty());
        let pull = shared_registry().reference("crash/pulled", "1");
        Template { env, pull }
    }

    fn word(&self, word: &str) -> String {
        let file = |name: &str| self.env.path().join(name).display().to_string();
        match word {
            "@pull" => self.pull.clone(),
            "@push" => format!("{}-pushed", self.pull),
            "@archive" => file("archive.tar"),
            "@tree" => file("tree.tar"),
            "@context" => file("context"),
            "@secret" => file("secret"),
            "@tree-list" => file("list"),
            // On the world's own store, by its variables.
            "@mount" => format!("{0} image mount keep:1 && {0} mount one", coracle_binary().display()),
            other => other.to_owned(),
        }
    }
}

/// A copy of the template.
#[derive(Debug)]
pub(super) struct World<'a> {
    template: &'a Template,
    env: TestEnv,
    known: Known,
}

impl World<'_> {
    /// A copy in which a scenario has been prepared, and its state.
    pub(super) fn new<'a>(template: &'a Template, scenario: &Scenario) -> (World<'a>, State) {
        let env = TestEnv::new();
        let copied = env.program("cp").arg("-a").arg(template.env.root()).arg(env.root());
        copied.ok();
        let mut world = World { template, env, known: Known::default() };
        for words in scenario.prepare {
            match words {
                ["@fill-events"] => world.fill_events(),
                ["@killed-build"] => world.kill_a_build(),
                ["@tear"] => world.tear_built_layers(),
                // Whatever its exit code says.
                ["run", ..] => drop(world.act(words, &[])),
                _ => drop(world.call(words).ok()),
            }
        }
        world.at_rest(|state| {
            let starting = state.statuses().find(|status| !["created", "running", "exited"].contains(status));
            starting.map_or(Ok(()), |status| Err(format!("a container is {status}")))
        });
        let mut known = Known::default();
        known.learn(&|words| world.calls(words)).unwrap();
        world.known = known;
        let state = world.state().unwrap();
        (world, state)
    }

    fn fill_events(&self) {
        let current = self.env.root().join("events/current");
        let line = fs::read_to_string(&current).unwrap().lines().next_back().unwrap().to_owned() + "\n";
        fs::write(&current, line.repeat((4 << 20) / line.len() + 1)).unwrap();
    }

    fn kill_a_build(&self) {
        let build = &["build", "-q", "--network=none", "-t=made:1", "@context"];
        self.act(build, &[(super::POINTS, "step.recorded#2=kill")]);
    }

    /// Has the layers that builds have made be such as a power cut leaves: unsynced since another boot.
    fn tear_built_layers(&self) {
        for layer in entries(&self.env.root().join("layers")) {
            let record = fs::read_to_string(layer.join("layer.json")).unwrap();
            let record: serde_json::Value = serde_json::from_str(&record).unwrap();
            if record.get("archive").is_some_and(serde_json::Value::is_u64) {
                fs::write(layer.join("unsynced"), "another boot").unwrap();
            }
        }
    }

    /// Where a file of this world lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.env.path().join(name)
    }

    fn call(&self, words: &[&str]) -> crate::common::Call {
        self.env.coracle(words.iter().map(|word| self.template.word(word)))
    }

    /// Runs a command that may be killed: whatever it started may keep its output.
    pub(super) fn act(&self, words: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
        let mut command = self.call(words).into_command();
        let said = File::create(self.path("said")).unwrap();
        command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
        command.env("CORACLE_ROOT", self.env.root()).env("CORACLE_RUNROOT", self.env.runroot());
        command.envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let begun = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if begun.elapsed() > GUARD => {
                    let _ = child.kill();
                    panic!("{words:?} did not end by itself");
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let code = std::os::unix::process::ExitStatusExt::signal(&status)
            .map_or_else(|| status.code().unwrap_or(-1), |signal| 128 + signal);
        (code, fs::read_to_string(self.path("said")).unwrap())
    }

    fn calls(&self, words: &[&str]) -> Result<String, String> {
        let output = self.call(words).run();
        if output.code == 0 { Ok(output.stdout) } else { Err(output.to_string()) }
    }

    /// What is in the store now.
    fn state(&self) -> Result<State, String> {
        State::of(&self.env.root(), &self.known, &|words| self.calls(words))
    }

    /// The state once it is as it should be; panics when it does not come to that.
    pub(super) fn at_rest(&self, right: impl Fn(&State) -> Result<(), String>) -> State {
        let begun = Instant::now();
        loop {
            let state = self.state();
            let wrong = match &state {
                Ok(state) => right(state).err(),
                Err(error) => Some(error.clone()),
            };
            match (state, wrong) {
                (Ok(state), None) => return state,
                (state, Some(wrong)) if begun.elapsed() > REST => panic!("{wrong}\n{state:#?}"),
                _ => std::thread::sleep(Duration::from_millis(30)),
            }
        }
    }

    /// The state after an act that nobody has disturbed.
    pub(super) fn rested(&self) -> State {
        let last = std::cell::RefCell::new(State::default());
        self.at_rest(|state| {
            std::thread::sleep(Duration::from_millis(150));
            match last.replace(state.clone()) == *state {
                true => Ok(()),
                false => Err("the store does not come to rest".to_owned()),
            }
        })
    }

    /// Every image with a name shows its content, and every container reads the data of its volume.
    pub(super) fn contents_are_whole(&self) {
        for (name, _) in images(&|words| self.calls(words)).unwrap() {
            let run = ["run", "--rm", "--pull=never", "--network=none", &name];
            let mark = self.call(&run).args(MARK).ok();
            assert!(["kept", "made", "saved", "pulled"].contains(&mark.text()), "{name}: {mark}");
        }
    }

    /// The commands that follow work without any advice.
    pub(super) fn next_commands_work(&self) {
        for words in [
            &["ps", "-a"][..],
            &["images", "-a"],
            &["volume", "ls"],
            &["secret", "ls"],
            &["network", "ls"],
            &["network", "create", "next"],
            &["network", "rm", "next"],
            &["system", "df"],
            &["events", "--since=1h", "--stream=false"],
            &["create", "--name=next", "--network=none", "-v=next:/d", "keep:1", "true"],
            &["start", "-a", "next"],
            &["rm", "next"],
            &["volume", "rm", "next"],
        ] {
            let output = self.call(words).ok();
            assert!(!output.stderr.contains("damaged"), "{output}");
        }
        // One that was made is whole; what is missing of it is made now.
        for made in self.call(&["ps", "-aq", "--filter=status=created", "--filter=label!=keep"]).ok().lines()
        {
            self.call(&["start", &made]).ok();
        }
        let run = ["run", "--rm", "--network=none", "-v=kept:/d", "keep:1", "cat", "/d/file"];
        assert_eq!(self.call(&run).ok().text(), "data");
        assert_eq!(self.call(&["start", "-a", "kept"]).ok().text(), "data");
    }

    /// `system check` finds nothing, or what it can repair; gives what it found.
    pub(super) fn check(&self) -> Option<String> {
        let found = self.call(&["system", "check"]).run();
        if found.code == 0 {
            return None;
        }
        self.call(&["system", "check", "--repair"]).ok();
        self.call(&["system", "check"]).ok();
        Some(found.stdout)
    }

    /// Removes all objects; nothing may be left then.
    pub(super) fn removing_all_leaves_nothing(&self) {
        self.env.removing_all_leaves_nothing();
    }
}
