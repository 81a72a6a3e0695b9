//! The child that makes a running container's networks what its settings say.

use super::super::context::MonitorContext;
use super::super::network::{self, Network};
use super::files;
use super::said::Did;
use crate::failpoint;
use crate::fork::{Doing, Failure, Link};
use crate::netns::bridge::{Membership, Wish, unplug};
use crate::runtime::failure::storage_failure;
use crate::spec::Attached;
use crate::sys::fd::close_all_but;
use std::os::fd::{AsFd, BorrowedFd};

/// What the child is started with.
pub(super) struct Order<'a> {
    pub(super) context: &'a MonitorContext<'a>,
    pub(super) network: &'a Network,
    /// What there is.
    pub(super) members: &'a [Membership],
    /// Which run it is.
    pub(super) run: u64,
    /// Interfaces that those before it may have made.
    pub(super) doubtful: Vec<String>,
    /// Routes are set once more, whatever seems to be there.
    pub(super) reload: bool,
}

/// The child's life; returns its exit code.
pub(super) fn main(order: &Order<'_>, link: &Link) -> i32 {
    let result = settle(order, link).and_then(|()| change(order, link));
    let said = match result {
        Ok(()) => Ok(()),
        Err(failure) => link.send(&Did::Failed(String::new(), failure), &[]),
    };
    // A monitor that is gone asks no more.
    i32::from(said.and_then(|()| link.send(&Did::Done, &[])).is_err())
}

/// Leaves what is the monitor's alone.
fn settle(order: &Order<'_>, link: &Link) -> Result<(), Failure> {
    let files = order.network.files.borrow();
    let mut kept: Vec<BorrowedFd<'_>> =
        vec![link.as_fd(), order.network.netns.as_fd(), order.context.dir.fd()];
    kept.extend(files.iter().map(|kept| kept.file.as_fd()));
    kept.extend(order.members.iter().flat_map(Membership::descriptors));
    close_all_but(&kept).doing("close", "descriptors")
}

fn change(order: &Order<'_>, link: &Link) -> Result<(), Failure> {
    let tell = |did: &Did| link.send(did, &[]).doing("tell", "the monitor");
    let container = order.network.netns.as_fd();
    let wanted = network::wanted(order.context)?;
    let is_wanted = |member: &Membership| {
        wanted
            .iter()
            .any(|(wish, name)| *name == member.attached().network && wish.is_of_same_place(member.wish()))
    };
    let (mut stays, leaves): (Vec<&Membership>, Vec<&Membership>) =
        order.members.iter().partition(|member| is_wanted(member));
    let led_out = |members: &[&Membership]| {
        members.iter().find(|member| member.leads_out()).map(|member| member.attached().network.clone())
    };
    let all: Vec<&Membership> = order.members.iter().collect();
    let before = led_out(&all);
    for member in leaves {
        let name = member.attached().network.clone();
        match member.unplug(container) {
            Ok(()) => {
                failpoint::reach("network.unplugged");
                tell(&Did::Left(name))?;
            }
            Err(failure) => {
                stays.push(member);
                tell(&Did::Failed(name, failure))?;
            }
        }
    }
    let is_known = |name: &String| stays.iter().any(|member| member.attached().interface == *name);
    for interface in order.doubtful.iter().filter(|name| !is_known(name)) {
        unplug(interface, container)?;
    }
    let mut has_way_out = stays.iter().any(|member| member.leads_out());
    if let Some(member) = stays.iter().find(|member| member.leads_out())
        && (order.reload || !order.doubtful.is_empty() || Some(&member.attached().network) != before.as_ref())
        && let Err(failure) = member.lead_out(container)
    {
        tell(&Did::Failed(member.attached().network.clone(), failure))?;
    }
    let mut joined: Vec<Membership> = Vec::new();
    for (wish, name) in &wanted {
        if stays.iter().any(|member| member.attached().network == *name) {
            continue;
        }
        tell(&Did::Joining(wish.interface.clone()))?;
        match join(order, wish, name, has_way_out) {
            Ok(member) => {
                failpoint::reach("network.plugged");
                has_way_out |= member.leads_out();
                let (passed, descriptors) = member.pass_on();
                link.send(&Did::Joined(Box::new(passed)), &descriptors).doing("tell", "the monitor")?;
                joined.push(member);
            }
            Err(failure) => tell(&Did::Failed(name.clone(), failure))?,
        }
    }
    let mut has: Vec<Attached> = Vec::new();
    for member in stays {
        let name = &member.attached().network;
        match wanted.iter().find(|(wish, wanted)| wanted == name && wish.names != member.wish().names) {
            Some((wish, _)) => {
                tell(&Did::Renamed(name.clone(), wish.names.clone()))?;
                has.push(member.renamed(wish));
            }
            None => has.push(member.attached().clone()),
        }
    }
    let place = |has: &Attached| wanted.iter().position(|(_, name)| *name == has.network);
    has.extend(joined.iter().map(|member| member.attached().clone()));
    has.sort_by_key(place);
    files::follow(order.context, order.network, &has, |path, text| {
        tell(&Did::Wrote(path.to_owned(), text.to_owned()))
    })?;
    record(order, has)?;
    failpoint::reach("network.recorded");
    Ok(())
}

/// Becomes a member, and connects the container.
fn join(order: &Order<'_>, wish: &Wish, name: &str, has_way_out: bool) -> Result<Membership, Failure> {
    let container = order.network.netns.as_fd();
    let record = network::record(order.context, name)?;
    let member = Membership::join(&record, wish, &network::tools(order.context, &record)?)?;
    failpoint::reach("network.joined");
    member.plug(container, !has_way_out && member.leads_out())?;
    match member.wait_up() {
        Ok(()) => Ok(member),
        Err(failure) => {
            // That it has no way out is what matters.
            let _ = member.unplug(container);
            Err(failure)
        }
    }
}

/// Records what the run has now.
fn record(order: &Order<'_>, has: Vec<Attached>) -> Result<(), Failure> {
    let dir = order.context.dir;
    let failed = |e: crate::error::Error| storage_failure("write", "run.json", &e);
    let _lock = dir.lock().map_err(failed)?;
    let run = dir.run_record().map_err(failed)?.filter(|run| run.run == order.run);
    match run {
        Some(mut run) if run.networks != has && dir.in_place() => {
            run.networks = has;
            dir.write_run(&run).map_err(failed)
        }
        _ => Ok(()),
    }
}
