//! What a vector is made of.

use bytes::Bytes;
use wasmtime::component::Val;

use crate::ty::Ty;

/// A value of a type.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    /// In it, a handle is a string, its bytes as hexadecimal digits, and a stream is a list of such
    /// strings, its chunks.
    pub(crate) value: Val,
    /// What `wrpc-transport` makes of it, where it knows a Rust type of this shape.
    pub(crate) native: Option<Native>,
}

/// How `wrpc-transport` encodes a value, and what it decodes from that.
pub(crate) struct Native {
    pub(crate) wire: Bytes,
    pub(crate) decoded: Val,
}

impl Case {
    /// A case that only `wrpc-runtime-wasmtime` encodes. `what` tells it from others of its type.
    pub(crate) fn new(ty: &Ty, what: &str, value: Val) -> Self {
        Self {
            name: format!("{ty}: {what}"),
            ty: ty.clone(),
            value,
            native: None,
        }
    }
}
