//! completions/, man/ and docs/kernel-features.md are made from the program and must not be stale.
//! `make generated` (CORACLE_UPDATE=1) writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests: a panic is how they fail"
)]

use coracle::cli::pages::{self, Page};
use coracle::cmd::completion::{Shell, script};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Every generated file below the source tree, with what it must hold.
fn wanted() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (shell, name) in
        [(Shell::Bash, "coracle.bash"), (Shell::Zsh, "_coracle"), (Shell::Fish, "coracle.fish")]
    {
        files.insert(format!("completions/{name}"), script(shell, "coracle").unwrap().into_bytes());
    }
    files.insert("docs/kernel-features.md".into(), coracle::host::features_markdown().into_bytes());
    page(&coracle::cli::whole(), &[], &mut files);
    files
}

/// Text for roff: no character of it is a request or a hyphen that a search would miss.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

/// A section's lines: indented `term  meaning`, with more of the meaning further indented; else paragraphs.
fn body(text: &str) -> String {
    let mut roff = String::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        // A mark at the start of a line would make it a request.
        match (line.trim(), line.trim().split_once("  ")) {
            ("", _) => roff.push_str(".PP\n"),
            (_, Some((term, meaning))) if indent > 0 => {
                let (term, meaning) = (escape(term), escape(meaning.trim()));
                roff.push_str(&format!(".TP\n\\fB{term}\\fR\n\\&{meaning}\n"));
            }
            (words, _) => roff.push_str(&format!("\\&{}\n", escape(words))),
        }
    }
    roff
}

fn section(title: &str, text: &str) -> String {
    format!(".SH \"{}\"\n{text}", title.to_uppercase())
}

/// More options than these are not all named in the synopsis.
const SYNOPSIS_MAX: usize = 20;

/// `coracle ps [-a|--all] [-f|--filter KEY=VALUE]...`: each option with its value, then the arguments.
fn synopsis(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let behind = usage.split_once("[OPTIONS]").map_or("", |(_, behind)| behind);
    let mut options: Vec<String> = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let elsewhere = arg.is_global_set() && command.get_name() != "coracle";
        if arg.is_hide_set() || arg.is_positional() || elsewhere || ["help", "version"].contains(&id) {
            continue;
        }
        let short = arg.get_short().map(|short| format!("-{short}"));
        let long = arg.get_long().map(|long| format!("--{long}"));
        let mut option = [short, long].into_iter().flatten().collect::<Vec<_>>().join("|");
        let value = arg.get_value_names().unwrap_or_default().first().map(ToString::to_string);
        if arg.get_action().takes_values() && !arg.is_require_equals_set() {
            option.push_str(&format!(" {}", value.unwrap_or_else(|| id.to_uppercase())));
        }
        let repeated = if matches!(arg.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        options.push(format!("[{option}]{repeated}"));
    }
    if options.len() > SYNOPSIS_MAX {
        options = vec!["[OPTION [VALUE]]...".to_owned()];
    }
    let name = command.get_bin_name().unwrap_or("coracle");
    let arguments = behind.trim().replace(['<', '>'], "");
    let below = command.get_subcommands().next().map(|_| "COMMAND".to_owned());
    let arguments = Some(arguments).filter(|a| !a.is_empty() && below.is_none());
    let rest: Vec<String> = options.into_iter().chain(below).chain(arguments).collect();
    // A part is not broken across lines.
    let rest: Vec<String> = rest.iter().map(|part| escape(part).replace(' ', "\\ ")).collect();
    format!(".HP\n\\fB{}\\fR {}\n", escape(name), rest.join(" "))
}

/// The options with those of the program itself behind the others.
fn global_last(options: &str) -> String {
    let sections = options.split_inclusive("\n").fold(Vec::<String>::new(), |mut sections, line| {
        match sections.last_mut().filter(|_| !line.starts_with(".SH ")) {
            Some(section) => section.push_str(line),
            None => sections.push(line.to_owned()),
        }
        sections
    });
    let (last, first): (Vec<_>, Vec<_>) = sections.into_iter().partition(|s| s.contains("GLOBAL OPTIONS"));
    [first, last].concat().concat()
}

/// The commands below one, those of the program in the groups of its help.
fn commands(name: &str, below: &[&clap::Command]) -> String {
    let entry = |command: &&clap::Command| {
        let page = escape(&format!("{name}-{}", command.get_name()));
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!(".TP\n\\fB{page}\\fR(1)\n\\&{}\n", escape(&about))
    };
    if name != "coracle" {
        return below.iter().map(entry).collect();
    }
    let group = |(title, names): (&str, &[&str])| {
        let entries = names.iter().filter_map(|name| below.iter().find(|c| c.get_name() == *name)).map(entry);
        format!(".SS \"{title}\"\n{}", entries.collect::<String>())
    };
    coracle::cli::help::GROUPS.into_iter().map(group).collect()
}

