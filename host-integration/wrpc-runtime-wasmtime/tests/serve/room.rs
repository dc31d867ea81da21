//! A pool that has room for so many instances and no more.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::StreamExt as _;
use inhost_conformance::support::{call_error, Host};
use inhost_dispatch::{pool_used_up, CallError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::WasiView as _;
use wrpc_runtime_wasmtime::{
    reuse_instances, CallFailed, Export, Instance, Root, ServeExt as _, Step,
};
use wrpc_transport::Invoke as _;

use super::host::{component, exported, Ctx, Duplex, CORE_PING, FUNCTION, INSTANCE, PING};

/// The limit of an invocation.
const LIMIT: Duration = Duration::from_secs(60);

/// Answers how often it was called in this instance, after a call of `wait` unless it is passed 0.
const COUNTS: &str = "
    (if (local.get 0) (then (call $wait)))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (global.get $count)";

/// An engine with a pool, and the component in it.
#[derive(Clone)]
struct Pool {
    pre: InstancePre<Ctx>,
    /// What the guest's `wait` waits for.
    go: Arc<Semaphore>,
    /// How many stores there are.
    stores: Arc<AtomicUsize>,
}

impl Pool {
    fn new(instances: u32) -> Self {
        Self::with(|pool| {
            pool.total_component_instances(instances);
            pool.total_core_instances(instances);
            pool.total_memories(instances);
            pool.total_stacks(instances);
        })
    }

    fn with(limits: impl FnOnce(&mut PoolingAllocationConfig)) -> Self {
        let counter = "(global $count (mut i32) (i32.const 0))";
        Self::of(&component(PING, CORE_PING, COUNTS, counter), limits)
    }

    fn of(text: &str, limits: impl FnOnce(&mut PoolingAllocationConfig)) -> Self {
        let mut pool = PoolingAllocationConfig::default();
        pool.max_memory_size(1 << 20);
        limits(&mut pool);
        let mut config = Config::new();
        config.async_support(true).epoch_interruption(true);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).expect("a valid configuration");
        let go = Arc::new(Semaphore::new(0));
        let pre = link(&engine, text, &go);
        Self {
            pre,
            go,
            stores: Arc::default(),
        }
    }

    /// Another component in the same pool.
    fn another(&self) -> Self {
        let counter = "(global $count (mut i32) (i32.const 0))";
        let text = component(PING, CORE_PING, COUNTS, counter);
        let pre = link(self.pre.engine(), &text, &self.go);
        Self {
            pre,
            stores: Arc::default(),
            ..self.clone()
        }
    }

    fn store(&self) -> impl Fn() -> Store<Ctx> + Send + Sync + 'static {
        let (alive, engine) = (Arc::clone(&self.stores), self.pre.engine().clone());
        move || {
            let mut store = Store::new(&engine, Ctx::with_timeout(&alive, LIMIT));
            store.set_epoch_deadline(60);
            store
        }
    }

    /// The component, with a new instance for each invocation.
    fn fresh(&self) -> Called {
        self.called(|instance| instance)
    }

    /// The component, with instances that serve up to a thousand invocations.
    fn reused(&self) -> Called {
        let calls = NonZeroU32::new(1000).expect("some");
        self.called(|instance| instance.reuse(calls))
    }

    fn called(&self, make: impl FnOnce(Instance<Ctx>) -> Instance<Ctx>) -> Called {
        let instance = make(Instance::new(self.pre.clone(), self.store()));
        let export = instance.export(INSTANCE, FUNCTION).expect("exported");
        Called { instance, export }
    }

    fn stores(&self) -> usize {
        self.stores.load(Ordering::SeqCst)
    }

    /// Waits until there are so many stores.
    async fn until_stores(&self, count: usize) {
        while self.stores() != count {
            tokio::task::yield_now().await;
        }
    }
}

fn link(engine: &Engine, text: &str, go: &Arc<Semaphore>) -> InstancePre<Ctx> {
    let component = Component::new(engine, wat::parse_str(text).expect("valid text"));
    let component = component.expect("a valid component");
    let mut linker = Linker::<Ctx>::new(engine);
    let go = Arc::clone(go);
    let wait = linker.root().func_wrap_async("wait", move |_, (): ()| {
        let go = Arc::clone(&go);
        Box::new(async move {
            go.acquire().await?.forget();
            Ok(())
        })
    });
    wait.expect("an empty linker");
    linker.instantiate_pre(&component).expect("all is linked")
}

