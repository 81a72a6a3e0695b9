//! `coracle search`.

use crate::common::{Fault, FaultyRegistry, Output, Registry, TestEnv, free_port, one_file};
use serde_json::json;

fn results(hits: &[(&str, &str, u64, bool)]) -> Fault {
    let hits: Vec<_> = hits
        .iter()
        .map(|(name, description, stars, official)| {
            json!({"name": name, "description": description, "star_count": stars, "is_official": official,
                "is_automated": false, "is_trusted": false})
        })
        .collect();
    Fault::Body(json!({"num_results": hits.len(), "query": "x", "results": hits}).to_string().into())
}

fn public() -> FaultyRegistry {
    let registry = FaultyRegistry::start();
    let long = "a very long description of an image\nthat goes on and on";
    let hits = [("team/nginx", long, 3, false), ("nginx", "the official one", 90, true)];
    registry.fault("/v1/search", 99, results(&hits));
    registry
}

fn search(env: &TestEnv, args: &[&str]) -> Output {
    env.coracle(["search"]).args(args).run()
}

#[test]
fn the_catalog_of_a_private_registry_is_searched() {
    let registry = Registry::with_password("bob", "secret");
    for name in ["team/app", "app", "other"] {
        one_file("x").push(&registry, name, "1");
    }
    let (env, host) = (TestEnv::new(), registry.address());
    let term = format!("{host}/app");
    let refused = search(&env, &[&term]);
    assert_eq!((refused.code, refused.text()), (125, ""), "{refused}");
    refused.says(&format!("access to the catalog of {host} is denied")).says("coracle login");
    let found = search(&env, &["--creds", "bob:secret", "--format", "{{.Name}}", &term]);
    assert_eq!(found.lines(), [term.clone(), format!("{host}/team/app")]);
    env.coracle(["login", "-u", "bob", "-p", "secret", host]).ok();
    let all = search(&env, &[&format!("{host}/")]);
    assert_eq!(all.lines().len(), 4, "{all}");
    assert!(all.stdout.starts_with("NAME"), "{all}");
    let none = search(&env, &[&format!("{host}/nothing")]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""));
    let found = search(&env, &["--format", "json", &term]).json();
    let expected = json!({"Index": host, "Name": term, "Description": "", "Stars": 0, "Official": "",
        "Automated": "", "Tag": ""});
    assert_eq!(found[0], expected);
    assert_eq!(search(&env, &["--limit", "1", &format!("{host}/")]).lines().len(), 2);
}

#[test]
fn a_catalog_comes_in_pages_and_the_very_name_first() {
    let (env, registry) = (TestEnv::new(), FaultyRegistry::start());
    let page = |names: &[&str], next: Option<&str>| {
        let link = next.map(|next| ("Link".to_owned(), format!("<{next}>; rel=\"next\"")));
        Fault::Status(200, link.into_iter().collect(), json!({"repositories": names}).to_string())
    };
    registry.fault("last=b", 9, page(&["my/app", "app"], None));
    registry.fault("_catalog", 1, page(&["app-one", "b"], Some("/v2/_catalog?n=2&last=b")));
    let host = registry.address();
    let found = search(&env, &["--format", "{{.Name}}", &format!("{host}/app")]);
    assert_eq!(found.lines(), ["app", "app-one", "my/app"].map(|name| format!("{host}/{name}")), "{found}");
    // A next page elsewhere is not asked for.
    let elsewhere = FaultyRegistry::start();
    let there = format!("http://{}/v2/_catalog", elsewhere.address());
    registry.fault("_catalog", 1, page(&["app"], Some(&there)));
    search(&env, &[&format!("{host}/app")]).says("next page elsewhere");
    assert!(elsewhere.seen().is_empty());
    // Text of a registry steers no terminal.
    registry.release();
    registry.fault("_catalog", 1, page(&["app\u{1b}[2J\nx"], None));
    let odd = search(&env, &[&format!("{host}/app")]);
    assert!(!odd.stdout.contains('\u{1b}') && odd.lines().len() == 2, "{odd}");
}

