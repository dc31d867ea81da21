//! Whether a peer reads what another one sends as it was meant, told by the types that both take a function to have.
//!
//! Values are sent without their types, so it is the bytes that decide.

use std::collections::HashMap;
use std::rc::Rc;

use crate::plan::{Fields, Id, Kind, Plan, Scalar, Variant};
use crate::signature::Signature;

/// Whether a callee whose function has the types `callee` reads the parameters of a caller that
/// takes them to be `caller` as they were meant, and the caller its results. Each value is then
/// read as the same value, or refused by the one who reads it; never as another one.
///
/// | types | read each other, because |
/// |---|---|
/// | a record, a tuple, one in another, and the bare fields | fields follow each other, with nothing between them |
/// | `option`, `result`, and the `variant` with the same cases | the number of the case comes first: one byte up to 127 |
/// | a `variant` with more cases at its end | a case that the reader does not have is refused when it is sent |
/// | `flags` with more flags at their end, in the same number of bytes | a flag that the reader does not have is dropped, as the published decoder drops it |
/// | `u16`, `u32` and `u64`; `s16`, `s32` and `s64` | LEB128 has no width; a number that is too large is refused |
/// | `bool`, an `enum`, up to eight `flags`, and integers | each is a number: of the case, or with a bit for each flag. Those that the sender has and the reader does not refuse must have the same bytes for both |
/// | `string` and `list<u8>` | bytes after their number; what is not UTF-8 is refused as a string |
///
/// Of numbers, those up to 63 have the same byte whatever their type is, and those up to 127 in all
/// but the wider signed ones. So eight flags and `u8` are read as each other, and an `enum` of up
/// to 128 cases as `u8`, but `u8` is not read as that `enum`: 128 is a byte of the one, and the
/// first of two of the other. All are read as `bool`, which refuses what is neither 0 nor 1.
///
/// Others do not, even if some of their values have the same bytes: an 8-bit number is a byte and
/// not LEB128, the sign is a part of the number, what is no flag of the reader would be dropped
/// from a number, and where one more flag needs one more byte, all that follows is read at the
/// wrong place. A stream has no bytes: it travels at a path, which the records and tuples around it
/// are a part of. So it is another type than a handle, and than itself in a record.
///
/// What follows all parameters or all results is not looked at by who does not know of it. It was
/// meant for something, so a parameter more or less is a difference.
///
/// `false`, too, when it would take too long to tell, for types that are made for it.
///
/// ```
/// use inhost_codec::{agree, Signature, Type};
///
/// let function = |param| Signature::new(&[param], &[Type::String]);
/// // One case more, in what the caller sends.
/// let (four, three) = (Type::Variant(vec![None; 4]), Type::Variant(vec![None; 3]));
/// assert!(agree(&function(four)?, &function(three)?));
/// assert!(agree(&function(Type::Tuple(vec![Type::U32]))?, &function(Type::U32)?));
/// assert!(!agree(&function(Type::U8)?, &function(Type::S8)?));
/// # Ok::<(), inhost_codec::Unsupported>(())
/// ```
pub fn agree(caller: &Signature, callee: &Signature) -> bool {
    reads(&callee.params, &caller.params) && reads(&caller.results, &callee.results)
}

/// Whether who reads `read` gets what was sent as `sent`.
fn reads(read: &Plan, sent: &Plan) -> bool {
    if read == sent {
        return true;
    }
    let (read, sent) = (Side::of(read), Side::of(sent));
    let (mut reads, mut sends) = (Vec::new(), Vec::new());
    read.expand(read.plan.root(), &None, &mut reads);
    sent.expand(sent.plan.root(), &None, &mut sends);
    let mut comparison = Comparison {
        read,
        sent,
        known: HashMap::new(),
        left: MAX_STEPS,
    };
    comparison.all(reads, sends)
}

/// After how many steps a comparison is given up. Types that have no streams in them are compared with each other once.
const MAX_STEPS: usize = 1 << 18;

/// What one side takes the types to be.
struct Side<'p> {
    plan: &'p Plan,
    /// For each type, how many values it is on the wire, one after the other: no record or tuple is left.
    lengths: Vec<u64>,
    /// For each type, whether a stream is in it.
    streams: Vec<bool>,
}

/// A type, and where it is.
struct Item {
    ty: Id,
    /// Of one that has a stream in it. It is of no interest for others.
    path: Path,
}

/// The steps from the parameters or results to a type, the last one first.
type Path = Option<Rc<Step>>;

