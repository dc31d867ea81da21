//! What is seen of calls: counts of each function that are always there, who wants to be told about each call, and
//! which calls are in flight.

mod counters;
mod list;
mod observer;
mod pace;
mod running;
mod target;
mod used_up;

pub(crate) use counters::Counters;
pub use counters::{Calls, Failures};
pub(crate) use list::Place;
pub use observer::{on_start, starts, Ended, Ending, Observer};
pub(crate) use observer::{FirstToLeave, Reached, Record};
pub use pace::Pace;
pub(crate) use running::Traveller;
pub use running::{Running, Stage};
pub(crate) use target::{name, Targets};
pub use target::{Counted, Target};
pub(crate) use used_up::note_queue_full;
pub use used_up::{note_pool_used_up, note_time_used_up, pool_used_up, queue_full, time_used_up};
