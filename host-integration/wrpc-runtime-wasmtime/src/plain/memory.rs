//! The guest memory that wasmtime lifts values from and lowers them to, as the codec wants it.

use inhost_codec::{LiftError, LowerError, Source, Target};
use wasmtime::component::__internal::wasmtime_environ::component::StringEncoding;
use wasmtime::component::__internal::{InterfaceType, LiftContext, LowerContext};
use wasmtime::component::Lift;
use wasmtime::ValRaw;

use super::abi;

/// An error of wasmtime's, on its way through the codec.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct WasmtimeError(#[from] anyhow::Error);

/// What the codec found wrong, or the error of wasmtime's as it was.
pub(super) fn lift_error(error: LiftError<WasmtimeError>) -> anyhow::Error {
    match error {
        LiftError::Source(WasmtimeError(error)) => error,
        error => error.into(),
    }
}

/// As [`lift_error`].
pub(super) fn lower_error(error: LowerError<WasmtimeError>) -> anyhow::Error {
    match error {
        LowerError::Target(WasmtimeError(error)) => error,
        error => error.into(),
    }
}

/// The memory of a guest that passes values to the host.
pub(super) struct FromGuest<'c, 'm>(pub(super) &'c mut LiftContext<'m>);

impl<'m> Source<'m> for FromGuest<'_, 'm> {
    type Error = WasmtimeError;

    fn bytes(&self) -> &'m [u8] {
        self.0.memory()
    }

    fn is_utf8(&self) -> bool {
        matches!(self.0.options.string_encoding(), StringEncoding::Utf8)
    }

    fn transcoded(&mut self, pointer: u32, length: u32) -> Result<String, WasmtimeError> {
        let core = [ValRaw::u32(pointer), ValRaw::u32(length)];
        Ok(<String as Lift>::lift(
            self.0,
            InterfaceType::String,
            &core,
        )?)
    }
}

/// The memory of a guest that the host passes values to.
pub(super) struct ToGuest<'c, 'm, T>(pub(super) &'c mut LowerContext<'m, T>);

impl<T> Target for ToGuest<'_, '_, T> {
    type Error = WasmtimeError;

    fn bytes(&mut self) -> &mut [u8] {
        self.0.as_slice_mut()
    }

    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, WasmtimeError> {
        Ok(self.0.realloc(0, 0, align, size)?)
    }

    fn is_utf8(&self) -> bool {
        matches!(self.0.options.string_encoding(), StringEncoding::Utf8)
    }

    fn transcode(&mut self, text: &str) -> Result<(u32, u32), WasmtimeError> {
        Ok(abi::lower_str(text, self.0)?)
    }
}
