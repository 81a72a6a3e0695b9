//! Holds that docs/troubleshooting.md explains every hint of the program, and no other.
//!
//! A hint is a sentence, and all other messages begin in lower case; so each text of the source that begins like
//! a sentence is one, but for the few that are printed for themselves. In the guide what stands in bold is the
//! beginning of a hint, with `NAME` for `{name}` and `X` for what has no name in the source.

use crate::source::{Token, program, root, word};

/// Texts that begin like a sentence and are no hints.
const PRINTED: &[&str] = &[
    "A signature was",
    "About a",
    "Already exists",
    "Authenticating with",
    "AVG CPU",
    "Are you sure",
    "Build cache usage",
    "CDI spec directories",
    "CDI specification",
    "CDI version",
    "BUILDAH_FORMAT is",
    "BUILDKIT_PROGRESS is",
    "Check complete",
    "Configuration of the image",
    "Configure a credential",
    "Containerfiles are not",
    "Containers of RUN",
    "Chaining ONBUILD",
    "Copying blob",
    "Copying config",
    "Copying {} from",
    "Copying {} to",
    "Created manifest",
    "Deleted container",
    "Digest: ",
    "Directory Transport",
    "Docker Root Dir",
    "Download complete",
    "Format is for",
    "Getting image source",
    "Error response from",
    "Existing credentials are",
    "FUSE in user",
    "ID: ",
    "IP address",
    "Image ID: ",
    "Images and registries",
    "Invalid unqualified-search-registries",
    "KERNEL FEATURE",
    "Layer already exists",
    "Layers and times",
    "Less than",
    "Limits (refused",
    "Linux {release}",
    "Live Restore",
    "Loaded image",
    "MEM USAGE",
    "Mounted from",
    "No Image",
    "No dangling",
    "Not logged",
    "Of these containers",
    "Print only ids",
    "Print only names",
    "Pull complete",
    "Pulling fs",
    "Removed login",
    "Removing login",
    "Repaired {what}",
    "Resolved {short",
    "Resolving {short",
    "Resource limits are",
    "Run containers without",
    "Running image",
    "SCMP_ACT_NOTIFY",
    "SOURCE_DATE_EPOCH is",
    "Show networks that",
    "Show secrets that",
    "Show volumes that",
    "Source image rejected",
    "Status: Downloaded",
    "Status: Image",
    "Syntax error",
    "Terminal and output",
    "The push refers",
    "This account's",
    "Total reclaimed",
    "Using default tag",
    "Trying to pull",
    "U and ro",
    "U is for",
    "Unable to find",
    "Unknown instruction",
    "Up {} (Paused)",
    "Using default tag",
    "Volumes, secrets",
    "WARNING!",
    "Whole again",
    "Writing manifest to",
    "XDG_RUNTIME_DIR is",
    "Wildcarded prefix",
];

/// Docker's messages may begin like a sentence.
const PHRASES: [&str; 2] = ["src/error/phrases.rs", "src/build/language/check/rules.rs"];

/// First words of hints about the form of what was typed. They say all there is to say, so the guide tells of each
/// of these words once.
const FORMS: [&str; 12] = [
    "Write",
    "Use",
    "Give",
    "Leave",
    "List",
    "Known",
    "Fields:",
    "Functions:",
    "Keys:",
    "Values:",
    "Types",
    "Events",
];

/// A text as in the source, in one line and as it is shown.
fn shown(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(_)) => plain.extend(chars.next()),
            ('{', Some('{')) | ('}', Some('}')) => plain.extend(chars.next()),
            ('{', Some(_)) => {
                let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let named = name.starts_with(|c: char| c.is_alphabetic());
                plain.push_str(&if named { name.to_uppercase() } else { "X".to_owned() });
            }
            _ => plain.push(c),
        }
    }
    plain
}

