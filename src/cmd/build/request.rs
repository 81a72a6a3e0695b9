//! Turns options into a request. Files that they name are read here, and everything is refused here that can be.

use super::context::{self, Sources};
use super::options::{
    Args, BaseArgs, CacheArgs, ConfigArgs, Format, LayerArgs, Method, ResultArgs, StepArgs,
};
use super::output::{Form, OutputArg, Place};
use super::secrets::{agent, secrets};
use super::values::{AnnotationArg, CacheArg, CacheAt, ContextArg, ContextValue, usage, variable};
use crate::build::language;
use crate::build::request::{
    BuildRequest, CachePlace, CacheRequest, CacheTarget, Changes, CheckRequest, ContextSource, Destination,
    LayerRequest, NamedContext, Output, RunRequest, Stream, TimeRequest,
};
use crate::cmd::options::devices::{self, DeviceArgs};
use crate::cmd::options::{files, request::confinement};
use crate::engine::images::pull::PullPolicy;
use crate::error::{Context, Error, Kind, Result, phrases};
use crate::host::Caller;
use crate::image::{Digest, Platform, Reference};
use crate::plan::Request;
use crate::plan::env::{self, EnvArg, EnvRequest};
use crate::plan::mount::SourceArg;
use crate::spec::NetworkMode;
use crate::spec::bridge::BUILT_IN;
use crate::storage::archive::{Family, OutgoingForm};
use crate::text::boolean;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// What a command line asks for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) request: BuildRequest,
    /// What is done with it.
    pub(super) method: Method,
    /// Whether the result of a method other than a build is JSON.
    pub(super) json: bool,
}

/// The request of these arguments; `docker` is whether this process is called by that name.
///
/// # Errors
/// Anything that is wrong with them, and files that cannot be read.
pub(super) fn wanted(args: Args, caller: &Caller, docker: bool) -> Result<Wanted> {
    let named = match args.source.file.last() {
        // docker has one.
        Some(last) if docker => std::slice::from_ref(last),
        _ => &args.source.file,
    };
    let takes_stdin = |text: &str| text == "-";
    if args.output.debug_shell
        && (args.context.as_deref().is_some_and(takes_stdin) || named.iter().any(|f| f == "-"))
    {
        return Err(usage("--debug-shell: standard input is what is built, and a shell needs it")
            .hint("Give the Containerfile as a file: coracle build --debug-shell -f FILE ."));
    }
    let Sources { context, files } = context::sources(args.context.as_deref(), named, caller)?;
    let (method, json) = match args.output.call {
        _ if args.output.check => (Method::Check, false),
        Some(call) => (call.method, call.json),
        None => (Method::Build, false),
    };
    let platforms = platforms(&args.result, caller, docker)?;
    let (mut times, layers, discard) = layers(&args.layers, caller)?;
    let mut changes = changes(args.config, caller)?;
    let mut names = names(&args.result)?;
    let list = args.result.manifest.as_ref().map(Reference::as_new_name).transpose()?;
    let family = family(args.result.format, caller, docker)?;
    let outputs = outputs(&args.result, caller, docker)?;
    for output in args.result.output {
        names.extend(output.names.iter().map(Reference::as_new_name).collect::<Result<Vec<_>>>()?);
        changes.annotations.extend(output.annotations);
        times.rewrite |= output.rewrite;
    }
    let registry = args.base.registry.request(platforms.first().cloned().unwrap_or_else(Platform::host));
    let request = BuildRequest {
        context,
        files,
        dockerfile_first: docker,
        ignore_file: args.source.ignorefile.map(|path| caller.cwd.join(path)),
        contexts: args
            .source
            .build_context
            .into_iter()
            .map(|arg| named_context(arg, caller))
            .collect::<Result<_>>()?,
        target: args.source.target,
        from: args.base.from.clone(),
        args: arguments(&args.source.build_arg_file, &args.source.build_arg, caller)?,
        changes,
        names,
        list,
        pull: pull(&args.base),
        secrets: secrets(args.source.secret, caller)?,
        ssh: args.source.ssh.into_iter().map(|arg| agent(arg, caller)).collect::<Result<_>>()?,
        cache: cache(args.cache, discard, caller, docker)?,
        jobs: args.steps.jobs.filter(|jobs| *jobs > 0),
        run: steps(args.steps, caller)?,
        registry,
        platforms,
        layers,
        family,
        times,
        outputs,
        debug_shell: args.output.debug_shell,
        check: if method == Method::Check { CheckRequest::Only } else { CheckRequest::Warn },
    };
    Ok(Wanted { request, method, json })
}

