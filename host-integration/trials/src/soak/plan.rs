//! What the callers of a run are to do: a list that follows from the seed.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "it is a module of the caller component, and all of it is used there"
)]
#[path = "../../../guests/caller/src/plan.rs"]
mod guest;

use guest::{calls, Call, Random};

/// How many calls a caller is asked to make at once, at most. When one of them fails, the rest is not made. So it is
/// few; but asking takes a message over NATS each way.
const BATCH: u64 = 10;

/// One call in this many traps.
const CALLS_A_TRAP: u64 = 500;

/// In one call in this many, no one waits for the answer.
const CALLS_AN_ABANDONED: u64 = 1_000;

/// In one call in this many, the caller's time is over before the answer comes.
const CALLS_A_TIME_OUT: u64 = 5_000;

/// One call in this many is a one-way stream, one is of a messaging handler, and one of a key-value store.
const CALLS_A_NUMBERED: u64 = 50;

/// In one call in this many, the callee computes.
const CALLS_A_COMPUTATION: u64 = 200;

/// For how many milliseconds, more or less: mostly for a few turns, now and then until it stands in line, and seldom
/// until it is among those that take very long.
const COMPUTATIONS_MS: [u32; 3] = [20, 150, 1_200];

/// One in this many of them is of the second kind, and one in so many times this many of the third.
const COMPUTATIONS_A_LONG_ONE: u64 = 8;

/// One in this many of the streams is cut off, and one of the calls of the handlers is to trap.
const NUMBERED_A_FAILURE: u64 = 10;

/// The most time-outs, as each takes one of the callers for as long as a component may run.
const MAX_TIME_OUTS: u64 = 20;

/// What is asked of a caller at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) kind: Kind,
    /// For a batch, what its calls follow from. For what has an id, its number.
    pub(super) seed: u64,
    /// How many calls it consists of. Only batches have more than one.
    pub(super) calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Calls of the callee.
    Direct,
    /// Calls of a component that calls the callee.
    Chain,
    /// A call in which the callee traps.
    Trap,
    /// A call for whose answer the test does not wait.
    Abandoned,
    /// A call that takes longer than the caller may run.
    TimeOut,
    /// A call in which the callee computes before it answers.
    Compute,
    /// A call without results that takes a stream.
    Stream,
    /// The same, by a client that goes when half of the stream is sent.
    CutStream,
    /// A call that the runtime carries by code that is generated.
    Handler(Handler),
    /// The same, in which the callee traps.
    HandlerTrap(Handler),
}

/// An interface that the host library knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Handler {
    /// `wasmcloud:messaging/handler`.
    Messaging,
    /// `wasi:keyvalue`.
    Keyvalue,
}

impl Work {
    /// How many calls of components it makes when it is done completely. Each call of a chain makes another one.
    pub(super) fn invocations(&self) -> u64 {
        u64::from(self.calls) * if self.kind == Kind::Chain { 2 } else { 1 }
    }

    /// What the callee tells of it under, when it tells of it.
    pub(super) fn id(&self) -> Option<u64> {
        let interface: u64 = match self.kind {
            Kind::Stream | Kind::CutStream => 1,
            Kind::Handler(Handler::Messaging) => 2,
            Kind::Handler(Handler::Keyvalue) => 3,
            _ => return None,
        };
        Some(interface << 56 | self.seed)
    }

    /// For how many milliseconds the callee computes, more or less, if it does.
    pub(super) fn computes_ms(&self) -> u32 {
        let is_one_in = |many: u64| self.seed % many == many - 1;
        let [short, long, very_long] = COMPUTATIONS_MS;
        match self.kind {
            Kind::Compute if is_one_in(COMPUTATIONS_A_LONG_ONE.pow(2)) => very_long,
            Kind::Compute if is_one_in(COMPUTATIONS_A_LONG_ONE) => long,
            Kind::Compute => short,
            _ => 0,
        }
    }

    /// Whether the host library runs one of the components in it by itself, so that the runtime's side of a call does
    /// not see whether there is room for it.
    pub(super) fn is_run_by_library(&self) -> bool {
        use Handler::Messaging;
        matches!(
            self.kind,
            Kind::Stream
                | Kind::CutStream
                | Kind::Handler(Messaging)
                | Kind::HandlerTrap(Messaging)
        )
    }

    /// How many calls the callee makes to tell of it.
    pub(super) fn told(&self) -> u64 {
        match self.kind {
            // When it begins, and when it ends.
            Kind::Stream | Kind::CutStream => 2,
            Kind::Handler(_) => 1,
            _ => 0,
        }
    }

