//! Records, variants, enums and flags. `wrpc-transport` knows no Rust types for them.

use wasmtime::component::Val;

use crate::case::Case;
use crate::ty::Ty;

pub(crate) fn add(cases: &mut Vec<Case>) {
    records(cases);
    variants(cases);
    enums(cases);
    flags(cases);
    together(cases);
}

fn records(cases: &mut Vec<Case>) {
    let mut add = |what: &str, fields: &[(&str, Ty, Val)]| {
        let ty = Ty::Record(
            fields
                .iter()
                .map(|(name, ty, _)| (name.to_string(), ty.clone()))
                .collect(),
        );
        cases.push(Case::new(
            &ty,
            what,
            record(fields.iter().map(|(name, _, v)| (*name, v.clone()))),
        ));
    };
    add("one field", &[("only", Ty::U16, Val::U16(128))]);
    add(
        "padding between",
        &[
            ("a", Ty::U8, Val::U8(1)),
            ("b", Ty::U64, Val::U64(u64::MAX)),
            ("c", Ty::U8, Val::U8(255)),
        ],
    );
    add(
        "mixed",
        &[
            ("name", Ty::String, text("é漢😀")),
            ("age", Ty::U8, Val::U8(200)),
            (
                "weights",
                Ty::list(Ty::F64),
                Val::List(vec![Val::Float64(-0.0)]),
            ),
            ("nick-name", Ty::option(Ty::String), Val::Option(None)),
        ],
    );
    // More fields than a function can have flat parameters.
    let names: Vec<_> = (0..20).map(|i| format!("field{i}")).collect();
    let fields: Vec<_> = (0_u32..)
        .zip(&names)
        .map(|(i, name)| (name.as_str(), Ty::U32, Val::U32(i * i * i * i * i)))
        .collect();
    add("numbers", &fields);
}

fn variants(cases: &mut Vec<Case>) {
    let payloads = [
        ("none", None),
        ("small", Some((Ty::U8, Val::U8(255)))),
        ("large", Some((Ty::U64, Val::U64(u64::MAX)))),
        ("single", Some((Ty::F32, Val::Float32(f32::NAN)))),
        ("double", Some((Ty::F64, Val::Float64(-0.0)))),
        ("text", Some((Ty::String, text("é")))),
        (
            "bytes",
            Some((Ty::list(Ty::U8), Val::List(vec![Val::U8(0), Val::U8(128)]))),
        ),
        (
            "pair",
            Some((
                Ty::Tuple(vec![Ty::S8, Ty::S64]),
                Val::Tuple(vec![Val::S8(-1), Val::S64(i64::MIN)]),
            )),
        ),
        (
            "maybe",
            Some((
                Ty::option(Ty::Char),
                Val::Option(Some(Box::new(Val::Char('漢')))),
            )),
        ),
    ];
    let ty = Ty::Variant(
        payloads
            .iter()
            .map(|(name, payload)| (name.to_string(), payload.as_ref().map(|(ty, _)| ty.clone())))
            .collect(),
    );
    for (name, payload) in payloads {
        cases.push(Case::new(
            &ty,
            name,
            variant(name, payload.map(|(_, value)| value)),
        ));
    }
    for (what, payload) in [("without payload", None), ("with payload", Some(Ty::U16))] {
        let ty = Ty::Variant(vec![("only".to_owned(), payload.clone())]);
        cases.push(Case::new(
            &ty,
            what,
            variant("only", payload.map(|_| Val::U16(300))),
        ));
    }
    // Cases with an odd number have a payload.
    for count in [127, 128, 129, 255, 256, 257, 300] {
        let ty = many(count);
        for i in around_the_lengths(count) {
            let payload = (i % 2 == 1).then_some(Val::U32(1000));
            cases.push(Case::new(
                &ty,
                &format!("case {i}"),
                variant(&format!("c{i}"), payload),
            ));
        }
    }
}

fn enums(cases: &mut Vec<Case>) {
    for count in [1, 2, 127, 128, 129, 255, 256, 257, 300] {
        let ty = Ty::Enum(names("e", count));
        for i in around_the_lengths(count) {
            cases.push(Case::new(
                &ty,
                &format!("case {i}"),
                Val::Enum(format!("e{i}")),
            ));
        }
    }
}

fn flags(cases: &mut Vec<Case>) {
    for count in [1, 7, 8, 9, 15, 16, 17, 20, 23, 24, 25, 31, 32] {
        let names = names("f", count);
        let ty = Ty::Flags(names.clone());
        let mut add = |what: &str, set: &dyn Fn(usize) -> bool| {
            let set = (0..count).filter(|i| set(*i)).map(|i| names[i].clone());
            cases.push(Case::new(&ty, what, Val::Flags(set.collect())));
        };
        add("none", &|_| false);
        add("all", &|_| true);
        if count > 1 {
            add("the first", &|i| i == 0);
            add("the last", &|i| i == count - 1);
            add("each second", &|i| i % 2 == 1);
        }
    }
}

