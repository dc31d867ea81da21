//! Instances that serve more than one invocation.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmtime::{Engine, Store};
use wrpc_runtime_wasmtime::{CallFailed, Export, Instance, Root};

use super::host::{component, prepare, Ctx, CORE_PING, FUNCTION, INSTANCE, PING};

/// Answers how often it was called in this instance, unless it is passed 0 (it traps), 1 (it never
/// returns) or 2 (it calls `wait`, which never returns).
const COUNTS: &str = "
    (if (i32.eqz (local.get 0)) (then unreachable))
    (if (i32.eq (local.get 0) (i32.const 1)) (then (loop $again (br $again))))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (call $wait)))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (global.get $count)";

struct Reused {
    instance: Instance<Ctx>,
    export: Export,
    engine: Engine,
    stores: Arc<AtomicUsize>,
}

impl Reused {
    /// The counting component, with up to `calls` invocations for each instance.
    fn new(calls: u32) -> Self {
        let counter = "(global $count (mut i32) (i32.const 0))";
        let (component, linker) = prepare(&component(PING, CORE_PING, COUNTS, counter));
        let pre = linker.instantiate_pre(&component).expect("all is linked");
        let engine = component.engine().clone();
        let stores = Arc::new(AtomicUsize::new(0));
        let (alive, store_engine) = (Arc::clone(&stores), engine.clone());
        let store = move || {
            let mut store = Store::new(&store_engine, Ctx::new(&alive));
            store.set_epoch_deadline(1);
            store
        };
        let calls = NonZeroU32::new(calls).expect("some calls");
        let instance = Instance::new(pre, store).reuse(calls);
        let export = instance.export(INSTANCE, FUNCTION).expect("it is exported");
        Self {
            instance,
            export,
            engine,
            stores,
        }
    }

    /// Calls the function, and returns what it answers.
    async fn call(&self, n: u8) -> Result<u8, CallFailed> {
        let (mut near, far) = tokio::io::duplex(16);
        let (params, results) = tokio::io::split(far);
        near.write_all(&[n]).await.expect("there is room");
        let (mut params, mut results) = (Root(params), Root(results));
        self.instance
            .call(&self.export, &mut params, &mut results)
            .await?;
        Ok(near.read_u8().await.expect("an answer"))
    }

    /// How many instances there are.
    fn instances(&self) -> usize {
        self.stores.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn an_instance_serves_as_many_invocations_as_it_may() {
    let reused = Reused::new(3);
    let mut counts = Vec::new();
    let mut instances = Vec::new();
    for _ in 0..7 {
        counts.push(reused.call(9).await.expect("an answer"));
        instances.push(reused.instances());
    }
    assert_eq!(counts, [1, 2, 3, 1, 2, 3, 1]);
    assert_eq!(instances, [1, 1, 0, 1, 1, 0, 1]);
}

#[tokio::test]
async fn an_instance_that_may_serve_one_invocation_serves_one() {
    let reused = Reused::new(1);
    for _ in 0..3 {
        assert_eq!(reused.call(9).await.expect("an answer"), 1);
        assert_eq!(reused.instances(), 0);
    }
}

#[tokio::test]
async fn an_instance_is_dropped_after_a_trap() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    reused.call(0).await.expect_err("it trapped");
    assert_eq!(reused.instances(), 0);
    assert_eq!(reused.call(9).await.expect("an answer"), 1, "a new one");
}

#[tokio::test]
async fn an_instance_is_dropped_after_an_error() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    let (mut near, far) = tokio::io::duplex(16);
    let (params, results) = tokio::io::split(far);
    near.write_all(&[9]).await.expect("there is room");
    drop(near);
    let (mut params, mut results) = (Root(params), Root(results));
    let call = reused
        .instance
        .call(&reused.export, &mut params, &mut results);
    call.await.expect_err("no one reads the results");
    assert_eq!(reused.instances(), 0);
}

#[tokio::test]
async fn parameters_that_are_none_touch_no_instance() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    let (mut near, far) = tokio::io::duplex(16);
    let (params, results) = tokio::io::split(far);
    near.shutdown().await.expect("the end of no parameters");
    let (mut params, mut results) = (Root(params), Root(results));
    let call = reused
        .instance
        .call(&reused.export, &mut params, &mut results);
    call.await.expect_err("there are no parameters");
    assert_eq!(reused.instances(), 1);
    assert_eq!(reused.call(9).await.expect("an answer"), 2, "the same one");
}

#[tokio::test]
async fn an_instance_is_dropped_with_an_invocation_that_is_cancelled() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    let mut waits = tokio_test::task::spawn(reused.call(2));
    tokio_test::assert_pending!(waits.poll());
    assert_eq!(reused.instances(), 1, "the same one");
    drop(waits);
    assert_eq!(reused.instances(), 0);
    assert_eq!(reused.call(9).await.expect("an answer"), 1, "a new one");
}

#[tokio::test]
async fn an_instance_serves_one_invocation_at_a_time() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    let mut waits = tokio_test::task::spawn(reused.call(2));
    tokio_test::assert_pending!(waits.poll());
    assert_eq!(reused.call(9).await.expect("an answer"), 1, "another one");
    assert_eq!(reused.instances(), 2);
    assert_eq!(reused.call(9).await.expect("an answer"), 2);
}

#[tokio::test]
async fn an_invocation_has_the_whole_time_in_an_instance_that_is_old() {
    // Its store's deadline has passed by the time that it is used again.
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    reused.engine.increment_epoch();
    reused.engine.increment_epoch();
    assert_eq!(reused.call(9).await.expect("in time"), 2);
}

#[tokio::test]
async fn an_invocation_that_exceeds_its_time_ends_and_its_instance_is_dropped() {
    let reused = Reused::new(100);
    assert_eq!(reused.call(9).await.expect("an answer"), 1);
    let engine = reused.engine.clone();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clock = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                engine.increment_epoch();
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let called = reused.call(1).await;
    done.store(true, Ordering::SeqCst);
    clock.join().expect("the clock");
    let error = format!(
        "{:#}",
        anyhow::Error::from(called.expect_err("it never returns"))
    );
    assert!(error.contains("interrupt"), "{error}");
    assert_eq!(reused.instances(), 0);
}

#[tokio::test]
async fn as_many_instances_wait_as_have_run_at_the_same_time() {
    const CALLS: usize = 100;
    let reused = Reused::new(100);
    let (mut callers, callees): (Vec<_>, Vec<_>) =
        (0..CALLS).map(|_| tokio::io::duplex(16)).unzip();
    for caller in &mut callers {
        caller.write_all(&[9]).await.expect("there is room");
    }
    let calls = callees.into_iter().map(|mut far| async {
        // Its results find no room.
        far.write_all(&[0; 16]).await.expect("there is room");
        let (params, results) = tokio::io::split(far);
        let (mut params, mut results) = (Root(params), Root(results));
        let call = reused
            .instance
            .call(&reused.export, &mut params, &mut results);
        call.await.expect("an answer");
    });
    let mut calls = tokio_test::task::spawn(futures::future::join_all(calls));
    while reused.instances() < CALLS {
        tokio_test::assert_pending!(calls.poll(), "each waits for room");
        // tokio has streams wait when a task has done much.
        tokio::task::yield_now().await;
    }
    let read = async {
        for caller in &mut callers {
            caller.read_exact(&mut [0; 17]).await.expect("the answer");
        }
    };
    tokio::join!(read, calls);
    assert_eq!(reused.instances(), CALLS);
    assert_eq!(reused.call(9).await.expect("an answer"), 2);
    assert_eq!(reused.instances(), CALLS);
}
