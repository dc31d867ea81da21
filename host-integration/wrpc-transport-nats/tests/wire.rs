//! One call by ours and one by the published crate are the same messages.
#![allow(missing_docs)]

mod support;

use std::collections::HashMap;

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt as _;
use support::{ours, payload, promptly, settle, stock, Server, CALLEE, GROUP, INSTANCE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wrpc_transport::{Index as _, Invoke, Serve};

type Cx = Option<HeaderMap>;

/// A message as the server passes it on, with names in place of inboxes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Recorded {
    subject: String,
    reply: Option<String>,
    headers: Vec<(String, Vec<String>)>,
    payload: Bytes,
    /// The length of the reply subject.
    inbox: usize,
}

/// Everything that goes over the server from here on, up to a message to `done`.
async fn record(nats: &async_nats::Client) -> impl std::future::Future<Output = Vec<Recorded>> {
    // The same connection as that of the call, so this is in force before it.
    let mut messages = nats.subscribe(">").await.expect("subscribe");
    async move {
        let mut recorded = Vec::new();
        // Which inbox is which: the first message names the caller's, the answer to it the callee's.
        let mut inboxes = HashMap::new();
        let name = |inboxes: &HashMap<String, &str>, subject: &str| {
            inboxes
                .iter()
                .find_map(|(inbox, name)| {
                    let rest = subject.strip_prefix(inbox.as_str())?;
                    Some(format!("${name}{rest}"))
                })
                .unwrap_or_else(|| subject.to_owned())
        };
        while let Some(message) = messages.next().await {
            if message.subject.as_str() == "done" {
                let _ = messages.unsubscribe().await;
                break;
            }
            if let Some(reply) = &message.reply {
                let who = ["caller", "callee"][inboxes.len()];
                inboxes.insert(reply.to_string(), who);
            }
            let headers = message.headers.iter().flat_map(HeaderMap::iter);
            recorded.push(Recorded {
                subject: name(&inboxes, &message.subject),
                reply: message.reply.as_deref().map(|reply| name(&inboxes, reply)),
                headers: headers
                    .map(|(k, v)| (k.to_string(), v.iter().map(ToString::to_string).collect()))
                    .collect(),
                payload: message.payload,
                inbox: message.reply.map_or(0, |reply| reply.len()),
            });
        }
        // The order of messages to two subjects is that of two writers. To one subject it is the writer's.
        recorded.sort_by(|a, b| a.subject.cmp(&b.subject));
        recorded
    }
}

/// What one call puts on the wire.
async fn call<I: Invoke<Context = Cx>, S: Serve<Context = Cx>>(
    nats: &async_nats::Client,
    caller: I,
    callee: S,
    headers: Cx,
    len: usize,
) -> Vec<Recorded> {
    const PATH: &[usize] = &[1];
    let paths: [Box<[Option<usize>]>; 1] = [Box::new([Some(1)])];
    let calls = callee.serve(INSTANCE, "run", paths.to_vec()).await;
    let mut calls = std::pin::pin!(calls.expect("serve"));
    settle(nats).await;
    let recorded = record(nats).await;

    let (mut root, mut results) = caller
        .invoke(headers, INSTANCE, "run", payload(len), paths)
        .await
        .expect("invoke");
    let mut deep = root.index(PATH).expect("the nested parameters");
    let mut deep_results = results.index(PATH).expect("the nested results");
    let (_, mut answer, mut incoming) = calls.next().await.expect("a call").expect("taken");
    let mut deep_answer = answer.index(PATH).expect("the nested results");
    let mut deep_incoming = incoming.index(PATH).expect("the nested parameters");
    let mut bytes = [const { Vec::new() }; 4];
    let [a, b, c, d] = &mut bytes;
    let write = async {
        root.shutdown().await?;
        deep.write_all(b"nested parameters").await?;
        deep.shutdown().await?;
        answer.write_all(&payload(len)).await?;
        answer.shutdown().await?;
        deep_answer.write_all(b"nested results").await?;
        // Its end is sent when it is dropped.
        drop(deep_answer);
        Ok(())
    };
    tokio::try_join!(
        write,
        incoming.read_to_end(a),
        deep_incoming.read_to_end(b),
        results.read_to_end(c),
        deep_results.read_to_end(d),
    )
    .expect("the call");
    assert!(bytes[0] == payload(len) && bytes[2] == payload(len));
    assert_eq!(bytes[1], b"nested parameters");
    assert_eq!(bytes[3], b"nested results");
    // All streams have been read to their ends, so all has been recorded before this.
    nats.publish("done", Bytes::new()).await.expect("publish");
    let recorded = recorded.await;
    // The server knows that no one records any more.
    settle(nats).await;
    recorded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_the_same_messages_as_upstreams() {
    let server = Server::start().await;
    let mut headers = HeaderMap::new();
    headers.insert("source-id", "caller");
    for headers in [None, Some(headers)] {
        for len in [0, 10, 3 << 20] {
            // A connection for each, so that neither records the other.
            let (theirs, own) = (server.connect().await, server.connect().await);
            let case = format!("{len} bytes, headers: {}", headers.is_some());
            let expected = promptly(call(
                &theirs,
                stock(&theirs, None).await,
                stock(&theirs, Some(GROUP)).await,
                headers.clone(),
                len,
            ))
            .await;
            let found = promptly(call(
                &own,
                ours(&own, None),
                ours(&own, Some(GROUP)),
                headers.clone(),
                len,
            ))
            .await;
            let subjects = |messages: &[Recorded]| {
                let subjects = messages
                    .iter()
                    .map(|m| (m.subject.clone(), m.reply.clone(), m.headers.clone()));
                subjects.collect::<Vec<_>>()
            };
            assert_eq!(subjects(&found), subjects(&expected), "{case}");
            let root = format!("{CALLEE}.wrpc.0.0.1.{INSTANCE}.run");
            assert_eq!(found.iter().filter(|m| m.subject == root).count(), 1);
            // What the first message has room for depends on the length of an inbox. So the
            // parameters are cut elsewhere, but into as many messages, and the first of them is as
            // full.
            let full = |messages: &[Recorded]| {
                let first = messages.iter().find(|m| m.subject == root);
                first.map(|m| m.payload.len() + if len > 1 << 20 { m.inbox } else { 0 })
            };
            assert_eq!(full(&found), full(&expected), "{case}");
            let bytes = |messages: &[Recorded]| {
                let mut streams: HashMap<String, Vec<u8>> = HashMap::new();
                let (first, rest): (Vec<_>, Vec<_>) =
                    messages.iter().partition(|m| m.subject == root);
                for message in first.into_iter().chain(rest) {
                    let stream = message.subject.replace(&root, "$callee.params");
                    let stream = streams.entry(stream).or_default();
                    stream.extend_from_slice(&message.payload);
                }
                streams
            };
            assert!(bytes(&found) == bytes(&expected), "{case}");
        }
    }
}
