//! What a component gets where a host has providers: configuration from the lattice, the rest from other components.

mod common;

use common::{chain, text};
use inhost_lattice::{Link, LocalLattice};

const SETTINGS: &str = include_str!("data/settings.wat");
const BUCKET: &str = include_str!("data/bucket.wat");
const STORE: &str = include_str!("data/store.wat");

#[tokio::test]
async fn each_component_reads_its_own_configuration() {
    let lattice = LocalLattice::builder()
        .component("a", text(SETTINGS))
        .component("b", text(SETTINGS))
        .config("a", [("greeting", "hello"), ("replaced", "before")])
        .config("a", [("replaced", "after")])
        .config("b", [("greeting", "good day")])
        .build()
        .await
        .expect("it builds");
    for (id, key, expected) in [
        ("a", "greeting", r#"ok(some("hello"))"#),
        ("a", "replaced", r#"ok(some("after"))"#),
        ("b", "greeting", r#"ok(some("good day"))"#),
        ("b", "replaced", "ok(none)"),
    ] {
        let called = lattice.call_wave(id, "get", &[format!("\"{key}\"")]).await;
        assert_eq!(called.expect("it answers"), [expected], "{key} of {id}");
    }
}

#[tokio::test]
async fn a_component_stands_where_a_provider_of_keyvalue_would() {
    let lattice = LocalLattice::builder()
        .component("app", text(BUCKET))
        .component("store", text(STORE))
        .link(Link::new("app", "store", "wasi:keyvalue/store"))
        .build()
        .await
        .expect("it builds");
    for (key, expected) in [(r#""odd""#, "true"), (r#""even""#, "false")] {
        let called = lattice.call_wave("app", "exists", &[key]).await;
        let answer = called.unwrap_or_else(|error| panic!("{key}: {}", chain(&error)));
        assert_eq!(answer, [expected], "{key}");
    }
}

#[tokio::test]
async fn keyvalue_without_a_link_is_an_error_that_says_so() {
    let builder = LocalLattice::builder().component("app", text(BUCKET));
    let lattice = builder.build().await.expect("it builds");
    let called = lattice.call_wave("app", "exists", &[r#""key""#]).await;
    let error = chain(&called.expect_err("there is no store"));
    let expected = "the component `app` has no link `default` of `wasi:keyvalue/store`";
    assert!(error.contains(expected), "{error}");
}
