//! Copies of many bytes.
//!
//! glibc copies more than 2,112 bytes with `rep movsb` on processors that claim to be fast at it
//! (`glibc.cpu.x86_rep_movsb_threshold`). AMD's Zen 3 and Zen 4 claim so, and take several times as
//! long as with vector instructions when the destination is not aligned
//! (<https://lunnova.dev/articles/ryzen-slow-short-rep-mov/>). In a message it is not: a length
//! comes first. So up to [`MOST`] bytes are copied in blocks that are too small for `rep movsb`.
//! From 1 MiB on, no gain was measured.

/// Fewer bytes than glibc copies with `rep movsb`.
const BLOCK: usize = 2048;

/// More than this is copied in one go.
const MOST: usize = 512 << 10;

/// Copies `from` to `to`.
///
/// # Panics
///
/// When the two differ in length.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    if !is_in_blocks(from.len()) || to.len() != from.len() {
        return to.copy_from_slice(from);
    }
    for (to, from) in to.chunks_mut(BLOCK).zip(from.chunks(BLOCK)) {
        copy_block(to, from);
    }
}

/// Appends `bytes` to `out`, which has room for them.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if !is_in_blocks(bytes.len()) {
        return out.extend_from_slice(bytes);
    }
    for block in bytes.chunks(BLOCK) {
        append_block(out, block);
    }
}

#[inline]
fn is_in_blocks(length: usize) -> bool {
    BLOCK < length && length <= MOST
}

// Neither is inlined: the compiler would make one copy of the loop.

#[inline(never)]
fn copy_block(to: &mut [u8], from: &[u8]) {
    to.copy_from_slice(from);
}

#[inline(never)]
fn append_block(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(block);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 10] = [
        0,
        1,
        BLOCK - 1,
        BLOCK,
        BLOCK + 1,
        3 * BLOCK,
        100_000,
        MOST - 1,
        MOST,
        MOST + 1,
    ];

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn each_byte_is_copied_to_its_place_and_no_other() {
        for length in LENGTHS {
            let from = bytes(length);
            let mut to = vec![255; length + 2];
            copy(&mut to[1..=length], &from);
            assert_eq!(to[1..=length], from, "{length}");
            assert_eq!((to[0], to[length + 1]), (255, 255), "{length}");
        }
    }

    #[test]
    fn each_byte_is_appended() {
        for length in LENGTHS {
            let from = bytes(length);
            let mut out = vec![255];
            append(&mut out, &from);
            assert_eq!((out[0], &out[1..]), (255, &*from), "{length}");
        }
    }

    #[test]
    fn slices_of_different_lengths_are_not_copied() {
        for (to, from) in [(1, 2), (2, 1), (3 * BLOCK, 2 * BLOCK), (BLOCK, 3 * BLOCK)] {
            let mut to = vec![255; to];
            let from = bytes(from);
            let copied = std::panic::catch_unwind(move || copy(&mut to, &from));
            assert!(copied.is_err(), "it says so");
        }
    }
}
