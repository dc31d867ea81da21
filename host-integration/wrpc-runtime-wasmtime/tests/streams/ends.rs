//! How streams end, and calls with them.

use wasmtime::component::Val;

use crate::feed::{breaks_off, next, Endless};
use crate::guests::CLOSED;
use crate::soon;

#[tokio::test]
async fn a_stream_that_closes_is_closed_for_the_callee() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        param.chunk("a");
        param.chunk("b");
        drop(param);
        assert_eq!(pair.call("count", &[stream]).await?, Val::U32(CLOSED));
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_fails_fails_the_call() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        param.chunk("a");
        param.fail("the disk is gone");
        let error = pair.call("count", &[stream]).await;
        let error = format!("{:#}", error.expect_err("its stream failed"));
        assert!(error.contains("the disk is gone"), "{error}");
        assert!(error.contains("test:peer/api@1.0.0.count"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_fails_after_the_call_has_returned_fails_what_is_made_of_it() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        let _result = pair.result();
        param.chunk("a");
        let [mut rest, _fresh] = pair.both(stream).await?;
        param.fail("the disk is gone");
        breaks_off(&mut rest).await;
        let error = pair
            .ended()
            .await
            .expect_err("a stream of its results failed");
        let error = format!("{error:#}");
        assert!(error.contains("broke off"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_result_that_fails_is_not_taken_for_one_that_closes() {
    soon(async |mut pair| {
        let result = pair.result();
        let mut fresh = pair.fresh().await?;
        result.chunk("a");
        assert_eq!(next(&mut fresh).await?.as_deref(), Some("a"));
        result.fail("the disk is gone");
        breaks_off(&mut fresh).await;
        let error = pair
            .ended()
            .await
            .expect_err("a stream of its results failed");
        let error = format!("{error:#}");
        assert!(error.contains("the disk is gone"), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_callee_that_has_read_enough_ends_a_producer_that_has_nothing() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        param.chunk("a");
        // It produces nothing more, and does not close.
        assert_eq!(pair.call("peek", &[stream]).await?, Val::U32(7));
        param.unwanted().await;
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn a_caller_that_has_read_enough_ends_a_producer_that_has_nothing_and_the_call_is_done() {
    soon(async |mut pair| {
        let result = pair.result();
        let mut fresh = pair.fresh().await?;
        result.chunk("a");
        assert_eq!(next(&mut fresh).await?.as_deref(), Some("a"));
        drop(fresh);
        result.unwanted().await;
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn parameters_are_sent_for_as_long_as_there_is_a_stream_of_the_results() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        let result = pair.result();
        param.chunk("a");
        let [mut rest, fresh] = pair.both(stream).await?;
        drop(fresh);
        param.chunk("b");
        assert_eq!(next(&mut rest).await?.as_deref(), Some("b"));
        drop(rest);
        param.unwanted().await;
        result.unwanted().await;
        // The stream of the parameter may have broken off before the call could end.
        let _ended = pair.ended().await;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_store_that_goes_ends_the_streams_of_its_calls() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        let result = pair.result();
        param.chunk("a");
        pair.call("both", &[stream]).await?;
        assert_eq!(pair.seen.recv().await.expect("it runs"), "a");
        drop(pair.store);
        param.unwanted().await;
        result.unwanted().await;
        // The stream of the parameter may have broken off before the call could end.
        let _ended = pair.ended.recv().await.expect("it ends");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn all_of_a_stream_reaches_a_callee_whose_caller_wants_no_results_and_has_left() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        param.chunk("a");
        {
            let mut call =
                Box::pin(pair.call_for("ingest", std::slice::from_ref(&stream), &mut []));
            for _ in 0..1000 {
                assert!(futures::poll!(&mut call).is_pending(), "there may be more");
                tokio::task::yield_now().await;
            }
            param.chunk("b");
            param.chunk("c");
            drop(param);
            // It returns when all has been sent. The callee has not read any of it.
            call.await?;
        }
        assert!(pair.seen.try_recv().is_err());
        pair.release();
        drop(pair.store);
        for chunk in ["a", "b", "c", "end"] {
            assert_eq!(pair.seen.recv().await.expect("it goes on"), chunk);
        }
        pair.ended.recv().await.expect("it ends")
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_callee_learns_that_a_stream_broke_off_and_cleans_up() {
    for name in ["ingest", "count"] {
        soon(async |mut pair| {
            let (param, stream) = pair.param()?;
            pair.release();
            param.chunk("a");
            let mut result = [Val::Bool(false)];
            let results = if name == "count" {
                &mut result[..]
            } else {
                &mut []
            };
            {
                let mut call =
                    Box::pin(pair.call_for(name, std::slice::from_ref(&stream), results));
                for _ in 0..1000 {
                    assert!(futures::poll!(&mut call).is_pending());
                    tokio::task::yield_now().await;
                }
            }
            for chunk in ["a", "cut"] {
                assert_eq!(pair.seen.recv().await.expect("it goes on"), chunk, "{name}");
            }
            // To whom it has nothing to say, it has not failed.
            let ended = pair.ended().await;
            assert_eq!(ended.is_ok(), name == "ingest", "{name}: {ended:?}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_ends_the_callee_and_the_producer() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        param.chunk("a");
        {
            let mut call = Box::pin(pair.call("hold", std::slice::from_ref(&stream)));
            // The callee runs in a task of its own, and waits.
            for _ in 0..1000 {
                assert!(futures::poll!(&mut call).is_pending());
                tokio::task::yield_now().await;
            }
        }
        param.unwanted().await;
        let error = pair.ended().await.expect_err("early");
        assert!(error.to_string().contains("caller has gone"), "{error:#}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_callee_that_does_not_read_is_let_go_on() {
    soon(async |mut pair| {
        let stream = pair.own(Endless(std::sync::Arc::default()))?;
        pair.release();
        assert_eq!(pair.call("hold", &[stream]).await?, Val::U32(7));
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn a_callee_that_fails_fails_the_streams_that_it_was_to_return() {
    soon(async |mut pair| {
        // There is none for it to return.
        let mut fresh = pair.fresh().await?;
        breaks_off(&mut fresh).await;
        let error = pair.ended().await.expect_err("it trapped");
        let error = format!("{error:#}");
        assert!(error.contains("no stream for the callee"), "{error}");
        Ok(())
    })
    .await;
}
