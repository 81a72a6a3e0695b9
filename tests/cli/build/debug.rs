//! `--debug-shell`.

use super::context;
use crate::common::TestEnv;
use expectrl::{Eof, Expect};

const FILE: &str = "\
FROM busybox AS other
RUN echo other >/other
FROM busybox
ARG A=arg
ENV E=env
WORKDIR /w
RUN echo kept >kept
RUN --mount=type=secret,id=s --mount=type=bind,source=f,target=/f --mount=type=bind,from=other,target=/o \
    touch /w/gone; exit 7
";

#[test]
fn a_shell_opens_in_the_state_before_the_step() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", FILE), ("f", "of the context\n")]);
    let secret = env.file("secret", "value\n");
    let secret = format!("--secret=id=s,src={}", secret.display());
    let script = "pwd; cat kept /run/secrets/s /f /o/other; echo $A $E; ls; echo new >new; exit 3\n";
    for _ in 0..2 {
        let call = env.coracle(["build", "--network=none", "--debug-shell"]).arg(&secret).arg(&dir);
        let failed = call.stdin(script).fails(7);
        assert_eq!(failed.stdout, "/w\nkept\nvalue\nof the context\nother\narg env\nkept\n");
        failed.says("exit status 7").says("A shell opens");
    }
    assert!(
        !env.coracle(["build", "--network=none"]).arg(&secret).arg(&dir).fails(7).stderr.contains("A shell")
    );
    // Where nothing fails there is none.
    let fine = context(&env, "fine", &[("Containerfile", "FROM busybox\nRUN true\n")]);
    assert_eq!(env.coracle(["build", "--debug-shell"]).arg(&fine).stdin("echo no\n").ok().lines().len(), 1);
    let call = env.coracle(["build", "--debug-shell", "-f", "-"]).arg(&fine).stdin("FROM busybox\n");
    call.fails(125).says("standard input is what is built");
}

#[test]
fn on_a_terminal_it_has_one_and_is_offered() {
    let env = TestEnv::with_images();
    let dir = context(&env, "context", &[("Containerfile", "FROM busybox\nRUN touch /gone; exit 7\n")]);
    let mut offered = env.coracle(["build", "--network=none"]).arg(&dir).pty();
    offered.expect("coracle build --debug-shell").unwrap();
    offered.expect(Eof).unwrap();
    let mut shell = env.coracle(["build", "--network=none", "--debug-shell"]).arg(&dir).pty();
    shell.expect("/ # ").unwrap();
    shell.send_line("tty; ls /gone").unwrap();
    shell.expect("/dev/pts/0").unwrap();
    shell.expect("No such file").unwrap();
    shell.send_line("exit").unwrap();
    shell.expect(Eof).unwrap();
    let ended = shell.get_process().wait().unwrap();
    assert!(format!("{ended:?}").contains(", 7)"), "{ended:?}");
}
