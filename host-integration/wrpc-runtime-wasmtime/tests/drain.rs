//! A process that ends its calls. It does so once, so this is one test, and a program of its own.

#[allow(dead_code, reason = "shared with other tests, which use more of it")]
#[path = "serve/host.rs"]
mod host;

use inhost_conformance::support::call_error;
use inhost_dispatch::{CallError, Drain};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use host::{component, said, Served, CORE_PING, PING};

const NO_RESULTS: &str = r#"(param "n" u32) (canon lift (core func $i "run"))"#;

#[tokio::test]
async fn calls_that_run_are_ended_with_an_error_and_those_that_wait_do_not_begin() {
    let drain = Drain::of_process();
    let waits = component(PING, CORE_PING, "call $wait unreachable", "");
    let mut served = Served::new(&waits).await;
    let mut one_way = Served::new(&component(NO_RESULTS, "(param i32)", "call $wait", "")).await;

    let (params, mut results) = served.host.invoke("", &[1][..]).await.expect("invoke");
    let mut running = tokio_test::task::spawn(served.next().await);
    tokio_test::assert_pending!(running.poll());
    let mut noted = one_way.host.invoke("", &[1][..]).await.expect("invoke");
    noted.0.shutdown().await.expect("shutdown");
    drop(noted);
    let mut noting = tokio_test::task::spawn(one_way.next().await);
    tokio_test::assert_pending!(noting.poll());

    drain.begin();
    assert!(!running.is_woken() && !noting.is_woken(), "they have time");
    let (more_params, mut more_results) = served.host.invoke("", &[1][..]).await.expect("invoke");
    let waiting = served.next().await;
    assert_eq!((served.stores(), one_way.stores()), (1, 1));

    drain.end();
    assert!(running.is_woken() && noting.is_woken());
    let ended = tokio_test::assert_ready!(running.poll());
    let error = format!("{:#}", ended.expect_err("it was ended"));
    assert!(error.contains("host stops"), "{error}");
    tokio_test::assert_ready!(noting.poll()).expect_err("it was ended");
    drop((running, noting));
    assert_eq!((served.stores(), one_way.stores()), (0, 0), "they are gone");
    let mut bytes = Vec::new();
    let read = results.read_to_end(&mut bytes).await;
    let error = said(&read.expect_err("it was ended"));
    for part in ["host stops", "may have run in part"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }

    waiting.await.expect_err("it does not begin");
    assert_eq!(served.stores(), 0, "it has not");
    let error = more_results.read_to_end(&mut bytes).await;
    let error = error.expect_err("it did not run");
    let error = call_error(&error);
    assert!(matches!(error, CallError::NotAccepted { .. }), "{error}");

    // Each is counted when no one has anything of it any more.
    drop((params, results, more_params, more_results));
    let drained = drain.drained();
    assert_eq!((drained.ended, drained.lost), (2, 1), "{drained:?}");
}
