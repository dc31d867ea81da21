//! The function that is being served, for a transport that wants to know more of it than its name.
//!
//! A transport serves names: wRPC's trait tells it no types. One in the same process can ask for them here.

use std::future::Future;

use wasmtime::component::types::ComponentFunc;

tokio::task_local! {
    static SERVING: ComponentFunc;
}

/// The type of the function that [`ServeExt`](crate::ServeExt) is having served in this task, for the transport's
/// [`serve`](wrpc_transport::Serve::serve) to ask for.
///
/// `None` outside of that, and for an interface that is served by other means.
pub fn type_being_served() -> Option<ComponentFunc> {
    SERVING.try_with(Clone::clone).ok()
}

/// Runs `serve`, in which a transport is told to serve a function of type `ty`.
pub(crate) async fn with_type<T>(ty: ComponentFunc, serve: impl Future<Output = T>) -> T {
    SERVING.scope(ty, serve).await
}
