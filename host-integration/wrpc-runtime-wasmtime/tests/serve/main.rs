//! Functions of components, served to callers on the same host: how failures reach the caller, when calls end, and what
//! outlives a call.

mod host;
mod reuse;
mod room;

use std::sync::atomic::AtomicUsize;
use std::sync::Arc;

use futures::FutureExt as _;
use inhost_codec::{Signature, Type};
use inhost_conformance::support::{Host, PREFIX};
use inhost_dispatch::Types;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmtime::Store;
use wrpc_runtime_wasmtime::ServeExt as _;

use host::{
    component, exported, prepare, said, Ctx, Duplex, Served, CORE_PING, FUNCTION, INSTANCE, PING,
};

#[tokio::test]
async fn a_call_that_works_answers_and_leaves_nothing() {
    let body = "local.get 0 i32.const 1 i32.add";
    let mut served = Served::new(&component(PING, CORE_PING, body, "")).await;
    let (called, results) = served.call(&[41]).await;
    called.expect("the callee's side");
    assert_eq!(results.expect("results"), [42]);
    assert_eq!(served.stores(), 0);
}

#[tokio::test]
async fn a_trap_reaches_the_caller_with_its_cause() {
    let mut served = Served::new(&component(PING, CORE_PING, "unreachable", "")).await;
    let (called, results) = served.call(&[1]).await;
    let error = results.expect_err("the callee trapped");
    let text = said(&error);
    for part in [
        "default.callee",
        INSTANCE,
        FUNCTION,
        "trapped",
        "unreachable",
    ] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
    let here = format!("{:#}", called.expect_err("here too"));
    assert!(here.contains("unreachable"), "{here}");
    assert_eq!(served.stores(), 0);
}

#[tokio::test]
async fn a_failed_instantiation_reaches_the_caller() {
    let start = "(func $start unreachable) (start $start)";
    let mut served = Served::new(&component(PING, CORE_PING, "local.get 0", start)).await;
    let (_, results) = served.call(&[1]).await;
    let text = said(&results.expect_err("it does not start"));
    assert!(text.contains("could not be instantiated"), "{text}");
    assert!(text.contains("unreachable"), "{text}");
}

#[tokio::test]
async fn parameters_that_are_wrong_reach_the_caller_as_an_error() {
    let mut served = Served::new(&component(PING, CORE_PING, "unreachable", "")).await;
    // Too large for a u32.
    let (_, results) = served.call(&[0xff, 0xff, 0xff, 0xff, 0xff]).await;
    let text = said(&results.expect_err("it cannot be decoded"));
    assert!(
        text.contains("its parameters could not be received"),
        "{text}"
    );
    assert!(text.contains("does not fit its 32 bits"), "{text}");
}

#[tokio::test]
async fn the_stores_epoch_deadline_stays_in_force() {
    let body = "(loop $again (br $again)) unreachable";
    let mut served = Served::new(&component(PING, CORE_PING, body, "")).await;
    let engine = served.engine.clone();
    let clock = std::thread::spawn(move || {
        // The deadline is one tick after the store was made.
        std::thread::sleep(std::time::Duration::from_millis(200));
        engine.increment_epoch();
    });
    let (_, results) = served.call(&[1]).await;
    let text = said(&results.expect_err("it never returns by itself"));
    assert!(text.contains("interrupt"), "{text}");
    clock.join().expect("the clock");
}

#[tokio::test]
async fn a_callee_that_waits_ends_when_its_caller_goes() {
    let body = "call $wait unreachable";
    let mut served = Served::new(&component(PING, CORE_PING, body, "")).await;
    let (outgoing, mut incoming) = served.host.invoke("", &[1][..]).await.expect("invoke");
    let mut running = tokio_test::task::spawn(served.next().await);
    tokio_test::assert_pending!(running.poll());
    assert_eq!(served.stores(), 1, "it runs");
    let mut read = tokio_test::task::spawn(incoming.read_u8());
    tokio_test::assert_pending!(read.poll());
    drop(read);
    drop((outgoing, incoming));
    assert!(running.is_woken());
    let error = tokio_test::assert_ready!(running.poll()).expect_err("it was ended");
    let text = error.to_string();
    assert!(
        text.contains(FUNCTION) && text.contains("caller has gone"),
        "{text}"
    );
    drop(running);
    assert_eq!(served.stores(), 0, "the instance is gone");
}

/// A function that returns nothing.
const ONE_WAY: &str = r#"(param "n" u32) (canon lift (core func $i "run"))"#;

