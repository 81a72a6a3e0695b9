//! ADD from a web server.

use super::{context, run};
use crate::common::TestEnv;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A server of one file, with an entity tag: what it answered, by status.
struct Server {
    port: u16,
    file: Arc<Mutex<(&'static str, &'static str)>>,
    answers: Arc<Mutex<Vec<u16>>>,
}

fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let file = Arc::new(Mutex::new(("\"1\"", "first")));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let (own, told) = (file.clone(), answers.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let (tag, body) = *own.lock().unwrap();
            let known = head.iter().any(|line| line.to_ascii_lowercase() == format!("if-none-match: {tag}"));
            let status = if known { 304 } else { 200 };
            told.lock().unwrap().push(status);
            let length = if known { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let body = if known { "" } else { body };
            let answer =
                format!("HTTP/1.1 {status} x\r\nETag: {tag}\r\n{length}Connection: close\r\n\r\n{body}");
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    Server { port, file, answers }
}

impl Server {
    fn answered(&self) -> Vec<u16> {
        std::mem::take(&mut *self.answers.lock().unwrap())
    }
}

#[test]
fn a_file_that_has_not_changed_is_not_downloaded_again() {
    let env = TestEnv::with_images();
    let server = serve();
    let text = format!("FROM busybox\nADD http://127.0.0.1:{}/f /f\nRUN cat /f >/g\n", server.port);
    let dir = context(&env, "context", &[("Containerfile", &text)]);
    let build = |options: &[&str]| {
        env.coracle(["build", "--network=none", "-t", "made"]).args(options).arg(&dir).ok();
        (run(&env, "made", "cat /g"), server.answered())
    };
    assert_eq!(build(&[]), ("first".to_owned(), vec![200]));
    assert_eq!(build(&[]), ("first".to_owned(), vec![304]));
    assert_eq!(build(&["--no-cache"]), ("first".to_owned(), vec![200]));
    // The step has gone and what is known of the file has not: it is fetched after all.
    let other =
        format!("FROM busybox\nRUN true\nADD http://127.0.0.1:{}/f /h\nRUN cat /h >/g\n", server.port);
    context(&env, "context", &[("Containerfile", &other)]);
    assert_eq!(build(&[]), ("first".to_owned(), vec![304, 200]));
    *server.file.lock().unwrap() = ("\"2\"", "second");
    assert_eq!(build(&[]), ("second".to_owned(), vec![200]));
}
