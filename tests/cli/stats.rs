//! `stats`: on any host, with or without cgroups.

use super::ps::{IDLE, start};
use crate::common::{TestEnv, eventually};

#[test]
fn what_containers_use_is_shown() {
    let env = TestEnv::new();
    let id = start(&env, "busy", &[], "while :; do :; done & dd if=/dev/zero of=/dev/null bs=1M & wait");
    start(&env, "idle", &[], IDLE);
    start(&env, "gone", &[], "exit 0");
    env.coracle(["wait", "gone"]).ok();
    let stats = |args: &[&str]| env.coracle(["stats", "--no-stream"]).args(args).ok();
    let field =
        |name: &str, field: &str| stats(&["--format", &format!("{{{{.{field}}}}}"), name]).text().to_owned();
    eventually("time is used", || field("busy", "CPUNano").parse::<u64>().unwrap() > 0);
    let table = stats(&[]).lines();
    assert_eq!(
        table[0].split("  ").filter(|h| !h.is_empty()).map(str::trim).collect::<Vec<_>>(),
        [
            "ID",
            "NAME",
            "CPU %",
            "MEM USAGE / LIMIT",
            "MEM %",
            "NET IO",
            "BLOCK IO",
            "PIDS",
            "CPU TIME",
            "AVG CPU %"
        ]
    );
    assert_eq!(table.len(), 3);
    let row = table.iter().find(|line| line.contains("busy")).unwrap();
    assert!(row.starts_with(&id[..12]) && row.contains('%') && row.contains("0B / 0B"), "{row}");
    let all = stats(&["-a"]).stdout;
    assert!(all.contains("gone") && all.contains("-- / --"), "{all}");
    assert_eq!(field("busy", "PIDs"), "3");
    assert!(field("busy", "CPU").parse::<f64>().unwrap() > 0.0);
    let memory = field("busy", "ContainerStats.MemUsage").parse::<u64>().unwrap();
    assert!((10_000..1 << 30).contains(&memory), "{memory}");
    assert!(field("busy", "MemUsageBytes").contains("iB / "));
    assert_eq!(stats(&["--no-trunc", "--format", "{{.ID}}", "busy"]).text(), id);
    assert!(stats(&["--format", "table {{.Name}} {{.MemUsage}}", "-l"]).stdout.starts_with("NAME "));
    let json = stats(&["--format", "json", "busy", "idle"]).json();
    assert_eq!((&json[0]["name"], &json[1]["name"]), (&"busy".into(), &"idle".into()));
    assert!(json[0]["cpu_percent"].as_str().unwrap().ends_with('%') && json[0]["pids"] == "3");
}

#[test]
fn a_stream_goes_on() {
    let env = TestEnv::new();
    start(&env, "web", &[], IDLE);
    let script = "coracle() { \"$@\"; }; \"$0\" \"$@\" | head -n 3";
    let call = env.coracle(["stats", "-i", "1", "--no-reset", "--format", "{{.Name}}"]).into_command();
    let output = env.program("sh").args(["-c", script]).arg(call.get_program()).args(call.get_args()).ok();
    assert_eq!(output.lines(), ["web", "web", "web"]);
}

#[test]
fn failures() {
    let env = TestEnv::new();
    env.coracle(["stats", "--no-stream", "nobody"]).fails(125).says("nobody");
    env.coracle(["stats", "--no-stream", "-a", "nobody"]).fails(125);
    env.coracle(["stats", "-i", "0"]).fails(125);
    assert_eq!(env.coracle(["stats", "--no-stream"]).ok().lines().len(), 1);
}
