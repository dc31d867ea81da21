//! From a guest's memory to the encoding.

use crate::copy::append;
use crate::error::LiftError;
use crate::lifted::{Lifted, RESOURCE};
use crate::memory::{Source, Taken};
use crate::plan::{Id, Kind, Layout, Plan, Scalar, Variant};
use crate::wire::{
    canonical_f32, canonical_f64, flag_bytes, flag_mask, put_sleb128, put_uleb128, sleb128,
    uleb128, utf8, MAX_LEB128,
};

/// What one call may encode at least, whatever the size of the guest's memory.
const MIN_LIMIT: usize = 256 << 20;

/// How many times the size of the guest's memory one call may encode.
const LIMIT_PER_MEMORY: usize = 4;

/// Reads the values of a plan out of a guest.
#[derive(Debug)]
pub struct Lift<'p> {
    plan: &'p Plan,
    limit: Option<usize>,
}

impl<'p> Lift<'p> {
    /// Reads the values of `plan`.
    pub fn new(plan: &'p Plan) -> Self {
        Self { plan, limit: None }
    }

    /// Sets about how many bytes the values may have in the encoding: the last number needs ten of them free.
    ///
    /// A guest can make lists whose elements all point to the same bytes, and so make a message
    /// that is any number of times larger than its memory. A resource counts 256 bytes beside those
    /// of its handle. The default is four times the size of its memory, and at least 256 MiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Encodes the values. `core` has the core values that the guest passed; with more than `max_flat` of them needed,
    /// the first one is a pointer to the values.
    ///
    /// # Errors
    ///
    /// [`LiftError`]: what the guest did wrong.
    pub fn run<'m, S: Source<'m>>(
        &self,
        source: &mut S,
        core: &[u64],
        max_flat: usize,
    ) -> Result<Lifted, LiftError<S::Error>> {
        let memory = match self.plan.is_in_memory(max_flat) {
            true => source.bytes(),
            false => &[],
        };
        let limit = self
            .limit
            .unwrap_or_else(|| MIN_LIMIT.max(memory.len().saturating_mul(LIMIT_PER_MEMORY)));
        let mut lifter = Lifter {
            plan: self.plan,
            is_utf8: source.is_utf8(),
            source,
            memory,
            out: Vec::new(),
            limit,
            path: Vec::new(),
            places: Vec::new(),
            resources: 0,
        };
        let fields = self.plan.fields(self.plan.root());
        if self.plan.flat_count() <= max_flat {
            let mut core = core.iter();
            for (index, field) in fields.iter().enumerate() {
                let read = lifter.at(index, |lifter| lifter.flat(field.ty, &mut core));
                read.inspect_err(|_| lifter.source.wrong(index))?;
            }
        } else {
            let pointer = *core.first().ok_or(LiftError::CoreValues)? as u32;
            let layout = self.plan.layout();
            let bytes = lifter.region(pointer, 1, layout)?;
            for (index, field) in fields.iter().enumerate() {
                let read = lifter.at(index, |lifter| {
                    lifter.memory(field.ty, &bytes[field.offset as usize..])
                });
                read.inspect_err(|_| lifter.source.wrong(index))?;
            }
        }
        Ok(Lifted {
            message: lifter.out,
            places: lifter.places,
            limit: lifter.limit,
        })
    }
}

struct Lifter<'p, 's, 'm, S> {
    plan: &'p Plan,
    source: &'s mut S,
    memory: &'m [u8],
    is_utf8: bool,
    out: Vec<u8>,
    limit: usize,
    /// Where the value is that is being read. Empty when no one wants to know.
    path: Vec<usize>,
    /// Where the bytes of handles belong.
    places: Vec<usize>,
    /// How many resources were taken. The limit is lower by as many [`RESOURCE`]s.
    resources: usize,
}

