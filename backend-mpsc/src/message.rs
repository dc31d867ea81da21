/// How many messages a stream holds at most.
const MESSAGES: usize = 1024;

/// As how many bytes a message counts at least, in a stream that holds up to `limit` bytes. Not above `limit`.
pub(crate) fn least(limit: usize) -> u32 {
    // Permits are taken in this number at once.
    u32::try_from(limit.div_ceil(MESSAGES)).unwrap_or(u32::MAX)
}

/// As how many bytes a message of `len` counts.
pub(crate) fn counts(len: usize, least: u32) -> usize {
    len.max(least as usize)
}
