//! Types of the component model.

use std::fmt;

/// A type without futures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ty {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
    String,
    List(Box<Ty>),
    Tuple(Vec<Ty>),
    Record(Vec<(String, Ty)>),
    Variant(Vec<(String, Option<Ty>)>),
    Enum(Vec<String>),
    Option(Box<Ty>),
    Result {
        ok: Option<Box<Ty>>,
        err: Option<Box<Ty>>,
    },
    Flags(Vec<String>),
    /// A handle of a resource of a peer, which the value owns.
    Own,
    /// The same, borrowed.
    Borrow,
    /// An input stream of `wasi:io`.
    Stream,
}

impl Ty {
    pub(crate) fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    pub(crate) fn option(some: Self) -> Self {
        Self::Option(Box::new(some))
    }

    pub(crate) fn result(ok: Option<Self>, err: Option<Self>) -> Self {
        Self::Result {
            ok: ok.map(Box::new),
            err: err.map(Box::new),
        }
    }

    /// Whether a handle can be in a value.
    pub(crate) fn has_handles(&self) -> bool {
        match self {
            Self::Own | Self::Borrow => true,
            Self::List(of) | Self::Option(of) => of.has_handles(),
            Self::Tuple(types) => types.iter().any(Self::has_handles),
            Self::Record(fields) => fields.iter().any(|(_, ty)| ty.has_handles()),
            Self::Variant(cases) => cases.iter().flat_map(|(_, ty)| ty).any(Self::has_handles),
            Self::Result { ok, err } => [ok, err].into_iter().flatten().any(|ty| ty.has_handles()),
            _ => false,
        }
    }

    /// The name of a type that has no parts. WIT and the text format of components agree on it.
    pub(crate) fn keyword(&self) -> Option<&'static str> {
        Some(match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::S8 => "s8",
            Self::U16 => "u16",
            Self::S16 => "s16",
            Self::U32 => "u32",
            Self::S32 => "s32",
            Self::U64 => "u64",
            Self::S64 => "s64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Char => "char",
            Self::String => "string",
            _ => return None,
        })
    }
}

/// As in WIT. Types that have names there are shown by their kind and size.
impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Option(some) => write!(f, "option<{some}>"),
            Self::Tuple(types) => {
                let types: Vec<_> = types.iter().map(ToString::to_string).collect();
                write!(f, "tuple<{}>", types.join(", "))
            }
            Self::Result { ok, err } => match (ok, err) {
                (None, None) => write!(f, "result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (None, Some(err)) => write!(f, "result<_, {err}>"),
                (Some(ok), Some(err)) => write!(f, "result<{ok}, {err}>"),
            },
            Self::Record(fields) => write!(f, "record of {}", fields.len()),
            Self::Variant(cases) => write!(f, "variant of {}", cases.len()),
            Self::Enum(names) => write!(f, "enum of {}", names.len()),
            Self::Flags(names) => write!(f, "flags of {}", names.len()),
            Self::Own => f.write_str("own"),
            Self::Borrow => f.write_str("borrow"),
            Self::Stream => f.write_str("stream"),
            plain => f.write_str(plain.keyword().unwrap_or_default()),
        }
    }
}
