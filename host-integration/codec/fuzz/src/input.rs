//! What the bytes of an input stand for. When there are no more, they are zeroes.

use inhost_codec::Type;

use crate::guest::{Answer, Encoding};

/// How many types one input makes at most.
const MOST_TYPES: usize = 48;

/// Types within types.
const DEPTH: usize = 4;

/// The largest size of a value of any type made here, in bytes. Flags have 12, and a variant adds 8 at most.
pub(crate) const LARGEST_VALUE: usize = MOST_TYPES * 24;

pub(crate) struct Input<'a> {
    bytes: &'a [u8],
    /// How many types may still be made.
    types: usize,
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            types: MOST_TYPES,
        }
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (front, rest) = self.bytes.split_at(N.min(self.bytes.len()));
        array[..front.len()].copy_from_slice(front);
        self.bytes = rest;
        array
    }

    /// A number below `end`, which is at most 256.
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    /// All that has not been used.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }

    /// The parameters or results of a function.
    pub(crate) fn types(&mut self) -> Vec<Type> {
        let count = self.below(20);
        (0..count).map(|_| self.ty(DEPTH)).collect()
    }

    fn ty(&mut self, depth: usize) -> Type {
        const LEAVES: usize = 17;
        self.types = self.types.saturating_sub(1);
        let kinds = match depth > 0 && self.types > 0 {
            true => LEAVES + 5,
            false => LEAVES,
        };
        match self.below(kinds) {
            0 => Type::Bool,
            1 => Type::U8,
            2 => Type::S8,
            3 => Type::U16,
            4 => Type::S16,
            5 => Type::U32,
            6 => Type::S32,
            7 => Type::U64,
            8 => Type::S64,
            9 => Type::F32,
            10 => Type::F64,
            11 => Type::Char,
            12 => Type::String,
            13 => Type::Flags(1 + self.below(70)),
            14 => Type::Variant(vec![None; 1 + 2 * self.below(150)]),
            // See `guest::taken`.
            15 => Type::Handle(2 * u32::from(self.byte())),
            16 => Type::Stream(2 * u32::from(self.byte()) + 1),
            17 => Type::list(self.ty(depth - 1)),
            18 => Type::option(self.ty(depth - 1)),
            19 => Type::Tuple(self.list(|input| input.ty(depth - 1))),
            20 => Type::result(self.payload(depth), self.payload(depth)),
            _ => {
                let before = [0, 1, 126, 254][self.below(4)];
                let mut cases = vec![None; before];
                cases.extend(self.list(|input| input.payload(depth)));
                Type::Variant(cases)
            }
        }
    }

    /// One to four.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = 1 + self.below(4);
        (0..count).map(|_| each(self)).collect()
    }

    fn payload(&mut self, depth: usize) -> Option<Type> {
        (self.byte() % 2 == 1).then(|| self.ty(depth - 1))
    }

    pub(crate) fn encoding(&mut self) -> Encoding {
        match self.byte() % 2 {
            0 => Encoding::Utf8,
            _ => Encoding::Utf16,
        }
    }

    /// What goes wrong in an allocator, and at which call.
    pub(crate) fn wrong(&mut self) -> Option<(usize, Answer)> {
        let answer = match self.byte() % 6 {
            0 => return None,
            1 => Answer::Trap,
            2 => Answer::End,
            3 => Answer::OneOff,
            4 => Answer::Address(8 * usize::from(self.byte())),
            _ => Answer::Address(u64::from_le_bytes(self.array()) as usize),
        };
        Some((self.below(8), answer))
    }

    /// The core values of a call: small ones, as addresses in a small memory are, or any.
    pub(crate) fn core(&mut self) -> Vec<u64> {
        let count = self.below(40);
        let value = |_| match self.byte() {
            small @ 0..=0xef => u64::from(small),
            _ => u64::from_le_bytes(self.array()),
        };
        (0..count).map(value).collect()
    }
}
