//! The texts of the man pages: one file per command, used by `--help`, by the pages in man/ and by the test
//! that runs their examples.
//!
//! A file starts with the description. Sections follow, each introduced by a line `Title:`; their lines are
//! paragraphs or, if indented, `term  meaning`. In `Examples:`, a line `# ...` describes the command below it.
//! `$ ` marks a command that runs as it stands; `~ ` one that needs a terminal, a registry or something else
//! that tests lack, and is only parsed; `! ` prepares an example and is never shown.

/// The text of every command's page by its name, the words joined by hyphens. A verb of `container` or `image`
/// that has none here is the plain verb.
macro_rules! pages {
    ($($name:literal)+) => {
        const PAGES: &[(&str, &str)] = &[$(($name, include_str!(concat!("pages/", $name, ".txt")))),+];
    };
}

pages! {
    "attach" "auto-update" "build" "builder" "builder-du" "builder-prune" "buildx" "buildx-create" "buildx-imagetools"
    "buildx-imagetools-create" "buildx-imagetools-inspect" "buildx-inspect" "buildx-ls"
    "buildx-rm" "buildx-stop" "buildx-use" "buildx-version" "commit" "completion" "container" "container-cleanup" "container-clone" "container-exists"
    "container-prune" "context" "context-inspect" "context-ls" "context-show" "context-use" "coracle" "cp"
    "create" "diff" "events" "exec" "export" "healthcheck" "healthcheck-run" "history" "image" "image-diff" "image-exists"
    "image-inspect" "image-mount" "image-prune" "image-scp" "image-tree" "image-trust" "image-trust-set" "image-trust-show" "image-unmount"
    "images" "import" "info"
    "init" "inspect" "kill" "load" "login" "logout" "logs" "manifest" "manifest-add" "manifest-annotate"
    "manifest-create" "manifest-exists" "manifest-inspect" "manifest-push" "manifest-remove" "manifest-rm" "mount"
    "network" "network-connect" "network-create" "network-disconnect" "network-exists" "network-inspect" "network-ls" "network-prune"
    "network-reload" "network-rm" "network-update" "pause" "pod" "pod-create" "pod-exists" "pod-inspect" "pod-kill"
    "pod-logs" "pod-pause" "pod-prune" "pod-ps" "pod-restart" "pod-rm" "pod-start" "pod-stats" "pod-stop" "pod-top"
    "pod-unpause" "port" "ps" "pull" "push"
    "rename" "restart" "rm" "rmi" "run" "save" "search" "secret" "secret-create" "secret-exists"
    "secret-inspect" "secret-ls" "secret-rm"
    "start" "stats" "stop" "system" "system-check" "system-df" "system-migrate" "system-prune"
    "system-renumber" "system-reset" "tag" "top" "unmount" "unpause" "unshare" "untag" "update" "version" "volume"
    "volume-create" "volume-exists" "volume-export" "volume-import" "volume-inspect" "volume-ls"
    "volume-mount" "volume-prune" "volume-rm" "volume-unmount" "wait"
}

/// What is true of every command; a page's own section of the same name stands in its place.
pub const COMMON: Page = Page(include_str!("pages/common.txt"));

/// Verbs below a noun that another page is about.
const SAME: [(&str, &str); 5] = [
    ("buildx-du", "builder-du"),
    ("buildx-prune", "builder-prune"),
    ("container-ls", "ps"),
    ("image-ls", "images"),
    ("image-rm", "rmi"),
];

/// One command's text.
#[derive(Debug, Clone, Copy)]
pub struct Page(&'static str);

/// A command of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Commands that come first, shown nowhere.
    pub before: Vec<&'static str>,
    /// What it does.
    pub about: &'static str,
    /// The command line, for a shell.
    pub command: &'static str,
    /// Whether it can be run as it stands.
    pub runs: bool,
}

/// The name of the page that tells of a command: that of `container run` is `run`.
pub fn name(path: &[&str]) -> String {
    let joined = path.join("-");
    if let Some((_, name)) = SAME.iter().find(|(of, _)| *of == joined) {
        return (*name).to_owned();
    }
    let known = |name: &str| PAGES.iter().any(|(known, _)| *known == name);
    match path {
        [] => "coracle".to_owned(),
        [_, verb] if !known(&joined) => (*verb).to_owned(),
        _ => joined,
    }
}

/// The page of a command, by the words that name it; empty for one that has none.
pub fn of(path: &[&str]) -> Page {
    let name = name(path);
    Page(PAGES.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text))
}

/// The names of all pages.
pub fn names() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}