    /// How many bytes the stream has, if it is one. One that is cut off has some.
    pub(super) fn stream_bytes(&self) -> u64 {
        if !matches!(self.kind, Kind::Stream | Kind::CutStream) {
            return 0;
        }
        let mut sizes = calls(self.seed).filter_map(|call| match call {
            Call::Bytes { size, .. } => Some(size.into()),
            _ => None,
        });
        let least = u64::from(self.kind == Kind::CutStream);
        sizes.next().map_or(least, |size: u64| size.max(least))
    }

    /// What the caller should say about the batch when it is done.
    pub(super) fn expected(&self) -> Expected {
        let mut expected = Expected::default();
        for call in calls(self.seed).take(self.calls as usize) {
            match call {
                Call::Ping { .. } => expected.pings += 1,
                Call::Bytes { .. } => expected.echoes += 1,
                Call::Strings { .. } => expected.strings += 1,
                Call::Record { .. } => expected.records += 1,
            }
            expected.bytes += call.bytes();
        }
        expected
    }
}

/// What a batch consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) pings: u32,
    pub(super) echoes: u32,
    pub(super) strings: u32,
    pub(super) records: u32,
    pub(super) bytes: u64,
}

/// `calls` calls in the order in which they are begun.
pub(super) fn plan(seed: u64, calls: u64, concurrency: u64) -> Vec<Work> {
    let mut random = Random::new(seed);
    let mut rest = calls;
    let mut singles = |kind, number: u64| -> Vec<_> {
        let number = number.min(rest);
        rest -= number;
        let single = |seed| Work {
            kind,
            seed,
            calls: 1,
        };
        (0..number).map(single).collect()
    };
    let time_outs = singles(Kind::TimeOut, (calls / CALLS_A_TIME_OUT).min(MAX_TIME_OUTS));
    let mut works = singles(Kind::Trap, calls / CALLS_A_TRAP);
    works.extend(singles(Kind::Abandoned, calls / CALLS_AN_ABANDONED));
    works.extend(singles(Kind::Compute, calls / CALLS_A_COMPUTATION));
    let numbered = [
        (Kind::Stream, Kind::CutStream),
        (
            Kind::Handler(Handler::Messaging),
            Kind::HandlerTrap(Handler::Messaging),
        ),
        (
            Kind::Handler(Handler::Keyvalue),
            Kind::HandlerTrap(Handler::Keyvalue),
        ),
    ];
    for (kind, failing) in numbered {
        let mut numbered = singles(kind, calls / CALLS_A_NUMBERED);
        for work in &mut numbered {
            if work.seed % NUMBERED_A_FAILURE == NUMBERED_A_FAILURE - 1 {
                work.kind = failing;
            }
        }
        works.extend(numbered);
    }
    // In a short run too, each caller has something to do.
    let batch = (rest / concurrency.max(1)).clamp(1, BATCH);
    while rest > 0 {
        let calls = batch.min(rest);
        rest -= calls;
        works.push(Work {
            kind: match random.below(4) {
                0 => Kind::Chain,
                _ => Kind::Direct,
            },
            seed: random.next(),
            calls: calls as u32,
        });
    }
    shuffle(&mut works, &mut random);
    spread(time_outs, &mut works);
    works
}

fn shuffle(works: &mut [Work], random: &mut Random) {
    for last in (1..works.len()).rev() {
        let other = random.below(last as u32 + 1);
        works.swap(last, other as usize);
    }
}

/// Puts the time-outs evenly into what follows the first fifth and comes before the last two: they take so long that
/// the end of the run would wait for later ones.
fn spread(time_outs: Vec<Work>, works: &mut Vec<Work>) {
    let (start, step) = (
        works.len() / 5,
        (works.len() * 2 / 5) / time_outs.len().max(1),
    );
    for (number, time_out) in time_outs.into_iter().enumerate() {
        works.insert(start + number * (step + 1), time_out);
    }
}

