//! Holds the rules of the house that a compiler does not: who may import whom, that files of a room name each
//! other in one direction, where `unsafe` may stand, which libraries belong to one room, the path rule, the size
//! of files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is how they fail"
)]

mod cycles;
mod graph;
mod hints;
mod methods;
mod prose;
mod source;

use source::{File, Token, double_colon, program, root, rust_files, tokens, word};

/// Which rooms a room may name; `room::part` allows that part only. Downwards only: a line names none
/// of the lines above it. ARCHITECTURE.md has the reasons.
const RULES: [(&str, &[&str]); 23] = [
    ("main", &["cli", "cmd", "ui", "host", "error", "fork"]),
    ("lib", &[]),
    ("cli", &["cmd", "host"]),
    (
        "cmd",
        &[
            "build",
            "ui",
            "view",
            "text",
            "engine",
            "runtime",
            "plan",
            "host",
            "registry",
            "storage",
            "userns",
            "netns",
            "spec",
            "image",
            "container",
            "fork",
            "failpoint",
            "error",
        ],
    ),
    ("ui", &["build::event", "runtime::connection", "text", "sys", "error"]),
    ("view", &["text", "engine", "runtime", "storage", "spec", "image", "container", "userns", "error"]),
    (
        "build",
        &[
            "text",
            "engine",
            "host",
            "registry",
            "runtime",
            "plan",
            "userns",
            "storage",
            "spec",
            "image",
            "container",
            "fork",
            "sys",
            "failpoint",
            "error",
        ],
    ),
    (
        "engine",
        &[
            "text",
            "host",
            "registry",
            "runtime",
            "plan",
            "userns",
            "netns",
            "storage",
            "spec",
            "image",
            "container",
            "fork",
            "sys",
            "failpoint",
            "error",
        ],
    ),
    (
        "runtime",
        &[
            "plan",
            "userns",
            "netns",
            "storage",
            "spec",
            "image",
            "container",
            "fork",
            "sys",
            "failpoint",
            "error",
        ],
    ),
    ("plan", &["text", "spec", "image", "container", "error", "host", "userns", "netns"]),
    ("host", &["userns", "netns", "storage::rootfs", "spec", "fork", "sys", "error"]),
    ("registry", &["text", "image", "storage::blobs", "sys::fd", "sys::read", "failpoint", "error"]),
    ("storage", &["spec", "image", "container", "fork", "sys", "failpoint", "error"]),
    ("netns", &["text", "userns", "spec", "container", "fork", "sys", "error"]),
    ("userns", &["container", "fork", "sys", "failpoint", "error"]),
    ("spec", &["image", "container", "error"]),
    ("image", &["text", "error"]),
    ("container", &["error"]),
    ("text", &["error"]),
    ("fork", &["sys", "error"]),
    ("sys", &["error"]),
    ("failpoint", &["sys"]),
    ("error", &[]),
];

/// Files that may name one thing more, because they close the circle: the table of verbs, and the two
/// that print the whole command line.
const EXCEPTIONS: [(&str, &str); 2] = [("src/cmd.rs", "cli"), ("src/cmd/completion.rs", "cli")];

/// Libraries that one room hides from the others.
const HIDDEN_LIBRARIES: [(&str, &[&str]); 11] = [
    ("clap", &["main", "cli", "cmd", "host", "ui"]),
    ("oci_client", &["registry"]),
    ("reqwest", &["registry"]),
    ("tokio", &["registry"]),
    ("indicatif", &["ui"]),
    ("tabwriter", &["ui"]),
    ("directories", &["host"]),
    ("fuser", &["storage"]),
    ("libseccomp", &["runtime"]),
    ("yaml_rust2", &["text"]),
    ("ring", &["registry"]),
];

