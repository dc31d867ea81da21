//! Types that agree: what is sent as one is read as the other, as the same value or not at all. The
//! wire is the judge: a value is encoded by its own type, and decoded by the other one, by what the
//! published decoder reads with.

mod reference;

use std::sync::Arc;

use inhost_codec::{agree, Checker, Plan, Progress, Signature, Type};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use reference::read::{is_as_meant, read, Meaning};
use reference::{encode, strategy, Value};

/// Whether parameters of the types `sent` may be read as `read`.
fn may_be_read(sent: &[Type], read: &[Type]) -> bool {
    let function = |types| Signature::new(types, &[]).expect("types within reason");
    agree(&function(sent), &function(read))
}

/// What the checker and the published decoder make of `message`, when both have to agree: `None` is an error.
fn received(types: &[Type], message: &[u8]) -> Option<Vec<Meaning>> {
    let mut checker = Checker::new(Arc::new(Plan::new(types).expect("types within reason")));
    let checked = checker.advance(message);
    match (checked, read(types, message)) {
        (Ok(Progress::Complete { length }), Ok((values, read))) => {
            assert_eq!(length, read, "{types:?} of {message:x?}");
            // What follows is not looked at. Here nothing may be left.
            assert_eq!(length, message.len(), "{types:?} of {message:x?}");
            Some(values)
        }
        (Err(_), Err(_)) => None,
        (checked, read) => panic!("{types:?} of {message:x?}: {checked:?}, but {read:?}"),
    }
}

/// A type that may be near to another one.
fn changed(ty: &Type, change: &mut impl Iterator<Item = Index>) -> Type {
    let Some(choice) = change.next() else {
        return ty.clone();
    };
    let mut inside = |ty: &Type| changed(ty, change);
    let near = match ty {
        Type::List(element) => Type::list(inside(element)),
        Type::Option(payload) => Type::option(inside(payload)),
        Type::Tuple(types) => Type::Tuple(types.iter().map(inside).collect()),
        Type::Result(ok, err) => {
            let ok = ok.as_deref().map(&mut inside);
            Type::result(ok, err.as_deref().map(inside))
        }
        Type::Variant(cases) => Type::Variant(
            cases
                .iter()
                .map(|ty| ty.as_ref().map(&mut inside))
                .collect(),
        ),
        other => other.clone(),
    };
    match (choice.index(12), near) {
        (0, near) => Type::Tuple(vec![near]),
        (1, Type::Tuple(mut types)) if types.len() == 1 => types.remove(0),
        (1, Type::Tuple(mut types)) => {
            let first = types.remove(0);
            Type::Tuple(vec![first, Type::Tuple(types)])
        }
        (2, Type::Variant(mut cases)) => {
            cases.push(choice.index(2).eq(&0).then_some(Type::U8));
            Type::Variant(cases)
        }
        (3, Type::Variant(mut cases)) if cases.len() > 1 => {
            cases.pop();
            Type::Variant(cases)
        }
        (4, Type::Variant(cases)) if matches!(cases.as_slice(), [None, Some(_)]) => Type::Option(
            Box::new(cases.into_iter().flatten().next().expect("a payload")),
        ),
        (2..=4, Type::Option(payload)) => Type::Variant(vec![None, Some(*payload)]),
        (2..=4, Type::Result(ok, err)) => Type::Variant(vec![ok.map(|ty| *ty), err.map(|ty| *ty)]),
        (2, Type::Flags(count)) => Type::Flags(count + 1),
        (3, Type::Flags(count)) if count > 1 => Type::Flags(count - 1),
        (4, Type::Flags(count)) => Type::Flags(count + choice.index(9)),
        (5..=8, near) if is_number(&near) => {
            let numbers = [
                Type::Bool,
                Type::U8,
                Type::S8,
                Type::U16,
                Type::U32,
                Type::U64,
                Type::S16,
                Type::S32,
                Type::Flags(1 + choice.index(9)),
                Type::Variant(vec![None; 1 + choice.index(130)]),
                Type::result(None, None),
            ];
            numbers[choice.index(numbers.len())].clone()
        }
        (2, Type::String) => Type::list(Type::U8),
        (2, Type::List(_)) => Type::String,
        (_, near) => near,
    }
}

/// Whether its values are integers, whatever they are called.
fn is_number(ty: &Type) -> bool {
    match ty {
        Type::Bool | Type::U8 | Type::S8 | Type::U16 | Type::S16 => true,
        Type::U32 | Type::S32 | Type::U64 | Type::S64 | Type::Flags(_) => true,
        Type::Variant(cases) => cases.iter().all(Option::is_none),
        Type::Result(ok, err) => ok.is_none() && err.is_none(),
        _ => false,
    }
}

