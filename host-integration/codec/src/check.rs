//! Whether received bytes are the values that a plan says, and where they end.
//!
//! A message may come in any number of pieces. The walk stops where the bytes end and goes on from there, so that each
//! byte is looked at about once, however small the pieces are.

use std::sync::Arc;

use crate::error::{DecodeError, Fault};
use crate::plan::{Fields, Id, Kind, Plan, Scalar};
use crate::wire::{flag_bytes, utf8, Cursor};

/// wasmtime's bound on the bytes of a string.
const MAX_STRING: u32 = (1 << 31) - 1;

/// Checks one message, piece by piece.
#[derive(Clone, Debug)]
pub struct Checker {
    plan: Arc<Plan>,
    /// Where the walk is within the types, outermost first. Empty when it is done.
    stack: Vec<Frame>,
    /// The bytes that have been checked.
    checked: usize,
    /// A lower bound of the length of the message.
    needed: usize,
    room: Room,
}

/// The memory of the guest that the values are for.
#[derive(Clone, Copy, Debug)]
struct Room {
    limit: u64,
    /// How much of it strings and lists take that were begun.
    taken: u64,
}

impl Room {
    /// What is taken with `bytes` more.
    fn with(self, bytes: u64) -> Result<Self, Fault> {
        let taken = self.taken.saturating_add(bytes);
        if taken > self.limit {
            let (needed, limit) = (taken, self.limit);
            return Err(Fault::Memory { needed, limit });
        }
        Ok(Self { taken, ..self })
    }
}

/// What [`Checker::advance`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The message is complete and valid.
    Complete {
        /// Its length in bytes. What follows is not part of it.
        length: usize,
    },
    /// So far it is valid, and there is more to come.
    Incomplete {
        /// How many bytes the whole message has at least. It is more than there are now; it may be only a claim, so
        /// grow towards it as bytes arrive instead of reserving it.
        needed: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    Fields { next: u32, end: u32 },
    List { element: Id, left: u32 },
}

impl Frame {
    fn fields(fields: Fields) -> Self {
        Self::Fields {
            next: fields.start,
            end: fields.end,
        }
    }
}

