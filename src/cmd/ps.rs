//! `coracle ps`.

use crate::container::Status;
use crate::error::Result;
use crate::host::Env;
use crate::plan::{ContainerPlan, MountSource};
use crate::runtime::control;
use crate::runtime::select::Filters;
use crate::storage::Store;
use crate::storage::containers::{PortRecord, Summary, disk_usage};
use crate::ui::rows::{self, Listing};
use crate::ui::{time, units};
use crate::userns;
use chrono::{DateTime, Local, Utc};
use serde_json::{Map, Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `ps`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = super::switch::switchable)]
pub struct Args {
    /// Show containers that do not run too
    #[arg(short, long, help_heading = "Which containers")]
    pub all: bool,
    /// Show the latest container, running or not
    #[arg(short, long, conflicts_with = "last", help_heading = "Which containers")]
    pub latest: bool,
    /// Show the N latest containers, running or not
    #[arg(short = 'n', long, value_name = "N", help_heading = "Which containers")]
    pub last: Option<usize>,
    /// Show containers that meet a condition: id, name, label, exited, status, ancestor, before, since, until, volume or network
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Which containers")]
    pub filter: Vec<String>,
    /// Order by command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "KEY", default_value = "created", help_heading = "Which containers",
          value_parser = ["command", "created", "id", "image", "names", "runningfor", "size", "status"])]
    pub sort: String,
    /// Print as table, json or a Go template such as '{{.Names}} {{.Status}}'
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<String>,
    /// Print ids only
    #[arg(short, long, conflicts_with_all = ["size", "namespace"], help_heading = "Output")]
    pub quiet: bool,
    /// Do not shorten ids and commands
    #[arg(long, help_heading = "Output")]
    pub no_trunc: bool,
    /// Leave the header line out
    #[arg(long, help_heading = "Output")]
    pub noheading: bool,
    /// Show how much each container has written, and its size with its image
    #[arg(short, long, conflicts_with = "namespace", help_heading = "Output")]
    pub size: bool,
    /// Show process id and namespaces
    #[arg(long, visible_alias = "ns", help_heading = "Output")]
    pub namespace: bool,
    /// Print again every SECONDS
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    pub watch: Option<u32>,
    /// Accepted for podman's sake: the state shown is always the true one
    #[arg(long, hide = true)]
    pub sync: bool,
    /// Accepted for podman's sake: there are no containers of other tools in the store
    #[arg(long, hide = true)]
    pub external: bool,
}

/// Lists containers.
///
/// # Errors
/// A wrong filter or format, or containers that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let store = super::store(env)?;
    let filters = Filters::parse(&args.filter, |text| time::parse_time(text, Utc::now()))?;
    loop {
        let text = listing(args, &store, &filters)?;
        let Some(seconds) = args.watch else {
            crate::ui::out(&text)?;
            return Ok(ExitCode::SUCCESS);
        };
        // Cursor home, clear the screen.
        crate::ui::out(&format!("\x1b[H\x1b[2J{text}"))?;
        std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    }
}

fn listing(args: &Args, store: &Store, filters: &Filters) -> Result<String> {
    let mut list = filters.apply(store, control::list(store)?)?;
    let every = args.all || args.latest || args.last.is_some() || filters.ask_status();
    list.retain(|summary| every || summary.status.is_active());
    if let Some(last) = args.last.or(args.latest.then_some(1)) {
        list.truncate(last);
    }
    // podman's order: the latest at the bottom, next to the prompt.
    list.reverse();
    let mut rows: Vec<Row> = list.into_iter().map(|summary| Row::new(summary, args)).collect();
    let detail = Detail::of(args);
    rows.iter_mut().try_for_each(|row| row.read(store, detail))?;
    sort(&mut rows, &args.sort);
    if args.quiet && args.format.is_none() {
        return Ok(rows.iter().map(|row| row.id() + "\n").collect());
    }
    if rows::is_json(args.format.as_deref()) {
        return rows::json(&Value::Array(rows.iter().map(Row::json).collect()));
    }
    let values: Vec<Value> = if args.format.is_some() || args.namespace {
        rows.iter().map(Row::fields).collect()
    } else {
        rows.iter().map(Row::table_fields).collect()
    };
    rows::rows(args.format.as_deref(), &values, &columns(args))
}

