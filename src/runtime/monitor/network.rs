//! The container's network, as the monitor sees it: a driver's program or networks that are shared, the port forwarder.

use super::context::MonitorContext;
use super::swap::{self, Swap};
use crate::fork::{self, Child, Doing, Failure, Step};
use crate::netns::bridge::{self, Membership, Tools, Wish};
use crate::netns::forwarder::Report;
use crate::netns::swap::Ways;
use crate::netns::{self, Attempts, Helper, Reach, Tool, driver, slirp};
use crate::runtime::failure::storage_failure;
use crate::spec::network::PortPublish;
use crate::spec::{Attached, Attachment, NetworkMode, UserNetwork};
use nix::unistd::Pid;
use std::cell::{Cell, Ref, RefCell};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// What carries a container's network.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) carrier: Carrier,
    forwarder: RefCell<Option<Child>>,
    swap: Option<Swap>,
    /// The container's network and user namespace.
    pub(super) netns: OwnedFd,
    userns: OwnedFd,
    /// What the forwarder was told last.
    reach: Cell<Option<Reach>>,
    /// Generated files that follow the networks, as they were written last.
    pub(super) files: RefCell<Vec<Kept>>,
}

/// A generated file of a running container.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: String,
    pub(super) file: File,
    pub(super) text: String,
}

#[derive(Debug)]
pub(super) enum Carrier {
    /// A program of its own.
    Own(Box<Own>),
    /// The networks that it shares with others.
    Shared(RefCell<Vec<Membership>>),
}

/// A driver's program, and what another one is started with.
#[derive(Debug)]
pub(super) struct Own {
    helper: RefCell<Box<dyn Helper>>,
    mode: NetworkMode,
    tool: Tool,
    place: PathBuf,
    netns: OwnedFd,
    attempts: Cell<Attempts>,
}

/// Most of a generated file that is read again: the container may have written to it.
const FILE_MAX: usize = 1 << 20;

impl Network {
    /// The helpers' processes that are children of ours.
    pub(super) fn pids(&self) -> Vec<Pid> {
        let helper = match &self.carrier {
            Carrier::Own(own) => Some(own.helper.borrow().pid()),
            Carrier::Shared(_) => None,
        };
        let swap = self.swap.as_ref().map(Swap::pid);
        self.forwarder.borrow().iter().map(|child| child.pid).chain(swap).chain(helper).collect()
    }

    /// Waits until the container can send and receive.
    pub(super) fn wait_ready(&self) -> Result<(), Failure> {
        match &self.carrier {
            Carrier::Own(own) => own.helper.borrow().wait_ready()?,
            Carrier::Shared(all) => all.borrow().iter().try_for_each(Membership::wait_up)?,
        }
        let forwarder = self.forwarder.borrow();
        let Some(forwarder) = &*forwarder else { return Ok(()) };
        match forwarder.link.recv::<Report>().doing("hear from", "port forwarder")? {
            Some((Report::Ready { .. }, _)) => Ok(()),
            Some((Report::Failed(failure), _)) => Err(failure),
            None => Err(Failure::other("start", "port forwarder", "it died")),
        }
    }

    /// Has the payload's connections made in the host's network, if that is wanted; returns whether they will be.
    pub(super) fn accelerate(&mut self, context: &MonitorContext<'_>) -> Result<bool, Failure> {
        if swap::is_wanted(context.plan, &self.userns) {
            self.swap = Some(Swap::start(&self.netns, self.ways())?);
        }
        Ok(self.swap.is_some())
    }

    /// Hands over the payload's calls.
    pub(super) fn decide(&self, calls: OwnedFd) -> Result<(), Failure> {
        self.swap.as_ref().map_or(Ok(()), |swap| swap.decide(calls))
    }

    /// What leads out of networks that it shares with others.
    fn ways(&self) -> Option<Ways> {
        let Carrier::Shared(all) = &self.carrier else { return None };
        Some(Ways::of(&all.borrow().iter().map(Membership::attached).collect::<Vec<_>>()))
    }

    /// Starts again what has died: the container's connections to the outside are lost, its network is not.
    pub(super) fn mend(&self) {
        if let Some(swap) = &self.swap {
            swap.mend();
        }
        match &self.carrier {
            Carrier::Own(own) => own.mend(),
            Carrier::Shared(all) => all.borrow_mut().iter_mut().for_each(Membership::mend),
        }
    }

