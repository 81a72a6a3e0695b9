use super::*;

fn volume(text: &str) -> MountArg {
    text.parse::<VolumeArg>().unwrap_or_else(|e| panic!("{text}: {e}")).0
}

fn mount(text: &str) -> MountArg {
    text.parse::<MountOption>().unwrap_or_else(|e| panic!("{text}: {e}")).0
}

fn tmpfs(text: &str) -> MountArg {
    text.parse::<TmpfsArg>().unwrap_or_else(|e| panic!("{text}: {e}")).0
}

fn bind_of(path: &str, recursive: bool) -> SourceArg {
    SourceArg::Bind { path: path.into(), recursive }
}

fn volume_of(name: Option<&str>, copy_up: bool) -> SourceArg {
    SourceArg::Volume { name: name.map(|n| n.parse().unwrap()), copy_up }
}

#[test]
fn volumes_have_a_source_a_destination_and_options() {
    for (text, source, destination) in [
        ("/a:/b", bind_of("/a", true), "/b"),
        ("./a:/b", bind_of("./a", true), "/b"),
        ("..:/b", bind_of("..", true), "/b"),
        (".:/b/", bind_of(".", true), "/b"),
        ("/a:/b:bind", bind_of("/a", false), "/b"),
        ("/a:/b:rbind,ro,z", bind_of("/a", true), "/b"),
        ("/a\\:b:/c", bind_of("/a:b", true), "/c"),
        ("data:/b", volume_of(Some("data"), true), "/b"),
        ("data:/b:nocopy", volume_of(Some("data"), false), "/b"),
        ("/b", volume_of(None, true), "/b"),
        ("/a:/b/../c//d/.", bind_of("/a", true), "/c/d"),
        ("/a:/../../etc/x", bind_of("/a", true), "/etc/x"),
    ] {
        let read = volume(text);
        assert_eq!(read.source, source, "{text}");
        assert_eq!(read.destination, PathBuf::from(destination), "{text}");
        assert_eq!(read.asked, text);
    }
}

#[test]
fn volume_options_are_honoured() {
    let plain = volume("/a:/b");
    assert!(!plain.read_only && !plain.no_exec && plain.suid && plain.dev && !plain.chown);
    let full = volume("/a:/b:ro,noexec,suid,dev,rslave,U");
    assert!(full.read_only && full.no_exec && full.suid && full.dev && full.chown);
    assert_eq!(full.propagation.as_deref(), Some("rslave"));
    let locked = volume("/a:/b:rw,exec,nosuid,nodev,Z");
    assert!(!locked.no_exec && !locked.suid && !locked.dev);
    let kept = volume("v:/b");
    assert!(!kept.suid && !kept.dev);
}

#[test]
fn bad_volumes_are_refused_by_name() {
    for (text, names) in [
        ("", "destination"),
        ("a", "destination"),
        ("/a:b", "\"b\""),
        ("/a:/", "root"),
        ("/a:/b:wat", "\"wat\""),
        ("/a:/b:ro,rw", "\"rw\""),
        ("/a:/b:z,Z", "\"Z\""),
        ("/a:/b:ro:x", "colons"),
        (":/b", "source is empty"),
        ("/a:/b:O,ro", "\"O\" conflicts"),
        ("/a:/b:O,upperdir=/u", "go together"),
        ("/a:/b:upperdir=/u,workdir=/w", "with option O"),
        ("/a:/b:idmap", "only root has"),
        ("/a:/b:subpath=x", "for volumes and images"),
        ("data:/b:subpath=../x", "without .."),
        ("/a:/b:nocopy", "nocopy"),
        ("data:/b:rshared", "propagation"),
        ("-x:/b", "source"),
        ("a b:/b", "source"),
    ] {
        let error = text.parse::<VolumeArg>().unwrap_err();
        assert!(error.message().contains(names), "{text}: {error}");
    }
}