impl Page {
    /// What the command does and changes.
    pub fn description(self) -> &'static str {
        self.parts().find(|(title, _)| title.is_empty()).map_or("", |(_, text)| text)
    }

    /// The text of one section.
    pub fn section(self, wanted: &str) -> Option<&'static str> {
        self.parts().find(|(title, _)| *title == wanted).map(|(_, text)| text)
    }

    /// The titles of the sections that are not on every page, in order.
    pub fn titles(self) -> impl Iterator<Item = &'static str> {
        let usual = ["", "Examples", "See also", "Exit status", "Environment", "Files"];
        self.parts().map(|(title, _)| title).filter(move |title| !usual.contains(title))
    }

    /// The commands that show its use.
    pub fn examples(self) -> Vec<Example> {
        let (mut examples, mut before, mut about) = (Vec::new(), Vec::new(), "");
        for line in self.section("Examples").unwrap_or_default().lines().map(str::trim) {
            match line.split_once(' ') {
                Some(("!", command)) => before.push(command),
                Some(("#", text)) => about = text,
                Some((sign @ ("$" | "~"), command)) => {
                    let (before, about) = (std::mem::take(&mut before), std::mem::take(&mut about));
                    examples.push(Example { before, about, command, runs: sign == "$" });
                }
                _ => {}
            }
        }
        examples
    }

    /// The pages to read next.
    pub fn see_also(self) -> Vec<&'static str> {
        self.section("See also").unwrap_or_default().split([',', '\n']).map(str::trim).collect()
    }

    /// The sections but examples and what to read next, each paragraph in one line: the terminal's width breaks it.
    pub(super) fn sections(self) -> String {
        let parts = self.parts().filter(|(title, _)| !["", "Examples", "See also"].contains(title));
        let parts = parts.map(|(title, text)| format!("{title}:\n{}", joined(text)));
        parts.collect::<Vec<_>>().join("\n\n")
    }

    /// Two examples, as `-h` shows them.
    pub(super) fn short(self) -> String {
        let shown = self.examples().into_iter().take(2);
        let shown = shown.map(|example| format!("  # {}\n  {}\n", example.about, example.command));
        format!("Examples:\n{}", shown.collect::<String>())
    }

    /// What `--help` shows behind the options.
    pub(super) fn long(self) -> String {
        [self.sections(), self.short()].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// Title and text of each part; the description has no title.
    fn parts(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let mut rest = Some(("", self.0));
        std::iter::from_fn(move || {
            let (title, text) = rest.take()?;
            let mut at = 0;
            for line in text.split_inclusive('\n') {
                if let Some(next) = line.trim_end().strip_suffix(':').filter(|_| is_title(line)) {
                    rest = Some((next, &text[at + line.len()..]));
                    return Some((title, text[..at].trim_matches('\n')));
                }
                at += line.len();
            }
            Some((title, text.trim_matches('\n')))
        })
    }
}

/// A text whose paragraphs have become lines. Tables stay as they are: their lines have columns, or begin at different
/// places.
fn joined(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let paragraph = |block: &str| {
        let first = indent(block);
        let is_table = block.lines().any(|line| indent(line) != first || line.trim().contains("  "));
        if is_table {
            return block.to_owned();
        }
        let words: Vec<&str> = block.lines().map(str::trim).collect();
        format!("{:first$}{}", "", words.join(" "))
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}

/// `Exit status:`, alone on its line.
fn is_title(line: &str) -> bool {
    let words = line.trim_end();
    words.ends_with(':')
        && words.starts_with(|c: char| c.is_ascii_uppercase())
        && !words.contains(['.', ',', ';', '='])
        && words.len() < 40
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = Page(
            "Does it.\n\nAnd more: this.\n\nFiles:\n  a  b\n\nExamples:\n  ! make x\n  # Do it\n  $ coracle do x\n  \
             # Look\n  ~ coracle look\n\nSee also:\nrun, ps\n",
        );
        assert_eq!(page.description(), "Does it.\n\nAnd more: this.");
        assert_eq!(page.section("Files"), Some("  a  b"));
        assert_eq!(page.see_also(), ["run", "ps"]);
        let [one, two] = &page.examples()[..] else { panic!("two examples") };
        assert_eq!(
            (&one.before[..], one.about, one.command, one.runs),
            (&["make x"][..], "Do it", "coracle do x", true)
        );
        assert!(two.before.is_empty() && !two.runs);
        assert_eq!(page.short(), "Examples:\n  # Do it\n  coracle do x\n  # Look\n  coracle look\n");
    }

    #[test]
    fn paragraphs_are_lines_and_tables_stay() {
        let text =
            "  One two\n  three.\n\n  a   First\n  bb  Second\n\n  c  Third,\n     longer\n\nPlain\nwords";
        let lines =
            "  One two three.\n\n  a   First\n  bb  Second\n\n  c  Third,\n     longer\n\nPlain words";
        assert_eq!(joined(text), lines);
    }

    #[test]
    fn every_example_says_what_it_does() {
        for (name, text) in PAGES {
            for example in Page(text).examples() {
                assert!(!example.about.is_empty(), "{name}: {}", example.command);
            }
        }
    }

    #[test]
    fn verbs_below_a_noun_share_pages() {
        assert_eq!(name(&["container", "run"]), "run");
        assert_eq!(name(&["container", "prune"]), "container-prune");
        assert_eq!(name(&["image", "ls"]), "images");
        assert_eq!(name(&["system", "info"]), "info");
        assert_eq!(name(&[]), "coracle");
    }
}
