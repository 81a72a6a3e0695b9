//! The plan of a container on another version of its image.

use super::env::DEFAULT_PATH;
use super::health::{HealthRequest, of_image};
use super::process::{UserArg, program, working_directory};
use crate::container::Signal;
use crate::error::Result;
use crate::image::{Image, RunConfig};
use crate::spec::{ContainerSpec, ImageSource, RootSpec};

/// The plan that the container would have had, had it been created of `image`: what it has of its own image, whose
/// configuration is `of`, it gets of the other one; what its creator asked for stays. Volumes stay too, and none is made
/// that only the other image asks for.
///
/// # Errors
/// When the other image has nothing to execute, or a user, directory or signal that makes no sense.
pub fn rebase(plan: &ContainerSpec, of: &RunConfig, image: &Image) -> Result<ContainerSpec> {
    let to = &image.config.config;
    let mut next = plan.clone();
    program_of(&mut next, of, to)?;
    next.process.env = environment(&plan.process.env, &of.env, &to.env);
    if plan.process.cwd == working_directory(None, Some(of))? {
        next.process.cwd = working_directory(None, Some(to))?;
    }
    let user = |config: &RunConfig| config.user.parse::<UserArg>().map(|user| user.0);
    if user(of).is_ok_and(|user| user == plan.process.user.user) {
        next.process.user.user = user(to)?;
    }
    let signal = |config: &RunConfig| match config.stop_signal.as_str() {
        "" => Ok(Signal::TERM.number()),
        text => text.parse::<Signal>().map(Signal::number),
    };
    if of.stop_signal != to.stop_signal && signal(of).is_ok_and(|signal| signal == plan.lifecycle.stop_signal)
    {
        next.lifecycle.stop_signal = signal(to)?;
    }
    let health = |config: &RunConfig| HealthRequest::default().resolve(of_image(config.healthcheck.as_ref()));
    if plan.health == health(of)? {
        next.health = health(to)?;
    }
    next.labels.clone_from(&to.labels);
    next.labels.extend(plan.asked.labels.clone());
    let known = plan.image.as_ref().map(|source| source.reference.clone());
    let source = ImageSource::of(image);
    next.image = Some(ImageSource { reference: known.unwrap_or(source.reference.clone()), ..source });
    next.root = RootSpec::Layers(image.layers.clone());
    Ok(next)
}

/// Entry point and command, each of the other image where it was of its own.
fn program_of(next: &mut ContainerSpec, of: &RunConfig, to: &RunConfig) -> Result<()> {
    let asked = &next.asked;
    let before = [&asked.entrypoint[..], &asked.command[..]].concat();
    let (Ok(theirs), own) = (program(None, &[], Some(of)), &next.process.argv) else { return Ok(()) };
    if asked.entrypoint != theirs.entrypoint || !own.ends_with(&before) {
        return Ok(());
    }
    // What stands before it was put there by an option.
    let wrapper = own[..own.len() - before.len()].to_vec();
    let command = if asked.command == theirs.command { &[][..] } else { &asked.command[..] };
    let program = program(None, command, Some(to))?;
    next.process.argv = [wrapper, program.argv()].concat();
    (next.asked.entrypoint, next.asked.command) = (program.entrypoint, program.command);
    Ok(())
}

fn environment(own: &[String], of: &[String], to: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let find = |all: &[String], wanted: &str| all.iter().find(|entry| name(entry) == wanted).cloned();
    let mut next = Vec::new();
    for entry in own {
        let name = name(entry);
        let was_theirs = match find(of, &name) {
            Some(theirs) => theirs == *entry,
            None => entry == DEFAULT_PATH,
        };
        match find(to, &name) {
            Some(new) if was_theirs => next.push(new),
            None if was_theirs && entry != DEFAULT_PATH => {}
            _ => next.push(entry.clone()),
        }
    }
    // One that the first image had and the container does not was taken away by its creator.
    let is_new = |entry: &&String| find(own, &name(entry)).is_none() && find(of, &name(entry)).is_none();
    next.extend(to.iter().filter(is_new).cloned());
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|entry| (*entry).to_owned()).collect()
    }

    #[test]
    fn variables_of_the_image_change_and_those_of_the_creator_stay() {
        let own = all(&["PATH=/bin", "A=image", "B=mine", "C=mine", "GONE=image", "HOSTNAME=x"]);
        let of = all(&["PATH=/bin", "A=image", "B=image", "GONE=image", "UNSET=image"]);
        let to = all(&["PATH=/new", "A=new", "B=new", "C=new", "UNSET=new", "NEW=new"]);
        let next = environment(&own, &of, &to);
        assert_eq!(next, all(&["PATH=/new", "A=new", "B=mine", "C=mine", "HOSTNAME=x", "NEW=new"]));
        // An image that sets no path.
        let next = environment(&all(&[DEFAULT_PATH]), &[], &[]);
        assert_eq!(next, all(&[DEFAULT_PATH]));
        assert_eq!(environment(&all(&[DEFAULT_PATH]), &[], &all(&["PATH=/new"])), all(&["PATH=/new"]));
    }
}
