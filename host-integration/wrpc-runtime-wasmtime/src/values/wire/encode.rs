//! A value to its bytes on the wire.

use anyhow::{bail, ensure, Context as _};
use bytes::{BufMut as _, BytesMut};
use tokio::io::AsyncWrite;
use tokio_util::codec::Encoder;
use wasm_tokio::{CoreNameEncoder, CoreVecEncoderBytes, Leb128Encoder, Utf8Codec};
use wasmtime::component::types::{Enum, Record, ResultType, Tuple, Variant};
use wasmtime::component::{ResourceAny, ResourceType, Type, Val};
use wasmtime::{AsContextMut as _, StoreContextMut};
use wasmtime_wasi::{InputStream, WasiView};
use wrpc_transport::Index;

use super::deferred::{Deferred, Streams};
use super::kinds::Kinds;
use super::{flags, handles, streams};
use crate::view::WrpcView;

/// Encodes values of one type as wRPC does.
///
/// Input streams are not among the bytes. What writes them is left in [`Self::deferred`], and must be run with the
/// stream of the value's path.
pub struct ValEncoder<'a, T, W> {
    /// The store that the resources of the values are in.
    pub store: StoreContextMut<'a, T>,
    /// The type of the values.
    pub ty: &'a Type,
    /// The resource types that the guest defines. Their resources are handed out by an id.
    pub resources: &'a [ResourceType],
    /// Writes the streams of the value that was encoded last, if it has any.
    pub deferred: Option<Deferred<W>>,
}

impl<T, W> ValEncoder<'_, T, W> {
    /// Encodes values of type `ty` that are in `store`, a guest that defines `resources`.
    #[must_use]
    pub fn new<'a>(
        store: StoreContextMut<'a, T>,
        ty: &'a Type,
        resources: &'a [ResourceType],
    ) -> ValEncoder<'a, T, W> {
        ValEncoder {
            store,
            ty,
            resources,
            deferred: None,
        }
    }

    /// Encodes values of another type, in the same store.
    pub fn with_type<'a>(&'a mut self, ty: &'a Type) -> ValEncoder<'a, T, W> {
        ValEncoder::new(self.store.as_context_mut(), ty, self.resources)
    }
}

impl<T, W> Encoder<&Val> for ValEncoder<'_, T, W>
where
    T: WasiView + WrpcView,
    W: AsyncWrite + Index<W> + Sync + Send + 'static,
{
    type Error = wasmtime::Error;

    /// Appends the bytes of `v`.
    ///
    /// # Errors
    ///
    /// When the value is not of the encoder's type, when a length does not fit in 32 bits, or when the value holds a
    /// resource that cannot be sent: a borrowed input stream, or a resource of the host. Part of the bytes may have
    /// been appended, and owned resources may have left the store.
    fn encode(&mut self, v: &Val, dst: &mut BytesMut) -> wasmtime::Result<()> {
        let mut values = Values {
            store: self.store.as_context_mut(),
            kinds: &Kinds::of_guest(self.resources),
            dst,
            path: Vec::new(),
            streams: Streams::default(),
        };
        values.value(v, self.ty)?;
        if let Some(deferred) = values.streams.deferred() {
            self.deferred = Some(deferred);
        }
        Ok(())
    }
}

/// Walks a value, and appends its bytes.
struct Values<'a, T> {
    store: StoreContextMut<'a, T>,
    kinds: &'a Kinds,
    dst: &'a mut BytesMut,
    /// Where the value is that is being encoded, below the one that all this is about. The elements
    /// of lists, records and tuples have paths of their own. The payload of an option, a result or
    /// a variant has the path of what holds it.
    path: Vec<usize>,
    streams: Streams,
}