struct Step {
    before: Path,
    /// In a list, any.
    index: Option<usize>,
}

impl Step {
    fn after(before: &Path, index: Option<usize>) -> Path {
        Some(Rc::new(Self {
            before: before.clone(),
            index,
        }))
    }
}

fn same_path(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (one, other);
    loop {
        match (one, other) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.index == b.index => (one, other) = (&a.before, &b.before),
            _ => return false,
        }
    }
}

impl<'p> Side<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut lengths = Vec::with_capacity(plan.nodes().len());
        for node in plan.nodes() {
            lengths.push(match node.kind {
                Kind::Tuple(fields) => {
                    let fields = plan.fields(fields).iter();
                    let lengths = fields.map(|field| lengths[field.ty as usize]);
                    lengths.fold(0, |sum: u64, length| sum.saturating_add(length))
                }
                _ => 1,
            });
        }
        Self {
            plan,
            lengths,
            streams: plan.streams(),
        }
    }

    fn kind(&self, ty: Id) -> &'p Kind {
        &self.plan.node(ty).kind
    }

    fn length(&self, ty: Id) -> u64 {
        self.lengths[ty as usize]
    }

    fn item(&self, ty: Id, path: impl FnOnce() -> Path) -> Item {
        let path = match self.streams[ty as usize] {
            true => path(),
            false => None,
        };
        Item { ty, path }
    }

    /// Adds the fields of a tuple that is at `path` to `items`, the last one first.
    fn expand(&self, fields: Fields, path: &Path, items: &mut Vec<Item>) {
        let fields = self.plan.fields(fields).iter().enumerate().rev();
        items.extend(
            fields.map(|(index, field)| self.item(field.ty, || Step::after(path, Some(index)))),
        );
    }

    /// The payload of a case that is at `path`.
    fn case(&self, variant: Variant, case: u32, path: &Path) -> Vec<Item> {
        let payload = self.plan.case(variant, case).flatten();
        let payload = payload.map(|ty| self.item(ty, || path.clone()));
        payload.into_iter().collect()
    }

    /// What it is as a number. In a tuple of its own it is the same.
    fn number(&self, mut ty: Id) -> Option<Number> {
        loop {
            match self.kind(ty) {
                Kind::Scalar(scalar) => return Number::of_scalar(*scalar),
                Kind::Flags(count @ 1..=8) => {
                    return Some(Number::up_to((1 << count) - 1, Coding::Byte))
                }
                Kind::Variant(cases) => return Some(self.number_of_cases(*cases)),
                Kind::Tuple(fields) if fields.range().len() == 1 => {
                    ty = self.plan.field(fields.start)
                }
                _ => return None,
            }
        }
    }

    fn number_of_cases(&self, cases: Variant) -> Number {
        let mut payloads = self.plan.payloads(cases).iter();
        let first_with_one = payloads.position(Option::is_some);
        let coding = match cases.status {
            true => Coding::Bit,
            false => Coding::Leb128,
        };
        Number {
            first_with_more: first_with_one.map(|case| case as u64),
            ..Number::up_to(u64::from(cases.count) - 1, coding)
        }
    }
}

/// How numbers are on the wire.
#[derive(Clone, Copy, PartialEq)]
enum Coding {
    /// A byte that is 0 or 1.
    Bit,
    Byte,
    SignedByte,
    Leb128,
    SignedLeb128,
}

/// A type whose values are numbers, whatever it is called: of a case, or flags as bits.
#[derive(Clone, Copy)]
struct Number {
    coding: Coding,
    /// The largest one. It stands for no bound if there are negative ones.
    most: u64,
    /// The first one that is followed by something: the number of a case may be by a payload.
    first_with_more: Option<u64>,
}

impl Number {
    fn up_to(most: u64, coding: Coding) -> Self {
        Self {
            coding,
            most,
            first_with_more: None,
        }
    }

    fn of_scalar(scalar: Scalar) -> Option<Self> {
        Some(match scalar {
            Scalar::Bool => Self::up_to(1, Coding::Bit),
            Scalar::U8 => Self::up_to(u8::MAX.into(), Coding::Byte),
            Scalar::U16 => Self::up_to(u16::MAX.into(), Coding::Leb128),
            Scalar::U32 => Self::up_to(u32::MAX.into(), Coding::Leb128),
            Scalar::U64 => Self::up_to(u64::MAX, Coding::Leb128),
            Scalar::S8 => Self::up_to(u64::MAX, Coding::SignedByte),
            Scalar::S16 | Scalar::S32 | Scalar::S64 => Self::up_to(u64::MAX, Coding::SignedLeb128),
            Scalar::F32 | Scalar::F64 | Scalar::Char => return None,
        })
    }

