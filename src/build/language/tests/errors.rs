//! What is refused, and how it is said.

use super::*;

#[test]
fn mistakes_are_named_with_their_line() {
    for (line, message, hint) in [
        ("RNU make", "Unknown instruction: \"RNU\"", "Did you mean RUN?"),
        ("expoes 80", "Unknown instruction: \"EXPOES\"", "Did you mean EXPOSE?"),
        (
            "&& make",
            "Unknown instruction: \"&&\"",
            "Write \\ at the end of the line before it to continue that",
        ),
        ("whatever", "Unknown instruction: \"WHATEVER\"", ""),
        ("COPY --form=a b c", "unknown flag: --form", "Did you mean --from?"),
        ("ADD --from=a b c", "unknown flag: --from", ""),
        ("CMD --x y", "unknown flag: --x", ""),
        ("COPY --from=a --from=b c d", "duplicate flag specified: --from", ""),
        ("COPY --link=2 a b", "expecting boolean value for flag --link, not: 2", ""),
        (
            "COPY a",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
            "",
        ),
        ("ENV a", "ENV must have two arguments", ""),
        ("ENV", "ENV requires at least one argument", ""),
        ("ENV a=1 b", "Syntax error - can't find = in \"b\". Must be of the form: name=value", ""),
        ("LABEL =x", "LABEL names can not be blank", ""),
        ("ARG =x", "ARG names can not be blank", ""),
        ("ARG", "ARG requires at least one argument", ""),
        ("USER", "USER requires exactly one argument", ""),
        ("EXPOSE", "EXPOSE requires at least one argument", ""),
        ("VOLUME", "VOLUME requires at least one argument", ""),
        ("VOLUME [\"\"]", "VOLUME specified can not be an empty string", ""),
        (
            "SHELL /bin/sh",
            "SHELL requires the arguments to be in JSON form",
            "Write SHELL [\"/bin/bash\", \"-c\"]",
        ),
        ("SHELL []", "SHELL requires at least one argument", ""),
        ("CMD [\"a\", 1]", "when using JSON array syntax, arrays must be comprised of strings only", ""),
        ("CMD [\"a\\u0000\"]", "a word of a list has a NUL character", ""),
        ("RUN --network=bridge a", "invalid network mode \"bridge\"", "Values: default none host"),
        ("RUN --security=none a", "security \"none\" is not valid", "Values: sandbox insecure"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument", ""),
        ("HEALTHCHECK RUN a", "HEALTHCHECK: it is neither NONE nor CMD and a command", ""),
        ("HEALTHCHECK --intervall=1s CMD a", "unknown flag: --intervall", "Did you mean --interval?"),
        ("ONBUILD ONBUILD RUN a", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", ""),
        ("ONBUILD from a", "FROM isn't allowed as an ONBUILD trigger", ""),
        ("ONBUILD MAINTAINER a", "MAINTAINER isn't allowed as an ONBUILD trigger", ""),
        ("ONBUILD RNU a", "Unknown instruction: \"RNU\"", "Did you mean RUN?"),
        ("FROM a b", "FROM requires either one or three arguments", ""),
        (
            "FROM a AS 1b",
            "invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
            "",
        ),
        ("RUN a\0b", "the line has a NUL character", ""),
    ] {
        let wanted = (format!("Containerfile:3: {message}"), hint.to_owned());
        assert_eq!(refusal(&format!("FROM a\n\n{line}\n")), wanted, "{line}");
    }
}

#[test]
fn files_without_stages_are_refused() {
    for (text, wanted) in [
        ("", "Containerfile: file with no instructions"),
        ("# nothing\n\n", "Containerfile: file with no instructions"),
        ("ARG a=1\n", "Containerfile: no FROM statement found"),
        ("\nRUN a\n", "Containerfile:2: no build stage in current context: RUN stands before FROM"),
        ("# escape=x\n", "Containerfile:1: invalid escape token 'x' does not match ` or \\"),
    ] {
        assert_eq!(refusal(text).0, wanted);
    }
}

#[test]
fn the_line_is_shown() {
    let error = parse(b"FROM busybox\nENV a=1 \\\n  b\n", "Containerfile").unwrap_err();
    assert_eq!(
        error.excerpts(),
        [
            "Containerfile:3\n--------------------\n   1 |     FROM busybox\n   2 | >>> ENV a=1 \\\n   3 | >>>   b\n     \
          |       ^\n--------------------\n"
        ]
    );
    assert_eq!(
        error.in_dockers_words(),
        "dockerfile parse error on line 3: Syntax error - can't find = in \"b\". Must be of the form: name=value"
    );
    let unknown = parse(b"FROM a\nrnu x", "D").unwrap_err();
    assert_eq!(unknown.in_dockers_words(), "dockerfile parse error on line 2: unknown instruction: rnu");
}

#[test]
fn what_is_too_large_is_refused() {
    let refused = |text: &[u8]| parse(text, "C").unwrap_err().message().to_owned();
    assert_eq!(refused(&vec![b' '; 11 << 20]), "C: it is larger than 10 MB");
    let many = format!("FROM a\n{}", "RUN b\n".repeat(10_000));
    assert_eq!(refused(many.as_bytes()), "C: it has more than 10000 instructions");
    let just = format!("FROM a\n{}", "RUN b\n".repeat(9_999));
    assert!(parse(just.as_bytes(), "C").is_ok());
    let long = format!("FROM a\nRUN {}", "\\\n".repeat(2 << 20));
    assert!(parse(long.as_bytes(), "C").is_err());
    assert_eq!(refused(b"FROM a\nRUN \xff\n"), "C:2: the line is not UTF-8");
    assert!(parse(b"FROM a\n# \xff\0\nRUN a\\\n#\xff\nb", "C").is_ok());
}
