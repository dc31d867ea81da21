use std::any::Any;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use futures::future::BoxFuture;
use futures::stream::{BoxStream, Stream, StreamExt as _};
use futures::FutureExt as _;
use inhost_registry::{Registration, Scope};
use tokio::task::unconstrained;
use tokio::time::Instant;
use tracing::debug;
use wrpc_transport::Serve;

use crate::ambient;
use crate::backend::Backend;
use crate::beside::Streams;
use crate::call::{Callee, Incoming, Outgoing};
use crate::endpoint::{Arriving, Endpoint, Invocation, RemoteCalls};
use crate::host::Local;
use crate::leaving::Leave;
use crate::observe::Traveller;
use crate::queue::Loan;

/// An invocation, or why one could not be taken.
pub(crate) type Item<R, B> = anyhow::Result<(
    <R as Serve>::Context,
    Outgoing<B, <R as Serve>::Outgoing>,
    Incoming<B, <R as Serve>::Incoming>,
)>;

/// The invocations of a function that come over the remote transport, as that brings them.
type Calls<R> = BoxStream<
    'static,
    anyhow::Result<(
        <R as Serve>::Context,
        <R as Serve>::Outgoing,
        <R as Serve>::Incoming,
    )>,
>;

/// The invocations of a function, local and remote, for as long as it is the turn of whoever has
/// this. Never ends by itself.
///
/// Waiting for its turn, and after it, this brings nothing. It does not end, not even when the
/// remote stream does: whoever serves a function takes it that such a stream goes on for ever. The
/// host library would ask for the next invocation again and again without ever letting go of its
/// thread, and a runtime that is shut down waits for that. What becomes of it when its generation was
/// ended is in `leaving`.
pub(crate) struct Invocations<R: Serve, B: Backend> {
    registration: Registration<Endpoint<R::Context, B>>,
    /// Dropped after the registration.
    told: Told<R::Context, B>,
    /// Subscribes on the remote transport, should no one have done so when it is the turn of this.
    subscribe: Option<BoxFuture<'static, anyhow::Result<Calls<R>>>>,
    /// Whether the next invocation may be a remote one even if a local one waits.
    remote_next: bool,
    leave: Leave,
}

impl<R, B> Invocations<R, B>
where
    R: Serve<Context: Default + Clone> + Clone + Send + Sync + 'static,
    B: Backend,
{
    /// Registers a function as one that `client` serves. If it is its turn, it is subscribed on the
    /// remote transport when this returns.
    ///
    /// # Errors
    ///
    /// Those of the remote transport. Then nothing is registered.
    pub(crate) async fn serve(
        local: Arc<Local<R::Context, B>>,
        scope: Scope,
        prefix: &Arc<str>,
        client: u64,
        remote: R,
        (instance, function): (&str, &str),
        paths: Arc<[Box<[Option<usize>]>]>,
    ) -> anyhow::Result<Self> {
        let make = || {
            let target = local.targets.get(prefix, instance, function);
            Endpoint::new(target, local.limits(), local.patience())
        };
        let registration = local
            .registry
            .register(scope, prefix, client, instance, function, make);
        local.changed.notify_waiters();
        let leave = Leave::new(local.clients.of(client), registration.reader());
        registration.value().target().serve(ambient::has_results());
        let names: [Box<str>; 2] = [instance.into(), function.into()];
        let subscribe = async move {
            let [instance, function] = &names;
            let calls = remote.serve(instance, function, paths).await?;
            Ok(calls.boxed())
        };
        let mut served = Self {
            registration,
            told: Told(local),
            subscribe: Some(Box::pin(subscribe)),
            remote_next: false,
            leave,
        };
        poll_fn(|cx| served.poll_subscribed(cx)).await?;
        Ok(served)
    }

    fn poll_subscribed(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        match self.borrow(cx) {
            Loan::Absent => self.poll_subscribe(cx),
            Loan::Wait => Poll::Ready(Ok(())),
            Loan::Source(calls) => {
                self.give_back(Some(calls));
                Poll::Ready(Ok(()))
            }
        }
    }

    fn borrow(&self, cx: &mut Context<'_>) -> Loan<RemoteCalls> {
        let queue = self.registration.value().queue();
        queue.borrow(self.registration.reader(), cx)
    }

    fn give_back(&self, calls: Option<RemoteCalls>) {
        let queue = self.registration.value().queue();
        queue.give_back(self.registration.reader(), calls);
    }

    /// Subscribes the function, which has no subscription. Waits for ever if this has subscribed it before.
    fn poll_subscribe(&mut self, cx: &mut Context<'_>) -> Poll<anyhow::Result<()>> {
        let Some(subscribe) = &mut self.subscribe else {
            return Poll::Pending;
        };
        let calls = ready!(subscribe.as_mut().poll(cx));
        self.subscribe = None;
        let target = Arc::clone(self.registration.value().target());
        self.give_back(Some(RemoteCalls::new(Box::new(calls?), target)));
        Poll::Ready(Ok(()))
    }

    fn poll_remote(&mut self, cx: &mut Context<'_>) -> Poll<Item<R, B>> {
        loop {
            let mut calls = match self.borrow(cx) {
                Loan::Source(calls) => calls,
                Loan::Wait => return Poll::Pending,
                Loan::Absent => match ready!(self.poll_subscribe(cx)) {
                    Ok(()) => continue,
                    Err(error) => {
                        let target = self.registration.value().target();
                        let error = error.context(format!("{target} is served on this host only"));
                        return Poll::Ready(Err(error));
                    }
                },
            };
            let Some(stream) = calls.downcast_mut::<Calls<R>>() else {
                // Another transport served it within the same scope.
                self.give_back(None);
                continue;
            };
            let polled = stream.poll_next_unpin(cx);
            if let Poll::Ready(None) = polled {
                self.subscribe = None;
                self.give_back(None);
                return Poll::Pending;
            }
            self.give_back(Some(calls));
            let Poll::Ready(Some(invocation)) = polled else {
                return Poll::Pending;
            };
            return Poll::Ready(invocation.map(|invocation| {
                let again = Some(Box::new(invocation.0.clone()) as _);
                arrived(&self.told.0, self.registration.value(), again, invocation)
            }));
        }
    }

    fn poll_local(&mut self, cx: &mut Context<'_>) -> Poll<Item<R, B>> {
        let endpoint = self.registration.value();
        loop {
            let reader = self.registration.reader();
            let invocation = match ready!(endpoint.queue().poll_pop(reader, cx)) {
                Invocation::Local(invocation) => invocation,
                Invocation::Remote(invocation) => {
                    let streams = invocation.streams;
                    type Both<R, B> = Streams<B, <R as Serve>::Outgoing, <R as Serve>::Incoming>;
                    let Ok(streams) = streams.downcast::<Both<R, B>>() else {
                        // Another transport served it within the same scope.
                        continue;
                    };
                    let (outgoing, incoming) = *streams;
                    let context = incoming.context().cloned().unwrap_or_default();
                    return Poll::Ready(Ok((context, outgoing, incoming)));
                }
            };
            if invocation.call.caller_gone() {
                debug!(
                    function = %endpoint.target(),
                    "skipped a queued invocation whose caller has gone"
                );
                continue;
            }
            invocation.call.taken();
            return Poll::Ready(Ok((
                invocation.context,
                Outgoing::local(invocation.outgoing),
                Incoming::local(invocation.incoming),
            )));
        }
    }
}