/// Files after whose start every path may be controlled by an image or a container: what lies in a layer, and
/// the store itself, which somebody may have given to a container.
const PATH_RULE: [&str; 32] = [
    "src/build/files",
    "src/build/sources/archive",
    "src/build/sources/git/checkout",
    "src/storage/archive",
    "src/storage/blobs",
    "src/storage/build",
    "src/storage/compare",
    "src/storage/containers",
    "src/storage/copy",
    "src/storage/events",
    "src/storage/fuse",
    "src/storage/images",
    "src/storage/layers",
    "src/storage/measure",
    "src/storage/misplaced",
    "src/storage/pack",
    "src/storage/record",
    "src/storage/reset",
    "src/storage/secrets",
    "src/storage/trash",
    "src/storage/tree",
    "src/storage/unpack",
    "src/storage/upper",
    "src/storage/volumes",
    "src/storage/whiteout",
    "src/engine/containers/copy",
    "src/engine/containers/export",
    "src/runtime/files",
    "src/runtime/init",
    "src/runtime/masks",
    "src/runtime/passwd",
    "src/engine/volumes/archive",
];

/// Below those, what writes where the caller says, what is about the runtime directory, and what removes the
/// empty data root.
const PATH_RULE_EXCEPTIONS: [&str; 6] = [
    "src/storage/archive/deposit.rs",
    "src/storage/archive/output.rs",
    "src/storage/archive/sink.rs",
    "src/storage/containers/dir.rs",
    "src/storage/containers/dir/trash.rs",
    "src/storage/reset.rs",
];

/// What reads text as text: files that a person has written, which are refused by name if they are none, and a number
/// of the kernel's.
const TEXT_FILES: [&str; 4] = [
    "src/cmd/options/devices.rs",
    "src/cmd/options/files.rs",
    "src/cmd/options/spaces.rs",
    "src/engine/containers/id_file.rs",
];

/// Longest file, in lines.
const LINES_MAX: usize = 600;

fn none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}\n", found.join("\n  "));
}

#[test]
fn every_room_has_a_rule() {
    for file in program() {
        assert!(RULES.iter().any(|(room, _)| *room == file.room()), "no rule for {}", file.path);
    }
}

#[test]
fn imports_go_downwards() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test) {
        let Some((_, allowed)) = RULES.iter().find(|(room, _)| *room == file.room()) else { continue };
        for name in file.names() {
            let full = name.join("::");
            let ok = name[0] == file.room()
                || allowed.contains(&name[0].as_str())
                || allowed.contains(&full.as_str())
                || EXCEPTIONS.contains(&(file.path.as_str(), name[0].as_str()));
            if !ok {
                wrong.push(format!("{}: {full}", file.path));
            }
        }
    }
    none("these imports go against the rule (ARCHITECTURE.md, `Rooms`)", &wrong);
}

/// Verbs share options (`cmd::options`) and operations (`engine`), never each other. The tables of verbs name all.
#[test]
fn verbs_import_no_other_verb() {
    const TABLES: [&str; 4] = ["src/cmd.rs", "src/cmd/builder.rs", "src/cmd/groups.rs", "src/cmd/system.rs"];
    // What is no verb.
    const COMMON: [&str; 6] = ["options", "verbs", "linger", "store", "dialect", "pruned"];
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| f.room() == "cmd" && f.module.len() > 1 && !f.test) {
        if TABLES.contains(&file.path.as_str()) {
            continue;
        }
        for name in file.names().iter().filter(|name| name[0] == "cmd" && name.len() > 1) {
            if name[1] != file.module[1] && !COMMON.contains(&name[1].as_str()) {
                wrong.push(format!("{}: {}", file.path, name.join("::")));
            }
        }
    }
    none("these verbs import another verb", &wrong);
}

/// Where the command line is one front end among several, nobody asks it.
#[test]
fn operations_and_views_know_no_command_line() {
    const FORBIDDEN: [&str; 9] =
        ["clap", "args_os", "args", "current_dir", "stdin", "stdout", "stderr", "ExitCode", "println"];
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| ["engine", "view"].contains(&f.room()) && !f.test) {
        for (at, token) in file.tokens.iter().enumerate() {
            let Token::Word(word) = token else { continue };
            let called = file.tokens.get(at + 1) == Some(&Token::Mark('('))
                && at > 0
                && file.tokens[at - 1] == Token::Mark(':');
            let named = matches!(word.as_str(), "clap" | "ExitCode" | "println");
            if FORBIDDEN.contains(&word.as_str()) && (called || named) {
                wrong.push(format!("{}: {word}", file.path));
            }
        }
    }
    none("these know the command line", &wrong);
}

