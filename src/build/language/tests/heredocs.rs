//! Here-documents in instructions.

use super::*;

fn run(text: &str) -> Command {
    let Does::Run(run) = does(text) else { panic!("{text}") };
    run.command
}

#[test]
fn scripts_are_what_a_shell_gets() {
    let text = |text: &str| Script::Text(text.to_owned());
    for (line, wanted) in [
        ("RUN ls", text("ls")),
        ("RUN [\"ls\"]", Script::Words(strings(&["ls"]))),
        ("RUN <<EOF\n  a\n# b\nEOF", text("  a\n# b\n")),
        ("RUN <<-EOF\n\ta\n\t\tb\n\tEOF", text("a\nb\n")),
        ("RUN --network=none <<'EOF'\necho $a \\\nEOF", text("echo $a \\\n")),
        ("RUN <<EOF bash\nset -e\nEOF", text("<<EOF bash\nset -e\nEOF")),
        ("RUN cat <<A >a && cat 3<<\"B\" >b\n1\nA\n2\nB", text("cat <<A >a && cat 3<<\"B\" >b\n1\nA\n2\nB")),
        ("RUN <<E\n#!/bin/x\ny\nE", Script::File { name: "E".into(), content: "#!/bin/x\ny\n".into() }),
        ("RUN cat \\\n <<E\nx \\\ny\nE", text("cat  <<E\nx \\\ny\nE")),
        ("RUN <<E\nE", text("")),
        ("RUN \"<<E\"", text("\"<<E\"")),
    ] {
        assert_eq!(run(line).script(), wanted, "{line}");
    }
    assert_eq!(run("RUN [\"<<EOF\"]"), Command::Exec(strings(&["<<EOF"])));
}

#[test]
fn their_ends_are_found_by_line() {
    let file = file("FROM a\r\nRUN <<E\r\nx\r\n E\r\nE\r\nCMD y\r\n");
    let [run, cmd] = &file.stages[0].instructions[..] else { panic!("{file:?}") };
    assert_eq!((run.at, cmd.at), ((2, 5), (6, 6)));
    assert!(
        matches!(&run.does, Does::Run(run) if run.command.script() == Script::Text("x\r\n E\r\n".into()))
    );
}

#[test]
fn files_are_made_of_them() {
    let Does::Copy(copy) = does("COPY --chown=1 <<A.txt x <<-\"B\" /dest\n1 $v\\$v \"q\"\nA.txt\n\t$v\n\tB")
    else {
        panic!()
    };
    assert_eq!((copy.sources, copy.destination), (vec![word("x")], word("/dest")));
    let [a, b] = &copy.inline[..] else { panic!("{:?}", copy.inline) };
    assert_eq!((&a.name[..], &b.name[..], &b.marker[..]), ("A.txt", "B", "<<-\"B\""));
    let value = |_: &str| Some("'v'".to_owned());
    assert_eq!(a.expanded(&value).unwrap(), "1 'v'$v \"q\"\n");
    assert_eq!(b.expanded(&value).unwrap(), "$v\n");
    assert_eq!(a.summary(), "1 $v\\$v \"q\"");
    assert!(matches!(does("ADD <<a /b\nx\ny\na"), Does::Add(add) if add.copy.inline[0].summary() == "x..."));
}

#[test]
fn other_instructions_have_none() {
    assert_eq!(does("USER <<X"), Does::User(word("<<X")));
    assert_eq!(does("CMD cat <<X"), Does::Cmd(shell("cat <<X")));
}

#[test]
fn those_without_end_or_use_are_refused() {
    for (text, wanted) in [
        ("RUN <<EOF\nx\n", "Containerfile:2: unterminated heredoc: \"EOF\" is not found"),
        ("COPY a <<EOF\nEOF", "Containerfile:2: COPY cannot accept a heredoc as a destination"),
        ("COPY << EOF /a\nEOF", "Containerfile:2: COPY: heredoc << EOF is no source of its own"),
    ] {
        assert_eq!(refusal(&format!("FROM a\n{text}")).0, wanted);
    }
}
