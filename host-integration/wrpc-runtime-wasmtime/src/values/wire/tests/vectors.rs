//! Values and their bytes, as the published crates have them.

use core::pin::pin;

use bytes::Bytes;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use wasmtime::component::{types, Component, Linker, ResourceType, Type, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{
    HostInputStream, InputStream, StreamError, StreamResult, Subscribe, WasiView as _,
};
use wrpc_transport::Index as _;

use super::super::deferred::Deferred;
use super::transport::{channel, Incoming, Outgoing};
use super::{encode, engine, read_value, store, Ctx};
use crate::RemoteResource;

/// See `tests/data/README.md`, and for the format `benches/stock/vectors/src/main.rs`.
const VECTORS: &str = include_str!("../../../../tests/data/wire-vectors.json");

/// Where the values of the vectors are in their messages.
const PATH: &[usize] = &[3];

#[tokio::test]
async fn values_have_the_bytes_that_the_published_crates_give_them() -> anyhow::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    let vectors: Vec<Value> = serde_json::from_str(VECTORS)?;
    let mut with_streams = 0;
    let mut last: Option<(Value, Type)> = None;
    for vector in vectors {
        let (name, tree) = (&vector["name"], &vector["type"]);
        let ty = match last.take() {
            // Vectors of one type follow each other.
            Some((same, ty)) if same == *tree => ty,
            _ => ty(&engine, tree),
        };
        let wire = hex(&vector["wire"]);
        let streams: Vec<_> = vector["streams"].as_array().into_iter().flatten().collect();
        let streams: Vec<_> = streams
            .iter()
            .map(|stream| (path(stream), hex(&stream["wire"])))
            .collect();
        with_streams += usize::from(!streams.is_empty());
        let value = val(&mut store, tree, &vector["value"]);
        let (bytes, deferred) = encode(&mut store, &value, &ty)?;
        assert_eq!(bytes, wire, "encoding {name}");
        assert_eq!(
            sent(deferred, &streams).await?,
            streams,
            "streams of {name}"
        );
        let decoded = decode(&mut store, &ty, &wire, &streams).await?;
        if !has_resources(&decoded) {
            // NaN is not equal to itself, so values are compared as text.
            assert_eq!(
                format!("{decoded:?}"),
                format!("{value:?}"),
                "decoding {name}"
            );
        }
        // What a resource is can only be seen by sending it.
        let (bytes, deferred) = encode(&mut store, &decoded, &ty)?;
        assert_eq!(bytes, wire, "decoding {name}");
        let again: Vec<_> = sent(deferred, &streams).await?;
        for ((path, wire), (_, again)) in streams.iter().zip(&again) {
            assert_eq!(
                content(wire),
                content(again),
                "decoding {name}, at {path:?}"
            );
        }
        last = Some((tree.clone(), ty));
    }
    assert!(
        with_streams > 80,
        "there are {with_streams} vectors with streams"
    );
    Ok(())
}

fn hex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().expect("hexadecimal digits").as_bytes();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn path(stream: &Value) -> Vec<usize> {
    let path = stream["path"].as_array().expect("a path").iter();
    path.map(|index| index.as_u64().expect("an index") as usize)
        .collect()
}

type Streams = Vec<(Vec<usize>, Vec<u8>)>;

/// What is sent at the paths of `streams`.
async fn sent(deferred: Option<Deferred<Outgoing>>, streams: &Streams) -> anyhow::Result<Streams> {
    assert_eq!(
        deferred.is_some(),
        !streams.is_empty(),
        "something is to be sent"
    );
    let Some(deferred) = deferred else {
        return Ok(Vec::new());
    };
    let (w, r) = channel();
    let read = async {
        let mut sent = Vec::new();
        for (path, _) in streams {
            let mut stream = below(&r, path)?;
            sent.push((path.clone(), stream.bytes().await?));
        }
        anyhow::Ok(sent)
    };
    let w = w.index(PATH)?;
    let (written, sent) = tokio::join!(deferred(w), read);
    written?;
    sent
}

fn below(r: &Incoming, path: &[usize]) -> anyhow::Result<Incoming> {
    r.index(&[PATH, path].concat())
}