#[test]
fn libraries_stay_in_their_room() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test) {
        for (at, token) in file.tokens.iter().enumerate() {
            let Token::Word(library) = token else { continue };
            let hidden = HIDDEN_LIBRARIES.iter().find(|(name, _)| name == library);
            if let Some((_, rooms)) = hidden
                && double_colon(&file.tokens, at + 1)
                && !rooms.contains(&file.room())
            {
                wrong.push(format!("{}: {library}", file.path));
            }
        }
    }
    none("these libraries belong to another room", &wrong);
}

#[test]
fn unsafe_stands_in_sys_only() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| f.room() != "sys") {
        if file.tokens.contains(&Token::Word("unsafe".into()))
            || file.tokens.contains(&Token::Word("unsafe_code".into()))
        {
            wrong.push(file.path.clone());
        }
    }
    none("`unsafe` outside src/sys", &wrong);
}

#[test]
fn the_ui_alone_may_print() {
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| f.room() != "ui" && !f.test) {
        for lint in ["print_stdout", "print_stderr", "unwrap_used", "expect_used"] {
            if file.tokens.contains(&Token::Word(lint.into())) {
                wrong.push(format!("{}: allows {lint}", file.path));
            }
        }
    }
    none("lints switched off", &wrong);
}

/// The path rule: where an image or a container has a say in a path, it is resolved from a directory
/// descriptor, never by std::fs. Literal paths under /proc are fine.
#[test]
fn paths_of_images_never_reach_std_fs() {
    const FUNCTIONS: [&str; 20] = [
        "read",
        "read_to_string",
        "write",
        "create_dir",
        "create_dir_all",
        "remove_file",
        "remove_dir",
        "remove_dir_all",
        "rename",
        "copy",
        "hard_link",
        "metadata",
        "symlink_metadata",
        "canonicalize",
        "set_permissions",
        "read_dir",
        "read_link",
        "symlink",
        "chown",
        "lchown",
    ];
    let mut wrong = Vec::new();
    let controlled = |f: &&File| {
        PATH_RULE.iter().any(|p| f.path.starts_with(p))
            && !PATH_RULE_EXCEPTIONS.contains(&f.path.as_str())
            && !f.test
    };
    let program = program();
    for rule in PATH_RULE.iter().chain(&PATH_RULE_EXCEPTIONS) {
        if !program.iter().any(|f| f.path.starts_with(rule)) {
            wrong.push(format!("{rule}: the rule is for a file that is not there"));
        }
    }
    for file in program.iter().filter(controlled) {
        let t = &file.tokens;
        let mut tests = false;
        for at in 0..t.len() {
            tests |= word(t.get(at)) == Some("mod") && word(t.get(at + 1)) == Some("tests");
            let Some(owner) = word(t.get(at)) else { continue };
            if tests || !double_colon(t, at + 1) {
                continue;
            }
            let Some(function) = word(t.get(at + 3)) else { continue };
            let called = (owner == "fs" && FUNCTIONS.contains(&function))
                || (owner == "File" && matches!(function, "open" | "create" | "create_new" | "options"))
                || (matches!(owner, "OpenOptions" | "DirBuilder") && function == "new");
            let literal = matches!(t.get(at + 5), Some(Token::Text(text)) if text.starts_with("/proc/"));
            if called && !literal {
                wrong.push(format!("{}: {owner}::{function}", file.path));
            }
        }
    }
    none("paths that an image may control reach std::fs", &wrong);
}

