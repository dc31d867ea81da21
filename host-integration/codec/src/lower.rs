//! From the encoding to a guest's memory.

use crate::copy::copy;
use crate::error::{Fault, LowerError};
use crate::found::MAX_STREAMS;
use crate::memory::Target;
use crate::plan::{Field, Id, Kind, Layout, Plan, Scalar, Variant};
use crate::wire::{canonical_f32, canonical_f64, flag_bytes, flag_mask, Cursor};

/// Writes the values of a message into a guest.
///
/// The message must have been checked with a [`Checker`](crate::Checker) for the same plan. If it was not, the worst
/// that happens is an error in the middle of a call, or a guest whose strings are not UTF-8.
#[derive(Debug)]
pub struct Lower<'p> {
    plan: &'p Plan,
}

/// Where values go that are more than fit core values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Memory that the guest allocates for them: parameters of an export. The first core value is set to its address.
    Allocate,
    /// The address that the guest passed: results of an import.
    At(u32),
}

impl<'p> Lower<'p> {
    /// Writes the values of `plan`.
    pub fn new(plan: &'p Plan) -> Self {
        Self { plan }
    }

    /// Decodes `message` into `core`, or into memory when more than `max_flat` core values would be needed.
    ///
    /// What a variant leaves unused of `core` is left as it was: pass zeroes.
    ///
    /// # Errors
    ///
    /// [`LowerError`]: the guest's allocator failed or answered an address that cannot be, the guest's return pointer
    /// is wrong, or the message was not checked.
    pub fn run<T: Target>(
        &self,
        message: &[u8],
        target: &mut T,
        core: &mut [u64],
        max_flat: usize,
        destination: Destination,
    ) -> Result<(), LowerError<T::Error>> {
        let plan = self.plan;
        let mut lowerer = Lowerer {
            plan,
            is_utf8: target.is_utf8(),
            target,
            message: Cursor::new(message),
        };
        let fields = plan.fields(plan.root());
        if plan.flat_count() <= max_flat {
            let mut core = core.iter_mut();
            for field in fields {
                let written = lowerer.flat(field.ty, &mut core);
                written.inspect_err(|_| lowerer.wrong(fields, field))?;
            }
            return Ok(());
        }
        let layout = plan.layout();
        let base = match destination {
            Destination::Allocate => {
                let base = lowerer.allocate(layout.align, layout.size as usize)?;
                *core.first_mut().ok_or(LowerError::CoreValues)? = base as u64;
                base
            }
            Destination::At(pointer) => {
                let pointer = pointer as usize;
                if pointer % layout.align as usize != 0 {
                    let align = layout.align;
                    return Err(LowerError::Misaligned { pointer, align });
                }
                lowerer.region(pointer, layout.size as usize)?;
                pointer
            }
        };
        for field in fields {
            let written = lowerer.memory(field.ty, base + field.offset as usize);
            written.inspect_err(|_| lowerer.wrong(fields, field))?;
        }
        Ok(())
    }
}

struct Lowerer<'p, 't, 'b, T> {
    plan: &'p Plan,
    target: &'t mut T,
    is_utf8: bool,
    message: Cursor<'b>,
}

type Core<'c> = std::slice::IterMut<'c, u64>;

