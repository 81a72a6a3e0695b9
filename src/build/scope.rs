//! The variables of ARG: which a build knows without being told, and what one declared in a stage is.

use super::language::Argument;
use crate::image::Platform;
use crate::plan::env::PROXY;
use std::collections::BTreeMap;

/// What ARG can mean: values of the command line, of ARG before the first FROM, and of the platform.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// `--build-arg`.
    given: BTreeMap<String, String>,
    /// ARG before the first FROM that has a value.
    global: BTreeMap<String, String>,
    /// What is known of the platforms (Dockerfile reference, "Automatic platform ARGs").
    platform: BTreeMap<String, String>,
}

impl Scope {
    /// For a build on this machine for a platform, with the values of the command line.
    pub(super) fn new(given: &BTreeMap<String, String>, target: &Platform) -> Scope {
        let mut platform = BTreeMap::new();
        for (prefix, known) in [("TARGET", target), ("BUILD", &Platform::host())] {
            let variant = known.variant.clone().unwrap_or_default();
            platform.insert(format!("{prefix}PLATFORM"), known.to_string());
            platform.insert(format!("{prefix}OS"), known.os.clone());
            platform.insert(format!("{prefix}ARCH"), known.architecture.clone());
            platform.insert(format!("{prefix}VARIANT"), variant);
        }
        Scope { given: given.clone(), global: BTreeMap::new(), platform }
    }

    /// The variables that FROM has without ARG.
    pub(super) fn of_platform(&self) -> &BTreeMap<String, String> {
        &self.platform
    }

    /// Declares an ARG before the first FROM; `default` is its default, expanded.
    pub(super) fn declare(&mut self, argument: &Argument, default: Option<String>) {
        if let Some(value) = self.given.get(&argument.name).cloned().or(default) {
            self.global.insert(argument.name.clone(), value);
        }
    }

    /// A variable as FROM and the defaults of later ARGs before it see it.
    pub(super) fn outside(&self, name: &str) -> Option<String> {
        self.global.get(name).or_else(|| self.platform.get(name)).cloned()
    }

    /// The value of an ARG that a stage declares, with its default, expanded.
    pub(super) fn inside(&self, name: &str, default: Option<String>) -> Option<String> {
        self.given.get(name).cloned().or(default).or_else(|| self.outside(name))
    }

    /// Proxy settings of the command line: RUN has them without ARG, and neither cache nor history has them
    /// (Dockerfile reference, "Predefined ARGs").
    pub(super) fn proxies(&self) -> Vec<(&str, &str)> {
        let all = PROXY.iter().chain(["all_proxy", "ALL_PROXY"].iter());
        all.filter_map(|name| Some((*name, self.given.get(*name)?.as_str()))).collect()
    }

    /// Values of the command line that no ARG of the file asks for.
    pub(super) fn unused<'a>(&'a self, declared: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let names = self.given.keys().map(String::as_str);
        names.filter(|name| !declared.contains(name) && !is_known(name))
    }
}

/// Whether a value may be given although no ARG asks for it.
fn is_known(name: &str) -> bool {
    PROXY.contains(&name)
        || matches!(name, "all_proxy" | "ALL_PROXY" | "SOURCE_DATE_EPOCH")
        || name.starts_with("BUILDKIT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(given: &[(&str, &str)]) -> Scope {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let target = "linux/arm64/v8".parse().unwrap();
        let mut scope = Scope::new(&given, &target);
        for (name, default) in [("VERSION", Some("1")), ("BARE", None)] {
            let argument = Argument { name: name.to_owned(), default: None, at: (1, 1) };
            scope.declare(&argument, default.map(str::to_owned));
        }
        scope
    }

    #[test]
    fn the_command_line_comes_before_defaults_and_those_before_global_values() {
        let plain = scope(&[]);
        assert_eq!(plain.inside("VERSION", None).as_deref(), Some("1"));
        assert_eq!(plain.inside("VERSION", Some("2".into())).as_deref(), Some("2"));
        assert_eq!(plain.inside("BARE", None), None);
        let given = scope(&[("VERSION", "3"), ("BARE", "x"), ("STAGE", "y")]);
        assert_eq!(given.inside("VERSION", Some("2".into())).as_deref(), Some("3"));
        assert_eq!(given.outside("BARE").as_deref(), Some("x"));
        // Not declared before FROM.
        assert_eq!(given.outside("STAGE"), None);
    }

    #[test]
    fn platforms_are_known() {
        let scope = scope(&[]);
        assert_eq!(scope.outside("TARGETPLATFORM").as_deref(), Some("linux/arm64/v8"));
        assert_eq!(scope.inside("TARGETVARIANT", None).as_deref(), Some("v8"));
        assert_eq!(scope.outside("BUILDOS").as_deref(), Some("linux"));
    }

    #[test]
    fn values_that_nobody_asks_for_are_found() {
        let scope = scope(&[("A", "1"), ("B", "2"), ("HTTP_PROXY", "p"), ("BUILDKIT_INLINE_CACHE", "1")]);
        assert_eq!(scope.unused(&["A"]).collect::<Vec<_>>(), ["B"]);
        assert_eq!(scope.proxies(), [("HTTP_PROXY", "p")]);
    }
}
