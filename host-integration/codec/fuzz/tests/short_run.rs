//! The fuzz targets for a few seconds: on the committed corpus, and on a fixed number of inputs made of it.

use std::path::{Path, PathBuf};

/// Inputs made of the corpus, a target.
const ROUNDS: usize = 200_000;

/// The largest input, in bytes.
const MOST: usize = 600;

/// A generator that is the same on each machine (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A byte that often means something: a small count, an end of a number, a border.
    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => self.below(16) as u8,
            1 => [0x7f, 0x80, 0x81, 0xfe, 0xff][self.below(5)],
            _ => self.next() as u8,
        }
    }

    /// Another input, made of `corpus`, or of nothing.
    fn input(&mut self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        if self.below(10) == 0 {
            return (0..self.below(200)).map(|_| self.byte()).collect();
        }
        let mut input = corpus[self.below(corpus.len())].1.clone();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(5) {
                0 if at < input.len() => input[at] = self.byte(),
                1 if at < input.len() => input[at] ^= 1 << self.below(8),
                2 => drop(input.splice(at..at, (0..=self.below(8)).map(|_| self.byte()))),
                3 => drop(input.drain(at..input.len().min(at + self.below(6)))),
                _ => {
                    // The front of one with the end of another.
                    let other = &corpus[self.below(corpus.len())].1;
                    input.truncate(at);
                    input.extend_from_slice(&other[self.below(other.len() + 1)..]);
                }
            }
            input.truncate(MOST);
        }
        input
    }
}

/// The committed inputs of a target, always in the same order.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).expect("the corpus is committed");
    let mut inputs: Vec<_> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let bytes = std::fs::read(&path).expect("a readable file");
            (path, bytes)
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() >= 24, "few files in {}", folder.display());
    inputs
}

/// Shows the input of a finding: the target's own message does not.
fn attempt(target: fn(&[u8]), input: &[u8], origin: &str) {
    if let Err(panic) = std::panic::catch_unwind(|| target(input)) {
        let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        panic!("{origin}: {}\ninput: {hex}", message.unwrap_or("a panic"));
    }
}

fn run(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    for (path, input) in &corpus {
        attempt(target, input, &path.display().to_string());
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..ROUNDS {
        let input = random.input(&corpus);
        attempt(target, &input, &format!("round {round} of {name}"));
    }
}

#[test]
fn any_message_of_a_peer_is_decoded_or_refused() {
    run("decode", inhost_codec_fuzz::decode);
}

#[test]
fn anything_a_guest_passes_is_lifted_or_refused() {
    run("lift", inhost_codec_fuzz::lift);
}
