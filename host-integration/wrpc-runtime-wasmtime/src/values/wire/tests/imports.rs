//! A guest calls an import.

use core::time::Duration;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wasmtime::component::{types, Component, Instance, Linker, ResourceType, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::pipe::AsyncReadStream;
use wasmtime_wasi::{InputStream, WasiView as _};
use wrpc_transport::Index as _;

use super::super::kinds::Kinds;
use super::transport::{Invocation, Peer};
use super::{engine, store_with, Ctx};
use crate::invocation::invoke::Import;
use crate::types::{Budget, Function};
use crate::values::{link, Signature};
use crate::RemoteResource;

const STREAMS: &str = "wasi:io/streams@0.2.0";
const API: &str = "test:peer/api";

/// A component whose exports call imports of the peer.
const GUEST: &str = r#"(component
    (import "wasi:io/streams@0.2.0" (instance $io (export "input-stream" (type (sub resource)))))
    (alias export $io "input-stream" (type $in))
    (import "test:peer/api" (instance $api
        (export "thing" (type $thing (sub resource)))
        (export "[constructor]thing" (func (result (own $thing))))
        (export "[method]thing.get" (func (param "self" (borrow $thing)) (result u32)))
        (export "add" (func (param "a" u32) (param "b" u32) (result u32)))
        (export "peek" (func (param "in" (borrow $in)) (result u32)))
        (export "send" (func (param "in" (own $in)) (result u32)))))
    (alias export $api "thing" (type $thing))
    (core func $new (canon lower (func $api "[constructor]thing")))
    (core func $get (canon lower (func $api "[method]thing.get")))
    (core func $add (canon lower (func $api "add")))
    (core func $peek (canon lower (func $api "peek")))
    (core func $send (canon lower (func $api "send")))
    (core module $m
        (import "" "new" (func $new (result i32)))
        (import "" "get" (func $get (param i32) (result i32)))
        (import "" "add" (func $add (param i32 i32) (result i32)))
        (import "" "peek" (func $peek (param i32) (result i32)))
        (import "" "send" (func $send (param i32) (result i32)))
        (func (export "thing") (result i32) (local $thing i32)
            (local.set $thing (call $new))
            (i32.add (call $get (local.get $thing)) (call $get (local.get $thing))))
        (func (export "peek") (param i32) (result i32) (call $peek (local.get 0)))
        (func (export "add") (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
        (func (export "send") (param i32) (result i32) (call $send (local.get 0))))
    (core instance $i (instantiate $m (with "" (instance
        (export "new" (func $new)) (export "get" (func $get)) (export "add" (func $add)) (export "peek" (func $peek))
        (export "send" (func $send))))))
    (func (export "thing") (result u32) (canon lift (core func $i "thing")))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
    (func (export "peek") (param "in" (own $in)) (result u32) (canon lift (core func $i "peek")))
    (func (export "send") (param "in" (own $in)) (result u32) (canon lift (core func $i "send"))))"#;

/// Defines the resources. With `functions`, they are defined by [`link`].
fn linker(
    engine: &Engine,
    functions: Option<types::ComponentInstance>,
) -> wasmtime::Result<Linker<Ctx>> {
    let mut linker = Linker::new(engine);
    let input_stream = ResourceType::host::<InputStream>();
    linker
        .instance(STREAMS)?
        .resource("input-stream", input_stream, |_, _| Ok(()))?;
    let mut api = linker.instance(API)?;
    let remote = ResourceType::host::<RemoteResource>();
    api.resource("thing", remote, |_, _| Ok(()))?;
    match functions {
        None => {
            let thing = ["[constructor]thing", "[method]thing.get"];
            for name in thing.into_iter().chain(["add", "peek", "send"]) {
                api.func_new_async(name, |_, _, _| Box::new(async { Ok(()) }))?;
            }
        }
        Some(functions) => {
            for (name, item) in functions.exports(engine) {
                if let types::ComponentItem::ComponentFunc(ty) = item {
                    let is_stream = |ty| ty == ResourceType::host::<InputStream>();
                    let function = Function::of(&ty, is_stream, &Budget::default())?;
                    let kinds = Kinds::of_import(function.resources(), &[]);
                    let import = Import {
                        instance: API.into(),
                        name: name.into(),
                        types: Arc::clone(&function.signature),
                    };
                    let signature = Signature::new(&function, |ty| kinds.of(ty).clone());
                    link(&mut api, signature, import, ())?;
                }
            }
        }
    }
    Ok(linker)
}

struct Guest {
    store: Store<Ctx>,
    instance: Instance,
}

impl Guest {
    async fn new(peer: Peer, timeout: Option<Duration>) -> wasmtime::Result<Self> {
        let engine = engine();
        let component = Component::new(&engine, wat::parse_str(GUEST)?)?;
        // The types of the functions, with the resources as the linker defines them.
        let api = linker(&engine, None)?
            .substituted_component_type(&component)?
            .imports(&engine)
            .find_map(|(name, item)| match item {
                types::ComponentItem::ComponentInstance(ty) if name == API => Some(ty),
                _ => None,
            });
        let linker = linker(&engine, Some(api.expect("the guest imports the api")))?;
        let mut store = store_with(&engine, peer, timeout);
        let instance = linker.instantiate_async(&mut store, &component).await?;
        Ok(Self { store, instance })
    }

    async fn call(&mut self, name: &str, params: &[Val]) -> wasmtime::Result<u32> {
        let func = self.instance.get_func(&mut self.store, name);
        let func = func.expect("the guest exports the function");
        let mut results = [Val::Bool(false)];
        func.call_async(&mut self.store, params, &mut results)
            .await?;
        func.post_return_async(&mut self.store).await?;
        match results {
            [Val::U32(n)] => Ok(n),
            [val] => panic!("{val:?} is not a number"),
        }
    }

    /// Calls `send` with a stream that gives `content`, and then nothing, and does not end while the other side lives.
    async fn send(&mut self, content: &[u8]) -> wasmtime::Result<u32> {
        let (mut w, r) = tokio::io::duplex(64);
        w.write_all(content).await?;
        let stream = self.own(r)?;
        let sent = self.call("send", &[stream]).await;
        drop(w);
        sent
    }

    /// A stream of what `r` reads, in the store.
    fn own(&mut self, r: tokio::io::DuplexStream) -> wasmtime::Result<Val> {
        let stream: InputStream = Box::new(AsyncReadStream::new(r));
        let stream = self.store.data_mut().table().push(stream)?;
        let stream = stream.try_into_resource_any(&mut self.store)?;
        Ok(Val::Resource(stream))
    }
}

/// A peer, and what arrives at it.
fn peer(delay: Duration) -> (Peer, mpsc::UnboundedReceiver<Invocation>) {
    let (tx, rx) = mpsc::unbounded_channel();
    (Peer::At(tx, delay), rx)
}

const ADD: [Val; 2] = [Val::U32(300), Val::U32(5)];

#[tokio::test]
async fn an_import_is_invoked_with_its_parameters_and_returns_the_results() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::ZERO);
    let mut guest = Guest::new(peer, None).await?;
    let served = async {
        let mut call = invocations.recv().await.expect("the import is invoked");
        assert_eq!((call.instance.as_str(), call.func.as_str()), (API, "add"));
        assert_eq!(call.params.as_ref(), [0xac, 0x02, 5]);
        let after = call.rx.bytes().await?;
        assert!(after.is_empty(), "the outgoing stream ends without more");
        call.tx.write_all(&[0xb1, 0x02]).await?;
        call.tx.shutdown().await
    };
    let (result, served) = tokio::join!(guest.call("add", &ADD), served);
    served?;
    assert_eq!(result?, 305);
    Ok(())
}

