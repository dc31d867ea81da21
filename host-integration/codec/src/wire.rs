//! Numbers, chars and flags in the wRPC encoding.

use std::str::Utf8Error;

use crate::error::Fault;

/// The longest LEB128 encoding of 64 bits.
pub(crate) const MAX_LEB128: usize = 10;

/// The canonical NaN of the canonical ABI. All others become it on their way through a component boundary.
#[inline]
pub(crate) fn canonical_f32(bits: u32) -> u32 {
    match f32::from_bits(bits).is_nan() {
        true => 0x7fc0_0000,
        false => bits,
    }
}

/// See [`canonical_f32`].
#[inline]
pub(crate) fn canonical_f64(bits: u64) -> u64 {
    match f64::from_bits(bits).is_nan() {
        true => 0x7ff8_0000_0000_0000,
        false => bits,
    }
}

/// Writes unsigned LEB128 to the front of `to` and returns how many bytes it has.
#[inline]
pub(crate) fn uleb128(mut value: u64, to: &mut [u8; MAX_LEB128]) -> usize {
    let mut length = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            to[length] = low;
            return length + 1;
        }
        to[length] = low | 0x80;
        length += 1;
    }
}

/// As [`uleb128`], signed.
#[inline]
pub(crate) fn sleb128(mut value: i64, to: &mut [u8; MAX_LEB128]) -> usize {
    let mut length = 0;
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        // The sign is bit 6 of the last byte.
        if (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0) {
            to[length] = low;
            return length + 1;
        }
        to[length] = low | 0x80;
        length += 1;
    }
}

#[inline]
pub(crate) fn put_uleb128(out: &mut Vec<u8>, value: u64) {
    if let Ok(byte @ 0..0x80) = u8::try_from(value) {
        return out.push(byte);
    }
    let mut buffer = [0; MAX_LEB128];
    let length = uleb128(value, &mut buffer);
    out.extend_from_slice(&buffer[..length]);
}

#[inline]
pub(crate) fn put_sleb128(out: &mut Vec<u8>, value: i64) {
    let mut buffer = [0; MAX_LEB128];
    let length = sleb128(value, &mut buffer);
    out.extend_from_slice(&buffer[..length]);
}

/// How many bytes flags have in the encoding.
#[inline]
pub(crate) fn flag_bytes(count: u32) -> usize {
    count.div_ceil(8) as usize
}

/// The bits of the `word`-th 32 flags that stand for a flag.
#[inline]
pub(crate) fn flag_mask(count: u32, word: u32) -> u32 {
    match count - (32 * word).min(count) {
        0 => 0,
        valid @ 1..=31 => u32::MAX >> (32 - valid),
        _ => u32::MAX,
    }
}

/// Whether bytes are UTF-8, and where not.
///
/// Most text is ASCII, and for short text that is found out faster than the general answer.
#[inline]
pub(crate) fn utf8(bytes: &[u8]) -> Result<(), Utf8Error> {
    match bytes.is_ascii() {
        true => Ok(()),
        false => std::str::from_utf8(bytes).map(drop),
    }
}

