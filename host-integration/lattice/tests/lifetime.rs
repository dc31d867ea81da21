//! When a lattice, a call or a component ends.

mod common;

use std::future::Future;
use std::time::Duration;

use common::{chain, guest, pair, text, BACKENDS, ECHO};
use inhost_lattice::{CallError, Limits, Link, LocalLattice, Val, Watch};

/// Waits until `done`; a test that hangs here fails by its name.
async fn until(what: &str, watch: &Watch, done: impl Fn(&Watch) -> bool) {
    let reached = async {
        while !done(watch) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(
        reached.is_ok(),
        "{what}: {} in flight, {} served",
        watch.in_flight(),
        watch.served()
    );
}

/// A call that takes a minute if no one ends it.
fn long_call(
    lattice: &LocalLattice,
) -> impl Future<Output = Result<Vec<Val>, CallError>> + Send + 'static {
    let wait = lattice
        .function("caller", "inhost:demo/driver.call-wait")
        .expect("exported");
    async move { wait.call(&[Val::U32(60_000)]).await }
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_along_the_whole_chain() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        let watch = lattice.watch();
        let call = tokio::spawn(long_call(&lattice));
        until("both calls run", &watch, |watch| watch.in_flight() == 2).await;
        call.abort();
        until("both calls end", &watch, |watch| watch.in_flight() == 0).await;
        // The instances are free again.
        let called = lattice
            .call("caller", "inhost:demo/driver.ping", &[Val::U32(1)])
            .await;
        assert_eq!(called.expect("it answers"), [Val::U32(2)]);
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_lattice_that_is_dropped() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        let watch = lattice.watch();
        assert!(watch.served() > 0);
        let call = tokio::spawn(long_call(&lattice));
        until("both calls run", &watch, |watch| watch.in_flight() == 2).await;
        let late = lattice
            .function("callee", "inhost:demo/echo.ping")
            .expect("exported");
        drop(lattice);
        let error = call.await.expect("no panic").expect_err("it was ended");
        assert!(matches!(error, CallError::Failed { .. }), "{error}");
        until("it is gone", &watch, |watch| {
            watch.served() + watch.in_flight() == 0
        })
        .await;
        let error = chain(&late.call(&[Val::U32(1)]).await.expect_err("it is stopped"));
        assert!(error.contains("not served"), "{error}");
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended() {
    let limits = Limits::default().with_execution_time(Duration::from_secs(1));
    let lattice = pair().limits(limits).build().await.expect("it builds");
    let error = long_call(&lattice).await.expect_err("it takes too long");
    assert!(!error.is_invalid_input(), "{error}");
    let watch = lattice.watch();
    until("both calls end", &watch, |watch| watch.in_flight() == 0).await;
}

/// It never waits for anything, so only the runtime can end it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_computes_for_ever_is_stopped() {
    let component = r#"(component
        (core module $m (func (export "spin") (loop br 0)))
        (core instance $i (instantiate $m))
        (func (export "spin") (canon lift (core func $i "spin"))))"#;
    let limits = Limits::default().with_execution_time(Duration::from_secs(1));
    let builder = LocalLattice::builder().component("spinner", text(component));
    let lattice = builder.limits(limits).build().await.expect("it builds");
    let spin = lattice.function("spinner", "spin").expect("exported");
    let error = tokio::spawn(async move { spin.call(&[]).await })
        .await
        .expect("no panic");
    let error = error.expect_err("it is stopped");
    assert!(
        matches!(error, CallError::TimedOut { .. } | CallError::Failed { .. }),
        "{error}"
    );
    // It waits for the guest, which the runtime stops.
    let watch = lattice.watch();
    lattice.stop().await;
    assert_eq!((watch.in_flight(), watch.served()), (0, 0));
}

#[tokio::test]
async fn a_guest_that_wants_more_memory_than_the_limit_does_not_get_it() {
    let component = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "grow") (result i32) (memory.grow (i32.const 64))))
        (core instance $i (instantiate $m))
        (func (export "grow") (result s32) (canon lift (core func $i "grow"))))"#;
    for (memory, expected) in [(8 << 20, 1), (2 << 20, -1)] {
        let builder = LocalLattice::builder().component("a", text(component));
        let limits = Limits::default().with_memory(memory);
        let lattice = builder.limits(limits).build().await.expect("it builds");
        let called = lattice.call("a", "grow", &[]).await.expect("it answers");
        assert_eq!(called, [Val::S32(expected)], "{memory}");
    }
}

#[tokio::test]
async fn two_lattices_do_not_meet() {
    let one = pair().build().await.expect("it builds");
    let two = LocalLattice::builder()
        .component("caller", guest("caller"))
        .component("callee", guest("callee-v2"))
        .link(Link::new("caller", "callee", ECHO))
        .build()
        .await
        .expect("it builds");
    for (lattice, version) in [(&one, "1"), (&two, "2")] {
        let called = lattice.call_wave("caller", "inhost:demo/driver.call-version", &[""; 0]);
        assert_eq!(called.await.expect("it answers"), [version]);
    }
}

#[tokio::test]
async fn mistakes_are_reported_when_it_is_built() {
    let empty = text("(component)");
    let builder = || LocalLattice::builder().component("a", empty.clone());
    let error = |builder: inhost_lattice::Builder| async move {
        chain(&builder.build().await.expect_err("a mistake"))
    };
    for (builder, expected) in [
        (
            builder().component("a", empty.clone()),
            vec!["two components with the ID `a`"],
        ),
        (
            builder().component("b.c", empty.clone()),
            vec!["`b.c` is no component ID"],
        ),
        (
            builder().link(Link::new("a", "b", "n:p/i")),
            vec!["`a=b:n:p/i` names the component `b`", "it has `a`"],
        ),
        (
            builder().link(Link::new("b", "a", "n:p/i")),
            vec!["names the component `b`"],
        ),
        (
            builder().link(Link::new("a", "a", "n:p")),
            vec!["`n:p` is no interface", "inhost:demo/echo"],
        ),
        (
            builder()
                .link(Link::new("a", "a", "n:p/i"))
                .link(Link::new("a", "a", "n:p/i")),
            vec!["`a=a:n:p/i` is there twice"],
        ),
        (
            builder().config("b", [("k", "v")]),
            vec!["a configuration names the component `b`"],
        ),
        (
            builder().component("b", guest("none")),
            vec!["cannot start the component `b`", "none.wasm"],
        ),
        (
            builder().component("b", b"no wasm"),
            vec!["cannot start the component `b`"],
        ),
    ] {
        let error = error(builder).await;
        for part in expected {
            assert!(error.contains(part), "no `{part}` in {error}");
        }
    }
}

#[tokio::test]
async fn a_component_without_exports_is_fine() {
    let lattice = LocalLattice::builder().component("a", text("(component)"));
    let lattice = lattice.build().await.expect("it builds");
    assert!(lattice.functions("a").expect("it is there").is_empty());
    assert!(!matches!(
        lattice.function("a", "f"),
        Err(CallError::UnknownComponent { .. })
    ));
    lattice.stop().await;
}
