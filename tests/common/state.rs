//! What is in a store, in words that mean the same in every copy of it: to hold a store that was broken against
//! what it was before and what it was to become.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The objects of a store and, for containers, where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    things: BTreeMap<String, String>,
    statuses: BTreeMap<String, String>,
}

/// Objects that were seen before, so that they are called the same again.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Containers by id, the oldest first.
    containers: Vec<String>,
    /// What images are called, by id.
    images: BTreeMap<String, String>,
}

/// A container that is listed and about which nothing can be told.
const UNREADABLE: &str = "unreadable";

/// Calls the program on the store in question: what it printed, or why it failed.
pub(crate) type Caller<'a> = &'a dyn Fn(&[&str]) -> Result<String, String>;

impl Known {
    /// Takes up what is in the store now.
    pub(crate) fn learn(&mut self, call: Caller<'_>) -> Result<(), String> {
        for (id, _) in containers(call)? {
            if !self.containers.contains(&id) {
                self.containers.push(id);
            }
        }
        for (name, id) in images(call)? {
            self.images.entry(id).or_insert(name);
        }
        Ok(())
    }
}

impl State {
    /// What is in the store with this data root.
    pub(crate) fn of(root: &Path, known: &Known, call: Caller<'_>) -> Result<State, String> {
        let mut state = State::default();
        let mut names = BTreeSet::new();
        let mut new = 0;
        for (id, rest) in containers(call)? {
            if rest.starts_with("infra of ") {
                state.things.insert(rest, String::new());
                continue;
            }
            let key = match known.containers.iter().position(|known| *known == id) {
                Some(at) => format!("container {at}"),
                None => {
                    new += 1;
                    format!("container new {new}")
                }
            };
            let name = rest.split(' ').next().unwrap_or_default().to_owned();
            if !names.insert(name.clone()) {
                return Err(format!("two containers have the name {name}"));
            }
            let format = "{{.State.Status}}\t{{.HostConfig.RestartPolicy.Name}} {{.Name}}";
            let Ok(seen) = call(&["inspect", "--type=container", "-f", format, &id]) else {
                state.things.insert(key.clone(), UNREADABLE.to_owned());
                continue;
            };
            let (status, settings) = seen.trim().split_once('\t').unwrap_or_default();
            state.things.insert(key.clone(), format!("{rest}, {settings}"));
            state.statuses.insert(key, status.to_owned());
        }
        for (name, id) in images(call)? {
            let image = known.images.get(&id).map_or("a new one", String::as_str);
            state.things.insert(format!("image {name}"), image.to_owned());
        }
        for (name, content) in lists(call)? {
            state.things.insert(format!("list {name}"), content);
        }
        let mut anonymous = 0;
        for name in call(&["volume", "ls", "-q"])?.lines() {
            let content = contents(&root.join("volumes").join(name).join("_data"));
            if name.len() == 64 {
                anonymous += 1;
            }
            let key = if name.len() == 64 { format!("anonymous {anonymous}") } else { name.to_owned() };
            state.things.insert(format!("volume {key}"), content);
        }
        for name in call(&["network", "ls", "-q"])?.lines() {
            let subnets = call(&["network", "inspect", "-f", "{{json .Subnets}}", name])?;
            state.things.insert(format!("network {name}"), subnets);
        }
        for name in call(&["pod", "ps", "--format={{.Name}}"])?.lines() {
            state.things.insert(format!("pod {name}"), String::new());
        }
        for name in call(&["secret", "ls", "--format={{.Name}}"])?.lines() {
            let value = std::fs::read_to_string(root.join("secrets").join(name).join("value"));
            state.things.insert(format!("secret {name}"), value.map_err(|e| format!("secret {name}: {e}"))?);
        }
        Ok(state)
    }

