use std::any::Any;
use std::future::poll_fn;
use std::io;

use bytes::Bytes;

use crate::backend::Backend;
use crate::incoming::Incoming;
use crate::known::Known;

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

/// A local stream, without the backend in its type.
pub(crate) trait Pieces: Send {
    fn poll_piece(&mut self, cx: &mut std::task::Context<'_>)
        -> std::task::Poll<io::Result<Bytes>>;
}

type PiecesOf = fn(&mut dyn Any) -> Option<&mut dyn Pieces>;

/// The types of streams that can be taken in pieces.
static KNOWN: Known<PiecesOf> = Known::new();

/// Makes [`next_piece`] know the streams of a type of dispatcher.
pub(crate) fn know<B: Backend, R: Any>() {
    KNOWN.add::<Incoming<B, R>>(|incoming| {
        let incoming = incoming.downcast_mut::<Incoming<B, R>>()?;
        Some(incoming.as_local()?)
    });
}