/// Calls it, and leaves.
async fn call_and_leave(host: &Host<Duplex>) {
    let (mut outgoing, incoming) = host.invoke("", &[1][..]).await.expect("invoke");
    outgoing.shutdown().await.expect("shutdown");
    drop((outgoing, incoming));
}

#[tokio::test]
async fn a_call_that_wants_no_results_runs_without_its_caller() {
    let mut served = Served::new(&component(ONE_WAY, "(param i32)", "call $wait", "")).await;
    call_and_leave(&served.host).await;
    let mut running = tokio_test::task::spawn(served.next().await);
    tokio_test::assert_pending!(running.poll());
    assert_eq!(served.stores(), 1, "it runs");
}

/// How much longer than a second, which is their limit, invocations may take.
const MORE: u64 = 2;

#[tokio::test(start_paused = true)]
async fn a_callee_that_waits_ends_with_its_time_also_when_no_one_waits_for_it() {
    let mut served = Served::new(&component(ONE_WAY, "(param i32)", "call $wait", "")).await;
    call_and_leave(&served.host).await;
    let start = tokio::time::Instant::now();
    let error = served.next().await.await.expect_err("it waits for ever");
    assert_eq!(start.elapsed().as_secs(), 1 + MORE);
    let error = format!("{error:#}");
    for part in [FUNCTION, "in time", "1s"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(served.stores(), 0, "the instance is gone");
}

#[tokio::test(start_paused = true)]
async fn parameters_that_do_not_come_take_no_instance_and_have_an_end() {
    let mut served = Served::new(&component(PING, CORE_PING, "local.get 0", "")).await;
    let (called, _) = served.call(&[7]).await;
    called.expect("the callee's side");
    // The first half of a number.
    let (_outgoing, mut incoming) = served.host.invoke("", &[0x80][..]).await.expect("invoke");
    let mut running = tokio_test::task::spawn(served.next().await);
    // Waiting for its turn is a part of it.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let start = tokio::time::Instant::now();
    tokio_test::assert_pending!(running.poll());
    assert_eq!(served.stores(), 0, "it has no store yet, and no instance");
    running.await.expect_err("they do not come");
    let took = start.elapsed().as_millis() as u64;
    assert!((500..=501).contains(&(took - 1000 * MORE)), "{took} ms");
    let mut results = Vec::new();
    let read = incoming.read_to_end(&mut results).await;
    let error = said(&read.expect_err("it was ended"));
    assert!(error.contains("in time"), "{error}");
}

#[tokio::test]
async fn parameters_without_end_are_refused_and_the_next_call_is_answered() {
    const MEMORY: usize = 1 << 20;
    let signature = r#"(param "data" (list u8)) (result u32)
        (canon lift (core func $i "run") (memory $i "memory") (realloc (func $i "realloc")))"#;
    let core = "(param i32 i32) (result i32)";
    let text = component(signature, core, "local.get 1", "");
    let mut served = Served::with_memory(MEMORY, &text).await;
    // A list of 256 MiB is announced, and its bytes come and come.
    let announced = &[0x80, 0x80, 0x80, 0x80, 0x01][..];
    let (mut outgoing, mut incoming) = served.host.invoke("", announced).await.expect("invoke");
    let running = served.next().await;
    let sends = async {
        let mut sent = 0;
        while outgoing.write_all(&[7; 1 << 10]).await.is_ok() {
            sent += 1 << 10;
            assert!(sent <= MEMORY, "they are taken without end");
        }
    };
    let (called, ()) = tokio::join!(running, sends);
    called.expect_err("they do not fit");
    let mut results = Vec::new();
    let error = incoming.read_to_end(&mut results).await;
    let error = said(&error.expect_err("they do not fit"));
    for part in [
        "default.callee",
        FUNCTION,
        "268435456 bytes",
        "1048576",
        "as a stream",
        "more memory",
        "`--max-linear-memory-bytes`",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert_eq!(served.stores(), 0, "it has taken no instance");
    drop((outgoing, incoming));

    let (called, results) = served.call(&[2, 1, 1]).await;
    called.expect("the callee's side");
    assert_eq!(results.expect("results"), [2]);
}

#[tokio::test]
async fn a_call_that_wants_no_results_succeeds_without_its_caller() {
    let mut served = Served::new(&component(ONE_WAY, "(param i32)", "", "")).await;
    call_and_leave(&served.host).await;
    served
        .next()
        .await
        .await
        .expect("it ran, and no one waits for results");
}

#[tokio::test]
async fn what_waits_for_its_turn_when_its_component_is_scaled_is_run_by_the_next_version() {
    let text = component(PING, CORE_PING, "local.get 0", "");
    let mut old = Served::new(&text).await;
    let host = Arc::clone(&old.host);
    let (mut outgoing, mut incoming) = host.invoke("", &[7][..]).await.expect("invoke");
    outgoing.shutdown().await.expect("shutdown");
    let waits = old.next().await;
    let mut new = Served::on(Arc::clone(&host), &text).await;
    // As the host does: what waits for an instance goes first, and what is served after it.
    drop(waits);
    drop(old);
    new.next().await.await.expect("it runs");
    let mut results = Vec::new();
    incoming.read_to_end(&mut results).await.expect("results");
    assert_eq!(results, [7]);
    assert_eq!(host.local.calls().local, 1);

    // Nor is one lost that wants no results, and whose caller has left.
    let text = component(ONE_WAY, "(param i32)", "", "");
    let mut old = Served::new(&text).await;
    let host = Arc::clone(&old.host);
    call_and_leave(&host).await;
    let waits = old.next().await;
    let mut new = Served::on(Arc::clone(&host), &text).await;
    drop(waits);
    drop(old);
    new.next().await.await.expect("it runs");

    // Where no version is left, this is counted.
    call_and_leave(&host).await;
    let waits = new.next().await;
    drop(waits);
    drop(new);
    assert_eq!(host.local.counted()[0].failures.lost, 1);
}

/// A host library that puts another version in place of one keeps what that has in hand.
#[tokio::test]
async fn what_waits_for_its_turn_when_its_component_is_updated_is_run_by_the_next_version() {
    let traps = component(PING, CORE_PING, "unreachable", "");
    let mut old = Served::new(&traps).await;
    let host = Arc::clone(&old.host);
    let mut answers = Vec::new();
    let mut wait = Vec::new();
    for n in [7, 8] {
        let (mut outgoing, incoming) = host.invoke("", vec![n]).await.expect("invoke");
        outgoing.shutdown().await.expect("shutdown");
        answers.push((n, outgoing, incoming));
        wait.push(old.next().await);
    }
    let text = component(PING, CORE_PING, "local.get 0", "");
    let mut new = Served::on(Arc::clone(&host), &text).await;
    let generations = host.local.generations();
    let newest = *generations[0].numbers.last().expect("there are two");
    host.local.end_older(generations[0].scope, PREFIX, newest);
    for (n, _outgoing, mut incoming) in answers {
        let next = new.next().now_or_never().expect("it was put back");
        next.await.expect("it runs");
        let mut results = Vec::new();
        incoming.read_to_end(&mut results).await.expect("results");
        assert_eq!(results, [n], "in their order");
    }
    for waited in wait {
        waited.await.expect("there is nothing to run");
    }

    // Nor is one lost that wants no results, and whose caller has left. Where no version is left, it is counted.
    let text = component(ONE_WAY, "(param i32)", "unreachable", "");
    let mut old = Served::new(&text).await;
    let host = Arc::clone(&old.host);
    call_and_leave(&host).await;
    let waits = old.next().await;
    let generations = host.local.generations();
    host.local.end_older(generations[0].scope, PREFIX, u64::MAX);
    assert_eq!(host.local.counted()[0].failures.lost, 1);
    waits.await.expect("there is nothing to run");
}

/// The types that a caller takes the function to have.
fn types(param: Type, result: Type) -> Types {
    Arc::new(Signature::new(&[param], &[result]).expect("types within reason"))
}

#[tokio::test]
async fn a_caller_with_other_types_learns_both_and_the_function_does_not_run() {
    let text = component(PING, CORE_PING, "unreachable", "");
    let mut served = Served::new(&text).await;
    let theirs = types(Type::String, Type::U32);
    let invoke = served.host.invoke("", &[1, b'a'][..]);
    let invoked = inhost_dispatch::with_types(theirs, invoke).await;
    let (_params, mut results) = invoked.expect("invoke");
    served.next().await.await.expect_err("the types differ");
    let mut bytes = Vec::new();
    let read = results.read_to_end(&mut bytes).await;
    let error = read.expect_err("the types differ");
    let error = said(&error);
    let texts = ["func(string) -> (u32)", "func(u32) -> (u32)"];
    for part in [FUNCTION, "types"].into_iter().chain(texts) {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    assert!(!error.contains("unreachable"), "it ran: {error}");
}

#[tokio::test]
async fn a_caller_whose_types_read_the_same_bytes_is_answered() {
    let text = component(PING, CORE_PING, "local.get 0", "");
    let tuple = || Type::Tuple(vec![Type::U32]);
    for (param, result) in [
        (Type::U32, Type::U32),
        (tuple(), tuple()),
        (Type::U16, Type::U64),
    ] {
        let theirs = types(param.clone(), result);
        let mut served = Served::new(&text).await;
        let invoke = served.host.invoke("", &[100][..]);
        let invoked = inhost_dispatch::with_types(theirs, invoke).await;
        let (_params, mut results) = invoked.expect("invoke");
        served.next().await.await.expect("it is called");
        let mut bytes = Vec::new();
        let read = results.read_to_end(&mut bytes).await;
        read.expect("results");
        assert_eq!(bytes, [100], "{param:?}");
    }
}

#[tokio::test]
async fn a_value_that_only_the_callers_types_have_is_refused_before_the_function_runs() {
    let text = component(PING, CORE_PING, "unreachable", "");
    let mut served = Served::new(&text).await;
    let invoke = served.host.invoke("", &[0x80, 0x80, 0x80, 0x80, 0x10][..]);
    let invoked = inhost_dispatch::with_types(types(Type::U64, Type::U32), invoke).await;
    let (_params, mut results) = invoked.expect("invoke");
    served.next().await.await.expect_err("it is too large");
    let mut bytes = Vec::new();
    let read = results.read_to_end(&mut bytes).await;
    let error = said(&read.expect_err("it is too large"));
    assert!(error.contains("does not fit its 32 bits"), "{error}");
    assert!(!error.contains("unreachable"), "it ran: {error}");
}

#[tokio::test]
async fn results_are_good_when_cleaning_up_fails() {
    let signature = r#"(param "n" u32) (result u32)
        (canon lift (core func $i "run") (post-return (func $i "post-return")))"#;
    let rest = r#"(func (export "post-return") (param i32) unreachable)"#;
    let mut served = Served::new(&component(signature, CORE_PING, "local.get 0", rest)).await;
    let (called, results) = served.call(&[7]).await;
    assert_eq!(results.expect("results"), [7]);
    let error = format!("{:#}", called.expect_err("post-return trapped"));
    assert!(error.contains("cleaned up"), "{error}");
}

#[tokio::test]
async fn post_return_runs_when_results_cannot_be_sent() {
    // An instance can be called again only after post-return, so a second call shows that it has run.
    let text = component(PING, CORE_PING, "local.get 0", "");
    let (component, linker) = prepare(&text);
    let pre = linker.instantiate_pre(&component).expect("all is linked");
    let ty = exported(&pre);
    let stores = Arc::new(AtomicUsize::new(0));
    let mut store = Store::new(component.engine(), Ctx::new(&stores));
    store.set_epoch_deadline(1);
    let instance = pre
        .instantiate_async(&mut store)
        .await
        .expect("an instance");
    let host = Host::new(Duplex);
    let store = Arc::new(tokio::sync::Mutex::new(store));
    let invocations = host
        .client()
        .serve_function_shared(store, instance, [], ty, INSTANCE, FUNCTION)
        .await
        .expect("it can be served");
    let mut served = Served {
        engine: component.engine().clone(),
        host: Arc::new(host),
        invocations: Box::pin(invocations),
        stores,
    };

    let (outgoing, incoming) = served.host.invoke("", &[1][..]).await.expect("invoke");
    drop(incoming);
    let error = served
        .next()
        .await
        .await
        .expect_err("no one reads the results");
    assert!(
        format!("{error:#}").contains("results could not be sent"),
        "{error:#}"
    );
    drop(outgoing);

    let (called, results) = served.call(&[9]).await;
    called.expect("the instance can be entered");
    assert_eq!(results.expect("results"), [9]);
}

#[tokio::test]
async fn a_function_that_is_not_exported_cannot_be_served() {
    let (component, linker) = prepare(&component(PING, CORE_PING, "local.get 0", ""));
    let pre = linker.instantiate_pre(&component).expect("all is linked");
    let ty = exported(&pre);
    let host = Host::new(Duplex);
    let store = || panic!("no call, no store");
    let served = host
        .client()
        .serve_function(store, pre, ty, INSTANCE, "walk")
        .await;
    let error = served.err().expect("there is no such function").to_string();
    assert!(
        error.contains("walk") && error.contains(INSTANCE),
        "{error}"
    );
}