/// The value that arrives as `wire`, with `streams` at its paths.
async fn decode(
    store: &mut Store<Ctx>,
    ty: &Type,
    wire: &[u8],
    streams: &Streams,
) -> anyhow::Result<Val> {
    let (mut w, r) = channel();
    let paths: Vec<_> = streams
        .iter()
        .map(|(path, wire)| Ok((w.index(&[PATH, path].concat())?, wire)))
        .collect::<anyhow::Result<_>>()?;
    let mut r = pin!(r);
    let mut value = Val::Bool(false);
    let write = async {
        w.write_all(wire).await?;
        w.shutdown().await?;
        for (mut w, wire) in paths {
            w.write_all(wire).await?;
        }
        anyhow::Ok(())
    };
    let read = async {
        read_value(store, &mut r, &[], &mut value, ty, PATH).await?;
        anyhow::Ok(r.bytes().await?)
    };
    let (written, left) = tokio::join!(write, read);
    written?;
    assert!(left?.is_empty(), "the value ends before the bytes do");
    Ok(value)
}

/// Whether a resource is in a value.
fn has_resources(value: &Val) -> bool {
    format!("{value:?}").contains("Resource(")
}

/// What the chunks of a stream hold, which may be cut anew on the way.
fn content(mut wire: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = wire[0];
            wire = &wire[1..];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        if length == 0 {
            assert!(wire.is_empty(), "the end marker is the end");
            return content;
        }
        content.extend(&wire[..length]);
        wire = &wire[length..];
    }
}

/// A stream that gives these chunks, is always ready, and then closed.
struct Script(std::vec::IntoIter<Vec<u8>>);

impl HostInputStream for Script {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        let chunk = self.0.next().ok_or(StreamError::Closed)?;
        Ok(chunk.into())
    }
}

#[wasmtime_wasi::async_trait]
impl Subscribe for Script {
    async fn ready(&mut self) {}
}

/// wasmtime's type for a type tree, in which resources are those of the host.
fn ty(engine: &Engine, tree: &Value) -> Type {
    let mut definitions = String::new();
    let name = expression(tree, &mut definitions, &mut 0);
    // What has a name is defined already.
    let (name, definition) = match name.starts_with('$') {
        true => (name, String::new()),
        false => ("$it".to_owned(), format!("(type $it {name})")),
    };
    let component = format!(
        r#"(component
          (import "handle" (type $handle (sub resource)))
          (import "stream" (type $stream (sub resource)))
          {definitions}
          {definition}
          (export "it" (type {name})))"#
    );
    let parsed = Component::new(engine, wat::parse_str(&component).expect("valid text"))
        .unwrap_or_else(|error| panic!("{error:#} in {component}"));
    let mut linker = Linker::<Ctx>::new(engine);
    let resources = [
        ("handle", ResourceType::host::<RemoteResource>()),
        ("stream", ResourceType::host::<InputStream>()),
    ];
    for (name, resource) in resources {
        let defined = linker.root().resource(name, resource, |_, _| Ok(()));
        defined.expect("the name is free");
    }
    let exports = linker.substituted_component_type(&parsed);
    let exports = exports.expect("the resources are there");
    let mut exports = exports.exports(engine).filter(|(name, _)| *name == "it");
    match exports.next() {
        Some((_, types::ComponentItem::Type(ty))) => ty,
        _ => panic!("no type is exported: {component}"),
    }
}

/// How a type is written where it is used. Types that need a name are added to `definitions`.
fn expression(tree: &Value, definitions: &mut String, count: &mut usize) -> String {
    let Some(tree) = tree.as_object() else {
        let name = match tree.as_str().expect("the name of a type") {
            "own" => "(own $handle)",
            "borrow" => "(borrow $handle)",
            "stream" => "(own $stream)",
            scalar => scalar,
        };
        return name.to_owned();
    };
    let (kind, of) = tree.iter().next().expect("a kind of type");
    let mut inner = |tree: &Value| expression(tree, definitions, count);
    let members = of.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let definition = match kind.as_str() {
        "list" | "option" => return format!("({kind} {})", inner(of)),
        "tuple" => {
            let types: Vec<_> = members.iter().map(inner).collect();
            return format!("(tuple {})", types.join(" "));
        }
        "result" => {
            let mut part = |key: &str| match &of[key] {
                Value::Null => String::new(),
                tree if key == "err" => format!(" (error {})", inner(tree)),
                tree => format!(" {}", inner(tree)),
            };
            return format!("(result{}{})", part("ok"), part("err"));
        }
        "record" => members
            .iter()
            .map(|field| format!(" (field \"{}\" {})", text(&field[0]), inner(&field[1])))
            .collect::<String>(),
        "variant" => members
            .iter()
            .map(|case| match &case[1] {
                Value::Null => format!(" (case \"{}\")", text(&case[0])),
                tree => format!(" (case \"{}\" {})", text(&case[0]), inner(tree)),
            })
            .collect(),
        "enum" | "flags" => members
            .iter()
            .map(|name| format!(" \"{}\"", text(name)))
            .collect(),
        other => panic!("unknown kind of type {other}"),
    };
    *count += 1;
    let name = format!("t{count}");
    definitions.push_str(&format!(
        "(type ${name}' ({kind}{definition})) (export ${name} \"{name}\" (type ${name}'))\n"
    ));
    format!("${name}")
}

