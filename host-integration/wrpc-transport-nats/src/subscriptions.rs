//! The subscriptions of what this process serves, so that it can leave all of them: from then on no
//! call comes over NATS, and those that have arrived are still taken, until they are refused.
//!
//! A call is taken by an answer that says where its parameters go, and for one without results
//! that is all that its caller ever hears: it goes on as if the function had run. So a call that
//! has arrived and that no one will take gets an answer that says no such thing.

use std::collections::btree_map::{BTreeMap, Entry};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures::stream::{Stream, StreamExt as _};
use futures::task::AtomicWaker;
use futures::FutureExt as _;
use tokio::task::unconstrained;
use tracing::info;

use crate::nats::subject::PROTOCOL;

/// The calls of a served function.
///
/// When it is dropped, the client is told to unsubscribe before anything that is published later.
/// Left to itself, the subscriber tells it some time later, from a task; a call from this host to a
/// component that was just stopped here would be delivered to a subscription that no one reads.
/// Calls that have arrived are refused then.
pub(crate) struct Calls {
    subscription: Arc<Subscription>,
    number: u64,
    instance: Option<Instance>,
}

/// The prefix, which is that of a component, and the instance with its version.
type Instance = (Box<str>, Box<str>);

struct Subscription {
    nats: Arc<async_nats::Client>,
    subject: Box<str>,
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
    /// Whether what arrives is refused.
    refuse: bool,
    /// How many were.
    refused: usize,
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

impl All {
    fn living(&self) -> Vec<Arc<Subscription>> {
        let all = self.subscriptions.values();
        all.filter_map(Weak::upgrade).collect()
    }
}

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Unsubscribes all that this process serves, for good. What has arrived can still be taken.
///
/// A connection whose queue is full is not told: it is to be called again then, which does no harm.
pub(crate) fn leave() {
    let subscriptions = {
        let mut all = all();
        all.left = true;
        all.living()
    };
    for subscription in subscriptions {
        subscription.leave();
    }
}

/// How many calls were refused because the process takes none any more.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Refuses the calls that have arrived and were not taken, and those that still come. Returns how
/// many there were so far.
pub(crate) fn refuse() -> usize {
    let subscriptions = all().living();
    for subscription in subscriptions {
        subscription.refuse_all();
    }
    REFUSED.load(Ordering::Acquire)
}

/// In how many subscriptions there may still be calls that have arrived and were not taken.
pub(crate) fn arriving() -> usize {
    let subscriptions = all().living();
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
    /// Those that `subscriber` brings, which has subscribed `subject` over `nats`.
    pub(crate) fn new(
        nats: &Arc<async_nats::Client>,
        subject: &str,
        subscriber: Subscriber,
    ) -> Self {
        let instance = instance_of(subject);
        let subscription = Arc::new(Subscription {
            nats: Arc::clone(nats),
            subject: subject.into(),
            state: Mutex::new(State {
                subscriber: Some(subscriber),
                leave: false,
                left: false,
                refuse: false,
                refused: 0,
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

    /// Puts the subscriber back. Does before what was asked for meanwhile.
    fn put_back(&self, mut subscriber: Subscriber) {
        let mut refused = false;
        loop {
            let mut state = self.state();
            if state.leave {
                state.leave = false;
                drop(state);
                // None if the client's queue is full.
                let left = unconstrained(subscriber.unsubscribe())
                    .now_or_never()
                    .is_some();
                self.state().left = left;
            } else if state.refuse && !refused {
                drop(state);
                self.refuse_arrived(&mut subscriber);
                refused = true;
            } else {
                state.subscriber = Some(subscriber);
                return;
            }
        }
    }

    /// Refuses what has arrived, and whatever comes from here on.
    fn refuse_all(&self) {
        let subscriber = {
            let mut state = self.state();
            state.refuse = true;
            state.subscriber.take()
        };
        if let Some(subscriber) = subscriber {
            self.put_back(subscriber);
        }
        self.waiting.wake();
    }

    /// Refuses what has arrived.
    fn refuse_arrived(&self, subscriber: &mut Subscriber) {
        // Without the bound on how much a task may do at once, here and below: what is left could be
        // taken, or lost.
        while let Some(arrived) = unconstrained(subscriber.next()).now_or_never() {
            match arrived {
                Some(call) => self.refuse(call),
                None => {
                    self.state().ended = true;
                    return;
                }
            }
        }
    }

    /// Tells the caller that its call was not taken, by an answer that names no subject for the
    /// rest of it. The published client makes an error of that, of kind `InvalidInput`.
    fn refuse(&self, call: Message) {
        let for_good = {
            let mut state = self.state();
            state.refused += 1;
            state.refuse
        };
        if for_good {
            // Not of the subscription: it goes when it has ended.
            REFUSED.fetch_add(1, Ordering::AcqRel);
        }
        if let Some(caller) = call.reply {
            // If the client's queue is full, the caller waits until its time is over.
            let answer = self.nats.publish(caller, Bytes::new());
            let _ = unconstrained(answer).now_or_never();
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
        let mut polled = subscriber.poll_next_unpin(cx);
        while subscription.state().refuse {
            let Poll::Ready(Some(call)) = polled else {
                break;
            };
            subscription.refuse(call);
            polled = subscriber.poll_next_unpin(cx);
        }
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
            let _ = unconstrained(subscriber.unsubscribe()).now_or_never();
            self.subscription.refuse_arrived(&mut subscriber);
        }
        let calls = self.subscription.state().refused;
        if calls > 0 {
            let subject = &*self.subscription.subject;
            info!(
                subject,
                calls,
                "the function is not served here any more: calls that had arrived were not taken, and did not run"
            );
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
