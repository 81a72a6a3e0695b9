//! The program, environment and user of a plan.

use super::facts::Facts;
use super::refusal::{no_nul, refuse};
use crate::error::{Error, Kind, Result};
use crate::image::RunConfig;
use crate::plan::ids::Kept;
use crate::plan::process::UserArg;
use crate::plan::request::ProcessRequest;
use crate::plan::{Request, env};
use crate::spec::UserSpec;

/// Where the program of `--init-path` appears.
pub(super) const INIT_PLACE: &str = "/run/coracle-init";
/// The group that `--group-add` takes to mean the caller's own groups.
const KEEP_GROUPS: &str = "keep-groups";

pub(super) fn environment(
    request: &Request,
    config: Option<&RunConfig>,
    facts: &Facts,
    hostname: &str,
    systemd: bool,
) -> Result<Vec<String>> {
    let of_image = config.map_or(&[][..], |c| &c.env);
    no_nul("environment", of_image.iter())?;
    let mut layered = env::layer(&request.process.env, of_image, &facts.caller.env, hostname, request.tty);
    if request.process.env.host {
        // The caller's own; whether the payload gets one is for --sdnotify to say.
        layered.retain(|entry| !entry.starts_with("NOTIFY_SOCKET="));
    }
    if systemd && !layered.iter().any(|entry| entry.starts_with("container_uuid=")) {
        layered.push(format!("container_uuid={}", &facts.id.as_str()[..32]));
    }
    Ok(layered)
}

/// What is executed; `--init-path` puts a program of the host before it.
pub(super) fn argv(request: &Request, program: Vec<String>) -> Vec<String> {
    match &request.process.init_path {
        Some(_) => [INIT_PLACE, "--"].map(str::to_owned).into_iter().chain(program).collect(),
        None => program,
    }
}

/// The payload's user; `kept` is the user's own account, if the container maps it.
pub(super) fn user(request: &Request, config: Option<&RunConfig>, kept: Option<Kept>) -> Result<UserSpec> {
    let of_image = config.map_or("", |c| c.user.as_str());
    let user = match (&request.process.user, &kept) {
        (Some(user), _) => user.clone(),
        (None, Some(kept)) => kept.user.clone(),
        (None, None) => {
            let checked = of_image.parse::<UserArg>().map_err(|e| {
                Error::new(Kind::Image, "the image's user cannot be used")
                    .caused_by(e)
                    .hint("Name another one: coracle run --user 0 ...")
            });
            checked?.0
        }
    };
    let keep_groups = request.process.groups.iter().any(|g| g == KEEP_GROUPS);
    if keep_groups && request.process.groups.len() > 1 {
        return Err(refuse(
            "the '--group-add keep-groups' option is not allowed with any other --group-add options",
            "Leave out either keep-groups or the other groups.",
        ));
    }
    let groups = if keep_groups { Vec::new() } else { request.process.groups.clone() };
    let ProcessRequest { passwd_entry, passwd_line, group_line, host_users, .. } = &request.process;
    let mut host_users = host_users.clone();
    let mut host_groups = Vec::new();
    if let Some(kept) = kept.filter(|_| *passwd_entry && passwd_line.is_none()) {
        host_users.extend(kept.passwd);
        host_groups.extend(kept.group.filter(|_| group_line.is_none()));
    }
    Ok(UserSpec {
        user,
        groups,
        keep_groups,
        passwd_entry: *passwd_entry,
        passwd_line: passwd_line.clone(),
        group_line: group_line.clone(),
        host_users,
        host_groups,
    })
}
