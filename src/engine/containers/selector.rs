//! Which containers a command applies to: by name, `--latest`, `--all`, `--cidfile` and `--filter`.

use super::find::list;
use super::id_file;
use crate::container::{ContainerId, RestartPolicy, Status};
use crate::engine::filter::{Condition, Label, all_hold};
use crate::error::{Error, Kind, Result, phrases};
use crate::netns::{ExposedPort, parse_expose};
use crate::spec::health::Health;
use crate::spec::network::{PortPublish, Protocol};
use crate::spec::{ContainerSpec, MountSource, NetworkMode, PodId, RootSpec};
use crate::storage::Store;
use crate::storage::containers::{ContainerDir, Summary};
use crate::text::time::moment;
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use std::path::PathBuf;

/// What a command line says about the containers it is for.
#[derive(Debug, Default)]
pub struct ContainerSelector<'a> {
    /// Names, ids and beginnings of ids.
    pub names: &'a [String],
    /// The container created last.
    pub latest: bool,
    /// Files that hold a container's id.
    pub cidfiles: &'a [PathBuf],
    /// Files of `cidfiles` may be missing.
    pub ignore: bool,
    /// Every container for which [`ContainerSelector::status`] holds.
    pub all: bool,
    /// Containers that these let through.
    pub filters: Filters,
    /// Which containers `all` and `filters` may select.
    pub status: StatusFilter,
    /// The filters choose among the containers that are named, where there are names.
    pub narrow: bool,
}

/// Which containers `all` and filters may select.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusFilter {
    /// Any.
    #[default]
    Any,
    /// Running ones, or ones about to run.
    Running,
    /// Paused ones.
    Paused,
    /// Running or paused ones.
    Live,
    /// Those that are not running.
    Ended,
}

impl StatusFilter {
    fn status(self, status: Status) -> bool {
        match self {
            StatusFilter::Any => true,
            StatusFilter::Running => {
                matches!(status, Status::Starting | Status::Running | Status::Restarting)
            }
            StatusFilter::Paused => status == Status::Paused,
            StatusFilter::Live => status.is_live() || status == Status::Starting,
            StatusFilter::Ended => !status.is_active(),
        }
    }
}

/// A selected container: what to call it in the output, and the container or an error.
pub type Chosen = (String, Result<ContainerDir>);

impl ContainerSelector<'_> {
    /// The containers, in the order given; those that do not exist are among them as errors.
    ///
    /// # Errors
    /// `Usage` when nothing or too much was said; `Storage` when the containers cannot be listed.
    pub fn containers(&self, store: &Store) -> Result<Vec<Chosen>> {
        let named = !self.names.is_empty() || !self.cidfiles.is_empty();
        let narrowed = self.narrow && named && !self.filters.is_empty();
        let general = self.all || !self.filters.is_empty() && !narrowed;
        if general && named || self.latest && (general || named) {
            let message = match named {
                true if self.all => "no arguments are needed with --all",
                true if self.latest => "no arguments are needed with --latest",
                true => "no arguments are needed with --filter",
                false if self.all => "--all and --latest cannot be used together",
                false => "--filter and --latest cannot be used together",
            };
            return Err(Error::new(Kind::Usage, message).hint("Give either names or one of the options."));
        }
        if !general && !named && !self.latest {
            return Err(phrases::nothing_named("container").hint_by_name(
                "Give a name or id, or --latest for the newest; list them with: coracle ps -a",
                "Give a name or id; list them with: coracle ps -a",
            ));
        }
        if self.latest {
            let latest = store.containers().latest()?;
            return Ok(vec![(latest.id().to_string(), Ok(latest))]);
        }
        if general {
            let mut list = self.filters.apply(store, list(store)?)?;
            list.retain(|summary| self.status.status(summary.status));
            // What holds the namespaces of a pod ends after those that are in them.
            list.sort_by_key(|summary| summary.is_infra);
            let open = |s: Summary| (s.id.to_string(), store.containers().open(&s.id));
            // One that was removed since is no error.
            return Ok(list.into_iter().map(open).filter(|(_, found)| found.is_ok()).collect());
        }
        let mut names = self.names.to_vec();
        for file in self.cidfiles {
            match self.ignore {
                true => names.extend(id_file::read_if_there(file)?),
                false => names.push(id_file::read(file)?),
            }
        }
        let found = names.into_iter().map(|name| (name.clone(), store.containers().find(&name)));
        let mut found: Vec<Chosen> = found.collect();
        if narrowed {
            let meeting: HashSet<ContainerId> =
                self.filters.apply(store, list(store)?)?.into_iter().map(|summary| summary.id).collect();
            found.retain(|(_, found)| found.as_ref().map_or(true, |dir| meeting.contains(dir.id())));
        }
        Ok(found)
    }
}

