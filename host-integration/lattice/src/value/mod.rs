//! Values of a call from outside: checked against the types of the function, and sent and received as wRPC does.

mod convert;
mod signature;
mod wire;

pub(crate) use convert::to_wave;
pub(crate) use signature::Signature;
pub(crate) use wire::Exchange;
