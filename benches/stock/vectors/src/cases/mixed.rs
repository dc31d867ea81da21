//! Signatures with handles, streams and values in each other, made by a generator: the same ones each time.

use wasmtime::component::Val;

use super::resources::{handle, stream};
use crate::case::Case;
use crate::ty::Ty;

/// How many signatures, each as the tuple of its parameters.
const SIGNATURES: usize = 100;

/// Values of each.
const VALUES: usize = 2;

/// Types within types.
const DEPTH: u32 = 3;

pub(crate) fn add(cases: &mut Vec<Case>) {
    let mut random = Random(25);
    for signature in 0..SIGNATURES {
        let params = random.list(1, 4, |random| random.ty(DEPTH));
        let ty = Ty::Tuple(params);
        for number in 0..VALUES {
            let value = random.value(&ty);
            let mut case = Case::new(&ty, "", value);
            case.name = format!("signature {signature}: {number}");
            cases.push(case);
        }
    }
}

/// A generator that is the same on each machine (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u16) -> u16 {
        // It fits: it is less than `end`.
        (self.next() % u64::from(end)) as u16
    }

    /// From `min` to `max` of what `each` makes.
    fn list<T>(&mut self, min: u16, max: u16, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = min + self.below(max - min + 1);
        (0..count).map(|_| each(self)).collect()
    }

    fn ty(&mut self, depth: u32) -> Ty {
        let kinds = if depth > 0 { 19 } else { 11 };
        match self.below(kinds) {
            0 | 1 => Ty::Own,
            2 => Ty::Borrow,
            3 | 4 => Ty::Stream,
            5 => Ty::U8,
            6 => Ty::String,
            7 => Ty::S64,
            8 => Ty::Char,
            9 => Ty::Flags(names(1 + self.below(18))),
            10 => Ty::Enum(names(1 + self.below(140))),
            11 | 12 => Ty::list(self.ty(depth - 1)),
            13 => Ty::option(self.ty(depth - 1)),
            14 => Ty::result(self.payload(depth), self.payload(depth)),
            15 => Ty::Tuple(self.list(1, 3, |random| random.ty(depth - 1))),
            16 | 17 => {
                let types = self.list(1, 4, |random| random.ty(depth - 1));
                Ty::Record(names(types.len() as u16).into_iter().zip(types).collect())
            }
            _ => {
                let types = self.list(1, 4, |random| random.payload(depth));
                Ty::Variant(names(types.len() as u16).into_iter().zip(types).collect())
            }
        }
    }

    fn payload(&mut self, depth: u32) -> Option<Ty> {
        (self.below(3) > 0).then(|| self.ty(depth - 1))
    }

    fn value(&mut self, ty: &Ty) -> Val {
        match ty {
            Ty::Own | Ty::Borrow => handle(self.below(20)),
            Ty::Stream => {
                let chunks = self.list(0, 3, |random| 1 + random.below(20));
                stream(&chunks)
            }
            Ty::U8 => Val::U8(self.next() as u8),
            Ty::S64 => {
                let shift = self.below(48);
                Val::S64(self.next() as i64 >> shift)
            }
            Ty::Char => Val::Char(self.char()),
            Ty::String => {
                let chars = self.list(0, 5, Self::char);
                Val::String(chars.into_iter().collect())
            }
            Ty::Flags(names) => {
                let set = names.iter().filter(|_| self.below(2) == 1);
                Val::Flags(set.cloned().collect())
            }
            Ty::Enum(names) => {
                Val::Enum(names[usize::from(self.below(names.len() as u16))].clone())
            }
            Ty::List(ty) => Val::List(self.list(0, 3, |random| random.value(ty))),
            Ty::Option(ty) => Val::Option((self.below(3) > 0).then(|| Box::new(self.value(ty)))),
            Ty::Result { ok, err } => Val::Result(match self.below(2) {
                0 => Ok(self.value_of(ok.as_deref())),
                _ => Err(self.value_of(err.as_deref())),
            }),
            Ty::Tuple(types) => Val::Tuple(types.iter().map(|ty| self.value(ty)).collect()),
            Ty::Record(fields) => {
                let fields = fields.iter();
                let values = fields.map(|(name, ty)| (name.clone(), self.value(ty)));
                Val::Record(values.collect())
            }
            Ty::Variant(cases) => {
                let (name, ty) = &cases[usize::from(self.below(cases.len() as u16))];
                Val::Variant(name.clone(), self.value_of(ty.as_ref()))
            }
            other => unreachable!("no {other} is made"),
        }
    }

    fn value_of(&mut self, ty: Option<&Ty>) -> Option<Box<Val>> {
        ty.map(|ty| Box::new(self.value(ty)))
    }

    fn char(&mut self) -> char {
        ['a', '\0', 'é', '漢', '😀'][usize::from(self.below(5))]
    }
}

fn names(count: u16) -> Vec<String> {
    (0..count).map(|number| format!("n{number}")).collect()
}
