//! What the bounds hold in memory, over this backend. The only test of its program: it counts all that is allocated.
#![allow(missing_docs)]

use std::alloc::System;

use inhost_backend_mpsc::MpscBackend;
use stats_alloc::{StatsAlloc, INSTRUMENTED_SYSTEM};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated)
}

#[tokio::test]
#[allow(
    clippy::print_stderr,
    reason = "with `--nocapture` it shows what was held"
)]
async fn every_bound_is_one_of_memory() {
    let checked = inhost_conformance::memory::every_bound_is_one_of_memory(MpscBackend::new, held);
    // Else a stream that has room looks now and then as if it had none.
    let seen = tokio::task::unconstrained(checked).await;
    eprintln!("{}", seen.join("\n"));
}
