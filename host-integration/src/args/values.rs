//! Parsers of values, with errors that say what was expected.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Parses a whole number of milliseconds.
///
/// # Errors
///
/// When `value` is not a whole number from 0 to 2^64 - 1.
pub(crate) fn milliseconds(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(count) => Ok(Duration::from_millis(count)),
        Err(error) => Err(format!(
            "expected a whole number of milliseconds, without a unit ({error})"
        )),
    }
}

/// Parses a whole number of seconds.
///
/// # Errors
///
/// When `value` is not a whole number from 0 to 2^64 - 1.
pub(crate) fn seconds(value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(count) => Ok(Duration::from_secs(count)),
        Err(error) => Err(format!(
            "expected a whole number of seconds, without a unit ({error})"
        )),
    }
}

/// Parses a whole number that must not be 0.
///
/// # Errors
///
/// When `value` is not a whole number, is 0, or does not fit a `usize`.
pub(crate) fn at_least_one(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse().map(NonZeroUsize::new) {
        Ok(Some(count)) => Ok(count),
        Ok(None) => Err("it must be at least 1".to_string()),
        Err(error) => Err(format!(
            "expected a whole number of at least 1, without a unit ({error})"
        )),
    }
}

/// Parses a whole number of bytes.
///
/// # Errors
///
/// When `value` is not a whole number or does not fit a `usize`.
pub(crate) fn whole_bytes(value: &str) -> Result<usize, String> {
    value
        .parse::<usize>()
        .map_err(|error| format!("expected a whole number of bytes, without a unit ({error})"))
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
        assert_eq!(seconds("30"), Ok(Duration::from_secs(30)));
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
            let error = seconds(bad).expect_err(bad);
            assert!(error.contains("whole number of seconds"), "{bad}: {error}");
        }
    }

    #[test]
    fn sizes_that_must_not_be_zero_say_so() {
        assert_eq!(at_least_one("1").map(NonZeroUsize::get), Ok(1));
        for bad in ["0", "", "-1", "64k"] {
            let error = at_least_one(bad).expect_err(bad);
            assert!(error.contains("at least 1"), "{bad}: {error}");
        }
        assert_eq!(whole_bytes("0"), Ok(0));
        assert!(whole_bytes("64k").expect_err("64k").contains("bytes"));
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
