//! A host for the component of `guest`: its import is a function of a peer that answers what it is sent.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, Store};
use wrpc_transport::{Index, Invoke};

use super::guest::{FUNCTION, INSTANCE};
use crate::instance::component::Known;
use crate::instance::export::Export;
use crate::invocation::invoke::Import;
use crate::types::{Budget, Function};
use crate::values::wire::Kind;
use crate::values::{self, Signature};
use crate::{CallFailed, Instance, Root};

/// A peer that answers what it is sent, and keeps it.
#[derive(Clone, Debug, Default)]
pub(super) struct Mirror {
    /// What it was sent last.
    pub(super) seen: Arc<Mutex<Bytes>>,
    /// What it answers instead.
    pub(super) answer: Option<Bytes>,
    /// An address on the stack that it was invoked on last.
    pub(super) stack: Arc<AtomicUsize>,
    /// How many times an invocation suspends before it is there.
    pub(super) pauses: usize,
}

/// Bytes that were sent, in frames of a few.
pub(super) struct Frames(pub(super) Bytes);

impl Index<Self> for Frames {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        anyhow::bail!("there is nothing at {path:?}")
    }
}

impl AsyncRead for Frames {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let frame = self.0.len().min(buf.remaining()).min(97);
        buf.put_slice(&self.0[..frame]);
        self.0.advance(frame);
        Poll::Ready(Ok(()))
    }
}

/// An address on the stack that this is called on.
pub(super) fn stack() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)) as usize
}

impl Invoke for Mirror {
    type Context = ();
    type Outgoing = Root<tokio::io::Sink>;
    type Incoming = Frames;

    async fn invoke<P>(
        &self,
        (): (),
        _: &str,
        _: &str,
        params: Bytes,
        _: impl AsRef<[P]> + Send,
    ) -> anyhow::Result<(Self::Outgoing, Self::Incoming)>
    where
        P: AsRef<[Option<usize>]> + Send + Sync,
    {
        self.seen.lock().unwrap().clone_from(&params);
        self.stack.store(stack(), Ordering::Relaxed);
        for _ in 0..self.pauses {
            tokio::task::yield_now().await;
        }
        let answer = self.answer.clone().unwrap_or(params);
        Ok((Root(tokio::io::sink()), Frames(answer)))
    }
}

pub(super) type Ctx = crate::test_ctx::Ctx<Mirror>;

pub(super) fn engine() -> Engine {
    Engine::new(Config::new().async_support(true)).expect("a valid configuration")
}

pub(super) fn store(engine: &Engine, peer: &Mirror) -> Store<Ctx> {
    Store::new(engine, Ctx::with(peer.clone(), None, ()))
}

/// The component, with its import linked and its export resolved.
pub(super) struct Guest {
    pub(super) instance: Instance<Ctx>,
    pub(super) export: Export,
    pub(super) peer: Mirror,
}

impl Guest {
    pub(super) fn new(component: &Component, peer: Mirror) -> Self {
        let engine = component.engine().clone();
        let pre = link(component);
        let (ty, index) = exported(component);
        let types = Function::of(&ty, |_| false, &Budget::default());
        let name = "echo".to_owned();
        let export = Export::new(
            name,
            index,
            &ty,
            types,
            Arc::new(Known::of_guest(&[])),
            4 << 30,
        );
        let client = peer.clone();
        let instance = Instance::new(pre, move || store(&engine, &client));
        Self {
            instance,
            export,
            peer,
        }
    }

    /// Calls the export with encoded parameters, and returns its encoded results.
    pub(super) async fn call(&self, params: &[u8]) -> Result<Vec<u8>, CallFailed> {
        let (mut writer, reader) = tokio::io::duplex(64);
        let (results, mut result_reader) = tokio::io::duplex(64);
        let (mut reader, mut results) = (Root(reader), Root(results));
        let send = async {
            // The callee may refuse what it gets before it has all of it.
            let _ = writer.write_all(params).await;
            let _ = writer.shutdown().await;
        };
        let call = async {
            let called = self
                .instance
                .call(&self.export, &mut reader, &mut results)
                .await;
            drop((reader, results));
            called
        };
        let mut received = Vec::new();
        let ((), called, _) = tokio::join!(send, call, result_reader.read_to_end(&mut received));
        called.map(|()| received)
    }

    /// What the peer was sent last.
    pub(super) fn seen(&self) -> Bytes {
        std::mem::take(&mut self.peer.seen.lock().unwrap())
    }
}

fn link(component: &Component) -> InstancePre<Ctx> {
    let engine = component.engine();
    let mut linker = Linker::new(engine);
    let mut instance = linker.instance(INSTANCE).expect("an empty linker");
    for (_, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(imported) = item else {
            continue;
        };
        for (name, item) in imported.exports(engine) {
            let ComponentItem::ComponentFunc(ty) = item else {
                continue;
            };
            let types = Function::of(&ty, |_| false, &Budget::default());
            let types = types.expect("types within reason");
            let import = Import {
                instance: INSTANCE.into(),
                name: name.into(),
                types: Arc::clone(&types.signature),
            };
            let signature = Signature::new(&types, |_| Kind::Remote);
            values::link(&mut instance, signature, import, ()).expect("the name is free");
        }
    }
    linker
        .instantiate_pre(component)
        .expect("all imports are there")
}

pub(super) fn exported(
    component: &Component,
) -> (ComponentFunc, wasmtime::component::ComponentExportIndex) {
    let (_, instance) = component
        .export_index(None, INSTANCE)
        .expect("the instance is exported");
    match component.export_index(Some(&instance), FUNCTION) {
        Some((ComponentItem::ComponentFunc(ty), index)) => (ty, index),
        _ => panic!("the function is not exported"),
    }
}