fn platforms(args: &ResultArgs, caller: &Caller, docker: bool) -> Result<Vec<Platform>> {
    let mut all = args.platform.clone();
    let (os, arch, own) = (args.os.as_deref(), args.arch.as_deref(), args.variant.as_deref());
    if os.or(arch).or(own).is_some() {
        all.push(Platform::of_parts(os, arch, own)?);
    }
    if let (true, Some(usual)) = (docker && all.is_empty(), variable(caller, "DOCKER_DEFAULT_PLATFORM")) {
        all.push(usual.parse().context(Kind::Usage, || "DOCKER_DEFAULT_PLATFORM")?);
    }
    let mut once: Vec<Platform> = Vec::new();
    all.into_iter().for_each(|platform| {
        if !once.contains(&platform) {
            once.push(platform);
        }
    });
    Ok(once)
}

/// Times, layers, and whether results of steps are neither used nor kept.
fn layers(args: &LayerArgs, caller: &Caller) -> Result<(TimeRequest, LayerRequest, bool)> {
    let number = |text: &str| {
        text.parse().map_err(|_| {
            usage(format!("SOURCE_DATE_EPOCH is {text:?}, which is not a number"))
                .hint("Give it in seconds since 1970: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
        })
    };
    let of_caller = variable(caller, "SOURCE_DATE_EPOCH").filter(|_| args.timestamp.is_none()).map(number);
    let image = match args.source_date_epoch {
        Some(seconds) => Some(seconds),
        None => of_caller.transpose()?,
    };
    if args.rewrite_timestamp && image.is_none() && args.timestamp.is_none() {
        return Err(usage("--rewrite-timestamp needs a time that no file is to be later than")
            .hint("Give it: --source-date-epoch SECONDS"));
    }
    let each = args.layers.or_else(|| variable(caller, "BUILDAH_LAYERS").and_then(boolean)).unwrap_or(true);
    let layers = match (args.squash_all, args.squash || !each) {
        (true, _) => LayerRequest::SquashAll,
        (false, true) => LayerRequest::Squash,
        (false, false) => LayerRequest::Each,
    };
    Ok((TimeRequest { all: args.timestamp, image, rewrite: args.rewrite_timestamp }, layers, !each))
}

fn changes(args: ConfigArgs, caller: &Caller) -> Result<Changes> {
    let of = |index: bool, args: &[AnnotationArg]| -> BTreeMap<String, String> {
        let wanted = args.iter().filter(|arg| if index { arg.index } else { arg.manifest });
        wanted.map(|arg| (arg.key.clone(), arg.value.clone())).collect()
    };
    Ok(Changes {
        labels: args.label.into_iter().map(|pair| (pair.key, pair.value)).collect(),
        annotations: of(false, &args.annotation),
        index_annotations: of(true, &args.annotation),
        env: given(&args.env, caller),
        unset_env: args.unsetenv,
        unset_labels: args.unsetlabel,
        unset_annotations: args.unsetannotation,
        forget_labels: !args.inherit_labels,
        forget_annotations: !args.inherit_annotations,
        created_annotation: args.created_annotation,
        omit_history: args.omit_history,
        identity_label: args.identity_label,
    })
}

/// Names and values; what the caller does not have is not given.
fn given(entries: &[EnvArg], caller: &Caller) -> Vec<(String, String)> {
    let of_caller = |wanted: &dyn Fn(&str) -> bool| -> Vec<(String, String)> {
        caller.env.iter().filter(|(name, _)| wanted(name)).cloned().collect()
    };
    let one = |entry: &EnvArg| match entry {
        EnvArg::Set(name, value) => vec![(name.clone(), value.clone())],
        EnvArg::Inherit(name) => of_caller(&|known| known == name),
        EnvArg::InheritAll(prefix) => of_caller(&|known| known.starts_with(prefix.as_str())),
    };
    entries.iter().flat_map(one).collect()
}

fn arguments(
    named: &[std::path::PathBuf],
    set: &[EnvArg],
    caller: &Caller,
) -> Result<BTreeMap<String, String>> {
    let mut entries = Vec::new();
    for path in named {
        let text = files::read("--build-arg-file", path, caller)?;
        let read =
            env::parse_file(&text).context(Kind::Usage, || format!("--build-arg-file {}", path.display()))?;
        entries.extend(read);
    }
    let mut all: BTreeMap<String, String> = given(&entries, caller).into_iter().collect();
    all.extend(given(set, caller));
    Ok(all)
}

fn names(args: &ResultArgs) -> Result<Vec<Reference>> {
    args.tag.iter().map(Reference::as_new_name).collect()
}

fn family(format: Option<Format>, caller: &Caller, docker: bool) -> Result<Family> {
    Ok(match (format, variable(caller, "BUILDAH_FORMAT")) {
        (Some(Format::Oci), _) | (None, Some("oci")) => Family::Oci,
        (Some(Format::Docker), _) | (None, Some("docker")) => Family::Docker,
        (None, Some(other)) => {
            return Err(usage(format!("BUILDAH_FORMAT is {other:?}")).hint("Give it as oci or docker."));
        }
        (None, None) => {
            if docker {
                Family::Docker
            } else {
                Family::Oci
            }
        }
    })
}

fn outputs(args: &ResultArgs, caller: &Caller, docker: bool) -> Result<Vec<Output>> {
    let archives =
        |form: &Form| matches!(form, Form::Tar(p) | Form::Oci(p) | Form::Docker(p) if *p == Place::Stdout);
    match args.output.iter().filter(|output| archives(&output.form)).count() {
        0 => {}
        1 if io::stdout().is_terminal() => {
            return Err(phrases::terminal_for_output("the dest key of --output")
                .hint("Give a file: -o type=tar,dest=FILE; or use a pipe."));
        }
        1 => {}
        _ => {
            return Err(usage("two outputs cannot be written to standard output")
                .hint("Give one of them a file: dest=FILE."));
        }
    }
    let file = |place: &Place| destination(place, caller);
    let mut outputs = Vec::new();
    for OutputArg { form, packing, .. } in &args.output {
        outputs.push(match form {
            Form::Local(dir) => Output::Local(caller.cwd.join(dir)),
            Form::Tar(place) => Output::Tar(file(place)?),
            Form::Oci(place) => Output::Oci { to: file(place)?, directory: false },
            Form::OciDirectory(dir) => {
                Output::Oci { to: Destination::File(caller.cwd.join(dir)), directory: true }
            }
            Form::Docker(place) => Output::Docker(file(place)?),
            Form::Image => Output::Image,
            Form::Push => Output::Push { names: pushed(&names_of(args), docker)?, form: *packing },
            Form::Nothing => Output::Nothing,
        });
    }
    let pushes = |output: &Output| matches!(output, Output::Push { .. });
    if args.push && !outputs.iter().any(pushes) {
        let names = pushed(&names_of(args), docker)?;
        outputs.push(Output::Push { names, form: OutgoingForm::default() });
    }
    // To podman, files are exported besides.
    let exported = |output: &Output| matches!(output, Output::Local(_) | Output::Tar(_));
    if (args.load || !docker && outputs.iter().any(exported)) && !outputs.contains(&Output::Image) {
        outputs.push(Output::Image);
    }
    Ok(outputs)
}

/// All names that were written.
fn names_of(args: &ResultArgs) -> Vec<Reference> {
    let of_outputs = args.output.iter().flat_map(|output| &output.names);
    args.tag.iter().chain(&args.manifest).chain(of_outputs).cloned().collect()
}

/// The names that the image is pushed to.
fn pushed(names: &[Reference], docker: bool) -> Result<Vec<Reference>> {
    if names.is_empty() {
        return Err(usage("tag is needed when pushing to registry")
            .hint("Name it: coracle build --push -t REGISTRY/NAME:TAG ."));
    }
    let one = |name: &Reference| match name.registry() {
        Some(_) => name.as_new_name(),
        None if docker => name.qualify("docker.io").as_new_name(),
        None => Err(no_registry(name)),
    };
    names.iter().map(one).collect()
}

fn no_registry(name: &Reference) -> Error {
    usage(format!("{name} names no registry to push to"))
        .hint("Name it: coracle build --push -t REGISTRY/NAME:TAG .")
}

fn destination(place: &Place, caller: &Caller) -> Result<Destination> {
    Ok(match place {
        Place::File(path) => Destination::File(caller.cwd.join(path)),
        Place::Stdout => {
            let copy = io::stdout().as_fd().try_clone_to_owned();
            Destination::Stream(Stream(Arc::new(copy.context(Kind::Host, || "open standard output again")?)))
        }
    })
}

fn named_context(arg: ContextArg, caller: &Caller) -> Result<(String, NamedContext)> {
    let directory = |dir: &Path| {
        let dir = caller.cwd.join(dir);
        match dir.is_dir() {
            true => Ok(dir),
            false => {
                Err(usage(format!("--build-context {}: {} is not a directory", arg.name, dir.display()))
                    .hint("Give a directory that is there, a URL, docker-image://IMAGE or oci-layout://DIR."))
            }
        }
    };
    let what = match arg.value {
        ContextValue::Image(name) => NamedContext::Image(name),
        ContextValue::Layout { dir, tag, digest } => {
            NamedContext::Layout { dir: directory(&dir)?, tag, digest }
        }
        ContextValue::Remote(address) => NamedContext::Files(ContextSource::Remote(address)),
        ContextValue::Directory(dir) => NamedContext::Files(ContextSource::Directory(directory(&dir)?)),
    };
    Ok((arg.name, what))
}

fn pull(args: &BaseArgs) -> PullPolicy {
    match (args.pull, args.pull_always, args.pull_never) {
        (Some(policy), ..) => policy.0,
        (None, true, _) => PullPolicy::Always,
        (None, false, true) => PullPolicy::Never,
        (None, false, false) => PullPolicy::Missing,
    }
}

fn cache(args: CacheArgs, discard: bool, caller: &Caller, docker: bool) -> Result<CacheRequest> {
    let place = |at: CacheAt| match at {
        CacheAt::Named(name) if name.tag().or(name.digest().map(Digest::as_str)).is_none() => {
            CachePlace::Repository(name)
        }
        CacheAt::Registry(name) | CacheAt::Named(name) => CachePlace::Registry(name),
        CacheAt::Local(dir) => CachePlace::Local(caller.cwd.join(dir)),
        CacheAt::Inline => CachePlace::Inline,
    };
    let from: Vec<CachePlace> = args.cache_from.into_iter().flat_map(|arg| arg.places).map(place).collect();
    let target = |arg: CacheArg| {
        let least = arg.least;
        // BuildKit keeps the least in a registry, unless told otherwise.
        let usual = |at: &CacheAt| matches!(at, CacheAt::Registry(_));
        let one = move |at: CacheAt| CacheTarget { least: least.unwrap_or(usual(&at)), place: place(at) };
        arg.places.into_iter().map(one).collect::<Vec<_>>()
    };
    let to: Vec<CacheTarget> = args.cache_to.into_iter().flat_map(target).collect();
    let homeless = |name: &Reference| match docker || name.registry().is_some() {
        true => Ok(()),
        false => Err(no_registry(name)),
    };
    for target in &to {
        if let CachePlace::Registry(name) | CachePlace::Repository(name) = &target.place {
            homeless(name)?;
            if name.digest().is_some() {
                return Err(usage(format!("--cache-to: {name} has a digest, which cannot be chosen"))
                    .hint("Write [registry/]name[:tag]."));
            }
        }
    }
    if from.contains(&CachePlace::Inline) {
        return Err(usage("--cache-from type=inline: such a cache is in an image")
            .hint("Give the image's name: --cache-from NAME"));
    }
    let max_age = args.cache_ttl.map(|age| age.as_secs());
    Ok(CacheRequest {
        ignore: args.no_cache || discard || args.cache_ttl.is_some_and(|age| age.is_zero()),
        ignore_stages: args.no_cache_filter,
        from,
        to,
        max_age,
        discard,
    })
}

/// A build's containers come and go one by one, and share no network with others.
fn of_build(mode: NetworkMode) -> Result<NetworkMode> {
    match mode {
        NetworkMode::Bridge(all) if all.iter().all(|one| one.network == BUILT_IN) => {
            Ok(NetworkMode::default())
        }
        NetworkMode::Bridge(all) => {
            let name = all.first().map(|one| one.network.as_str()).unwrap_or_default();
            Err(usage(format!("cannot use network {name:?}: a build cannot be on a named network"))
                .hint("Use --network slirp4netns (the default), host or none."))
        }
        other => Ok(other),
    }
}

fn steps(args: StepArgs, caller: &Caller) -> Result<RunRequest> {
    let mut found = Request::default();
    let devices = DeviceArgs { device: args.device, gpus: Vec::new(), cdi_spec_dir: Vec::new() };
    devices::look_up(&devices, &mut found, caller)?;
    let mut mounts = Vec::new();
    for volume in args.volume {
        match volume.0.source {
            SourceArg::Bind { .. } => mounts.push(volume.0),
            _ => {
                return Err(usage(format!(
                    "--volume {}: a build mounts directories of the host only",
                    volume.0.asked
                ))
                .hint("Give the path: -v /DIR:/DIR or -v ./DIR:/DIR; a cache is RUN --mount=type=cache."));
            }
        }
    }
    mounts.append(&mut found.mounts.list);
    for mount in &args.mount {
        language::mount::parse(mount)?;
    }
    Ok(RunRequest {
        network: args.network.map(of_build).transpose()?,
        dns: args.names.dns()?,
        hosts: args.names.add_host.into_iter().flatten().collect(),
        no_hosts: args.names.no_hosts,
        no_hostname: args.names.no_hostname,
        mounts,
        devices: found.devices,
        security: confinement(args.confinement, caller)?,
        groups: args.group_add.into_iter().map(|group| group.0).collect(),
        ulimits: args.ulimit,
        resources: args.resources.resources()?.limiting(),
        cgroup_parent: args.cgroup_parent.filter(|path| !path.is_empty()),
        shm_size: args.shm_size.map(|size| size.0),
        proxies: EnvRequest { proxy: args.http_proxy, set: found.process.env.set, ..EnvRequest::default() },
        step_mounts: args.mount,
    })
}
