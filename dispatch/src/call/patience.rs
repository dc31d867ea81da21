//! For how long a callee waits for parameters, and how many bytes of them it takes.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, sleep_until, Instant, Sleep};

use super::error::CallError;
use super::home::Home;
use crate::backend::Backend;
use crate::observe::Target;

/// What a callee puts up with from its callers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// For how long it waits when there is nothing to read.
    pub(crate) within: Option<Duration>,
    /// How many bytes of parameters it takes, without the streams in them.
    pub(crate) bytes: Option<usize>,
}

/// What has come of the parameters of one call.
#[derive(Default)]
pub(crate) struct Received {
    bytes: usize,
    /// There once the callee has had to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Received {
    /// To be asked each time that there is nothing to read. Fails when that has been so for too
    /// long, from the first time on.
    pub(crate) fn poll<T>(
        &mut self,
        patience: Patience,
        target: &Target,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.count(0, patience, target)?;
        let Some(limit) = patience.within else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(CallError::params_late(target, limit)))
    }

    /// Takes note of so many bytes more.
    ///
    /// # Errors
    ///
    /// When these are too many, or those before were. Then they are not to be read.
    pub(crate) fn count(
        &mut self,
        more: usize,
        patience: Patience,
        target: &Target,
    ) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(more);
        match patience.bytes {
            Some(limit) if self.bytes > limit => Err(CallError::params_too_large(target, limit)),
            _ => Ok(()),
        }
    }
}

/// For how long a callee waits for a stream within the parameters of a call that came over the
/// remote transport.
///
/// A sender that dies there says nothing. The stream breaks off when the time of the call is over,
/// so that the callee learns of it before it is ended itself.
pub(crate) struct Streamed<B: Backend> {
    home: Arc<dyn Home<B>>,
    limit: Duration,
    end: Instant,
    /// There once the callee has had to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: Backend> Streamed<B> {
    /// Of a call that `came` then. `None` when there is no limit.
    pub(crate) fn new(home: Arc<dyn Home<B>>, came: Instant) -> Option<Self> {
        let limit = home.patience().within?;
        Some(Self {
            home,
            limit,
            end: came.checked_add(limit)?,
            timer: None,
        })
    }

    /// That of another stream of the call.
    pub(crate) fn another(&self) -> Self {
        Self {
            home: Arc::clone(&self.home),
            timer: None,
            ..*self
        }
    }

    /// To be asked each time that there is nothing to read. Fails when the time is over.
    pub(crate) fn poll<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let end = self.end;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        ready!(timer.as_mut().poll(cx));
        let target = self.home.target();
        Poll::Ready(Err(CallError::stream_late(target, self.limit)))
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};
    use wrpc_transport::Index;

    use super::*;
    use crate::backend::Duplex;
    use crate::call::{Callee, Incoming};
    use crate::endpoint::{Endpoint, QueueLimits};
    use crate::observe::Traveller;

    /// The parameters of a call that has come over the remote transport just now.
    fn params<R>(stream: R, home: Endpoint<(), Duplex>) -> Incoming<Duplex, R> {
        let callee = Callee {
            home: Arc::new(home),
            context: None,
            came: Instant::now(),
        };
        Incoming::remote_params(stream, callee, Traveller::default())
    }

    /// A sender that is there, and sends nothing.
    struct Silent;

    impl AsyncRead for Silent {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl Index<Self> for Silent {
        fn index(&self, _: &[usize]) -> anyhow::Result<Self> {
            Ok(Self)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_a_call_from_elsewhere_breaks_off_when_the_time_of_the_call_is_over() {
        let limit = Duration::from_secs(3);
        let patience = Patience {
            within: Some(limit),
            bytes: None,
        };
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let home = Endpoint::new(target.into(), QueueLimits::default(), patience);
        let (params, came) = (params(Silent, home), Instant::now());
        sleep(limit / 3).await;
        let list = params.index(&[0]).expect("a path");
        sleep(limit / 3).await;
        for mut stream in [list.index(&[7]).expect("a path"), list] {
            let error = stream.read(&mut [0; 8]).await;
            let error = error.expect_err("nothing comes");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(came.elapsed(), limit);
            let text = error.to_string();
            assert!(text.contains("`i.f` of component `p`"), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn parameters_that_come_over_the_remote_are_waited_for_no_longer_either() {
        let (mut caller, callee) = tokio::io::duplex(16);
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let limit = Duration::from_secs(3);
        let limits = QueueLimits::default();
        let patience = Patience {
            within: Some(limit),
            bytes: None,
        };
        let mut params = params(callee, Endpoint::new(target.into(), limits, patience));
        caller.write_all(b"half").await.expect("there is room");
        let begun = Instant::now();
        let mut received = Vec::new();
        let error = params.read_to_end(&mut received).await;
        let error = error.expect_err("the rest does not come");
        assert_eq!(
            (&*received, error.kind()),
            (&b"half"[..], io::ErrorKind::TimedOut)
        );
        assert_eq!(begun.elapsed(), limit);
        assert!(
            error.to_string().contains("`i.f` of component `p`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn no_more_bytes_are_taken_over_the_remote_than_the_callee_can_hold() {
        let (mut caller, callee) = tokio::io::duplex(16);
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let patience = Patience {
            within: None,
            bytes: Some(8),
        };
        let limits = QueueLimits::default();
        let mut params = params(callee, Endpoint::new(target.into(), limits, patience));
        caller.write_all(b"all of 8").await.expect("there is room");
        let mut received = [0; 8];
        let read = params.read_exact(&mut received).await;
        read.expect("it fits");
        caller.write_all(b"!").await.expect("there is room");
        for _ in 0..2 {
            let error = params.read(&mut received).await;
            let error = error.expect_err("it is too much");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(
                error.to_string().contains("`i.f` of component `p`"),
                "{error}"
            );
        }
    }
}
