//! No user input or image makes a parser or the resolver panic.

use super::resolve::tests::{facts, request};
use super::{caps, env, keys, limits, mount, option_values, process, resources, security, units};
use crate::container::Signal;
use crate::image::{ChainId, Digest, Image, ImageConfig};
use proptest::prelude::*;

/// Text of the characters that options are made of, and a few others.
fn option_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9:=,./\\\\\"*?\\-+_ ~\\[\\]]{0,40}",
        "\\PC{0,20}",
        "(/[a-z.]{0,3}){0,4}:?(/[a-z.]{0,3}){0,4}(:[a-z,=0-9]{0,12})?"
    ]
}

fn config_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/:.=0-9\u{0}-]{0,12}", "\\PC{0,8}"]
}

proptest! {
    #[test]
    fn no_option_makes_a_parser_panic(text in option_text()) {
        let _ = text.parse::<mount::VolumeArg>();
        let _ = text.parse::<mount::MountOption>();
        let _ = format!("type=tmpfs,dst=/x,{text}").parse::<mount::MountOption>();
        let _ = text.parse::<mount::TmpfsArg>();
        let _ = text.parse::<limits::UlimitArg>();
        let _ = format!("nofile={text}").parse::<limits::UlimitArg>();
        let _ = text.parse::<limits::SysctlArg>();
        let _ = text.parse::<security::SecurityOpt>();
        let _ = text.parse::<caps::CapArg>();
        let _ = text.parse::<env::EnvArg>();
        let _ = env::parse_file(&text);
        let _ = option_values::parse_pairs(&text);
        let _ = text.parse::<super::logging::LogOpt>();
        let _ = text.parse::<option_values::Cgroups>();
        let _ = text.parse::<resources::Cpus>();
        let _ = text.parse::<resources::OfDevice>();
        let _ = text.parse::<resources::Conf>();
        let _ = text.parse::<units::Size>();
        let _ = text.parse::<keys::DetachKeys>();
        let _ = text.parse::<process::UserArg>();
        let _ = text.parse::<process::Entrypoint>();
        let _ = text.parse::<process::Umask>();
        let _ = text.parse::<Signal>();
    }

    /// Whatever a mount is called, it stays inside and is absolute.
    #[test]
    fn destinations_stay_inside(text in "(/|\\.|[a-z]){0,30}") {
        if let Ok(path) = mount::clean_destination(&text) {
            prop_assert!(path.is_absolute());
            prop_assert!(path.components().skip(1).all(|c| matches!(c, std::path::Component::Normal(_))));
        }
    }

    #[test]
    fn no_image_makes_the_resolver_panic(
        user in config_text(),
        dir in config_text(),
        signal in config_text(),
        list in proptest::collection::vec(config_text(), 0..4),
        map in proptest::collection::btree_map(config_text(), config_text(), 0..4),
        all in any::<bool>(),
    ) {
        let empty: serde_json::Map<String, serde_json::Value> =
            map.keys().map(|k| (k.clone(), serde_json::json!({}))).collect();
        let config: ImageConfig = serde_json::from_value(serde_json::json!({ "config": {
            "User": user, "WorkingDir": dir, "StopSignal": signal, "Cmd": list, "Entrypoint": list,
            "Env": list, "Volumes": empty, "ExposedPorts": empty, "Labels": map
        }})).unwrap();
        let image = Image {
            id: Digest::sha256_of(b"c"),
            manifest: Digest::sha256_of(b"m"),
            reference: None,
            layers: vec![ChainId(Digest::sha256_of(b"l"))],
            config,
        };
        let mut asked = request();
        asked.network.publish_all = all;
        if let Ok(super::Resolved { spec: plan, .. }) = super::resolve(asked, Some(&image), &facts()) {
            prop_assert!(plan.process.cwd.is_absolute());
            prop_assert!(!plan.process.argv.is_empty());
            prop_assert!(plan.process.env.iter().all(|e| e.contains('=') && !e.contains('\0')));
        }
    }
}
