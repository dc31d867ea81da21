//! What a stream holds at most, and what cannot pass.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use wasmtime::component::Val;

use crate::feed::{next, Endless};
use crate::hosts::{engine, prepare, Pair};
use crate::{guests, soon};

/// Far more than two sides of a stream hold, and far less than what `Endless` gives in that time.
const HELD: usize = 64 << 10;

#[tokio::test]
async fn a_callee_that_does_not_read_stops_the_producer() {
    soon(async |mut pair| {
        let taken = Arc::new(AtomicUsize::new(0));
        let stream = pair.own(Endless(Arc::clone(&taken)))?;
        {
            let mut call = Box::pin(pair.call("hold", std::slice::from_ref(&stream)));
            for _ in 0..10_000 {
                assert!(futures::poll!(&mut call).is_pending());
                tokio::task::yield_now().await;
            }
            let taken = taken.load(Ordering::SeqCst);
            assert!((1..HELD).contains(&taken), "{taken} bytes were taken");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_stops_the_producer() {
    soon(async |mut pair| {
        let taken = Arc::new(AtomicUsize::new(0));
        pair.next_for_callee(Endless(Arc::clone(&taken)));
        let fresh = pair.call("fresh", &[]).await?;
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let held = taken.load(Ordering::SeqCst);
        assert!((1..HELD).contains(&held), "{held} bytes were taken");
        // It goes on when it is read.
        let mut fresh = pair.take(fresh)?;
        for _ in 0..100 {
            next(&mut fresh).await?;
        }
        assert!(taken.load(Ordering::SeqCst) > held);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_resource_of_the_host_that_may_be_absent_is_an_error_only_when_it_is_there() {
    soon(async |mut pair| {
        let none = [Val::Option(None)];
        assert_eq!(pair.call("maybe", &none).await?, Val::U32(0));

        let mut pair = Pair::new().await?;
        let out: wasmtime_wasi::OutputStream =
            Box::new(wasmtime_wasi::pipe::MemoryOutputPipe::new(8));
        let out = wasmtime_wasi::WasiView::table(pair.store.data_mut()).push(out)?;
        let out = Val::Resource(out.try_into_resource_any(&mut pair.store)?);
        let error = pair
            .call("maybe", &[Val::Option(Some(Box::new(out)))])
            .await;
        let error = format!("{:#}", error.expect_err("it cannot pass"));
        for part in [
            "test:peer/api@1.0.0.maybe",
            "parameter value 0",
            "wasi:io/streams@0.2.0.output-stream",
            "not supported",
        ] {
            assert!(error.contains(part), "`{part}` is missing in: {error}");
        }
        Ok(())
    })
    .await;
}

#[test]
fn an_import_that_always_passes_a_resource_of_the_host_is_refused_when_it_is_linked() {
    let linked = prepare(&engine(), &guests::doomed());
    let error = format!("{:#}", linked.err().expect("it can never be called"));
    for part in [
        "test:peer/hopeless@1.0.0.sink",
        "parameter 1",
        "wasi:io/streams@0.2.0.output-stream",
    ] {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}