/// Reads bytes from the front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(Fault::Truncated)?;
        self.0 = rest;
        Ok(front)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (front, rest) = self.0.split_first_chunk().ok_or(Fault::Truncated)?;
        self.0 = rest;
        Ok(*front)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A byte that is 0 or 1.
    #[inline]
    pub(crate) fn bit(&mut self) -> Result<bool, Fault> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(Fault::Bit { byte }),
        }
    }

    #[inline]
    pub(crate) fn uleb128(&mut self, bits: u32) -> Result<u64, Fault> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let left = bits - shift;
            if left < 7 && u32::from(byte) >= 1 << left {
                return Err(Fault::Number { bits });
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift >= bits {
                return Err(Fault::Number { bits });
            }
        }
    }

    #[inline]
    pub(crate) fn sleb128(&mut self, bits: u32) -> Result<i64, Fault> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte()?;
            let left = bits - shift;
            if left <= 7 {
                // The last byte there can be: the bits that are not of the value repeat its sign.
                let extended = ((byte << 1) as i8) >> 1;
                let unused = extended >> (left - 1);
                if byte & 0x80 != 0 || (unused != 0 && unused != -1) {
                    return Err(Fault::Number { bits });
                }
            }
            value |= i64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                if shift < 64 && byte & 0x40 != 0 {
                    value |= -1 << shift;
                }
                return Ok(value);
            }
        }
    }

    /// The length of a string or list.
    #[inline]
    pub(crate) fn length(&mut self) -> Result<u32, Fault> {
        // It fits: it was decoded as 32 bits.
        Ok(self.uleb128(32)? as u32)
    }

    #[inline]
    pub(crate) fn char(&mut self) -> Result<char, Fault> {
        let first = *self.0.first().ok_or(Fault::Truncated)?;
        let length = match first {
            0..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        // What is there already may be wrong: no need to wait for more of it.
        let have = length.min(self.0.len());
        let text = match std::str::from_utf8(&self.0[..have]) {
            Ok(text) => text,
            Err(error) if have < length && error.error_len().is_none() => {
                return Err(Fault::Truncated);
            }
            Err(_) => return Err(Fault::Text),
        };
        let char = text.chars().next().ok_or(Fault::Truncated)?;
        self.0 = &self.0[length..];
        Ok(char)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unsigned(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_uleb128(&mut out, value);
        out.to_vec()
    }

    fn signed(value: i64) -> Vec<u8> {
        let mut out = Vec::new();
        put_sleb128(&mut out, value);
        out.to_vec()
    }

    #[test]
    fn numbers_are_encoded_as_the_dwarf_standard_shows() {
        // DWARF 5, tables 7.7 and 7.8.
        for (value, bytes) in [
            (2, &[2][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (129, &[0x81, 1]),
            (12857, &[0x39 | 0x80, 100]),
        ] {
            assert_eq!(unsigned(value), bytes);
        }
        for (value, bytes) in [
            (2, &[2][..]),
            (-2, &[0x7e]),
            (127, &[0xff, 0]),
            (-127, &[0x81, 0x7f]),
            (128, &[0x80, 1]),
            (-128, &[0x80, 0x7f]),
            (129, &[0x81, 1]),
            (-129, &[0xff, 0x7e]),
        ] {
            assert_eq!(signed(value), bytes);
        }
    }

    #[test]
    fn numbers_too_large_for_their_type_are_refused() {
        let number = |bits| Err(Fault::Number { bits });
        let uleb = |bytes: &[u8], bits| Cursor::new(bytes).uleb128(bits);
        let sleb = |bytes: &[u8], bits| Cursor::new(bytes).sleb128(bits);
        assert_eq!(uleb(&[0xff, 0xff, 0x03], 16), Ok(0xffff));
        assert_eq!(uleb(&[0xff, 0xff, 0x04], 16), number(16).map(|()| 0));
        assert_eq!(uleb(&[0x80, 0x80, 0x80, 0], 16), number(16).map(|()| 0));
        assert_eq!(uleb(&[0xff, 0xff, 0xff, 0xff, 0x0f], 32), Ok(0xffff_ffff));
        assert_eq!(
            uleb(&[0xff, 0xff, 0xff, 0xff, 0x10], 32),
            number(32).map(|()| 0)
        );
        assert_eq!(uleb(&[0x80, 0], 32), Ok(0));
        assert_eq!(sleb(&[0x80, 0x80, 0x7e], 16), Ok(-0x8000));
        assert_eq!(sleb(&[0xff, 0xff, 0x01], 16), Ok(0x7fff));
        assert_eq!(sleb(&[0x80, 0x80, 0x02], 16), number(16).map(|()| 0));
        assert_eq!(
            sleb(&[0x80, 0x80, 0x80, 0x80, 0x78], 32),
            Ok(i64::from(i32::MIN))
        );
        assert_eq!(
            sleb(&[0x80, 0x80, 0x80, 0x80, 0x08], 32),
            number(32).map(|()| 0)
        );
        assert_eq!(uleb(&[0x80], 32), Err(Fault::Truncated));
    }

    #[test]
    fn chars_are_utf8_and_wrong_ones_are_known_at_the_first_wrong_byte() {
        let char = |bytes: &[u8]| Cursor::new(bytes).char();
        assert_eq!(char("é".as_bytes()), Ok('é'));
        assert_eq!(char("😀rest".as_bytes()), Ok('😀'));
        assert_eq!(char(&[]), Err(Fault::Truncated));
        assert_eq!(char(&[0xf0, 0x9f]), Err(Fault::Truncated));
        assert_eq!(char(&[0xf0, 0x41]), Err(Fault::Text));
        assert_eq!(char(&[0x80]), Err(Fault::Text));
        assert_eq!(char(&[0xc0, 0x80]), Err(Fault::Text), "overlong");
        assert_eq!(char(&[0xed, 0xa0, 0x80]), Err(Fault::Text), "surrogate");
    }

    #[test]
    fn text_is_utf8_or_not_whatever_its_length() {
        for length in 0..80 {
            let mut text = vec![b'a'; length];
            assert_eq!(utf8(&text), Ok(()));
            text.extend("é".bytes());
            assert_eq!(utf8(&text), Ok(()));
            text.pop();
            assert!(utf8(&text).is_err());
            text.push(b'a');
            assert!(utf8(&text).is_err());
        }
    }

    #[test]
    fn masks_cover_the_flags_there_are() {
        assert_eq!(flag_mask(1, 0), 1);
        assert_eq!(flag_mask(32, 0), u32::MAX);
        assert_eq!(flag_mask(33, 0), u32::MAX);
        assert_eq!(flag_mask(33, 1), 1);
        assert_eq!(flag_mask(33, 2), 0);
    }

    proptest! {
        #[test]
        fn numbers_come_back(unsigned_value: u64, signed_value: i64, shift in 0..64u32) {
            let value = unsigned_value >> shift;
            prop_assert_eq!(Cursor::new(&unsigned(value)).uleb128(64), Ok(value));
            let value = signed_value >> shift;
            prop_assert_eq!(Cursor::new(&signed(value)).sleb128(64), Ok(value));
            let value = value as i16;
            prop_assert_eq!(Cursor::new(&signed(value.into())).sleb128(16), Ok(value.into()));
            let value = value as i32;
            prop_assert_eq!(Cursor::new(&signed(value.into())).sleb128(32), Ok(value.into()));
        }

        #[test]
        fn a_number_is_never_out_of_its_range(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(value) = Cursor::new(&bytes).uleb128(16) {
                prop_assert!(value <= u64::from(u16::MAX));
            }
            if let Ok(value) = Cursor::new(&bytes).sleb128(16) {
                prop_assert!(i16::try_from(value).is_ok());
            }
            if let Ok(value) = Cursor::new(&bytes).sleb128(32) {
                prop_assert!(i32::try_from(value).is_ok());
            }
        }
    }
}