    /// Whether each number that is sent as `sent` is read as itself, or refused.
    fn reads(self, sent: Self) -> bool {
        use Coding::{Bit, Byte, Leb128, SignedByte, SignedLeb128};
        let has_same_bytes = match (self.coding, sent.coding) {
            // No other number begins with a byte that is 0 or 1.
            (Bit, _) => true,
            (SignedByte, SignedByte) | (SignedLeb128, SignedLeb128) => true,
            // Read without its sign, a negative number is larger than 63.
            (Leb128, SignedLeb128) => self.most <= 63,
            (_, SignedByte | SignedLeb128) => false,
            (Leb128, Leb128) => true,
            // Flags that the reader does not have are not refused.
            (Byte, Bit | Byte) => sent.most <= self.most,
            (Byte, Leb128) => sent.most <= self.most.min(127),
            (SignedByte | Leb128, _) => sent.most <= 127,
            (SignedLeb128, _) => sent.most <= 63,
        };
        let largest_read = sent.most.min(self.most);
        let mut with_more = [self.first_with_more, sent.first_with_more]
            .into_iter()
            .flatten();
        has_same_bytes && with_more.all(|first| first > largest_read)
    }
}

struct Comparison<'p> {
    read: Side<'p>,
    sent: Side<'p>,
    /// What was found out about types without streams.
    known: HashMap<(Id, Id), bool>,
    left: usize,
}

