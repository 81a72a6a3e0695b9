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
const DATABASE_MAX: u64 = 16 << 20;
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
    /// New content for `/etc/passwd`, if an entry is added.
    pub passwd: Option<Vec<u8>>,
    /// New content for `/etc/group`, if an entry is added.
    pub group: Option<Vec<u8>>,
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
    file.take(DATABASE_MAX + 1).read_to_end(&mut content).doing("read the container's", &shown)?;
    if content.len() as u64 > DATABASE_MAX {
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
        let mut fields = line.split(':');
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
    members: &'a str,
}

fn groups(group: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(group).filter_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        Some(Group { name, gid: id(gid)?, members: fields.next().unwrap_or("") })
    })
}

/// The lines that are text; what is not could only match by accident.
fn lines(content: &[u8]) -> impl Iterator<Item = &str> {
    content.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok())
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
    let with_hosts = with_host_entries(spec, passwd, group);
    let (passwd, group) =
        (with_hosts.0.as_deref().unwrap_or(passwd), with_hosts.1.as_deref().unwrap_or(group));
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
            let member = |g: &Group<'_>| g.members.split(',').any(|m| m.trim() == account.name);
            supplementary.extend(groups(group).filter(member).map(|g| g.gid));
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
    if spec.passwd_entry && account.is_none() && !user_text.is_empty() {
        let (uid, gid) = (uid.to_string(), gid.to_string());
        let usual = "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh";
        let line = fill(
            spec.passwd_line.as_deref().unwrap_or(usual),
            &[("USERNAME", &uid), ("UID", &uid), ("GID", &gid), ("NAME", "container user"), ("HOME", home)],
        );
        resolved.passwd = Some(with_line(passwd, &line));
        if !groups(group).any(|g| g.gid == resolved.gid) {
            let line = fill(
                spec.group_line.as_deref().unwrap_or("$GROUPNAME:x:$GID:$USERLIST"),
                &[("GROUPNAME", &gid), ("GID", &gid), ("USERLIST", &uid)],
            );
            resolved.group = Some(with_line(group, &line));
        }
    }
    resolved.passwd = resolved.passwd.or(with_hosts.0);
    resolved.group = resolved.group.or(with_hosts.1);
    Ok(resolved)
}

/// The databases with the entries of the host whose names and numbers are free; `None` where there are none.
fn with_host_entries(spec: &UserSpec, passwd: &[u8], group: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut users, mut all_groups) = (None::<Vec<u8>>, None::<Vec<u8>>);
    for entry in &spec.host_users {
        let name = entry.split(':').next().unwrap_or_default();
        let so_far = users.as_deref().unwrap_or(passwd);
        if !accounts(so_far).any(|known| known.name == name) {
            users = Some(with_line(so_far, &format!("{entry}\n")));
        }
    }
    for entry in &spec.host_groups {
        let gid = entry.split(':').nth(2).and_then(id);
        let so_far = all_groups.as_deref().unwrap_or(group);
        if !groups(so_far).any(|known| Some(known.gid) == gid) {
            all_groups = Some(with_line(so_far, &format!("{entry}\n")));
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
        Failure::other(
            Step::FindAccount,
            format!("user {text}"),
            "there is no such user in the container's /etc/passwd",
        )
    })
}

fn find_group(text: &str, group: &[u8]) -> Result<u32, Failure> {
    if is_number(text) {
        return id(text).ok_or_else(|| no_id("group", text));
    }
    groups(group).find(|g| g.name == text).map(|g| g.gid).ok_or_else(|| {
        Failure::other(
            Step::FindAccount,
            format!("group {text}"),
            "there is no such group in the container's /etc/group",
        )
    })
}

fn no_id(what: &str, text: &str) -> Failure {
    Failure::other(format!("use {what}").as_str(), text, "ids end at 4294967294")
}

/// A line with values in the place of `$NAME`.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    // The longer name first: $NAME is the beginning of none, but $GID and $GIDS would be two.
    let filled =
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value));
    filled + "\n"
}

