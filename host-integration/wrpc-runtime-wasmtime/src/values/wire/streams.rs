//! `wasi:io` input streams: chunks of a LEB128 length and as many bytes, then a chunk of length zero as the end marker.
//!
//! A stream takes no bytes in the value that holds it. Its content travels at the value's path.

use core::future::poll_fn;
use core::pin::{pin, Pin};
use core::task::{ready, Context, Poll};
use std::any::Any;
use std::io;
use std::sync::Arc;

use anyhow::{bail, Context as _};
use bytes::{Bytes, BytesMut};
use inhost_dispatch::Reader;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_util::codec::Encoder as _;
use tracing::{debug, trace};
use wasm_tokio::CoreVecEncoderBytes;
use wasmtime::component::ResourceAny;
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::pipe::AsyncReadStream;
use wasmtime_wasi::{InputStream, StreamError, WasiView};

use super::handles;
use super::sending::{Keeping, Sending};

/// How many bytes of a guest's stream go into one chunk at most.
const CHUNK_BYTES: usize = 8096;

/// Takes an input stream out of the store, to be sent.
///
/// # Errors
///
/// A borrowed stream cannot be sent: its owner would have to learn how many bytes the peer has read.
pub(crate) fn take<T: WasiView>(
    mut store: &mut StoreContextMut<'_, T>,
    resource: ResourceAny,
) -> wasmtime::Result<InputStream> {
    let stream = resource
        .try_into_resource::<InputStream>(&mut store)
        .context("failed to downcast `wasi:io/input-stream`")?;
    if !stream.owned() {
        bail!("encoding borrowed `wasi:io/input-stream` not supported yet");
    }
    store
        .data_mut()
        .table()
        .delete(stream)
        .context("failed to delete input stream")
}

/// Sends a stream to its end.
pub(super) async fn send<W: AsyncWrite>(mut stream: InputStream, w: W) -> wasmtime::Result<()> {
    let mut w = pin!(w);
    loop {
        let sent = match next_chunk(&mut stream).await? {
            Some(chunk) => w.write_all(&chunk).await,
            None => return end(w).await,
        };
        if reader_is_gone(sent).context("failed to write input stream chunk")? {
            return Ok(());
        }
    }
}

/// The next chunk as it is on the wire, or `None` once the stream has closed.
async fn next_chunk(stream: &mut InputStream) -> wasmtime::Result<Option<BytesMut>> {
    let content: Bytes = loop {
        stream.ready().await;
        match stream.read(CHUNK_BYTES) {
            // An empty chunk would be the end marker.
            Ok(content) if content.is_empty() => yield_once().await,
            Ok(content) => break content,
            Err(StreamError::Closed) => return Ok(None),
            // Its text only: it may stem from another call, and says nothing about the one that it is sent with.
            Err(err) => bail!("failed to read input stream: {:#}", anyhow::Error::new(err)),
        }
    };
    // Length and content go out in one write: a transport may make a message of each.
    let mut chunk = BytesMut::with_capacity(content.len().saturating_add(5));
    CoreVecEncoderBytes
        .encode(content, &mut chunk)
        .context("failed to encode input stream chunk")?;
    Ok(Some(chunk))
}

/// Writes the end marker, once, and ends the stream of the path.
async fn end<W: AsyncWrite>(mut w: Pin<&mut W>) -> wasmtime::Result<()> {
    let sent = match w.write_all(&[0x00]).await {
        Ok(()) => w.flush().await,
        Err(err) => Err(err),
    };
    if reader_is_gone(sent).context("failed to write input stream end")? {
        return Ok(());
    }
    if let Err(err) = w.shutdown().await {
        trace!(?err, "failed to shut down the path of an input stream");
    }
    Ok(())
}

/// Whether the peer dropped the stream. It may do that at any time, and its call goes on.
fn reader_is_gone(sent: io::Result<()>) -> io::Result<bool> {
    match sent {
        Ok(()) => Ok(false),
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => {
            debug!("the peer dropped an input stream before its end");
            Ok(true)
        }
        Err(err) => Err(err),
    }
}

