//! How calls travel between the components of a lattice.

use std::sync::Arc;

use inhost_backends::AnyBackend;
use inhost_dispatch::{Dispatcher, Local, Nowhere};
use tracing::Span;

/// What goes along with an invocation: who makes it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The component that calls. `None` when the call comes from outside of the lattice.
    pub(crate) source: Option<Arc<str>>,
    /// The name of the link that the call goes over.
    pub(crate) link: Option<Arc<str>>,
    /// What the caller does meanwhile.
    pub(crate) span: Span,
}

impl Default for Origin {
    /// That of a call of which no one knows any more who makes it.
    fn default() -> Self {
        Self {
            source: None,
            link: None,
            span: Span::none(),
        }
    }
}

/// Serves and invokes the functions of one component. There is nothing remote.
pub(crate) type Client = Dispatcher<Nowhere<Origin>, Origin, AnyBackend>;

/// What all clients of a lattice share.
pub(crate) type Shared = Arc<Local<Origin, AnyBackend>>;
