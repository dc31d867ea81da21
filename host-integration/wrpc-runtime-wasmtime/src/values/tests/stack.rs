//! Which stack an import is invoked on.

use std::sync::atomic::Ordering;

use inhost_codec::Type;
use wasmtime::component::Component;
use wit_component::StringEncoding;

use super::guest::pass_on;
use super::host::{engine, stack, Guest, Mirror};

/// Less than the stack of a thread is large, and more than a call takes.
const NEAR: usize = 256 << 10;

#[tokio::test]
async fn an_import_is_invoked_on_the_stack_of_the_thread_and_leaves_that_of_the_guest_small() {
    let engine = engine();
    let wasm = pass_on(&[Type::U32], StringEncoding::UTF8);
    let component = Component::new(&engine, wasm).expect("a valid component");
    let guest = Guest::new(&component, Mirror::default());
    guest.call(&[42]).await.expect("an answer");
    let invoked = guest.peer.stack.load(Ordering::Relaxed);
    assert_ne!(invoked, 0, "the import was not invoked");
    assert!(invoked.abs_diff(stack()) < NEAR);
}
