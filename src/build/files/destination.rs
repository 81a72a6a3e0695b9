//! Where files are copied to.

use super::path::in_root;
use std::os::fd::BorrowedFd;

/// A path below the root of a stage.
#[derive(Debug, Clone)]
pub struct Destination<'r> {
    /// The root. Symlinks are followed inside it only.
    pub(super) root: BorrowedFd<'r>,
    /// The path from there on, plain.
    pub(super) path: Vec<u8>,
    /// Whether it is a directory even if it is not there yet.
    pub(super) is_directory: bool,
}

impl<'r> Destination<'r> {
    /// The path that an instruction names, which is relative to the working directory. One that ends with a slash, `.`
    /// or `..`, or is empty, is a directory (Dockerfile reference, COPY, "Destination").
    pub fn new(root: BorrowedFd<'r>, working_dir: &str, path: &str) -> Destination<'r> {
        let full = if path.starts_with('/') { path.to_owned() } else { format!("{working_dir}/{path}") };
        let is_directory = matches!(path.rsplit('/').next(), None | Some("" | "." | ".."));
        Destination { root, path: in_root(full.as_bytes()), is_directory }
    }

    /// The same for an instruction with several sources: it is a directory.
    #[must_use]
    pub fn of_several(self) -> Destination<'r> {
        Destination { is_directory: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn destinations_are_relative_to_the_working_directory() {
        let root = std::fs::File::open("/").unwrap();
        let cases = [
            ("/app", "x", "app/x", false),
            ("/app", "x/", "app/x", true),
            ("/app", "./", "app", true),
            ("/app", ".", "app", true),
            ("/app", "", "app", true),
            ("/app/b", "../", "app", true),
            ("/app/b", "..", "app", true),
            ("/app", "/abs/f", "abs/f", false),
            ("/app", "/", "", true),
            ("/", "../../x", "x", false),
            ("", "x/.", "x", true),
        ];
        for (working_dir, path, full, is_directory) in cases {
            let to = Destination::new(root.as_fd(), working_dir, path);
            assert_eq!(
                (to.path.as_slice(), to.is_directory),
                (full.as_bytes(), is_directory),
                "{working_dir} {path}"
            );
        }
    }
}
