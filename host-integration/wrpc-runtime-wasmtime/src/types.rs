//! The types of a function, as text that goes beside a call.
//!
//! wRPC sends values and not types, so a peer whose types differ may read something else than was meant, or fail in the
//! middle. On one host, both sides are there, and can be compared before the function runs: [`agree`] does, by what the
//! values are on the wire.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use inhost_codec::agree;
use wasmtime::component::types::{Case, ComponentFunc};
use wasmtime::component::{ResourceType, Type};

/// The types of a function as text, as [`agree`] reads it. `is_stream` tells an input stream from other resources.
///
/// Names are not in it, nor are they sent. Nor is it which resource a handle is of.
pub(crate) fn types(ty: &ComponentFunc, is_stream: impl Fn(ResourceType) -> bool) -> Arc<str> {
    types_of(ty.params(), ty.results(), is_stream)
}

/// As [`types`], of the types of a function's parameters and results.
pub(crate) fn types_of(
    params: impl Iterator<Item = Type>,
    results: impl Iterator<Item = Type>,
    is_stream: impl Fn(ResourceType) -> bool,
) -> Arc<str> {
    let mut text = Text {
        text: "func".to_owned(),
        is_stream,
    };
    text.tuple(params);
    text.add(" -> ");
    text.tuple(results);
    text.text.into()
}

struct Text<S> {
    text: String,
    is_stream: S,
}

impl<S: Fn(ResourceType) -> bool> Text<S> {
    fn add(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn tuple(&mut self, types: impl Iterator<Item = Type>) {
        self.add("(");
        for (at, ty) in types.enumerate() {
            if at > 0 {
                self.add(", ");
            }
            self.value(&ty);
        }
        self.add(")");
    }

    /// The payload of a case, or `_` for none.
    fn payload(&mut self, ty: Option<Type>) {
        match ty {
            Some(ty) => self.value(&ty),
            None => self.add("_"),
        }
    }

    fn cases<'a>(&mut self, cases: impl Iterator<Item = Case<'a>>) {
        for (at, case) in cases.enumerate() {
            if at > 0 {
                self.add(" | ");
            }
            self.payload(case.ty);
        }
    }

    fn value(&mut self, ty: &Type) {
        let end = match ty {
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
            Type::Own(ty) if (self.is_stream)(*ty) => "input-stream",
            // A stream that is borrowed cannot pass.
            Type::Own(_) | Type::Borrow(_) => "resource",
            Type::Record(record) => return self.tuple(record.fields().map(|field| field.ty)),
            Type::Tuple(types) => return self.tuple(types.types()),
            Type::List(list) => {
                self.add("list<");
                self.value(&list.ty());
                ">"
            }
            Type::Option(option) => {
                self.add("option<");
                self.value(&option.ty());
                ">"
            }
            Type::Result(result) => {
                self.add("result<");
                self.payload(result.ok());
                self.add(", ");
                self.payload(result.err());
                ">"
            }
            Type::Variant(variant) => {
                self.add("variant<");
                self.cases(variant.cases());
                ">"
            }
            Type::Enum(ty) => return self.counted("enum", ty.names().len()),
            Type::Flags(ty) => return self.counted("flags", ty.names().len()),
        };
        self.add(end);
    }

    fn counted(&mut self, what: &str, count: usize) {
        // Writing to a string does not fail.
        let _ = write!(self.text, "{what}<{count}>");
    }
}

/// How many callers' types a function remembers. Most have those of the function itself, and are not among them.
const REMEMBERED: usize = 16;

/// What was found out about callers whose types of a function differ from its own.
#[derive(Debug, Default)]
pub(crate) struct Callers(Mutex<Vec<(Arc<str>, bool)>>);

impl Callers {
    /// Whether a caller with the types `theirs` and a function with the types `ours` read each other.
    pub(crate) fn agree(&self, theirs: &Arc<str>, ours: &str) -> bool {
        if **theirs == *ours {
            return true;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, agree)) = known.iter().find(|(types, _)| types == theirs) {
            return *agree;
        }
        let agree = agree(theirs, ours);
        if known.len() == REMEMBERED {
            known.remove(0);
        }
        known.push((Arc::clone(theirs), agree));
        agree
    }
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
            ComponentItem::ComponentFunc(ty) => Some(types(&ty, |_| false).to_string()),
            _ => None,
        });
        ty.expect("a function")
    }

    #[test]
    fn types_that_differ_have_different_texts() {
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

    #[test]
    fn each_type_has_a_text_that_the_codec_knows() {
        let definitions = r#"(import "r" (type $r (sub resource)))
            (type $record' (record (field "a" u8) (field "b" string)))
            (import "record" (type $record (eq $record')))
            (type $variant' (variant (case "a") (case "b" u8)))
            (import "variant" (type $variant (eq $variant')))
            (type $enum' (enum "a" "b" "c"))
            (import "enum" (type $enum (eq $enum')))
            (type $flags' (flags "a" "b"))
            (import "flags" (type $flags (eq $flags')))"#;
        for (ty, expected) in [
            ("bool", "bool"),
            ("s8", "s8"),
            ("u8", "u8"),
            ("s16", "s16"),
            ("u16", "u16"),
            ("s32", "s32"),
            ("u32", "u32"),
            ("s64", "s64"),
            ("u64", "u64"),
            ("f32", "f32"),
            ("f64", "f64"),
            ("char", "char"),
            ("string", "string"),
            ("(own $r)", "resource"),
            ("(borrow $r)", "resource"),
            ("$record", "(u8, string)"),
            ("(tuple u8 u16)", "(u8, u16)"),
            ("(list $enum)", "list<enum<3>>"),
            ("(option $flags)", "option<flags<2>>"),
            ("(result)", "result<_, _>"),
            (
                "(result u8 (error $variant))",
                "result<u8, variant<_ | u8>>",
            ),
        ] {
            let text = text(definitions, &format!(r#"(param "a" {ty})"#));
            assert_eq!(text, format!("func({expected}) -> ()"));
            assert!(agree(&text, &text), "{text}");
        }
    }

    #[test]
    fn a_stream_is_told_from_a_handle() {
        let component = r#"(component (import "r" (type $r (sub resource)))
            (import "f" (func (param "a" (own $r)) (param "b" (borrow $r)))))"#;
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(component).expect("valid text"));
        let component = component.expect("a component").component_type();
        let Some(ComponentItem::ComponentFunc(ty)) = component.get_import(&engine, "f") else {
            panic!("it imports a function");
        };
        assert_eq!(&*types(&ty, |_| true), "func(input-stream, resource) -> ()");
        assert_eq!(&*types(&ty, |_| false), "func(resource, resource) -> ()");
    }

    #[test]
    fn what_was_found_out_about_a_caller_is_remembered_for_some() {
        let callers = Callers::default();
        let ours = "func(enum<2>) -> ()";
        assert!(callers.agree(&ours.into(), ours));
        assert!(callers.0.lock().unwrap().is_empty(), "it is the same text");
        for _ in 0..2 {
            for cases in 3..3 + REMEMBERED {
                assert!(callers.agree(&format!("func(enum<{cases}>) -> ()").into(), ours));
            }
            assert_eq!(callers.0.lock().unwrap().len(), REMEMBERED);
            assert!(!callers.agree(&"func(u32) -> ()".into(), ours));
            assert!(!callers.agree(&"func(u32) -> ()".into(), ours));
        }
    }
}