/// wasmtime's value for a value tree of a type tree.
fn val(store: &mut Store<Ctx>, tree: &Value, value: &Value) -> Val {
    let number = || match value {
        Value::String(digits) => digits.parse::<i128>().expect("digits"),
        number => i128::from(number.as_i64().expect("a number")),
    };
    let bits = |key: &str| {
        u64::from_str_radix(value[key].as_str().expect("hexadecimal digits"), 16).expect("bits")
    };
    let text = |value: &Value| match &value["repeat"] {
        Value::Null => value.as_str().expect("a text").to_owned(),
        repeat => {
            let times = repeat[1].as_u64().expect("a number of times") as usize;
            repeat[0].as_str().expect("a text").repeat(times)
        }
    };
    if let Some(scalar) = tree.as_str() {
        return match scalar {
            "bool" => Val::Bool(value.as_bool().expect("a bool")),
            "u8" => Val::U8(number() as u8),
            "s8" => Val::S8(number() as i8),
            "u16" => Val::U16(number() as u16),
            "s16" => Val::S16(number() as i16),
            "u32" => Val::U32(number() as u32),
            "s32" => Val::S32(number() as i32),
            "u64" => Val::U64(number() as u64),
            "s64" => Val::S64(number() as i64),
            "f32" => Val::Float32(f32::from_bits(bits("f32") as u32)),
            "f64" => Val::Float64(f64::from_bits(bits("f64"))),
            "char" => Val::Char(text(value).chars().next().expect("a char")),
            "string" => Val::String(text(value)),
            "own" | "borrow" => file(store, RemoteResource(hex(value).into())),
            "stream" => {
                let chunks = value.as_array().expect("chunks").iter().map(hex);
                let stream: InputStream = Box::new(Script(chunks.collect::<Vec<_>>().into_iter()));
                file(store, stream)
            }
            other => panic!("unknown type {other}"),
        };
    }
    let (kind, of) = tree
        .as_object()
        .and_then(|tree| tree.iter().next())
        .expect("a kind");
    let mut boxed = |tree: &Value, value: &Value| Some(Box::new(val(store, tree, value)));
    let values = value.as_array().cloned().unwrap_or_default();
    let members = of.as_array().cloned().unwrap_or_default();
    match kind.as_str() {
        "list" => Val::List(values.iter().map(|value| val(store, of, value)).collect()),
        "tuple" => Val::Tuple(
            std::iter::zip(&members, &values)
                .map(|(ty, v)| val(store, ty, v))
                .collect(),
        ),
        "record" => Val::Record(
            std::iter::zip(&members, &values)
                .map(|(field, v)| (text(&field[0]), val(store, &field[1], v)))
                .collect(),
        ),
        "variant" => {
            let name = text(&value["case"]);
            let case = members
                .iter()
                .find(|case| text(&case[0]) == name)
                .expect("a case");
            let payload = match &case[1] {
                Value::Null => None,
                ty => boxed(ty, &value["value"]),
            };
            Val::Variant(name, payload)
        }
        "enum" => Val::Enum(text(value)),
        "option" => match value {
            Value::Null => Val::Option(None),
            some => Val::Option(boxed(of, &some["some"])),
        },
        "result" => {
            let mut side = |key: &str| match &of[key] {
                Value::Null => None,
                ty => boxed(ty, &value[key]),
            };
            match value.get("ok") {
                Some(_) => Val::Result(Ok(side("ok"))),
                None => Val::Result(Err(side("err"))),
            }
        }
        "flags" => Val::Flags(values.iter().map(text).collect()),
        other => panic!("unknown kind of type {other}"),
    }
}

fn file<R: Send + 'static>(store: &mut Store<Ctx>, resource: R) -> Val {
    let filed = store
        .data_mut()
        .table()
        .push(resource)
        .expect("there is room");
    Val::Resource(filed.try_into_resource_any(store).expect("it was filed"))
}
