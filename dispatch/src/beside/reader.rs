//! The stream of a local call, as the side that reads it sees it.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;

use bytes::Bytes;

use super::TypeTable;
use crate::backend::Backend;
use crate::call::{Incoming, LocalReader};

/// A stream of a local call that a side reads from: results at the caller, parameters at the callee.
///
/// Over a remote transport there is no such thing: its streams can be read, and nothing else.
pub struct Reader<'a>(&'a mut dyn LocalReader);

impl<'a> Reader<'a> {
    /// What `incoming` can do besides to be read.
    ///
    /// `None` when it is not the stream of a local call.
    pub fn of<I: Any>(incoming: &'a mut I) -> Option<Self> {
        KNOWN.get::<I>()?(incoming).map(Self)
    }

    /// The next bytes, without a copy where they came in one piece: parameters that came with the
    /// invocation, and results that the callee handed over with
    /// [`Caller::answer`](crate::Caller::answer). Empty at the end of the stream only.
    ///
    /// # Errors
    ///
    /// Those of reading the stream; see [`Incoming`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn next_piece(&mut self) -> io::Result<Bytes> {
        poll_fn(|cx| self.0.poll_piece(cx)).await
    }

    /// Whether the piece that [`next_piece`](Self::next_piece) has returned, or returns next, is all
    /// that the other side sends on this stream, and of the types `types`: of that very value. The
    /// other side says so, and is believed: a caller with [`with_types`](crate::with_types), a
    /// callee with [`Caller::answer_whole`](crate::Caller::answer_whole).
    ///
    /// It holds as long as nothing of the stream was read in another way. `false` for what is not a
    /// root.
    pub fn is_whole(&self, types: &(dyn Any + Send + Sync)) -> bool {
        self.0.is_whole(types)
    }

    /// Waits until the other side has ended the stream, and drops what it has sent. Whoever waits so
    /// for results does not count as one who asks for them: a call whose caller leaves after this
    /// runs.
    ///
    /// # Errors
    ///
    /// Those of reading the stream; see [`Incoming`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing but what was sent by then.
    pub async fn until_ended(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_ended(cx)).await
    }

    /// Whether these are results of a callee that was [ended from outside](crate::Caller::cut_off),
    /// or by the end of the process, before it had finished them. To be asked once they have ended.
    pub fn was_cut_off(&self) -> bool {
        self.0.was_cut_off()
    }

    /// Why the callee will not finish its results, if it has said so
    /// ([`Caller::failed`](crate::Caller::failed)). For who reads a stream within the results, which
    /// ends like any other then, and can tell that it is not whole.
    ///
    /// An error with a [`CallError`](crate::CallError::CalleeFailed). `None` for a stream of the
    /// parameters.
    pub fn why_failed(&self) -> Option<io::Error> {
        self.0.why_failed()
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

type ReaderOf = fn(&mut dyn Any) -> Option<&mut dyn LocalReader>;

/// The types of streams that have readers.
static KNOWN: TypeTable<ReaderOf> = TypeTable::new();

/// Makes [`Reader::of`] know the streams of a type of dispatcher.
pub(crate) fn know<B: Backend, R: Any>() {
    KNOWN.add::<Incoming<B, R>>(|incoming| {
        let incoming = incoming.downcast_mut::<Incoming<B, R>>()?;
        Some(incoming.as_local()?)
    });
}
