//! The grouped commands of `coracle --help`, and the examples below a command's options.

use super::commands::{self, verb};
use super::pages;
use crate::cmd::verbs::bare;
use clap::Command;

/// The commands as the help groups them, by what they are about; each is in one group.
pub const GROUPS: [(&str, &[&str]); 5] = [
    ("Common commands", &["run", "exec", "ps", "logs", "stop", "rm", "build", "pull", "images", "info"]),
    (
        "Containers",
        &[
            "attach",
            "auto-update",
            "commit",
            "container",
            "cp",
            "create",
            "diff",
            "export",
            "healthcheck",
            "init",
            "inspect",
            "kill",
            "mount",
            "pause",
            "pod",
            "port",
            "rename",
            "restart",
            "start",
            "stats",
            "top",
            "unmount",
            "unpause",
            "update",
            "wait",
        ],
    ),
    (
        "Images and registries",
        &[
            "builder", "buildx", "history", "image", "import", "load", "login", "logout", "manifest", "push",
            "rmi", "save", "search", "tag", "untag",
        ],
    ),
    ("Volumes, secrets and networks", &["network", "secret", "volume"]),
    ("System", &["completion", "context", "events", "system", "unshare", "version"]),
];

/// The last line of the help.
pub(super) const MORE: &str = "coracle COMMAND --help shows the options of a command, and examples";

/// The help of the program as clap's template.
pub(super) fn template() -> String {
    let width = commands::Command::ALL.iter().map(|verb| verb.name().len()).max().unwrap_or_default();
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n\n".to_owned();
    for (title, names) in GROUPS {
        text.push_str(&format!("{title}:\n"));
        for verb in names.iter().filter_map(|name| verb(name)) {
            text.push_str(&format!("  {:width$} {}\n", verb.name(), verb.about));
        }
        text.push('\n');
    }
    text + "Global options:\n{options}{after-help}"
}

/// What `--help` says behind the options, more than `-h`.
pub(super) fn manual() -> String {
    format!("{}\n\n{MORE}", pages::of(&[]).sections())
}

/// The tree in which the command that the path names has examples behind its options.
pub(super) fn with_examples(tree: Command, path: &[&str]) -> Command {
    let Some((name, verb)) = path.first().and_then(|name| Some((*name, verb(name)?))) else {
        return tree;
    };
    let shown = |command: Command, path: &[&str]| {
        let page = pages::of(path);
        command.after_help(page.short()).after_long_help(page.long())
    };
    tree.mut_subcommand(name, |command| {
        let command = (verb.arguments)(bare(command));
        let below = path.get(1).and_then(|word| command.find_subcommand(word));
        match below.map(|below| below.get_name().to_owned()) {
            Some(below) => command.mut_subcommand(&below, |command| shown(command, &[name, &below])),
            None => shown(command, &[name]),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.sort_unstable();
        let mut all: Vec<String> = commands::Command::ALL.iter().map(|verb| verb.name()).collect();
        all.sort_unstable();
        assert_eq!(grouped, all);
    }
}
