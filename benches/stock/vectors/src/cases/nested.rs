//! Tuples, options and results, alone and in each other.

use crate::case::Case;
use crate::native::case;

pub(crate) fn add(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    tuples(cases)?;
    options(cases)?;
    results(cases)?;
    deep(cases)
}

fn tuples(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    cases.push(case("of one", (128_u16,))?);
    cases.push(case("with padding between", (1_u8, u64::MAX, 2_u8))?);
    cases.push(case("mixed", (true, 'é', "text".to_owned(), -0.0_f32))?);
    cases.push(case("in a tuple", ((1_u8, 2_u32), (3_u8, 4_u32)))?);
    cases.push(case(
        "all there is",
        (
            true,
            255_u8,
            -128_i8,
            u16::MAX,
            i16::MIN,
            u32::MAX,
            i32::MIN,
            u64::MAX,
            i64::MIN,
            f32::NAN,
            f64::NEG_INFINITY,
            '😀',
        ),
    )?);
    cases.push(case(
        "some",
        vec![(1_u8, "one".to_owned()), (2, String::new())],
    )?);
    cases.push(case("some", vec![(0.5_f32, 1.5_f64), (f32::NAN, -0.0)])?);
    Ok(())
}

fn options(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    macro_rules! of {
        ($($value:expr;)*) => {$(
            let value = Some($value);
            let mut none = value.clone();
            none.take();
            cases.push(case("none", none)?);
            cases.push(case("some", value)?);
        )*};
    }
    of! {
        true;
        0_u8;
        -1_i8;
        128_u16;
        -129_i16;
        u32::MAX;
        i32::MIN;
        u64::MAX;
        i64::MIN;
        f32::NAN;
        -0.0_f64;
        '漢';
        "text".to_owned();
        vec![1_u8, 2, 3];
        (1_u8, u64::MAX);
    }
    cases.push(case("none", None::<Option<u8>>)?);
    cases.push(case("some none", Some(None::<u8>))?);
    cases.push(case("some some", Some(Some(7_u8)))?);
    type Three = Option<Option<Option<String>>>;
    for (what, value) in [
        ("none", None),
        ("some none", Some(None)),
        ("some some none", Some(Some(None))),
        ("some some some", Some(Some(Some("deep".to_owned())))),
    ] {
        cases.push(case::<Three>(what, value)?);
    }
    cases.push(case("some", vec![None, Some(1_u32), Some(128), None])?);
    cases.push(case(
        "some",
        vec![Some(String::new()), None, Some("x".to_owned())],
    )?);
    cases.push(case("some of both", (Some(1_u8), None::<u64>, Some('x')))?);
    Ok(())
}

fn results(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    cases.push(case("ok", Ok::<(), ()>(()))?);
    cases.push(case("err", Err::<(), ()>(()))?);
    cases.push(case("ok", Ok::<u64, ()>(128))?);
    cases.push(case("err", Err::<u64, ()>(()))?);
    cases.push(case("ok", Ok::<(), String>(()))?);
    cases.push(case("err", Err::<(), _>("why".to_owned()))?);
    cases.push(case("ok", Ok::<_, String>(vec![1_u8, 255]))?);
    cases.push(case("err", Err::<Vec<u8>, _>(String::new()))?);
    // Cases of unlike size and kind share memory in a guest.
    cases.push(case("ok", Ok::<_, f64>(1_u8))?);
    cases.push(case("err", Err::<u8, _>(f64::NAN))?);
    cases.push(case("ok", Ok::<_, u64>(-0.0_f32))?);
    cases.push(case("err", Err::<f32, _>(u64::MAX))?);
    type InResult = Result<Result<u8, ()>, Result<(), String>>;
    for (what, value) in [
        ("ok ok", Ok(Ok(9))),
        ("ok err", Ok(Err(()))),
        ("err ok", Err(Ok(()))),
        ("err err", Err(Err("both".to_owned()))),
    ] {
        cases.push(case::<InResult>(what, value)?);
    }
    cases.push(case(
        "some",
        vec![Ok("yes".to_owned()), Err(404_u16), Err(0)],
    )?);
    Ok(())
}

fn deep(cases: &mut Vec<Case>) -> anyhow::Result<()> {
    cases.push(case(
        "all kinds in each other",
        Some(vec![
            Ok((1_u8, Some("a".to_owned()), vec![vec![1.5_f64], vec![]])),
            Err((vec![None, Some('é')], (i64::MIN,))),
        ]),
    )?);
    cases.push(case(
        "none to the end",
        Some(Some(Some(Some(Some(Some(Some(Some(None::<u8>)))))))),
    )?);
    cases.push(case(
        "eight deep",
        vec![vec![vec![vec![vec![vec![vec![vec![7_u32]]]]]]]],
    )?);
    Ok(())
}
