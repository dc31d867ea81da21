//! The types of a function, as far as they can be told from what is sent.
//!
//! wRPC sends values and not types, so a peer whose types differ reads something else than was meant, or fails in the
//! middle. On one host, both sides are there, and can be compared before the function runs.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use wasmtime::component::types::{Case, ComponentFunc};
use wasmtime::component::Type;

/// The types of a function as text: equal for two functions that read each other's values as they were meant.
///
/// Names are not in it, nor are they sent: a record is the tuple of its fields, an enum a variant without payloads. Nor
/// is it which resource a handle is of.
pub(crate) fn types(ty: &ComponentFunc) -> Arc<str> {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = function(&mut text, ty);
    text.into()
}

fn function(text: &mut String, ty: &ComponentFunc) -> fmt::Result {
    text.push_str("func");
    tuple(text, ty.params())?;
    text.push_str(" -> ");
    tuple(text, ty.results())
}

fn tuple(text: &mut String, types: impl Iterator<Item = Type>) -> fmt::Result {
    text.push('(');
    for (at, ty) in types.enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        value(text, &ty)?;
    }
    text.push(')');
    Ok(())
}

/// A type, or `_` for none.
fn optional(text: &mut String, ty: Option<Type>) -> fmt::Result {
    match ty {
        Some(ty) => value(text, &ty),
        None => text.write_char('_'),
    }
}

fn cases<'a>(text: &mut String, cases: impl Iterator<Item = Case<'a>>) -> fmt::Result {
    for (at, case) in cases.enumerate() {
        if at > 0 {
            text.push_str(" | ");
        }
        optional(text, case.ty)?;
    }
    Ok(())
}

fn value(text: &mut String, ty: &Type) -> fmt::Result {
    let name = match ty {
        Type::Bool => "bool",
        Type::S8 => "s8",
        Type::U8 => "u8",
        Type::S16 => "s16",
        Type::U16 => "u16",
        Type::S32 => "s32",
        Type::U32 => "u32",
        Type::S64 => "s64",
        Type::U64 => "u64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::Own(_) | Type::Borrow(_) => "resource",
        Type::Record(record) => return tuple(text, record.fields().map(|field| field.ty)),
        Type::Tuple(types) => return tuple(text, types.types()),
        Type::List(list) => {
            text.push_str("list<");
            value(text, &list.ty())?;
            ">"
        }
        Type::Option(option) => {
            text.push_str("option<");
            value(text, &option.ty())?;
            ">"
        }
        Type::Result(result) => {
            text.push_str("result<");
            optional(text, result.ok())?;
            text.push_str(", ");
            optional(text, result.err())?;
            ">"
        }
        Type::Variant(variant) => {
            text.push_str("variant<");
            cases(text, variant.cases())?;
            ">"
        }
        Type::Enum(ty) => {
            text.push_str("variant<");
            text.push_str(&vec!["_"; ty.names().len()].join(" | "));
            ">"
        }
        Type::Flags(flags) => return write!(text, "flags<{}>", flags.names().len()),
    };
    text.write_str(name)
}

#[cfg(test)]
mod tests {
    use wasmtime::component::types::ComponentItem;
    use wasmtime::component::Component;
    use wasmtime::Engine;

    use super::*;

    /// The text of a function with `types` as parameters.
    fn text(definitions: &str, parameters: &str) -> String {
        let component = format!(r#"(component {definitions} (import "f" (func {parameters})))"#);
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(component).expect("valid text"))
            .expect("a component");
        let imports = component.component_type();
        let ty = imports.imports(&engine).find_map(|(_, ty)| match ty {
            ComponentItem::ComponentFunc(ty) => Some(types(&ty).to_string()),
            _ => None,
        });
        ty.expect("a function")
    }

    #[test]
    fn types_that_differ_on_the_wire_differ() {
        let parameters = [
            "",
            "(param \"a\" u8)",
            "(param \"a\" u32)",
            "(param \"a\" s32)",
            "(param \"a\" u64)",
            "(param \"a\" f32)",
            "(param \"a\" string)",
            "(param \"a\" char)",
            "(param \"a\" (list u8))",
            "(param \"a\" (list u16))",
            "(param \"a\" (option u8))",
            "(param \"a\" (result u8))",
            "(param \"a\" (result (error u8)))",
            "(param \"a\" (tuple u8 u8))",
            "(param \"a\" u8) (param \"b\" u8)",
            "(result u8)",
        ];
        let mut texts: Vec<_> = parameters.iter().map(|p| text("", p)).collect();
        let count = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), count, "{texts:#?}");
    }

    #[test]
    fn names_make_no_difference() {
        let (a, b) = (
            "(param \"a\" (tuple u8 string))",
            "(param \"b\" (tuple u8 string))",
        );
        assert_eq!(text("", a), text("", b));
        assert_eq!(text("", a), "func((u8, string)) -> ()");
    }
}
