//! What a component gets from the lattice itself.

mod common;

use common::text;
use inhost_lattice::LocalLattice;

const SETTINGS: &str = include_str!("data/settings.wat");

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