/// Conditions on containers. Those with one key are alternatives, except for labels, which all must hold;
/// those with different keys must all hold.
#[derive(Debug, Default)]
pub struct Filters(Vec<Filter>);

#[derive(Debug)]
enum Filter {
    Id(String),
    IdPattern(regex::Regex),
    Name(regex::Regex),
    Label(Label),
    NotLabel(Label),
    Exited(u8),
    Status(Vec<Status>),
    Ancestor(String),
    Before(String),
    Since(String),
    Until(DateTime<Utc>),
    Volume(String),
    Network(String),
    /// A port of the host, published; a range of ports.
    Publish(Vec<ExposedPort>),
    /// A port inside, published or declared.
    Expose(Vec<ExposedPort>),
    Restart(String),
    OnBoot(bool),
    Health(Option<Health>),
    /// The pod's name or the beginning of its id.
    Pod(String),
}

impl Filter {
    /// Filters with the same key are alternatives.
    fn key(&self) -> &'static str {
        match self {
            Filter::Id(_) | Filter::IdPattern(_) => "id",
            Filter::Name(_) => "name",
            Filter::Label(..) | Filter::NotLabel(..) => "label",
            Filter::Exited(_) => "exited",
            Filter::Status(_) => "status",
            Filter::Ancestor(_) => "ancestor",
            Filter::Before(_) => "before",
            Filter::Since(_) => "since",
            Filter::Until(_) => "until",
            Filter::Volume(_) => "volume",
            Filter::Network(_) => "network",
            // docker's alternatives.
            Filter::Publish(_) | Filter::Expose(_) => "publish",
            Filter::Restart(_) => "restart-policy",
            Filter::OnBoot(_) => "should-start-on-boot",
            Filter::Health(_) => "health",
            Filter::Pod(_) => "pod",
        }
    }
}

const HINT: &str = "Write key=value with one of the keys id, name, label, exited, status, ancestor, before, \
    since, until, volume, network, pod, publish, expose, health, restart-policy or should-start-on-boot.";

