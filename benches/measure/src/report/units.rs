//! Figures as people read them.

/// A duration.
pub fn duration(microseconds: f64) -> String {
    match microseconds {
        us if us > 0.0 && us < 0.0995 => format!("{:.0} ns", us * 1e3),
        us if us < 99.95 => format!("{us:.1} µs"),
        us if us < 9_999.5 => format!("{us:.0} µs"),
        us if us < 99_950.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.0} ms", us / 1e3),
    }
}

/// Calls a second.
pub fn rate(calls_per_s: f64) -> String {
    match calls_per_s {
        few if few < 99.95 => format!("{few:.1}"),
        many => thousands(many.round() as u64),
    }
}

/// How many times one figure is another; `-` when the other is missing or nothing.
pub(crate) fn times(one: f64, other: Option<f64>) -> String {
    match other {
        Some(other) if other > 0.0 => {
            let times = one / other;
            match times {
                few if few < 99.95 => format!("{few:.1}"),
                many => thousands(many.round() as u64),
            }
        }
        _ => "-".to_owned(),
    }
}

/// A size as it was asked for: a round one in a larger unit.
pub(crate) fn size(bytes: u32) -> String {
    match bytes {
        0 => "0 B".to_owned(),
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}

/// A size that was measured.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A number with a comma before each group of three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_readable() {
        assert_eq!(duration(0.041), "41 ns");
        assert_eq!(duration(0.71), "0.7 µs");
        assert_eq!(duration(99.97), "100 µs");
        assert_eq!(duration(23_000.0), "23.0 ms");
        assert_eq!(duration(1_626_100.0), "1626 ms");
        assert_eq!(rate(0.61), "0.6");
        assert_eq!(rate(99.96), "100");
        assert_eq!(rate(32_000.4), "32,000");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(size(0), "0 B");
        assert_eq!(size(65_536), "64 KiB");
        assert_eq!(size(16 << 20), "16 MiB");
        assert_eq!(size(1_000), "1000 B");
        assert_eq!(mebibytes(3 << 19), "1.5 MiB");
        assert_eq!(times(3.0, Some(2.0)), "1.5");
        assert_eq!(times(1_500.2, Some(1.0)), "1,500");
        assert_eq!(times(3.0, Some(0.0)), "-");
        assert_eq!(times(3.0, None), "-");
    }
}
