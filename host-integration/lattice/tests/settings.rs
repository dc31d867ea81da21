//! What a component gets where a host has providers: configuration from the lattice, the rest from other components.

mod common;

use common::{chain, text};
use inhost_lattice::{Link, LocalLattice, Wasm};

const SETTINGS: &str = include_str!("data/settings.wat");
const BUCKET: &str = include_str!("data/bucket.wat");
const STORE: &str = include_str!("data/store.wat");
const CHOOSE_LINK: &str = include_str!("data/choose-link.wat");

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

/// A component whose `test:v/version.get` answers this.
fn version(answer: u32) -> Wasm {
    text(&format!(
        r#"(component
            (core module $m (func (export "get") (result i32) (i32.const {answer})))
            (core instance $i (instantiate $m))
            (func $get (result u32) (canon lift (core func $i "get")))
            (instance $out (export "get" (func $get)))
            (export "test:v/version@0.1.0" (instance $out)))"#
    ))
}

#[tokio::test]
async fn a_component_chooses_its_link_before_and_after_its_calls_and_for_itself_alone() {
    let lattice = LocalLattice::builder()
        .component("a", text(CHOOSE_LINK))
        .component("one", version(1))
        .component("two", version(2))
        .link(Link::new("a", "one", "test:v/version"))
        .link(Link::new("a", "two", "test:v/version").named("backup"))
        .build()
        .await
        .expect("it builds");
    // An answer has the first call's in its hundreds, and the second one's in its units.
    for (function, expected) in [
        ("default-then-backup", "102"),
        ("backup-then-default", "201"),
        ("backup-only", "2"),
        ("default-then-backup", "102"),
    ] {
        let called = lattice.call_wave("a", function, &[""; 0]).await;
        let answer = called.unwrap_or_else(|error| panic!("{function}: {}", chain(&error)));
        assert_eq!(answer, [expected], "{function}");
    }
}
