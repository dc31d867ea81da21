/// Why there is no plan for a type. A function with such a type can only be called some other way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// A record, tuple, variant or flags type without members. The component model has none.
    #[error("a record, tuple, variant or flags type has no members")]
    Empty,
    /// Types inside types inside types, beyond what wasmtime accepts.
    #[error("types are nested more than {} deep", crate::build::MAX_DEPTH)]
    TooDeep,
    /// More types than a plan should hold.
    #[error("the type has more than {} members in all", crate::build::MAX_NODES)]
    TooLarge,
}

/// What is wrong with received bytes. None of them has reached a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value {value}, byte {offset} of the message: {fault}")]
pub struct DecodeError {
    /// Which parameter or result it is in, from 0.
    pub value: usize,
    /// Where in the message, in bytes.
    pub offset: usize,
    /// What it is. Not a source: the text has it already.
    pub fault: Fault,
}

/// What can be wrong with a received value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The message ends within a value.
    #[error("the message ends within a value")]
    Truncated,
    /// A LEB128 number that is too long or too large for its type.
    #[error("a number does not fit its {bits} bits")]
    Number {
        /// The bits of its type.
        bits: u32,
    },
    /// A `bool`, or the first byte of an option or result, is neither 0 nor 1.
    #[error("{byte:#04x} where 0 or 1 is expected")]
    Bit {
        /// The byte.
        byte: u8,
    },
    /// A string or a char is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
    /// There is no such case.
    #[error("discriminant {discriminant} of a variant with {cases} cases")]
    Discriminant {
        /// What was received.
        discriminant: u32,
        /// How many cases there are.
        cases: usize,
    },
    /// A string or list that fits no 32-bit memory.
    #[error("a string or list of length {length} fits no memory of a guest")]
    Length {
        /// The length that was received.
        length: u32,
    },
    /// Values that are larger than the memory that the guest may have.
    #[error(
        "its strings, lists and handles take {needed} bytes or more in the memory of the guest, which may have {limit}"
    )]
    Memory {
        /// How many bytes those take that have arrived or were announced.
        needed: u64,
        /// What the guest may have, in bytes.
        limit: u64,
    },
    /// More streams than a message may hold. They take no bytes in it, so their number would be free to claim.
    #[error("it holds more than {} streams", crate::found::MAX_STREAMS)]
    Streams,
}

/// What a guest did wrong when it passed values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiftError<E> {
    /// A pointer and a length that are not within the guest's memory.
    #[error("the guest passed {length} bytes at {pointer:#x}, which is outside of its memory")]
    OutOfBounds {
        /// The address.
        pointer: u32,
        /// The length, in bytes.
        length: u64,
    },
    /// A pointer that is not aligned as its type demands.
    #[error("the guest passed {pointer:#x} where a multiple of {align} is needed")]
    Misaligned {
        /// The address.
        pointer: u32,
        /// The alignment, in bytes.
        align: u32,
    },
    /// A string that is not UTF-8.
    #[error("the guest passed a string that is not UTF-8")]
    Text(#[source] std::str::Utf8Error),
    /// A number that is no Unicode scalar value.
    #[error("the guest passed {code:#x} as a char")]
    Char {
        /// The number.
        code: u32,
    },
    /// There is no such case.
    #[error("the guest passed discriminant {discriminant} of a variant with {cases} cases")]
    Discriminant {
        /// What it passed.
        discriminant: u32,
        /// How many cases there are.
        cases: usize,
    },
    /// The values are larger than [`Lift::limit`](crate::Lift::limit): the guest passed the same memory many times.
    #[error(
        "the guest passed values of more than {limit} bytes, which is more than its memory can hold without using \
         the same bytes many times"
    )]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Fewer core values than the types have. The plan is not that of the function.
    #[error("the call has fewer core values than its types need")]
    CoreValues,
    /// Not as many handles as were taken.
    #[error("the values have more handles, or less, than were given for them")]
    Handles,
    /// What [`Source`](crate::Source) reported.
    #[error(transparent)]
    Source(E),
}

/// Why values could not be written into a guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError<E> {
    /// The message was not checked, or with another plan.
    #[error("the message was not checked")]
    Unchecked(#[from] Fault),
    /// The guest's allocation, or the return pointer that it passed, is not within its memory.
    #[error(
        "the guest gave {length} bytes at {pointer:#x} to write to, which is outside of its memory"
    )]
    OutOfBounds {
        /// The address.
        pointer: usize,
        /// The length, in bytes.
        length: usize,
    },
    /// The return pointer, or what the guest's allocator answered, is not aligned as its type demands.
    #[error("the guest gave {pointer:#x} to write to, where a multiple of {align} is needed")]
    Misaligned {
        /// The address.
        pointer: usize,
        /// The alignment, in bytes.
        align: u32,
    },
    /// Fewer core values than the types have. The plan is not that of the function.
    #[error("the call has fewer core values than its types need")]
    CoreValues,
    /// What [`Target`](crate::Target) reported, such as a trap in the guest's allocator.
    #[error(transparent)]
    Target(E),
}
