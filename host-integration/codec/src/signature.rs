//! The types of a function, and how they are shown.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use crate::build::Named;
use crate::error::Unsupported;
use crate::plan::{Fields, Id, Kind, Plan, Variant};
use crate::types::Type;

/// The types of a function. A clone is the same one.
///
/// As text, it is without names: records are tuples of their fields. The text is cut after 1 KiB.
///
/// ```
/// use inhost_codec::{Signature, Type};
///
/// let signature = Signature::new(&[Type::list(Type::U32)], &[])?;
/// assert_eq!(signature.to_string(), "func(list<u32>) -> ()");
/// # Ok::<(), inhost_codec::Unsupported>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    /// Its parameters.
    pub params: Arc<Plan>,
    /// Its results.
    pub results: Arc<Plan>,
}

impl Signature {
    /// Of these parameters and results.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn new(params: &[Type], results: &[Type]) -> Result<Self, Unsupported> {
        Ok(Self {
            params: Arc::new(Plan::new(params)?),
            results: Arc::new(Plan::new(results)?),
        })
    }

    /// Whether a handle or a stream can be in a parameter or a result.
    pub fn has_resources(&self) -> bool {
        self.params.has_resources() || self.results.has_resources()
    }
}

/// How long the text of a signature is at most, in bytes. It is for people, and types may be of any size.
const MAX_TEXT: usize = 1024;

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Text(String::new());
        // It fails when it is full.
        if text.function(self).is_err() {
            text.0.push('…');
        }
        f.write_str(&text.0)
    }
}

struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl Text {
    fn function(&mut self, of: &Signature) -> fmt::Result {
        self.write_str("func")?;
        self.tuple(&of.params, of.params.root())?;
        self.write_str(" -> ")?;
        self.tuple(&of.results, of.results.root())
    }

    fn tuple(&mut self, plan: &Plan, fields: Fields) -> fmt::Result {
        self.write_str("(")?;
        for (at, field) in plan.fields(fields).iter().enumerate() {
            if at > 0 {
                self.write_str(", ")?;
            }
            self.ty(plan, field.ty)?;
        }
        self.write_str(")")
    }

    fn ty(&mut self, plan: &Plan, ty: Id) -> fmt::Result {
        match plan.node(ty).kind {
            Kind::Scalar(scalar) => {
                let name = format!("{scalar:?}").to_lowercase();
                self.write_str(&name)
            }
            Kind::String => self.write_str("string"),
            Kind::List(element) => {
                self.write_str("list<")?;
                self.ty(plan, element)?;
                self.write_str(">")
            }
            Kind::Tuple(fields) => self.tuple(plan, fields),
            Kind::Variant(variant) => self.cases(plan, variant),
            Kind::Flags(count) => write!(self, "flags<{count}>"),
            Kind::Handle(_) => self.write_str("resource"),
            Kind::Stream(_) => self.write_str("input-stream"),
        }
    }

    /// A case without a payload is `_`.
    fn cases(&mut self, plan: &Plan, variant: Variant) -> fmt::Result {
        if variant.is_enum() {
            return write!(self, "enum<{}>", variant.count);
        }
        let (name, first, between) = match variant.named {
            Named::Variant => ("variant", 0, " | "),
            Named::Option => ("option", 1, ""),
            Named::Result => ("result", 0, ", "),
        };
        write!(self, "{name}<")?;
        for case in first..variant.count {
            if case > first {
                self.write_str(between)?;
            }
            match plan.case(variant, case).flatten() {
                Some(payload) => self.ty(plan, payload)?,
                None => self.write_str("_")?,
            }
        }
        self.write_str(">")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Builder;

    #[test]
    fn each_type_has_a_text() {
        let of = |ty| Signature::new(&[ty], &[]).unwrap().to_string();
        for (ty, text) in [
            (Type::S16, "s16"),
            (Type::F32, "f32"),
            (Type::Char, "char"),
            (Type::String, "string"),
            (Type::Handle(3), "resource"),
            (Type::Stream(0), "input-stream"),
            (Type::Tuple(vec![Type::U8, Type::String]), "(u8, string)"),
            (Type::Variant(vec![None; 3]), "enum<3>"),
            (Type::Variant(vec![None, Some(Type::U8)]), "variant<_ | u8>"),
            (Type::option(Type::Flags(2)), "option<flags<2>>"),
            (Type::result(None, None), "result<_, _>"),
            (Type::result(None, Some(Type::U8)), "result<_, u8>"),
            (Type::list(Type::Bool), "list<bool>"),
        ] {
            assert_eq!(of(ty), format!("func({text}) -> ()"));
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let mut types = Builder::new();
        let mut ty = types.enumeration(3).unwrap();
        for _ in 0..25 {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        let params = Arc::new(types.plan(&[ty]).unwrap());
        let results = Arc::new(Plan::new(&[]).unwrap());
        let text = Signature { params, results }.to_string();
        assert!(text.len() <= MAX_TEXT + '…'.len_utf8(), "{}", text.len());
        assert!(
            text.starts_with("func(((((") && text.ends_with('…'),
            "{text}"
        );
    }
}