const COLUMNS: [(&str, &str); 8] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("IMAGE", "{{.Image}}"),
    ("COMMAND", "{{.Command}}"),
    ("CREATED", "{{.RunningFor}}"),
    ("STATUS", "{{.Status}}"),
    ("PORTS", "{{.Ports}}"),
    ("NAMES", "{{.Names}}"),
    ("SIZE", "{{.Size}}"),
];

const NAMESPACE_COLUMNS: [(&str, &str); 10] = [
    ("CONTAINER ID", "{{.ID}}"),
    ("NAMES", "{{.Names}}"),
    ("PID", "{{.Pid}}"),
    ("CGROUPNS", "{{.CGROUPNS}}"),
    ("IPC", "{{.IPC}}"),
    ("MNT", "{{.MNT}}"),
    ("NET", "{{.NET}}"),
    ("PIDNS", "{{.PIDNS}}"),
    ("USERNS", "{{.USERNS}}"),
    ("UTS", "{{.UTS}}"),
];

fn columns(args: &Args) -> Listing<'static> {
    let columns: &'static [(&str, &str)] = match (args.namespace, args.size) {
        (true, _) => &NAMESPACE_COLUMNS,
        (false, true) => &COLUMNS,
        (false, false) => &COLUMNS[..7],
    };
    Listing {
        columns,
        headers: &[("CreatedHuman", "CREATED"), ("ExitCode", "EXIT CODE")],
        no_heading: args.noheading,
    }
}

/// What must be read beside the summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Detail {
    plan: bool,
    process: bool,
    size: bool,
}

impl Detail {
    fn of(args: &Args) -> Detail {
        let Some(format) = args.format.as_deref() else {
            return Detail { plan: false, process: args.namespace, size: args.size || args.sort == "size" };
        };
        if rows::is_json(Some(format)) {
            return Detail { plan: true, process: true, size: args.size };
        }
        // Every word behind a dot may be a field; a dot alone is all of them.
        let words: Vec<&str> = format
            .split('.')
            .skip(1)
            .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
            .collect();
        let has = |names: &[&str]| words.iter().any(|word| word.is_empty() || names.contains(word));
        Detail {
            plan: has(&["Labels", "Label", "Mounts", "Networks", "ImageID", "Restarts"]),
            process: has(&[
                "Pid",
                "PID",
                "Namespaces",
                "CGROUPNS",
                "IPC",
                "MNT",
                "NET",
                "PIDNS",
                "USERNS",
                "UTS",
            ]),
            size: args.size || args.sort == "size" || words.contains(&"Size"),
        }
    }
}

/// One container of the listing.
struct Row {
    summary: Summary,
    no_trunc: bool,
    plan: Option<ContainerPlan>,
    pid: i32,
    namespaces: [String; 7],
    size: Option<(u64, u64)>,
}

const NAMESPACES: [(&str, &str); 7] = [
    ("CGROUPNS", "cgroup"),
    ("IPC", "ipc"),
    ("MNT", "mnt"),
    ("NET", "net"),
    ("PIDNS", "pid"),
    ("USERNS", "user"),
    ("UTS", "uts"),
];

impl Row {
    fn new(summary: Summary, args: &Args) -> Row {
        Row {
            summary,
            no_trunc: args.no_trunc,
            plan: None,
            pid: 0,
            namespaces: Default::default(),
            size: None,
        }
    }

