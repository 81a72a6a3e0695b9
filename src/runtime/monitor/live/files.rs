//! The files about names in a running container, which follow its networks.
//!
//! They are written in place and through the descriptors that the monitor has had since it made them: no path of the
//! container's is looked up, and what the container has mounted or put there instead stays as it is. Lines
//! that it has added stay too.

use super::super::context::MonitorContext;
use super::super::generated;
use super::super::network::{Network, text_at};
use crate::fork::{Doing, Failure};
use crate::spec::Attached;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Rewrites those that change; `wrote` is told of each.
pub(super) fn follow(
    context: &MonitorContext<'_>,
    network: &Network,
    has: &[Attached],
    wrote: impl Fn(&str, &str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let networks: Vec<&Attached> = has.iter().collect();
    let wanted = generated::files(context.plan, context.tool.as_ref(), &networks, &context.places.merged)?;
    for kept in network.files.borrow().iter() {
        let Some(wanted) = wanted.iter().find(|file| file.path == kept.path) else { continue };
        if wanted.content == kept.text {
            continue;
        }
        let path = kept.path.as_str();
        let now = text_at(&kept.file).doing("read", path)?;
        if let Some(text) = edited(&now, &kept.text, &wanted.content) {
            rewrite(&kept.file, &text).doing("write", path)?;
        }
        wrote(path, &wanted.content)?;
    }
    Ok(())
}

/// A file's text with what we had written replaced; `None` where nothing of that is left.
fn edited(now: &str, before: &str, after: &str) -> Option<String> {
    if now == before {
        return Some(after.to_owned());
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut gone: Vec<&str> = old.iter().filter(|line| !new.contains(line)).copied().collect();
    let mut come: Vec<&str> = new.iter().filter(|line| !old.contains(line)).copied().collect();
    if !now.lines().any(|line| old.contains(&line)) {
        return None;
    }
    let mut lines = Vec::new();
    let mut place = None;
    for line in now.lines() {
        match gone.iter().position(|old| *old == line) {
            Some(at) => {
                gone.remove(at);
                place.get_or_insert(lines.len());
            }
            None => lines.push(line),
        }
    }
    let place = place.unwrap_or(lines.len());
    lines.splice(place..place, come.drain(..));
    Some(lines.iter().map(|line| format!("{line}\n")).collect())
}

fn rewrite(file: &File, text: &str) -> std::io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn what_the_container_has_added_stays() {
        let (before, after) = ("a\n10.1.0.2\tme\nz\n", "a\n10.1.0.2\tme\n10.2.0.2\tme\nz\n");
        assert_eq!(edited(before, before, after).as_deref(), Some(after));
        assert_eq!(
            edited("a\n10.1.0.2\tme\nz\nown\n", before, after).as_deref(),
            Some("a\n10.1.0.2\tme\nz\nown\n10.2.0.2\tme\n")
        );
        assert_eq!(
            edited("a\n10.1.0.2\tme\n10.2.0.2\tme\nown", after, before).as_deref(),
            Some("a\n10.1.0.2\tme\nown\n")
        );
    }

    #[test]
    fn a_file_that_the_container_has_replaced_is_left_alone() {
        assert_eq!(edited("mine\n", "a\nb\n", "a\nc\n"), None);
        assert_eq!(edited("", "a\n", "b\n"), None);
    }
}
