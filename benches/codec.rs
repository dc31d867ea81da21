//! Values between guest memory and the wRPC encoding: both directions of the codec, and beside them the codec over
//! wasmtime's `Val` that upstream has for all functions.
//!
//! The codec's figures hold all that happens between a guest's memory and the wire. Those of `Val` do not: the work
//! that wasmtime does between memory and `Val` comes on top of them.
#![allow(missing_docs)]

use std::hint::black_box;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use inhost_benches::runtime;
use inhost_codec::{
    Checker, Destination, Lift, Lower, Plan, Source, Taken, Target, Type, MAX_FLAT_PARAMS,
};
use inhost_dispatch::Nowhere;
use tokio::io::{AsyncRead, ReadBuf, Sink};
use tokio_util::codec::Encoder as _;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Type as WasmtimeType, Val};
use wasmtime::{AsContextMut as _, Engine, Store};
use wrpc_runtime_wasmtime::{read_value, Root, ValEncoder};
use wrpc_transport::Index;

#[path = "../host-integration/wrpc-runtime-wasmtime/tests/support/ctx.rs"]
mod ctx;

type Ctx = ctx::Ctx<Nowhere<()>>;

/// A guest's memory with an allocator that never frees; it starts over for each message.
struct Memory {
    bytes: Vec<u8>,
    free: usize,
}

impl Target for Memory {
    type Error = std::convert::Infallible;

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, Self::Error> {
        let pointer = self.free.next_multiple_of(align as usize);
        self.free = pointer + size;
        Ok(pointer)
    }

    fn is_utf8(&self) -> bool {
        true
    }

    fn transcode(&mut self, _: &str) -> Result<(u32, u32), Self::Error> {
        unreachable!("strings are UTF-8 here")
    }

    fn give(&mut self, _: u32) -> Result<u32, Self::Error> {
        unreachable!("there are no resources here")
    }
}

impl<'m> Source<'m> for &'m Memory {
    type Error = std::convert::Infallible;

    fn bytes(&self) -> &'m [u8] {
        &self.bytes
    }

    fn is_utf8(&self) -> bool {
        true
    }

    fn transcoded(&mut self, _: u32, _: u32) -> Result<String, Self::Error> {
        unreachable!("strings are UTF-8 here")
    }

    fn take(&mut self, _: u32, _: u32, _: &[usize]) -> Result<Taken, Self::Error> {
        unreachable!("there are no resources here")
    }
}

/// A value to measure.
struct Case {
    name: &'static str,
    ty: Type,
    /// The same type as a component has it: a definition of `$t`, and how it is used.
    wat: (&'static str, &'static str),
    value: Val,
    /// Bytes for payloads, elements for the rest.
    throughput: Throughput,
}

