//! completions/, man/ and docs/kernel-features.md are made from the program and must not be stale.
//! `make generated` (CORACLE_UPDATE=1) writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is how they fail"
)]

use coracle::cmd::completion::{Shell, script};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every generated file below the source tree, with what it must hold.
fn wanted() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (shell, name) in
        [(Shell::Bash, "coracle.bash"), (Shell::Zsh, "_coracle"), (Shell::Fish, "coracle.fish")]
    {
        files.insert(format!("completions/{name}"), script(shell).unwrap().into_bytes());
    }
    files.insert("docs/kernel-features.md".into(), coracle::host::features_markdown().into_bytes());
    let mut tree = coracle::cli::tree().disable_help_subcommand(true);
    tree.build();
    pages(&tree, "coracle", &mut files);
    files
}

/// The text behind the options as sections: `Title:` alone on its line, or `Title: text`; indented
/// `term  meaning` lines, with more of the meaning far indented; paragraphs.
fn sections(text: &str) -> String {
    let escape = |s: &str| s.replace('\\', "\\e").replace('-', "\\-");
    let mut roff = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim();
        let title = words.split_once(':').filter(|(title, rest)| {
            indent == 0
                && title.starts_with(|c: char| c.is_ascii_uppercase())
                && !title.contains(['.', ';', ','])
                && (rest.is_empty() || rest.starts_with(' '))
        });
        // A mark at the start of a line would make it a request.
        match (title, words.split_once("  ")) {
            _ if words.is_empty() => roff.push_str(".PP\n"),
            (Some((title, rest)), _) => {
                roff.push_str(&format!(".SH \"{}\"\n", title.to_uppercase()));
                if !rest.is_empty() {
                    let (first, more) = rest.trim().split_at(1);
                    roff.push_str(&format!("\\&{}{}\n", escape(&first.to_uppercase()), escape(more)));
                }
            }
            (None, Some((term, meaning))) if indent > 0 => {
                let (term, meaning) = (escape(term), escape(meaning.trim()));
                roff.push_str(&format!(".TP\n\\fB{term}\\fR\n{meaning}\n"));
            }
            _ => roff.push_str(&format!("\\&{}\n", escape(words))),
        }
    }
    roff.replace(".PP\n.SH", ".SH")
}

/// The page of one command and those of the commands below it.
fn pages(command: &clap::Command, name: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    let below: Vec<&clap::Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let mut page = Vec::new();
    let shown = command.clone().name(name.to_owned()).disable_help_subcommand(true);
    let man = clap_mangen::Man::new(shown)
        .title(name.to_uppercase())
        .source(format!("coracle {}", env!("CARGO_PKG_VERSION")))
        .manual("Coracle Manual");
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if !below.is_empty() {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let mut text = String::from_utf8(page).unwrap();
    if let Some(more) = command.get_after_long_help() {
        text.push_str(&sections(&more.to_string()));
    }
    text.push_str(".SH \"SEE ALSO\"\n");
    let mut also: Vec<String> = match name.rsplit_once('-') {
        Some((above, _)) => vec![above.to_owned()],
        None => vec!["coracle.toml".to_owned()],
    };
    also.extend(below.iter().map(|c| format!("{name}-{}", c.get_name())));
    let section = |page: &String| if page == "coracle.toml" { 5 } else { 1 };
    let also: Vec<String> =
        also.iter().map(|page| format!("\\fB{}\\fR({})", page.replace('-', "\\-"), section(page))).collect();
    text.push_str(&also.join(",\n"));
    text.push('\n');
    files.insert(format!("man/{name}.1"), text.into_bytes());
    for command in below {
        pages(command, &format!("{name}-{}", command.get_name()), files);
    }
}

#[test]
fn generated_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let wanted = wanted();
    let update = std::env::var_os("CORACLE_UPDATE").is_some();
    let mut stale = Vec::new();
    for (name, bytes) in &wanted {
        let path = root.join(name);
        if fs::read(&path).ok().as_ref() == Some(bytes) {
            continue;
        }
        if update {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
        } else {
            stale.push(name.clone());
        }
    }
    // Pages of commands that are gone.
    for entry in fs::read_dir(root.join("man")).into_iter().flatten().flatten() {
        let name = format!("man/{}", entry.file_name().to_string_lossy());
        if name.ends_with(".1") && !wanted.contains_key(&name) {
            if update {
                fs::remove_file(entry.path()).unwrap();
            } else {
                stale.push(name);
            }
        }
    }
    assert!(stale.is_empty(), "stale, write them anew with make generated:\n  {}", stale.join("\n  "));
}

/// A help page is read in a hurry: every command and every option says in a line what it is.
#[test]
fn everything_has_a_line_of_help() {
    fn walk(command: &clap::Command, path: &str, wrong: &mut Vec<String>) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        if about.is_empty() || about.contains('\n') || about.ends_with('.') {
            wrong.push(format!("{path}: {about:?}"));
        }
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            if help.is_empty() || (help.ends_with('.') && !help.ends_with("...")) {
                wrong.push(format!("{path} {}: {help:?}", arg.get_id()));
            }
        }
        for command in command.get_subcommands() {
            walk(command, &format!("{path} {}", command.get_name()), wrong);
        }
    }
    let mut wrong = Vec::new();
    walk(&coracle::cli::tree(), "coracle", &mut wrong);
    assert!(wrong.is_empty(), "no help, or not one line without a full stop:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_tree_is_consistent() {
    coracle::cli::tree().debug_assert();
}
