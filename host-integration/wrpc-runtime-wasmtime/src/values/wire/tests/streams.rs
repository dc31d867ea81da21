//! Input streams: the chunks on the wire, and streams that pass through a guest.

use core::pin::pin;
use std::collections::VecDeque;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmtime::component::{Component, Func, Instance, Linker, ResourceType, Type, Val};
use wasmtime::Store;
use wasmtime_wasi::pipe::MemoryInputPipe;
use wasmtime_wasi::{
    HostInputStream, InputStream, StreamError, StreamResult, Subscribe, WasiView as _,
};
use wrpc_transport::Index as _;

use super::super::streams::{send, ChunkReader};
use super::transport::{channel, Incoming, Outgoing, Slice};
use super::{encode, engine, read_value, store, Ctx};
use crate::call;

/// A stream that gives what it was told to, and is always ready. After that it stays closed.
struct Script(VecDeque<StreamResult<Bytes>>);

impl Script {
    fn boxed(reads: impl IntoIterator<Item = StreamResult<&'static str>>) -> InputStream {
        Box::new(Self(
            reads
                .into_iter()
                .map(|read| read.map(|text| Bytes::from_static(text.as_bytes())))
                .collect(),
        ))
    }
}

impl HostInputStream for Script {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        self.0.pop_front().unwrap_or(Err(StreamError::Closed))
    }
}

// As `async_trait` writes it.
impl Subscribe for Script {
    fn ready<'a, 'b>(
        &'a mut self,
    ) -> core::pin::Pin<Box<dyn core::future::Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async {})
    }
}

/// A component that has streams in its signatures.
pub(super) struct Guest {
    pub(super) store: Store<Ctx>,
    instance: Instance,
}

const GUEST: &str = r#"(component
    (import "wasi:io/streams@0.2.0" (instance $io (export "input-stream" (type (sub resource)))))
    (alias export $io "input-stream" (type $in))
    (core module $m
        (memory (export "memory") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "pass") (param i32) (result i32) (local.get 0))
        (func (export "swap") (param i32 i32) (result i32)
            (i32.store (i32.const 0) (local.get 1))
            (i32.store (i32.const 4) (local.get 0))
            (i32.const 0))
        (func (export "count") (param i32 i32) (result i32) (local.get 1))
        (func (export "look") (param i32) (result i32) (i32.const 7)))
    (core instance $i (instantiate $m))
    (func (export "pass") (param "in" (own $in)) (result (own $in)) (canon lift (core func $i "pass")))
    (func (export "swap") (param "a" (own $in)) (param "b" (own $in)) (result (tuple (own $in) (own $in)))
        (canon lift (core func $i "swap") (memory $i "memory")))
    (func (export "count") (param "in" (list (own $in))) (result u32)
        (canon lift (core func $i "count") (memory $i "memory") (realloc (func $i "realloc"))))
    (func (export "drop") (param "in" (own $in)) (result u32) (canon lift (core func $i "look"))))"#;

impl Guest {
    pub(super) async fn new() -> wasmtime::Result<Self> {
        let engine = engine();
        let mut store = store(&engine);
        let mut linker = Linker::new(&engine);
        linker.instance("wasi:io/streams@0.2.0")?.resource(
            "input-stream",
            ResourceType::host::<InputStream>(),
            |_, _| Ok(()),
        )?;
        let component = Component::new(&engine, wat::parse_str(GUEST)?)?;
        let instance = linker.instantiate_async(&mut store, &component).await?;
        Ok(Self { store, instance })
    }

    fn func(&mut self, name: &str) -> Func {
        let func = self.instance.get_func(&mut self.store, name);
        func.expect("the guest exports the function")
    }

    /// The type of the first parameter of an export.
    pub(super) fn param(&mut self, name: &str) -> wasmtime::Result<Type> {
        let func = self.func(name);
        Ok(func.params(&self.store)[0].clone())
    }

    async fn call(&mut self, name: &str, rx: Incoming, tx: Outgoing) -> anyhow::Result<()> {
        let func = self.func(name);
        let params = func.params(&self.store);
        let results = func.results(&self.store);
        call(
            &mut self.store,
            rx,
            tx,
            params.iter(),
            results.iter(),
            func,
            &[],
        )
        .await
    }

    fn own(&mut self, stream: InputStream) -> wasmtime::Result<Val> {
        let stream = self.store.data_mut().table().push(stream)?;
        let stream = stream.try_into_resource_any(&mut self.store)?;
        Ok(Val::Resource(stream))
    }
}

/// What `send` writes, to the end of the path's stream.
async fn sent(stream: InputStream) -> (wasmtime::Result<()>, Vec<u8>) {
    let (w, mut r) = channel();
    let (sent, bytes) = tokio::join!(send(stream, w), r.bytes());
    (sent, bytes.expect("a stream in memory"))
}