    /// The networks that it shares with others, for who watches them.
    pub(super) fn memberships(&self) -> Option<Ref<'_, [Membership]>> {
        match &self.carrier {
            Carrier::Own(_) => None,
            Carrier::Shared(all) => Some(Ref::map(all.borrow(), Vec::as_slice)),
        }
    }

    /// Tells the forwarder how the container is reached now.
    pub(super) fn reach_changed(&self) {
        let Carrier::Shared(all) = &self.carrier else { return };
        let all = all.borrow();
        let reach = Reach::of(&all.iter().map(Membership::attached).collect::<Vec<_>>());
        if let (Some(swap), Some(ways)) = (&self.swap, self.ways()) {
            swap.lead(ways);
        }
        if let Some(forwarder) = &*self.forwarder.borrow()
            && self.reach.replace(reach) != reach
        {
            // One that is gone is told when it is started again.
            let _ = forwarder.link.send(&reach, &[]);
        }
    }

    /// Keeps a generated file of the container's at hand.
    ///
    /// # Errors
    /// Those of pread(2).
    pub(super) fn keep(&self, path: String, fd: OwnedFd) -> Result<(), Failure> {
        let file = File::from(fd);
        let text = text_at(&file).doing("read", path.as_str())?;
        self.files.borrow_mut().push(Kept { path, file, text });
        Ok(())
    }

    /// Starts another forwarder where the one that there was has been killed. The ports may be somebody else's by now.
    ///
    /// # Errors
    /// Ports that cannot be had; those of fork.
    pub(super) fn mend_forwarder(&self, ports: &[PortPublish]) -> Result<(), Failure> {
        let gone = self.forwarder.borrow().as_ref().is_some_and(|child| child.link.other_end_is_gone());
        if !gone {
            return Ok(());
        }
        let listeners = netns::listen(ports).map_err(|e| storage_failure("publish", "ports", &e))?;
        let reach = self.reach.get();
        self.forwarder.replace(Some(serve(listeners, reach, &self.userns, &self.netns)?));
        Ok(())
    }
}