    fn read(&mut self, store: &Store, detail: Detail) -> Result<()> {
        if detail == Detail::default() {
            return Ok(());
        }
        // One that went away meanwhile is shown as it was.
        let Ok(dir) = store.containers().open(&self.summary.id) else { return Ok(()) };
        if detail.plan || detail.size {
            self.plan = dir.plan().ok();
        }
        if detail.process && self.summary.status.is_live() {
            self.pid =
                dir.run_record()?.filter(|run| run.open_init().is_some()).map_or(0, |run| run.init.pid);
            let id = |kind: &str| {
                let link = std::fs::read_link(format!("/proc/{}/ns/{kind}", self.pid)).ok()?;
                link.to_str()?.split(['[', ']']).nth(1).map(str::to_owned)
            };
            if self.pid > 0 {
                self.namespaces = NAMESPACES.map(|(_, kind)| id(kind).unwrap_or_default());
            }
        }
        if detail.size {
            let written = match disk_usage(&dir) {
                Ok(bytes) => bytes,
                // Directories of other ids are closed to us, but not to us inside.
                Err(_) => userns::in_child(store.runtime(), || disk_usage(&dir))?,
            };
            let image = self.plan.as_ref().and_then(|plan| plan.image.as_ref());
            let below = image.and_then(|image| image_size(store, image.id.as_str())).unwrap_or(0);
            self.size = Some((written, written + below));
        }
        Ok(())
    }

    fn id(&self) -> String {
        if self.no_trunc { self.summary.id.to_string() } else { self.summary.id.short().to_owned() }
    }

    fn image_id(&self) -> String {
        let full =
            self.plan.as_ref().and_then(|plan| plan.image.as_ref()).map(|image| image.id.hex().to_owned());
        let id = full.unwrap_or_else(|| self.summary.image_id.clone());
        if self.no_trunc { id } else { id.get(..12).unwrap_or(&id).to_owned() }
    }

    fn command(&self) -> String {
        let command = &self.summary.command;
        match command.char_indices().nth(17) {
            Some((end, _)) if !self.no_trunc => format!("{}...", &command[..end]),
            _ => command.clone(),
        }
    }

    fn size(&self) -> String {
        let shown = |(written, all)| format!("{} (virtual {})", units::size(written), units::size(all));
        self.size.map(shown).unwrap_or_default()
    }

    fn mounts(&self) -> Vec<String> {
        let mounts = self.plan.iter().flat_map(|plan| &plan.mounts);
        mounts
            .filter(|mount| {
                matches!(
                    mount.source,
                    MountSource::Bind { .. } | MountSource::Volume { .. } | MountSource::Image { .. }
                )
            })
            .map(|mount| mount.destination.to_string_lossy().into_owned())
            .collect()
    }

    fn network(&self) -> String {
        self.plan.as_ref().map(|plan| plan.network.mode.to_string()).unwrap_or_default()
    }

    /// What the default table shows, and no more: it may have thousands of rows.
    fn table_fields(&self) -> Value {
        let s = &self.summary;
        json!({
            "ID": self.id(),
            "Image": s.image,
            "Command": self.command(),
            "RunningFor": time::ago(s.created),
            "Status": status(s),
            "Ports": ports(&s.ports),
            "Names": s.name,
            "Size": self.size(),
        })
    }

    /// What a template may name.
    fn fields(&self) -> Value {
        let s = &self.summary;
        let mut map = Map::new();
        let mut set = |name: &str, value: Value| {
            map.insert(name.to_owned(), value);
        };
        set("ID", self.id().into());
        set("Image", s.image.clone().into());
        set("ImageID", self.image_id().into());
        set("Command", self.command().into());
        set("Created", time::ago(s.created).into());
        set("CreatedAt", local(s.created).into());
        set("CreatedHuman", time::ago(s.created).into());
        set("RunningFor", time::ago(s.created).into());
        set("Status", status(s).into());
        set("State", s.status.as_str().into());
        set("Ports", ports(&s.ports).into());
        set("Names", s.name.clone().into());
        set("Labels", json!(self.plan.as_ref().map(|plan| &plan.labels)));
        set("Mounts", self.mounts().join(",").into());
        set("Networks", self.network().into());
        set("Pid", self.pid.into());
        set("PID", self.pid.into());
        set("ExitCode", s.code.unwrap_or(0).into());
        set("Exited", (!s.status.is_live() && s.code.is_some()).into());
        set("ExitedAt", s.finished.map_or(0, |at| at.timestamp()).into());
        set("StartedAt", s.started.map_or(0, |at| at.timestamp()).into());
        set("AutoRemove", s.auto_remove.into());
        set("Size", self.size().into());
        set("Pod", "".into());
        set("PodName", "".into());
        for ((name, _), id) in NAMESPACES.iter().zip(&self.namespaces) {
            set(name, id.clone().into());
        }
        set("Namespaces", self.namespaces());
        Value::Object(map)
    }

