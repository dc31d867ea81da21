//! Bytes on the wire to a value.

use core::pin::Pin;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use wasm_tokio::cm::AsyncReadValue as _;
use wasm_tokio::{AsyncReadLeb128 as _, AsyncReadUtf8 as _};
use wasmtime::component::types::{Enum, Record, ResultType, Tuple, Variant};
use wasmtime::component::{ResourceAny, ResourceType, Type, Val};
use wasmtime::{AsContext as _, AsContextMut};
use wasmtime_wasi::WasiView;
use wrpc_transport::Index;

use super::kinds::{Kind, Kinds};
use super::{flags, handles, streams};
use crate::invocation::memory::limit;
use crate::view::WrpcView;

/// How many elements of a list get memory before any has arrived. The peer may claim any number.
const ELEMENTS_AHEAD: usize = 1024;

// They get 64 KiB at most.
const _: () = assert!(ELEMENTS_AHEAD * size_of::<Val>() <= 64 * 1024);

/// How many bytes of a `list<u8>` are read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// How many input streams a value may hold. A stream takes no bytes in the value, so five bytes from a peer could
/// claim billions of them, and each has a task and a buffer.
const MAX_STREAMS: u32 = 4096;

/// Reads a value of type `ty` from `r` into `val`.
///
/// `path` is the path of the value: `[2]` for the third parameter or result. Input streams are read from the paths
/// below it. `resources` are the resource types that the guest defines, of which the peer holds handles.
///
/// # Errors
///
/// What `r` returns; [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when it ends before the value;
/// [`InvalidData`](io::ErrorKind::InvalidData) or [`InvalidInput`](io::ErrorKind::InvalidInput)
/// when the bytes are not of the type; [`NotFound`](io::ErrorKind::NotFound) when a handle is not
/// of a resource in this store; [`Unsupported`](io::ErrorKind::Unsupported) for a resource of this
/// host that no peer can have. `val` stays as it was, and `r` is left in the middle of the value.
///
/// # Cancel safety
///
/// A dropped read leaves `r` in the middle of the value.
pub async fn read_value<T, R>(
    store: &mut impl AsContextMut<Data = T>,
    r: &mut Pin<&mut R>,
    resources: &[ResourceType],
    val: &mut Val,
    ty: &Type,
    path: &[usize],
) -> io::Result<()>
where
    T: WasiView + WrpcView,
    R: AsyncRead + Index<R> + Send + Unpin + 'static,
{
    let mut values = Values {
        room: limit(store.as_context().engine()),
        store,
        r: r.as_mut().get_mut(),
        kinds: &Kinds::of_guest(resources),
        path: path.to_vec(),
        streams: 0,
    };
    *val = values.value(ty).await?;
    Ok(())
}

/// Walks a type, and reads a value of it.
struct Values<'a, S, R> {
    store: &'a mut S,
    r: &'a mut R,
    kinds: &'a Kinds,
    /// Where the value that is being read is.
    path: Vec<usize>,
    /// How many input streams were read.
    streams: u32,
    /// How many bytes of the guest's memory are left for strings and lists.
    room: u64,
}

