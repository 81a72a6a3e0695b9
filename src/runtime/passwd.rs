//! The payload's user: looks up `--user` and `--group-add` inside the root file system.
//!
//! Theory of operation. Names are resolved by the container's own `/etc/passwd` and `/etc/group`, which the
//! image controls. So each is opened inside the root by descriptor, must be a regular file of limited size, and
//! is parsed here. The host's name services are not queried, and nothing from the container is executed or
//! linked. Ids are u32 throughout; 4294967295 is not a valid id (setresuid(2) takes it to mean "leave
//! unchanged") and is refused. The rules are podman's: a number is always an id, a group given with the user
//! replaces the user's own groups, and the primary group is among the supplementary ones (CVE-2022-2989).

use super::files::open_in;
use crate::fork::{Doing, Failure, Step};
use crate::spec::UserSpec;
use crate::storage::record::LEASED;
use crate::sys::fd::despite_leases;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

/// Most bytes of `/etc/passwd` and `/etc/group` that are read.
pub(super) const DATABASE_MAX: usize = 16 << 20;
/// Most supplementary groups (`NGROUPS_MAX`).
const GROUPS_MAX: usize = 65536;

/// A user, resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id inside.
    pub uid: u32,
    /// Primary group id inside.
    pub gid: u32,
    /// All supplementary groups, the primary one among them; `None` leaves the caller's.
    pub groups: Option<Vec<u32>>,
    /// Home directory, absolute.
    pub home: String,
    /// Login name, when the user has an entry.
    pub name: Option<String>,
    /// `/etc/passwd`, if entries are added.
    pub passwd: Option<Extended>,
    /// `/etc/group`, if entries are added.
    pub group: Option<Extended>,
}

/// A database with entries at its end that the container's file does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extended {
    content: Vec<u8>,
    /// Bytes of the container's file.
    before: usize,
}

impl Extended {
    /// All of it.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// What the container's file lacks.
    pub fn added(&self) -> &[u8] {
        &self.content[self.before..]
    }

    /// `now`, which begins with `before`; `None` where nothing was added.
    fn of(before: &[u8], now: Vec<u8>) -> Option<Extended> {
        (now.len() > before.len()).then_some(Extended { before: before.len(), content: now })
    }
}

/// Looks up the user to run as.
///
/// # Errors
/// A name that is not there, a number that is no id, a database that is not a plain file.
pub fn resolve(root: BorrowedFd<'_>, spec: &UserSpec) -> Result<ResolvedUser, Failure> {
    let passwd = read_database(root, "etc/passwd")?;
    let group = read_database(root, "etc/group")?;
    look_up(spec, passwd.as_deref().unwrap_or_default(), group.as_deref().unwrap_or_default())
}

/// Reads one database; `None` when there is none.
pub(super) fn read_database(root: BorrowedFd<'_>, path: &str) -> Result<Option<Vec<u8>>, Failure> {
    let shown = format!("/{path}");
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match despite_leases(|| open_in(root, path.as_ref(), flags)) {
        Err(Errno::EAGAIN) => return Err(Failure::other("read the container's", shown, LEASED)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
        // What an image's device node or socket answers.
        Err(Errno::ENXIO | Errno::ENODEV) => return Err(not_plain(&shown)),
        other => File::from(other.doing("open the container's", &shown)?),
    };
    let status = fstat(&file).doing("look at the container's", &shown)?;
    if status.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(not_plain(&shown));
    }
    let mut content = Vec::new();
    file.take(DATABASE_MAX as u64 + 1).read_to_end(&mut content).doing("read the container's", &shown)?;
    if content.len() > DATABASE_MAX {
        return Err(Failure::other("read the container's", shown, "it is larger than 16 MiB"));
    }
    Ok(Some(content))
}

fn not_plain(path: &str) -> Failure {
    Failure::other("read the container's", path, "it is not a regular file")
}

/// The names of users and of groups by id, as the databases of a root have them; without those that
/// cannot be read.
pub fn names(root: BorrowedFd<'_>) -> (HashMap<u32, String>, HashMap<u32, String>) {
    let read = |path| read_database(root, path).ok().flatten().unwrap_or_default();
    let mut found = (HashMap::new(), HashMap::new());
    for account in accounts(&read("etc/passwd")) {
        found.0.entry(account.uid).or_insert_with(|| account.name.to_owned());
    }
    for group in groups(&read("etc/group")) {
        found.1.entry(group.gid).or_insert_with(|| group.name.to_owned());
    }
    found
}

/// One line of `/etc/passwd`.
#[derive(Debug)]
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    lines(passwd).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':').map(word);
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        let home = fields.nth(1).unwrap_or("");
        Some(Account { name, uid: id(uid)?, gid: id(gid)?, home })
    })
}

/// One line of `/etc/group`.
#[derive(Debug)]
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a [u8],
}

impl Group<'_> {
    fn has(&self, name: &str) -> bool {
        self.members.split(|byte| *byte == b',').any(|member| member.trim_ascii() == name.as_bytes())
    }
}

fn groups(group: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(group).filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, gid) = (word(fields.next()?), word(fields.nth(1)?));
        Some(Group { name, gid: id(gid)?, members: fields.next().unwrap_or_default() })
    })
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.split(|byte| *byte == b'\n')
}

/// A field; one that is no text is empty, as it could only match by accident.
fn word(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or_default()
}

