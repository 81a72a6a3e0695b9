//! What is more than an image can have is refused.

use super::{build, run};
use crate::common::{Layer, TestEnv, busybox};

/// Readers take 4 MiB of configuration at most; what an image says is in its history too.
#[test]
fn a_configuration_that_nobody_reads_is_refused() {
    let env = TestEnv::with_images();
    let long = "x".repeat(700 << 10);
    let variables = |count: usize| (0..count).map(|n| format!("ENV V{n}={long}\n")).collect::<String>();
    let failed = build(&env, &format!("FROM busybox\n{}", variables(8)));
    assert_eq!(failed.code, 125);
    assert!(failed.stderr.contains("configuration gets larger than 4 MiB"), "{}", failed.stderr);
    let failed = build(&env, &format!("FROM busybox\n{}", variables(4)));
    assert_eq!(failed.code, 125);
    assert!(failed.stderr.contains("configuration is too large"), "{}", failed.stderr);
    assert_eq!(build(&env, &format!("FROM busybox\n{}", variables(2))).code, 0);
    // The kernel takes 128 KiB of one variable.
    env.coracle(["image", "inspect", "made"]).ok();
}

/// A container's root has as many layers as the kernel mounts over each other: 500.
#[test]
fn more_layers_than_can_be_mounted_are_refused() {
    let env = TestEnv::new();
    let layers = (0..497).map(|n| Layer::new().file(&format!("l/{n}"), 0o644, format!("{n}")));
    let (high, _) = env.pulled(layers.fold(busybox(), |image, layer| image.layer(layer)), "limits/high:1");
    let last = format!("FROM {high}\nWORKDIR /1\nWORKDIR /2\n");
    assert_eq!(build(&env, &last).code, 0);
    assert_eq!(run(&env, "made", "pwd; cat /l/0 /l/496"), "/2\n0496");
    let failed = build(&env, &format!("{last}RUN echo >/3\n"));
    assert_eq!(failed.code, 125, "{failed}");
    assert!(failed.stderr.contains("at most 500 layers"), "{}", failed.stderr);
}