impl Filters {
    /// Reads `key=value` conditions.
    ///
    /// # Errors
    /// `Usage` when a key is unknown or a value is not one of its kind.
    pub fn parse(texts: &[String]) -> Result<Filters> {
        let one = |text: &String| {
            let condition = Condition::parse(text, HINT)?;
            let value = condition.value;
            let wrong = |why: &str| condition.wrong(format_args!("{value:?} is not {why}"));
            Ok(match condition.key {
                // podman's rule: what cannot be the beginning of an id is a pattern.
                "id" if value.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    Filter::Id(value.to_ascii_lowercase())
                }
                "id" => Filter::IdPattern(condition.pattern()?),
                "name" => Filter::Name(condition.pattern()?),
                "label" => Filter::Label(condition.label()),
                "label!" => Filter::NotLabel(condition.label()),
                "exited" => Filter::Exited(value.parse().map_err(|_| wrong("an exit code, 0 to 255"))?),
                "status" => Filter::Status(match value {
                    "created" | "configured" | "initialized" => vec![Status::Created, Status::Starting],
                    "running" => vec![Status::Running],
                    "paused" => vec![Status::Paused],
                    "exited" | "stopped" | "dead" => vec![Status::Exited, Status::Crashed],
                    "restarting" => vec![Status::Restarting],
                    "unknown" | "removing" | "stopping" => vec![],
                    _ => {
                        return Err(wrong(
                            "created, running, paused, restarting, exited, stopping, removing or unknown",
                        ));
                    }
                }),
                "ancestor" => Filter::Ancestor(value.to_owned()),
                "before" => Filter::Before(value.to_owned()),
                "since" => Filter::Since(value.to_owned()),
                "until" => Filter::Until(moment(value)?),
                "volume" => Filter::Volume(value.to_owned()),
                "network" => Filter::Network(value.to_owned()),
                "publish" | "expose" => {
                    let ports = parse_expose(value).map_err(|_| wrong("a port or a range of ports"))?;
                    if condition.key == "publish" { Filter::Publish(ports) } else { Filter::Expose(ports) }
                }
                "restart-policy" => Filter::Restart(match value {
                    "no" | "none" | "on-failure" | "always" | "unless-stopped" => value.replace("none", "no"),
                    _ => {
                        return Err(wrong("no, on-failure, always or unless-stopped"));
                    }
                }),
                "should-start-on-boot" => Filter::OnBoot(value.parse().map_err(|_| wrong("true or false"))?),
                "health" => match value {
                    "starting" => Filter::Health(Some(Health::Starting)),
                    "healthy" => Filter::Health(Some(Health::Healthy)),
                    "unhealthy" => Filter::Health(Some(Health::Unhealthy)),
                    "none" => Filter::Health(None),
                    _ => return Err(wrong("starting, healthy, unhealthy or none")),
                },
                "pod" => Filter::Pod(value.to_owned()),
                _ => return Err(condition.unknown_key()),
            })
        };
        texts.iter().map(one).collect::<Result<_>>().map(Filters)
    }

    /// Whether there is no condition.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a condition is about the status, so that a listing looks at all containers.
    pub fn ask_status(&self) -> bool {
        self.0.iter().any(|f| matches!(f, Filter::Status(_)))
    }

    /// The containers that meet the conditions.
    ///
    /// # Errors
    /// `NotFound` when a condition names a container that does not exist.
    pub fn apply(&self, store: &Store, list: Vec<Summary>) -> Result<Vec<Summary>> {
        if self.is_empty() {
            return Ok(list);
        }
        let tests: Vec<(&str, Test<'_>)> =
            self.0.iter().map(|f| Ok((f.key(), Test::new(f, store)?))).collect::<Result<_>>()?;
        let meets = |summary: &Summary| {
            let mut plan = Lazy { store, id: &summary.id, plan: None };
            let conditions = tests.iter().map(|(key, test)| (*key, test));
            all_hold(conditions, |key| key == "label", |test| test.holds(summary, &mut plan))
        };
        Ok(list.into_iter().filter(meets).collect())
    }
}

/// A container's plan, read when a condition needs it.
struct Lazy<'a> {
    store: &'a Store,
    id: &'a ContainerId,
    plan: Option<Option<ContainerSpec>>,
}

impl Lazy<'_> {
    fn get(&mut self) -> Option<&ContainerSpec> {
        let read = || {
            let dir = self.store.containers().open(self.id).ok()?;
            let mut plan = dir.spec().ok()?;
            dir.put_networks_into(&mut plan);
            Some(plan)
        };
        self.plan.get_or_insert_with(read).as_ref()
    }
}

impl Lazy<'_> {
    /// The restart policy in force.
    fn policy(&mut self) -> Option<RestartPolicy> {
        let planned = self.get()?.lifecycle.restart;
        Some(self.store.containers().open(self.id).ok()?.restart_policy(planned))
    }

    /// Whether it was stopped by a command and not started since.
    fn was_stopped(&self) -> bool {
        let Ok(dir) = self.store.containers().open(self.id) else { return false };
        dir.stop_asked().zip(dir.run_record().ok().flatten()).is_some_and(|(asked, run)| asked >= run.run)
    }
}

