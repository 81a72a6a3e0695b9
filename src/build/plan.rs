//! From a request to stages that can be gone through: contexts are opened, the file is read and checked, base images are
//! looked for and pulled. Nothing but images changes here.

use super::agents::Agents;
use super::begin;
use super::contexts::{Context, Contexts};
use super::course::Course;
use super::event::{Event, VertexId, Warning};
use super::files::{Ignore, IgnorePlaces, PathIn};
use super::graph::Graph;
use super::job::Job;
use super::language::{self, BaseImage, CheckContext, Containerfile, Does, Word};
use super::request::{BuildRequest, CheckRequest, ContextSource, NamedContext, Output};
use super::scope::Scope;
use super::sources::Progress;
use super::sources::containerfile::{self, DOCKER_NAMES, NAMES, Origin as Place, Search, Text};
use super::sources::context::{self, Means, OpenedContext};
use super::sources::layout;
use super::vertices::Vertices;
use crate::engine::Engine;
use crate::error::{Context as _, Error, Kind, Result};
use crate::host::{Caller, emulation};
use crate::image::Platform;
use crate::storage::archive::Wanted;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;

/// A build that is ready to begin.
pub(super) struct Planned<'a> {
    /// What stays the same.
    pub job: Job<'a>,
    /// The stages that the target needs, in order.
    pub courses: Vec<Course>,
    /// What the build checks found.
    pub warnings: Vec<Warning>,
}

/// Plans a build.
///
/// # Errors
/// Anything that is wrong with the request or the file; an image that cannot be had.
pub(super) fn plan<'a>(
    engine: Engine<'a>,
    request: &'a BuildRequest,
    caller: &'a Caller,
    platform: Platform,
    read: &Read,
    vertices: &mut Vertices<'_>,
) -> Result<Planned<'a>> {
    let store = engine.store;
    let Read { opened, mut file, ignore, named: fetched } = read.clone();
    if let (Some(from), Some(first)) = (&request.from, file.stages.first_mut()) {
        first.base = Word(from.clone());
    }
    file.stages.iter_mut().for_each(|stage| begin::with_mounts(&mut stage.instructions, request));
    if let Some(checks) = request.args.get("BUILDKIT_DOCKERFILE_CHECK") {
        let wrong = |why: String| Error::new(Kind::Usage, format!("BUILDKIT_DOCKERFILE_CHECK: {why}"));
        file.directives.set_checks(checks).map_err(wrong)?;
    }
    let mut given = request.args.clone();
    if let Some(time) = request.times.of_image() {
        given.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| time.to_string());
    }
    let mut scope = Scope::new(&given, &platform);
    for argument in &file.globals {
        let expand = |word: &Word| word.expand(file.directives.escape, &|name| scope.outside(name));
        let default = argument.default.as_ref().map(expand).transpose();
        let default = default.map_err(|why| file.source.error(argument.at, why))?;
        scope.declare(argument, default);
    }
    unused(&file, &scope);
    let names = request.contexts.keys().map(|name| name.to_ascii_lowercase()).collect();
    let graph = Graph::new(&file, &scope, names, request.target.as_deref())?;
    let ignore_file = ignore.clone();
    let trust = request.trust();
    let own = Context::new(opened, ignore, store)?;
    let contexts = Contexts::new(own, request, |name, named| match named {
        NamedContext::Image(name) => Ok(Err(name.clone())),
        NamedContext::Layout { dir, tag, digest } => {
            let platform = platform.clone();
            let wanted = Wanted { tag: tag.clone(), digest: digest.clone(), platform };
            layout::image(&engine, dir, &wanted, &mut |_| {}).map(|image| Err(image.id.to_string()))
        }
        NamedContext::Files(source) => {
            let known = fetched.borrow().get(name).cloned();
            let opened = match known {
                Some(opened) => opened,
                None => {
                    let means = Means { store, caller, retry: request.registry.retry, trust: Some(&trust) };
                    let opened = Rc::new(context::open(&means, source, &mut |_| {})?);
                    fetched.borrow_mut().insert(name.to_owned(), opened.clone());
                    opened
                }
            };
            let ignore = ignored(&opened, None, None)?;
            Context::new(opened, ignore, store).map(Ok)
        }
    })?;
    let running = store.build_cache().begin()?;
    let mut job = Job {
        engine,
        request,
        caller,
        file,
        graph,
        scope,
        label: (request.platforms.len() > 1).then(|| platform.to_string()),
        platform,
        contexts,
        agents: Agents::start(request, store)?,
        bases: RefCell::default(),
        caches: RefCell::default(),
        running,
    };
    let courses = begin::courses(&mut job, vertices)?;
    executable(&job, &courses)?;
    let warnings = checked(&job, ignore_file.as_ref(), vertices)?;
    Ok(Planned { job, courses, warnings })
}

