//! `coracle events`.

use super::dialect::{Period, period};
use crate::engine::events::{Events, EventsRequest, Filters};
use crate::error::{Result, phrases};
use crate::host::Env;
use crate::storage::events::Event;
use crate::text::template::Template;
use crate::ui;
use crate::ui::rows::{self, is_json};
use crate::view::{Dialect, event};
use std::process::ExitCode;

/// Arguments of `events`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Show events that match a condition: container, event, image, label, pod, type or volume
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Print as json, one object per line, or by a Go template such as '{{.Time}} {{.Status}} {{.Name}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Do not shorten ids
    #[arg(long, default_value = "true")]
    pub no_trunc: bool,
    /// Show events since this time, such as 10m or 2006-01-02T15:04:05, and new ones
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show events until this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Keep showing new events; --stream=false exits after past events
    #[arg(long, default_value = "true")]
    pub stream: bool,
}

/// Shows what happened, and what happens.
///
/// # Errors
/// A wrong filter, format or time; events that cannot be read.
pub fn run(args: &Args, env: &Env) -> Result<ExitCode> {
    let filters = Filters::parse(&args.filter)?;
    let Period { since, until } =
        period(args.since.as_deref(), args.until.as_deref(), phrases::bad_time_for_events)?;
    let request = EventsRequest { filters, since, until, stream: args.stream };
    let dialect = super::dialect();
    let form = Form::new(args.format.as_deref(), dialect, args.no_trunc)?;
    let mut events = Events::open(&super::store(env)?, request)?;
    loop {
        let mut text = String::new();
        let read = gather(&mut events, &form, dialect, &mut text);
        if !text.is_empty() {
            ui::out(&text)?;
        }
        read?;
        if !events.wait() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The lines of the available events, including those before one that cannot be formatted.
fn gather(events: &mut Events, form: &Form, dialect: Dialect, text: &mut String) -> Result<()> {
    while let Some(event) = events.read()? {
        if event::is_told(&event, dialect) {
            text.push_str(&form.line(&event, dialect)?);
        }
    }
    Ok(())
}

/// What a line is to look like.
enum Form {
    /// The dialect's own line; whether ids are whole.
    Line(bool),
    Json,
    Template(Template),
}

impl Form {
    fn new(format: Option<&str>, dialect: Dialect, whole: bool) -> Result<Form> {
        let docker_json = |text: &str| dialect == Dialect::Docker && text.trim() == "{{json .}}";
        Ok(match format {
            None => Form::Line(whole),
            Some(text) if is_json(format) || docker_json(text) => Form::Json,
            Some(text) => Form::Template(Template::parse(text)?),
        })
    }

    /// The event's line, with its end.
    fn line(&self, event: &Event, dialect: Dialect) -> Result<String> {
        let line = match self {
            Form::Line(whole) => event::line(event, dialect, *whole),
            Form::Json => rows::harmless_json(&event::object(event, dialect).to_string()),
            Form::Template(template) => template.render(&event::fields(event, dialect))?,
        };
        Ok(line + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::events::{Action, Type};
    use chrono::DateTime;
    use serde_json::Value;

    fn line(format: Option<&str>, event: &Event) -> String {
        Form::new(format, Dialect::Podman, true).unwrap().line(event, Dialect::Podman).unwrap()
    }

    #[test]
    fn events_look_as_podmans() {
        let mut event = Event::new(Type::Container, Action::HealthStatus).id("a".repeat(64)).name("web");
        event.time = DateTime::from_timestamp(1_700_000_000, 120_000_000).unwrap();
        let event = event.image("alpine").health("healthy").attribute("k", "v\n");
        let text = line(None, &event);
        assert!(
            text.contains(&format!(
                "container health_status {} (image=alpine, name=web, health_status=healthy, k=v\\n)\n",
                event.id
            )),
            "{text}"
        );
        assert!(text.contains(":20.12 "), "{text}");
        assert!(
            Form::new(None, Dialect::Podman, false)
                .unwrap()
                .line(&event, Dialect::Podman)
                .unwrap()
                .contains(" aaaaaaaaaaaa (")
        );
        let volume = line(None, &Event::volume(Action::Remove, "data"));
        assert!(volume.ends_with(" volume remove data\n"), "{volume}");
        let image = line(None, &Event::image_named(Action::Tag, "sha256:12", "x:1"));
        assert!(image.ends_with(" image tag 12 x:1\n"), "{image}");
    }

    #[test]
    fn case_39_a_label_steers_no_terminal() {
        let event =
            Event::new(Type::Container, Action::Died).id("ab").attribute("k", "\x1b[2J\u{9b}2J\u{7f}");
        for format in [None, Some("json")] {
            let text = line(format, &event);
            assert!(!text.trim_end().contains(char::is_control), "{text:?}");
        }
        let back: Value = serde_json::from_str(&line(Some("json"), &event)).unwrap();
        assert_eq!(back["Attributes"]["k"], "\x1b[2J\u{9b}2J\u{7f}");
    }

    #[test]
    fn formats_are_json_and_templates() {
        let event =
            Event::new(Type::Container, Action::Died).id("ab").name("web").code(3).attribute("k", "v");
        let back: Value = serde_json::from_str(&line(Some("json"), &event)).unwrap();
        assert_eq!(back["ContainerExitCode"], 3);
        assert_eq!(back["Attributes"]["k"], "v");
        assert_eq!(back["Image"], Value::Null);
        let template =
            "{{.Type}} {{.Status}} {{.Action}} {{.Actor.ID}} {{.Attributes.k}} {{index .Attributes \"x\"}}";
        assert_eq!(line(Some(template), &event), "container died died ab v \n");
        assert!(Form::new(Some("{{.ID"), Dialect::Podman, true).is_err());
        assert!(
            Form::new(Some("{{.Nosuch}}"), Dialect::Podman, true)
                .unwrap()
                .line(&event, Dialect::Podman)
                .is_err()
        );
    }
}
