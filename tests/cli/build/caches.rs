//! Cache mounts of steps that run at the same time.

use super::{build, context, run};
use crate::common::TestEnv;

/// Two stages with this step each, and one that needs both.
fn side_by_side(one: &str, other: &str) -> String {
    format!(
        "FROM busybox AS one\n{one}\nFROM busybox AS other\n{other}\nFROM busybox\nCOPY --from=one /got /1\nCOPY --from=other /got /2\n"
    )
}

#[test]
fn a_shared_cache_is_used_by_several_at_once() {
    let env = TestEnv::with_images();
    let step = |own: &str, others: &str| {
        format!(
            "RUN --mount=type=cache,id=c,target=/c touch /c/{own}; until test -e /c/{others}; do sleep 0.01; done; echo {own} >/got"
        )
    };
    let built = build(&env, &side_by_side(&step("a", "b"), &step("b", "a")));
    assert_eq!(built.code, 0, "{built}");
    assert_eq!(run(&env, "made", "cat /1 /2"), "a\nb");
}

#[test]
fn a_locked_cache_is_used_by_one_after_the_other() {
    let env = TestEnv::with_images();
    let step = |own: &str| {
        format!(
            "RUN --mount=type=cache,id=c,target=/c,sharing=locked mkdir /c/busy && sleep 0.3 && rmdir /c/busy && echo {own} >>/c/list && cp /c/list /got"
        )
    };
    let built = build(&env, &side_by_side(&step("a"), &step("b")));
    assert_eq!(built.code, 0, "{built}");
    // Whoever came second has seen what the first one did.
    let lists = run(&env, "made", "cat /1 /2 | sort | uniq -c | awk '{print $1}' | sort");
    assert_eq!(lists, "1\n2");
}

#[test]
fn a_private_cache_is_another_one_while_it_is_in_use() {
    let env = TestEnv::with_images();
    let dir = context(&env, "meet", &[]);
    std::fs::create_dir_all(&dir).unwrap();
    let volume = format!("-v={}:/meet", dir.display());
    let step = |own: &str, others: &str| {
        format!(
            "RUN --mount=type=cache,id=c,target=/c,sharing=private test ! -e /c/x && touch /c/x /meet/{own} && until test -e /meet/{others}; do sleep 0.01; done; echo {own} >/got"
        )
    };
    let text = side_by_side(&step("a", "b"), &step("b", "a"));
    let built =
        env.coracle(["build", "--network=none", "-t", "made", &volume, "-"]).stdin(text.as_str()).run();
    assert_eq!(built.code, 0, "{built}");
    assert_eq!(run(&env, "made", "cat /1 /2"), "a\nb");
}

/// One cache at two places of a step is one cache, and steps that lock several do not wait for each other.
#[test]
fn locked_caches_are_waited_for_in_order() {
    let env = TestEnv::with_images();
    let mount = |id: &str, target: &str| format!("--mount=type=cache,id={id},target={target},sharing=locked");
    let twice = format!("RUN {} {} echo x >/c/x; cat /d/x >/got", mount("c", "/c"), mount("c", "/d"));
    let built = build(&env, &format!("FROM busybox\n{twice}\n"));
    assert_eq!(built.code, 0, "{built}");
    assert_eq!(run(&env, "made", "cat /got"), "x");
    let both = |one: &str, other: &str| {
        let step = format!("RUN {} {} date +%N >/got\n", mount(one, "/1"), mount(other, "/2"));
        step.repeat(10)
    };
    let built = build(&env, &side_by_side(&both("a", "b"), &both("b", "a")));
    assert_eq!(built.code, 0, "{built}");
}

/// One step swaps a directory of the cache for a link to the host, while others have something mounted below it (attack
/// case 44).
#[test]
fn case_44_a_race_for_a_part_of_a_cache_leads_nowhere() {
    let env = TestEnv::with_images();
    let outside = env.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let link = format!(
        "until test -e /c/done; do rm -rf /c/sub; ln -s {outside} /c/sub; rm -f /c/sub; mkdir -p /c/sub; done; touch /got",
        outside = outside.display()
    );
    let cache = "--mount=type=cache,id=c,target=/c,mode=0777";
    let other: String = (0..12)
        .map(|n| format!("RUN {cache} --mount=type=tmpfs,target=/c/sub/made{n} --mount=type=bind,target=/c/sub/bound{n} true; exit 0\n"))
        .collect();
    let text =
        side_by_side(&format!("RUN {cache} {link}"), &format!("{other}RUN {cache} touch /c/done /got"));
    for _ in 0..3 {
        // A step may fail where its mount point is taken away, and then the other one is stopped.
        let built = env.coracle(["build", "--network=none", "--no-cache", "-"]).stdin(text.as_str()).run();
        assert!([0, 125, 126, 127].contains(&built.code), "{built}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{built}");
        let empty = "FROM busybox\nRUN --mount=type=cache,id=c,target=/c rm -rf /c/*\n";
        env.coracle(["build", "--network=none", "--no-cache", "-"]).stdin(empty).ok();
    }
}