/// A condition whose names have been looked up.
enum Test<'a> {
    Plain(&'a Filter),
    Image { text: &'a str, id: Option<String>, top: Option<String> },
    Created { before: bool, moment: DateTime<Utc> },
    Pod(Option<PodId>),
    Network(String),
}

impl<'a> Test<'a> {
    fn new(filter: &'a Filter, store: &Store) -> Result<Test<'a>> {
        let moment = |name: &str| store.containers().find(name).map(|found| found.summary().created);
        Ok(match filter {
            Filter::Before(name) => Test::Created { before: true, moment: moment(name)? },
            Filter::Since(name) => Test::Created { before: false, moment: moment(name)? },
            Filter::Ancestor(text) => {
                // A name that does not identify one image matches as text only.
                let image = store.images().find(text).ok().flatten();
                let top = image.as_ref().and_then(|image| image.layers.last().map(|id| id.0.to_string()));
                Test::Image { text, id: image.map(|image| image.id.hex().to_owned()), top }
            }
            // One that does not exist has no containers.
            Filter::Pod(text) => Test::Pod(store.pods().find_id(text).ok()),
            // By the name of a network, its id or the beginning of that; or by a mode.
            Filter::Network(text) => {
                Test::Network(store.networks().find(text).map_or_else(|_| text.clone(), |found| found.name))
            }
            plain => Test::Plain(plain),
        })
    }

    fn holds(&self, summary: &Summary, plan: &mut Lazy<'_>) -> bool {
        match self {
            Test::Pod(pod) => pod.is_some() && summary.pod == *pod,
            Test::Created { before: true, moment } => summary.created < *moment,
            Test::Created { before: false, moment } => summary.created > *moment,
            Test::Network(wanted) => plan.get().is_some_and(|plan| match &plan.network.mode {
                NetworkMode::Bridge(all) => all.iter().any(|one| one.network == *wanted),
                mode => mode.to_string() == *wanted,
            }),
            Test::Image { text, id, top } => {
                let same_id = id.as_ref().is_some_and(|id| id.starts_with(&summary.image_id));
                if !summary.image_id.is_empty() && same_id
                    || summary.image == *text
                    || summary.image.strip_suffix(":latest").is_some_and(|name| name == *text)
                {
                    return true;
                }
                let layers = match plan.get().map(|plan| &plan.root) {
                    Some(RootSpec::Layers(layers)) => layers,
                    _ => return false,
                };
                top.as_ref().is_some_and(|top| layers.iter().any(|layer| layer.0.as_str() == top))
            }
            Test::Plain(filter) => filter.holds(summary, plan),
        }
    }
}

fn has(wanted: &[ExposedPort], port: u16, protocol: Protocol) -> bool {
    wanted.contains(&ExposedPort { port, protocol })
}

impl Filter {
    fn holds(&self, summary: &Summary, plan: &mut Lazy<'_>) -> bool {
        let mut labelled = |label: &Label| plan.get().is_some_and(|plan| label.is_in(&plan.labels));
        match self {
            Filter::Id(start) => summary.id.as_str().starts_with(start.as_str()),
            Filter::IdPattern(pattern) => pattern.is_match(summary.id.as_str()),
            // As docker: with and without the slash that its names have in front.
            Filter::Name(pattern) => {
                pattern.is_match(&summary.name) || pattern.is_match(&format!("/{}", summary.name))
            }
            Filter::Label(label) => labelled(label),
            Filter::NotLabel(label) => !labelled(label),
            Filter::Exited(code) => summary.code == Some(*code),
            Filter::Status(any) => any.contains(&summary.status),
            Filter::Until(moment) => summary.created < *moment,
            Filter::Volume(wanted) => plan.get().is_some_and(|plan| {
                plan.mounts.iter().any(|mount| {
                    let source = match &mount.source {
                        MountSource::Volume { name, .. } => name.as_str() == wanted,
                        MountSource::Bind { path, .. } => mount.whole(path).as_os_str() == wanted.as_str(),
                        _ => false,
                    };
                    source || mount.destination.as_os_str() == wanted.as_str()
                })
            }),
            Filter::Publish(wanted) => {
                let published = |port: &PortPublish| has(wanted, port.host_port, port.protocol);
                plan.get().is_some_and(|plan| plan.network.ports.iter().any(published))
                    || summary.ports.iter().any(|port| has(wanted, port.host_port, port.protocol))
            }
            Filter::Expose(wanted) => plan.get().is_some_and(|plan| {
                let declared = plan.asked.exposed_ports.iter().flat_map(|text| parse_expose(text).ok());
                let mut declared = declared.flatten();
                let published = |port: &PortPublish| has(wanted, port.container_port, port.protocol);
                declared.any(|port| wanted.contains(&port)) || plan.network.ports.iter().any(published)
            }),
            Filter::Restart(wanted) => plan.policy().is_some_and(|policy| policy.name() == wanted),
            Filter::OnBoot(wanted) => {
                let starts = match plan.policy() {
                    Some(RestartPolicy::Always) => true,
                    Some(RestartPolicy::UnlessStopped) => !plan.was_stopped(),
                    _ => false,
                };
                starts == *wanted
            }
            Filter::Health(wanted) => summary.health == *wanted,
            Filter::Ancestor(_)
            | Filter::Network(_)
            | Filter::Before(_)
            | Filter::Since(_)
            | Filter::Pod(_) => false,
        }
    }
}