/// Whether the front end of this name, wherever it comes from, reads the language that is read here.
fn is_own_language(front_end: &str) -> bool {
    let (path, last) = front_end.rsplit_once('/').unwrap_or(("", front_end));
    let image = last.split(['@', ':']).next().unwrap_or_default();
    matches!(image, "dockerfile" | "dockerfile-upstream") && (path == "docker" || path.ends_with("/docker"))
}

/// Refuses what is asked for and cannot be done, and says what has no effect.
pub(super) fn supported(request: &BuildRequest) -> Result<()> {
    if request.platforms.len() > 1 && request.outputs.iter().any(|output| matches!(output, Output::Docker(_)))
    {
        return Err(Error::new(Kind::Usage, "docker's archive holds no index of several platforms").hint(
            "Write an OCI archive: coracle build --platform linux/amd64,linux/arm64 -o type=oci,dest=FILE .",
        ));
    }
    if request.cache.discard && !request.cache.to.is_empty() {
        return Err(Error::new(
            Kind::Usage,
            "--cache-to: with --layers=false there is no result of a step to keep",
        )
        .hint("Use --squash for a single layer: coracle build --squash --cache-to type=local,dest=DIR ."));
    }
    Ok(())
}

/// Refuses RUN of a stage whose programs this machine cannot execute.
fn executable(job: &Job<'_>, courses: &[Course]) -> Result<()> {
    // What each stands on in the end. Those below come first.
    let mut bottoms: BTreeMap<usize, &Course> = BTreeMap::new();
    for course in courses {
        let bottom = course.below.and_then(|below| bottoms.get(&below).copied()).unwrap_or(course);
        bottoms.insert(course.stage, bottom);
        let config = &bottom.state.config;
        let platform = Platform {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
        };
        let run = course.instructions.iter().find(|instruction| matches!(instruction.does, Does::Run(_)));
        if let Some(run) = run
            && !emulation::executes(&platform.os, &platform.architecture)
        {
            let why =
                format!("programs for {platform} cannot be executed here: there is no emulator for them");
            return Err(job.fault(run.at, why).hint(
                "Register one, as root: apt-get install qemu-user-static; or move RUN to a stage of this machine's \
                 platform: FROM --platform=$BUILDPLATFORM",
            ));
        }
    }
    Ok(())
}

/// A Containerfile that was read, and what it is read from: once for all platforms.
#[derive(Clone)]
pub(super) struct Read {
    /// The build's own context.
    pub opened: Rc<OpenedContext>,
    /// The file.
    pub file: Containerfile,
    /// What is left out of the context.
    pub ignore: Option<Ignore>,
    /// Named contexts that were opened.
    named: Rc<RefCell<BTreeMap<String, Rc<OpenedContext>>>>,
}

/// Opens the context and reads the file.
///
/// # Errors
/// What cannot be read, or is wrong.
pub(super) fn read(
    engine: Engine<'_>,
    request: &BuildRequest,
    caller: &Caller,
    vertices: &mut Vertices<'_>,
) -> Result<Read> {
    let trust = request.trust();
    let means = Means { store: engine.store, caller, retry: request.registry.retry, trust: Some(&trust) };
    let opened = match &request.context {
        // There is nothing to load: its files are read where they are.
        here @ (ContextSource::Directory(_) | ContextSource::None) => {
            context::open(&means, here, &mut |_| {})?
        }
        elsewhere => vertices.during("[internal] load build context", |vertex, report| {
            context::open(&means, elsewhere, &mut |progress| report(shown(vertex, progress)))
        })?,
    };
    let search = Search {
        cwd: Some(&caller.cwd),
        names: if request.dockerfile_first { &DOCKER_NAMES } else { &NAMES },
    };
    let texts = containerfile::read(&means, &opened, &request.files, search, &mut |_| {})?;
    let names: Vec<&str> = texts.iter().map(|text| text.name.as_str()).collect();
    let name = names.join(", ");
    let file_name = |text: &Text| match text.name.rsplit('/').next() {
        Some(last) if !last.is_empty() => last.to_owned(),
        _ => text.name.clone(),
    };
    let files: Vec<String> = texts.iter().map(file_name).collect();
    let what = format!("[internal] load build definition from {}", files.join(", "));
    let file = vertices.during(what, |vertex, report| {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.bytes.as_slice()).collect();
        let text = texts.join(&b'\n');
        let (what, current) = ("transferring dockerfile".to_owned(), text.len() as u64);
        report(Event::Progress { vertex, what, current, total: None });
        language::parse(&text, &name)
    })?;
    let ignore = vertices.during("[internal] load .dockerignore", |_, _| {
        ignored(&opened, texts.first(), request.ignore_file.as_deref())
    })?;
    let front_end = request.args.get("BUILDKIT_SYNTAX").or(file.directives.syntax.as_ref());
    if let Some(name) = front_end.filter(|name| !is_own_language(name)) {
        log::warn!(
            "syntax={name}: other front ends are not run; the file is read as one of docker/dockerfile"
        );
    }
    Ok(Read { opened: Rc::new(opened), file, ignore, named: Rc::default() })
}

