//! What something costs each time that it is done.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::tools::{plain, Tool};

/// How often it is done in the long and in the short run of a tool. Valgrind is some fifty times
/// slower than the processor.
const LONG: u32 = 2_500;
const SHORT: u32 = 500;

/// Costs of one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Costs {
    /// Calls of the allocator, those that make an allocation larger included.
    pub(crate) allocations: f64,
    /// Bytes that were asked for.
    pub(crate) allocated_bytes: f64,
    /// Of user space. `None` where they could not be counted.
    pub(crate) instructions: Option<f64>,
    /// `None` where they could not be counted.
    pub(crate) system_calls: Option<f64>,
}

impl Costs {
    /// Does `work` in processes of its own, and counts.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub(crate) fn measure(work: &str) -> anyhow::Result<Self> {
        let printed = plain(work, LONG)?;
        let (allocations, bytes) = printed.trim().split_once(' ').context("two numbers")?;
        let each = |total: &str| anyhow::Ok(total.parse::<f64>()? / f64::from(LONG));
        Ok(Self {
            allocations: each(allocations)?,
            allocated_bytes: each(bytes)?,
            instructions: difference(Tool::Valgrind, work)?,
            system_calls: difference(Tool::Strace, work)?,
        })
    }
}

/// What `tool` counts for one time: all that a process does besides is in both runs.
fn difference(tool: Tool, work: &str) -> anyhow::Result<Option<f64>> {
    let Some(short) = tool.count(work, SHORT)? else {
        return Ok(None);
    };
    let Some(long) = tool.count(work, LONG)? else {
        return Ok(None);
    };
    let difference = long.saturating_sub(short) as f64;
    Ok(Some(difference / f64::from(LONG - SHORT)))
}