#[tokio::test]
async fn a_stream_is_its_chunks_and_one_end_marker() {
    let (result, bytes) = sent(Script::boxed([Ok("abc"), Ok("d")])).await;
    assert_eq!(bytes, b"\x03abc\x01d\x00");
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn nothing_to_read_is_not_the_end() {
    let (result, bytes) = sent(Script::boxed([Ok(""), Ok("ab"), Ok(""), Ok("")])).await;
    assert_eq!(bytes, b"\x02ab\x00");
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn a_stream_that_fails_has_no_end_marker() {
    let failed = StreamError::LastOperationFailed(anyhow::anyhow!("the disk is gone"));
    let (result, bytes) = sent(Script::boxed([Ok("ab"), Err(failed)])).await;
    assert_eq!(bytes, b"\x02ab");
    let err = format!("{:#}", result.expect_err("the stream failed"));
    assert!(err.contains("the disk is gone"), "{err}");
}

#[tokio::test]
async fn a_reader_that_has_read_enough_is_no_error() {
    let (w, r) = channel();
    drop(r);
    let stream = Script::boxed([Ok("ab"), Ok("cd")]);
    let result = send(stream, w).await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test]
async fn chunks_are_read_up_to_the_end_marker_and_no_further() -> anyhow::Result<()> {
    for max in [1, 3, usize::MAX] {
        let long = [0x90, 0x01].into_iter().chain([b'x'; 144]);
        let wire: Vec<u8> = b"\x02ab\x81\x00c".iter().copied().chain(long).collect();
        let wire = [&wire[..], b"\x00beyond"].concat();
        let mut reader = ChunkReader::new(Slice::new(&wire, max));
        let mut content = Vec::new();
        reader.read_to_end(&mut content).await?;
        assert_eq!(content, [b"abc".as_slice(), &[b'x'; 144]].concat());
        assert_eq!(reader.read(&mut [0; 8]).await?, 0, "the end stays the end");
    }
    Ok(())
}

#[tokio::test]
async fn chunks_that_break_off_are_an_error_and_then_the_end() -> anyhow::Result<()> {
    for wire in [&b""[..], b"\x03ab", b"\x02ab", b"\x82"] {
        let mut reader = ChunkReader::new(Slice::new(wire, 1));
        let err = reader.read_to_end(&mut Vec::new()).await;
        let err = err.expect_err("there was no end marker");
        assert_eq!(err.kind(), std::io::ErrorKind::UnexpectedEof, "{wire:?}");
        assert_eq!(reader.read(&mut [0; 8]).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_chunk_length_of_more_than_32_bits_is_refused() {
    let mut reader = ChunkReader::new(Slice::new(&[0xff, 0xff, 0xff, 0xff, 0x1f, 0], 9));
    let err = reader.read_u8().await.expect_err("too long");
    assert_eq!(err.kind(), std::io::ErrorKind::InvalidData);
}

/// The content of the stream that arrives through `r`.
async fn content(r: Incoming) -> std::io::Result<String> {
    let mut content = String::new();
    ChunkReader::new(r).read_to_string(&mut content).await?;
    Ok(content)
}

#[tokio::test]
async fn a_stream_passes_through_a_guest_and_ends() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let (w, rx) = channel();
    let (tx, mut r) = channel();
    let (param, result) = (w.index(&[0])?, r.index(&[0])?);
    let (called, sent, bytes, content) = tokio::join!(
        guest.call("pass", rx, tx),
        send(Script::boxed([Ok("over"), Ok("there")]), param),
        r.bytes(),
        content(result),
    );
    called?;
    sent?;
    assert!(bytes?.is_empty(), "a stream takes no bytes in the results");
    assert_eq!(content?, "overthere");
    Ok(())
}

#[tokio::test]
async fn streams_in_a_tuple_have_paths_below_it() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let (w, rx) = channel();
    let (tx, r) = channel();
    let (a, b) = (w.index(&[0])?, w.index(&[1])?);
    let (first, second) = (r.index(&[0, 0])?, r.index(&[0, 1])?);
    let (called, a, b, first, second) = tokio::join!(
        guest.call("swap", rx, tx),
        send(Script::boxed([Ok("a")]), a),
        send(Script::boxed([Ok("b")]), b),
        content(first),
        content(second),
    );
    called?;
    a?;
    b?;
    assert_eq!((first?.as_str(), second?.as_str()), ("b", "a"));
    Ok(())
}

#[tokio::test]
async fn streams_in_a_list_have_paths_below_it_in_both_directions() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let ty = guest.param("count")?;
    let list = Val::List(vec![
        guest.own(Box::new(MemoryInputPipe::new("zero")))?,
        guest.own(Box::new(MemoryInputPipe::new("one")))?,
    ]);
    let (bytes, deferred) = encode(&mut guest.store, &list, &ty)?;
    assert_eq!(bytes.as_ref(), [2]);

    let (mut w, r) = channel();
    w.write_all(&bytes).await?;
    let deferred = deferred.expect("a list of streams has something to send");
    let send = tokio::spawn(deferred(w.index(&[3])?));

    let mut r = pin!(r);
    let mut val = Val::Bool(false);
    read_value(&mut guest.store, &mut r, &[], &mut val, &ty, &[3]).await?;
    let Val::List(streams) = val else {
        panic!("{val:?} is not a list");
    };
    for (stream, content) in streams.into_iter().zip(["zero", "one"]) {
        let Val::Resource(stream) = stream else {
            panic!("{stream:?} is not a resource");
        };
        let stream = stream.try_into_resource::<InputStream>(&mut guest.store)?;
        let mut stream = guest.store.data_mut().table().delete(stream)?;
        assert_eq!(stream.blocking_read(100).await?, content);
        let end = stream.blocking_read(100).await;
        assert!(matches!(end, Err(StreamError::Closed)), "{end:?}");
    }
    send.await??;
    Ok(())
}

#[tokio::test]
async fn a_call_goes_on_when_the_guest_does_not_read_its_stream() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let (w, rx) = channel();
    let (tx, mut r) = channel();
    let param = w.index(&[0])?;
    // More than the guest's side buffers, so that the sender is still at it when the guest is done.
    let endless = (0..100).map(|_| Ok("0123456789012345678901234567890123456789"));
    let sender = tokio::spawn(send(Script::boxed(endless.collect::<Vec<_>>()), param));
    let (called, bytes) = tokio::join!(guest.call("drop", rx, tx), r.bytes());
    called?;
    assert_eq!(bytes?, [7]);
    drop(guest);
    sender.await??;
    Ok(())
}