#[test]
fn a_search_api_is_asked_first_and_without_credentials() {
    let (env, registry) = (TestEnv::new(), public());
    let term = format!("{}/nginx&x=1", registry.address());
    let found = search(&env, &["--creds", "bob:secret", "--compatible", "--tls-verify=false", &term]);
    let lines = found.lines();
    assert_eq!(lines.len(), 3, "{found}");
    for header in ["NAME", "DESCRIPTION", "STARS", "OFFICIAL", "AUTOMATED"] {
        assert!(lines[0].contains(header), "{found}");
    }
    assert!(lines[1].contains("a very long description of an image that goe..."), "{found}");
    assert!(lines[2].contains("90") && lines[2].contains("[OK]"), "{found}");
    let asked = registry.seen().into_iter().find(|seen| seen.path.starts_with("/v1/search")).unwrap();
    assert_eq!(asked.path, "/v1/search?q=nginx%26x%3D1&n=25");
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(registry.count("_catalog"), 0);
    let names =
        |args: &[&str]| search(&env, &[args, &["--format", "{{.Name}}", &term]].concat()).lines().len();
    assert_eq!(names(&["--filter", "stars=10"]), 1);
    assert_eq!(names(&["--filter", "is-official=false"]), 1);
    assert_eq!(names(&["-f", "is-official,stars=91"]), 0);
    assert_eq!(names(&["--limit", "1"]), 1);
    let whole = search(&env, &["--no-trunc", &term]);
    assert!(whole.stdout.contains("image that goes on and on"), "{whole}");
    search(&env, &["--filter", "x=1", &term]).says("invalid filter type \"x=1\"");
    search(&env, &["--filter", "stars", &term]).says("invalid filter \"stars\", should be stars=<value>");
}

#[test]
fn called_docker_the_columns_are_dockers() {
    let (env, registry) = (TestEnv::new(), public());
    let term = format!("{}/nginx", registry.address());
    let found = env.called("docker", ["search", &term]).ok();
    let lines = found.lines();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"],
        "{found}"
    );
    // By stars.
    assert!(lines[1].contains("the official one") && lines[1].ends_with("[OK]"), "{found}");
    assert!(lines[2].contains("a very long description of an image that goe…"), "{found}");
    let rows =
        env.called("docker", ["search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", &term]).ok();
    assert_eq!(rows.lines()[0], format!("{}/nginx 90 true", registry.address()));
}

#[test]
fn one_registry_that_fails_does_not_hide_the_others() {
    let (env, registry) = (TestEnv::new(), public());
    let nobody = format!("127.0.0.1:{}", free_port());
    let conf = |list: &[&str]| {
        let text = format!("unqualified-search-registries = {list:?}\n");
        env.file("home/.config/containers/registries.conf", text);
    };
    conf(&[&nobody, registry.address()]);
    let found = search(&env, &["--format", "{{.Name}}", "nginx"]);
    assert_eq!((found.code, found.lines().len()), (0, 2), "{found}");
    found.says(&format!("couldn't search registry \"{nobody}\"")).says("connection refused");
    let other = format!("127.0.0.1:{}", free_port());
    conf(&[&nobody, &other]);
    let failed = search(&env, &["nginx"]);
    assert_eq!((failed.code, failed.stderr.matches("Error:").count()), (125, 2), "{failed}");
    search(&env, &["--creds", "a:b", "nginx"]).says("names no registry to send them to");
}

#[test]
fn tags_are_listed() {
    let registry = Registry::start();
    for tag in ["1", "2", "3"] {
        one_file("x").push(&registry, "team/app", tag);
    }
    let (env, name) = (TestEnv::new(), format!("{}/team/app", registry.address()));
    let listed = search(&env, &["--list-tags", &name]);
    assert_eq!(listed.lines().len(), 4, "{listed}");
    assert!(listed.stdout.starts_with("NAME") && listed.lines()[1].starts_with(&name), "{listed}");
    let tags = search(&env, &["--list-tags", "--limit", "2", "--format", "json", &name]).json();
    assert_eq!(tags[0]["Name"], name);
    assert_eq!(tags[0]["Tags"].as_array().unwrap().len(), 2);
    let one = search(&env, &["--list-tags", "--format", "{{.Tag}}", &name]);
    assert_eq!(one.lines().len(), 3);
    search(&env, &["--list-tags", "--filter", "stars=1", &name])
        .says("filters are not applicable to list tags result");
    assert_eq!(search(&env, &["--list-tags", &format!("{}/none", registry.address())]).code, 125);
}
