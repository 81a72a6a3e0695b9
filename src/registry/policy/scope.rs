//! Which requirements are an image's: those of the most specific scope that it is in.

use super::requirement::{Policy, Requirement};
use crate::image::Reference;

impl Policy {
    /// The requirements for an image of a registry, by its full name.
    pub fn of(&self, image: &Reference) -> &[Requirement] {
        let Some(scopes) = self.transports.0.get("docker") else { return &self.default };
        let scopes = &scopes.0;
        names(image).iter().find_map(|scope| scopes.get(scope)).unwrap_or(&self.default)
    }
}

/// The scopes that an image is in, most specific first: itself, its repository, each namespace, the host, each domain
/// of the host, the transport.
fn names(image: &Reference) -> Vec<String> {
    let repository = image.repository();
    let mut all = vec![match image.digest() {
        Some(digest) => format!("{repository}@{}", digest.as_str()),
        None => format!("{repository}:{}", image.tag_or_latest().unwrap_or_default()),
    }];
    let mut scope = repository.as_str();
    loop {
        all.push(scope.to_owned());
        match scope.rsplit_once('/') {
            Some((shorter, _)) => scope = shorter,
            None => break,
        }
    }
    // A port is no part of a domain.
    let mut domain = scope.split(':').next().unwrap_or_default();
    while let Some((_, parent)) = domain.split_once('.') {
        all.push(format!("*.{parent}"));
        domain = parent;
    }
    all.push(String::new());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_go_from_the_image_to_the_transport() {
        let image = |text: &str| names(&text.parse().unwrap());
        assert_eq!(
            image("a.b.io:5000/x/y"),
            [
                "a.b.io:5000/x/y:latest",
                "a.b.io:5000/x/y",
                "a.b.io:5000/x",
                "a.b.io:5000",
                "*.b.io",
                "*.io",
                ""
            ]
        );
        let digest = format!("r.io/x@sha256:{}", "a".repeat(64));
        assert_eq!(image(&digest), [digest.as_str(), "r.io/x", "r.io", "*.io", ""]);
    }

    #[test]
    fn the_most_specific_counts_alone() {
        let text = r#"{"default":[{"type":"reject"}],"transports":{"docker":{
            "r.io":[{"type":"insecureAcceptAnything"}],"r.io/bad":[{"type":"reject"}],
            "r.io/bad/good:1":[{"type":"insecureAcceptAnything"}],"*.x.io":[{"type":"insecureAcceptAnything"}]}}}"#;
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let accepted =
            |text: &str| policy.of(&text.parse().unwrap()) == [Requirement::InsecureAcceptAnything {}];
        for yes in ["r.io/a", "r.io/a/b:1", "r.io/bad/good:1", "r.io/badly", "a.x.io/b", "a.b.x.io/c"] {
            assert!(accepted(yes), "{yes}");
        }
        for no in
            ["r.io/bad", "r.io/bad/x", "r.io/bad/good:2", "x.io/b", "s.io/a", "r.io.evil.io/a", "r.io:5000/a"]
        {
            assert!(!accepted(no), "{no}");
        }
    }
}
