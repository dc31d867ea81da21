//! What no correct guest or peer sends, and what is near to it. A call that fails says where, and the next one works.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmtime::component::Val;
use wasmtime_wasi::pipe::MemoryInputPipe;
use wrpc_transport::{Index as _, Invoke as _};

use crate::feed::next;
use crate::guests::{API, CLOSED, WIDE};
use crate::hosts::{Pair, Path};
use crate::soon;

/// How many streams a message may hold.
const MOST: usize = 4096;

/// So many streams of the caller, each of which gives its number.
fn streams(pair: &mut Pair, count: usize) -> anyhow::Result<Vec<Val>> {
    let stream = |at: usize| pair.own(MemoryInputPipe::new(at.to_string()));
    (0..count).map(stream).collect()
}

/// These are those of [`streams`].
async fn read_all(pair: &mut Pair, streams: Vec<Val>) -> anyhow::Result<()> {
    for (at, stream) in streams.into_iter().enumerate() {
        let mut stream = pair.take(stream)?;
        assert_eq!(next(&mut stream).await?, Some(at.to_string()));
        assert_eq!(next(&mut stream).await?, None);
    }
    Ok(())
}

/// Passes a list of so many streams to the callee, which passes them back.
async fn pass(pair: &mut Pair, count: usize) -> anyhow::Result<()> {
    let list = Val::List(streams(pair, count)?);
    let Val::List(list) = pair.call("many", &[list]).await? else {
        anyhow::bail!("it returns a list");
    };
    assert_eq!(list.len(), count);
    read_all(pair, list).await
}

fn assert_says(error: &anyhow::Error, parts: &[&str]) {
    let error = format!("{error:#}");
    for part in parts {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

#[tokio::test]
async fn a_list_of_257_streams_passes_in_both_directions() {
    soon(async |mut pair| pass(&mut pair, 257).await).await;
}

/// The transport is told 256 paths. Of a local call it need not be told any.
#[tokio::test]
async fn a_tuple_of_257_streams_passes_in_both_directions() {
    soon(async |mut pair| {
        let tuple = Val::Tuple(streams(&mut pair, WIDE)?);
        let Val::Tuple(tuple) = pair.call("wide", &[tuple]).await? else {
            anyhow::bail!("it returns a tuple");
        };
        assert_eq!(tuple.len(), WIDE);
        read_all(&mut pair, tuple).await
    })
    .await;
}

#[tokio::test]
async fn more_streams_than_a_message_may_hold_are_an_error_where_they_arrive() {
    soon(async |mut pair| {
        let list = Val::List(streams(&mut pair, MOST + 1)?);
        let error = pair.call("many", &[list]).await.expect_err("parameters");
        let where_from = [
            "test:peer/api@1.0.0.many",
            "default.callee",
            "value 0, byte 2",
        ];
        assert_says(&error, &where_from);
        assert_says(&error, &["it holds more than 4096 streams"]);
        let times = format!("{error:#}").matches("4096 streams").count();
        assert_eq!(times, 1, "once is enough: {error:#}");

        pair.restart_caller().await?;
        for _ in 0..=MOST {
            pair.next_for_callee(MemoryInputPipe::new("x"));
        }
        let count = Val::U32(MOST as u32 + 1);
        let error = pair.call("flood", &[count]).await.expect_err("results");
        let where_from = ["results of `test:peer/api@1.0.0.flood`", "value 0, byte 2"];
        assert_says(&error, &where_from);
        assert_says(&error, &["it holds more than 4096 streams"]);

        pair.restart_caller().await?;
        pass(&mut pair, 3).await
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_never_starts_takes_no_longer_than_the_call_may() {
    soon(async |mut pair| {
        pair.set_timeout(Duration::from_millis(100));
        let (_producer, stream) = pair.param()?;
        let error = pair.call("count", &[stream]).await.expect_err("no answer");
        assert_says(&error, &["test:peer/api@1.0.0.count"]);
        // The callee learns that its caller has gone.
        assert!(pair.ended().await.is_err());

        pair.restart_caller().await?;
        pass(&mut pair, 1).await
    })
    .await;
}

#[tokio::test]
async fn what_is_sent_at_a_path_that_is_not_in_the_type_is_in_no_ones_way() {
    soon(async |pair| {
        let none: [Path; 0] = [];
        let call = pair
            .client
            .invoke(String::new(), API, "count", Bytes::new(), none);
        let (mut outgoing, mut incoming) = call.await?;
        let mut stray = [outgoing.index(&[1])?, outgoing.index(&[0, 3])?];
        for stray in &mut stray {
            stray.write_all(b"stray").await?;
        }
        let mut stream = outgoing.index(&[0])?;
        stream.write_all(b"\x02ab\x00").await?;
        outgoing.shutdown().await?;
        let mut results = Vec::new();
        incoming.read_to_end(&mut results).await?;
        assert_eq!(results, CLOSED.to_le_bytes()[..1]);
        // No one holds what was written there, and who goes on writing learns it.
        for mut stray in stray {
            let refused = stray.write_all(&[0; 4096]).await.expect_err("no reader");
            assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
        }
        Ok(())
    })
    .await;
}
