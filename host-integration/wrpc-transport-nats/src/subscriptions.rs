//! The subscriptions of what this process serves, so that it can leave all of them: from then on no
//! call comes over NATS, and those that have arrived are still taken.

use std::collections::btree_map::{BTreeMap, Entry};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use async_nats::{Message, Subscriber};
use futures::stream::{Stream, StreamExt as _};
use futures::task::AtomicWaker;
use futures::FutureExt as _;

use crate::nats::subject::PROTOCOL;

/// The calls of a served function.
///
/// When it is dropped, the client is told to unsubscribe before anything that is published later.
/// Left to itself, the subscriber tells it some time later, from a task; a call from this host to a
/// component that was just stopped here would be delivered to a subscription that no one reads.
pub(crate) struct Calls {
    subscription: Arc<Subscription>,
    number: u64,
    instance: Option<Instance>,
}

/// The prefix, which is that of a component, and the instance with its version.
type Instance = (Box<str>, Box<str>);

struct Subscription {
    state: Mutex<State>,
    /// Told when the subscriber is back.
    waiting: AtomicWaker,
}

struct State {
    /// Out while someone polls it, or unsubscribes: neither happens under the lock.
    subscriber: Option<Subscriber>,
    /// Whether to unsubscribe is asked for.
    leave: bool,
    /// Whether that was done.
    left: bool,
    /// Whether all that has arrived was taken, and nothing more comes.
    ended: bool,
}

/// All of them.
struct All {
    subscriptions: BTreeMap<u64, Weak<Subscription>>,
    next: u64,
    /// How many functions of each instance are subscribed.
    instances: BTreeMap<Instance, usize>,
    /// Whether the process takes no calls over NATS any more.
    left: bool,
}

static ALL: Mutex<All> = Mutex::new(All {
    subscriptions: BTreeMap::new(),
    next: 0,
    instances: BTreeMap::new(),
    left: false,
});

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unsubscribes all that this process serves, for good. What has arrived can still be taken.
///
/// A connection whose queue is full is not told: it is to be called again then, which does no harm.
pub(crate) fn leave() {
    let subscriptions: Vec<_> = {
        let mut all = all();
        all.left = true;
        all.subscriptions
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    };
    for subscription in subscriptions {
        subscription.leave();
    }
}

/// In how many subscriptions there may still be calls that have arrived and were not taken.
pub(crate) fn arriving() -> usize {
    let subscriptions: Vec<_> = {
        let all = all();
        all.subscriptions
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    };
    let arriving = |subscription: &&Arc<Subscription>| !subscription.state().ended;
    subscriptions.iter().filter(arriving).count()
}

/// Up to `most` of the instances, each with its version, that this process serves under `prefix`, sorted.
pub(crate) fn instances_of(prefix: &str, most: usize) -> Vec<Box<str>> {
    let all = all();
    let from: Instance = (prefix.into(), "".into());
    let instances = all.instances.range(from..);
    let instances = instances.map(|(instance, _)| instance);
    let instances = instances.take_while(|(component, _)| **component == *prefix);
    instances
        .take(most)
        .map(|(_, instance)| instance.clone())
        .collect()
}

/// The instance of the function that is called by `subject`.
fn instance_of(subject: &str) -> Option<Instance> {
    let (component, function) = subject.split_once(PROTOCOL)?;
    let (instance, _) = function.strip_prefix('.')?.rsplit_once('.')?;
    Some((component.trim_end_matches('.').into(), instance.into()))
}

impl Calls {
    /// Those that `subscriber` brings, which has subscribed `subject`.
    pub(crate) fn new(subject: &str, subscriber: Subscriber) -> Self {
        let instance = instance_of(subject);
        let subscription = Arc::new(Subscription {
            state: Mutex::new(State {
                subscriber: Some(subscriber),
                leave: false,
                left: false,
                ended: false,
            }),
            waiting: AtomicWaker::new(),
        });
        let (number, left) = {
            let mut all = all();
            let number = all.next;
            all.next += 1;
            let weak = Arc::downgrade(&subscription);
            all.subscriptions.insert(number, weak);
            if let Some(instance) = &instance {
                *all.instances.entry(instance.clone()).or_default() += 1;
            }
            (number, all.left)
        };
        if left {
            subscription.leave();
        }
        Self {
            subscription,
            number,
            instance,
        }
    }
}

impl Subscription {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Subscriber> {
        self.state().subscriber.take()
    }

    /// Puts the subscriber back. Unsubscribes it before, if that was asked for meanwhile.
    fn put_back(&self, mut subscriber: Subscriber) {
        loop {
            let mut state = self.state();
            if !state.leave {
                state.subscriber = Some(subscriber);
                return;
            }
            state.leave = false;
            drop(state);
            // None if the client's queue is full.
            let left = subscriber.unsubscribe().now_or_never().is_some();
            self.state().left = left;
        }
    }

    fn leave(&self) {
        let subscriber = {
            let mut state = self.state();
            if state.left {
                return;
            }
            state.leave = true;
            state.subscriber.take()
        };
        if let Some(subscriber) = subscriber {
            self.put_back(subscriber);
        }
        self.waiting.wake();
    }
}

impl Stream for Calls {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let subscription = &*self.subscription;
        // Before it is looked for: whoever has it now puts it back, and wakes this.
        subscription.waiting.register(cx.waker());
        let Some(mut subscriber) = subscription.take() else {
            let ended = subscription.state().ended;
            return if ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        let polled = subscriber.poll_next_unpin(cx);
        if let Poll::Ready(None) = polled {
            subscription.state().ended = true;
            return polled;
        }
        subscription.put_back(subscriber);
        polled
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        {
            let mut all = all();
            all.subscriptions.remove(&self.number);
            if let Some(Entry::Occupied(mut count)) =
                self.instance.take().map(|it| all.instances.entry(it))
            {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        if let Some(mut subscriber) = self.subscription.take() {
            // If the client's queue is full, the subscriber's own way is left.
            let _ = subscriber.unsubscribe().now_or_never();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::subject::invocation_subject;

    #[test]
    fn a_subject_names_the_instance() {
        let of = |prefix, instance| instance_of(&invocation_subject(prefix, instance, "run"));
        let instance = |prefix: &str, instance: &str| Some((prefix.into(), instance.into()));
        assert_eq!(
            of("default.callee", "a:b/c@1.0.0"),
            instance("default.callee", "a:b/c@1.0.0")
        );
        assert_eq!(of("", "a:b/c"), instance("", "a:b/c"));
        assert_eq!(of("default.callee", ""), None);
    }
}
