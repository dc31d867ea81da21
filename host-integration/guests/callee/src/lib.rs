//! The component that is called: it answers `inhost:demo/echo`.

wit_bindgen::generate!({
    path: "../wit",
    world: "callee",
    generate_all,
    // Nothing runs before the first call. With the check for it, each fresh instance would write to a page of its
    // data, which then has to be copied.
    disable_run_ctors_once_workaround: true,
});

use exports::inhost::demo::echo::{Guest, Handling, Order, Shape, Status};
use inhost::demo::tally;
use wasi::clocks::monotonic_clock;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

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

    fn trap(message: String) -> u32 {
        panic!("{message}")
    }

    fn wait(ms: u32) -> u32 {
        // The host suspends the component until then; none of its threads is blocked.
        monotonic_clock::subscribe_duration(u64::from(ms) * NANOSECONDS_PER_MILLISECOND).block();
        ms
    }

    fn count(id: u64) -> u64 {
        tally::add(id)
    }
}
