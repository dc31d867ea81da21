//! What `pipe.ingest` is sent, and what it tells `tally` of it.
//!
//! `cargo xtask soak` is built with this file too, to send it. So nothing here is about components.

/// Added to the id of a stream that is going to be read.
pub const BEGUN: u64 = 1 << 61;

/// Added to the id of a stream that was cut off.
pub const CUT: u64 = 1 << 62;

/// Added to the id of a stream that closed, and was not what it should have been.
pub const WRONG: u64 = 1 << 63;

/// What the stream `id` consists of, without an end. No other stream has the same.
pub fn content(id: u64) -> impl Iterator<Item = u8> {
    let words = (1..).map(move |word: u64| {
        // SplitMix64, of which each word can be made without the others.
        let state = id.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    });
    words.flat_map(u64::to_le_bytes)
}
