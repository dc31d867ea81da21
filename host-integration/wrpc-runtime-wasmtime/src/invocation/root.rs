use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::bail;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wrpc_transport::Index;

/// A stream without nested paths, such as a pipe or a socket, for [`Instance::call`](crate::Instance::call).
///
/// It is enough for functions without streams in their signature. A function with one fails when its path is asked for.
///
/// End of stream is that of the stream inside.
#[derive(Clone, Debug)]
pub struct Root<T>(pub T);

impl<T> Index<Self> for Root<T> {
    fn index(&self, path: &[usize]) -> anyhow::Result<Self> {
        bail!("this stream has no nested paths, and path {path:?} of it was asked for")
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Root<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Root<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
