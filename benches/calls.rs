//! A call of an export, from an empty store to the last byte of its results: 64 KiB by themselves,
//! and beside an input stream.
#![allow(missing_docs)]

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use inhost_benches::runtime;
use inhost_dispatch::Nowhere;
use tokio::io::{AsyncRead, ReadBuf};
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::InputStream;
use wrpc_runtime_wasmtime::{Instance, Root};
use wrpc_transport::Index;

#[path = "../host-integration/wrpc-runtime-wasmtime/tests/support/ctx.rs"]
mod ctx;

const PAYLOAD: usize = 64 * 1024;

/// Each function returns how many bytes it was given.
const GUEST: &str = r#"(component
    (import "wasi:io/streams@0.2.0" (instance $io (export "input-stream" (type (sub resource)))))
    (alias export $io "input-stream" (type $in))
    (core module $m
        (memory (export "memory") 2)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "bytes") (param i32 i32) (result i32) (local.get 1))
        (func (export "stream") (param i32 i32 i32) (result i32) (local.get 1)))
    (core instance $i (instantiate $m))
    (func (export "bytes") (param "bytes" (list u8)) (result u32)
        (canon lift (core func $i "bytes") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "stream") (param "bytes" (list u8)) (param "in" (own $in)) (result u32)
        (canon lift (core func $i "stream") (memory $i "memory") (realloc (func $i "realloc")))))"#;

/// A message to read. What is at its paths is an end marker.
struct Message(Bytes);

impl Index<Self> for Message {
    fn index(&self, _: &[usize]) -> anyhow::Result<Self> {
        Ok(Self(Bytes::from_static(&[0])))
    }
}

impl AsyncRead for Message {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let length = self.0.len().min(buf.remaining());
        buf.put_slice(&self.0[..length]);
        self.0.advance(length);
        Poll::Ready(Ok(()))
    }
}

type Ctx = ctx::Ctx<Nowhere<()>>;

fn instance() -> Instance<Ctx> {
    let engine = Engine::new(Config::new().async_support(true)).expect("an engine");
    let guest = wat::parse_str(GUEST).expect("valid text");
    let component = Component::new(&engine, guest).expect("a component");
    let mut linker = Linker::new(&engine);
    let stream = ResourceType::host::<InputStream>();
    linker
        .instance("wasi:io/streams@0.2.0")
        .and_then(|mut io| io.resource("input-stream", stream, |_, _| Ok(())))
        .expect("the name is free");
    let pre = linker.instantiate_pre(&component).expect("all is linked");
    Instance::new(pre, move || {
        Store::new(&engine, Ctx::with(Nowhere::new(), None, ()))
    })
}

fn calls(c: &mut Criterion) {
    let runtime = runtime();
    let instance = instance();
    // The length, in LEB128, and the bytes.
    let message = Bytes::from([&[0x80, 0x80, 0x04][..], &[7; PAYLOAD]].concat());
    let mut group = c.benchmark_group("calls/64 KiB");
    group.throughput(Throughput::Bytes(PAYLOAD as u64));
    for (name, function) in [("alone", "bytes"), ("beside a stream", "stream")] {
        let export = instance.export("", function).expect("it is exported");
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter(|| async {
                let mut params = Message(message.clone());
                let mut results = Root(Vec::new());
                let called = instance.call(&export, &mut params, &mut results);
                called.await.expect("it returns");
                assert_eq!(results.0, [0x80, 0x80, 0x04]);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, calls);
criterion_main!(benches);