fn examples(page: Page) -> String {
    let shown = page.examples().into_iter().map(|example| {
        let (about, command) = (escape(example.about), escape(example.command));
        format!(".PP\n\\&{about}:\n.PP\n.RS 4\n.nf\n\\fB{command}\\fR\n.fi\n.RE\n")
    });
    shown.collect()
}

/// The page of one command and those of the commands below it.
fn page(command: &clap::Command, path: &[&str], files: &mut BTreeMap<String, Vec<u8>>) {
    let below: Vec<&clap::Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let name = [&["coracle"], path].concat().join("-");
    let page = pages::of(path);
    let mut head = Vec::new();
    let man = clap_mangen::Man::new(command.clone().name(name.clone()))
        .title(name.to_uppercase())
        .source(format!("coracle {}", env!("CARGO_PKG_VERSION")))
        .manual("Coracle Manual");
    man.render_title(&mut head).unwrap();
    man.render_name_section(&mut head).unwrap();
    let mut options = Vec::new();
    man.render_options_section(&mut options).unwrap();
    let mut text = String::from_utf8(head).unwrap();
    text.push_str(&section("Synopsis", &synopsis(command)));
    text.push_str(&section("Description", &body(page.description())));
    text.push_str(&global_last(&String::from_utf8(options).unwrap()));
    if !below.is_empty() {
        text.push_str(&section("Commands", &commands(&name, &below)));
    }
    for title in page.titles() {
        text.push_str(&section(title, &body(page.section(title).unwrap())));
    }
    let common = |title| pages::COMMON.section(title).unwrap();
    text.push_str(&section(
        "Exit status",
        &body(page.section("Exit status").unwrap_or(common("Exit status"))),
    ));
    let mut environment = body(page.section("Environment").unwrap_or_default());
    if !path.is_empty() {
        environment.push_str(&body(common("Environment")));
    }
    text.push_str(&section("Environment", &environment));
    if let Some(paths) = page.section("Files") {
        text.push_str(&section("Files", &body(paths)));
    }
    text.push_str(&section("Examples", &examples(page)));
    text.push_str(&section("See also", &see_also(path, page, &below)));
    files.insert(format!("man/{name}.1"), text.into_bytes());
    for command in below {
        self::page(command, &[path, &[command.get_name()]].concat(), files);
    }
}

/// The page above, those below, and those that the text names.
fn see_also(path: &[&str], page: Page, below: &[&clap::Command]) -> String {
    let joined = |path: &[&str]| [&["coracle"], path].concat().join("-");
    let mut names = Vec::new();
    if let [above @ .., _] = path {
        names.push(joined(above));
    }
    names.extend(below.iter().map(|command| joined(&[path, &[command.get_name()]].concat())));
    for name in page.see_also() {
        let name = if name == "coracle.toml" { name.to_owned() } else { format!("coracle-{name}") };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let entry = |name: &String| {
        let section = if name == "coracle.toml" { 5 } else { 1 };
        format!("\\fB{}\\fR({section})", escape(name))
    };
    names.iter().map(entry).collect::<Vec<_>>().join(",\n") + "\n"
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
    walk(&coracle::cli::whole(), "coracle", &mut wrong);
    assert!(wrong.is_empty(), "no help, or not one line without a full stop:\n  {}", wrong.join("\n  "));
}

/// The page of every command says what it does, shows it at least twice in a way that can be tried, and leads on.
#[test]
fn every_command_has_a_page() {
    fn walk(command: &clap::Command, path: &[&str], used: &mut BTreeSet<String>, wrong: &mut Vec<String>) {
        let (name, page) = (pages::name(path), pages::of(path));
        let runs = page.examples().iter().filter(|example| example.runs && !example.about.is_empty()).count();
        let sentences = page.description().matches(['.', ';']).count();
        // A test has no other machine to copy from.
        let wanted = if name == "image-scp" { 0 } else { 2 };
        if sentences < 1 || runs < wanted {
            wrong.push(format!("{name}: {sentences} sentences, {runs} examples that run"));
        }
        used.insert(name);
        for command in command.get_subcommands() {
            walk(command, &[path, &[command.get_name()]].concat(), used, wrong);
        }
    }
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    walk(&coracle::cli::whole(), &[], &mut used, &mut wrong);
    for name in pages::names() {
        if !used.contains(name) {
            wrong.push(format!("{name}: there is no such command"));
        }
        let words: Vec<&str> = name.splitn(2, '-').filter(|word| *word != "coracle").collect();
        for also in pages::of(&words).see_also() {
            if also != "coracle.toml" && !pages::names().any(|known| known == also) {
                wrong.push(format!("{name}: see also {also:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tree_is_consistent() {
    coracle::cli::whole().debug_assert();
}