#[test]
fn mounts_take_every_documented_key() {
    let bind = mount(
        "type=bind,source=/a,destination=/b,readonly,bind-propagation=rshared,bind-nonrecursive,relabel=shared,U=true",
    );
    assert_eq!(bind.source, bind_of("/a", false));
    assert!(bind.read_only && bind.chown);
    assert_eq!(bind.propagation.as_deref(), Some("rshared"));
    for (text, read_only) in [
        ("type=bind,src=/a,dst=/b", false),
        ("type=bind,src=/a,target=/b,ro", true),
        ("type=bind,src=/a,dst=/b,ro=false", false),
        ("type=bind,src=/a,dst=/b,rw=true", false),
        ("type=bind,src=/a,dst=/b,readonly=1", true),
    ] {
        assert_eq!(mount(text).read_only, read_only, "{text}");
    }
    assert_eq!(mount("type=volume,src=v,dst=/b").source, volume_of(Some("v"), true));
    assert_eq!(mount("type=volume,dst=/b,volume-nocopy").source, volume_of(None, false));
    assert_eq!(mount("dst=/b").source, volume_of(None, true));
    assert_eq!(mount("type=bind,\"src=/a,b\",dst=/c").source, bind_of("/a,b", true));
    assert_eq!(mount("type=bind,\"src=/a\"\"b\",dst=/c").source, bind_of("/a\"b", true));
    let memory = mount("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0700,notmpcopyup");
    assert_eq!(
        memory.source,
        SourceArg::Tmpfs {
            size: Some(MemorySize::Bytes(1 << 20)),
            mode: Some(0o700),
            copy_up: false,
            inodes: None,
            uid: None,
            gid: None
        }
    );
    assert!(memory.no_exec);
}

#[test]
fn mounts_take_what_volumes_and_tmpfs_take() {
    let words = mount("type=bind,src=/a,dst=/b,rslave,bind,Z,noexec,suid,dev,cached");
    assert_eq!(
        words,
        MountArg { asked: words.asked.clone(), ..volume("/a:/b:rslave,bind,Z,noexec,suid,dev,cached") }
    );
    let words = mount("type=volume,src=v,dst=/b,nocopy,ro");
    assert_eq!(words, MountArg { asked: words.asked.clone(), ..volume("v:/b:nocopy,ro") });
    let words = mount("type=tmpfs,dst=/t,size=10%,mode=0700,uid=5,exec");
    assert_eq!(words, MountArg { asked: words.asked.clone(), ..tmpfs("/t:size=10%,mode=0700,uid=5,exec") });
    assert!(mount("type=bind,src=/a,dst=/b,bind-create-src").make_source);
    assert!(!mount("type=bind,src=/a,dst=/b").make_source);
    assert!(mount("type=bind,src=/a,dst=/b,no-dereference").no_dereference);
    assert!(volume("/a:/b:no-dereference").no_dereference);
}

#[test]
fn bad_mounts_are_refused_by_name() {
    for (text, names) in [
        ("", "empty"),
        ("type=bind", "destination is missing"),
        ("type=bind,dst=/b", "needs a source"),
        ("type=bind,src=,dst=/b", "src needs a value"),
        ("type=bind,src=/a,dst=b", "\"b\""),
        ("type=bind,src=/a,dst=/b,dst=/c", "twice"),
        ("type=bind,src=/a,dst=/b,wat=1", "\"wat\""),
        ("type=bind,src=/a,dst=/b,ro=maybe", "\"maybe\""),
        ("type=bind,src=/a,dst=/b,tmpfs-size=1", "tmpfs-size"),
        ("type=bind,src=/a,dst=/b,size=1", "\"size\""),
        ("type=tmpfs,dst=/b,size=x%", "size"),
        ("type=bind,src=/a,dst=/b,O,ro", "\"O\" conflicts"),
        ("type=bind,src=/a,dst=/b,bind-propagation=x", "\"x\""),
        ("type=bind,\"src=/a,dst=/b", "not closed"),
        ("type=tmpfs,src=/a,dst=/b", "no source"),
        ("type=tmpfs,dst=/b,tmpfs-mode=9", "octal"),
        ("type=tmpfs,dst=/b,tmpfs-size=x", "size"),
        ("type=image,dst=/b", "needs a source"),
        ("type=image,src=a,dst=/b,U", "keep their files"),
        ("type=bind,src=/a,dst=/b,idmap", "only root has"),
        ("type=volume,src=a,dst=/b,subpath=/x", "without .."),
        ("type=volume,src=a,dst=/b,volume-opt=a=b", "volume create"),
        ("type=ramfs,dst=/b,tmpfs-size=1m", "no limit"),
        ("type=devpts,src=x,dst=/b", "no source"),
        ("type=artifact,src=x,dst=/b", "not supported"),
        ("type=wat,dst=/b", "\"wat\""),
        ("type=volume,src=../x,dst=/b", "bad source"),
        ("type=tmpfs,dst=/b,noswap", "only allowed with rootful tmpfs mounts"),
    ] {
        let error = text.parse::<MountOption>().unwrap_err();
        assert!(error.message().contains(names), "{text}: {error}");
    }
}

