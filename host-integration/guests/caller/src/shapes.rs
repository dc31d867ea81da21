//! `driver.shapes`: every kind of value, there and back.

use std::fmt::Debug;

use crate::inhost::demo::echo;
use crate::inhost::demo::types::{Handling, Lists, Many, Results, Shape, Status};
use crate::values::{large_order, order, point, size, small_order, UNICODE};

/// More than one read or write takes.
const LARGE: usize = 100_000;

/// A text longer than this is shortened, unless an answer was wrong.
const TEXT: usize = 400;

/// Calls each function with each of its values.
pub fn all() -> Vec<(String, String)> {
    let mut report = Report::default();
    bytes_and_strings(&mut report);
    scalars(&mut report);
    named_types(&mut report);
    nested(&mut report);
    lists(&mut report);
    options_and_results(&mut report);
    many_parameters(&mut report);
    large_answers(&mut report);
    report.0
}

fn bytes_and_strings(report: &mut Report) {
    for (case, sent) in [
        ("empty", vec![]),
        ("one", vec![0xff]),
        ("every byte", (0..=u8::MAX).collect()),
        ("large", (0..=u8::MAX).cycle().take(LARGE).collect()),
    ] {
        report.compare("echo-bytes", case, &sent, echo::echo_bytes(&sent));
    }
    for (case, sent) in [
        ("empty", String::new()),
        ("ascii", "hello".into()),
        ("unicode", UNICODE.into()),
        // The length takes one byte, then two.
        ("127 bytes", "x".repeat(127)),
        ("128 bytes", "x".repeat(128)),
        ("large", "é".repeat(LARGE)),
    ] {
        report.compare("echo-string", case, &sent, echo::echo_string(&sent));
        let answer = echo::echo_option(Some(&sent));
        report.compare("echo-option", case, &Some(sent), answer);
    }
    report.compare("echo-option", "none", &None, echo::echo_option(None));
    for (case, sent) in [
        ("empty", vec![]),
        ("one empty", vec![String::new()]),
        ("several", vec!["a".into(), String::new(), UNICODE.into()]),
        ("many", (0..1_000).map(|n| n.to_string()).collect()),
    ] {
        report.compare("echo-strings", case, &sent, echo::echo_strings(&sent));
    }
    for (case, sent) in [
        ("ok zero", Ok(0)),
        ("ok largest", Ok(u32::MAX)),
        ("err empty", Err(String::new())),
        ("err unicode", Err(UNICODE.into())),
    ] {
        let answer = echo::echo_result(sent.as_ref().map(|n| *n).map_err(String::as_str));
        report.compare("echo-result", case, &sent, answer);
    }
}

#[rustfmt::skip]
fn scalars(report: &mut Report) {
    for (case, sent) in [
        ("zero", (false, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, '\0')),
        ("smallest", (false, i8::MIN, u8::MIN, i16::MIN, u16::MIN, i32::MIN, u32::MIN, i64::MIN, u64::MIN,
            f32::MIN, f64::MIN, '\u{d7ff}')),
        ("largest", (true, i8::MAX, u8::MAX, i16::MAX, u16::MAX, i32::MAX, u32::MAX, i64::MAX, u64::MAX,
            f32::MAX, f64::MAX, char::MAX)),
        ("minus one", (true, -1, 1, -1, 1, -1, 1, -1, 1, -1.0, -1.0, '\u{e000}')),
        ("minus zero and infinite", (true, -64, 128, -65, 129, -8_193, 16_384, -1 << 35, 1 << 63,
            -0.0, f64::NEG_INFINITY, 'é')),
        ("tiny", (true, 64, 127, 64, 128, 8_192, 16_383, 1 << 34, 1 << 35,
            f32::from_bits(1), f64::from_bits(1), '🦀')),
    ] {
        let (a, b, c, d, e, f, g, h, i, j, k, l) = sent;
        report.compare("echo-scalars", case, &sent, echo::echo_scalars(a, b, c, d, e, f, g, h, i, j, k, l));
    }
    for (case, sent) in [
        ("zero", (0, String::new(), 0.0, None, vec![], Status::Open)),
        ("largest", (u8::MAX, "x".repeat(128), f64::MAX, Some(char::MAX), vec![u16::MAX, 0, 127, 128], Status::Returned)),
    ] {
        let (a, b, c, d, e, f) = &sent;
        let answer = echo::echo_tuple((*a, b, *c, *d, e, f));
        report.compare("echo-tuple", case, &sent, answer);
    }
}