/// Some types, values of them, and other types that are often near to these.
fn pairs() -> impl Strategy<Value = (Vec<Type>, Vec<Value>, Vec<Type>)> {
    (
        strategy::message(),
        vec(any::<Index>(), 0..12),
        any::<bool>(),
        strategy::message(),
    )
        .prop_map(|((types, values), changes, near, (others, _))| {
            let mut changes = changes.into_iter();
            let others = match near {
                true => types.iter().map(|ty| changed(ty, &mut changes)).collect(),
                false => others,
            };
            (types, values, others)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn what_agrees_is_read_as_the_same_value_or_not_at_all((sent, values, read_as) in pairs()) {
        if may_be_read(&sent, &read_as) {
            let message = encode(&sent, &values);
            let meant = received(&sent, &message).expect("it is what it says");
            if let Some(values) = received(&read_as, &message) {
                prop_assert!(is_as_meant(&values, &meant), "{:?} was read as {:?}", meant, values);
            }
        }
    }

    #[test]
    fn each_type_agrees_with_itself((types, _) in strategy::message()) {
        prop_assert!(may_be_read(&types, &types));
    }
}

/// A value of the first type is read as the same value of the second one.
fn is_read(sent: Type, value: Value, read_as: Type) {
    let (sent, read_as) = ([sent], [read_as]);
    assert!(may_be_read(&sent, &read_as), "{sent:?} as {read_as:?}");
    let message = encode(&sent, &[value]);
    let meant = received(&sent, &message).expect("it is what it says");
    let read = received(&read_as, &message).unwrap_or_else(|| panic!("{sent:?} as {read_as:?}"));
    assert!(is_as_meant(&read, &meant), "{meant:?} was read as {read:?}");
}

/// The types agree, and this value, which the second one does not have, is refused.
fn is_refused(sent: Type, value: Value, read_as: Type) {
    let (sent, read_as) = ([sent], [read_as]);
    assert!(may_be_read(&sent, &read_as), "{sent:?} as {read_as:?}");
    let message = encode(&sent, &[value]);
    assert_eq!(
        received(&read_as, &message),
        None,
        "{sent:?} as {read_as:?}"
    );
}

/// The types do not agree: this value, and what follows it, would be read as another one.
fn is_misread(sent: Type, value: Value, read_as: Type) {
    let (sent, read_as) = ([sent, Type::U8], [read_as, Type::U8]);
    assert!(!may_be_read(&sent, &read_as), "{sent:?} as {read_as:?}");
    let mut message = encode(&sent, &[value, Value::U8(7)]);
    // Of whatever follows.
    message.extend([0; 8]);
    let (meant, _) = read(&sent, &message).expect("it is what it says");
    let (read, _) = read(&read_as, &message).expect("bytes that pass for it");
    assert!(
        !is_as_meant(&read, &meant),
        "{meant:?} was read as {read:?}"
    );
}

fn cases(count: usize) -> Type {
    Type::Variant(vec![None; count])
}

fn case(case: usize) -> Value {
    Value::Variant(case, None)
}

fn some(value: Value) -> Option<Box<Value>> {
    Some(Box::new(value))
}

#[test]
fn fields_follow_each_other_whatever_is_around_them() {
    let tuple = |types: &[Type]| Type::Tuple(types.to_vec());
    let one = Value::Tuple(vec![Value::U32(300)]);
    is_read(tuple(&[Type::U32]), one, Type::U32);
    is_read(Type::U32, Value::U32(300), tuple(&[tuple(&[Type::U32])]));
    let flat = tuple(&[Type::U8, Type::Bool, Type::String]);
    let nested = tuple(&[Type::U8, tuple(&[Type::Bool, Type::String])]);
    let values = [Value::U8(1), Value::Bool(true), Value::String("x".into())];
    is_read(flat, Value::Tuple(values.to_vec()), nested);
    let sent = [tuple(&[Type::U8, Type::U8])];
    assert!(may_be_read(&sent, &[Type::U8, Type::U8]), "two parameters");
    assert!(!may_be_read(&sent, &[Type::U8]), "one less");
    assert!(!may_be_read(&[Type::U8], &[]), "none");
    is_misread(
        tuple(&[Type::U8, Type::U8]),
        Value::Tuple(vec![Value::U8(1), Value::U8(2)]),
        Type::U8,
    );
}

#[test]
fn a_case_at_the_end_is_refused_when_it_is_sent() {
    // Beyond 127 the number of a case has two bytes; at 256 it has two in the memory of a guest. Neither matters.
    for count in [1, 2, 127, 128, 129, 255, 256, 257] {
        is_read(cases(count), case(count - 1), cases(count + 1));
        is_read(cases(count + 1), case(count - 1), cases(count));
        is_refused(cases(count + 1), case(count), cases(count));
    }
    let shape = |more: &[Option<Type>]| {
        let mut cases = vec![None, Some(Type::F64)];
        cases.extend_from_slice(more);
        Type::Variant(cases)
    };
    let circle = Value::Variant(1, some(Value::F64(0)));
    is_read(shape(&[Some(Type::String)]), circle.clone(), shape(&[]));
    is_read(shape(&[]), circle, shape(&[None, Some(Type::U8)]));
    let text = Value::Variant(2, some(Value::String("x".into())));
    is_refused(shape(&[Some(Type::String)]), text.clone(), shape(&[]));
    is_misread(shape(&[Some(Type::String)]), text, shape(&[Some(Type::U8)]));
}

#[test]
fn a_case_is_a_number_whatever_its_type_is_called() {
    let option = Type::option(Type::U32);
    let variant = Type::Variant(vec![None, Some(Type::U32)]);
    is_read(
        option.clone(),
        Value::Option(some(Value::U32(9))),
        variant.clone(),
    );
    is_read(
        variant.clone(),
        Value::Variant(1, some(Value::U32(9))),
        option.clone(),
    );
    let more = Type::Variant(vec![None, Some(Type::U32), None]);
    is_refused(more, case(2), option.clone());
    is_refused(cases(300), case(299), Type::result(None, None));
    let result = Type::result(Some(Type::String), None);
    let ok = Value::Result(Ok(some(Value::String("x".into()))));
    is_read(
        result.clone(),
        ok,
        Type::Variant(vec![Some(Type::String), None]),
    );
    is_read(Type::Bool, Value::Bool(true), cases(2));
    is_refused(cases(3), case(2), Type::Bool);
    is_misread(option, Value::Option(some(Value::U32(9))), Type::U32);
    is_misread(
        Type::result(Some(Type::U8), None),
        Value::Result(Ok(some(Value::U8(1)))),
        Type::result(None, None),
    );
}

#[test]
fn flags_at_the_end_are_dropped_where_no_byte_is_added() {
    let flags = |count, set| Value::Flags((0..count).map(|at| at < set).collect());
    for (few, more) in [(1, 2), (3, 8), (9, 16), (31, 32), (33, 40)] {
        is_read(Type::Flags(few), flags(few, few), Type::Flags(more));
        is_read(Type::Flags(more), flags(more, more), Type::Flags(few));
    }
    for (few, more) in [(8, 9), (16, 17), (32, 33)] {
        is_misread(Type::Flags(more), flags(more, more), Type::Flags(few));
    }
    is_read(Type::Flags(1), flags(1, 1), Type::Bool);
    is_read(Type::Bool, Value::Bool(false), Type::Flags(1));
    is_misread(cases(3), case(2), Type::Flags(1));
}

/// Types of numbers, with numbers of theirs at which something may change.
fn numbers() -> Vec<(Type, Vec<Value>)> {
    let unsigned = |bits: u32| {
        let some = [
            0, 1, 2, 3, 31, 32, 63, 64, 127, 128, 255, 256, 299, 16_383, 16_384,
        ];
        let all = some.into_iter().chain((0..64).map(|at| 1 << at));
        all.filter(move |number: &u64| *number <= u64::MAX >> (64 - bits))
    };
    let signed = |bits: u32| {
        let range = i64::MIN >> (64 - bits)..=i64::MAX >> (64 - bits);
        let all = unsigned(63).flat_map(|number| [number as i64, -(number as i64)]);
        all.filter(move |number| range.contains(number))
    };
    let mut types = vec![
        (Type::Bool, [false, true].map(Value::Bool).into()),
        (Type::U8, (0..=u8::MAX).map(Value::U8).collect()),
        (Type::S8, (i8::MIN..=i8::MAX).map(Value::S8).collect()),
        (
            Type::U16,
            unsigned(16).map(|it| Value::U16(it as u16)).collect(),
        ),
        (
            Type::U32,
            unsigned(32).map(|it| Value::U32(it as u32)).collect(),
        ),
        (Type::U64, unsigned(64).map(Value::U64).collect()),
        (
            Type::S16,
            signed(16).map(|it| Value::S16(it as i16)).collect(),
        ),
        (
            Type::S32,
            signed(32).map(|it| Value::S32(it as i32)).collect(),
        ),
        (Type::S64, signed(64).map(Value::S64).collect()),
        (
            Type::result(None, None),
            [Ok(None), Err(None)].map(Value::Result).into(),
        ),
    ];
    types.extend((1..=9).map(|count| {
        let set = |bits: u32| (0..count).map(|at| bits >> at & 1 == 1).collect();
        let all = (0..1 << count).map(|bits| Value::Flags(set(bits)));
        (Type::Flags(count), all.collect())
    }));
    let counts = [
        1, 2, 3, 4, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000,
    ];
    types.extend(counts.map(|count| (cases(count), (0..count).map(case).collect())));
    types
}

/// Whether the published decoder reads each of `values` of the type `sent` as the same number of the
/// type `read_as`, or refuses it, whatever follows.
fn reads_all(sent: &Type, values: &[Value], read_as: &Type) -> bool {
    let reads = |value: &Value, next: u8| {
        let mut message = encode(std::slice::from_ref(sent), std::slice::from_ref(value));
        let length = message.len();
        message.extend([next; 12]);
        let meant = read(std::slice::from_ref(sent), &message).expect("it is what it says");
        assert_eq!(meant.1, length);
        read(std::slice::from_ref(read_as), &message).map_or(true, |read| {
            read.1 == length && is_as_meant(&read.0, &meant.0)
        })
    };
    let mut all = values.iter();
    all.all(|value| [0, 1, 7, 0x7f].iter().all(|next| reads(value, *next)))
}

/// Those and no others.
#[test]
fn numbers_agree_when_the_published_decoder_reads_each_as_itself_or_refuses_it() {
    let (types, mut agreeing) = (numbers(), 0);
    for (sent, values) in &types {
        for (read_as, _) in &types {
            let may_be = may_be_read(std::slice::from_ref(sent), std::slice::from_ref(read_as));
            assert_eq!(
                may_be,
                reads_all(sent, values, read_as),
                "{sent:?} as {read_as:?}"
            );
            agreeing += usize::from(may_be);
        }
    }
    assert!(agreeing > types.len(), "{agreeing}");
}

#[test]
fn a_case_and_flags_are_numbers() {
    let flags = |count, set: &[usize]| {
        let flags = (0..count).map(|at| set.contains(&at));
        Value::Flags(flags.collect())
    };
    is_read(Type::Bool, Value::Bool(true), Type::U8);
    is_read(cases(9), case(8), Type::U32);
    is_read(cases(128), case(127), Type::U8);
    is_misread(cases(129), case(128), Type::U8);
    for set in 0..8 {
        is_read(Type::Flags(8), flags(8, &[set]), Type::U8);
        is_read(Type::U8, Value::U8(1 << set), Type::Flags(8));
    }
    is_misread(Type::U8, Value::U8(0x80), Type::Flags(7));
    is_refused(Type::U64, Value::U64(300), Type::Bool);
    is_refused(Type::U32, Value::U32(300), cases(300));
    is_refused(Type::S64, Value::S64(-1), cases(64));
    // What has more to it than its number.
    let more = Type::Variant(vec![None, None, Some(Type::U8)]);
    is_read(Type::Bool, Value::Bool(true), more.clone());
    is_read(more.clone(), case(1), Type::Bool);
    let payload = Value::Variant(2, some(Value::U8(1)));
    is_refused(more.clone(), payload.clone(), Type::Bool);
    is_misread(more.clone(), payload, Type::U8);
    is_misread(Type::U32, Value::U32(2), more);
}

#[test]
fn a_number_has_no_width_but_a_sign() {
    is_read(Type::U16, Value::U16(u16::MAX), Type::U64);
    is_read(Type::U64, Value::U64(65_535), Type::U16);
    is_refused(Type::U64, Value::U64(65_536), Type::U16);
    is_refused(Type::U64, Value::U64(u64::MAX), Type::U32);
    is_read(Type::S64, Value::S64(-32_768), Type::S16);
    is_refused(Type::S32, Value::S32(-32_769), Type::S16);
    is_misread(Type::U32, Value::U32(100), Type::S32);
    is_misread(Type::U8, Value::U8(255), Type::S8);
    is_misread(Type::U16, Value::U16(300), Type::U8);
    is_misread(Type::F32, Value::F32(0x0101_0101), Type::U32);
    is_misread(Type::F64, Value::F64(0), Type::F32);
    is_misread(Type::Char, Value::Char('x'), Type::U32);
}

#[test]
fn text_is_bytes() {
    let bytes = |bytes: &[u8]| Value::List(bytes.iter().copied().map(Value::U8).collect());
    let list = || Type::list(Type::U8);
    is_read(Type::String, Value::String("é".into()), list());
    is_read(list(), bytes("é".as_bytes()), Type::String);
    is_refused(list(), bytes(&[0xff]), Type::String);
    let of_flags = || Type::list(Type::Tuple(vec![Type::Flags(8)]));
    is_read(Type::String, Value::String("é".into()), of_flags());
    is_refused(
        Type::String,
        Value::String("x".into()),
        Type::list(Type::Bool),
    );
    is_misread(
        Type::String,
        Value::String("é".into()),
        Type::list(Type::S8),
    );
    is_misread(Type::Char, Value::Char('\u{0}'), Type::String);
    is_misread(
        Type::list(Type::String),
        Value::List(vec![]),
        Type::option(Type::U8),
    );
}
