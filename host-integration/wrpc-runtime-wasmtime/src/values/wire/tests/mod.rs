//! What the tests share: a store, types, and both directions of the codec for wasmtime's values.

mod calls;
mod handles;
mod hostile;
mod imports;
mod streams;
mod transport;
mod values;
mod vectors;

use core::pin::pin;
use core::time::Duration;
use std::io;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder as _;
use wasmtime::component::{types, Component, Instance, Linker, Type, Val};
use wasmtime::{AsContextMut as _, Config, Engine, Store};

use self::transport::{Outgoing, Peer, Slice};
use super::deferred::Deferred;
use super::{read_value, ValEncoder};

type Ctx = crate::test_ctx::Ctx<Peer>;

fn engine() -> Engine {
    let mut config = Config::new();
    config
        .async_support(true)
        .wasm_component_model_more_flags(true);
    Engine::new(&config).expect("a valid configuration")
}

fn store(engine: &Engine) -> Store<Ctx> {
    store_with(engine, Peer::Silent, None)
}

fn store_with(engine: &Engine, peer: Peer, timeout: Option<Duration>) -> Store<Ctx> {
    Store::new(engine, Ctx::with(peer, timeout, ()))
}

/// The component that `text` is, in a store of its own.
async fn instance(text: &str) -> wasmtime::Result<(Store<Ctx>, Instance)> {
    let engine = engine();
    let mut store = store(&engine);
    let component = Component::new(&engine, wat::parse_str(text)?)?;
    let linker = Linker::new(&engine);
    let instance = linker.instantiate_async(&mut store, &component).await?;
    Ok((store, instance))
}

/// The type that `text` means, in which the types named in [`named_types`] can be used.
fn ty(engine: &Engine, text: &str) -> Type {
    let named: String = named_types()
        .iter()
        .map(|(name, def)| {
            format!("(type ${name}' ({def})) (import \"{name}\" (type ${name} (eq ${name}')))\n")
        })
        .collect();
    let component = format!("(component {named} (import \"f\" (func (param \"p\" {text}))))");
    let component = Component::new(engine, wat::parse_str(component).expect("valid text"))
        .expect("a valid type");
    let f = component
        .component_type()
        .imports(engine)
        .find_map(|(_, item)| match item {
            types::ComponentItem::ComponentFunc(f) => Some(f),
            _ => None,
        })
        .expect("the component imports a function");
    let ty = f.params().next();
    ty.expect("the function has a parameter")
}

fn named_types() -> Vec<(&'static str, String)> {
    let numbered =
        |n: usize| -> String { (0..n).map(|i| format!(" \"x{i}\"")).collect::<String>() };
    vec![
        ("point", r#"record (field "x" u8) (field "y" s32)"#.into()),
        (
            "shape",
            r#"variant (case "circle" f32) (case "none") (case "named" string)"#.into(),
        ),
        ("color", r#"enum "red" "green" "blue""#.into()),
        ("many", format!("enum{}", numbered(300))),
        ("flags3", format!("flags{}", numbered(3))),
        ("flags9", format!("flags{}", numbered(9))),
        ("flags33", format!("flags{}", numbered(33))),
        ("flags130", format!("flags{}", numbered(130))),
    ]
}

/// The bytes of `v`, and what is to be written after them.
fn encode(
    store: &mut Store<Ctx>,
    v: &Val,
    ty: &Type,
) -> wasmtime::Result<(Bytes, Option<Deferred<Outgoing>>)> {
    let mut buf = BytesMut::new();
    let mut enc = ValEncoder::new(store.as_context_mut(), ty, &[]);
    enc.encode(v, &mut buf)?;
    Ok((buf.freeze(), enc.deferred))
}

/// The value that all of `bytes` mean, read at most `max` bytes at a time.
async fn decode(store: &mut Store<Ctx>, bytes: &[u8], max: usize, ty: &Type) -> io::Result<Val> {
    let mut r = pin!(Slice::new(bytes, max));
    let mut val = Val::Bool(false);
    read_value(store, &mut r, &[], &mut val, ty, &[0]).await?;
    assert_eq!(r.left(), 0, "the value ends before the bytes do");
    Ok(val)
}