/// Named types in each other and in lists.
fn together(cases: &mut Vec<Case>) {
    let colour = Ty::Enum(["red", "green", "blue"].map(str::to_owned).to_vec());
    let rights = Ty::Flags(names("r", 9));
    let shape = Ty::Variant(vec![
        ("point".to_owned(), None),
        ("circle".to_owned(), Some(Ty::F32)),
        ("many".to_owned(), Some(Ty::list(colour.clone()))),
    ]);
    let item = Ty::Record(vec![
        ("shape".to_owned(), shape.clone()),
        ("colour".to_owned(), Ty::option(colour.clone())),
        ("rights".to_owned(), rights.clone()),
        (
            "result".to_owned(),
            Ty::result(Some(shape.clone()), Some(rights.clone())),
        ),
    ]);
    let red = || Val::Enum("red".to_owned());
    let both = || Val::Flags(vec!["r0".to_owned(), "r8".to_owned()]);
    let full = record([
        (
            "shape",
            variant(
                "many",
                Some(Val::List(vec![red(), Val::Enum("blue".to_owned())])),
            ),
        ),
        ("colour", Val::Option(Some(Box::new(red())))),
        ("rights", both()),
        (
            "result",
            Val::Result(Ok(Some(Box::new(variant(
                "circle",
                Some(Val::Float32(0.5)),
            ))))),
        ),
    ]);
    let bare = record([
        ("shape", variant("point", None)),
        ("colour", Val::Option(None)),
        ("rights", Val::Flags(vec![])),
        ("result", Val::Result(Err(Some(Box::new(both()))))),
    ]);
    let mut list = |what: &str, element: &Ty, values: Vec<Val>| {
        let ty = Ty::list(element.clone());
        cases.push(Case::new(&ty, what, Val::List(values)));
    };
    list("empty", &item, vec![]);
    list(
        "full and bare",
        &item,
        vec![full.clone(), bare.clone(), full.clone()],
    );
    list("empty", &colour, vec![]);
    list("two", &colour, vec![red(), Val::Enum("green".to_owned())]);
    list("two", &rights, vec![both(), Val::Flags(vec![])]);
    list(
        "all its flags",
        &Ty::Flags(names("f", 17)),
        vec![Val::Flags(names("f", 17)); 2],
    );
    list(
        "ends",
        &many(300),
        vec![variant("c0", None), variant("c299", Some(Val::U32(0)))],
    );
    list(
        "ends",
        &Ty::Enum(names("e", 300)),
        vec![Val::Enum("e299".to_owned()), Val::Enum("e0".to_owned())],
    );

    cases.push(nested(20, item, full));
}

/// `value` in `levels` records, each with a byte before and after.
fn nested(levels: usize, ty: Ty, value: Val) -> Case {
    let (ty, value) = (0..levels).fold((ty, value), |(ty, value), _| {
        let outer = Ty::Record(vec![
            ("before".to_owned(), Ty::U8),
            ("inner".to_owned(), ty),
            ("after".to_owned(), Ty::U8),
        ]);
        let value = record([
            ("before", Val::U8(1)),
            ("inner", value),
            ("after", Val::U8(2)),
        ]);
        (outer, value)
    });
    Case::new(&ty, &format!("{levels} deep"), value)
}

/// A variant whose cases with an odd number have a payload.
fn many(count: usize) -> Ty {
    let cases = names("c", count).into_iter().enumerate();
    Ty::Variant(
        cases
            .map(|(i, name)| (name, (i % 2 == 1).then_some(Ty::U32)))
            .collect(),
    )
}

/// The first and the last of `count` cases, and those where a discriminant gets longer: in the encoding (128) and in
/// a guest's memory (256).
fn around_the_lengths(count: usize) -> Vec<usize> {
    let mut found = vec![0, 127, 128, 255, 256, count - 1];
    found.retain(|i| *i < count);
    found.sort_unstable();
    found.dedup();
    found
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{prefix}{i}")).collect()
}

fn record<'a>(fields: impl IntoIterator<Item = (&'a str, Val)>) -> Val {
    Val::Record(
        fields
            .into_iter()
            .map(|(name, v)| (name.to_owned(), v))
            .collect(),
    )
}

fn variant(name: &str, payload: Option<Val>) -> Val {
    Val::Variant(name.to_owned(), payload.map(Box::new))
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}
