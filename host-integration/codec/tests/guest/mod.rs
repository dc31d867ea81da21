//! A guest that is nothing but memory and an allocator. The fuzz targets use it too.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use inhost_codec::{Source, Taken, Target};

/// How a guest holds strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf16,
}

/// What a guest's allocator does once instead of its work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Trap,
    /// An address, whatever is there.
    Address(usize),
    /// The end of memory, rounded up to 8: aligned, but with nothing behind it.
    End,
    /// A place that is large enough, but one byte off.
    OneOff,
}

/// Why a guest failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What [`Answer::Trap`] asks for.
    Trap,
    OutOfMemory,
    OutOfBounds,
    Misaligned,
    Text,
}

/// A guest to lower to.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    memory: Vec<u8>,
    encoding: Encoding,
    /// Where free memory begins.
    free: usize,
    /// The largest size that memory grows to, in bytes.
    pub(crate) limit: usize,
    /// The call of the allocator, from 0, that goes wrong.
    pub(crate) wrong: Option<(usize, Answer)>,
    /// What was asked for, in order: alignment, size, and the address that was answered.
    pub(crate) allocations: Vec<(u32, usize, usize)>,
    /// How often memory moved on the host's side.
    pub(crate) moves: usize,
    /// How many resources it was given.
    given: u32,
}

/// Memory grows by this many bytes: often, unlike the pages of 64 KiB of a real one.
const PAGE: usize = 256;

impl Guest {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self {
            memory: Vec::new(),
            encoding,
            // As in a real guest, nothing is at 0.
            free: 8,
            limit: 1 << 30,
            wrong: None,
            allocations: Vec::new(),
            moves: 0,
            given: 0,
        }
    }

    /// A guest whose memory holds `memory` and has no room.
    pub(crate) fn with(encoding: Encoding, memory: &[u8]) -> Self {
        Self {
            memory: memory.to_vec(),
            free: memory.len(),
            ..Self::new(encoding)
        }
    }

    pub(crate) fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// What it passes can be lifted from here.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            memory: &self.memory,
            encoding: self.encoding,
        }
    }

    /// Memory for a return value, as a guest has on its stack.
    pub(crate) fn place(&mut self, size: usize) -> u32 {
        let place = self.bump(8, size).expect("memory for a return value");
        u32::try_from(place).expect("an address of 32 bits")
    }

    fn bump(&mut self, align: usize, size: usize) -> Result<usize, Failure> {
        let address = self.free.next_multiple_of(align);
        let end = address.checked_add(size).ok_or(Failure::OutOfMemory)?;
        if end > self.limit {
            return Err(Failure::OutOfMemory);
        }
        if end > self.memory.len() {
            // A half more, so that a large message does not copy all memory for each page.
            let grown = end.max(self.memory.len() * 3 / 2).next_multiple_of(PAGE);
            let mut memory = Vec::with_capacity(grown);
            memory.extend_from_slice(&self.memory);
            // What is not written is not zero: nothing may depend on it.
            memory.resize(grown, 0xa5);
            self.memory = memory;
            self.moves += 1;
        }
        self.free = end;
        Ok(address)
    }
}

impl Target for Guest {
    type Error = Failure;

    fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory
    }

    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, Failure> {
        let call = self.allocations.len();
        let address = match self.wrong {
            Some((wrong, answer)) if wrong == call => match answer {
                Answer::Trap => Err(Failure::Trap),
                Answer::Address(address) => Ok(address),
                Answer::End => Ok(self.memory.len().next_multiple_of(8)),
                Answer::OneOff => self.bump(8, size + 1).map(|address| address + 1),
            },
            _ => self.bump(align as usize, size),
        };
        let noted = address.unwrap_or(usize::MAX);
        self.allocations.push((align, size, noted));
        address
    }

    fn is_utf8(&self) -> bool {
        self.encoding == Encoding::Utf8
    }

    fn transcode(&mut self, text: &str) -> Result<(u32, u32), Failure> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let address = self.allocate(2, units.len())?;
        let end = address.checked_add(units.len());
        let place = end.and_then(|end| self.memory.get_mut(address..end));
        place.ok_or(Failure::OutOfBounds)?.copy_from_slice(&units);
        let pointer = u32::try_from(address).map_err(|_| Failure::OutOfBounds)?;
        Ok((pointer, (units.len() / 2) as u32))
    }

    /// The index of a resource is how many were given before.
    fn give(&mut self, _: u32) -> Result<u32, Failure> {
        self.given += 1;
        Ok(self.given - 1)
    }
}

/// The memory of a guest while it does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'m> {
    pub(crate) memory: &'m [u8],
    pub(crate) encoding: Encoding,
}

impl<'m> Source<'m> for View<'m> {
    type Error = Failure;

    fn bytes(&self) -> &'m [u8] {
        self.memory
    }

    fn is_utf8(&self) -> bool {
        self.encoding == Encoding::Utf8
    }

    fn transcoded(&mut self, pointer: u32, length: u32) -> Result<String, Failure> {
        if pointer % 2 != 0 {
            return Err(Failure::Misaligned);
        }
        let end = (pointer as usize).checked_add(2 * length as usize);
        let bytes = end.and_then(|end| self.memory.get(pointer as usize..end));
        let units = bytes.ok_or(Failure::OutOfBounds)?.chunks_exact(2);
        let units: Vec<_> = units.map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        String::from_utf16(&units).map_err(|_| Failure::Text)
    }

    fn take(&mut self, resource: u32, _: u32, _: &[usize]) -> Result<Taken, Failure> {
        Ok(taken(resource))
    }
}

/// A guest that notes what is taken out of it: the number of its type, its index, and its path.
#[derive(Clone, Debug)]
pub(crate) struct Noting<'m> {
    view: View<'m>,
    pub(crate) taken: Vec<(u32, u32, Vec<usize>)>,
}

impl<'m> Noting<'m> {
    pub(crate) fn new(view: View<'m>) -> Self {
        let taken = Vec::new();
        Self { view, taken }
    }

    /// The paths of the streams that were taken.
    pub(crate) fn streams(self) -> Vec<Vec<usize>> {
        let is_stream = |resource| matches!(taken(resource), Taken::Stream);
        let taken = self.taken.into_iter();
        let streams = taken.filter(|(resource, ..)| is_stream(*resource));
        streams.map(|(_, _, path)| path).collect()
    }
}

impl<'m> Source<'m> for Noting<'m> {
    type Error = Failure;

    fn bytes(&self) -> &'m [u8] {
        self.view.bytes()
    }

    fn is_utf8(&self) -> bool {
        self.view.is_utf8()
    }

    fn transcoded(&mut self, pointer: u32, length: u32) -> Result<String, Failure> {
        self.view.transcoded(pointer, length)
    }

    fn take(&mut self, resource: u32, index: u32, path: &[usize]) -> Result<Taken, Failure> {
        self.taken.push((resource, index, path.to_vec()));
        self.view.take(resource, index, path)
    }
}

/// In tests, resources with even numbers have handles, and the others are streams.
pub(crate) fn taken(resource: u32) -> Taken {
    match resource % 2 {
        0 => Taken::Handle,
        _ => Taken::Stream,
    }
}
