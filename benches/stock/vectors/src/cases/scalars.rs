//! Values without parts: the ends of their ranges, and both sides of where the encoding gets a byte longer.

use crate::case::Case;
use crate::native::case;

pub(crate) fn add(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    cases.push(case("false", false)?);
    cases.push(case("true", true)?);
    integers(cases)?;
    floats(cases)?;
    for char in chars() {
        cases.push(case(&format!("U+{:04X}", u32::from(char)), char)?);
    }
    strings(cases)
}

/// Characters at both ends of each length that UTF-8 has for them.
pub(super) fn chars() -> [char; 13] {
    [
        '\0',
        'a',
        '\u{7f}',
        '\u{80}',
        'é',
        '\u{7ff}',
        '\u{800}',
        '漢',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
    ]
}

/// For each length of a LEB128 encoding of unsigned numbers of this many bits, the largest one and the one after it;
/// then 0, 1, and the largest number that there is.
pub(super) fn unsigned(bits: u32) -> Vec<u64> {
    let max = u64::MAX >> (64 - bits);
    let ends = (7..bits).step_by(7);
    let ends = ends.flat_map(|exponent| [(1 << exponent) - 1, 1 << exponent]);
    [0, 1].into_iter().chain(ends).chain([max]).collect()
}

/// The same for signed numbers, on both sides of zero.
pub(super) fn signed(bits: u32) -> Vec<i64> {
    let max = i64::MAX >> (64 - bits);
    let ends = (6..bits - 1).step_by(7);
    let ends = ends.flat_map(|exponent| {
        let end = 1_i64 << exponent;
        [end - 1, end, -end, -end - 1]
    });
    let ends = [0, 1, -1].into_iter().chain(ends);
    ends.chain([max, -max - 1]).collect()
}

fn integers(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    macro_rules! each {
        ($($rust:ty, $values:expr;)*) => {$(
            for value in $values {
                cases.push(case(&value.to_string(), <$rust>::try_from(value)?)?);
            }
        )*};
    }
    each! {
        u8, unsigned(8);
        i8, signed(8);
        u16, unsigned(16);
        i16, signed(16);
        u32, unsigned(32);
        i32, signed(32);
        u64, unsigned(64).into_iter().chain([(1 << 53) - 1, 1 << 53, (1 << 53) + 1]);
        i64, signed(64).into_iter().chain([1 << 53, (1 << 53) + 1, -(1 << 53), -(1 << 53) - 1]);
    }
    Ok(())
}

fn floats(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    macro_rules! each {
        ($($rust:ident)*) => {$(
            for (name, value) in [
                ("0", 0.0),
                ("-0", -0.0),
                ("1", 1.0),
                ("-1.5", -1.5),
                ("the smallest", $rust::from_bits(1)),
                ("the largest subnormal", $rust::from_bits($rust::MIN_POSITIVE.to_bits() - 1)),
                ("the smallest normal", $rust::MIN_POSITIVE),
                ("the largest", $rust::MAX),
                ("the most negative", $rust::MIN),
                ("infinity", $rust::INFINITY),
                ("-infinity", $rust::NEG_INFINITY),
                ("NaN", $rust::NAN),
            ] {
                cases.push(case(name, value)?);
            }
        )*};
    }
    each!(f32 f64);
    Ok(())
}

fn strings(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    let mut add = |what: &str, text: &str| {
        cases.push(case(what, text.to_owned())?);
        anyhow::Ok(())
    };
    add("empty", "")?;
    add("ASCII", "Hello, world!")?;
    add("one NUL", "\0")?;
    add("characters of 1 to 4 bytes", "aé漢😀")?;
    add(
        "all lengths of UTF-8, at their ends",
        &String::from_iter(chars()),
    )?;
    // As bytes, the length gets longer at 128 and at 16384.
    for bytes in [127, 128, 16383, 16384] {
        add(&format!("{bytes} bytes"), &"x".repeat(bytes))?;
    }
    add("128 bytes, 64 characters", &"é".repeat(64))?;
    add("129 bytes, 43 characters", &"漢".repeat(43))?;
    add("256 bytes, 64 characters", &"😀".repeat(64))
}
