//! Looks up what mounts and secrets refer to (images, patterns, other containers), before anything changes.

use super::find::find;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::{self, Caller};
use crate::plan::Request;
use crate::plan::mount::inherit::VolumesFrom;
use crate::plan::mount::{GLOB_IN_PLACE, ImageArg, MemorySize, MountArg, SourceArg};
use crate::spec::{MountSource, MountSpec};
use crate::storage::Store;
use std::path::{Component, Path, PathBuf};

/// Completes a request.
///
/// # Errors
/// An image, container or secret that does not exist; a pattern that matches nothing.
pub fn look_up(store: &Store, request: &mut Request, caller: &Caller) -> Result<()> {
    for secret in &request.secrets {
        store.secrets().find(secret.name.as_str())?;
    }
    // Of two containers with a mount at one place the later one counts.
    for from in request.mounts.volumes_from.iter().rev() {
        request.mounts.inherited.extend(inherited(store, from)?);
    }
    let mut list = Vec::with_capacity(request.mounts.list.len());
    for mut mount in std::mem::take(&mut request.mounts.list) {
        match &mut mount.source {
            SourceArg::Image(image) => *image = found(store, image)?,
            SourceArg::Tmpfs { size: Some(size), .. } => *size = MemorySize::Bytes(memory(*size)),
            SourceArg::Glob(pattern) => {
                let pattern = caller.cwd.join(&pattern);
                list.extend(expanded(&mount, &pattern)?);
                continue;
            }
            _ => {}
        }
        list.push(mount);
    }
    request.mounts.list = list;
    Ok(())
}

/// A size in bytes, of this machine's memory if it is a share.
fn memory(size: MemorySize) -> u64 {
    match size {
        MemorySize::Bytes(bytes) => bytes,
        MemorySize::Share(percent) => host::machine().mem_total / 100 * u64::from(percent),
    }
}

fn found(store: &Store, image: &ImageArg) -> Result<ImageArg> {
    let ImageArg::Named(name) = image else { return Ok(image.clone()) };
    let found = store
        .images()
        .find(name)?
        .ok_or_else(|| phrases::no_image(name).hint(format!("Pull it first: coracle pull {name}")))?;
    Ok(ImageArg::Found(name.clone(), found.id, found.layers))
}

/// The mounts of another container that contain its data.
fn inherited(store: &Store, from: &VolumesFrom) -> Result<Vec<MountSpec>> {
    let plan = find(store, &from.container)?.spec()?;
    let zone = Path::new("/etc/localtime");
    let mut mounts = plan.mounts;
    mounts.retain(|mount| match &mount.source {
        // `--tz` is no data.
        MountSource::Bind { .. } => !(mount.read_only && mount.destination == zone),
        MountSource::Volume { .. } | MountSource::Image { .. } => true,
        _ => false,
    });
    for mount in &mut mounts {
        mount.read_only = from.read_only.unwrap_or(mount.read_only);
        // Once was enough.
        mount.chown = false;
    }
    Ok(mounts)
}

/// One mount for each path that matches. The matches of a pattern were named by whoever can write to the
/// directory, perhaps a container. So each is mounted as a part of the directory that the user wrote out,
/// which it cannot leave.
fn expanded(mount: &MountArg, pattern: &Path) -> Result<Vec<MountArg>> {
    let mut paths = vec![PathBuf::from("/")];
    // The directory in front of the first pattern.
    let mut written: Option<PathBuf> = None;
    for part in pattern.components() {
        let part = match part {
            Component::Normal(part) => part,
            Component::ParentDir => {
                paths.iter_mut().for_each(|path| {
                    path.pop();
                });
                let above = |written: &PathBuf| paths.iter().any(|path| !path.starts_with(written));
                written = written.filter(|written| !above(written));
                continue;
            }
            _ => continue,
        };
        let part = part.to_string_lossy();
        if written.is_none() && is_pattern(&part) {
            written = paths.first().cloned();
        }
        paths = paths.iter().map(|path| matches_in(path, &part)).collect::<Result<Vec<_>>>()?.concat();
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            format!("no file paths matching glob {:?}", pattern.display().to_string()),
        )
        .hint("Quote the pattern, so that the shell leaves it alone."));
    }
    let in_place = mount.destination == Path::new(GLOB_IN_PLACE);
    let one = |path: PathBuf| {
        let destination = match path.file_name() {
            Some(name) if !in_place => mount.destination.join(name),
            _ => path.clone(),
        };
        let part = written.as_ref().and_then(|written| path.strip_prefix(written).ok());
        let (subpath, path) = match (part, &written) {
            (Some(part), Some(written)) if part != Path::new("") => (Some(part.to_owned()), written.clone()),
            _ => (None, path),
        };
        let source = SourceArg::Bind { path, recursive: true };
        MountArg { destination, source, subpath, ..mount.clone() }
    };
    Ok(paths.into_iter().map(one).collect())
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '\\'])
}