impl<S, R> Values<'_, S, R>
where
    S: AsContextMut,
    S::Data: WasiView + WrpcView,
    R: AsyncRead + Index<R> + Send + Unpin + 'static,
{
    async fn value(&mut self, ty: &Type) -> io::Result<Val> {
        Ok(match ty {
            Type::Bool => Val::Bool(self.r.read_bool().await?),
            Type::S8 => Val::S8(self.r.read_i8().await?),
            Type::U8 => Val::U8(self.r.read_u8().await?),
            Type::S16 => Val::S16(self.r.read_i16_leb128().await?),
            Type::U16 => Val::U16(self.r.read_u16_leb128().await?),
            Type::S32 => Val::S32(self.r.read_i32_leb128().await?),
            Type::U32 => Val::U32(self.r.read_u32_leb128().await?),
            Type::S64 => Val::S64(self.r.read_i64_leb128().await?),
            Type::U64 => Val::U64(self.r.read_u64_leb128().await?),
            Type::Float32 => Val::Float32(self.r.read_f32_le().await?),
            Type::Float64 => Val::Float64(self.r.read_f64_le().await?),
            Type::Char => Val::Char(self.r.read_char_utf8().await?),
            Type::String => {
                let len = self.r.read_u32_leb128().await?;
                // In the encodings that a guest may have beside UTF-8, it may take half as much.
                self.take((len / 2).into())?;
                Val::String(self.string(len.into()).await?)
            }
            Type::Enum(ty) => self.enumeration(ty).await?,
            Type::Flags(ty) => Val::Flags(flags::read(self.r, ty).await?),
            Type::Own(ty) | Type::Borrow(ty) => Val::Resource(self.resource(*ty).await?),
            Type::List(_)
            | Type::Record(_)
            | Type::Tuple(_)
            | Type::Variant(_)
            | Type::Option(_)
            | Type::Result(_) => Box::pin(self.compound(ty)).await?,
        })
    }

    /// A value that holds others. It is on its own because its future must be boxed, and the ones above need not be.
    async fn compound(&mut self, ty: &Type) -> io::Result<Val> {
        Ok(match ty {
            Type::List(ty) => Val::List(self.list(&ty.ty()).await?),
            Type::Record(ty) => Val::Record(self.record(ty).await?),
            Type::Tuple(ty) => Val::Tuple(self.tuple(ty).await?),
            Type::Variant(ty) => self.variant(ty).await?,
            Type::Result(ty) => Val::Result(self.result(ty).await?),
            Type::Option(ty) => {
                let some = self.r.read_option_status().await?;
                let ty = some.then(|| ty.ty());
                Val::Option(self.payload(ty).await?)
            }
            _ => return Err(invalid("not a type that holds others")),
        })
    }

    async fn list(&mut self, ty: &Type) -> io::Result<Vec<Val>> {
        let len = self.r.read_u32_leb128().await?;
        // No element takes less than a byte.
        self.take(len.into())?;
        let len = usize::try_from(len).map_err(invalid)?;
        let mut vs = Vec::with_capacity(len.min(ELEMENTS_AHEAD));
        if matches!(ty, Type::U8) {
            self.bytes(len, &mut vs).await?;
            return Ok(vs);
        }
        for i in 0..len {
            vs.push(self.at(i, ty).await?);
        }
        Ok(vs)
    }

    /// Takes `bytes` of what the guest may have.
    fn take(&mut self, bytes: u64) -> io::Result<()> {
        let left = self.room.checked_sub(bytes);
        self.room = left.ok_or_else(|| {
            let room = self.room;
            invalid(format!(
                "a string or list takes {bytes} bytes or more in the memory of the guest, of which {room} are left for it; \
                 send it in parts or as a stream, or let guests have more memory (`--max-linear-memory-bytes`)"
            ))
        })?;
        Ok(())
    }

    /// A string of so many bytes. Room for it grows with what arrives.
    async fn string(&mut self, len: u64) -> io::Result<String> {
        let mut bytes = Vec::new();
        let read = (&mut *self.r).take(len).read_to_end(&mut bytes).await?;
        let string = String::from_utf8(bytes)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if (read as u64) < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(string)
    }

    /// The elements of a `list<u8>`, many at a time.
    async fn bytes(&mut self, mut left: usize, vs: &mut Vec<Val>) -> io::Result<()> {
        let mut chunk = vec![0; left.min(CHUNK_BYTES)];
        while left > 0 {
            let max = left.min(chunk.len());
            let read = self.r.read(&mut chunk[..max]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            vs.extend(chunk[..read].iter().copied().map(Val::U8));
            left -= read;
        }
        Ok(())
    }

    async fn record(&mut self, ty: &Record) -> io::Result<Vec<(String, Val)>> {
        let fields = ty.fields();
        let mut vs = Vec::with_capacity(fields.len());
        for (i, field) in fields.enumerate() {
            vs.push((field.name.into(), self.at(i, &field.ty).await?));
        }
        Ok(vs)
    }

    async fn tuple(&mut self, ty: &Tuple) -> io::Result<Vec<Val>> {
        let types = ty.types();
        let mut vs = Vec::with_capacity(types.len());
        for (i, ty) in types.enumerate() {
            vs.push(self.at(i, &ty).await?);
        }
        Ok(vs)
    }

    async fn variant(&mut self, ty: &Variant) -> io::Result<Val> {
        let discriminant = self.discriminant().await?;
        let case = ty
            .cases()
            .nth(discriminant)
            .ok_or_else(|| invalid(format!("unknown variant discriminant `{discriminant}`")))?;
        let name = case.name.into();
        Ok(Val::Variant(name, self.payload(case.ty).await?))
    }

    async fn enumeration(&mut self, ty: &Enum) -> io::Result<Val> {
        let discriminant = self.discriminant().await?;
        let name = ty
            .names()
            .nth(discriminant)
            .ok_or_else(|| invalid(format!("unknown enum discriminant `{discriminant}`")))?;
        Ok(Val::Enum(name.into()))
    }

    async fn discriminant(&mut self) -> io::Result<usize> {
        let discriminant = self.r.read_u32_leb128().await?;
        usize::try_from(discriminant).map_err(invalid)
    }

    async fn result(
        &mut self,
        ty: &ResultType,
    ) -> io::Result<Result<Option<Box<Val>>, Option<Box<Val>>>> {
        Ok(if self.r.read_result_status().await? {
            Ok(self.payload(ty.ok()).await?)
        } else {
            Err(self.payload(ty.err()).await?)
        })
    }

    /// What an option, a result or a variant holds. Its path is that of its holder.
    async fn payload(&mut self, ty: Option<Type>) -> io::Result<Option<Box<Val>>> {
        match ty {
            Some(ty) => Ok(Some(Box::new(self.value(&ty).await?))),
            None => Ok(None),
        }
    }

    /// The element or field at `index`.
    async fn at(&mut self, index: usize, ty: &Type) -> io::Result<Val> {
        self.path.push(index);
        let v = self.value(ty).await?;
        self.path.pop();
        Ok(v)
    }

    async fn resource(&mut self, ty: ResourceType) -> io::Result<ResourceAny> {
        let kind = self.kinds.of(ty);
        if *kind == Kind::Stream {
            return self.stream();
        }
        let len = self.r.read_u32_leb128().await?;
        self.take(len.into())?;
        let mut handle = Vec::new();
        // Grows with what arrives: `len` is only what the peer claims.
        let read = (&mut *self.r)
            .take(len.into())
            .read_to_end(&mut handle)
            .await?;
        if u64::try_from(read) != Ok(len.into()) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the peer announced a resource handle of {len} bytes and sent {read}"),
            ));
        }
        handles::resource(&mut self.store.as_context_mut(), kind, &handle)
    }

    fn stream(&mut self) -> io::Result<ResourceAny> {
        if self.streams == MAX_STREAMS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a value may hold {MAX_STREAMS} input streams, and the peer sent more"),
            ));
        }
        self.streams += 1;
        let r = self.r.index(&self.path).map_err(io::Error::other)?;
        streams::receive(self.store, r, None)
    }
}

fn invalid(err: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, err)
}