fn named_types(report: &mut Report) {
    for (case, sent) in [("small", small_order()), ("large", large_order())] {
        report.compare("echo-record", case, &sent, echo::echo_record(&sent));
    }
    for (case, sent) in [
        ("nothing", Shape::Nothing),
        ("number", Shape::Radius(u32::MAX)),
        ("string", Shape::Label(UNICODE.into())),
        ("empty string", Shape::Label(String::new())),
        ("record", Shape::Box(size(-1.5, f32::MAX))),
        ("empty list", Shape::Polygon(vec![])),
        (
            "list",
            Shape::Polygon(vec![point(i32::MIN, i32::MAX), point(0, -1)]),
        ),
    ] {
        report.compare("echo-variant", case, &sent, echo::echo_variant(&sent));
    }
    for (case, sent) in [
        ("first", Status::Open),
        ("middle", Status::Sent),
        ("last", Status::Returned),
    ] {
        report.compare("echo-enum", case, &sent, echo::echo_enum(sent));
    }
    for (case, sent) in [
        ("none", Handling::empty()),
        ("first", Handling::FRAGILE),
        ("last", Handling::UPRIGHT),
        ("both bytes", Handling::GIFT | Handling::COLD),
        ("all", Handling::all()),
    ] {
        report.compare("echo-flags", case, &sent, echo::echo_flags(sent));
    }
}

fn nested(report: &mut Report) {
    for (case, sent) in [
        ("empty", vec![]),
        ("lists of nothing", vec![vec![], vec![None], vec![]]),
        (
            "orders",
            vec![
                vec![Some(small_order()), None],
                vec![],
                vec![Some(large_order())],
            ],
        ),
    ] {
        report.compare("echo-nested", case, &sent, echo::echo_nested(&sent));
    }
}

#[rustfmt::skip]
fn lists(report: &mut Report) {
    for (case, sent) in [
        ("empty", Lists {
            bools: vec![], s8s: vec![], u8s: vec![], s16s: vec![], u16s: vec![], s32s: vec![], u32s: vec![],
            s64s: vec![], u64s: vec![], f32s: vec![], f64s: vec![], chars: vec![],
        }),
        ("edges", Lists {
            bools: vec![true, false, true],
            s8s: vec![i8::MIN, -1, 0, 63, 64, i8::MAX],
            u8s: vec![0, 1, 127, 128, u8::MAX],
            s16s: vec![i16::MIN, -65, -64, 63, 64, i16::MAX],
            u16s: vec![0, 127, 128, 16_383, 16_384, u16::MAX],
            s32s: vec![i32::MIN, -8_193, -8_192, 8_191, 8_192, i32::MAX],
            u32s: vec![0, 127, 128, 16_383, 16_384, u32::MAX],
            s64s: vec![i64::MIN, -1 << 34, (1 << 34) - 1, 1 << 34, i64::MAX],
            u64s: vec![0, 127, 128, (1 << 35) - 1, 1 << 35, u64::MAX],
            f32s: vec![f32::MIN, -0.0, f32::from_bits(1), f32::MAX, f32::INFINITY, f32::NEG_INFINITY],
            f64s: vec![f64::MIN, -0.0, f64::from_bits(1), f64::MAX, f64::INFINITY, f64::NEG_INFINITY],
            chars: vec!['\0', '\u{7f}', '\u{80}', '\u{d7ff}', '\u{e000}', '🦀', char::MAX],
        }),
        ("many", Lists {
            bools: (0..1_000).map(|n| n % 3 == 0).collect(),
            s8s: (i8::MIN..=i8::MAX).collect(),
            u8s: (0..=u8::MAX).collect(),
            s16s: (i16::MIN..=i16::MAX).step_by(97).collect(),
            u16s: (0..=u16::MAX).step_by(97).collect(),
            s32s: (0..32).map(|bit| -1 << bit).collect(),
            u32s: (0..32).map(|bit| 1 << bit).collect(),
            s64s: (0..64).map(|bit| -1 << bit).collect(),
            u64s: (0..64).map(|bit| 1 << bit).collect(),
            f32s: (0..1_000).map(|n| n as f32 / 7.0).collect(),
            f64s: (0..1_000).map(|n| f64::from(n) / 7.0).collect(),
            chars: ('\0'..=char::MAX).step_by(997).collect(),
        }),
    ] {
        report.compare("echo-lists", case, &sent, echo::echo_lists(&sent));
    }
}

