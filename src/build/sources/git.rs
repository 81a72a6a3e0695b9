//! Git repositories, fetched with the host's git.
//!
//! Theory of operation. A [`Repository`] is first asked for its commit ([`Repository::resolve`]), which needs one
//! answer of the server, or none where the address names a commit: who has the result for that commit already need
//! not fetch. [`Repository::fetch`] then gets as little as the server gives: the one commit without its history.
//! Servers that refuse that, or a commit whose id was shortened, cost the whole history. Submodules follow under the
//! same limits. All of it happens in a directory of the store's `tmp/`, and what is handed out is a descriptor of the
//! tree, or of the directory in it that is wanted.

mod checkout;
mod output;
mod program;
mod settings;

use super::remote::GitSource;
use super::report::Progress;
use super::tree;
use crate::error::{Error, Kind, Result};
use crate::host::Caller;
use crate::registry::WebTrust;
use crate::storage::{Scratch, Store};
use program::Git;
use std::cell::OnceCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Shortest beginning of a commit's id that git takes for one.
const SHORTEST_ID: usize = 4;

/// A repository to be fetched.
#[derive(Debug)]
pub struct Repository {
    scratch: Scratch,
    git: Git,
    source: GitSource,
    /// The answer of [`Repository::resolve`], which is asked for once.
    resolved: OnceCell<Option<Resolved>>,
}

/// What a repository has under the wanted name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit's id, whole.
    pub commit: String,
    /// The id of the annotated tag that names it, if one does.
    pub tag: Option<String>,
    /// The full name of the reference; none where the address itself names the commit.
    name: Option<String>,
}

/// A checked-out commit, deleted on drop.
#[derive(Debug)]
pub struct Checkout {
    scratch: Scratch,
    root: OwnedFd,
    /// The commit's id, whole.
    pub commit: String,
}

impl Checkout {
    /// The wanted directory (`O_PATH`).
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// That directory, and what deletes it on drop.
    pub(super) fn into_parts(self) -> (OwnedFd, Scratch) {
        (self.root, self.scratch)
    }
}

impl Repository {
    /// Makes ready for fetching; nothing is sent yet. Runs programs, so this process must have one thread.
    ///
    /// # Errors
    /// git is missing or too old; certificates that cannot be read.
    pub fn open(store: &Store, source: &GitSource, caller: &Caller, trust: &WebTrust) -> Result<Repository> {
        let scratch = store.scratch()?;
        let git = Git::new(&scratch, source, caller, trust)?;
        Ok(Repository { scratch, git, source: source.clone(), resolved: OnceCell::new() })
    }

    /// Which commit is wanted; `None` where only fetching tells, since the address has the beginning of an id.
    ///
    /// # Errors
    /// The repository cannot be reached or lacks the reference; the commit is another one than it must be.
    pub fn resolve(&self) -> Result<Option<&Resolved>> {
        let found = match self.resolved.get() {
            Some(known) => known,
            None => {
                let found = self.look_up()?;
                self.resolved.get_or_init(|| found)
            }
        };
        Ok(found.as_ref())
    }

    fn look_up(&self) -> Result<Option<Resolved>> {
        let wanted = self.source.reference.as_deref();
        let found = match wanted {
            Some(id) if is_whole(id) => Some(Resolved { commit: id.to_owned(), tag: None, name: None }),
            _ => {
                let name = wanted.unwrap_or("HEAD");
                let peeled = format!("{name}^{{}}");
                let dir = self.scratch.path().to_string_lossy();
                let args = ["ls-remote", "--quiet", "--", &self.source.url, name, &peeled];
                pick(&self.git.ask(&dir, "looking at", &args)?, name)
            }
        };
        match (found, wanted) {
            (Some(found), _) => {
                self.check(&found.commit, found.tag.as_deref())?;
                Ok(Some(found))
            }
            (None, Some(id)) if is_id(id) => Ok(None),
            (None, _) => Err(self.unknown()),
        }
    }

    fn unknown(&self) -> Error {
        let url = &self.source.url;
        let message = match &self.source.reference {
            Some(name) => format!("{url} has no reference {name:?}"),
            None => format!("{url} has no default branch"),
        };
        Error::new(Kind::NotFound, message).hint(format!("See which there are: git ls-remote {url}"))
    }