impl<T: WasiView + WrpcView> Values<'_, T> {
    fn value(&mut self, v: &Val, ty: &Type) -> wasmtime::Result<()> {
        match (v, ty) {
            (Val::Bool(v), Type::Bool) => self.dst.put_u8((*v).into()),
            (Val::S8(v), Type::S8) => self.dst.put_i8(*v),
            (Val::U8(v), Type::U8) => self.dst.put_u8(*v),
            (Val::S16(v), Type::S16) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::U16(v), Type::U16) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::S32(v), Type::S32) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::U32(v), Type::U32) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::S64(v), Type::S64) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::U64(v), Type::U64) => Leb128Encoder.encode(*v, self.dst)?,
            (Val::Float32(v), Type::Float32) => self.dst.put_f32_le(*v),
            (Val::Float64(v), Type::Float64) => self.dst.put_f64_le(*v),
            (Val::Char(v), Type::Char) => Utf8Codec.encode(*v, self.dst)?,
            (Val::String(v), Type::String) => CoreNameEncoder
                .encode(v, self.dst)
                .context("failed to encode string")?,
            (Val::Enum(name), Type::Enum(ty)) => self.enumeration(name, ty)?,
            (Val::Flags(set), Type::Flags(ty)) => flags::encode(set, ty, self.dst)?,
            (Val::List(vs), Type::List(ty)) => return self.list(vs, &ty.ty()),
            (Val::Record(vs), Type::Record(ty)) => return self.record(vs, ty),
            (Val::Tuple(vs), Type::Tuple(ty)) => return self.tuple(vs, ty),
            (Val::Variant(name, v), Type::Variant(ty)) => {
                return self.variant(name, v.as_deref(), ty);
            }
            (Val::Option(None), Type::Option(_)) => self.dst.put_u8(0),
            (Val::Option(Some(v)), Type::Option(ty)) => {
                self.dst.put_u8(1);
                return self
                    .value(v, &ty.ty())
                    .context("failed to encode `option::some` value");
            }
            (Val::Result(v), Type::Result(ty)) => return self.result(v, ty),
            (Val::Resource(v), Type::Own(ty) | Type::Borrow(ty)) => return self.resource(*v, *ty),
            _ => bail!("value type mismatch"),
        }
        Ok(())
    }

    fn list(&mut self, vs: &[Val], ty: &Type) -> wasmtime::Result<()> {
        let len = u32::try_from(vs.len()).context("list length does not fit in u32")?;
        // An element takes a byte at least, streams excepted.
        self.dst.reserve(vs.len().saturating_add(5));
        Leb128Encoder.encode(len, self.dst)?;
        if matches!(ty, Type::U8) {
            self.bytes(vs)?;
            return Ok(());
        }
        for (i, v) in vs.iter().enumerate() {
            self.path.push(i);
            self.value(v, ty)
                .with_context(|| format!("failed to encode list element {i}"))?;
            self.path.pop();
        }
        Ok(())
    }

    /// The elements of a `list<u8>`, which are most of what is sent.
    fn bytes(&mut self, vs: &[Val]) -> wasmtime::Result<()> {
        for (i, v) in vs.iter().enumerate() {
            let Val::U8(byte) = v else {
                bail!("failed to encode list element {i}: value type mismatch");
            };
            self.dst.put_u8(*byte);
        }
        Ok(())
    }

    fn record(&mut self, vs: &[(String, Val)], ty: &Record) -> wasmtime::Result<()> {
        let fields = ty.fields();
        ensure!(
            vs.len() == fields.len(),
            "a record of {} fields has a value of {}",
            fields.len(),
            vs.len()
        );
        for (i, ((name, v), field)) in vs.iter().zip(fields).enumerate() {
            ensure!(
                name == field.name,
                "field `{}` of a record has the value of a field `{name}`",
                field.name
            );
            self.path.push(i);
            self.value(v, &field.ty)
                .with_context(|| format!("failed to encode `{name}` field"))?;
            self.path.pop();
        }
        Ok(())
    }

    fn tuple(&mut self, vs: &[Val], ty: &Tuple) -> wasmtime::Result<()> {
        let types = ty.types();
        ensure!(
            vs.len() == types.len(),
            "a tuple of {} elements has a value of {}",
            types.len(),
            vs.len()
        );
        for (i, (v, ty)) in vs.iter().zip(types).enumerate() {
            self.path.push(i);
            self.value(v, &ty)
                .with_context(|| format!("failed to encode tuple element {i}"))?;
            self.path.pop();
        }
        Ok(())
    }

    fn variant(&mut self, name: &str, v: Option<&Val>, ty: &Variant) -> wasmtime::Result<()> {
        let (discriminant, case) = ty
            .cases()
            .enumerate()
            .find(|(_, case)| case.name == name)
            .with_context(|| format!("unknown variant discriminant `{name}`"))?;
        self.discriminant(discriminant)?;
        match (v, case.ty) {
            (None, None) => Ok(()),
            (Some(v), Some(ty)) => self
                .value(v, &ty)
                .with_context(|| format!("failed to encode value of variant `{name}`")),
            (Some(_), None) => bail!("type missing for variant `{name}`"),
            (None, Some(_)) => bail!("value missing for variant `{name}`"),
        }
    }

    fn enumeration(&mut self, name: &str, ty: &Enum) -> wasmtime::Result<()> {
        let discriminant = ty
            .names()
            .position(|case| case == name)
            .with_context(|| format!("unknown enum discriminant `{name}`"))?;
        self.discriminant(discriminant)
    }

    fn discriminant(&mut self, discriminant: usize) -> wasmtime::Result<()> {
        let discriminant = u32::try_from(discriminant).context("case count does not fit in u32")?;
        Leb128Encoder.encode(discriminant, self.dst)?;
        Ok(())
    }

    fn result(
        &mut self,
        v: &Result<Option<Box<Val>>, Option<Box<Val>>>,
        ty: &ResultType,
    ) -> wasmtime::Result<()> {
        let (status, name, v, ty) = match v {
            Ok(v) => (0, "ok", v, ty.ok()),
            Err(v) => (1, "err", v, ty.err()),
        };
        self.dst.put_u8(status);
        match (v, ty) {
            (None, None) => Ok(()),
            (Some(v), Some(ty)) => self
                .value(v, &ty)
                .with_context(|| format!("failed to encode `result::{name}` value")),
            (Some(_), None) => bail!("`result::{name}` value of unknown type"),
            (None, Some(_)) => bail!("`result::{name}` value missing"),
        }
    }

    fn resource(&mut self, v: ResourceAny, ty: ResourceType) -> wasmtime::Result<()> {
        if v.ty() == ResourceType::host::<InputStream>() {
            let stream = streams::take(&mut self.store, v)?;
            self.streams.push(self.path.clone(), stream);
            return Ok(());
        }
        let handle = handles::bytes(&mut self.store, self.kinds.of(ty), v)?;
        CoreVecEncoderBytes
            .encode(handle, self.dst)
            .context("failed to encode resource handle")
    }
}