#[tokio::test]
async fn a_resource_of_the_peer_goes_by_its_handle_and_its_functions_by_plain_names(
) -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::ZERO);
    let mut guest = Guest::new(peer, None).await?;
    let served = async {
        let mut call = invocations.recv().await.expect("the constructor");
        assert_eq!((call.func.as_str(), call.params.len()), ("thing", 0));
        call.tx.write_all(b"\x03abc").await?;
        for answer in [9, 4] {
            let mut call = invocations.recv().await.expect("the method");
            assert_eq!(call.func, "thing.get");
            assert_eq!(call.params, b"\x03abc".as_slice());
            call.tx.write_all(&[answer]).await?;
        }
        std::io::Result::Ok(())
    };
    let (result, served) = tokio::join!(guest.call("thing", &[]), served);
    served?;
    assert_eq!(result?, 13);
    Ok(())
}

#[tokio::test]
async fn results_are_read_while_a_stream_is_still_being_sent() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::ZERO);
    let mut guest = Guest::new(peer, None).await?;
    let served = async {
        let mut call = invocations.recv().await.expect("the import is invoked");
        assert!(call.params.is_empty(), "a stream takes no bytes");
        let mut chunk = [0; 3];
        let mut param = call.rx.index(&[0])?;
        tokio::io::AsyncReadExt::read_exact(&mut param, &mut chunk).await?;
        assert_eq!(&chunk, b"\x02ab");
        // The answer does not wait for the end of the stream. Dropping the stream ends the sending.
        call.tx.write_all(&[1]).await?;
        anyhow::Ok(())
    };
    let (mut w, r) = tokio::io::duplex(64);
    let params = [guest.own(r)?];
    let source = async {
        w.write_all(b"ab").await?;
        served.await?;
        w.write_all(b"cd").await?;
        anyhow::Ok(())
    };
    let (result, source) = tokio::join!(guest.call("send", &params), source);
    source?;
    assert_eq!(result?, 1);
    Ok(())
}

