//! Streams flow in both directions, in values of any shape.

use wasmtime::component::Val;

use crate::feed::{feed, next};
use crate::hosts::Path;
use crate::soon;

#[tokio::test]
async fn both_sides_read_while_both_sides_still_produce() {
    soon(async |mut pair| {
        let (param, stream) = pair.param()?;
        let result = pair.result();

        param.chunk("param 1");
        let [mut rest, mut fresh] = pair.both(stream).await?;
        // The call has returned, and the callee has read a chunk of a stream that has not ended.
        assert_eq!(pair.seen.recv().await.expect("a chunk"), "param 1");

        result.chunk("result 1");
        assert_eq!(next(&mut fresh).await?.as_deref(), Some("result 1"));
        // Only now is there more of the parameter. It passes through the callee.
        param.chunk("param 2");
        assert_eq!(next(&mut rest).await?.as_deref(), Some("param 2"));
        result.chunk("result 2");
        assert_eq!(next(&mut fresh).await?.as_deref(), Some("result 2"));
        assert!(pair.ended.try_recv().is_err(), "the callee's call goes on");

        drop(param);
        assert_eq!(next(&mut rest).await?, None);
        drop(result);
        assert_eq!(next(&mut fresh).await?, None);
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn streams_pass_in_records_options_lists_and_tuples() {
    soon(async |mut pair| {
        let feeds: Vec<_> = (0..3).map(|_| feed()).collect();
        let mut producers = Vec::new();
        let mut streams = Vec::new();
        for (i, (producer, stream)) in feeds.into_iter().enumerate() {
            producer.chunk(["zero", "one", "two"][i]);
            producers.push(producer);
            streams.push(pair.own(stream)?);
        }
        let mut streams = streams.into_iter();
        let one = Val::Option(Some(Box::new(streams.next().expect("three"))));
        let more = streams
            .zip([8, 9])
            .map(|(stream, n)| Val::Tuple(vec![Val::U8(n), stream]));
        let nested = Val::Record(vec![
            ("name".into(), Val::String("a name".into())),
            ("one".into(), one),
            ("more".into(), Val::List(more.collect())),
        ]);
        let Val::Record(fields) = pair.call("deep", &[nested]).await? else {
            panic!("a record");
        };
        let mut fields = fields.into_iter().map(|(_, field)| field);
        assert_eq!(fields.next(), Some(Val::String("a name".into())));
        let Some(Val::Option(Some(one))) = fields.next() else {
            panic!("some");
        };
        let Some(Val::List(more)) = fields.next() else {
            panic!("a list");
        };
        let mut streams = vec![*one];
        for (val, n) in more.into_iter().zip([8, 9]) {
            let Val::Tuple(val) = val else {
                panic!("a tuple")
            };
            assert_eq!(val[0], Val::U8(n));
            streams.extend(val.into_iter().nth(1));
        }
        let texts = ["zero", "one", "two"];
        for ((stream, producer), text) in streams.into_iter().zip(producers).zip(texts) {
            let mut stream = pair.take(stream)?;
            assert_eq!(next(&mut stream).await?.as_deref(), Some(text));
            drop(producer);
            assert_eq!(next(&mut stream).await?, None);
        }
        pair.ended().await
    })
    .await;
}

#[tokio::test]
async fn the_transport_is_told_the_paths_of_streams() {
    soon(async |mut pair| {
        let path = |path: &[usize]| -> Path { path.iter().copied().map(Some).collect() };
        let none: [Path; 0] = [];
        assert_eq!(pair.client.told("serve both"), [path(&[0])]);
        assert_eq!(pair.client.told("serve fresh"), none);
        assert_eq!(pair.client.told("serve maybe"), none);
        let in_a_list = [Some(0), Some(2), None, Some(1)].into();
        assert_eq!(pair.client.told("serve deep"), [path(&[0, 1]), in_a_list]);

        let (_param, stream) = pair.param()?;
        pair.call("both", &[stream]).await?;
        let results = [path(&[0, 0]), path(&[0, 1])];
        assert_eq!(pair.client.told("invoke both"), results);
        Ok(())
    })
    .await;
}
