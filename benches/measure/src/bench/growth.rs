//! How cost grows as work grows: what is flat, what is linear, and where it bends.
//!
//! Two neighbouring points of a curve have a slope on logarithmic axes: 0 where ten times the work
//! costs the same, 1 where it costs ten times as much. A curve bends where one kind of slope
//! follows another.

use std::fmt;

use serde::Serialize;

/// What a cost is by the amount of work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Curve {
    /// What grows and what is measured.
    pub(crate) title: String,
    /// The unit of the work, as in `1,000 callers`.
    pub(crate) work: &'static str,
    /// The unit of the cost.
    pub(crate) cost: &'static str,
    /// Work and cost, in ascending order of work.
    pub(crate) points: Vec<(f64, f64)>,
}

/// How a cost grows between two points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Growth {
    /// It falls as work grows.
    Falls,
    /// It stays.
    Flat,
    /// It grows less than the work.
    Slow,
    /// It grows as the work does.
    Linear,
    /// It grows more than the work.
    Steep,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Falls => "falling",
            Self::Flat => "flat",
            Self::Slow => "slower than linear",
            Self::Linear => "linear",
            Self::Steep => "steeper than linear",
        })
    }
}

/// A part of a curve that grows in one way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) growth: Growth,
}

/// How `cost` grows from one point to the next. No work at all counts as one unit.
fn growth((work, cost): (f64, f64), (next_work, next_cost): (f64, f64)) -> Growth {
    let slope = (next_cost / cost).ln() / (next_work / work.max(1.0)).ln();
    match slope {
        slope if slope < -0.25 => Growth::Falls,
        slope if slope < 0.25 => Growth::Flat,
        slope if slope < 0.75 => Growth::Slow,
        slope if slope <= 1.25 => Growth::Linear,
        _ => Growth::Steep,
    }
}

impl Curve {
    /// The parts between bends.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for pair in self.points.windows(2) {
            let growth = growth(pair[0], pair[1]);
            match parts.last_mut() {
                Some(part) if part.growth == growth => part.to = pair[1].0,
                _ => parts.push(Part {
                    from: pair[0].0,
                    to: pair[1].0,
                    growth,
                }),
            }
        }
        parts
    }

    /// The parts in words, with amounts of work as `amount` writes them.
    pub(crate) fn verdict(&self, amount: impl Fn(f64) -> String) -> String {
        let parts = self.parts().into_iter().map(|part| {
            let (from, to) = (amount(part.from), amount(part.to));
            format!("{} from {from} to {to}", part.growth)
        });
        let parts: Vec<_> = parts.collect();
        match parts.is_empty() {
            true => "one point only".to_owned(),
            false => parts.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> Curve {
        Curve {
            title: String::new(),
            work: "callers",
            cost: "µs",
            points: points.to_vec(),
        }
    }

    #[test]
    fn bends_are_where_the_slope_changes() {
        let curve = curve(&[
            (0.0, 20.0),
            (1_000.0, 22.0),
            (10_000.0, 30.0),
            (100_000.0, 300.0),
            (1_000_000.0, 3_100.0),
            (2_000_000.0, 12_000.0),
        ]);
        let verdict = curve.verdict(|work| format!("{work}"));
        assert_eq!(
            verdict,
            "flat from 0 to 10000, linear from 10000 to 1000000, steeper than linear from 1000000 to 2000000"
        );
    }

    #[test]
    fn each_growth_has_its_slope() {
        let between = |next| growth((10.0, 100.0), (100.0, next));
        assert_eq!(between(10.0), Growth::Falls);
        assert_eq!(between(100.0), Growth::Flat);
        assert_eq!(between(300.0), Growth::Slow);
        assert_eq!(between(1_000.0), Growth::Linear);
        assert_eq!(between(10_000.0), Growth::Steep);
    }

    #[test]
    fn one_point_has_no_slope() {
        assert_eq!(
            curve(&[(1.0, 1.0)]).verdict(|work| work.to_string()),
            "one point only"
        );
        assert!(curve(&[]).parts().is_empty());
    }
}
