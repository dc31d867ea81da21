//! A component between caller and callee: it passes each call of `inhost:demo/echo` on.

wit_bindgen::generate!({
    path: "../wit",
    world: "middle",
    // Nothing runs before the first call. With the check for it, each fresh instance would write to a page of its
    // data, which then has to be copied.
    disable_run_ctors_once_workaround: true,
});

use exports::inhost::demo::echo::Guest;
use inhost::demo::echo as next;
use inhost::demo::types::{Handling, Lists, Many, Order, Point, Results, Shape, Status};

struct Middle;

export!(Middle);

impl Guest for Middle {
    fn ping(n: u32) -> u32 {
        next::ping(n)
    }

    fn echo_bytes(data: Vec<u8>) -> Vec<u8> {
        next::echo_bytes(&data)
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
        next::echo_scalars(a, b, c, d, e, f, g, h, i, j, k, l)
    }

    fn echo_string(s: String) -> String {
        next::echo_string(&s)
    }

    fn echo_strings(l: Vec<String>) -> Vec<String> {
        next::echo_strings(&l)
    }

    fn echo_record(r: Order) -> Order {
        next::echo_record(&r)
    }

    fn echo_variant(v: Shape) -> Shape {
        next::echo_variant(&v)
    }

    fn echo_enum(e: Status) -> Status {
        next::echo_enum(e)
    }

    fn echo_flags(f: Handling) -> Handling {
        next::echo_flags(f)
    }

    fn echo_option(o: Option<String>) -> Option<String> {
        next::echo_option(o.as_deref())
    }

    fn echo_result(r: Result<u32, String>) -> Result<u32, String> {
        next::echo_result(r.as_ref().map(|n| *n).map_err(String::as_str))
    }

    fn echo_nested(n: Vec<Vec<Option<Order>>>) -> Vec<Vec<Option<Order>>> {
        next::echo_nested(&n)
    }

    fn echo_tuple(
        t: (u8, String, f64, Option<char>, Vec<u16>, Status),
    ) -> (u8, String, f64, Option<char>, Vec<u16>, Status) {
        let (a, b, c, d, e, f) = &t;
        next::echo_tuple((*a, b, *c, *d, e, f))
    }

    fn echo_lists(l: Lists) -> Lists {
        next::echo_lists(&l)
    }

    fn echo_options(o: Option<Option<Option<String>>>) -> Option<Option<Option<String>>> {
        let borrowed = o.as_ref().map(|o| o.as_ref().map(|o| o.as_deref()));
        next::echo_options(borrowed)
    }

    fn echo_results(r: Results) -> Results {
        next::echo_results(&r)
    }

    #[rustfmt::skip]
    fn echo_many(
        a: u8, b: String, c: i64, d: bool, e: f32, f: char, g: Vec<u8>, h: Option<u16>, i: Status, j: i8, k: u64,
        l: f64, m: Handling, n: Point, o: i32, p: String, q: u16, r: i16,
    ) -> Many {
        next::echo_many(a, &b, c, d, e, f, &g, h, i, j, k, l, m, n, o, &p, q, r)
    }

    fn make_orders(count: u32) -> Vec<Order> {
        next::make_orders(count)
    }

    fn note(id: u64) {
        next::note(id)
    }

    fn trap(message: String) -> u32 {
        next::trap(&message)
    }

    fn wait(ms: u32) -> u32 {
        next::wait(ms)
    }

    fn version() -> u32 {
        next::version()
    }

    fn count(id: u64) -> u64 {
        next::count(id)
    }
}
