//! How much a guest can make of its memory is bounded.

mod guest;

use inhost_codec::{Lift, LiftError, Plan, Type};

use guest::{Encoding, View};

/// Little-endian words, as a guest has them in memory.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn the_same_bytes_many_times_are_stopped_by_the_limit() {
    const LARGE: usize = 1 << 20;
    const ENTRIES: u32 = 512;
    // All entries of the list are the one text behind them: 512 MiB, from a memory of 1 MiB.
    let text = 8 * ENTRIES;
    let mut memory = words(&[text, LARGE as u32].repeat(ENTRIES as usize));
    memory.resize(text as usize + LARGE, b'a');
    for (element, encoding, length) in [
        (Type::String, Encoding::Utf8, LARGE),
        (Type::list(Type::U8), Encoding::Utf8, LARGE),
        (Type::list(Type::Bool), Encoding::Utf8, LARGE),
        (Type::String, Encoding::Utf16, LARGE / 2),
    ] {
        for entry in memory[..text as usize].chunks_exact_mut(8) {
            entry[4..].copy_from_slice(&(length as u32).to_le_bytes());
        }
        let plan = Plan::new(&[Type::list(element)]).unwrap();
        let run = |limit| {
            let mut view = View {
                memory: &memory,
                encoding,
            };
            let lift = Lift::new(&plan).limit(limit);
            let lifted = lift.run(&mut view, &[0, ENTRIES.into()], 16);
            // A failure should not show all of it.
            lifted.map(|lifted| lifted.message().len())
        };
        let lifted = run(3 * LARGE);
        assert!(
            matches!(lifted, Err(LiftError::TooLarge { limit }) if limit == 3 * LARGE),
            "{lifted:?}"
        );
    }
}

#[test]
fn the_limit_counts_the_bytes_of_the_encoding() {
    let plan = Plan::new(&[Type::list(Type::U8)]).unwrap();
    let memory = [7; 1000];
    let run = |limit| {
        let mut view = View {
            memory: &memory,
            encoding: Encoding::Utf8,
        };
        let lifted = Lift::new(&plan).limit(limit).run(&mut view, &[0, 1000], 16);
        lifted.map(|lifted| lifted.message().len())
    };
    // A few bytes are kept free for the next number.
    assert_eq!(run(1010).unwrap(), 1002);
    assert!(matches!(
        run(1001),
        Err(LiftError::TooLarge { limit: 1001 })
    ));
    assert!(matches!(run(0), Err(LiftError::TooLarge { limit: 0 })));
}