    fn namespaces(&self) -> Value {
        let pairs = NAMESPACES.iter().zip(&self.namespaces);
        pairs
            .map(|((_, name), id)| ((*name).to_owned(), Value::from(id.clone())))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The row as podman's `--format json` has it.
    fn json(&self) -> Value {
        let s = &self.summary;
        let argv = self.plan.as_ref().map(|plan| {
            if plan.asked.command.is_empty() { plan.process.argv.clone() } else { plan.asked.command.clone() }
        });
        let ports: Vec<Value> = merged(&s.ports)
            .iter()
            .map(|(first, range)| {
                json!({
                    "host_ip": first.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                    "container_port": first.container_port,
                    "host_port": first.host_port,
                    "range": range,
                    "protocol": first.protocol,
                })
            })
            .collect();
        json!({
            "AutoRemove": s.auto_remove,
            "Command": argv,
            "CreatedAt": time::ago(s.created),
            "Created": s.created.timestamp(),
            "Exited": !s.status.is_live() && s.code.is_some(),
            "ExitedAt": s.finished.map_or(0, |at| at.timestamp()),
            "ExitCode": s.code.unwrap_or(0),
            "Id": s.id,
            "Image": s.image,
            "ImageID": self.plan.as_ref().and_then(|p| p.image.as_ref()).map(|image| image.id.hex()),
            "IsInfra": false,
            "Labels": self.plan.as_ref().map(|plan| &plan.labels),
            "Mounts": self.mounts(),
            "Names": [s.name],
            "Namespaces": self.namespaces(),
            "Networks": self.plan.as_ref().map(|plan| vec![plan.network.mode.to_string()]),
            "Pid": self.pid,
            "Pod": "",
            "PodName": "",
            "Ports": ports,
            "Size": self.size.map(|(written, all)| json!({"rwSize": written, "rootFsSize": all})),
            "StartedAt": s.started.map_or(0, |at| at.timestamp()),
            "State": s.status.as_str(),
            "Status": status(s),
        })
    }
}

fn image_size(store: &Store, id: &str) -> Option<u64> {
    let list = store.images().list().ok()?;
    list.into_iter().find(|listed| listed.image.id.as_str() == id).map(|listed| listed.size)
}

/// A time in Go's default form, as docker and podman show `.CreatedAt`.
fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %z").to_string()
}

fn status(s: &Summary) -> String {
    let ago = |at: Option<DateTime<Utc>>| at.map(|at| format!(" {}", time::ago(at))).unwrap_or_default();
    match s.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let up = s.started.map(|at| time::words(time::since(at)));
            let health = s.health.map(|health| format!(" ({})", health.as_str())).unwrap_or_default();
            format!("Up {}{health}", up.unwrap_or_default())
        }
        Status::Paused => "Paused".to_owned(),
        Status::Exited | Status::Crashed | Status::Restarting => {
            let word = if s.status == Status::Restarting { "Restarting" } else { "Exited" };
            let code = s.code.unwrap_or(crate::storage::containers::LOST_EXIT_CODE);
            format!("{word} ({code}){}", ago(s.finished))
        }
    }
}

