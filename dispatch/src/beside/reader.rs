use std::any::Any;
use std::future::{pending, poll_fn};
use std::io;

use bytes::Bytes;

use super::TypeTable;
use crate::backend::Backend;
use crate::call::{Incoming, LocalReader};

/// The next bytes of a stream of a local call, without a copy where they came in one piece: parameters that came with
/// the invocation, and results that the callee handed over with [`Caller::answer`](crate::Caller::answer).
///
/// `None` when `incoming` is not such a stream; then it has to be read. `Some(Ok(bytes))` is empty at the end of the
/// stream only.
///
/// # Errors
///
/// Those of reading the stream; see [`Incoming`].
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub async fn next_piece<I: Any>(incoming: &mut I) -> Option<io::Result<Bytes>> {
    let pieces = KNOWN.get::<I>()?(incoming)?;
    Some(poll_fn(|cx| pieces.poll_piece(cx)).await)
}

/// Whether the piece that [`next_piece`] has returned, or returns next, is all that the other side
/// of a local call sends on `incoming`, and of the types `types`: of that very value. The other
/// side says so, and is believed: a caller with [`with_types`](crate::with_types), a callee with
/// [`Caller::answer_whole`](crate::Caller::answer_whole).
///
/// It holds as long as nothing of the stream was read in another way. `false` for what is not the
/// root stream of a local call.
pub fn is_whole<I: Any>(incoming: &mut I, types: &(dyn Any + Send + Sync)) -> bool {
    let pieces = KNOWN.get::<I>().and_then(|known| known(incoming));
    pieces.is_some_and(|pieces| pieces.is_whole(types))
}

/// Waits until the other side of a local call has ended the stream `incoming`, and drops what it
/// has sent. Whoever waits so for results does not count as one who asks for them: a call whose
/// caller leaves after this runs.
///
/// Never returns for what is not a stream of a local call: there is no telling when the other side is done.
///
/// # Errors
///
/// Those of reading the stream; see [`Incoming`].
///
/// # Cancel safety
///
/// Dropping the future loses nothing but what was sent by then.
pub async fn until_ended<I: Any>(incoming: &mut I) -> io::Result<()> {
    match KNOWN.get::<I>().and_then(|known| known(incoming)) {
        Some(pieces) => poll_fn(|cx| pieces.poll_ended(cx)).await,
        None => pending().await,
    }
}

/// Why the callee of a local call will not finish its results, if it has said so
/// ([`Caller::failed`](crate::Caller::failed)). For who reads a stream within the results, which
/// ends like any other then, and can tell that it is not whole.
///
/// An error with a [`CallError`](crate::CallError::CalleeFailed). `None` for what is not a stream
/// of the results of a local call.
pub fn why_failed<I: Any>(incoming: &mut I) -> Option<io::Error> {
    let reader = KNOWN.get::<I>()?(incoming)?;
    reader.why_failed()
}

type ReaderOf = fn(&mut dyn Any) -> Option<&mut dyn LocalReader>;

/// The types of streams that can be taken in pieces.
static KNOWN: TypeTable<ReaderOf> = TypeTable::new();

/// Makes [`next_piece`] know the streams of a type of dispatcher.
pub(crate) fn know<B: Backend, R: Any>() {
    KNOWN.add::<Incoming<B, R>>(|incoming| {
        let incoming = incoming.downcast_mut::<Incoming<B, R>>()?;
        Some(incoming.as_local()?)
    });
}
