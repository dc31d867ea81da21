use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};

use futures::Stream;
use inhost_registry::{Registration, Scope};
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
            Arc::clone(&prefix),
            instance,
            function,
            local.limits(),
        ));
        let registration = local.registry.register(
            scope.clone(),
            &prefix,
            instance,
            function,
            Arc::clone(&endpoint),
        );
        Self {
            local,
            scope,
            prefix,
            instance: instance.into(),
            function: function.into(),
            endpoint,
            registration: Some(registration),
        }
    }
}

impl<C: Send + Sync + 'static, B: Backend> Stream for LocalInvocations<C, B> {
    type Item = Invocation<C, B>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let invocation = ready!(self.endpoint.queue().poll_pop(cx));
            if invocation.call.caller_gone() {
                debug!(
                    prefix = &*self.prefix,
                    instance = &*self.instance,
                    function = &*self.function,
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
        for invocation in self.endpoint.queue().close() {
            let other = self
                .local
                .lookup(&self.scope, &self.prefix, &self.instance, &self.function)
                .map(|(endpoint, _)| endpoint);
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
