//! What an address of a build context or of ADD is: a git repository, a file of a web server, or none of both. Pure.
//!
//! Forms: Dockerfile reference, "Adding files from a Git repository" and "Adding files from a remote URL"; Docker's
//! manual, "Build context", "Git repositories"; podman-build(1).

use super::address::{Address, Secret, decoded, pairs, tail};
use crate::error::{Error, Kind, Result};
use crate::text::boolean;

/// Something that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// A git repository.
    Git(GitSource),
    /// A file of a web server.
    Http(HttpSource),
}

/// A git repository, and what is wanted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// Where it is, in a form that git takes, without a password.
    pub url: String,
    /// The user name and the password that stood in the address of a web server.
    pub secret: Option<Secret>,
    /// A branch, a tag, a full name of a reference or a commit; the default branch otherwise.
    pub reference: Option<String>,
    /// The directory that is wanted, relative and without `..`; everything otherwise.
    pub subdir: Option<String>,
    /// The beginning of the id that the commit or the tag must have, in lower case.
    pub checksum: Option<String>,
    /// Whether `.git` is kept, if the address says so.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are fetched too.
    pub submodules: bool,
}

/// A file of a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSource {
    /// Its address, without user and fragment. A query may be as good as a password: messages show
    /// [`HttpSource::shown`].
    pub url: String,
    /// The user name and the password that stood in it.
    pub secret: Option<Secret>,
    /// The name that its path gives it.
    pub file_name: Option<String>,
    shown: String,
}

