//! `driver.run`: timed calls, one after another.

use crate::exports::inhost::demo::driver::Workload;
use crate::inhost::demo::echo;
use crate::inhost::demo::types::Order;
use crate::values::order;
use crate::wasi::clocks::monotonic_clock::now;

/// The order that is sent as a record: every field has something in it.
const ORDER: u32 = 45;

/// Makes the calls and answers how long each took, in nanoseconds.
///
/// # Errors
///
/// When an answer is wrong: says which.
pub fn run(workload: Workload, size: u32, calls: u32) -> Result<Vec<u64>, String> {
    (0..calls)
        .map(|call| match workload {
            Workload::Ping => ping(call),
            Workload::Echo => echo_bytes(size, call),
            Workload::Strings => echo_strings(size, call),
            Workload::Record => echo_record(call),
        })
        .collect()
}

fn ping(call: u32) -> Result<u64, String> {
    let (answer, nanoseconds) = timed(|| echo::ping(call));
    let expected = call.wrapping_add(1);
    if answer != expected {
        return Err(format!(
            "call {call}: ping({call}) answered {answer} instead of {expected}"
        ));
    }
    Ok(nanoseconds)
}

fn echo_bytes(size: u32, call: u32) -> Result<u64, String> {
    let sent = pattern(size, call);
    let (answer, nanoseconds) = timed(|| echo::echo_bytes(&sent));
    if answer.len() != sent.len() {
        return Err(format!(
            "call {call}: echo-bytes of {size} bytes answered {} bytes",
            answer.len()
        ));
    }
    if answer != sent {
        let at = sent.iter().zip(&answer).position(|(sent, got)| sent != got);
        return Err(format!(
            "call {call}: echo-bytes of {size} bytes answered another byte at index {}",
            at.unwrap_or_default()
        ));
    }
    Ok(nanoseconds)
}

fn echo_strings(size: u32, call: u32) -> Result<u64, String> {
    let sent = strings(size, call);
    let (answer, nanoseconds) = timed(|| echo::echo_strings(&sent));
    if answer.len() != sent.len() {
        return Err(format!(
            "call {call}: echo-strings of {size} strings answered {} strings",
            answer.len()
        ));
    }
    if let Some(at) = sent.iter().zip(&answer).position(|(sent, got)| sent != got) {
        return Err(format!(
            "call {call}: echo-strings of {size} strings answered another string at index {at}: {:?} instead of {:?}",
            answer[at], sent[at]
        ));
    }
    Ok(nanoseconds)
}

fn echo_record(call: u32) -> Result<u64, String> {
    // The same order each time, so that each call takes as long, but for its number.
    let sent = Order {
        id: u64::from(call),
        ..order(ORDER)
    };
    let (answer, nanoseconds) = timed(|| echo::echo_record(&sent));
    if answer != sent {
        return Err(format!(
            "call {call}: echo-record answered {answer:?} instead of {sent:?}"
        ));
    }
    Ok(nanoseconds)
}

/// Strings of 10 to 30 bytes, 20 on average, that differ as the bytes of [`pattern`] do.
fn strings(size: u32, call: u32) -> Vec<String> {
    (0..size)
        .map(|index| {
            let length = 10 + index.wrapping_mul(8).wrapping_add(call) % 21;
            let letters = pattern(length, call.wrapping_add(index)).into_iter();
            letters.map(|byte| char::from(b'a' + byte % 26)).collect()
        })
        .collect()
}

/// Bytes that differ from index to index, from size to size and from call to call, so that an answer that was
/// cut, shifted, or meant for another call is noticed.
fn pattern(size: u32, call: u32) -> Vec<u8> {
    // The golden ratio as a fraction of 2^32: its multiples are spread evenly over all 32 bits.
    const SPREAD: u32 = 0x9e37_79b9;
    let start = call.wrapping_add(1).wrapping_mul(SPREAD) ^ size;
    (0..size)
        .map(|index| (start.wrapping_add(index).wrapping_mul(SPREAD) >> 24) as u8)
        .collect()
}

/// The answer of `call`, and how long it took, in nanoseconds.
pub fn timed<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let start = now();
    let answer = call();
    (answer, now() - start)
}
