//! Memory that is not needed any more goes back to the system.
//!
//! To compile a component takes tens of megabytes for a moment. The allocator, mimalloc, keeps what is freed for a second, in
//! case it is needed again, and then gives it back on the next occasion that it has: when a thread gives back a whole page of
//! blocks, or ends. A host at rest has no such occasion for a long time, so it makes one.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, MissedTickBehavior};

/// How often memory is given back. Between two times, the allocator does it on its own where there is work.
const EVERY: Duration = Duration::from_secs(5);

/// Gives memory back from time to time, for as long as the answer lives.
pub(crate) fn give_back() -> JoinSet<()> {
    let mut task = JoinSet::new();
    task.spawn(async {
        let mut times = interval(EVERY);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            // It ends at once, so no one waits for it. One that cannot be started is not missed.
            let _ = thread::Builder::new()
                .name("give-back".to_owned())
                .spawn(|| drop(black_box(Box::new(0u8))));
        }
    });
    task
}