impl<T: Target> Lowerer<'_, '_, '_, T> {
    /// Says which of the values is wrong. They are not counted as long as all is well.
    #[cold]
    fn wrong(&mut self, fields: &[Field], wrong: &Field) {
        if let Some(value) = fields.iter().position(|field| std::ptr::eq(field, wrong)) {
            self.target.wrong(value);
        }
    }

    /// Memory from the guest's allocator, within bounds and aligned.
    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, LowerError<T::Error>> {
        let pointer = self.address(align, size)?;
        self.region(pointer, size)?;
        Ok(pointer)
    }

    /// What the guest's allocator answers: aligned, and not yet known to be within bounds.
    fn address(&mut self, align: u32, size: usize) -> Result<usize, LowerError<T::Error>> {
        let allocated = self.target.allocate(align, size);
        let pointer = allocated.map_err(LowerError::Target)?;
        if pointer % align as usize != 0 {
            return Err(LowerError::Misaligned { pointer, align });
        }
        // All that follows is written as 32 bits.
        if u32::try_from(pointer).is_err() {
            let length = size;
            return Err(LowerError::OutOfBounds { pointer, length });
        }
        Ok(pointer)
    }

    fn region(&mut self, pointer: usize, length: usize) -> Result<&mut [u8], LowerError<T::Error>> {
        let out_of_bounds = LowerError::OutOfBounds { pointer, length };
        let Some(end) = pointer.checked_add(length) else {
            return Err(out_of_bounds);
        };
        self.target
            .bytes()
            .get_mut(pointer..end)
            .ok_or(out_of_bounds)
    }

    /// Writes a value into core values.
    fn flat(&mut self, ty: Id, core: &mut Core<'_>) -> Result<(), LowerError<T::Error>> {
        let plan = self.plan;
        let node = plan.node(ty);
        match &node.kind {
            Kind::Scalar(scalar) => {
                let value = scalar_value(*scalar, &mut self.message)?;
                put(core, value)
            }
            Kind::String | Kind::List(_) => {
                let (pointer, length) = self.sequence(&node.kind)?;
                put(core, pointer.into())?;
                put(core, length.into())
            }
            Kind::Tuple(fields) => {
                for field in plan.fields(*fields) {
                    self.flat(field.ty, core)?;
                }
                Ok(())
            }
            Kind::Variant(variant) => {
                let (discriminant, case) = self.case(*variant)?;
                put(core, discriminant.into())?;
                // All cases take as many core values as the largest.
                let (payload, rest) = std::mem::take(core)
                    .into_slice()
                    .split_at_mut_checked(node.layout.flat as usize - 1)
                    .ok_or(LowerError::CoreValues)?;
                *core = rest.iter_mut();
                if let Some(case) = case {
                    self.flat(case, &mut payload.iter_mut())?;
                }
                Ok(())
            }
            Kind::Flags(count) => {
                let bytes = self.message.take(flag_bytes(*count))?;
                for word in 0..node.layout.flat {
                    put(core, flag_word(bytes, *count, word).into())?;
                }
                Ok(())
            }
            Kind::Handle(resource) => {
                let index = self.handle(*resource)?;
                put(core, index.into())
            }
            Kind::Stream(resource) => {
                let index = self.give(*resource)?;
                put(core, index.into())
            }
        }
    }

    /// Writes a value to memory at `address`. The place has been found to be within bounds, but memory is fetched and
    /// checked again for each write: an allocation in between may have moved it.
    fn memory(&mut self, ty: Id, address: usize) -> Result<(), LowerError<T::Error>> {
        let plan = self.plan;
        let node = plan.node(ty);
        match &node.kind {
            Kind::Scalar(scalar) => {
                let value = scalar_value(*scalar, &mut self.message)?;
                self.put(address, value, node.layout.size)
            }
            Kind::String | Kind::List(_) => {
                let (pointer, length) = self.sequence(&node.kind)?;
                // One write of both: 8 bytes, little-endian.
                let both = u64::from(pointer) | u64::from(length) << 32;
                self.put(address, both, 8)
            }
            Kind::Tuple(fields) => {
                for field in plan.fields(*fields) {
                    self.memory(field.ty, address + field.offset as usize)?;
                }
                Ok(())
            }
            Kind::Variant(variant) => {
                let (discriminant, case) = self.case(*variant)?;
                self.put(address, discriminant.into(), variant.tag)?;
                if let Some(case) = case {
                    self.memory(case, address + variant.payload as usize)?;
                }
                Ok(())
            }
            Kind::Flags(count) => {
                let bytes = self.message.take(flag_bytes(*count))?;
                let size = node.layout.size.min(4);
                for word in 0..node.layout.flat {
                    let bits = flag_word(bytes, *count, word);
                    self.put(address + 4 * word as usize, bits.into(), size)?;
                }
                Ok(())
            }
            Kind::Handle(resource) => {
                let index = self.handle(*resource)?;
                self.put(address, index.into(), 4)
            }
            Kind::Stream(resource) => {
                let index = self.give(*resource)?;
                self.put(address, index.into(), 4)
            }
        }
    }

    /// Writes the low `size` bytes of `value`.
    fn put(&mut self, address: usize, value: u64, size: u32) -> Result<(), LowerError<T::Error>> {
        let size = size as usize;
        let to = self.region(address, size)?;
        to.copy_from_slice(&value.to_le_bytes()[..size]);
        Ok(())
    }

    fn case(&mut self, variant: Variant) -> Result<(u32, Option<Id>), LowerError<T::Error>> {
        let discriminant = match variant.status {
            true => self.message.bit()?.into(),
            false => self.message.length()?,
        };
        let case = self.plan.case(variant, discriminant);
        let case = case.ok_or(Fault::Discriminant {
            discriminant,
            cases: variant.count as usize,
        })?;
        Ok((discriminant, case))
    }

    /// Gives the guest the resource whose handle is next. Whoever gives it has seen the bytes of the handle before.
    fn handle(&mut self, resource: u32) -> Result<u32, LowerError<T::Error>> {
        let length = self.message.length()?;
        self.message.take(length as usize)?;
        self.give(resource)
    }

    fn give(&mut self, resource: u32) -> Result<u32, LowerError<T::Error>> {
        self.target.give(resource).map_err(LowerError::Target)
    }

    /// Writes a string or list and returns its pointer and length.
    fn sequence(&mut self, kind: &Kind) -> Result<(u32, u32), LowerError<T::Error>> {
        match kind {
            Kind::List(element) => self.list(*element),
            _ => self.string(),
        }
    }

    fn string(&mut self) -> Result<(u32, u32), LowerError<T::Error>> {
        let length = self.message.length()?;
        let bytes = self.message.take(length as usize)?;
        if !self.is_utf8 {
            let text = std::str::from_utf8(bytes).map_err(|_| Fault::Text)?;
            return self.target.transcode(text).map_err(LowerError::Target);
        }
        // Memory is looked at once: a look costs as much as the copy of a short string.
        let pointer = self.address(1, bytes.len())?;
        copy(self.region(pointer, bytes.len())?, bytes);
        Ok((pointer as u32, length))
    }

    /// Writes strings, and their pointers and lengths one after the other at `address`.
    fn strings(&mut self, count: u32, address: usize) -> Result<(), LowerError<T::Error>> {
        // In batches, so that memory is looked at once for many pairs.
        const BATCH: usize = 32;
        let (mut left, mut address) = (count as usize, address);
        while left > 0 {
            let mut pairs = [0; BATCH * 8];
            let pairs = &mut pairs[..8 * left.min(BATCH)];
            for pair in pairs.chunks_exact_mut(8) {
                let (pointer, length) = self.string()?;
                let both = u64::from(pointer) | u64::from(length) << 32;
                pair.copy_from_slice(&both.to_le_bytes());
            }
            self.region(address, pairs.len())?.copy_from_slice(pairs);
            address += pairs.len();
            left -= pairs.len() / 8;
        }
        Ok(())
    }

    fn list(&mut self, element: Id) -> Result<(u32, u32), LowerError<T::Error>> {
        let length = self.message.length()?;
        let plan = self.plan;
        let node = plan.node(element);
        // Before memory is asked for: each element has at least one byte, but for streams, of which
        // there are not so many.
        let streams = if plan.has_resources() { MAX_STREAMS } else { 0 };
        if length as usize > self.message.remaining() + streams {
            return Err(Fault::Truncated.into());
        }
        let Layout { size, align, .. } = node.layout;
        let size = size as usize;
        let total = size
            .checked_mul(length as usize)
            .ok_or(Fault::Length { length })?;
        let pointer = self.allocate(align, total)?;
        match node.kind {
            Kind::Scalar(scalar) => self.scalars(scalar, length, pointer, total)?,
            Kind::String => self.strings(length, pointer)?,
            _ => {
                for at in 0..length as usize {
                    self.memory(element, pointer + at * size)?;
                }
            }
        }
        Ok((pointer as u32, length))
    }

    /// Writes scalars that lie one after the other, in `size` bytes at `pointer`.
    fn scalars(
        &mut self,
        scalar: Scalar,
        length: u32,
        pointer: usize,
        size: usize,
    ) -> Result<(), LowerError<T::Error>> {
        let mut message = self.message;
        let to = self.region(pointer, size)?;
        match scalar {
            Scalar::U8 | Scalar::S8 => copy(to, message.take(length as usize)?),
            Scalar::Bool => each(to, || Ok([u8::from(message.bit()?)]))?,
            Scalar::U16 => each(to, || Ok((message.uleb128(16)? as u16).to_le_bytes()))?,
            Scalar::S16 => each(to, || Ok((message.sleb128(16)? as i16).to_le_bytes()))?,
            Scalar::U32 => each(to, || Ok((message.uleb128(32)? as u32).to_le_bytes()))?,
            Scalar::S32 => each(to, || Ok((message.sleb128(32)? as i32).to_le_bytes()))?,
            Scalar::U64 => each(to, || Ok(message.uleb128(64)?.to_le_bytes()))?,
            Scalar::S64 => each(to, || Ok(message.sleb128(64)?.to_le_bytes()))?,
            Scalar::F32 => each(to, || {
                Ok(canonical_f32(u32::from_le_bytes(message.array()?)).to_le_bytes())
            })?,
            Scalar::F64 => each(to, || {
                Ok(canonical_f64(u64::from_le_bytes(message.array()?)).to_le_bytes())
            })?,
            Scalar::Char => each(to, || Ok(u32::from(message.char()?).to_le_bytes()))?,
        }
        self.message = message;
        Ok(())
    }
}

