//! How much memory what is bounded holds.
//!
//! Not among the cases of the [`suite`](crate::suite): this looks at what the whole process has allocated, so nothing
//! else may run in it. A backend has a test program of its own for it, of [`memory_test`](crate::memory_test).

use std::num::NonZeroUsize;
use std::task::Poll;

use inhost_dispatch::{Backend, Mode, QueueLimits, Route};
use tokio::io::AsyncWriteExt as _;
use tokio_test::task;
use wrpc_transport::Index as _;

use crate::support::{limit, Host, In, Out};
use crate::Make;

/// A test program that does [`every_bound_is_one_of_memory`] with the backends that `$make` makes,
/// and counts all that is allocated.
///
/// It takes `stats_alloc` and `tokio` of the crate that it stands in.
#[macro_export]
macro_rules! memory_test {
    ($make:expr) => {
        #[global_allocator]
        static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> =
            &stats_alloc::INSTRUMENTED_SYSTEM;

        fn held() -> usize {
            let stats = ALLOCATOR.stats();
            let freed = stats.bytes_deallocated;
            stats.bytes_allocated.saturating_sub(freed)
        }

        #[tokio::test]
        #[allow(
            clippy::print_stderr,
            reason = "with `--nocapture` it shows what was held"
        )]
        async fn every_bound_is_one_of_memory() {
            let checked = $crate::memory::every_bound_is_one_of_memory($make, held);
            // Else a stream that has room looks now and then as if it had none.
            let seen = tokio::task::unconstrained(checked).await;
            eprintln!("{}", seen.join("\n"));
        }
    };
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a call may take that waits or runs, beside its parameters: its record, its place in the queue, both sides'
/// handles.
const A_CALL: usize = 2 * KIB;

/// What is left of a host when all calls have ended, and that it has not had before.
const LEFT: usize = 32 * KIB;

/// Holds up all that it is given.
type Calls<B> = Vec<(Out<B>, In<B>)>;

/// Checks that what a flag bounds is held in at most so much memory as the page on tuning says, by whatever way it is
/// filled, and given back when it is over. `held` is how many bytes the process has allocated. Returns what was held,
/// for people.
///
/// # Panics
///
/// When it does not hold.
pub async fn every_bound_is_one_of_memory<B: Backend>(
    make: impl Make<B>,
    held: impl Fn() -> usize,
) -> Vec<String> {
    let mut seen = Vec::new();
    // At least half of what may be is there, so that nothing is checked in vain.
    let mut within = |what: &'static str, bytes: usize, least: usize, most: usize| {
        seen.push(format!("{what}: {bytes} bytes, of {least} to {most}"));
        assert!((least..=most).contains(&bytes), "{seen:#?}");
    };

    // Calls that bring their parameters, until the bytes of the queue are used up.
    const BYTES: usize = 8 * MIB;
    for size in [256 * KIB, 8 * KIB] {
        let (host, _served) = full_queue(&make, MIB, BYTES).await;
        let before = held();
        let calls = fill(&host, size).await;
        let waiting = calls.len();
        assert_eq!(waiting, BYTES / size);
        // What went elsewhere is kept there.
        let (bytes, most) = (held() - before, BYTES + waiting * A_CALL);
        within("parameters", bytes, BYTES, most + size);
        drop(calls);
        let left = held().saturating_sub(before);
        within("callers that have gone", left, 0, LEFT + size);
    }

    // Calls that bring next to nothing, until there are as many as may wait.
    const INVOCATIONS: usize = 1024;
    let (host, _served) = full_queue(&make, INVOCATIONS, BYTES).await;
    let before = held();
    let calls = fill(&host, 1).await;
    assert_eq!(calls.len(), INVOCATIONS);
    within("small calls", held() - before, 0, INVOCATIONS * A_CALL);
    drop(calls);
    within(
        "small callers that have gone",
        held().saturating_sub(before),
        0,
        LEFT,
    );

    // Calls that are written to while they wait.
    for chunk in [64 * KIB, 600, 1] {
        let (host, _served) = full_queue(&make, INVOCATIONS, MIB).await;
        let before = held();
        let mut calls = fill_by_writing(&host, chunk).await;
        let waiting = calls.len();
        // A short write counts as what it takes where it is a message of its own.
        let least = if chunk > 1 { MIB / 2 } else { waiting };
        let most = 2 * MIB + waiting * A_CALL;
        within("parameters that are written", held() - before, least, most);
        calls.clear();
        within(
            "writers that have gone",
            held().saturating_sub(before),
            0,
            LEFT,
        );
    }

    // A stream of a call that runs, whose reader does not come.
    for chunk in [64 * KIB, 600, 1] {
        let host = Host::new(make(limit(64 * KIB)));
        let (mut caller, callee) = host.call("").await;
        let before = held();
        write_all_there_is_room_for(&mut caller.0, &vec![0; chunk]);
        within(
            "a stream",
            held() - before,
            32 * KIB,
            2 * 64 * KIB + 4 * KIB,
        );
        drop((caller, callee));
        within(
            "a stream that both have left",
            held().saturating_sub(before),
            0,
            LEFT,
        );
    }

    // Paths that both sides are done with.
    let host = Host::new(make(limit(64 * KIB)));
    let (caller, callee) = host.call("").await;
    let before = held();
    for number in 0..50_000 {
        let path = [number];
        drop(caller.0.index(&path).expect("a writer"));
        drop(callee.1.index(&path).expect("a reader"));
    }
    within(
        "paths that both are done with",
        held().saturating_sub(before),
        0,
        16 * KIB,
    );
    seen
}

/// A host with a queue of such bounds, which no one reads.
async fn full_queue<B: Backend>(
    make: &impl Make<B>,
    invocations: usize,
    bytes: usize,
) -> (Host<B>, crate::support::Served<B>) {
    let limits = QueueLimits {
        invocations: NonZeroUsize::new(invocations).expect("not zero"),
        bytes,
    };
    let host = Host::with(make(limit(64 * KIB)), Mode::Prefer, limits);
    host.remote.set_reachable();
    let served = host.serve().await;
    // What the first call makes is there for all.
    drop(host.invoke("", "").await.expect("room"));
    (host, served)
}

/// Makes calls with `size` bytes of parameters until one does not stay here.
async fn fill<B: Backend>(host: &Host<B>, size: usize) -> Calls<B> {
    let mut calls = Vec::new();
    loop {
        let call = host.invoke("", vec![0; size]).await.expect("invoke");
        if call.0.route() != Route::Local {
            return calls;
        }
        calls.push(call);
    }
}

/// Makes calls that write to their parameters as long as there is room, until one does not stay here.
async fn fill_by_writing<B: Backend>(host: &Host<B>, chunk: usize) -> Calls<B> {
    let chunk = vec![0; chunk];
    let mut calls = Vec::new();
    loop {
        let mut call = host.invoke("", "").await.expect("invoke");
        if call.0.route() != Route::Local {
            return calls;
        }
        write_all_there_is_room_for(&mut call.0, &chunk);
        calls.push(call);
    }
}

fn write_all_there_is_room_for<B: Backend>(params: &mut Out<B>, chunk: &[u8]) {
    while let Poll::Ready(written) = task::spawn(params.write(chunk)).poll() {
        written.expect("someone reads");
    }
}