/// Cuts the plan in two: works with at least `calls` calls, and the rest.
pub(super) fn split(mut works: Vec<Work>, calls: u64) -> (Vec<Work>, Vec<Work>) {
    let mut before = 0;
    let first = works.iter().take_while(|work| {
        let taken = before < calls;
        before += u64::from(work.calls);
        taken
    });
    let rest = works.split_off(first.count());
    (works, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls_of(works: &[Work]) -> u64 {
        works.iter().map(|work| u64::from(work.calls)).sum()
    }

    #[test]
    fn a_plan_has_as_many_calls_as_are_asked_for() {
        for (calls, concurrency) in [(1, 64), (7, 1), (63, 64), (999, 3), (20_000, 64)] {
            let works = plan(1, calls, concurrency);
            assert_eq!(calls_of(&works), calls);
            assert!(works
                .iter()
                .all(|work| (1..=BATCH).contains(&work.calls.into())));
        }
    }

    #[test]
    fn a_plan_follows_from_its_seed() {
        assert_eq!(plan(5, 2_000, 8), plan(5, 2_000, 8));
        assert_ne!(plan(5, 2_000, 8), plan(6, 2_000, 8));
    }

    #[test]
    fn a_long_plan_has_something_of_each_kind() {
        let works = plan(1, 20_000, 64);
        let count = |kind| works.iter().filter(|work| work.kind == kind).count();
        assert_eq!(count(Kind::Trap), 40);
        assert_eq!(count(Kind::Abandoned), 20);
        assert_eq!(count(Kind::TimeOut), 4);
        assert_eq!(count(Kind::Compute), 100);
        assert_eq!((count(Kind::Stream), count(Kind::CutStream)), (360, 40));
        for handler in [Handler::Messaging, Handler::Keyvalue] {
            let (called, trapped) = (Kind::Handler(handler), Kind::HandlerTrap(handler));
            assert_eq!((count(called), count(trapped)), (360, 40));
        }
        assert!(count(Kind::Chain) > 300);
        assert!(count(Kind::Direct) > 2 * count(Kind::Chain));
    }

    #[test]
    fn what_has_an_id_has_one_of_its_own() {
        let works = plan(1, 20_000, 64);
        let ids: Vec<_> = works.iter().filter_map(Work::id).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (3 * 360 + 40, 3 * 360 + 40));
        assert!(!ids.contains(&0), "with which a callee traps");
    }

    #[test]
    fn computations_are_mostly_short_and_some_are_long() {
        let works = plan(1, 20_000, 64);
        let count = |ms| works.iter().filter(|it| it.computes_ms() == ms).count();
        let [short, long, very_long] = COMPUTATIONS_MS.map(count);
        assert_eq!((short, long, very_long), (88, 11, 1));
        assert_eq!(count(0), works.len() - 100);
    }

    #[test]
    fn streams_are_small_and_large_and_a_cut_one_is_not_empty() {
        let works = plan(1, 20_000, 64);
        let sizes = |kind| {
            let of_kind = works.iter().filter(move |work| work.kind == kind);
            of_kind.map(Work::stream_bytes)
        };
        assert_eq!(sizes(Kind::Stream).min(), Some(0));
        assert!(sizes(Kind::Stream).max() > Some(1 << 19));
        assert!(sizes(Kind::CutStream).min() > Some(0));
        assert_eq!(sizes(Kind::Direct).max(), Some(0));
    }

    #[test]
    fn time_outs_come_neither_first_nor_last() {
        let works = plan(1, 200_000, 64);
        let numbers = works.iter().enumerate();
        let time_outs = numbers.filter(|(_, work)| work.kind == Kind::TimeOut);
        let numbers: Vec<_> = time_outs.map(|(number, _)| number).collect();
        assert_eq!(numbers.len(), 20);
        assert!(numbers[0] >= works.len() / 6, "{numbers:?}");
        assert!(numbers[19] <= works.len() * 2 / 3, "{numbers:?}");
    }

    #[test]
    fn a_plan_is_cut_where_the_calls_are() {
        let (first, rest) = split(plan(1, 1_000, 8), 100);
        assert!((100..100 + BATCH).contains(&calls_of(&first)));
        assert_eq!(calls_of(&first) + calls_of(&rest), 1_000);
        let (first, rest) = split(plan(1, 5, 8), 50);
        assert_eq!((calls_of(&first), rest.len()), (5, 0));
    }

    #[test]
    fn a_batch_knows_what_it_consists_of() {
        let batch = |calls| Work {
            kind: Kind::Direct,
            seed: 3,
            calls,
        };
        let Expected {
            pings,
            echoes,
            strings,
            records,
            bytes,
        } = batch(2_000).expected();
        assert_eq!(pings + echoes + strings + records, 2_000);
        assert!([pings, echoes, strings, records].iter().all(|n| *n > 100));
        assert!(bytes > 2_000 * 10_000, "{bytes}");
        assert_eq!(batch(0).expected(), Expected::default());
    }

    #[test]
    fn sizes_reach_from_nothing_to_a_mebibyte() {
        let sizes: Vec<_> = calls(1)
            .take(5_000)
            .filter_map(|call| match call {
                Call::Bytes { size, .. } => Some(size),
                _ => None,
            })
            .collect();
        assert_eq!(sizes.iter().min(), Some(&0));
        assert_eq!(sizes.iter().max(), Some(&guest::MAX_BYTES));
        let small = sizes.iter().filter(|size| **size < 1_024).count();
        assert!(small * 5 > sizes.len() * 2, "{small} of {}", sizes.len());
    }
}
