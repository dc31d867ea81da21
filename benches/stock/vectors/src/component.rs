//! A component that exports types: that is how one comes by a `wasmtime` type.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::ty::Ty;

/// The text of a component that exports each of `types`. [`export`] says by which name.
pub(crate) fn text<'a>(types: impl IntoIterator<Item = &'a Ty>) -> String {
    let mut definitions = Definitions::default();
    for (number, ty) in types.into_iter().enumerate() {
        // Only what is defined can be exported, and a keyword is no definition.
        let local = match ty.keyword() {
            Some(keyword) => definitions.add(keyword),
            None => definitions.usable(ty),
        };
        definitions.add_export(&export(number), &local);
    }
    format!("(component\n{RESOURCES}\n{})\n", definitions.text)
}

/// The resources that types refer to. Who instantiates the component says what they are.
const RESOURCES: &str = r#"  (import "handle" (type $handle (sub resource)))
  (import "stream" (type $stream (sub resource)))"#;

/// The name by which the type with this number is exported.
pub(crate) fn export(number: usize) -> String {
    format!("type{number}")
}

#[derive(Default)]
struct Definitions {
    text: String,
    count: usize,
    /// How other definitions refer to a type that is defined already.
    defined: HashMap<Ty, String>,
}

impl Definitions {
    /// Makes sure that `ty` is defined, and returns how to refer to it in other definitions.
    fn usable(&mut self, ty: &Ty) -> String {
        if let Some(keyword) = ty.keyword() {
            return keyword.to_owned();
        }
        if let Some(reference) = self.defined.get(ty) {
            return reference.clone();
        }
        let definition = self.definition(ty);
        let mut reference = self.add(&definition);
        let has_name = matches!(
            ty,
            Ty::Record(_) | Ty::Variant(_) | Ty::Enum(_) | Ty::Flags(_)
        );
        // An exported type may refer to these by an exported name only.
        if has_name {
            let name = format!("part{}", self.count);
            reference = self.add_export(&name, &reference);
        }
        self.defined.insert(ty.clone(), reference.clone());
        reference
    }

    fn definition(&mut self, ty: &Ty) -> String {
        match ty {
            Ty::List(element) => format!("(list {})", self.usable(element)),
            Ty::Option(some) => format!("(option {})", self.usable(some)),
            Ty::Tuple(types) => {
                let types: Vec<_> = types.iter().map(|ty| self.usable(ty)).collect();
                format!("(tuple {})", types.join(" "))
            }
            Ty::Record(fields) => {
                let fields = fields.iter();
                let fields =
                    fields.map(|(name, ty)| format!("(field \"{name}\" {})", self.usable(ty)));
                format!("(record {})", fields.collect::<Vec<_>>().join(" "))
            }
            Ty::Variant(cases) => {
                let cases = cases.iter().map(|(name, payload)| match payload {
                    Some(ty) => format!("(case \"{name}\" {})", self.usable(ty)),
                    None => format!("(case \"{name}\")"),
                });
                format!("(variant {})", cases.collect::<Vec<_>>().join(" "))
            }
            Ty::Result { ok, err } => {
                let ok = ok.as_ref().map(|ty| format!(" {}", self.usable(ty)));
                let err = err
                    .as_ref()
                    .map(|ty| format!(" (error {})", self.usable(ty)));
                format!(
                    "(result{}{})",
                    ok.unwrap_or_default(),
                    err.unwrap_or_default()
                )
            }
            Ty::Enum(names) => format!("(enum {})", quoted(names)),
            Ty::Flags(names) => format!("(flags {})", quoted(names)),
            Ty::Own => "(own $handle)".to_owned(),
            Ty::Borrow => "(borrow $handle)".to_owned(),
            Ty::Stream => "(own $stream)".to_owned(),
            plain => plain.keyword().unwrap_or_default().to_owned(),
        }
    }

    /// Adds a definition and returns the identifier of the type.
    fn add(&mut self, definition: &str) -> String {
        let identifier = self.identifier();
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "  (type {identifier} {definition})");
        identifier
    }

    /// Exports a type and returns the identifier of the exported one.
    fn add_export(&mut self, name: &str, local: &str) -> String {
        let identifier = self.identifier();
        let _ = writeln!(
            self.text,
            "  (export {identifier} \"{name}\" (type {local}))"
        );
        identifier
    }

    fn identifier(&mut self) -> String {
        self.count += 1;
        format!("${}", self.count)
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(" ")
}
