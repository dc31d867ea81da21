//! Guests that are on another thread after each suspension.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use inhost_codec::Type;
use wasmtime::component::Component;
use wit_component::StringEncoding;

use super::guest::pass_on;
use super::host::{engine, Guest, Mirror};

#[test]
fn a_guest_may_be_on_another_thread_after_each_suspension_of_its_import() {
    const PAUSES: usize = 20;
    let engine = engine();
    let wasm = pass_on(&[Type::String], StringEncoding::UTF8);
    let component = Component::new(&engine, wasm).expect("a valid component");
    let peer = Mirror {
        pauses: PAUSES,
        ..Mirror::default()
    };
    let guest = Guest::new(&component, peer);
    let mut call = pin!(guest.call(b"\x05hello"));
    let mut threads = 0;
    let results = loop {
        threads += 1;
        let poll = || call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let polled = thread::scope(|scope| scope.spawn(poll).join());
        if let Poll::Ready(results) = polled.expect("no panic") {
            break results;
        }
    };
    assert!(threads > PAUSES, "{threads}");
    assert_eq!(results.expect("an answer"), b"\x05hello");
}
