use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// How often the connection is looked at while an inbox exists. One timer for all calls of the connection: a call that
/// is answered in time pays nothing.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// A connection that is down for so long fails the calls in flight. Their messages may have been lost, and there is no
/// telling whether it ever comes back.
pub(super) const DOWN: Duration = Duration::from_secs(10);

/// How long a call may stay silent after an interruption. NATS does not repeat what was lost, so an answer may never
/// come. It may also be that the callee is still busy.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// What is seen of the connection at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Down,
    /// Connected to this server, as this of its clients. No two connections have the same.
    Up(String, u64),
}

/// Which calls have to end, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    All(Failure),
    /// Those that were last heard of in this generation of the connection, or before.
    UpTo(u64, Failure),
}

/// Notices that a connection is lost, or was.
///
/// Each time that it comes back is a generation of its own. It is looked at now and then, so it may have been lost and
/// back without being seen down; then it has another server or another number.
pub(super) struct Watch {
    connection: Option<(String, u64)>,
    generation: u64,
    down_since: Option<Instant>,
    /// The generations that have ended, and until when their calls may stay silent.
    ended: VecDeque<(Instant, u64)>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            connection: None,
            generation: 0,
            down_since: None,
            ended: VecDeque::new(),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes note of what is seen now.
    pub(super) fn look(&mut self, now: Instant, seen: Seen) {
        match seen {
            Seen::Down => {
                self.down_since.get_or_insert(now);
            }
            Seen::Up(server, client) => {
                self.down_since = None;
                let connection = Some((server, client));
                if self.connection != connection {
                    if self.connection.is_some() {
                        self.ended.push_back((now + SILENCE, self.generation));
                        self.generation += 1;
                    }
                    self.connection = connection;
                }
            }
        }
    }

    /// Which calls have waited for too long by now.
    pub(super) fn verdict(&mut self, now: Instant) -> Option<Verdict> {
        if let Some(since) = self.down_since {
            let down = now.saturating_duration_since(since);
            return (down >= DOWN).then_some(Verdict::All(Failure::Lost(down)));
        }
        let mut verdict = None;
        while let Some((deadline, generation)) = self.ended.front().copied() {
            if now < deadline {
                break;
            }
            self.ended.pop_front();
            verdict = Some(Verdict::UpTo(generation, Failure::Interrupted(SILENCE)));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(client: u64) -> Seen {
        Seen::Up("server".into(), client)
    }

    #[test]
    fn a_connection_that_stays_up_fails_nothing() {
        let mut watch = Watch::new();
        let mut now = Instant::now();
        for _ in 0..1000 {
            watch.look(now, up(1));
            assert_eq!(watch.verdict(now), None);
            now += TICK;
        }
        assert_eq!(watch.generation(), 0);
    }

    #[test]
    fn ten_seconds_without_a_connection_fail_all_calls() {
        let mut watch = Watch::new();
        let start = Instant::now();
        watch.look(start, up(1));
        for second in 1..=10 {
            let now = start + Duration::from_secs(second);
            watch.look(now, Seen::Down);
            assert_eq!(watch.verdict(now), None, "after {second} s");
        }
        let now = start + Duration::from_secs(11);
        watch.look(now, Seen::Down);
        assert_eq!(watch.verdict(now), Some(Verdict::All(Failure::Lost(DOWN))));
    }

    #[test]
    fn a_call_may_be_silent_for_a_while_after_an_interruption() {
        let mut watch = Watch::new();
        let start = Instant::now();
        watch.look(start, up(1));
        // It was down and up again between two looks.
        watch.look(start + TICK, up(2));
        assert_eq!(watch.generation(), 1);
        assert_eq!(watch.verdict(start + SILENCE), None);
        assert_eq!(
            watch.verdict(start + TICK + SILENCE),
            Some(Verdict::UpTo(0, Failure::Interrupted(SILENCE)))
        );
        assert_eq!(watch.verdict(start + 9 * SILENCE), None, "said once");
    }

    #[test]
    fn a_connection_that_is_back_in_time_fails_nothing_at_once() {
        let mut watch = Watch::new();
        let start = Instant::now();
        watch.look(start, up(1));
        watch.look(start + TICK, Seen::Down);
        let back = start + TICK + DOWN / 2;
        watch.look(back, up(2));
        assert_eq!(watch.verdict(back + DOWN), None);
        // The time without a connection counts from the start again.
        watch.look(back + DOWN, Seen::Down);
        assert_eq!(watch.verdict(back + DOWN + DOWN / 2), None);
    }
}