#[tokio::test]
async fn a_borrowed_stream_is_refused_before_anything_is_sent() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::ZERO);
    let mut guest = Guest::new(peer, None).await?;
    let (_w, r) = tokio::io::duplex(64);
    let params = [guest.own(r)?];
    let err = guest.call("peek", &params).await;
    let err = format!("{:#}", err.expect_err("it cannot be sent"));
    assert!(err.contains("parameter value 0"), "{err}");
    assert!(err.contains("borrowed `wasi:io/input-stream`"), "{err}");
    assert!(invocations.try_recv().is_err());
    Ok(())
}

#[tokio::test]
async fn an_import_that_nobody_serves_fails_with_its_name() -> anyhow::Result<()> {
    let mut guest = Guest::new(Peer::Absent, None).await?;
    let err = guest.call("add", &ADD).await.expect_err("nobody serves it");
    let text = format!("{err:#}");
    assert!(text.contains("`test:peer/api.add`"), "{text}");
    // The host tells a missing function from a failed one by this.
    let kind = err.root_cause().downcast_ref().map(std::io::Error::kind);
    assert_eq!(kind, Some(std::io::ErrorKind::NotConnected));
    Ok(())
}

#[tokio::test]
async fn results_that_break_off_are_an_error_that_names_the_import() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::ZERO);
    let mut guest = Guest::new(peer, None).await?;
    let served = async {
        let mut call = invocations.recv().await.expect("the import is invoked");
        call.tx.write_all(&[0x80]).await
    };
    let (result, served) = tokio::join!(guest.call("add", &ADD), served);
    served?;
    let err = format!("{:#}", result.expect_err("half a number"));
    assert!(err.contains("`test:peer/api.add`"), "{err}");
    assert!(err.contains("ended the stream after 1 bytes"), "{err}");
    Ok(())
}

const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn an_invocation_that_nobody_takes_ends_in_time() -> anyhow::Result<()> {
    let mut guest = Guest::new(Peer::Silent, Some(TIMEOUT)).await?;
    let start = Instant::now();
    let err = guest.call("add", &ADD).await.expect_err("nobody takes it");
    assert_eq!(start.elapsed().as_secs(), 5);
    let err = format!("{err:#}");
    assert!(
        err.contains("failed to invoke `test:peer/api.add`"),
        "{err}"
    );
    assert!(err.contains("timed out"), "{err}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn receiving_has_what_the_invocation_left_of_the_time() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::from_secs(2));
    let mut guest = Guest::new(peer, Some(TIMEOUT)).await?;
    let start = Instant::now();
    let (result, call) = tokio::join!(guest.call("add", &ADD), invocations.recv());
    assert_eq!(start.elapsed().as_secs(), 5);
    let err = format!("{:#}", result.expect_err("the peer does not answer"));
    assert!(err.contains("`test:peer/api.add` timed out"), "{err}");
    drop(call);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn sending_has_what_the_invocation_left_of_the_time() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::from_secs(2));
    let mut guest = Guest::new(peer, Some(TIMEOUT)).await?;
    let start = Instant::now();
    let served = async {
        let mut call = invocations.recv().await.expect("the import is invoked");
        call.tx.write_all(&[1]).await?;
        std::io::Result::Ok(call)
    };
    let (result, call) = tokio::join!(guest.send(b"ab"), served);
    assert_eq!(start.elapsed().as_secs(), 5);
    let err = format!("{:#}", result.expect_err("the stream does not end"));
    assert!(err.contains("`test:peer/api.send` timed out"), "{err}");
    drop(call?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_an_answer_may_take_its_time() -> anyhow::Result<()> {
    let (peer, mut invocations) = peer(Duration::from_secs(3600));
    let mut guest = Guest::new(peer, None).await?;
    let served = async {
        let mut call = invocations.recv().await.expect("the import is invoked");
        call.tx.write_all(&[4]).await
    };
    let (result, served) = tokio::join!(guest.call("add", &ADD), served);
    served?;
    assert_eq!(result?, 4);
    Ok(())
}