/// Fills `to` with values of `N` bytes.
fn each<const N: usize>(
    to: &mut [u8],
    mut next: impl FnMut() -> Result<[u8; N], Fault>,
) -> Result<(), Fault> {
    for to in to.chunks_exact_mut(N) {
        to.copy_from_slice(&next()?);
    }
    Ok(())
}

fn put<E>(core: &mut Core<'_>, value: u64) -> Result<(), LowerError<E>> {
    *core.next().ok_or(LowerError::CoreValues)? = value;
    Ok(())
}

/// A scalar as a core value. Signed ones narrower than 64 bits are extended to 32 bits, as the canonical ABI has them,
/// and the upper half is zero, as it has 32 bits where a variant needs 64.
#[inline]
fn scalar_value(scalar: Scalar, message: &mut Cursor<'_>) -> Result<u64, Fault> {
    Ok(match scalar {
        Scalar::Bool => message.bit()?.into(),
        Scalar::U8 => message.byte()?.into(),
        Scalar::S8 => u64::from(i32::from(message.byte()? as i8) as u32),
        Scalar::U16 => message.uleb128(16)?,
        Scalar::S16 => u64::from(message.sleb128(16)? as i32 as u32),
        Scalar::U32 => message.uleb128(32)?,
        Scalar::S32 => u64::from(message.sleb128(32)? as i32 as u32),
        Scalar::U64 => message.uleb128(64)?,
        Scalar::S64 => message.sleb128(64)? as u64,
        Scalar::F32 => canonical_f32(u32::from_le_bytes(message.array()?)).into(),
        Scalar::F64 => canonical_f64(u64::from_le_bytes(message.array()?)),
        Scalar::Char => u32::from(message.char()?).into(),
    })
}

/// The `word`-th 32 flags of `bytes`, without bits that stand for none.
#[inline]
fn flag_word(bytes: &[u8], count: u32, word: u32) -> u32 {
    let mut bits = [0; 4];
    let bytes = bytes.get(4 * word as usize..).unwrap_or_default();
    let have = bytes.len().min(4);
    bits[..have].copy_from_slice(&bytes[..have]);
    u32::from_le_bytes(bits) & flag_mask(count, word)
}
