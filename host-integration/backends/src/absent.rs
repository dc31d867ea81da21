use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use inhost_dispatch::Backend;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Stands for a backend that was not compiled in, and for its streams. There is no value of it.
#[derive(Clone, Debug)]
#[allow(dead_code)] // No value is ever made.
pub struct Absent(Infallible);

impl Backend for Absent {
    type Writer = Self;
    type Reader = Self;

    fn stream(&self) -> (Self, Self) {
        match self.0 {}
    }
}

impl AsyncWrite for Absent {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

impl AsyncRead for Absent {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}