/// Lets others run. A stream may be ready and have nothing, and would be asked for ever.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Files the stream that arrives through `r`, the reader of the value's path, in the store. It keeps `sending` for as
/// long as it is there.
///
/// wasmtime's stream for readers is one task, and holds three chunks of 4 KiB at most. It ends with the stream.
pub(crate) fn receive<T, R>(
    store: &mut impl AsContextMut<Data = T>,
    r: R,
    sending: Option<&Arc<Sending>>,
) -> io::Result<ResourceAny>
where
    T: WasiView,
    R: AsyncRead + Send + Unpin + 'static,
{
    // Boxed as a trait object, because that is the type that the guest's import knows.
    let stream = AsyncReadStream::new(ChunkReader::new(r));
    let stream: InputStream = match sending {
        Some(sending) => Box::new(Keeping::new(stream, Arc::clone(sending))),
        None => Box::new(stream),
    };
    handles::file(&mut store.as_context_mut(), stream)
}

/// Reads the content of chunks, to the end marker. Nothing is buffered.
pub(super) struct ChunkReader<R> {
    inner: R,
    at: Position,
}

/// Where in the chunks a reader is.
#[derive(Clone, Copy)]
enum Position {
    /// In the LEB128 length of a chunk: what was read of it.
    Length { value: u32, shift: u32 },
    /// In the content of a chunk: how much is left of it.
    Content { left: u32 },
    /// After the end marker, or after an error.
    Ended,
}

impl Position {
    const CHUNK_START: Self = Self::Length { value: 0, shift: 0 };

    /// The position after the next byte of a chunk's length.
    fn after_length_byte(value: u32, shift: u32, byte: u8) -> io::Result<Self> {
        let bits = u32::from(byte & 0x7f);
        if shift == 28 && byte > 0x0f {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the length of an input stream chunk overflows 32 bits",
            ));
        }
        let value = value | bits << shift;
        Ok(match (byte & 0x80 != 0, value) {
            (true, value) => Self::Length {
                value,
                shift: shift + 7,
            },
            (false, 0) => Self::Ended,
            (false, left) => Self::Content { left },
        })
    }
}

impl<R: AsyncRead + Unpin + 'static> ChunkReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            at: Position::CHUNK_START,
        }
    }

    /// Reads until `buf` has got some bytes, or the stream ends.
    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buf.remaining() > 0 {
            match self.at {
                Position::Ended => break,
                Position::Length { value, shift } => {
                    let mut byte = [0];
                    let mut one = ReadBuf::new(&mut byte);
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut one))?;
                    if one.filled().is_empty() {
                        return Poll::Ready(Err(truncated(&mut self.inner)));
                    }
                    self.at = Position::after_length_byte(value, shift, byte[0])?;
                }
                Position::Content { left } => {
                    let max = usize::try_from(left).unwrap_or(usize::MAX);
                    let max = max.min(buf.remaining());
                    let mut part = ReadBuf::new(buf.initialize_unfilled_to(max));
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
                    let read = part.filled().len();
                    buf.advance(read);
                    // It is at most `left`, which is a u32.
                    let left = left - u32::try_from(read).unwrap_or(left);
                    self.at = match (read, left) {
                        (0, _) => return Poll::Ready(Err(truncated(&mut self.inner))),
                        (_, 0) => Position::CHUNK_START,
                        (_, left) => Position::Content { left },
                    };
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A peer that sends all of a stream ends it with the marker.
fn truncated<R: Any>(stream: &mut R) -> io::Error {
    let why = Reader::of(stream).and_then(|reader| reader.why_failed());
    // The text alone: who classifies the error of a stream is not to find that of a call.
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        format!("an input stream of the peer broke off before its end{why}"),
    )
}

impl<R: AsyncRead + Unpin + 'static> AsyncRead for ChunkReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = ready!(this.poll_content(cx, buf));
        if read.is_err() {
            this.at = Position::Ended;
        }
        Poll::Ready(read)
    }
}