impl<R, B> Stream for Invocations<R, B>
where
    R: Serve<Context: Default + Clone> + Clone + Send + Sync + 'static,
    B: Backend,
{
    type Item = Item<R, B>;

    /// Looks at the two in turn, so that neither can starve the other.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let remote_first = this.remote_next;
        this.remote_next = !remote_first;
        let first = match remote_first {
            true => this.poll_remote(cx),
            false => this.poll_local(cx),
        };
        let invocation = first.is_pending().then(|| match remote_first {
            true => this.poll_local(cx),
            false => this.poll_remote(cx),
        });
        let invocation = invocation.unwrap_or(first);
        if invocation.is_pending() {
            this.leave.poll(cx);
        }
        invocation.map(Some)
    }
}

impl<C, O, I> Arriving for BoxStream<'static, anyhow::Result<(C, O, I)>>
where
    (C, O, I): 'static,
{
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn drop_next(&mut self) -> bool {
        // Without a bound on how much a task may do at once: what is left has arrived, too.
        let next = unconstrained(self.next()).now_or_never();
        matches!(next, Some(Some(_)))
    }
}

/// A call that came over the remote transport for the function of `endpoint`. `again` is what comes
/// with it for whoever takes it after it was put back, `None` if it cannot be.
pub(crate) fn arrived<C, B, O, I>(
    local: &Local<C, B>,
    endpoint: &Arc<Endpoint<C, B>>,
    again: Option<Box<dyn Any + Send + Sync>>,
    (context, outgoing, incoming): (C, O, I),
) -> (C, Outgoing<B, O>, Incoming<B, I>)
where
    C: Default + Send + Sync + 'static,
    B: Backend,
{
    let callee = Callee {
        home: Arc::clone(endpoint) as _,
        context: again,
        came: Instant::now(),
    };
    let target = endpoint.target();
    let traveller = Traveller::arrives(local.observer(), &context, target);
    let outgoing = Outgoing::remote_results(outgoing, Arc::clone(target), traveller.clone());
    let incoming = Incoming::remote_params(incoming, callee, traveller);
    (context, outgoing, incoming)
}

/// Has those told that look at generations when this is dropped.
struct Told<C, B: Backend>(Arc<Local<C, B>>);

impl<C, B: Backend> Drop for Told<C, B> {
    fn drop(&mut self) {
        self.0.changed.notify_waiters();
    }
}

impl<R: Serve, B: Backend> Drop for Invocations<R, B> {
    fn drop(&mut self) {
        let queue = self.registration.value().queue();
        queue.leave(self.registration.reader());
    }
}
