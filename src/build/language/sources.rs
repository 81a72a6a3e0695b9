//! What is copied from where: COPY and ADD.

use super::fault::Fault;
use super::flags::{Flags, Takes};
use super::heredoc::marker;
use super::statement::{Statement, strings};
use super::tree::{Add, Copy, Heredoc, Word};
use super::words::by_blanks;

const BOTH: [(&str, Takes); 4] =
    [("chown", Takes::Value), ("chmod", Takes::Value), ("link", Takes::Truth), ("exclude", Takes::Values)];

/// COPY.
pub(super) fn copy(statement: &Statement<'_>, heredocs: Vec<Heredoc>) -> Result<Copy, Fault> {
    let own = [("from", Takes::Value), ("parents", Takes::Truth)];
    let flags = statement.flags(&[&BOTH[..], &own].concat())?;
    common(statement, heredocs, flags)
}

/// ADD.
pub(super) fn add(statement: &Statement<'_>, heredocs: Vec<Heredoc>) -> Result<Add, Fault> {
    let own = [("checksum", Takes::Value), ("keep-git-dir", Takes::Truth), ("unpack", Takes::Truth)];
    let mut flags = statement.flags(&[&BOTH[..], &own].concat())?;
    let checksum = flags.value("checksum");
    let keep_git_dir = flags.truth("keep-git-dir").unwrap_or(false);
    let unpack = flags.truth("unpack");
    Ok(Add { copy: common(statement, heredocs, flags)?, checksum, keep_git_dir, unpack })
}

fn common(statement: &Statement<'_>, heredocs: Vec<Heredoc>, mut flags: Flags) -> Result<Copy, Fault> {
    let name = &statement.name;
    let in_list = strings(statement.rest)?;
    let listed = in_list.is_some();
    let mut words =
        in_list.unwrap_or_else(|| by_blanks(statement.rest).into_iter().map(str::to_owned).collect());
    let (Some(destination), false) = (words.pop(), words.is_empty()) else {
        return Err(statement.needs(
            "at least two arguments, but only one was provided. Destination could not be determined",
        ));
    };
    if !listed && marker(&destination).ok().flatten().is_some() {
        return Err(Fault::new(format!("{name} cannot accept a heredoc as a destination")).at(destination));
    }
    let mut given = heredocs.into_iter();
    let (mut sources, mut inline) = (Vec::new(), Vec::new());
    for word in words {
        match marker(&word) {
            // In a list there are none.
            Ok(Some(_)) if !listed => inline.extend(given.next()),
            _ => sources.push(Word(word)),
        }
    }
    if let Some(left) = given.next() {
        let why = format!("{name}: heredoc {} is no source of its own", left.marker);
        return Err(Fault::new(why).at(left.marker).hint(Some("Write <<EOF without blanks".to_owned())));
    }
    Ok(Copy {
        sources,
        inline,
        destination: Word(destination),
        from: flags.value("from"),
        chown: flags.value("chown"),
        chmod: flags.value("chmod"),
        link: flags.truth("link").unwrap_or(false),
        parents: flags.truth("parents").unwrap_or(false),
        exclude: flags.values("exclude"),
    })
}