/// An id: decimal digits, at most 4294967294.
fn id(text: &str) -> Option<u32> {
    if !is_number(text) {
        return None;
    }
    text.parse().ok().filter(|n| *n != u32::MAX)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn look_up(spec: &UserSpec, passwd: &[u8], group: &[u8]) -> Result<ResolvedUser, Failure> {
    let of_container = (passwd, group);
    let (passwd, group) = with_host_entries(spec, passwd, group);
    let (passwd, group) = (passwd.as_slice(), group.as_slice());
    let (user_text, group_text) = match spec.user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (spec.user.as_str(), ""),
    };
    let account = find_account(user_text, passwd)?;
    let (uid, mut gid) = match &account {
        Some(account) => (account.uid, account.gid),
        None => (id(user_text).unwrap_or(0), 0),
    };
    let mut supplementary = Vec::new();
    if group_text.is_empty() {
        if let Some(account) = &account {
            supplementary.extend(groups(group).filter(|g| g.has(account.name)).map(|g| g.gid));
        }
    } else {
        gid = find_group(group_text, group)?;
    }
    supplementary.push(gid);
    for added in &spec.groups {
        supplementary.push(find_group(added, group)?);
    }
    supplementary.sort_unstable();
    supplementary.dedup();
    if supplementary.len() > GROUPS_MAX {
        return Err(Failure::other("set groups of user", user_text, "they are more than 65536"));
    }
    let home = account.as_ref().map(|a| a.home).filter(|h| h.starts_with('/')).unwrap_or("/");
    let mut resolved = ResolvedUser {
        uid,
        gid,
        groups: (!spec.keep_groups).then_some(supplementary),
        home: home.to_owned(),
        name: account.as_ref().map(|a| a.name.to_owned()),
        passwd: None,
        group: None,
    };
    let (mut users, mut all_groups) = (passwd.to_vec(), group.to_vec());
    let nameless = spec.passwd_entry && account.is_none() && !user_text.is_empty();
    let (uid, gid) = (uid.to_string(), gid.to_string());
    if nameless {
        let usual = "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh";
        let line = fill(
            spec.passwd_line.as_deref().unwrap_or(usual),
            &[("USERNAME", &uid), ("UID", &uid), ("GID", &gid), ("NAME", "container user"), ("HOME", home)],
        );
        add_line(&mut users, &line);
    }
    // A text of the user's own holds for one who has an account as well.
    let wanted = nameless || spec.passwd_entry && spec.group_line.is_some();
    if wanted && !groups(group).any(|g| g.gid == resolved.gid) {
        let usual = "$GROUPNAME:x:$GID:$USERLIST";
        let (group_name, member) = match (&resolved.name, nameless) {
            (Some(name), false) => (name, name),
            _ => (&gid, &uid),
        };
        let line = fill(
            spec.group_line.as_deref().unwrap_or(usual),
            &[("GROUPNAME", group_name), ("GID", &gid), ("USERLIST", member)],
        );
        add_line(&mut all_groups, &line);
    }
    resolved.passwd = Extended::of(of_container.0, users);
    resolved.group = Extended::of(of_container.1, all_groups);
    Ok(resolved)
}

/// The databases with the entries of the host whose names and numbers are free.
fn with_host_entries(spec: &UserSpec, passwd: &[u8], group: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut users, mut all_groups) = (passwd.to_vec(), group.to_vec());
    for entry in &spec.host_users {
        let name = entry.split(':').next().unwrap_or_default();
        if !accounts(&users).any(|known| known.name == name) {
            add_line(&mut users, entry);
        }
    }
    for entry in &spec.host_groups {
        let gid = entry.split(':').nth(2).and_then(id);
        if !groups(&all_groups).any(|known| Some(known.gid) == gid) {
            add_line(&mut all_groups, entry);
        }
    }
    (users, all_groups)
}

/// The entry of a user given by name or number; `None` for a number without one, and for an empty text
/// (root) without one.
fn find_account<'a>(text: &str, passwd: &'a [u8]) -> Result<Option<Account<'a>>, Failure> {
    if text.is_empty() {
        return Ok(accounts(passwd).find(|a| a.uid == 0));
    }
    if is_number(text) {
        let uid = id(text).ok_or_else(|| no_id("user", text))?;
        return Ok(accounts(passwd).find(|a| a.uid == uid));
    }
    let found = accounts(passwd).find(|a| a.name == text);
    found.map(Some).ok_or_else(|| {
        Failure::other(Step::FindAccount, format!("user {text}"), "no matching entries in passwd file")
    })
}

fn find_group(text: &str, group: &[u8]) -> Result<u32, Failure> {
    if is_number(text) {
        return id(text).ok_or_else(|| no_id("group", text));
    }
    groups(group).find(|g| g.name == text).map(|g| g.gid).ok_or_else(|| {
        Failure::other(Step::FindAccount, format!("group {text}"), "no matching entries in group file")
    })
}

fn no_id(what: &str, text: &str) -> Failure {
    Failure::other(format!("use {what}").as_str(), text, "ids end at 4294967294")
}

/// A line with values in the place of `$NAME`.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    // The longer name first: $NAME is the beginning of none, but $GID and $GIDS would be two.
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
}

/// Adds a line at the end, unless the very same is there: one that names the user otherwise would come again at each
/// start.
fn add_line(content: &mut Vec<u8>, line: &str) {
    if content.split(|byte| *byte == b'\n').any(|known| known == line.as_bytes()) {
        return;
    }
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    content.extend_from_slice(line.as_bytes());
    content.push(b'\n');
}

#[cfg(test)]
#[path = "passwd_tests.rs"]
mod tests;
