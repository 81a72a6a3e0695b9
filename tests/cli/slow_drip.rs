//! Servers that send a byte now and then, and would keep a client forever. Limits on time are a hundredth of what they are.

use crate::common::{Fault, FaultyRegistry, TestEnv};
use crate::pull_faults::noise;

#[test]
fn a_registry_that_drips_is_given_up() {
    let env = TestEnv::new();
    let registry = FaultyRegistry::start();
    registry.put_image("x", "latest", vec![noise(1, 256)]);
    let manifest = registry.manifest("x/manifests/latest").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let blob = |part: &serde_json::Value| format!("GET /v2/x/blobs/{}", part["digest"].as_str().unwrap());
    let name = format!("{}/x", registry.address());
    let pull = || {
        let call = env.coracle(["pull", "-q", "--retry=1", "--retry-delay=10ms", &name]);
        call.env("CORACLE_TEST_HASTE", "100")
    };
    for place in
        ["GET /v2/x/manifests/latest".to_owned(), blob(&manifest["config"]), blob(&manifest["layers"][0])]
    {
        registry.fault(&place, 99, Fault::Drip);
        let refused = pull().fails(125).says("came too slowly");
        assert_eq!(refused.stderr.matches("Error:").count(), 1, "{refused}");
        assert_eq!(refused.text(), "", "{refused}");
        registry.release();
        for dir in ["images", "layers", "refs"] {
            assert_eq!(
                std::fs::read_dir(env.root().join(dir)).map_or(0, Iterator::count),
                0,
                "{place}: {dir}"
            );
        }
    }
    pull().ok();
}