fn options_and_results(report: &mut Report) {
    for (case, sent) in [
        ("none", None),
        ("some none", Some(None)),
        ("some some none", Some(Some(None))),
        ("some some some empty", Some(Some(Some(String::new())))),
        ("some some some", Some(Some(Some(UNICODE.to_string())))),
    ] {
        let borrowed = sent.as_ref().map(|o| o.as_ref().map(|o| o.as_deref()));
        report.compare("echo-options", case, &sent, echo::echo_options(borrowed));
    }
    for (case, both, only_ok, only_err, neither) in [
        ("ok", Ok(u32::MAX), Ok(vec![]), Ok(()), Ok(())),
        (
            "ok with strings",
            Ok(0),
            Ok(vec![String::new(), UNICODE.into()]),
            Ok(()),
            Ok(()),
        ),
        (
            "error",
            Err(UNICODE.into()),
            Err(()),
            Err(Status::Returned),
            Err(()),
        ),
        (
            "mixed",
            Err(String::new()),
            Ok(vec!["x".repeat(128)]),
            Err(Status::Open),
            Ok(()),
        ),
    ] {
        let sent = Results {
            both,
            only_ok,
            only_err,
            neither,
        };
        report.compare("echo-results", case, &sent, echo::echo_results(&sent));
    }
}

#[rustfmt::skip]
fn many_parameters(report: &mut Report) {
    for (case, sent) in [
        ("zero", Many {
            a: 0, b: String::new(), c: 0, d: false, e: 0.0, f: '\0', g: vec![], h: None, i: Status::Open, j: 0, k: 0,
            l: 0.0, m: Handling::empty(), n: point(0, 0), o: 0, p: String::new(), q: 0, r: 0,
        }),
        ("smallest", Many {
            a: u8::MIN, b: "x".repeat(127), c: i64::MIN, d: true, e: f32::MIN, f: '\u{d7ff}', g: vec![0; 127],
            h: Some(u16::MIN), i: Status::Packed, j: i8::MIN, k: u64::MIN, l: f64::MIN, m: Handling::FRAGILE,
            n: point(i32::MIN, i32::MAX), o: i32::MIN, p: "x".repeat(128), q: u16::MIN, r: i16::MIN,
        }),
        ("largest", Many {
            a: u8::MAX, b: UNICODE.into(), c: i64::MAX, d: true, e: f32::MAX, f: char::MAX,
            g: (0..=u8::MAX).cycle().take(LARGE).collect(), h: Some(u16::MAX), i: Status::Returned, j: i8::MAX,
            k: u64::MAX, l: f64::MAX, m: Handling::all(), n: point(i32::MAX, i32::MIN), o: i32::MAX,
            p: "é".repeat(LARGE), q: u16::MAX, r: i16::MAX,
        }),
    ] {
        let Many { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r } = &sent;
        let answer = echo::echo_many(
            *a, b, *c, *d, *e, *f, g, *h, *i, *j, *k, *l, *m, *n, *o, p, *q, *r,
        );
        report.compare("echo-many", case, &sent, answer);
    }
}

fn large_answers(report: &mut Report) {
    for (case, count) in [("none", 0), ("one", 1), ("many", 1_000)] {
        let expected = (0..count).map(order).collect::<Vec<_>>();
        report.compare("make-orders", case, &expected, echo::make_orders(count));
    }
}

/// One line for each call: its name, and what came back.
#[derive(Default)]
struct Report(Vec<(String, String)>);

impl Report {
    fn compare<T: Debug + PartialEq>(&mut self, function: &str, case: &str, sent: &T, got: T) {
        let (sent_text, got_text) = (format!("{sent:?}"), format!("{got:?}"));
        // The texts are compared too: minus zero equals zero, but should come back with its sign.
        let line = if *sent == got && sent_text == got_text {
            format!("equal: {}", shortened(got_text))
        } else {
            format!("DIFFERENT: sent {sent_text} got {got_text}")
        };
        self.0.push((format!("{function}: {case}"), line));
    }
}

fn shortened(text: String) -> String {
    let all = text.chars().count();
    if all <= TEXT {
        return text;
    }
    let start = text.chars().take(TEXT).collect::<String>();
    format!("{start}… ({all} characters)")
}
