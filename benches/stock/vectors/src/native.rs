//! Rust types that `wrpc-transport` can encode.

use std::io;

use anyhow::Context as _;
use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use wasmtime::component::Val;
use wrpc_transport::{Decode, Encode, ResourceBorrow, ResourceOwn};

use crate::case::{Case, Native};
use crate::json::hex;
use crate::runtime::Received;
use crate::ty::Ty;
use crate::writer::Writer;

/// A case that both crates encode. `what` tells it from others of its type.
pub(crate) fn case<T>(what: &str, rust: T) -> anyhow::Result<Case>
where
    T: Shape + Encode<Writer, Encoder: Encoder<T, Error = io::Error>>,
    T: Decode<Received, Decoder: Decoder<Error = io::Error>>,
{
    let (ty, value) = (T::ty(), rust.value());
    let mut wire = BytesMut::new();
    T::Encoder::default().encode(rust, &mut wire)?;
    let wire = wire.freeze();
    let mut left = BytesMut::from(&*wire);
    let decoded = T::Decoder::default().decode(&mut left);
    let decoded = decoded
        .and_then(|decoded| decoded.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
        .with_context(|| format!("wrpc-transport cannot decode its own {ty}, {what}"))?;
    anyhow::ensure!(
        left.is_empty(),
        "wrpc-transport leaves bytes of {ty}, {what}"
    );
    let mut case = Case::new(&ty, what, value);
    case.native = Some(Native {
        wire,
        decoded: decoded.value(),
    });
    Ok(case)
}

/// A Rust type that stands for a type of the component model.
pub(crate) trait Shape {
    fn ty() -> Ty;
    fn value(&self) -> Val;
}

macro_rules! plain {
    ($($rust:ty => $ty:ident, $val:ident;)*) => {$(
        impl Shape for $rust {
            fn ty() -> Ty {
                Ty::$ty
            }

            fn value(&self) -> Val {
                Val::$val(self.clone())
            }
        }
    )*};
}

plain! {
    bool => Bool, Bool;
    u8 => U8, U8;
    i8 => S8, S8;
    u16 => U16, U16;
    i16 => S16, S16;
    u32 => U32, U32;
    i32 => S32, S32;
    u64 => U64, U64;
    i64 => S64, S64;
    f32 => F32, Float32;
    f64 => F64, Float64;
    char => Char, Char;
    String => String, String;
}

macro_rules! handle {
    ($($rust:ident => $ty:ident;)*) => {$(
        impl Shape for $rust<()> {
            fn ty() -> Ty {
                Ty::$ty
            }

            fn value(&self) -> Val {
                Val::String(hex(self.as_ref()))
            }
        }
    )*};
}

handle! {
    ResourceOwn => Own;
    ResourceBorrow => Borrow;
}

impl<T: Shape> Shape for Vec<T> {
    fn ty() -> Ty {
        Ty::list(T::ty())
    }

    fn value(&self) -> Val {
        Val::List(self.iter().map(T::value).collect())
    }
}

impl<T: Shape> Shape for Option<T> {
    fn ty() -> Ty {
        Ty::option(T::ty())
    }

    fn value(&self) -> Val {
        Val::Option(self.as_ref().map(|some| Box::new(some.value())))
    }
}

/// What a case of a result carries: a value, or nothing, which is `()` in Rust.
pub(crate) trait Payload {
    fn payload_ty() -> Option<Ty>;
    fn payload(&self) -> Option<Box<Val>>;
}

impl Payload for () {
    fn payload_ty() -> Option<Ty> {
        None
    }

    fn payload(&self) -> Option<Box<Val>> {
        None
    }
}

impl<T: Shape> Payload for T {
    fn payload_ty() -> Option<Ty> {
        Some(T::ty())
    }

    fn payload(&self) -> Option<Box<Val>> {
        Some(Box::new(self.value()))
    }
}

impl<T: Payload, E: Payload> Shape for Result<T, E> {
    fn ty() -> Ty {
        Ty::result(T::payload_ty(), E::payload_ty())
    }

    fn value(&self) -> Val {
        Val::Result(match self {
            Ok(ok) => Ok(ok.payload()),
            Err(err) => Err(err.payload()),
        })
    }
}

macro_rules! tuple {
    ($($name:ident $number:tt),+) => {
        impl<$($name: Shape),+> Shape for ($($name,)+) {
            fn ty() -> Ty {
                Ty::Tuple(vec![$($name::ty()),+])
            }

            fn value(&self) -> Val {
                Val::Tuple(vec![$(self.$number.value()),+])
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
