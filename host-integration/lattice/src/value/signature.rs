//! The types of a function, as WIT has them.

use std::fmt;

use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{Type, Val};

use super::convert::wave_type;

/// The types of a function that is called from outside.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Box<[Type]>,
    pub(crate) results: Box<[Type]>,
}

/// Why arguments do not fit a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("it is `{signature}`, with {expected} parameters, and {given} arguments were given")]
    Count {
        signature: String,
        expected: usize,
        given: usize,
    },
    #[error("argument {number} is not a `{expected}`: {detail}")]
    Argument {
        number: usize,
        expected: String,
        detail: String,
    },
}

impl Signature {
    pub(crate) fn of(ty: &ComponentFunc) -> Self {
        Self {
            params: ty.params().collect(),
            results: ty.results().collect(),
        }
    }

    /// Whether only values that mean something outside of the component are in it. A resource does not.
    pub(crate) fn is_plain(&self) -> bool {
        let types = self.params.iter().chain(&self.results);
        types.into_iter().all(|ty| wave_type(ty).is_some())
    }

    /// Reads arguments in the WAVE encoding, one text each.
    pub(crate) fn parse(&self, arguments: &[impl AsRef<str>]) -> Result<Vec<Val>, Misfit> {
        self.check_count(arguments.len())?;
        let arguments = self.params.iter().zip(arguments).enumerate();
        arguments
            .map(|(at, (ty, text))| {
                super::convert::from_wave(ty, text.as_ref()).map_err(|detail| Misfit::Argument {
                    number: at + 1,
                    expected: TypeName(ty).to_string(),
                    detail,
                })
            })
            .collect()
    }

    pub(crate) fn check_count(&self, given: usize) -> Result<(), Misfit> {
        match self.params.len() {
            expected if expected == given => Ok(()),
            expected => Err(Misfit::Count {
                signature: self.to_string(),
                expected,
                given,
            }),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("func(")?;
        commas(f, self.params.iter().map(TypeName))?;
        f.write_str(")")?;
        match &*self.results {
            [] => Ok(()),
            [result] => write!(f, " -> {}", TypeName(result)),
            results => {
                f.write_str(" -> (")?;
                commas(f, results.iter().map(TypeName))?;
                f.write_str(")")
            }
        }
    }
}

/// A type, as WIT has it where it is written in place.
pub(crate) struct TypeName<'a>(pub(crate) &'a Type);

impl fmt::Display for TypeName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
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
            Type::Own(_) => "own<resource>",
            Type::Borrow(_) => "borrow<resource>",
            Type::List(list) => return write!(f, "list<{}>", TypeName(&list.ty())),
            Type::Option(option) => return write!(f, "option<{}>", TypeName(&option.ty())),
            Type::Result(result) => {
                return match (result.ok(), result.err()) {
                    (None, None) => f.write_str("result"),
                    (Some(ok), None) => write!(f, "result<{}>", TypeName(&ok)),
                    (None, Some(err)) => write!(f, "result<_, {}>", TypeName(&err)),
                    (Some(ok), Some(err)) => {
                        write!(f, "result<{}, {}>", TypeName(&ok), TypeName(&err))
                    }
                }
            }
            Type::Tuple(tuple) => {
                f.write_str("tuple<")?;
                let types: Vec<_> = tuple.types().collect();
                commas(f, types.iter().map(TypeName))?;
                ">"
            }
            Type::Record(record) => {
                f.write_str("record { ")?;
                let fields = record.fields();
                commas(f, fields.map(|field| Field(field.name, field.ty)))?;
                " }"
            }
            Type::Variant(variant) => {
                f.write_str("variant { ")?;
                commas(f, variant.cases().map(|case| Case(case.name, case.ty)))?;
                " }"
            }
            Type::Enum(ty) => {
                f.write_str("enum { ")?;
                commas(f, ty.names())?;
                " }"
            }
            Type::Flags(flags) => {
                f.write_str("flags { ")?;
                commas(f, flags.names())?;
                " }"
            }
        };
        f.write_str(text)
    }
}

/// A field of a record.
struct Field<'a>(&'a str, Type);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0, TypeName(&self.1))
    }
}

/// A case of a variant.
struct Case<'a>(&'a str, Option<Type>);

impl fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.1 {
            Some(ty) => write!(f, "{}({})", self.0, TypeName(ty)),
            None => f.write_str(self.0),
        }
    }
}

fn commas<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