fn with_line(content: &[u8], line: &str) -> Vec<u8> {
    let mut all = content.to_vec();
    if !all.is_empty() && !all.ends_with(b"\n") {
        all.push(b'\n');
    }
    all.extend_from_slice(line.as_bytes());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\n# comment\nbad:x:-1:0::/:\nover:x:4294967296:0::/:\n\
        max:x:4294967295:0::/:\nweb:x:33:34:Web:/var/www:/bin/sh\n1000:x:7:7::/odd:/bin/sh\nnohome:x:40:40\n";
    const GROUP: &[u8] =
        b"root:x:0:\nwheel:x:10:root,web\nweb:x:34:\nadm:x:4:web , other\nmax:x:4294967295:web\n";

    fn spec(user: &str, groups: &[&str]) -> UserSpec {
        UserSpec {
            user: user.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..UserSpec::default()
        }
    }

    fn found(user: &str, groups: &[&str]) -> (u32, u32, Vec<u32>, String) {
        let r = look_up(&spec(user, groups), PASSWD, GROUP).unwrap();
        (r.uid, r.gid, r.groups.unwrap(), r.home)
    }

    #[test]
    fn users_and_groups_by_name_and_number() {
        assert_eq!(found("", &[]), (0, 0, vec![0, 10], "/root".to_owned()));
        assert_eq!(found("web", &[]), (33, 34, vec![4, 10, 34], "/var/www".to_owned()));
        assert_eq!(found("33", &[]), (33, 34, vec![4, 10, 34], "/var/www".to_owned()));
        assert_eq!(found("web:wheel", &[]), (33, 10, vec![10], "/var/www".to_owned()));
        assert_eq!(found("web:99", &["adm", "77"]), (33, 99, vec![4, 77, 99], "/var/www".to_owned()));
        assert_eq!(found("web:", &[]).2, [4, 10, 34]);
        assert_eq!(found(":wheel", &[]), (0, 10, vec![10], "/root".to_owned()));
        assert_eq!(found("555", &[]), (555, 0, vec![0], "/".to_owned()));
        // A number is an id even if a user has it as a name.
        assert_eq!(found("1000", &[]), (1000, 0, vec![0], "/".to_owned()));
        assert_eq!(found("nohome", &[]).3, "/");
        assert_eq!(found("4294967294", &[]).0, 4_294_967_294);
        let kept = look_up(&UserSpec { keep_groups: true, ..spec("web", &[]) }, PASSWD, GROUP).unwrap();
        assert_eq!(kept.groups, None);
    }

    #[test]
    fn case_28_ids_that_are_none_are_refused() {
        for user in [
            "4294967295",
            "4294967296",
            "18446744073709551616",
            "-1",
            "+1",
            "0x0",
            " 0",
            "0 ",
            "nobody",
            "over",
            "max",
            "bad",
            "root ",
            "web:4294967295",
            "web:4294967296",
            "web:-1",
            "web:+0",
            "web:nogroup",
            "a:b:c",
            "0:0:0",
            "root\n",
            "\0",
        ] {
            assert!(look_up(&spec(user, &[]), PASSWD, GROUP).is_err(), "{user:?}");
        }
        for group in ["-1", "4294967295", "99999999999", "nogroup", "max", ""] {
            assert!(look_up(&spec("web", &[group]), PASSWD, GROUP).is_err(), "{group:?}");
        }
    }

    #[test]
    fn an_entry_is_added_for_a_number_without_one() {
        let mut asked = spec("555:77", &[]);
        asked.passwd_entry = true;
        let r = look_up(&asked, b"root:x:0:0:root:/root:/bin/sh", GROUP).unwrap();
        let passwd = String::from_utf8(r.passwd.unwrap()).unwrap();
        assert_eq!(passwd.lines().last(), Some("555:*:555:77:container user:/:/bin/sh"));
        assert_eq!(passwd.lines().count(), 2);
        assert!(r.group.unwrap().ends_with(b"\n77:x:77:555\n"));
        asked.user = "33".to_owned();
        assert_eq!(look_up(&asked, PASSWD, GROUP).unwrap().passwd, None);
        asked.user = String::new();
        assert_eq!(look_up(&asked, b"", b"").unwrap().passwd, None);
    }

    #[test]
    fn case_27_databases_that_are_no_plain_files() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc");
        std::fs::create_dir(&etc).unwrap();
        let root = File::open(dir.path()).unwrap();
        let try_root = || resolve(root.as_fd(), &spec("root", &[]));
        let passwd = etc.join("passwd");
        assert!(try_root().unwrap_err().detail.contains("no such user"));
        // Out of the root by symlink: absolute and relative.
        for target in ["/etc/passwd", "../../../../../../etc/passwd"] {
            symlink(target, &passwd).unwrap();
            assert!(try_root().is_err(), "{target}");
            std::fs::remove_file(&passwd).unwrap();
        }
        symlink("/lib/passwd", &passwd).unwrap();
        std::fs::create_dir(dir.path().join("lib")).unwrap();
        std::fs::write(dir.path().join("lib/passwd"), "root:x:0:0::/inside:/bin/sh\n").unwrap();
        assert_eq!(try_root().unwrap().home, "/inside");
        std::fs::remove_file(&passwd).unwrap();
        nix::unistd::mkfifo(&passwd, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(try_root().unwrap_err().detail.contains("not a regular file"));
        std::fs::remove_file(&passwd).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(&passwd).unwrap();
        assert!(try_root().unwrap_err().detail.contains("not a regular file"));
        std::fs::remove_file(&passwd).unwrap();
        std::fs::create_dir(&passwd).unwrap();
        assert!(try_root().is_err());
        std::fs::remove_dir(&passwd).unwrap();
        File::create(&passwd).unwrap().set_len(1 << 40).unwrap();
        assert!(try_root().unwrap_err().detail.contains("larger than 16 MiB"));
    }
}
