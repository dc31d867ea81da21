//! Handles and streams: what has bytes in a message, what has a path, and how many there may be.

use std::sync::Arc;

use inhost_codec::{
    Checker, Destination, Fault, Found, Lift, LiftError, Lower, Passes, Plan, Progress, Type,
};

mod guest;

use guest::{Encoding, Guest, Noting};

const HANDLE: Type = Type::Handle(0);
const OTHER: Type = Type::Handle(2);
const STREAM: Type = Type::Stream(1);

/// The paths and handles that a checker finds in a message that comes byte by byte.
fn found(plan: &Arc<Plan>, message: &[u8]) -> Vec<Found> {
    let mut checker = Checker::new(Arc::clone(plan));
    for end in 0..message.len() {
        let progress = checker
            .advance(&message[..end])
            .expect("so far it is right");
        assert!(matches!(progress, Progress::Incomplete { needed } if needed > end));
    }
    let length = message.len();
    assert_eq!(checker.advance(message), Ok(Progress::Complete { length }));
    checker.into_found()
}

#[test]
fn handles_have_bytes_and_streams_have_paths() {
    let element = Type::Tuple(vec![Type::U8, STREAM, HANDLE]);
    let types = [
        HANDLE,
        Type::option(STREAM),
        Type::list(element),
        Type::result(Some(STREAM), Some(OTHER)),
        Type::String,
    ];
    let message = [
        &b"\x02ab"[..],
        b"\x01",
        b"\x02",
        b"\x07\x00",
        b"\x08\x01c",
        b"\x01\x03def",
        b"\x01!",
    ]
    .concat();
    let expected = [
        (0, 0, Passes::Handle(1..3)),
        (1, 1, Passes::Stream(vec![1])),
        (1, 2, Passes::Stream(vec![2, 0, 1])),
        (0, 2, Passes::Handle(7..7)),
        (1, 2, Passes::Stream(vec![2, 1, 1])),
        (0, 2, Passes::Handle(9..10)),
        (2, 3, Passes::Handle(12..15)),
    ];
    let plan = Arc::new(Plan::new(&types).expect("types within reason"));
    let expected = expected.map(|(resource, value, passes)| Found {
        resource,
        value,
        passes,
    });
    let found = found(&plan, &message);
    assert_eq!(found, expected);

    // They are given in this order, and taken in it again.
    for max_flat in [0, 16] {
        let mut guest = Guest::new(Encoding::Utf8);
        let mut core = [0; 16];
        Lower::new(&plan)
            .run(
                &message,
                &mut guest,
                &mut core,
                max_flat,
                Destination::Allocate,
            )
            .expect("the guest has memory");
        let mut noting = Noting::new(guest.view());
        let lifted = Lift::new(&plan)
            .run(&mut noting, &core, max_flat)
            .expect("what was lowered");
        for (index, (taken, found)) in noting.taken.iter().zip(&expected).enumerate() {
            assert_eq!((taken.0, taken.1 as usize), (found.resource, index));
            assert_eq!(taken.2[0], found.value);
            if let Passes::Stream(path) = &found.passes {
                assert_eq!(taken.2, *path);
            }
        }
        assert_eq!((noting.taken.len(), lifted.handles()), (7, 4));
        let handles = ["ab", "", "c", "def"];
        assert_eq!(lifted.with_handles(&handles).expect("as many"), message);
    }
}

#[test]
fn as_many_handles_are_put_back_as_were_taken() {
    let plan = Plan::new(&[HANDLE]).expect("types within reason");
    for handles in [&[][..], &["a", "b"]] {
        let guest = Guest::new(Encoding::Utf8);
        let lifted = Lift::new(&plan)
            .run(&mut guest.view(), &[0], 16)
            .expect("a handle");
        let message = lifted.with_handles(handles);
        assert!(matches!(message, Err(LiftError::Handles)), "{message:?}");
    }
}

#[test]
fn what_a_guest_passes_again_and_again_counts_each_time() {
    // The bytes of one borrowed handle, as the elements of lists.
    let plan = Plan::new(&[Type::list(Type::list(HANDLE))]).expect("types within reason");
    let mut memory = vec![0; 8 * 64];
    for pair in memory.chunks_exact_mut(8) {
        pair[4..].copy_from_slice(&128_u32.to_le_bytes());
    }
    let guest = Guest::with(Encoding::Utf8, &memory);
    let lift = |limit, lists| {
        let lift = Lift::new(&plan).limit(limit);
        lift.run(&mut guest.view(), &[0, lists], 16)
    };
    // 128 of them count 32 KiB.
    let limit = 1 << 20;
    let lifted = lift(limit, 31).expect("within the limit");
    assert_eq!(lifted.handles(), 31 * 128);
    let refused = lift(limit, 33);
    assert!(
        matches!(refused, Err(LiftError::TooLarge { limit: said }) if said == limit),
        "{refused:?}"
    );
    // A peer may have given it a long handle.
    let handles = vec![[7; 100]; 31 * 128];
    let refused = lifted.with_handles(&handles);
    assert!(
        matches!(refused, Err(LiftError::TooLarge { limit: said }) if said == limit),
        "{refused:?}"
    );
}

#[test]
fn a_handle_of_a_peer_is_bounded_by_what_the_guest_may_have() {
    let check = |types: &[Type], message: &[u8], room| {
        let plan = Arc::new(Plan::new(types).expect("types within reason"));
        let progress = Checker::new(plan).within(room).advance(message);
        progress.map_err(|error| (error.value, error.fault))
    };
    let types = [HANDLE, Type::list(OTHER)];
    let memory = |needed, limit| Fault::Memory { needed, limit };
    // Nothing of it has arrived but its length.
    let long = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let needed = u64::from(u32::MAX) + 256;
    assert_eq!(
        check(&types, &long, 1 << 20),
        Err((0, memory(needed, 1 << 20)))
    );
    // A handle without bytes is more than nothing.
    let message = [&[1, 7, 0x80, 0x20][..], &[0; 4096]].concat();
    let complete = Progress::Complete { length: 4100 };
    let needed = 257 + 4 * 4096 + 256 * 4096;
    assert_eq!(check(&types, &message, needed), Ok(complete));
    let limit = needed - 1;
    assert_eq!(
        check(&types, &message, limit),
        Err((1, memory(needed, limit)))
    );
}

#[test]
fn a_claimed_number_of_streams_is_bounded() {
    for element in [STREAM, Type::Tuple(vec![STREAM])] {
        let plan = Arc::new(Plan::new(&[Type::U8, Type::list(element)]).expect("within reason"));
        let check = |count: &[u8]| {
            let message = [&[7], count].concat();
            Checker::new(Arc::clone(&plan)).advance(&message)
        };
        assert_eq!(check(&[0x80, 0x20]), Ok(Progress::Complete { length: 3 }));
        for more in [&[0x81, 0x20][..], &[0xff, 0xff, 0xff, 0xff, 0x03]] {
            let error = check(more).expect_err("more than 4096 streams");
            assert_eq!((error.value, error.fault), (1, Fault::Streams));
        }
        // Not checked, no memory is asked for them.
        let mut guest = Guest::new(Encoding::Utf8);
        let message = [7, 0xff, 0xff, 0xff, 0xff, 0x03];
        let lowered =
            Lower::new(&plan).run(&message, &mut guest, &mut [0; 3], 16, Destination::Allocate);
        assert!(lowered.is_err() && guest.allocations.is_empty());
    }
}
