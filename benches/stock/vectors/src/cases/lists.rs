//! Lists of everything that has no parts, and lists of lists.

use super::scalars::{chars, signed, unsigned};
use crate::case::Case;
use crate::native::case;

pub(crate) fn add(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    macro_rules! of {
        ($($rust:ty, $values:expr;)*) => {$(
            let values: Vec<$rust> = $values;
            let one: Vec<$rust> = values.iter().take(1).cloned().collect();
            cases.push(case("empty", Vec::<$rust>::new())?);
            cases.push(case("one", one)?);
            cases.push(case("some", values)?);
        )*};
    }
    of! {
        bool, vec![true, false, true];
        u8, convert(unsigned(8))?;
        i8, convert(signed(8))?;
        u16, convert(unsigned(16))?;
        i16, convert(signed(16))?;
        u32, convert(unsigned(32))?;
        i32, convert(signed(32))?;
        u64, unsigned(64);
        i64, signed(64);
        f32, vec![-0.0, 1.5, f32::NAN, f32::INFINITY, f32::MIN];
        f64, vec![-0.0, 1.5, f64::NAN, f64::INFINITY, f64::MIN];
        char, chars().to_vec();
        String, strings(&["", "a", "é漢😀", "the end"]);
        Vec<u8>, vec![vec![], vec![0], vec![255, 0, 128], b"text".to_vec()];
    }
    long(cases)?;
    cases.push(case("one empty list", vec![Vec::<Vec<u8>>::new()])?);
    cases.push(case(
        "ragged",
        vec![
            vec![strings(&["a", ""]), vec![]],
            vec![],
            vec![strings(&["é"])],
        ],
    )?);
    Ok(())
}

/// Lengths at which the encoding of the length gets longer.
fn long(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    for length in [127, 128, 16383, 16384] {
        let bytes = (0..length)
            .map(|i: u32| i.to_le_bytes()[0])
            .collect::<Vec<_>>();
        cases.push(case(&format!("{length} bytes"), bytes)?);
    }
    for length in [127, 128] {
        let what = format!("{length} elements");
        let numbers: Vec<u32> = (0..length).map(|i| i * i * i * i).collect();
        cases.push(case(&what, numbers)?);
        let texts: Vec<_> = (0..length).map(|i| i.to_string()).collect();
        cases.push(case(&what, texts)?);
        let switches: Vec<_> = (0..length).map(|i| i % 3 == 0).collect();
        cases.push(case(&what, switches)?);
        cases.push(case(&what, vec![Vec::<u8>::new(); length.try_into()?])?);
    }
    Ok(())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

fn convert<A, B: TryFrom<A>>(values: Vec<A>) -> Result<Vec<B>, B::Error> {
    values.into_iter().map(B::try_from).collect()
}
