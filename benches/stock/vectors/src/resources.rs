//! The resources of a value: they are filed in a store before it is encoded.

use std::collections::VecDeque;

use anyhow::{bail, Context as _};
use bytes::Bytes;
use wasmtime::component::{ResourceAny, Val};
use wasmtime::Store;
use wasmtime_wasi::{HostInputStream, InputStream, StreamError, StreamResult, Subscribe, WasiView};
use wrpc_runtime_wasmtime::RemoteResource;

use crate::ty::Ty;

/// Makes resources of what stands for them in a value: see [`Case`](crate::case::Case).
pub(crate) struct Filing<'a, T> {
    pub(crate) store: &'a mut Store<T>,
    /// How many streams were made.
    pub(crate) streams: usize,
}

impl<T: WasiView> Filing<'_, T> {
    /// The value as a guest has it.
    pub(crate) fn value(&mut self, ty: &Ty, value: &Val) -> anyhow::Result<Val> {
        Ok(match (ty, value) {
            (Ty::Own | Ty::Borrow, Val::String(hex)) => {
                Val::Resource(self.file(RemoteResource(bytes(hex)?))?)
            }
            (Ty::Stream, Val::List(chunks)) => {
                let chunks = chunks.iter().map(|chunk| match chunk {
                    Val::String(hex) => bytes(hex),
                    other => bail!("{other:?} is no chunk"),
                });
                let stream: InputStream = Box::new(Script(chunks.collect::<anyhow::Result<_>>()?));
                self.streams += 1;
                Val::Resource(self.file(stream)?)
            }
            (Ty::List(ty), Val::List(vs)) => Val::List(self.values(vs.iter().map(|v| (&**ty, v)))?),
            (Ty::Tuple(types), Val::Tuple(vs)) => Val::Tuple(self.values(types.iter().zip(vs))?),
            (Ty::Record(fields), Val::Record(vs)) => {
                let types = fields.iter().map(|(_, ty)| ty);
                let vs_of = self.values(types.zip(vs.iter().map(|(_, v)| v)))?;
                let names = vs.iter().map(|(name, _)| name.clone());
                Val::Record(names.zip(vs_of).collect())
            }
            (Ty::Variant(cases), Val::Variant(name, v)) => {
                let (_, ty) = cases
                    .iter()
                    .find(|(case, _)| case == name)
                    .context("no such case")?;
                Val::Variant(name.clone(), self.payload(ty.as_ref(), v)?)
            }
            (Ty::Option(ty), Val::Option(v)) => Val::Option(self.payload(Some(ty), v)?),
            (Ty::Result { ok, .. }, Val::Result(Ok(v))) => {
                Val::Result(Ok(self.payload(ok.as_deref(), v)?))
            }
            (Ty::Result { err, .. }, Val::Result(Err(v))) => {
                Val::Result(Err(self.payload(err.as_deref(), v)?))
            }
            (_, plain) => plain.clone(),
        })
    }

    fn values<'a>(
        &mut self,
        values: impl Iterator<Item = (&'a Ty, &'a Val)>,
    ) -> anyhow::Result<Vec<Val>> {
        values.map(|(ty, value)| self.value(ty, value)).collect()
    }

    fn payload(
        &mut self,
        ty: Option<&Ty>,
        value: &Option<Box<Val>>,
    ) -> anyhow::Result<Option<Box<Val>>> {
        match (ty, value) {
            (Some(ty), Some(value)) => Ok(Some(Box::new(self.value(ty, value)?))),
            _ => Ok(None),
        }
    }

    fn file<R: Send + 'static>(&mut self, resource: R) -> anyhow::Result<ResourceAny> {
        let filed = self.store.data_mut().table().push(resource)?;
        filed.try_into_resource_any(&mut *self.store)
    }
}

fn bytes(hex: &str) -> anyhow::Result<Bytes> {
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    bytes.collect()
}

/// A stream that gives these chunks, is always ready, and then closed.
struct Script(VecDeque<Bytes>);

impl HostInputStream for Script {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        self.0.pop_front().ok_or(StreamError::Closed)
    }
}

#[wasmtime_wasi::async_trait]
impl Subscribe for Script {
    async fn ready(&mut self) {}
}
