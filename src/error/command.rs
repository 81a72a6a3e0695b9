//! Commands in hints and warnings, under the name by which the user calls this program.

/// What hints call this program.
const OWN: &str = "coracle";

/// A text whose commands begin with this name instead of `coracle`. In hints and warnings, `coracle` in front of a word
/// or an option is a command to type.
pub fn commands_of(text: &str, program: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OWN) {
        let (before, after) = (&rest[..at], &rest[at + OWN.len()..]);
        let begins = !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'));
        let ends = after
            .strip_prefix(' ')
            .is_some_and(|next| next.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'));
        shown.push_str(before);
        shown.push_str(if begins && ends { program } else { OWN });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_nothing_else_get_the_name() {
        for (text, wanted) in [
            ("Pull it first: coracle pull x", "Pull it first: podman pull x"),
            ("List them: coracle ps -a; coracle images", "List them: podman ps -a; podman images"),
            ("See 'coracle run --help'", "See 'podman run --help'"),
            (
                "Name a place: coracle --root /var/tmp/$USER/coracle ...",
                "Name a place: podman --root /var/tmp/$USER/coracle ...",
            ),
            ("tar -C DIR -c . | coracle import - NAME", "tar -C DIR -c . | podman import - NAME"),
            (
                "Set root = \"DIR\" in ~/.config/coracle/coracle.toml",
                "Set root = \"DIR\" in ~/.config/coracle/coracle.toml",
            ),
            ("Start it first: coracle start coracle", "Start it first: podman start coracle"),
            (
                "systemctl --user enable coracle-restart.service",
                "systemctl --user enable coracle-restart.service",
            ),
        ] {
            assert_eq!(commands_of(text, "podman"), wanted);
        }
    }
}