    /// Holds ids against the one that is promised.
    fn check(&self, commit: &str, tag: Option<&str>) -> Result<()> {
        let Some(promised) = &self.source.checksum else { return Ok(()) };
        if [Some(commit), tag].into_iter().flatten().any(|id| id.starts_with(promised.as_str())) {
            return Ok(());
        }
        let message = format!("{}: expected checksum to match {promised}, got {commit}", self.source.url);
        Err(Error::new(Kind::Image, message))
    }

    /// Fetches the commit and its submodules. `keep` leaves `.git` in place, as does the address if it says so.
    ///
    /// # Errors
    /// As [`Repository::resolve`]; the wanted directory is missing or elsewhere; the disk is full.
    pub fn fetch(self, keep: bool, report: &mut dyn FnMut(Progress)) -> Result<Checkout> {
        let resolved = self.resolve()?;
        let keep = self.source.keep_git_dir.unwrap_or(keep);
        let (tree, path) = tree::make(&self.scratch)?;
        let dir = path.to_string_lossy();

        let commit = self.history(&dir, resolved, report)?;
        let args = ["checkout", "--quiet", "--force", "--detach", commit.as_str()];
        self.git.run(&dir, "checking out", &args, report)?;
        let submodules = self.source.submodules && checkout::has_submodules(tree.as_fd());
        if submodules {
            self.submodules(&dir, report)?;
        }
        if !keep {
            checkout::forget_history(tree.as_fd(), submodules, &path)?;
        }
        let root = checkout::directory(tree.as_fd(), self.source.subdir.as_deref(), &self.source.url)?;
        Ok(Checkout { scratch: self.scratch, root, commit })
    }

    /// Makes a repository that has the wanted commit; returns that one's id.
    fn history(
        &self,
        dir: &str,
        resolved: Option<&Resolved>,
        report: &mut dyn FnMut(Progress),
    ) -> Result<String> {
        let long = resolved.is_some_and(|found| found.commit.len() == 64);
        let mut init = vec!["init", "--quiet", "--template="];
        init.extend(long.then_some("--object-format=sha256"));
        self.git.run(dir, "preparing", &init, report)?;
        // An address without its password, so `.git` may be kept.
        self.git.ask(dir, "preparing", &["remote", "add", "origin", &self.source.url])?;
        let wanted = resolved.map(|found| match &found.name {
            None => found.commit.clone(),
            Some(name) => refspec(name),
        });
        let mut args = vec!["fetch", "--progress", "--no-tags", "--force", "--depth=1", "origin"];
        if let Some(wanted) = &wanted {
            args.push(wanted);
            match self.git.run(dir, "fetching", &args, report) {
                Ok(()) => return self.identify(dir, "FETCH_HEAD"),
                Err(e) => log::info!("{}; fetching the whole history", e.in_one_line()),
            }
        }
        let mut args = vec!["fetch", "--progress", "--tags", "--force", "origin"];
        args.push("+refs/heads/*:refs/remotes/origin/*");
        let named = resolved.and_then(|found| found.name.as_ref()).and(wanted.as_deref());
        args.extend(named.filter(|spec| !spec.starts_with("+refs/heads/")));
        self.git.run(dir, "fetching", &args, report)?;
        let commit = resolved.map(|found| found.commit.as_str());
        self.identify(dir, commit.or(self.source.reference.as_deref()).unwrap_or("FETCH_HEAD"))
    }

    /// The id of the commit that a name means, which must be the promised one.
    fn identify(&self, dir: &str, name: &str) -> Result<String> {
        let id = |name: &str| {
            let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", name];
            self.git.ask(dir, "looking at", &args).map(|said| said.trim().to_owned())
        };
        let commit = id(&format!("{name}^{{commit}}")).map_err(|_| self.unknown())?;
        if !is_whole(&commit) {
            return Err(self.unknown());
        }
        if self.source.checksum.is_some() {
            let named = id(name)?;
            self.check(&commit, (named != commit).then_some(named.as_str()))?;
        }
        Ok(commit)
    }

