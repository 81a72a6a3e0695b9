//! Web servers that speak TLS with a certificate of an authority of their own: whom `--cert-dir` and `--tls-verify` trust.

use super::{context, run};
use crate::common::{TLS_PROGRAMS, TestEnv, TlsServer, lacks, make_authority};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

/// Makes what is served: a file, an archive and a repository.
fn make_served(dir: &Path) {
    let script = "\
        exec >/dev/null 2>&1
        mkdir served work
        echo file >served/f
        printf 'FROM busybox\\nCOPY x /x\\n' >work/Dockerfile
        echo inside >work/x
        tar -C work -cf served/context.tar .
        cd work
        git init -q -b main . && git add . && git -c user.name=t -c user.email=t@t commit -q -m x
        git clone -q --bare . ../served/r.git && git -C ../served/r.git update-server-info";
    let made = Command::new("bash").args(["-c", script]).current_dir(dir).env("HOME", dir).status().unwrap();
    assert!(made.success());
}

#[test]
fn web_sources_are_trusted_as_registries_are() {
    if lacks(&TLS_PROGRAMS) || lacks(&["git"]) {
        return;
    }
    let env = TestEnv::with_images();
    let dir = env.path().join("tls");
    std::fs::create_dir(&dir).unwrap();
    make_authority(&dir);
    make_served(&dir);
    let server = TlsServer::start(&dir, &dir.join("served"));
    let at = |path: &str| server.url(path);
    let added = format!("FROM busybox\nADD {} /f\nADD {}#main /r\n", at("f"), at("r.git"));
    let own = context(&env, "context", &[("Containerfile", &added)]).display().to_string();
    let trusted = format!("--cert-dir={}", dir.join("trusted").display());
    let sources = [own, at("context.tar"), format!("{}#main", at("r.git"))];
    for (source, shows) in sources.iter().zip(["cat /f /r/x", "cat /x", "cat /x"]) {
        let call = |options: &[&str]| {
            let call = ["build", "--network=none", "--no-cache", "--retry=0", "-t", "made"];
            env.coracle(call).args(options).arg(source).run()
        };
        let refused = call(&[]);
        assert!(refused.code == 125 && refused.stderr.contains("certificate"), "{source}: {refused}");
        for option in ["--tls-verify=false", &trusted] {
            let built = call(&[option]);
            assert_eq!(built.code, 0, "{source} {option}: {built}");
            assert!(run(&env, "made", shows).ends_with("inside"), "{source} {option}");
        }
    }
}

/// A server that fails now and then is asked again as often as `--retry` says.
#[test]
fn downloads_are_tried_again_as_often_as_told() {
    let env = TestEnv::with_images();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write;
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 3 < 2;
            let answer = if first {
                "HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            } else {
                "HTTP/1.1 200 x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
            };
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    let text = format!("FROM busybox\nADD http://{address}/f /f\n");
    let dir = context(&env, "context", &[("Containerfile", &text)]);
    let call = |retries: &str| {
        let call = ["build", "--network=none", "--retry-delay=10ms", retries, "-t", "made"];
        let code = env.coracle(call).arg(&dir).run().code;
        (code, asked.swap(0, std::sync::atomic::Ordering::SeqCst))
    };
    assert_eq!(call("--retry=1"), (125, 2));
    assert_eq!(call("--retry=2"), (0, 3));
}
