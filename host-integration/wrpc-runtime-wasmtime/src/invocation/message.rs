//! Messages on byte streams.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use inhost_codec::{Checker, DecodeError, Fault, Found, Plan, Progress, Signature};
use inhost_dispatch::Reader;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tracing::trace;

use crate::invocation::peer::Peer;

/// Room for the messages of most calls.
const FIRST_READ: usize = 512;

/// How much room is made for what a length claims. Beyond it, room grows with what has arrived.
const TRUSTED: usize = 256 << 10;

/// Why a message could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    #[error("the peer ended the stream after {received} bytes, and at least {needed} are needed")]
    Ended { received: usize, needed: usize },
    #[error("the peer sent something else than the types of this function")]
    Malformed(#[source] DecodeError),
    #[error(
        "the peer sends more than the guest can hold; send it in parts or as a stream, or let guests have more \
         memory (`--max-linear-memory-bytes`)"
    )]
    TooLarge(#[source] DecodeError),
    #[error("the stream failed")]
    Stream(#[from] io::Error),
}

impl From<DecodeError> for ReceiveError {
    fn from(error: DecodeError) -> Self {
        match error.fault {
            Fault::Memory { .. } => Self::TooLarge(error),
            _ => Self::Malformed(error),
        }
    }
}

/// Reads one message with the values of `plan`, and checks it. Returns it with the resources in it.
/// What follows on the stream stays there, or is dropped.
///
/// `memory` is what the guest may have, in bytes: a message that does not fit it is refused.
///
/// Not checked is a message without resources that comes in one piece from a peer on this host that
/// has the same `types`; see [`Reader::is_whole`].
///
/// # Cancel safety
///
/// Dropping the future loses what was read.
pub(crate) async fn receive<I: AsyncRead + Unpin + 'static>(
    stream: &mut I,
    plan: &Arc<Plan>,
    memory: u64,
    types: Option<&Signature>,
) -> Result<(Bytes, Vec<Found>), ReceiveError> {
    if plan.is_empty() {
        return Ok((Bytes::new(), Vec::new()));
    }
    let checker = || Checker::new(Arc::clone(plan)).within(memory);
    if plan.has_resources() {
        // Streams alone are no bytes, and there is nothing to wait for.
        let mut checker = checker();
        if let Progress::Complete { .. } = checker.advance(&[])? {
            return Ok((Bytes::new(), checker.into_found()));
        }
    }
    // A local call: most often this is the whole message, and it is not copied.
    let mut piece = Bytes::new();
    if let Some(mut reader) = Reader::of(stream) {
        piece = reader.next_piece().await?;
        // What resources there are is found by a check.
        let whole = !plan.has_resources() && types.is_some_and(|types| reader.is_whole(types));
        if whole && !piece.is_empty() {
            return Ok((piece, Vec::new()));
        }
    }
    let mut checker = checker();
    let mut needed = 1;
    let mut message = if piece.is_empty() {
        BytesMut::with_capacity(FIRST_READ)
    } else {
        match checker.advance(&piece)? {
            Progress::Complete { length } => {
                return Ok((piece.slice(..length), checker.into_found()));
            }
            Progress::Incomplete { needed: now } => {
                needed = now;
                piece.into()
            }
        }
    };
    loop {
        let received = message.len();
        if received == message.capacity() {
            message.reserve((needed - received).min(received.max(TRUSTED)));
        }
        if stream.read_buf(&mut message).await? == 0 {
            return Err(ReceiveError::Ended { received, needed });
        }
        match checker.advance(&message)? {
            Progress::Complete { length } => {
                message.truncate(length);
                return Ok((message.freeze(), checker.into_found()));
            }
            Progress::Incomplete { needed: now } => needed = now,
        }
    }
}

/// Sends `peer` the results, and ends their stream. A caller on the same host gets them as they are, and as a message
/// that needs no check when it has the same `types`.
///
/// # Cancel safety
///
/// Dropping the future may leave a part of the message on the stream.
pub(crate) async fn send<I, O: AsyncWrite + Unpin>(
    peer: &mut Peer<'_, I, O>,
    message: Bytes,
    types: Option<&Signature>,
) -> io::Result<()> {
    match (peer.caller, types) {
        // A function without results: its caller may have left, and wants nothing.
        _ if message.is_empty() => {}
        (Some(caller), Some(types)) => caller.answer_whole(message, types)?,
        (Some(caller), None) => caller.answer(message)?,
        (None, _) => peer.results.write_all(&message).await?,
    }
    finish(peer.results).await
}

/// Ends a stream.
pub(crate) async fn finish(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    stream.flush().await?;
    if let Err(error) = stream.shutdown().await {
        // All that was to be sent was: who is gone by now has it, or does not want it.
        trace!(?error, "failed to shut a stream down");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inhost_codec::Type;
    use tokio_test::io::Builder;

    const MEMORY: u64 = 4 << 30;

    fn plan(types: &[Type]) -> Arc<Plan> {
        Arc::new(Plan::new(types).unwrap())
    }

    #[tokio::test]
    async fn a_message_is_received_in_any_number_of_frames() {
        let plan = plan(&[Type::U32, Type::list(Type::U8)]);
        let mut message = vec![0x80, 1, 0x80, 0x08];
        message.extend([7; 1024]);
        for size in [1, 2, 3, 500, 2000] {
            let mut stream = Builder::new();
            for frame in message.chunks(size) {
                stream.read(frame);
            }
            let received = receive(&mut stream.build(), &plan, MEMORY, None)
                .await
                .unwrap();
            assert_eq!(received.0, message);
        }
    }

    #[tokio::test]
    async fn what_follows_a_message_is_not_part_of_it() {
        let mut stream = Builder::new().read(&[5, 99, 99]).build();
        let received = receive(&mut stream, &plan(&[Type::U8]), MEMORY, None)
            .await
            .unwrap();
        assert_eq!(received.0, [5][..]);
    }

    #[tokio::test]
    async fn nothing_is_read_when_there_are_no_values() {
        // It would panic when it is read.
        let received = receive(&mut Builder::new().build(), &plan(&[]), MEMORY, None).await;
        assert_eq!(received.unwrap().0, Bytes::new());
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_an_error_that_says_so() {
        let mut stream = Builder::new().read(&[3, b'a']).build();
        let error = receive(&mut stream, &plan(&[Type::String]), MEMORY, None).await;
        assert_eq!(
            error.unwrap_err().to_string(),
            "the peer ended the stream after 2 bytes, and at least 4 are needed"
        );
    }

    #[tokio::test]
    async fn a_wrong_message_is_an_error_before_it_is_complete() {
        let mut stream = Builder::new().read(&[2]).build();
        let types = [Type::option(Type::U8), Type::U64];
        let error = receive(&mut stream, &plan(&types), MEMORY, None)
            .await
            .unwrap_err();
        assert!(matches!(error, ReceiveError::Malformed(_)), "{error}");
    }

    #[tokio::test]
    async fn room_is_made_for_what_arrives_and_not_for_what_is_claimed() {
        // 4 GiB are claimed. Had they been reserved, this would fail or take its time.
        let mut stream = Builder::new()
            .read(&[0xff, 0xff, 0xff, 0xff, 0x0f])
            .read(&[0; 1000])
            .build();
        let types = [Type::list(Type::U8)];
        let error = receive(&mut stream, &plan(&types), MEMORY, None)
            .await
            .unwrap_err();
        let ReceiveError::Ended { received, needed } = error else {
            panic!("{error}");
        };
        assert_eq!((received, needed), (1005, 5 + u32::MAX as usize));
    }
}