const RECORD: &str = r#"(type $t' (record (field "id" u64) (field "customer" string) (field "paid" bool)
    (field "total" f64) (field "discount" s16) (field "grade" char) (field "number" u16)
    (field "note" (option string)) (field "count" u32) (field "items" (list u32))))
    (import "t" (type $t (eq $t')))"#;

fn cases() -> Vec<Case> {
    let list = |name, ty, wat, values: Vec<Val>, throughput| Case {
        name,
        ty: Type::list(ty),
        wat: ("", wat),
        value: Val::List(values),
        throughput,
    };
    let elements = |n: usize| Throughput::Elements(n as u64);
    let bytes = |n: usize| (0..n).map(|i| Val::U8(i as u8)).collect::<Vec<_>>();
    let text = |i: usize| Val::String(format!("a string of some bytes {i}"));
    let record = |i: usize| {
        let fields = [
            ("id", Val::U64(i as u64)),
            ("customer", text(i)),
            ("paid", Val::Bool(true)),
            ("total", Val::Float64(12.5)),
            ("discount", Val::S16(-7)),
            ("grade", Val::Char('é')),
            ("number", Val::U16(300)),
            ("note", Val::Option(Some(Box::new(text(i))))),
            ("count", Val::U32(1_000_000)),
            ("items", Val::List(vec![Val::U32(1), Val::U32(70_000)])),
        ];
        Val::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let record_type = Type::Tuple(vec![
        Type::U64,
        Type::String,
        Type::Bool,
        Type::F64,
        Type::S16,
        Type::Char,
        Type::U16,
        Type::option(Type::String),
        Type::U32,
        Type::list(Type::U32),
    ]);
    vec![
        list(
            "list-u8-64KiB",
            Type::U8,
            "(list u8)",
            bytes(64 << 10),
            Throughput::Bytes(64 << 10),
        ),
        list(
            "list-u8-1MiB",
            Type::U8,
            "(list u8)",
            bytes(1 << 20),
            Throughput::Bytes(1 << 20),
        ),
        Case {
            name: "string-64KiB",
            ty: Type::String,
            wat: ("", "string"),
            value: Val::String("0123456789abcdef".repeat(4096)),
            throughput: Throughput::Bytes(64 << 10),
        },
        list(
            "list-u32",
            Type::U32,
            "(list u32)",
            (0..10_000).map(|i| Val::U32(i * i)).collect(),
            elements(10_000),
        ),
        list(
            "list-f64",
            Type::F64,
            "(list f64)",
            (0..10_000)
                .map(|i| Val::Float64(f64::from(i) / 3.0))
                .collect(),
            elements(10_000),
        ),
        list(
            "list-string",
            Type::String,
            "(list string)",
            (0..1000).map(text).collect(),
            elements(1000),
        ),
        Case {
            name: "list-record",
            ty: Type::list(record_type),
            wat: (RECORD, "(list $t)"),
            value: Val::List((0..1000).map(record).collect()),
            throughput: elements(1000),
        },
    ]
}

fn codec(c: &mut Criterion) {
    let runtime = runtime();
    let engine = Engine::default();
    for case in cases() {
        let wasmtime_type = wasmtime_type(&engine, case.wat);
        let mut store = Store::new(&engine, Ctx::with(Nowhere::new(), None, ()));
        let message = encode(&mut store, &wasmtime_type, &case.value).freeze();
        let plan = Arc::new(Plan::new(std::slice::from_ref(&case.ty)).expect("a plan"));
        let mut memory = Memory {
            bytes: vec![0; 16 << 20],
            free: 0,
        };
        let mut core = [0; MAX_FLAT_PARAMS];
        let mut group = c.benchmark_group(format!("codec/{}", case.name));
        group.throughput(case.throughput);
        group.bench_function("lower", |b| {
            b.iter(|| {
                // As for a received message: it is checked, then written.
                let mut checker = Checker::new(Arc::clone(&plan));
                checker.advance(black_box(&message)).expect("valid");
                memory.free = 0;
                Lower::new(&plan)
                    .run(
                        &message,
                        &mut memory,
                        &mut core,
                        MAX_FLAT_PARAMS,
                        Destination::Allocate,
                    )
                    .expect("lowered");
            });
        });
        let lift = || {
            Lift::new(&plan)
                .run(
                    &mut &memory,
                    black_box(&core[..plan.flat_count()]),
                    MAX_FLAT_PARAMS,
                )
                .expect("lifted")
                .into_message()
        };
        assert_eq!(lift(), message, "both write the same bytes");
        group.bench_function("lift", |b| b.iter(lift));
        group.bench_function("val-decode", |b| {
            b.iter(|| {
                let mut value = Val::Bool(false);
                let mut bytes = pin!(Message(message.clone()));
                let read = read_value(
                    &mut store,
                    &mut bytes,
                    &[],
                    &mut value,
                    &wasmtime_type,
                    &[0],
                );
                runtime.block_on(read).expect("decoded");
                value
            });
        });
        group.bench_function("val-encode", |b| {
            b.iter(|| encode(&mut store, &wasmtime_type, black_box(&case.value)));
        });
        group.finish();
    }
}

fn encode(store: &mut Store<Ctx>, ty: &WasmtimeType, value: &Val) -> BytesMut {
    let mut bytes = BytesMut::new();
    ValEncoder::<_, Root<Sink>>::new(store.as_context_mut(), ty, &[])
        .encode(value, &mut bytes)
        .expect("encoded");
    bytes
}

fn wasmtime_type(engine: &Engine, (definition, ty): (&str, &str)) -> WasmtimeType {
    let component = format!("(component {definition} (import \"f\" (func (param \"p\" {ty}))))");
    let component = Component::new(engine, wat::parse_str(component).expect("valid text"))
        .expect("a valid type");
    let ty = component.component_type();
    let function = ty.imports(engine).find_map(|(_, item)| match item {
        ComponentItem::ComponentFunc(function) => Some(function),
        _ => None,
    });
    let parameter = function.expect("a function").params().next();
    parameter.expect("a parameter")
}

/// A message to read.
struct Message(Bytes);

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

impl Index<Self> for Message {
    fn index(&self, _: &[usize]) -> anyhow::Result<Self> {
        anyhow::bail!("no value here has a stream")
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