/// Published ports with runs of them as ranges: the first port, and how many.
fn merged(ports: &[PortRecord]) -> Vec<(PortRecord, u16)> {
    let mut sorted = ports.to_vec();
    sorted.sort_by(|a, b| {
        (&a.protocol, &a.host_ip, a.host_port, a.container_port).cmp(&(
            &b.protocol,
            &b.host_ip,
            b.host_port,
            b.container_port,
        ))
    });
    let mut runs: Vec<(PortRecord, u16)> = Vec::new();
    for port in sorted {
        if let Some((first, count)) = runs.last_mut()
            && first.protocol == port.protocol
            && first.host_ip == port.host_ip
            && first.host_port != 0
            && first.host_port.checked_add(*count) == Some(port.host_port)
            && first.container_port.checked_add(*count) == Some(port.container_port)
        {
            *count += 1;
        } else {
            runs.push((port, 1));
        }
    }
    runs
}

/// Ports as listings show them: `0.0.0.0:8080->80/tcp, 127.0.0.1:2000-2006->2000-2006/tcp`.
fn ports(ports: &[PortRecord]) -> String {
    let range = |first: u16, count: u16| match count {
        1 => first.to_string(),
        _ => format!("{first}-{}", first.saturating_add(count - 1)),
    };
    let one = |(first, count): &(PortRecord, u16)| {
        let inside = format!("{}/{}", range(first.container_port, *count), first.protocol);
        if first.host_port == 0 {
            return inside;
        }
        let ip = match first.host_ip {
            None => "0.0.0.0".to_owned(),
            Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            Some(ip) => ip.to_string(),
        };
        format!("{ip}:{}->{inside}", range(first.host_port, *count))
    };
    merged(ports).iter().map(one).collect::<Vec<_>>().join(", ")
}

fn sort(rows: &mut [Row], key: &str) {
    match key {
        "command" => rows.sort_by(|a, b| a.summary.command.cmp(&b.summary.command)),
        "id" => rows.sort_by(|a, b| a.summary.id.cmp(&b.summary.id)),
        "image" => rows.sort_by(|a, b| a.summary.image.cmp(&b.summary.image)),
        "names" => rows.sort_by(|a, b| a.summary.name.cmp(&b.summary.name)),
        "runningfor" => rows.sort_by_key(|row| row.summary.started),
        "size" => rows.sort_by_key(|row| row.size),
        "status" => rows.sort_by_key(|row| status(&row.summary)),
        // They come in the order of creation.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: Option<&str>, host: u16, inside: u16, protocol: &str) -> PortRecord {
        PortRecord {
            host_ip: ip.map(|ip| ip.parse().unwrap()),
            host_port: host,
            container_port: inside,
            protocol: protocol.to_owned(),
        }
    }

    #[test]
    fn ports_are_merged_into_ranges() {
        let list = [
            port(None, 8080, 80, "tcp"),
            port(None, 2002, 2002, "tcp"),
            port(None, 2000, 2000, "tcp"),
            port(None, 2001, 2001, "tcp"),
            port(Some("127.0.0.1"), 53, 53, "udp"),
            port(Some("::1"), 443, 443, "tcp"),
            port(None, 0, 90, "tcp"),
            port(None, 65535, 65535, "udp"),
        ];
        assert_eq!(
            ports(&list),
            "90/tcp, 0.0.0.0:2000-2002->2000-2002/tcp, 0.0.0.0:8080->80/tcp, [::1]:443->443/tcp, \
             0.0.0.0:65535->65535/udp, 127.0.0.1:53->53/udp"
        );
        assert_eq!(ports(&[]), "");
    }

    #[test]
    fn only_what_a_format_names_is_read() {
        let detail = |format: &str| Detail::of(&Args { format: Some(format.into()), ..Args::default() });
        assert_eq!(detail("{{.ID}} {{.Status}}"), Detail::default());
        assert_eq!(detail("table {{.Names}}\t{{.Labels}}"), Detail { plan: true, ..Detail::default() });
        assert!(detail("{{.Size}}").size && !detail("{{.Size}}").process);
        assert!(detail("{{json .}}").plan && detail("{{json .}}").process);
        assert_eq!(Detail::of(&Args::default()), Detail::default());
    }
}
