//! Nothing is reserved for what a length merely claims.
//!
//! Alone in its binary: it looks at how much address space the process has ever had, which a reservation counts
//! towards even if nothing is written to it.

#![cfg(target_os = "linux")]

mod guest;

use std::sync::Arc;

use inhost_codec::{Checker, Destination, Lift, Lower, Plan, Progress, Type};

use guest::{Encoding, Guest, View};

/// Far less than what is claimed below, and far more than is needed.
const SMALL: usize = 32 << 20;

/// The most address space the process has had, in bytes.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of the process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes = kibibytes.and_then(|number| number.trim().parse::<usize>().ok());
    kibibytes.expect("a number of kB") << 10
}

fn types() -> Vec<Type> {
    let pair = Type::Tuple(vec![Type::U8, Type::option(Type::String)]);
    let elements = [
        Type::U8,
        Type::Bool,
        Type::U16,
        Type::S64,
        Type::F32,
        Type::F64,
        Type::Char,
        Type::String,
        Type::list(Type::U8),
        Type::list(Type::list(Type::U64)),
        Type::option(Type::U8),
        Type::Flags(70),
        pair,
        Type::Variant(vec![None; 300]),
    ];
    let lists = elements.into_iter().map(Type::list);
    lists.chain([Type::String]).collect()
}

/// What a peer claims: as many elements as pass for a list, and then only a few bytes.
fn peer_claims() {
    for ty in types() {
        let plan = Arc::new(Plan::new(&[ty]).expect("a plan"));
        for length in [u32::MAX, 1 << 31, (1 << 31) - 1, 1 << 28, 1 << 24] {
            let mut message = Vec::new();
            for shift in [0, 7, 14, 21, 28] {
                let more = if shift < 28 { 0x80 } else { 0 };
                message.push((length >> shift) as u8 & 0x7f | more);
            }
            // The same claim again in the element, where there is a list in the list.
            message.extend_from_within(..);
            message.extend([0; 16]);
            let mut checker = Checker::new(Arc::clone(&plan));
            for end in 0..=message.len() {
                match checker.advance(&message[..end]) {
                    Ok(Progress::Complete { length }) => panic!("complete with {length} bytes"),
                    Ok(Progress::Incomplete { needed }) => assert!(needed > end),
                    Err(_) => break,
                }
            }
            let mut guest = Guest::new(Encoding::Utf8);
            let lower = Lower::new(&plan);
            let lowered = lower.run(&message, &mut guest, &mut [0; 2], 16, Destination::Allocate);
            assert!(lowered.is_err());
            assert!(guest.allocations.is_empty(), "{:?}", guest.allocations);
        }
    }
}

/// What a guest claims: lists that its memory does not hold.
fn guest_claims() {
    // Each pointer and length in it is 8 and 2^32 - 8.
    let memory = [8, 0, 0, 0, 0xf8, 0xff, 0xff, 0xff].repeat(64);
    for ty in types() {
        let plan = Plan::new(&[ty]).expect("a plan");
        for length in [u32::MAX, 1 << 31, 1 << 28, 1 << 24] {
            for limit in [0, 1 << 20, usize::MAX] {
                let mut view = View {
                    memory: &memory,
                    encoding: Encoding::Utf8,
                };
                let lift = Lift::new(&plan).limit(limit);
                let lifted = lift.run(&mut view, &[8, length.into()], 16);
                assert!(lifted.is_err());
            }
        }
    }
}

/// What a guest does have, but of which the limit allows little.
fn guest_beyond_its_limit(memory: &[u8]) {
    for element in [Type::U8, Type::Bool, Type::U64, Type::Flags(1), Type::Char] {
        let size = match element {
            Type::U64 => 8,
            Type::Char => 4,
            _ => 1,
        };
        let plan = Plan::new(&[Type::list(element)]).expect("a plan");
        let mut view = View {
            memory,
            encoding: Encoding::Utf8,
        };
        let lift = Lift::new(&plan).limit(1 << 10);
        let lifted = lift.run(&mut view, &[0, memory.len() as u64 / size], 16);
        assert!(lifted.is_err());
    }
}

#[test]
fn lengths_that_are_claimed_reserve_nothing() {
    let memory = vec![0; 2 * SMALL];
    // The allocator of this thread has its own arena by now.
    let before = peak();
    peer_claims();
    guest_claims();
    guest_beyond_its_limit(&memory);
    let grown = peak() - before;
    assert!(grown < SMALL, "{grown} more bytes were reserved");
    // This way of looking sees what it is meant to see.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4 * SMALL)));
    assert!(peak() - before > SMALL);
}
