//! Projects as people have them: each is built as its own documentation would, on Debian's tools, and what was built is
//! run and does its work.

mod compiled;
mod newcomer;
mod served;

use crate::common::{TestEnv, debian_compilers, debian_servers, free_port};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Surroundings with a Debian as `localhost/NAME`, which the tests of this process share; `None`, with the reason printed,
/// when there is none.
fn with_debian(
    name: &str,
    tree: fn() -> Option<PathBuf>,
    store: &OnceLock<Option<PathBuf>>,
) -> Option<TestEnv> {
    let store = store.get_or_init(|| {
        let tar = tree()?;
        let env = TestEnv::new();
        env.coracle(["import", "-q"]).arg(tar).arg(format!("localhost/{name}")).ok();
        let root = env.root();
        // The janitor removes it at the end.
        std::mem::forget(env);
        Some(root)
    });
    store.as_deref().map(TestEnv::over)
}

/// With compilers, as `localhost/compilers`.
fn compilers() -> Option<TestEnv> {
    static STORE: OnceLock<Option<PathBuf>> = OnceLock::new();
    with_debian("compilers", debian_compilers, &STORE)
}

/// With what serves, as `localhost/servers`.
fn servers() -> Option<TestEnv> {
    static STORE: OnceLock<Option<PathBuf>> = OnceLock::new();
    with_debian("servers", debian_servers, &STORE)
}

/// What an image of a server answers on its port 8000.
fn answer(env: &TestEnv, image: &str) -> String {
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:8000");
    env.coracle(["run", "-d", "--name", image, "-p", &publish, image]).ok();
    let text = get(env, image, port);
    env.coracle(["rm", "-f", "-t", "0", image]).ok();
    text
}

/// The body of `/` at a port that a container publishes, once it answers.
fn get(env: &TestEnv, container: &str, port: u16) -> String {
    let begun = std::time::Instant::now();
    loop {
        let answer = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            stream.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        });
        if let Some((head, body)) = answer.unwrap_or_default().split_once("\r\n\r\n") {
            assert!(head.contains(" 200 "), "{head}\n{body}");
            return body.to_owned();
        }
        if begun.elapsed() > Duration::from_secs(30) {
            panic!("{container} does not answer: {}", env.coracle(["logs", container]).run());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A wheel of pure Python, made by hand: one module, and the command that runs its `main`.
fn wheel(dir: &Path, name: &str, module: &str) {
    let info = dir.join(format!("{name}-1.0.dist-info"));
    fs::create_dir_all(&info).unwrap();
    fs::write(dir.join(format!("{name}.py")), module).unwrap();
    fs::write(info.join("METADATA"), format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")).unwrap();
    let tag = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    fs::write(info.join("WHEEL"), tag).unwrap();
    fs::write(info.join("entry_points.txt"), format!("[console_scripts]\n{name} = {name}:main\n")).unwrap();
    let files = ["METADATA", "WHEEL", "entry_points.txt", "RECORD"];
    let listed = files.iter().map(|file| format!("{name}-1.0.dist-info/{file},,\n")).collect::<String>();
    fs::write(info.join("RECORD"), format!("{name}.py,,\n{listed}")).unwrap();
    let mut zip = std::process::Command::new("python3");
    zip.args(["-m", "zipfile", "-c", &format!("{name}-1.0-py3-none-any.whl")]).current_dir(dir);
    let made = zip.args([&format!("{name}.py"), &format!("{name}-1.0.dist-info")]).status().unwrap();
    assert!(made.success());
    fs::remove_file(dir.join(format!("{name}.py"))).unwrap();
    fs::remove_dir_all(info).unwrap();
}