    fn submodules(&self, dir: &str, report: &mut dyn FnMut(Progress)) -> Result<()> {
        const DOING: &str = "fetching submodules of";
        let all = ["submodule", "update", "--init", "--recursive", "--force", "--progress", "--depth=1"];
        match self.git.run_for_submodules(dir, DOING, &all, report) {
            Ok(()) => Ok(()),
            // A server that has the commit need not give it away alone.
            Err(e) => {
                log::info!("{}; fetching their whole history", e.in_one_line());
                self.git.run_for_submodules(dir, DOING, &all[..all.len() - 1], report)
            }
        }
    }
}

/// What is fetched where, so that a kept repository has it under its usual name.
fn refspec(name: &str) -> String {
    match (name.strip_prefix("refs/heads/"), name.starts_with("refs/tags/")) {
        (Some(branch), _) => format!("+{name}:refs/remotes/origin/{branch}"),
        (None, true) => format!("+{name}:{name}"),
        _ => name.to_owned(),
    }
}

/// Whether it is the beginning of an object's id, and may be one in full.
fn is_id(text: &str) -> bool {
    (SHORTEST_ID..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether it is an object's id in full: of SHA-1 or SHA-256.
fn is_whole(text: &str) -> bool {
    is_id(text) && matches!(text.len(), 40 | 64)
}

/// What the list of `git ls-remote` has under a name: as it is, as a branch or as a tag, in this order, as
/// git-checkout(1) takes it. The list may have other references that end alike.
fn pick(list: &str, name: &str) -> Option<Resolved> {
    let lines: Vec<(&str, &str)> = list.lines().filter_map(|line| line.split_once('\t')).collect();
    let id = |full: &str| lines.iter().find(|(id, other)| *other == full && is_whole(id)).map(|(id, _)| *id);
    let short = name.strip_prefix("refs/").unwrap_or(name);
    let names =
        [name.to_owned(), format!("refs/{short}"), format!("refs/heads/{name}"), format!("refs/tags/{name}")];
    let full = names.into_iter().find(|full| id(full).is_some())?;
    let own = id(&full)?;
    let peeled = id(&format!("{full}^{{}}"));
    Some(Resolved {
        commit: peeled.unwrap_or(own).to_owned(),
        tag: peeled.map(|_| own.to_owned()),
        name: Some(full),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_git_takes_them_for() {
        let ids: Vec<String> = (0..6).map(|n| n.to_string().repeat(40)).collect();
        let list = format!(
            "{}\tHEAD\n{}\trefs/heads/v1\n{}\trefs/heads/x/v2\n{}\trefs/tags/v2\n{}\trefs/tags/v2^{{}}\n{}\trefs/pull/1/head\nbad\trefs/heads/bad\n",
            ids[0], ids[1], ids[2], ids[3], ids[4], ids[5]
        );
        let found =
            |name: &str| pick(&list, name).map(|found| (found.commit, found.tag, found.name.unwrap()));
        let plain = |id: usize, full: &str| Some((ids[id].clone(), None, full.to_owned()));
        let tagged = Some((ids[4].clone(), Some(ids[3].clone()), "refs/tags/v2".to_owned()));
        assert_eq!(found("HEAD"), plain(0, "HEAD"));
        assert_eq!(found("v1"), plain(1, "refs/heads/v1"));
        assert_eq!(found("heads/v1"), plain(1, "refs/heads/v1"));
        assert_eq!(found("v2"), tagged);
        assert_eq!(found("refs/tags/v2"), tagged);
        assert_eq!(found("x/v2"), plain(2, "refs/heads/x/v2"));
        assert_eq!(found("pull/1/head"), plain(5, "refs/pull/1/head"));
        assert_eq!(found("head"), None);
        assert_eq!(found("bad"), None);
    }

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_whole(&"a".repeat(40)) && is_whole(&"0".repeat(64)));
        assert!(is_id("d4f088e") && !is_whole("d4f088e"));
        for no in ["abc", "main", "D4F088E", "", "g123456"] {
            assert!(!is_id(no), "{no}");
        }
        assert_eq!(refspec("refs/heads/a/b"), "+refs/heads/a/b:refs/remotes/origin/a/b");
        assert_eq!(refspec("refs/tags/v1"), "+refs/tags/v1:refs/tags/v1");
        assert_eq!(refspec("HEAD"), "HEAD");
    }
}
