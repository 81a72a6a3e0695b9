//! Changes to a credentials file's text that leave everything else in it as it was.
//!
//! The file belongs to other programs too: docker keeps its settings there. So only the `auths` are taken apart; the
//! text of every other member, and of every other entry, is copied byte for byte.

use crate::error::{Error, Kind, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The member that has the entries.
const AUTHS: &str = "auths";
/// Members of an entry that hold a secret.
const SECRETS: [&str; 5] = ["auth", "username", "password", "identitytoken", "registrytoken"];
/// As docker and podman indent.
const INDENT: &str = "\t";

/// The members of an object, in order, each with its text.
#[derive(Default)]
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Members {
    fn read(text: &str) -> Result<Members> {
        if text.trim().is_empty() {
            return Ok(Members::default());
        }
        serde_json::from_str(text).map_err(|e| changed(&e))
    }

    fn get(&self, name: &str) -> Result<Members> {
        match self.0.iter().find(|(n, _)| n == name) {
            Some((_, value)) if value.get() != "null" => Members::read(value.get()),
            _ => Ok(Members::default()),
        }
    }

    /// Replaces a member where it stands, or adds it at the end.
    fn set(&mut self, name: &str, text: String) -> Result<()> {
        let value = RawValue::from_string(text).map_err(|e| changed(&e))?;
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some(member) => member.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
        Ok(())
    }

    /// The object's text, its members indented `depth` times.
    fn text(&self, indent: &str, depth: usize) -> Result<String> {
        if self.0.is_empty() {
            return Ok("{}".to_owned());
        }
        let mut lines = Vec::new();
        for (name, value) in &self.0 {
            let name = serde_json::to_string(name).map_err(|e| changed(&e))?;
            lines.push(format!("{}{name}: {}", indent.repeat(depth), value.get()));
        }
        Ok(format!("{{\n{}\n{}}}", lines.join(",\n"), indent.repeat(depth - 1)))
    }
}

/// It was read as a credentials file a moment ago.
fn changed(e: &serde_json::Error) -> Error {
    Error::new(Kind::Usage, format!("the credentials file is malformed at line {}", e.line()))
}

/// What the file's lines are indented by.
fn indent_of(text: &str) -> String {
    let second = text.trim_start().strip_prefix('{').unwrap_or_default();
    let line = second.trim_start_matches(['\r', '\n']);
    let blank: String = line.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
    if second.starts_with(['\r', '\n']) && !blank.is_empty() { blank } else { INDENT.to_owned() }
}

/// The file with an entry that has this secret (`auth`, base64), or none if a helper has it.
///
/// # Errors
/// A text that is no object.
pub(super) fn set(text: &str, key: &str, auth: Option<&str>) -> Result<String> {
    let indent = indent_of(text);
    let mut file = Members::read(text)?;
    let mut auths = file.get(AUTHS)?;
    let mut entry = auths.get(key)?;
    entry.0.retain(|(name, _)| !SECRETS.contains(&name.as_str()));
    if let Some(auth) = auth {
        entry.set("auth", serde_json::to_string(auth).map_err(|e| changed(&e))?)?;
    }
    auths.set(key, entry.text(&indent, 3)?)?;
    file.set(AUTHS, auths.text(&indent, 2)?)?;
    Ok(file.text(&indent, 1)? + "\n")
}

/// The file without the entries of these keys, or without any; `None` if it has none of them.
///
/// # Errors
/// As [`set`].
pub(super) fn remove(text: &str, keys: Option<&[String]>) -> Result<Option<String>> {
    let indent = indent_of(text);
    let mut file = Members::read(text)?;
    let mut auths = file.get(AUTHS)?;
    let before = auths.0.len();
    auths.0.retain(|(key, _)| keys.is_some_and(|keys| !keys.contains(key)));
    if auths.0.len() == before {
        return Ok(None);
    }
    file.set(AUTHS, auths.text(&indent, 2)?)?;
    Ok(Some(file.text(&indent, 1)? + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERS: &str = "{\n    \"detachKeys\": \"ctrl-e,e\",\n    \"HttpHeaders\": { \"a\" : 12345678901234567890123 },\n    \
        \"auths\": {\n        \"old\": {\"auth\": \"b2xkOm9sZA==\", \"email\": \"x\"}\n    },\n    \"psFormat\": \"\\u0041\"\n}";

    #[test]
    fn what_is_not_changed_keeps_its_text() {
        let text = set(DOCKERS, "r.io", Some("YTpi")).unwrap();
        for part in [
            "    \"detachKeys\": \"ctrl-e,e\",\n",
            "    \"HttpHeaders\": { \"a\" : 12345678901234567890123 },\n",
            "        \"old\": {\"auth\": \"b2xkOm9sZA==\", \"email\": \"x\"},\n",
            "        \"r.io\": {\n            \"auth\": \"YTpi\"\n        }\n    },\n",
            "    \"psFormat\": \"\\u0041\"\n}\n",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
        let again = remove(&text, Some(&["r.io".to_owned()])).unwrap().unwrap();
        assert_eq!(again, DOCKERS.to_owned() + "\n");
        assert_eq!(remove(&again, Some(&["r.io".to_owned()])).unwrap(), None);
        let none = remove(&again, None).unwrap().unwrap();
        assert!(none.contains("\"auths\": {},\n"), "{none}");
        let replaced = set(DOCKERS, "old", Some("YTpi")).unwrap();
        assert!(replaced.contains("\"email\": \"x\"") && !replaced.contains("b2xkOm9sZA"), "{replaced}");
    }

    #[test]
    fn new_files_look_as_podmans() {
        let expected = "{\n\t\"auths\": {\n\t\t\"r.io\": {\n\t\t\t\"auth\": \"YTpi\"\n\t\t}\n\t}\n}\n";
        for text in ["", "  \n", "{}", "{\"auths\":null}"] {
            assert_eq!(set(text, "r.io", Some("YTpi")).unwrap(), expected, "{text:?}");
        }
        assert_eq!(set("", "r.io", None).unwrap(), "{\n\t\"auths\": {\n\t\t\"r.io\": {}\n\t}\n}\n");
        let odd = set("", "\"\u{1}", Some("YTpi")).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&odd).is_ok(), "{odd}");
    }
}
