//! Values and their bytes, as the published crates have them.

use serde_json::Value;
use wasmtime::component::{types, Component, Type, Val};
use wasmtime::Engine;

use super::{decode, encode, engine, store};

/// See `tests/data/README.md`, and for the format `benches/stock/vectors/src/main.rs`.
const VECTORS: &str = include_str!("../../../../tests/data/wire-vectors.json");

#[tokio::test]
async fn values_have_the_bytes_that_the_published_crates_give_them() -> anyhow::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    let vectors: Vec<Value> = serde_json::from_str(VECTORS)?;
    let mut last: Option<(Value, Type)> = None;
    for vector in vectors {
        let (name, tree) = (&vector["name"], &vector["type"]);
        let ty = match last.take() {
            // Vectors of one type follow each other.
            Some((same, ty)) if same == *tree => ty,
            _ => ty(&engine, tree),
        };
        let wire = vector["wire"].as_str().expect("hexadecimal digits");
        let wire: Vec<u8> = wire
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let value = val(tree, &vector["value"]);
        let (bytes, deferred) = encode(&mut store, &value, &ty)?;
        assert_eq!(bytes, wire, "encoding {name}");
        assert!(deferred.is_none(), "{name}");
        let decoded = decode(&mut store, &wire, 7, &ty).await?;
        // NaN is not equal to itself, so values are compared as text.
        assert_eq!(
            format!("{decoded:?}"),
            format!("{value:?}"),
            "decoding {name}"
        );
        last = Some((tree.clone(), ty));
    }
    Ok(())
}

/// wasmtime's type for a type tree.
fn ty(engine: &Engine, tree: &Value) -> Type {
    let mut definitions = String::new();
    let name = expression(tree, &mut definitions, &mut 0);
    let component = format!("(component {definitions} (import \"f\" (func (param \"p\" {name}))))");
    let component = Component::new(engine, wat::parse_str(&component).expect("valid text"))
        .unwrap_or_else(|error| panic!("{error:#} in {component}"));
    let imports = component.component_type();
    let function = imports.imports(engine).find_map(|(_, item)| match item {
        types::ComponentItem::ComponentFunc(function) => Some(function),
        _ => None,
    });
    let ty = function.expect("a function").params().next();
    ty.expect("a parameter")
}

/// How a type is written where it is used. Types that need a name are added to `definitions`.
fn expression(tree: &Value, definitions: &mut String, count: &mut usize) -> String {
    let Some(tree) = tree.as_object() else {
        return tree.as_str().expect("the name of a type").to_owned();
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
        "(type ${name}' ({kind}{definition})) (import \"{name}\" (type ${name} (eq ${name}')))\n"
    ));
    format!("${name}")
}

/// wasmtime's value for a value tree of a type tree.
fn val(tree: &Value, value: &Value) -> Val {
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
    let boxed = |tree: &Value, value: &Value| Some(Box::new(val(tree, value)));
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
            other => panic!("unknown type {other}"),
        };
    }
    let (kind, of) = tree
        .as_object()
        .and_then(|tree| tree.iter().next())
        .expect("a kind");
    let values = value.as_array().cloned().unwrap_or_default();
    let members = of.as_array().cloned().unwrap_or_default();
    match kind.as_str() {
        "list" => Val::List(values.iter().map(|value| val(of, value)).collect()),
        "tuple" => Val::Tuple(
            std::iter::zip(&members, &values)
                .map(|(ty, v)| val(ty, v))
                .collect(),
        ),
        "record" => Val::Record(
            std::iter::zip(&members, &values)
                .map(|(field, v)| (text(&field[0]), val(&field[1], v)))
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
            let side = |key: &str| match &of[key] {
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
