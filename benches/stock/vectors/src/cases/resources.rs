//! Handles and streams, alone and in everything else.

use wasmtime::component::Val;
use wrpc_transport::{ResourceBorrow, ResourceOwn};

use crate::case::Case;
use crate::json::hex;
use crate::native::case;
use crate::ty::Ty;

pub(crate) fn add(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    handles(cases)?;
    streams(cases);
    both(cases);
    Ok(())
}

fn handles(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    for length in [0, 1, 16, 127, 128, 300] {
        let what = format!("{length} bytes");
        cases.push(case(&what, own(length))?);
        cases.push(case(&what, ResourceBorrow::<()>::from(some(length)))?);
    }
    cases.push(case("none", Vec::<ResourceOwn<()>>::new())?);
    cases.push(case("some", vec![own(3), own(0), own(200)])?);
    cases.push(case("some", Some(own(2)))?);
    cases.push(case("none", None::<ResourceOwn<()>>)?);
    cases.push(case(
        "beside values",
        (1_u8, own(2), "text".to_owned(), own(3)),
    )?);
    cases.push(case("nested", ((own(1), 300_u16), Some((own(2), true))))?);
    cases.push(case("ok", Ok::<_, String>(own(4)))?);
    cases.push(case("err", Err::<u32, _>(own(4)))?);
    Ok(())
}

fn own(length: u16) -> ResourceOwn<()> {
    some(length).into()
}

fn streams(cases: &mut Vec<Case>) {
    let mut add = |what: &str, ty: &Ty, value| cases.push(Case::new(ty, what, value));
    add("empty", &Ty::Stream, stream(&[]));
    for length in [1, 127, 128, 300] {
        add(&format!("{length} bytes"), &Ty::Stream, stream(&[length]));
    }
    add("chunks", &Ty::Stream, stream(&[1, 128, 2]));
    let list = Ty::list(Ty::Stream);
    add("none", &list, Val::List(Vec::new()));
    // The index in a path may be longer than a byte.
    let many = (0..130).map(|at| stream(&[1 + at % 3]));
    add("many", &list, Val::List(many.collect()));
    let option = Ty::option(Ty::Stream);
    add("none", &option, Val::Option(None));
    add("some", &option, Val::Option(boxed(stream(&[3]))));
    // The payload of a list's element has the element's path.
    let element = |streams: &[Val]| Val::Option(boxed(Val::List(streams.to_vec())));
    let lists = Ty::list(Ty::option(list));
    let value = [
        Val::Option(None),
        element(&[stream(&[1])]),
        element(&[]),
        element(&[stream(&[2]), stream(&[])]),
    ];
    add("ragged", &lists, Val::List(value.to_vec()));
    let pair = Ty::Tuple(vec![Ty::Stream, Ty::Stream]);
    let value = Val::Tuple(vec![stream(&[1]), stream(&[2])]);
    add("two", &pair, value.clone());
    add(
        "ok",
        &Ty::result(Some(pair.clone()), Some(Ty::Stream)),
        Val::Result(Ok(boxed(value))),
    );
    let value = Val::Result(Err(boxed(stream(&[4]))));
    add("err", &Ty::result(Some(pair), Some(Ty::Stream)), value);
}

fn both(cases: &mut Vec<Case>) {
    let named = |fields: &[(&str, Ty)]| {
        fields
            .iter()
            .map(|(name, ty)| (name.to_string(), ty.clone()))
            .collect()
    };
    let record = Ty::Record(named(&[
        ("id", Ty::U32),
        ("body", Ty::Stream),
        ("owner", Ty::Own),
        ("name", Ty::String),
        ("trailers", Ty::option(Ty::Stream)),
        ("of", Ty::Borrow),
    ]));
    let value = |trailers| {
        let values = [
            ("id", Val::U32(300)),
            ("body", stream(&[2, 3])),
            ("owner", handle(5)),
            ("name", Val::String("é".to_owned())),
            ("trailers", Val::Option(trailers)),
            ("of", handle(0)),
        ];
        Val::Record(values.map(|(name, value)| (name.to_owned(), value)).into())
    };
    cases.push(Case::new(&record, "of both", value(boxed(stream(&[1])))));
    cases.push(Case::new(&record, "of both, without trailers", value(None)));
    let list = Val::List(vec![value(None), value(boxed(stream(&[])))]);
    cases.push(Case::new(&Ty::list(record.clone()), "of both", list));
    let some = |ty: &Ty| Some(ty.clone());
    let variant = Ty::Variant(vec![
        ("none".to_owned(), None),
        ("stream".to_owned(), Some(Ty::Stream)),
        ("handle".to_owned(), Some(Ty::Own)),
        ("record".to_owned(), some(&record)),
    ]);
    let payloads = [
        ("none", None),
        ("stream", boxed(stream(&[3]))),
        ("handle", boxed(handle(3))),
        ("record", boxed(value(None))),
    ];
    for (name, payload) in payloads {
        let what = format!("{name}, of both");
        cases.push(Case::new(
            &variant,
            &what,
            Val::Variant(name.to_owned(), payload),
        ));
    }
}

/// Some bytes.
fn some(length: u16) -> Vec<u8> {
    (0..length)
        .map(|at| (at * 7 + 1).to_le_bytes()[0])
        .collect()
}

/// What stands for a handle of so many bytes.
pub(super) fn handle(length: u16) -> Val {
    Val::String(hex(&some(length)))
}

/// What stands for a stream with chunks of so many bytes.
pub(super) fn stream(chunks: &[u16]) -> Val {
    Val::List(chunks.iter().map(|length| handle(*length)).collect())
}

fn boxed(value: Val) -> Option<Box<Val>> {
    Some(Box::new(value))
}
