use std::collections::hash_map::RandomState;
use std::collections::BTreeMap;
use std::future::{poll_fn, Future};
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;

use anyhow::Context as _;
use async_nats::connection::State;
use async_nats::{ServerInfo, Subject, Subscriber};
use futures::StreamExt as _;
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;
use tokio::time::{interval, MissedTickBehavior};

use super::call::Call;
use super::failure::Failure;
use super::table::Table;
use super::watch::TICK;

/// The one inbox of a connection: a subscription, and a task that hands its messages to the calls.
///
/// Whoever needs it holds it: clients that have used it, served functions, and the streams of calls. With the last of
/// them the task and the subscription go.
pub(crate) struct Inbox {
    nats: Arc<async_nats::Client>,
    table: Arc<Table>,
    /// Ends the task. Set when the inbox is subscribed.
    task: OnceCell<AbortHandle>,
    next: AtomicU64,
    salt: RandomState,
}

/// The inboxes of this process by the address of their connection. An inbox that is alive keeps its connection alive,
/// so no other connection can have the address.
static INBOXES: Mutex<BTreeMap<usize, Weak<Inbox>>> = Mutex::new(BTreeMap::new());

fn inboxes() -> MutexGuard<'static, BTreeMap<usize, Weak<Inbox>>> {
    INBOXES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(nats: &Arc<async_nats::Client>) -> usize {
    Arc::as_ptr(nats) as usize
}

/// The inbox of `nats`, if there is one.
pub(super) fn find(nats: &Arc<async_nats::Client>) -> Option<Arc<Inbox>> {
    inboxes().get(&address(nats))?.upgrade()
}

/// How many calls have an open stream in this process, at either end.
pub(super) fn open_calls_of_process() -> usize {
    // Counted after the lock: dropping an inbox takes it.
    let inboxes: Vec<_> = inboxes().values().filter_map(Weak::upgrade).collect();
    inboxes.iter().map(|inbox| inbox.open_calls()).sum()
}

impl Inbox {
    /// The inbox of `nats`, subscribed.
    ///
    /// # Errors
    ///
    /// When the client has been closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: another one that waits for the same inbox goes on in its place.
    pub(crate) async fn of(nats: &Arc<async_nats::Client>) -> anyhow::Result<Arc<Self>> {
        let inbox = Self::get_or_make(nats);
        inbox
            .task
            .get_or_try_init(|| subscribe(nats, &inbox.table))
            .await?;
        Ok(inbox)
    }

    fn get_or_make(nats: &Arc<async_nats::Client>) -> Arc<Self> {
        // Freed after the lock: dropping an inbox takes it.
        let _stale;
        let mut inboxes = inboxes();
        if let Some(inbox) = inboxes.get(&address(nats)).and_then(Weak::upgrade) {
            if inbox.is_open() {
                return inbox;
            }
            _stale = inbox;
        }
        let inbox = Arc::new(Self {
            table: Arc::new(Table::new(format!("{}.", nats.new_inbox()).into())),
            nats: Arc::clone(nats),
            task: OnceCell::new(),
            next: AtomicU64::new(0),
            salt: RandomState::new(),
        });
        inboxes.insert(address(nats), Arc::downgrade(&inbox));
        inbox
    }

    /// Whether messages are still delivered. They are not when the client was closed, or the runtime that the inbox was
    /// made on has shut down.
    pub(crate) fn is_open(&self) -> bool {
        !self.table.is_closed()
    }

    pub(super) fn open_calls(&self) -> usize {
        self.table.len()
    }

    /// Takes note that the connection is to this server. A call that is entered after this is one of this connection.
    pub(crate) fn connected(&self, server: ServerInfo) {
        self.table.look(&State::Connected, server);
    }

    /// Enters a call. From here on, what arrives for it is kept.
    ///
    /// # Errors
    ///
    /// [`Failure::Closed`].
    pub(crate) fn enter(
        self: &Arc<Self>,
        make: impl FnOnce(u64) -> Call,
    ) -> Result<Entry, Failure> {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        // Unique because of the count. Whoever has seen the subject of one call cannot guess that of another.
        let number = u128::from(self.salt.hash_one(count)) << 64 | u128::from(count);
        Ok(Entry {
            call: self.table.enter(number, make)?,
            inbox: Arc::clone(self),
            number,
        })
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
        let mut inboxes = inboxes();
        let address = address(&self.nats);
        // A new one may be in its place.
        if inboxes
            .get(&address)
            .is_some_and(|inbox| std::ptr::eq(inbox.as_ptr(), self))
        {
            inboxes.remove(&address);
        }
    }
}

/// A call's place in the table of an inbox. Dropping it removes the call.
pub(crate) struct Entry {
    call: Arc<Call>,
    inbox: Arc<Inbox>,
    number: u128,
}

impl Entry {
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    pub(crate) fn nats(&self) -> &Arc<async_nats::Client> {
        &self.inbox.nats
    }

    /// The subject that the other side answers to.
    pub(crate) fn subject(&self) -> Subject {
        self.inbox.table.subject(self.number).into()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.inbox.table.remove(self.number);
    }
}

fn look(nats: &async_nats::Client, table: &Table) {
    table.look(&nats.connection_state(), nats.server_info());
}

async fn subscribe(
    nats: &Arc<async_nats::Client>,
    table: &Arc<Table>,
) -> anyhow::Result<AbortHandle> {
    let subject = format!("{}>", table.prefix());
    let messages = nats
        .subscribe(subject)
        .await
        .context("cannot subscribe an inbox: the NATS client is closed")?;
    let task = tokio::spawn(deliver(messages, Arc::clone(nats), Arc::clone(table)));
    Ok(task.abort_handle())
}

/// Hands messages to the calls until the client is closed. It never waits for a reader.
fn deliver(
    mut messages: Subscriber,
    nats: Arc<async_nats::Client>,
    table: Arc<Table>,
) -> impl Future<Output = ()> {
    /// However the task ends, be it that the runtime shuts down: no call may wait for it.
    struct Close(Arc<Table>);
    impl Drop for Close {
        fn drop(&mut self) {
            self.0.close();
        }
    }
    // Here and not in the task: a task that is dropped before it has run has to close the table too.
    let close = Close(table);
    async move {
        let table = &close.0;
        look(&nats, table);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        poll_fn(|cx| {
            while let Poll::Ready(message) = messages.poll_next_unpin(cx) {
                match message {
                    Some(message) => table.route(message),
                    None => return Poll::Ready(()),
                }
            }
            while tick.poll_tick(cx).is_ready() {
                look(&nats, table);
                table.judge();
            }
            Poll::Pending
        })
        .await;
    }
}
