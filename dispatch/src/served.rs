use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use futures::Stream;
use inhost_registry::{Registration, Scope};
use pin_project_lite::pin_project;
use tracing::debug;

use crate::backend::Backend;
use crate::endpoint::{Endpoint, Invocation};
use crate::local::Local;

/// The local invocations of a function. Never ends by itself.
///
/// The function is registered for as long as this lives. When it is dropped, what still waits here moves to another
/// endpoint of the same function; if there is none, the caller gets
/// [`CallError::NotAccepted`](crate::CallError::NotAccepted).
pub(crate) struct LocalInvocations<C: Send + Sync + 'static, B: Backend> {
    local: Arc<Local<C, B>>,
    scope: Scope,
    prefix: Arc<str>,
    instance: Box<str>,
    function: Box<str>,
    endpoint: Arc<Endpoint<C, B>>,
    /// Taken out when this is dropped.
    registration: Option<Registration<Endpoint<C, B>>>,
    /// Whether older endpoints have been looked for.
    polled: bool,
}

impl<C: Send + Sync + 'static, B: Backend> LocalInvocations<C, B> {
    pub(crate) fn new(
        local: Arc<Local<C, B>>,
        scope: Scope,
        prefix: Arc<str>,
        instance: &str,
        function: &str,
    ) -> Self {
        let endpoint = Arc::new(Endpoint::new(
            local.targets.get(&prefix, instance, function),
            local.limits(),
        ));
        let registration = local.registry.register(
            scope.clone(),
            &prefix,
            instance,
            function,
            Arc::clone(&endpoint),
        );
        endpoint.set_generation(registration.generation());
        if local.replacing.is_replaced(&prefix) && !registration.older().is_empty() {
            local
                .replacing
                .registered(&prefix, registration.generation());
        }
        Self {
            local,
            scope,
            prefix,
            instance: instance.into(),
            function: function.into(),
            endpoint,
            registration: Some(registration),
            polled: false,
        }
    }

    pub(crate) fn endpoint(&self) -> Arc<Endpoint<C, B>> {
        Arc::clone(&self.endpoint)
    }

    /// While a component is replaced, the version that is served last takes over for good.
    ///
    /// Not before it is polled: until then it can still turn out that it is not going to be served.
    fn take_over(&self) {
        if !self.local.replacing.is_replaced(&self.prefix) {
            return;
        }
        let older = self.registration.as_ref().map(Registration::older);
        for older in older.into_iter().flatten() {
            older.supersede();
            for invocation in older.close() {
                // One that does not fit is dropped: its caller learns that it did not run.
                let _ = self.endpoint.adopt(invocation);
            }
        }
    }
}

impl<C: Send + Sync + 'static, B: Backend> Stream for LocalInvocations<C, B> {
    type Item = Invocation<C, B>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if !this.polled {
            this.polled = true;
            this.take_over();
        }
        loop {
            let invocation = ready!(this.endpoint.queue().poll_pop(cx));
            this.endpoint.room().notify_one();
            if invocation.call.caller_gone() {
                debug!(
                    prefix = &*this.prefix,
                    instance = &*this.instance,
                    function = &*this.function,
                    "skipped a queued invocation whose caller has gone"
                );
                continue;
            }
            invocation.call.taken();
            return Poll::Ready(Some(invocation));
        }
    }
}

impl<C: Send + Sync + 'static, B: Backend> Drop for LocalInvocations<C, B> {
    fn drop(&mut self) {
        // First out of the registry: what is looked up from here on is another endpoint.
        drop(self.registration.take());
        for invocation in self.endpoint.close() {
            let other =
                self.local
                    .lookup(&self.scope, &self.prefix, &self.instance, &self.function);
            let left = match other {
                Some(endpoint) => endpoint.adopt(invocation).err(),
                None => Some(invocation),
            };
            if left.is_some() {
                debug!(
                    prefix = &*self.prefix,
                    instance = &*self.instance,
                    function = &*self.function,
                    "an invocation waited at an endpoint that went away, and there is no other"
                );
            }
        }
    }
}

pin_project! {
    /// All invocations of a function, until a newer endpoint takes over for good.
    ///
    /// It then drops the streams that it has, and with them the registration and the remote subscription. It does not
    /// end, not even when they do, as the remote one does with its connection: whoever serves a function takes it that
    /// such a stream goes on for ever. The host library would ask for the next invocation again and again without ever
    /// letting go of its thread, and a runtime that is shut down waits for that.
    pub(crate) struct UntilSuperseded<S, C, B: Backend> {
        #[pin]
        invocations: Option<S>,
        endpoint: Option<Arc<Endpoint<C, B>>>,
    }
}

impl<S, C, B: Backend> UntilSuperseded<S, C, B> {
    /// `endpoint` is where the local ones of `invocations` wait.
    pub(crate) fn new(invocations: S, endpoint: Option<Arc<Endpoint<C, B>>>) -> Self {
        Self {
            invocations: Some(invocations),
            endpoint,
        }
    }
}

impl<S: Stream, C, B: Backend> Stream for UntilSuperseded<S, C, B> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let endpoint = this.endpoint.as_ref();
        if endpoint.is_some_and(|endpoint| endpoint.poll_superseded(cx.waker())) {
            this.invocations.set(None);
            *this.endpoint = None;
        }
        if let Some(invocations) = this.invocations.as_mut().as_pin_mut() {
            match ready!(invocations.poll_next(cx)) {
                None => this.invocations.set(None),
                invocation => return Poll::Ready(invocation),
            }
        }
        Poll::Pending
    }
}