fn is_hint(text: &str) -> bool {
    let sentence = text.starts_with(|c: char| c.is_ascii_uppercase()) && text.matches(' ').count() >= 2;
    let list = FORMS.iter().any(|form| form.ends_with(':') && text.starts_with(form));
    (sentence || list || text.starts_with("sudo ")) && !PRINTED.iter().any(|other| text.starts_with(other))
}

/// The program's hints, with the file that has them.
fn hints() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for file in
        program().iter().filter(|f| !f.test && f.room() != "cli" && !PHRASES.contains(&f.path.as_str()))
    {
        let tests = file.tokens.windows(3).position(|w| {
            word(w.first()) == Some("mod") && word(w.get(1)) == Some("tests") && w[2] == Token::Mark('{')
        });
        for token in &file.tokens[..tests.unwrap_or(file.tokens.len())] {
            if let Token::Text(text) = token
                && is_hint(text)
            {
                all.push((file.path.clone(), shown(text)));
            }
        }
    }
    all
}

/// What stands in bold in the guide.
fn explained() -> Vec<String> {
    let guide = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let plain = |part: &str| part.split_whitespace().collect::<Vec<_>>().join(" ").replace(['`', '\\'], "");
    guide.split("**").skip(1).step_by(2).map(plain).collect()
}

fn explains(phrase: &str, hint: &str) -> bool {
    let phrase = phrase.trim_end_matches("...").trim_end_matches(['.', ',', ':', ';', ' ']);
    // One word would explain too much.
    let enough = phrase.contains(' ') || FORMS.iter().any(|form| form.trim_end_matches(':') == phrase);
    enough && hint.replace(['`', '\\'], "").starts_with(phrase)
}

#[test]
fn every_hint_is_explained() {
    let explained = explained();
    let mut wrong = Vec::new();
    for (path, hint) in hints() {
        if !explained.iter().any(|phrase| explains(phrase, &hint)) {
            wrong.push(format!("{path}: {hint}"));
        }
    }
    crate::none("docs/troubleshooting.md does not explain", &wrong);
}

#[test]
fn what_is_explained_is_a_hint() {
    let hints = hints();
    let wrong: Vec<String> = explained()
        .into_iter()
        .filter(|phrase| !hints.iter().any(|(_, hint)| explains(phrase, hint)))
        .collect();
    crate::none("docs/troubleshooting.md explains what no hint says", &wrong);
}

/// Called by another name, the program puts that in front of what follows its own in a hint: nothing but a command may
/// do so.
#[test]
fn what_follows_the_name_in_a_hint_is_a_command() {
    let tree = coracle::cli::whole();
    let verbs: Vec<&str> = tree
        .get_subcommands()
        .flat_map(|verb| std::iter::once(verb.get_name()).chain(verb.get_all_aliases()))
        .collect();
    let mut wrong = Vec::new();
    for (path, hint) in hints() {
        for after in hint.split("coracle ").skip(1) {
            let word = after.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            if word.starts_with(|c: char| c.is_ascii_lowercase()) && !verbs.contains(&word) {
                wrong.push(format!("{path}: {hint}"));
            }
        }
    }
    crate::none("hints have something else than a command after the name", &wrong);
}

#[test]
fn hints_are_read_as_they_are_shown() {
    assert_eq!(shown("Stop it: coracle stop {name}"), "Stop it: coracle stop NAME");
    assert_eq!(shown("a {} and {0:>7} \\\n    b {{.ID}} \\\"c\\\""), "a X and X b {.ID} \"c\"");
    assert!(is_hint("Name a file: X") && is_hint("sudo apt install x") && !is_hint("open X"));
    assert!(!is_hint("Loaded image: {name}") && !is_hint("Type"));
    assert!(explains("Stop it first: coracle stop NAME.", "Stop it first: coracle stop NAME; or do both"));
    assert!(explains("Write ...", "Write NAME=VALUE") && !explains("Name ...", "Name a file"));
}
