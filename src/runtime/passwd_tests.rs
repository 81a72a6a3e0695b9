use super::*;
use std::os::fd::AsFd;

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# comment\nbad:x:-1:0::/:\nover:x:4294967296:0::/:\n\
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
fn a_byte_that_is_no_text_costs_its_own_field() {
    let passwd = b"caf\xe9:x:5:5::/:\nann:x:1:2:Ann\xe9:/home/ann:/bin/sh\nodd:x:3:4::/caf\xe9:\n";
    let group = b"caf\xe9:x:6:ann\nusers:x:7:caf\xe9,ann\n";
    let found = |user: &str| look_up(&spec(user, &[]), passwd, group).unwrap();
    let ann = found("ann");
    assert_eq!((ann.uid, ann.home.as_str(), ann.groups.unwrap()), (1, "/home/ann", vec![2, 6, 7]));
    assert_eq!((found("odd").gid, found("odd").home.as_str()), (4, "/"));
    assert_eq!(found("5").gid, 5);
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
    let passwd = r.passwd.unwrap();
    assert_eq!(passwd.added(), b"\n555:*:555:77:container user:/:/bin/sh\n");
    assert_eq!(passwd.content().split(|byte| *byte == b'\n').count(), 3);
    assert_eq!(r.group.unwrap().added(), b"77:x:77:555\n");
    // One that names somebody else is added once.
    asked.passwd_line = Some("other:x:1:1::/:".to_owned());
    assert_eq!(look_up(&asked, b"", GROUP).unwrap().passwd.unwrap().added(), b"other:x:1:1::/:\n");
    assert_eq!(look_up(&asked, b"other:x:1:1::/:\n", GROUP).unwrap().passwd, None);
    asked.user = "33".to_owned();
    assert_eq!(look_up(&asked, PASSWD, GROUP).unwrap().passwd, None);
    asked.user = String::new();
    assert_eq!(look_up(&asked, b"", b"").unwrap().passwd, None);
}

#[test]
fn a_group_line_holds_for_an_account_of_the_host_too() {
    let mut asked = spec("me", &[]);
    asked.passwd_entry = true;
    asked.host_users = vec!["me:*:500:600::/home/me:/bin/sh".to_owned()];
    assert_eq!(look_up(&asked, PASSWD, GROUP).unwrap().group, None);
    asked.group_line = Some("of-$GROUPNAME:x:$GID:$USERLIST".to_owned());
    let found = look_up(&asked, PASSWD, GROUP).unwrap();
    assert_eq!(found.passwd.unwrap().added(), b"me:*:500:600::/home/me:/bin/sh\n");
    assert_eq!(found.group.unwrap().added(), b"of-me:x:600:me\n");
    assert_eq!(look_up(&asked, PASSWD, b"g:x:600:\n").unwrap().group, None);
    asked.passwd_entry = false;
    assert_eq!(look_up(&asked, PASSWD, GROUP).unwrap().group, None);
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
    assert!(try_root().unwrap_err().detail.contains("no matching entries"));
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