impl Comparison<'_> {
    /// Compares what follows each other, the last one first.
    fn all(&mut self, mut read: Vec<Item>, mut sent: Vec<Item>) -> bool {
        while !read.is_empty() {
            let (Some(reads), Some(sends)) = (read.pop(), sent.pop()) else {
                return false;
            };
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            let lengths = (self.read.length(reads.ty), self.sent.length(sends.ty));
            let has_stream = reads.path.is_some() || sends.path.is_some();
            if lengths.0 == lengths.1 && !has_stream {
                if !self.same(reads.ty, sends.ty) {
                    return false;
                }
                continue;
            }
            match (self.read.kind(reads.ty), self.sent.kind(sends.ty)) {
                // The longer one, or else what is in it would not be found beside what is in the other one.
                (Kind::Tuple(fields), _) if lengths.0 >= lengths.1 => {
                    self.read.expand(*fields, &reads.path, &mut read);
                    sent.push(sends);
                }
                (_, Kind::Tuple(fields)) => {
                    self.sent.expand(*fields, &sends.path, &mut sent);
                    read.push(reads);
                }
                _ => {
                    if !self.item(&reads, &sends) {
                        return false;
                    }
                }
            }
        }
        sent.is_empty()
    }

    /// Compares types of the same length that have no streams in them.
    fn same(&mut self, read: Id, sent: Id) -> bool {
        if let Some(known) = self.known.get(&(read, sent)) {
            return *known;
        }
        let one = |ty| Item { ty, path: None };
        let (mut reads, mut sends) = (Vec::new(), Vec::new());
        let same = match (self.read.kind(read), self.sent.kind(sent)) {
            (Kind::Tuple(read), Kind::Tuple(sent)) => {
                self.read.expand(*read, &None, &mut reads);
                self.sent.expand(*sent, &None, &mut sends);
                self.all(reads, sends)
            }
            (Kind::Tuple(read), _) => {
                self.read.expand(*read, &None, &mut reads);
                self.all(reads, vec![one(sent)])
            }
            (_, Kind::Tuple(sent)) => {
                self.sent.expand(*sent, &None, &mut sends);
                self.all(vec![one(read)], sends)
            }
            _ => self.item(&one(read), &one(sent)),
        };
        self.known.insert((read, sent), same);
        same
    }

    /// Compares what is no tuple.
    fn item(&mut self, read: &Item, sent: &Item) -> bool {
        match (self.read.kind(read.ty), self.sent.kind(sent.ty)) {
            (Kind::Scalar(read), Kind::Scalar(sent)) if read == sent => true,
            (Kind::String, Kind::String) | (Kind::Handle(_), Kind::Handle(_)) => true,
            // The elements of a string are bytes.
            (Kind::String, Kind::List(sent)) => {
                let (read, sent) = (Number::of_scalar(Scalar::U8), self.sent.number(*sent));
                read.zip(sent).is_some_and(|(read, sent)| read.reads(sent))
            }
            (Kind::List(read), Kind::String) => {
                let (read, sent) = (self.read.number(*read), Number::of_scalar(Scalar::U8));
                read.zip(sent).is_some_and(|(read, sent)| read.reads(sent))
            }
            (Kind::List(reads), Kind::List(sends)) => {
                let any = |path| Step::after(path, None);
                let reads = self.read.item(*reads, || any(&read.path));
                let sends = self.sent.item(*sends, || any(&sent.path));
                self.all(vec![reads], vec![sends])
            }
            (Kind::Variant(reads), Kind::Variant(sends)) => {
                if reads.is_enum() && sends.is_enum() {
                    return true;
                }
                // What one of them has beyond the other is refused when it is sent, or never sent.
                (0..reads.count.min(sends.count)).all(|case| {
                    let reads = self.read.case(*reads, case, &read.path);
                    let sends = self.sent.case(*sends, case, &sent.path);
                    self.all(reads, sends)
                })
            }
            (Kind::Flags(read), Kind::Flags(sent)) => read.div_ceil(8) == sent.div_ceil(8),
            (Kind::Stream(_), Kind::Stream(_)) => same_path(&read.path, &sent.path),
            _ => self
                .read
                .number(read.ty)
                .zip(self.sent.number(sent.ty))
                .is_some_and(|(read, sent)| read.reads(sent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::{Builder, Part};
    use crate::types::Type;

    /// Whether parameters of the type `sent` are read as `read`, and results the other way.
    fn read_as(sent: Type, read: Type) -> bool {
        let (sent, read) = ([sent], [read]);
        let function = |params, results| Signature::new(params, results).unwrap();
        let params = agree(&function(&sent, &[]), &function(&read, &[]));
        let results = agree(&function(&[], &read), &function(&[], &sent));
        assert_eq!(params, results, "{sent:?} as {read:?}");
        params
    }

    fn tuple<const N: usize>(types: [Type; N]) -> Type {
        Type::Tuple(types.into())
    }

    #[test]
    fn a_stream_is_known_by_its_path() {
        let stream = || Type::Stream(0);
        assert!(read_as(stream(), stream()));
        assert!(!read_as(stream(), Type::Handle(0)));
        assert!(!read_as(Type::Handle(0), stream()));
        assert!(!read_as(tuple([stream()]), stream()));
        assert!(!read_as(
            tuple([tuple([Type::U8, stream()])]),
            tuple([Type::U8, stream()])
        ));
        assert!(read_as(
            Type::list(tuple([stream(), tuple([Type::U8])])),
            Type::list(tuple([stream(), Type::U8]))
        ));
        assert!(!read_as(
            Type::list(tuple([stream()])),
            Type::list(stream())
        ));
        assert!(read_as(
            Type::option(stream()),
            Type::Variant(vec![None, Some(stream()), Some(Type::U8)])
        ));
    }

    #[test]
    fn a_handle_is_no_list_of_bytes_and_which_resource_it_is_of_is_not_sent() {
        assert!(read_as(Type::Handle(1), tuple([Type::Handle(2)])));
        assert!(!read_as(Type::Handle(0), Type::list(Type::U8)));
        assert!(!read_as(Type::String, Type::Handle(0)));
    }

    /// Tuples of two in each other, with `ends` in the innermost.
    fn doubled(depth: usize, ends: impl Fn(&mut Builder) -> Part) -> Signature {
        let mut types = Builder::new();
        let mut ty = ends(&mut types);
        for _ in 0..depth {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        Signature {
            params: types.plan(&[ty]).unwrap().into(),
            results: Plan::new(&[]).unwrap().into(),
        }
    }

    #[test]
    fn types_that_are_referred_to_many_times_are_compared_once() {
        let of = |cases| doubled(25, move |types| types.enumeration(cases).unwrap());
        assert!(agree(&of(9_999), &of(9_998)));
        let numbers = doubled(25, |types| types.ty(&Type::S32).unwrap());
        assert!(!agree(&of(9_999), &numbers));
        // In a tuple of its own at the end of each: what is at the same place is not nested alike.
        let nested = doubled(25, |types| types.ty(&tuple([Type::Bool])).unwrap());
        assert!(agree(&of(2), &nested));
    }

    #[test]
    fn types_that_it_would_take_too_long_to_compare_do_not_agree() {
        let streams = |number| doubled(25, move |types| types.ty(&Type::Stream(number)).unwrap());
        assert!(!agree(&streams(0), &streams(1)));
    }
}
