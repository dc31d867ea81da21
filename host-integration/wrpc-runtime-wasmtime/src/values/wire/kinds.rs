//! What the resources in the signature of a function are.

use wasmtime::component::ResourceType;
use wasmtime_wasi::InputStream;

use crate::types::by_resource::ByResource;
use crate::types::imports::{of_host, OfHost};
use crate::view::RemoteResource;

/// What a resource is, and so how it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An input stream: its content passes.
    Stream,
    /// A resource of a peer: its handle passes.
    Remote,
    /// A resource of the guest: an id that it can be found by passes.
    Guest,
    /// Another resource of the host, which cannot pass: its name.
    Host(Box<str>),
    /// One that is imported, of a peer or of the host: its name. The instance knows which.
    Imported(Box<str>),
}

/// The kinds of resource types.
#[derive(Debug, Default)]
pub(crate) struct Kinds(ByResource<Kind>);

impl Kinds {
    /// Of the resources that a guest defines, and those of instantiated types.
    pub(crate) fn of_guest(resources: &[ResourceType]) -> Self {
        Self::from_iter(resources.iter().map(|ty| (*ty, Kind::Guest)))
    }

    /// Of those `used` by an import that is being linked. `guest` are the resources that the guest defines.
    pub(crate) fn of_import(
        used: impl Iterator<Item = ResourceType>,
        guest: &[ResourceType],
    ) -> Self {
        let of_host = used.filter_map(|ty| match of_host(ty)? {
            OfHost::InputStream => Some((ty, Kind::Stream)),
            OfHost::Other(name) => Some((ty, Kind::Host(name))),
        });
        Self::from_iter(of_host.chain(guest.iter().map(|ty| (*ty, Kind::Guest))))
    }

    /// Of the resources of an export: `used` as the component has them, and `real` the same as the
    /// instance has them. `guest` are those that the component defines, in terms of `used`.
    pub(crate) fn of_export(
        used: impl Iterator<Item = ResourceType>,
        real: impl Iterator<Item = ResourceType>,
        guest: &[ResourceType],
    ) -> Self {
        Self::from_iter(used.zip(real).map(|(ty, real)| {
            let kind = if real == ResourceType::host::<InputStream>() {
                Kind::Stream
            } else if real == ResourceType::host::<RemoteResource>() {
                Kind::Remote
            } else if guest.contains(&ty) {
                Kind::Guest
            } else {
                Kind::Host(UNNAMED.into())
            };
            (ty, kind)
        }))
    }

    /// The kind of `ty`. What nothing is known of is a resource of a peer.
    pub(crate) fn of(&self, ty: ResourceType) -> &Kind {
        match self.0.get(ty) {
            Some(kind) => kind,
            None if ty == ResourceType::host::<InputStream>() => &Kind::Stream,
            None => &Kind::Remote,
        }
    }
}

impl FromIterator<(ResourceType, Kind)> for Kinds {
    /// Of one that is there more than once, the first is taken.
    fn from_iter<I: IntoIterator<Item = (ResourceType, Kind)>>(kinds: I) -> Self {
        let mut known = ByResource::default();
        for (ty, kind) in kinds {
            known.entry(ty, || kind);
        }
        Self(known)
    }
}

/// A resource of this host that was to pass, by its name.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is a resource of this host, which cannot be passed between components (encoding host resources not \
     supported): of these, only owned input streams of `wasi:io` can"
)]
pub(crate) struct CannotPass(Box<str>);

impl CannotPass {
    /// A resource of such a kind, as far as it is known.
    pub(crate) fn of(kind: Option<&Kind>) -> Self {
        match kind {
            Some(Kind::Host(name) | Kind::Imported(name)) => Self(name.clone()),
            _ => Self(UNNAMED.into()),
        }
    }
}

/// The name of a resource that no import of the component defines.
pub(crate) const UNNAMED: &str = "(unnamed)";
