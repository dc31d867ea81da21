/// A component-model type.
///
/// Names do not matter for either format, so they are left out: a record is a tuple of its fields, an enum is a variant
/// without payloads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the scalars are named as in WIT")]
pub enum Type {
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
    /// A list of elements of one type.
    List(Box<Type>),
    /// A record or tuple: its fields in order.
    Tuple(Vec<Type>),
    /// A variant or enum: the payload of each case in order.
    Variant(Vec<Option<Type>>),
    /// An option.
    Option(Box<Type>),
    /// A result: the payload of `ok` and of `err`.
    Result(Option<Box<Type>>, Option<Box<Type>>),
    /// Flags: how many there are.
    Flags(usize),
    /// A resource that is known by its handle: a length, and as many bytes. The number is for
    /// [`Source`](crate::Source) and [`Target`](crate::Target), which know what resource it is.
    Handle(u32),
    /// A resource whose content travels elsewhere: a stream. It has no bytes. The number is as that of a handle.
    Stream(u32),
}

impl Type {
    /// A list of `element`.
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// An option of `payload`.
    pub fn option(payload: Self) -> Self {
        Self::Option(Box::new(payload))
    }

    /// A result.
    pub fn result(ok: Option<Self>, err: Option<Self>) -> Self {
        Self::Result(ok.map(Box::new), err.map(Box::new))
    }
}
