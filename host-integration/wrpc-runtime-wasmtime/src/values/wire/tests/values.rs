//! Values of every kind that is all bytes, against bytes written by hand.

use wasmtime::component::Val;

use super::{decode, encode, engine, store, ty};

fn some(v: Val) -> Option<Box<Val>> {
    Some(Box::new(v))
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}

/// A type, a value of it, and its bytes.
pub(super) fn known() -> Vec<(&'static str, Val, Vec<u8>)> {
    let mut known = scalars();
    known.extend(compounds());
    known
}

fn scalars() -> Vec<(&'static str, Val, Vec<u8>)> {
    vec![
        ("bool", Val::Bool(false), vec![0]),
        ("bool", Val::Bool(true), vec![1]),
        ("u8", Val::U8(0xff), vec![0xff]),
        ("s8", Val::S8(-128), vec![0x80]),
        ("u16", Val::U16(127), vec![0x7f]),
        ("u16", Val::U16(300), vec![0xac, 0x02]),
        ("u16", Val::U16(u16::MAX), vec![0xff, 0xff, 0x03]),
        ("s16", Val::S16(-1), vec![0x7f]),
        ("s16", Val::S16(64), vec![0xc0, 0x00]),
        ("s16", Val::S16(i16::MIN), vec![0x80, 0x80, 0x7e]),
        ("u32", Val::U32(128), vec![0x80, 0x01]),
        (
            "u32",
            Val::U32(u32::MAX),
            vec![0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "s32",
            Val::S32(i32::MIN),
            vec![0x80, 0x80, 0x80, 0x80, 0x78],
        ),
        ("s32", Val::S32(-65), vec![0xbf, 0x7f]),
        (
            "u64",
            Val::U64(u64::MAX),
            [vec![0xff; 9], vec![0x01]].concat(),
        ),
        (
            "s64",
            Val::S64(i64::MIN),
            [vec![0x80; 9], vec![0x7f]].concat(),
        ),
        ("f32", Val::Float32(1.5), vec![0, 0, 0xc0, 0x3f]),
        ("f64", Val::Float64(-2.0), vec![0, 0, 0, 0, 0, 0, 0, 0xc0]),
        ("char", Val::Char('a'), vec![0x61]),
        ("char", Val::Char('ß'), vec![0xc3, 0x9f]),
        ("char", Val::Char('€'), vec![0xe2, 0x82, 0xac]),
        ("char", Val::Char('𐍈'), vec![0xf0, 0x90, 0x8d, 0x88]),
        ("string", Val::String(String::new()), vec![0]),
        (
            "string",
            Val::String("hé".into()),
            vec![3, 0x68, 0xc3, 0xa9],
        ),
    ]
}

fn compounds() -> Vec<(&'static str, Val, Vec<u8>)> {
    let shape = |name: &str, v| Val::Variant(name.into(), v);
    let x = |n: u8| Val::U8(n);
    let e = || Val::String("e".into());
    vec![
        ("(list u8)", Val::List(vec![]), vec![0]),
        ("(list u8)", Val::List(vec![x(1), x(2)]), vec![2, 1, 2]),
        (
            "(list u16)",
            Val::List(vec![Val::U16(1), Val::U16(300)]),
            vec![2, 1, 0xac, 0x02],
        ),
        (
            "(list (list string))",
            Val::List(vec![Val::List(vec![e()]), Val::List(vec![])]),
            vec![2, 1, 1, b'e', 0],
        ),
        (
            "$point",
            Val::Record(vec![("x".into(), x(1)), ("y".into(), Val::S32(-1))]),
            vec![1, 0x7f],
        ),
        (
            "(tuple u8 string)",
            Val::Tuple(vec![x(7), e()]),
            vec![7, 1, b'e'],
        ),
        (
            "$shape",
            shape("circle", some(Val::Float32(1.5))),
            vec![0, 0, 0, 0xc0, 0x3f],
        ),
        ("$shape", shape("none", None), vec![1]),
        ("$shape", shape("named", some(e())), vec![2, 1, b'e']),
        ("$color", Val::Enum("blue".into()), vec![2]),
        ("$many", Val::Enum("x299".into()), vec![0xab, 0x02]),
        ("(option u8)", Val::Option(None), vec![0]),
        ("(option u8)", Val::Option(some(x(5))), vec![1, 5]),
        (
            "(option (option u8))",
            Val::Option(some(Val::Option(None))),
            vec![1, 0],
        ),
        (
            "(result u8 (error string))",
            Val::Result(Ok(some(x(5)))),
            vec![0, 5],
        ),
        (
            "(result u8 (error string))",
            Val::Result(Err(some(e()))),
            vec![1, 1, b'e'],
        ),
        ("(result)", Val::Result(Ok(None)), vec![0]),
        ("(result)", Val::Result(Err(None)), vec![1]),
        (
            "(result (error u8))",
            Val::Result(Err(some(x(3)))),
            vec![1, 3],
        ),
        ("$flags3", Val::Flags(vec![]), vec![0]),
        ("$flags3", Val::Flags(named(&["x0", "x2"])), vec![0b101]),
        ("$flags9", Val::Flags(named(&["x0", "x8"])), vec![1, 1]),
        (
            "$flags33",
            Val::Flags(named(&["x1", "x32"])),
            vec![2, 0, 0, 0, 1],
        ),
        (
            "$flags130",
            Val::Flags(named(&["x7", "x129"])),
            [vec![0x80], vec![0; 15], vec![2]].concat(),
        ),
    ]
}

#[tokio::test]
async fn a_value_has_the_bytes_that_the_protocol_says() -> wasmtime::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    for (text, val, bytes) in known() {
        let (encoded, deferred) = encode(&mut store, &val, &ty(&engine, text))?;
        assert_eq!(encoded, bytes, "{val:?} of type {text}");
        assert!(
            deferred.is_none(),
            "{text} has nothing to send after its bytes"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_bytes_mean_the_value_however_they_arrive() -> wasmtime::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    for (text, val, bytes) in known() {
        for max in [1, usize::MAX] {
            let decoded = decode(&mut store, &bytes, max, &ty(&engine, text)).await?;
            assert_eq!(decoded, val, "{bytes:?} of type {text}, {max} at a time");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_list_longer_than_what_is_reserved_for_it_comes_through() -> wasmtime::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    let bytes = Val::List((0..100_000).map(|i: u32| Val::U8(i as u8)).collect());
    let numbers = Val::List((0..5_000).map(Val::U32).collect());
    for (text, val) in [("(list u8)", bytes), ("(list u32)", numbers)] {
        let ty = ty(&engine, text);
        let (encoded, _) = encode(&mut store, &val, &ty)?;
        let decoded = decode(&mut store, &encoded, 7_000, &ty).await?;
        assert!(decoded == val, "a long {text} came back changed");
    }
    Ok(())
}

#[tokio::test]
async fn nan_is_sent_as_it_is() -> wasmtime::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    let nan = f32::from_bits(0x7fa0_0001);
    let (encoded, _) = encode(&mut store, &Val::Float32(nan), &ty(&engine, "f32"))?;
    assert_eq!(encoded.as_ref(), 0x7fa0_0001_u32.to_le_bytes());
    let decoded = decode(&mut store, &encoded, 4, &ty(&engine, "f32")).await?;
    assert!(matches!(decoded, Val::Float32(v) if v.to_bits() == 0x7fa0_0001));
    Ok(())
}

#[tokio::test]
async fn a_value_of_another_type_is_refused() {
    let engine = engine();
    let mut store = store(&engine);
    let point = |x: &str| Val::Record(vec![(x.into(), Val::U8(1)), ("y".into(), Val::S32(1))]);
    let wrong = [
        ("u8", Val::U16(1), "mismatch"),
        ("string", Val::List(vec![]), "mismatch"),
        ("(list u8)", Val::List(vec![Val::S8(1)]), "list element 0"),
        ("(list u16)", Val::List(vec![Val::S8(1)]), "list element 0"),
        ("$point", Val::Record(vec![]), "2 fields has a value of 0"),
        ("$point", point("z"), "field `x`"),
        ("(tuple u8 u8)", Val::Tuple(vec![Val::U8(1)]), "2 elements"),
        ("$color", Val::Enum("mauve".into()), "`mauve`"),
        ("$shape", Val::Variant("cube".into(), None), "`cube`"),
        (
            "$shape",
            Val::Variant("circle".into(), None),
            "value missing",
        ),
        (
            "$shape",
            Val::Variant("none".into(), some(Val::U8(1))),
            "type missing",
        ),
        ("$flags3", Val::Flags(named(&["x3"])), "unknown flag"),
        (
            "(result)",
            Val::Result(Ok(some(Val::U8(1)))),
            "unknown type",
        ),
        (
            "(result u8 (error u8))",
            Val::Result(Err(None)),
            "`result::err` value missing",
        ),
    ];
    for (text, val, says) in wrong {
        let err = encode(&mut store, &val, &ty(&engine, text))
            .err()
            .unwrap_or_else(|| panic!("{val:?} was taken for {text}"));
        let err = format!("{err:#}");
        assert!(
            err.contains(says),
            "{val:?} as {text}: {err:?} does not say {says:?}"
        );
    }
}
