use super::*;
use crate::runtime::inside::in_namespaces;
use crate::runtime::seccomp::{self, Cache};
use std::collections::BTreeMap;

fn plan(names: &[&str], ambient: &[&str]) -> Sets {
    let set = |list: &[&str]| list.iter().map(|n| parse(n).unwrap()).collect();
    Sets { bounding: set(names), ambient: set(ambient) }
}

fn user(uid: u32, gid: u32, groups: &[u32]) -> ResolvedUser {
    ResolvedUser { uid, gid, groups: Some(groups.to_vec()), home: "/".to_owned(), ..ResolvedUser::default() }
}

/// Drops, then executes cat(1), and returns what it says about itself.
fn status_after_exec(to: &Credentials<'_>) -> BTreeMap<String, String> {
    // This thread becomes somebody else for good, and the test is over with it.
    drop_to(to).unwrap();
    let output = std::process::Command::new("/bin/cat").arg("/proc/self/status").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.lines().filter_map(|l| l.split_once(":\t"));
    pairs.map(|(k, v)| (k.to_owned(), v.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

fn bits(names: &[&str]) -> String {
    let mask: u64 = names.iter().map(|n| parse(n).unwrap().bitmask()).fold(0, |a, b| a | b);
    format!("{mask:016x}")
}

fn check(to: &Credentials<'_>, wanted: &[(&str, &str)]) {
    let status = status_after_exec(to);
    for (field, value) in wanted {
        assert_eq!(status.get(*field).map(String::as_str), Some(*value), "{field} in {status:?}");
    }
}

fn default_filter(names: &[&str]) -> seccomp::Filter {
    let nowhere = std::path::Path::new("/nonexistent");
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let cache = Cache { data: nowhere, runtime: nowhere };
    seccomp::prepare(&crate::spec::SeccompSpec::Default, &names, cache).unwrap().unwrap()
}

const SOME: [&str; 4] = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_BIND_SERVICE"];

#[test]
fn names_in_every_spelling() {
    assert_eq!(parse("cap_chown").unwrap(), Capability::CAP_CHOWN);
    assert_eq!(parse("SYS_ADMIN").unwrap(), Capability::CAP_SYS_ADMIN);
    assert_eq!(parse("net_raw").unwrap(), Capability::CAP_NET_RAW);
    for wrong in ["", "CAP_", "ROOT", "CAP_CAP_CHOWN", "CHOWN "] {
        parse(wrong).unwrap_err();
    }
}

#[test]
fn case_29_sets_of_root_are_the_plans() {
    in_namespaces("case_29_sets_of_root_are_the_plans", || {
        let (sets, user) = (plan(&SOME, &[]), user(0, 0, &[0]));
        let filter = default_filter(&SOME);
        let to = Credentials {
            user: &user,
            capabilities: &sets,
            no_new_privileges: false,
            filter: Some(&filter),
            death_signal: None,
        };
        let set = bits(&SOME);
        check(
            &to,
            &[
                ("CapBnd", &set),
                ("CapPrm", &set),
                ("CapEff", &set),
                ("CapInh", &bits(&[])),
                ("CapAmb", &bits(&[])),
                ("NoNewPrivs", "0"),
                ("Seccomp", "2"),
            ],
        );
    });
}

#[test]
fn case_29_sets_of_another_user_are_empty_and_case_28_its_ids_are_set() {
    in_namespaces("case_29_sets_of_another_user_are_empty_and_case_28_its_ids_are_set", || {
        let (sets, user) = (plan(&SOME, &[]), user(33, 34, &[4, 34]));
        let filter = default_filter(&SOME);
        let to = Credentials {
            user: &user,
            capabilities: &sets,
            no_new_privileges: true,
            filter: Some(&filter),
            death_signal: Some(Signal::SIGKILL),
        };
        let none = bits(&[]);
        check(
            &to,
            &[
                ("Uid", "33 33 33 33"),
                ("Gid", "34 34 34 34"),
                ("Groups", "4 34"),
                ("CapBnd", &bits(&SOME)),
                ("CapPrm", &none),
                ("CapEff", &none),
                ("CapInh", &none),
                ("CapAmb", &none),
                ("NoNewPrivs", "1"),
                ("Seccomp", "2"),
            ],
        );
    });
}

#[test]
fn another_user_keeps_what_was_added_by_name() {
    in_namespaces("another_user_keeps_what_was_added_by_name", || {
        let (sets, user) = (plan(&SOME, &["CAP_KILL"]), user(33, 34, &[34]));
        let to = Credentials {
            user: &user,
            capabilities: &sets,
            no_new_privileges: false,
            filter: None,
            death_signal: None,
        };
        let kept = bits(&["CAP_KILL"]);
        check(&to, &[("CapEff", &kept), ("CapPrm", &kept), ("CapAmb", &kept), ("CapBnd", &bits(&SOME))]);
    });
}

#[test]
fn case_28_an_id_outside_the_map_is_refused_by_number() {
    in_namespaces("case_28_an_id_outside_the_map_is_refused_by_number", || {
        let (sets, user) = (plan(&SOME, &[]), user(70_000, 0, &[0]));
        let to = Credentials {
            user: &user,
            capabilities: &sets,
            no_new_privileges: false,
            filter: None,
            death_signal: None,
        };
        let failure = drop_to(&to).unwrap_err();
        assert_eq!(failure.object, "70000");
        assert!(failure.detail.contains("not mapped"), "{failure:?}");
    });
}
