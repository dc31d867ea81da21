//! How the body and the trailers of an HTTP message are encoded, as far as one has to know where they end.

use std::io;

/// What is encoded in no way that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of an HTTP message is malformed")]
pub(super) struct Malformed;

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

/// A `u32` of which some bytes are here.
#[derive(Default)]
struct Number {
    value: u64,
    shift: u32,
}

impl Number {
    /// Takes one more byte of it. Returns it with the last one.
    fn read(&mut self, byte: u8) -> Result<Option<u32>, Malformed> {
        self.value |= u64::from(byte & 0x7f) << self.shift;
        self.shift += 7;
        let value = u32::try_from(self.value).map_err(|_| Malformed)?;
        match byte & 0x80 == 0 {
            true => {
                *self = Self::default();
                Ok(Some(value))
            }
            false if self.shift < 35 => Ok(None),
            false => Err(Malformed),
        }
    }
}

/// Skips as many of `bytes` as there are, of `left`.
fn skip(bytes: &mut &[u8], left: &mut u32) {
    let now = bytes
        .len()
        .min(usize::try_from(*left).unwrap_or(usize::MAX));
    *bytes = &bytes[now..];
    *left -= u32::try_from(now).unwrap_or(*left);
}

/// A body: chunks, and then an empty one.
#[derive(Default)]
pub(super) struct Chunks {
    number: Number,
    left: u32,
}

impl Chunks {
    /// Takes what comes next. Returns whether the end is in it.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        loop {
            skip(&mut bytes, &mut self.left);
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            bytes = rest;
            match self.number.read(*byte)? {
                Some(0) => return Ok(true),
                Some(len) => self.left = len,
                None => {}
            }
        }
    }
}

/// Trailers, which may be none: names, each with its values.
#[derive(Default)]
pub(super) struct Fields {
    number: Number,
    next: Next,
    /// How much of a text is still to come.
    left: u32,
    /// How many values of this name are, and then how many more names.
    values: u32,
    names: u32,
}

/// What comes after the text.
#[derive(Default)]
enum Next {
    #[default]
    Whether,
    Names,
    Name,
    Values,
    Value,
}

impl Fields {
    /// Takes what comes next. Returns whether that is all.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Result<bool, Malformed> {
        loop {
            skip(&mut bytes, &mut self.left);
            if self.left == 0 && self.is_over() {
                return Ok(true);
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            bytes = rest;
            if let Next::Whether = self.next {
                match byte {
                    0 => return Ok(true),
                    1 => self.next = Next::Names,
                    _ => return Err(Malformed),
                }
                continue;
            }
            if let Some(number) = self.number.read(*byte)? {
                self.take(number);
            }
        }
    }

    /// Whether the last text was the last one.
    fn is_over(&self) -> bool {
        matches!(self.next, Next::Name) && self.names == 0
    }

    fn take(&mut self, number: u32) {
        match self.next {
            Next::Whether => {}
            Next::Names => {
                self.names = number;
                self.next = Next::Name;
            }
            Next::Name => {
                self.left = number;
                self.names -= 1;
                self.next = Next::Values;
            }
            Next::Values => {
                self.values = number;
                self.next = Next::Value;
            }
            Next::Value => {
                self.left = number;
                self.values -= 1;
            }
        }
        if matches!(self.next, Next::Value) && self.values == 0 {
            self.next = Next::Name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `bytes` in two pieces, wherever one ends. Returns whether that was all, and no less.
    fn ends(read: impl Fn(&[&[u8]]) -> Result<Vec<bool>, Malformed>, bytes: &[u8]) {
        for at in 0..bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(read(&[first, second]), Ok(vec![false, true]), "{at}");
        }
        assert_eq!(read(&[bytes]), Ok(vec![true]));
    }

    fn chunks(pieces: &[&[u8]]) -> Result<Vec<bool>, Malformed> {
        let mut chunks = Chunks::default();
        pieces.iter().map(|it| chunks.read(it)).collect()
    }

    fn fields(pieces: &[&[u8]]) -> Result<Vec<bool>, Malformed> {
        let mut fields = Fields::default();
        pieces.iter().map(|it| fields.read(it)).collect()
    }

    #[test]
    fn a_body_ends_with_an_empty_chunk_and_nowhere_else() {
        let large = [&[0x80, 0x02][..], &[0; 256]].concat();
        for body in [&b""[..], b"\x03abc", b"\x01\x00\x02\x00\x00", &large] {
            ends(chunks, &[body, &[0]].concat());
        }
    }

    #[test]
    fn trailers_end_with_the_last_value_of_the_last_name() {
        for trailers in [
            &[0][..],
            &[1, 0],
            b"\x01\x01\x01a\x00",
            b"\x01\x01\x01a\x01\x01b",
            b"\x01\x01\x00\x00",
            b"\x01\x02\x01a\x02\x01b\x00\x02cd\x01\x03\x00\x00\x00",
        ] {
            ends(fields, trailers);
        }
    }

    #[test]
    fn what_is_no_number_or_no_option_is_malformed() {
        for number in [&[0xff; 5][..], &[0x80, 0x80, 0x80, 0x80, 0x10]] {
            assert_eq!(chunks(&[number]), Err(Malformed));
            assert_eq!(fields(&[&[&[1], number].concat()]), Err(Malformed));
        }
        let longest = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(chunks(&[&longest]), Ok(vec![false]));
        assert_eq!(fields(&[&[2]]), Err(Malformed));
    }
}