impl HttpSource {
    /// The address for messages, without user and query.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// Schemes of git that are not those of the web.
const GIT_SCHEMES: [&str; 2] = ["git", "ssh"];
/// Transports of git that run programs or read files of this machine.
const LOCAL: [&str; 3] = ["file", "ext", "fd"];
/// The host whose repositories need no more than their names in a build context.
const GITHUB: &str = "github.com";

/// What a build context is; `None` for what can only be a path.
///
/// # Errors
/// [`Kind::Usage`] for a malformed address and for transports of git that are not for strangers.
pub fn of_context(text: &str) -> Result<Option<Remote>> {
    if text.strip_prefix(GITHUB).is_some_and(|rest| rest.starts_with('/')) {
        let full = format!("https://{text}");
        return Address::of(&full).map(|address| web_repository(&full, &address)).transpose();
    }
    // A page about a repository is no context, so this can only mean the repository.
    if let Some(address) = Address::of(text).filter(|address| is_repository_page(address)) {
        return web_repository(text, &address).map(Some);
    }
    of_source(text)
}

/// What a source of ADD is; `None` for what can only be a path.
///
/// # Errors
/// As [`of_context`].
pub fn of_source(text: &str) -> Result<Option<Remote>> {
    if let Some((transport, _)) = text.split_once("::")
        && LOCAL.contains(&transport.to_ascii_lowercase().as_str())
    {
        return Err(not_for_strangers(transport));
    }
    let Some(address) = Address::of(text) else { return Ok(over_ssh(text)?.map(Remote::Git)) };
    match address.scheme.to_ascii_lowercase().as_str() {
        "http" | "https" if address.path.ends_with(".git") => web_repository(text, &address).map(Some),
        "http" | "https" => http(text, &address).map(|file| Some(Remote::Http(file))),
        scheme if GIT_SCHEMES.contains(&scheme) => {
            check(text, &address)?;
            let user = address.user.map(|user| user.split(':').next().unwrap_or(user));
            let user = user.map(|user| format!("{user}@")).unwrap_or_default();
            let url = format!("{scheme}://{user}{}{}", address.host, address.path);
            let fragment = address.fragment.map(decoded);
            source(url, None, fragment.as_deref(), address.query).map(|git| Some(Remote::Git(git)))
        }
        scheme if LOCAL.contains(&scheme) => Err(not_for_strangers(scheme)),
        _ => Ok(None),
    }
}

/// What an address of a web server is when it can only mean a file; `None` for what is none.
///
/// # Errors
/// [`Kind::Usage`] for a malformed address.
pub fn of_web_file(text: &str) -> Result<Option<HttpSource>> {
    let Some(address) = Address::of(text) else { return Ok(None) };
    let is_web = ["http", "https"].iter().any(|scheme| address.scheme.eq_ignore_ascii_case(scheme));
    is_web.then(|| http(text, &address)).transpose()
}

fn not_for_strangers(transport: &str) -> Error {
    Error::new(Kind::Usage, format!("git's transport {transport} is not allowed here"))
        .hint("Give a directory by its path, or a repository by an address of https, ssh or git.")
}

/// Whether it is `http(s)://github.com/OWNER/REPOSITORY`.
fn is_repository_page(address: &Address<'_>) -> bool {
    let web = ["http", "https"].iter().any(|scheme| address.scheme.eq_ignore_ascii_case(scheme));
    let parts: Vec<&str> = address.path.trim_matches('/').split('/').collect();
    web && address.host.eq_ignore_ascii_case(GITHUB)
        && parts.len() == 2
        && parts.iter().all(|part| !part.is_empty())
}

/// A repository of a web server.
fn web_repository(text: &str, address: &Address<'_>) -> Result<Remote> {
    check(text, address)?;
    let fragment = address.fragment.map(decoded);
    let url = address.plain();
    source(url, address.secret(), fragment.as_deref(), address.query).map(Remote::Git)
}

fn http(text: &str, address: &Address<'_>) -> Result<HttpSource> {
    check(text, address)?;
    let shown = address.plain();
    let query = address.query.map(|query| format!("?{query}")).unwrap_or_default();
    Ok(HttpSource {
        url: format!("{shown}{query}"),
        secret: address.secret(),
        file_name: address.file_name(),
        shown,
    })
}

/// `USER@HOST:PATH`, as ssh and scp have it.
fn over_ssh(text: &str) -> Result<Option<GitSource>> {
    let (rest, query, fragment) = tail(text);
    let Some((user, place)) = rest.split_once('@') else { return Ok(None) };
    let Some((host, path)) = place.split_once(':') else { return Ok(None) };
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    if !word(user, b"-_.~") || !word(host, b"-.") {
        return Ok(None);
    }
    if [user, host, path].iter().any(|part| part.starts_with('-')) || has_control(rest) {
        return Err(malformed(rest));
    }
    if path.is_empty() {
        return Err(Error::new(Kind::Usage, format!("{rest} names no repository")));
    }
    source(rest.to_owned(), None, fragment, query).map(Some)
}

/// Refuses what a program could take for an option, and what is not printable (argument injection).
fn check(text: &str, address: &Address<'_>) -> Result<()> {
    let option = |part: &str| part.starts_with('-');
    let bad = address.host.is_empty()
        || option(address.host)
        || address.user.is_some_and(option)
        || option(address.path.trim_start_matches('/'))
        || has_control(text)
        || text.contains([' ', '\\', '"']);
    if bad { Err(malformed(&address.plain())) } else { Ok(()) }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn malformed(shown: &str) -> Error {
    Error::new(Kind::Usage, format!("{shown:?} is not a valid address"))
}

/// Puts together what the address, its fragment (`REF:SUBDIR`) and its query say.
fn source(
    url: String,
    secret: Option<Secret>,
    fragment: Option<&str>,
    query: Option<&str>,
) -> Result<GitSource> {
    let mut found = GitSource {
        url,
        secret,
        reference: None,
        subdir: None,
        checksum: None,
        keep_git_dir: None,
        submodules: true,
    };
    if let Some(fragment) = fragment {
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        found.reference = (!reference.is_empty()).then(|| reference.to_owned());
        found.subdir = (!subdir.is_empty()).then(|| subdir.to_owned());
    }
    if let Some(query) = query {
        found.read(query)?;
    }
    if let Some(reference) = &found.reference {
        check_reference(reference)?;
    }
    if let Some(subdir) = found.subdir.take() {
        found.subdir = directory(&subdir)?;
    }
    if let Some(checksum) = found.checksum.take() {
        let checksum = commit(&checksum)?;
        found.reference.get_or_insert_with(|| checksum.clone());
        found.checksum = Some(checksum);
    }
    Ok(found)
}

impl GitSource {
    /// Reads the keys of the query.
    fn read(&mut self, query: &str) -> Result<()> {
        let (mut tag, mut branch) = (None, None);
        for (key, value) in pairs(query) {
            let value = value.filter(|value| !value.is_empty());
            match key.as_str() {
                "keep-git-dir" => self.keep_git_dir = Some(truth(&key, value.as_deref())?),
                "submodules" => self.submodules = truth(&key, value.as_deref())?,
                "ref" => set(&mut self.reference, &key, value)?,
                "subdir" => set(&mut self.subdir, &key, value)?,
                "checksum" | "commit" => set(&mut self.checksum, &key, value)?,
                "tag" => set(&mut tag, &key, value)?,
                "branch" => set(&mut branch, &key, value)?,
                _ => return Err(unknown(&key)),
            }
        }
        for (key, name, below) in [("tag", tag, "refs/tags/"), ("branch", branch, "refs/heads/")] {
            let Some(name) = name else { continue };
            let full = if name.starts_with(below) { name } else { format!("{below}{name}") };
            set(&mut self.reference, key, Some(full))?;
        }
        Ok(())
    }

    /// Makes `--checksum` of ADD the one that the commit must have.
    ///
    /// # Errors
    /// What is no commit, or another one than in the address.
    pub fn expect(&mut self, checksum: &str) -> Result<()> {
        let checksum = commit(checksum)?;
        set(&mut self.checksum, "checksum", Some(checksum.clone()))?;
        self.reference.get_or_insert(checksum);
        Ok(())
    }
}

fn unknown(key: &str) -> Error {
    Error::new(Kind::Usage, format!("the address of a git repository has no key {key:?}"))
        .hint("Keys: branch, checksum, commit, keep-git-dir, ref, subdir, submodules, tag.")
}

/// Sets what may be said once, or again in the same way.
fn set(place: &mut Option<String>, key: &str, value: Option<String>) -> Result<()> {
    let value = value.ok_or_else(|| Error::new(Kind::Usage, format!("key {key} has no value")))?;
    match place {
        Some(other) if *other != value => {
            Err(Error::new(Kind::Usage, format!("{key} conflicts: {other:?} and {value:?}")))
        }
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

/// A truth value as Go's `ParseBool` reads it; none is true.
fn truth(key: &str, value: Option<&str>) -> Result<bool> {
    let Some(word) = value else { return Ok(true) };
    boolean(word).ok_or_else(|| Error::new(Kind::Usage, format!("invalid {key} value: {word:?}")))
}

/// Refuses what git does not take for the name of a reference (git-check-ref-format(1)), and options.
fn check_reference(name: &str) -> Result<()> {
    let bad = name.starts_with(['-', '/', '.'])
        || name.ends_with(['/', '.'])
        || [".lock", "..", "//", "/.", "@{"].iter().any(|part| match *part {
            ".lock" => name.ends_with(part),
            _ => name.contains(part),
        })
        || name.chars().any(|c| c.is_control() || " ~^:?*[\\".contains(c));
    if !bad {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("{name:?} is not the name of a git reference")))
}

/// A directory in the repository, in its plain form; `None` is the top.
fn directory(path: &str) -> Result<Option<String>> {
    let bad = |why: &str| Err(Error::new(Kind::Usage, format!("subdirectory {path:?} {why}")));
    if path.starts_with('-') || has_control(path) {
        return bad("is not a valid path");
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return bad("leads out of the repository"),
            ".." => {}
            _ => parts.push(part),
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// The id of a commit, or its beginning, in lower case.
fn commit(text: &str) -> Result<String> {
    let fit = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !fit {
        return Err(Error::new(Kind::Usage, format!("invalid checksum {text:?}: it is not a commit's id")));
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