/// What is left out of a context: the ignore file that was named, that of the Containerfile, or the usual one.
fn ignored(opened: &OpenedContext, text: Option<&Text>, named: Option<&Path>) -> Result<Option<Ignore>> {
    let host = File::open("/").context(Kind::Host, || "open /")?;
    let on_host = |path| PathIn { root: host.as_fd(), path };
    let containerfile = match text.map(|text| &text.origin) {
        Some(Place::Host(path)) => Some(on_host(path)),
        Some(Place::Context(path)) => Some(PathIn { root: opened.root(), path }),
        Some(Place::Elsewhere) | None => None,
    };
    IgnorePlaces { context: opened.root(), containerfile, explicit: named.map(on_host) }.read()
}

/// What is shown of a transfer.
fn shown(vertex: VertexId, progress: Progress) -> Event {
    let Progress { what, current, total } = progress;
    Event::Progress { vertex, what, current, total }
}

/// What the build checks find. With `check=error=true` findings fail the build.
fn checked(job: &Job<'_>, ignore: Option<&Ignore>, vertices: &mut Vertices<'_>) -> Result<Vec<Warning>> {
    let needed = job.graph.needed();
    let is_out = |path: &str| ignore.is_some_and(|ignore| ignore.is_out(path.as_bytes()));
    let base = |name: &str| {
        let image = job.image_here(name, None).ok().flatten()?;
        let env = image.config.config.env.iter().filter_map(|entry| entry.split_once('='));
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(BaseImage { env, shell: !image.config.config.shell.is_empty() })
    };
    let known = CheckContext {
        args: &job.request.args,
        predefined: job.scope.of_platform(),
        base: &base,
        ignored: ignore.map(|_| &is_out as &dyn Fn(&str) -> bool),
        stage: &|number| needed.contains(&number),
    };
    let found = language::check(&job.file, &known);
    for warning in &found {
        vertices.tell(Event::Warning(warning.clone()));
    }
    if job.file.directives.error && !found.is_empty() && job.request.check != CheckRequest::Only {
        let count =
            if found.len() == 1 { "a problem".to_owned() } else { format!("{} problems", found.len()) };
        return Err(Error::new(Kind::Usage, format!("the build checks found {count}"))
            .hint("See them alone: coracle build --check with the same options."));
    }
    Ok(found)
}

/// Warns of values on the command line that no ARG asks for: a misspelt one has no effect.
fn unused(file: &Containerfile, scope: &Scope) {
    let inside = file.stages.iter().flat_map(|stage| &stage.instructions);
    let inside = inside.filter_map(|instruction| match &instruction.does {
        Does::Arg(arguments) => Some(arguments),
        _ => None,
    });
    let declared: Vec<&str> =
        file.globals.iter().chain(inside.flatten()).map(|argument| argument.name.as_str()).collect();
    let unused: Vec<&str> = scope.unused(&declared).collect();
    if !unused.is_empty() {
        log::warn!("one or more build args were not consumed: [{}]", unused.join(" "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_languages_are_told() {
        for name in [
            "docker/dockerfile",
            "docker/dockerfile:1.7-labs",
            "docker.io/docker/dockerfile:1",
            "mirror.example:5000/docker/dockerfile@sha256:00",
            "docker/dockerfile-upstream:master",
        ] {
            assert!(is_own_language(name), "{name}");
        }
        for name in
            ["ghcr.io/x/mopy", "dockerfile:1", "docker/other", "r2d4/mocker/dockerfile", "xdocker/dockerfile"]
        {
            assert!(!is_own_language(name), "{name}");
        }
    }
}
