//! The values that are sent: those that the caller component sends.

use wasmtime::component::{flags, ComponentType, Lift, Lower};

/// `inhost:demo/types.order`.
#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Order {
    id: u64,
    customer: String,
    paid: bool,
    total: f64,
    discount: i16,
    grade: char,
    #[component(name = "ship-to")]
    ship_to: Address,
    note: Option<String>,
    status: Status,
    items: Vec<u32>,
}

/// `inhost:demo/types.address`.
#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Address {
    street: String,
    number: u16,
    handling: Handling,
}

/// `inhost:demo/types.status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(
    dead_code,
    reason = "the type has these cases, and one of them is sent"
)]
pub(crate) enum Status {
    #[component(name = "open")]
    Open,
    #[component(name = "packed")]
    Packed,
    #[component(name = "sent")]
    Sent,
    #[component(name = "delivered")]
    Delivered,
    #[component(name = "returned")]
    Returned,
}

flags! {
    Handling {
        #[component(name = "fragile")]
        const FRAGILE;
        #[component(name = "perishable")]
        const PERISHABLE;
        #[component(name = "heavy")]
        const HEAVY;
        #[component(name = "oversized")]
        const OVERSIZED;
        #[component(name = "insured")]
        const INSURED;
        #[component(name = "signature")]
        const SIGNATURE;
        #[component(name = "express")]
        const EXPRESS;
        #[component(name = "gift")]
        const GIFT;
        #[component(name = "cold")]
        const COLD;
        #[component(name = "upright")]
        const UPRIGHT;
    }
}

/// The order that the caller sends as a record in its call number `call`: every field has something in it.
pub(crate) fn order(call: u32) -> Order {
    const NUMBER: u32 = 45;
    Order {
        id: u64::from(call),
        customer: format!("customer {NUMBER}"),
        paid: false,
        total: f64::from(NUMBER) / 8.0,
        discount: NUMBER as i16 - 50,
        grade: 't',
        ship_to: Address {
            street: "Straße ".repeat(NUMBER as usize % 8),
            number: NUMBER as u16,
            handling: Handling::FRAGILE
                | Handling::HEAVY
                | Handling::OVERSIZED
                | Handling::SIGNATURE,
        },
        note: Some(NUMBER.to_string()),
        status: Status::Open,
        items: (0..NUMBER % 8).collect(),
    }
}

/// Strings of 10 to 30 bytes, 20 on average.
pub(crate) fn strings(size: u32, call: u32) -> Vec<String> {
    (0..size)
        .map(|index| {
            let length = 10 + index.wrapping_mul(8).wrapping_add(call) % 21;
            let letters = bytes(length, call.wrapping_add(index)).into_iter();
            letters.map(|byte| char::from(b'a' + byte % 26)).collect()
        })
        .collect()
}

/// Bytes that differ from index to index, from size to size and from call to call.
pub(crate) fn bytes(size: u32, call: u32) -> Vec<u8> {
    // The golden ratio as a fraction of 2^32: its multiples are spread evenly over all 32 bits.
    const SPREAD: u32 = 0x9e37_79b9;
    let start = call.wrapping_add(1).wrapping_mul(SPREAD) ^ size;
    (0..size)
        .map(|index| (start.wrapping_add(index).wrapping_mul(SPREAD) >> 24) as u8)
        .collect()
}
