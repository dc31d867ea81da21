//! Parsers of values, with errors that say what was expected.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Parses a whole number of milliseconds.
///
/// # Errors
///
/// When `value` is not a whole number from 0 to 2^64 - 1. The message has an example.
pub(crate) fn milliseconds(value: &str) -> Result<Duration, String> {
    whole(value, 0..=u64::MAX, "milliseconds", "`2000`").map(Duration::from_millis)
}

/// Parses a whole number of `what`, within `range`.
///
/// # Errors
///
/// When `value` is something else. The message has `example`, a value that is good.
pub(crate) fn whole<N: FromStr + PartialOrd + Display>(
    value: &str,
    range: RangeInclusive<N>,
    what: &str,
    example: &str,
) -> Result<N, String> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        format!(
            "expected a whole number of {what} from {least} to {most}, without a unit, as in {example}"
        )
    })
}

/// Checks that `flag` says one thing of each component that it names.
///
/// # Errors
///
/// When one of `ids` is there twice.
pub(crate) fn each_once<'a>(
    flag: &str,
    ids: impl IntoIterator<Item = &'a String>,
) -> Result<(), String> {
    match first_twice(ids) {
        Some(id) => Err(format!(
            "`{flag}` names the component `{id}` more than once: give each ID one value"
        )),
        None => Ok(()),
    }
}

/// The first of `texts` that was there before.
fn first_twice<'a>(texts: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = HashSet::new();
    texts.into_iter().find(|text| !seen.insert(*text))
}

/// How many bytes of memory the machine has. Where that is not known, it is as many as there can be.
pub(crate) fn memory_of_machine() -> usize {
    let known = std::fs::read_to_string("/proc/meminfo").ok();
    known.and_then(|text| total(&text)).unwrap_or(usize::MAX)
}

/// The bytes of memory that `/proc/meminfo` tells of.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|it| it.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

/// Parses an IP address with a port.
///
/// # Errors
///
/// When `value` is not `IP:PORT`; host names are not looked up.
pub(crate) fn socket_address(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| {
        "expected an IP address and a port, like 127.0.0.1:8085 or [::1]:8085".to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_of_their_unit() {
        assert_eq!(milliseconds("300"), Ok(Duration::from_millis(300)));
        assert_eq!(milliseconds("0"), Ok(Duration::ZERO));
        assert_eq!(
            milliseconds("18446744073709551615"),
            Ok(Duration::from_millis(u64::MAX))
        );
    }

    #[test]
    fn anything_else_is_refused_with_the_unit_in_the_message() {
        for bad in [
            "",
            "-1",
            "1.5",
            "10s",
            "300ms",
            " 1",
            "18446744073709551616",
        ] {
            let error = milliseconds(bad).expect_err(bad);
            assert!(
                error.contains("whole number of milliseconds"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn numbers_have_a_range_and_an_example() {
        let bytes = |value| whole(value, 1..=4096_u32, "bytes", "`64`");
        assert_eq!((bytes("1"), bytes("4096")), (Ok(1), Ok(4096)));
        for bad in ["0", "4097", "", "-1", "64k", "99999999999999999999999"] {
            let error = bytes(bad).expect_err(bad);
            let expected = "whole number of bytes from 1 to 4096, without a unit, as in `64`";
            assert!(error.contains(expected), "{bad}: {error}");
        }
    }

    #[test]
    fn a_component_is_named_once() {
        let ids = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(each_once("--flag", &ids[..2]), Ok(()));
        let error = each_once("--flag", &ids).expect_err("twice");
        assert!(
            error.contains("`--flag` names the component `a`"),
            "{error}"
        );
    }

    #[test]
    fn the_memory_of_the_machine_is_the_total() {
        let text = "MemTotalish: 1 kB\nMemTotal:       24 kB\nMemFree: 3 kB\n";
        assert_eq!(total(text), Some(24 << 10));
        assert_eq!(total("MemFree: 3 kB"), None);
        assert!(memory_of_machine() > 1 << 20);
    }

    #[test]
    fn addresses_are_ip_and_port() {
        assert_eq!(
            socket_address("127.0.0.1:0"),
            Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
        );
        assert!(socket_address("[::1]:80").is_ok());
        for bad in ["", "8085", "127.0.0.1", "localhost:8085"] {
            assert!(socket_address(bad)
                .expect_err(bad)
                .contains("127.0.0.1:8085"));
        }
    }
}