/// Everything in a file, whoever else has it open.
pub(super) fn text_at(file: &File) -> std::io::Result<String> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(0).min(FILE_MAX)];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    bytes.truncate(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Starts a forwarder of published ports.
fn serve(
    listeners: Vec<netns::Listener>,
    reach: Option<Reach>,
    userns: &OwnedFd,
    netns: &OwnedFd,
) -> Result<Child, Failure> {
    let copy = |fd: &OwnedFd| fd.try_clone().doing("copy", "a namespace");
    let (userns, netns) = (copy(userns)?, copy(netns)?);
    let serve = |link| netns::forwarder::serve(listeners, reach.as_ref(), userns, netns, link);
    fork::spawn(0, serve).doing(Step::Start, "port forwarder")
}

impl Own {
    fn mend(&self) {
        if !self.helper.borrow().has_ended() {
            return;
        }
        let Some(next) = self.attempts.get().again() else { return };
        self.attempts.set(next);
        let Some(driver) = driver(&self.mode) else { return };
        if let Ok(again) = driver.set_up(&self.tool, &self.place, self.netns.as_fd()) {
            self.helper.replace(again);
        }
    }
}

/// Becomes a member of the networks that the container shares with others: their addresses are in the files that it
/// gets.
pub(super) fn join(context: &MonitorContext<'_>) -> Result<Vec<Membership>, Failure> {
    let join = |(wish, name): (Wish, String)| {
        let network = record(context, &name)?;
        Membership::join(&network, &wish, &tools(context, &network)?)
    };
    let mut all = wanted(context)?.into_iter().map(join).collect::<Result<Vec<_>, _>>()?;
    bridge::introduce(&mut all);
    Ok(all)
}

/// The record of a network, as the start has read it.
pub(super) fn record(context: &MonitorContext<'_>, name: &str) -> Result<UserNetwork, Failure> {
    match context.networks.iter().find(|network| network.name == name) {
        Some(network) => Ok(network.clone()),
        None => context.store.networks().find(name).map_err(|e| storage_failure("find network", name, &e)),
    }
}

/// What it takes to be on this network.
pub(super) fn tools(context: &MonitorContext<'_>, network: &UserNetwork) -> Result<Tools, Failure> {
    let slirp = match &context.tool {
        // The networks of the start may have been internal ones.
        None if !network.internal => {
            Some(slirp::find().map_err(|e| storage_failure("find", slirp::NAME, &e))?)
        }
        known => known.as_ref().map(|tool| tool.program.clone()),
    };
    let (runtime, leave) = (context.store.runtime().to_owned(), vec![context.places.merged.clone()]);
    Ok(Tools { runtime, slirp, leave })
}

/// The networks that the container is to share with others by now, by name, and what it asks for there.
pub(super) fn wanted(context: &MonitorContext<'_>) -> Result<Vec<(Wish, String)>, Failure> {
    let MonitorContext { plan, dir, .. } = context;
    let attachments = dir.networks(&plan.network.mode);
    let attachments =
        attachments.map_err(|e| storage_failure("read the networks of", plan.id.short(), &e))?;
    let mut names = vec![context.dir.name_given(plan).to_string(), plan.id.short().to_owned()];
    // What it calls itself, unless that is only its id.
    names.push(plan.hostname.clone());
    // What holds the network of a pod has the pod's name, too.
    let pod = plan.pod.as_ref().filter(|pod| pod.infra);
    let pod = pod.and_then(|pod| context.store.pods().get(&pod.id).ok()?).map(|pod| pod.name.to_string());
    names.extend(pod.filter(|name| *name != plan.hostname));
    let wish = |(at, attachment): (usize, &Attachment)| {
        let wish = Wish {
            container: plan.id.clone(),
            names: names.clone(),
            aliases: attachment.aliases.clone(),
            ip: attachment.ip,
            ip6: attachment.ip6,
            mac: attachment.mac,
            interface: attachment.interface_at(at),
            servers: plan.network.dns.servers.clone(),
            others: Vec::new(),
        };
        (wish, attachment.network.clone())
    };
    Ok(attachments.iter().flatten().enumerate().map(wish).collect())
}

/// Starts the network of a container that was just cloned and still waits, in its network namespace and the
/// user namespace that owns it; nothing is waited for here.
pub(super) fn begin(
    context: &MonitorContext<'_>,
    memberships: Vec<Membership>,
    netns: OwnedFd,
    userns: OwnedFd,
    listeners: Vec<netns::Listener>,
) -> Result<Option<Network>, Failure> {
    let reach;
    let mode = &context.plan.network.mode;
    let carrier = match (driver(mode), &context.tool) {
        (Some(driver), Some(tool)) => {
            reach = Some(driver.reach(Some(tool)));
            let place = context.store.runtime().to_owned();
            Carrier::Own(Box::new(Own {
                helper: RefCell::new(driver.set_up(tool, &place, netns.as_fd())?),
                mode: mode.clone(),
                tool: tool.clone(),
                place,
                netns: netns.try_clone().doing("copy", "a namespace")?,
                attempts: Cell::new(Attempts::first()),
            }))
        }
        (None, _) if matches!(mode, NetworkMode::Bridge(_)) => {
            let outward = memberships.iter().position(Membership::leads_out);
            for (at, member) in memberships.iter().enumerate() {
                member.plug(netns.as_fd(), Some(at) == outward)?;
            }
            let attached: Vec<&Attached> = memberships.iter().map(Membership::attached).collect();
            reach = Reach::of(&attached);
            Carrier::Shared(RefCell::new(memberships))
        }
        _ => return Ok(None),
    };
    let forwarder = match listeners.is_empty() {
        true => None,
        false => Some(serve(listeners, reach, &userns, &netns)?),
    };
    Ok(Some(Network {
        carrier,
        forwarder: RefCell::new(forwarder),
        swap: None,
        netns,
        userns,
        reach: Cell::new(reach),
        files: RefCell::default(),
    }))
}

/// Closes published ports, then lets the helpers end.
pub(super) fn close(network: Option<Network>) {
    if let Some(Network { carrier, forwarder, .. }) = network {
        if let Some(forwarder) = forwarder.into_inner() {
            netns::forwarder::stop(forwarder);
        }
        drop(carrier);
    }
}