#[derive(Clone)]
struct Called {
    instance: Instance<Ctx>,
    export: Export,
}

impl Called {
    async fn call(&self, n: u8) -> Result<u8, CallFailed> {
        let (mut near, far) = tokio::io::duplex(16);
        let (params, results) = tokio::io::split(far);
        near.write_all(&[n]).await.expect("there is room");
        let (mut params, mut results) = (Root(params), Root(results));
        let call = self.instance.call(&self.export, &mut params, &mut results);
        call.await?;
        Ok(near.read_u8().await.expect("an answer"))
    }
}

/// What the error says, with all that led to it.
fn text(error: CallFailed) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

#[tokio::test]
async fn a_call_that_finds_no_room_ends_at_once_and_has_not_run() {
    let pool = Pool::new(2);
    let called = pool.fresh();
    let mut held = tokio_test::task::spawn(join_all([called.call(1), called.call(1)]));
    tokio_test::assert_pending!(held.poll());
    assert_eq!(pool.stores(), 2, "they run");
    let before = pool_used_up();
    for _ in 0..5 {
        let mut call = tokio_test::task::spawn(called.call(0));
        let failed = tokio_test::assert_ready!(call.poll(), "nothing waits");
        let error = failed.expect_err("there is no room");
        assert_eq!(error.step(), Step::NoRoom);
        let error = text(error);
        for part in [
            FUNCTION,
            INSTANCE,
            "no room",
            "--max-components",
            "limit of 2",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }
    assert!(pool_used_up() >= before + 5);
    assert_eq!(pool.stores(), 2, "nothing of them is left");
    // It is there again.
    pool.go.add_permits(2);
    for answer in held.await {
        answer.expect("an answer");
    }
    called.call(0).await.expect("there is room");
}

#[tokio::test]
async fn a_caller_learns_that_its_call_did_not_run_for_want_of_room() {
    let pool = Pool::new(1);
    let called = pool.fresh();
    let mut held = tokio_test::task::spawn(called.call(1));
    tokio_test::assert_pending!(held.poll());
    let host = Host::new(Duplex);
    let client = host.client();
    let pre = pool.pre.clone();
    let ty = exported(&pre);
    let served = client.serve_function(pool.store(), pre, ty, INSTANCE, FUNCTION);
    let mut served = Box::pin(served.await.expect("served"));
    let (mut outgoing, mut incoming) = host.invoke("", &[0][..]).await.expect("invoke");
    outgoing.shutdown().await.expect("shutdown");
    let (_, running) = served.next().await.expect("one").expect("taken");
    running.await.expect_err("there is no room");
    let read = incoming.read_u8().await.expect_err("it did not run");
    assert_eq!(read.kind(), std::io::ErrorKind::ResourceBusy);
    let error = call_error(&read);
    assert!(matches!(error, CallError::NoRoom { .. }), "{error}");
    let error = error.to_string();
    for part in [
        "default.callee",
        FUNCTION,
        "did not run",
        "--max-components",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[tokio::test]
async fn instances_that_wait_do_not_take_the_room_of_other_components() {
    const ROOM: usize = 8;
    let pool = Pool::new(ROOM as u32);
    let (one, other) = (pool.clone(), pool.another());
    let (first, second) = (one.reused(), other.fresh());
    let spike = join_all((0..ROOM).map(|_| first.call(1)));
    let go = async {
        one.until_stores(ROOM).await;
        one.go.add_permits(ROOM);
    };
    let (answers, ()) = tokio::join!(spike, go);
    answers.into_iter().for_each(|answer| {
        answer.expect("an answer");
    });
    assert_eq!(one.stores(), ROOM, "all of them wait");
    for _ in 0..20 {
        assert_eq!(second.call(0).await.expect("there is room"), 1);
    }
    assert_eq!(other.stores(), 0);
    assert_eq!(one.stores(), ROOM - 1, "as much is given back as is needed");
    assert_eq!(
        first.call(0).await.expect("an answer"),
        2,
        "the others wait"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_not_used_ends_and_one_that_is_used_does_not() {
    let pool = Pool::new(8);
    let called = pool.reused();
    let go = async {
        pool.until_stores(2).await;
        pool.go.add_permits(2);
    };
    let (one, two, ()) = tokio::join!(called.call(1), called.call(1), go);
    assert_eq!((one.expect("an answer"), two.expect("an answer")), (1, 1));
    assert_eq!(pool.stores(), 2);
    for count in 2..=20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            called.call(0).await.expect("an answer"),
            count,
            "the same one"
        );
    }
    assert_eq!(pool.stores(), 1, "the other one has ended");
    let begun = Instant::now();
    while pool.stores() > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let idle = begun.elapsed();
    assert!((5..=10).contains(&idle.as_secs()), "{idle:?}");
    // And it begins again.
    assert_eq!(called.call(0).await.expect("an answer"), 1);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(pool.stores(), 0);
}

#[tokio::test]
async fn an_instance_is_given_back_that_holds_too_many_handles() {
    const A_CALL: u32 = 100;
    let text = component(PING, CORE_PING, "(call $wait) (local.get 0)", "");
    let pool = Pool::new(8);
    let engine = pool.pre.engine().clone();
    let parsed = Component::new(&engine, wat::parse_str(&text).expect("valid")).expect("valid");
    let mut linker = Linker::<Ctx>::new(&engine);
    // A guest that never drops what it is given, but for one that it drops at once.
    let wait = linker.root().func_wrap_async("wait", |mut store, (): ()| {
        Box::new(async move {
            let table = store.data_mut().table();
            let dropped = table.push(())?;
            for _ in 0..A_CALL {
                table.push(())?;
            }
            table.delete(dropped)?;
            Ok(())
        })
    });
    wait.expect("an empty linker");
    let pre = linker.instantiate_pre(&parsed).expect("linked");
    let called = Pool {
        pre,
        ..pool.clone()
    }
    .reused();
    let mut ended = Vec::new();
    for call in 1..=33 {
        called.call(1).await.expect("an answer");
        if pool.stores() == 0 {
            ended.push(call);
        }
    }
    assert_eq!(ended, [11, 22, 33], "it holds 1,024 at most");
}

#[tokio::test]
async fn a_guest_that_has_an_instance_and_finds_no_stack_has_not_run() {
    let pool = Pool::with(|pool| {
        pool.total_stacks(1);
    });
    let other = pool.another();
    let (first, second) = (pool.reused(), other.reused());
    first.call(0).await.expect("an answer");
    second.call(0).await.expect("an answer");
    assert_eq!((pool.stores(), other.stores()), (1, 1), "both wait");
    let mut held = tokio_test::task::spawn(first.call(1));
    tokio_test::assert_pending!(held.poll());
    let error = second.call(0).await.expect_err("there is no stack");
    assert_eq!(error.step(), Step::NoRoom, "{error}");
    pool.go.add_permits(1);
    held.await.expect("an answer");
    assert_eq!(second.call(0).await.expect("a stack"), 1, "in a new one");
}

#[tokio::test]
async fn the_functions_of_a_component_share_the_instances_that_wait() {
    let counter = "(global $count (mut i32) (i32.const 0))";
    let one = format!(r#"(export "{FUNCTION}" (func $run))"#);
    let both = format!(r#"{one} (export "again" (func $run))"#);
    let text = component(PING, CORE_PING, COUNTS, counter).replace(&one, &both);
    let pool = Pool::of(&text, |_| {});
    // It is chosen for the whole process, and no other test has this component.
    let calls = NonZeroU32::new(1000).expect("some");
    reuse_instances([("reused".into(), calls)]).expect("for the first time");
    let host = Host::new(Duplex);
    for generation in 1..=2 {
        let client = host.client_for("default.reused");
        let serve = |function| {
            let (pre, ty) = (pool.pre.clone(), exported(&pool.pre));
            client.serve_function(pool.store(), pre, ty, INSTANCE, function)
        };
        let (one, again) = (serve(FUNCTION).await, serve("again").await);
        let mut one = Box::pin(one.expect("served"));
        let mut again = Box::pin(again.expect("served"));
        for (n, function) in (1..).zip([FUNCTION, "again", FUNCTION]) {
            let paths: [&[Option<usize>]; 0] = [];
            let params = Bytes::from_static(&[0]);
            let call = client.invoke(String::new(), INSTANCE, function, params, paths);
            let (mut outgoing, mut incoming) = call.await.expect("invoke");
            outgoing.shutdown().await.expect("shutdown");
            let taken = match function {
                FUNCTION => one.next().await,
                _ => again.next().await,
            };
            let (_, running) = taken.expect("one").expect("taken");
            running.await.expect("an answer");
            let answer = incoming.read_u8().await.expect("an answer");
            assert_eq!(answer, n, "{function} of generation {generation}");
        }
    }
}
