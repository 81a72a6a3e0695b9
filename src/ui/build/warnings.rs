//! Findings of the build checks, as docker prints them: as a list at the end of a build, or in full.

use super::words::printable;
use crate::build::event::Warning;

/// Where docker's reference tells of a rule.
const RULES: &str = "https://docs.docker.com/go/dockerfile/rule/";

/// The list at the end of a build; empty without findings.
pub fn list(warnings: &[Warning]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let s = if warnings.len() == 1 { "" } else { "s" };
    let mut text = format!("\n {} warning{s} found (use --check to expand):\n", warnings.len());
    for warning in warnings {
        let line = format!("{}: {} (line {})", warning.rule, warning.message, warning.lines.0);
        text.push_str(&format!(" - {}\n", printable(&line)));
    }
    text
}

/// What `--check` prints.
pub fn report(warnings: &[Warning]) -> String {
    let mut text = match warnings.len() {
        0 => return "Check complete, no warnings found.\n".to_owned(),
        1 => "Check complete, 1 warning has been found!\n".to_owned(),
        count => format!("Check complete, {count} warnings have been found!\n"),
    };
    let mut sorted: Vec<&Warning> = warnings.iter().collect();
    sorted.sort_by_key(|warning| (&warning.file, warning.lines));
    for warning in sorted {
        let address = address(&warning.rule);
        text.push_str(&format!("\nWARNING: {} - {address}\n", printable(&warning.rule)));
        text.push_str(&format!("{}\n{}", printable(&warning.message), excerpt(warning)));
    }
    text
}

/// The lines that a finding is about.
fn excerpt(warning: &Warning) -> String {
    let (first, last) = warning.lines;
    let rule = "-".repeat(20);
    let mut text = format!("{}:{first}\n{rule}\n", printable(&warning.file));
    for (number, line) in &warning.excerpt {
        let mark = if (first..=last).contains(number) { ">>>" } else { "   " };
        text.push_str(format!(" {number:3} | {mark} {}", printable(line)).trim_end());
        text.push('\n');
    }
    text + &rule + "\n"
}

/// Where a rule is explained: `StageNameCasing` is at `stage-name-casing`.
pub fn address(rule: &str) -> String {
    let letters: Vec<char> = rule.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut name = RULES.to_owned();
    for (at, c) in letters.iter().enumerate() {
        let next_is_lower = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let word_begins = at > 0 && c.is_ascii_uppercase();
        if word_begins && (!letters[at - 1].is_ascii_uppercase() || next_is_lower) {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    name + "/"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(rule: &str, line: usize) -> Warning {
        Warning {
            rule: rule.into(),
            description: "Stage names should be lowercase".into(),
            message: "Stage name 'BUILD' should be lowercase".into(),
            file: "Containerfile".into(),
            lines: (line, line),
            excerpt: vec![(line, "FROM alpine AS BUILD".into()), (line + 1, String::new())],
        }
    }

    #[test]
    fn findings_are_listed_as_dockers() {
        assert_eq!(list(&[]), "");
        let one = "\n 1 warning found (use --check to expand):\n \
                   - StageNameCasing: Stage name 'BUILD' should be lowercase (line 3)\n";
        assert_eq!(list(&[warning("StageNameCasing", 3)]), one);
        assert!(list(&[warning("A", 1), warning("B", 2)]).starts_with("\n 2 warnings found"));
    }

    #[test]
    fn findings_are_shown_with_their_lines() {
        assert_eq!(report(&[]), "Check complete, no warnings found.\n");
        let wanted = "Check complete, 1 warning has been found!\n\n\
            WARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n\
            Stage name 'BUILD' should be lowercase\n\
            Containerfile:3\n\
            --------------------\n   \
              3 | >>> FROM alpine AS BUILD\n   \
              4 |\n\
            --------------------\n";
        assert_eq!(report(&[warning("StageNameCasing", 3)]), wanted);
    }

    #[test]
    fn rules_have_addresses() {
        assert!(
            address("JSONArgsRecommended").ends_with("/rule/json-args-recommended/"),
            "{}",
            address("JSONArgsRecommended")
        );
        assert!(address("FromAsCasing").ends_with("/rule/from-as-casing/"));
    }
}
