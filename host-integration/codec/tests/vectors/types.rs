//! The types of the wire vectors. Tests of the runtime drop-in read them, too.

use inhost_codec::Type;
use serde_json::Value as Json;

pub(super) fn array(json: &Json) -> &[Json] {
    json.as_array()
        .unwrap_or_else(|| panic!("not an array: {json}"))
}

/// A type as its kind and what it is made of.
pub(super) fn kind(json: &Json) -> (&str, &Json) {
    match json {
        Json::String(plain) => (plain, &Json::Null),
        Json::Object(object) => object
            .iter()
            .next()
            .map(|(kind, of)| (&**kind, of))
            .expect("a kind"),
        other => panic!("not a type: {other}"),
    }
}

/// The type that a vector says it has.
pub(super) fn ty(json: &Json) -> Type {
    let payload = |json: &Json| (!json.is_null()).then(|| ty(json));
    let (kind, of) = kind(json);
    match kind {
        "bool" => Type::Bool,
        "u8" => Type::U8,
        "s8" => Type::S8,
        "u16" => Type::U16,
        "s16" => Type::S16,
        "u32" => Type::U32,
        "s32" => Type::S32,
        "u64" => Type::U64,
        "s64" => Type::S64,
        "f32" => Type::F32,
        "f64" => Type::F64,
        "char" => Type::Char,
        "string" => Type::String,
        "list" => Type::list(ty(of)),
        "tuple" => Type::Tuple(array(of).iter().map(ty).collect()),
        "record" => Type::Tuple(array(of).iter().map(|field| ty(&field[1])).collect()),
        "variant" => Type::Variant(array(of).iter().map(|case| payload(&case[1])).collect()),
        "enum" => Type::Variant(vec![None; array(of).len()]),
        "option" => Type::option(ty(of)),
        "result" => Type::result(payload(&of["ok"]), payload(&of["err"])),
        "flags" => Type::Flags(array(of).len()),
        // An even number is that of a handle, an odd one of a stream; see `taken` in tests of the codec.
        "own" => Type::Handle(0),
        "borrow" => Type::Handle(2),
        "stream" => Type::Stream(1),
        other => panic!("unknown type {other}"),
    }
}
