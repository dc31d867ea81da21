//! The guest that wasmtime lifts values from and lowers them to, as the codec wants it: its memory and its resources.

use std::slice;

use anyhow::Context as _;
use inhost_codec::{LiftError, LowerError, Source, Taken, Target};
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{InterfaceType, LiftContext, LowerContext};
use wasmtime::component::{Lift, ResourceAny, ResourceType};
use wasmtime::ValRaw;
use wasmtime_wasi::InputStream;

use super::abi;
use crate::values::wire::{CannotPass, Kind};

/// An error of wasmtime's, on its way through the codec.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct WasmtimeError(#[from] anyhow::Error);

/// What the codec found wrong with `wrong`, or the error of wasmtime's as it was. `what` that is, a
/// parameter or a result, is for people.
pub(super) fn lift_error(
    error: LiftError<WasmtimeError>,
    what: &str,
    wrong: Option<usize>,
) -> anyhow::Error {
    let error = match error {
        LiftError::Source(WasmtimeError(error)) => error,
        error => error.into(),
    };
    match wrong {
        Some(value) => error.context(format!("failed to encode {what} value {value}")),
        None => error,
    }
}

/// As [`lift_error`].
pub(super) fn lower_error(
    error: LowerError<WasmtimeError>,
    what: &str,
    wrong: Option<usize>,
) -> anyhow::Error {
    let error = match error {
        LowerError::Target(WasmtimeError(error)) => error,
        error => error.into(),
    };
    match wrong {
        Some(value) => error.context(format!("failed to decode {what} value {value}")),
        None => error,
    }
}

/// A resource that was taken out of a guest. What becomes of it needs the data of the store, which is not at hand then.
#[derive(Debug)]
pub(super) struct FromResource {
    /// Its number in the plan.
    pub(super) resource: u32,
    /// Which parameter or result it is in.
    pub(super) value: usize,
    /// Where its content goes, if it is a stream.
    pub(super) path: Option<Box<[usize]>>,
    pub(super) handle: ResourceAny,
}

/// A guest that passes values to the host.
pub(super) struct FromGuest<'c, 'm> {
    pub(super) context: &'c mut LiftContext<'m>,
    /// The types of its resources, by their numbers in the plan.
    pub(super) types: &'c [InterfaceType],
    /// Those that were taken out of it.
    pub(super) taken: Vec<FromResource>,
    /// Which parameter or result is wrong.
    pub(super) wrong: Option<usize>,
}

impl<'m> Source<'m> for FromGuest<'_, 'm> {
    type Error = WasmtimeError;

    fn bytes(&self) -> &'m [u8] {
        self.context.memory()
    }

    fn is_utf8(&self) -> bool {
        matches!(self.context.options.string_encoding(), StringEncoding::Utf8)
    }

    fn transcoded(&mut self, pointer: u32, length: u32) -> Result<String, WasmtimeError> {
        let core = [ValRaw::u32(pointer), ValRaw::u32(length)];
        Ok(<String as Lift>::lift(
            self.context,
            InterfaceType::String,
            &core,
        )?)
    }

    fn take(&mut self, resource: u32, index: u32, path: &[usize]) -> Result<Taken, WasmtimeError> {
        let value = path.first().copied().unwrap_or_default();
        let ty = type_of(self.types, resource)?;
        let handle = <ResourceAny as Lift>::lift(self.context, ty, &ValRaw::u32(index))
            .with_context(|| format!("there is no resource of its type at {index}"))?;
        // The resource knows better than the type what it is.
        let is_stream = handle.ty() == ResourceType::host::<InputStream>();
        self.taken.push(FromResource {
            resource,
            value,
            path: is_stream.then(|| path.into()),
            handle,
        });
        Ok(match is_stream {
            true => Taken::Stream,
            false => Taken::Handle,
        })
    }

    fn wrong(&mut self, value: usize) {
        self.wrong = Some(value);
    }
}

/// A guest that the host passes values to.
pub(super) struct ToGuest<'c, 'm, T> {
    pub(super) context: &'c mut LowerContext<'m, T>,
    /// As in [`FromGuest`].
    pub(super) types: &'c [InterfaceType],
    /// What they are, by the same numbers.
    pub(super) kinds: &'c [Kind],
    /// What it is given, in this order.
    pub(super) given: slice::Iter<'c, ResourceAny>,
    /// As in [`FromGuest`].
    pub(super) wrong: Option<usize>,
}

impl<T> Target for ToGuest<'_, '_, T> {
    type Error = WasmtimeError;

    fn bytes(&mut self) -> &mut [u8] {
        self.context.as_slice_mut()
    }

    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, WasmtimeError> {
        Ok(self.context.realloc(0, 0, align, size)?)
    }

    fn is_utf8(&self) -> bool {
        matches!(self.context.options.string_encoding(), StringEncoding::Utf8)
    }

    fn transcode(&mut self, text: &str) -> Result<(u32, u32), WasmtimeError> {
        Ok(abi::lower_str(text, self.context)?)
    }

    fn give(&mut self, resource: u32) -> Result<u32, WasmtimeError> {
        let ty = type_of(self.types, resource)?;
        let handle = self.given.next();
        let handle = handle.context("the values have more resources than there are for them")?;
        let (InterfaceType::Own(table) | InterfaceType::Borrow(table)) = ty else {
            return Err(no_resource().into());
        };
        // A peer cannot have a resource of this host, whatever it sends as its handle.
        if self.context.resource_type(table) != handle.ty() {
            let kind = self.kinds.get(resource as usize);
            return Err(anyhow::Error::from(CannotPass::of(kind)).into());
        }
        Ok(abi::lower_resource(handle, self.context, ty)?)
    }

    fn wrong(&mut self, value: usize) {
        self.wrong = Some(value);
    }
}

/// The type of a resource, by its number.
fn type_of(types: &[InterfaceType], resource: u32) -> anyhow::Result<InterfaceType> {
    types
        .get(resource as usize)
        .copied()
        .ok_or_else(no_resource)
}

fn no_resource() -> anyhow::Error {
    anyhow::anyhow!("the plan has resources that the function does not have")
}
