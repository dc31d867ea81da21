//! `driver.soak`: calls of random kinds, each answer compared with what was sent.

use std::fmt::Debug;

use crate::exports::inhost::demo::driver::SoakReport;
use crate::inhost::demo::echo;
use crate::plan::{calls, Call, Random};
use crate::run::timed;
use crate::values::order;

/// How many bytes of the text of a value are shown.
const TEXT: usize = 60;

/// Makes the first `count` calls of `seed`.
pub fn soak(seed: u64, count: u32) -> SoakReport {
    let mut report = SoakReport {
        pings: 0,
        echoes: 0,
        strings: 0,
        records: 0,
        bytes: 0,
        longest: 0,
        wrong: 0,
        first_wrong: None,
    };
    for call in calls(seed).take(count as usize) {
        let done = make(&call);
        *match call {
            Call::Ping { .. } => &mut report.pings,
            Call::Bytes { .. } => &mut report.echoes,
            Call::Strings { .. } => &mut report.strings,
            Call::Record { .. } => &mut report.records,
        } += 1;
        report.bytes += call.bytes();
        report.longest = report.longest.max(done.nanoseconds);
        if let Some(wrong) = done.wrong {
            report.wrong += 1;
            report.first_wrong.get_or_insert(wrong);
        }
    }
    report
}

/// A call that was answered.
struct Done {
    nanoseconds: u64,
    /// What is wrong with the answer, if anything.
    wrong: Option<String>,
}

fn make(call: &Call) -> Done {
    match call {
        Call::Ping { n } => {
            let done = timed(|| echo::ping(*n));
            compare("ping", &n.wrapping_add(1), done)
        }
        Call::Bytes { size, seed } => {
            let sent = bytes(*size, *seed);
            let done = timed(|| echo::echo_bytes(&sent));
            compare("echo-bytes", &sent, done)
        }
        Call::Strings { lengths, seed } => {
            let sent = strings(lengths, *seed);
            let done = timed(|| echo::echo_strings(&sent));
            compare("echo-strings", &sent, done)
        }
        Call::Record { number } => {
            let sent = order(*number);
            let done = timed(|| echo::echo_record(&sent));
            compare("echo-record", &sent, done)
        }
    }
}

/// Whether the answer is the expected one.
fn compare<T: Debug + PartialEq>(
    function: &str,
    expected: &T,
    (answer, nanoseconds): (T, u64),
) -> Done {
    let wrong = (answer != *expected).then(|| {
        let [answer, expected] = [&answer, expected].map(|value| format!("{value:?}"));
        let same = answer.bytes().zip(expected.bytes());
        let same = same.take_while(|(one, other)| one == other).count();
        format!(
            "{function} answered {} instead of {}",
            shown(&answer, same),
            shown(&expected, same)
        )
    });
    Done { nanoseconds, wrong }
}

/// A part of `text`, about where it begins to differ from another one.
fn shown(text: &str, same: usize) -> String {
    let start = same.saturating_sub(TEXT / 2);
    let part = text.as_bytes().iter().skip(start).take(TEXT);
    let part = part.copied().collect::<Vec<_>>();
    let part = String::from_utf8_lossy(&part);
    format!("…{part}… (from {start} of {} bytes of text)", text.len())
}

/// Bytes that no other call sends: an answer that was cut, shifted, or meant for another call is noticed.
fn bytes(size: u32, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(size as usize + size_of::<u64>());
    while bytes.len() < size as usize {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(size as usize);
    bytes
}

/// Strings of so many letters.
fn strings(lengths: &[u32], seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    lengths
        .iter()
        .map(|length| {
            let letters = (0..*length).map(|_| char::from(b'a' + random.below(26) as u8));
            letters.collect()
        })
        .collect()
}