/// In files of the host, the kernel or an image a byte may be anything, and one that is not UTF-8 must not cost all the
/// others: they are read with `sys::read`.
#[test]
fn files_of_others_are_bytes() {
    let mut wrong = Vec::new();
    let program = program();
    for file in program.iter().filter(|f| !f.test) {
        let tests = |at: usize| {
            word(file.tokens.get(at)) == Some("mod") && word(file.tokens.get(at + 1)) == Some("tests")
        };
        let end = (0..file.tokens.len()).find(|at| tests(*at)).unwrap_or(file.tokens.len());
        let reads = file.tokens[..end].contains(&Token::Word("read_to_string".into()));
        if reads != TEXT_FILES.contains(&file.path.as_str()) {
            wrong.push(format!("{}: {}", file.path, if reads { "read_to_string" } else { "reads no text" }));
        }
    }
    none("these read text where there may be other bytes (sys::read)", &wrong);
}

/// One door leads into a container: nowhere else is a mount namespace entered, or the root of another process
/// opened. The two that enter what a variable says never get a mount namespace in it.
#[test]
fn one_door_leads_into_a_container() {
    const DOOR: &str = "src/runtime/door.rs";
    const BY_VARIABLE: [&str; 2] = ["src/runtime/birth.rs", "src/runtime/exec.rs"];
    let mut wrong = Vec::new();
    for file in program().iter().filter(|f| !f.test && f.path != DOOR) {
        for (at, token) in file.tokens.iter().enumerate() {
            if matches!(token, Token::Text(text) if text.starts_with("/proc/") && text.contains("/root")) {
                wrong.push(format!("{}: opens the root of a process", file.path));
            }
            if word(Some(token)) != Some("setns") || file.tokens.get(at + 1) != Some(&Token::Mark('(')) {
                continue;
            }
            let arguments: Vec<&str> = file.tokens[at + 2..]
                .iter()
                .take_while(|t| **t != Token::Mark('?') && **t != Token::Mark(';'))
                .filter_map(|t| word(Some(t)))
                .collect();
            let flag = arguments.iter().find(|w| w.starts_with("CLONE_"));
            if flag == Some(&"CLONE_NEWNS") || flag.is_none() && !BY_VARIABLE.contains(&file.path.as_str()) {
                wrong.push(format!("{}: enters {}", file.path, flag.unwrap_or(&"some namespace")));
            }
        }
    }
    none("ways into a container beside its door", &wrong);
}

#[test]
fn files_stay_short() {
    let mut wrong = Vec::new();
    for dir in ["src", "tests", "benches"] {
        for path in rust_files(&root().join(dir)) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            if lines > LINES_MAX {
                wrong.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    none("split these files", &wrong);
}

#[test]
fn every_file_says_what_it_is() {
    let wrong: Vec<String> =
        program().into_iter().filter(|f| !f.documented && !f.test).map(|f| f.path).collect();
    none("files that do not open with //!", &wrong);
}

#[test]
fn the_reader_of_imports_reads_them() {
    let file = |path: &[&str], text: &str| File {
        path: String::new(),
        module: path.iter().map(|s| (*s).to_owned()).collect(),
        test: false,
        tokens: tokens(text),
        documented: true,
    };
    let names = |path: &[&str], text: &str| -> Vec<String> {
        file(path, text).names().iter().map(|n| n.join("::")).collect()
    };
    assert_eq!(names(&["a"], "use crate::b;"), ["b"]);
    assert_eq!(names(&["a"], "use crate::{b, c::{d, e as f}, g::*};"), ["b", "c::d", "c::e", "g"]);
    assert_eq!(
        names(&["a"], "fn f() -> crate::b::C<'static> { crate::d::e('{', \"crate::no\") }"),
        ["b::C", "d::e"]
    );
    assert_eq!(names(&["a", "x"], "use super::y::Z;"), ["a::y"]);
    assert_eq!(names(&["a", "x"], "use super::super::y::Z;"), ["y::Z"]);
    assert_eq!(names(&["a"], "mod inner { use super::y; }"), ["a::y"]);
    assert!(names(&["a"], "// crate::b\nmod tests { use crate::b; } r#\"crate::c\"#").is_empty());
}
