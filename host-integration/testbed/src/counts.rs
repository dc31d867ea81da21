//! How many calls went which way.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

/// How many outgoing calls of a host's components went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// In memory.
    pub local: u64,
    /// Over NATS, for whatever reason.
    pub remote: u64,
}

impl Counts {
    /// Reads them from the host's status.
    pub fn read(status: &Value) -> anyhow::Result<Self> {
        let calls = &status["calls"];
        let number = |name: &str| {
            calls[name]
                .as_u64()
                .with_context(|| format!("the host's status has no number calls.{name}: {status}"))
        };
        Ok(Self {
            local: number("local")?,
            remote: number("remote")? + number("spilled")? + number("fallback")?,
        })
    }

    /// What came on top of `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            local: self.local.saturating_sub(before.local),
            remote: self.remote.saturating_sub(before.remote),
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.local += more.local;
        self.remote += more.remote;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spilled_and_fallback_calls_count_as_remote() {
        let status = json!({
            "mode": "prefer",
            "calls": { "local": 7, "remote": 1, "spilled": 2, "fallback": 3 },
        });
        let counts = Counts::read(&status).unwrap();
        assert_eq!(
            counts,
            Counts {
                local: 7,
                remote: 6
            }
        );
    }

    #[test]
    fn a_status_without_counters_is_an_error() {
        let error = Counts::read(&json!({ "calls": { "local": 1 } }));
        assert!(error.unwrap_err().to_string().contains("calls.remote"));
    }

    #[test]
    fn counts_are_compared() {
        let before = Counts {
            local: 5,
            remote: 2,
        };
        let after = Counts {
            local: 9,
            remote: 2,
        };
        assert_eq!(
            after.since(before),
            Counts {
                local: 4,
                remote: 0
            }
        );
    }
}
