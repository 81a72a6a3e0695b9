//! Results of searches in podman's and docker's format.

use super::Dialect;
use crate::engine::images::search::Hit;
use serde_json::{Value, json};

/// Characters of a description that podman shows.
const PODMANS_WIDTH: usize = 44;
/// Characters of a description that docker shows, the ellipsis included.
const DOCKERS_WIDTH: usize = 45;

/// The row of a repository; `whole` leaves its description as it is.
pub fn row(registry: &str, hit: &Hit, whole: bool, dialect: Dialect) -> Value {
    let text = hit.description.replace(['\n', '\r'], " ");
    match dialect {
        Dialect::Podman => {
            let marked = |is: bool| if is { "[OK]" } else { "" };
            json!({
                "Index": index(registry),
                "Name": name(registry, &hit.name),
                "Description": if whole { text } else { cut(&text, PODMANS_WIDTH, PODMANS_WIDTH, "...") },
                "Stars": hit.stars,
                "Official": marked(hit.official),
                "Automated": marked(hit.automated),
                "Tag": "",
            })
        }
        Dialect::Docker => json!({
            "Name": if registry == HUB { hit.name.clone() } else { name(registry, &hit.name) },
            "Description": if whole { text } else { cut(&text, DOCKERS_WIDTH, DOCKERS_WIDTH - 1, "…") },
            "StarCount": hit.stars,
            "IsOfficial": hit.official,
            "IsAutomated": hit.automated,
        }),
    }
}

/// The row of a tag.
pub fn tag(repository: &str, tag: &str) -> Value {
    json!({ "Name": repository, "Tag": tag })
}

const HUB: &str = "docker.io";

/// The name to pull it by.
fn name(registry: &str, name: &str) -> String {
    if registry == HUB && !name.contains('/') {
        return format!("{HUB}/library/{name}");
    }
    format!("{registry}/{name}")
}

/// A registry's domain, as podman shortens it; addresses and ports stay.
fn index(registry: &str) -> &str {
    let labels = registry.matches('.').count() + 1;
    if labels < 3 || registry.split(':').next().is_some_and(|host| host.parse::<std::net::IpAddr>().is_ok()) {
        return registry;
    }
    registry.rmatch_indices('.').nth(1).map_or(registry, |(at, _)| &registry[at + 1..])
}

/// A text of more than `most` characters cut to `kept`, with a mark for the rest.
fn cut(text: &str, most: usize, kept: usize, mark: &str) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(kept).chain(mark.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_podmans_and_dockers() {
        let hit = Hit {
            name: "alpine".into(),
            description: "é".repeat(50),
            stars: 7,
            official: true,
            automated: false,
        };
        let podman = row(HUB, &hit, false, Dialect::Podman);
        assert_eq!(podman["Name"], "docker.io/library/alpine");
        assert_eq!(podman["Official"], "[OK]");
        assert_eq!(podman["Description"], "é".repeat(44) + "...");
        let docker = row(HUB, &hit, false, Dialect::Docker);
        assert_eq!(docker["Name"], "alpine");
        assert_eq!(docker["Description"], "é".repeat(44) + "…");
        assert_eq!(row(HUB, &hit, true, Dialect::Docker)["Description"], "é".repeat(50));
        assert_eq!(index("registry.fedoraproject.org"), "fedoraproject.org");
        assert_eq!(index("127.0.0.1:5000"), "127.0.0.1:5000");
        assert_eq!(index("quay.io"), "quay.io");
    }
}
