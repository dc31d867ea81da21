//! The compound values that calls send.

use crate::inhost::demo::types::{Address, Handling, Order, Point, Size, Status};

/// A text with characters of one to four bytes, a zero, and combining marks.
pub const UNICODE: &str = "a\0é€漢字🦀👩‍🚀 e\u{301} \u{10ffff}";

pub fn size(width: f32, height: f32) -> Size {
    Size { width, height }
}

pub fn point(x: i32, y: i32) -> Point {
    Point { x, y }
}

pub fn small_order() -> Order {
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

pub fn large_order() -> Order {
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

/// What `echo.make-orders` makes as its order number `number`.
pub fn order(number: u32) -> Order {
    Order {
        id: u64::from(number),
        customer: format!("customer {number}"),
        paid: number % 2 == 0,
        total: f64::from(number) / 8.0,
        discount: (number % 100) as i16 - 50,
        grade: char::from(b'a' + (number % 26) as u8),
        ship_to: Address {
            street: "Straße ".repeat(number as usize % 8),
            number: number as u16,
            handling: Handling::from_bits_truncate(number as u16),
        },
        note: (number % 3 == 0).then(|| number.to_string()),
        status: [Status::Open, Status::Sent, Status::Returned][number as usize % 3],
        items: (0..number % 8).collect(),
    }
}
