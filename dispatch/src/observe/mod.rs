//! What is seen of calls: counts of each function that are always there, and who wants to be told about each call.

mod counters;
mod observer;
mod pace;
mod target;
mod used_up;

pub(crate) use counters::Counters;
pub use counters::{Calls, Failures};
pub use observer::{on_start, starts, Ended, Ending, Observer};
pub(crate) use observer::{FirstToLeave, Reached, Record};
pub use pace::Pace;
pub(crate) use target::{name, Targets};
pub use target::{Counted, Target};
pub use used_up::{note_pool_used_up, pool_used_up};
