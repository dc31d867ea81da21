//! A component calls what its link leads to.

use std::io;
use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;
use inhost_dispatch::CallError;
use tracing::Span;
use wasmcloud_runtime::component::{
    InvocationErrorIntrospect, InvocationErrorKind, ReplacedInstanceTarget,
};
use wrpc_transport::Invoke;

use super::Handler;
use crate::client::{Client, Origin};
use crate::link::{without_version, Target};

impl Invoke for Handler {
    type Context = Option<ReplacedInstanceTarget>;
    type Outgoing = <Client as Invoke>::Outgoing;
    type Incoming = <Client as Invoke>::Incoming;

    /// # Errors
    ///
    /// When the component has no link for the interface, and when the component that it leads to does not export the
    /// function.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the function does not run.
    async fn invoke<P>(
        &self,
        replaced: Self::Context,
        instance: &str,
        func: &str,
        params: Bytes,
        paths: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        let interface = match replaced {
            Some(replaced) => original(replaced),
            None => instance,
        };
        let link = self.link_of(without_version(interface));
        let component = &self.component;
        let target = component.links.find(&link, interface).ok_or_else(|| {
            anyhow!(
                "the component `{}` has no link `{link}` of `{interface}`, so `{func}` cannot be called; {}. Link it to a \
                 component that exports the interface",
                component.id,
                component.links.list()
            )
        })?;
        let origin = Origin {
            source: Some(Arc::clone(&component.id)),
            link: Some(Arc::clone(&link)),
            span: Span::current(),
        };
        let invoked = target.client.invoke(origin, instance, func, params, paths);
        invoked
            .await
            .map_err(|error| match CallError::find(error.as_ref()) {
                Some(CallError::NotServedHere { .. }) => {
                    self.not_exported(&link, target, instance, func)
                }
                _ => error,
            })
    }
}

impl Handler {
    /// The link leads to a component that has no such function.
    fn not_exported(
        &self,
        link: &str,
        target: &Target,
        instance: &str,
        func: &str,
    ) -> anyhow::Error {
        let served = self.component.shared.served();
        let mut instances: Vec<_> = served
            .iter()
            .filter(|served| *served.prefix == *target.id)
            .map(|served| &*served.instance)
            .collect();
        instances.dedup();
        let exports = match instances.as_slice() {
            [] => "nothing".into(),
            instances => format!("`{}`", instances.join("`, `")),
        };
        // The kind says that no one serves the function: a component may then be served by an older interface.
        anyhow!(io::Error::new(
            io::ErrorKind::NotConnected,
            format!(
                "the component `{}`, to which the link `{link}` of `{}` leads, does not export `{instance}.{func}`; it \
                 exports {exports}",
                target.id, self.component.id
            ),
        ))
    }
}

impl InvocationErrorIntrospect for Handler {
    fn invocation_error_kind(&self, error: &anyhow::Error) -> InvocationErrorKind {
        let cause = error.root_cause().downcast_ref::<io::Error>();
        match cause.map(io::Error::kind) {
            Some(io::ErrorKind::NotConnected) => InvocationErrorKind::NotFound,
            _ => InvocationErrorKind::Trap,
        }
    }
}

/// The interface that a component imports, where the runtime calls another one in its place.
fn original(replaced: ReplacedInstanceTarget) -> &'static str {
    match replaced {
        ReplacedInstanceTarget::BlobstoreBlobstore => "wasi:blobstore/blobstore",
        // Linked as one: a container comes out of a blobstore.
        ReplacedInstanceTarget::BlobstoreContainer => "wasi:blobstore/blobstore",
        ReplacedInstanceTarget::KeyvalueAtomics => "wasi:keyvalue/atomics",
        ReplacedInstanceTarget::KeyvalueStore => "wasi:keyvalue/store",
        ReplacedInstanceTarget::KeyvalueBatch => "wasi:keyvalue/batch",
        ReplacedInstanceTarget::HttpIncomingHandler => "wasi:http/incoming-handler",
        ReplacedInstanceTarget::HttpOutgoingHandler => "wasi:http/outgoing-handler",
    }
}
