//! `driver.shapes`: every kind of value, there and back.

use std::fmt::Debug;

use crate::inhost::demo::echo;
use crate::inhost::demo::types::{Address, Handling, Order, Point, Shape, Size, Status};

/// A text with characters of one to four bytes, a zero, and combining marks.
const UNICODE: &str = "a\0é€漢字🦀👩‍🚀 e\u{301} \u{10ffff}";

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

fn size(width: f32, height: f32) -> Size {
    Size { width, height }
}

fn point(x: i32, y: i32) -> Point {
    Point { x, y }
}

fn small_order() -> Order {
    Order {
        id: 0,
        customer: String::new(),
        paid: false,
        total: 0.0,
        discount: 0,
        grade: 'a',
        ship_to: Address {
            street: String::new(),
            number: 0,
            handling: Handling::empty(),
        },
        note: None,
        status: Status::Open,
        items: vec![],
    }
}

fn large_order() -> Order {
    Order {
        id: u64::MAX,
        customer: UNICODE.into(),
        paid: true,
        total: -0.1,
        discount: i16::MIN,
        grade: char::MAX,
        ship_to: Address {
            street: "Main Street".into(),
            number: u16::MAX,
            handling: Handling::all(),
        },
        note: Some(UNICODE.into()),
        status: Status::Returned,
        items: vec![0, 1, 127, 128, u32::MAX],
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
