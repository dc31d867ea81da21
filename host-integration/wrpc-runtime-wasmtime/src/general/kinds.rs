//! What the resources in the signature of a function are.

use std::collections::HashSet;

use anyhow::bail;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ResourceType, Type};
use wasmtime_wasi::InputStream;

use crate::imports::{of_host, Imports, OfHost};
use crate::types::{place, Place};
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
pub(crate) struct Kinds(Vec<(ResourceType, Kind)>);

impl Kinds {
    /// Of the resources that a guest defines, and those of instantiated types.
    pub(crate) fn of_guest(resources: &[ResourceType]) -> Self {
        Self(resources.iter().map(|ty| (*ty, Kind::Guest)).collect())
    }

    /// Of those `used` by an import that is being linked. `guest` are the resources that the guest defines.
    pub(crate) fn of_import(used: &[ResourceType], guest: &[ResourceType]) -> Self {
        let mut kinds = Self::default();
        for ty in used {
            let kind = match of_host(*ty) {
                Some(OfHost::InputStream) => Kind::Stream,
                Some(OfHost::Other(name)) => Kind::Host(name),
                None => continue,
            };
            kinds.add(*ty, kind);
        }
        kinds.0.extend(Self::of_guest(guest).0);
        kinds
    }

    /// Of those of an export: `types` are those of its parameters and results as the component has them, with imported
    /// resources that `imports` can name, and `real` the same as the instance has them. `guest` are the resources that
    /// the component defines, in terms of `types`.
    pub(crate) fn of_export<'a>(
        types: impl Iterator<Item = &'a Type>,
        real: impl Iterator<Item = &'a Type>,
        guest: &[ResourceType],
        imports: &Imports,
    ) -> Self {
        let (mut kinds, mut seen) = (Self::default(), HashSet::new());
        for (ty, real) in types.zip(real) {
            each_pair(ty, real, &mut seen, &mut |ty, real| {
                let kind = if real == ResourceType::host::<InputStream>() {
                    Kind::Stream
                } else if real == ResourceType::host::<RemoteResource>() {
                    Kind::Remote
                } else if guest.contains(&ty) {
                    Kind::Guest
                } else {
                    let name = imports.name(ty);
                    Kind::Host(name.as_deref().unwrap_or(UNNAMED).into())
                };
                kinds.add(ty, kind);
            });
        }
        kinds
    }

    fn add(&mut self, ty: ResourceType, kind: Kind) {
        if !self.0.iter().any(|(known, _)| *known == ty) {
            self.0.push((ty, kind));
        }
    }

    /// The kind of `ty`. What nothing is known of is a resource of a peer.
    pub(crate) fn of(&self, ty: ResourceType) -> &Kind {
        if let Some((_, kind)) = self.0.iter().find(|(known, _)| *known == ty) {
            return kind;
        }
        if ty == ResourceType::host::<InputStream>() {
            return &Kind::Stream;
        }
        &Kind::Remote
    }

    /// Whether a call of the function can succeed.
    ///
    /// # Errors
    ///
    /// When each call passes a resource that cannot pass. A value in an option, a list or a variant may be absent, so
    /// it is no reason.
    pub(crate) fn check(&self, ty: &ComponentFunc) -> anyhow::Result<()> {
        let params = ty.params().enumerate().map(|(i, ty)| ("parameter", i, ty));
        let results = ty.results().enumerate().map(|(i, ty)| ("result", i, ty));
        for (what, i, ty) in params.chain(results) {
            if let Some(kind) = self.in_each_value(&ty, &mut HashSet::new()) {
                bail!("{what} {i}: {}", CannotPass::of(Some(kind)));
            }
        }
        Ok(())
    }

    /// A resource that cannot pass, in each value of type `ty`.
    fn in_each_value(&self, ty: &Type, seen: &mut HashSet<Place>) -> Option<&Kind> {
        match ty {
            Type::Own(ty) | Type::Borrow(ty) => {
                Some(self.of(*ty)).filter(|kind| matches!(kind, Kind::Host(_)))
            }
            Type::Record(_) | Type::Tuple(_) if is_new(ty, seen) => {
                let mut children = children(ty).into_iter();
                children.find_map(|ty| self.in_each_value(&ty, seen))
            }
            _ => None,
        }
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

/// The types that `ty` is made of.
fn children(ty: &Type) -> Vec<Type> {
    match ty {
        Type::List(ty) => vec![ty.ty()],
        Type::Option(ty) => vec![ty.ty()],
        Type::Record(ty) => ty.fields().map(|field| field.ty).collect(),
        Type::Tuple(ty) => ty.types().collect(),
        Type::Variant(ty) => ty.cases().filter_map(|case| case.ty).collect(),
        Type::Result(ty) => [ty.ok(), ty.err()].into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// Whether a type was not looked into before, if that can be told.
fn is_new(ty: &Type, seen: &mut HashSet<Place>) -> bool {
    place(ty).is_none_or(|place| seen.insert(place))
}

/// Calls `found` with each resource in `a`, and the one in its place in `b`, which is the same type in other terms.
fn each_pair(
    a: &Type,
    b: &Type,
    seen: &mut HashSet<Place>,
    found: &mut impl FnMut(ResourceType, ResourceType),
) {
    match (a, b) {
        (Type::Own(a), Type::Own(b)) | (Type::Borrow(a), Type::Borrow(b)) => found(*a, *b),
        _ if is_new(a, seen) => {
            for (a, b) in children(a).iter().zip(&children(b)) {
                each_pair(a, b, seen, found);
            }
        }
        _ => {}
    }
}