    /// What the objects are called here.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.things.keys()
    }

    /// The same without the new containers that were never started, and the volumes made for those.
    pub(crate) fn without_made(mut self, before: &State) -> State {
        let is_made = |key: &String| !before.things.contains_key(key) && self.statuses[key] == "created";
        let made: Vec<String> = self.statuses.keys().filter(|key| is_made(key)).cloned().collect();
        for key in &made {
            self.things.remove(key);
            self.statuses.remove(key);
        }
        if !made.is_empty() {
            self.things.retain(|key, _| !key.starts_with("volume") || before.things.contains_key(key));
        }
        self
    }

    /// The same with one container, the old one or the new one, where one takes the place of the other.
    pub(crate) fn without_exchange(mut self, before: &State) -> State {
        let new: Vec<String> =
            self.statuses.keys().filter(|key| !before.things.contains_key(*key)).cloned().collect();
        let olds: Vec<String> = self
            .things
            .iter()
            .filter(|(key, thing)| before.things.get(*key).is_some_and(|was| is_provisional(thing, was)))
            .map(|(key, _)| key.clone())
            .collect();
        let has_name = |key: &String| {
            let name = self.things[key].split(' ').next().unwrap_or_default();
            before.things.values().any(|was| was.starts_with(&format!("{name} of ")))
        };
        let gone: Vec<String> = match new.iter().any(has_name) {
            true => olds,
            false => {
                for old in olds {
                    self.things.insert(old.clone(), before.things[&old].clone());
                }
                new
            }
        };
        for key in gone {
            self.things.remove(&key);
            self.statuses.remove(&key);
        }
        self
    }

    /// Whether there is a container about which nothing can be told.
    pub(crate) fn has_unreadable(&self) -> bool {
        self.things.values().any(|thing| thing == UNREADABLE)
    }

    /// Where the containers stand.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = &str> {
        self.statuses.values().map(String::as_str)
    }

    /// Whether every object is as it was before or as it is to be after; only the latter once `done`. The
    /// containers, but for the one that is called `kept`, may have one of these statuses too.
    pub(crate) fn lies_between(
        &self,
        before: &State,
        after: &State,
        statuses: &[&str],
        done: bool,
    ) -> Result<(), String> {
        let keys: BTreeSet<&String> =
            [self, before, after].into_iter().flat_map(|state| state.things.keys()).collect();
        for key in keys {
            let (found, was, will) = (self.things.get(key), before.things.get(key), after.things.get(key));
            // One that nobody has any more is what `volume prune` takes.
            let left_over = key.starts_with("volume anonymous") && found.is_some();
            if found != will && (done || found != was) && !left_over {
                let when = if done { "in the end" } else { "in between" };
                return Err(format!("{key} is {found:?} {when}: before {was:?}, after {will:?}"));
            }
            let status = |of: &State| of.statuses.get(key).cloned();
            let (found, was, will) = (status(self), status(before), status(after));
            let kept = self.things.get(key).is_some_and(|text| text.starts_with("kept "));
            let in_between = !kept && found.as_deref().is_some_and(|found| statuses.contains(&found));
            if found != will && (done || found != was) && !in_between {
                return Err(format!("the status of {key} is {found:?}: before {was:?}, after {will:?}"));
            }
        }
        Ok(())
    }
}

/// Whether what is told of a container differs by the provisional name only that it has.
fn is_provisional(thing: &str, was: &str) -> bool {
    let name = was.split(' ').next().unwrap_or_default();
    thing.split(' ').next().and_then(|now| now.strip_prefix(name)).is_some_and(|rest| rest.len() == 13)
}

/// The containers that are listed, the oldest first: id, then name, image and command.
fn containers(call: Caller<'_>) -> Result<Vec<(String, String)>, String> {
    // An infra container is called by the id of its pod, which is another one each time.
    let format =
        "{{.ID}}\t{{if .IsInfra}}infra of {{.PodName}}{{else}}{{.Names}} of {{.Image}}: {{.Command}}{{end}}";
    let listed = call(&["ps", "-a", "--no-trunc", "--format", format])?;
    Ok(listed.lines().rev().filter_map(split).collect())
}

/// The images that have names, by name, with their ids. One without is what `image prune` takes.
pub(crate) fn images(call: Caller<'_>) -> Result<Vec<(String, String)>, String> {
    let listed = call(&["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}}\t{{.ID}}"])?;
    Ok(listed.lines().filter_map(split).filter(|(name, _)| !name.contains("<none>")).collect())
}

/// The manifest lists that have names, each with what it says of its images, but for their digests.
fn lists(call: Caller<'_>) -> Result<Vec<(String, String)>, String> {
    let filter = ["images", "--filter=manifest=true", "--format={{.Repository}}:{{.Tag}}"];
    let names = call(&filter)?;
    let names = names.lines().filter(|name| !name.contains("<none>"));
    let content = |name: &str| {
        let shown = call(&["manifest", "inspect", name])?;
        let said = shown.lines().filter(|line| !line.contains("\"digest\"") && !line.contains("\"size\""));
        Ok((name.to_owned(), said.map(str::trim).collect()))
    };
    names.map(content).collect()
}

fn split(line: &str) -> Option<(String, String)> {
    line.split_once('\t').map(|(one, other)| (one.to_owned(), other.to_owned()))
}

/// The files of a directory.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// The files in a directory and what is in the small ones.
fn contents(dir: &Path) -> String {
    let mut all: Vec<String> = entries(dir)
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().display().to_string();
            match std::fs::read_to_string(path) {
                Ok(text) if text.len() < 100 => format!("{name}={text:?}"),
                _ => name,
            }
        })
        .collect();
    all.sort();
    all.join(" ")
}
