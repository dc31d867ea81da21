//! What a writer adds to a write while that waits for room.
//!
//! A writer that waits hands over the same bytes again. The encoders of streams in
//! `wrpc-transport`, which the host library has for the bodies of HTTP requests and the values of
//! stores, read on meanwhile, and hand over more each time: what no one reads piles up in them. A
//! stream cannot make them wait, as it can only say that there is no room. But it sees how much has
//! piled up.

use std::io;
use std::task::Poll;

/// How many bytes a writer may add to those that it was told to wait with.
///
/// A reader that has not started yet, because it waits for an instance, say, has to be able to come
/// to what a guest can hold: 256 MiB unless it was configured otherwise. It is somewhat less
/// because the buffers that bytes pile up in double when they are full.
pub(crate) const LIMIT: usize = 240 * 1024 * 1024;

/// What a writer has added to its writes.
#[derive(Default)]
pub(crate) struct Pile {
    /// How many bytes are left to be written, if none are added.
    left: usize,
    /// How many of these were added.
    added: usize,
}

impl Pile {
    /// Takes note of a write of `len` bytes that has come to `polled`. Returns whether it has to
    /// wait and too much was added.
    pub(crate) fn is_too_high(&mut self, len: usize, polled: &Poll<io::Result<usize>>) -> bool {
        self.added = match self.left {
            // It begins with what it writes now.
            0 => 0,
            left => (self.added + len.saturating_sub(left)).min(len),
        };
        self.left = match polled {
            Poll::Ready(Ok(written)) => len.saturating_sub(*written),
            Poll::Ready(Err(_)) => 0,
            Poll::Pending => len,
        };
        self.added = self.added.min(self.left);
        polled.is_pending() && self.added > LIMIT
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use super::*;

    fn waits(pile: &mut Pile, len: usize) -> bool {
        !pile.is_too_high(len, &Poll::Pending)
    }

    fn writes(pile: &mut Pile, len: usize, written: usize) {
        assert!(!pile.is_too_high(len, &Poll::Ready(Ok(written))));
    }

    #[test]
    fn a_large_piece_may_wait_for_as_long_as_it_has_to() {
        let mut pile = Pile::default();
        for large in [LIMIT + 1, 3 * LIMIT] {
            assert!(waits(&mut pile, large) && waits(&mut pile, large));
            // It is written bit by bit, and then there is another one.
            let mut left = large;
            while left > 0 {
                let now = left.min(100 << 20);
                writes(&mut pile, left, now);
                left -= now;
                assert!(left == 0 || waits(&mut pile, left));
            }
        }
    }

    #[test]
    fn what_is_added_counts_until_it_is_written() {
        let mut pile = Pile::default();
        assert!(waits(&mut pile, 1));
        assert!(waits(&mut pile, 1 + LIMIT));
        // As much is written as is added.
        writes(&mut pile, 1 + LIMIT, 1);
        for _ in 0..1000 {
            writes(&mut pile, LIMIT, 1000);
            assert!(waits(&mut pile, LIMIT));
        }
        assert!(!waits(&mut pile, LIMIT + 1));
        assert!(!waits(&mut pile, LIMIT + 1), "it stays so");
        // Where there is room it does not matter.
        writes(&mut pile, 2 * LIMIT, 2 * LIMIT);
        assert!(waits(&mut pile, 2 * LIMIT));
    }

    #[test]
    fn other_writes_in_the_place_of_one_that_was_given_up_add_no_more_than_they_have() {
        let mut pile = Pile::default();
        for len in [LIMIT, 1, LIMIT, 1, LIMIT] {
            assert!(waits(&mut pile, len));
        }
    }
}
