//! Whether received bytes are the values that a plan says, and where they end.
//!
//! A message may come in any number of pieces. The walk stops where the bytes end and goes on from there, so that each
//! byte is looked at about once, however small the pieces are.

use std::sync::Arc;

use crate::error::{DecodeError, Fault};
use crate::found::{Found, Passes, MAX_STREAMS};
use crate::lifted::RESOURCE;
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
    found: Vec<Found>,
    streams: usize,
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
    Fields {
        start: u32,
        next: u32,
        end: u32,
    },
    /// The payload of a variant is a list of one, without an entry of its own in the plan. It has
    /// the path of the variant, and 0 as its length.
    List {
        element: Id,
        left: u32,
        length: u32,
    },
}

impl Frame {
    fn fields(fields: Fields) -> Self {
        Self::Fields {
            start: fields.start,
            next: fields.start,
            end: fields.end,
        }
    }

    /// The index, in the tuple or list that this is, of what the walk is in.
    fn index(&self) -> Option<usize> {
        match self {
            Self::Fields { start, next, .. } => Some((next - start).saturating_sub(1) as usize),
            Self::List { left, length, .. } => Some(length.checked_sub(left + 1)? as usize),
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
            found: Vec::new(),
            streams: 0,
        }
    }

    /// Refuses values that do not fit `bytes` of a guest's memory, as soon as they say how large they are.
    ///
    /// So the message is bounded, too: none of the types takes more than five bytes of it for one
    /// of memory. A handle counts its bytes and 256 more, of what the host keeps of it.
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

    /// The resources in what has been checked, in their order.
    pub fn into_found(self) -> Vec<Found> {
        self.found
    }

    /// Which parameter or result the walk is in.
    fn value(&self) -> usize {
        value_at(&self.stack)
    }

    /// Walks until the message or `bytes` end. `bytes` is left at what has not been checked.
    fn walk(&mut self, bytes: &mut Cursor<'_>) -> Result<(), Stop> {
        let plan = &*self.plan;
        let whole = self.checked + bytes.remaining();
        while let Some(frame) = self.stack.last_mut() {
            let before = *frame;
            let ty = match frame {
                Frame::Fields { next, end, .. } if *next < *end => {
                    let field = plan.field(*next);
                    *next += 1;
                    field
                }
                Frame::List { element, left, .. } if *left > 0 => {
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
                    match inside {
                        Inside::Nothing => {}
                        Inside::Values(frame) => self.stack.push(frame),
                        Inside::Handle { resource, length } => {
                            let end = whole - bytes.remaining();
                            let passes = Passes::Handle(end - length..end);
                            self.found.push(Found::new(resource, passes, &self.stack));
                        }
                        Inside::Stream(_) if self.streams == MAX_STREAMS => {
                            return Err(Fault::Streams.into());
                        }
                        Inside::Stream(resource) => {
                            self.streams += 1;
                            let path = self.stack.iter().filter_map(Frame::index).collect();
                            let passes = Passes::Stream(path);
                            self.found.push(Found::new(resource, passes, &self.stack));
                        }
                    }
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

/// Which parameter or result a walk is in.
fn value_at(stack: &[Frame]) -> usize {
    stack.first().and_then(Frame::index).unwrap_or(0)
}

impl Found {
    fn new(resource: u32, passes: Passes, stack: &[Frame]) -> Self {
        Self {
            resource,
            value: value_at(stack),
            passes,
        }
    }
}

/// What is in a value that was checked up to it.
enum Inside {
    Nothing,
    /// Values that are to be checked next.
    Values(Frame),
    /// A handle whose last `length` bytes are its own.
    Handle {
        resource: u32,
        length: usize,
    },
    Stream(u32),
}

/// Checks a value up to the values inside it.
fn value(plan: &Plan, ty: Id, bytes: &mut Cursor<'_>, room: &mut Room) -> Result<Inside, Stop> {
    match &plan.node(ty).kind {
        Kind::Scalar(scalar) => check_scalar(*scalar, bytes)?,
        Kind::String => string(bytes, room)?,
        Kind::List(element) => return list(plan, *element, bytes, room),
        Kind::Tuple(fields) => return Ok(Inside::Values(Frame::fields(*fields))),
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
            return Ok(payload.map_or(Inside::Nothing, |element| {
                Inside::Values(Frame::List {
                    element,
                    left: 1,
                    length: 0,
                })
            }));
        }
        Kind::Flags(count) => {
            bytes.take(flag_bytes(*count))?;
        }
        Kind::Handle(resource) => {
            let before = bytes.remaining();
            let length = bytes.length()?;
            let with_it = room.with(RESOURCE as u64 + u64::from(length))?;
            let length = block(bytes, before, length as usize)?.len();
            *room = with_it;
            let resource = *resource;
            return Ok(Inside::Handle { resource, length });
        }
        Kind::Stream(resource) => return Ok(Inside::Stream(*resource)),
    }
    Ok(Inside::Nothing)
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

fn list(plan: &Plan, element: Id, bytes: &mut Cursor<'_>, room: &mut Room) -> Result<Inside, Stop> {
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
            return Ok(Inside::Values(Frame::List {
                element,
                left: length,
                length,
            }));
        }
    };
    // Elements of one size, any of which is valid. It fits 64 bits; on a smaller machine such a list never completes.
    block(bytes, before, (length as usize).saturating_mul(size))?;
    *room = with_it;
    Ok(Inside::Nothing)
}

/// Takes `length` bytes, of a value that began when there were `before` bytes left.
fn block<'a>(bytes: &mut Cursor<'a>, before: usize, length: usize) -> Result<&'a [u8], Stop> {
    let prefix = before - bytes.remaining();
    bytes
        .take(length)
        .map_err(|_| Stop::Missing(prefix.saturating_add(length)))
}

#[cfg(test)]
mod tests;
