//! Which calls `driver.soak` makes: a list that follows from a seed.
//!
//! `cargo xtask soak` is built with this file too, to know what was to be done. So nothing here is about components.

/// The most bytes that a call sends.
pub const MAX_BYTES: u32 = 1 << 20;

/// The most strings that a call sends.
const MAX_STRINGS: u32 = 64;

/// The most bytes that a string has.
const MAX_STRING: u32 = 40;

/// A call, and what it sends. The fields `seed` are for what the values consist of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `echo.ping`.
    Ping { n: u32 },
    /// `echo.echo-bytes`, with that many bytes.
    Bytes { size: u32, seed: u64 },
    /// `echo.echo-strings`, with strings of that many letters.
    Strings { lengths: Vec<u32>, seed: u64 },
    /// `echo.echo-record`, with the order of that number.
    Record { number: u32 },
}

impl Call {
    /// How many bytes are sent as bytes and as letters.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Ping { .. } | Self::Record { .. } => 0,
            Self::Bytes { size, .. } => u64::from(*size),
            Self::Strings { lengths, .. } => lengths.iter().copied().map(u64::from).sum(),
        }
    }
}

/// The calls of a seed, one after another. They do not end.
pub fn calls(seed: u64) -> impl Iterator<Item = Call> {
    let mut random = Random::new(seed);
    std::iter::repeat_with(move || match random.below(20) {
        0..=6 => Call::Ping {
            n: random.next() as u32,
        },
        7..=14 => Call::Bytes {
            size: size(&mut random),
            seed: random.next(),
        },
        15..=17 => Call::Strings {
            lengths: (0..random.below(MAX_STRINGS + 1))
                .map(|_| random.below(MAX_STRING + 1))
                .collect(),
            seed: random.next(),
        },
        _ => Call::Record {
            number: random.next() as u32,
        },
    })
}

/// From 0 to [`MAX_BYTES`], both included. Each power of two is as likely as any other, so most are small.
fn size(random: &mut Random) -> u32 {
    let bits = random.below(MAX_BYTES.ilog2() + 2);
    match bits.checked_sub(1) {
        None => 0,
        Some(bits) => ((1 << bits) + random.below(1 << bits)).min(MAX_BYTES),
    }
}

/// Numbers that look random and follow from a seed (SplitMix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would make an option of each number"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers from 0 up to, but not including, `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        ((u64::from(self.next() as u32) * u64::from(end)) >> 32) as u32
    }
}
