//! The component that is called: it answers `inhost:demo/echo`.

wit_bindgen::generate!({
    path: "../wit",
    world: "callee",
    generate_all,
    // Nothing runs before the first call. With the check for it, each fresh instance would write to a page of its
    // data, which then has to be copied.
    disable_run_ctors_once_workaround: true,
});

use exports::inhost::demo::echo::{
    Guest, Handling, Lists, Many, Order, Point, Results, Shape, Status,
};
use inhost::demo::tally;
use inhost::demo::types::Address;
use wasi::clocks::monotonic_clock;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Which version of the callee this is: the major version of the package. A second package builds the same source.
const VERSION: u32 = (env!("CARGO_PKG_VERSION_MAJOR").as_bytes()[0] - b'0') as u32;

struct Callee;

export!(Callee);

impl Guest for Callee {
    fn ping(n: u32) -> u32 {
        n.wrapping_add(1)
    }

    fn echo_bytes(data: Vec<u8>) -> Vec<u8> {
        data
    }

    fn echo_scalars(
        a: bool,
        b: i8,
        c: u8,
        d: i16,
        e: u16,
        f: i32,
        g: u32,
        h: i64,
        i: u64,
        j: f32,
        k: f64,
        l: char,
    ) -> (bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, char) {
        (a, b, c, d, e, f, g, h, i, j, k, l)
    }

    fn echo_string(s: String) -> String {
        s
    }

    fn echo_strings(l: Vec<String>) -> Vec<String> {
        l
    }

    fn echo_record(r: Order) -> Order {
        r
    }

    fn echo_variant(v: Shape) -> Shape {
        v
    }

    fn echo_enum(e: Status) -> Status {
        e
    }

    fn echo_flags(f: Handling) -> Handling {
        f
    }

    fn echo_option(o: Option<String>) -> Option<String> {
        o
    }

    fn echo_result(r: Result<u32, String>) -> Result<u32, String> {
        r
    }

    fn echo_nested(n: Vec<Vec<Option<Order>>>) -> Vec<Vec<Option<Order>>> {
        n
    }

    fn echo_tuple(
        t: (u8, String, f64, Option<char>, Vec<u16>, Status),
    ) -> (u8, String, f64, Option<char>, Vec<u16>, Status) {
        t
    }

    fn echo_lists(l: Lists) -> Lists {
        l
    }

    fn echo_options(o: Option<Option<Option<String>>>) -> Option<Option<Option<String>>> {
        o
    }

    fn echo_results(r: Results) -> Results {
        r
    }

    #[rustfmt::skip]
    fn echo_many(
        a: u8, b: String, c: i64, d: bool, e: f32, f: char, g: Vec<u8>, h: Option<u16>, i: Status, j: i8, k: u64,
        l: f64, m: Handling, n: Point, o: i32, p: String, q: u16, r: i16,
    ) -> Many {
        Many { a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r }
    }

    fn make_orders(count: u32) -> Vec<Order> {
        (0..count).map(order).collect()
    }

    fn note(id: u64) {
        tally::add(id);
    }

    fn trap(message: String) -> u32 {
        panic!("{message}")
    }

    fn wait(ms: u32) -> u32 {
        // The host suspends the component until then; none of its threads is blocked.
        monotonic_clock::subscribe_duration(u64::from(ms) * NANOSECONDS_PER_MILLISECOND).block();
        ms
    }

    fn version() -> u32 {
        VERSION
    }

    fn count(id: u64) -> u64 {
        tally::add(id)
    }
}

/// An order of which every field depends on `number`. The caller makes the same one to compare.
fn order(number: u32) -> Order {
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