impl<'m, S: Source<'m>> Lifter<'_, '_, 'm, S> {
    /// The bytes of `count` values at `pointer`.
    fn region(
        &self,
        pointer: u32,
        count: u32,
        layout: Layout,
    ) -> Result<&'m [u8], LiftError<S::Error>> {
        let length = u64::from(count) * u64::from(layout.size);
        let bytes = usize::try_from(length).ok().and_then(|length| {
            let end = (pointer as usize).checked_add(length)?;
            self.memory.get(pointer as usize..end)
        });
        let bytes = bytes.ok_or(LiftError::OutOfBounds { pointer, length })?;
        if pointer % layout.align != 0 {
            let align = layout.align;
            return Err(LiftError::Misaligned { pointer, align });
        }
        Ok(bytes)
    }

    /// Reads what is at `index` of a list or a tuple.
    #[inline]
    fn at(
        &mut self,
        index: usize,
        read: impl FnOnce(&mut Self) -> Result<(), LiftError<S::Error>>,
    ) -> Result<(), LiftError<S::Error>> {
        if !self.plan.has_resources() {
            return read(self);
        }
        self.path.push(index);
        read(self)?;
        self.path.pop();
        Ok(())
    }

    /// Takes the resource at `index` of the guest's table.
    fn resource(&mut self, resource: u32, index: u32) -> Result<(), LiftError<S::Error>> {
        self.reserve(RESOURCE)?;
        self.limit -= RESOURCE;
        self.resources += 1;
        let taken = self.source.take(resource, index, &self.path);
        match taken.map_err(LiftError::Source)? {
            Taken::Handle => self.places.push(self.out.len()),
            Taken::Stream => {}
        }
        Ok(())
    }

    /// Makes room for `bytes` more bytes, within the limit.
    fn reserve(&mut self, bytes: usize) -> Result<(), LiftError<S::Error>> {
        if self.limit.saturating_sub(self.out.len()) < bytes {
            let limit = self.limit + RESOURCE * self.resources;
            return Err(LiftError::TooLarge { limit });
        }
        self.out.reserve(bytes);
        Ok(())
    }

    /// Reads a value out of core values.
    fn flat(
        &mut self,
        ty: Id,
        core: &mut std::slice::Iter<'_, u64>,
    ) -> Result<(), LiftError<S::Error>> {
        let plan = self.plan;
        let node = plan.node(ty);
        match &node.kind {
            Kind::Scalar(scalar) => {
                let value = *core.next().ok_or(LiftError::CoreValues)?;
                self.scalar(*scalar, value)
            }
            Kind::String | Kind::List(_) => {
                let pointer = *core.next().ok_or(LiftError::CoreValues)? as u32;
                let length = *core.next().ok_or(LiftError::CoreValues)? as u32;
                self.sequence(&node.kind, pointer, length)
            }
            Kind::Tuple(fields) => {
                for (index, field) in plan.fields(*fields).iter().enumerate() {
                    self.at(index, |this| this.flat(field.ty, core))?;
                }
                Ok(())
            }
            Kind::Variant(variant) => {
                let discriminant = *core.next().ok_or(LiftError::CoreValues)? as u32;
                // All cases take as many core values as the largest.
                let (payload, rest) = core
                    .as_slice()
                    .split_at_checked(node.layout.flat as usize - 1)
                    .ok_or(LiftError::CoreValues)?;
                *core = rest.iter();
                if let Some(case) = self.case(*variant, discriminant)? {
                    self.flat(case, &mut payload.iter())?;
                }
                Ok(())
            }
            Kind::Flags(count) => {
                let words = node.layout.flat as usize;
                let (words, rest) = core
                    .as_slice()
                    .split_at_checked(words)
                    .ok_or(LiftError::CoreValues)?;
                *core = rest.iter();
                self.flags(*count, |word| words[word] as u32)
            }
            Kind::Handle(resource) | Kind::Stream(resource) => {
                let index = *core.next().ok_or(LiftError::CoreValues)? as u32;
                self.resource(*resource, index)
            }
        }
    }

    /// Reads a value out of memory: `bytes` begin with it and are at least as long.
    fn memory(&mut self, ty: Id, bytes: &[u8]) -> Result<(), LiftError<S::Error>> {
        let plan = self.plan;
        let node = plan.node(ty);
        match &node.kind {
            Kind::Scalar(scalar) => {
                let value = number(bytes, node.layout.size);
                self.scalar(*scalar, value)
            }
            Kind::String | Kind::List(_) => {
                let pointer = number(bytes, 4) as u32;
                let length = number(&bytes[4..], 4) as u32;
                self.sequence(&node.kind, pointer, length)
            }
            Kind::Tuple(fields) => {
                for (index, field) in plan.fields(*fields).iter().enumerate() {
                    self.at(index, |this| {
                        this.memory(field.ty, &bytes[field.offset as usize..])
                    })?;
                }
                Ok(())
            }
            Kind::Variant(variant) => {
                let discriminant = number(bytes, variant.tag) as u32;
                if let Some(case) = self.case(*variant, discriminant)? {
                    self.memory(case, &bytes[variant.payload as usize..])?;
                }
                Ok(())
            }
            Kind::Flags(count) => {
                let word_size = node.layout.size.min(4);
                self.flags(*count, |word| number(&bytes[4 * word..], word_size) as u32)
            }
            Kind::Handle(resource) | Kind::Stream(resource) => {
                self.resource(*resource, number(bytes, 4) as u32)
            }
        }
    }

    /// Writes the discriminant of a variant and returns the type of the payload that follows.
    fn case(
        &mut self,
        variant: Variant,
        discriminant: u32,
    ) -> Result<Option<Id>, LiftError<S::Error>> {
        let case = self.plan.case(variant, discriminant);
        let case = case.ok_or(LiftError::Discriminant {
            discriminant,
            cases: variant.count as usize,
        })?;
        self.reserve(MAX_LEB128)?;
        // For an option or result too: 0 and 1 are the same in one byte as in LEB128.
        put_uleb128(&mut self.out, discriminant.into());
        Ok(case)
    }

    fn sequence(
        &mut self,
        kind: &Kind,
        pointer: u32,
        length: u32,
    ) -> Result<(), LiftError<S::Error>> {
        match kind {
            Kind::List(element) => self.list(*element, pointer, length),
            _ => self.string(pointer, length),
        }
    }

    fn string(&mut self, pointer: u32, length: u32) -> Result<(), LiftError<S::Error>> {
        if !self.is_utf8 {
            let text = self.source.transcoded(pointer, length);
            return self.block(text.map_err(LiftError::Source)?.as_bytes());
        }
        let bytes = self.bytes(pointer, length)?;
        utf8(bytes).map_err(LiftError::Text)?;
        self.block(bytes)
    }

    /// `length` bytes at `pointer`.
    fn bytes(&self, pointer: u32, length: u32) -> Result<&'m [u8], LiftError<S::Error>> {
        let layout = Layout {
            size: 1,
            align: 1,
            flat: 2,
        };
        self.region(pointer, length, layout)
    }

    /// Writes the strings whose pointers and lengths lie one after the other in memory.
    fn strings(&mut self, pairs: &[u8]) -> Result<(), LiftError<S::Error>> {
        let pair = |bytes| {
            let both = number(bytes, 8);
            (both as u32, (both >> 32) as u32)
        };
        if !self.is_utf8 {
            for (pointer, length) in pairs.chunks_exact(8).map(pair) {
                self.string(pointer, length)?;
            }
            return Ok(());
        }
        // First all are found to be there: what is reserved is what will be written.
        let mut total: usize = 0;
        for (pointer, length) in pairs.chunks_exact(8).map(pair) {
            let text = self.bytes(pointer, length)?;
            total = total.saturating_add(MAX_LEB128 + text.len());
        }
        self.reserve(total)?;
        for (pointer, length) in pairs.chunks_exact(8).map(pair) {
            let text = self.bytes(pointer, length)?;
            utf8(text).map_err(LiftError::Text)?;
            put_uleb128(&mut self.out, length.into());
            append(&mut self.out, text);
        }
        Ok(())
    }

    /// Writes bytes with their number before them.
    fn block(&mut self, bytes: &[u8]) -> Result<(), LiftError<S::Error>> {
        self.reserve(MAX_LEB128.saturating_add(bytes.len()))?;
        put_uleb128(&mut self.out, bytes.len() as u64);
        append(&mut self.out, bytes);
        Ok(())
    }

    fn list(&mut self, element: Id, pointer: u32, length: u32) -> Result<(), LiftError<S::Error>> {
        let plan = self.plan;
        let node = plan.node(element);
        let bytes = self.region(pointer, length, node.layout)?;
        if let Kind::Scalar(Scalar::U8 | Scalar::S8) = node.kind {
            return self.block(bytes);
        }
        // Each element has at least one byte, and more than one for most types: a guess to start from.
        self.reserve(MAX_LEB128.saturating_add(length as usize))?;
        put_uleb128(&mut self.out, length.into());
        match node.kind {
            Kind::Scalar(scalar) => self.scalars(scalar, bytes),
            Kind::String => self.strings(bytes),
            _ => {
                let values = bytes.chunks_exact(node.layout.size as usize);
                for (index, value) in values.enumerate() {
                    self.at(index, |this| this.memory(element, value))?;
                }
                Ok(())
            }
        }
    }

    /// Writes scalars that lie one after the other in memory.
    fn scalars(&mut self, scalar: Scalar, bytes: &[u8]) -> Result<(), LiftError<S::Error>> {
        match scalar {
            Scalar::Bool => self.each(bytes, |[byte], to| fixed([u8::from(byte != 0)], to)),
            Scalar::U8 => self.each(bytes, |byte: [u8; 1], to| fixed(byte, to)),
            Scalar::S8 => self.each(bytes, |byte: [u8; 1], to| fixed(byte, to)),
            Scalar::U16 => self.each(bytes, |b, to| uleb128(u16::from_le_bytes(b).into(), to)),
            Scalar::U32 => self.each(bytes, |b, to| uleb128(u32::from_le_bytes(b).into(), to)),
            Scalar::U64 => self.each(bytes, |b, to| uleb128(u64::from_le_bytes(b), to)),
            Scalar::S16 => self.each(bytes, |b, to| sleb128(i16::from_le_bytes(b).into(), to)),
            Scalar::S32 => self.each(bytes, |b, to| sleb128(i32::from_le_bytes(b).into(), to)),
            Scalar::S64 => self.each(bytes, |b, to| sleb128(i64::from_le_bytes(b), to)),
            Scalar::F32 => self.each(bytes, |b, to| {
                fixed(canonical_f32(u32::from_le_bytes(b)).to_le_bytes(), to)
            }),
            Scalar::F64 => self.each(bytes, |b, to| {
                fixed(canonical_f64(u64::from_le_bytes(b)).to_le_bytes(), to)
            }),
            Scalar::Char => {
                for code in bytes.chunks_exact(4) {
                    self.scalar(scalar, number(code, 4))?;
                }
                Ok(())
            }
        }
    }

    /// Encodes each `N` bytes with `encode`, which says how many bytes it wrote.
    fn each<const N: usize>(
        &mut self,
        bytes: &[u8],
        encode: impl Fn([u8; N], &mut [u8; MAX_LEB128]) -> usize,
    ) -> Result<(), LiftError<S::Error>> {
        // In batches, so that the output grows once for many elements.
        const BATCH: usize = 64;
        for values in bytes.chunks(BATCH * N) {
            let mut batch = [0; (BATCH + 1) * MAX_LEB128];
            let mut length = 0;
            for value in values.chunks_exact(N) {
                if let (Some(value), Some(to)) =
                    (value.first_chunk(), batch[length..].first_chunk_mut())
                {
                    length += encode(*value, to);
                }
            }
            self.reserve(length)?;
            self.out.extend_from_slice(&batch[..length]);
        }
        Ok(())
    }

    /// Writes a scalar. Of `value`, the bits that its type has in a core value or in memory count.
    fn scalar(&mut self, scalar: Scalar, value: u64) -> Result<(), LiftError<S::Error>> {
        self.reserve(MAX_LEB128)?;
        let out = &mut self.out;
        match scalar {
            Scalar::Bool => out.push(u8::from(value as u32 != 0)),
            Scalar::U8 | Scalar::S8 => out.push(value as u8),
            Scalar::U16 => put_uleb128(out, u64::from(value as u16)),
            Scalar::S16 => put_sleb128(out, i64::from(value as i16)),
            Scalar::U32 => put_uleb128(out, u64::from(value as u32)),
            Scalar::S32 => put_sleb128(out, i64::from(value as i32)),
            Scalar::U64 => put_uleb128(out, value),
            Scalar::S64 => put_sleb128(out, value as i64),
            Scalar::F32 => out.extend_from_slice(&canonical_f32(value as u32).to_le_bytes()),
            Scalar::F64 => out.extend_from_slice(&canonical_f64(value).to_le_bytes()),
            Scalar::Char => {
                let code = value as u32;
                let char = char::from_u32(code).ok_or(LiftError::Char { code })?;
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        Ok(())
    }

    /// Writes flags. Bits that stand for no flag are dropped.
    fn flags(
        &mut self,
        count: u32,
        word: impl Fn(usize) -> u32,
    ) -> Result<(), LiftError<S::Error>> {
        let mut left = flag_bytes(count);
        self.reserve(left)?;
        for at in 0..count.div_ceil(32) {
            let bits = word(at as usize) & flag_mask(count, at);
            let bytes = &bits.to_le_bytes()[..left.min(4)];
            self.out.extend_from_slice(bytes);
            left -= bytes.len();
        }
        Ok(())
    }
}

/// A little-endian number of `size` bytes.
#[inline]
fn number(bytes: &[u8], size: u32) -> u64 {
    let mut number = [0; 8];
    let size = size as usize;
    number[..size].copy_from_slice(&bytes[..size]);
    u64::from_le_bytes(number)
}

#[inline]
fn fixed<const N: usize>(bytes: [u8; N], to: &mut [u8; MAX_LEB128]) -> usize {
    to[..N].copy_from_slice(&bytes);
    N
}
