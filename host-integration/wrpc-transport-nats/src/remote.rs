use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use async_nats::{HeaderMap, Message, Subject};
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use wrpc_transport::{Invoke, Serve};

use crate::nats::subject::{invocation_subject, result_subject};
use crate::nats::{
    publish, server, Call, Inbox, ParamWriter, Paths, Reader, SubjectWriter, Target,
};
use crate::subscriptions::Calls;

/// wRPC over NATS, for one prefix. See [`crate::nats`] for the protocol.
///
/// Making one does no I/O. The connection's inbox is opened by the first use, and kept.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Inner>);

struct Inner {
    nats: Arc<async_nats::Client>,
    prefix: Arc<str>,
    queue_group: Option<Arc<str>>,
    inbox: Mutex<Option<Arc<Inbox>>>,
}

impl Remote {
    pub(crate) fn new(
        nats: Arc<async_nats::Client>,
        prefix: Arc<str>,
        queue_group: Option<Arc<str>>,
    ) -> Self {
        Self(Arc::new(Inner {
            nats,
            prefix,
            queue_group,
            inbox: Mutex::new(None),
        }))
    }

    fn target(&self, instance: &str, func: &str) -> Target {
        Target(invocation_subject(&self.0.prefix, instance, func).into())
    }

    async fn inbox(&self) -> anyhow::Result<Arc<Inbox>> {
        let known = || self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = known().as_ref().filter(|inbox| inbox.is_open()) {
            return Ok(Arc::clone(inbox));
        }
        let inbox = Inbox::of(&self.0.nats).await?;
        // Freed after the lock.
        let _stale = known().replace(Arc::clone(&inbox));
        Ok(inbox)
    }

    /// Takes an invocation, which arrived as `message`: tells the caller where to send the rest of the parameters.
    async fn accept(
        &self,
        target: &Target,
        paths: Option<&Paths>,
        message: Message,
    ) -> anyhow::Result<(Option<HeaderMap>, SubjectWriter, Reader)> {
        let caller = message
            .reply
            .with_context(|| format!("a call of {target} names no reply subject"))?;
        let inbox = self.inbox().await?;
        let entry = inbox
            .enter(|generation| Call::callee(target.clone(), paths.cloned(), generation))
            .map_err(|failure| failure.of(target))?;
        let nats = &self.0.nats;
        let answer = nats.publish_with_reply(caller.clone(), entry.subject(), Bytes::new());
        publish(answer)
            .await
            .map_err(|failure| failure.of(target))
            .context("cannot answer a call")?;
        let results = Subject::from(result_subject(&caller));
        Ok((
            message.headers,
            SubjectWriter::new(Arc::clone(nats), results, target.clone()),
            Reader::new(Arc::new(entry), message.payload),
        ))
    }
}

/// How many bytes `headers` take in a message, as upstream counts them.
fn encoded_len(headers: &HeaderMap) -> usize {
    let mut len = b"NATS/1.0\r\n".len() + b"\r\n".len();
    for (name, values) in headers.iter() {
        let name: &[u8] = name.as_ref();
        for value in values {
            len += name.len() + b": ".len() + value.as_str().len() + b"\r\n".len();
        }
    }
    len
}

impl Invoke for Remote {
    type Context = Option<HeaderMap>;
    type Outgoing = ParamWriter;
    type Incoming = Reader;

    /// Sends the call, with as much of its parameters as the first message has room for.
    ///
    /// # Errors
    ///
    /// When there is no connection for 5 s, or the client is closed. Then nothing was sent.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped before it is ready, nothing was sent.
    async fn invoke<P>(
        &self,
        cx: Self::Context,
        instance: &str,
        func: &str,
        mut params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let paths: Option<Paths> = match paths.as_ref() {
            [] => None,
            paths => Some(paths.iter().map(|path| path.as_ref().into()).collect()),
        };
        let target = self.target(instance, func);
        let nats = &self.0.nats;
        let server = server(nats).await.map_err(|failure| failure.of(&target))?;
        let max = server.max_payload;
        let inbox = self.inbox().await?;
        inbox.connected(server);
        let entry = inbox
            .enter(|generation| Call::caller(target.clone(), paths, generation))
            .map_err(|failure| failure.of(&target))?;
        let (subject, reply) = (target.0.clone(), entry.subject());
        let overhead = reply.len() + cx.as_ref().map_or(0, encoded_len);
        let first = params.split_to(params.len().min(max.saturating_sub(overhead)));
        match cx {
            Some(headers) => {
                let sent = nats.publish_with_reply_and_headers(subject, reply, headers, first);
                publish(sent).await
            }
            None => publish(nats.publish_with_reply(subject, reply, first)).await,
        }
        .map_err(|failure| failure.of(&target))?;
        let entry = Arc::new(entry);
        Ok((
            ParamWriter::new(&entry, params),
            Reader::new(entry, Bytes::new()),
        ))
    }
}

impl Serve for Remote {
    type Context = Option<HeaderMap>;
    type Outgoing = SubjectWriter;
    type Incoming = Reader;

    /// Subscribes the function, in the queue group if there is one.
    ///
    /// # Errors
    ///
    /// When the client is closed. An item of the stream is an error when that call could not be answered; the stream
    /// goes on.
    async fn serve(
        &self,
        instance: &str,
        func: &str,
        paths: impl Into<Arc<[Box<[Option<usize>]>]>> + Send,
    ) -> anyhow::Result<
        impl Stream<Item = anyhow::Result<(Self::Context, Self::Outgoing, Self::Incoming)>>
            + Send
            + 'static,
    > {
        let target = self.target(instance, func);
        let paths = Some(paths.into()).filter(|paths| !paths.is_empty());
        // Before the function can be called: the inbox is there when the first call comes.
        self.inbox().await?;
        let Inner {
            nats, queue_group, ..
        } = &*self.0;
        let subject = target.0.clone();
        let calls = match queue_group {
            Some(group) => {
                nats.queue_subscribe(subject.clone(), group.to_string())
                    .await
            }
            None => nats.subscribe(subject.clone()).await,
        }
        .with_context(|| format!("cannot serve {target}: the NATS client is closed"))?;
        let served = Arc::new((self.clone(), target, paths));
        Ok(Calls::new(nats, &subject, calls).then(move |message| {
            let served = Arc::clone(&served);
            async move {
                let (remote, target, paths) = &*served;
                remote.accept(target, paths.as_ref(), message).await
            }
        }))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("prefix", &self.0.prefix)
            .field("queue_group", &self.0.queue_group)
            .finish_non_exhaustive()
    }
}
