//! A lattice with room for few instances.

mod common;

use std::time::{Duration, Instant};

use common::{chain, text};
use inhost_lattice::{Limits, Link, LocalLattice};

const PING: &str = r#"(func (param "n" u32) (result u32))"#;

#[tokio::test]
async fn a_callee_whose_caller_holds_all_the_room_does_not_run_and_that_is_said_at_once() {
    let relay = format!(
        r#"(component
            (import "test:p/ping@0.1.0" (instance $peer (export "ping" {PING})))
            (core func $peer (canon lower (func $peer "ping")))
            (core module $m
                (import "" "ping" (func $ping (param i32) (result i32)))
                (export "ping" (func $ping)))
            (core instance $i (instantiate $m (with "" (instance (export "ping" (func $peer))))))
            (func $ping (param "n" u32) (result u32) (canon lift (core func $i "ping")))
            (instance $out (export "ping" (func $ping)))
            (export "test:r/relay@0.1.0" (instance $out)))"#
    );
    let callee = r#"(component
            (core module $m (func (export "ping") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func $ping (param "n" u32) (result u32) (canon lift (core func $i "ping")))
            (instance $out (export "ping" (func $ping)))
            (export "test:p/ping@0.1.0" (instance $out)))"#;
    for (room, answers) in [(2, true), (1, false)] {
        let lattice = LocalLattice::builder()
            .component("relay", text(&relay))
            .component("callee", text(callee))
            .link(Link::new("relay", "callee", "test:p/ping"))
            .limits(Limits::default().with_instances(room))
            .build()
            .await
            .expect("it builds");
        let begun = Instant::now();
        let called = lattice
            .call_wave("relay", "test:r/relay.ping", &["7"])
            .await;
        let took = begun.elapsed();
        if answers {
            assert_eq!(called.expect("there is room"), ["7"]);
            continue;
        }
        let error = chain(&called.expect_err("there is no room for the callee"));
        for part in [
            "callee",
            "test:p/ping@0.1.0",
            "had no room",
            "did not run",
            "Limits::instances",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}