/// What is called so in a directory: `*`, `?` and `[...]` as a shell has them; names with a leading dot
/// match only a pattern with one.
fn matches_in(dir: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    if !is_pattern(pattern) {
        let path = dir.join(pattern);
        return Ok(if path.symlink_metadata().is_ok() { vec![path] } else { Vec::new() });
    }
    let expression = expression(pattern)?;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let matching = names.filter(|name| {
        let name = name.to_string_lossy();
        expression.is_match(&name) && (pattern.starts_with('.') || !name.starts_with('.'))
    });
    Ok(matching.map(|name| dir.join(name)).collect())
}

fn expression(pattern: &str) -> Result<regex::Regex> {
    let mut text = String::from("^");
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '[' if chars.next_if(|next| matches!(next, '!' | '^')).is_some() => text.push_str("[^"),
            '[' | ']' | '-' => text.push(c),
            '\\' => text.push_str(&regex::escape(&chars.next().unwrap_or('\\').to_string())),
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    regex::Regex::new(&text).context(Kind::Usage, || format!("mount source pattern {pattern:?} is malformed"))
}

#[cfg(test)]
mod tests {
    use crate::engine::containers::sources::*;

    #[test]
    fn patterns_find_what_a_shell_finds() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a/x1", "a/x2", "b/x1", "b/.x3", "c+d/x1"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for (pattern, expected) in [
            ("a/x*", "a/x1 a/x2"),
            ("*/x1", "a/x1 b/x1 c+d/x1"),
            ("[ab]/x?", "a/x1 a/x2 b/x1"),
            ("b/*", "b/x1"),
            ("b/.*", "b/.x3"),
            ("c+d/../a/x[!1]", "a/x2"),
            ("a/x1/../../b/x*", "b/x1"),
            ("a/*/../../b/x*", "b/x1 b/x1"),
            ("a/x1", "a/x1"),
        ] {
            let mount: crate::plan::mount::MountOption = "type=glob,src=x,dst=/m".parse().unwrap();
            let found = expanded(&mount.0, &dir.path().join(pattern)).unwrap();
            let short = |m: &MountArg| match &m.source {
                SourceArg::Bind { path, .. } => {
                    let whole = m.subpath.as_ref().map_or(path.clone(), |part| path.join(part));
                    assert_eq!(m.subpath.is_some(), pattern != "a/x1", "{pattern}");
                    whole.strip_prefix(dir.path()).unwrap().display().to_string()
                }
                _ => String::new(),
            };
            assert_eq!(found.iter().map(short).collect::<Vec<_>>().join(" "), expected, "{pattern}");
            assert!(found.iter().all(|m| m.destination.starts_with("/m")));
        }
        let mount: crate::plan::mount::MountOption = "type=glob,src=x".parse().unwrap();
        let one = expanded(&mount.0, &dir.path().join("a/x1")).unwrap();
        assert_eq!(one[0].destination, dir.path().join("a/x1"));
        assert!(expanded(&mount.0, &dir.path().join("none*")).is_err());
    }
}