#[test]
fn memory_mounts_default_to_noexec_nosuid_nodev() {
    let plain = tmpfs("/t");
    assert!(plain.no_exec && !plain.suid && !plain.dev && !plain.read_only);
    let full = tmpfs("/t:rw,exec,suid,size=64k,mode=755,nr_inodes=1k,uid=5,gid=6,nocopy");
    assert!(!full.no_exec && full.suid);
    assert_eq!(
        full.source,
        SourceArg::Tmpfs {
            size: Some(MemorySize::Bytes(65536)),
            mode: Some(0o755),
            copy_up: false,
            inodes: Some(1024),
            uid: Some(5),
            gid: Some(6)
        }
    );
    for bad in ["t", "/", "/t:wat", "/t:size=x", "/t:mode=8", "/t:huge=always", "/t:ro,rw", "/t:ro,U"] {
        assert!(bad.parse::<TmpfsArg>().is_err(), "{bad}");
    }
}

#[test]
fn images_patterns_terminals_and_parts() {
    let image = mount("type=image,source=alpine,destination=/i");
    assert_eq!(image.source, SourceArg::Image(ImageArg::Named("alpine".into())));
    assert!(image.read_only);
    assert!(!mount("type=image,src=alpine,dst=/i,rw=true").read_only);
    assert_eq!(mount("type=image,src=a,dst=/i,subpath=etc").subpath, Some("etc".into()));
    assert_eq!(mount("type=volume,src=v,dst=/i,volume-subpath=a/b").subpath, Some("a/b".into()));
    assert_eq!(volume("v:/i:subpath=a").subpath, Some("a".into()));
    let glob = mount("type=glob,src=/usr/lib/lib*,dst=/lib,ro");
    assert_eq!((glob.source, glob.destination), (SourceArg::Glob("/usr/lib/lib*".into()), "/lib".into()));
    assert_eq!(mount("type=glob,src=/a*").destination, PathBuf::from("/"));
    let terminals = mount("type=devpts,dst=/dev/pts,uid=5,gid=6,mode=0620,max=10").source;
    let devpts = SourceArg::Devpts { uid: Some(5), gid: Some(6), mode: Some(0o620), max: Some(10) };
    assert_eq!(terminals, devpts);
    let ramfs = mount("type=ramfs,dst=/r,tmpfs-mode=700,notmpcopyup").source;
    assert_eq!(ramfs, SourceArg::Ramfs { mode: Some(0o700), copy_up: false });
}

#[test]
fn a_layer_above_the_source() {
    assert_eq!(volume("/a:/b:O").overlay, Some(None));
    let kept = volume("/a:/b:O,upperdir=/u,workdir=./w").overlay;
    assert_eq!(kept, Some(Some(("/u".into(), "./w".into()))));
    assert_eq!(volume("/a:/b").overlay, None);
}