impl Checker {
    /// A checker for one message with the values of `plan`.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            stack: vec![Frame::fields(plan.root())],
            plan,
            checked: 0,
            needed: 0,
            room: Room {
                limit: u64::MAX,
                taken: 0,
            },
        }
    }

    /// Refuses values that do not fit `bytes` of a guest's memory, as soon as they say how large they are.
    ///
    /// So the message is bounded, too: none of the types takes more than five bytes of it for one of memory.
    #[must_use]
    pub fn within(mut self, bytes: u64) -> Self {
        self.room.limit = bytes;
        self
    }

    /// Goes on with `message`: all bytes received so far, the ones of earlier calls included.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the bytes are not what the plan says. The checker is of no use after that.
    pub fn advance(&mut self, message: &[u8]) -> Result<Progress, DecodeError> {
        // What was known to be missing is still missing: there is nothing to look at.
        if message.len() < self.needed {
            return Ok(Progress::Incomplete {
                needed: self.needed,
            });
        }
        let mut bytes = Cursor::new(message.get(self.checked..).unwrap_or_default());
        let walked = self.walk(&mut bytes);
        self.checked = message.len() - bytes.remaining();
        match walked {
            Ok(()) => Ok(Progress::Complete {
                length: self.checked,
            }),
            Err(Stop::Missing(bytes)) => {
                self.needed = self.checked.saturating_add(bytes).max(message.len() + 1);
                Ok(Progress::Incomplete {
                    needed: self.needed,
                })
            }
            Err(Stop::Fault(fault)) => Err(DecodeError {
                value: self.value(),
                offset: self.checked,
                fault,
            }),
        }
    }

    /// Which parameter or result the walk is in.
    fn value(&self) -> usize {
        match self.stack.first() {
            Some(Frame::Fields { next, .. }) => {
                (*next as usize).saturating_sub(self.plan.root().range().start + 1)
            }
            _ => 0,
        }
    }

    /// Walks until the message or `bytes` end. `bytes` is left at what has not been checked.
    fn walk(&mut self, bytes: &mut Cursor<'_>) -> Result<(), Stop> {
        let plan = &*self.plan;
        while let Some(frame) = self.stack.last_mut() {
            let before = *frame;
            let ty = match frame {
                Frame::Fields { next, end } if *next < *end => {
                    let field = plan.field(*next);
                    *next += 1;
                    field
                }
                Frame::List { element, left } if *left > 0 => {
                    // Most lists: without a frame for each element.
                    match plan.node(*element).kind {
                        Kind::Scalar(scalar) => {
                            check_scalars(scalar, left, bytes)?;
                            continue;
                        }
                        Kind::String => {
                            let room = &mut self.room;
                            each(left, bytes, |bytes| string(bytes, room))?;
                            continue;
                        }
                        _ => {}
                    }
                    *left -= 1;
                    *element
                }
                _ => {
                    self.stack.pop();
                    continue;
                }
            };
            let mut ahead = *bytes;
            match value(plan, ty, &mut ahead, &mut self.room) {
                Ok(inside) => {
                    *bytes = ahead;
                    self.stack.extend(inside);
                }
                Err(Stop::Missing(missing)) => {
                    // This value is looked at again when there is more of it.
                    if let Some(frame) = self.stack.last_mut() {
                        *frame = before;
                    }
                    return Err(Stop::Missing(missing));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

/// Why a walk stopped.
enum Stop {
    /// At least this many bytes from the start of the value are needed.
    Missing(usize),
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Truncated => Self::Missing(0),
            fault => Self::Fault(fault),
        }
    }
}

/// Checks a value up to the values inside it, which are returned to be checked next.
fn value(
    plan: &Plan,
    ty: Id,
    bytes: &mut Cursor<'_>,
    room: &mut Room,
) -> Result<Option<Frame>, Stop> {
    match &plan.node(ty).kind {
        Kind::Scalar(scalar) => check_scalar(*scalar, bytes)?,
        Kind::String => string(bytes, room)?,
        Kind::List(element) => return list(plan, *element, bytes, room),
        Kind::Tuple(fields) => return Ok(Some(Frame::fields(*fields))),
        Kind::Variant(variant) => {
            let discriminant = match variant.status {
                true => bytes.bit()?.into(),
                false => bytes.length()?,
            };
            let payload = plan
                .case(*variant, discriminant)
                .ok_or(Fault::Discriminant {
                    discriminant,
                    cases: variant.count as usize,
                })?;
            // As a list of one: it needs no entry of its own in the plan.
            return Ok(payload.map(|element| Frame::List { element, left: 1 }));
        }
        Kind::Flags(count) => {
            bytes.take(flag_bytes(*count))?;
        }
        Kind::Handle(_) | Kind::Stream(_) => return Err(Fault::Truncated.into()),
    }
    Ok(None)
}

#[inline]
fn string(bytes: &mut Cursor<'_>, room: &mut Room) -> Result<(), Stop> {
    let before = bytes.remaining();
    let length = bytes.length()?;
    if length > MAX_STRING {
        return Err(Fault::Length { length }.into());
    }
    // In the encodings that a guest may have beside UTF-8, it may take half as much.
    let with_it = room.with(u64::from(length / 2))?;
    let text = block(bytes, before, length as usize)?;
    utf8(text).map_err(|_| Fault::Text)?;
    *room = with_it;
    Ok(())
}

fn check_scalar(scalar: Scalar, bytes: &mut Cursor<'_>) -> Result<(), Fault> {
    match scalar {
        Scalar::Bool => bytes.bit().map(drop),
        Scalar::U8 | Scalar::S8 => bytes.byte().map(drop),
        Scalar::U16 => bytes.uleb128(16).map(drop),
        Scalar::S16 => bytes.sleb128(16).map(drop),
        Scalar::U32 => bytes.uleb128(32).map(drop),
        Scalar::S32 => bytes.sleb128(32).map(drop),
        Scalar::U64 => bytes.uleb128(64).map(drop),
        Scalar::S64 => bytes.sleb128(64).map(drop),
        Scalar::F32 => bytes.array::<4>().map(drop),
        Scalar::F64 => bytes.array::<8>().map(drop),
        Scalar::Char => bytes.char().map(drop),
    }
}

/// Checks values one after the other; `left` and `bytes` are left at the first one that is not complete.
#[inline]
fn each<T, E>(
    left: &mut u32,
    bytes: &mut Cursor<'_>,
    mut check: impl FnMut(&mut Cursor<'_>) -> Result<T, E>,
) -> Result<(), E> {
    while *left > 0 {
        let mut ahead = *bytes;
        check(&mut ahead)?;
        *bytes = ahead;
        *left -= 1;
    }
    Ok(())
}

fn check_scalars(scalar: Scalar, left: &mut u32, bytes: &mut Cursor<'_>) -> Result<(), Fault> {
    // One loop for each: what is read is decided once.
    match scalar {
        Scalar::U16 => each(left, bytes, |bytes| bytes.uleb128(16)),
        Scalar::S16 => each(left, bytes, |bytes| bytes.sleb128(16)),
        Scalar::U32 => each(left, bytes, |bytes| bytes.uleb128(32)),
        Scalar::S32 => each(left, bytes, |bytes| bytes.sleb128(32)),
        Scalar::U64 => each(left, bytes, |bytes| bytes.uleb128(64)),
        Scalar::S64 => each(left, bytes, |bytes| bytes.sleb128(64)),
        scalar => each(left, bytes, |bytes| check_scalar(scalar, bytes)),
    }
}

fn list(
    plan: &Plan,
    element: Id,
    bytes: &mut Cursor<'_>,
    room: &mut Room,
) -> Result<Option<Frame>, Stop> {
    let before = bytes.remaining();
    let length = bytes.length()?;
    let node = plan.node(element);
    // What the guest would have to allocate.
    let allocated = u64::from(length) * u64::from(node.layout.size);
    if allocated > u64::from(u32::MAX) {
        return Err(Fault::Length { length }.into());
    }
    let with_it = room.with(allocated)?;
    let size = match node.kind {
        Kind::Scalar(Scalar::U8 | Scalar::S8) => 1,
        Kind::Scalar(Scalar::F32) => 4,
        Kind::Scalar(Scalar::F64) => 8,
        _ => {
            *room = with_it;
            return Ok(Some(Frame::List {
                element,
                left: length,
            }));
        }
    };
    // Elements of one size, any of which is valid. It fits 64 bits; on a smaller machine such a list never completes.
    block(bytes, before, (length as usize).saturating_mul(size))?;
    *room = with_it;
    Ok(None)
}

/// Takes `length` bytes, of a value that began when there were `before` bytes left.
fn block<'a>(bytes: &mut Cursor<'a>, before: usize, length: usize) -> Result<&'a [u8], Stop> {
    let prefix = before - bytes.remaining();
    bytes
        .take(length)
        .map_err(|_| Stop::Missing(prefix.saturating_add(length)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Type;

    fn check(types: &[Type], message: &[u8]) -> Result<Progress, DecodeError> {
        let plan = Plan::new(types).unwrap();
        Checker::new(Arc::new(plan)).advance(message)
    }

    #[test]
    fn a_message_ends_where_its_values_end() {
        let types = [Type::U32, Type::String];
        let message = [0x80, 1, 2, b'h', b'i', 99, 99];
        assert_eq!(
            check(&types, &message),
            Ok(Progress::Complete { length: 5 })
        );
        assert_eq!(check(&[], &message), Ok(Progress::Complete { length: 0 }));
    }

    #[test]
    fn it_says_how_much_is_missing_at_least() {
        let types = [Type::U8, Type::list(Type::U8)];
        assert_eq!(check(&types, &[]), Ok(Progress::Incomplete { needed: 1 }));
        assert_eq!(check(&types, &[7]), Ok(Progress::Incomplete { needed: 2 }));
        assert_eq!(
            check(&types, &[7, 0x80, 0x08, 1]),
            Ok(Progress::Incomplete { needed: 3 + 1024 })
        );
        // A claim of 4 GiB reserves nothing.
        let claim = [7, 0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(
            check(&types, &claim),
            Ok(Progress::Incomplete {
                needed: 6 + u32::MAX as usize
            })
        );
    }

    #[test]
    fn values_that_do_not_fit_the_guest_are_refused_as_soon_as_they_say_how_large_they_are() {
        let check = |types: &[Type], message: &[u8], room| {
            let checker = Checker::new(Arc::new(Plan::new(types).unwrap()));
            checker.within(room).advance(message)
        };
        let bytes = [Type::list(Type::U8), Type::list(Type::U8)];
        let fault = |needed, limit| Fault::Memory { needed, limit };
        let refused = |types: &[Type], message: &[u8], room| {
            check(types, message, room)
                .expect_err("it does not fit")
                .fault
        };
        // Of the second list, nothing has arrived but its length.
        assert_eq!(refused(&bytes, &[3, 1, 2, 3, 8], 10), fault(11, 10));
        let complete = |length| Ok(Progress::Complete { length });
        assert_eq!(check(&bytes, &[2, 1, 2, 1, 1], 3), complete(5));
        // A list takes what its elements take in memory, and the strings in it are beside them.
        let strings = [Type::list(Type::String)];
        assert_eq!(refused(&strings, &[2], 15), fault(16, 15));
        assert_eq!(refused(&strings, &[2, 1, b'a', 4], 17), fault(18, 17));
        let message = [2, 1, b'a', 2, b'b', b'c'];
        assert_eq!(check(&strings, &message, 17), complete(6));
        let nested = [Type::list(Type::list(Type::U64))];
        assert_eq!(refused(&nested, &[2, 1, 1, 2], 39), fault(40, 39));
        // However it is cut, nothing counts twice.
        let mut checker = Checker::new(Arc::new(Plan::new(&nested).unwrap())).within(40);
        let message = [2, 1, 1, 2, 1, 1];
        for end in 0..message.len() {
            checker.advance(&message[..end]).expect("it fits");
        }
        assert_eq!(checker.advance(&message), complete(6));
    }

    #[test]
    fn every_split_of_a_message_gives_the_same_answer() {
        let element = Type::Tuple(vec![
            Type::S16,
            Type::option(Type::String),
            Type::result(None, Some(Type::list(Type::U64))),
            Type::Char,
        ]);
        let types = [Type::Bool, Type::list(element), Type::Flags(12), Type::F64];
        let plan = Arc::new(Plan::new(&types).unwrap());
        let mut message = vec![1, 2];
        message.extend([0xff, 0x7e, 1, 2, b'h', b'i', 0]);
        message.extend("é".bytes());
        message.extend([5, 0, 1, 2, 0x80, 1, 9]);
        message.extend("z".bytes());
        message.extend([0xff, 0x0f]);
        message.extend(1.5f64.to_le_bytes());
        let complete = Progress::Complete {
            length: message.len(),
        };
        for first in 0..message.len() {
            for second in first..message.len() {
                let mut checker = Checker::new(Arc::clone(&plan));
                for end in [first, second] {
                    let progress = checker.advance(&message[..end]).unwrap();
                    let Progress::Incomplete { needed } = progress else {
                        panic!("complete with {end} bytes of {}", message.len());
                    };
                    assert!(needed > end && needed <= message.len());
                }
                assert_eq!(checker.advance(&message), Ok(complete));
            }
        }
    }

    #[test]
    fn errors_say_where() {
        let types = [Type::U8, Type::list(Type::option(Type::U8))];
        let error = check(&types, &[7, 3, 0, 1, 9, 2]).unwrap_err();
        assert_eq!(
            error,
            DecodeError {
                value: 1,
                offset: 5,
                fault: Fault::Bit { byte: 2 }
            }
        );
        assert_eq!(
            error.to_string(),
            "value 1, byte 5 of the message: 0x02 where 0 or 1 is expected"
        );
    }

    #[test]
    fn what_is_wrong_is_told_before_the_rest_arrives() {
        let wrong = |ty: Type, message: &[u8]| check(&[ty], message).unwrap_err().fault;
        let cases = Type::Variant(vec![None, Some(Type::U64)]);
        assert_eq!(
            wrong(cases, &[2]),
            Fault::Discriminant {
                discriminant: 2,
                cases: 2
            }
        );
        assert_eq!(wrong(Type::String, &[1, 0xff]), Fault::Text);
        assert_eq!(
            wrong(Type::String, &[0x80, 0x80, 0x80, 0x80, 0x08]),
            Fault::Length { length: 1 << 31 }
        );
        let wide = Type::list(Type::Tuple(vec![Type::U64; 4]));
        assert_eq!(
            wrong(wide, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            Fault::Length { length: u32::MAX }
        );
        assert_eq!(wrong(Type::Bool, &[2]), Fault::Bit { byte: 2 });
    }
}
