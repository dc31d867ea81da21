//! What the data of a store must offer, so that values can pass between a guest and wRPC.

use core::time::Duration;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;
use wasmtime::component::ResourceAny;
use wrpc_transport::Invoke;

use crate::invocation::off_fiber::Slot;
use crate::turns;

/// The data of a store whose imports are invoked over wRPC, or whose exports are served over it.
pub trait WrpcView: Send {
    /// The transport over which imports are invoked.
    type Invoke: Invoke;

    /// The transport over which imports are invoked.
    ///
    /// A guest's first import makes a clone of it, and those that follow may use that: a store keeps to one transport.
    fn client(&self) -> &Self::Invoke;

    /// The resources of this store's guests that were handed out to peers.
    fn shared_resources(&mut self) -> &mut SharedResourceTable;

    /// How long an invoked import may take, from the first byte sent to the last byte received. When it takes longer,
    /// the import fails and the component traps.
    ///
    /// The default, `None`, sets no bound. Where guests [take turns](crate::take_turns), it is as
    /// [`in_ticks`](crate::in_ticks) has it.
    fn timeout(&self) -> Option<Duration> {
        None
    }
}

/// [`WrpcView::timeout`], in time: where guests take turns, a host counts in ticks.
pub(crate) fn limit(view: &impl WrpcView) -> Option<Duration> {
    view.timeout().map(turns::in_time)
}

/// The resources of a guest that were handed out to peers, by the id that a peer knows them under.
///
/// Nothing tells the guest's side that a peer is done with a resource, so an entry lives as long as the table.
#[derive(Default)]
pub struct SharedResourceTable {
    resources: HashMap<Uuid, ResourceAny>,
    /// A clone of the store's [`client`](WrpcView::client). Here because this is the only place
    /// that is ours in a store.
    client: Option<Arc<dyn Any + Send + Sync>>,
    /// What the store's imports wait for.
    slot: Slot,
}

impl SharedResourceTable {
    /// Files `resource` under an id that was not in use, and returns the id.
    pub(crate) fn insert(&mut self, resource: ResourceAny) -> Uuid {
        let id = Uuid::now_v7();
        self.resources.insert(id, resource);
        id
    }

    /// How many a peer may know of.
    pub(crate) fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether a guest of the store has called a peer.
    pub(crate) fn has_called(&self) -> bool {
        self.client.is_some()
    }

    /// The resource that a peer knows as `id`.
    pub(crate) fn get(&self, id: &Uuid) -> Option<ResourceAny> {
        self.resources.get(id).copied()
    }
}

impl fmt::Debug for SharedResourceTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedResourceTable")
            .field(&self.resources)
            .finish()
    }
}

/// Where the imports of the store of `view` meet who drives its guest.
pub(crate) fn slot(view: &mut impl WrpcView) -> Slot {
    view.shared_resources().slot.clone()
}

/// The client of `view`, for an invocation that does not borrow from it.
///
/// One clone serves all invocations of a store: a client of the host has many counted parts.
pub(crate) fn shared_client<V>(view: &mut V) -> Arc<V::Invoke>
where
    V: WrpcView,
    V::Invoke: Clone + 'static,
{
    let shared = view.shared_resources().client.clone();
    if let Some(Ok(client)) = shared.map(Arc::downcast) {
        return client;
    }
    let client = Arc::new(view.client().clone());
    view.shared_resources().client = Some(Arc::clone(&client) as _);
    client
}

/// A resource of a peer: the handle that the peer gave it, of which only the peer knows the meaning.
///
/// A guest that imports a resource from a peer holds it as a host resource of this type.
pub struct RemoteResource(pub Bytes);
